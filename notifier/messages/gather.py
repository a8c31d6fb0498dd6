"""
Gathers from the log what the templates of an alert or a digest need.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import msgspec

from notifier.alerts.matching import with_changes
from notifier.errors import QueryError
from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent, wording, wording_before
from notifier.events.alerts import AlertRaised, DigestRaised
from notifier.events.event import Recorded
from notifier.messages.alert_view import AlertView, Recipient, alert_view
from notifier.messages.digest_stories import DigestedAlert, DigestStory, StoryWords, stories
from notifier.messages.digest_view import FULL, DigestView, digest_view
from notifier.messages.passage import Span
from notifier.statement import Statement
from notifier.watchlists.change import Revised
from notifier.watchlists.query import Query, parse
from notifier.watchlists.search import Text

_OF_CHANGE = re.compile(r"added|removed", re.IGNORECASE)  # a query that may ask for them needs the words before


async def viewed(log: LogReader, alert: Recorded, reader: Recipient) -> tuple[AlertView, AlertRaised | None]:
    """An alert as its templates see it, from what the log holds; and the alert that it follows on, if there is one."""
    raised = alert.event
    if not isinstance(raised, AlertRaised):
        raise TypeError(f"an alert was expected, not {raised.type}")
    cause = await found(log, raised.cause)
    if not isinstance(cause.event, StatementEvent):
        raise TypeError(f"an alert was caused by {cause.event.type}")
    statement, before, queries = await _worded(log, raised, cause.event)
    first = (await found(log, raised.follows)).event if raised.follows else None
    first = first if isinstance(first, AlertRaised) else None
    view = alert_view(
        alert,
        cause,
        _spans(queries.values(), statement),
        statement=statement,
        readings={name: query.reading() for name, query in queries.items()},
        reader=reader,
        before=before,
        also=[await found(log, id) for id in raised.also],
        follows=await found(log, first.cause) if first else None,
    )
    return view, first


async def digested(log: LogReader, digest: Recorded, reader: Recipient) -> DigestView:
    """A digest as its templates see it, from what the log holds of its alerts."""
    if not isinstance(digest.event, DigestRaised):
        raise TypeError(f"a digest was expected, not {digest.event.type}")
    pieces = []
    for id in digest.event.alerts:
        alert = await found(log, id)
        if isinstance(alert.event, AlertRaised):
            pieces.append(DigestedAlert(alert, await found(log, alert.event.cause)))
    told = stories(pieces)
    return digest_view(digest, [*[await _in_full(log, each) for each in told[:FULL]], *told[FULL:]], reader)


async def _in_full(log: LogReader, story: DigestStory) -> DigestStory:
    """A story with the words of its latest wording, and what else its alerts name."""
    latest, first = story.wordings[-1], story.pieces[0].raised
    statement, _, queries = await _worded(log, latest.raised, latest.event)
    before = await wording_before(log, story.wordings[0].event)
    earlier = await found(log, first.follows) if first.follows else None
    return msgspec.structs.replace(
        story,
        words=StoryWords(statement, _spans(queries.values(), statement), before),
        also=tuple([await found(log, id) for each in story.pieces for id in each.raised.also]),
        follows=await found(log, earlier.event.cause) if earlier else None,
    )


async def _worded(
    log: LogReader, raised: AlertRaised, told: StatementEvent
) -> tuple[Statement, Statement | None, dict[str, Query]]:
    """
    What an alert's statement says, as its queries see it; what it said before, where it was revised; and the queries by
    the names of their watchlists.
    """
    statement, before = await wording(log, told), await wording_before(log, told)
    if before and any(_OF_CHANGE.search(match.query) for match in raised.matches):
        statement = with_changes(statement, before)
    queries = {match.watchlist: query for match in raised.matches if (query := _query(match.query))}
    return statement, before, queries


async def found(log: LogReader, id: str) -> Recorded:
    """The event of an id that the log itself names. Raises `LookupError` where it is not there: the log is damaged."""
    recorded = await log.find(id)
    if recorded is None:
        raise LookupError(f"event {id} is named in the log and is not in it")
    return recorded


@functools.lru_cache(1024)
def _query(text: str) -> Query | None:
    try:
        return parse(text)
    except QueryError:
        # Written under an older or newer language. The alert is owed all the same; its words stand in its event.
        return None


def _spans(queries: Iterable[Query], statement: Statement) -> dict[str, list[Span]]:
    """Where the words that decided stand, by field, for all watchlists together."""
    text = Text(statement.fields())
    spans: dict[str, list[Span]] = {}
    for query in queries:
        for field, places in query.search(text).spans.items():
            spans.setdefault(field, []).extend(places)
    return statement.in_place(spans) if isinstance(statement, Revised) else spans
