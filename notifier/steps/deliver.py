"""
What is owed → a message sent, and how it went, in the log.

The obligation is in the log before anything is sent, and the outcome goes there after. A crash between the two may make
us send a second copy, of the same name; never none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from notifier.channels.channel import Channel
from notifier.delivery import outcomes
from notifier.delivery.address_marks import AddressMarks
from notifier.delivery.attempts import Attempts
from notifier.delivery.lanes import Lanes, Queue
from notifier.delivery.outbox import Lane, Outbox
from notifier.delivery.recorder import Recorder
from notifier.delivery.suspensions import Suspensions
from notifier.eventlog.log import Appended, Duplicate, EventLog
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, Delivery, DeliveryAbandoned, DeliveryPostponed, DeliveryRetried
from notifier.events.event import Event, Recorded
from notifier.messages.compose import MessageLinks, Messages
from notifier.messages.render import Renderer
from notifier.subscribers.book import Book

logger = logging.getLogger(__name__)

TYPES = tuple(
    each.type
    for each in (
        AlertRaised,
        DigestRaised,
        NoticeRaised,
        AlertDelivered,
        DeliveryPostponed,
        DeliveryAbandoned,
        DeliveryRetried,
        ChannelSuspended,
        ChannelResumed,
        ChannelConfirmed,
    )
)
PATIENCE = 5.0  # seconds that `run` waits for an address's turn
UNRECORDED = 256  # messages at most that were sent and not recorded yet: so many second copies a power cut may make
CONSUMER = "deliver"  # the name under which the marks of suspended channels are kept


class Deliverer:
    """
    Sends what is owed and records how it went.

    `channels` are the ways out by kind, `book` finds subscribers, `random` (0 to 1) spreads retries, and `ticks` are
    seconds of a clock that nobody can set. One subscriber's alerts on one channel (a lane) go one after another, in the
    order of the log; lanes do not wait for each other. Of each kind as many messages are under way as its channel
    wants, urgent ones first. A lane goes on when the log has the outcome of its last message.
    """

    def __init__(
        self,
        log: EventLog,
        channels: Mapping[str, Channel],
        renderer: Renderer,
        book: Book,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        links: MessageLinks | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._clock = clock
        self._position = 0
        self._made = 0
        self._stopping = False
        self._wishes: dict[tuple[str, str], list[str]] = {}  # the operator's retries, by alert and channel
        self._marks = AddressMarks(log, CONSUMER, book.contact)
        self.outbox = Outbox()
        self.suspensions = Suspensions()
        self._lanes = Lanes(self.outbox, channels, book, self._work, ticks, nowhere=UNRECORDED)
        self._recorder = Recorder(log, self._lanes, self._recorded, self._proceed)
        compose = Messages(log, renderer, links, ticks).of
        self._attempts = Attempts(
            channels, compose, book, self.outbox, self.suspensions, self._marks, clock, random, self._lanes.wake_in
        )

    async def catch_up(self) -> None:
        """Fold into the outbox what the log has come to hold."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                again = await self._again(recorded)
                # Readers may overlap; what another has folded meanwhile is not folded again.
                if recorded.position > self._position:
                    self._position = recorded.position
                    self._fold(recorded, again)
            self._position = max(self._position, page.position)

    async def _again(self, recorded: Recorded) -> Recorded | None:
        """
        The alert that the operator wants tried again; None for other events, or where it was delivered after the
        operator looked: their command may have waited in the command box.
        """
        wish = recorded.event
        if not isinstance(wish, DeliveryRetried):
            return None
        of = {"cause": wish.alert, "alert": wish.alert, "subscriber": wish.subscriber, "channel": wish.channel}
        for retry in ("", *self._wishes.get((wish.alert, wish.channel), ())):
            delivered = await self._log.find(AlertDelivered(**of, attempt=1, retry=retry).id)
            # Of one that bounced later they knew when they looked.
            if delivered and wish.retried_at <= delivered.recorded_at and delivered.position < recorded.position:
                return None
        return await self._log.find(wish.alert)

    async def _fold_own(self, ends: list[Event], answers: Sequence[Appended | Duplicate]) -> None:
        """Fold in what we have recorded ourselves; where nothing came in between, the log need not tell us of it."""
        first = self._position + 1
        if [each.position for each in answers] != list(range(first, first + len(ends))):
            await self.catch_up()
            return
        now = self._clock()
        for position, end in enumerate(ends, first):
            self._position = position
            # Nobody asks for the id of an end, and to make it costs more than the rest; a notice is owed by its.
            self._fold(Recorded(position, "" if isinstance(end, Delivery) else end.id, now, end))

    def _fold(self, recorded: Recorded, again: Recorded | None = None) -> None:
        self.outbox.apply(recorded)
        self.suspensions.apply(recorded)
        event = recorded.event
        if isinstance(event, DeliveryRetried):
            self._wishes.setdefault((event.alert, event.channel), []).append(recorded.id)
            if again and not self.outbox.owes((event.subscriber, event.channel), event.alert):
                self.outbox.again(again, recorded)
        elif isinstance(event, NoticeRaised) or (isinstance(event, AlertRaised) and event.urgent):
            for channel in event.channels:
                self._lanes.hurry((event.subscriber, channel))

    async def start_due(self) -> None:
        """Begin to send what is due, and do not wait for it: a slow lane holds up no other."""
        if self._stopping:
            return
        was_stuck = self._recorder.is_stuck
        await self._recorder.settle()
        await self.catch_up()
        if was_stuck:
            # Not before: who was under way meanwhile would send what is settled, and not folded in, once more.
            self._recorder.resume()
        await self._remember()
        now = self._clock()
        for owed in self.outbox.take_expired(now):
            if not self._lanes.is_under_way(owed.lane):
                self._end(owed.lane, [outcomes.expired(owed)])
        self._lanes.take_due(now)
        self._lanes.unpark()
        self._work()

    async def run(self) -> int:
        """Try all that is due; how many attempts were made."""
        made = self._made
        await self.start_due()
        while not self._stopping:
            recording = self._recorder.task
            if tasks := [*self._lanes.tasks, *([recording] if recording else [])]:
                await asyncio.wait(tasks)
            elif (wait := self._lanes.next_parked()) is not None and wait <= PATIENCE:
                await asyncio.sleep(max(wait, 0))
                self._lanes.unpark()
                self._work()
            else:
                break
        return self._made - made

    async def stop(self, seconds: float) -> int:
        """
        Begin nothing more, and let what is under way come to its end for so many seconds; how many had to be cut off.

        What was cut off is owed still, and sent under the same name after the next start.
        """
        self._stopping = True
        self._lanes.stop_waking()
        workers = self._lanes.tasks
        cut_off = (await asyncio.wait(workers, timeout=seconds))[1] if workers else set()
        for task in cut_off:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self._recorder.finish()
        return len(cut_off)

    # ---------------------------------------------------------------- work

    def _work(self) -> None:
        """Have a task for each message that may be under way now."""
        now = self._clock()
        for queue in self._lanes.queues:
            while self._may_send() and (turn := queue.turns.next(now)) is not None:
                task = asyncio.get_running_loop().create_task(self._worker(queue, turn), name="deliver")
                queue.workers.add(task)
                task.add_done_callback(queue.workers.discard)

    def _may_send(self) -> bool:
        return not self._stopping and not self._recorder.is_stuck and len(self._recorder) < UNRECORDED

    async def _worker(self, queue: Queue, turn: tuple[Lane, str] | None) -> None:
        while turn is not None:
            lane, place = turn
            try:
                await self._one(queue, lane, place)
            except Exception:
                # One lane's bug is loud, and the others go on.
                logger.exception("%s: delivering failed; it is tried again when its time comes", " · ".join(lane))
            turn = queue.turns.next(self._clock()) if self._may_send() else None

    async def _one(self, queue: Queue, lane: Lane, place: str) -> None:
        """Send the next message of a lane, if one is due still."""
        now, turns = self._clock(), queue.turns
        owed = None if self._lanes.is_under_way(lane) else self.outbox.first_due(lane, now)
        if owed is None:
            turns.over(place, well=None)
            if not self._lanes.is_under_way(lane):
                self._lanes.release(lane)
            return
        self._lanes.begin(lane)
        answered: bool | None = None
        try:
            attempt = await self._attempts.make(owed, place, turns, now)
            answered = attempt.answered
        except BaseException:
            self._lanes.release(lane)
            raise
        finally:
            turns.over(place, well=answered)
        if attempt.parked is not None:
            self._lanes.park(lane, attempt.parked)
        elif attempt.quiet_hours is not None:
            self._lanes.rest(lane, attempt.quiet_hours)
        else:
            self._end(lane, attempt.events)

    def _end(self, lane: Lane, events: Sequence[Event]) -> None:
        self._made += 1
        self._recorder.add(lane, events)

    async def _recorded(self, events: list[Event], answers: Sequence[Appended | Duplicate]) -> None:
        await self._fold_own(events, answers)
        await self._remember()

    def _proceed(self) -> None:
        self._lanes.take_due(self._clock())
        self._work()

    async def _remember(self) -> None:
        await self._marks.keep(self.suspensions.all(self._clock()))
