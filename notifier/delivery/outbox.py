"""
What we still owe, folded from the log.

An alert is owed on each of its channels until that delivery has ended: handed over, or abandoned. Nothing is kept
elsewhere, so an outbox folded anew after a crash is the same outbox.
"""

from __future__ import annotations

import hashlib
import heapq
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed, DeliveryRetried
from notifier.events.event import Recorded

# News of this kind is stale after three days; mail's own habit of four to five (RFC 5321, 4.5.4.1) is for letters.
EXPIRY = timedelta(hours=72)

# Seconds to wait after the first, second, … failed attempt; the last one from there on.
LADDER: tuple[float, ...] = (60, 300, 900, 1800, 3600, 7200, 14400)
# A mailbox that is full is emptied by its owner, not by our asking.
OF_FULL_MAILBOX: tuple[float, ...] = (1800, 7200, 28800, 86400)
# That of Standard Webhooks, as far as our expiry lets it go.
OF_WEBHOOK: tuple[float, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
JITTER = 0.2
# What a peer may ask for. A longer wait would be a way to silence us, a shorter one a way to make us spin.
SHORTEST, LONGEST = 1.0, 3600.0
# A server that keeps asking for a retry in a second is obeyed this often, and retried at our own pace from then on.
TRUSTED = 3
SHARED = 10_000  # values that are kept once for all who have them


Lane = tuple[str, str]
"""A subscriber's id and the name of one of their channels."""

URGENT, IMMEDIATE, IN_DIGEST = 0, 1, 2
"""Classes of urgency."""

Raised = AlertRaised | DigestRaised | NoticeRaised
"""The events that make us owe something."""


class Owed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    One alert, digest or notice on one channel, not ended yet.

    `alert_id`, `position` and `raised_at` are those of its event in the log, which is `event` here; `channel` the name
    in the subscriber's file. `attempts` were made so far, `unknowns` of them with an end that the other side may have
    taken for a success; the next is allowed from `due_at`. `since` is when we began to owe it, and `retry` the id of
    the operator's wish to begin again, "" where there was none.
    """

    alert_id: str
    position: int
    event: Raised
    channel: str
    raised_at: datetime
    due_at: datetime
    since: datetime
    attempts: int = 0
    unknowns: int = 0
    retry: str = ""

    @property
    def subscriber(self) -> str:
        """Whom we owe it."""
        return self.event.subscriber

    @property
    def lane(self) -> Lane:
        """The lane that it stands in."""
        return (self.event.subscriber, self.channel)

    @property
    def expires_at(self) -> datetime:
        """From when on it is not worth telling any more, and is abandoned instead."""
        return self.since + EXPIRY

    @property
    def urgency(self) -> int:
        """Its class of urgency, from 0. A notice about the subscription itself is urgent."""
        if isinstance(self.event, AlertRaised):
            return URGENT if self.event.urgent else IMMEDIATE
        return IN_DIGEST if isinstance(self.event, DigestRaised) else URGENT


Head = tuple[datetime, int, Lane]

T = TypeVar("T")


class Outbox:
    """
    All that is owed, in lanes: one per subscriber and channel.

    A lane keeps the order of the log. A postponed alert holds back the later ones of its lane, for two reasons: they go
    to the same address and would most likely fail the same way, and a reader who sees a correction before the statement
    it corrects is misled. It holds back no other lane (promise P5), and only until it expires.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, dict[str, Owed]] = {}
        # Heads of lanes by due time. Entries go stale or come twice as heads change; they are dropped on surfacing.
        self._heads: list[Head] = []
        self._owed = 0
        self._urgent: dict[Lane, int] = {}  # how many are in a lane
        # Everything in the order in which it will expire; what has ended is dropped on surfacing.
        self._by_age: deque[tuple[datetime, Lane, str]] = deque()
        # A thousand subscribers are owed the same words: kept once.
        self._shared: dict[object, object] = {}

    def apply(self, recorded: Recorded) -> None:
        """Fold one event in; events of other types change nothing. Positions must not go back."""
        match recorded.event:
            case AlertDelivered(alert=alert, subscriber=subscriber, channel=channel):
                self._end((subscriber, channel), alert)
            case AlertRaised() as raised if not raised.waits_for:
                self._owe(recorded, self._sharing(raised))
            case DigestRaised() | NoticeRaised() as raised:
                self._owe(recorded, raised)
            case DeliveryPostponed() as postponed:
                self._postpone(postponed)
            case DeliveryRetried(alert=alert, subscriber=subscriber, channel=channel, retried_at=at):
                self._hurry((subscriber, channel), alert, at, recorded.id)
            case DeliveryAbandoned(alert=alert, subscriber=subscriber, channel=channel):
                self._end((subscriber, channel), alert)
            case _:
                pass

    def owes(self, lane: Lane, alert: str) -> bool:
        """Is this alert still owed on this channel?"""
        return alert in self._lanes.get(lane, {})

    def again(self, recorded: Recorded, retried: Recorded) -> None:
        """Owe once more, from now on, what had ended on one channel: the recorded alert, and the wish for it."""
        raised, wish = recorded.event, retried.event
        if isinstance(raised, Raised) and isinstance(wish, DeliveryRetried):
            self._add(_owed(recorded, raised, wish.channel, since=wish.retried_at, retry=retried.id))

    def due(self, now: datetime) -> list[Owed]:
        """What may be tried now, in the order of the log; within a lane nothing comes before what it waits for."""
        ready: dict[Lane, Head] = {}
        found: list[Owed] = []
        while self._heads and self._heads[0][0] <= now:
            head = heapq.heappop(self._heads)
            lane = head[2]
            if lane in ready or not self._is_current(head):
                continue
            ready[lane] = head
            for owed in self._lanes[lane].values():
                if owed.due_at > now:
                    break
                found.append(owed)
        # They stay owed until the log says how it went: asking twice gives the same answer.
        for head in ready.values():
            heapq.heappush(self._heads, head)
        found.sort(key=_position)
        return found

    def take_due(self, now: datetime) -> list[Lane]:
        """
        The lanes of which something may be tried now, the longest due first.

        A lane once taken may not be named again until `put_back`: so asking often costs nothing, however many are owed.
        """
        taken: dict[Lane, None] = {}
        while self._heads and self._heads[0][0] <= now:
            head = heapq.heappop(self._heads)
            if self._is_current(head):
                taken[head[2]] = None
        return list(taken)

    def put_back(self, lane: Lane) -> None:
        """Name a lane again that was taken, when its time comes."""
        if lane in self._lanes:
            self._show(lane)

    def first_due(self, lane: Lane, now: datetime) -> Owed | None:
        """What a lane may try now: its oldest, or nothing while that waits."""
        waiting = self._lanes.get(lane)
        head = next(iter(waiting.values())) if waiting else None
        return head if head and head.due_at <= now else None

    def urgency(self, lane: Lane) -> int:
        """The class of a lane: urgent where anything in it is, since what stands before that has to go first."""
        if lane in self._urgent:
            return URGENT
        waiting = self._lanes.get(lane)
        return next(iter(waiting.values())).urgency if waiting else IMMEDIATE

    def take_expired(self, now: datetime) -> list[Owed]:
        """What has been owed for too long, each once."""
        expired = []
        while self._by_age and self._by_age[0][0] + EXPIRY <= now:
            _, lane, alert = self._by_age.popleft()
            owed = self._lanes.get(lane, {}).get(alert)
            if owed is not None and owed.expires_at <= now:
                expired.append(owed)
        return expired

    def next_due(self) -> datetime | None:
        """When something may next be tried; a moment in the past when it may now, None when nothing is owed."""
        while self._heads and not self._is_current(self._heads[0]):
            heapq.heappop(self._heads)
        return self._heads[0][0] if self._heads else None

    def owed(self) -> int:
        """How many deliveries have not ended."""
        return self._owed

    def _owe(self, recorded: Recorded, raised: Raised) -> None:
        for channel in dict.fromkeys(raised.channels):
            self._add(_owed(recorded, raised, channel, since=recorded.recorded_at))

    def _sharing(self, raised: AlertRaised) -> AlertRaised:
        """The same event, made of what others are made of already."""
        if len(self._shared) > SHARED:
            self._shared.clear()
        return msgspec.structs.replace(
            raised,
            cause=sys.intern(raised.cause),
            statement_id=sys.intern(raised.statement_id),
            matches=self._same(raised.matches),
            channels=self._same(raised.channels),
        )

    def _same(self, value: tuple[T, ...]) -> tuple[T, ...]:
        return self._shared.setdefault(value, value)  # type: ignore[return-value]

    def _add(self, owed: Owed) -> None:
        lane = owed.lane
        waiting = self._lanes.setdefault(lane, {})
        if owed.alert_id in waiting:
            return
        waiting[owed.alert_id] = owed
        self._owed += 1
        self._by_age.append((owed.since, lane, owed.alert_id))
        if owed.urgency == URGENT:
            self._urgent[lane] = self._urgent.get(lane, 0) + 1
        if len(waiting) == 1:
            self._show(lane)

    def _postpone(self, postponed: DeliveryPostponed) -> None:
        lane = (postponed.subscriber, postponed.channel)
        owed = self._lanes.get(lane, {}).get(postponed.alert)
        if owed is None:
            return
        self._lanes[lane][postponed.alert] = msgspec.structs.replace(
            owed, due_at=postponed.due_at, attempts=postponed.attempt, unknowns=owed.unknowns + postponed.unknown
        )
        self._show(lane)

    def _hurry(self, lane: Lane, alert: str, at: datetime, retry: str) -> None:
        owed = self._lanes.get(lane, {}).get(alert)
        if owed is not None:
            self._lanes[lane][alert] = msgspec.structs.replace(owed, due_at=min(owed.due_at, at), retry=retry)
            self._show(lane)

    def _end(self, lane: Lane, alert: str) -> None:
        waiting = self._lanes.get(lane)
        ended = waiting.pop(alert, None) if waiting else None
        if waiting is None or ended is None:
            return
        self._owed -= 1
        if ended.urgency == URGENT:
            self._urgent[lane] -= 1
            if not self._urgent[lane]:
                del self._urgent[lane]
        if waiting:
            self._show(lane)
        else:
            del self._lanes[lane]

    def _show(self, lane: Lane) -> None:
        head = next(iter(self._lanes[lane].values()))
        heapq.heappush(self._heads, (head.due_at, head.position, lane))

    def _is_current(self, entry: Head) -> bool:
        due_at, position, lane = entry
        waiting = self._lanes.get(lane)
        if not waiting:
            return False
        head = next(iter(waiting.values()))
        return head.position == position and head.due_at == due_at


