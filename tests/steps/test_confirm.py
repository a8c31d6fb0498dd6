"""Is a reader asked before he gets alerts, seldom, and never again once its reader has answered?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec

from notifier.delivery.channel_state import ChannelStates
from notifier.eventlog.memory import MemoryLog
from notifier.events.alerts import AlertRaised, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelSuspended
from notifier.secret import Secret
from notifier.service import Service
from notifier.steps.confirm import Confirmer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from tests.builders import NOON, Clock
from tests.builders import events as logged
from tests.homes import DESK, events, make_home, rss, world

DAY = 86_400


def subscriber(id: str = "desk", *kinds: str) -> Subscriber:
    channels = tuple(Contact(kind, kind, Secret(f"{id} by {kind}")) for kind in kinds or ("email",))
    return Subscriber(id=id, name=id, timing=Timing(), watchlists=(), channels=channels)


class Desk:
    """A log, a clock, and who is subscribed; `restarted` is the same with nothing in memory."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self.clock = Clock()
        self.log = MemoryLog(self.clock)
        self.subscribers = {who.id: who for who in subscribers or (subscriber(),)}
        self.restarted()

    def restarted(self) -> None:
        self.book = Book(self.subscribers)
        self.standing = ChannelStates(self.log, self.book.contact)
        self.book.is_confirmed = self.standing.is_confirmed
        self.confirmer = Confirmer(self.log, self.standing, self.book, self.clock)

    async def asked(self) -> list[tuple[str, tuple[str, ...], timedelta]]:
        """Who was asked on which channels, and when."""
        notices = await logged(self.log, NoticeRaised)
        assert {each.notice for each in notices} <= {"confirm"}
        assert all(each.channels == (each.about,) for each in notices)
        return [(each.subscriber, each.channels, each.raised_at - NOON) for each in notices]


async def test_a_reader_is_asked_once_in_a_day_and_three_times_in_all():
    """However often the step runs, and across restarts (promise P12)."""
    desk = Desk()

    for _ in range(10):
        await desk.confirmer.run()
        await desk.confirmer.run()
        desk.clock.advance(DAY - 1)
        desk.restarted()
        await desk.confirmer.run()
        desk.clock.advance(1)

    assert await desk.asked() == [("desk", ("email",), timedelta(days=day)) for day in range(3)]


async def test_only_mail_is_asked():
    """Whoever gives us a webhook of his own has it in hand."""
    desk = Desk(subscriber("desk", "slack", "email", "webhook", "console"), subscriber("other", "slack"))

    await desk.confirmer.run()

    assert [(id, channels) for id, channels, _ in await desk.asked()] == [("desk", ("email",))]


async def test_who_has_answered_is_not_asked_again():
    """Neither who confirmed nor who unsubscribed."""
    desk = Desk(subscriber("yes"), subscriber("no"), subscriber("silent"))
    await desk.confirmer.run()
    await desk.log.append(
        [
            ChannelConfirmed(subscriber="yes", channel="email", at=NOON),
            ChannelSuspended(subscriber="no", channel="email", at=NOON, why="unsubscribed", reason="he asked"),
        ]
    )
    desk.clock.advance(DAY)

    asked = await desk.confirmer.run()

    assert asked == 1
    assert (await desk.asked())[-1][0] == "silent"


async def test_another_address_is_confirmed_anew():
    """Its reader is asked from the beginning, also where it was put in place while the service was down."""
    desk = Desk()
    await desk.confirmer.run()
    await desk.log.append([ChannelConfirmed(subscriber="desk", channel="email", at=desk.clock())])
    await desk.confirmer.run()
    before = desk.book.channels("desk")

    way = Contact("email", "email", Secret("somebody else"))
    desk.subscribers["desk"] = msgspec.structs.replace(subscriber(), channels=(way,))
    desk.restarted()
    desk.clock.advance(60)
    await desk.confirmer.run()

    assert (before, desk.book.channels("desk")) == (("email",), ())
    assert [at for _, _, at in await desk.asked()] == [timedelta(0), timedelta(seconds=60)]
    await desk.log.append([ChannelConfirmed(subscriber="desk", channel="email", at=desk.clock())])
    await desk.standing.catch_up()
    assert desk.book.channels("desk") == ("email",)


async def test_many_are_asked_in_parts():
    """More than one append takes, when an operator turns it on for all that he has."""
    desk = Desk(*(subscriber(f"s{n}") for n in range(1_203)))

    asked = await desk.confirmer.run()

    assert asked == len({id for id, _, _ in await desk.asked()}) == 1_203


async def test_only_what_is_confirmed_may_be_owed():
    """Of mail; the other channels as ever."""
    who = subscriber("desk", "email", "slack")
    desk = Desk(who)
    await desk.log.append([ChannelConfirmed(subscriber="other", channel="email", at=NOON)])
    await desk.standing.catch_up()
    before = desk.book.channels(who.id)
    await desk.log.append([ChannelConfirmed(subscriber="desk", channel="email", at=NOON)])
    await desk.standing.catch_up()

    assert before == ("slack",)
    assert desk.book.channels(who.id) == ("email", "slack")


# ---------------------------------------------------------------- within the service

DOOR = '[web]\naddress = "https://alerts.example.org"\nsecret = "0123456789abcdef"\nconfirm = {confirm}\n'


async def owed(tmp_path: Path, confirm: str, *, with_answer: bool) -> tuple[list[str], list[tuple[str, ...]]]:
    """The notices that a home raises, and the channels of its alerts, for one match."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": DESK + '[[channel]]\nconsole = "stdout"\n'})
        path = home / "notifier.toml"
        path.write_text(DOOR.format(confirm=confirm) + path.read_text())
        around.publisher.publish("trade", rss())
        async with Service.opened(home) as app:
            await app.run_once()
            if with_answer:
                await app.log.append([ChannelConfirmed(subscriber="desk", channel="email", at=NOON)])
            around.publisher.publish("trade", rss(("one", "Hong Kong", "dual-use goods")))
            await app.run_once()
            notices = [each.notice for each in await events(app, NoticeRaised)]
            return notices, [each.channels for each in await events(app, AlertRaised)]


async def test_mail_that_is_not_confirmed_is_owed_no_alerts(tmp_path: Path):
    """Where the operator wants it so; his other channels get theirs."""
    assert await owed(tmp_path, "true", with_answer=False) == (["confirm"], [("console",)])


async def test_mail_that_is_confirmed_is_owed_alerts(tmp_path: Path):
    """From the next one on."""
    assert await owed(tmp_path, "true", with_answer=True) == (["confirm"], [("email", "console")])


async def test_nobody_is_asked_unless_the_operator_wants_it(tmp_path: Path):
    """It is off by default, and a channel in a file is consent enough."""
    assert await owed(tmp_path, "false", with_answer=False) == ([], [("email", "console")])
