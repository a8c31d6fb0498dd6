"""Alerts on a terminal."""

from __future__ import annotations

import io

import pytest

from notifier.channels.console import ConsoleChannel
from notifier.errors import TryLater
from tests.channels.messages import message


async def test_an_alert_is_written_whole_with_a_blank_line_after() -> None:
    """Two alerts in a row can be told apart."""
    stream = io.StringIO()
    channel = ConsoleChannel(stream)

    await channel.send(message(text="First alert\n  a line\n"), "stdout")
    await channel.send(message(text="Second alert"), "stdout")

    assert stream.getvalue() == "First alert\n  a line\n\nSecond alert\n\n"


async def test_a_title_does_not_command_the_terminal() -> None:
    """It may not colour, clear, retitle, turn around or ring."""
    stream = io.StringIO()

    await ConsoleChannel(stream).send(message(text="\x1b[2J\x1b]0;x\x07a\u202eb\rc\x9b31m"), "stdout")

    assert stream.getvalue() == "[2J]0;xab\nc31m\n\n"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


async def test_changed_words_are_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red and struck, green and underlined, line by line; the signs stay."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()

    await ConsoleChannel(stream).send(message(text="  | It was [-5 or\n  | so-]{+6+} %."), "stdout")

    assert stream.getvalue() == (
        "  | It was \x1b[31;9m[-5 or\x1b[0m\n  | \x1b[31;9mso-]\x1b[0m\x1b[32;4m{+6+}\x1b[0m %.\n\n"
    )


@pytest.mark.parametrize(("stream", "no_color"), [(Terminal(), "1"), (io.StringIO(), "")], ids=["unwanted", "a file"])
async def test_nothing_is_coloured_elsewhere(
    stream: io.StringIO, no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a file, and where NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", no_color)

    await ConsoleChannel(stream).send(message(text="[-5-]{+6+}"), "stdout")

    assert stream.getvalue() == "[-5-]{+6+}\n\n"


async def test_the_stream_stays_open() -> None:
    """It belongs to whoever handed it in."""
    stream = io.StringIO()
    channel = ConsoleChannel(stream)

    await channel.close()

    assert not stream.closed
    assert await channel.check()


async def test_a_closed_stream_is_told() -> None:
    """A check finds it, and an alert waits for another one."""
    stream = io.StringIO()
    stream.close()

    with pytest.raises(TryLater):
        await ConsoleChannel(stream).check()
    with pytest.raises(TryLater):
        await ConsoleChannel(stream).send(message(), "stdout")
