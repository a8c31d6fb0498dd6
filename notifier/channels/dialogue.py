"""
One mail transaction after another over a connection that is open, secured and logged in.

It is ours, and not the mail library's, for one reason: an end of the connection means three different things before
the message, after its last line, and in between, and only whoever speaks the commands knows where it stood.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from notifier.channels.replies import Reply, Stage, judged
from notifier.errors import Refused, TryLater

LIMIT = 64 * 1024  # bytes of a reply; a server that says more has nothing to say
Phase = Literal["idle", "envelope", "body", "dot"]


class Dialogue(asyncio.Protocol):
    """
    The client's side of SMTP (RFC 5321) from the first MAIL on; one command at a time, one recipient a message.

    `phase` tells how far the present transaction got: `idle` before anything was sent, `envelope` until the server
    wants the message, `body` until its last line is sent, `dot` from there to the reply.
    """

    def __init__(self, timeout: float, after_dot: float, *, takes_utf8: bool = False) -> None:
        self.phase: Phase = "idle"
        self.sent = 0
        self._timeout = timeout
        self._takes_utf8 = takes_utf8
        self._after_dot = after_dot
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._awaited: asyncio.Future[Reply] | None = None
        self._writable = asyncio.Event()
        self._lost = asyncio.Event()
        self._early: Reply | None = None
        self._needs_reset = False

    def take_over(self, transport: asyncio.Transport) -> None:
        """Speak over this transport from here on."""
        # So that "written" means out of our hands. Not 0: asyncio's TLS would then hold an empty buffer for a full one.
        transport.set_write_buffer_limits(high=1)
        transport.set_protocol(self)
        self._transport = transport
        self._writable.set()

    @property
    def is_open(self) -> bool:
        """Can another transaction be tried on this connection?"""
        return self._transport is not None and not self._transport.is_closing()

    async def hand_over(self, sender: str, recipient: str, data: bytes) -> Reply:
        """
        Send one message (CRLF line ends) to one recipient, and return the reply that took it over.

        An address beyond ASCII needs a server that takes those (RFC 6531), and is refused before anything is sent
        where it does not. Raises `TryLater` or `Refused`. The end of the connection, or silence, is `TryLater`,
        `unknown` only when it came after the final dot; the connection is closed then. Whoever cancels this must
        `abort`: a reply may still come, and would be taken for the answer to whatever is asked next.
        """
        self.phase = "idle"
        utf8 = not recipient.isascii()
        if utf8 and not self._takes_utf8:
            raise Refused("the mail server takes no address beyond ASCII (no SMTPUTF8)", outcome="needs-smtputf8")
        if self._needs_reset:
            await self._command("RSET")
        self._needs_reset = True
        await self._expect("MAIL", f"MAIL FROM:<{sender}>" + (" SMTPUTF8" if utf8 else ""), 2, recipient)
        self.phase = "envelope"
        await self._expect("RCPT", f"RCPT TO:<{recipient}>", 2, recipient)
        await self._expect("DATA", "DATA", 3, recipient)
        self.phase = "body"
        await self._body(_stuffed(data), recipient)
        self.phase = "dot"
        reply = await self._asked(b".\r\n", "after the whole message, before its answer", self._after_dot)
        self.phase = "idle"
        if reply.code // 100 != 2:
            raise self._refusal(reply, "message", recipient)
        self._needs_reset = False
        self.sent += 1
        return reply

    async def quit(self) -> None:
        """Take leave (QUIT) and close; silence is waited for no longer than two seconds."""
        if self.is_open:
            self._timeout = min(self._timeout, 2.0)
            with contextlib.suppress(TryLater):  # they left first
                await self._command("QUIT")
        self.abort()

    def abort(self) -> None:
        """Close at once, whatever was under way."""
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return once the connection is gone."""
        await self._lost.wait()

    async def _body(self, data: bytes, recipient: str) -> None:
        """
        Send all but the final dot. A server that hangs up or complains before it has not taken the message over, so
        the loop gets one look at the socket while that can still be told.
        """
        place = "in the middle of the message"
        try:
            async with asyncio.timeout(self._timeout):
                await self._write(data)
        except TimeoutError as error:
            self.abort()
            raise self._ended(place) from error
        await asyncio.sleep(0)
        if self._early is not None:
            self.abort()
            raise self._refusal(self._early, "message", recipient)
        if not self.is_open:
            raise self._ended(place)

    async def _expect(self, stage: Stage, command: str, family: int, recipient: str) -> None:
        reply = await self._command(command)
        if reply.code // 100 != family:
            raise self._refusal(reply, stage, recipient)

    async def _command(self, command: str) -> Reply:
        verb = command.partition(" ")[0]
        return await self._asked(f"{command}\r\n".encode(), f"after {verb}", self._timeout)

    async def _asked(self, line: bytes, place: str, seconds: float) -> Reply:
        if not self.is_open:
            raise self._ended(place)
        self._awaited = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._write(line)
                return await self._awaited
        except (TimeoutError, ConnectionError) as error:
            self.abort()
            raise self._ended(place) from error
        finally:
            self._awaited = None

    async def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        await self._writable.wait()

    def _ended(self, place: str) -> TryLater:
        unknown = self.phase == "dot"
        return TryLater(
            f"the mail server fell silent or hung up {place}" + ("; it may have arrived" if unknown else ""),
            outcome="unknown" if unknown else "cut-off",
            unknown=unknown,
            after=900.0 if unknown else None,
        )

    def _refusal(self, reply: Reply, stage: Stage, recipient: str) -> Exception:
        if reply.code == 421:
            self.abort()
        return judged(reply, stage, recipient)

    # ---------------------------------------------------------------- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Collect a reply (RFC 5321, 4.2.1); what comes unasked means that we no longer understand each other."""
        self._buffer += data
        try:
            reply, rest = _read(self._buffer)
        except ValueError:
            self.abort()
            return
        if reply is None:
            return
        self._buffer = bytearray(rest)
        waiting = self._awaited is not None and not self._awaited.done()
        if self._awaited is not None and waiting:
            self._awaited.set_result(reply)
        elif self.phase == "body":
            self._early = reply
        if rest or not (waiting or self.phase == "body"):
            self.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._lost.set()
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(ConnectionResetError("the connection was lost"))


def _read(buffer: bytearray) -> tuple[Reply | None, bytes]:
    """The first whole reply and what follows it; None while it is not whole. Raises ValueError for what is none."""
    lines: list[str] = []
    at = 0
    while (end := buffer.find(b"\n", at)) >= 0:
        line = bytes(buffer[at:end]).rstrip(b"\r").decode("utf-8", "replace")
        at = end + 1
        if not line[:3].isdigit() or line[3:4] not in {"", " ", "-"}:
            raise ValueError("no SMTP reply")
        text = line[4:].strip()
        if lines and lines[0][:1].isdigit():
            text = text.removeprefix(lines[0].partition(" ")[0]).strip()  # each line repeats the enhanced code
        lines.append(text)
        if line[3:4] != "-":
            return Reply(int(line[:3]), " ".join(part for part in lines if part)), bytes(buffer[at:])
        if at > LIMIT:
            break
    if len(buffer) > LIMIT:
        raise ValueError("a reply without end")
    return None, b""


def _stuffed(data: bytes) -> bytes:
    """The message as it travels: no line is a lone dot (RFC 5321, 4.5.2), and the last line is ended."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
