"""Which watchlists do not ask for what this issuer says in this feed, known without asking each of them again."""

from __future__ import annotations

from collections.abc import Sequence

from pyroaring import BitMap

from notifier.watchlists.watchlist import Watchlist

KEPT = 4096  # pairs of feed and issuer remembered


class Scopes:
    """
    The watchlists that are narrowed to some feeds or issuers. For each feed and issuer, those outside are worked out
    once; whoever comes later is looked at when that feed is asked for again.
    """

    def __init__(self, watchlists: Sequence[Watchlist | None]) -> None:
        self._watchlists = watchlists
        self._changed: list[int] = []  # numbers, in the order in which they came to mean another watchlist
        self._narrow = BitMap()
        self._outside: dict[tuple[str, str], tuple[int, BitMap]] = {}

    def add(self, number: int) -> None:
        """This number is another watchlist's from now on."""
        watchlist = self._watchlists[number]
        narrow = watchlist is not None and bool(watchlist.feeds or watchlist.issuers)
        if not narrow and number not in self._narrow:
            return
        if narrow:
            self._narrow.add(number)
        else:
            self._narrow.discard(number)
        self._changed.append(number)
        if len(self._changed) > 2 * len(self._narrow) + 64:
            self._outside.clear()
            self._changed = list(self._narrow)

    def outside(self, feed: str, issuer: str) -> BitMap:
        """The numbers of watchlists that do not cover it."""
        seen, outside = self._outside.get((feed, issuer), (0, BitMap()))
        for number in self._changed[seen:] if seen < len(self._changed) else ():
            watchlist = self._watchlists[number]
            if watchlist is not None and not watchlist.covers(feed, issuer):
                outside.add(number)
            else:
                outside.discard(number)
        if len(self._outside) >= KEPT:
            self._outside.clear()
        self._outside[feed, issuer] = len(self._changed), outside
        return outside
