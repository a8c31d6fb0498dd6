"""
Whatever happens, in whatever order: is each thing owed ended once, in its lane's order, and does no lane stand still?

Hypothesis plays stories on a log in memory: alerts, digests and notices are raised, peers answer anything, channels
are suspended and resumed, files change, the operator wants things again, the log fails before or after it stored, the
process is stopped or killed, and the clock goes on, or back. A plain ledger is kept beside it and disagrees aloud.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.outbox import EXPIRY, Lane, delivery_id
from notifier.errors import LogError, LogFull, Refused, TryLater
from notifier.eventlog import codec
from notifier.eventlog.log import Appended, Commit, Duplicate
from notifier.eventlog.memory import MemoryLog
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised, WatchlistMatched
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed, DeliveryRetried
from notifier.events.event import Event
from notifier.events.statements import StatementPublished
from notifier.message import Message, Receipt
from notifier.messages.render import Renderer
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.deliver import Deliverer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing, quiet_until
from tests.builders import NOON, Clock
from tests.examples import examples

TEMPLATES = Path(__file__).parents[2] / "templates"
MANY = examples(60, 400)
PEOPLE, KINDS = ("early", "late", "sleeper"), ("email", "slack")
LANES = [(who, kind) for who in PEOPLE for kind in KINDS]
NIGHT = Timing(timezone="UTC", quiet_from=time(22), quiet_until=time(7))
DRAINED = timedelta(hours=32)  # after which whatever waited for its time has had it: the longest step is a day

Step = tuple[Any, ...]


# ---------------------------------------------------------------- the ledger


class Due(msgspec.Struct):
    """One thing owed on one lane, as the ledger has it."""

    since: datetime
    due_at: datetime
    urgent: bool = False
    attempts: int = 0
    unknowns: int = 0


class Ledger:
    """What the log says, reckoned in the plainest way; an event that cannot be is a failure of the test."""

    def __init__(self) -> None:
        self.owed: dict[Lane, dict[str, Due]] = {lane: {} for lane in LANES}
        self.raised: dict[tuple[str, str], tuple[Lane, bool]] = {}
        self.suspended: dict[Lane, datetime | None] = {}
        self.ended: list[tuple[Lane, str]] = []
        self.delivered_at: dict[tuple[Lane, str], datetime] = {}

    def hears(self, event: Event, now: datetime) -> None:
        match event:
            case AlertRaised(waits_for="") | DigestRaised() | NoticeRaised():
                urgent = isinstance(event, NoticeRaised) or (isinstance(event, AlertRaised) and event.urgent)
                for channel in event.channels:
                    self.raised[event.id, channel] = (event.subscriber, channel), urgent
                    self.owed[event.subscriber, channel][event.id] = Due(now, now, urgent)
            case AlertDelivered() | DeliveryAbandoned():
                lane = event.subscriber, event.channel
                assert event.alert in self.owed[lane], f"ended, and was not owed: {event}"
                due = self.owed[lane].pop(event.alert)
                if isinstance(event, AlertDelivered):
                    self.delivered_at[lane, event.alert] = now
                elif event.outcome == "expired":
                    assert now >= due.since + EXPIRY, f"expired too early: {event}"
                self.ended.append((lane, event.alert))
            case DeliveryPostponed():
                lane = event.subscriber, event.channel
                assert event.alert in self.owed[lane], f"put off, and was not owed: {event}"
                due = self.owed[lane][event.alert]
                assert event.attempt == due.attempts + (not event.uncounted)
                due.due_at, due.attempts, due.unknowns = event.due_at, event.attempt, due.unknowns + event.unknown
                assert due.unknowns <= 1, "a third copy would be possible"
            case DeliveryRetried():
                self._again(event)
            case ChannelSuspended():
                self.suspended[event.subscriber, event.channel] = event.until
            case ChannelResumed():
                self.suspended.pop((event.subscriber, event.channel), None)
            case _:
                pass

    def _again(self, wish: DeliveryRetried) -> None:
        lane = wish.subscriber, wish.channel
        if due := self.owed[lane].get(wish.alert):
            due.due_at = min(due.due_at, wish.retried_at)
        elif self.delivered_at.get((lane, wish.alert), wish.retried_at - EXPIRY) < wish.retried_at:
            urgent = self.raised[wish.alert, wish.channel][1]
            self.owed[lane][wish.alert] = Due(wish.retried_at, wish.retried_at, urgent)

    def takes_nothing(self, lane: Lane, now: datetime) -> bool:
        until = self.suspended.get(lane, now)
        return until is None or until > now

    def state(self) -> dict[Lane, list[tuple[str, int, int, datetime]]]:
        """What is owed, in order."""
        return {
            lane: [(id, due.attempts, due.unknowns, due.due_at) for id, due in waiting.items()]
            for lane, waiting in self.owed.items()
            if waiting
        }


class StoryLog(MemoryLog):
    """Tells the ledger of what it stored, and fails as it is told: "before" it stored an append, or "after"."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        super().__init__(clock)
        self._now, self._ledger = clock, ledger
        self.failures: list[str] = []

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise LogFull("the disk is full")
        answers = await super().append(events, blobs=blobs, commit=commit)
        for event, answer in zip(events, answers, strict=True):
            assert b"secret" not in codec.encode(event, NOON)
            if isinstance(answer, Appended):
                self._ledger.hears(event, self._now())
        if failure == "after":
            raise LogFull("the disk is full")
        return answers


