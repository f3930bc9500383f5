"""Solvers: the train block that they become, and what they say that it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.convert import convert
from netspec.importers.convert import ConvertedSpec
from netspec.ops.normalization import BatchNorm

from ...helpers import net_of as net_of_spec
from .helpers import net_of

SHARED = Path(__file__).parents[4] / "shared" / "data"
LF = "\n"
DATA = """
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 24 mirror: true } data_param { source: "x" batch_size: 32 } }
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 24 } data_param { source: "x" batch_size: 7 } }
"""
NET = (
    DATA
    + """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }
"""
)


def converted(solver: str, net: str = NET) -> ConvertedSpec:
    diagnostics = Diagnostics()
    source = Source("solver.prototxt", solver)
    result = convert(Source("net.prototxt", net), {}, diagnostics, source)
    assert result is not None, [d.message for d in diagnostics]
    return result


def block(solver: str, net: str = NET) -> dict[str, str]:
    """The fields of the train block, none for no block."""
    text = converted(solver, net).text
    net_of_spec(text)
    if "train {" not in text:
        return {}
    inside = text.split("train {")[1].split("}")[0].split()
    pairs = " ".join(inside).replace(": ", ":").split(" ")
    return {p.partition(":")[0]: p.partition(":")[2] for p in pairs if ":" in p}


COMMON = {"batch_size": "32", "mirror": "true", "random_crop": "true", "iterations": "1000"}
SOLVERS = {
    "poly": (
        'base_lr: 0.04 lr_policy: "poly" power: 1 momentum: 0.9 weight_decay: 0.0002 iter_size: 4',
        {
            "learning_rate": "0.04",
            "schedule": "poly",
            "power": "1",
            "momentum": "0.9",
            "weight_decay": "0.0002",
            "decay_all": "false",
            "batch_size": "128",
        },
    ),
    "fixed": ("base_lr: 1e-3", {"learning_rate": "0.001", "momentum": "0"}),
    "step": (
        'base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 100 solver_type: NESTEROV',
        {
            "learning_rate": "0.01",
            "schedule": "step",
            "steps": "100",
            "gamma": "0.1",
            "optimizer": "nesterov",
            "momentum": "0",
        },
    ),
    "adam": (
        'base_lr: 0.001 type: "Adam" momentum: 0.8 momentum2: 0.99 clip_gradients: 10',
        {
            "learning_rate": "0.001",
            "optimizer": "adam",
            "momentum": "0.8",
            "beta2": "0.99",
            "clip_norm": "10",
        },
    ),
}


@pytest.mark.parametrize("case", SOLVERS)
def test_fields(case: str) -> None:
    solver, wanted = SOLVERS[case]
    assert block(f"{solver} max_iter: 1000") == {**COMMON, **wanted}


POLICIES = {
    'lr_policy: "inv" gamma: 0.0001 power: 0.75': {
        "schedule": "inv",
        "gamma": "0.0001",
        "power": "0.75",
    },
    'lr_policy: "exp" gamma: 0.999': {"schedule": "exp", "gamma": "0.999"},
    'lr_policy: "sigmoid" gamma: -0.01 stepsize: 500': {
        "schedule": "sigmoid",
        "gamma": "-0.01",
        "steps": "500",
    },
    'type: "AdaGrad"': {"optimizer": "adagrad", "epsilon": "1e-8", "momentum": ""},
    'type: "AdaDelta" momentum: 0.95 delta: 1e-6': {
        "optimizer": "adadelta",
        "rho": "0.95",
        "epsilon": "1e-6",
        "momentum": "",
    },
    'type: "RMSProp" rms_decay: 0.98': {"optimizer": "rmsprop", "rho": "0.98", "momentum": ""},
    "solver_type: RMSPROP": {"optimizer": "rmsprop", "rho": "0.99", "momentum": ""},
    'type: "Adam" delta: 1e-4': {"optimizer": "adam", "epsilon": "0.0001"},
    'weight_decay: 0.01 regularization_type: "L1"': {
        "weight_decay": "0.01",
        "regularization": "l1",
    },
    'weight_decay: 0.01 regularization_type: "L2"': {"weight_decay": "0.01", "regularization": ""},
}


@pytest.mark.parametrize("fields", POLICIES)
def test_policies_and_optimizers(fields: str) -> None:
    found = block(f"base_lr: 0.01 max_iter: 1000 {fields}")
    assert {name: found.get(name, "") for name in POLICIES[fields]} == POLICIES[fields]


TUNED = (
    DATA
    + """
layer { name: "kept" type: "Convolution" bottom: "data" top: "kept"
  param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "uniform" min: -0.05 max: 0.05 }
    bias_filler { type: "constant" value: 1 } } }
layer { name: "bn" type: "BatchNorm" bottom: "kept" top: "bn" batch_norm_param { use_global_stats: true } }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" param { lr_mult: 0 } param { lr_mult: 0 }
  scale_param { bias_term: true filler { value: 2 } bias_filler { value: 0.5 } } }
