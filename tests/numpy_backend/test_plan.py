"""Plans and their steps: against torch in float64, on any number of threads, in dirty memory."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels
from netspec_numpy.cost_model import planned_memory
from netspec_numpy.fusion import fuse
from netspec_numpy.kernels import Window

from netspec.codegen.backend import get, load_model
from netspec.weights import fresh, write
from tests.backends.nets import net_of, of_layers

from ..helpers import loaded
from .steps import computed

Array = kernels.Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def close(found: Array, wanted: Any, double: bool) -> None:
    """Equal up to rounding, by the largest magnitude."""
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.dtype == (np.float64 if double else np.float32)
    limit = (1e-12 if double else 1e-5) * max(np.abs(wanted).max(initial=0), 1)
    assert np.abs(found - wanted).max(initial=0) <= limit


PADS = st.tuples(*[st.integers(0, 2)] * 4)


def padded(x: Array, pads: tuple[int, ...], value: float = 0.0) -> torch.Tensor:
    top, bottom, left, right = pads
    return F.pad(torch.from_numpy(x), (left, right, top, bottom), value=value)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    channels=st.integers(1, 9),
    filters=st.sampled_from([1, 2, 5, 127, 128, 130, 257]),
    pads=PADS,
    batch=st.integers(1, 3),
    threads=st.integers(1, 3),
    double=st.booleans(),
    relu=st.booleans(),
)
def test_winograd(
    size: tuple[int, int],
    channels: int,
    filters: int,
    pads: tuple[int, ...],
    batch: int,
    threads: int,
    double: bool,
    relu: bool,
) -> None:
    if size[0] + pads[0] + pads[1] < 3 or size[1] + pads[2] + pads[3] < 3:
        return
    x = normal(batch, channels, *size)
    weights = {"c.weight": normal(filters, channels, 3, 3, seed=1), "c.bias": normal(filters)}
    w, b = (torch.from_numpy(a) for a in weights.values())
    wanted = F.conv2d(padded(x, pads), w, b)
    kind = np.float64 if double else np.float32
    found = computed(
        kernels.winograd,
        x.astype(kind),
        "c",
        filters,
        pads,
        weights=weights,
        threads=threads,
        then=kernels.relu if relu else None,
    )
    close(found, F.relu(wanted) if relu else wanted, double)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]),
    groups=st.integers(1, 3),
    pads=PADS,
    threads=st.integers(1, 3),
    double=st.booleans(),
    depthwise=st.booleans(),
)
def test_convolutions(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    pads: kernels.Pads,
    threads: int,
    double: bool,
    depthwise: bool,
) -> None:
    room = [n + sum(p) for n, p in zip(size, (pads[:2], pads[2:]), strict=True)]
    if any(r <= d * (k - 1) for r, d, k in zip(room, dilation, kernel, strict=True)):
        return
    channels = 4 if depthwise else 2 * groups
    groups = 4 if depthwise else groups
    filters = channels if depthwise else 3 * groups
    x = normal(2, channels, *size)
    weights = {
        "c.weight": normal(filters, channels // groups, *kernel, seed=1),
        "c.bias": normal(filters, seed=2),
    }
    w, b = (torch.from_numpy(a) for a in weights.values())
    wanted = F.conv2d(padded(x, pads), w, b, stride, dilation=dilation, groups=groups)
    window = Window(kernel, stride, pads, dilation)
    step: Any = kernels.convolve_depthwise
    args: tuple[Any, ...] = (window,)
    if not depthwise:
        step, args = kernels.convolve_grouped, (filters, window, groups)
        if groups == 1 and dilation == (1, 1):
            step, args = kernels.convolve, (filters, window)
    elif dilation[1] > 1 < stride[1]:
        return
    kind = np.float64 if double else np.float32
    found = computed(step, x.astype(kind), "c", *args, weights=weights, threads=threads)
    close(found, wanted, double)


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 5, 5), (700, 1, 1), (5,)])
@pytest.mark.parametrize("filters", [1, 3, 300])
def test_products(shape: tuple[int, ...], filters: int) -> None:
    x = normal(3, *shape)
    weights = {
        "c.weight": normal(filters, shape[0], *(1 for _ in shape[1:])),
        "c.bias": normal(filters),
    }
    wanted = np.einsum("nc...,fc->nf...", x, weights["c.weight"].reshape(filters, -1))
    bias = weights["c.bias"].reshape(-1, *(1 for _ in shape[1:]))
    wanted += bias
    close(computed(kernels.convolve, x, "c", filters, threads=2, weights=weights), wanted, True)
    cut = computed(
        kernels.convolve, 4 * x, "c", filters, threads=2, weights=weights, then=kernels.relu6
    )
    close(cut, np.clip(4 * wanted - 3 * bias, 0, 6), True)


def test_a_product_with_weights_for_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"c.weight is \(2, 5\), not \(2, 4\)"):
        computed(
            kernels.convolve, normal(1, 4), "c", 2, threads=2, weights={"c.weight": normal(2, 5)}
        )


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(4, 15), st.integers(4, 15)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pad=st.integers(0, 1),
    ceil=st.booleans(),
    include=st.booleans(),
    threads=st.integers(1, 3),
)
def test_poolings(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: int,
    ceil: bool,
    include: bool,
    threads: int,
) -> None:
    x = normal(2, 3, *size)
    pad = min(pad, *(k // 2 for k in kernel))
    pads = (pad, pad, pad, pad)
    wanted = F.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=ceil)
    window = Window(kernel, stride, pads, ceil=ceil)
    close(computed(kernels.pool, x, np.maximum, window, threads=threads), wanted, True)
    mean = F.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil, include)
    found = computed(kernels.avg_pool, x, window, count_include_pad=include, threads=threads)
    close(found, mean, True)


def test_nan_is_the_largest() -> None:
    x = normal(1, 2, 6, 6)
    x[0, 1, 3, 3] = np.nan
    found = computed(kernels.pool, x, np.maximum, Window((3, 3), (2, 2), ceil=True), threads=2)
    assert np.isnan(found[0, 1, 1, 1])
    assert np.isfinite(found[0, 0]).all()


# --- whole models --------------------------------------------------------------------------------

SMALL = """
module fire(s, e) {
  input x
  a: conv(x) { filters: s kernel: 1 } -> relu
  b: conv(a) { filters: e kernel: 1 } -> relu
  c: conv(a) { filters: e kernel: 3 pad: 1 } -> relu
  concat(b, c)
}
net small(classes = 7) {
  input data: 3x35x31
  conv { filters: 12 kernel: 5 stride: 2 } -> relu -> maxpool { kernel: 3 stride: 2 round: ceil }
  fire { s: 4 e: 9 }
  f: fire { s: 5 e: 9 }
  g: conv(f) { filters: 18 kernel: 3 pad: 1 bias: false } -> batchnorm
  add(f, g) -> relu
  conv { filters: 18 kernel: 3 groups: depthwise pad: 1 } -> batchnorm -> relu6
  lrn { size: 3 }
  conv { filters: classes kernel: 1 } -> global_avgpool -> softmax
}
"""


def model(threads: int, text: str = SMALL, seed: int = 3) -> tuple[Any, Any, Any]:
    """A NumPy model with so many threads, and the torch model in float64, of the same weights."""
    net = net_of(text)
    weights = fresh(net.tensors, seed, varied=True)
    numpy, pytorch = get("numpy"), get("torch")
    first: Any = load_model(net, numpy)
    first = type(first)(threads=threads)
    numpy.set_weights(first, weights)
    second: Any = load_model(net, pytorch)
    pytorch.set_weights(second, weights)
    return first, second.double().eval(), net


def reference(pytorch: Any, x: Array) -> Array:
    with torch.inference_mode():
        result: Array = pytorch(torch.from_numpy(x.astype(np.float64))).numpy()
    return result


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_of_any_size(threads: int) -> None:
    numpy, pytorch, _ = model(threads)
    for batch in (1, 5, 2, 3, 4, 0, 1):
        x = normal(batch, 3, 35, 31, seed=batch)
        if batch:
            close(numpy(x.astype(np.float32)), reference(pytorch, x), False)
            close(numpy(x), reference(pytorch, x), True)
        else:
            assert numpy(x).shape == (0, 7)


@pytest.mark.parametrize("threads", [1, 2])
def test_other_sizes_are_planned_anew(threads: int) -> None:
    numpy, pytorch, _ = model(threads)
    for size in ((35, 31), (40, 52), (13, 64), (35, 31)):
        x = normal(2, 3, *size)
        close(numpy(x), reference(pytorch, x), True)


def test_inputs_that_do_not_fit_are_refused() -> None:
    numpy, _, _ = model(2)
    for shape in ((1, 4, 35, 31), (3, 35, 31), (1, 3, 35)):
        with pytest.raises(ValueError, match=r"inputs are N x \(3, 35, 31\), not"):
            numpy(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="no network for inputs of"):
        numpy(np.zeros((1, 3, 2, 2), np.float32))
    linear = load_model(of_layers("flatten -> linear { units: 3 }", "2x4x4"), get("numpy"))
    with pytest.raises(ValueError, match=r"linear\w*.weight is \(3, 32\), not \(3, 50\)"):
        linear(np.zeros((1, 2, 5, 5), np.float32))
    layers = "upsample { scale: 2 mode: nearest }"
    fixed = load_model(of_layers(layers, "2x4x4"), get("numpy"))
    with pytest.raises(ValueError, match="upsample"):
        fixed(np.zeros((1, 2, 5, 5), np.float32))


def test_inputs_need_not_be_contiguous_or_floats() -> None:
    numpy, pytorch, _ = model(2)
    x = normal(35, 3, 31, 4).transpose(3, 1, 0, 2)[::2, :, ::-1]
    close(numpy(x), reference(pytorch, x), True)
    whole = np.random.default_rng(0).integers(-5, 5, (1, 3, 35, 31))
    close(numpy(whole), reference(pytorch, whole), False)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_element_is_written_before_it_is_read(threads: int) -> None:
    numpy, _, _ = model(threads)
    x = normal(3, 3, 35, 31).astype(np.float32)
    wanted = numpy(x)
    for plans in numpy.plans.values():
        for plan in plans:
            plan.memory[: plan.memory.size // 4 * 4].view(np.float32)[:] = np.nan
    np.testing.assert_array_equal(numpy(x), wanted)


def test_one_model_in_several_threads_and_several_models() -> None:
    models = [model(2, seed=seed) for seed in (3, 4)]
    inputs = [normal(n, 3, 35, 31, seed=n).astype(np.float32) for n in (1, 2, 3)]
    wanted = [[reference(pytorch, x) for x in inputs] for _, pytorch, _ in models]
    errors: list[BaseException] = []

    def work(which: int) -> None:
        try:
            for turn in range(6):
                i = (turn + which) % len(inputs)
                close(models[which % 2][0](inputs[i]), wanted[which % 2][i], False)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def in_turns(plan: Any, needs: bool, seed: int) -> None:
    """Run an image's steps in one thread, in any order that the plan allows; or in any at all."""
    chosen = np.random.default_rng(seed)
    done = [0] * plan.threads
    eager = chosen.permutation(plan.threads)  # who goes first as long as it may
    while min(done) < len(plan.steps):
        for thread in eager:
            if done[thread] == len(plan.steps):
                continue
            calls, _, others = plan.steps[done[thread]][thread]
            if not needs or all(done[i] >= steps for i, steps in others.items()):
                break
        for call in calls:
            call()
        done[thread] += 1
        if chosen.random() < 0.2:
            eager = chosen.permutation(plan.threads)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_wait_for_what_they_need(threads: int) -> None:
    numpy, _, _ = model(threads)
    x = normal(1, 3, 35, 31)
    wanted = numpy(x)
    ((plan,),) = numpy.plans.values()
    found = np.empty_like(wanted)
    wrong = 0
    for seed in range(40):
        for needs in (True, False):
            plan.memory[: plan.memory.size // 8 * 8].view(np.float64)[:] = np.nan
            plan.given = (x[0], found[0])
            in_turns(plan, needs, seed)
            if needs:
                np.testing.assert_array_equal(found, wanted)
            else:
                wrong += not np.array_equal(found, wanted)
    assert wrong, "no order would have been wrong"


def test_threads_wait_only_where_windows_reach() -> None:
    text = """net rows { input data: 3x24x24  conv { filters: 8 kernel: 3 pad: 1 }
      conv { filters: 8 kernel: 1 } -> relu  conv { filters: 8 kernel: 1 } -> relu
      conv { filters: 8 kernel: 3 pad: 1 } }"""
    numpy, _, _ = model(2, text)
    numpy(normal(1, 3, 24, 24))
    ((plan,),) = numpy.plans.values()
    # The first product overwrites the input, which the other's window may still be at. The second
    # waits for no step since.
    assert [step[0][2][1] for step in plan.steps[:5]] == [0, 1, 2, 1, 4]


def test_one_thread_alone_where_several_are_slower() -> None:
    numpy, _, _ = model(3)
    batches = [normal(n, 3, 35, 31, seed=n) for n in (2, 4)]  # fewer than threads, and more
    together = [numpy(x) for x in batches]
    for apart, alone in ((a, b) for a in (False, True) for b in (False, True)):
        numpy.seconds[apart, alone] = 0.0 if alone else 1.0
    numpy.calls = 4
    numpy.pool.shutdown()
    for x, wanted in zip(batches, together, strict=True):
        np.testing.assert_array_equal(numpy(x), wanted)
    numpy.calls = 49
    with pytest.raises(RuntimeError, match="shutdown"):
        numpy(batches[0])  # tries whether several are faster by now


def test_the_faster_way_is_found() -> None:
    numpy, _, _ = model(2)
    x = normal(1, 3, 35, 31)
    ways: list[bool] = []
    together = numpy.together

    def noted(work: Callable[..., None], alone: bool) -> None:
        ways.append(alone)
        together(work, alone)

    numpy.together = noted
    for _ in range(9):
        numpy(x)
    assert ways[:8] == [False] * 7 + [True]  # who calls but a few times gets all threads
    for slow, quick in ((False, True), (True, False)):
        numpy.seconds = {(False, slow): 9.0, (False, quick): 1e-9}
        numpy(x)
        assert ways[-1] == quick
        # A single slow call changes little: what others did meanwhile may have been the cause.
        assert numpy.seconds[False, quick] == pytest.approx(1.02e-9)


def test_values_of_other_sizes_are_not_joined() -> None:
    for join in ("add", "concat"):
        text = f"""net n {{ input a: 4x9x9  input b: 4x9x9
          c: conv(a) {{ filters: 4 kernel: 1 }}  {join}(c, b) }}"""
        numpy, _, _ = model(2, text)
        for size in ((1, 4, 4, 9), (1, 4, 1, 9), (1, 4, 1, 1)):
            for inputs in (
                (normal(*size), normal(1, 4, 9, 9)),
                (normal(1, 4, 9, 9), normal(*size)),
            ):
                with pytest.raises(ValueError, match="can't be joined"):
                    numpy(*inputs)
        with pytest.raises(ValueError, match="there are 1 and 2 images"):
            numpy(normal(1, 4, 9, 9), normal(2, 4, 9, 9))


def test_inputs_that_are_too_small_are_refused() -> None:
    numpy = load_model(
        of_layers("conv { filters: 4 kernel: 3 } -> maxpool { kernel: 3 stride: 2 }"), get("numpy")
    )
    with pytest.raises(ValueError, match="a height or width of 2 is too small for Window"):
        numpy(np.zeros((1, 3, 4, 4), np.float32))


PLAIN = """net plain { input data: 3x9x9  conv { filters: 8 kernel: 3 } -> prelu
  conv { filters: 8 kernel: 3 } -> prelu  maxpool { kernel: 2 stride: 2 round: floor } -> prelu }"""


@pytest.mark.parametrize("text", [SMALL, PLAIN])
def test_weights_of_any_type_give_results_of_the_input_s(text: str) -> None:
    numpy, pytorch, net = model(2, text)
    numpy.weights = {name: array.astype(np.float64) for name, array in numpy.weights.items()}
    x = normal(1, *(int(d) for d in net.body.inputs[0].shape))
    for _ in range(4):
        close(numpy(x.astype(np.float32)), reference(pytorch, x), False)
        close(numpy(x), reference(pytorch, x), True)


def test_weights_that_are_assigned_are_looked_at() -> None:
    numpy, pytorch, _ = model(1, SMALL.replace("kernel: 5", "kernel: 3 pad: 1"))
    x, weights = normal(1, 3, 35, 31), dict(numpy.weights)
    close(numpy(x), reference(pytorch, x), True)
    numpy.weights = {**weights, "f.c.weight": weights["f.b.weight"]}
    with pytest.raises(ValueError, match=r"f.c.weight is \(9, 5, 1, 1\), not \(9, 5, 3, 3\)"):
        numpy(x)
    numpy.weights = {n: w for n, w in weights.items() if n != "f.b.bias"}
    with pytest.raises(ValueError, match=r"f.b.bias is missing"):
        numpy(x)
    # What the net knows nothing of changes nothing.
    numpy.weights = {**weights, "g.bias": np.ones(18)}
    close(numpy(x), reference(pytorch, x), True)


def test_the_same_arrays_under_other_names_are_other_weights() -> None:
    text = """net two { input data: 3x5x5
      a: conv { filters: 3 kernel: 1 } -> relu  b: conv { filters: 3 kernel: 1 } }"""
    numpy, pytorch, _ = model(1, text)
    x = normal(1, 3, 5, 5)
    close(numpy(x), reference(pytorch, x), True)
    names = dict(zip("ab", "ba", strict=True))
    swapped = {f"{names[n[0]]}{n[1:]}": w for n, w in numpy.weights.items()}
    assert list(swapped.values()) == list(numpy.weights.values())
    numpy.weights = swapped
    get("torch").set_weights(pytorch.float(), swapped)
    close(numpy(x), reference(pytorch.double(), x), True)


def test_making_a_model_warns_of_nothing() -> None:
    with np.errstate(all="raise"):
        load_model(of_layers("log -> power { exponent: -1 }"), get("numpy"))


def test_new_weights_are_taken() -> None:
    numpy, _, _ = model(2)
    x = normal(2, 3, 35, 31).astype(np.float32)
    before = numpy(x)
    other, pytorch, _ = model(2, seed=9)
    numpy.weights = other.weights
    close(numpy(x), reference(pytorch, x), False)
    assert np.abs(numpy(x) - before).max() > 1e-3


def test_a_error_in_one_thread_ends_the_call() -> None:
    numpy, pytorch, _ = model(2)
    x = normal(1, 3, 35, 31)
    numpy(x)

    def fail() -> None:
        raise MemoryError

    ((plan,),) = numpy.plans.values()
    calls, _, _ = plan.steps[2][0]
    before = list(calls)
    calls[:] = [fail]
    with pytest.raises(MemoryError):
        numpy(x)
    assert not plan.given, "images are let go"
    calls[:] = before
    close(numpy(x), reference(pytorch, x), True)


def test_a_call_ends_when_all_its_threads_have() -> None:
    numpy, _, _ = model(3)
    ended: list[int] = []

    def work(thread: int) -> None:
        if thread < 2:
            raise MemoryError
        time.sleep(0.05)
        ended.append(thread)

    with pytest.raises(MemoryError):
        numpy.together(work, False)
    assert ended == [2]


def test_blas_gets_its_threads_back() -> None:
    numpy, _, _ = model(2)
    if not kernels.openblas():
        pytest.skip("NumPy's BLAS can't be asked for threads")
    threads, _ = kernels.openblas()
    before = threads()
    numpy(normal(1, 3, 35, 31))
    assert threads() == before


@pytest.mark.parametrize("spec", ["squeezenet1_0", "squeezenet1_1", "mobilenet_v2"])
def test_memory_is_as_planned(spec: str) -> None:
    net = loaded(spec)
    numpy: Any = load_model(net, get("numpy"))
    numpy = type(numpy)(threads=1)
    x = np.zeros((1, *(int(d) for d in net.body.inputs[0].shape)), np.float32)
    planned = planned_memory(fuse(net))
    gc.collect()
    tracemalloc.start()
    numpy(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.3 * planned.total
    ((plan,),) = numpy.plans.values()
    used = plan.memory.nbytes + sum(a.nbytes for a in plan.made.values())
    assert planned.total == pytest.approx(used, rel=0.05)


@pytest.mark.parametrize("single", [True, False])
def test_weights_in_few_bits_are_expanded(single: bool, tmp_path: Path) -> None:
    numpy, _, net = model(1)
    x = normal(1, 3, 35, 31).astype(np.float32)
    weights = dict(numpy.weights)
    half = {name: array.astype(np.float16) for name, array in weights.items()}
    write(tmp_path / "half.npz", half)
    numpy.load(tmp_path / "half.npz")
    np.testing.assert_array_equal(numpy.weights["f.a.weight"], half["f.a.weight"])
    small: dict[str, Any] = dict(weights)
    for name, array in weights.items():
        if array.ndim == 4:
            axes = None if single else (1, 2, 3)
            scale = np.asarray(np.abs(array).max(axis=axes) / 127, np.float32)
            small[f"{name}.scale"] = scale
            factors = scale.reshape(-1, 1, 1, 1)
            small[name] = np.rint(array / factors).astype(np.int8)
            weights[name] = small[name] * factors
    write(tmp_path / "small.safetensors", small)
    numpy.load(tmp_path / "small.safetensors")
    assert set(numpy.weights) == set(net.tensors)
    for name, array in weights.items():
        np.testing.assert_allclose(numpy.weights[name], array, rtol=1e-6)
    assert np.isfinite(numpy(x)).all()
    small["f.a.weight.scale"] = np.ones(3, np.float32)
    write(tmp_path / "small.safetensors", small)
    with pytest.raises(ValueError, match=r"f.a.weight.scale is float32 of"):
        numpy.load(tmp_path / "small.safetensors")