# ---------------------------------------------------------------- the peers


class StoryPeer:
    """Answers what it is told, checks each message against the ledger, and keeps whom it is told to keep waiting."""

    forms: tuple[str, ...] = ("subject.txt", "body.txt")

    def __init__(self, kind: str, story: Story) -> None:
        self.kind, self._story = kind, story
        self.at_once = 2
        self.answers: list[Exception] = []
        self.open, self.answering = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.answering.set()

    def place(self, address: str) -> str:
        """The early and the late are neighbours."""
        return "sleepy.example" if address.startswith("sleeper") else "town.example"

    async def send(self, message: Message, address: str) -> Receipt:
        who, kind, *_ = address.partition("@")[0].split("-")
        lane = (who, kind)
        self._story.checks(lane, message.id)
        await self.open.wait()
        answer = self.answers.pop(0) if self.answers else None
        await asyncio.sleep(0)
        if answer is None:
            self._story.copies[message.id] += 1
            self._story.taken.add(message.id)
        elif not isinstance(answer, TryLater | Refused) or (isinstance(answer, TryLater) and answer.unknown):
            self._story.copies[message.id] += 1
            self._story.allowed[message.id] += 1
        await self.answering.wait()
        if answer is not None:
            raise answer
        return Receipt("250 queued")


