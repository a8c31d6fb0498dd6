"""Events for the tests of this room: one of every type, and as many statements as a test wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from notifier.events.alerts import AlertRaised, DigestRaised, FeedStatus, NoticeRaised, WatchlistMatched
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import (
    AlertDelivered,
    DeliveryAbandoned,
    DeliveryBounced,
    DeliveryPostponed,
    DeliveryRetried,
)
from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined, FeedHealthChanged, FeedMoved
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.statement import Statement

NOW = datetime(2020, 6, 29, 21, 7, tzinfo=UTC)
CAUSE = "0173024a-4c60-8b1d-a3f0-5d5e1c2b7a90"
ALERT = "0173024a-4c60-8c44-91e7-0a9b8c7d6e5f"

STATEMENT = Statement(
    id="us-commerce/9b74c9897bac770f",
    feed="us-commerce",
    issuer="US Department of Commerce",
    title="Commerce Department suspends Hong Kong’s special status",
    fingerprint="5f0c2be7a8a1d3f4e6b79801",
    link="https://commerce.example/2020/06/status",
    summary="Rules that gave Hong Kong preferential treatment are suspended.",
    published_at=NOW - timedelta(minutes=7),
    lang="en",
    country="US",
    authors=("Wilbur Ross",),
    tags=("Export control", "香港"),
)

EXAMPLES: tuple[Event, ...] = (
    FeedBaselined(feed="us-commerce", entries=20),
    FeedHealthChanged(feed="us-commerce", outcome="throttled", before="ok", changed_at=NOW, detail="503"),
    FeedMoved(feed="us-commerce", url="https://commerce.example/new", url_before="https://commerce.example/old"),
    StatementPublished(statement=STATEMENT, seen_at=NOW, muted_because="baseline"),
    StatementRevised(statement=STATEMENT, replaces="0f" * 12, seen_at=NOW),
    PageRead(cause=CAUSE, statement=STATEMENT, page="a1" * 12, seen_at=NOW),
    PageUnreadable(cause=CAUSE, statement_id=STATEMENT.id, reason="the PDF has no text layer"),
    StatementWithdrawn(statement=STATEMENT, revises=CAUSE, reason="410 at its page, twice", seen_at=NOW),
    AlertRaised(
        cause=CAUSE,
        subscriber="hong-kong-desk",
        statement_id=STATEMENT.id,
        matches=(WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong",)),),
        channels=("email", "slack"),
        matcher="1",
    ),
    AlertDelivered(
        cause=ALERT, alert=ALERT, subscriber="hong-kong-desk", channel="email", attempt=2, reply="250 2.0.0 ok"
    ),
    DeliveryPostponed(
        cause=ALERT,
        alert=ALERT,
        subscriber="hong-kong-desk",
        channel="email",
        attempt=1,
        due_at=NOW + timedelta(minutes=1),
        reason="the mail server is busy",
        unknown=True,
    ),
    DeliveryAbandoned(
        cause=ALERT,
        alert=ALERT,
        subscriber="hong-kong-desk",
        channel="slack",
        attempt=3,
        reason="the channel is archived",
    ),
    DeliveryRetried(cause=ALERT, alert=ALERT, subscriber="hong-kong-desk", channel="slack", retried_at=NOW),
    DeliveryBounced(
        cause=ALERT,
        alert=ALERT,
        subscriber="hong-kong-desk",
        channel="email",
        action="failed",
        status="5.1.1",
        reason="there is no such mailbox",
        seen_at=NOW,
        elsewhere=True,
    ),
    DigestRaised(
        subscriber="hong-kong-desk",
        channels=("email",),
        frequency="daily",
        due_at=NOW,
        until=41,
        alerts=(ALERT,),
        part=2,
        parts=3,
        since=NOW - timedelta(days=1),
        feeds=(FeedStatus(feed="us-commerce", outcome="throttled", issuer="Commerce", since=NOW, detail="503"),),
        feeds_asked=60,
        feeds_left_out=5,
    ),
    NoticeRaised(
        subscriber="hong-kong-desk",
        channels=("email",),
        notice="suspended",
        about="slack",
        reason="the channel is archived",
        raised_at=NOW,
    ),
    ChannelSuspended(
        cause=ALERT,
        subscriber="hong-kong-desk",
        channel="slack",
        why="ended",
        reason="the channel is archived",
        at=NOW,
        until=NOW + timedelta(days=30),
    ),
    ChannelResumed(subscriber="hong-kong-desk", channel="slack", reason="it has another address", at=NOW),
    ChannelConfirmed(subscriber="hong-kong-desk", channel="email", at=NOW),
    SubscriptionsApplied(digest="c0ffee", subscribers=2, watchlists=3, applied_at=NOW),
)
"""One event of every type, with every field set that may be left out somewhere."""


class Retold(Event, frozen=True, kw_only=True):
    """A type that a newer notifier might write, and this one does not know."""

    type: ClassVar[str] = "statement.retold.v1"

    n: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (str(self.n),)

    @property
    def subject(self) -> str:
        return "s"


def published(n: int = 1, *, text: str = "", title: str = "", **changes: Any) -> StatementPublished:
    """
    The nth statement's first event. Its id follows from `n`, whatever `title` and `text` are: with these it is the
    same event in other words.
    """
    statement = msgspec.structs.replace(
        STATEMENT,
        id=f"us-commerce/{n}",
        fingerprint=f"{n:024x}",
        title=title or f"Notice {n}",
        text=text,
        published_at=NOW + timedelta(seconds=n),
    )
    return msgspec.structs.replace(StatementPublished(statement=statement, seen_at=NOW), **changes)


def moved(n: int = 1) -> FeedMoved:
    """An event of a rarer type."""
    return FeedMoved(feed="us-commerce", url=f"https://commerce.example/{n}", url_before="https://commerce.example/")
