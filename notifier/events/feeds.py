"""Events about feeds: first read, a change of health, moved."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from notifier.events.event import Event


class FeedBaselined(Event, frozen=True, kw_only=True):
    """A feed was read for the first time; its `entries` were recorded muted."""

    type: ClassVar[str] = "feed.baselined.v1"

    feed: str
    entries: int

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed,)

    @property
    def subject(self) -> str:
        return self.feed


class FeedHealthChanged(Event, frozen=True, kw_only=True):
    """
    The outcome of a feed's polls changed from `before` ("" at first) to `outcome`, with problems in words in `detail`.

    Outcomes: ok, ok-empty, stale, gap, blocked, not-a-feed, parse-error, retired, not-found, unreachable, throttled,
    bad-address, blocked-address. `changed_at` is when the poll ended.
    """

    type: ClassVar[str] = "feed.health-changed.v1"

    feed: str
    outcome: str
    changed_at: datetime
    before: str = ""
    detail: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed, self.outcome, self.before, self.changed_at.isoformat())

    @property
    def subject(self) -> str:
        return self.feed

    @property
    def born_at(self) -> datetime:
        return self.changed_at


class FeedMoved(Event, frozen=True, kw_only=True):
    """
    A feed's URL, `url_before`, answered with a permanent redirect (301, 308) to `url`.

    `moved_at` is when that was seen, since a feed may move back and move again; None in rows older than the field.
    """

    type: ClassVar[str] = "feed.moved.v1"

    feed: str
    url: str
    url_before: str
    moved_at: datetime | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed, self.url_before, self.url, *([self.moved_at.isoformat()] if self.moved_at else []))

    @property
    def subject(self) -> str:
        return self.feed
