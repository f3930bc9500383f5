"""The ops of the language, each declared once.

In:  nothing but numbers: shapes of inputs and values of attributes.
Out: op classes: attributes with their types and documentation, rules for shapes, tensors,
     multiplications and receptive fields, traits, names in other tools.

base             what an op is; `Op`, `attr`, `op`, `ShapeError`
registry         ops by keyword: netspec's own, and those of installed packages
attribute_types  types of attributes: which constants of the language they take
initializers     distributions that weights are drawn from
reads            which places of its input a place of a result depends on
window           what convolutions and poolings share
Every other file is a family of ops.
"""

from netspec.ops.base import (
    REQUIRED,
    Attr,
    Elementwise,
    Family,
    IndexShape,
    KeepsShape,
    Learned,
    LearnedWithBias,
    Op,
    Saved,
    Shape,
    ShapeError,
    Tensor,
    Weighted,
    attr,
    attributes,
    like,
    op,
    spatial,
    text,
)
from netspec.ops.initializers import KAIMING, UNIFORM, Init, Initial, bilinear_row
from netspec.ops.reads import Covering, Range, ReceptiveField, Window
from netspec.ops.registry import (
    FAMILIES,
    OPS,
    PluginError,
    all_ops,
    find_op,
    load_entry,
    load_problems,
    op_names,
)
from netspec.ops.window import Windowed

__all__ = [
    "FAMILIES",
    "KAIMING",
    "OPS",
    "REQUIRED",
    "UNIFORM",
    "Attr",
    "Covering",
    "Elementwise",
    "Family",
    "IndexShape",
    "Init",
    "Initial",
    "KeepsShape",
    "Learned",
    "LearnedWithBias",
    "Op",
    "PluginError",
    "Range",
    "ReceptiveField",
    "Saved",
    "Shape",
    "ShapeError",
    "Tensor",
    "Weighted",
    "Window",
    "Windowed",
    "all_ops",
    "attr",
    "attributes",
    "bilinear_row",
    "find_op",
    "like",
    "load_entry",
    "load_problems",
    "op",
    "op_names",
    "spatial",
    "text",
]
