"""A watchlist: a subscriber's named wish to hear of what a query matches, in all feeds or in some."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from notifier.watchlists.query import Query


class Watchlist(msgspec.Struct, frozen=True):
    """
    Who wants to hear of what. A subscriber's names are his own, so both together are its `key`.

    `feeds` are ids of feeds, with * for any letters; `issuers` are names, in any case. Empty means all; where both
    are given, both must hold.
    """

    subscriber: str
    name: str
    query: Query
    feeds: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.subscriber, self.name

    def covers(self, feed: str, issuer: str) -> bool:
        """Whether it asks for what this issuer says in this feed."""
        return (not self.feeds or any(_glob(pattern).fullmatch(feed) for pattern in self.feeds)) and (
            not self.issuers or issuer.casefold() in {name.casefold() for name in self.issuers}
        )


@lru_cache(1 << 12)
def _glob(pattern: str) -> re.Pattern[str]:
    # fnmatch would also give [ and ? a meaning. Stars in a row are one, or a pattern could cost its length's power.
    parts = re.split(r"\*+", pattern)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
