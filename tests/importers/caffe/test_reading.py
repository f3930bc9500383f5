"""Inputs, phases, both forms of layers, labels and losses, and diagnostics that point into the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec.cli.main import main
from netspec.diagnostics.source import Source
from netspec.importers import caffe
from netspec.importers.caffe.schema import MESSAGES, V1_TYPES, fields_of
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from tests.helpers import calls

from .helpers import after, body_of, checked, codes, messages, net_of, spec_of

CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 1 } }\n'
INPUTS = {
    "netscope": 'layer { name: "d" type: "Data" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 9 } } }',
    "beside": 'input: "data" layer { name: "d" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 9 } } }',
    "dims": 'input: "data" input_dim: 10 input_dim: 3 input_dim: 8 input_dim: 9',
    "shape": 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 9 }',
    "list": "input: 'data' input_shape: { dim: [1, 3, 8, 9] }",
    "layer": 'layer { name: "d" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 9 } } }',
    "memory": 'layer { name: "d" type: "MemoryData" top: "data" top: "label" memory_data_param { batch_size: 1 channels: 3 height: 8 width: 9 } }',
    "pictures": 'layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param { source: "x" new_height: 8 new_width: 9 } }',
    "dummy": 'layer { name: "d" type: "DummyData" top: "data" dummy_data_param { num: 1 channels: 3 height: 8 width: 9 } }',
    "annotated": 'layer { name: "d" type: "AnnotatedData" top: "data" top: "label" transform_param { resize_param { height: 8 width: 9 } } }',
}  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs(kind: str) -> None:
    net = net_of(f"{INPUTS[kind]}\n{CONV}")
    assert [tuple(v.shape) for v in net.body.inputs] == [(3, 8, 9)]
    assert net.preprocessing[0] is not None
    assert net.preprocessing[0].channels == "bgr"


def test_several_inputs() -> None:
    text = 'input: "a" input: "b" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4 input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4'
    net = net_of(text + ' layer { name: "c" type: "Concat" bottom: "a" bottom: "b" top: "c" }')
    assert [tuple(v.shape) for v in net.body.inputs] == [(1, 4, 4), (2, 4, 4)]


def data(fields: str, phase: str = "") -> str:
    rule = f"include {{ phase: {phase} }}" if phase else ""
    return f'layer {{ name: "d" type: "Data" top: "data" top: "label" {rule} {fields} data_param {{ source: "x" batch_size: 2 }} }}\n'


def test_shape_of_a_database_is_said_from_outside() -> None:
    text = data("transform_param { scale: 0.00390625 }") + CONV
    assert codes(text) == ["missing-shape"]
    net = net_of(text, input="1x28x28")
    assert tuple(net.body.inputs[0].shape) == (1, 28, 28)
    assert net.preprocessing[0] is not None
    assert net.preprocessing[0].scale == 1 / 256
    assert net_of(text, **{"input:data": (1, 28, 28)}).params == net.params


def test_preprocessing() -> None:
    """Caffe computes (x - mean) * scale, the language (x * scale - mean) / std."""
    transform = "transform_param { crop_size: 24 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.017 mirror: true }"
    assert "input data: 3x24x24 { channels: bgr mean: [104, 117, 123] std: 1000/17 }" in " ".join(
        spec_of(data(transform) + CONV).split()
    )
    assert net_of(after("3x8x8", "ReLU"), mean=[1, 2, 3]).preprocessing[0].mean == (1, 2, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("9.99999974738e-06", "1e-5"),
        ("0.0010000000474974513", "0.001"),
        ("0.123456789", "0.123456789"),
        ("0.3333333", "0.3333333"),
    ],
)
def test_floats_that_programs_wrote(written: str, meant: str) -> None:
    """A float32 is the number that was meant where another program wrote all its digits."""
    (line,) = body_of(after("3x8x8", f"Power power_param {{ shift: {written} }}"))
    assert line == f"l1: power {{ shift: {meant} }}"


def test_phases() -> None:
    text = (
        data("transform_param { crop_size: 24 }", "TRAIN")
        + data("transform_param { crop_size: 16 }", "TEST")
        + CONV
        + 'layer { name: "drop" type: "Dropout" bottom: "c" top: "c" include: { phase: TRAIN } }\n'
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }\n'
        + 'layer { name: "accuracy" type: "Accuracy" bottom: "c" bottom: "label" top: "a" include { phase: TEST } }\n'
    )
    assert body_of(text) == ["c: conv { filters: classes kernel: 1x1 }"]
    assert body_of(text, phase="TRAIN") == [
        "c: conv { filters: classes kernel: 1x1 } -> dropout { ratio: 50% }"
    ]
    assert tuple(net_of(text).body.inputs[0].shape) == (3, 16, 16)
    note = "# Left out, since it serves training and measuring: loss (SoftmaxWithLoss), accuracy (Accuracy)."
    assert note in " ".join(spec_of(text).split())


STAGES = (
    """
