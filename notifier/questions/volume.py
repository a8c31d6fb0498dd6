"""
How much of what was published does each watchlist match? Asked of the log, before anybody drowns in alerts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from notifier.alerts.matching import TYPES, searchable
from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

WIDE = 0.05  # the share of statements over which a watchlist is said to match much
FEW = 40  # statements below which a share says nothing
LOOKED_AT = 100_000  # newest events of the log that are looked at


class Volume(msgspec.Struct, frozen=True):
    """How many statements the log has, as `read`, and how many of them each watchlist `matched`, by its key."""

    read: int
    matched: Mapping[tuple[str, str], int]

    @property
    def wide(self) -> list[tuple[str, str]]:
        """The watchlists that match over 5 % of the statements; none while the log has fewer than 40."""
        return [key for key, count in self.matched.items() if self.read >= FEW and count > self.read * WIDE]


async def volume(log: LogReader, watchlists: Iterable[Watchlist]) -> Volume:
    """
    Count the statements of the newest 100,000 events that watchlists match in any wording, as live matching would.

    Statements of a baseline count too, although they alert nobody: a new log has no others.
    """
    index = Index()
    for watchlist in watchlists:
        index.add(watchlist)
    statements, matched = set[str](), defaultdict[tuple[str, str], set[str]](set)
    after = max(await log.head() - LOOKED_AT, 0)
    while (page := await log.read(after, TYPES)).position > after:
        for recorded in page.events:
            if isinstance(recorded.event, StatementEvent):
                id = recorded.event.statement.id
                statements.add(id)
                for watchlist in index.matches(await searchable(log, recorded.event)):
                    matched[watchlist.key].add(id)
        after = page.position
    return Volume(len(statements), {key: len(ids) for key, ids in matched.items()})
