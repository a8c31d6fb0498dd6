"""
How much of what was said does each watchlist match? Asked of the log, before anybody drowns in alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from notifier.eventlog.log import EventLog
from notifier.eventlog.wording import wording
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

WIDE = 0.05  # the share of statements over which a watchlist is said to match much
FEW = 40  # statements below which a share says nothing
LOOKED_AT = 100_000  # newest events of the log that are looked at
TYPES = (StatementPublished.type, StatementRevised.type)


class Volume(msgspec.Struct, frozen=True):
    """How many statements were `read`, and how many of them each watchlist `matched`, by its key."""

    read: int
    matched: Mapping[tuple[str, str], int]

    @property
    def wide(self) -> list[tuple[str, str]]:
        """The watchlists that match over 5 %; none while there is little to go by."""
        return [key for key, count in self.matched.items() if self.read >= FEW and count > self.read * WIDE]


async def volume(log: EventLog, watchlists: Iterable[Watchlist]) -> Volume:
    """Hold watchlists against the newest statements of a log."""
    index = Index()
    for watchlist in watchlists:
        index.add(watchlist)
    matched = Counter[tuple[str, str]]()
    after, read = max(await log.head() - LOOKED_AT, 0), 0
    while (page := await log.read(after, TYPES)).position > after:
        for recorded in page.events:
            if isinstance(recorded.event, StatementPublished | StatementRevised):
                read += 1
                statement = await wording(log, recorded.event)
                matched.update(watchlist.key for watchlist in index.matches(statement))
        after = page.position
    return Volume(read, matched)
