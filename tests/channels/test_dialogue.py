"""Replies as they come over the wire, in whatever pieces, and what they mean for each of several messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator

import pytest

from notifier.channels.mail.dialogue import MOST, Dialogue
from notifier.channels.mail.envelope import Envelope
from notifier.channels.mail.replies import Reply
from notifier.errors import Refused, TryLater

OK = b"250 ok\r\n"
GO_ON = b"354 go on\r\n"
TAKEN = b"250 2.0.0 taken\r\n"
SENDER = "a@house.example"
# What is written where the server pipelines: one envelope, a message with its end.
DESK, OTHER = (f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{n}@bank.example>\r\nDATA\r\n".encode() for n in ("desk", "other"))
WORDS = b"words\r\n.\r\n"


class Shelf:
    """Where a dialogue finds its envelopes, and what it said of them."""

    def __init__(self, *envelopes: Envelope) -> None:
        self.waiting = deque(envelopes)
        self.back: list[Envelope] = []
        self.has_some_back = asyncio.Event()
        self.is_gone = False
        self.is_open_elsewhere = True

    def next_envelope(self) -> Envelope | None:
        return self.waiting.popleft() if self.waiting else None

    def following(self) -> Envelope | None:
        return self.next_envelope()

    def give_back(self, envelope: Envelope) -> None:
        self.back.append(envelope)
        self.has_some_back.set()

    def has_another(self) -> bool:
        return self.is_open_elsewhere

    def rests(self, dialogue: Dialogue) -> None:
        if dialogue.is_open and (envelope := self.next_envelope()):
            dialogue.begin(envelope)

    def busy(self, error: TryLater) -> None:
        self.back += self.waiting
        self.waiting.clear()

    def gone(self, dialogue: Dialogue) -> None:
        self.is_gone = True


class Wire(asyncio.Transport):
    """
    A connection whose other end says, after each write, the next of its answers, piece by piece. While it is `stuck`,
    nothing that is written leaves it.
    """

    def __init__(self, dialogue: Dialogue, *answers: list[bytes]) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.wrote = asyncio.Event()
        self.is_cut = False
        self.stuck = False
        self._answers = list(answers)
        self._dialogue = dialogue
        dialogue.take_over(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def get_write_buffer_size(self) -> int:
        return len(self.written[-1]) if self.stuck else 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert protocol is self._dialogue

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_cut:
            return
        self.written.append(bytes(data))
        self.wrote.set()
        if self.stuck:
            self._dialogue.pause_writing()
        for piece in self._answers.pop(0) if self._answers else []:
            asyncio.get_running_loop().call_soon(self.say, piece)

    def say(self, piece: bytes) -> None:
        """Let this come from the other end."""
        while piece and not self.is_cut:
            space = self._dialogue.get_buffer(-1)
            some = piece[: len(space)]
            space[: len(some)] = some
            self._dialogue.buffer_updated(len(some))
            piece = piece[len(some) :]

    def flow(self) -> None:
        """What was stuck leaves."""
        self.stuck = False
        self._dialogue.resume_writing()

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        if not self.is_cut:
            self.is_cut = True
            asyncio.get_running_loop().call_soon(self._dialogue.connection_lost, None)


class Talk:
    """A dialogue about some envelopes over such a wire."""

    def __init__(self, *answers: list[bytes], pipelines: bool = True, waiting: int = 0, patience: float = 2.0) -> None:
        self.envelopes = [envelope("desk"), *(envelope("other") for _ in range(waiting))]
        self.shelf = Shelf(*self.envelopes[1:])
        self.dialogue = Dialogue(self.shelf, timeout=5, after_dot=5, pipelines=pipelines, patience=patience)
        self.wire = Wire(self.dialogue, *answers)
        self.dialogue.begin(self.envelopes[0])

    async def ends(self) -> list[Reply | BaseException]:
        """How each of the envelopes ended."""
        async with asyncio.timeout(4):
            return await asyncio.gather(*(envelope.ended for envelope in self.envelopes), return_exceptions=True)

    async def end(self, number: int = 0) -> Reply | BaseException:
        """How one of them ended."""
        async with asyncio.timeout(4):
            (end,) = await asyncio.gather(self.envelopes[number].ended, return_exceptions=True)
        return end

    async def wrote(self, number: int) -> None:
        """Return once so much was written."""
        async with asyncio.timeout(4):
            while len(self.wire.written) < number:
                self.wire.wrote.clear()
                await self.wire.wrote.wait()


def envelope(name: str = "desk") -> Envelope:
    return Envelope(SENDER, f"{name}@bank.example", b"words\r\n")


def in_turn(*answers: bytes) -> list[list[bytes]]:
    """Each answer in one piece."""
    return [[answer] for answer in answers]


def told(end: Reply | BaseException) -> tuple[str, bool]:
    """The outcome of an attempt that did not succeed, and whether it is unknown."""
    assert isinstance(end, TryLater)
    return end.outcome, end.unknown


# ---------------------------------------------------------------- replies


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize("pipelines", [True, False])
async def test_a_reply_may_come_in_pieces(size: int, pipelines: bool) -> None:
    """Wherever the network cuts, the same reply is read."""
    whole = b"250-2.0.0 taken over\r\n250-2.0.0 and queued\r\n250 2.0.0 as 7\r\n"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    before = in_turn(OK + OK + GO_ON) if pipelines else in_turn(OK, OK, GO_ON)

    talk = Talk(*before, pieces, pipelines=pipelines)

    assert await talk.end() == Reply(250, "2.0.0 taken over and queued as 7")
    assert talk.wire.written[-1] == WORDS


ENVELOPE = b"250-2.1.0 fine\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"
REFUSED = TAKEN + b"250 ok\r\n550-5.1.1 nobody\r\n550 5.1.1 here\r\n354 go on\r\n"
NOBODY = b"554 5.5.1 no recipients\r\n"
AGAIN = b"250 2.0.0 reset\r\n" + ENVELOPE


@pytest.mark.parametrize(
    "cut", [*range(1, max(map(len, (ENVELOPE, REFUSED, NOBODY, AGAIN)))), None], ids=lambda cut: f"cut {cut}"
)
async def test_a_group_of_replies_may_be_cut_anywhere(cut: int | None) -> None:
    """F21: three messages, the second to nobody: wherever the replies part, or byte by byte, each fares the same."""
    answers = [ENVELOPE, REFUSED, NOBODY, AGAIN, TAKEN]
    cuts = [[answer[:cut], answer[cut:]] if cut else [bytes([byte]) for byte in answer] for answer in answers]

    talk = Talk(*cuts, waiting=2)

    first, second, third = await talk.ends()
    assert (first, third) == (Reply(250, "2.0.0 taken"), Reply(250, "2.0.0 taken"))
    assert isinstance(second, Refused)
    assert second.outcome == "no-such-address"
    assert talk.wire.written == [DESK, WORDS + OTHER, b".\r\n", b"RSET\r\n" + OTHER, WORDS]


async def test_without_pipelining_one_command_waits_for_the_other() -> None:
    """F20: a server that does not advertise it may lose what comes early."""
    talk = Talk(*in_turn(OK, OK, GO_ON, TAKEN) * 2, pipelines=False, waiting=1)

    assert await talk.ends() == [Reply(250, "2.0.0 taken")] * 2
    commands = [line + b"\r\n" for line in DESK.split(b"\r\n")[:-1]]
    assert talk.wire.written[:5] == [*commands, WORDS, f"MAIL FROM:<{SENDER}>\r\n".encode()]


@pytest.mark.parametrize("endless", [b"250-" + b"x" * 100_000, b"250-x\r\n" * 20_000, b"x" * 100_000])
async def test_a_reply_without_end_is_cut_off(endless: bytes) -> None:
    """A server that never stops talking costs 64 KiB at most, and the connection."""
    talk = Talk([endless])

    assert told(await talk.end()) == ("cut-off", False)
    assert talk.wire.is_cut


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"25 ok\r\n", b"250ok\r\n", b"\xff\xfe\r\n"])
async def test_what_is_no_reply_ends_the_attempt(nonsense: bytes) -> None:
    """Something other than a mail server listens there."""
    talk = Talk([nonsense])

    assert told(await talk.end()) == ("cut-off", False)
    assert talk.wire.is_cut


@pytest.mark.parametrize("pipelines", [True, False])
async def test_a_reply_too_many_ends_the_dialogue(pipelines: bool) -> None:
    """It would shift all that follow, and one would be taken for the message's."""
    replies = OK + OK + b"354 go on\r\n250 taken, you see\r\n"
    talk = Talk(*([[replies]] if pipelines else in_turn(OK, OK + OK)), pipelines=pipelines)

    end = await talk.end()

    assert isinstance(end, TryLater)
    assert not end.unknown
    assert talk.wire.is_cut
    assert WORDS not in talk.wire.written


