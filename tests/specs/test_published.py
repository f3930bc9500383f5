"""The bundled nets beside SqueezeNet itself against what others publish of them.

The figures stand here a second time, apart from the `expect` lines of the specs.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from netspec.driver import bundled

from ..helpers import loaded, one_of_each_text


class Published(NamedTuple):
    input: tuple[int, ...]
    output: tuple[int, ...]
    params: int
    macs: int


IMAGENET = (1000,)

PUBLISHED = {
    # Caffe's bvlc_alexnet: the blobs of its caffemodel, and its layers' shapes.
    "alexnet": Published((3, 227, 227), IMAGENET, 60_965_224, 724_406_816),
    # nin_imagenet of the Caffe model zoo, its last pooling over all of the map.
    "nin": Published((3, 224, 224), IMAGENET, 7_595_176, 1_100_188_800),
    # torchvision.models: sums over parameters(), and hooks on Conv2d and Linear.
    "vgg16": Published((3, 224, 224), IMAGENET, 138_357_544, 15_470_264_320),
    "resnet18": Published((3, 224, 224), IMAGENET, 11_689_512, 1_814_073_344),
    "resnet34": Published((3, 224, 224), IMAGENET, 21_797_672, 3_663_761_408),
    "resnet50": Published((3, 224, 224), IMAGENET, 25_557_032, 4_089_184_256),
    "resnet101": Published((3, 224, 224), IMAGENET, 44_549_160, 7_801_405_440),
    "resnet152": Published((3, 224, 224), IMAGENET, 60_192_808, 11_513_626_624),
    "densenet121": Published((3, 224, 224), IMAGENET, 7_978_856, 2_834_161_664),
    "mobilenet_v2": Published((3, 224, 224), IMAGENET, 3_504_872, 300_774_272),
    "shufflenet_v2": Published((3, 224, 224), IMAGENET, 2_278_604, 144_907_992),
    "resnext50": Published((3, 224, 224), IMAGENET, 25_028_904, 4_230_479_872),
    "wide_resnet50_2": Published((3, 224, 224), IMAGENET, 68_883_240, 11_398_021_120),
    "mobilenet_v3_small": Published((3, 224, 224), IMAGENET, 2_542_856, 56_510_400),
    "mobilenet_v3_large": Published((3, 224, 224), IMAGENET, 5_483_032, 216_589_760),
    "efficientnet_b0": Published((3, 224, 224), IMAGENET, 5_288_548, 385_814_752),
    "efficientnet_b1": Published((3, 240, 240), IMAGENET, 7_794_184, 686_802_832),
    "efficientnet_b2": Published((3, 288, 288), IMAGENET, 9_109_994, 1_087_529_456),
    "efficientnet_b3": Published((3, 300, 300), IMAGENET, 12_233_232, 1_827_141_392),
    "mnasnet1_0": Published((3, 224, 224), IMAGENET, 4_383_312, 314_415_872),
    "regnet_y_400mf": Published((3, 224, 224), IMAGENET, 4_344_144, 401_842_848),
    "efficientnet_b4": Published((3, 380, 380), IMAGENET, 19_341_616, 4_393_771_024),
    "efficientnet_b5": Published((3, 456, 456), IMAGENET, 30_389_784, 10_266_384_752),
    "efficientnet_b6": Published((3, 528, 528), IMAGENET, 43_040_704, 19_067_593_536),
    "efficientnet_b7": Published((3, 600, 600), IMAGENET, 66_347_960, 37_745_884_192),
    "shufflenet_v2_x0_5": Published((3, 224, 224), IMAGENET, 1_366_792, 40_476_448),
    "shufflenet_v2_x1_0": Published((3, 224, 224), IMAGENET, 2_278_604, 144_907_992),
    "shufflenet_v2_x1_5": Published((3, 224, 224), IMAGENET, 3_503_624, 295_759_392),
    "shufflenet_v2_x2_0": Published((3, 224, 224), IMAGENET, 7_393_996, 583_253_464),
    "mnasnet0_5": Published((3, 224, 224), IMAGENET, 2_218_512, 104_455_968),
    "mnasnet0_75": Published((3, 224, 224), IMAGENET, 3_170_208, 215_493_104),
    "mnasnet1_3": Published((3, 224, 224), IMAGENET, 6_282_256, 526_362_432),
    "regnet_y_800mf": Published((3, 224, 224), IMAGENET, 6_432_512, 833_856_256),
    "regnet_y_1_6gf": Published((3, 224, 224), IMAGENET, 11_202_430, 1_612_076_160),
    "regnet_y_3_2gf": Published((3, 224, 224), IMAGENET, 19_436_338, 3_176_482_752),
    "regnet_y_8gf": Published((3, 224, 224), IMAGENET, 39_381_472, 8_473_070_592),
    "regnet_y_16gf": Published((3, 224, 224), IMAGENET, 83_590_140, 15_911_510_272),
    "regnet_y_32gf": Published((3, 224, 224), IMAGENET, 145_046_770, 32_279_552_832),
    "convnext_small": Published((3, 224, 224), IMAGENET, 50_223_688, 8_683_712_256),
    "convnext_base": Published((3, 224, 224), IMAGENET, 88_591_464, 15_354_729_472),
    "convnext_large": Published((3, 224, 224), IMAGENET, 197_767_336, 34_361_433_600),
    "resnext101_32x8d": Published((3, 224, 224), IMAGENET, 88_791_336, 16_414_015_488),
    "resnext101_64x4d": Published((3, 224, 224), IMAGENET, 83_455_272, 15_460_270_080),
    "wide_resnet101_2": Published((3, 224, 224), IMAGENET, 126_886_696, 22_753_050_624),
    "inception_v3": Published(
        # With the auxiliary head; torchvision's hooks do not see it in evaluation.
        (3, 299, 299),
        IMAGENET,
        27_161_264,
        5_713_216_096 + 25 * 768 * 128 + 25 * 128 * 768 + 768 * 1000,
    ),
    "googlenet_torchvision": Published((3, 224, 224), IMAGENET, 6_624_904, 1_498_376_192),
    "convnext_tiny": Published((3, 224, 224), IMAGENET, 28_589_128, 4_455_531_264),
    "deeplabv3_resnet50": Published((3, 520, 520), (21, 520, 520), 39_638_869, 168_731_205_888),
    "alexnet_torchvision": Published((3, 224, 224), IMAGENET, 61_100_840, 714_188_480),
    # timm's legacy_xception (Keras counts the same parameters) and ghostnet_100.
    "xception": Published((3, 299, 299), IMAGENET, 22_855_952, 8_357_403_496),
    "ghostnet": Published((3, 224, 224), IMAGENET, 5_182_508, 141_150_512),
    # See the tests of these nets.
    "unet": Published((1, 572, 572), (2, 388, 388), 31_030_658, 150_428_424_448),
    "yolov3_tiny": Published((3, 416, 416), (255, 13, 13), 8_852_366, 2_782_480_896),
    # Ultralytics' parameters without the 16 fixed distances; it prints 8.7, 28.6, 78.9, 165.2 and
    # 257.8 GFLOPs.
    "yolov8n": Published((3, 640, 640), (144, 80, 80), 3_157_200 - 16, 4_371_456_000),
    "yolov8s": Published((3, 640, 640), (144, 80, 80), 11_166_560 - 16, 14_300_774_400),
    "yolov8m": Published((3, 640, 640), (144, 80, 80), 25_902_640 - 16, 39_467_827_200),
    "yolov8l": Published((3, 640, 640), (144, 80, 80), 43_691_520 - 16, 82_573_721_600),
    "yolov8x": Published((3, 640, 640), (144, 80, 80), 68_229_648 - 16, 128_901_632_000),
    # Caffe's bvlc_googlenet without the layers loss1 and loss2.
    "googlenet": Published((3, 224, 224), IMAGENET, 6_998_552, 1_582_671_872),
    # github.com/shicai/MobileNet-Caffe: filters, factors and shifts.
    "mobilenet_v1": Published((3, 224, 224), IMAGENET, 4_231_976, 568_740_352),
    # github.com/amirgholami/SqueezeNext, 1.0-SqNxt-23: filters, factors and shifts.
    "squeezenext_23": Published((3, 227, 227), IMAGENET, 717_280, 277_999_808),
    "squeezenext_23v5": Published((3, 227, 227), IMAGENET, 909_024, 224_113_664),
    # Its 1.0-G-SqNxt-23 and the two of twice the width.
    "squeezenext_23g": Published((3, 227, 227), IMAGENET, 543_072, 224_191_552),
    "squeezenext_23_w2": Published((3, 227, 227), IMAGENET, 2_571_200, 879_911_296),
    "squeezenext_23v5_w2": Published((3, 227, 227), IMAGENET, 3_341_760, 775_776_256),
    # Variants 2 to 4 of the paper are in no file: what moves blocks leaves their multiplications.
    "squeezenext_23v2": Published((3, 227, 227), IMAGENET, 712_672, 224_113_664),
    "squeezenext_23v3": Published((3, 227, 227), IMAGENET, 726_848, 224_113_664),
    "squeezenext_23v4": Published((3, 227, 227), IMAGENET, 741_024, 224_113_664),
    # github.com/BichenWuUCB/squeezeDet with fire10 and fire11 of the paper.
    "squeezedet": Published((3, 384, 1248), (72, 24, 78), 2_082_120, 5_283_053_568),
    # github.com/alexgkendall/SegNet-Tutorial: filters, biases, factors and shifts.
    "segnet": Published((3, 360, 480), (12, 360, 480), 29_449_932, 106_811_965_440),
    # Paszke et al. 2016 print 0.37M parameters; see the test of the Caffe port. MACs are ours.
    "enet": Published((3, 512, 1024), (19, 512, 1024), 364_311, 3_922_067_456),
}


@pytest.mark.parametrize("spec", PUBLISHED)
def test_totals(spec: str) -> None:
    net = loaded(spec)
    assert not net.warnings
    (value,) = net.body.inputs
    output = net.body.outputs[0]
    assert Published(value.shape, output.shape, net.params, net.macs) == PUBLISHED[spec]


@pytest.mark.parametrize(
    ("spec", "settings", "params", "macs"),
    [
        # torchvision.models.shufflenet_v2_x0_5 and so on.
        ("shufflenet_v2", {"width": 0.5}, 1_366_792, 40_476_448),
        # torchvision.models.mnasnet0_5.
        ("mnasnet1_0", {"width": 0.5}, 2_218_512, 104_455_968),
        # torchvision.models.mobilenet_v2(width_mult=...).
        ("mobilenet_v2", {"width": 0.35}, 1_677_128, 59_285_808),
        ("mobilenet_v2", {"width": 0.5}, 1_968_680, 97_131_840),
        ("mobilenet_v2", {"width": 0.75}, 2_636_424, 209_069_792),
        ("mobilenet_v2", {"width": 1.3}, 5_386_792, 509_374_560),
        ("mobilenet_v2", {"width": 1.4}, 6_108_776, 582_195_824),
    ],
)
def test_other_widths(spec: str, settings: dict[str, Any], params: int, macs: int) -> None:
    net = loaded(spec, **settings)
    assert (net.params, net.macs) == (params, macs)


@pytest.mark.parametrize(
    ("settings", "mega_macs", "mega_params"),
    [
        # Howard et al. 2017, Tables 6 and 7.
        ({"width": 1}, 569, 4.2),
        ({"width": 0.75}, 325, 2.6),
        ({"width": 0.5}, 149, 1.3),
        ({"width": 0.25}, 41, 0.5),
        ({"resolution": 192}, 418, 4.2),
        ({"resolution": 160}, 290, 4.2),
        ({"resolution": 128}, 186, 4.2),
    ],
)
def test_mobilenets_of_the_paper(
    settings: dict[str, Any], mega_macs: int, mega_params: float
) -> None:
    net = loaded("mobilenet_v1", **settings)
    # The paper prints 290.75 as 290.
    assert abs(net.macs / 1e6 - mega_macs) < 1
    assert abs(net.params / 1e6 - mega_params) < 0.05


def test_strides_of_the_paper_make_resnet50_cheaper() -> None:
    """Strides in the first 1x1 convolution: 3.8 * 10^9 (He et al. 2015, Table 1)."""
    saved = 0
    for name in ("layer2_1", "layer3_1", "layer4_1"):
        layers = {f.path: f for f in loaded("resnet50").layers}
        first, second = layers[f"{name}.conv1"], layers[f"{name}.conv2"]
        assert second.op.stride == (2, 2)  # type: ignore[attr-defined]
        saved += first.macs - first.macs // 4
    assert round((loaded("resnet50").macs - saved) / 1e9, 2) == 3.86


def test_auxiliary_classifiers_are_what_googlenet_lacks() -> None:
    """Caffe's train_val.prototxt: average of 4x4, a 1x1 convolution, two linear layers each."""
    layers = {f.path: f for f in loaded("googlenet").layers}
    whole = loaded("googlenet").params
    for tapped in ("inception_4a.concat_1", "inception_4d.concat_1"):
        channels = int(layers[tapped].outputs[0].shape[0])
        whole += (channels + 1) * 128 + (128 * 4 * 4 + 1) * 1024 + (1024 + 1) * 1000
    assert whole == 13_378_280


