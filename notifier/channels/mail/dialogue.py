"""
One mail transaction after another over a connection that is open, secured and logged in.

It is our own, and not the mail library's, for two reasons. A lost connection means three different things: before the
message, after its last line, and in between; only the one who sends the commands can tell them apart. And a server that
takes several commands in one write (PIPELINING, RFC 2920) gets the next envelope together with the last line of the
message before, so that a message costs one round trip.
"""

from __future__ import annotations

from typing import Protocol

from notifier.channels.mail.commands import Asked, Commands, stage_of
from notifier.channels.mail.connection import Connection
from notifier.channels.mail.envelope import Envelope, first_takeable, untried
from notifier.channels.mail.replies import Reply, judged
from notifier.channels.mail.reply_parser import Answers, whole
from notifier.errors import Refused, TryLater

MOST = 100  # messages over one connection; some servers count
PATIENCE = 2.0  # seconds that a message waits behind another's answer before it goes over another connection
LEAVE = 2.0  # seconds to wait for the answer to QUIT


class Desk(Protocol):
    """Gives a dialogue its messages, and is notified of its state."""

    def next_envelope(self) -> Envelope | None:
        """Another message to send, None when none waits."""
        ...

    def following(self) -> Envelope | None:
        """Another message to send behind one that is not answered yet, None where it would better wait."""
        ...

    def give_back(self, envelope: Envelope) -> None:
        """Nothing of this envelope can have been taken; it may go over another connection."""
        ...

    def has_another(self) -> bool:
        """Could another connection take an envelope now?"""
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


