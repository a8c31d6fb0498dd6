"""
What is owed → a message sent, and how it went, in the log.

The obligation stood in the log before anything is sent, and the outcome goes there after. Whoever pulls the plug
between the two may make us send a second copy, of the same name; never none.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from notifier.channels.channel import Channel, Paced
from notifier.delivery import outcomes
from notifier.delivery.address_marks import AddressMarks
from notifier.delivery.outbox import URGENT, Lane, Outbox, Owed
from notifier.delivery.suspensions import OPERATOR, Suspensions, notice_of, word_to_operator
from notifier.delivery.turns import Turns
from notifier.errors import Conflict, LogError, Misconfigured, Refused, TryLater
from notifier.eventlog.log import Appended, Duplicate, EventLog
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, Delivery, DeliveryAbandoned, DeliveryPostponed, DeliveryRetried
from notifier.events.event import Event, Recorded
from notifier.messages.compose import MessageLinks, Messages
from notifier.messages.render import Renderer
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import quiet_until

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
BROKEN = 900.0  # seconds before a message is tried again whose template, or whose code, was at fault
QUIET_LOOK = timedelta(minutes=5)  # between looks at who has quiet hours: his file may say something else by now
PATIENCE = 5.0  # seconds that `run` waits for an address's turn
UNRECORDED = 256  # messages at most that were sent and not recorded yet: so many second copies a power cut may make
GROUP = 256  # messages at most whose outcomes, up to three events each, are stored in one commit
TOGETHER = 64  # outcomes that are worth a commit; fewer wait for others that are under way
LINGER = 0.005  # seconds, at most
CONSUMER = "deliver"  # the name under which the marks of suspended channels are kept
NOWHERE = ""  # the kind of a channel that there is none of: withdrawn, or not set up


class _Queue(msgspec.Struct):
    """One kind of channel: whose turn it is on it, and the tasks that send."""

    turns: Turns
    workers: set[asyncio.Task[None]]


class Deliverer:
    """
    Sends what is owed and records how it went.

    `channels` are the ways out by kind, `subscriber` finds who is meant by an id, `random` spreads retries, `wanted`
    names the channels on which somebody may be told of his own (all, where readers need not confirm them). One
    subscriber's alerts on one channel (a lane) go one after another, in the order of the log; lanes do not wait for
    each other. Of each kind so many messages are under way as its channel wants, urgent ones first. A lane goes on when
    the log has taken how its last message went; meanwhile others are sent.
    """

    def __init__(
        self,
        log: EventLog,
        channels: Mapping[str, Channel],
        renderer: Renderer,
        subscriber: Callable[[str], Subscriber | None],
        clock: Callable[[], datetime],
        random: Callable[[], float],
        links: MessageLinks | None = None,
        wanted: Callable[[Subscriber], Collection[str]] | None = None,
    ) -> None:
        self._log = log
        self._channels = channels
        self._paces = {kind: channel for kind, channel in channels.items() if isinstance(channel, Paced)}
        self._messages = Messages(log, renderer, links)
        self._subscriber = subscriber
        self._wanted = wanted or _all_channels
        self._clock = clock
        self._random = random
        self._position = 0
        self._ways = {kind: _Queue(Turns(channel.at_once), set()) for kind, channel in channels.items()}
        self._ways[NOWHERE] = _Queue(Turns(UNRECORDED), set())
        self._busy: set[Lane] = set()  # taken from the outbox: they wait for a turn, are under way, or being recorded
        self._under_way: set[Lane] = set()  # those of them of which a message is being sent or recorded
        self._parked: list[tuple[float, Lane]] = []  # those that wait for their address's turn, by the loop's time
        self._quiet: list[tuple[datetime, Lane]] = []  # those that wait for the end of quiet hours
        self._wake: asyncio.TimerHandle | None = None
        # Outcomes that the log has not taken yet. Where it refuses them they go first when it takes something again: to
        # send once more instead would be a second copy.
        self._unrecorded: dict[int, Event] = {}  # by identity
        self._ended: list[tuple[Lane, list[Event]]] = []  # on their way to the recorder
        self._recorder: asyncio.Task[None] | None = None
        self._is_stuck = False
        self._stopping = False
        self._made = 0
        self._wishes: dict[tuple[str, str], list[str]] = {}  # the operator's retries, by alert and channel
        self._marks = AddressMarks(log, CONSUMER, lambda lane: self._found(lane)[1])
        self.outbox = Outbox()
        self.suspensions = Suspensions()

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
        What the operator wants tried again. None where he does not, or where it was handed over since he looked: his
        wish may have waited in the letterbox meanwhile.
        """
        wish = recorded.event
        if not isinstance(wish, DeliveryRetried):
            return None
        of = {"cause": wish.alert, "alert": wish.alert, "subscriber": wish.subscriber, "channel": wish.channel}
        for retry in ("", *self._wishes.get((wish.alert, wish.channel), ())):
            delivered = await self._log.find(AlertDelivered(**of, attempt=1, retry=retry).id)
            # Of one that came back later (a bounce) he knew when he looked.
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
            for lane in ((event.subscriber, channel) for channel in event.channels):
                if lane in self._busy and lane not in self._under_way:
                    self._queue(lane)  # once more, among the urgent

    async def start_due(self) -> None:
        """Begin to send what is due, and do not wait for it: a slow lane holds up no other."""
        if self._stopping:
            return
        stuck = self._is_stuck
        await self._settle()
        await self.catch_up()
        if stuck and not self._unrecorded:
            # Not before: who was under way meanwhile would send what is settled, and not folded in, once more.
            self._is_stuck = False
        await self._remember()
        now = self._clock()
        for owed in self.outbox.take_expired(now):
            if owed.lane not in self._under_way:
                self._end(owed.lane, [outcomes.expired(owed)])
        self._take_due(now)
        self._turns_came()

    def _take_due(self, now: datetime) -> None:
        while self._quiet and self._quiet[0][0] <= now:
            self._queue(heapq.heappop(self._quiet)[1])
        for lane in self.outbox.take_due(now):
            if lane not in self._busy:
                self._busy.add(lane)
                self._queue(lane)

    async def run(self) -> int:
        """Try all that is due; how many attempts were made."""
        made = self._made
        await self.start_due()
        while not self._stopping:
            if tasks := self._tasks():
                await asyncio.wait(tasks)
            elif self._parked and (wait := self._parked[0][0] - asyncio.get_running_loop().time()) <= PATIENCE:
                await asyncio.sleep(max(wait, 0))
                self._turns_came()
            else:
                break
        return self._made - made

    async def stop(self, seconds: float) -> int:
        """
        Begin nothing more, and let what is under way come to its end for so many seconds; how many had to be cut off.

        What was cut off is owed still, and sent under the same name after the next start.
        """
        self._stopping = True
        if self._wake is not None:
            self._wake.cancel()
        workers = [task for way in self._ways.values() for task in way.workers]
        cut_off = (await asyncio.wait(workers, timeout=seconds))[1] if workers else set()
        for task in cut_off:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._recorder is not None:
            await asyncio.wait([self._recorder])
        try:
            await self._settle()
        except LogError as error:
            told = "%d outcomes could not be recorded: what they tell of may be sent once more after the next start: %s"
            logger.error(told, len(self._unrecorded), error)  # noqa: TRY400 its words say it all
        return len(cut_off)

    def _tasks(self) -> list[asyncio.Task[None]]:
        recorder = [self._recorder] if self._recorder is not None and not self._recorder.done() else []
        return [*(task for way in self._ways.values() for task in way.workers), *recorder]

    # ---------------------------------------------------------------- turns

    def _queue(self, lane: Lane) -> None:
        """Have a lane wait for its turn, where it belongs."""
        _, way = self._found(lane)
        channel = self._channels.get(way.kind) if way is not None else None
        kind = way.kind if way is not None and channel is not None else NOWHERE
        place = channel.place(way.address.reveal()) if way is not None and channel is not None else ""
        self._ways[kind].turns.add(lane, place, self.outbox.urgency(lane))

    def _found(self, lane: Lane) -> tuple[Subscriber | None, Contact | None]:
        subscriber, channel = lane
        who = self._subscriber(subscriber)
        for way in who.channels if who else ():
            if way.name == channel:
                return who, way
        return who, None

    def _work(self) -> None:
        """Have a task for each message that may be under way now."""
        now = self._clock()
        for way in self._ways.values():
            while self._may_send() and (turn := way.turns.next(now)) is not None:
                task = asyncio.get_running_loop().create_task(self._worker(way, turn), name="deliver")
                way.workers.add(task)
                task.add_done_callback(way.workers.discard)

    def _may_send(self) -> bool:
        return not self._stopping and not self._is_stuck and len(self._unrecorded) < UNRECORDED

    async def _worker(self, way: _Queue, turn: tuple[Lane, str] | None) -> None:
        while turn is not None:
            lane, place = turn
            try:
                await self._one(way.turns, lane, place)
            except Exception:
                # One lane's bug is loud, and the others go on.
                logger.exception("%s: delivering failed; it is tried again when its time comes", " · ".join(lane))
            turn = way.turns.next(self._clock()) if self._may_send() else None

    async def _one(self, turns: Turns, lane: Lane, place: str) -> None:
        """Send the next message of a lane, if one is due still."""
        now = self._clock()
        owed = None if lane in self._under_way else self.outbox.first_due(lane, now)
        if owed is None:
            turns.over(place, well=None)
            if lane not in self._under_way:
                self._release(lane)
            return
        self._under_way.add(lane)
        well: bool | None = None
        try:
            ends, well = await self._attempt(owed, lane, turns, place, now)
        except BaseException:
            self._release(lane)
            raise
        finally:
            turns.over(place, well=well)
        self._end(lane, ends)

    def _park(self, lane: Lane, seconds: float) -> None:
        """Let a lane wait for the turn of its address; nothing was tried, so nothing is told."""
        heapq.heappush(self._parked, (asyncio.get_running_loop().time() + seconds, lane))
        self._under_way.discard(lane)
        self._wake_in(seconds)

    def _wake_in(self, seconds: float) -> None:
        """Look again sooner than the clock of the steps would."""
        loop = asyncio.get_running_loop()
        if self._wake is None or self._wake.cancelled() or self._wake.when() <= loop.time():
            self._wake = loop.call_later(seconds, self._turns_came)
        elif self._wake.when() > loop.time() + seconds:
            self._wake.cancel()
            self._wake = loop.call_later(seconds, self._turns_came)

    def _turns_came(self) -> None:
        """Go on with the lanes whose address has its turn now, and with whatever else may go."""
        now = asyncio.get_running_loop().time()
        while self._parked and self._parked[0][0] <= now:
            self._queue(heapq.heappop(self._parked)[1])
        self._work()
        if self._parked and not self._stopping:
            self._wake_in(self._parked[0][0] - now)

    def _release(self, lane: Lane) -> None:
        self._under_way.discard(lane)
        self._busy.discard(lane)
        self.outbox.put_back(lane)

    # ---------------------------------------------------------------- what is told to the log

    def _end(self, lane: Lane, ends: list[Event]) -> None:
        """Have the log told how a message went; its lane goes on after that."""
        if not ends:
            return
        self._made += 1
        self._under_way.add(lane)
        for end in ends:
            self._unrecorded[id(end)] = end
        self._ended.append((lane, ends))
        if self._recorder is None or self._recorder.done():
            self._recorder = asyncio.get_running_loop().create_task(self._record(), name="record deliveries")

    async def _record(self) -> None:
        while self._ended:
            if len(self._ended) < TOGETHER and len(self._under_way) > len(self._ended):
                await asyncio.sleep(LINGER)
            # Thousands may expire in one second; the log takes so many at once and no more.
            group, self._ended = self._ended[:GROUP], self._ended[GROUP:]
            ends = [end for _, ends in group for end in ends]
            try:
                answers = await self._log.append(ends)
                for end in ends:
                    self._unrecorded.pop(id(end), None)
                await self._fold_own(ends, answers)
                await self._remember()
            except LogError as error:
                # Here it ends: outcomes wait in `_unrecorded`, and all lanes go on once those are stored.
                self._is_stuck = True
                logger.error("nothing more is sent until the log takes how this went: %s", error)  # noqa: TRY400
            except Exception:
                self._is_stuck = True
                logger.exception("recording deliveries failed; nothing more is sent until it is made up for")
            finally:
                for lane, _ in group:
                    self._release(lane)
            self._take_due(self._clock())
            self._work()

    async def _settle(self) -> None:
        """Tell the log what it did not take before, one by one: what is wrong with one is not wrong with the others."""
        if not self._is_stuck:
            return
        for outcome in list(self._unrecorded.values()):
            try:
                await self._log.append([outcome])
            except Conflict as error:
                # The log has this end in other words, from another hand. It stands, and nothing waits for ever.
                logger.error("an outcome is not recorded: %s", error)  # noqa: TRY400 its words say it all
            self._unrecorded.pop(id(outcome), None)

    async def _remember(self) -> None:
        await self._marks.keep(self.suspensions.all(self._clock()))

    # ---------------------------------------------------------------- one attempt

    async def _attempt(
        self, owed: Owed, lane: Lane, turns: Turns, place: str, now: datetime
    ) -> tuple[list[Event], bool | None]:
        """
        Try one delivery once: the events that tell how it went, none where it is not the time for sending; and whether
        the other side answered.
        """
        if now >= owed.expires_at:
            return [outcomes.expired(owed)], None
        who, way = self._found(lane)
        if who is None or way is None:
            return [outcomes.withdrawn(owed, "the subscriber's file no longer names this channel")], None
        if (end := self._in_vain(owed, way, now)) is not None:
            return [end], None
        if self._is_for_later(owed, who, now):
            return [], None
        return await self._sent(owed, who, way, turns, place)

    def _in_vain(self, owed: Owed, way: Contact, now: datetime) -> Event | None:
        """What is told instead of sending, where nothing may be sent on this channel, or not this."""
        if suspended := self.suspensions.of(owed.lane, now):
            is_another = self._marks.tell_another(suspended, way)
            return outcomes.resumed(suspended, now) if is_another else outcomes.suspended(owed, suspended)
        if isinstance(owed.event, NoticeRaised) and self.suspensions.is_asked_in_vain(owed.event, owed.channel, now):
            return outcomes.withdrawn(owed, "he has answered, or was asked less than a day ago")
        return None

    def _is_for_later(self, owed: Owed, who: Subscriber, now: datetime) -> bool:
        """
        Leave for the morning what is not urgent: what was put off in the evening, or by the operator. That is no
        attempt, and nothing is told. What is urgent takes with it what stands before it in its lane, and what would be
        too old by the morning is sent: quiet hours hold, and drop nothing.
        """
        over = quiet_until(who.timing, now)
        if over is None or over >= owed.expires_at or self.outbox.urgency(owed.lane) == URGENT:
            return False
        heapq.heappush(self._quiet, (min(over, now + QUIET_LOOK), owed.lane))
        self._under_way.discard(owed.lane)
        return True

    async def _sent(
        self, owed: Owed, who: Subscriber, way: Contact, turns: Turns, place: str
    ) -> tuple[list[Event], bool | None]:
        sending = False
        try:
            channel = self._channels[way.kind]
            address = way.address.reveal()
            if (pace := self._paces.get(way.kind)) and (wait := pace.turn(address)):
                self._park(owed.lane, wait)
                return [], None
            message = await self._messages.of(owed, who, way, channel.forms)
            sending = True
            receipt = await channel.send(message, address)
        except TryLater as failure:
            return self._postponed(owed, way, failure, turns, place), _answered(failure)
        except Refused as refusal:
            end = outcomes.abandoned(owed, owed.attempts + 1, str(refusal), refusal.outcome)
            return self._with_suspension(end), True
        except Misconfigured as error:
            logger.error("an alert waits for a template to be mended: %s", error)  # noqa: TRY400 its words say it all
            broken = TryLater(str(error), outcome="broken", after=BROKEN)
            return self._postponed(owed, way, broken, turns, place), None
        except Exception as error:  # noqa: BLE001 it is told, in the log and here
            # The boundary of one delivery: a bug must not silence a subscriber, nor send in a circle. It is loud here,
            # visible in the log, and tried again. Its place is told, not its words: they may quote the address.
            kind, at = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("delivering event %s on %s failed: %s\n%s", owed.position, owed.channel, kind, at)  # noqa: TRY400
            told = f"a fault of the notifier's own ({kind}); see the service's log"
            fault = TryLater(told, outcome="fault", after=BROKEN, unknown=sending)
            return self._postponed(owed, way, fault, turns, place), None
        return [outcomes.delivered(owed, receipt.reply)], True

    def _postponed(self, owed: Owed, way: Contact, failure: TryLater, turns: Turns, place: str) -> list[Event]:
        """The end of an attempt after which another follows, and what it means for others on this way."""
        now = self._clock()
        end = outcomes.failed(owed, way.kind, failure, now, self._random)
        is_more = failure.scope == "route" or (failure.scope == "place" and _is_sure(failure, turns, place))
        if isinstance(end, DeliveryPostponed) and is_more:
            there = place if failure.scope == "place" else None
            until = turns.hold(there, now, failure.after or 0, self._random, busy=failure.outcome == "throttled")
            self._wake_in((until - now).total_seconds())
            end = msgspec.structs.replace(end, due_at=min(until, owed.expires_at))
        return self._with_suspension(end)

    def _with_suspension(self, end: DeliveryAbandoned | DeliveryPostponed) -> list[Event]:
        """An end, and what follows from it for its channel."""
        now = self._clock()
        suspended = self.suspensions.following(end, now)
        if suspended is None:
            return [end]
        logger.error("%s: channel %s takes no alerts any more: %s", end.subscriber, end.channel, suspended.reason)
        notice = notice_of(suspended, self._others(end.subscriber, end.channel, now))
        word = word_to_operator(suspended) if self._subscriber(OPERATOR) else None
        return [end, suspended, *filter(None, (notice, word))]

    def _others(self, subscriber: str, channel: str, now: datetime) -> list[str]:
        """The other channels of a subscriber that work, mail first."""
        who = self._subscriber(subscriber)
        wanted = self._wanted(who) if who else ()
        ways = [
            way
            for way in (who.channels if who else ())
            if way.name != channel
            and way.name in wanted
            and way.kind in self._channels
            and self.suspensions.of((subscriber, way.name), now) is None
        ]
        return [way.name for way in sorted(ways, key=lambda way: way.kind != "email")]


def _all_channels(who: Subscriber) -> tuple[str, ...]:
    return tuple(way.name for way in who.channels)


def _is_sure(failure: TryLater, turns: Turns, place: str) -> bool:
    """Is it the whole place, as it seems, and not this address alone? One closed mailbox must not close a domain."""
    return failure.outcome not in ("policy", "cut-off", "unknown") or turns.struck(place)


def _answered(failure: TryLater) -> bool | None:
    """Did the other side answer? None where it holds up more than this message, which was said already."""
    return None if failure.scope in ("place", "route") else failure.outcome not in ("cut-off", "unknown")