def test_a_port_of_enet_differs_by_what_it_does_otherwise() -> None:
    """github.com/TimoSaemann/ENet, enet_deploy.prototxt: 372,551 filters, biases, factors, shifts.

    A 1x1 convolution with a batch norm widens the pooled maps, and transposed convolutions that
    go with unpooling are 2x2.
    """
    net = loaded("enet")
    widened = sum(a * b + 2 * b for a, b in ((16, 64), (64, 128)))
    transposed = [
        f for f in net.layers if f.op.keyword == "conv_transpose" and f.path != "fullconv"
    ]
    assert [f.inputs[0].shape[0] for f in transposed] == [16, 4]
    smaller = sum((3 * 3 - 2 * 2) * n * n for n in (16, 4))
    assert net.params + widened - smaller == 372_551
    assert round(net.params / 1e6, 2) in (0.36, 0.37)


def test_heads_that_serve_training() -> None:
    """torchvision's figures without the auxiliary head of Inception v3, with those of GoogLeNet."""
    assert loaded("inception_v3", aux=False).params == 23_834_568
    assert loaded("inception_v3", aux=False).macs == 5_713_216_096
    assert loaded("googlenet_torchvision", aux=True).params == 13_004_888


def test_numbers_in_the_weights_file_of_yolov3_tiny() -> None:
    """yolov3-tiny.weights has 35,434,956 bytes, 20 of them a header; 5.571 billion operations."""
    net = loaded("yolov3_tiny")
    assert 4 * sum(t.size for t in net.tensors.values()) + 20 == 35_434_956
    # Darknet counts two for a multiplication, and nothing else of weight.
    assert abs(2 * net.macs / 1e9 - 5.571) < 0.01