layer { name: "c" type: "Convolution" bottom: "bn" top: "c" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 bias_filler { value: 0.1 } } }
layer { name: "bn2" type: "BatchNorm" bottom: "c" top: "bn2" }
layer { name: "scale2" type: "Scale" bottom: "bn2" top: "bn2" param { lr_mult: 0 } param { lr_mult: 0 }
  scale_param { bias_term: true } }
layer { name: "d" type: "Convolution" bottom: "bn2" top: "d" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "constant" value: 0.25 } } }
layer { name: "act" type: "PReLU" bottom: "d" top: "act" param { lr_mult: 3 } prelu_param { filler { value: 0.1 } } }
layer { name: "fresh" type: "InnerProduct" bottom: "act" top: "fresh"
  param { lr_mult: 10 decay_mult: 1 } param { lr_mult: 20 decay_mult: 0.5 }
  inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fresh" bottom: "label" top: "loss" }
"""
)


def test_how_single_layers_begin_and_are_trained() -> None:
    """Each factor and filler of the file, layer by layer, in the spec and in the prototxt."""
    solver = "base_lr: 0.1 max_iter: 10 momentum: 0.9 weight_decay: 0.01"
    net = net_of_spec(converted(solver, TUNED).text)
    frozen = {"kept.weight", "kept.bias", "kept_batchnorm.weight", "kept_batchnorm.bias"}
    assert {n for n, (rate, _) in net.multipliers.items() if rate == 0} == {
        *frozen,
        # Such as keep their factors while their statistics move.
        *("bn2.weight", "bn2.bias"),
    }
    assert {n: m for n, m in net.multipliers.items() if m[0]} == {
        "c.weight": (1, 1),
        "c.bias": (2, 0),
        "d.weight": (1, 1),
        "d.bias": (2, 0),
        "d_prelu.weight": (3, 1),
        "fresh.weight": (10, 1),
        "fresh.bias": (20, 0.5),
    }
    ops = {layer.path: layer.op for layer in net.layers}
    assert [n for n, op in ops.items() if getattr(op, "frozen", False)] == [
        "kept",
        "kept_batchnorm",
    ]
    begun = {n: str(t.init) for n, t in net.tensors.items() if t.learnable}
    assert begun["kept.weight"] == "uniform(-0.05, 0.05)"
    assert begun["kept_batchnorm.weight"] == "constant(2)"
    assert begun["kept_batchnorm.bias"] == "constant(0.5)"
    assert (begun["kept.bias"], begun["c.bias"], begun["d.bias"]) == (
        *("constant(1)", "constant(0.1)", "0"),
    )
    assert (begun["d.weight"], begun["d_prelu.weight"]) == ("constant(0.25)", "constant(0.1)")
    assert {op.momentum for op in ops.values() if isinstance(op, BatchNorm)} == {0.001}
    read = net_of(TUNED, input="3x24x24")
    assert {n: r for n, (r, _) in read.multipliers.items()} == {
        n: r for n, (r, _) in net.multipliers.items()
    }


def test_rates_are_no_part_of_a_spec_without_a_training() -> None:
    diagnostics = Diagnostics()
    result = convert(Source("net.prototxt", TUNED), {}, diagnostics)
    assert result is not None
    assert not re.search("mult|frozen|momentum|init", result.text.split("input")[1])
    assert result.notes[-1] == (
        "Left out, since no solver says how the net is trained: lr_mult of kept, scale, scale2, "
        "act, fresh."
    )


@pytest.mark.parametrize("layers", ["param { lr_mult: 1 } param { lr_mult: 2 }", ""])
def test_the_factors_of_most_layers_are_said_once(layers: str) -> None:
    conv = (
        'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" {2}'
        " convolution_param {{ num_output: 4 kernel_size: 3 }} }}\n"
    )
    net = DATA
    for name, bottom in zip("abc", ("data", "a", "b"), strict=True):
        net += conv.format(name, bottom, layers)
    text = " ".join(converted("base_lr: 0.1 max_iter: 10", net).text.split())
    assert text.count("lr_mult: [1, 2]") == bool(layers)
    assert text.count("lr_mult") == bool(layers)


def test_norms_of_a_fork_with_four_blobs() -> None:
    """NVIDIA's Caffe 0.15: factor, shift, mean and variance, of which the last two have rates 0."""
    rates = "param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 0 } param { lr_mult: 0 }"
    norm = (
        f'layer {{ name: "n" type: "BatchNorm" bottom: "c" top: "n" {rates} '
        "batch_norm_param { scale_filler { value: 1 } bias_filler { value: 0 } } }"
    )
    text = NET.replace('layer { name: "loss"', norm + ' layer { name: "loss"')
    body = converted(
        "base_lr: 0.1 max_iter: 9", text.replace('bottom: "c" bottom: "l', 'bottom: "n" bottom: "l')
    ).text
    net = net_of_spec(body)
    assert {n: net.multipliers[n][0] for n in ("c_batchnorm.weight", "c_batchnorm.bias")} == {
        "c_batchnorm.weight": 1,
        "c_batchnorm.bias": 1,
    }


def test_several_steps() -> None:
    solver = (
        'base_lr: 0.01 lr_policy: "multistep" gamma: 0.5 stepvalue: 10 stepvalue: 30 max_iter: 9'
    )
    assert "steps: [10, 30]" in " ".join(converted(solver).text.split())


def test_what_has_no_counterpart_is_remarked() -> None:
    odd = converted('base_lr: 0.01 lr_policy: "plateau" gamma: 0.1 max_iter: 9')
    assert odd.notes[-1] == (
        "The solver's lr_policy plateau (gamma 0.1, power 0) has no counterpart; it is constant."
    )
    assert f"# {odd.notes[-1]}" in odd.text
    assert block('base_lr: 0.01 type: "Shampoo" max_iter: 9') == {}
    assert block("base_lr: 0.01") == {}
    deploy = NET.replace(DATA, 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }')
    assert block("base_lr: 0.01 max_iter: 9", deploy) == {}
    assert "batch size" in converted("base_lr: 0.01 max_iter: 9", deploy).notes[-1]


def test_a_solver_leads_to_its_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train_val.prototxt").write_text(NET)
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net: "models/x/train_val.prototxt" base_lr: 0.1 max_iter: 9')
    assert main(["convert", str(solver), "-o", "-"]) == 0
    assert "learning_rate: 0.1" in " ".join(capsys.readouterr().out.split())
    solver.write_text('net: "/etc/passwd" base_lr: 0.1 max_iter: 9')
    assert main(["convert", str(solver), "-o", "-"]) == 1
    assert "is not beside it" in capsys.readouterr().err
    (tmp_path / "x.pt").write_text(NET)
    solver.write_text('train_net: "models/x.pt" base_lr: 0.1 max_iter: 9')
    assert main(["convert", str(solver), "-o", "-"]) == 0
    assert "train {" in capsys.readouterr().out
    solver.write_text(f"net_param {{ {NET}{LF}}} base_lr: 0.1 max_iter: 9")
    assert main(["convert", str(solver), "-o", "-"]) == 0
    assert "learning_rate: 0.1" in " ".join(capsys.readouterr().out.split())
    net = tmp_path / "train_val.prototxt"
    assert main(["convert", str(net), "--solver", str(net), "-o", "-"]) == 1
    assert "is no solver" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_squeezenets_recipe() -> None:
    """What the authors' files say is what the paper does: 512 pictures a step, poly from 0.04."""
    folder = SHARED / "squeezenet_v1.0"
    found = block(
        (folder / "solver.prototxt").read_text(), (folder / "train_val.prototxt").read_text()
    )
    assert found == {
        "learning_rate": "0.04",
        "schedule": "poly",
        "power": "1",
        "momentum": "0.9",
        "weight_decay": "0.0002",
        "batch_size": "512",
        "iterations": "170_000",
        "init": "xavier(fan_in)",
        "random_crop": "true",
    }


FILLERS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" variance_norm: FAN_OUT } } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 3e-5 } } }
layer { name: "c" type: "Convolution" bottom: "b" top: "c"
  convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "d" type: "Deconvolution" bottom: "c" top: "d"
  convolution_param { num_output: 5 kernel_size: 2 weight_filler { type: "xavier" variance_norm: AVERAGE } } }
layer { name: "e" type: "Convolution" bottom: "d" top: "e"
  convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "bilinear" } } }
