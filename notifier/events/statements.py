"""Events about statements: published, revised, withdrawn, and their pages read."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from notifier.events.event import Event
from notifier.statement import Statement


class OfStatement(Event, frozen=True, kw_only=True):
    """An event with a statement in its current words, or in its last ones."""

    statement: Statement

    @property
    def subject(self) -> str:
        return self.statement.id

    @property
    def born_at(self) -> datetime | None:
        # Not `seen_at`: the id depends on the statement alone, so two machines that see it record it once.
        return self.statement.published_at


class StatementPublished(OfStatement, frozen=True, kw_only=True):
    """
    A statement was seen for the first time.

    `muted_because` is the reason why it alerts nobody ("baseline", "over 30 days old", …), or "".
    """

    type: ClassVar[str] = "statement.published.v1"

    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.statement.fingerprint)


class StatementRevised(OfStatement, frozen=True, kw_only=True):
    """
    A statement's words changed. `replaces` is the fingerprint of its words before, and `revises` the id of the event
    with these words, "" in rows older than the field. `muted_because` is as in `StatementPublished`; if it is
    "renamed", the words are the same and the statement's id is new.

    If its page was read again and has changed, `page` is the fingerprint of the page's words, `replaces` that of its
    words before, and `by` as in `PageRead`; if the feed showed the change, `page` is "". `silent` means that the
    publisher usually marks changes and did not mark this one.
    """

    type: ClassVar[str] = "statement.revised.v1"

    replaces: str
    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")
    revises: str = ""
    page: str = ""
    silent: bool = False
    by: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.page or self.statement.fingerprint, self.replaces)


class PageRead(OfStatement, frozen=True, kw_only=True):
    """
    The page of a statement was read: the text of `statement` is the page's, where the feed gave a summary.

    Its cause is the event that recorded the statement; `page` is the fingerprint of the page's words. Subscribers whose
    watchlists did not match title and summary are alerted if these words match. `muted_because` is as in
    `StatementPublished`.

    `by` is the extractor, with its version, since another may find other words on a page that has not changed.
    """

    type: ClassVar[str] = "statement.read.v1"

    page: str
    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")
    by: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        # Read by another extractor, then by the first again: these are different events.
        return (self.statement.id, self.page, *((self.by, self.muted_because) if self.by else ()))


class PageUnreadable(Event, frozen=True, kw_only=True):
    """The page of a statement could not be read, with the `reason` in words; its cause is the statement's event."""

    type: ClassVar[str] = "statement.unread.v1"

    statement_id: str
    reason: str

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement_id,)

    @property
    def subject(self) -> str:
        return self.statement_id


class StatementWithdrawn(OfStatement, frozen=True, kw_only=True):
    """
    A statement was withdrawn by its issuer; `reason` is the sign of that, in words. Leaving the feed is no such sign.

    `statement` has its last known words, and `revises` is the id of the event with these words.
    """

    type: ClassVar[str] = "statement.withdrawn.v1"

    revises: str
    reason: str
    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.revises)