layer { name: "train" type: "Data" top: "data" include { stage: "train" } transform_param { crop_size: 8 } }
layer { name: "deploy" type: "Input" top: "data" include { stage: "deploy" } input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
"""
    + CONV
    + """
layer { name: "old" type: "ReLU" bottom: "c" top: "c" exclude { stage: "deploy" not_stage: "fast" } }
layer { name: "deep" type: "Sigmoid" bottom: "c" top: "c" include { min_level: 2 } }
"""
)


def test_stages_and_levels() -> None:
    assert body_of(STAGES) == ["c: conv { filters: 2 kernel: 1x1 }"]
    assert body_of(STAGES, stage="train") == ["c: conv { filters: 2 kernel: 1x1 } -> relu"]
    assert body_of(STAGES, stage="deploy,fast") == ["c: conv { filters: 2 kernel: 1x1 } -> relu"]
    assert body_of(STAGES, level=2) == ["c: conv { filters: 2 kernel: 1x1 } -> sigmoid"]
    text = STAGES + 'layer { name: "r" type: "ReLU" bottom: "s" top: "r" }\n'
    text += 'layer { name: "s" type: "TanH" bottom: "c" top: "s" include { stage: "none" } }'
    found = checked(text, stage="train")[1]
    assert [d.code for d in found] == ["unknown-name"]
    assert "another phase or stage" in found[0].others[0].text


def test_data_of_another_phase_is_an_input() -> None:
    """Files for training alone have a source of data for nothing else."""
    text = data("transform_param { crop_size: 24 }", "TRAIN") + CONV
    text += 'layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "label" top: "loss" }\n'
    assert tuple(net_of(text).body.inputs[0].shape) == (3, 24, 24)
    assert body_of(text) == ["c: conv { filters: 2 kernel: 1x1 }"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("nets/tiny-yolo/deploy.prototxt", "tiny_yolo"),
        ("nets/tiny-yolo/train_val.prototxt", "tiny_yolo"),
        ("nets/tiny-yolo/det1.prototxt", "det1"),
        ("deploy.prototxt", "deploy"),
        ("../deploy.prototxt", "deploy"),
        ("/5/net.prototxt", "net5"),
    ],
)
def test_a_net_without_a_name_is_called_by_its_file(file: str, name: str) -> None:
    text = spec_of(after("3x8x8", "ReLU"), file)
    assert f"net {name} {{" in text


UNTIL = after(
    "3x8x8",
    "Convolution convolution_param { num_output: 2 kernel_size: 1 }",
    'ReLU top: "l1" bottom: "l1"',
    'TanH bottom: "l1"',
    'Strange bottom: "l3"',
)


def test_until_a_blob() -> None:
    """What comes behind the blobs is left out, whether it can be expressed or not."""
    assert codes(UNTIL) == ["unsupported-layer"]
    assert body_of(UNTIL, until="l3") == ["l1: conv { filters: 2 kernel: 1x1 } -> relu -> tanh"]
    assert body_of(UNTIL, until="l1") == ["l1: conv { filters: 2 kernel: 1x1 } -> relu"]
    both = body_of(UNTIL, until="l3,l1")
    assert both[-1] == "output l3, l1"


def test_until_a_blob_that_is_not_there() -> None:
    (found,) = checked(UNTIL, until="l5")[1]
    assert (found.code, "no layer of test.prototxt makes a blob l5" in found.message) == (
        "unknown-name",
        True,
    )


def test_what_comes_before_an_unsupported_layer_is_named() -> None:
    (found,) = checked(UNTIL)[1]
    assert found.help[-1] == "what comes before them is a net: `--until l3`"


def test_a_net_may_end_in_front_of_a_layer_in_place() -> None:
    """The blob's name is that of both values; the earlier one is what can be expressed."""
    text = after(
        "3x8x8",
        f"Convolution {PARAM} {{ num_output: 2 kernel_size: 1 }}",
        'Strange bottom: "l1" top: "l1"',
        'Dropout bottom: "l1" top: "l1"',
    )
    (found,) = checked(text)[1]
    assert found.help[-1] == "what comes before them is a net: `--until l1`"
    assert body_of(text, until="l1") == ["l1: conv { filters: 2 kernel: 1x1 }"]
    assert "ends in front of l2 (Strange)" in spec_of(text, until="l1")
    assert codes(text + 'layer { type: "ReLU" bottom: "l1" top: "r" }', until="l1,r") == [
        "unsupported-layer"
    ]


def test_many_ends_are_all_named() -> None:
    text = after("3x8x8", "Sigmoid", *(f'TanH bottom: "l1" top: "t{i}"' for i in range(12)))
    bottoms = " ".join(f'bottom: "t{i}"' for i in range(12))
    (found,) = checked(text + f'layer {{ type: "Odd" {bottoms} top: "x" }}')[1]
    ends = " ".join(f"--until t{i}" for i in range(12))
    assert found.help == (f"what comes before them is a net: `{ends}`",)


def test_rules_of_both_kinds() -> None:
    text = after("3x8x8", "ReLU include { phase: TEST } exclude { phase: TRAIN }")
    assert codes(text) == ["conflicting-fields"]


def test_labels_and_what_becomes_of_them_serve_training() -> None:
    text = (
        data("transform_param { crop_size: 8 }")
        + 'layer { name: "s" type: "Slice" bottom: "label" top: "l1" top: "l2" slice_param { slice_point: 1 } }\n'
        + CONV
        + 'layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "l1" top: "loss" loss_weight: 2 }\n'
        + 'layer { name: "quiet" type: "Silence" bottom: "l2" }\n'
    )
    assert body_of(text) == ["c: conv { filters: 2 kernel: 1x1 }"]


def source_of(*tops: str, type_: str = "HDF5Data") -> str:
    named = " ".join(f'top: "{top}"' for top in tops)
    return f'layer {{ name: "d" type: "{type_}" {named} }}\n'


def layer_of(type_: str, bottoms: str, top: str = "", fields: str = "") -> str:
    named = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    made = f'top: "{top}"' if top else ""
    return f'layer {{ name: "{top}" type: "{type_}" {named} {made} {fields} }}\n'


FILTERS = "convolution_param { num_output: 2 kernel_size: 1 }"
LOSS = layer_of("EuclideanLoss", "c label", "loss")
TWO = {"input:rgb": "3x8x8", "input:depth": "1x8x8"}


def test_data_that_layers_with_weights_read_is_an_input() -> None:
    text = (
        source_of("rgb", "depth", "label")
        + layer_of("Convolution", "rgb", "a", FILTERS)
        + layer_of("Convolution", "depth", "b", FILTERS)
        + layer_of("Eltwise", "a b", "c")
        + LOSS
    )
    found = checked(text)[1]
    assert [(d.code, d.help) for d in found] == [
        ("missing-shape", ("say it with `--input`, for example `--input rgb=3x224x224`",)),
        ("missing-shape", ("say it with `--input`, for example `--input depth=3x224x224`",)),
    ]
    assert codes(text, **{"input:rgb": "3x8x8"}) == ["missing-shape"]
    # Two filters of 3 and of 1, with a bias each.
    assert net_of(text, **TWO).params == 2 * 3 + 2 + 2 * 1 + 2


def test_names_do_not_make_labels() -> None:
    """A mask that a convolution reads is an input; data that only a loss reads is a label."""
    text = (
        source_of("mask", "picture")
        + layer_of("Convolution", "mask", "c", FILTERS)
        + layer_of("EuclideanLoss", "c picture", "loss")
    )
    assert net_of(text, **{"input:mask": "3x8x8"}).params == 8


def test_labels_that_layers_without_weights_prepare_for_a_loss() -> None:
    text = (
        source_of("data", "label", "weights")
        + layer_of("Convolution", "data", "c", FILTERS)
        + layer_of("Eltwise", "c weights", "weighted")
        + layer_of("Eltwise", "label weights", "wanted")
        + layer_of("EuclideanLoss", "weighted wanted", "loss")
    )
    assert body_of(text, **{"input:data": "3x8x8"}) == ["c: conv { filters: 2 kernel: 1x1 }"]


def test_a_program_that_measures_reads_labels() -> None:
    text = (
        source_of("data", "label", type_="Python")
        + layer_of("Convolution", "data", "c", FILTERS)
        + layer_of("Python", "c label", "iou")
    )
    assert body_of(text, **{"input:data": "3x8x8"}) == ["c: conv { filters: 2 kernel: 1x1 }"]


def test_inputs_that_nothing_reads_need_no_shape() -> None:
    text = 'input: "data" input: "im_info" input_shape { dim: 1 dim: 3 dim: 8 dim: 9 }\n' + CONV
    assert body_of(text) == ["c: conv { filters: 2 kernel: 1x1 }"]
    assert len(net_of(text).body.inputs) == 1


def test_an_autoencoder_keeps_its_input() -> None:
    """Nothing but a loss reads the data, beside layers with weights."""
    text = (
        source_of("data")
        + layer_of("InnerProduct", "data", "c", "inner_product_param { num_output: 12 }")
        + layer_of("EuclideanLoss", "c data", "loss")
    )
    assert net_of(text, input="3x2x2").params == 12 * 12 + 12
    alone = source_of("data", "label") + layer_of("Pooling", "data", "p", POOL)
    alone += layer_of("EuclideanLoss", "p label", "loss")
    assert body_of(alone, input="3x2x2") == ["p: maxpool { kernel: 2x2 stride: 1 }"]


def example_of(text: str, **settings: str) -> str:
    """The shape that the only diagnostic names as an example."""
    (found,) = checked(text, **settings)[1]
    assert found.code == "missing-shape"
    shape = found.help[0].rpartition(" ")[2].strip("`")
    assert not [d for d in checked(text, **settings, input=shape)[1] if d.severity == "error"]
    return shape


FC = layer_of("InnerProduct", "c", "f", "inner_product_param { num_output: 4 }")


def test_the_example_of_a_shape_fits_the_net() -> None:
    assert example_of(data("") + CONV + FC) == "3x224x224"
    assert example_of('name: "LeNet"\n' + data("") + CONV + FC) == "1x28x28"
    assert example_of('name: "CIFAR10_quick"\n' + data("") + CONV + FC) == "3x32x32"
    pair = layer_of("Slice", "data", "a", 'top: "b" slice_param { slice_point: 1 }')
    siamese = pair + layer_of("Eltwise", "a b", "c") + FC
    assert example_of('name: "mnist_siamese"\n' + data("") + siamese) == "2x28x28"
    # What the net makes has one channel, and the picture is added to it.
    one = layer_of("Convolution", "data", "c", "convolution_param { num_output: 1 kernel_size: 1 }")
    assert example_of(data("") + one + layer_of("Eltwise", "c data", "s")) == "1x224x224"
    fixed = layer_of("Reshape", "c", "r", "reshape_param { shape { dim: 0 dim: 2 dim: 2304 } }")
    assert example_of(data("") + CONV + fixed) == "3x48x48"


def test_a_shape_that_nothing_fits() -> None:
    fixed = layer_of("Reshape", "c", "r", "reshape_param { shape { dim: 0 dim: 7 dim: 11 } }")
    found = checked(data("") + CONV + fixed)[1]
    assert found[0].help == ("say it with `--input`, for example `--input 3x224x224`",)


KNOWN = {
    "files": source_of("data", "label", type_="ImageData"),
    "means": data("transform_param { mean_value: 1 mean_value: 2 mean_value: 3 }"),
    "program": layer_of("Python", "", "data", 'python_param { layer: "RoIDataLayer" }'),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_a_net_of_any_size_takes_a_usual_one(kind: str) -> None:
    text = KNOWN[kind] + CONV + layer_of("Deconvolution", "c", "u", FILTERS)
    net, found = checked(text)
    assert [d.code for d in found if d.code != "ignored-field"] == ["assumed-shape"]
    assert net is not None
    assert [tuple(v.shape) for v in net.body.inputs] == [(3, 224, 224)]
    other = net_of(text, input="3x40x50")
    assert other.params == net.params == 3 * 2 + 2 + 2 * 2 + 2
    assert "assumed-shape" not in codes(text, input="3x40x50")
    assert codes(text.replace("kernel_size: 1 }", "kernel_size: 0 }"))[-1] != "assumed-shape"


def test_grey_files_have_one_channel() -> None:
    gray = "image_data_param { is_color: false }"
    text = layer_of("ImageData", "", "data", gray) + CONV
    assert tuple(net_of(text).body.inputs[0].shape) == (1, 224, 224)


@pytest.mark.parametrize("kind", KNOWN)
def test_weights_that_depend_on_the_size_ask_for_it(kind: str) -> None:
    assert "missing-shape" in codes(KNOWN[kind] + CONV + FC)
    pooled = CONV.replace('"c"', '"d"') + layer_of(
        "Pooling", "d", "c", "pooling_param { pool: AVE global_pooling: true }"
    )
    assert "assumed-shape" in codes(KNOWN[kind] + pooled + FC)


def test_shapes_are_tried_a_bounded_number_of_times() -> None:
    """A long net that fits no shape is refused after some tries."""
    long = "".join(layer_of("Sigmoid", f"s{i}" if i else "c", f"s{i + 1}", "") for i in range(3000))
    fixed = layer_of("Reshape", "s3000", "r", "reshape_param { shape { dim: 0 dim: 7 dim: 11 } }")
    assert calls(lambda: checked(data("") + CONV + long + fixed)) < 12_000_000


def test_data_of_another_phase_that_takes_itself() -> None:
    text = data("", "TRAIN").replace('top: "data"', 'bottom: "data" top: "data"') + CONV
    assert codes(text) == ["unknown-name"]


PARAM = "convolution_param"
POOL = "pooling_param { kernel_size: 2 }"


@pytest.mark.parametrize("kernel", [2, 3])
def test_a_picture_of_one_pixel_asks_for_its_size(kernel: int) -> None:
    pool = f"Pooling pooling_param {{ kernel_size: {kernel} stride: 2 }}"
    text = after("3x1x1", f"Convolution {PARAM} {{ num_output: 2 kernel_size: 3 pad: 1 }}", pool)
    (found,) = checked(text)[1]
    assert found.code == "missing-shape"
    assert found.help[0].endswith("`--input 3x368x368`")
    assert body_of(text, input="3x16x16")[-1] == (
        f"l2: maxpool {{ kernel: {kernel}x{kernel} stride: 2 round: ceil }}"
    )
    unpadded = after("3x1x1", f"Convolution {PARAM} {{ num_output: 2 kernel_size: {kernel} }}")
    assert codes(unpadded) == ["missing-shape"]


REGIONS = (
    'input: "data" input: "im_info" input_shape { dim: 1 dim: 3 dim: 16 dim: 16 }\n'
    + layer_of(
        "Convolution", "data", "c", "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"
    )
    + layer_of("Convolution", "c", "rpn", "convolution_param { num_output: 18 kernel_size: 1 }")
    + layer_of("Reshape", "rpn", "two", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 16 } }")
    + layer_of("Softmax", "two", "prob")
    + layer_of("Convolution", "c", "boxes", "convolution_param { num_output: 36 kernel_size: 1 }")
    + layer_of("Python", "prob boxes im_info", "rois", 'top: "scores" python_param { module: "m" }')
    + layer_of("TYPE", "c rois", "pool", "PARAM")
    + layer_of("InnerProduct", "pool", "fc", "inner_product_param { num_output: 21 }")
)


@pytest.mark.parametrize(
    ("type_", "fields", "channels"),
    [
        ("ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }", 8),
        ("ROIAlign", "roi_align_param { pooled_h: 2 pooled_w: 3 sampling_ratio: 2 }", 8),
    ],
)
def test_pooled_regions_become_an_input(type_: str, fields: str, channels: int) -> None:
    """What is in front runs once for a picture, what is behind once for each region."""
    text = REGIONS.replace("TYPE", type_).replace("PARAM", fields)
    net, (found,) = checked(text)
    assert net is not None
    assert found.code == "pooled-regions"
    assert [tuple(v.shape) for v in net.body.inputs] == [(3, 16, 16), (channels, 2, 3)]
    weights = 8 * 27 + 18 * 8 + 36 * 8
    assert net.params == weights + (8 + 18 + 36) + 21 * channels * 6 + 21
    assert net.macs == 256 * weights + 21 * channels * 6
    # The feature map, what the regions were proposed from, and the scores.
    assert body_of(text)[-1] == "output c, prob, boxes, fc"
    assert body_of(text, until="fc") == ["flatten", "fc: linear { units: 21 }"]


def test_regions_of_each_position() -> None:
    fields = "psroi_pooling_param { output_dim: 5 group_size: 3 spatial_scale: 1 }"
    net = net_of(REGIONS.replace("TYPE", "PSROIPooling").replace("PARAM", fields))
    assert tuple(net.body.inputs[1].shape) == (5, 3, 3)
    wrong = REGIONS.replace("TYPE", "ROIPooling").replace("PARAM", "")
    assert codes(wrong) == ["missing-field"]


def test_stated_regions_are_not_needed() -> None:
    text = (
        'input: "data" input_shape { dim: 1 dim: 3 dim: 16 dim: 16 }\ninput: "rois"\n'
        + layer_of("ROIPooling", "data rois", "p", "roi_pooling_param { pooled_h: 2 pooled_w: 2 }")
        + layer_of("InnerProduct", "p", "fc", "inner_product_param { num_output: 2 }")
    )
    assert codes(text) == ["pooled-regions"]
    assert net_of(text).params == 3 * 4 * 2 + 2


def test_silenced_branches_are_left_out() -> None:
    text = after("3x8x8", "ReLU", 'Sigmoid bottom: "data"', 'TanH bottom: "data"')
    assert body_of(text)[-1] == "output l1, l2, l3"
    assert body_of(text + 'layer { name: "s" type: "Silence" bottom: "l2" bottom: "l1" }') == [
        "l3: tanh"
    ]


def test_in_place_layers_change_what_follows_alone() -> None:
    text = after(
        "3x8x8",
        'ReLU top: "a"',
        'Sigmoid bottom: "a" top: "b"',
        'TanH bottom: "a" top: "a"',
        'Eltwise bottom: "a" bottom: "b"',
    )
    assert body_of(text) == [
        "l1: relu",
        "l2: sigmoid",
        "l3: tanh(l1)",
        "l4: add(l3, l2)",
    ]


# --- older files ---------------------------------------------------------------------------------

OLD = """
name: 'old'
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0 convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "r" type: 18 bottom: "c" top: "c" }
layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layers { name: "f" type: INNER_PRODUCT bottom: "p" top: "f" inner_product_param { num_output: 10 } }
layers { name: "l" type: SOFTMAX_LOSS bottom: "f" bottom: "label" include: { phase: TRAIN } }
"""


def test_older_layers() -> None:
    assert body_of(OLD) == [
        "c: conv { filters: 4 kernel: 3x3 } -> relu",
        "p: avgpool { kernel: 2x2 stride: 2 round: ceil }",
        "flatten",
        "f: linear { units: 10 }",
    ]


def test_numbers_of_older_types() -> None:
    """caffe.proto, V1LayerParameter.LayerType."""
    assert len({number for number, _ in V1_TYPES.values()}) == len(V1_TYPES) == 40
    known = {"CONVOLUTION": 4, "RELU": 18, "POOLING": 17, "LRN": 15, "ELTWISE": 25, "SLICE": 33}
    known |= {"DECONVOLUTION": 39, "DROPOUT": 6, "CONCAT": 3, "SOFTMAX": 20, "THRESHOLD": 31}
    assert {word: V1_TYPES[word][0] for word in known} == known


def test_words_of_types() -> None:
    text = OLD.replace("CONVOLUTION", "CONVOLUTON")
    found = checked(text)[1]
    assert found[0].code == "unsupported-layer"
    assert found[0].help == ("did you mean `CONVOLUTION`?",)
    # Today's form with yesterday's word: what is meant is clear.
    assert not codes(OLD.replace("layers", "layer").replace("blobs_lr: 1 blobs_lr: 2", ""))
    assert codes(
        'input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 } layer { type: Relu bottom: "data" top: "a" }'
    ) == ["unknown-op"]


OLDEST = """
layers { layer { name: "d" type: "data" source: "x" batchsize: 2 cropsize: 9 mirror: true }
  top: "data" top: "label" }
layers { layer { name: "p" type: "padding" pad: 1 } bottom: "data" top: "p" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 stride: 2 biasterm: false
  weight_filler { type: "gaussian" std: 0.01 } blobs_lr: 1 weight_decay: 1 } bottom: "p" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 } bottom: "c" top: "n" }
layers { layer { name: "m" type: "pool" pool: AVE kernelsize: 2 } bottom: "n" top: "m" }
layers { layer { name: "f" type: "innerproduct" num_output: 5 } bottom: "m" top: "f" }
layers { layer { name: "o" type: "dropout" dropout_ratio: 0.2 } bottom: "f" top: "f" }
layers { layer { name: "l" type: "softmax_loss" } bottom: "f" bottom: "label" }
"""


def test_layers_of_the_oldest_form() -> None:
    assert not codes(OLDEST)
    assert body_of(OLDEST) == [
        "c: conv { filters: 4 kernel: 3x3 stride: 2 pad: 1 bias: false } -> relu",
        "n: lrn { size: 3 alpha: 0.1 }",
        "m: avgpool { kernel: 2x2 stride: 1 }",
        "flatten",
        "f: linear { units: classes } -> dropout { ratio: 20% }",
    ]
    assert net_of(OLDEST).body.inputs[0].shape == (3, 9, 9)
    wrong = OLDEST.replace("local_size", "locale_size")
    assert codes(wrong) == ["ignored-field"]


def test_blanks_of_templates_are_named() -> None:
    (found,) = messages(after("3x8x8", "ReLU").replace("dim: 8", "dim: $TARGET_WIDTH$"))
    assert "`$TARGET_WIDTH$` is a blank" in found
    (found,) = messages(after("3x8x8", "ReLU").replace("dim: 8", "dim: $#height#$"))
    assert "`$#height#$` is a blank" in found


# --- what is no part of a net --------------------------------------------------------------------

DETECTOR = after(
    "3x8x8",
    'Convolution top: "loc" convolution_param { num_output: 8 kernel_size: 3 }',
    'Convolution bottom: "data" top: "conf" convolution_param { num_output: 4 kernel_size: 3 }',
    'PriorBox bottom: "loc" bottom: "data" top: "p1"',
    'PriorBox bottom: "conf" bottom: "data" top: "p2"',
    'Concat bottom: "p1" bottom: "p2" top: "prior" concat_param { axis: 2 }',
    'DetectionOutput bottom: "loc" bottom: "conf" bottom: "prior" top: "found"',
)


def test_boxes_of_a_detector_are_left_out() -> None:
    (found,) = checked(DETECTOR)[1]
    assert found.code == "left-out-boxes"
    assert found.message.endswith(": PriorBox (2), Concat, DetectionOutput")
    assert found.notes[0].startswith("the net gives loc, conf;")
    net = net_of(DETECTOR)
    assert [v.shape for v in net.flat_outputs] == [(8, 6, 6), (4, 6, 6)]
    # Asked for, what is left out is an error; where the net ends in front, there is none.
    assert codes(DETECTOR, until="found") == ["unsupported-layer"]
    assert not codes(DETECTOR, until="loc,conf")


def test_what_takes_boxes_and_values_is_refused() -> None:
    text = DETECTOR.replace('bottom: "p2" top: "prior"', 'bottom: "loc" top: "prior"')
    assert codes(text) == ["unsupported-layer"]


PYTHON = 'Python bottom: "l1" python_param { module: "rpn.layers" layer: "%sLayer" }'
CONV_8 = "Convolution convolution_param { num_output: 8 kernel_size: 3 }"


def test_proposals_written_in_python_are_boxes() -> None:
    assert codes(after("3x8x8", CONV_8, PYTHON % "Proposal")) == ["left-out-boxes"]
    assert codes(after("3x8x8", CONV_8, PYTHON % "ClusterDetections")) == ["left-out-boxes"]
    assert codes(after("3x8x8", CONV_8, PYTHON % "Strange")) == ["unsupported-layer"]


def program(name: str, bottoms: str, tops: str, parts: str = "") -> str:
    named = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    made = " ".join(f'top: "{t}"' for t in tops.split())
    return (
        f'layer {{ name: "{name}" type: "Python" {named} {made} python_param {{ '
        f'module: "caffe.layers.detectnet.clustering" layer: "{name}" {parts} }} }}\n'
    )


def test_what_detectnet_measures_is_left_out() -> None:
    """Boxes of the labels, what compares them with those of the net, and the mean precision."""
    size = "image_size_x: 32 image_size_y: 16"
    text = (
        source_of("data", type_="Data")
        + source_of("label", type_="Data").replace('"d"', '"e"')
        + layer_of(
            "DetectNetTransformation",
            "data label",
            "x",
            f'top: "y" detectnet_groundtruth_param {{ {size} }}',
        )
        + layer_of("Slice", "y", "cover-label", 'top: "box-label" slice_param { slice_point: 1 }')
        + layer_of("Convolution", "x", "c", FILTERS)
        + layer_of("EuclideanLoss", "c cover-label", "loss")
        + program("ClusterDetections", "c", "list")
        + program("ClusterGroundtruth", "cover-label box-label", "list-label")
        + program("ScoreDetections", "list-label list", "scored")
        + program("mAP", "scored", "mAP precision recall")
    )
    net, found = checked(text)
    assert net is not None
    assert [d.code for d in found] == ["left-out-boxes"]
    assert [tuple(v.shape) for v in net.body.inputs] == [(3, 16, 32)]
    assert net.params == 3 * 2 + 2


def test_crops_of_detectnet_are_data() -> None:
    """They state their size, and their labels are labels."""
    text = (
        'layer { type: "Data" top: "data" data_param { source: "a" batch_size: 4 } }'
        ' layer { type: "Data" top: "label" data_param { source: "b" batch_size: 4 } }'
        ' layer { type: "DetectNetTransformation" bottom: "data" bottom: "label" top: "x" top: "y"'
        " transform_param { mean_value: 127 } detectnet_groundtruth_param {"
        " image_size_x: 32 image_size_y: 16 stride: 16 object_class { src: 1 dst: 0 } }"
        " detectnet_augmentation_param { crop_prob: 1 } }"
        ' layer { type: "Slice" bottom: "y" top: "cover" top: "box" slice_param { slice_point: 1 } }'
        ' layer { type: "Convolution" bottom: "x" top: "c"'
        " convolution_param { num_output: 3 kernel_size: 16 stride: 16 } }"
        ' layer { type: "Eltwise" bottom: "c" bottom: "cover" top: "masked"'
        " eltwise_param { operation: PROD } }"
        ' layer { type: "L1Loss" bottom: "masked" bottom: "box" top: "loss" }'
    )
    assert not codes(text)
    net = net_of(text)
    assert [tuple(v.shape) for v in net.body.inputs] == [(3, 16, 32)]
    assert [v.shape for v in net.flat_outputs] == [(3, 1, 2)]


def test_a_declared_label_beside_data_of_another_phase_is_no_input() -> None:
    """Of a discriminator: the data has a layer for training alone, the label is declared."""
    text = (
        'layer { type: "Data" top: "data" top: "label" include { phase: TRAIN }'
        ' transform_param { crop_size: 8 } data_param { source: "x" batch_size: 4 } }'
        ' input: "label" input_shape { dim: 64 dim: 1 }'
        ' layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 1 kernel_size: 8 } }"
        ' layer { type: "SigmoidCrossEntropyLoss" bottom: "c" bottom: "label" top: "l" }'
    )
    assert not codes(text)
    assert [v.shape for v in net_of(text).body.inputs] == [(3, 8, 8)]


def test_sinks_are_left_out() -> None:
    text = after("3x8x8", CONV_8) + 'layer { name: "w" type: "MatWrite" bottom: "l1" }'
    assert not codes(text)
    assert "Left out, since it serves training and measuring: w (MatWrite)." in spec_of(text)


def test_losses_written_in_python_are_left_out() -> None:
    text = (
        'layer { type: "Python" top: "data" top: "roi" }'
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        "convolution_param { num_output: 8 kernel_size: 3 } }"
        'layer { name: "o" type: "Python" bottom: "c" bottom: "roi" top: "o" loss_weight: 0.5 }'
    )
    shape = {"input:data": "3x8x8"}
    assert not codes(text, **shape)
    assert codes(text.replace("loss_weight: 0.5", ""), **shape)


def test_a_net_whose_end_is_silenced_ends_there() -> None:
    text = after("3x8x8", "ReLU") + 'layer { type: "Silence" bottom: "l1" }'
    assert body_of(text) == ["l1: relu"]


# --- fields --------------------------------------------------------------------------------------


def test_messages_are_merged_and_last_values_count() -> None:
    text = after(
        "3x8x8",
        "Convolution convolution_param { num_output: 4 kernel_size: 3 } convolution_param { stride: 2 }",
    )
    assert body_of(text) == ["l1: conv { filters: 4 kernel: 3x3 stride: 2 }"]
    text = after("3x8x8", "Pooling pooling_param { kernel_size: 2 pool: MAX pool: AVE }")
    assert codes(text) == ["ignored-field"]
    assert body_of(text) == ["l1: avgpool { kernel: 2x2 stride: 1 }"]


def test_unknown_fields_are_ignored_with_a_warning() -> None:
    net, found = checked(after("3x8x8", "ReLU relu_param { negative_slop: 0.1 } quantize_me: 3"))
    assert net is not None
    assert [d.code for d in found] == ["ignored-field"]
    assert found[0].help == ("did you mean `negative_slope`?",)


def test_weights_of_which_only_some_are_shared_are_warned_of() -> None:
    conv = 'Convolution bottom: "data" param { name: "w" } convolution_param { num_output: 2 kernel_size: 1 }'
    assert codes(after("3x8x8", conv, conv, 'Eltwise bottom: "l1" bottom: "l2"')) == [
        "shared-weights"
    ]


def test_schema_is_sound() -> None:
    kinds = {"int", "float", "bool", "string", "any", "enum", *MESSAGES}
    for message in MESSAGES:
        for name, declared in fields_of(message).items():
            assert declared.kind in kinds, (message, name)
            if declared.default is not None and declared.kind == "enum":
                assert declared.default in declared.words


MEANS_NOTHING = {
    # What the labels of a detector are.
    *("scale_cvg", "gridbox_type", "max_cvg_len", "min_cvg_len", "coverage_type", "obj_norm"),
    *("crop_bboxes", "object_class"),
    # How and where it is computed.
    *("engine", "force_nd_im2col", "stable_prod_grad", "force_backward", "mem_param", "fuse"),
    *("opencl_compile_schedule", "default_forward_type", "default_backward_type"),
    *("default_forward_math", "default_backward_math", "global_grad_scale", "compile_net_state"),
    *("forward_type", "backward_type", "bn_memory_opt", "solver_mode", "device_id"),
    *("layer_wise_reduce", "share_mode", "blob_share_mode", "random_seed", "phase", "layer"),
    *("workspace_mb", "gpuIdx", "gpu_idx", "BC_ultra_space_efficient"),
    # Logs, tests and snapshots.
    *("debug_info", "profile_info", "profile_iter", "profile_warmup", "display", "average_loss"),
    *("test_net", "test_net_param", "test_state", "test_iter", "test_interval", "eval_type"),
    *("test_compute_loss", "test_initialization", "ap_version", "accuracy_param", "snapshot"),
    *("snapshot_prefix", "snapshot_diff", "snapshot_format", "snapshot_after_train", "weights"),
    # Where samples come from, and in which order.
    *("source", "root_folder", "backend", "rand_skip", "shuffle", "prefetch", "threads", "cache"),
    *("parser_threads", "cache_images", "data_filler", "label_type", "force_encoded_color"),
    *("fg_threshold", "bg_threshold", "fg_fraction", "emit_constraint", "prob", "interp_mode"),
    "force_color",
    # Where regions lie, whose pooled values are an input.
    *("spatial_scale", "pad_ratio", "sampling_ratio"),
}
"""Fields that change neither what a net computes nor how it is trained."""


def test_every_field_of_the_schema_is_represented_warned_of_or_means_nothing() -> None:
    folder = Path(caffe.__file__).parent
    code = "".join(p.read_text() for p in folder.rglob("*.py") if p.name != "schema.py")
    asked = {a or b for a, b in re.findall(r"""f?"(\w+)"|'(\w+)'""", code)}
    asked |= {f"{n}_{side}" for n in ("scale", "pad_out", "upsample") for side in "hw"}
    for message in MESSAGES:
        for name, declared in fields_of(message).items():
            if declared.kind == "any" and not declared.lost and name not in asked:
                assert name in MEANS_NOTHING, (message, name)
            elif not declared.lost:
                assert name in asked, (message, name)


CONV_IN = INPUTS["shape"] + CONV
LOST: dict[str, Callable[[str], str]] = {
    "NetParameter": lambda f: f + after("3x8x8", "ReLU"),
    "ParamSpec": lambda f: after("3x8x8", f"PReLU param {{ {f} }}"),
    "LayerParameter": lambda f: after("3x8x8", f"ReLU {f}"),
    "V1LayerParameter": lambda f: OLD.replace('name: "r"', f'name: "r" {f}'),
    "TransformationParameter": lambda f: data(f"transform_param {{ crop_size: 8 {f} }}") + CONV,
    "ResizeParameter": lambda f: (
        data(f"transform_param {{ crop_size: 8 resize_param {{ {f} }} }}") + CONV
    ),
    "WindowDataParameter": lambda f: (
        f'layer {{ type: "WindowData" top: "data" window_data_param {{ crop_size: 8 {f} }} }}'
        + CONV
    ),
    "ConvolutionParameter": lambda f: CONV_IN.replace("kernel_size", f"{f} kernel_size"),
    "InnerProductParameter": lambda f: after(
        "3x8x8", f"InnerProduct inner_product_param {{ num_output: 2 {f} }}"
    ),
    "BatchNormParameter": lambda f: after("3x8x8", f"BatchNorm batch_norm_param {{ {f} }}"),
    "BNParameter": lambda f: after("3x8x8", f"BN bn_param {{ {f} }}"),
    "DropoutParameter": lambda f: after("3x8x8", f"Dropout dropout_param {{ {f} }}"),
    "SoftmaxParameter": lambda f: after("3x8x8", f"Softmax softmax_param {{ {f} }}"),
    "ResizeBilinearParameter": lambda f: after(
        "4x8x8",
        "ResizeBilinear resize_bilinear_param { output_height: 9 output_width: 9 "
        f"align_corners: true {f} }}",
    ),
    "ResizeNearestNeighborParameter": lambda f: after(
        "4x8x8",
        "ResizeNearestNeighbor resize_nearest_neighbor_param { output_height: 9 output_width: 9 "
        f"{f} }}",
    ),
    "ReorgParameter": lambda f: after("4x8x8", f"Reorg reorg_param {{ {f} }}"),
    "DenseBlockParameter": lambda f: after(
        "4x8x8", f"DenseBlock denseblock_param {{ numTransition: 1 growthRate: 1 {f} }}"
    ),
    "NormalizeParameter": lambda f: after("3x8x8", f"Normalize norm_param {{ {f} }}"),
    "FillerParameter": lambda f: CONV_IN.replace(
        "kernel_size", f"weight_filler {{ {f} }} kernel_size"
    ),
}
"""A net with a field of a message, given as text."""
ODD = {"string": '"NHWC"', "bool": "7", "int": "7", "any": "7", "enum": "2", "float": "7"}


@pytest.mark.parametrize("message", [m for m in MESSAGES if m != "SolverParameter"])
def test_what_is_lost_is_warned_of_by_name(message: str) -> None:
    for name, declared in fields_of(message).items():
        if declared.lost:
            odd = "false" if declared.default == "true" else ODD[declared.kind]
            (found,) = checked(LOST[message](f"{name}: {odd} "))[1]
            assert found.code == "ignored-field"
            assert found.message.startswith(f"{name} of {message}"), found.message
            if declared.default is not None and declared.kind != "enum":
                quote = '"' if declared.kind == "string" else ""
                same = f"{name}: {quote}{declared.default}{quote} "
                assert not checked(LOST[message](same))[1]


@pytest.mark.parametrize(
    "filler",
    [
        'type: "positive_unitball"',
        'type: "gaussian" mean: 1',
        'type: "msra" variance_norm: AVERAGE',
    ],
)
def test_fillers_without_counterpart_are_warned_of(filler: str) -> None:
    for name in ("weight_filler", "bias_filler"):
        (found,) = messages(CONV_IN.replace("kernel_size", f"{name} {{ {filler} }} kernel_size"))
        assert found.startswith(f"{name}: nothing begins as")


# --- files that are none -------------------------------------------------------------------------


def test_solver_is_no_net(tmp_path: Path) -> None:
    assert "is a solver" in messages('net: "x" base_lr: 0.01 max_iter: 3')[0]
    assert "has no layers" in messages('item { name: "x" label: 3 }')[0]
    assert "has no layers" in messages("")[0]


def test_recognizes_texts() -> None:
    for text in ("# x\nname: 'a'", "layer { }", "input : 'x'", "layers{", "\n  input_dim: 1"):
        assert may_be_prototxt(Source("<stdin>", text)), text
    for text in ("net a { input x: 3x4x5 }", "module name(x) { }", "import layer", ""):
        assert not may_be_prototxt(Source("<stdin>", text)), text
    assert may_be_prototxt(Source("a.prototxt", ""))
    assert not may_be_prototxt(Source("layer.net", "layer { }"))


def test_other_encodings_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.prototxt"
    path.write_bytes("# 卷积\n".encode("gbk") + after("3x8x8", "ReLU").encode())
    assert netspec.load(path).name == "a"
    path.write_bytes(b"\xef\xbb\xbf" + after("3x8x8", "ReLU").encode().replace(b"\n", b"\r\n"))
    assert netspec.load(path).name == "a"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        text = after("3x8x8", "ReLU") + "# 卷积"
        marked = text if encoding == "utf-16" else "\ufeff" + text
        path.write_bytes(marked.encode(encoding))
        assert netspec.load(path).name == "a"


def test_a_file_is_called_by_its_folder_from_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tiny-yolo"
    folder.mkdir()
    (folder / "deploy.prototxt").write_text(after("3x8x8", "ReLU"))
    monkeypatch.chdir(folder)
    assert netspec.load("deploy.prototxt").name == "tiny_yolo"
    assert netspec.load(folder / "deploy.prototxt").name == "tiny_yolo"


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deploy.prototxt"
    path.write_text(
        after("3x8x8", "Convolution convolution_param { num_output: 4 kernel_size: 3 }")
    )
    assert main(["check", str(path)]) == 0
    assert main(["table", str(path), "--format", "csv"]) == 0
    assert main(["compile", str(path), "-o", "-"]) == 0
    assert "class" in capsys.readouterr().out
    assert main(["convert", str(path), "-o", str(tmp_path / "a.net")]) == 0
    assert main(["check", str(tmp_path / "a.net")]) == 0
    assert main(["convert", str(path), "-o", "-", "--input", "data=3x9x9", "--phase", "train"]) == 0
    assert "input data: 3x9x9" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "a.net"), "-o", "-"]) == 1
    assert "is no prototxt" in capsys.readouterr().err
    before = path.read_text()
    assert main(["fmt", str(path)]) == 1
    assert "`netspec convert" in capsys.readouterr().err
    assert path.read_text() == before
