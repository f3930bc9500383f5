"""Whole models: against torch in float64, on any number of threads, in dirty memory."""

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
from netspec_numpy import kernels
from netspec_numpy.cost_model import planned_memory

from netspec.codegen.backend import get, load_model
from netspec.planning.fusion import fuse
from netspec.weights import fresh, write
from tests.backends.nets import net_of, of_layers
from tests.helpers import loaded

from .helpers import Array, close_by_largest, doubles

pytestmark = pytest.mark.slow

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
        result: Array = pytorch.predict(torch.from_numpy(x.astype(np.float64))).numpy()
    return result


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_of_any_size(threads: int) -> None:
    numpy, pytorch, _ = model(threads)
    for batch in (1, 5, 2, 3, 4, 0, 1):
        x = doubles(batch, 3, 35, 31, seed=batch)
        if batch:
            close_by_largest(numpy(x.astype(np.float32)), reference(pytorch, x), False)
            close_by_largest(numpy(x), reference(pytorch, x), True)
        else:
            assert numpy(x).shape == (0, 7)


@pytest.mark.parametrize("threads", [1, 2])
def test_other_sizes_are_planned_anew(threads: int) -> None:
    numpy, pytorch, _ = model(threads)
    for size in ((35, 31), (40, 52), (13, 64), (35, 31)):
        x = doubles(2, 3, *size)
        close_by_largest(numpy(x), reference(pytorch, x), True)


def test_inputs_that_do_not_fit_are_refused() -> None:
    numpy, _, _ = model(2)
    for shape in ((1, 4, 35, 31), (3, 35, 31), (1, 3, 35)):
        with pytest.raises(ValueError, match=r"inputs are N x \(3, 35, 31\), not"):
            numpy(np.zeros(shape, np.float32))
    with pytest.raises(
        ValueError, match=r"made for inputs of .*\(3, 35, 31\).*, got .*\(3, 2, 2\)"
    ):
        numpy(np.zeros((1, 3, 2, 2), np.float32))
    linear = load_model(of_layers("flatten -> linear { units: 3 }", "2x4x4"), get("numpy"))
    with pytest.raises(
        ValueError, match=r"got .*\(2, 5, 5\).*linear\w*.weight is \(3, 32\), not \(3, 50\)"
    ):
        linear(np.zeros((1, 2, 5, 5), np.float32))


