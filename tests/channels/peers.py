"""Peers on loopback that speak real SMTP and HTTP over real sockets, and misbehave where their script says so."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CERTIFICATE = Path(__file__).with_name("localhost.pem")

# Answers that are none.
HANG_UP, SILENCE = "hang up", "silence"
HANG_UP_AFTER_354 = "354 go on, and hang up"

Answers = Mapping[str, str | Sequence[str]]


class Peer:
    """Listens on a free port of loopback for as long as the block lasts."""

    port = 0

    def __init__(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._serve = serve
        self._tls = tls
        self._under_way: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=2**24, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._under_way.discard(task)
            writer.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._server.wait_closed()


class MailPeer(Peer):
    """
    A mail server that answers by script: a reply by verb (`greeting`, `EHLO`, `MAIL`, `RCPT`, `DATA`, and `.` for the
    end of the message), or several replies in turn, the last of them for ever. What is not in the script goes well.

    `said` are the commands it was given, `read` the messages it was given, `taken` those it answered with 250, as
    (recipient, bytes), `empty` how many of no line it was given. `crowded` are the commands behind which more came
    before they were answered; it says so where it does not advertise PIPELINING. While `hold` is unset no message is
    answered.
    """

    def __init__(
        self,
        answers: Answers | None = None,
        *,
        extensions: Sequence[str] = ("SMTPUTF8",),
        tls: ssl.SSLContext | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        super().__init__(self._talk, tls)
        self._answers = {
            verb: [answer] if isinstance(answer, str) else list(answer) for verb, answer in (answers or {}).items()
        }
        self._extensions = extensions
        self.said: list[str] = []
        self.read: list[bytes] = []
        self._heard = asyncio.Event()
        self.taken: list[tuple[str, bytes]] = []
        self.empty = 0
        self.crowded: list[str] = []
        self._hold = hold
        self._open: set[asyncio.StreamWriter] = set()

    def dismiss(self) -> None:
        """Say 421 to everyone unasked, and hang up."""
        for writer in self._open:
            writer.write(b"421 4.4.2 idle for too long\r\n")
            writer.close()

    async def heard(self, verb: str) -> None:
        """Return once a command with this verb has come."""
        while not any(line.startswith(verb) for line in self.said):
            self._heard.clear()
            await self._heard.wait()

    async def has_read(self, number: int) -> None:
        """Return once so many messages have come, whatever the answer to them."""
        while len(self.read) < number:
            self._heard.clear()
            await self._heard.wait()

    def _answer(self, verb: str, usual: str) -> str:
        answers = self._answers.get(verb)
        if not answers:
            return usual
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._converse(_Transaction(reader), writer)
        finally:
            self._open.discard(writer)

    async def _converse(self, state: _Transaction, writer: asyncio.StreamWriter) -> None:
        answer = self._answer("greeting", "220 peer.example ready")
        while answer != HANG_UP:
            if answer != SILENCE:
                writer.write(f"{answer}\r\n".encode())
            if answer.startswith("221") or answer == HANG_UP_AFTER_354:
                return
            line = (await state.line()).decode().rstrip("\r\n")
            self.said.append(line)
            self._heard.set()
            if state.has_more:
                self.crowded.append(line)
            answer = self._obey(line, state)
            if answer == "354 go on":
                writer.write(b"354 go on\r\n")
                answer = await self._take_message(state)

    async def _take_message(self, state: _Transaction) -> str:
        lines = []
        while (line := await state.line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        state.is_open = False
        if not lines:
            self.empty += 1
            return "554 5.5.1 a message without recipients"
        data = b"".join(lines)
        self.read.append(data)
        self._heard.set()
        if self._hold is not None:
            await self._hold.wait()
        answer = self._answer(".", "250 2.0.0 taken")
        if answer.startswith("250"):
            self.taken.append((state.recipient, data))
        return answer

    def _obey(self, line: str, state: _Transaction) -> str:
        match line[:4].upper():
            case "EHLO":
                told = ["peer.example", *self._extensions]
                usual = "\r\n".join(f"250{' ' if name is told[-1] else '-'}{name}" for name in told)
                return self._answer("EHLO", usual)
            case "MAIL":
                # A nested transaction is an error (RFC 5321, 4.1.4), so that a client who forgets RSET is found out.
                was_open, state.is_open = state.is_open, True
                return "503 5.5.1 nested MAIL" if was_open else self._answer("MAIL", "250 2.1.0 ok")
            case "RCPT":
                state.recipient = line[9:-1]
                return self._answer("RCPT", "250 2.1.5 ok")
            case "DATA":
                return self._answer("DATA", "354 go on")
            case verb:
                state.is_open = state.is_open and verb != "RSET"
                known = {"RSET": "250 2.0.0 ok", "QUIT": "221 2.0.0 bye"}
                return self._answer(verb, known.get(verb, "502 5.5.2 no such command"))


class _Transaction:
    """One connection's input, line by line, and where it stands."""

    is_open = False
    recipient = ""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._read = b""

    async def line(self) -> bytes:
        while b"\r\n" not in self._read:
            piece = await self._reader.read(2**16)
            if not piece:
                raise ConnectionResetError
            self._read += piece
        line, end, self._read = self._read.partition(b"\r\n")
        return line + end

    @property
    def has_more(self) -> bool:
        """Has more come than was taken?"""
        return bool(self._read)


class WebPeer(Peer):
    """
    A web server that answers each request with the next of its answers, the last of them for ever: the raw bytes of a
    response, or none. `requests` are those it read, as (request line, headers in lower case, body).
    """

    def __init__(self, *answers: str) -> None:
        super().__init__(self._talk)
        self._left = list(answers) or [response(200, "ok")]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._heard = asyncio.Event()

    async def has_read(self, number: int) -> None:
        """Return once so many requests have come, whatever the answer to them."""
        while len(self.requests) < number:
            self._heard.clear()
            await self._heard.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((first, headers, body))
        self._heard.set()
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if answer == HANG_UP:
            return
        if answer == SILENCE:
            await reader.read()
            return
        writer.write(answer.encode("latin-1"))
        await writer.drain()


def response(status: int, body: str = "", **headers: str) -> str:
    """A whole response; header names with `_` for `-`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = "" if "Content_Length" in headers else f"Content-Length: {len(body.encode())}\r\n"
    return f"HTTP/1.1 {status} Words\r\n{length}{lines}\r\n{body}"


async def closed_port() -> int:
    """A port on which nobody listens."""
    async with Peer(_nothing) as peer:
        return peer.port


async def _nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


def server_tls() -> ssl.SSLContext:
    """TLS as a server with our certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def trusting_tls() -> ssl.SSLContext:
    """TLS as a client that trusts that certificate, and checks the name in it."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))
