"""The log as a file among processes that come, die and run out of disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import stat
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from notifier.errors import LogError, LogOwned
from notifier.eventlog import sqlite, sqlite_writer
from notifier.eventlog.log import BATCH_EVENTS, Appended, Consumer, EventLog
from notifier.eventlog.sqlite import SqliteLog
from notifier.eventlog.sqlite_file import writing_connection
from tests.eventlog.builders import NOW, moved, published
from tests.eventlog.child import TASKS, numbers

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def child(verb: str, directory: Path, number: int = 0) -> AsyncIterator[Process]:
    """Another process that uses the log; it is gone afterwards, and has a minute for all it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.eventlog.child", verb, directory, str(number), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


async def ended(process: Process) -> list[str]:
    """All lines of a process that ends by itself."""
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().splitlines()


async def killed(process: Process) -> list[str]:
    """Kill -9; the lines that it told before."""
    process.send_signal(signal.SIGKILL)
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    # The last line may be cut; what was not told whole was not told.
    return out.decode().split("\n")[:-1]


@contextlib.asynccontextmanager
async def opened(directory: Path, *, write: bool = True) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(directory, lambda: NOW, write=write)
    try:
        yield log
    finally:
        await log.close()


async def everything(log: EventLog) -> list[int]:
    """The positions of all events, and each can be read."""
    found: list[int] = []
    while page := (await log.read(len(found))).events:
        found += [recorded.position for recorded in page]
    return found


def asked(path: Path, *questions: str) -> list[Any]:
    """What SQLite says of a file that we have closed: two of its builds in one process undo each other's locks."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return [next(iter(connection.execute(question)), (None,))[0] for question in questions]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# ---------------------------------------------------------------- the file


async def test_an_acknowledgement_waits_for_the_disk(tmp_path: Path) -> None:
    """WAL with FULL, set in so many words, on pages of 8 KiB; the file says whose it is."""
    async with opened(tmp_path) as log:
        await log.append([published()])
    writer = writing_connection(tmp_path / "events.db")

    settings = [writer.execute(f"PRAGMA {name}").get for name in ("synchronous", "journal_mode", "page_size")]
    writer.close()

    assert settings == [2, "wal", 8192]
    assert asked(tmp_path / "events.db", "PRAGMA application_id", "PRAGMA user_version") == [0x504E4C47, 1]


async def test_rows_hold_the_leaf_of_the_very_bytes(tmp_path: Path) -> None:
    """Beside the event stands the RFC 6962 leaf of its bytes as stored, and the id in 16 bytes."""
    async with opened(tmp_path) as log:
        await log.append([published()])

    id, leaf, data = asked(
        tmp_path / "events.db", "SELECT id FROM events", "SELECT leaf FROM events", "SELECT data FROM events"
    )

    assert id.hex() == published().id.replace("-", "")
    assert leaf == hashlib.sha256(b"\x00" + data).digest()
    assert published().id.encode() in data


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Nobody else's account reads the log, its WAL or its lock, whatever the umask."""
    before = os.umask(0)
    try:
        async with opened(tmp_path / "new" / "data") as log:
            await log.append([published()])
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "data").iterdir()}
    finally:
        os.umask(before)

    assert files == dict.fromkeys(["events.db", "events.db-wal", "events.db-shm", "owner.lock"], 0o600)


async def test_a_log_at_rest_is_one_file(tmp_path: Path) -> None:
    """Closed, all that was appended is in the file itself, so that a copy of it is the log."""
    async with opened(tmp_path) as log:
        await log.append([published(n) for n in range(10)])

    assert files(tmp_path) == ["events.db", "owner.lock"]


async def test_what_was_appended_is_there_the_next_time(tmp_path: Path) -> None:
    """Positions, consumers and blobs go on where they were."""
    async with opened(tmp_path) as log:
        await log.append([published(1)], blobs=[b"b"], commit=Consumer("match").moved_to(1, b"s"))

    async with opened(tmp_path) as log:
        assert await log.append([published(2)]) == [Appended(2)]
        assert await log.consumer("match") == Consumer("match", 1, b"s", 1)
        assert await log.blob(hashlib.sha256(b"b").hexdigest()) == b"b"


@pytest.mark.parametrize("write", [True, False], ids=["to write", "to read"])
@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 20, b"SQLite?"])
async def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path, content: bytes, write: bool) -> None:
    """It is named, and stays as it was; the lock is free again."""
    (tmp_path / "events.db").write_bytes(content)

    for _ in range(2):
        with pytest.raises(LogError, match=r"events\.db: this is not an event log; move it away"):
            await SqliteLog.open(tmp_path, lambda: NOW, write=write)

    assert (tmp_path / "events.db").read_bytes() == content


@pytest.mark.parametrize("write", [True, False], ids=["to write", "to read"])
async def test_somebody_elses_database_is_left_alone(tmp_path: Path, write: bool) -> None:
    """Also where SQLite made it: not a page of it is changed."""
    asked(tmp_path / "events.db", "CREATE TABLE contacts(name)")
    before = (tmp_path / "events.db").read_bytes()

    with pytest.raises(LogError, match="this is not an event log"):
        await SqliteLog.open(tmp_path, lambda: NOW, write=write)

    assert (tmp_path / "events.db").read_bytes() == before


