"""Passes: functions from one checked net to the next, one file each."""

from __future__ import annotations

from collections.abc import Callable

from netspec.ir import Net

PIPELINE: tuple[Callable[[Net], Net], ...] = ()
"""What every net goes through, in order."""
