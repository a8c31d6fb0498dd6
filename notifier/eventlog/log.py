"""
The event log as its users see it: append, read, follow, and consumers that remember their place.

Every engine keeps the same contract, and one suite of tests runs against all of them (tests/eventlog).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

import msgspec

from notifier.errors import TooLarge
from notifier.events.event import Event, Recorded


class Appended(msgspec.Struct, frozen=True):
    """The event is in the log, durably, at `position`."""

    position: int


class Duplicate(msgspec.Struct, frozen=True):
    """The log held this event already, at `position`; nothing was added."""

    position: int


class Consumer(msgspec.Struct, frozen=True):
    """
    How far a named consumer has read, and what it keeps beside that.

    `version` counts its commits, 0 when it never made one; `state` is its own business (validators, a snapshot).
    """

    name: str
    position: int = 0
    state: bytes = b""
    version: int = 0

    def moved_to(self, position: int, state: bytes | None = None) -> Commit:
        """The commit that takes this consumer to `position`, and to `state` where one is given."""
        return Commit(self.name, self.version, position, self.state if state is None else state)


class Commit(msgspec.Struct, frozen=True):
    """A consumer's next place, valid only while its version is still `expected` (compare and set)."""

    name: str
    expected: int
    position: int
    state: bytes


class LogPage(msgspec.Struct, frozen=True):
    """Events in order, and the position to read on after, which has moved past events of other types too."""

    events: list[Recorded]
    position: int


BATCH_EVENTS, BATCH_BYTES = 1_000, 4 * 1024 * 1024


def checked_size(batch: Sequence[bytes]) -> None:
    """Raise `TooLarge` for a batch over 1,000 events or 4 MiB."""
    size = sum(map(len, batch))
    if len(batch) > BATCH_EVENTS or size > BATCH_BYTES:
        raise TooLarge(
            f"{len(batch):,} events of {size:,} bytes in one append; "
            f"it takes {BATCH_EVENTS:,} and {BATCH_BYTES:,}: append them in parts"
        )


class LogReader(Protocol):
    """All events in order, at positions 1, 2, 3 … without gaps, which never move. It cannot append."""

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        """At most `limit` events after a position. What was read once never changes, and nothing comes in before it."""
        ...

    async def find(self, id: str) -> Recorded | None:
        """The event with this id."""
        ...

    async def blob(self, name: str) -> bytes:
        """The blob of this sha256 (hex). Raises `KeyError` where there is none."""
        ...

    async def head(self) -> int:
        """The position of the newest event; 0 in an empty log."""
        ...

    async def wait(self, after: int) -> None:
        """Return once the log has grown past a position, be it by this process or another; `LogError` if it closes."""
        ...

    async def consumer(self, name: str) -> Consumer:
        """The consumer of this name as it was last committed."""
        ...

    async def consumers(self, prefix: str) -> list[Consumer]:
        """All consumers whose names begin so, in order of name."""
        ...


class EventLog(LogReader, Protocol):
    """A log that can be appended to."""

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        """
        Record events, with the blobs they name and a consumer's next position, all or nothing; return once durable.

        An event whose id is in the log with the same content (apart from when we saw and recorded it) is a `Duplicate`.
        `events` may be empty if there is a commit. Raises `Conflict`, `Overtaken`, `TooLarge` or `LogFull`, and has
        stored nothing then.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun, and let go of files and threads. Safe to call twice."""
        ...


async def follow(log: LogReader, after: int = 0, types: Collection[str] | None = None) -> AsyncIterator[Recorded]:
    """A log's events after a position, for ever: what is there, then what comes."""
    while True:
        page = await log.read(after, types)
        for recorded in page.events:
            yield recorded
        after = page.position
        await log.wait(after)
