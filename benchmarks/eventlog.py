"""
How fast is the event log, beside bare SQLite and beside the `eventsourcing` library?

    python -m benchmarks.eventlog            a hundred thousand events stored beforehand; half a minute
    python -m benchmarks.eventlog small      twenty thousand, for a look
    python -m benchmarks.eventlog million    a million, which the targets are meant for; two to four minutes, 4 GB

All engines work on the same disk (`TMPDIR` says which) in one run and take turns in every round; a figure is the
median of its rounds, a ratio the median of the rounds' ratios, so what else the machine does meanwhile hits both sides
alike. They store the same bytes, about 650 an event, with the same durability (WAL, `synchronous=FULL`). The other
engines are given their rows ready made; what the log does inside its own figure is said beside it.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import apsw
import msgspec
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from notifier.eventlog import codec, sqlite
from notifier.eventlog.sqlite import Row, SqliteLog
from notifier.eventlog.sqlite_file import writing_connection
from notifier.events.event import Event
from notifier.events.statements import StatementPublished
from notifier.statement import Statement, fingerprint

BATCH = 1_000
TASKS = 64
PAGE = 500  # events in one read, on both sides
ROUNDS = 9
BEGUN = datetime(2020, 6, 29, 12, tzinfo=UTC)


class Size(msgspec.Struct, frozen=True):
    """Events stored beforehand, and in one round: appended in batches, appended singly by tasks or recorder, read."""

    stored: int
    batched: int
    by_tasks: int
    by_recorder: int
    read: int


SIZES = {
    "small": Size(20_000, 5_000, 3_200, 500, 10_000),
    "usual": Size(100_000, 20_000, 12_800, 2_000, 50_000),
    "million": Size(1_000_000, 20_000, 12_800, 2_000, 100_000),
}


class Comparison(msgspec.Struct):
    """One line of the table: events a second on our side and on the other, round by round."""

    what: str
    inside: str
    other: str
    target: str
    ours: list[float] = msgspec.field(default_factory=list)
    others: list[float] = msgspec.field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        ratio = statistics.median(one / other for one, other in zip(self.ours, self.others, strict=True))
        return (
            self.what,
            self.inside,
            f"{statistics.median(self.ours):,.0f}",
            self.other,
            f"{statistics.median(self.others):,.0f}",
            f"{ratio:.2f}",
            self.target,
        )


def published(n: int) -> StatementPublished:
    """The nth event: one statement a second, as feeds bring them, with a short summary."""
    title, link = f"Notice {n}: export controls and Hong Kong", f"https://commerce.example/news/{n}"
    summary = ("Rules that gave Hong Kong preferential treatment are suspended. " * 2)[:80]
    statement = Statement(
        id=f"us-commerce/{n:016x}",
        feed="us-commerce",
        issuer="Department of Commerce",
        title=title,
        fingerprint=fingerprint(title, summary),
        link=link,
        summary=summary,
        published_at=BEGUN + timedelta(seconds=n),
        lang="en",
    )
    return StatementPublished(statement=statement, seen_at=BEGUN)


class Numbers:
    """Events that nobody has stored yet, in the order they come."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, many: int) -> list[Event]:
        self._next += many
        return [published(n) for n in range(self._next - many, self._next)]


def batches(items: list[Event] | list[Row] | list[StoredEvent]) -> Iterator[list]:  # type: ignore[type-arg]
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


# ---------------------------------------------------------------- the engines


class Bare:
    """SQLite and nothing else: the log's own table and settings, rows ready made, leaf and all."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        # The log's file to the letter: page size, WAL, FULL, and the unique id.
        self.connection: apsw.Connection = writing_connection(directory / "bare.db")

    def append(self, rows: list[Row]) -> None:
        for batch in batches(rows):
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT INTO events(id, type, leaf, data) VALUES (?, ?, ?, ?)", batch)
            self.connection.execute("COMMIT")


class Library:
    """The recorder of `eventsourcing`, set up as its documentation does, with each statement an aggregate."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(directory / "library.db")))
        self.recorder.create_table()

    @staticmethod
    def ready(events: Iterable[Event]) -> list[StoredEvent]:
        return [StoredEvent(uuid4(), 1, event.type, codec.encode(event, BEGUN)) for event in events]

    def append(self, events: list[StoredEvent]) -> None:
        for batch in batches(events):
            self.recorder.insert_events(batch)

    def append_singly(self, events: list[StoredEvent]) -> None:
        for event in events:
            self.recorder.insert_events([event])

    def read(self, many: int) -> int:
        seen = 0
        while seen < many:
            seen = self.recorder.select_notifications(seen, PAGE, inclusive_of_start=False)[-1].id
        return seen


async def append(log: SqliteLog, events: list[Event]) -> None:
    for batch in batches(events):
        await log.append(batch)


async def append_ready(log: SqliteLog, rows: list[Row]) -> None:
    """The append without what makes an event into bytes: given ids and JSON, it seals them with leaves and stores."""
    for batch in batches(rows):
        await log._hand_over([(id, type, sqlite._leaf(data), data) for id, type, _, data in batch])


