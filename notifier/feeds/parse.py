"""
A document → its entries, read in a child process that can be killed.

Some small documents keep a feed parser busy for minutes. The child has limits of its own (child.py), and a clock
outside it ends what they miss; only the document that did it suffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
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

    def __init__(self, seconds: float = SECONDS, idle: float = IDLE) -> None:
        self._seconds = seconds
        self._idle = idle
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._leaving: asyncio.subprocess.Process | None = None
        self._letting_go: asyncio.TimerHandle | None = None

    async def parse(self, document: Document, feed: Feed) -> Reading:
        """
        The document's entries.

        Raises `Refused` with the outcomes of reading.read; parse-error also for what takes over five seconds of work,
        too long or too much memory. A child that breaks is replaced.
        """
        async with self._turn:
            if self._letting_go is not None:
                self._letting_go.cancel()
            try:
                async with asyncio.timeout(self._seconds):
                    answered = await self._ask(document, feed)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
                raise Refused(_why(await self._end()), outcome="parse-error") from error
            except asyncio.CancelledError:
                # Half an answer may be in the pipe: the next document must not get it.
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
            root = str(Path(__file__).parents[2])
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "notifier.feeds.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**20,
                # No secret of ours is where a broken parser could find it.
                env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        return self._child

    def _let_go(self) -> None:
        if self._child is not None and self._child.stdin is not None and not self._turn.locked():
            self._child.stdin.close()  # it ends when its input does
            self._leaving, self._child = self._child, None

    async def _end(self) -> int:
        """Kill the child and return how it ended: the signal, negative, or its exit code."""
        child, self._child = self._child, None
        if child is None:
            return 0
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        return await child.wait()

    async def close(self) -> None:
        """End the child."""
        if self._letting_go is not None:
            self._letting_go.cancel()
        await self._end()
        if self._leaving is not None:
            await self._leaving.wait()


def _why(ended: int) -> str:
    """Why a child ended without an answer, in words; -9 is our own kill, once the clock had run out."""
    if ended > 0:
        return "the parser broke on it; what it said is on stderr"
    cpu = ended == -signal.SIGXCPU
    return f"reading it takes {'too much work' if cpu else 'too long'}; it was given up"


class _Answered(msgspec.Struct, frozen=True):
    """As the child sends it; declared here, since importing the child would load what only it needs."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


_decoder = msgspec.msgpack.Decoder(_Answered)
