"""Files that are damaged, or made to do harm: each gets a diagnostic."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

import netspec
from netspec import SpecError

from .models import ints, model, node, saved, some


def plain() -> ModelProto:
    return model(node("Conv", "x w", "y"), w=some(2, 4, 1, 1))


def changed(change: Callable[[ModelProto], Any]) -> ModelProto:
    made = plain()
    change(made)
    return made


def weight(made: ModelProto) -> TensorProto:
    return cast(TensorProto, made.graph.initializer[0])


def outside(location: str, **more: Any) -> ModelProto:
    """A model whose weight is said to lie in another file."""
    made = plain()
    tensor = weight(made)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return made


def nested(depth: int) -> ModelProto:
    """Functions that call each other so deep."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function(
            "own", f"f{i}", ["a"], ["b"], [node(f"f{i + 1}", "a", "b", domain="own")], opsets
        )
        for i in range(depth)
    ]
    last = helper.make_function("own", f"f{depth}", ["a"], ["b"], [node("Relu", "a", "b")], opsets)
    return model(node("f0", "x", "y", domain="own"), functions=[*functions, last])


def doubling(depth: int) -> ModelProto:
    """Functions each of which calls the next one twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = []
    for i in range(depth):
        twice = [
            node(f"f{i + 1}", "a", "h", domain="own"),
            node(f"f{i + 1}", "h", "b", domain="own"),
        ]
        functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], twice, opsets))
    last = helper.make_function("own", f"f{depth}", ["a"], ["b"], [node("Relu", "a", "b")], opsets)
    return model(node("f0", "x", "y", domain="own"), functions=[*functions, last])


def recursive() -> ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = helper.make_function(
        "own", "f", ["a"], ["b"], [node("f", "a", "b", domain="own")], opsets
    )
    return model(node("f", "x", "y", domain="own"), functions=[made])


def growing(count: int) -> list[Any]:
    """A constant that becomes twice as large, again and again."""
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(count)]
    return [*nodes, node("ReduceSum", f"c{count}", "s"), node("Add", "x s", "y")]


def set_dims(*dims: int) -> Callable[[ModelProto], Any]:
    def change(made: ModelProto) -> None:
        del weight(made).dims[:]
        weight(made).dims.extend(dims)

    return change


FILES: dict[str, tuple[ModelProto, str]] = {
    "cycle": (model(node("Add", "x b", "a"), node("Add", "a x", "b"), out="b"), "nothing in front"),
    "takes nothing": (model(node("Relu", "z", "y")), "takes z, which nothing"),
    "computes nothing": (model(node("Relu", "x", "z")), "nothing computes y"),
    "twice": (model(node("Relu", "x", "y"), node("Tanh", "x", "y")), "once more"),
    "huge dims": (changed(set_dims(2**40, 2**40)), "says that its shape is"),
    "dims below 0": (changed(set_dims(-2, 4, 1, 1)), "says that its shape is"),
    "other dims": (changed(set_dims(2, 4, 3, 3)), "the file has 8"),
    "strings": (changed(lambda m: setattr(weight(m), "data_type", 8)), "type STRING"),
    "no type": (changed(lambda m: setattr(weight(m), "data_type", 99)), "type 99"),
    "parent": (outside("../secret"), "outside of the folder"),
    "root": (outside("/etc/passwd"), "outside of the folder"),
    "no place": (outside(""), "outside of the folder"),
    "zero byte": (outside("a\0b"), "outside of the folder"),
    "no file": (outside("none.bin"), "no such file"),
    "beyond": (outside("data.bin", offset=10), "does not have the 32 bytes"),
    "before": (outside("data.bin", offset=-4), "does not have the 32 bytes"),
    "other length": (outside("data.bin", length=16), "does not have the 32 bytes"),
    "no number": (outside("data.bin", offset="x"), "is no number"),
    "huge input": (model(node("Relu", "x", "y"), x=(1, 2**40, 2**40, 3)), "is said to be"),
    "no sizes": (model(node("Relu", "x", "y"), x=("N", "c", "h", "w")), "leaves open how large"),
    "deep": (nested(200), "50 deep"),
    "recursive": (recursive(), "50 deep"),
    "many": (doubling(40), "more than 30,000 nodes"),
    "wide": (model(node("Concat", " ".join(["x"] * 5000), "y", axis=1)), "more than 4,096 inputs"),
    "grows": (model(*growing(60), c0=np.zeros(1024, np.float32)), "constant"),
    "range": (
        model(node("Range", "a b c", "r"), node("Add", "x r", "y"),
              a=np.int64(0), b=np.int64(2**60), c=np.int64(1)),
        "constant result",
    ),
    "filled": (
        model(node("ConstantOfShape", "s", "c"), node("Add", "x c", "y"), s=ints(2**30, 2**30)),
        "no possible shape",
    ),
    "filled, and read": (
        model(node("ConstantOfShape", "s", "c"), node("ReduceSum", "c", "d"),
              node("Add", "x d", "y"), s=ints(2**19, 2**19)),
        "a constant of",
    ),
    "expands": (model(node("Expand", "x s", "y"), s=ints(2**20, 1, 2**20, 2**20)), ""),
    "divides by 0": (
        model(node("Div", "a b", "s"), node("Reshape", "x s", "y"), a=ints(1), b=ints(0)),
        "divides by zero",
    ),
    "scaled": (
        model(node("Resize", "x _ s", "y"), s=np.array([1, 1, 1e30, 1], np.float32)), "scales by",
    ),
    "infinite": (
        model(node("Resize", "x _ s", "y"), s=np.array([1, 1, np.inf, np.nan], np.float32)),
        "scales by",
    ),
    "not finite": (model(node("LeakyRelu", "x", "y", alpha=np.nan)), "nan is no number"),
    "infinite alpha": (model(node("Elu", "x", "y", alpha=np.inf)), "inf is no number"),
    "stride 0": (model(node("Conv", "x w", "y", strides=[0, 1]), w=some(2, 4, 1, 1)), "strides"),
    "group 0": (model(node("Conv", "x w", "y", group=0), w=some(2, 4, 1, 1)), "does not fit"),
    "kernel": (model(node("MaxPool", "x", "y", kernel_shape=[9, 9])), ""),
    "wrong attribute": (model(node("Conv", "x w", "y", group="a"), w=some(2, 4, 1, 1)), "wrong group"),
    "unpools a vector": (model(node("MaxUnpool", "x x", "y", kernel_shape=[2, 2]), x=(1, 4)), ""),
    "many parts": (model(node("Split", "x", "y", num_outputs=2**60), opset=18), "parts"),
    "odd output_padding": (
        model(node("ConvTranspose", "x w", "y", output_padding=[1]), w=some(4, 2, 1, 1)), "can't have",
    ),
    "axis": (model(node("Concat", "x x", "y", axis=9)), "axis 9"),
    "opset": (model(node("Relu", "x", "y"), opset=5), "opset 5"),
    "future": (changed(lambda m: setattr(m.opset_import[0], "version", 99)), "opset 99"),
    "other domain": (model(node("Secret", "x", "y", domain="own"), functions=[]), "own"),
    "quantized": (
        model(node("QuantizeLinear", "x s z", "y"), s=np.float32(1), z=np.uint8(0)),
        "QuantizeLinear can't be expressed: a quantized model",
    ),
    "recurrent": (
        model(node("LSTM", "x w r", "y", hidden_size=2), x=(3, 1, 4), w=some(1, 8, 4), r=some(1, 8, 2)),
        "LSTM can't be expressed: a recurrent network",
    ),
    "computed branch": (
        model(
            node("ReduceSum", "x", "c"),
            node("If", "c", "y", then_branch=helper.make_graph([], "a", [], []),
                 else_branch=helper.make_graph([], "b", [], [])),
        ),
        "If can't be expressed: control flow",
    ),
    "no output": (changed(lambda m: m.graph.ClearField("output")), "no outputs"),
    "constant output": (model(node("Relu", "c", "y"), c=some(3)), "is a constant"),
    "input's own": (model(node("Relu", "x", "y"), out="x"), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_is_refused(name: str, tmp_path: Path) -> None:
    made, message = FILES[name]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.bin").write_bytes(bytes(32))
    (tmp_path / "secret").write_bytes(bytes(32))
    with pytest.raises(SpecError) as error:
        netspec.load(saved(made, tmp_path / "sub"))
    assert message in str(error.value)


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(SpecError, match="outside of the folder"):
        netspec.load(saved(outside("data.bin"), tmp_path / "sub"))


def test_data_beside_the_file(tmp_path: Path) -> None:
    numbers = some(2, 4, 1, 1)
    (tmp_path / "data.bin").write_bytes(bytes(64) + numbers.tobytes())
    path = saved(outside("data.bin", offset=64, length=32), tmp_path)
    (name,) = netspec.load(path).tensors
    found = netspec.match_weights(path, str(path))[name]
    np.testing.assert_array_equal(found, numbers)


def test_damaged_bytes(tmp_path: Path) -> None:
    content = plain().SerializeToString()
    path = tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    for cut in range(0, len(content), 7):
        broken = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            broken[place] = rng.integers(256)
        for tried in (content[:cut], bytes(broken)):
            path.write_bytes(tried)
            with suppress(SpecError):
                netspec.load(path)
    path.write_bytes(b"")
    with pytest.raises(SpecError):
        netspec.load(path)


def test_names_that_are_no_names(tmp_path: Path) -> None:
    evil = '"""\n}; import os # ${`'
    made = model(node("Conv", "x w", "y", evil), w=some(2, 4, 1, 1))
    made.graph.node.append(helper.make_node("Relu", ["y"], [evil], evil))
    made.graph.output[0].name = evil
    made.graph.name = evil
    text = netspec.convert(saved(made, tmp_path)).text
    assert "import os" not in text.replace("import_os", "")
    (tmp_path / "out.net").write_text(text)
    assert netspec.load(tmp_path / "out.net").params == 8