@pytest.mark.parametrize("write", [True, False], ids=["to write", "to read"])
async def test_a_log_of_a_newer_notifier_is_left_alone(tmp_path: Path, write: bool) -> None:
    """The error names its version and what to do."""
    async with opened(tmp_path):
        pass
    asked(tmp_path / "events.db", "PRAGMA user_version = 2")

    with pytest.raises(LogError, match=r"a newer notifier wrote this log \(version 2\); update this one"):
        await SqliteLog.open(tmp_path, lambda: NOW, write=write)


@pytest.mark.parametrize("empty", [True, False], ids=["an empty file", "no file"])
async def test_to_read_there_must_be_a_log(tmp_path: Path, empty: bool) -> None:
    """A reader makes none, not even where an owner has just begun to, and says who does."""
    if empty:
        (tmp_path / "events.db").touch()
    before = files(tmp_path)

    with pytest.raises(LogError, match=r"there is no log yet; `notifier run` creates it"):
        await SqliteLog.open(tmp_path, lambda: NOW, write=False)

    assert files(tmp_path) == before


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the way is named, in a sentence."""
    (tmp_path / "data").touch()

    with pytest.raises(LogError, match="data: the log cannot be opened for writing"):
        await SqliteLog.open(tmp_path / "data", lambda: NOW)


async def test_a_reader_appends_nothing(tmp_path: Path) -> None:
    """Only the owner does; a reader is told so."""
    async with opened(tmp_path), opened(tmp_path, write=False) as reader:
        with pytest.raises(LogError, match="only its owner appends"):
            await reader.append([published()])


async def test_a_closed_log_is_not_read(tmp_path: Path) -> None:
    """Whatever is asked of it, the answer is one of our errors."""
    async with opened(tmp_path) as log:
        pass

    for question in (log.read(), log.head(), log.find("x"), log.blob("00"), log.consumer("x"), log.wait(0)):
        with pytest.raises(LogError, match="the log is closed"):
            await question


# ---------------------------------------------------------------- the writer's thread


async def test_a_call_that_cannot_be_stored_hurts_only_itself(tmp_path: Path) -> None:
    """A mistake of the caller's that shows only while writing is his alone, and the thread lives on."""
    async with opened(tmp_path) as log:
        beyond = Consumer("match").moved_to(2**63)
        calls = [log.append([published(1)]), log.append([published(2)], commit=beyond), log.append([published(3)])]

        async with asyncio.timeout(60):
            answers = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(answer) for answer in answers] == [list, OverflowError, list]
        assert await log.append([published(4)]) == [Appended(3)]
        assert await log.consumer("match") == Consumer("match")


async def test_a_file_that_fails_fails_the_call_and_not_the_thread(tmp_path: Path) -> None:
    """While the file cannot be written each call is told; once it can, the log goes on with nothing missing."""
    async with opened(tmp_path) as log, asyncio.timeout(60):
        await log.append([published(1)])
        other = writing_connection(tmp_path / "events.db")
        other.execute("ALTER TABLE events RENAME TO lost")
        for n in (2, 3):
            with pytest.raises(LogError, match="could not be written"):
                await log.append([published(n)])
        other.execute("ALTER TABLE lost RENAME TO events")
        other.close()

        assert await log.append([published(4)]) == [Appended(2)]
        assert await everything(log) == [1, 2]


async def test_calls_together_are_all_acknowledged(tmp_path: Path) -> None:
    """Hundreds of appends that wait for one disk are written together, and each has the answer to its own."""
    async with opened(tmp_path) as log, asyncio.timeout(60):
        calls = [[published(3 * n), published(3 * n + 1), moved(n)][: 1 + n % 3] for n in range(700)]

        answers = await asyncio.gather(*(log.append(events) for events in calls))

        told = [answer.position for answer in (answer for each in answers for answer in each)]
        read = [recorded.event for start in range(0, len(told), 500) for recorded in (await log.read(start)).events]
        assert told == list(range(1, len(told) + 1))
        assert read == [event for events in calls for event in events]


async def test_the_largest_group_is_one_statement(tmp_path: Path) -> None:
    """A group that is full but for one event, and a call as large as may be: SQLite takes that many values at once."""
    writer = writing_connection(tmp_path / "events.db")
    rows = [sqlite._row(published(n), NOW) for n in range(sqlite.GROUP - 1 + BATCH_EVENTS)]

    first = sqlite_writer._insert_new(writer, rows[:10])
    then = sqlite_writer._insert_new(writer, rows[10:])

    assert (first, then) == (1, 11)
    assert list(writer.execute("SELECT id FROM events ORDER BY position")) == [(row[0],) for row in rows]
    writer.close()


# ---------------------------------------------------------------- other processes


