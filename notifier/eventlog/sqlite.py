"""
The event log in one SQLite file: the default.

One process owns the file and one thread in it writes, many calls in one transaction (group commit). A call returns
once its events are on the disk: WAL with `synchronous=FULL`, since NORMAL loses acknowledged commits in a power cut.
Any number of other processes read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import apsw
import msgspec

from notifier import durable
from notifier.errors import Conflict, LogError, LogFull, LogOwned, Overtaken
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Consumer, Duplicate, LogPage, checked_size
from notifier.events.event import Event, Recorded

APPLICATION_ID = 0x504E4C47  # "PNLG": the file is ours
VERSION = 1
GROUP = 1_000  # events in one transaction, but that the last call may go beyond
STRETCH = 10_000  # events looked at in one go for rare types, so that others get their turn
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

# Nothing is ever deleted, so SQLite numbers the rows as we do: each one above the highest.
_INSERT = "INSERT INTO events(id, type, leaf, data) VALUES (?, ?, ?, ?)"
_INSERT_MANY = "INSERT OR FAIL INTO events(id, type, leaf, data) VALUES"

# A page of rows as two JSON arrays: to step through them one by one costs as much as to decode them.
_AS_ARRAYS = """
SELECT CAST('[' || group_concat(position) || ']' AS BLOB), CAST('[' || group_concat(data) || ']' AS BLOB) FROM ({})
"""

Row = tuple[bytes, str, bytes, bytes]
"""An event as it will stand in the table, its position aside: id, type, leaf, data."""

Outcome = list[Appended | Duplicate] | Exception


class _Call(msgspec.Struct, frozen=True, eq=False):
    """One append on its way to the writer."""

    rows: list[Row]
    blobs: Sequence[bytes]
    commit: Commit | None
    answer: asyncio.Future[list[Appended | Duplicate]]


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
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
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
                raise LogError(f"{path}: there is no log yet; `notifier run` makes it")
            return cls(clock, _reader(path))
        try:
            durable.make(directory)  # with its entry in the one above, a log would be lost whole
            lock = _owned(directory / "owner.lock")
        except OSError as error:
            raise LogError(f"{directory}: the log cannot be opened for writing: {error.strerror}") from error
        try:
            writer = _writer(path)
            return cls(clock, _reader(path), writer, lock)
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
        self._calls.put(_Call(rows, blobs, commit, answer))
        return answer

    def _write(self, writer: apsw.Connection) -> None:
        """The writer's thread: takes what is waiting, stores it in one transaction, and tells everyone."""
        wal = _Wal(writer)
        while group := self._next_group():
            outcomes = _store(writer, group)
            with contextlib.suppress(RuntimeError):  # the loop was closed while we wrote; what is stored is stored
                self._loop.call_soon_threadsafe(self._tell, group, outcomes)
            wal.fold_in()
        writer.close()

    def _next_group(self) -> list[_Call]:
        """The calls that wait, or the next to come; none once the log is closed and all is stored."""
        group: list[_Call] = []
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

    def _tell(self, group: list[_Call], outcomes: list[Outcome]) -> None:
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
        """Store what is waiting, then let go. Who waits for the log to grow is told by a `LogError`."""
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


