"""A web server on loopback that answers by script, and misbehaves where its script says so."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import msgspec

from notifier.feeds.feed import Feed


class Request(msgspec.Struct, frozen=True):
    """A request as it came; header names in lower case, each with all its values."""

    path: str
    headers: dict[str, list[str]]


class Cut(msgspec.Struct, frozen=True):
    """Send these bytes, and hang up."""

    sent: bytes = b""


class Held(msgspec.Struct, frozen=True):
    """Send these bytes once the test calls `release`; without it, never."""

    sent: bytes


class Trickle(msgspec.Struct, frozen=True):
    """
    Send these bytes, then this piece again and again, a hundred times a second: for ever, or so many times and then
    the last bytes.
    """

    sent: bytes
    piece: bytes
    times: float = float("inf")
    last: bytes = b""


SILENCE = Held(b"")
Answer = bytes | Cut | Held | Trickle
Script = Mapping[str, Answer | Sequence[Answer]]


class Server:
    """
    What was asked so far, and how many requests were under way together at the most. Each path answers in turn, the
    last of its answers for ever; a path without any is 404.
    """

    def __init__(self, script: Script) -> None:
        self._left = {
            path: [answers] if isinstance(answers, bytes | msgspec.Struct) else list(answers)
            for path, answers in script.items()
        }
        self._released = asyncio.Event()
        self._news = asyncio.Condition()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[Request] = []
        self.most_at_once = 0
        self.host = ""

    def url(self, path: str = "/feed") -> str:
        return f"http://{self.host}{path}"

    def feed(self, path: str = "/feed", *, id: str = "us-press", headers: Mapping[str, str] | None = None) -> Feed:
        """A feed at this server."""
        return Feed(id=id, url=self.url(path), issuer="Press office", headers=dict(headers or {}))

    def release(self) -> None:
        """Let held answers go."""
        self._released.set()

    async def heard(self, count: int) -> None:
        """Return once so many requests have come."""
        async with self._news, asyncio.timeout(10):
            await self._news.wait_for(lambda: len(self.asked) >= count)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        path = first.split(" ")[1]
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            async with self._news:
                self.asked.append(Request(path, headers))
                self._news.notify_all()
            return await self._answer(writer, self._next(path))
        finally:
            self._under_way -= 1

    def _next(self, path: str) -> Answer:
        left = self._left.get(path, [answer(404)])
        return left.pop(0) if len(left) > 1 else left[0]

    async def _answer(self, writer: asyncio.StreamWriter, said: Answer) -> bool:
        if isinstance(said, Held):
            await self._released.wait()
        writer.write(said if isinstance(said, bytes) else said.sent)
        await writer.drain()
        if isinstance(said, Trickle):
            await self._trickle(writer, said)
        return not isinstance(said, Cut)

    async def _trickle(self, writer: asyncio.StreamWriter, said: Trickle) -> None:
        count = 0
        while count < said.times:
            count += 1
            writer.write(said.piece)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await self._released.wait()
        writer.write(said.last)
        await writer.drain()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


@contextlib.asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a free port of loopback, for as long as the block lasts."""
    server = Server(script)
    listening = await asyncio.start_server(server.take, "127.0.0.1", 0, ssl=tls)
    server.host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.end()
        await listening.wait_closed()


def answer(status: int = 200, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), /, **more: str) -> bytes:
    """A whole response; headers as pairs, or by name with `_` for `-`."""
    lines = [*headers, *((name.replace("_", "-"), value) for name, value in more.items())]
    if status != 304 and not {"content-length", "transfer-encoding"} & {name.lower() for name, _ in lines}:
        lines.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode() + body


def redirect(status: int, location: str) -> bytes:
    """A response that leads elsewhere."""
    return answer(status, Location=location)


async def closed_host() -> str:
    """A host and port on which nobody listens."""
    async with serving({}) as server:
        return server.host