def _owed(recorded: Recorded, raised: Raised, channel: str, *, since: datetime, retry: str = "") -> Owed:
    return Owed(
        alert_id=recorded.id,
        position=recorded.position,
        event=raised,
        channel=sys.intern(channel),
        raised_at=recorded.recorded_at,
        due_at=since,
        since=since,
        retry=retry,
    )


def _position(owed: Owed) -> int:
    return owed.position


def delivery_id(alert: str, channel: str) -> str:
    """The lasting name of one alert's way over one channel: 32 hexadecimal digits, the same on every attempt."""
    return hashlib.blake2b(f"{len(alert)}:{alert}{channel}".encode(), digest_size=16).hexdigest()


def backoff(attempt: int, after: float | None, random: Callable[[], float], ladder: Sequence[float] = LADDER) -> float:
    """
    Seconds to wait after failed attempt number `attempt` (from 1).

    Without `after` the ladder (1, 5, 15, 30 min, 1, 2, 4 h), give or take a fifth. With it, what the other side asked
    for (at least 1 s, at most 1 h) and up to a fifth more, never less. `random` gives numbers in [0, 1).
    """
    step = ladder[min(attempt, len(ladder)) - 1]
    if after is None:
        return step * (1 - JITTER + 2 * JITTER * random())
    asked = min(max(after, SHORTEST), LONGEST)
    if attempt > TRUSTED:
        asked = max(asked, ladder[min(attempt - TRUSTED, len(ladder)) - 1])
    return asked * (1 + JITTER * random())
