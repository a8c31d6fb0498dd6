"""
A document → its entries, read in a child process that can be killed.

Some small documents keep a feed parser busy for minutes. The child has limits of its own (child.py), and a clock
outside it ends what they miss; only the document that did it suffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import Document, Feed, Reading

SECONDS = 20.0  # for one document on the wall's clock; five of CPU are the child's own limit
IDLE = 60.0  # seconds after which a child without work is let go, with the memory it holds
FRAME = 64 * 1024 * 1024  # bytes of an answer
FEEDS, PAGES = (
    "notifier.feeds.reading.child_of_feeds",
    "notifier.feeds.reading.child_of_pages",
)  # what a child may be started as


class Parser:
    """Reads documents one at a time in a child (`FEEDS`, `PAGES`), made when first needed. Close it at the end."""

    def __init__(self, seconds: float = SECONDS, idle: float = IDLE, child: str = FEEDS) -> None:
        self._started_as = child
        self._seconds = seconds
        self._idle = idle
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._leaving: asyncio.subprocess.Process | None = None
        self._letting_go: asyncio.TimerHandle | None = None

    async def parse(self, document: Document, feed: Feed) -> Reading:
        """
        The document's entries; of a page, one with its words.

        Raises `Refused` with the outcomes of reading.read and article.read; parse-error also for what takes over five
        seconds of work, too long or too much memory. A child that breaks is replaced.
        """
        async with self._turn:
            if self._letting_go is not None:
                self._letting_go.cancel()
            try:
                async with asyncio.timeout(self._seconds):
                    answered = await self._ask(document, feed)
            except TimeoutError as error:
                await self._end()
                raise Refused("reading it takes too long; it was given up", outcome="parse-error") from error
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Refused(_why(await self._ended()), outcome="parse-error") from error
            except BaseException:
                # Cancelled, or a bug: half an answer may be in the pipe, and the next document must not get it.
                await self._end()
                raise
            self._letting_go = asyncio.get_running_loop().call_later(self._idle, self._let_go)
        reading, outcome, problem = answered
        if reading is None:
            raise Refused(problem, outcome=outcome)
        return reading

    async def _ask(self, document: Document, feed: Feed) -> tuple[Reading | None, str, str]:
        child = await self._started()
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the child was started without pipes")
        frame = msgspec.msgpack.encode({"document": document, "feed": feed})
        child.stdin.write(len(frame).to_bytes(4, "big") + frame)
        await child.stdin.drain()
        size = int.from_bytes(await child.stdout.readexactly(4), "big")
        if size > FRAME:
            raise ConnectionError("the answer is too long")
        answered = _decoder.decode(await child.stdout.readexactly(size))
        return answered.reading, answered.outcome, answered.problem

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                self._started_as,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**20,
                # No secret of ours is where a broken parser could find it.
                env={"PYTHONPATH": os.pathsep.join(_places()), "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        return self._child

    def _let_go(self) -> None:
        if self._child is not None and self._child.stdin is not None and not self._turn.locked():
            self._child.stdin.close()  # it ends when its input does
            self._leaving, self._child = self._child, None

    async def _ended(self) -> int:
        """Await a child that has closed its pipe; how it ended: the signal, negative, or its exit code."""
        child, self._child = self._child, None
        if child is None:
            return 0
        # Not killed at once: asyncio would collect it before its own watcher does, and why it ended would be lost.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await child.wait()
        return await _killed(child)

    async def _end(self) -> None:
        """Kill the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await _killed(child)

    async def close(self) -> None:
        """End the child."""
        if self._letting_go is not None:
            self._letting_go.cancel()
        await self._end()
        if self._leaving is not None:
            await _killed(self._leaving)


class Parsers:
    """
    A few parsers side by side, so that a document which keeps one busy does not hold up those of other feeds
    (promise P5). The second is made only when the first is at work. Close it at the end.
    """

    def __init__(self, number: int = 2, child: str = FEEDS) -> None:
        self._parsers = [Parser(child=child) for _ in range(number)]
        # The last to be free goes first: one child does all the work while that is enough, and the others end.
        self._free: asyncio.LifoQueue[Parser] = asyncio.LifoQueue()
        for parser in self._parsers:
            self._free.put_nowait(parser)

    async def parse(self, document: Document, feed: Feed) -> Reading:
        """As `Parser.parse`, on one that is free."""
        parser = await self._free.get()
        try:
            return await parser.parse(document, feed)
        finally:
            self._free.put_nowait(parser)

    async def close(self) -> None:
        """End their children."""
        await asyncio.gather(*(parser.close() for parser in self._parsers))


async def _killed(child: asyncio.subprocess.Process) -> int:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    return await child.wait()


def _places() -> list[str]:
    """
    Where the child finds what we import: first the notifier itself, then all that this process looks through.

    Not every interpreter finds the libraries by itself; some are told by PYTHONPATH, or by the archive they start from.
    """
    here = str(Path(__file__).parents[2])
    return list(dict.fromkeys(str(Path(place).absolute()) for place in (here, *sys.path) if place))


def _why(ended: int) -> str:
    """Why a child ended without an answer, in words."""
    if ended == -signal.SIGXCPU:
        return "reading it takes too much work; it was given up"
    if ended < 0:
        return f"the parser was ended while reading it: {signal.strsignal(-ended)}"
    return "the parser broke on it; what it said is on stderr"


class _Answered(msgspec.Struct, frozen=True):
    """As the child sends it; declared here, since importing the child would load what only it needs."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


_decoder = msgspec.msgpack.Decoder(_Answered)