def test_inputs_need_not_be_contiguous_or_floats() -> None:
    numpy, pytorch, _ = model(2)
    x = doubles(35, 3, 31, 4).transpose(3, 1, 0, 2)[::2, :, ::-1]
    close_by_largest(numpy(x), reference(pytorch, x), True)
    whole = np.random.default_rng(0).integers(-5, 5, (1, 3, 35, 31))
    close_by_largest(numpy(whole), reference(pytorch, whole), False)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_element_is_written_before_it_is_read(threads: int) -> None:
    numpy, _, _ = model(threads)
    x = doubles(3, 3, 35, 31).astype(np.float32)
    wanted = numpy(x)
    for plans in numpy.plans.values():
        for plan in plans:
            plan.memory[: plan.memory.size // 4 * 4].view(np.float32)[:] = np.nan
    np.testing.assert_array_equal(numpy(x), wanted)


def test_one_model_in_several_threads_and_several_models() -> None:
    models = [model(2, seed=seed) for seed in (3, 4)]
    inputs = [doubles(n, 3, 35, 31, seed=n).astype(np.float32) for n in (1, 2, 3)]
    wanted = [[reference(pytorch, x) for x in inputs] for _, pytorch, _ in models]
    errors: list[BaseException] = []

    def work(which: int) -> None:
        try:
            for iteration in range(6):
                i = (iteration + which) % len(inputs)
                close_by_largest(models[which % 2][0](inputs[i]), wanted[which % 2][i], False)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def run_steps(plan: Any, needs: bool, seed: int) -> None:
    """Run an image's steps in one thread, in a random order that the plan allows.

    Without `needs` in one that need not be allowed.
    """
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
    x = doubles(1, 3, 35, 31)
    wanted = numpy(x)
    ((plan,),) = numpy.plans.values()
    found = np.empty_like(wanted)
    wrong = 0
    for seed in range(40):
        for needs in (True, False):
            plan.memory[: plan.memory.size // 8 * 8].view(np.float64)[:] = np.nan
            plan.image = (x[0], found[0])
            run_steps(plan, needs, seed)
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
    numpy(doubles(1, 3, 24, 24))
    ((plan,),) = numpy.plans.values()
    # The first product overwrites the input, which the other's window may still be at. The second
    # waits for no step since.
    assert [step[0][2][1] for step in plan.steps[:5]] == [0, 1, 2, 1, 4]


def test_one_thread_alone_where_several_are_slower() -> None:
    numpy, _, _ = model(3)
    batches = [doubles(n, 3, 35, 31, seed=n) for n in (2, 4)]  # fewer than threads, and more
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
    x = doubles(1, 3, 35, 31)
    ways: list[bool] = []
    run_threads = numpy.run_threads

    def noted(work: Callable[..., None], alone: bool) -> None:
        ways.append(alone)
        run_threads(work, alone)

    numpy.run_threads = noted
    for _ in range(9):
        numpy(x)
    assert ways[:8] == [False] * 7 + [True]  # who calls but a few times gets all threads
    for slow, quick in ((False, True), (True, False)):
        numpy.seconds = {(False, slow): 9.0, (False, quick): 1e-9}
        numpy(x)
        assert ways[-1] == quick
        # A single slow call changes little: what others did meanwhile may have been the cause.
        assert numpy.seconds[False, quick] == pytest.approx(1.02e-9)


@pytest.mark.parametrize("join", ["add", "sub", "mul", "div", "maximum", "minimum", "concat"])
def test_values_of_other_sizes_are_joined_as_the_language_has_it(join: str) -> None:
    """A height or width of 1 spreads, in what works element by element."""
    text = f"""net n {{ input a: 4x9x9  input b: 4x9x9
      c: conv(a) {{ filters: 4 kernel: 1 }} {join}(c, b) -> relu }}"""
    numpy, pytorch, _ = model(2, text)
    large = doubles(1, 4, 9, 9, seed=1)
    for size in ((1, 4, 4, 9), (1, 4, 1, 9), (1, 4, 9, 1), (1, 4, 1, 1)):
        for inputs in ((doubles(*size), large), (large, doubles(*size))):
            if 4 not in size[2:] and join != "concat":
                with torch.inference_mode():
                    wanted = pytorch(*map(torch.from_numpy, inputs)).numpy()
                close_by_largest(numpy(*inputs), wanted, True)
            else:
                with pytest.raises(ValueError, match=r"made for .* got .*can't (join|combine)"):
                    numpy(*inputs)
    with pytest.raises(ValueError, match="there are 1 and 2 images"):
        numpy(large, doubles(2, 4, 9, 9))


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_inputs_that_are_too_small_are_refused(rounding: str) -> None:
    pool = f"maxpool {{ kernel: 3  stride: 2  round: {rounding} }}"
    numpy = load_model(of_layers(f"conv {{ filters: 4 kernel: 3 }} -> {pool}"), get("numpy"))
    with pytest.raises(ValueError, match="a height or width of 2 is too small for Window"):
        numpy(np.zeros((1, 3, 4, 4), np.float32))


PLAIN = """net plain { input data: 3x9x9  conv { filters: 8 kernel: 3 } -> prelu
  conv { filters: 8 kernel: 3 } -> prelu  maxpool { kernel: 2 stride: 2 round: floor } -> prelu }"""


@pytest.mark.parametrize("text", [SMALL, PLAIN])
def test_results_have_the_type_of_the_input_whatever_the_weights_have(text: str) -> None:
    numpy, pytorch, net = model(2, text)
    numpy.weights = {name: array.astype(np.float64) for name, array in numpy.weights.items()}
    x = doubles(1, *(int(d) for d in net.body.inputs[0].shape))
    for _ in range(4):
        close_by_largest(numpy(x.astype(np.float32)), reference(pytorch, x), False)
        close_by_largest(numpy(x), reference(pytorch, x), True)


def test_weights_that_are_assigned_are_checked() -> None:
    numpy, pytorch, _ = model(1, SMALL.replace("kernel: 5", "kernel: 3 pad: 1"))
    x, weights = doubles(1, 3, 35, 31), dict(numpy.weights)
    close_by_largest(numpy(x), reference(pytorch, x), True)
    numpy.weights = {**weights, "f.c.weight": weights["f.b.weight"]}
    with pytest.raises(ValueError, match=r"f.c.weight is \(9, 5, 1, 1\), not \(9, 5, 3, 3\)"):
        numpy(x)
    numpy.weights = {n: w for n, w in weights.items() if n != "f.b.bias"}
    with pytest.raises(ValueError, match=r"f.b.bias is missing"):
        numpy(x)
    # Tensors that the net does not have are ignored.
    numpy.weights = {**weights, "g.bias": np.ones(18)}
    close_by_largest(numpy(x), reference(pytorch, x), True)


def test_the_same_arrays_under_other_names_are_other_weights() -> None:
    text = """net two { input data: 3x5x5
      a: conv { filters: 3 kernel: 1 } -> relu  b: conv { filters: 3 kernel: 1 } }"""
    numpy, pytorch, _ = model(1, text)
    x = doubles(1, 3, 5, 5)
    close_by_largest(numpy(x), reference(pytorch, x), True)
    names = dict(zip("ab", "ba", strict=True))
    swapped = {f"{names[n[0]]}{n[1:]}": w for n, w in numpy.weights.items()}
    assert list(swapped.values()) == list(numpy.weights.values())
    numpy.weights = swapped
    get("torch").set_weights(pytorch.float(), swapped)
    close_by_largest(numpy(x), reference(pytorch.double(), x), True)


def test_making_a_model_warns_of_nothing() -> None:
    with np.errstate(all="raise"):
        load_model(of_layers("log -> power { exponent: -1 }"), get("numpy"))


def test_new_weights_are_taken() -> None:
    numpy, _, _ = model(2)
    x = doubles(2, 3, 35, 31).astype(np.float32)
    before = numpy(x)
    other, pytorch, _ = model(2, seed=9)
    numpy.weights = other.weights
    close_by_largest(numpy(x), reference(pytorch, x), False)
    assert np.abs(numpy(x) - before).max() > 1e-3


def test_an_error_in_one_thread_ends_the_call() -> None:
    numpy, pytorch, _ = model(2)
    x = doubles(1, 3, 35, 31)
    numpy(x)

    def fail() -> None:
        raise MemoryError

    ((plan,),) = numpy.plans.values()
    calls, _, _ = plan.steps[2][0]
    before = list(calls)
    calls[:] = [fail]
    with pytest.raises(MemoryError):
        numpy(x)
    assert not plan.image, "images are kept no longer than a call"
    calls[:] = before
    close_by_largest(numpy(x), reference(pytorch, x), True)


def test_a_call_ends_when_all_its_threads_have() -> None:
    numpy, _, _ = model(3)
    ended: list[int] = []

    def work(thread: int) -> None:
        if thread < 2:
            raise MemoryError
        time.sleep(0.05)
        ended.append(thread)

    with pytest.raises(MemoryError):
        numpy.run_threads(work, False)
    assert ended == [2]


def test_blas_gets_its_threads_back() -> None:
    numpy, _, _ = model(2)
    if not kernels.openblas():
        pytest.skip("NumPy's BLAS can't be asked for threads")
    threads, _ = kernels.openblas()
    before = threads()
    numpy(doubles(1, 3, 35, 31))
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
    used = plan.memory.nbytes + sum(a.nbytes for a in plan.cache.values())
    assert planned.total == pytest.approx(used, rel=0.05)


@pytest.mark.parametrize("single", [True, False])
def test_weights_in_few_bits_are_expanded(single: bool, tmp_path: Path) -> None:
    numpy, _, net = model(1)
    x = doubles(1, 3, 35, 31).astype(np.float32)
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
