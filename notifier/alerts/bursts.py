"""
What each subscriber was sent lately, as far as it may make a burst.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from notifier.eventlog.log import LogReader
from notifier.events.alerts import AlertRaised
from notifier.events.event import Recorded
from notifier.subscribers.timing import LONGEST, NOTHING, WITHIN, Lately, Timing, held

LOOKED_BACK = 200_000  # newest events of the log among which the last days' alerts are sought after a start
BURSTS = LONGEST + 2 * WITHIN  # from when on the alerts count that tell whether a burst goes on


class Bursts:
    """What everybody was sent lately, as far as it may make a burst; after a start it is folded from the log."""

    def __init__(self, log: LogReader) -> None:
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
        after = await position_at(self._log, since)
        while (page := await self._log.read(after, (AlertRaised.type,))).position > after:
            for each in page.events:
                if isinstance(each.event, AlertRaised):
                    cause = await self._log.find(each.event.cause)
                    self._count(each.event, (cause or each).recorded_at)
            after = page.position
        return after


async def position_at(log: LogReader, moment: datetime) -> int:
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
