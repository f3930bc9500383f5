"""Random files: sound ones are read for what they are, broken ones with a diagnostic."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.convert import convert

from .helpers import net_of
from .random_nets import Maker, broken


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_sound_files(seed: int) -> None:
    """The converted spec is the same network (`convert` checks that), with the weights counted here."""
    maker = Maker(seed)
    text = maker.net()
    diagnostics = Diagnostics()
    result = convert(Source("x.prototxt", text), {}, diagnostics)
    assert result is not None, (seed, [d.message for d in diagnostics])
    net = net_of(text)
    assert net.params == maker.params
    # Every tensor is in a blob of its own.
    blobs = [(o.layer, o.index) for o in net.origins.values()]
    assert set(net.origins) == set(net.tensors)
    names = [layer for layer, _ in blobs]
    assert len(blobs) == len(net.tensors)
    assert len(names) >= len(set(names))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_broken_files(seed: int) -> None:
    diagnostics = Diagnostics()
    result = convert(Source("x.prototxt", broken(seed)), {}, diagnostics)
    assert result is not None or diagnostics.failed


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="layer{}<>[]:;,'\"\\-.0x1e#\n tyop", max_size=200))
def test_any_text(text: str) -> None:
    diagnostics = Diagnostics()
    result = convert(Source("x.prototxt", text), {}, diagnostics)
    assert result is not None or diagnostics.failed
