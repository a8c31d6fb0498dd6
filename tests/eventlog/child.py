"""
Another process that uses the log: `python -m tests.eventlog.child VERB DIRECTORY [NUMBER]`.

Every line on stdout is told only after what it tells is so.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import sys
from pathlib import Path

from notifier.errors import LogError, LogFull
from notifier.eventlog.log import Appended
from notifier.eventlog.log import follow as followed
from notifier.eventlog.sqlite import SqliteLog
from tests.eventlog.builders import NOW, published

TASKS = 8
STORY = 1_000  # events of one task's numbers


def tell(*words: object) -> None:
    print(*words, flush=True)


async def own(directory: Path, _: int) -> None:
    """Own the log until stdin ends."""
    log = await SqliteLog.open(directory, lambda: NOW)
    tell("owned", os.getpid())
    await asyncio.to_thread(sys.stdin.read)
    await log.close()


async def append(directory: Path, start: int) -> None:
    """Append for ever, eight tasks side by side, batches of one to five events; tell of each that was acknowledged."""
    log = await SqliteLog.open(directory, lambda: NOW)

    async def task(number: int) -> None:
        consumer = await log.consumer(f"task/{number}")
        for batch in itertools.count(start):
            events = [published(event) for event in numbers(number, batch)]
            await log.append(events, commit=consumer.moved_to(batch))
            consumer = await log.consumer(consumer.name)
            tell(number, batch)

    await asyncio.gather(*(task(number) for number in range(TASKS)))


def numbers(task: int, batch: int) -> range:
    """Which statements a task's batch holds: nobody else's, one to five of them."""
    first = (batch * TASKS + task) * 5
    return range(first, first + 1 + (task + batch) % 5)


async def follow(directory: Path, many: int) -> None:
    """Read what another process appends; tell the positions."""
    log = await SqliteLog.open(directory, lambda: NOW, write=False)
    tell("following", await log.head())
    async for recorded in followed(log):
        tell(recorded.position, recorded.id)
        if recorded.position == many:
            break
    await log.close()


async def fill(directory: Path, limit: int) -> None:
    """Append until files may grow no more, then on, with room again; tell what was acknowledged, and the errors."""
    log = await SqliteLog.open(directory, lambda: NOW)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    number = 0
    while number < 2_000:
        number += 1
        try:
            await log.append([published(number, text="x" * 60_000)])
        except LogFull as error:
            tell("full", error)
            break
        tell("acknowledged", number)
    # Full is full: still readable, and nothing more is acknowledged.
    try:
        await log.append([published(number, text="x" * 60_000)])
    except LogFull:
        tell("still full at", await log.head())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for again in (number, number + 1):
        if await log.append([published(again, text="x" * 60_000)]) == [Appended(again)]:
            tell("acknowledged", again)
    await log.close()


async def read_unprivileged(directory: Path, _: int) -> None:
    """Read as somebody who may write nothing there; tell what came of it."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65_534)
        os.setuid(65_534)
    try:
        log = await SqliteLog.open(directory, lambda: NOW, write=False)
        tell("read", await log.head())
    except LogError as error:
        tell(error)


VERBS = {"own": own, "append": append, "follow": follow, "fill": fill, "read-unprivileged": read_unprivileged}

if __name__ == "__main__":
    verb, directory, *rest = sys.argv[1:]
    asyncio.run(VERBS[verb](Path(directory), int(rest[0]) if rest else 0))
