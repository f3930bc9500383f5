"""A trace comes to the net that it was made for."""

from __future__ import annotations

import pytest

from netspec.codegen.tracing import referee
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.codegen.tracing.traces import Traces

from ..backends.nets import net_of

TEXT = """
module part(f, e = 2) {{
  input x
  a: conv {{ filters: e * f  kernel: 1 }} -> relu
  if f > 3 {{ b: conv {{ filters: f  kernel: {kernel}  pad: same }} }}
}}
net t(n = 3, w = 0.5, rows = [[2, 1], [5, 3]]) {{
  input data: {channels}x9x8
  for r in rows {{ k[r[0]]: conv {{ filters: r[0]  kernel: r[1]  pad: same }} }}
  for i in 1..n {{
    p[i]: part {{ f: i + {more} }}
    if i == 2 {{ maxpool {{ kernel: 2  round: floor }} }}
  }}
  q: conv(p[2]) {{ filters: round(w * 6)  kernel: 1 }}
  flatten -> linear {{ units: 4 }}
}}
"""


def test_a_trace_is_that_of_its_net_and_of_no_other() -> None:
    nets = [
        net_of(TEXT.format(kernel=kernel, channels=channels, more=more))
        for kernel, channels, more in ((1, 3, 2), (3, 3, 2), (1, 4, 2), (1, 3, 1))
    ]
    for net in nets:
        trace = Traces().of_net(net)
        assert not trace.restricted
        for other in nets:
            if other is net:
                referee.check(trace, other)
            else:
                with pytest.raises(CannotTrace, match="would not be that of the net"):
                    referee.check(trace, other)
