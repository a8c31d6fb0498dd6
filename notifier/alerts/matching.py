"""
How an event of the log is held against watchlists: one way for matching, for `preview` and for `subscriptions check`.
"""

from __future__ import annotations

from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent, wording, wording_before
from notifier.events.alerts import WatchlistMatched
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.statement import Statement
from notifier.watchlists.change import revised
from notifier.watchlists.query import Query
from notifier.watchlists.search import Text
from notifier.watchlists.watchlist import Watchlist

TYPES = (StatementPublished.type, StatementRevised.type, PageRead.type, StatementWithdrawn.type)
"""The events that watchlists are held against."""

WORDS, WORD_LENGTH = 12, 80  # matching words kept in an alert: enough to say why, without the whole text


async def searchable(log: LogReader, event: StatementEvent) -> Statement:
    """
    The statement of an event as queries search it: with all its words, those of its page among them where the event
    has them, and for a revision with what was added and removed since the wording before.
    """
    return with_changes(await wording(log, event), await wording_before(log, event))


def with_changes(statement: Statement, before: Statement | None) -> Statement:
    """A statement with what was added and removed since an earlier wording, for `added:` and `removed:`, if any."""
    return revised(before, statement) if before else statement


class Reasons:
    """Which words of a statement match, found once for each query: many watchlists share one."""

    def __init__(self, statement: Statement) -> None:
        self._fields = statement.fields()
        self._text = Text(self._fields)
        self._words: dict[str, tuple[str, ...]] = {}

    def match(self, watchlist: Watchlist) -> WatchlistMatched:
        """The match of a watchlist that matches the statement, as an alert records it."""
        query = watchlist.query
        words = self._words.get(query.text)
        if words is None:
            words = self._words[query.text] = self._found(query)
        return WatchlistMatched(watchlist=watchlist.name, query=query.text, words=words)

    def _found(self, query: Query) -> tuple[str, ...]:
        spans = query.search(self._text).spans
        found = (self._fields[field][start:end] for field, ranges in spans.items() for start, end in ranges)
        # dict, not set: the first word found comes first, and two runs agree.
        return tuple(list(dict.fromkeys(" ".join(word.split())[:WORD_LENGTH] for word in found))[:WORDS])
