"""Events about statements: published, revised, withdrawn, and their pages read."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from notifier.events.event import Event
from notifier.statement import Statement


class OfStatement(Event, frozen=True, kw_only=True):
    """An event that bears a statement: what it says, or what it said last."""

    statement: Statement

    @property
    def subject(self) -> str:
        return self.statement.id

    @property
    def born_at(self) -> datetime | None:
        # Not `seen_at`: the id follows from the statement alone, so two machines that see it record it once.
        return self.statement.published_at


class StatementPublished(OfStatement, frozen=True, kw_only=True):
    """
    A statement was seen for the first time.

    `muted_because` says why it alerts nobody ("baseline", "over 30 days old", …), or is "".
    """

    type: ClassVar[str] = "statement.published.v1"

    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.statement.fingerprint)


class StatementRevised(OfStatement, frozen=True, kw_only=True):
    """
    A statement's words changed. `replaces` is the fingerprint of the words before; `muted_because` as in the first.

    With `muted_because` "renamed" the words are as they were, and the statement has another id than the one it revises.
    `revises` is the id of the event that said the words before; "" in rows of before it was kept.

    `page` is "" where the feed told of it. Where the statement's page was read again and says something else, it is
    the fingerprint of the page's words, and `replaces` that of those before. `silent`: a publisher who
    marks changes elsewhere did not mark this one. `by` is what read the page, as in `PageRead`.
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
    The page of a statement was read: `statement` has the words of the page as its text, where the feed gave a summary.

    Its cause is the event that told of the statement, and `page` the fingerprint of the page's words. It is no news in
    itself: who was not alerted by title and summary may be by these words. `muted_because` as in the first.

    `by` names what read it, with its version, since another may find other words on a page that nobody changed.
    """

    type: ClassVar[str] = "statement.read.v1"

    page: str
    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")
    by: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        # Read by another, and then by the first again: each time it is another event.
        return (self.statement.id, self.page, *((self.by, self.muted_because) if self.by else ()))


class PageUnreadable(Event, frozen=True, kw_only=True):
    """The page of a statement could not be read, and for what `reason`; its cause is the event that told of it."""

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
    A statement was taken back by its issuer: `reason` says how we know. That it left the feed's window is none.

    `statement` has its last words that we hold, and `revises` is the id of the event that said them.
    """

    type: ClassVar[str] = "statement.withdrawn.v1"

    revises: str
    reason: str
    seen_at: datetime
    muted_because: str = msgspec.field(default="", name="quiet")

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.revises)
