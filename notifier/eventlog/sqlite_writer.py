"""
Writing to the event log's file: many calls in one transaction, in the writer's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
from collections.abc import Sequence

import apsw
import msgspec

from notifier.errors import Conflict, LogError, LogFull, Overtaken
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Duplicate

# Nothing is ever deleted, so SQLite numbers the rows as we do: each one above the highest.
_INSERT = "INSERT INTO events(id, type, leaf, data) VALUES (?, ?, ?, ?)"
_INSERT_MANY = "INSERT OR FAIL INTO events(id, type, leaf, data) VALUES"

Row = tuple[bytes, str, bytes, bytes]
"""An event as it will stand in the table, its position aside: id, type, leaf, data."""

Outcome = list[Appended | Duplicate] | Exception


class Call(msgspec.Struct, frozen=True, eq=False):
    """One append on its way to the writer."""

    rows: list[Row]
    blobs: Sequence[bytes]
    commit: Commit | None
    answer: asyncio.Future[list[Appended | Duplicate]]


class Wal:
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


def store(writer: apsw.Connection, group: list[Call]) -> list[Outcome]:
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


def _store_new(writer: apsw.Connection, group: list[Call]) -> list[Outcome]:
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


def _store_one(writer: apsw.Connection, call: Call) -> Outcome:
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
            "the disk is full; nothing acknowledged is lost, and the log continues once there is space"
        )
    else:
        ours = LogError(f"the log could not be written: {error!r}")
    ours.__cause__ = error
    return ours
