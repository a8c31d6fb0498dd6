"""Faults that were found by attacking the way out: each is small, and each lost, doubled or stopped something."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import time, timedelta

import msgspec
import pytest

from notifier.delivery.outbox import delivery_id
from notifier.errors import LogFull, Refused, TryLater
from notifier.eventlog.log import Appended, Commit, Duplicate, LogPage
from notifier.events.alerts import AlertRaised, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import DeliveryRetried
from notifier.events.event import Event
from notifier.secret import Secret
from notifier.steps.deliver import Deliverer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from tests.builders import NOON, Clock, FailingLog, events
from tests.steps.test_deliver import BUSY, Desk, Peer, soon, subscriber

GONE = Refused("550 5.1.1 the mailbox does not exist", outcome="no-such-address")


class Gate(FailingLog):
    """
    A log whose readers wait while it is not `open`; `asked` tells that one does, and `refused` that an append was not
    taken. `first` is appended before anything else.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.open, self.asked, self.refused = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open.set()
        self.first: list[Event] = []

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        if not self.open.is_set():
            self.asked.set()
            await self.open.wait()
        return await super().read(after, types, limit)

    async def append(
        self, events: Sequence[Event], *, blobs: Sequence[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        if events and self.first:
            await super().append([self.first.pop()])
        try:
            return await super().append(list(events), blobs=blobs, commit=commit)
        except LogFull:
            self.refused.set()
            raise


# ---------------------------------------------------------------- a log that fails


async def test_what_is_settled_and_not_yet_known_is_not_sent_again() -> None:
    """Who was under way while outcomes are made up for takes no lane whose end is not folded in yet."""
    log = Gate(Clock())
    desk = Desk(log)
    slow = desk.email.held["newsroom-email@secret.example"] = asyncio.Event()
    await desk.owes(1, to="newsroom")
    await desk.owes(2)
    log.failures = ["before"]
    await desk.deliverer.start_due()
    await soon(desk.email.took.wait())
    await soon(log.refused.wait())

    log.open.clear()
    going_on = asyncio.create_task(desk.deliverer.start_due())
    await soon(log.asked.wait())
    slow.set()
    for _ in range(20):
        await asyncio.sleep(0)
    log.open.set()
    await soon(going_on)
    await soon(desk.deliverer.run())
    await soon(desk.deliverer.run())

    assert len(desk.email.tried) == len(await desk.delivered()) == 2


async def test_an_end_that_another_wrote_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The operator resumes a channel while we do for its new address: his words stand, and all goes on."""
    log = Gate(Clock())
    desk = Desk(log)
    desk.subscribers["desk"] = subscriber("desk", "email")
    desk.email.answers = [GONE]
    await desk.owes(1)
    await desk.deliverer.run()
    (suspended,) = await events(log, ChannelSuspended)
    way = Contact("email", "email", Secret("another@secret.example"))
    desk.subscribers["desk"] = msgspec.structs.replace(subscriber("desk"), channels=(way,))
    await desk.owes(2)
    await desk.deliverer.catch_up()
    log.first = [ChannelResumed(cause=suspended.id, subscriber="desk", channel="email", reason="by phone", at=NOON)]

    await desk.later(1)
    await desk.later(1)

    assert [address for address, _ in desk.email.taken] == ["another@secret.example"]
    assert [each.reason for each in await events(log, ChannelResumed)] == ["by phone"]
    assert "an outcome is not recorded" in caplog.text


async def test_thousands_that_expire_in_one_second_are_told_in_batches(caplog: pytest.LogCaptureFixture) -> None:
    """More ends than the log takes at once are stored all the same, and nothing stops."""
    desk = Desk()
    desk.email.place = lambda address: "down.example"
    for n in range(1_200):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}", "email")
    first = await desk.owes()
    await desk.log.append([msgspec.structs.replace(first, subscriber=f"desk-{n}") for n in range(900)])
    await desk.log.append([msgspec.structs.replace(first, subscriber=f"desk-{n}") for n in range(900, 1_200)])

    await desk.later(3 * 86_400)

    assert len(await desk.abandoned()) == 1_201
    assert desk.deliverer.outbox.owed() == 0
    assert "nothing more is sent" not in caplog.text


async def test_what_was_not_recorded_is_tried_once_more_at_the_end() -> None:
    """A stop makes up for outcomes that the log refused: there may be room again, and a second copy is saved."""
    desk = Desk()
    await desk.owes()
    desk.log.failures = ["before"]
    await desk.deliverer.run()

    await soon(desk.deliverer.stop(5))
    desk.restart()
    await desk.deliverer.run()

    assert len(desk.email.tried) == len(await desk.delivered()) == 1


# ---------------------------------------------------------------- turns


async def test_a_lane_that_waits_twice_for_its_turn_sends_once() -> None:
    """Urgent news has its lane wait once more, among the urgent; both turns come together, and one of them is idle."""
    desk = Desk()
    desk.email.at_once = 2
    desk.restart()
    held = desk.email.held["newsroom-email@secret.example"] = asyncio.Event()
    desk.email.held["other-email@secret.example"] = held
    desk.email.held["desk-email@secret.example"] = asyncio.Event()
    desk.subscribers["other"] = subscriber("other", "email")
    await desk.owes(1, to="newsroom")
    await desk.owes(2, to="other")
    first = await desk.owes(3)
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())
    urgent = msgspec.structs.replace(await desk.owes(4, to="newsroom"), subscriber="desk", urgent=True)
    await desk.log.append([urgent])
    await desk.deliverer.start_due()

    held.set()
    for _ in range(100):
        await asyncio.sleep(0)
    desk.email.held.pop("desk-email@secret.example").set()
    await soon(desk.deliverer.run())

    assert [each.alert for each in await desk.delivered() if each.subscriber == "desk"] == [first.id, urgent.id]
    assert len(desk.email.tried) == 5


# ---------------------------------------------------------------- once more, please


async def test_a_wish_that_came_too_late_makes_no_second_copy() -> None:
    """It was handed over between the operator's look and the moment at which his wish was taken in."""
    desk = Desk()
    desk.email.answers = [BUSY]
    alert = await desk.owes()
    await desk.deliverer.run()
    wish = DeliveryRetried(
        cause=alert.id, alert=alert.id, subscriber="desk", channel="email", retried_at=NOON + timedelta(seconds=30)
    )
    await desk.later(60)

    await desk.log.append([wish])
    await desk.later(60)
    desk.restart()
    await desk.later(60)

    assert len(desk.email.taken) == 1


async def test_what_came_back_is_sent_again_where_the_operator_wants_it() -> None:
    """It was handed over before he looked: he knows that, and wants it all the same."""
    desk = Desk()
    alert = await desk.owes()
    await desk.deliverer.run()
    desk.clock.advance(60)

    await desk.log.append(
        [DeliveryRetried(cause=alert.id, alert=alert.id, subscriber="desk", channel="email", retried_at=desk.clock())]
    )
    await desk.later(1)
    desk.restart()
    await desk.later(1)

    assert len(desk.email.taken) == 2


# ---------------------------------------------------------------- quiet hours


def sleeper(*, quiet: bool = True) -> Subscriber:
    """Somebody with one address, whose nights are quiet, or are not."""
    hours = {"quiet_from": time(22), "quiet_until": time(7)} if quiet else {}
    return msgspec.structs.replace(subscriber("desk", "email"), timing=Timing(timezone="UTC", **hours))


async def put_off_in_the_evening(desk: Desk) -> AlertRaised:
    """An alert of 21:50 that is due again at 23:00, and the clock at 23:00."""
    desk.subscribers["desk"] = sleeper()
    desk.clock.advance(9 * 3_600 + 3_000)
    desk.email.answers = [TryLater("in an hour, please", after=3_500)]
    alert = await desk.owes()
    await desk.deliverer.run()
    await desk.later(4_200)
    return alert


async def test_what_was_put_off_in_the_evening_waits_for_the_morning() -> None:
    """A retry is no reason to wake somebody; that it waits is no attempt and no event; a restart changes nothing."""
    desk = Desk()
    await put_off_in_the_evening(desk)
    before = len(desk.email.tried), await desk.log.head()
    desk.restart()
    for _ in range(7):
        await desk.later(3_600)
    at_six = len(desk.email.tried), await desk.log.head()
    await desk.later(3_600)

    assert before == at_six == (1, before[1])
    assert [each.attempt for each in await desk.delivered()] == [2]
    assert len(desk.email.taken) == 1


async def test_what_is_urgent_goes_at_night_and_takes_what_stands_before_it() -> None:
    """A lane keeps its order: nothing overtakes within it."""
    desk = Desk()
    first = await put_off_in_the_evening(desk)
    before = list(desk.email.taken)
    second = await desk.owes(2, to="newsroom")
    urgent = msgspec.structs.replace(second, subscriber="desk", urgent=True)

    await desk.log.append([urgent])
    await desk.later(1)

    assert [each.alert for each in await desk.delivered() if each.subscriber == "desk"] == [first.id, urgent.id]
    assert before == []


async def test_quiet_hours_that_are_taken_back_hold_nothing() -> None:
    """His file says so, and it is heard within minutes."""
    desk = Desk()
    await put_off_in_the_evening(desk)
    before = list(desk.email.taken)
    desk.subscribers["desk"] = sleeper(quiet=False)

    await desk.later(300)

    assert (before, len(desk.email.taken)) == ([], 1)


async def test_quiet_hours_let_nothing_expire() -> None:
    """What would be too old in the morning goes now: they hold, and drop nothing."""
    desk = Desk()
    desk.subscribers["desk"] = sleeper()
    desk.clock.advance(13 * 3_600)  # one at night
    alert = await desk.owes()
    desk.email.answers = [BUSY] * 100
    while desk.clock() < NOON + timedelta(days=3, hours=8):
        await desk.later(1_800)
    desk.email.answers = []

    while desk.clock() < NOON + timedelta(days=3, hours=13):
        await desk.later(1_800)

    assert [each.alert for each in await desk.delivered()] == [alert.id]


# ---------------------------------------------------------------- word of a suspended channel


async def test_a_notice_goes_on_no_channel_that_nobody_confirmed() -> None:
    """Where readers are asked first, an address that did not answer hears nothing of the other channel either."""
    desk = Desk()
    desk.deliverer = Deliverer(
        desk.log,
        {"email": desk.email, "slack": desk.slack},
        desk.renderer,
        Book(desk.subscribers, is_confirmed=lambda subscriber, channel: False),
        desk.clock,
        random=lambda: 0.5,
    )
    desk.slack.answers = [Refused("410: this webhook is no more", outcome="endpoint-gone")]
    await desk.owes(1, "slack")

    await desk.deliverer.run()

    assert len(await events(desk.log, ChannelSuspended)) == 1
    assert await events(desk.log, NoticeRaised) == []
    assert desk.email.tried == []


async def test_a_notice_is_sent_on_no_channel_that_has_ended_itself() -> None:
    """Mail, which would come first, takes nothing any more: word of Slack's end goes to Teams, and none is lost."""
    desk = Desk()
    teams = Peer("teams")
    desk.subscribers["desk"] = subscriber("desk", "email", "slack", "teams")
    desk.deliverer = Deliverer(
        desk.log,
        {"email": desk.email, "slack": desk.slack, "teams": teams},
        desk.renderer,
        Book(desk.subscribers),
        desk.clock,
        random=lambda: 0.5,
    )
    ended = ChannelSuspended(subscriber="desk", channel="email", at=NOON, why="bounced", reason="no such mailbox")
    await desk.log.append([ended])
    desk.slack.answers = [Refused("410: this webhook is no more", outcome="endpoint-gone")]
    await desk.owes(1, "slack")

    await desk.deliverer.run()

    (notice,) = await events(desk.log, NoticeRaised)
    assert (notice.about, notice.channels) == ("slack", ("teams",))
    assert [message.id for message in teams.tried] == [delivery_id(notice.id, "teams")]


async def test_channels_that_end_together_tell_of_each_other_in_no_circle() -> None:
    """Each one's end is told on the other, which has ended: both notices end too, and that is all."""
    desk = Desk()
    desk.email.answers, desk.slack.answers = [GONE], [Refused("410", outcome="endpoint-gone")]
    await desk.owes(1, "email", "slack")

    for _ in range(5):
        await desk.later(3_600)

    assert len(desk.email.tried) == len(desk.slack.tried) == 1
    assert len(await events(desk.log, ChannelSuspended)) == 2
    assert len(await events(desk.log, NoticeRaised)) <= 2
    assert desk.deliverer.outbox.owed() == 0


# ---------------------------------------------------------------- who has not confirmed


async def test_questions_that_waited_together_are_one_message_a_day() -> None:
    """Three days without a mail server are no reason for three messages in one minute (promise P12)."""
    desk = Desk()
    desk.email.answers = [BUSY] * 1_000
    for day in range(3):
        at = desk.clock()
        asks = NoticeRaised(subscriber="desk", channels=("email",), notice="confirm", about="email", raised_at=at)
        await desk.log.append([asks])
        for _ in range(23 if day < 2 else 1):
            await desk.later(3_600)
    desk.email.answers.clear()

    for _ in range(6):
        await desk.later(3_600)
        desk.restart()

    assert len(desk.email.taken) == 1
    assert {each.outcome for each in await desk.abandoned()} == {"withdrawn"}


async def test_who_has_answered_is_not_asked() -> None:
    """His answer to the first question ends the second, which waited behind it."""
    desk = Desk()
    asks = NoticeRaised(subscriber="desk", channels=("email",), notice="confirm", about="email", raised_at=NOON)
    await desk.log.append([asks, ChannelConfirmed(subscriber="desk", channel="email", at=NOON)])

    await desk.deliverer.run()

    assert desk.email.tried == []
    assert [each.outcome for each in await desk.abandoned()] == ["withdrawn"]
