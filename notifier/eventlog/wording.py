"""A statement's words: from its event, or from the blob beside it where they are too long for one."""

from __future__ import annotations

from notifier.eventlog.log import EventLog
from notifier.events import StatementPublished, StatementRead, StatementRevised, StatementWithdrawn
from notifier.statement import Statement

Told = StatementPublished | StatementRevised | StatementRead | StatementWithdrawn
"""The events that bear a statement."""


async def wording(log: EventLog, event: Told) -> Statement:
    """The statement of an event, with all its words."""
    statement = event.statement
    return statement.attached(await log.blob(statement.text_blob)) if statement.text_blob else statement


async def wording_before(log: EventLog, event: Told) -> Statement | None:
    """What a revision replaced, with all its words; None of what is new, or where the log does not say."""
    if not isinstance(event, StatementRevised) or not event.revises:
        return None
    before = await log.find(event.revises)
    if before is None or not isinstance(before.event, StatementPublished | StatementRevised):
        return None
    return await wording(log, before.event)
