"""One message on its way to a mail server: how far it got, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from notifier.channels.mail.replies import Reply
from notifier.errors import Refused, TryLater

UNSURE = 900.0  # seconds before the second copy that an unknown end allows

Phase = Literal["waiting", "envelope", "body", "dot"]


class Envelope:
    """
    One message for one recipient: CRLF line ends, the last line ended, and no line that begins with a dot.

    `phase` tells how far it got: `waiting` before anything of it was sent, `envelope` until the server wants the
    message, `body` until its last line is out of our hands, `dot` from there to the reply. `ended` becomes the reply
    that took it over, or why not: `TryLater` or `Refused`. The end of the connection, or silence, is `TryLater`,
    `unknown` only when it came after the final dot.
    """

    __slots__ = ("data", "ended", "needs_utf8", "phase", "recipient", "sender", "was_heard")

    def __init__(self, sender: str, recipient: str, data: bytes) -> None:
        self.sender = sender
        self.recipient = recipient
        self.data = data
        self.needs_utf8 = not recipient.isascii()
        self.phase: Phase = "waiting"
        self.was_heard = False  # the server has answered to something of it
        self.ended: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        """It ends with this error, if anybody waits for it still."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def is_untouched(self, *, on_fresh: bool) -> bool:
        """
        Has the server shown no sign that it read anything of this, on a connection that has served before? It may have
        closed a connection that waited too long.
        """
        return self.phase == "envelope" and not self.was_heard and not on_fresh

    def cut_off(self, place: str) -> None:
        """The connection has ended, or the server is silent: end with what that means in this phase."""
        told = "the mail server fell silent or hung up"
        match self.phase:
            case "dot":
                self.fail(unsure(f"{told} after the whole message, before its answer"))
            case "body":
                self.fail(TryLater(f"{told} in the middle of the message", outcome="cut-off"))
            case _:
                self.fail(TryLater(f"{told} {place}", outcome="cut-off"))


def first_takeable(
    envelope: Envelope | None, following: Callable[[], Envelope | None], *, takes_utf8: bool
) -> Envelope | None:
    """This message, or the first of the following that the server can take; those that it cannot are refused."""
    while envelope is not None and envelope.needs_utf8 and not takes_utf8:
        problem = "the mail server accepts only ASCII addresses (no SMTPUTF8)"
        envelope.fail(Refused(problem, outcome="needs-smtputf8"))
        envelope = following()
    return envelope


def unsure(told: str) -> TryLater:
    """The server may have the whole message."""
    return TryLater(f"{told}; it may have arrived", outcome="unknown", unknown=True, after=UNSURE)


def untried(error: TryLater) -> TryLater:
    """The same failure for a message that need not even be tried, because the route is closed to everyone."""
    return TryLater(str(error), outcome=error.outcome, after=error.after, scope="route", counts=False)
