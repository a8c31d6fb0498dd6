"""
How is a feed doing?

A poll's outcome is a value. When it is another than the last, that is an event; an unchanged poll is none.
"""

from __future__ import annotations

from datetime import datetime

from notifier.events import FeedHealthChanged
from notifier.feeds.feed import Feed, Reading

# Every outcome that a poll may have, and what it means to an operator.
OUTCOMES = {
    "ok": "it was read",
    "ok-empty": "it was read, and holds nothing; some publishers empty their feeds between sessions",
    "unchanged": "nothing is new",
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


def outcome_of(reading: Reading) -> str:
    """How a poll ended whose document could be read."""
    if reading.cut_short:
        return "parse-error"
    return "ok" if reading.entries else "ok-empty"


def changed(feed: Feed, before: str, outcome: str, now: datetime, detail: str = "") -> FeedHealthChanged | None:
    """The event for an `outcome` where it was `before` ("" at first); None while nothing changes."""
    if outcome == before:
        return None
    return FeedHealthChanged(feed=feed.id, outcome=outcome, before=before, changed_at=now, detail=detail)