async def append_by_tasks(log: SqliteLog, events: list[Event], waits: list[float]) -> None:
    async def task(part: list[Event]) -> None:
        for event in part:
            begun = time.perf_counter()
            await log.append([event])
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(task(events[number::TASKS]) for number in range(TASKS)))


async def replay(log: SqliteLog, many: int) -> int:
    seen = 0
    while seen < many:
        seen = (await log.read(seen, limit=PAGE)).position
    return seen


# ---------------------------------------------------------------- the rounds


async def rate(many: int, work: Callable[[], Awaitable[object] | object]) -> float:
    """Events a second."""
    begun = time.perf_counter()
    result = work()
    if isinstance(result, Awaitable):
        await result
    return many / (time.perf_counter() - begun)


async def measured(size: Size, directory: Path) -> tuple[list[Comparison], list[float]]:
    """All comparisons, and how long each append of a task took (seconds)."""
    seal = Comparison("batches of 1,000", "id, JSON ready; leaf", "bare SQLite", "≥ 0.8")
    whole = Comparison("batches of 1,000", "id, JSON, leaf", "bare SQLite", "")
    full = Comparison("batches of 1,000", "id, JSON, leaf", "eventsourcing", "≥ 4")
    tasks = Comparison(f"{TASKS} tasks, one each", "id, JSON, leaf", "eventsourcing, singly", "≥ 12")
    reading = Comparison("replay, typed", "JSON to events", "eventsourcing, untyped", "≥ 2.8")
    bare_rates: list[float] = []
    waits: list[float] = []
    numbers = Numbers()
    log = await SqliteLog.open(directory / "log", lambda: BEGUN)
    # A second log, so that both sides of "id, JSON ready" hold the same at every moment.
    sealed = await SqliteLog.open(directory / "sealed", lambda: BEGUN)
    bare, library = Bare(directory / "bare"), Library(directory / "library")

    while (more := size.stored - await log.head()) > 0:
        events = numbers.take(min(more, 10 * BATCH))
        rows = [sqlite._row(event, BEGUN) for event in events]
        await append(log, events)
        await append_ready(sealed, rows)
        bare.append(rows)
        library.append(library.ready(events))

    for number in range(ROUNDS):
        events = numbers.take(size.batched)
        rows, ready = [sqlite._row(event, BEGUN) for event in events], library.ready(events)
        singly, ready_singly = numbers.take(size.by_tasks), library.ready(numbers.take(size.by_recorder))
        turns: list[tuple[list[float], int, Callable[[], Awaitable[object] | object]]] = [
            (bare_rates, size.batched, partial(bare.append, rows)),
            (seal.ours, size.batched, partial(append_ready, sealed, rows)),
            (whole.ours, size.batched, partial(append, log, events)),
            (full.others, size.batched, partial(library.append, ready)),
            (tasks.ours, size.by_tasks, partial(append_by_tasks, log, singly, waits)),
            (tasks.others, size.by_recorder, partial(library.append_singly, ready_singly)),
            (reading.ours, size.read, partial(replay, log, size.read)),
            (reading.others, size.read, partial(library.read, size.read)),
        ]
        # Shuffled, so that nobody always works on a disk that the same other has just made busy.
        random.Random(number).shuffle(turns)
        for rates, many, work in turns:
            rates.append(await rate(many, work))
    seal.others, whole.others, full.ours = bare_rates, bare_rates, whole.ours
    await log.close()
    await sealed.close()
    library.recorder.datastore.close()
    bare.connection.close()
    return [seal, whole, full, tasks, reading], waits


def main(words: list[str]) -> None:
    name = words[0] if words else "usual"
    if name not in SIZES or len(words) > 1:
        sys.exit(f"python -m benchmarks.eventlog [{'|'.join(SIZES)}]")
    size = SIZES[name]
    with tempfile.TemporaryDirectory(prefix="eventlog-") as directory:
        comparisons, waits = asyncio.run(measured(size, Path(directory)))
    bytes_each = len(codec.encode(published(size.stored), BEGUN))
    print(f"python -m benchmarks.eventlog {name}")
    print(
        f"{size.stored:,} events of {bytes_each} bytes stored beforehand; {ROUNDS} rounds, each {size.batched:,} in "
        f"batches, {size.by_tasks:,} by tasks ({size.by_recorder:,} by the recorder), {size.read:,} read"
    )
    print()
    titles = ("appended or read", "inside our figure", "ours/s", "beside", "its/s", "ratio", "target")
    table = [titles, *(comparison.row() for comparison in comparisons)]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    print(f"wait of one append among {TASKS}: p50 {statistics.median(waits) * 1e3:.2f} ms (target ≤ 2 ms)")
    print()
    print(
        "The design of ids makes most of the ratios to eventsourcing: ours begin with the time, so a new one lands\n"
        "beside the last in the unique index; its UUIDs are random, and land anywhere. Bare SQLite has our ids."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
