"""Each layer type as the lines that it becomes, and what Caffe would refuse."""

from __future__ import annotations

import pytest

from netspec.importers.caffe.layers import REASONS, RULES, only_measures
from netspec.importers.caffe.layers.pooling import POOLS_REGIONS
from netspec.importers.caffe.schema import V1_TYPES

from .helpers import after, body_of, checked, codes, messages, net_of, shapes

CONV = "convolution_param"
POOL = "pooling_param"

# Input, layers, and the statements that they become.
LINES: dict[str, tuple[str, list[str], list[str]]] = {
    "conv": (
        "3x8x9",
        [f"Convolution {CONV} {{ num_output: 4 kernel_size: 3 }}"],
        ["l1: conv { filters: 4 kernel: 3x3 }"],
    ),
    "conv_all": (
        "4x18x19",
        [
            f"Convolution {CONV} {{ num_output: 6 kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 1 "
            "pad_h: 0 pad_w: 2 dilation: 2 dilation: 1 group: 2 bias_term: false engine: CUDNN }"
        ],
        [
            "l1: conv { filters: 6 kernel: 3x5 stride: 2x1 pad: 0x2 dilation: 2x1 groups: 2 bias: false }"
        ],
    ),
    "conv_pairs": (
        "3x18x19",
        [f"Convolution {CONV} {{ num_output: 6 kernel_size: 3 kernel_size: 1 stride: 2 hole: 2 }}"],
        ["l1: conv { filters: 6 kernel: 3x1 stride: 2 dilation: 2 }"],
    ),
    "depthwise": (
        "4x8x8",
        [f"ConvolutionDepthwise {CONV} {{ num_output: 4 kernel_size: 3 }}"],
        ["l1: conv { filters: 4 kernel: 3x3 groups: depthwise }"],
    ),
    "deconv": (
        "4x8x8",
        [f"Deconvolution {CONV} {{ num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 4 }}"],
        ["l1: conv_transpose { filters: 4 kernel: 4x4 stride: 2 pad: 1 groups: depthwise }"],
    ),
    "max": (
        "3x8x8",
        [f"Pooling {POOL} {{ kernel_size: 3 stride: 2 }}"],
        ["l1: maxpool { kernel: 3x3 stride: 2 round: ceil }"],
    ),
    "max_one": (
        "3x8x8",
        [f"Pooling {POOL} {{ pool: MAX kernel_size: 3 }}"],
        ["l1: maxpool { kernel: 3x3 stride: 1 }"],
    ),
    "max_down": (
        "3x8x8",
        [f"Pooling {POOL} {{ kernel_size: 3 stride: 2 round_mode: FLOOR }}"],
        ["l1: maxpool { kernel: 3x3 stride: 2 round: floor }"],
    ),
    "average": (
        "3x8x8",
        [f"Pooling {POOL} {{ pool: AVE kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 }}"],
        ["l1: avgpool { kernel: 3x2 stride: 2 pad: 1 round: ceil count_include_pad: true }"],
    ),
    "exceeding": (
        # One window of 7 every 7 on 6: Caffe cuts it off at the end.
        "3x6x6",
        [f"Pooling {POOL} {{ pool: AVE kernel_size: 7 stride: 7 }}"],
        ["l1: avgpool { kernel: 6x6 stride: 7 round: ceil }"],
    ),
    "whole": (
        "3x8x8",
        [f"Pooling {POOL} {{ pool: AVE global_pooling: true }}"],
        ["l1: global_avgpool"],
    ),
    "whole_max": (
        "3x8x8",
        [f"Pooling {POOL} {{ pool: MAX global_pooling: true }}"],
        ["l1: global_maxpool"],
    ),
    "whole_map": (
        "3x8x8",
        [
            f"Pooling {POOL} {{ pool: AVE global_pooling: true }}",
            f"Convolution {CONV} {{ num_output: 4 kernel_size: 1 }}",
        ],
        ["l1: adaptive_avgpool { size: 1x1 }", "l2: conv { filters: 4 kernel: 1x1 }"],
    ),
    "inner_product": (
        "3x8x8",
        ["InnerProduct inner_product_param { num_output: 4 bias_term: false }"],
        ["flatten", "l1: linear { units: 4 bias: false }"],
    ),
    "inner_product_vector": (
        "3x8x8",
        [
            f"Pooling {POOL} {{ pool: AVE global_pooling: true }}",
            "InnerProduct inner_product_param { num_output: 4 axis: -3 transpose: true }",
        ],
        ["l1: global_avgpool", "l2: linear { units: 4 }"],
    ),
    "relu": ("3x8x8", ["ReLU"], ["l1: relu"]),
    "leaky": (
        "3x8x8",
        ["ReLU relu_param { negative_slope: 0.1 }"],
        ["l1: leaky_relu { slope: 0.1 }"],
    ),
    "prelu": (
        "3x8x8",
        ["PReLU", "PReLU prelu_param { channel_shared: true }"],
        ["l1: prelu -> prelu { shared: true }"],
    ),
    "elu": ("3x8x8", ["ELU elu_param { alpha: 0.5 }"], ["l1: elu { alpha: 0.5 }"]),
    "functions": ("3x8x8", ["Sigmoid"], ["l1: sigmoid"]),
    "tanh": ("3x8x8", ["TanH"], ["l1: tanh"]),
    "abs": ("3x8x8", ["AbsVal"], ["l1: abs"]),
    "bnll": ("3x8x8", ["BNLL"], ["l1: softplus"]),
    "power": (
        "3x8x8",
        ["Power power_param { power: 2 scale: 0.5 shift: -1 }"],
        ["l1: power { exponent: 2 scale: 0.5 shift: -1 }"],
    ),
    "power_nothing": ("3x8x8", ["Power", "ReLU"], ["l2: relu"]),
    "exp": ("3x8x8", ["Exp exp_param { base: 2 shift: 1 }"], ["l1: exp { base: 2 shift: 1 }"]),
    "log": ("3x8x8", ["Log log_param { scale: 3 }"], ["l1: log { scale: 3 }"]),
    "batchnorm": (
        "3x8x8",
        ["BatchNorm batch_norm_param { eps: 1e-3 use_global_stats: true }"],
        ["l1: batchnorm { eps: 0.001 affine: false }"],
    ),
    "batchnorm_scale": (
        "3x8x8",
        ["BatchNorm", "Scale scale_param { bias_term: true }"],
        ["l1: batchnorm"],
    ),
    "batchnorm_factor": (
        "3x8x8",
        ["BatchNorm batch_norm_param { moving_average_fraction: 0.9 }", "Scale"],
        ["l1: batchnorm { affine: false } -> scale { bias: false }"],
    ),
    "bn_segnet": ("3x8x8", ["BN bn_param { bn_mode: INFERENCE }"], ["l1: scale"]),
    "bn_pspnet": (
        "3x8x8",
        ["BN bn_param { frozen: true momentum: 0.95 }"],
        ["l1: batchnorm { momentum: 0.05 }"],
    ),
    "scale": ("3x8x8", ["Scale scale_param { bias_term: true }"], ["l1: scale"]),
    "bias": ("3x8x8", ["Bias"], ["l1: shift"]),
    "gate": (
        "3x8x8",
        [
            f"Pooling {POOL} {{ pool: AVE global_pooling: true }}",
            "InnerProduct inner_product_param { num_output: 3 }",
            'Scale bottom: "data" bottom: "l2" scale_param { axis: 0 }',
        ],
        [
            "l1: global_avgpool",
            "l2: linear { units: 3 }",
            "l3_reshape: reshape { shape: [3, 1, 1] }",
            "l3: mul(data, l3_reshape)",
        ],
    ),
    "lrn": (
        "8x8x8",
        ["LRN lrn_param { local_size: 3 alpha: 2e-5 beta: 0.5 k: 2 }"],
        ["l1: lrn { size: 3 alpha: 2e-5 beta: 0.5 k: 2 }"],
    ),
    "lrn_within": (
        "8x8x8",
        ["LRN lrn_param { local_size: 3 alpha: 5e-5 norm_region: WITHIN_CHANNEL }"],
        [
            "l1_power: power { exponent: 2 }"
            " -> avgpool { kernel: 3x3 stride: 1 pad: 1 count_include_pad: true }"
            " -> power { exponent: -0.75 scale: 5e-5 shift: 1 }",
            "l1: mul(data, l1_power)",
        ],
    ),
    "dropout": ("3x8x8", ["Dropout"], ["l1: dropout { ratio: 50% }"]),
    "concat": (
        "3x8x8",
        ["ReLU", 'Concat bottom: "data" bottom: "l1"'],
        ["l1: relu", "l2: concat(data, l1)"],
    ),
    "concat_rows": (
        "3x8x8",
        ["ReLU", 'Concat bottom: "data" bottom: "l1" concat_param { axis: -2 }'],
        [
            "l1: relu",
            "l2_permute: permute(data) { order: [1, 0, 2] }",
            "l2_permute_2: permute(l1) { order: [1, 0, 2] }",
            "l2: concat(l2_permute, l2_permute_2) -> permute { order: [1, 0, 2] }",
        ],
    ),
    "slice": (
        "6x8x8",
        ['Slice top: "a" top: "b" top: "c" slice_param { slice_point: 1 slice_point: 3 }'],
        ["l1: split { parts: [1, 2, 3] }", "output l1, l1.part2, l1.part3"],
    ),
    "slice_equal": (
        "6x8x8",
        ['Slice top: "a" top: "b"'],
        ["l1: split { parts: 2 }", "output l1, l1.part2"],
    ),
    "slice_rows": (
        "6x8x8",
        ['Slice top: "a" top: "b" slice_param { axis: 2 slice_point: 3 }'],
        [
            "l1: crop { size: 3x8 }",
            "l1_2: crop(data) { size: 5x8 offset: 3x0 }",
            "output l1, l1_2",
        ],
    ),
    "split": (
        "6x8x8",
        ['Split top: "a" top: "b"', 'Eltwise bottom: "a" bottom: "b"'],
        ["l2: add(data, data)"],
    ),
    "eltwise": ("3x8x8", ['Eltwise bottom: "data" bottom: "data"'], ["l1: add(data, data)"]),
    "eltwise_product": (
        "3x8x8",
        ['Eltwise bottom: "data" bottom: "data" eltwise_param { operation: 0 }'],
        ["l1: mul(data, data)"],
    ),
    "eltwise_max": (
        "3x8x8",
        ['Eltwise bottom: "data" bottom: "data" eltwise_param { operation: MAX }'],
        ["l1: maximum(data, data)"],
    ),
    "eltwise_minus": (
        "3x8x8",
        ['Eltwise bottom: "data" bottom: "data" eltwise_param { coeff: 1 coeff: -1 }'],
        ["l1: sub(data, data)"],
    ),
    "eltwise_weights": (
        "3x8x8",
        ["ReLU", 'Eltwise bottom: "data" bottom: "l1" eltwise_param { coeff: 1 coeff: 0.5 }'],
        ["l1: relu", "l2_power: power { scale: 0.5 }", "l2: add(data, l2_power)"],
    ),
    "flatten": ("3x8x8", ["Flatten"], ["l1: flatten"]),
    "flatten_part": (
        "3x8x8",
        ["Flatten flatten_param { axis: 2 }"],
        ["l1: reshape { shape: [3, 64, 1] }"],
    ),
    "reshape": (
        "4x8x8",
        ["Reshape reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 8 } }"],
        ["l1: reshape { shape: [2, 16, 8] }"],
    ),
    "reshape_batch": (
        "4x8x8",
        ["Reshape reshape_param { shape { dim: -1 dim: 256 } }"],
        ["l1: flatten"],
    ),
    "reshape_axis": (
        "4x8x8",
        ["Reshape reshape_param { axis: 2 num_axes: 2 shape { dim: 64 dim: 1 } }"],
        ["l1: reshape { shape: [4, 64, 1] }"],
    ),
    "permute": (
        "4x8x9",
        ["Permute permute_param { order: 0 order: 2 order: 3 order: 1 }"],
        ["l1: permute { order: [1, 2, 0] }"],
    ),
    "transpose": (
        "4x8x9",
        ["Transpose transpose_param { dim: 0 dim: 2 dim: 3 dim: 1 }"],
        ["l1: permute { order: [1, 2, 0] }"],
    ),
    "pyramid": (
        "4x8x7",
        ["SPP spp_param { pyramid_height: 2 pool: MAX }"],
        [
            "l1_maxpool: maxpool { kernel: 8x7 } -> flatten",
            "l1_maxpool_2: maxpool(data) { kernel: 4x4 stride: 4 pad: 0x1 round: ceil } -> flatten",
            "l1: concat(l1_maxpool, l1_maxpool_2)",
        ],
    ),
    "softmax": ("4x8x9", ["Softmax"], ["l1: softmax"]),
    "softmax_rows": (
        "4x8x9",
        ["Softmax softmax_param { axis: 2 }"],
        ["l1: permute { order: [1, 0, 2] } -> softmax -> permute { order: [1, 0, 2] }"],
    ),
    "argmax": ("4x8x9", ["ArgMax argmax_param { axis: 1 }"], ["l1: argmax"]),
    "argmax_all": (
        "4x8x9",
        ["ArgMax"],
        ["flatten", "l1: argmax -> reshape { shape: [1, 1, 1] }"],
    ),
    "crop": (
        "4x9x9",
        [
            f"Convolution {CONV} {{ num_output: 4 kernel_size: 3 }}",
            'Crop bottom: "data" bottom: "l1" crop_param { axis: 2 offset: 2 offset: 1 }',
        ],
        # The first layer only lends its size, so that it is left out.
        ["l2: crop { size: 7x7 offset: 2x1 }"],
    ),
    "crop_to": (
        "4x9x9",
        [
            f"Deconvolution {CONV} {{ num_output: 4 kernel_size: 3 }}",
            'Crop bottom: "l1" bottom: "data" crop_param { axis: 2 offset: 1 }',
        ],
        [
            "l1: conv_transpose { filters: 4 kernel: 3x3 }",
            "l2: crop { size: data.shape offset: 1 }",
        ],
    ),
    "interp_to": (
        "4x9x5",
        [
            f"Convolution {CONV} {{ num_output: 4 kernel_size: 3 }}",
            "ReLU",
            f"Pooling {POOL} {{ kernel_size: 2 stride: 2 }}",
            'Interp bottom: "l3" bottom: "l1"',
            'Eltwise bottom: "l4" bottom: "l2"',
        ],
        # Of a value inside a chain, the size is that of the chain's value.
        [
            "l1: conv { filters: 4 kernel: 3x3 } -> relu",
            "l3: maxpool { kernel: 2x2 stride: 2 round: ceil }",
            "l4: upsample { size: l1.shape mode: bilinear align_corners: true }",
            "l5: add(l4, l1)",
        ],
    ),
    "interp": (
        "4x9x5",
        ["Interp interp_param { zoom_factor: 3 pad_beg: 0 pad_end: -1 }"],
        ["l1: crop { size: 8x4 } -> upsample { size: 22x10 mode: bilinear align_corners: true }"],
    ),
    "interp_sized": (
        "4x9x5",
        ["Interp interp_param { height: 30 width: 20 }"],
        ["l1: upsample { size: 30x20 mode: bilinear align_corners: true }"],
    ),
    "unpool": (
        "4x9x8",
        [
            f'Pooling top: "l1" top: "mask" {POOL} {{ kernel_size: 2 stride: 2 }}',
            'Upsample bottom: "l1" bottom: "mask" upsample_param { upsample_h: 9 upsample_w: 8 }',
        ],
        [
            "l1: maxpool { kernel: 2x2 stride: 2 round: ceil }",
            "l2: maxunpool(l1, l1.indices)",
        ],
    ),
    "upsample": (
        "4x9x8",
        ["Upsample upsample_param { scale: 3 }"],
        ["l1: upsample { scale: 3 mode: nearest }"],
    ),
    "mean": (
        "4x9x8",
        ["Reduction reduction_param { operation: MEAN axis: 2 }"],
        ["l1: global_avgpool"],
    ),
    "sum_of_squares": (
        "4x3x2",
        ["Reduction reduction_param { operation: SUMSQ axis: 1 coeff: 0.5 }"],
        [
            "l1: power { exponent: 2 } -> reshape { shape: [1, 24, 1] } -> global_avgpool"
            " -> power { scale: 12 }"
        ],
    ),
    "tile": ("4x3x2", ["Tile tile_param { tiles: 3 }"], ["l1: concat(data, data, data)"]),
    "tile_rows": (
        "4x1x2",
        ["Tile tile_param { axis: 2 tiles: 3 }"],
        ["l1: upsample { size: 3x2 mode: nearest }"],
    ),
    "axpy": (
        "4x3x2",
        [
            f"Pooling {POOL} {{ pool: AVE global_pooling: true }}",
            "Sigmoid",
            'Axpy bottom: "l2" bottom: "data" bottom: "data"',
        ],
        [
            "l1: adaptive_avgpool { size: 1x1 } -> sigmoid",
            "l3_mul: mul(data, l1)",
            "l3: add(l3_mul, data)",
        ],
    ),
    "shuffle": (
        "4x3x2",
        ["ShuffleChannel shuffle_channel_param { group: 2 }"],
        ["l1: channel_shuffle { groups: 2 }"],
    ),
    "resize_bilinear": (
        "2x3x4",
        [
            "ResizeBilinear resize_bilinear_param { align_corners: true output_height: 5 output_width: 7 }"
        ],
        ["l1: upsample { size: 5x7 mode: bilinear align_corners: true }"],
    ),
    "resize_nearest": (
        "2x3x4",
        [
            "ResizeNearestNeighbor resize_nearest_neighbor_param { output_height: 5 output_width: 8 }"
        ],
        ["l1: upsample { size: 5x8 mode: nearest }"],
    ),
    "mean_without_padding": (
        "2x8x8",
        [
            f"Pooling {POOL} {{ pool: AVE_EXC_PAD kernel_size: 3 stride: 2 pad: 1 ceil_mode: false }}"
        ],
        ["l1: avgpool { kernel: 3x3 stride: 2 pad: 1 round: floor count_include_pad: false }"],
    ),
    "pads_of_sides": (
        "3x8x8",
        [
            f"Convolution {CONV} {{ num_output: 2 kernel_size: 3 stride: 2 pad_b: 1 pad_r: 1 }}",
            f"Pooling {POOL} {{ kernel_size: 3 stride: 2 pad_t: 1 pad_b: 1 pad_l: 0 pad_r: 1 }}",
        ],
        [
            "l1: conv { filters: 2 kernel: 3x3 stride: 2 pad: [0, 1, 0, 1] }",
            "l2: maxpool { kernel: 3x3 stride: 2 pad: [1, 1, 0, 1] round: ceil }",
        ],
    ),
    "eltwise_one": (
        "4x3x2",
        ["Eltwise eltwise_param { coeff: 0.25 }"],
        ["l1: power { scale: 0.25 }"],
    ),
    "reverse": ("4x3x2", ["Reverse reverse_param { axis: -1 }"], ["l1: flip { axis: width }"]),
    "reorg": (
        "8x6x2",
        ["Reorg reorg_param { stride: 2 }"],
        [
            "l1: reshape { shape: [2, 12, 4] } -> pixel_unshuffle { factor: 2 }",
            "-> channel_shuffle { groups: 2 } -> reshape { shape: [32, 3, 1] }",
        ],
    ),
    "reorg_back": (
        "8x3x2",
        ["Reorg reorg_param { stride: 2 reverse: true }"],
        ["l1: channel_shuffle { groups: 4 } -> pixel_shuffle { factor: 2 }"],
    ),
    "dense_block": (
        "4x3x2",
        [
            "DenseBlock denseblock_param { numTransition: 1 growthRate: 3 use_dropout: true "
            "dropout_amount: 0.2 }"
        ],
        [
            "l1_1_norm: batchnorm -> relu",
            "l1_1_conv: conv { filters: 3 kernel: 3x3 pad: 1 bias: false }",
            "-> dropout { ratio: 20% }",
            "l1_1_concat: concat(data, l1_1_conv)",
        ],
    ),
    "normalize": (
        "4x3x2",
        ["Normalize norm_param { across_spatial: false channel_shared: false }"],
        ["l1: normalize -> scale { bias: false }"],
    ),
    "normalize_all": (
        "4x3x2",
        ["Normalize norm_param { channel_shared: false }"],
        ["l1: normalize { across: all } -> scale { bias: false }"],
    ),
    "normalize_shared": (
        "4x3x2",
        ["Normalize norm_param { across_spatial: false }"],
        [
            "l1: normalize -> reshape { shape: [1, 24, 1] } -> scale { bias: false }",
            "-> reshape { shape: [4, 3, 2] }",
        ],
    ),
    "mvn": (
        "4x3x2",
        ["MVN"],
        [
            "l1_adaptive_avgpool: adaptive_avgpool { size: 1x1 }",
            "l1_sub: sub(data, l1_adaptive_avgpool)",
            "l1_power: power { exponent: 2 } -> adaptive_avgpool { size: 1x1 }",
            "-> power { exponent: 0.5 } -> power { exponent: -1 shift: 1e-9 }",
            "l1: mul(l1_sub, l1_power)",
        ],
    ),
    "mvn_mean": (
        "4x3x2",
        ["MVN mvn_param { normalize_variance: false }"],
        [
            "l1_adaptive_avgpool: adaptive_avgpool { size: 1x1 }",
            "l1: sub(data, l1_adaptive_avgpool)",
        ],
    ),
    "threshold": (
        "1x3x2",
        ["Threshold threshold_param { threshold: 0.5 }"],
        [
            "l1_power: power { shift: -0.5 }",
            "l1_power_2: power(data) { scale: 0 }",
            "l1: concat(l1_power_2, l1_power) -> argmax",
        ],
    ),
    "scale_one": (
        "4x3x2",
        ["Scale scale_param { axis: 0 num_axes: 0 }"],
        [
            "l1: reshape { shape: [1, 24, 1] } -> scale { bias: false }",
            "-> reshape { shape: [4, 3, 2] }",
        ],
    ),
    "rows": (
        "4x3x2",
        ["InnerProduct inner_product_param { num_output: 5 axis: 3 }"],
        [
            "l1: reshape { shape: [12, 2, 1] } -> permute { order: [1, 0, 2] }",
            "-> conv { filters: 5 kernel: 1x1 } -> permute { order: [1, 0, 2] }",
            "-> reshape { shape: [4, 3, 5] }",
        ],
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_layer_becomes(case: str) -> None:
    dims, layers, wanted = LINES[case]
    assert " ".join(body_of(after(dims, *layers))) == " ".join(wanted)


# What has no counterpart, with the line and a word of the reason.
UNSUPPORTED: dict[str, tuple[str, list[str], str]] = {
    "stochastic": ("3x8x8", [f"Pooling {POOL} {{ pool: STOCHASTIC kernel_size: 2 }}"], "random"),
    "empty_window": (
        # ceil((56 - 1) / 2) + 1 windows: the last begins at 56.
        "3x56x56",
        [f"Pooling {POOL} {{ kernel_size: 1 stride: 2 }}"],
        "begins behind the input",
    ),
    "several": (
        "3x8x8",
        [f'Convolution bottom: "data" bottom: "data" {CONV} {{ num_output: 1 kernel_size: 1 }}'],
        "shares its weights",
    ),
    "batch": ("3x8x8", ["Concat concat_param { axis: 0 }"], "batch"),
    "reduction": ("3x8x8", ["Reduction"], "batch"),
    "python": ("3x8x8", ['Python python_param { module: "m" layer: "L" }'], "program of its own"),
    "lstm": ("3x8x8", ["LSTM recurrent_param { num_output: 3 }"], "recurrent"),
    "top_k": ("3x8x8", ["ArgMax argmax_param { top_k: 5 }"], "several places"),
    "scale_batch": ("3x8x8", ["Scale scale_param { axis: 0 }"], "batch"),
    "three_d": (
        "3x8x8",
        [
            f"Convolution {CONV} {{ num_output: 1 kernel_size: 1 kernel_size: 1 kernel_size: 1 }}",
        ],
        "height and width",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_layer_without_counterpart(case: str) -> None:
    dims, layers, reason = UNSUPPORTED[case]
    (found,) = checked(after(dims, *layers))[1]
    assert found.code == "unsupported-layer"
    assert reason in found.message
    assert found.notes[0].startswith("1 of the 1 layers of test.prototxt can't be expressed: ")


def test_the_layer_without_counterpart_is_named() -> None:
    """Unknown types and fields alike, with or without a name of the layer."""
    silly = after("3x8x8", "Silly")
    pooling = after("3x8x8", f"Pooling {POOL} {{ pool: STOCHASTIC kernel_size: 2 }}")
    for text in (silly, pooling):
        (named,) = messages(text)
        (without,) = messages(text.replace('name: "l1"', ""))
        assert named.startswith("layer l1: ")
        assert without == named.replace("layer l1: ", "layer (without a name): ")


def test_an_error_leaves_nothing_of_a_layer_but_its_report() -> None:
    """Layers that depend on it are not reported, and those beside it are read all the same."""
    text = after(
        "3x8x8", "Silly", "ReLU", 'Pooling bottom: "data"', 'Eltwise bottom: "l2" bottom: "l3"'
    )
    assert codes(text) == ["unsupported-layer", "missing-field"]


def test_a_type_has_a_rule_or_a_reason() -> None:
    assert not RULES.keys() & REASONS.keys()
    assert not [t for t in RULES if only_measures(t)]
    # Im2col gets the general reason; the empty word stands for no type.
    types = {today for _, today in V1_TYPES.values()}
    unknown = {t for t in types if t not in RULES and t not in REASONS and not only_measures(t)}
    assert unknown == {"", "Im2col"}


def test_what_remains_is_counted() -> None:
    text = after("3x8x8", "Silly", 'ReLU bottom: "data"', 'Odd bottom: "data"', "Odd", "Odd")
    found = checked(text)[1]
    assert [d.code for d in found] == ["unsupported-layer"] * 4
    wanted = "4 of the 5 layers of test.prototxt can't be expressed: Odd (3), Silly"
    assert [d.notes for d in found] == [(), (), (), (wanted,)]


# What Caffe refuses too.
WRONG: dict[str, tuple[str, list[str], str]] = {
    "no_kernel": ("3x8x8", [f"Convolution {CONV} {{ num_output: 1 }}"], "missing-field"),
    "no_count": ("3x8x8", [f"Convolution {CONV} {{ kernel_size: 1 }}"], "missing-field"),
    "groups": (
        "3x8x8",
        [f"Convolution {CONV} {{ num_output: 2 kernel_size: 1 group: 2 }}"],
        "groups-mismatch",
    ),
    "window": (
        "3x8x8",
        [f"Convolution {CONV} {{ num_output: 2 kernel_size: 9 }}"],
        "window-too-large",
    ),
    "too_large": (
        "3x8x8",
        [f"Convolution {CONV} {{ num_output: 2 kernel_size: 1 pad: 2000000 }}", "ReLU"],
        "too-large",
    ),
    "pool_window": ("3x4x4", [f"Pooling {POOL} {{ kernel_size: 9 }}"], "window-too-large"),
    "pool_pad": (
        "3x8x8",
        [f"Pooling {POOL} {{ kernel_size: 2 pad: 2 stride: 2 }}"],
        "pad-too-large",
    ),
    "global_pad": (
        "3x8x8",
        [f"Pooling {POOL} {{ global_pooling: true pad: 1 }}"],
        "conflicting-fields",
    ),
    "shapes": (
        "3x8x8",
        [
            f"Convolution {CONV} {{ num_output: 3 kernel_size: 3 }}",
            'Eltwise bottom: "data" bottom: "l1"',
        ],
        "shape-mismatch",
    ),
    "concat": (
        "3x8x8",
        [
            f"Convolution {CONV} {{ num_output: 3 kernel_size: 3 }}",
            'Concat bottom: "data" bottom: "l1"',
        ],
        "shape-mismatch",
    ),
    "coefficients": (
        "3x8x8",
        ['Eltwise bottom: "data" bottom: "data" eltwise_param { coeff: 1 }'],
        "wrong-arity",
    ),
    "one_bottom": ("3x8x8", ["Axpy"], "wrong-arity"),
    "even_lrn": ("3x8x8", ["LRN lrn_param { local_size: 4 }"], "out-of-range"),
    "reshape": (
        "3x8x8",
        ["Reshape reshape_param { shape { dim: 0 dim: 5 dim: -1 } }"],
        "shape-mismatch",
    ),
    "reorg": ("3x8x8", ["Reorg reorg_param { stride: 2 }"], "groups-mismatch"),
    "dense_block": (
        "3x8x8",
        ["DenseBlock denseblock_param { numTransition: 2 growthRate: 4 initChannel: 16 }"],
        "shape-mismatch",
    ),
    "dense_block_empty": ("3x8x8", ["DenseBlock denseblock_param { }"], "out-of-range"),
    "clip": ("3x8x8", ["Clip clip_param { min: 1 max: 0 }"], "out-of-range"),
    "clip_open": ("3x8x8", ["Clip clip_param { min: 1 }"], "missing-field"),
    "scale_axes": ("3x8x8", ["Scale scale_param { num_axes: 4 }"], "out-of-range"),
    "no_axis": ("3x8x8", ["Softmax softmax_param { axis: 7 }"], "out-of-range"),
    "slice": ("3x8x8", ['Slice top: "a" top: "b"'], "groups-mismatch"),
    "crop": (
        "3x8x8",
        ["ReLU", 'Crop bottom: "data" bottom: "l1" crop_param { offset: 1 }'],
        "out-of-range",
    ),
    "ratio": ("3x8x8", ["Dropout dropout_param { dropout_ratio: 1.5 }"], "out-of-range"),
    "word": ("3x8x8", [f"Pooling {POOL} {{ pool: MEAN kernel_size: 2 }}"], "unknown-value"),
    "kind": ("3x8x8", [f"Pooling {POOL} {{ kernel_size: 2.5 }}"], "wrong-type"),
    "quotes": ("3x8x8", [f'Pooling {POOL} {{ kernel_size: "2" }}'], "wrong-type"),
    "blob": ("3x8x8", ['ReLU bottom: "dat"'], "unknown-name"),
    "twice": ("3x8x8", ['ReLU top: "a"', 'ReLU top: "a" bottom: "data"'], "duplicate-name"),
    "kernel_zero": ("3x8x8", [f"Pooling {POOL} {{ kernel_size: 0 }}"], "out-of-range"),
    "stride_zero": (
        "3x8x8",
        [f"Convolution {CONV} {{ num_output: 1 kernel_size: 1 stride: 0 }}"],
        "out-of-range",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_layer_that_caffe_refuses(case: str) -> None:
    dims, layers, code = WRONG[case]
    found = codes(after(dims, *layers))
    assert found[0] == code
    # What follows from an error stays silent.
    assert set(found) <= {code, "missing-field"}


def test_a_pooling_that_rounds_up_beside_a_convolution() -> None:
    layers = [
        f"Pooling {POOL} {{ kernel_size: 2 stride: 2 }}",
        "ReLU",
        f'Convolution bottom: "data" {CONV} {{ num_output: 3 kernel_size: 2 stride: 2 }}',
        'Eltwise bottom: "l3" bottom: "l2"',
    ]
    (error,) = checked(after("3x33x33", *layers))[1]
    assert error.code == "shape-mismatch"
    assert error.help == ("`round_mode: FLOOR` in l1 makes them equal",)
    layers[0] = layers[0].replace("stride: 2", "stride: 2 round_mode: FLOOR")
    assert shapes(net_of(after("3x33x33", *layers)))["l4"] == (3, 16, 16)


def test_errors_are_all_found() -> None:
    text = after(
        "3x8x8",
        f"Convolution {CONV} {{ num_output: 2 kernel_size: 9 }}",
        "ReLU",
        f'Convolution bottom: "data" {CONV} {{ num_output: 2 kernel_size: 3 group: 2 }}',
        'Silly bottom: "data"',
        'ReLU bottom: "data" relu_param { negative_slop: 1 }',
    )
    assert codes(text) == [
        "window-too-large",
        "groups-mismatch",
        "unsupported-layer",
        "ignored-field",
    ]


def test_every_rule_is_tried() -> None:
    tried = {layer.split()[0] for _, layers, _ in LINES.values() for layer in layers}
    by_run = {rule.run: type_ for type_, rule in reversed(RULES.items())}
    aliases = {t for t, rule in RULES.items() if by_run[rule.run] != t}
    inputs = {t for t, rule in RULES.items() if rule.most == 0}
    small = {"SpatialDropout", "ReLU6", "Clip", "Swish", "HardSwish", "HSwish", "HSigmoid"}
    small |= {"Mish", "SeLu", "SELU", *POOLS_REGIONS}
    assert set(RULES) - tried - aliases - inputs - small == set()


def test_dropouts_of_forks() -> None:
    text = after("3x8x8", "SpatialDropout dropout_param { dropout_ratio: 0.1 }")
    assert body_of(text) == ["l1: dropout { ratio: 10% spatial: true }"]
    assert not codes(text)
    # Nothing is scaled while training, and all is in tests: the mean is the same.
    text = after("3x8x8", "Dropout dropout_param { dropout_ratio: 0.2 scale_train: false }")
    assert body_of(text) == ["l1: dropout { ratio: 20% } -> power { scale: 0.8 }"]


def test_statistics_of_each_batch_are_warned_of() -> None:
    text = after("3x8x8", "BatchNorm batch_norm_param { use_global_stats: false }")
    (found,) = messages(text)
    assert "use_global_stats" in found
    assert not codes(text, phase="TRAIN")
    assert not codes(text.replace("false", "true"))


def test_parts_are_a_list() -> None:
    split = 'Slice top: "a" top: "b" slice_param { axis: 1 slice_point: 1 }'
    assert body_of(after("3x8x8", split))[0] == "l1: split { parts: [1, 2] }"


def test_small_activations() -> None:
    text = after(
        "3x8x8",
        "ReLU6",
        "Clip clip_param { min: 0 max: 6 }",
        "Swish",
        "HardSwish",
        "HSigmoid",
        "Mish",
        "SeLu",
        "Clip clip_param { min: -2 max: 3 }",
    )
    assert body_of(text) == [
        "l1: relu6 -> relu6 -> silu -> hardswish -> hardsigmoid -> mish -> selu"
        " -> hardtanh { min: -2 max: 3 }"
    ]


def test_vectors_and_maps_of_one() -> None:
    """A pooling over everything gives Cx1x1; where nothing minds, a vector."""
    pool = f"Pooling {POOL} {{ pool: AVE global_pooling: true }}"
    net = net_of(after("3x8x8", pool, "ReLU", "Flatten", "Softmax"))
    assert shapes(net) == {"l1": (3,), "l1_relu": (3,), "l4": (3,)}
    net = net_of(after("3x8x8", pool, 'Concat bottom: "l1" bottom: "l1"', "Softmax"))
    assert shapes(net)["l2"] == (6,)
    net = net_of(
        after("3x8x8", pool, "ReLU", 'Scale bottom: "data" bottom: "l2" scale_param { axis: 0 }')
    )
    assert shapes(net)["l1"] == (3, 1, 1)
