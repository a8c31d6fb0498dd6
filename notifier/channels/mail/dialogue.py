"""
One mail transaction after another over a connection that is open, secured and logged in.

It is ours, and not the mail library's, for two reasons. An end of the connection means three different things before
the message, after its last line, and in between, and only whoever speaks the commands knows where it stood. And a
server that takes several commands in one go (PIPELINING, RFC 2920) is told of the next message together with the last
line of the one before, so that a message costs one journey to the server and back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, Protocol

from notifier.channels.mail.envelope import Errand, untried
from notifier.channels.mail.replies import Reply, Stage, judged
from notifier.channels.mail.reply_parser import Answers, whole
from notifier.errors import Refused, TryLater

MOST = 100  # messages over one connection; some servers count
PATIENCE = 2.0  # seconds that a message waits behind another's answer before it goes over another connection
LEAVE = 2.0  # seconds to wait for the answer to QUIT
LOOK = 1.0  # seconds between looks at what is late

# What a reply may be to. `void` is the end of a message that goes to nobody.
Asked = Literal["RSET", "MAIL", "RCPT", "DATA", "message", "void", "QUIT"]


class Desk(Protocol):
    """Where a dialogue gets its errands, and tells how it stands."""

    def next_errand(self) -> Errand | None:
        """Another message to send, None when none waits."""
        ...

    def following(self) -> Errand | None:
        """Another message to send behind one that is not answered yet, None where it would better wait."""
        ...

    def give_back(self, errand: Errand) -> None:
        """Nothing of this errand can have been taken; it may go over another connection."""
        ...

    def has_another(self) -> bool:
        """Could another connection take an errand now?"""
        ...

    def rests(self, dialogue: Dialogue) -> None:
        """The dialogue has nothing to do."""
        ...

    def busy(self, error: TryLater) -> None:
        """The server asks us to go away for now."""
        ...

    def gone(self, dialogue: Dialogue) -> None:
        """The connection has ended."""
        ...


class Dialogue(asyncio.BufferedProtocol):
    """
    The client's side of SMTP (RFC 5321) from the first MAIL on; one recipient a message.

    Where the server `pipelines`, an envelope goes out in one write, and together with the message before it; every
    reply is checked all the same. Where it does not, one command waits for the answer to the other. A message whose
    recipient is beyond ASCII needs a server that `takes_utf8` (RFC 6531), and is refused before anything is sent where
    it does not.
    """

    def __init__(
        self,
        desk: Desk,
        timeout: float,
        after_dot: float,
        *,
        pipelines: bool = False,
        takes_utf8: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self.rested_at = 0.0  # by the loop's clock; the desk's to write
        self._desk = desk
        self._timeout = timeout
        self._after_dot = after_dot
        self._pipelines = pipelines
        self._takes_utf8 = takes_utf8
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._left = MOST
        self._space = memoryview(bytearray(8192))  # for what comes in
        self._answers = Answers()
        # What is under way: the replies that must come, the commands that wait for them, the errand that they are
        # about, and the one whose envelope went out behind its last line.
        self._asked: deque[Asked] = deque()
        self._unsaid: deque[tuple[Asked, str]] = deque()
        self._current: Errand | None = None
        self._next: Errand | None = None
        self._error: TryLater | Refused | None = None  # what the current one will end with
        self._needs_reset = False
        self._is_fresh = True  # no errand has ended here
        self._was_idle = False  # before the current errand
        self._is_ending = False  # after the current errand, since what is sent of the next must not be gone on with
        self._is_leaving = False
        self._is_over = False  # we have ended it
        # One timer that looks what is late, instead of one for each reply.
        self._timer: asyncio.TimerHandle | None = None
        self._every = min(timeout, after_dot, patience, LOOK)
        self._deadline = 0.0
        self._body_at = 0.0
        self._is_full = False  # the transport holds bytes that the network does not take
        self._held = 0  # so many, when last looked at

    # ---------------------------------------------------------------- for the desk

    def take_over(self, transport: asyncio.Transport) -> None:
        """Speak over this transport from here on."""
        # So that "written" means out of our hands. Not 0: asyncio's TLS would then hold an empty buffer for a full one.
        transport.set_write_buffer_limits(high=1)
        transport.set_protocol(self)
        self._transport = transport

    @property
    def is_open(self) -> bool:
        """Can another message be tried on this connection?"""
        return self._is_connected() and not self._is_leaving

    @property
    def is_used_up(self) -> bool:
        """Has it carried so many messages that another connection should take its place?"""
        return self._left <= 0

    def begin(self, errand: Errand, *, was_idle: bool = False) -> None:
        """Send this message. The dialogue must rest; `was_idle` where it has for some time."""
        self._was_idle = was_idle
        self._current = self._fitting(errand)
        if self._current is None:
            self._desk.rests(self)
        else:
            self._write(self._envelope(self._current))

    def drop(self, errand: Errand) -> None:
        """
        Nobody waits for this errand any more. What the server was told of it cannot be untold, and a reply must not be
        taken for the answer to something else, so the connection ends: at once, or with the answer to the message
        before it.
        """
        if errand is self._current:
            self.abort()
        elif errand is self._next:
            self._next, self._is_ending = None, True

    def leave(self) -> None:
        """Take leave (QUIT) and close; silence is waited for no longer than two seconds. The dialogue must rest."""
        if self.is_open:
            self._is_leaving = True
            self._timeout = min(self._timeout, LEAVE)
            self._asked.append("QUIT")
            self._write(b"QUIT\r\n")
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once, whatever was under way."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return once the connection is gone."""
        await self._closed.wait()

    # ---------------------------------------------------------------- what we say

    def _is_connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _fitting(self, errand: Errand | None) -> Errand | None:
        """This errand, or the next one that this server can take."""
        while errand is not None and errand.needs_utf8 and not self._takes_utf8:
            told = "the mail server takes no address beyond ASCII (no SMTPUTF8)"
            errand.fail(Refused(told, outcome="needs-smtputf8"))
            errand = self._desk.next_errand()
        return errand

    def _envelope(self, errand: Errand) -> bytes:
        """What begins this errand: all of it where the server pipelines, else its first command."""
        errand.phase = "envelope"
        self._left -= 1
        mail = f"MAIL FROM:<{errand.sender}>{' SMTPUTF8' if errand.needs_utf8 else ''}\r\n"
        rcpt = f"RCPT TO:<{errand.recipient}>\r\n"
        if self._pipelines and not self._needs_reset:
            self._asked += ("MAIL", "RCPT", "DATA")
            return f"{mail}{rcpt}DATA\r\n".encode()
        if self._needs_reset:
            self._unsaid.append(("RSET", "RSET\r\n"))
            self._needs_reset = False
        self._unsaid += (("MAIL", mail), ("RCPT", rcpt), ("DATA", "DATA\r\n"))
        return self._said()

    def _said(self) -> bytes:
        said = ""
        while self._unsaid and (self._pipelines or not self._asked):
            asked, command = self._unsaid.popleft()
            self._asked.append(asked)
            said += command
        return said.encode()

    def _look_first(self) -> None:
        """
        The server wants the message. If it hung up or complained right after, it has not taken the message over, and
        the loop gets one look at the socket while that can still be told: two turns, since the first one's events were
        there before.
        """
        self._loop.call_soon(self._loop.call_soon, self._send_body)

    def _send_body(self) -> None:
        """The whole message, and behind its last line the envelope of the next one."""
        errand = self._current
        if errand is None or not self._is_connected():
            return
        if errand.ended.done():  # cancelled this very moment
            self.abort()
            return
        self._asked.append("message")
        said = errand.data + b".\r\n"
        if self._pipelines and self._left > 0:
            self._next = self._fitting(self._desk.following())
            if self._next is not None:
                said += self._envelope(self._next)
        self._body_at = self._loop.time()
        self._write(said)
        if not self._is_full:
            errand.phase = "dot"
            self._wait_on()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        self._wait_on()

    # ---------------------------------------------------------------- what they answer

    def _answered(self, asked: Asked, code: int, lines: list[bytes]) -> None:
        """The server has answered the oldest of what it was asked."""
        if code == 421:
            self._turned_away(asked, whole(lines))
        elif asked == "message":
            self._message_ended(code, lines)
        elif asked in {"MAIL", "RCPT", "DATA"}:
            self._envelope_answered(asked, code, lines)
        elif asked == "void":
            self._go_on()
        elif asked == "QUIT":
            self.abort()
        elif self._unsaid:
            self._write(self._said())

    def _envelope_answered(self, asked: Asked, code: int, lines: list[bytes]) -> None:
        errand = self._current
        if errand is None:
            return
        errand.was_heard = True
        is_last = asked == "DATA"
        if self._error is None and code // 100 != (3 if is_last else 2):
            self._error = judged(whole(lines), _stage(asked), errand.recipient)
        if self._error is None:
            if is_last:
                errand.phase = "body"
                self._look_first()
            elif self._unsaid:
                self._write(self._said())
        elif is_last or self._unsaid:
            self._envelope_refused(errand, self._error, wants_body=is_last and code // 100 == 3)

    def _envelope_refused(self, errand: Errand, error: Exception, *, wants_body: bool) -> None:
        self._unsaid.clear()
        self._needs_reset = True
        self._finished()
        errand.fail(error)
        if wants_body:
            # The server asks for a message to nobody, and shall have none (RFC 2920, 3.1).
            self._asked.append("void")
            self._write(b".\r\n")
        else:
            self._go_on()

    def _message_ended(self, code: int, lines: list[bytes]) -> None:
        errand = self._current
        if errand is None:
            return
        self._finished()
        if code // 100 != 2:
            errand.fail(judged(whole(lines), "message", errand.recipient))
        elif not errand.ended.done():
            errand.ended.set_result(whole(lines))
        self._go_on()

    def _finished(self) -> None:
        self._current, self._error = None, None
        self._is_fresh = self._was_idle = False

    def _go_on(self) -> None:
        """To the errand whose envelope is out already, or to another one, or to rest."""
        if self._is_ending:
            self.abort()
        elif self._next is not None:
            self._current, self._next = self._next, None
        else:
            self._desk.rests(self)

    def _turned_away(self, asked: Asked, reply: Reply) -> None:
        """421: the server closes. Who was to go over this connection, or waits for one, need not try yet."""
        errand, following = self._current, self._next
        self._current = self._next = None
        if errand is not None and self._was_idle and self._is_untouched(errand):
            # It was on its way before we said anything: this connection has waited too long, and another may do.
            self._desk.give_back(errand)
        elif errand is not None:
            error = judged(reply, _stage(asked), errand.recipient)
            if isinstance(error, TryLater):
                error.scope, error.counts = "route", False
                self._desk.busy(error)
                if following is not None:
                    following.fail(untried(error))
            errand.fail(error)
        self.abort()

    # ---------------------------------------------------------------- what is late

    def _wait_on(self) -> None:
        """Give the server its time for what it is to answer next."""
        is_after_dot = self._current is not None and self._current.phase == "dot"
        self._deadline = self._loop.time() + (self._after_dot if is_after_dot else self._timeout)
        if self._timer is None:
            self._timer = self._loop.call_later(self._every, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._asked and self._current is None:
            return
        now = self._loop.time()
        self._look_at_progress(now)
        if now >= self._deadline:
            self.abort()
            return
        if self._next is not None and now - self._body_at > self._patience and self._desk.has_another():
            # The answer to the message before it is long in coming, and nobody need wait for another's.
            moved, self._next, self._is_ending = self._next, None, True
            self._desk.give_back(moved)
        self._timer = self._loop.call_later(self._every, self._look)

    def _look_at_progress(self, now: float) -> None:
        """A server that reads slowly has its time as long as it reads, up to that for the final dot."""
        if self._transport is not None and self._is_full:
            held = self._transport.get_write_buffer_size()
            if held != self._held:
                self._held = held
                self._deadline = min(now + self._timeout, self._body_at + self._after_dot)

    # ---------------------------------------------------------------- asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._space[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take the replies in this piece for the answers to what was asked before it came (RFC 5321, 4.2.1)."""
        replies, is_sound = self._answers.read(data)
        due = len(self._asked)
        # What is no reply, or comes unasked, means that we no longer understand each other; nothing more is said.
        if not is_sound or len(replies) > due:
            self.abort()
            is_sound = False
        for code, lines in replies:
            if self._current is not None and self._current.phase == "body":
                self._interrupted(self._current, whole(lines))
                return
            if due == 0 or (is_sound and self._is_over):
                return
            due -= 1
            self._answered(self._asked.popleft(), code, lines)
        if replies and self._asked:
            self._wait_on()

    def _interrupted(self, errand: Errand, reply: Reply) -> None:
        """A server that answers before the message is whole has not taken it, and gets no dot."""
        self._finished()
        errand.fail(judged(reply, "message", errand.recipient))
        self.abort()

    def eof_received(self) -> bool:
        """Who says nothing more cannot answer what we have still to say."""
        self.abort()
        return False

    def pause_writing(self) -> None:
        self._is_full = True
        self._held = self._transport.get_write_buffer_size() if self._transport is not None else 0

    def resume_writing(self) -> None:
        self._is_full = False
        if self._current is not None and self._current.phase == "body" and self._asked:
            self._current.phase = "dot"
            self._wait_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who is concerned how he stands."""
        self._closed.set()
        if self._timer is not None:
            self._timer.cancel()
        errand, following = self._current, self._next
        self._current = self._next = None
        if following is not None:
            self._desk.give_back(following)
        if errand is not None:
            # A server may end a connection that waits, and nothing of this message was sent on it.
            if self._is_untouched(errand):
                self._desk.give_back(errand)
            else:
                errand.cut_off(f"after {self._asked[0] if self._asked else 'a greeting'}")
        self._desk.gone(self)

    def _is_untouched(self, errand: Errand) -> bool:
        """Has the connection served before, and the server shown no sign that it read anything of this errand?"""
        return errand.phase == "envelope" and not errand.was_heard and not self._is_fresh


def _stage(asked: Asked) -> Stage:
    match asked:
        case "RCPT" | "DATA" | "message":
            return asked
        case _:
            return "MAIL"
