"""Run a net in OpenVINO, which reads its ONNX file, and compare it with NumPy.

pip install "netspec-compiler[onnx]" openvino
python to_openvino.py squeezenet_digits weights.safetensors picture.png ...
"""

from __future__ import annotations

from common import Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run:
    """The net in OpenVINO, on the processor; it takes what its ONNX file takes."""
    import openvino

    core = openvino.Core()
    # Without the hint, processors that have bfloat16 compute in it.
    how = {"INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(net.onnx()), "CPU", how)
    return lambda inputs: [*model([*inputs]).values()]


ENGINE = Engine("OpenVINO", ("openvino",), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
