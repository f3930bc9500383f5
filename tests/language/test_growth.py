"""Cost grows in proportion to the spec. Counted in function calls, which no clock disturbs."""

from __future__ import annotations

from netspec.backend import emit, get

from ..helpers import calls, net_of

BLOCK = (
    "module block(f) { input x\n a: conv { filters: f kernel: 3 pad: 1 } -> relu\n add(a, x) }\n"
)


def spec(layers: int) -> str:
    lines = [
        f"b{i}: block {{ f: 8 }}"
        if i % 2
        else f"c{i}: conv {{ filters: 8 kernel: 1 }} -> batchnorm -> relu"
        for i in range(layers // 3)
    ]
    return BLOCK + "net big { input data: 8x16x16\n" + "\n".join(lines) + "\n}"


def test_checking_grows_in_proportion() -> None:
    net_of(spec(30))  # the grammar is loaded once
    small, large = (calls(lambda n=n: net_of(spec(n))) for n in (1_000, 10_000))  # type: ignore[misc]
    assert large <= 12 * small


def test_emitting_grows_in_proportion() -> None:
    for name in ("torch", "numpy"):
        backend = get(name)
        small_net, large_net = net_of(spec(300)), net_of(spec(3_000))
        emit(net_of(spec(30)), backend)  # what is read once
        small = calls(lambda b=backend, n=small_net: emit(n, b))  # type: ignore[misc]
        large = calls(lambda b=backend, n=large_net: emit(n, b))  # type: ignore[misc]
        assert large <= 12 * small
