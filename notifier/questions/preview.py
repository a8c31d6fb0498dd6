"""
Which alert is meant, or which digest, when somebody wants to see what one says?

One of the log; or, for a watchlist that has none yet, the one that it would raise on what was said last.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable

from notifier.eventlog.log import EventLog
from notifier.eventlog.wording import wording
from notifier.events.alerts import AlertRaised, DigestRaised, WatchlistMatched
from notifier.events.event import Recorded
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

LOOKED_AT = 100_000  # newest events of the log that a watchlist without an alert is held against
WORDS = 12  # that decided


async def alert_meant(log: EventLog, which: str, watchlists: Iterable[Watchlist]) -> Recorded | None:
    """
    The alert or digest of this id, or at this position; the newest alert on the event at this position (`41` or `#41`,
    as messages name it); or the newest of the watchlist of this name (`Exports`, or `desk/Exports` where two have one).
    None where there is none.
    """
    if (found := await log.find(which)) and isinstance(found.event, AlertRaised | DigestRaised):
        return found
    meant = which.casefold()
    told = await _at(log, int(which.removeprefix("#"))) if re.fullmatch(r"#?[0-9]{1,18}", which) else None
    if told and isinstance(told.event, AlertRaised | DigestRaised):
        return told
    newest: Recorded | None = None
    async for recorded in _events(log, AlertRaised.type):
        alert = recorded.event
        if isinstance(alert, AlertRaised) and (
            (told and alert.cause == told.id)
            or any(meant in _names(alert.subscriber, match.watchlist) for match in alert.matches)
        ):
            newest = recorded
    return newest or await _would_be(log, [each for each in watchlists if meant in _names(*each.key)])


async def _would_be(log: EventLog, watchlists: Iterable[Watchlist]) -> Recorded | None:
    """The alert on the newest statement that one of these watchlists matches, as if it had been there then."""
    index = Index()
    for watchlist in watchlists:
        index.add(watchlist)
    newest: tuple[Recorded, Watchlist] | None = None
    after = max(await log.head() - LOOKED_AT, 0)
    async for recorded in _events(log, StatementPublished.type, StatementRevised.type, after=after):
        if isinstance(recorded.event, StatementPublished | StatementRevised):
            for watchlist in index.matches(await wording(log, recorded.event)):
                newest = recorded, watchlist
    return await _raised(log, *newest) if newest else None


async def _raised(log: EventLog, cause: Recorded, watchlist: Watchlist) -> Recorded | None:
    if not isinstance(cause.event, StatementPublished | StatementRevised):
        return None
    fields = (await wording(log, cause.event)).fields()
    spans = watchlist.query.search(fields).spans
    words = dict.fromkeys(fields[field][start:end] for field, places in spans.items() for start, end in places)
    match = WatchlistMatched(watchlist=watchlist.name, query=watchlist.query.text, words=tuple(words)[:WORDS])
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


async def _at(log: EventLog, position: int) -> Recorded | None:
    page = await log.read(position - 1, limit=1) if position else None
    return page.events[0] if page and page.events else None


async def _events(log: EventLog, *types: str, after: int = 0) -> AsyncIterator[Recorded]:
    while (page := await log.read(after, types)).position > after:
        for recorded in page.events:
            yield recorded
        after = page.position
