"""
The log → alerts, in the log.

Each new, revised or withdrawn statement is held against every watchlist. A subscriber is owed one alert for it, however
many of his watchlists matched. It is matched at once on what its feed says, and once more when its page was read, for
those whom title and summary told nothing.

News that is told in several feeds is one story to him. Where the log holds a further telling already when we decide,
the alert names it too; whatever comes later, revisions and withdrawals among it, is a reply to the first alert that he
had. An alert is decided once, and what was recorded stands. So whether a telling is named or answered depends on when
it came; that each is told to each once, and never twice, does not: not on how the log is read in pages, nor on where a
run is cut off. (To hold back every alert for a while would settle that too, at the price of as much delay for each; but
two polls are minutes apart more often than seconds, so it would settle little.)

Whether he hears of it at once or in a digest is decided here too, from when he wants to be told, from the moment at
which the statement was recorded, and from the alerts before. So it does not depend on when we come to decide it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from notifier.alerts.matching import TYPES, Reasons, searchable
from notifier.alerts.stories import KEPT, Stories, Telling, telling
from notifier.errors import Conflict
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Appended, Commit, Consumer, EventLog
from notifier.eventlog.wording import StatementEvent, wording
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.event import Event, Recorded, event_id
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.statement import Statement
from notifier.subscribers.timing import LONGEST, NOTHING, WITHIN, Lately, Timing, held, most_immediate, sooner
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist

NAME = "match"
ROOM = 40 * 1024  # bytes of an alert's matches, encoded; an event ends at 65,535, a query at 10,000
PAGE = 200
TOGETHER = timedelta(minutes=1)  # between the recordings of two tellings of one story that one alert may name
HELD = 20_000  # alerts of that time that are held in memory
ALSO = 24  # further tellings that one alert names; the next is a reply
CHAIN = 100  # wordings of a statement that are looked back on for its first alert
RECENT = 300  # newest events whose words are read at the start: half a second, and then most words are known
LOOKED_BACK = 200_000  # newest events of the log among which the last days' alerts are sought after a start
BURSTS = LONGEST + 2 * WITHIN  # from when on the alerts count that tell whether a burst goes on


class Matcher:
    """
    Reads statements from the log and raises alerts. Run twice over the same events, it raises them once.

    `channels` names the channels of a subscriber, in the order of his file; one without any is owed nothing. `timing`
    says when he wants to be told.
    """

    def __init__(
        self,
        log: EventLog,
        index: Index,
        channels: Callable[[str], tuple[str, ...]],
        timing: Callable[[str], Timing],
    ) -> None:
        self._log = log
        self.index = index
        self._channels = channels
        self._timing = timing
        self._consumer: Consumer | None = None
        self._stories = _Stories(log)
        self._bursts = _Bursts(log)

    async def run(self) -> int:
        """Match all that the log holds and we have not matched yet; how many alerts were raised."""
        raised = 0
        # Kept only while all goes well: of a failing append we cannot know whether it moved us on.
        if self._consumer is None:
            self._bursts = _Bursts(self._log)
        consumer, self._consumer = self._consumer or await self._log.consumer(NAME), None
        position, decided, looked = consumer.position, _Decided(self._log, self._stories), False
        while True:
            page = await self._log.read(position, TYPES, limit=PAGE)
            for recorded in page.events:
                await decided.take(recorded, await self._alerts(recorded))
            position, looked = page.position, looked or bool(page.events)
            settled, place = decided.settled(position, at_end=not page.events)
            alerts = [await self._bursts.held(*each, self._timing(each[0].subscriber)) for each in settled]
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
            if channels := self._channels(subscriber):
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


class _Bursts:
    """What everybody was sent lately, as far as it may make a burst; after a start it is folded from the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lately: dict[str, Lately] = {}
        self._folded_to: int | None = None

    async def held(self, alert: AlertRaised, cause: Recorded, timing: Timing) -> AlertRaised:
        """The alert with what it waits for; what was raised before a crash, as it was raised."""
        if self._folded_to is None:
            self._folded_to = await self._fold(cause.recorded_at - BURSTS)
        if cause.position <= self._folded_to and (found := await self._log.find(alert.id)):
            return found.event if isinstance(found.event, AlertRaised) else alert
        lately = self._lately.get(alert.subscriber, NOTHING)
        wait = "" if alert.urgent else held(alert.waits_for, timing, cause.recorded_at, lately)
        alert = msgspec.structs.replace(alert, waits_for=wait)
        self._count(alert, cause.recorded_at)
        return alert

    def _count(self, alert: AlertRaised, at: datetime) -> None:
        if not alert.urgent:
            self._lately[alert.subscriber] = self._lately.get(alert.subscriber, NOTHING).after(alert.waits_for, at)

    async def _fold(self, since: datetime) -> int:
        """Count the alerts since then; the position up to which they are all."""
        after = await _place_of(self._log, since)
        while (page := await self._log.read(after, (AlertRaised.type,))).position > after:
            for each in page.events:
                if isinstance(each.event, AlertRaised):
                    cause = await self._log.find(each.event.cause)
                    self._count(each.event, (cause or each).recorded_at)
            after = page.position
        return after