class Story:
    """The world of one story, and its steps."""

    def __init__(self) -> None:
        self.clock, self.ledger = Clock(), Ledger()
        self.log = StoryLog(self.clock, self.ledger)
        self.peers = {kind: StoryPeer(kind, self) for kind in KINDS}
        self.people = {who: _person(who) for who in PEOPLE}
        self.away: dict[str, Subscriber] = {}
        self.renderer = Renderer([TEMPLATES])
        self.copies: Counter[str] = Counter()  # that a peer has, or may have, by message
        self.allowed: Counter[str] = Counter()  # more than one, for a reason
        self.taken: set[str] = set()
        self.trouble: list[str] = []
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self.deliverer = Deliverer(
            self.log, self.peers, self.renderer, Book(self.people), self.clock, random=lambda: 0.5
        )

    def checks(self, lane: Lane, message: str) -> None:
        """Called with each message that is about to be sent; what is wrong is told at the end of the step."""
        now, waiting = self.clock(), self.ledger.owed[lane]
        first = next(iter(waiting), None)
        if first is None or delivery_id(first, lane[1]) != message:
            self.trouble.append(f"{lane}: not the first of its lane, or not owed")
            return
        if self.ledger.takes_nothing(lane, now):
            self.trouble.append(f"{lane}: sent on a suspended channel")
        who = self.people.get(lane[0])
        if who is None or lane[1] not in [way.name for way in who.channels]:
            self.trouble.append(f"{lane}: sent to somebody who is no more")
            return
        over = quiet_until(who.timing, now)
        if over and over < waiting[first].since + EXPIRY and not any(due.urgent for due in waiting.values()):
            self.trouble.append(f"{lane}: sent at night")

    async def plays(self, step: Step) -> None:
        await getattr(self, f"_{step[0]}")(*step[1:])
        assert self.trouble == []
        for message, copies in self.copies.items():
            assert copies <= 1 + self.allowed[message], "a copy too many"

    # What comes into the log from others.

    async def _appends(self, *events: Event) -> None:
        failures, self.log.failures = self.log.failures, []
        await self.log.append(events)
        self.log.failures = failures

    def _said(self) -> StatementPublished:
        self._number += 1
        title = f"Statement {self._number} on Hong Kong"
        said = Statement(
            id=f"us-commerce/{self._number}",
            feed="us-commerce",
            issuer="US Department of Commerce",
            title=title,
            text="",
            fingerprint=fingerprint(title, ""),
            published_at=NOON,
        )
        return StatementPublished(statement=said, seen_at=NOON)

    def _alert(self, cause: StatementPublished, who: str, channels: tuple[str, ...], **more: Any) -> AlertRaised:
        return AlertRaised(
            cause=cause.id,
            subscriber=who,
            statement_id=cause.statement.id,
            matches=(WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong",)),),
            channels=channels,
            **more,
        )

    async def _alerts(self, who: str, channels: tuple[str, ...], urgent: bool) -> None:
        cause = self._said()
        await self._appends(cause, self._alert(cause, who, channels, urgent=urgent))

    async def _digests(self, who: str, channels: tuple[str, ...]) -> None:
        cause = self._said()
        held = self._alert(cause, who, channels, waits_for="daily")
        due_at = NOON + timedelta(days=self._number)
        digest = DigestRaised(
            subscriber=who, channels=channels, frequency="daily", due_at=due_at, until=0, alerts=(held.id,)
        )
        await self._appends(cause, held, digest)

    async def _notifies(self, who: str, channel: str) -> None:
        self._number += 1
        at = NOON + timedelta(seconds=self._number)
        await self._appends(
            NoticeRaised(subscriber=who, channels=(channel,), notice="suspended", about="fax", raised_at=at)
        )

    async def _suspends(self, lane: Lane, hours: int | None) -> None:
        self.clock.advance(1)
        until = self.clock() + timedelta(hours=hours) if hours else None
        why = "full" if hours else "unsubscribed"
        await self._appends(
            ChannelSuspended(subscriber=lane[0], channel=lane[1], why=why, reason="so", at=self.clock(), until=until)
        )

    async def _resumes(self, lane: Lane) -> None:
        self.clock.advance(1)
        await self._appends(ChannelResumed(subscriber=lane[0], channel=lane[1], reason="it is back", at=self.clock()))

    async def _wishes(self, which: int) -> None:
        if not self.ledger.raised:
            return
        self.clock.advance(1)
        (alert, channel), (lane, _) = list(self.ledger.raised.items())[which % len(self.ledger.raised)]
        self.allowed[delivery_id(alert, channel)] += 2
        await self._appends(
            DeliveryRetried(cause=alert, alert=alert, subscriber=lane[0], channel=channel, retried_at=self.clock())
        )

    # What changes around it.

    async def _answers(self, kind: str, answers: list[Callable[[], Exception]]) -> None:
        self.peers[kind].answers += [answer() for answer in answers]

    async def _fails(self, failures: list[str]) -> None:
        self.log.failures += failures

    async def _leaves(self, who: str) -> None:
        if who in self.people:
            self.away[who] = self.people.pop(who)

    async def _comes_back(self, who: str) -> None:
        if who in self.away:
            self.people[who] = self.away.pop(who)

    async def _moves(self, who: str) -> None:
        if who in self.people:
            self._number += 1
            self.people[who] = _person(who, f"-{self._number}")

    async def _keeps(self, kind: str, when: str) -> None:
        getattr(self.peers[kind], when).clear()

    # What the deliverer is asked to do.

    async def _tries(self) -> None:
        try:
            await self.deliverer.start_due()
        except LogError:
            assert self.log.failures is not None

    async def _waits(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self._tries()
        await _turns()

    async def _ends(self) -> None:
        """All that is under way comes to its end."""
        for peer in self.peers.values():
            peer.open.set()
            peer.answering.set()
        for _ in range(4):  # as often as the log may fail in one step
            try:
                await asyncio.wait_for(self.deliverer.run(), 10)
                break
            except LogError:
                continue

    async def _stops(self) -> None:
        """Told to stop, with no patience; what a peer took meanwhile and did not say may come twice."""
        await asyncio.wait_for(self.deliverer.stop(0), 10)
        self._forgives()
        await self._starts()

    async def _dies(self) -> None:
        """kill -9."""
        for task in asyncio.all_tasks():
            if task.get_name() in ("deliver", "record deliveries"):
                task.cancel()
        await _turns()
        self._forgives()
        await self._starts()

    def _forgives(self) -> None:
        """A copy more of what a peer took and the log does not know."""
        for lane, waiting in self.ledger.owed.items():
            for alert in waiting:
                message = delivery_id(alert, lane[1])
                self.allowed[message] = max(self.allowed[message], self.copies[message])

    async def _starts(self) -> None:
        """A process that knows the log alone owes what the ledger says, and nothing else."""
        self._begin()
        await self.deliverer.catch_up()
        found: dict[Lane, list[tuple[str, int, int, datetime]]] = {}
        for owed in sorted(self.deliverer.outbox.due(NOON + timedelta(days=99)), key=lambda owed: owed.since):
            found.setdefault(owed.lane, []).append((owed.alert_id, owed.attempts, owed.unknowns, owed.due_at))
        told = self.ledger.state()
        assert {lane: sorted(each) for lane, each in found.items()} == {lane: sorted(told[lane]) for lane in told}

    async def drains(self) -> None:
        """From now on all goes well: everything owed ends, and long before it expires."""
        for peer in self.peers.values():
            peer.answers.clear()
        self.log.failures.clear()
        await self._ends()
        until = self.clock() + DRAINED
        while self.clock() < until:
            self.clock.advance(1_800)
            await self._ends()
        assert self.trouble == []
        assert self.ledger.state() == {}
        assert self.deliverer.outbox.owed() == 0


async def _turns() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def _person(who: str, more: str = "") -> Subscriber:
    ways = [Contact(kind, kind, Secret(f"{who}-{kind}{more}@secret.example")) for kind in KINDS]
    timing = NIGHT if who == "sleeper" else Timing()
    return Subscriber(id=who, name="Export desk", timing=timing, watchlists=(), channels=(*ways,))


# ---------------------------------------------------------------- stories

ANSWERS: list[Callable[[], Exception]] = [
    lambda: TryLater("busy"),
    lambda: TryLater("in two minutes", after=120),
    lambda: TryLater("lost", unknown=True, outcome="unknown"),
    lambda: TryLater("cut off", outcome="cut-off", scope="place"),
    lambda: TryLater("policy", outcome="policy", after=900, scope="place"),
    lambda: TryLater("slower", outcome="throttled", scope="place", counts=False),
    lambda: TryLater("slower, all of you", outcome="throttled", scope="route", counts=False),
    lambda: TryLater("login", outcome="login-refused", after=900, scope="route"),
    lambda: TryLater("full", outcome="mailbox-full", scope="address"),
    lambda: TryLater("403", outcome="forbidden", after=1_200, scope="address"),
    lambda: Refused("content", outcome="content-refused"),
    lambda: Refused("gone", outcome="no-such-address"),
    lambda: Refused("not now", outcome="mailbox-refused"),
    lambda: Refused("410", outcome="endpoint-gone"),
    lambda: ZeroDivisionError("secret"),
]

people, kinds, lanes = st.sampled_from(PEOPLE), st.sampled_from(KINDS), st.sampled_from(LANES)
channels = st.sampled_from([("email",), ("slack",), ("email", "slack")])
# Long stories of waiting would only expire what is owed, which has tests of its own.
waits = st.sampled_from([0.0, 1.0, 61.0, 301.0, 900.0, 3_600.0, 14_400.0, -1.0, -3_600.0])
alerts = st.tuples(st.just("alerts"), people, channels, st.integers(0, 5).map(lambda n: n == 0))
waiting = st.tuples(st.just("waits"), waits)
mixed = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4)
stubborn = st.sampled_from(ANSWERS).map(lambda answer: [answer] * 4)
answers = st.tuples(st.just("answers"), kinds, mixed | stubborn)
ending = st.just(("ends",))
usual: st.SearchStrategy[Step] = st.one_of(alerts, waiting, answers, ending)
events: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("digests"), people, channels),
    st.tuples(st.just("notifies"), people, kinds),
    st.tuples(st.just("keeps"), kinds, st.sampled_from(["open", "answering"])),
    st.tuples(st.just("suspends"), lanes, st.sampled_from([None, 6])),
    st.tuples(st.just("resumes"), lanes),
    st.tuples(st.just("wishes"), st.integers(0, 20)),
    st.tuples(st.just("fails"), st.lists(st.sampled_from(["before", "after", ""]), min_size=1, max_size=4)),
    st.tuples(st.just("leaves"), people),
    st.tuples(st.just("comes_back"), people),
    st.tuples(st.just("moves"), people),
    st.just(("stops",)),
    st.just(("dies",)),
)
steps = st.integers(0, 9).flatmap(lambda n: usual if n < 7 else events)
hours = st.sampled_from([0, 8, 9])


async def play(hour: int, told: list[Step]) -> Story:
    story = Story()
    story.clock.advance(hour * 3_600)
    for step in told:
        await story.plays(step)
    await story.drains()
    return story


@MANY
@given(hours, st.lists(steps, min_size=20, max_size=60))
def test_everything_owed_ends_once_whatever_happens(hour: int, told: list[Step]) -> None:
    """In its lane's order, on no suspended channel, not at night, with no copy too many; a restart owes the same."""
    # Nobody lingers for more outcomes: what a test waits for is the next turn of the loop, and no time.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("notifier.delivery.recorder.LINGER", 0.0)
        asyncio.run(play(hour, told))
