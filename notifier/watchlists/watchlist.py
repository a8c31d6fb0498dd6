"""A watchlist: a subscriber's named wish to hear of what a query matches, in all feeds or in some."""

from __future__ import annotations

import msgspec

from notifier.watchlists.query import Query


class Watchlist(msgspec.Struct, frozen=True):
    """
    A subscriber's watchlist. Names are unique within a subscriber, so both together are its `key`.

    `feeds` are ids of feeds, with * for any letters; `issuers` are names, in any case. Empty means all; where both
    are given, both must hold. What it matches goes out with the given `frequency` ("immediately", "hourly", "daily",
    "weekly"); where it is `urgent`, always at once.
    """

    subscriber: str
    name: str
    query: Query
    feeds: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    frequency: str = "immediately"
    urgent: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.subscriber, self.name

    def covers(self, feed: str, issuer: str) -> bool:
        """Whether it asks for what this issuer says in this feed."""
        return (not self.feeds or any(_fits(pattern, feed) for pattern in self.feeds)) and (
            not self.issuers or issuer.casefold() in {name.casefold() for name in self.issuers}
        )


def _fits(pattern: str, feed: str) -> bool:
    # fnmatch would give [ and ? a meaning as well, and as a regex many stars cost a power of their number.
    first, *others = pattern.split("*")
    if not others:
        return feed == first
    *middle, last = others
    if len(feed) < len(first) + len(last) or not feed.startswith(first) or not feed.endswith(last):
        return False
    at, end = len(first), len(feed) - len(last)
    for part in middle:
        # The earliest place leaves the most for what follows.
        found = feed.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
