"""
What is owed → a message sent, and how it went, in the log.

The obligation stood in the log before anything is sent, and the outcome goes there after. Whoever pulls the plug
between the two may make us send a second copy, of the same name; never none.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifier.alerts.alert import AlertView, Reader
from notifier.alerts.outbox import Lane, Outbox, Owed, backoff, delivery_id
from notifier.alerts.render import Renderer
from notifier.channels.channel import Channel, Paced
from notifier.errors import LogError, Misconfigured, Refused, TryLater
from notifier.eventlog.log import EventLog
from notifier.events import (
    AlertDelivered,
    AlertRaised,
    DeliveryAbandoned,
    DeliveryPostponed,
    Event,
)
from notifier.handwritten.secret import Secret
from notifier.message import Message
from notifier.subscriptions import ChannelAddress, Subscriber
from notifier.views import found, viewed

logger = logging.getLogger(__name__)

TYPES = (AlertRaised.type, AlertDelivered.type, DeliveryPostponed.type, DeliveryAbandoned.type)
FOLDER = "alert"  # the templates of an alert
AT_ONCE = 16  # messages under way together on one kind of channel, so that a dead mail server holds up no Slack
UNSURE = 900.0  # seconds before the one second copy that an unknown outcome allows
BROKEN = 900.0  # seconds before a message is tried again whose template, or whose code, was at fault


class Deliverer:
    """
    Sends what is owed and records how it went.

    `channels` are the ways out by kind, `subscriber` finds who is meant by an id, `random` spreads retries. One
    subscriber's alerts on one channel (a lane) go one after another, in the order of the log; lanes do not wait for
    each other.
    """

    def __init__(
        self,
        log: EventLog,
        channels: Mapping[str, Channel],
        renderer: Renderer,
        subscriber: Callable[[str], Subscriber | None],
        clock: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._log = log
        self._channels = channels
        self._renderer = renderer
        self._subscriber = subscriber
        self._clock = clock
        self._random = random
        self._position = 0
        self._places = {kind: asyncio.Semaphore(AT_ONCE) for kind in channels}
        self._under_way: dict[Lane, asyncio.Task[int]] = {}
        self._queued: set[Lane] = set()  # those of them that wait for a place
        # Outcomes that the log did not take. They go first when it does: to send again instead would be a second copy.
        self._unrecorded: dict[str, Event] = {}
        self._faults: dict[str, str] = {}  # of operators' templates, by form
        # Addresses that said they are no more. Forgotten with the process: one question after a start does no harm.
        self._ended: dict[tuple[str, Secret], str] = {}
        self._stopping = False
        self.outbox = Outbox()

    async def catch_up(self) -> None:
        """Fold into the outbox what the log has come to hold."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                # Lanes catch up side by side; what another has folded meanwhile is not folded again.
                if recorded.position > self._position:
                    self.outbox.apply(recorded)
                    self._position = recorded.position
            self._position = max(self._position, page.position)

    async def start_due(self) -> None:
        """Begin to send what is due, and do not wait for it: a slow lane holds up no other."""
        await self._settle()
        await self.catch_up()
        for lane in self.outbox.take_due(self._clock()):
            if lane not in self._under_way:
                self._under_way[lane] = asyncio.create_task(self._run_lane(lane), name=f"deliver {'/'.join(lane)}")

    async def run(self) -> int:
        """Try all that is due; how many attempts were made."""
        await self.start_due()
        made = 0
        while self._under_way:
            made += sum(await asyncio.gather(*self._under_way.values()))
        return made

    async def stop(self, seconds: float) -> int:
        """
        Begin nothing more, and let what is under way come to its end for so many seconds; how many had to be cut off.

        What was cut off is owed still, and sent under the same name after the next start.
        """
        self._stopping = True
        for lane in self._queued & self._under_way.keys():
            self._under_way[lane].cancel()
        if not self._under_way:
            return 0
        _, cut_off = await asyncio.wait(self._under_way.values(), timeout=seconds)
        for task in cut_off:
            task.cancel()
        await asyncio.gather(*cut_off, return_exceptions=True)
        return len(cut_off)

    async def _run_lane(self, lane: Lane) -> int:
        made = 0
        try:
            while owed := self.outbox.first_due(lane, self._clock()):
                outcome = await self._attempt(owed)
                if outcome is None:
                    break
                made += 1
                await self._record(outcome)
                await self.catch_up()
        except LogError as error:
            # The boundary of a lane: its outcome waits in `_unrecorded`, and the lane begins again once that is stored.
            told = "%s: nothing more is sent until the log takes how this went: %s"
            logger.error(told, " · ".join(lane), error)  # noqa: TRY400 its words say it all
        finally:
            del self._under_way[lane]
            self._queued.discard(lane)
            self.outbox.put_back(lane)
        return made

    async def _record(self, outcome: Event) -> None:
        try:
            await self._log.append([outcome])
        except Exception:
            self._unrecorded[outcome.id] = outcome
            raise

    async def _settle(self) -> None:
        for id, outcome in list(self._unrecorded.items()):
            await self._log.append([outcome])
            self._unrecorded.pop(id, None)

    # ---------------------------------------------------------------- one attempt

    async def _attempt(self, owed: Owed) -> Event | None:
        """Try one delivery once; the event that tells how it went, or None where it is not the time for sending."""
        if self._clock() >= owed.expires_at:
            return _abandoned(owed, owed.attempts, "expired: it could not be handed over within 72 hours")
        who = self._subscriber(owed.subscriber)
        way = next((way for way in who.channels if way.name == owed.channel), None) if who else None
        if who is None or way is None:
            return _abandoned(owed, owed.attempts, "withdrawn: the subscriber's file no longer names this channel")
        if reason := self._ended.get((way.kind, way.address)):
            return _abandoned(owed, owed.attempts, reason)
        return await self._sent(owed, who, way)

    async def _sent(self, owed: Owed, who: Subscriber, way: ChannelAddress) -> Event | None:
        attempt, sending = owed.attempts + 1, False
        try:
            channel = self._channels[way.kind]
            message = await self._message(owed, who, channel)
            self._queued.add((owed.subscriber, owed.channel))
            if isinstance(channel, Paced):
                await channel.turn(way.address.reveal())
            async with self._places[way.kind]:
                self._queued.discard((owed.subscriber, owed.channel))
                # It may have been a long wait for the place.
                if self._stopping or self._unrecorded:
                    return None
                sending = True
                receipt = await channel.send(message, way.address.reveal())
        except TryLater as failure:
            return self._postponed(owed, str(failure), failure.after, unknown=failure.unknown)
        except Refused as refusal:
            if refusal.outcome == "endpoint-gone":
                self._end(owed, way, str(refusal))
            return _abandoned(owed, attempt, str(refusal))
        except Misconfigured as error:
            logger.error("an alert waits for a template to be mended: %s", error)  # noqa: TRY400 its words say it all
            return self._postponed(owed, str(error), BROKEN)
        except Exception as error:  # noqa: BLE001 it is told, in the log and here
            # The boundary of one delivery: a bug must not silence a subscriber, nor send in a circle. It is loud here,
            # visible in the log, and tried again. Its place is told, not its words: they may quote the address.
            kind, place = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("delivering event %s on %s failed: %s\n%s", owed.position, owed.channel, kind, place)  # noqa: TRY400
            fault = f"a fault of the notifier's own ({kind}); see the service's log"
            return self._postponed(owed, fault, BROKEN, unknown=sending)
        return AlertDelivered(**_of(owed, attempt), reply=receipt.reply)

    def _end(self, owed: Owed, way: ChannelAddress, reason: str) -> None:
        """Ask this address no more, and say so once; a new one in the subscriber's file is another address."""
        if (way.kind, way.address) not in self._ended:
            told = (
                "%s: channel %s has ended, and takes no alerts until its address changes or the notifier restarts: %s"
            )
            logger.error(told, owed.subscriber, owed.channel, reason)
        self._ended[way.kind, way.address] = f"the channel has ended, and nothing was sent: {reason}"

    def _postponed(self, owed: Owed, reason: str, after: float | None, *, unknown: bool = False) -> Event:
        attempt = owed.attempts + 1
        if unknown and owed.unknowns:
            return _abandoned(owed, attempt, f"unknown twice, so there is no third copy; it may have arrived: {reason}")
        wait = backoff(attempt, max(after or 0, UNSURE) if unknown else after, self._random)
        return DeliveryPostponed(
            **_of(owed, attempt),
            due_at=min(self._clock() + timedelta(seconds=wait), owed.expires_at),
            reason=reason,
            unknown=unknown,
        )

    async def _message(self, owed: Owed, who: Subscriber, channel: Channel) -> Message:
        """The words of a delivery: the same at every attempt, since they follow from the log and his file alone."""
        alert = await found(self._log, owed.alert_id)
        view, first = await viewed(self._log, alert, Reader(who.name, who.timezone))
        return Message(
            id=delivery_id(owed.alert_id, owed.channel),
            parts=self._rendered(channel.forms, view),
            written_at=owed.raised_at,
            # On a channel that he has added since, there is nothing to follow.
            follows=delivery_id(first.id, owed.channel) if first and owed.channel in first.channels else "",
        )

    def _rendered(self, forms: Sequence[str], view: AlertView) -> dict[str, str]:
        parts, faults = self._renderer.render_all_the_same(FOLDER, forms, view)
        for form in forms:
            fault = str(faults[form]) if form in faults else ""
            # Told when it first comes up, and not with each of a thousand messages.
            if fault and fault != self._faults.get(form):
                logger.error("the built-in template is used until this is mended: %s", fault)
            self._faults[form] = fault
        return parts


def _abandoned(owed: Owed, attempt: int, reason: str) -> Event:
    return DeliveryAbandoned(**_of(owed, attempt), reason=reason)


def _of(owed: Owed, attempt: int) -> dict[str, Any]:
    """What every event about a delivery says of it."""
    alert = owed.alert_id
    return {"cause": alert, "alert": alert, "subscriber": owed.subscriber, "channel": owed.channel, "attempt": attempt}