def test_convolutions_and_maps_of_unet() -> None:
    """23 convolutional layers (Ronneberger et al. 2015, section 2), maps of Figure 1."""
    net = loaded("unet")
    ops = [f.op.keyword for f in net.layers]
    assert ops.count("conv") + ops.count("conv_transpose") == 23
    up = [f.outputs[0].shape[1:] for f in net.layers if f.path.endswith(".middle")]
    assert up == [(56, 56), (104, 104), (200, 200), (392, 392)]
    padded = loaded("unet", pad=1, size=256)
    assert padded.body.outputs[0].shape == (2, 256, 256)
    assert padded.params == net.params


@pytest.mark.parametrize(
    ("spec", "more", "published"),
    [
        ("squeezenext_23", 0, 724_056),
        # There, the first convolution stays 7x7; the authors' prototxt says 5.
        ("squeezenext_23v5", (49 - 25) * 3 * 64, 921_816),
    ],
)
def test_squeezenexts_of_imgclsmob(spec: str, more: int, published: int) -> None:
    """github.com/osmr/imgclsmob, whose layers all have biases."""
    net = loaded(spec)
    biases = sum(f.outputs[0].shape[0] for f in net.layers if f.op.keyword in ("conv", "linear"))
    assert net.params + biases + more == published


def test_batch_norm_takes_the_place_of_biases_in_squeezenet() -> None:
    plain, normed = loaded("squeezenet1_1"), loaded("squeezenet1_1_bn")
    convs = [f for f in plain.layers if f.op.keyword == "conv" and f.path != "conv10"]
    assert normed.params == plain.params + sum(f.outputs[0].shape[0] for f in convs)
    assert normed.macs == plain.macs


