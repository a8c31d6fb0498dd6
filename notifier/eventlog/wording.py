"""A statement's words: in its event, or in the blob beside it where they are too long for one."""

from __future__ import annotations

import msgspec

from notifier.eventlog.log import LogReader
from notifier.events.event import Event
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.statement import Statement

IN_EVENT = 24 * 1024  # bytes of an event, encoded; the words of a longer one travel as a blob (65,535 is the end)

WordsEvent = StatementPublished | StatementRevised | PageRead
"""The events that say a statement's words."""

StatementEvent = WordsEvent | StatementWithdrawn
"""The events that bear a statement: one that takes it back as well."""


def fitted(event: Event) -> tuple[Event, bytes | None]:
    """The event as the log takes it, and the blob for words that are too long for it."""
    if not isinstance(event, StatementEvent) or size(event) <= IN_EVENT:
        return event, None
    statement, blob = event.statement.detached(0)
    return msgspec.structs.replace(event, statement=statement), blob


def weight(fit: tuple[Event, bytes | None]) -> int:
    """Bytes that a fitted event brings into the log, with its blob."""
    event, blob = fit
    return size(event) + len(blob or b"")


def size(event: Event) -> int:
    """Bytes of an event's data as JSON; the log puts a few hundred around them."""
    return len(msgspec.json.encode(event))


async def wording(log: LogReader, event: StatementEvent) -> Statement:
    """The statement of an event, with all its words."""
    statement = event.statement
    return statement.attached(await log.blob(statement.text_blob)) if statement.text_blob else statement


async def wording_before(log: LogReader, event: StatementEvent) -> Statement | None:
    """The full text that a revision replaced; None for other events, or if the log does not have it."""
    if not isinstance(event, StatementRevised) or not event.revises:
        return None
    before = await log.find(event.revises)
    if before is None or not isinstance(before.event, StatementEvent):
        return None
    return await wording(log, before.event)