async def test_an_answer_counts_though_the_server_says_goodbye_behind_it() -> None:
    """250 and then 421, in one piece: it was taken, and the connection is over."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN + b"421 4.4.2 closing\r\n"))

    assert await talk.end() == Reply(250, "2.0.0 taken")
    assert not talk.dialogue.is_open


# ---------------------------------------------------------------- how far it got


async def test_a_complaint_in_the_middle_of_the_message_counts() -> None:
    """A server that refuses before the end is out has refused, and gets no dot."""
    talk = Talk(*in_turn(OK + OK + GO_ON))
    talk.wire.stuck = True
    await talk.wrote(2)

    talk.wire.say(b"451 4.3.1 disk full\r\n")

    end = await talk.end()
    assert isinstance(end, TryLater)
    assert "4.3.1 disk full" in str(end)
    assert not end.unknown
    assert talk.wire.is_cut


async def test_a_complaint_instead_of_listening_counts() -> None:
    """354 and at once a refusal: nothing of the message is said."""
    talk = Talk(*in_turn(OK + OK + GO_ON + b"451 4.3.1 disk full\r\n"))

    end = await talk.end()

    assert isinstance(end, TryLater)
    assert "4.3.1 disk full" in str(end)
    assert talk.wire.written == [DESK]


async def test_the_end_is_unknown_only_once_the_dot_is_out() -> None:
    """While the network does not take it the server cannot have it; from then on it can."""
    before, after = Talk(*in_turn(OK + OK + GO_ON)), Talk(*in_turn(OK + OK + GO_ON))
    for talk in (before, after):
        talk.wire.stuck = True
        await talk.wrote(2)

    before.wire.abort()
    after.wire.flow()
    after.wire.abort()

    assert told(await before.end()) == ("cut-off", False)
    assert told(await after.end()) == ("unknown", True)


async def test_a_message_is_unknown_only_if_its_own_dot_was_sent() -> None:
    """The one before it may have arrived; of this one the server has an envelope, and another server may have it."""
    talk = Talk(*in_turn(OK + OK + GO_ON), waiting=1)
    await talk.wrote(2)

    talk.wire.abort()

    assert told(await talk.end(0)) == ("unknown", True)
    assert talk.shelf.back == [talk.envelopes[1]]
    assert talk.envelopes[1].phase == "envelope"


@pytest.mark.parametrize("pipelines", [True, False])
async def test_a_connection_that_ends_before_the_first_answer_is_told(pipelines: bool) -> None:
    """A server that hangs up on every new connection must not be asked in a circle."""
    talk = Talk(pipelines=pipelines)

    talk.wire.abort()

    assert told(await talk.end()) == ("cut-off", False)
    assert talk.shelf.back == []


async def test_a_connection_that_ended_meanwhile_is_not_told() -> None:
    """Once it has served, its end before an answer says nothing of the message: that one goes over another."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN))
    await talk.end()
    late = envelope()
    talk.dialogue.begin(late)

    talk.wire.abort()

    async with asyncio.timeout(4):
        await talk.dialogue.closed()
    assert talk.shelf.back == [late]
    assert not late.ended.done()


