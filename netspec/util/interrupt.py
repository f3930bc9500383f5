"""Ctrl-C ends the program at once, with status 130 and without a traceback.

An exception would not do: a KeyboardInterrupt while modules are imported leaves half a library, or
is taken by the library for a failure of its own, and none is seen that is raised where Python
ignores exceptions. What has to be done at the end is told to `on_interrupt` instead.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # importing typing takes as long as all else that is done until here
if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = 130
"""What shells report of a program that SIGINT ended."""

_at_end: list[Callable[[], object]] = []
_process = 0


def install() -> None:
    """Let SIGINT end this process, unless whoever started it has it ignored."""
    global _process
    _process = os.getpid()
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


def ignore() -> None:
    """Let SIGINT change nothing any more: the work is done, and the status stands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: object) -> None:
    ignore()
    try:
        # A process that was forked from this one has nothing of its own to do.
        while _at_end and os.getpid() == _process:
            _at_end.pop()()
    finally:
        os._exit(STATUS)


class on_interrupt:
    """Calls a function where Ctrl-C ends the program inside the block; the innermost first."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __enter__(self) -> None:
        _at_end.append(self.function)

    def __exit__(self, *error: object) -> None:
        if self.function in _at_end:
            _at_end.remove(self.function)


class for_parent_only:
    """Processes that are started in the block never get SIGINT: their parent ends them."""

    def __enter__(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            self.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *error: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
