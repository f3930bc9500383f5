"""Make the files of a net that ncnn runs, NET.ncnn.param and NET.ncnn.bin, and compare with NumPy.

    pip install "netspec-compiler[onnx]" ncnn pnnx
    python to_ncnn.py squeezenet_digits weights.safetensors picture.png ...

pnnx makes them of the ONNX file, for one size of input. ncnn takes one picture at a time.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run:
    """The net in ncnn, for inputs of these shapes."""
    import ncnn
    import numpy as np
    import pnnx

    files = [net.file(f".ncnn.{kind}").resolve() for kind in ("param", "bin")]
    with tempfile.TemporaryDirectory() as folder:  # pnnx makes more files than these
        given = shutil.copy(net.onnx(), folder)
        shapes = ",".join(f"[{','.join(map(str, x.shape))}]f32" for x in inputs)
        options = [f"inputshape={shapes}", "fp16=0", f"ncnnparam={files[0]}", f"ncnnbin={files[1]}"]
        command = [str(Path(pnnx.__file__).parent / "pnnx"), given, *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).split("\n")
        raise RuntimeError(f"pnnx: {[line for line in lines if line.strip()][-1].strip()}")

    model = ncnn.Net()
    # Numbers of 16 bits are the default; these are for comparing.
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(model.opt, f"use_{option}", False)
    # What pnnx knows no layer of ncnn for keeps a name of its own.
    kinds = {line.split()[0] for line in files[0].read_text().splitlines()[2:]}
    if lacking := sorted(kind for kind in kinds if "." in kind or "::" in kind):
        raise RuntimeError(f"ncnn has no {', '.join(lacking)}")
    if model.load_param(str(files[0])) or model.load_model(str(files[1])):
        raise RuntimeError("ncnn does not load the files that pnnx made")

    def run(inputs: Sequence[Any]) -> Arrays:
        extractor = model.create_extractor()
        for name, x in zip(model.input_names(), inputs, strict=True):
            extractor.input(name, ncnn.Mat(np.ascontiguousarray(x[0])).clone())
        # pnnx numbers the outputs; ncnn also counts values that nothing reads.
        count = sum(name.startswith("out") for name in model.output_names())
        found = [extractor.extract(f"out{i}") for i in range(count)]
        if any(failed for failed, _ in found):
            raise RuntimeError("ncnn can't compute an output")
        return [np.array(values)[None] for _, values in found]

    return run


ENGINE = Engine("ncnn", ("ncnn", "pnnx"), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
