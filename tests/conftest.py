"""What holds for every test, whoever starts the run and however."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """
    Let Ctrl-C mean Ctrl-C, also to the commands that tests start.

    A shell that starts a run in the background has it ignore SIGINT (POSIX, Shell Command Language, 2.11), and so does
    every process below it: a test that interrupts a command would see it go on to its end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
