"""Limits of work, counted in work: a busy machine does not change them."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

HANG = 60.0  # seconds of this process's own CPU after which a test is given up


def calls(of: Callable[[], object]) -> int:
    """How many functions are called, in Python and in C, until this one has returned."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        of()
    finally:
        sys.setprofile(before)
    return counted


@contextlib.contextmanager
def ends() -> Iterator[None]:
    """Give up what does not end: work that grows with the square of its input would take minutes here."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {HANG:.0f} s of CPU")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
