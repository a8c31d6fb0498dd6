"""
The event log in one SQLite file: the default.

One process owns the file and one thread in it writes, many calls in one transaction (group commit). A call returns
once its events are on the disk: WAL with `synchronous=FULL`, since NORMAL loses acknowledged commits in a power cut.
Any number of other processes read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from notifier.errors import Conflict, LogError, LogFull, LogOwned, Overtaken
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Consumer, Duplicate, Page, checked_size
from notifier.events import Event, Recorded

APPLICATION_ID = 0x504E4C47  # "PNLG": the file is ours
VERSION = 1
GROUP = 256  # calls in one transaction at the most
SAFETY_POLL = 0.25  # seconds between looks at another process's file

_SCHEMA = f"""
CREATE TABLE events(
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    type TEXT NOT NULL,
    leaf BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE consumers(name TEXT PRIMARY KEY, position INTEGER NOT NULL, state BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE blobs(name BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

_INSERT = "INSERT INTO events(position, id, type, leaf, data) VALUES (?, ?, ?, ?, ?)"


class _Row(msgspec.Struct, frozen=True, gc=False):
    """An event as it will stand in the table, its position aside."""

    id: bytes
    type: str
    leaf: bytes
    data: bytes


class _Call(msgspec.Struct, frozen=True, eq=False):
    """One append on its way to the writer."""

    rows: list[_Row]
    blobs: Sequence[bytes]
    commit: Commit | None
    answer: asyncio.Future[list[Appended | Duplicate]]


class SqliteLog:
    """`await SqliteLog.open(directory, clock)` owns the log there; with `write=False` it only reads."""

    def __init__(self, path: Path, clock: Callable[[], datetime], lock: int | None) -> None:
        self._clock = clock
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._waiting: set[asyncio.Future[None]] = set()
        self._thread: threading.Thread | None = None
        if lock is not None:
            self._writer = _connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            _prepare(self._writer, path)
            self._head = _head(self._writer)
            self._thread = threading.Thread(target=self._write, name="event log writer", daemon=True)
            self._thread.start()
        self._reader = _connect(path, apsw.SQLITE_OPEN_READONLY)
        _check(self._reader, path)

    @classmethod
    async def open(cls, directory: Path, clock: Callable[[], datetime], *, write: bool = True) -> SqliteLog:
        """
        Open the log in a directory, and make it where there is none and we may write.

        Raises `LogOwned` while another process owns it, and `LogError` for a file that is not a log, is of a newer
        notifier, or is not there to be read.
        """
        path = directory / "events.db"
        if write:
            directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 once, before anything runs
            return cls(path, clock, _owned(directory / "owner.lock"))
        if not path.exists():
            raise LogError(f"{path}: there is no log yet; `notifier run` makes it")
        return cls(path, clock, None)

    # ---------------------------------------------------------------- writing

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        if self._thread is None:
            raise LogError("the log is open for reading, or closed; only its owner appends")
        now = self._clock()
        rows = [_row(event, now) for event in events]
        checked_size(row.data for row in rows)
        answer: asyncio.Future[list[Appended | Duplicate]] = self._loop.create_future()
        self._calls.put(_Call(rows, blobs, commit, answer))
        # Shielded: who stops waiting does not stop the writing.
        return await asyncio.shield(answer)

    def _write(self) -> None:
        """The writer's thread: takes what is waiting, stores it in one transaction, and tells everyone."""
        while (call := self._calls.get()) is not None:
            group = [call]
            ended = False
            while len(group) < GROUP:
                try:
                    following = self._calls.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    ended = True
                    break
                group.append(following)
            outcomes = self._store(group)
            with contextlib.suppress(RuntimeError):  # the loop was closed while we wrote; what is stored is stored
                self._loop.call_soon_threadsafe(self._tell, outcomes)
            if ended:
                return

    def _store(self, group: list[_Call]) -> list[tuple[_Call, list[Appended | Duplicate] | Exception]]:
        head = self._head
        outcomes: list[tuple[_Call, list[Appended | Duplicate] | Exception]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for call in group:
                outcomes.append((call, self._store_one(call)))
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            if not self._writer.get_autocommit():
                self._writer.execute("ROLLBACK")
            self._head = head
            return [(call, _as_ours(error)) for call in group]
        return outcomes

    def _store_one(self, call: _Call) -> list[Appended | Duplicate] | Exception:
        """One call within the group's transaction; refused, it leaves no trace and hurts no other."""
        head = self._head
        self._writer.execute("SAVEPOINT call")
        try:
            self._move(call.commit)
            self._writer.executemany(
                "INSERT OR IGNORE INTO blobs VALUES (?, ?)",
                [(hashlib.sha256(blob).digest(), blob) for blob in call.blobs],
            )
            answers = self._insert(call.rows)
        except (Conflict, Overtaken) as refusal:
            self._writer.execute("ROLLBACK TO call")
            self._writer.execute("RELEASE call")
            self._head = head
            return refusal
        self._writer.execute("RELEASE call")
        return answers

    def _move(self, commit: Commit | None) -> None:
        if commit is None:
            return
        found = self._writer.execute("SELECT version FROM consumers WHERE name = ?", (commit.name,)).get
        if (found or 0) != commit.expected:
            raise Overtaken(f"consumer {commit.name} has moved on; another process reads under its name")
        self._writer.execute(
            "INSERT OR REPLACE INTO consumers VALUES (?, ?, ?, ?)",
            (commit.name, commit.position, commit.state, commit.expected + 1),
        )

    def _insert(self, rows: list[_Row]) -> list[Appended | Duplicate]:
        first = self._head + 1
        try:
            # Nearly always all are new. If one is not, this statement leaves nothing and each is looked at.
            self._writer.execute("SAVEPOINT rows")
            self._writer.executemany(
                _INSERT, [(first + n, row.id, row.type, row.leaf, row.data) for n, row in enumerate(rows)]
            )
        except apsw.ConstraintError:
            self._writer.execute("ROLLBACK TO rows")
            self._writer.execute("RELEASE rows")
            return [self._insert_one(row) for row in rows]
        self._writer.execute("RELEASE rows")
        self._head += len(rows)
        return [Appended(first + n) for n in range(len(rows))]

    def _insert_one(self, row: _Row) -> Appended | Duplicate:
        before = self._writer.execute("SELECT position, data FROM events WHERE id = ?", (row.id,)).fetchone()
        if before is None:
            self._head += 1
            self._writer.execute(_INSERT, (self._head, row.id, row.type, row.leaf, row.data))
            return Appended(self._head)
        if not codec.same_words(before[1], row.data):
            raise Conflict(f"event {_hyphened(row.id)} ({row.type}) is in the log with other words")
        return Duplicate(before[0])

    def _tell(self, outcomes: list[tuple[_Call, list[Appended | Duplicate] | Exception]]) -> None:
        for call, outcome in outcomes:
            if call.answer.done():
                continue
            if isinstance(outcome, Exception):
                call.answer.set_exception(outcome)
            else:
                call.answer.set_result(outcome)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    # ---------------------------------------------------------------- reading

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> Page:
        wanted = "" if types is None else f" AND type IN ({', '.join('?' * len(types))})"
        query = f"SELECT position, id, type, data FROM events WHERE position > ?{wanted} ORDER BY position LIMIT ?"  # noqa: S608 only question marks
        with self._reader:
            # One snapshot for both: what lies behind the cursor has been looked at.
            head = _head(self._reader)
            rows = self._reader.execute(query, (after, *(types or ()), limit)).fetchall()
        events = [_recorded(row) for row in rows]
        return Page(events, events[-1].position if len(events) == limit else max(head, after))

    async def find(self, id: str) -> Recorded | None:
        key = bytes.fromhex(id.replace("-", ""))
        row = self._reader.execute("SELECT position, id, type, data FROM events WHERE id = ?", (key,)).fetchone()
        return _recorded(row) if row else None

    async def blob(self, name: str) -> bytes:
        row = self._reader.execute("SELECT body FROM blobs WHERE name = ?", (bytes.fromhex(name),)).fetchone()
        if row is None:
            raise KeyError(name)
        body: bytes = row[0]
        return body

    async def head(self) -> int:
        return _head(self._reader)

    async def wait(self, after: int) -> None:
        while await self.head() <= after:
            grown: asyncio.Future[None] = self._loop.create_future()
            self._waiting.add(grown)
            try:
                # The owner hears of every append; a reader has only the file to look at.
                if self._thread is not None:
                    await grown
                else:
                    await asyncio.wait([grown], timeout=SAFETY_POLL)
            finally:
                self._waiting.discard(grown)

    async def follow(self, after: int = 0, types: Collection[str] | None = None) -> AsyncIterator[Recorded]:
        while True:
            page = await self.read(after, types)
            for recorded in page.events:
                yield recorded
            after = page.position
            await self.wait(after)

    async def consumer(self, name: str) -> Consumer:
        found = self._consumers("name = ?", name)
        return found[0] if found else Consumer(name)

    async def consumers(self, prefix: str) -> list[Consumer]:
        return self._consumers("substr(name, 1, length(?1)) = ?1", prefix)

    def _consumers(self, condition: str, value: str) -> list[Consumer]:
        query = f"SELECT name, position, state, version FROM consumers WHERE {condition} ORDER BY name"  # noqa: S608 ours
        return [Consumer(*row) for row in self._reader.execute(query, (value,))]

    async def close(self) -> None:
        """Store what is waiting, then let go."""
        if self._thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            self._writer.close()
        self._reader.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _connect(path: Path, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags=flags)
    except apsw.CantOpenError as error:
        raise LogError(f"{path}: cannot be opened; is the directory there, and ours to use?") from error
    connection.set_busy_timeout(5_000)
    return connection


def _prepare(writer: apsw.Connection, path: Path) -> None:
    try:
        writer.execute("PRAGMA page_size = 8192")
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = FULL")
        if not writer.execute("SELECT count(*) FROM sqlite_schema").get:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute(_SCHEMA)
            writer.execute("COMMIT")
    except apsw.NotADBError as error:
        raise LogError(f"{path}: this is no event log; move it away and start again") from error
    _check(writer, path)


def _check(connection: apsw.Connection, path: Path) -> None:
    try:
        ours = connection.execute("PRAGMA application_id").get == APPLICATION_ID
        version = connection.execute("PRAGMA user_version").get
    except apsw.NotADBError:
        ours, version = False, 0
    if not ours:
        raise LogError(f"{path}: this is no event log; move it away and start again")
    if version > VERSION:
        raise LogError(f"{path}: a newer notifier wrote this log (version {version}); update this one")


def _owned(path: Path) -> int:
    """A file descriptor that holds the lock; the operating system lets go of it when the process ends, however."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise LogOwned(
            f"{path.parent}: process {owner} works on this log; stop it first, or use another home"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _row(event: Event, now: datetime) -> _Row:
    id = event.id
    data = codec.encode(event, now, id=id)
    return _Row(bytes.fromhex(id.replace("-", "")), event.type, hashlib.sha256(b"\0" + data).digest(), data)


def _recorded(row: tuple[Any, ...]) -> Recorded:
    position, id, type, data = row
    recorded_at, event = codec.decode(type, data)
    return Recorded(position, _hyphened(id), recorded_at, event)


def _hyphened(id: bytes) -> str:
    digits = id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _head(connection: apsw.Connection) -> int:
    head: int = connection.execute("SELECT coalesce(max(position), 0) FROM events").get
    return head


def _as_ours(error: apsw.Error) -> LogError:
    if isinstance(error, apsw.FullError):
        return LogFull("the disk is full; nothing acknowledged is lost, and the log goes on once there is room")
    return LogError(f"the log could not be written: {error}")
