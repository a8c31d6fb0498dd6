"""
The event log in one SQLite file: the default.

One process owns the file and one thread in it writes, many calls in one transaction (group commit). A call returns
once its events are on the disk: WAL with `synchronous=FULL`, since NORMAL loses acknowledged commits in a power cut.
Any number of other processes read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

import apsw

from notifier import durable
from notifier.errors import LogError
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Consumer, Duplicate, LogPage, checked_size
from notifier.eventlog.sqlite_file import own, reading_connection, writing_connection
from notifier.eventlog.sqlite_writer import Call, Outcome, Row, Wal, store
from notifier.events.event import Event, Recorded

GROUP = 1_000  # events in one transaction, but that the last call may go beyond
STRETCH = 10_000  # events looked at in one go for rare types, so that others get their turn
SAFETY_POLL = 0.25  # seconds between looks at another process's file


# A page of rows as two JSON arrays: to step through them one by one costs as much as to decode them.
_AS_ARRAYS = """
SELECT CAST('[' || group_concat(position) || ']' AS BLOB), CAST('[' || group_concat(data) || ']' AS BLOB) FROM ({})
"""


class SqliteLog:
    """`await SqliteLog.open(directory, clock)` owns the log there; with `write=False` it only reads."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        reader: apsw.Connection,
        writer: apsw.Connection | None = None,
        lock: int | None = None,
    ) -> None:
        self._clock = clock
        self._reader = reader
        self._lock = lock
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._waiting: set[asyncio.Future[None]] = set()
        self._thread: threading.Thread | None = None
        if writer is not None:
            self._thread = threading.Thread(target=self._write, args=(writer,), name="event log writer", daemon=True)
            self._thread.start()

    @classmethod
    async def open(cls, directory: Path, clock: Callable[[], datetime], *, write: bool = True) -> SqliteLog:
        """
        Open the log in a directory, and make it where there is none and we may write.

        Raises `LogOwned` while another process owns it, and `LogError` for a file that is not a log, is of a newer
        notifier, or is not there to be read.
        """
        path = directory / "events.db"
        if not write:
            if not path.exists():
                raise LogError(f"{path}: there is no log yet; `notifier run` creates it")
            return cls(clock, reading_connection(path))
        try:
            durable.make(directory)  # with its entry in the one above, a log would be lost whole
            lock = own(directory / "owner.lock")
        except OSError as error:
            raise LogError(f"{directory}: the log cannot be opened for writing: {error.strerror}") from error
        try:
            writer = writing_connection(path)
            return cls(clock, reading_connection(path), writer, lock)
        except BaseException:
            os.close(lock)
            raise

    # ---------------------------------------------------------------- writing

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        now = self._clock()
        return await self._hand_over([_row(event, now) for event in events], blobs, commit)

    def _hand_over(
        self, rows: list[Row], blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> asyncio.Future[list[Appended | Duplicate]]:
        if self._thread is None or self._closed:
            raise LogError("the log is open for reading, or closed; only its owner appends")
        checked_size([row[3] for row in rows])
        answer: asyncio.Future[list[Appended | Duplicate]] = self._loop.create_future()
        # Who stops waiting does not stop the writing: the call goes its way, only its answer is dropped.
        self._calls.put(Call(rows, blobs, commit, answer))
        return answer

    def _write(self, writer: apsw.Connection) -> None:
        """The writer's thread: takes what is waiting, stores it in one transaction, and tells everyone."""
        wal = Wal(writer)
        while group := self._next_group():
            outcomes = store(writer, group)
            with contextlib.suppress(RuntimeError):  # the loop was closed while we wrote; what is stored is stored
                self._loop.call_soon_threadsafe(self._tell, group, outcomes)
            wal.fold_in()
        writer.close()

    def _next_group(self) -> list[Call]:
        """The calls that wait, or the next to come; none once the log is closed and all is stored."""
        group: list[Call] = []
        size = 0
        while size < GROUP and not (group and self._calls.empty()):
            call = self._calls.get()
            if call is None:
                if group:
                    self._calls.put(None)  # to be met again when these are stored
                break
            group.append(call)
            size += max(len(call.rows), 1)
        return group

    def _tell(self, group: list[Call], outcomes: list[Outcome]) -> None:
        for call, outcome in zip(group, outcomes, strict=True):
            if call.answer.done():
                continue
            if isinstance(outcome, Exception):
                call.answer.set_exception(outcome)
            else:
                call.answer.set_result(outcome)
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    # ---------------------------------------------------------------- reading

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        wanted = "" if types is None else f" AND type IN ({', '.join('?' * len(types))})"
        rows = (
            "SELECT position, type, data FROM events "  # noqa: S608 only question marks
            f"WHERE position > ? AND position <= ?{wanted} ORDER BY position LIMIT ?"
        )
        while True:
            # Nothing lower than the head will ever come, so what lies before it has been looked at for good.
            head = await self.head()
            end = min(head, after + STRETCH)
            bound = (after, end, *(types or ()), limit)
            [(positions, data)] = self._reader.execute(_AS_ARRAYS.format(rows), bound)
            if positions or end >= head:
                break
            after = end
            await asyncio.sleep(0)
        events = codec.decode_many(positions or b"[]", data or b"[]")
        if events is None:
            events = [codec.decode(*row) for row in self._reader.execute(rows, bound)]
        return LogPage(events, events[-1].position if len(events) == limit else max(end, after))

    async def find(self, id: str) -> Recorded | None:
        query = "SELECT position, type, data FROM events WHERE id = ?"
        row = self._open().execute(query, (_as_bytes(id.replace("-", "")),)).fetchone()
        return codec.decode(*row) if row else None

    async def blob(self, name: str) -> bytes:
        body: bytes | None = self._open().execute("SELECT body FROM blobs WHERE name = ?", (_as_bytes(name),)).get
        if body is None:
            raise KeyError(name)
        return body

    async def head(self) -> int:
        return _head(self._open())

    async def wait(self, after: int) -> None:
        while await self.head() <= after:
            grown: asyncio.Future[None] = self._loop.create_future()
            self._waiting.add(grown)
            try:
                # The owner hears of every append; a reader has only the file to look at.
                await asyncio.wait([grown], timeout=None if self._thread else SAFETY_POLL)
            finally:
                self._waiting.discard(grown)

    async def consumer(self, name: str) -> Consumer:
        found = self._consumers("name = ?", name)
        return found[0] if found else Consumer(name)

    async def consumers(self, prefix: str) -> list[Consumer]:
        return self._consumers("substr(name, 1, length(?1)) = ?1", prefix)

    def _consumers(self, condition: str, value: str) -> list[Consumer]:
        query = f"SELECT name, position, state, version FROM consumers WHERE {condition} ORDER BY name"  # noqa: S608 ours
        return [Consumer(*row) for row in self._open().execute(query, (value,))]

    def _open(self) -> apsw.Connection:
        if self._closed:
            raise LogError("the log is closed")
        return self._reader

    async def close(self) -> None:
        """Store what is waiting, then close. Whoever waits for the log to grow gets a `LogError`."""
        self._closed = True
        self._wake()
        # Before the writer's: the last to close takes the WAL into the file, and a reader may not write.
        self._reader.close()
        if self._thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _row(event: Event, now: datetime) -> Row:
    id = event.id
    data = codec.encode(event, now, id=id)
    return bytes.fromhex(id.replace("-", "")), event.type, _leaf(data), data


def _leaf(data: bytes) -> bytes:
    """The leaf that stands for an event in the tree of RFC 6962."""
    return hashlib.sha256(b"\0" + data).digest()


def _as_bytes(digits: str) -> bytes:
    """What hexadecimal digits stand for; nothing that the log holds where they are none."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _head(connection: apsw.Connection) -> int:
    head: int = connection.execute("SELECT coalesce(max(position), 0) FROM events").get
    return head