async def _place_of(log: EventLog, moment: datetime) -> int:
    """A position that all events recorded since then come after, found by halving."""
    last = await log.head()
    first = max(0, last - LOOKED_BACK)
    while first < last:
        middle = (first + last) // 2
        (event,) = (await log.read(middle, limit=1)).events
        if event.recorded_at < moment:
            first = middle + 1
        else:
            last = middle
    return first


# ---------------------------------------------------------------- stories


class _Decided:
    """
    Alerts that are decided and not yet recorded, in the order of their causes.

    An alert is held until the log has been read to a minute past its cause, or to its end, so that it can name what
    came in that minute, wherever a page of the log may have ended.
    """

    def __init__(self, log: EventLog, stories: _Stories) -> None:
        self._log = log
        self._stories = stories
        self._causes: dict[str, Recorded] = {}
        self._alerts: dict[tuple[str, str], AlertRaised] = {}  # by cause and subscriber
        self._read: Recorded | None = None

    @property
    def holds(self) -> bool:
        """Is there anything that may still change?"""
        return bool(self._causes)

    async def take(self, recorded: Recorded, owed: list[AlertRaised]) -> None:
        """Decide what becomes of the alerts that an event would raise: each an alert, a reply, or named in another."""
        self._read = recorded
        if not owed:
            return
        self._causes[recorded.id] = recorded
        wordings, tellings = await self._stories.told_before(recorded)
        for alert in owed:
            own = await self._newest(wordings, alert.subscriber)
            others = [found for cause in tellings if (found := await self._find(cause, alert.subscriber))]
            had = [*([own] if own else []), *others]
            if told := [each for each in had if _told(each, recorded)]:
                done = not alert.urgent or self._hurried(told)
            else:
                done = await self._named(alert, recorded, others)
            if not done:
                follows = (had[0].follows or had[0].id) if had else ""
                self._alerts[alert.cause, alert.subscriber] = msgspec.structs.replace(alert, follows=follows)

    def settled(self, position: int, *, at_end: bool) -> tuple[list[tuple[AlertRaised, Recorded]], int]:
        """The alerts that nothing can change any more, with their causes, and the position up to which they are all."""
        if at_end or len(self._alerts) > HELD:
            alerts = [(each, self._causes[each.cause]) for each in self._alerts.values()]
            self._alerts, self._causes = {}, {}
            return alerts, position
        open_ = next((each for each in self._causes.values() if not self._is_settled(each)), None)
        place = open_.position - 1 if open_ else position
        causes, self._causes = self._causes, {id: each for id, each in self._causes.items() if each.position > place}
        alerts = [(each, causes[each.cause]) for each in self._alerts.values() if each.cause not in self._causes]
        self._alerts = {key: each for key, each in self._alerts.items() if each.cause in self._causes}
        return alerts, place

    def _is_settled(self, cause: Recorded) -> bool:
        return self._read is not None and self._read.recorded_at - cause.recorded_at > TOGETHER

    async def _newest(self, causes: tuple[str, ...], subscriber: str) -> AlertRaised | None:
        """The subscriber's alert of the first of these causes that he had one of."""
        for cause in causes:
            if found := await self._find(cause, subscriber):
                return found
        return None

    async def _find(self, cause: str, subscriber: str) -> AlertRaised | None:
        """The alert of this cause to this subscriber: in the log before what we hold, for what was recorded stands."""
        found = await self._log.find(event_id(AlertRaised.type, cause, (subscriber,), None))
        if found and isinstance(found.event, AlertRaised):
            self._alerts.pop((cause, subscriber), None)
            return found.event
        return self._alerts.get((cause, subscriber))

    async def _named(self, alert: AlertRaised, recorded: Recorded, had: list[AlertRaised]) -> bool:
        """Have an alert that is not recorded yet name this telling too, if there is one that may."""
        if not isinstance(recorded.event, StatementPublished):
            return False
        for each in reversed(had):
            key, cause = (each.cause, each.subscriber), self._causes.get(each.cause)
            if key in self._alerts and cause and _together(cause, recorded) and len(each.also) < ALSO:
                if await self._log.find(alert.id):
                    return False  # recorded before a crash as an alert of its own, and stands
                self._alerts[key] = msgspec.structs.replace(
                    each,
                    also=(*each.also, recorded.id),
                    waits_for=sooner(each.waits_for, alert.waits_for),
                    urgent=each.urgent or alert.urgent,
                )
                return True
        return False

    def _hurried(self, told: list[AlertRaised]) -> bool:
        """Is one of the alerts that tell this already sent at once, or can it be, now that it is urgent?"""
        for each in told:
            key = each.cause, each.subscriber
            if key in self._alerts:
                self._alerts[key] = msgspec.structs.replace(each, urgent=True)
                return True
        return any(not each.waits_for for each in told)