class _Wal:
    """
    The WAL, folded into the file when it is long.

    SQLite would do so within a commit and keep its caller waiting; here callers are told first.
    """

    LONG = 1_000  # pages, as SQLite has it

    def __init__(self, writer: apsw.Connection) -> None:
        self._writer = writer
        self._pages = 0
        writer.set_wal_hook(self._grown)

    def _grown(self, writer: apsw.Connection, database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def fold_in(self) -> None:
        """Fold in what no reader stands in the way of, and of the rest more the next time."""
        if self._pages >= self.LONG:
            # What cannot be folded in (a full disk) stays in the WAL, where it is as safe, and is tried again.
            with contextlib.suppress(apsw.Error):
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


# ---------------------------------------------------------------- one transaction, in the writer's thread


def _store(writer: apsw.Connection, group: list[_Call]) -> list[Outcome]:
    """A group of calls in one transaction. Whatever goes wrong, each call has its outcome, and the next may try."""
    try:
        writer.execute("BEGIN IMMEDIATE")
        try:
            # Nearly always all of it is new and nobody is refused.
            outcomes = _store_new(writer, group)
        except Exception:  # noqa: BLE001 whatever it was, it comes again below, for the call that it concerns
            _roll_back(writer)
            writer.execute("BEGIN IMMEDIATE")
            outcomes = [_store_one(writer, call) for call in group]
        writer.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 a thread that died of it would leave its callers waiting for ever
        ours = [_as_ours(error, writer) for _ in group]
        with contextlib.suppress(apsw.Error):
            _roll_back(writer)
        return list(ours)
    return outcomes


def _store_new(writer: apsw.Connection, group: list[_Call]) -> list[Outcome]:
    """All the group's events as one insert; raises if any of them is in the log already, or any call is refused."""
    for call in group:
        _move(writer, call.commit)
        _keep(writer, call.blobs)
    position = _insert_new(writer, [row for call in group for row in call.rows])
    outcomes: list[Outcome] = []
    for call in group:
        outcomes.append([Appended(position + n) for n in range(len(call.rows))])
        position += len(call.rows)
    return outcomes


def _insert_new(writer: apsw.Connection, rows: list[Row]) -> int:
    """
    Insert rows and return the position of the first; raises if any of them is there already.

    In one statement: between statements the loop's thread is kept from its work, and so a row each would cost it more
    time than the writer. OR FAIL, since what goes wrong here is rolled back whole; the default would have SQLite write
    down how to undo this statement alone.
    """
    if not rows:
        return 0
    values = ", ".join(["(?, ?, ?, ?)"] * len(rows))
    # Not kept by its text: there are as many of these as there are sizes of groups.
    writer.execute(f"{_INSERT_MANY} {values}", [each for row in rows for each in row], can_cache=False)
    return writer.last_insert_rowid() - len(rows) + 1


def _store_one(writer: apsw.Connection, call: _Call) -> Outcome:
    """One call, event by event; refused, it leaves no trace and hurts no other."""
    writer.execute("SAVEPOINT call")
    try:
        _move(writer, call.commit)
        _keep(writer, call.blobs)
        answers = [_insert(writer, row) for row in call.rows]
    except apsw.Error:  # the disk's fault or the file's, not this call's
        raise
    except Exception as refusal:  # noqa: BLE001 handed to the caller, whose call it was
        writer.execute("ROLLBACK TO call")
        writer.execute("RELEASE call")
        return refusal
    writer.execute("RELEASE call")
    return answers


def _insert(writer: apsw.Connection, row: Row) -> Appended | Duplicate:
    id, type, _, data = row
    before = writer.execute("SELECT position, data FROM events WHERE id = ?", (id,)).fetchone()
    if before is None:
        writer.execute(_INSERT, row)
        return Appended(writer.last_insert_rowid())
    if not codec.same_words(before[1], data):
        raise Conflict(f"the log's event {before[0]} ({type}) has the same id, {id.hex()}, and other words")
    return Duplicate(before[0])


def _move(writer: apsw.Connection, commit: Commit | None) -> None:
    if commit is None:
        return
    found = writer.execute("SELECT version FROM consumers WHERE name = ?", (commit.name,)).get
    if (found or 0) != commit.expected:
        raise Overtaken(f"consumer {commit.name} has moved on; another process reads under its name")
    writer.execute(
        "INSERT OR REPLACE INTO consumers VALUES (?, ?, ?, ?)",
        (commit.name, commit.position, commit.state, commit.expected + 1),
    )


def _keep(writer: apsw.Connection, blobs: Sequence[bytes]) -> None:
    for blob in blobs:
        writer.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (hashlib.sha256(blob).digest(), blob))


def _roll_back(writer: apsw.Connection) -> None:
    # SQLite has done so by itself after some errors.
    if writer.in_transaction:
        writer.execute("ROLLBACK")


def _as_ours(error: Exception, writer: apsw.Connection) -> LogError:
    # A quota, or a limit to the size of files, is a full disk by another name.
    full = isinstance(error, apsw.FullError) or (
        isinstance(error, apsw.IOError) and writer.system_errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    )
    if full:
        ours: LogError = LogFull(
            "the disk is full; nothing acknowledged is lost, and the log goes on once there is room"
        )
    else:
        ours = LogError(f"the log could not be written: {error!r}")
    ours.__cause__ = error
    return ours


# ---------------------------------------------------------------- files and rows


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


def _writer(path: Path) -> apsw.Connection:
    with contextlib.suppress(FileExistsError):
        # For its owner's eyes only; the WAL's mode follows the file's.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    with _explained(path):
        writer = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        writer.set_busy_timeout(5_000)
        if not writer.execute("PRAGMA page_count").get:
            writer.execute("PRAGMA page_size = 8192")
            writer.execute(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT")
        _check(writer, path)
        mode = writer.execute("PRAGMA journal_mode = WAL").get
        writer.execute("PRAGMA synchronous = FULL")
    if mode != "wal":
        raise LogError(f"{path}: this file system takes no WAL (it is {mode}); put the home on a local disk")
    return writer


def _reader(path: Path) -> apsw.Connection:
    with _explained(path):
        reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        reader.set_busy_timeout(5_000)
        _check(reader, path)
    return reader


def _check(connection: apsw.Connection, path: Path) -> None:
    if not connection.execute("PRAGMA page_count").get:
        raise LogError(f"{path}: there is no log yet; `notifier run` makes it")
    if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise LogError(f"{path}: this is no event log; move it away and start again")
    if (version := connection.execute("PRAGMA user_version").get) > VERSION:
        raise LogError(f"{path}: a newer notifier wrote this log (version {version}); update this one")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Opening a file, with SQLite's complaints in our words."""
    try:
        yield
    except apsw.NotADBError as error:
        raise LogError(f"{path}: this is no event log; move it away and start again") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise LogError(
            f"{path}: cannot be opened; its reader too must be allowed to make files beside it ({path.name}-shm) "
            "while no process writes the log"
        ) from error
    except apsw.Error as error:
        raise LogError(f"{path}: cannot be opened: {error}") from error


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
