"""
Opening the event log's file: its one owner, what it must be, and the errors if it cannot be opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import apsw

from notifier.errors import LogError, LogOwned

APPLICATION_ID = 0x504E4C47  # "PNLG": the file is ours
VERSION = 1

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


def own(path: Path) -> int:
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


def writing_connection(path: Path) -> apsw.Connection:
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
        raise LogError(
            f"{path}: this file system does not support WAL (the journal is {mode}); put the home on a local disk"
        )
    return writer


def reading_connection(path: Path) -> apsw.Connection:
    with _explained(path):
        reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        reader.set_busy_timeout(5_000)
        _check(reader, path)
    return reader


def _check(connection: apsw.Connection, path: Path) -> None:
    if not connection.execute("PRAGMA page_count").get:
        raise LogError(f"{path}: there is no log yet; `notifier run` creates it")
    if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise LogError(f"{path}: this is not an event log; move it away and start again")
    if (version := connection.execute("PRAGMA user_version").get) > VERSION:
        raise LogError(f"{path}: a newer notifier wrote this log (version {version}); update this one")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Opening a file, with SQLite's complaints in our words."""
    try:
        yield
    except apsw.NotADBError as error:
        raise LogError(f"{path}: this is not an event log; move it away and start again") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise LogError(
            f"{path}: cannot be opened; a reader must be allowed to create files beside it ({path.name}-shm) "
            "while no process writes the log"
        ) from error
    except apsw.Error as error:
        raise LogError(f"{path}: cannot be opened: {error}") from error
