"""What the notifier says of its own work on stderr: plain in a pipe, coloured on a terminal, harmless on both."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from notifier.cli.diagnostics import set_up


@pytest.fixture(autouse=True)
def as_before():
    """The logging of this process is put back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("notifier")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def test_a_line_in_a_pipe_is_whole_and_plain(capsys: pytest.CaptureFixture[str]):
    """Time in UTC, level, words: to be searched and parsed."""
    set_up(logging.INFO)

    logging.getLogger("notifier.steps.poll").info("trade: %d new", 1)

    time, level, words = capsys.readouterr().err.strip().split(" ", 2)
    assert abs((datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()) < 60
    assert (level, words.strip()) == ("INFO", "trade: 1 new")


def test_foreign_words_move_no_cursor(capsys: pytest.CaptureFixture[str]):
    """An escape sequence in what a server said does not reach the terminal."""
    set_up(logging.INFO)

    logging.getLogger("notifier").warning("it said %s", "\x1b[2Jgone\x07")

    assert "it said [2Jgone\n" in capsys.readouterr().err


def test_of_libraries_only_warnings_are_heard(capsys: pytest.CaptureFixture[str]):
    """They speak of addresses while they work, also when we are asked to say more."""
    set_up(logging.DEBUG)

    logging.getLogger("mail.log").info("RCPT TO:<desk@bank.example>")
    logging.getLogger("notifier").debug("ours")

    err = capsys.readouterr().err
    assert "ours" in err
    assert "desk@" not in err