def _together(cause: Recorded, recorded: Recorded) -> bool:
    """Are these first tellings of two statements, recorded so near each other that one alert is enough?"""
    near = recorded.recorded_at - cause.recorded_at <= TOGETHER
    return near and isinstance(cause.event, StatementPublished)


def _told(alert: AlertRaised, recorded: Recorded) -> bool:
    """Does an alert name this telling already, or is it of the statement whose page this is?"""
    page_of = recorded.event.cause if isinstance(recorded.event, PageRead) else ""
    return recorded.id in alert.also or (bool(page_of) and page_of in {alert.cause, *alert.also})


class _Stories:
    """The stories of the last days, as far as anybody was told of them; after a start they are folded from the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._stories: Stories | None = None

    async def told_before(self, recorded: Recorded) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """
        The ids of the events that said the statement's words before, the newest first, and of the others that told the
        same news, the oldest first.
        """
        if self._stories is None:
            self._stories = await self._folded(recorded.recorded_at - KEPT)
        wordings, this = await self._wordings_before(recorded), await self._telling(recorded)
        if this is None:
            return wordings, ()
        tellings = self._stories.earlier(this)
        self._stories.add(this)
        return wordings, tuple(id for id in tellings if id not in wordings)

    async def _folded(self, since: datetime) -> Stories:
        """What the alerts since then were about."""
        stories, seen = Stories(), set[str]()
        after = await _place_of(self._log, since)
        while (page := await self._log.read(after, (AlertRaised.type,))).position > after:
            for each in page.events:
                if isinstance(each.event, AlertRaised):
                    for id in (each.event.cause, *each.event.also):
                        if id not in seen and (told := await self._log.find(id)):
                            seen.add(id)
                            if this := await self._telling(told):
                                stories.add(this)
            after = page.position
        return stories

    async def _telling(self, recorded: Recorded) -> Telling | None:
        event = recorded.event
        if not isinstance(event, StatementEvent):
            return None
        return telling(recorded.position, recorded.id, await wording(self._log, event), event.seen_at)

    async def _wordings_before(self, recorded: Recorded) -> tuple[str, ...]:
        ids: list[str] = []
        found: Recorded | None = recorded
        while found and len(ids) < CHAIN and (id := _before(found.event)):
            ids.append(id)
            found = await self._log.find(id)
        return tuple(ids)


def _before(event: Event) -> str:
    """The id of the event that said the words before these; "" for the first."""
    match event:
        case StatementRevised() | StatementWithdrawn():
            return event.revises
        case PageRead():
            return event.cause
        case _:
            return ""
