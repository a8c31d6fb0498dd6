"""
The log → alerts, in the log.

Each new, revised or withdrawn statement is matched against every watchlist. A subscriber is owed one alert for it,
however many of their watchlists match. A statement is matched as soon as its feed shows it, and again when its page was
read, for subscribers whose watchlists title and summary did not match.

The same news in several feeds is one story. An alert names the other statements of its story that the log already has
when the alert is decided; later ones, revisions and withdrawals included, become replies to the subscriber's first
alert of the story. An alert is decided once. So whether a statement is named or becomes a reply depends on when it
came; that each subscriber gets each statement once does not, neither on how the log is read in pages nor on where a run
is cut off. (Holding every alert back for a while would avoid that, and delay each of them; but two polls are minutes
apart more often than seconds, so it would change little.)

Whether an alert waits for a digest is decided here too: by the subscriber's timing, the moment at which the statement
was recorded, and their alerts before. So it does not depend on when matching runs.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from notifier.alerts.bursts import Bursts
from notifier.alerts.decided import Decided, ToldStories
from notifier.alerts.matching import TYPES, Reasons, searchable
from notifier.errors import Conflict
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Appended, Commit, Consumer, EventLog
from notifier.eventlog.wording import StatementEvent, wording
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.event import Event, Recorded
from notifier.statement import Statement
from notifier.subscribers.book import Book
from notifier.subscribers.timing import most_immediate
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

NAME = "match"
ROOM = 40 * 1024  # bytes of an alert's matches, encoded; an event ends at 65,535, a query at 10,000
PAGE = 200
RECENT = 300  # newest events whose words are read at the start: half a second, and then most words are known


class Matcher:
    """
    Reads statements from the log and raises alerts. Run twice over the same events, it raises them once.

    `book` has the subscribers in force; one without a channel is owed nothing.
    """

    def __init__(
        self,
        log: EventLog,
        index: Index,
        book: Book,
    ) -> None:
        self._log = log
        self.index = index
        self._book = book
        self._consumer: Consumer | None = None
        self._stories = ToldStories(log)
        self._bursts = Bursts(log)

    async def run(self) -> int:
        """Match everything in the log that is not matched yet; returns how many alerts were raised."""
        raised = 0
        # Kept only while all goes well: of a failing append we cannot know whether it moved us on.
        if self._consumer is None:
            self._bursts = Bursts(self._log)
        consumer, self._consumer = self._consumer or await self._log.consumer(NAME), None
        position, decided, looked = consumer.position, Decided(self._log, self._stories), False
        while True:
            page = await self._log.read(position, TYPES, limit=PAGE)
            for recorded in page.events:
                await decided.take(recorded, await self._alerts(recorded))
            position, looked = page.position, looked or bool(page.events)
            settled, place = decided.settled(position, at_end=not page.events)
            alerts = [await self._bursts.held(*each, self._book.timing(each[0].subscriber)) for each in settled]
            # While all that is to be stored is still held, our place can wait for it.
            if looked and place > consumer.position and (alerts or not decided.holds):
                *firsts, last = batches(alerts, _size)
                for batch in firsts:
                    raised += await self._append(batch)
                # Our place goes with the last batch, so a crash between batches means matching these once more.
                raised += await self._append(last, consumer.moved_to(place))
                consumer = msgspec.structs.replace(consumer, position=place, version=consumer.version + 1)
                looked = place < position
            if not page.events:
                # Nothing to do is nothing to store: after a restart this stretch is passed over once more.
                self._consumer = msgspec.structs.replace(consumer, position=position)
                return raised

    async def warm(self) -> None:
        """Read the words of the newest statements, which the next ones will mostly be of. No answer depends on it."""
        page = await self._log.read(max(0, await self._log.head() - RECENT), TYPES, limit=RECENT)
        for recorded in page.events:
            if isinstance(recorded.event, StatementEvent):
                self.index.ids(await wording(self._log, recorded.event))

    async def _append(self, alerts: list[AlertRaised], commit: Commit | None = None) -> int:
        """Append alerts and tell how many of them were not in the log."""
        try:
            answers = await self._log.append(alerts, commit=commit)
        except Conflict:
            # Some were raised before a crash, and watchlists or channels have changed since. What was promised stands.
            new = [alert for alert in alerts if await self._log.find(alert.id) is None]
            answers = await self._log.append(new, commit=commit)
        return sum(isinstance(answer, Appended) for answer in answers)

    async def _alerts(self, recorded: Recorded) -> list[AlertRaised]:
        event = recorded.event
        if not isinstance(event, StatementEvent) or event.muted_because:
            return []
        return list(self._owed(recorded.id, await searchable(self._log, event)))

    def _owed(self, cause: str, statement: Statement) -> Iterable[AlertRaised]:
        by_subscriber: dict[str, list[Watchlist]] = {}
        for watchlist in self.index.matches(statement):
            by_subscriber.setdefault(watchlist.subscriber, []).append(watchlist)
        reasons = Reasons(statement)
        for subscriber, watchlists in by_subscriber.items():
            if channels := self._book.channels(subscriber):
                yield AlertRaised(
                    cause=cause,
                    subscriber=subscriber,
                    statement_id=statement.id,
                    matches=_fitted(reasons.match(watchlist) for watchlist in watchlists),
                    channels=channels,
                    matcher=self.index.version,
                    waits_for=most_immediate(watchlist.frequency for watchlist in watchlists),
                    urgent=any(watchlist.urgent for watchlist in watchlists),
                )


def _fitted(matches: Iterable[WatchlistMatched]) -> tuple[WatchlistMatched, ...]:
    """
    The first matches, as many as an event has room for.

    A subscriber with a hundred long queries gets the alert all the same; it names the first of them.
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