class Dialogue(Connection):
    """
    The client's side of SMTP (RFC 5321) from the first MAIL on; one recipient a message, every reply checked.

    Where the server `pipelines`, an envelope goes out in one write, together with the message before it. A message to
    an address beyond ASCII needs a server that `takes_utf8` (RFC 6531), and is refused unsent otherwise.
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
        super().__init__(timeout, after_dot, patience)
        self.rested_at = 0.0  # by the loop's clock; the desk's to write
        self._desk = desk
        self._takes_utf8 = takes_utf8
        self._patience = patience
        self._left = MOST
        self._answers = Answers()
        self._commands = Commands(pipelines=pipelines)
        # The message under way, and the one whose envelope went out behind its last line.
        self._current: Envelope | None = None
        self._next: Envelope | None = None
        self._error: TryLater | Refused | None = None  # what the current one will end with
        self._is_fresh = True  # no envelope has ended here
        self._was_idle = False  # before the current envelope
        self._is_ending = False  # after the current envelope, since what is sent of the next must not be gone on with
        self._is_leaving = False

    @property
    def is_open(self) -> bool:
        """Can another message be tried on this connection?"""
        return self._is_connected() and not self._is_leaving

    @property
    def is_used_up(self) -> bool:
        """Has it carried so many messages that another connection should take its place?"""
        return self._left <= 0

    def begin(self, envelope: Envelope, *, was_idle: bool = False) -> None:
        """Send this message. The dialogue must rest; `was_idle` where it has for some time."""
        self._was_idle = was_idle
        self._current = self._takeable(envelope)
        if self._current is None:
            self._desk.rests(self)
        else:
            self._write(self._begin(self._current))

    def drop(self, envelope: Envelope) -> None:
        """Nobody waits for this message any more: end the connection, now or with the answer to the one before it."""
        if envelope is self._current:
            self.abort()
        elif envelope is self._next:
            self._next, self._is_ending = None, True

    def leave(self) -> None:
        """Send QUIT and close, after two seconds at the latest. The dialogue must rest."""
        if self.is_open:
            self._is_leaving = True
            self._timeout = min(self._timeout, LEAVE)
            self._commands.ask("QUIT")
            self._write(b"QUIT\r\n")
        else:
            self.abort()

    # ---------------------------------------------------------------- what we say

    def _takeable(self, envelope: Envelope | None) -> Envelope | None:
        return first_takeable(envelope, self._desk.next_envelope, takes_utf8=self._takes_utf8)

    def _begin(self, envelope: Envelope) -> bytes:
        envelope.phase = "envelope"
        self._left -= 1
        return self._commands.begin(envelope)

    def _look_first(self) -> None:
        """
        The server wants the message. Look at the socket once more before it goes: a server that has hung up by now has
        not accepted it. It takes two turns of the loop, since the first one's events were there before.
        """
        self._loop.call_soon(self._loop.call_soon, self._send_body)

    def _send_body(self) -> None:
        """The whole message, and behind its last line the envelope of the next one."""
        envelope = self._current
        if envelope is None or not self._is_connected():
            return
        if envelope.ended.done():  # cancelled this very moment
            self.abort()
            return
        self._commands.ask("message")
        said = envelope.data + b".\r\n"
        if self._commands.pipelines and self._left > 0:
            self._next = self._takeable(self._desk.following())
            if self._next is not None:
                said += self._begin(self._next)
        self._body_at = self._loop.time()
        self._write(said)
        if not self._is_full:
            envelope.phase = "dot"
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
        elif self._commands.unsaid:
            self._write(self._commands.following())

    def _envelope_answered(self, asked: Asked, code: int, lines: list[bytes]) -> None:
        envelope = self._current
        if envelope is None:
            return
        envelope.was_heard = True
        is_last = asked == "DATA"
        if self._error is None and code // 100 != (3 if is_last else 2):
            self._error = judged(whole(lines), stage_of(asked), envelope.recipient)
        if self._error is None:
            if is_last:
                envelope.phase = "body"
                self._look_first()
            elif self._commands.unsaid:
                self._write(self._commands.following())
        elif is_last or self._commands.unsaid:
            self._envelope_refused(envelope, self._error, wants_body=is_last and code // 100 == 3)

    def _envelope_refused(self, envelope: Envelope, error: Exception, *, wants_body: bool) -> None:
        self._commands.give_up()
        self._finished()
        envelope.fail(error)
        if wants_body:
            # The server asks for a message to nobody, and shall have none (RFC 2920, 3.1).
            self._commands.ask("void")
            self._write(b".\r\n")
        else:
            self._go_on()

    def _message_ended(self, code: int, lines: list[bytes]) -> None:
        envelope = self._current
        if envelope is None:
            return
        self._finished()
        if code // 100 != 2:
            envelope.fail(judged(whole(lines), "message", envelope.recipient))
        elif not envelope.ended.done():
            envelope.ended.set_result(whole(lines))
        self._go_on()

    def _finished(self) -> None:
        self._current, self._error = None, None
        self._is_fresh = self._was_idle = False

    def _go_on(self) -> None:
        """To the envelope whose envelope is out already, or to another one, or to rest."""
        if self._is_ending:
            self.abort()
        elif self._next is not None:
            self._current, self._next = self._next, None
        else:
            self._desk.rests(self)

    def _turned_away(self, asked: Asked, reply: Reply) -> None:
        """421: the server closes. Who was to go over this connection, or waits for one, need not try yet."""
        envelope, following = self._current, self._next
        self._current = self._next = None
        if envelope is not None and self._was_idle and envelope.is_untouched(on_fresh=self._is_fresh):
            # It was on its way before we said anything: this connection has waited too long, and another may do.
            self._desk.give_back(envelope)
        elif envelope is not None:
            error = judged(reply, stage_of(asked), envelope.recipient)
            if isinstance(error, TryLater):
                error.scope, error.counts = "route", False
                self._desk.busy(error)
                if following is not None:
                    following.fail(untried(error))
            envelope.fail(error)
        self.abort()

    def _is_waiting(self) -> bool:
        return bool(self._commands.asked) or self._current is not None

    def _is_after_dot(self) -> bool:
        return self._current is not None and self._current.phase == "dot"

    def _grows_late(self, now: float) -> None:
        if self._next is not None and now - self._body_at > self._patience and self._desk.has_another():
            # The answer to the message before it is long in coming, and nobody need wait for another's.
            moved, self._next, self._is_ending = self._next, None, True
            self._desk.give_back(moved)

    def _is_written(self) -> None:
        if self._current is not None and self._current.phase == "body" and self._commands.asked:
            self._current.phase = "dot"
            self._wait_on()

    def data_received(self, data: bytes) -> None:
        """Take the replies in this piece for the answers to what was asked before it came (RFC 5321, 4.2.1)."""
        replies, is_sound = self._answers.read(data)
        due = len(self._commands.asked)
        # Something that is not a reply, or comes unasked: we no longer understand each other, and send nothing more.
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
            self._answered(self._commands.asked.popleft(), code, lines)
        if replies and self._commands.asked:
            self._wait_on()

    def _interrupted(self, envelope: Envelope, reply: Reply) -> None:
        """A server that answers before the message is whole has not taken it, and gets no dot."""
        self._finished()
        envelope.fail(judged(reply, "message", envelope.recipient))
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what may go over another connection, and end the message of which that is not known."""
        super().connection_lost(exc)
        envelope, following = self._current, self._next
        self._current = self._next = None
        if following is not None:
            self._desk.give_back(following)
        if envelope is not None:
            # A server may end a connection that waits, and nothing of this message was sent on it.
            if envelope.is_untouched(on_fresh=self._is_fresh):
                self._desk.give_back(envelope)
            else:
                envelope.cut_off(f"after {self._commands.asked[0] if self._commands.asked else 'a greeting'}")
        self._desk.gone(self)