def fire(channels: int, s1x1: int, e1x1: int, e3x3: int) -> int:
    """Parameters of a Fire module: filters and biases of three convolutions."""
    return (channels + 1) * s1x1 + (s1x1 + 1) * e1x1 + (9 * s1x1 + 1) * e3x3


def test_nets_for_small_pictures_are_made_of_fire_modules() -> None:
    digits = (9 + 1) * 16 + fire(16, 8, 16, 16) + fire(32, 16, 32, 32) + (64 + 1) * 10
    assert loaded("squeezenet_digits").params == digits
    cifar = (27 + 1) * 64 + (384 + 1) * 10
    channels = 64
    for squeeze in (16, 16, 32, 32, 48, 48):
        cifar += fire(channels, squeeze, 4 * squeeze, 4 * squeeze)
        channels = 8 * squeeze
    assert loaded("squeezenet_cifar").params == cifar


@pytest.mark.parametrize("spec", bundled())
def test_every_spec_has_its_source_and_its_figures(spec: str) -> None:
    assert spec in PUBLISHED or spec.startswith("squeezenet")
    net = loaded(spec)
    assert re.search(r"[A-Z]\w+(| et al\.| and [A-Z]\w+), \d{4}, ", " ".join(net.doc.split()))
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|NIPS", net.doc)
    text = bundled()[spec].read_text(encoding="utf-8")
    assert "expect params ==" in text
    assert "expect macs ==" in text or "bypass" in spec


@pytest.mark.parametrize("spec", one_of_each_text())
def test_classes_can_be_set(spec: str) -> None:
    classes = 1 if spec == "unet" else 2
    net, small = loaded(spec), loaded(spec, classes=classes)
    assert not small.warnings
    before, after = net.body.outputs[0], small.body.outputs[0]
    detectors = {
        "squeezedet": 9 * (4 + 1 + 2),
        "yolov3_tiny": 3 * (4 + 1 + 2),
        "yolov8n": 4 * 16 + 2,
    }
    assert after.shape[0] == detectors.get(spec, classes)
    assert after.shape[1:] == before.shape[1:]
    assert small.params < net.params
