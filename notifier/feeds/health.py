"""
How is a feed doing?

A poll's outcome is a value. When it is another than the last, that is an event; an unchanged poll is none.
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

# Every outcome that a poll may have, and what it means to an operator.
OUTCOMES = {
    "ok": "it was read",
    "ok-empty": "it was read, and holds nothing; some publishers empty their feeds between sessions",
    "unchanged": "nothing is new",
    "stale": "it was read, and has been silent for much longer than it ever was, or for a year",
    "gap": "it was read, and shows nothing of what the last poll showed: something may have been published in between",
    "blocked": "it does not let us read: 401, 403, a page that checks for humans, too many redirects",
    "not-a-feed": "something else is served in its place: a login page, a list, a web page",
    "parse-error": "it cannot be read, or not to its end, or is over our limits",
    "retired": "its publisher has ended it: 410, or an entry that says so",
    "not-found": "404",
    "unreachable": "no answer, a broken one, or a server error",
    "throttled": "it asked us to wait",
    "bad-address": "its address, or one it leads to, is no http or https address",
    "blocked-address": "it leads inside, to an address that is not public and not allowed",
}
HEALTHY = frozenset({"ok", "ok-empty", "unchanged"})
# What brought word of the feed. Such a feed is not asked less often, however its word is to be taken.
READ = HEALTHY | {"stale", "gap"}

WINDOW = 2  # entries that a feed must show before we speak of its window; many show only their newest
ENOUGH = 5  # times of news that tell how long a feed is usually silent
SILENCES = 3  # of its longest silences so far are as many as we wait before we call it stale
SHORTEST, LONGEST = timedelta(days=30), timedelta(days=365)
WATCHED = timedelta(days=1)  # for so long we have asked a feed before its silence is any news
AHEAD = timedelta(days=7)  # a date further off is a mistake, or an event to come, and says nothing of when it was told


def outcome_of(reading: Reading) -> str:
    """How a poll ended whose document could be read."""
    if reading.cut_short:
        return "parse-error"
    return "ok" if reading.entries else "ok-empty"


class Freshness(msgspec.Struct, frozen=True):
    """The newest word of a feed, and until when it may be silent without being called stale."""

    newest: datetime
    until: datetime


def freshness(moments: Iterable[datetime], now: datetime, since: datetime) -> Freshness | None:
    """
    How fresh a feed is of which news came at these times and at no other, and which we have asked `since` then; None
    where no time is known.

    It may be silent for three of its longest silences, no less than a month and no more than a year, which is also
    what one may be of which too little is known.
    """
    known = sorted({min(moment, now) for moment in moments if moment <= now + AHEAD})
    if not known:
        return None
    silence = LONGEST
    if len(known) >= ENOUGH:
        # Of the newest: what has been pinned to a list for years is no silence of its publisher's.
        longest = max(after - before for before, after in pairwise(known[-4 * ENOUGH :]))
        silence = min(max(SILENCES * longest, SHORTEST), LONGEST)
    return Freshness(known[-1], max(known[-1] + silence, since + WATCHED))


def leaves_gap(before: int, entries: Collection[Entry], news: Collection[Event]) -> bool:
    """
    Is there no overlap between the window of a poll, of so many entries, and that of the next, whose entries and news
    these are?
    """
    if not news or min(before, len(entries)) < WINDOW:
        return False
    new = {event.statement.id for event in news if isinstance(event, StatementPublished)}
    known = (event for event in news if isinstance(event, StatementRevised) and event.statement.id not in new)
    return len(news) >= len(set(entries)) and not any(known)


def changed(feed: Feed, before: str, outcome: str, now: datetime, detail: str = "") -> FeedHealthChanged | None:
    """The event for an `outcome` where it was `before` ("" at first); None while nothing changes."""
    if outcome == before:
        return None
    return FeedHealthChanged(feed=feed.id, outcome=outcome, before=before, changed_at=now, detail=detail)
