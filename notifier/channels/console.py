"""Alerts written to a terminal, or to whatever text stream stands in for one."""

from __future__ import annotations

from typing import TextIO

from notifier.errors import TryLater
from notifier.message import Message, Receipt, without_controls

FORM = "console.txt"
ADDRESS = "stdout"


class ConsoleChannel:
    """Writes each alert to `stream`, whole, without anything in it that a terminal would obey."""

    kind = "console"
    forms: tuple[str, ...] = (FORM,)

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def refusal(self, address: str) -> str:
        """The only address here is `stdout`."""
        return "" if address == ADDRESS else f'a console has one address; write console = "{ADDRESS}"'

    def masked(self, address: str) -> str:
        """`stdout`; there is nothing to hide."""
        return ADDRESS

    async def send(self, message: Message, address: str) -> Receipt:
        """Write the alert. Raises `TryLater` where the stream takes nothing any more."""
        if self._stream.closed:
            raise TryLater("the console is closed", outcome="console-gone")
        try:
            self._stream.write(without_controls(message.parts[FORM]).rstrip("\n") + "\n\n")
            self._stream.flush()
        except OSError as error:
            raise TryLater(f"the console takes nothing: {error.strerror}", outcome="console-gone") from error
        return Receipt("written")

    async def check(self) -> str:
        """A stream is there or it is not."""
        if self._stream.closed:
            raise TryLater("the console is closed", outcome="console-gone")
        return "alerts are written to the console"

    async def close(self) -> None:
        """The stream belongs to whoever handed it in, and stays open."""
