"""
Which alert or digest is meant by an id, a position or a watchlist's name?

It is one of the log; or, for a watchlist that has none yet, the alert that its newest match would raise.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable

from notifier.alerts.matching import TYPES, Reasons, searchable
from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent
from notifier.events.alerts import AlertRaised, DigestRaised
from notifier.events.event import Recorded
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

LOOKED_AT = 100_000  # newest events of the log that a watchlist without an alert is held against


async def find_alert(log: LogReader, which: str, watchlists: Iterable[Watchlist]) -> Recorded | None:
    """
    The alert or digest of this id, or at this position; the newest alert on the event at this position (`41` or `#41`,
    as messages name it); or the newest of the watchlist of this name (`Exports`, or `desk/Exports` where two have one).
    None if there is none.
    """
    if (found := await log.find(which)) and isinstance(found.event, AlertRaised | DigestRaised):
        return found
    name = which.casefold()
    at = await _at(log, int(which.removeprefix("#"))) if re.fullmatch(r"#?[0-9]{1,18}", which) else None
    if at and isinstance(at.event, AlertRaised | DigestRaised):
        return at
    newest: Recorded | None = None
    async for recorded in _events(log, AlertRaised.type):
        alert = recorded.event
        if isinstance(alert, AlertRaised) and (
            (at and alert.cause == at.id)
            or any(name in _names(alert.subscriber, match.watchlist) for match in alert.matches)
        ):
            newest = recorded
    return newest or await _would_be(log, [each for each in watchlists if name in _names(*each.key)])


async def _would_be(log: LogReader, watchlists: Iterable[Watchlist]) -> Recorded | None:
    """
    The alert on the newest event that one of these watchlists matches, as if they had been in force then.

    Events that alert nobody, such as those of a baseline, count too: a new log has no others.
    """
    index = Index()
    for watchlist in watchlists:
        index.add(watchlist)
    newest: tuple[Recorded, Watchlist] | None = None
    after = max(await log.head() - LOOKED_AT, 0)
    async for recorded in _events(log, *TYPES, after=after):
        if isinstance(recorded.event, StatementEvent):
            for watchlist in index.matches(await searchable(log, recorded.event)):
                newest = recorded, watchlist
    return await _raised(log, *newest) if newest else None


async def _raised(log: LogReader, cause: Recorded, watchlist: Watchlist) -> Recorded | None:
    if not isinstance(cause.event, StatementEvent):
        return None
    match = Reasons(await searchable(log, cause.event)).match(watchlist)
    alert = AlertRaised(
        cause=cause.id,
        subscriber=watchlist.subscriber,
        statement_id=cause.event.statement.id,
        matches=(match,),
        channels=(),
    )
    return Recorded(0, alert.id, cause.recorded_at, alert)


def _names(subscriber: str, watchlist: str) -> tuple[str, str]:
    return watchlist.casefold(), f"{subscriber}/{watchlist}".casefold()


async def _at(log: LogReader, position: int) -> Recorded | None:
    page = await log.read(position - 1, limit=1) if position else None
    return page.events[0] if page and page.events else None


async def _events(log: LogReader, *types: str, after: int = 0) -> AsyncIterator[Recorded]:
    while (page := await log.read(after, types)).position > after:
        for recorded in page.events:
            yield recorded
        after = page.position