async def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    """The error names the process that holds the log; readers are welcome meanwhile."""
    async with child("own", tmp_path) as owner:
        _, pid = (await line(owner)).split()

        with pytest.raises(LogOwned, match=rf"process {pid} works on this log; stop it first"):
            await SqliteLog.open(tmp_path, lambda: NOW)
        async with opened(tmp_path, write=False) as reader:
            assert await reader.head() == 0


async def test_a_closed_log_has_no_owner(tmp_path: Path) -> None:
    """Within a process too, the lock goes with the log."""
    async with opened(tmp_path):
        with pytest.raises(LogOwned, match=str(os.getpid())):
            await SqliteLog.open(tmp_path, lambda: NOW)

    async with opened(tmp_path) as log:
        assert await log.head() == 0


async def test_readers_elsewhere_follow_what_the_owner_appends(tmp_path: Path) -> None:
    """Another process sees what there is and what comes, once and in order."""
    async with opened(tmp_path) as log:
        await log.append([published(1), published(2)])
        async with child("follow", tmp_path, 6) as follower:
            assert await line(follower) == "following 2"
            await log.append([published(3)])
            await log.append([published(4), published(5), published(6)])

            lines = await ended(follower)

    assert lines == [f"{n} {published(n).id}" for n in range(1, 7)]


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """
    Killed at any moment, a log holds every batch it acknowledged, each batch whole or not at all, the consumer's place
    with its batch, and positions without a gap. The next owner needs no repair, and the retry is a duplicate.
    """
    chance = random.Random(20200629)  # noqa: S311 where to pull the plug
    told: dict[int, int] = dict.fromkeys(range(TASKS), -1)
    start = 0
    for _ in range(5):
        async with child("append", tmp_path, start) as owner:
            lines = [await line(owner) for _ in range(chance.randrange(1, 400))]
            lines += await killed(owner)
        for task, batch in (map(int, each.split()) for each in lines):
            told[task] = max(told[task], batch)

        async with opened(tmp_path) as log:
            positions = await everything(log)
            places = {task: (await log.consumer(f"task/{task}")).position for task in told}
            held = {event for start in range(0, len(positions), 500) for event in await ids(log, start)}

        assert positions == list(range(1, len(positions) + 1))
        assert all(places[task] >= batch for task, batch in told.items())
        for task, last in places.items():
            for batch in range(start, last + 2):
                batch_ids = {published(n).id for n in numbers(task, batch)}
                assert batch_ids & held == (batch_ids if batch <= last else set())
        start = max(places.values()) + 1
        told = dict.fromkeys(told, -1)

    async with opened(tmp_path) as log:
        first = [published(n) for n in numbers(0, 0)]
        assert [type(answer).__name__ for answer in await log.append(first)] == ["Duplicate"] * len(first)


async def ids(log: EventLog, after: int) -> set[str]:
    return {recorded.id for recorded in (await log.read(after)).events}


async def test_a_dead_owners_log_can_be_read_at_once(tmp_path: Path) -> None:
    """After kill -9 a reader sees all that was acknowledged, with no owner to help, and leaves it to the next one."""
    async with child("append", tmp_path) as owner:
        lines = [await line(owner) for _ in range(20)] + await killed(owner)

    async with opened(tmp_path, write=False) as reader:
        read = len(await everything(reader))
    async with opened(tmp_path) as log:
        after = len(await everything(log))

    assert read == after >= len(lines)


async def test_a_reader_that_may_write_nothing_is_told_why(tmp_path: Path) -> None:
    """Beside an owner anybody may read; alone, SQLite must make a file of its own, and the error says so."""
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        async with opened(data) as log:
            await log.append([published()])
            for path in (Path(directory), data, *data.iterdir()):
                path.chmod(0o755)
            data.chmod(0o555)
            async with child("read-unprivileged", data) as reader:
                beside = await ended(reader)
        async with child("read-unprivileged", data) as reader:
            alone = await ended(reader)
        data.chmod(0o755)

    assert beside == ["read 1"]
    assert len(alone) == 1
    assert "a reader must be allowed to create files beside it (events.db-shm)" in alone[0]


@pytest.mark.parametrize("limit", [1 << 20, 12 << 20], ids=["while appending", "while checkpointing"])
async def test_a_full_disk_loses_nothing(tmp_path: Path, limit: int) -> None:
    """When files can grow no more an append says `LogFull`, what was acknowledged stays, and with room it goes on."""
    async with child("fill", tmp_path, limit) as owner:
        lines = await ended(owner)

    acknowledged = [int(each.split()[1]) for each in lines if each.startswith("acknowledged")]
    full_at = len(acknowledged) - 2
    assert [each for each in lines if "full" in each] == [
        "full the disk is full; nothing acknowledged is lost, and the log continues once there is space",
        f"still full at {full_at}",
    ]
    assert acknowledged == list(range(1, full_at + 3))
    assert (tmp_path / "events.db").stat().st_size > full_at * 60_000
    async with opened(tmp_path) as log:
        assert await everything(log) == acknowledged
    assert asked(tmp_path / "events.db", "PRAGMA integrity_check") == ["ok"]
