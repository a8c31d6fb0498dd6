"""
Parse documents in child processes that can be killed.

Some small documents keep a feed parser busy for minutes. The child limits itself (reading/child.py), and a time limit
here ends what that misses; only the document at fault is lost. This process imports no parser.
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

SECONDS = 20.0  # for one document; the child's own limit is five seconds of CPU
IDLE = 60.0  # seconds without work after which a child ends, to free its memory
FRAME = 64 * 1024 * 1024  # bytes of an answer
FEEDS, PAGES = (
    "notifier.feeds.reading.child_of_feeds",
    "notifier.feeds.reading.child_of_pages",
)  # what a child may be started as


class Parser:
    """Parses documents one at a time in a child (`FEEDS` or `PAGES`), started when needed. Close it at the end."""

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
        The document's entries; for a statement's page, one entry with its text.

        Raises `Refused` with the outcomes of `reading.document.read` and `reading.article.read`, and with parse-error
        for a document that takes too much time, CPU or memory. A child that fails is replaced.
        """
        async with self._turn:
            if self._letting_go is not None:
                self._letting_go.cancel()
            try:
                async with asyncio.timeout(self._seconds):
                    reading, outcome, problem = await self._ask(document, feed)
            except TimeoutError as error:
                await self._end()
                raise Refused("parsing took too long and was stopped", outcome="parse-error") from error
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Refused(_why(await self._ended()), outcome="parse-error") from error
            except BaseException:
                # Cancelled, or a bug: the pipe may hold half an answer, which the next document must not get.
                await self._end()
                raise
            self._letting_go = asyncio.get_running_loop().call_later(self._idle, self._let_go)
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
                # No secret of the environment may be within reach of a parser.
                env={"PYTHONPATH": os.pathsep.join(_import_paths()), "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        return self._child

    def _let_go(self) -> None:
        if self._child is not None and self._child.stdin is not None and not self._turn.locked():
            self._child.stdin.close()  # the child ends at the end of its input
            self._leaving, self._child = self._child, None

    async def _ended(self) -> int:
        """Wait for a child that has closed its pipe; return its exit code, or minus the signal that ended it."""
        child, self._child = self._child, None
        if child is None:
            return 0
        # Not killed at once: asyncio would reap it before its own watcher, and lose the reason for its end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await child.wait()
        return await _killed(child)

    async def _end(self) -> None:
        """Kill the child if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await _killed(child)

    async def close(self) -> None:
        """Kill the child."""
        if self._letting_go is not None:
            self._letting_go.cancel()
        await self._end()
        if self._leaving is not None:
            await _killed(self._leaving)


class Parsers:
    """
    Several parsers, so that a document which keeps one busy does not delay those of other feeds (promise P5). The
    second child starts only while the first is busy. Close it at the end.
    """

    def __init__(self, number: int = 2, child: str = FEEDS) -> None:
        self._parsers = [Parser(child=child) for _ in range(number)]
        # Last in, first out: one child does all the work while it can, and the others end.
        self._free: asyncio.LifoQueue[Parser] = asyncio.LifoQueue()
        for parser in self._parsers:
            self._free.put_nowait(parser)

    async def parse(self, document: Document, feed: Feed) -> Reading:
        """As `Parser.parse`, with a free parser."""
        parser = await self._free.get()
        try:
            return await parser.parse(document, feed)
        finally:
            self._free.put_nowait(parser)

    async def close(self) -> None:
        """Kill all children."""
        await asyncio.gather(*(parser.close() for parser in self._parsers))


async def _killed(child: asyncio.subprocess.Process) -> int:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    return await child.wait()


def _import_paths() -> list[str]:
    """
    The paths that the child imports from: the notifier's own, then those of this process.

    Not every interpreter finds the libraries by itself: some depend on PYTHONPATH, or start from an archive.
    """
    here = str(Path(__file__).parents[2])
    return list(dict.fromkeys(str(Path(path).absolute()) for path in (here, *sys.path) if path))


def _why(ended: int) -> str:
    """The reason in words why a child ended without an answer."""
    if ended == -signal.SIGXCPU:
        return "parsing took too much CPU time and was stopped"
    if ended < 0:
        return f"the parser was killed while parsing it: {signal.strsignal(-ended)}"
    return "the parser crashed on it; its traceback is on stderr"


class _Answered(msgspec.Struct, frozen=True):
    """The child's answer, as reading/child.py sends it; declared twice, since this process imports none of that."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


_decoder = msgspec.msgpack.Decoder(_Answered)
