"""
A feed's health: the outcome of its last poll. Only a change of outcome is an event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from notifier.events.event import Event
from notifier.events.feeds import FeedHealthChanged
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.feed import Entry, Feed, Reading

# Every outcome of a poll, and what it means to an operator.
OUTCOMES = {
    "ok": "it was read",
    "ok-empty": "it was read and has no entries; some publishers empty their feeds between sessions",
    "unchanged": "nothing is new",
    "stale": "it was read, and has been silent for much longer than usual, or for a year",
    "gap": "it was read and shares no entry with the last poll: news may have been published and dropped in between",
    "blocked": "access denied: 401, 403, a page that checks for humans, too many redirects",
    "not-a-feed": "something other than a feed is served: a login page, a list, a web page",
    "parse-error": "it cannot be read, is cut short, or is over the limits",
    "retired": "its publisher has ended it: 410, or an entry that says so",
    "not-found": "404",
    "unreachable": "no answer, a broken one, or a server error",
    "throttled": "it asked us to wait",
    "bad-address": "its URL is not http or https, or redirects to one that is not",
    "blocked-address": "its address, or one it redirects to, is neither public nor allowed",
}
HEALTHY = frozenset({"ok", "ok-empty", "unchanged"})
# Outcomes of polls that read the feed. Such a feed is not polled less often.
READ = HEALTHY | {"stale", "gap"}

WINDOW = 2  # entries that a feed must show before a gap can be told; many show only their newest
ENOUGH = 5  # times of news before a feed's usual silence is known
SILENCES = 3  # times its longest silence so far, after which a feed is stale
SHORTEST, LONGEST = timedelta(days=30), timedelta(days=365)
WATCHED = timedelta(days=1)  # a feed is polled for so long before it can be stale
AHEAD = timedelta(days=7)  # a date further ahead is a mistake or a coming event, not a time of publication


def outcome_of(reading: Reading) -> str:
    """The outcome of a poll whose document was read."""
    if reading.cut_short:
        return "parse-error"
    return "ok" if reading.entries else "ok-empty"


class Freshness(msgspec.Struct, frozen=True):
    """The time of a feed's newest news, and the time after which it is stale."""

    newest: datetime
    until: datetime


def freshness(moments: Iterable[datetime], now: datetime, since: datetime) -> Freshness | None:
    """
    The freshness of a feed with news at these times that was first read at `since`; None without any time.

    A feed may be silent for three times its longest silence so far, at least 30 and at most 365 days; for 365 days if
    it has had too little news to tell.
    """
    known = sorted({min(moment, now) for moment in moments if moment <= now + AHEAD})
    if not known:
        return None
    silence = LONGEST
    if len(known) >= ENOUGH:
        # Of the newest only: an entry pinned to a list for years does not mean that its publisher was silent.
        longest = max(after - before for before, after in pairwise(known[-4 * ENOUGH :]))
        silence = min(max(SILENCES * longest, SHORTEST), LONGEST)
    return Freshness(known[-1], max(known[-1] + silence, since + WATCHED))


def leaves_gap(before: int, entries: Collection[Entry], news: Collection[Event]) -> bool:
    """
    Does a poll share no entry with the one before, which showed `before` entries? `entries` and `news` are this poll's.
    """
    if not news or min(before, len(entries)) < WINDOW:
        return False
    new = {event.statement.id for event in news if isinstance(event, StatementPublished)}
    known = (event for event in news if isinstance(event, StatementRevised) and event.statement.id not in new)
    return len(news) >= len(set(entries)) and not any(known)


def changed(feed: Feed, before: str, outcome: str, now: datetime, detail: str = "") -> FeedHealthChanged | None:
    """The event for a change of outcome from `before` ("" at first); None if it did not change."""
    if outcome == before:
        return None
    return FeedHealthChanged(feed=feed.id, outcome=outcome, before=before, changed_at=now, detail=detail)
