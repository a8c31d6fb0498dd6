"""
What an SMTP server was asked and has not answered yet, and the commands that wait for its answers.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from notifier.channels.mail.envelope import Envelope
from notifier.channels.mail.replies import Stage

# What a reply may be to. `void` is the end of a message that goes to nobody.
Asked = Literal["RSET", "MAIL", "RCPT", "DATA", "message", "void", "QUIT"]


class Commands:
    """
    The commands of one connection, in order. Where the server `pipelines` (RFC 2920), an envelope goes out in one
    write; else one command waits for the answer to the other.
    """

    def __init__(self, *, pipelines: bool) -> None:
        self.pipelines = pipelines
        self.asked: deque[Asked] = deque()  # the replies that must come, the oldest first
        self.unsaid: deque[tuple[Asked, str]] = deque()
        self.needs_reset = False

    def begin(self, envelope: Envelope) -> bytes:
        """What begins a message: all of its envelope where the server pipelines, else its first command."""
        mail = f"MAIL FROM:<{envelope.sender}>{' SMTPUTF8' if envelope.needs_utf8 else ''}\r\n"
        rcpt = f"RCPT TO:<{envelope.recipient}>\r\n"
        if self.pipelines and not self.needs_reset:
            self.asked += ("MAIL", "RCPT", "DATA")
            return f"{mail}{rcpt}DATA\r\n".encode()
        if self.needs_reset:
            self.unsaid.append(("RSET", "RSET\r\n"))
            self.needs_reset = False
        self.unsaid += (("MAIL", mail), ("RCPT", rcpt), ("DATA", "DATA\r\n"))
        return self.following()

    def following(self) -> bytes:
        """The commands that may go out now."""
        text = ""
        while self.unsaid and (self.pipelines or not self.asked):
            asked, command = self.unsaid.popleft()
            self.asked.append(asked)
            text += command
        return text.encode()

    def ask(self, what: Asked) -> None:
        """A reply must come to this, which was written beside the commands."""
        self.asked.append(what)

    def give_up(self) -> None:
        """Drop what waits, and begin the next envelope with RSET: the server refused a part of this one."""
        self.unsaid.clear()
        self.needs_reset = True


def stage_of(asked: Asked) -> Stage:
    """The stage of a transaction by which a reply to this is judged."""
    match asked:
        case "RCPT" | "DATA" | "message":
            return asked
        case _:
            return "MAIL"
