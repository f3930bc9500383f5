"""The reference of ops: complete, true to the declarations, and checked in as it is generated."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.ops import OPS, Op, ShapeError, attributes, like, text
from netspec.reference import ops as manual
from netspec.reference import pages
from netspec.symbolic.expr import Dim, Parameter, operators

from ..helpers import checked, net_of

PAGE = Path(__file__).parent.parent.parent / "docs" / "ops.md"
EVERY = pytest.mark.parametrize("op", OPS.values(), ids=OPS)


def test_the_page_is_what_the_declarations_give(update: bool) -> None:
    page = pages.page(OPS.values())
    if update:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "run `pytest tests/docs --update`"


@EVERY
def test_every_op_has_an_example_that_is_sound(op: type[Op]) -> None:
    net, found = checked(manual.example_source(op).text)
    assert net is not None, f"{op.__name__} needs an `example`: {[d.message for d in found]}"
    assert not found
    assert op in {type(layer.op) for layer in net.layers}


@EVERY
def test_every_op_is_documented(op: type[Op]) -> None:
    e = manual.entry(op)
    assert op.__doc__ is not None
    assert not op.__doc__.startswith(f"{op.__name__}("), "a docstring that dataclass made"
    assert e.summary.endswith(".")
    assert len(e.summary) < 200
    assert [f.name for f in e.fields] == [a.name for a in attributes(op)]
    assert all(f.doc and f.kind for f in e.fields)
    for form in (pages.page_text(op), pages.page_markdown(op)):
        assert e.summary.split()[-1] in form
        assert all(f.name in form for f in e.fields)
    assert all(len(line) <= 120 for line in pages.page_text(op).splitlines())


@EVERY
def test_the_example_has_the_layers_own_counts(op: type[Op]) -> None:
    e = manual.entry(op)
    net = net_of(manual.example_source(op).text)
    layer = next(f for f in reversed(net.layers) if type(f.op) is op)
    assert (e.example.params, e.example.macs) == (layer.params, layer.macs)
    assert text(layer.outputs[0].shape) in pages.outcome(e.example)


@EVERY
def test_shape_formulas_hold_for_other_sizes(op: type[Op]) -> None:
    """Formulas as they stand on the page, computed by Python, against the rule itself."""
    e = manual.entry(op)
    if e.shape is None:
        return
    _, bound, shapes = manual._run(op)
    many = len(shapes) > 1
    tried = 0
    for step in range(8):
        sizes = [like(shape, tuple(d + step for d in shape)) for shape in shapes]
        try:
            results = bound.bind(sizes).outputs(sizes)
        except ShapeError:
            continue
        tried += 1
        names: dict[str, int] = {}
        for i, shape in enumerate(sizes):
            dimensions = ("channels", "height", "width") if len(shape) == 3 else ("features",)
            for name, size in zip(dimensions, shape, strict=True):
                names[f"{chr(97 + i)}_{name}" if many else name] = size
        for a in attributes(op):
            value = getattr(bound, a.name)
            sides = {2: ("height", "width"), 4: ("top", "bottom", "left", "right")}
            if isinstance(value, tuple) and len(value) in sides:
                for side, v in zip(getattr(a.kind, "sides", sides[len(value)]), value, strict=True):
                    names[f"{a.name}_{ {'height': 'h', 'width': 'w'}.get(side, side) }"] = v
            elif isinstance(value, int):
                names[a.name] = value
        scope = {k: eval(_python(f), dict(names)) for k, f in e.where.items()}
        found = tuple(eval(_python(f), names | scope) for f in e.shape)
        assert found == results[0]
    assert tried


def _python(formula: str) -> str:
    return formula.replace("a.", "a_").replace("b.", "b_").replace("c.", "c_")


def test_what_a_formula_says() -> None:
    conv = manual.entry(OPS["conv"])
    assert conv.shape == ("filters", "out_height", "out_width")
    assert conv.where["out_width"] == (
        "(width + pad_left + pad_right - (dilation_w * (kernel_w - 1) + 1)) // stride_w + 1"
    )
    weight, bias = conv.tensors
    assert weight.shape == ("filters", "channels // groups", "kernel_h", "kernel_w")
    assert (weight.flag, bias.flag) == (None, "bias")
    assert conv.macs is not None
    assert "channels // groups" in conv.macs
    assert manual.entry(OPS["relu"]).keeps_shape
    assert manual.entry(OPS["concat"]).shape == (
        *("a.channels + b.channels", "a.height", "a.width"),
    )
    assert [t.learnable for t in manual.entry(OPS["batchnorm"]).tensors] == [
        *(True, True, False, False),
    ]


def test_a_formula_of_one_choice_of_fields_says_so() -> None:
    assert "Shape of the result with scale\n" in pages.page_text(OPS["upsample"])
    assert "Shape of the result\n" in pages.page_text(OPS["crop"])


def test_a_formula_that_holds_only_by_chance_is_left_out() -> None:
    """Rounding up drops windows at certain sizes, which no formula of numbers says."""
    assert manual.entry(OPS["maxpool"]).shape is None


def test_macs_of_the_page_are_symbolic() -> None:
    for keyword, op in OPS.items():
        macs = manual.entry(op).macs
        if macs is not None:
            assert "*" in macs, keyword
    assert operators(Dim(3, Parameter("x")).expr) == 0
