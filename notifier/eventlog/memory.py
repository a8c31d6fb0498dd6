"""The event log in memory: the same contract as on disk, for tests and for simulation. It ends with its process."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec

from notifier.errors import Conflict, LogError, Overtaken
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Consumer, Duplicate, LogPage, checked_size
from notifier.events.event import Event, Recorded


class MemoryLog:
    """Events in a list. Everything goes through the codec, so what would not survive a disk does not survive here."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rows: list[tuple[str, str, bytes]] = []
        self._positions: dict[str, int] = {}
        self._blobs: dict[str, bytes] = {}
        self._consumers: dict[str, Consumer] = {}
        self._grown = asyncio.Condition()
        self._closed = False

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        if self._closed:
            raise LogError("the log is closed")
        now = self._clock()
        rows = [(event.id, event.type, codec.encode(event, now)) for event in events]
        checked_size([data for _, _, data in rows])
        self._check(commit)
        added: dict[str, tuple[str, bytes]] = {}
        answers: list[Appended | Duplicate] = []
        for id, type, data in rows:
            if id in added:
                before, position = added[id][1], len(self._rows) + 1 + list(added).index(id)
            elif id in self._positions:
                position = self._positions[id]
                before = self._rows[position - 1][2]
            else:
                added[id] = (type, data)
                answers.append(Appended(len(self._rows) + len(added)))
                continue
            if not codec.same_words(before, data):
                raise Conflict(f"event {id} ({type}) is in the log with other words")
            answers.append(Duplicate(position))
        for id, (type, data) in added.items():
            self._rows.append((id, type, data))
            self._positions[id] = len(self._rows)
        self._blobs.update((hashlib.sha256(blob).hexdigest(), blob) for blob in blobs)
        if commit:
            self._consumers[commit.name] = Consumer(commit.name, commit.position, commit.state, commit.expected + 1)
        if added:
            async with self._grown:
                self._grown.notify_all()
        return answers

    def _check(self, commit: Commit | None) -> None:
        if commit and self._consumers.get(commit.name, Consumer(commit.name)).version != commit.expected:
            raise Overtaken(f"consumer {commit.name} has moved on; another process reads under its name")

    def _recorded(self, position: int) -> Recorded:
        _, type, data = self._rows[position - 1]
        return codec.decode(position, type, data)

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        found: list[Recorded] = []
        position = after
        while position < len(self._rows) and len(found) < limit:
            position += 1
            if types is None or self._rows[position - 1][1] in types:
                found.append(self._recorded(position))
        return LogPage(found, position)

    async def find(self, id: str) -> Recorded | None:
        position = self._positions.get(id)
        return self._recorded(position) if position else None

    async def blob(self, name: str) -> bytes:
        return self._blobs[name]

    async def head(self) -> int:
        return len(self._rows)

    async def wait(self, after: int) -> None:
        async with self._grown:
            await self._grown.wait_for(lambda: len(self._rows) > after or self._closed)
        if self._closed:
            raise LogError("the log is closed")

    async def consumer(self, name: str) -> Consumer:
        return msgspec.structs.replace(self._consumers.get(name, Consumer(name)))

    async def consumers(self, prefix: str) -> list[Consumer]:
        return [self._consumers[name] for name in sorted(self._consumers) if name.startswith(prefix)]

    async def close(self) -> None:
        """Refuse further appends; what was recorded can still be read."""
        self._closed = True
        async with self._grown:
            self._grown.notify_all()
