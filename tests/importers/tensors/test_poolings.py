"""Poolings whose padding is not the same on both sides, against PyTorch."""

from __future__ import annotations

import random

import numpy as np
import pytest

import netspec
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.driver import check
from netspec.importers.convert import converted
from netspec.importers.tensors.imported import imported
from netspec.importers.tensors.program import Operation, ProgramTensor, TensorProgram


def text(size: tuple[int, int], result: tuple[int, int], **attributes: object) -> str:
    """The spec of one pooling."""
    source = Source("one.onnx", "pool")
    x, y = ProgramTensor("x", (1, 2, *size)), ProgramTensor("y", (1, 2, *result))
    pool = Operation("maxpool", [x], [y], "pool", Span(source, 0, 4), attributes)
    found = Diagnostics()
    net = imported(TensorProgram("one", source, 1, [x], [pool], [y]), found)
    assert net is not None, [d.message for d in found]
    made = converted(net, {}, found)
    assert made is not None
    return made[0].text


@pytest.mark.slow
def test_uneven_padding_of_maxima() -> None:
    torch = pytest.importorskip("torch")
    of = random.Random(3)
    forms = set()
    for _ in range(16):
        size = of.randint(4, 9), of.randint(4, 9)
        kernel = of.randint(2, 3), of.randint(2, 3)
        stride = of.randint(1, 3), of.randint(1, 3)
        pad = tuple(of.randint(0, 1) for _ in range(4))
        x = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 2, *size), np.float32))
        padded = torch.nn.functional.pad(x, (pad[1], pad[3], pad[0], pad[2]), value=-np.inf)
        expected = torch.nn.functional.max_pool2d(padded, kernel, stride).numpy()
        spec = text(size, expected.shape[2:], kernel=kernel, stride=stride, pad=pad)
        model = netspec.build(netspec.Net(check(Source("p.net", spec), None, {}).sound()))
        np.testing.assert_array_equal(model(x.numpy()), expected, err_msg=spec)
        forms.add(("pad: [" in spec, "round: ceil" in spec))
    assert len(forms) > 2
