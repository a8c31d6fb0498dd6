"""
A document → its entries, read in a child process that can be killed.

Some small documents keep a feed parser busy for minutes. The child has limits of its own (child.py), and a clock
outside it ends what they miss; only the document that did it suffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import Document, Feed, Reading

SECONDS = 20.0  # for one document on the wall's clock; five of CPU are the child's own limit
IDLE = 60.0  # seconds after which a child without work is let go, with the memory it holds
FRAME = 64 * 1024 * 1024  # bytes of an answer


class Parser:
    """Reads documents one at a time in a child, made when first needed. Close it at the end."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._letting_go: asyncio.TimerHandle | None = None

    async def parse(self, document: Document, feed: Feed) -> Reading:
        """The document's entries. Raises `Refused` with the outcomes of reading.read, parse-error for what broke it."""
        async with self._turn:
            if self._letting_go is not None:
                self._letting_go.cancel()
            try:
                async with asyncio.timeout(self._seconds):
                    answered = await self._ask(document, feed)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
                await self._end()
                raise Refused(
                    "reading it takes too long or too much; it was given up", outcome="parse-error"
                ) from error
            except asyncio.CancelledError:
                # Half an answer may be in the pipe: the next document must not get it.
                await self._end()
                raise
            self._letting_go = asyncio.get_running_loop().call_later(IDLE, self._let_go)
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
            root = str(Path(__file__).parents[2])
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "notifier.feeds.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # No secret of ours is where a broken parser could find it.
                env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        return self._child

    def _let_go(self) -> None:
        if self._child is not None and self._child.stdin is not None and not self._turn.locked():
            self._child.stdin.close()  # it ends when its input does

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def close(self) -> None:
        """End the child."""
        if self._letting_go is not None:
            self._letting_go.cancel()
        await self._end()


class _Answered(msgspec.Struct, frozen=True):
    """As the child sends it; declared here, since importing the child would load what only it needs."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


_decoder = msgspec.msgpack.Decoder(_Answered)