async def test_an_end_after_an_answer_to_the_message_is_told() -> None:
    """A server that hangs up on one recipient, always, must not be asked in a circle."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN, OK))
    await talk.end()
    talk.envelopes[0] = envelope()
    talk.dialogue.begin(talk.envelopes[0])
    await talk.wrote(3)
    await asyncio.sleep(0)

    talk.wire.abort()

    assert told(await talk.end()) == ("cut-off", False)
    assert talk.shelf.back == []


async def test_who_waited_behind_a_message_goes_over_another_connection() -> None:
    """Where its answer is long in coming, nobody else waits for it; the connection ends with it."""
    talk = Talk(*in_turn(OK + OK + GO_ON), waiting=1, patience=0.01)
    await talk.wrote(2)
    async with asyncio.timeout(4):
        await talk.shelf.has_some_back.wait()

    talk.wire.say(TAKEN + OK + OK + GO_ON)

    assert await talk.envelopes[0].ended == Reply(250, "2.0.0 taken")
    assert talk.shelf.back == [talk.envelopes[1]]
    assert talk.wire.is_cut
    assert talk.wire.written == [DESK, WORDS + OTHER]


async def test_who_has_no_other_connection_to_go_over_waits() -> None:
    """A server that is slow with everyone is not left for every message."""
    talk = Talk(*in_turn(OK + OK + GO_ON), waiting=1, patience=0.01)
    talk.shelf.is_open_elsewhere = False
    await talk.wrote(2)
    await asyncio.wait([talk.envelopes[0].ended], timeout=0.1)

    talk.wire.say(TAKEN + OK + OK + GO_ON)
    await talk.wrote(3)
    talk.wire.say(TAKEN)

    assert await talk.ends() == [Reply(250, "2.0.0 taken")] * 2


async def test_a_mailbox_that_the_server_cannot_take_does_not_hold_up_the_next() -> None:
    """It is refused where its envelope would have gone out, and another one goes in its place."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN + OK + OK + GO_ON, TAKEN), waiting=1)
    talk.envelopes.insert(1, envelope("büro"))
    talk.shelf.waiting.appendleft(talk.envelopes[1])

    first, refused, last = await talk.ends()

    assert isinstance(refused, Refused)
    assert refused.outcome == "needs-smtputf8"
    assert first == last == Reply(250, "2.0.0 taken")
    assert talk.wire.written == [DESK, WORDS + OTHER, WORDS]


