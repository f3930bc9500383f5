"""What Caffe, PyTorch, Keras and ONNX call things, for people who come from there."""

from __future__ import annotations

from collections.abc import Collection

# Written without capitals, underscores and the 2d behind them.
_OPS: dict[str, str] = {
    "convolution": "conv",
    "convtranspose": "conv_transpose",
    "convolutiontranspose": "conv_transpose",
    "deconvolution": "conv_transpose",
    "deconv": "conv_transpose",
    "innerproduct": "linear",
    "fullyconnected": "linear",
    "fc": "linear",
    "dense": "linear",
    "gemm": "linear",
    "maxpooling": "maxpool",
    "avgpooling": "avgpool",
    "averagepool": "avgpool",
    "averagepooling": "avgpool",
    "globalaveragepool": "global_avgpool",
    "globalaveragepooling": "global_avgpool",
    "gap": "global_avgpool",
    "globalmaxpooling": "global_maxpool",
    "maxunpooling": "maxunpool",
    "batchnormalization": "batchnorm",
    "bn": "batchnorm",
    "layernormalization": "layernorm",
    "localresponsenorm": "lrn",
    "swish": "silu",
    "hswish": "hardswish",
    "lrelu": "leaky_relu",
    "cat": "concat",
    "concatenate": "concat",
    "concatenation": "concat",
    "slice": "split",
    "chunk": "split",
    "sum": "add",
    "multiply": "mul",
    "prod": "mul",
    "subtract": "sub",
    "max": "maximum",
    "interpolate": "upsample",
    "interp": "upsample",
    "resize": "upsample",
    "upsampling": "upsample",
    "upsamplingnearest": "upsample",
    "upsamplingbilinear": "upsample",
    "zeropad": "pad",
    "zeropadding": "pad",
    "cropping": "crop",
    "transpose": "permute",
    "view": "reshape",
    "shufflechannel": "channel_shuffle",
}
_SEVERAL: dict[str, str] = {
    "pooling": "poolings are `maxpool`, `avgpool`, `global_avgpool` and `global_maxpool`",
    "pool": "poolings are `maxpool`, `avgpool`, `global_avgpool` and `global_maxpool`",
    "eltwise": "element by element there are `add`, `sub`, `mul` and `maximum`",
    "depthwiseconv": "write `conv { filters: x.channels  groups: depthwise ... }`",
    "convolutiondepthwise": "write `conv { filters: x.channels  groups: depthwise ... }`",
    "separableconv": "write two: a `conv` with `groups: depthwise`, and one with `kernel: 1x1`",
    "input": "data comes in by a statement: `input data: 3x224x224`",
    "sequential": "layers flow from one to the next by themselves; a part of a net is a `module`",
}
_FIELDS: dict[str, tuple[str, ...]] = {
    "numoutput": ("filters", "units"),
    "numfilters": ("filters",),
    "outchannels": ("filters",),
    "channels": ("filters",),
    "outfeatures": ("units",),
    "neurons": ("units",),
    "kernelsize": ("kernel",),
    "poolsize": ("kernel",),
    "kernelshape": ("kernel",),
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
    "p": ("ratio",),
    "epsilon": ("eps",),
    "negativeslope": ("slope",),
    "localsize": ("size",),
    "scalefactor": ("scale",),
    "outputsize": ("size",),
    "newshape": ("shape",),
    "dims": ("order", "shape"),
}


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").removesuffix("2d")


def op_help(name: str) -> tuple[str, ...]:
    """What an op of another tool is here, as a line of help; nothing if the name is not known."""
    plain = _plain(name)
    if plain in _SEVERAL:
        return (_SEVERAL[plain],)
    return (f"did you mean `{_OPS[plain]}`?",) if plain in _OPS else ()


def field_help(name: str, free: Collection[str]) -> tuple[str, ...]:
    """What a field of another tool is here, among the op's fields that are still free."""
    for here in _FIELDS.get(_plain(name), ()):
        if here in free:
            return (f"did you mean `{here}`?",)
    if name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w"):
        here = name.split("_")[0]
        return (f"write `{here}: 1x3`, height first",) if here in free else ()
    return ()


def known() -> dict[str, tuple[str, ...]]:
    """Every op and field that help leads to, for tests."""
    return {"ops": tuple(_OPS.values()), "fields": tuple(f for fs in _FIELDS.values() for f in fs)}
