"""Replies as they come over the wire, in whatever pieces."""

from __future__ import annotations

import asyncio

import pytest

from notifier.channels.dialogue import Dialogue
from notifier.channels.replies import Reply
from notifier.errors import TryLater

OK = [b"250 ok\r\n"]
GO_ON = [b"354 go on\r\n"]


class Wire(asyncio.Transport):
    """A connection whose other end says, after each write, the next of its answers, piece by piece."""

    def __init__(self, dialogue: Dialogue, *answers: list[bytes]) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_cut = False
        self._answers = list(answers)
        self._dialogue = dialogue
        dialogue.take_over(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert protocol is self._dialogue

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        for piece in self._answers.pop(0):
            asyncio.get_running_loop().call_soon(self._dialogue.data_received, piece)

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        if not self.is_cut:
            self.is_cut = True
            self._dialogue.connection_lost(None)


async def sent(*answers: list[bytes]) -> tuple[Reply | TryLater, Wire]:
    """How a message ends where the server says this after MAIL, RCPT, DATA, the message, and the dot."""
    dialogue = Dialogue(timeout=5, after_dot=5)
    wire = Wire(dialogue, *answers)
    try:
        return await dialogue.hand_over("a@house.example", "desk@bank.example", b"words\r\n"), wire
    except TryLater as error:
        return error, wire


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
async def test_a_reply_may_come_in_pieces(size: int) -> None:
    """Wherever the network cuts, the same reply is read."""
    whole = b"250-2.0.0 taken over\r\n250-2.0.0 and queued\r\n250 2.0.0 as 7\r\n"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    reply, wire = await sent(OK, OK, GO_ON, [], pieces)

    assert reply == Reply(250, "2.0.0 taken over and queued as 7")
    assert wire.written[2:] == [b"DATA\r\n", b"words\r\n", b".\r\n"]


@pytest.mark.parametrize("endless", [b"250-" + b"x" * 100_000, b"250-x\r\n" * 20_000, b"x" * 100_000])
def test_a_reply_without_end_is_cut_off(endless: bytes) -> None:
    """A server that never stops talking costs 64 KiB at most, and the connection."""
    dialogue = Dialogue(timeout=5, after_dot=5)
    wire = Wire(dialogue)

    dialogue.data_received(endless)

    assert wire.is_cut


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"25 ok\r\n", b"250ok\r\n", b"\xff\xfe\r\n"])
async def test_what_is_no_reply_ends_the_attempt(nonsense: bytes) -> None:
    """Something other than a mail server listens there."""
    error, wire = await sent([nonsense])

    assert isinstance(error, TryLater)
    assert not error.unknown
    assert wire.is_cut


async def test_a_complaint_in_the_middle_of_the_message_counts() -> None:
    """A server that refuses before the end has refused, and gets no dot."""
    error, wire = await sent(OK, OK, GO_ON, [b"451 4.3.1 disk full\r\n"])

    assert isinstance(error, TryLater)
    assert "4.3.1 disk full" in str(error)
    assert not error.unknown
    assert wire.written[-1] == b"words\r\n"
    assert wire.is_cut