# ---------------------------------------------------------------- goodbyes


async def test_a_server_that_turns_us_away_is_left_alone_by_all() -> None:
    """421: it counts as an attempt for nobody, least of all for those who only waited for this connection."""
    talk = Talk(*in_turn(OK + OK + GO_ON, b"421 4.3.2 shutting down\r\n"), waiting=2)

    ends = [await talk.end(0), await talk.end(1)]

    assert [told(end) for end in ends] == [("throttled", False)] * 2
    assert [(end.scope, end.counts) for end in ends if isinstance(end, TryLater)] == [("route", False)] * 2
    assert talk.shelf.back == [talk.envelopes[2]]
    assert talk.wire.is_cut


async def test_a_goodbye_to_a_connection_that_waited_is_not_told() -> None:
    """The server had tired of waiting as we began to speak; another connection may do."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN))
    await talk.end()
    late = envelope()
    talk.dialogue.begin(late, was_idle=True)

    talk.wire.say(b"421 4.4.2 idle for too long\r\n")

    assert talk.shelf.back == [late]
    assert talk.wire.is_cut


async def test_a_goodbye_while_nothing_is_asked_ends_the_connection() -> None:
    """Nobody is concerned, and nobody hears of it."""
    talk = Talk(*in_turn(OK + OK + GO_ON, TAKEN))
    await talk.end()

    talk.wire.say(b"421 4.4.2 idle for too long\r\n")

    async with asyncio.timeout(4):
        await talk.dialogue.closed()
    assert talk.shelf.is_gone
    assert talk.shelf.back == []


async def test_a_connection_is_used_up_after_a_hundred_messages() -> None:
    """Some servers count."""
    answers = [OK + OK + GO_ON, *[TAKEN + OK + OK + GO_ON] * (MOST - 1), TAKEN]
    talk = Talk(*in_turn(*answers), waiting=MOST)
    for number in range(MOST):
        assert isinstance(await talk.end(number), Reply)

    assert talk.dialogue.is_used_up
    assert not talk.envelopes[MOST].ended.done()


# ---------------------------------------------------------------- who is not waited for


async def test_a_message_that_nobody_waits_for_ends_the_connection() -> None:
    """Its replies are still to come, and would be taken for others'."""
    talk = Talk(*in_turn(OK + OK))

    talk.envelopes[0].ended.cancel()
    talk.dialogue.drop(talk.envelopes[0])

    assert talk.wire.is_cut


