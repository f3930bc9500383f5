"""What Caffe, PyTorch, Keras and ONNX call things, for people who come from there.

What they call an op stands at its declaration (`Op.foreign_names`); here is all else.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import meant
from netspec.ops import OPS

# Written without capitals, underscores and the 2d behind them.
_SEVERAL: dict[str, str] = {
    "pooling": "poolings are `maxpool`, `avgpool`, `global_avgpool` and `global_maxpool`",
    "pool": "poolings are `maxpool`, `avgpool`, `global_avgpool` and `global_maxpool`",
    "depthwiseconv": "write `conv { filters: x.channels  groups: depthwise ... }`",
    "convolutiondepthwise": "write `conv { filters: x.channels  groups: depthwise ... }`",
    "separableconv": "write two: a `conv` with `groups: depthwise`, and one with `kernel: 1x1`",
    "softmaxwithloss": "write `softmax`; the loss is the trainer's business",
    "softmaxloss": "write `softmax`; the loss is the trainer's business",
    "crossentropyloss": "write `softmax`; the loss is the trainer's business",
    "accuracy": "it is no layer of the network: leave it out",
    "loss": "it is no layer of the network: leave it out",
    "activation": "activations are ops of their own: `relu`, `sigmoid`, `tanh`, ...",
    "convrelu": "write `conv { ... } -> relu`",
    "convbnrelu": "write `conv { ... } -> batchnorm -> relu`",
    "return": "outputs are declared by `output x`; without it, the last value is the output",
    "print": "nothing is printed here; `netspec table` shows shapes and figures",
    "assert": "what must hold is stated by `expect ...`",
    "pass": "an empty block is written `{ }`",
    "data": "data comes in by a statement: `input data: 3x224x224`",
    "imagedata": "data comes in by a statement: `input data: 3x224x224`",
    "inputlayer": "data comes in by a statement: `input data: 3x224x224`",
    "input": "data comes in by a statement: `input data: 3x224x224`",
    "reduction": "reductions are `mean` and `sum`: `mean { across: channels }`, `across: spatial`",
    "depthtospace": "write `pixel_shuffle { factor: 2 }`: channels in the order of `mode: CRD`",
    "spacetodepth": "`pixel_unshuffle { factor: 2 }` does so, with the channels in another order: "
    "those that come of one channel lie side by side",
    **dict.fromkeys(
        ("squeeze", "unsqueeze", "expanddims"),
        "a value is a map of channels x height x width or a plain vector: `flatten` makes a "
        "vector, `reshape { shape: [-1, 1, 1] }` a map of one",
    ),
    **dict.fromkeys(
        ("selayer", "seblock", "se", "squeezeexcite", "squeezeexcitation", "squeezeandexcitation"),
        "write `import squeeze_excitation` at the top of the file: it is a module that comes along",
    ),
    **dict.fromkeys(
        ("residual", "shortcut", "skipconnection", "merge"), "two values are joined by `add(a, b)`"
    ),
    "glu": "write `half: split { parts: 2 }` and `mul(half.part1, sigmoid(half.part2))`",
    "sequential": "layers flow from one to the next by themselves; a part of a net is a `module`",
}
_MISSING: dict[str, str] = {
    **dict.fromkeys(
        (
            *("attention", "selfattention", "multiheadattention", "mha", "transformer"),
            *("transformerencoder", "transformerencoderlayer", "scaleddotproductattention"),
            *("embedding", "tokens", "patchembed", "clstoken", "lstm", "gru", "rnn"),
        ),
        "attention, tokens and recurrence are outside of the language: a value is one vector, or "
        "one map of channels x height x width",
    ),
    **dict.fromkeys(
        ("matmul", "bmm", "einsum", "dot", "mm"),
        "`conv` and `linear` multiply by learned weights and `mul` element by element; the matrix "
        "product of two values is outside of the language",
    ),
    **dict.fromkeys(("gridsample", "fold", "unfold", "cumsum", "topk", "nms"), ""),
    **dict.fromkeys(
        ("rmsnorm", "weightnorm", "spectralnorm"),
        "normalizations are `batchnorm`, `groupnorm`, `instancenorm`, `layernorm`, `lrn` and "
        "`normalize`",
    ),
    **dict.fromkeys(
        (
            *("conv1d", "convtranspose1d", "maxpool1d", "avgpool1d", "batchnorm1d", "upsample1d"),
            *("adaptiveavgpool1d", "adaptivemaxpool1d", "globalavgpool1d", "globalmaxpool1d"),
        ),
        "a signal is a map of height 1, `input x: 1x1x16000`, and `kernel: 1x3` goes along it "
        "(docs/signals.md)",
    ),
    **dict.fromkeys(
        ("conv3d", "convtranspose3d", "maxpool3d", "avgpool3d", "batchnorm3d"),
        "volumes and video are outside of the language: a value is channels x height x width",
    ),
    **dict.fromkeys(("roialign", "psroipooling"), "`roi_pool(x, regions)` pools regions"),
    **dict.fromkeys(("deformconv", "deformableconv"), ""),
    **dict.fromkeys(
        ("reducemax", "reducemin", "amax", "amin"),
        "over height and width there is `global_maxpool`, and of several values `maximum(a, b)`",
    ),
}
"""What no op does, and what comes near to it."""
_FIELDS: dict[str, tuple[str, ...]] = {
    "numoutput": ("filters", "units"),
    "numfilters": ("filters", "units"),
    "filters": ("units",),
    "units": ("filters",),
    "outchannels": ("filters", "units"),
    "channels": ("filters", "units"),
    "outfeatures": ("units", "filters"),
    "neurons": ("units",),
    "kernelsize": ("kernel",),
    "poolsize": ("kernel",),
    "kernelshape": ("kernel",),
    "size": ("kernel", "units"),
    "strides": ("stride",),
    "padding": ("pad", "pads"),
    "pads": ("pad",),
    "pad": ("pads",),
    "outputpadding": ("output_pad",),
    "dilations": ("dilation",),
    "dilationrate": ("dilation",),
    "group": ("groups",),
    "biasterm": ("bias",),
    "usebias": ("bias",),
    "ceilmode": ("round",),
    "roundmode": ("round",),
    "dropoutratio": ("ratio",),
    "rate": ("ratio",),
    **dict.fromkeys(("p", "prob", "dropprob"), ("ratio",)),
    "spatialscale": ("scale",),
    **dict.fromkeys(("pooledh", "pooledw", "pooledshape"), ("size",)),
    "epsilon": ("eps",),
    "negativeslope": ("slope",),
    "localsize": ("size",),
    "scalefactor": ("scale", "factor"),
    "outputsize": ("size",),
    "newshape": ("shape",),
    "dims": ("order", "shape", "across"),
    **dict.fromkeys(("dim", "axis", "axes"), ("across",)),
    "sizes": ("size",),
    "splits": ("parts",),
    "chunks": ("parts",),
    "sections": ("parts",),
    "perm": ("order",),
    "negslope": ("slope",),
    "scale": ("factor",),
    **dict.fromkeys(("upscalefactor", "downscalefactor", "blocksize"), ("factor",)),
    "numgroups": ("groups",),
    "minval": ("min",),
    "maxval": ("max",),
    "lambd": ("threshold",),
    "weightfiller": ("init",),
    "weightinit": ("init",),
    "initializer": ("init",),
    "kernelinitializer": ("init",),
    "filler": ("init",),
    **dict.fromkeys(("biasfiller", "biasinitializer"), ("bias_init",)),
    **dict.fromkeys(("learningrate", "lr", "blobslr"), ("lr_mult",)),
    "weightdecay": ("decay_mult",),
    "trainable": ("frozen",),
}
# Fields that the language has no like of.
_LEAVE_OUT = "leave it out"
_LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        ("inchannels", "infeatures", "numfeatures", "inputchannels", "numchannels"),
        f"{_LEAVE_OUT}: the input knows its channels",
    ),
    **dict.fromkeys(("inputshape", "inputdim"), "the shape stands at the input: `input x: 3x8x8`"),
    **dict.fromkeys(("axis", "dim", "axes"), f"{_LEAVE_OUT}: it is the channels here"),
    **dict.fromkeys(("bottom", "inputs", "x"), "inputs go into round brackets: `op(a, b)`"),
    **dict.fromkeys(("top", "name", "output"), "a name stands in front: `name: op { ... }`"),
    **dict.fromkeys(
        ("param", "kernelregularizer"),
        f"{_LEAVE_OUT}: how a net is trained is stated in its `train {{ ... }}`",
    ),
    **dict.fromkeys(
        ("inplace", "dataformat", "device", "dtype", "engine", "type"), f"{_LEAVE_OUT}"
    ),
    "returnindices": f"{_LEAVE_OUT}: the indices of `p: maxpool {{ ... }}` are `p.indices`",
    "trackrunningstats": f"{_LEAVE_OUT}: `batchnorm` keeps statistics, other norms keep none",
    **dict.fromkeys(("keepdim", "keepdims"), f"{_LEAVE_OUT}: channels, height and width stay"),
    "transb": _LEAVE_OUT,
    "transa": _LEAVE_OUT,
}
# What a value of a field of another tool is here, a field with its value.
_VALUES: dict[tuple[str, str], tuple[str, str]] = {
    ("ceilmode", "true"): ("round", "ceil"),
    ("ceilmode", "false"): ("round", "floor"),
    ("roundmode", "ceil"): ("round", "ceil"),
    ("roundmode", "floor"): ("round", "floor"),
    ("round", "true"): ("round", "ceil"),
    ("round", "false"): ("round", "floor"),
    ("pad", "valid"): ("pad", "0"),
    ("padding", "valid"): ("pad", "0"),
    ("padding", "same"): ("pad", "same"),
    ("pad", "none"): ("pad", "0"),
    ("pad", "sameupper"): ("pad", "same"),
    ("autopad", "sameupper"): ("pad", "same"),
    ("autopad", "valid"): ("pad", "0"),
    ("autopad", "notset"): ("pad", "0"),
    ("groups", "none"): ("groups", "1"),
    ("init", "msra"): ("init", "kaiming"),
    ("init", "henormal"): ("init", "kaiming"),
    ("init", "heuniform"): ("init", "kaiming"),
    ("init", "glorotnormal"): ("init", "xavier"),
    ("init", "glorotuniform"): ("init", "xavier"),
    ("mode", "linear"): ("mode", "bilinear"),
    ("mode", "cubic"): ("mode", "bicubic"),
    **{(dim, "1"): ("across", "channels") for dim in ("dim", "axis", "axes")},
    **{(dim, "[2, 3]"): ("across", "spatial") for dim in ("dim", "axis", "axes")},
}


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").removesuffix("2d")


STATEMENTS = {"return", "print", "assert", "pass", "def", "class"}
"""Words that begin a statement in other languages; what stands behind them is no layer."""


@cache
def _ops() -> dict[str, str]:
    """The keyword of each op by the names that other tools have for it."""
    return {_plain(name): op.keyword for op in OPS.values() for name in op.foreign_names}


def op_help(name: str) -> tuple[str, ...]:
    """What an op of another tool is here, as a line of help; nothing if the name is not known."""
    plain = _plain(name)
    if plain in _SEVERAL:
        return (_SEVERAL[plain],)
    if plain in _MISSING:
        near = _MISSING[plain]
        listed = "`netspec ops` lists all ops"
        return (f"there is no such op; {near + '; ' if near else ''}{listed}",)
    if plain == "eltwise":
        *most, last = (f"`{o.keyword}`" for o in OPS.values() if o.elementwise and not o.arity[1])
        return (f"element by element there are {', '.join(most)} and {last}",)
    op = _ops().get(plain)
    return (meant(name, op),) if op else ()


def field_help(
    name: str, free: Collection[str], value: str = "", field: Span | None = None
) -> tuple[str, ...]:
    """What a field of another tool is here, among the op's fields that are still free.

    `value` is the text of its value, `field` the place of both.
    """
    plain = _plain(name)
    for here in _FIELDS.get(plain, ()):
        if here in free:
            return value_help(name, value, field) or (meant(name, here),)
    if plain == "autopad" and "pad" in free:
        return value_help(name, value, field)
    if plain == "activation":
        word = op_like(_bare(value))
        known = word in OPS and OPS[word].family is OPS["relu"].family
        return (f"put `-> {word if known else 'relu'}` behind the layer",)
    if plain in _LEFT_OUT:
        help_ = _LEFT_OUT[plain]
        if field is not None and help_.startswith(_LEAVE_OUT):
            return (Fix(help_, Edit(field, "")),)
        return (help_,)
    if plain in ("start", "starts", "end", "ends", "begin", "step", "steps") and "rows" in free:
        return ("a part of a dimension is `channels: [0, 16]`, `rows: [1, 9]` or `columns: [...]`",)
    if name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w"):
        here = name.split("_")[0]
        return (f"write `{here}: 1x3`, height first",) if here in free else ()
    return ()


def value_help(name: str, value: str, field: Span | None = None) -> tuple[str, ...]:
    """What a word of another tool is here, as the value of a field; nothing if it is not known.

    `field` is the place of the field with its value.
    """
    found = _VALUES.get((_plain(name), _bare(value)))
    if found is None:
        return ()
    written = f"{found[0]}: {found[1]}"
    return (Fix(f"write `{written}`", *([Edit(field, written)] if field else [])),)


def _bare(value: str) -> str:
    return value.strip("\"'").lower().replace("_", "")


def field_near(name: str, free: Collection[str]) -> tuple[str, ...]:
    """For a misspelt field of another tool: what it is here."""
    from difflib import get_close_matches  # as diagnostics/suggest.py

    near = get_close_matches(_plain(name), _FIELDS, 1, 0.8)
    return field_help(near[0], free) if near else ()


def op_like(name: str) -> str:
    """The op that this name of another tool stands for; the bare name where it is not known."""
    plain = _plain(name)
    return _ops().get(plain, plain)


def values() -> list[tuple[str, str, str]]:
    """Every field and value of another tool, and what to write here, for tests."""
    return [(f, v, ": ".join(here)) for (f, v), here in _VALUES.items()]


def field_names() -> set[str]:
    """Every field that help leads to, for tests."""
    return {field for fields in _FIELDS.values() for field in fields}
