"""What holds for every test, whoever starts the run and however."""

from __future__ import annotations

import signal

import pytest
from hypothesis import is_hypothesis_test, settings

from tests.examples import PROFILE


def pytest_configure() -> None:
    """Have every property test tried as `tests/examples.py` says, and let Ctrl-C mean Ctrl-C."""
    settings.register_profile("notifier", PROFILE)
    settings.load_profile("notifier")
    # A shell that starts a run in the background has it ignore SIGINT (POSIX, Shell Command Language, 2.11), and so
    # does every process below it: a test that interrupts a command would see it go on to its end.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every property test is one of the long run too, where it has many examples."""
    if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
        item.add_marker("long")