async def test_who_gives_up_behind_a_message_does_not_spoil_it() -> None:
    """The connection ends, but not before the answer to the one under way."""
    talk = Talk(*in_turn(OK + OK + GO_ON), waiting=1)
    await talk.wrote(2)

    talk.envelopes[1].ended.cancel()
    talk.dialogue.drop(talk.envelopes[1])
    talk.wire.say(TAKEN + OK + OK + GO_ON)

    assert await talk.end(0) == Reply(250, "2.0.0 taken")
    assert talk.wire.is_cut
    assert talk.wire.written == [DESK, WORDS + OTHER]


# ---------------------------------------------------------------- servers that do not read


@contextlib.asynccontextmanager
async def narrow(dialogue: Dialogue) -> AsyncIterator[socket.socket]:
    """The other end of a real connection that holds little."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    dialogue.take_over(transport)
    try:
        yield theirs
    finally:
        dialogue.abort()
        theirs.close()
        await dialogue.closed()


async def test_a_server_that_stops_reading_has_not_taken_the_message() -> None:
    """F18: what it does not read is held once, and given up after the time for a command."""
    loop, large = asyncio.get_running_loop(), Envelope(SENDER, "desk@bank.example", b"words words words\r\n" * 5_000)
    dialogue = Dialogue(Shelf(), timeout=0.05, after_dot=60, pipelines=True)
    async with narrow(dialogue) as server:
        dialogue.begin(large)
        await loop.sock_recv(server, 1000)
        await loop.sock_sendall(server, OK + OK + GO_ON)

        async with asyncio.timeout(4):
            with pytest.raises(TryLater) as caught:
                await large.ended

    assert told(caught.value) == ("cut-off", False)
    assert "in the middle of the message" in str(caught.value)


async def test_a_server_that_hangs_up_on_a_half_read_message_has_not_taken_it() -> None:
    """It is told at once, and not when the time for a command is over."""
    loop, large = asyncio.get_running_loop(), Envelope(SENDER, "desk@bank.example", b"words words words\r\n" * 5_000)
    dialogue = Dialogue(Shelf(), timeout=60, after_dot=60, pipelines=True)
    async with narrow(dialogue) as server:
        dialogue.begin(large)
        await loop.sock_recv(server, 1000)
        await loop.sock_sendall(server, OK + OK + GO_ON)
        await loop.sock_recv(server, 1000)
        server.shutdown(socket.SHUT_WR)

        async with asyncio.timeout(4):
            with pytest.raises(TryLater) as caught:
                await large.ended

    assert told(caught.value) == ("cut-off", False)


async def test_a_server_that_reads_slowly_is_given_time() -> None:
    """As long as it goes on reading it is not silent, though the whole takes longer than a command may."""
    loop, large = asyncio.get_running_loop(), Envelope(SENDER, "desk@bank.example", b"words words words\r\n" * 5_000)
    dialogue = Dialogue(Shelf(), timeout=0.2, after_dot=60, pipelines=True)
    async with narrow(dialogue) as server:
        began = loop.time()
        dialogue.begin(large)
        await loop.sock_recv(server, 1000)
        await loop.sock_sendall(server, OK + OK + GO_ON)
        read = b""
        while not read.endswith(b"\r\n.\r\n"):
            read += await loop.sock_recv(server, 4096)
            await asyncio.sleep(0.03)
        await loop.sock_sendall(server, TAKEN)

        assert await large.ended == Reply(250, "2.0.0 taken")
        assert loop.time() - began > 0.2
