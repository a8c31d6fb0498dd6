"""
What becomes of a match: an alert of its own, a reply to an earlier one, or a line in one that is not sent yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from notifier.alerts.bursts import position_at
from notifier.alerts.features import Features, features_of
from notifier.alerts.stories import KEPT, Stories
from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent, wording
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event, Recorded, event_id
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.subscribers.timing import sooner

TOGETHER = timedelta(minutes=1)  # between the recordings of two tellings of one story that one alert may name
HELD = 20_000  # alerts of that time that are held in memory
ALSO = 24  # further tellings that one alert names; the next is a reply
CHAIN = 100  # wordings of a statement that are looked back on for its first alert


class Decided:
    """
    Alerts that are decided and not yet recorded, in the order of their causes.

    An alert is held until the log has been read to a minute past its cause, or to its end, so that it can name what
    came in that minute, wherever a page of the log may have ended.
    """

    def __init__(self, log: LogReader, stories: ToldStories) -> None:
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
        """The subscriber's alert on the first of these causes that they got one for."""
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


class ToldStories:
    """The stories of the last days, as far as anybody was told of them; after a start they are folded from the log."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._stories: Stories | None = None

    async def told_before(self, recorded: Recorded) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """
        The ids of the events with the statement's earlier wordings, the newest first, and of other statements with the
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
        after = await position_at(self._log, since)
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

    async def _telling(self, recorded: Recorded) -> Features | None:
        event = recorded.event
        if not isinstance(event, StatementEvent):
            return None
        return features_of(recorded.position, recorded.id, await wording(self._log, event), event.seen_at)

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
