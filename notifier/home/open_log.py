"""
The log of a home, for those who do not own it: to read it, and to have something recorded in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from notifier.errors import LogError, LogOwned
from notifier.eventlog import command_box as letterbox
from notifier.eventlog.log import EventLog
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.event import Event

DATA = "data"  # the folder of the log, in the home
TAKEN_IN = 10  # seconds that a wish waits for the service that owns the log


def wall_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


async def own_log(home: Path, clock: Callable[[], datetime]) -> EventLog:
    """The log of a home, for its one owner. Raises `LogOwned` while another process works on it, and `LogError`."""
    return await SqliteLog.open(home / DATA, clock)


def has_log(home: Path) -> bool:
    """Has the home a log yet?"""
    return log_path(home).exists()


def log_path(home: Path) -> Path:
    """Where the log of a home lies, or will."""
    return home / DATA / "events.db"


async def take_commands(home: Path, log: EventLog) -> int:
    """Record what operators' commands left in the box beside the log, as its owner; how many events."""
    return await letterbox.take_in(home / DATA, log)


@contextlib.asynccontextmanager
async def reading_log(home: Path) -> AsyncIterator[EventLog]:
    """The log of a home, for reading only: any number of processes may, while another writes."""
    log = await SqliteLog.open(home / DATA, wall_clock, write=False)
    try:
        yield log
    finally:
        await log.close()


async def record_beside(home: Path, events: Sequence[Event]) -> None:
    """
    Record an operator's events in the log of a home; where a service owns it, by its hand.

    Raises `LogError` where there is no log, and where the service did not take them in within ten seconds: it will
    then, or its next start.
    """
    if not has_log(home):
        raise LogError(f"{home} has no log yet; `notifier run --once` begins one")
    try:
        log = await SqliteLog.open(home / DATA, wall_clock)
    except LogOwned:
        letters = [letterbox.post(home / DATA, event) for event in events]
        for _ in range(TAKEN_IN * 10):
            if not any(letter.exists() for letter in letters):
                return
            await asyncio.sleep(0.1)
        raise LogError(
            f"the service that owns the log has not taken this in within {TAKEN_IN} s; it lies in "
            f"{home / 'data' / letterbox.FOLDER} and will be"
        ) from None
    try:
        await log.append(events)
    finally:
        await log.close()
