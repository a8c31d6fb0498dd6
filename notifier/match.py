"""
The log → alerts, in the log.

Each new or revised statement is held against every watchlist. A subscriber is owed one alert for it, however many of
his watchlists matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from notifier.errors import Conflict
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Appended, Commit, Consumer, EventLog
from notifier.eventlog.wording import wording, wording_before
from notifier.events import (
    AlertRaised,
    Event,
    Recorded,
    StatementPublished,
    StatementRevised,
    WatchlistMatched,
)
from notifier.statement import Statement
from notifier.watchlists.change import revised
from notifier.watchlists.index import Index
from notifier.watchlists.query import Query
from notifier.watchlists.search import Text
from notifier.watchlists.watchlist import Watchlist

NAME = "match"
TYPES = (StatementPublished.type, StatementRevised.type)
WORDS, WORD_LENGTH = 12, 80  # words that decided, kept in an alert: enough to say why, without the whole text
ROOM = 40 * 1024  # bytes of an alert's matches, encoded; an event ends at 65,535, a query at 10,000


class Matcher:
    """
    Reads statements from the log and raises alerts. Run twice over the same events, it raises them once.

    `channels` names the channels of a subscriber, in the order of his file; one without any is owed nothing.
    """

    def __init__(self, log: EventLog, index: Index, channels: Callable[[str], tuple[str, ...]]) -> None:
        self._log = log
        self.index = index
        self._channels = channels
        self._consumer: Consumer | None = None

    async def run(self) -> int:
        """Match all that the log holds and we have not matched yet; how many alerts were raised."""
        raised = 0
        # Kept only while all goes well: of a failing append we cannot know whether it moved us on.
        consumer, self._consumer = self._consumer or await self._log.consumer(NAME), None
        while True:
            page = await self._log.read(consumer.position, TYPES, limit=200)
            if not page.events:
                # Nothing to do is nothing to store: after a restart this stretch is passed over once more.
                self._consumer = msgspec.structs.replace(consumer, position=page.position)
                return raised
            alerts = [alert for recorded in page.events for alert in await self._alerts(recorded)]
            *firsts, last = batches(alerts, _size)
            for batch in firsts:
                raised += await self._append(batch)
            # Our place goes with the last batch, so a crash between batches means matching these once more.
            raised += await self._append(last, consumer.moved_to(page.position))
            consumer = msgspec.structs.replace(consumer, position=page.position, version=consumer.version + 1)

    async def _append(self, alerts: list[Event], commit: Commit | None = None) -> int:
        """Append alerts and tell how many of them were not in the log."""
        try:
            answers = await self._log.append(alerts, commit=commit)
        except Conflict:
            # Some were raised before a crash, and watchlists or channels have changed since. What was promised stands.
            new = [alert for alert in alerts if await self._log.find(alert.id) is None]
            answers = await self._log.append(new, commit=commit)
        return sum(isinstance(answer, Appended) for answer in answers)

    async def _alerts(self, recorded: Recorded) -> list[Event]:
        event = recorded.event
        if not isinstance(event, StatementPublished | StatementRevised) or event.quiet:
            return []
        statement, before = await wording(self._log, event), await wording_before(self._log, event)
        return list(self._owed(recorded.id, revised(before, statement) if before else statement))

    def _owed(self, cause: str, statement: Statement) -> Iterable[Event]:
        by_subscriber: dict[str, list[Watchlist]] = {}
        for watchlist in self.index.matches(statement):
            by_subscriber.setdefault(watchlist.subscriber, []).append(watchlist)
        decided = _Decided(statement)
        for subscriber, watchlists in by_subscriber.items():
            if channels := self._channels(subscriber):
                yield AlertRaised(
                    cause=cause,
                    subscriber=subscriber,
                    statement_id=statement.id,
                    matches=_fitted(decided.match(watchlist) for watchlist in watchlists),
                    channels=channels,
                    matcher=self.index.version,
                )


class _Decided:
    """Which words of a statement decided, asked once for each query: many watchlists share one."""

    def __init__(self, statement: Statement) -> None:
        self._fields = statement.fields()
        self._text = Text(self._fields)
        self._words: dict[str, tuple[str, ...]] = {}

    def match(self, watchlist: Watchlist) -> WatchlistMatched:
        query = watchlist.query
        words = self._words.get(query.text)
        if words is None:
            words = self._words[query.text] = self._found(query)
        return WatchlistMatched(watchlist=watchlist.name, query=query.text, words=words)

    def _found(self, query: Query) -> tuple[str, ...]:
        spans = query.search(self._text).spans
        found = (self._fields[field][start:end] for field, places in spans.items() for start, end in places)
        # dict, not set: the first word found comes first, and two runs agree.
        return tuple(list(dict.fromkeys(" ".join(word.split())[:WORD_LENGTH] for word in found))[:WORDS])


def _fitted(matches: Iterable[WatchlistMatched]) -> tuple[WatchlistMatched, ...]:
    """
    As many matches as an event has room for.

    Whoever has a hundred long queries is owed his alert all the same; it names the first of them.
    """
    fitted: list[WatchlistMatched] = []
    room = ROOM
    for match in matches:
        size = len(msgspec.json.encode(match))
        if size > room:
            break
        fitted.append(match)
        room -= size
    return tuple(fitted)


def _size(event: Event) -> int:
    return len(msgspec.json.encode(event))