layer { name: "f" type: "InnerProduct" bottom: "e" top: "f"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""


def test_fillers_are_how_weights_begin() -> None:
    net = net_of(FILLERS)
    found = {n.removesuffix(".weight"): str(t.init) for n, t in net.tensors.items()}
    assert {n: i for n, i in found.items() if not n.endswith("bias")} == {
        "a": "kaiming(fan_out)",
        "b": "normal(3e-05)",
        "c": "xavier(fan_in)",
        "d": "xavier",
        "e": "bilinear",
        "f": "xavier(fan_in)",
    }


def test_msra_is_said_where_a_linear_layer_would_begin_otherwise() -> None:
    layers = (DATA + FILLERS.split("\n", 2)[2]).replace(
        'type: "xavier" }', 'type: "msra" variance_norm: FAN_IN }'
    )
    text = converted('base_lr: 1 max_iter: 5 lr_policy: "fixed" momentum: 0.9', layers).text
    assert " ".join(text.split()).count("init: kaiming ") == 1
    tensors = net_of_spec(text).tensors
    assert str(tensors["f.weight"].init) == str(tensors["c.weight"].init) == "kaiming"
    assert tensors["f.bias"].init == 0


def test_what_most_layers_begin_as_is_said_once() -> None:
    text = converted(
        'base_lr: 1 max_iter: 5 lr_policy: "fixed" momentum: 0.9', DATA + FILLERS.split("\n", 2)[2]
    ).text
    assert text.count("xavier(fan_in)") == 1
    assert "init: xavier(fan_in)" in " ".join(text.split("train {")[1].split("}")[0].split())
    assert "init: kaiming(fan_out)" in text
    # Without a solver's file, a spec does not tell how it is trained.
    diagnostics = Diagnostics()
    bare = convert(Source("net.prototxt", FILLERS), {}, diagnostics)
    assert bare is not None
    assert "init" not in bare.text
