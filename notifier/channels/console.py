"""Alerts written to a terminal, or to whatever text stream stands in for one."""

from __future__ import annotations

import os
import re
from typing import TextIO

from notifier.errors import TryLater
from notifier.message import Message, Receipt, without_controls

FORM = "console.txt"
ADDRESS = "stdout"

# What a template writes of changed words, and their colours: red and struck, green and underlined. The signs stay, for
# those who see no colours and for those who copy.
_CHANGED = re.compile(r"\[-.*?-\]|\{\+.*?\+\}", re.DOTALL)
_DELETED, _INSERTED, _PLAIN = "\x1b[31;9m", "\x1b[32;4m", "\x1b[0m"
_LINE = re.compile(r"(\n *\|? *)")  # a line break with what the next line begins with


class ConsoleChannel:
    """
    Writes each alert to `stream`, whole, without anything in it that a terminal would obey. Changed words are coloured
    on a terminal, unless NO_COLOR is set (no-color.org).
    """

    kind = "console"
    forms: tuple[str, ...] = (FORM,)
    at_once = 1

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def refusal(self, address: str) -> str:
        """The only address here is `stdout`."""
        return "" if address == ADDRESS else f'a console has one address; write console = "{ADDRESS}"'

    def masked(self, address: str) -> str:
        """`stdout`; there is nothing to hide."""
        return ADDRESS

    def place(self, address: str) -> str:
        """There is but one."""
        return ""

    async def send(self, message: Message, address: str) -> Receipt:
        """Write the alert. Raises `TryLater` where the stream takes nothing any more."""
        if self._stream.closed:
            raise TryLater("the console is closed", outcome="console-gone")
        try:
            text = without_controls(message.text(FORM)).rstrip("\n")
            if self._stream.isatty() and not os.environ.get("NO_COLOR"):
                text = _CHANGED.sub(_coloured, text)
            self._stream.write(text + "\n\n")
            self._stream.flush()
        except OSError as error:
            raise TryLater(f"the console cannot be written to: {error.strerror}", outcome="console-gone") from error
        return Receipt("written")

    async def check(self) -> str:
        """A stream is there or it is not."""
        if self._stream.closed:
            raise TryLater("the console is closed", outcome="console-gone")
        return "alerts are written to the console"

    async def close(self) -> None:
        """The stream belongs to whoever handed it in, and stays open."""


def _coloured(changed: re.Match[str]) -> str:
    colour = _DELETED if changed[0].startswith("[") else _INSERTED
    # Line by line, so that no stroke runs through what stands between the lines.
    return colour + _LINE.sub(lambda line: _PLAIN + line[0] + colour, changed[0]) + _PLAIN
