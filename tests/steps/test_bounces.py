"""Does a report change what it tells of, once, and does a forged one change nothing?"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.channels.mail.bounce_mailbox import MaildirInbox
from notifier.delivery.channel_state import ChannelStates
from notifier.delivery.suspensions import LEFT_ALONE
from notifier.errors import LogFull
from notifier.events.alerts import AlertRaised, NoticeRaised, WatchlistMatched
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryBounced
from notifier.events.event import Event
from notifier.messages.signed_links import SignedLinks
from notifier.secret import Secret
from notifier.service import Service
from notifier.steps.bounces import MOST, BounceReader
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from tests.builders import NOON, Clock, FailingLog
from tests.builders import events as logged
from tests.channels.returned import TO, complaint, exchange, postfix, qmail, vacation
from tests.homes import events, make_home, rss, world

LINKS = SignedLinks("https://alerts.example.org", "0123456789abcdef")
DAY = 86_400
CHANNELS = (
    Contact("email", "email", Secret(TO)),
    Contact("home", "email", Secret("me@home.example")),
    Contact("team", "slack", Secret("https://hooks.example/x")),
)
DESK = Subscriber(id="desk", name="Desk", timing=Timing(), watchlists=(), channels=CHANNELS)


def maildir(path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (path / name).mkdir(parents=True)
    return path


class Desk:
    """A Maildir on disk, a log, and a subscriber who was sent alerts."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.log = FailingLog(self.clock)
        self.maildir = maildir(folder / "bounces")
        self.subscribers = {"desk": DESK}
        self.came = 0
        self.restarted()

    def restarted(self) -> None:
        """The same, with nothing in memory."""
        self.standing = ChannelStates(self.log)
        inbox = MaildirInbox(self.maildir)
        self.bounces = BounceReader(self.log, inbox, LINKS, self.standing, Book(self.subscribers), self.clock)

    async def sent(self, n: int = 1, channel: str = "email") -> str:
        """The address that the nth alert's mail would come back to, once it was handed over."""
        alert = AlertRaised(
            cause=f"{n:08d}-0000-8000-8000-000000000000",
            subscriber="desk",
            statement_id=f"s{n}",
            matches=(WatchlistMatched(watchlist="Exports", query="x"),),
            channels=("email", "home", "team"),
        )
        over = AlertDelivered(cause=alert.id, alert=alert.id, subscriber="desk", channel=channel, attempt=1)
        await self.log.append([alert, over])
        to = next(way.address.reveal() for way in CHANNELS if way.name == channel)
        return f"bounce+{LINKS.bounce(alert.id, channel, to)}@alerts.example.org"

    async def comes_back(self, *mails: bytes) -> int:
        """Mails arrive, and a round reads them; how many were news."""
        for mail in mails:
            self.came += 1
            (self.maildir / "new" / f"{self.came:06d}").write_bytes(mail)
        return await self.bounces.run()

    async def bounced(self) -> list[tuple[str, str, str]]:
        return [(each.channel, each.action, each.status) for each in await logged(self.log, DeliveryBounced)]

    async def suspended(self) -> list[tuple[str, str]]:
        return [(each.channel, each.why) for each in await logged(self.log, ChannelSuspended)]

    def left(self) -> int:
        return len(list((self.maildir / "new").iterdir()))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---------------------------------------------------------------- what suspends a channel


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.0.0", "5.4.1"])
async def test_a_mailbox_that_is_not_there_gets_no_more(desk: Desk, status: str):
    """The channel is suspended for good, in the same breath as the bounce is recorded, which names the alert."""
    news = await desk.comes_back(postfix(await desk.sent(), status=status, diagnostic=""))

    (bounced,), (suspended,) = await logged(desk.log, DeliveryBounced), await logged(desk.log, ChannelSuspended)
    (alert,) = await logged(desk.log, AlertRaised)
    assert news == 1
    assert (bounced.alert, bounced.cause, bounced.status, bounced.elsewhere) == (alert.id, alert.id, status, False)
    assert (suspended.channel, suspended.why, suspended.until) == ("email", "bounced", None)
    assert (suspended.cause, suspended.reason) == (bounced.id, bounced.reason)
    assert desk.left() == 0


async def test_the_owner_is_told_on_another_channel_that_works(desk: Desk):
    """Once, by mail where there is one, and not on one that nobody confirmed; who complained is told nothing."""
    desk.bounces = BounceReader(
        desk.log,
        MaildirInbox(desk.maildir),
        LINKS,
        desk.standing,
        Book(desk.subscribers, is_confirmed=lambda subscriber, channel: channel == "email"),
        desk.clock,
    )
    to = await desk.sent()

    await desk.comes_back(postfix(to), postfix(to))
    await desk.comes_back(complaint(await desk.sent(2, "home")))

    (notice,) = await logged(desk.log, NoticeRaised)
    assert (notice.channels, notice.about, notice.notice) == (("team",), "email", "suspended")


async def test_the_owner_is_told_on_no_channel_that_has_ended_before(desk: Desk):
    """The mailbox that would come first was suspended a day ago: word goes to the next that works."""
    await desk.comes_back(postfix(await desk.sent(1, "home"), recipient="me@home.example"))
    desk.clock.advance(DAY)

    await desk.comes_back(postfix(await desk.sent(2)))

    assert await desk.suspended() == [("home", "bounced"), ("email", "bounced")]
    assert [(each.about, each.channels) for each in await logged(desk.log, NoticeRaised)] == [
        ("home", ("email",)),
        ("email", ("team",)),
    ]


async def test_the_same_report_twice_is_one(desk: Desk):
    """In one round, in the next, after a restart, and in another mail system's words (F29)."""
    to = await desk.sent()

    first = await desk.comes_back(postfix(to), postfix(to))
    desk.clock.advance(DAY)
    second = await desk.comes_back(postfix(to))
    desk.restarted()
    third = await desk.comes_back(exchange(to, "5.1.1"))

    assert (first, second, third) == (1, 0, 0)
    assert len(await desk.bounced()) == len(await desk.suspended()) == 1
    assert desk.left() == 0


async def test_a_delay_is_only_told(desk: Desk):
    """The mail system goes on trying (F29)."""
    await desk.comes_back(postfix(await desk.sent(), action="delayed", status="4.4.1"))

    assert await desk.bounced() == [("email", "delayed", "4.4.1")]
    assert await desk.suspended() == []


@pytest.mark.parametrize("status", ["5.7.26", "5.7.1", "5.3.4", "5.6.0"])
async def test_what_a_mailbox_cannot_help_suspends_none(desk: Desk, status: str):
    """Our name or our message was refused: the operator's to mend, and it is told."""
    await desk.comes_back(postfix(await desk.sent(), status=status))

    assert await desk.bounced() == [("email", "failed", status)]
    assert await desk.suspended() == []


async def test_a_mailbox_behind_the_address_suspends_none(desk: Desk):
    """One clerk who has left does not end the alerts of a desk; it is told that he has."""
    to = await desk.sent()

    await desk.comes_back(
        postfix(to, recipient="former.clerk@bank.example"), postfix(to, recipient="desk+hk@bank.example")
    )

    assert [each.elsewhere for each in await logged(desk.log, DeliveryBounced)] == [True]
    assert await desk.suspended() == []


@pytest.mark.parametrize("recipient", ["DESK@Bank.Example", "<desk@bank.example>", "desk", ""])
async def test_the_same_mailbox_in_other_letters_is_the_same(desk: Desk, recipient: str):
    """Capitals, brackets, or what a mail system left out."""
    await desk.comes_back(postfix(await desk.sent(), recipient=recipient))

    assert await desk.suspended() == [("email", "bounced")]


async def test_a_complaint_ends_all_mail_to_a_subscriber(desk: Desk):
    """On all his mail channels, whichever it came to, and on no other (F30); twice is once."""
    to = await desk.sent(channel="home")

    await desk.comes_back(complaint(to), complaint(to))

    assert await desk.bounced() == [("home", "complained", "")]
    assert await desk.suspended() == [("email", "complained"), ("home", "complained")]


async def test_a_suspended_channel_is_not_suspended_again(desk: Desk):
    """What its reader said stands; the bounce is recorded."""
    to = await desk.sent()
    await desk.log.append(
        [ChannelSuspended(subscriber="desk", channel="email", at=NOON, why="unsubscribed", reason="he")]
    )

    await desk.comes_back(postfix(to))

    assert await desk.bounced() == [("email", "failed", "5.1.1")]
    assert await desk.suspended() == [("email", "unsubscribed")]


async def test_a_resumed_channel_bounces_anew(desk: Desk):
    """By another alert; the old report is old."""
    first, second = await desk.sent(1), await desk.sent(2)
    await desk.comes_back(postfix(first))
    await desk.log.append([ChannelResumed(subscriber="desk", channel="email", at=NOON, reason="mended")])

    old = await desk.comes_back(postfix(first))
    new = await desk.comes_back(postfix(second))

    assert (old, new) == (0, 1)
    assert await desk.suspended() == [("email", "bounced")] * 2


async def test_a_notice_bounces_as_an_alert_does(desk: Desk):
    """Whoever is asked to confirm and is not there is asked no more."""
    notice = NoticeRaised(subscriber="desk", channels=("email",), notice="confirm", about="email", raised_at=NOON)
    await desk.log.append([notice])

    await desk.comes_back(postfix(f"bounce+{LINKS.bounce(notice.id, 'email', TO)}@alerts.example.org"))

    assert await desk.suspended() == [("email", "bounced")]


# ---------------------------------------------------------------- what changes nothing


async def test_a_forged_report_changes_nothing(desk: Desk, caplog: pytest.LogCaptureFixture):
    """A token of another's, for another channel, alert or address, or none: told in a line, and moved away."""
    caplog.set_level(logging.INFO, logger="notifier")
    await desk.sent()
    (alert,) = await logged(desk.log, AlertRaised)
    forged = [
        SignedLinks("https://alerts.example.org", "another secret of ours").bounce(alert.id, "email", TO),
        LINKS.bounce(alert.id, "home", TO),
        LINKS.bounce(alert.id, "email", "former@bank.example"),
        LINKS.bounce(alert.id, "team", "https://hooks.example/x"),
        LINKS.bounce("0173024a-4c60-8c44-91e7-0a9b8c7d6e5f", "email", TO),
        "a" * 42,
    ]

    news = await desk.comes_back(
        *(postfix(f"bounce+{token}@alerts.example.org") for token in forged),
        *(complaint(f"bounce+{token}@alerts.example.org") for token in forged),
        postfix("bounce@alerts.example.org"),
    )

    assert news == 0
    assert await desk.bounced() == await desk.suspended() == []
    assert "that name no message of ours to a present address, ignored: 13" in caplog.text
    assert desk.left() == 0


async def test_other_mails_change_nothing(desk: Desk, caplog: pytest.LogCaptureFixture):
    """Somebody is away, or a mail system speaks to people only: they are moved away, and no word of theirs is told."""
    caplog.set_level(logging.DEBUG, logger="notifier")
    to = await desk.sent()

    news = await desk.comes_back(vacation(to), qmail(to), b"\x00" * 1000, b"")

    assert news == 0
    assert await desk.bounced() == await desk.suspended() == []
    assert desk.left() == 0
    assert "mails in the bounce mailbox that are not reports: 4" in caplog.text


async def test_a_subscriber_who_left_is_nobody(desk: Desk):
    """Nor is a channel that his file names no longer."""
    to = await desk.sent()
    desk.subscribers["desk"] = msgspec.structs.replace(DESK, channels=CHANNELS[1:])
    renamed = await desk.comes_back(postfix(to))
    del desk.subscribers["desk"]
    gone = await desk.comes_back(postfix(to))

    assert (renamed, gone) == (0, 0)


async def test_no_address_is_in_log_or_line(desk: Desk, caplog: pytest.LogCaptureFixture):
    """Whatever a mail system quotes."""
    caplog.set_level(logging.DEBUG, logger="notifier")
    await desk.comes_back(postfix(await desk.sent()), complaint(await desk.sent(2)))

    said = caplog.text + "".join(str(each) for each in (await desk.log.read()).events)
    assert "desk: channel email is suspended: the mailbox does not exist" in caplog.text
    assert "bank.example" not in said
    assert "home.example" not in said


async def test_what_is_not_recorded_is_read_again(desk: Desk):
    """A full disk: nothing is moved away, and the next round does it."""
    to = await desk.sent()
    desk.log.failures = ["before", "after", ""]
    for _ in range(2):
        with pytest.raises(LogFull):
            await desk.comes_back(*([postfix(to)] if not desk.came else []))
    left = desk.left()
    await desk.comes_back()

    assert (left, desk.left()) == (1, 0)
    assert await desk.suspended() == [("email", "bounced")]


async def test_a_round_has_an_end(desk: Desk):
    """So many mails are read; the rest waits for the next."""
    await desk.comes_back(*[vacation()] * (MOST + 5))
    first = desk.left()
    await desk.comes_back()

    assert (first, desk.left()) == (5, 0)


# ---------------------------------------------------------------- mailboxes that are full


async def full(desk: Desk, *days: float, taken: tuple[int, ...] = ()) -> None:
    """An alert on each of these days bounces as the mailbox is full, but for those that were `taken`."""
    day_before = 0.0
    for number, day in enumerate(days):
        desk.clock.advance((day - day_before) * DAY)
        day_before = day
        to = await desk.sent(number + 1)
        if number not in taken:
            await desk.comes_back(postfix(to, status="5.2.2", diagnostic=""))


@pytest.mark.parametrize("days", [(0, 3, 7), (0, 1, 2, 3, 6.9, 7), (0, 7, 7, 7), (0, 20, 40)])
async def test_a_mailbox_that_stays_full_is_left_alone_for_a_month(desk: Desk, days: tuple[float, ...]):
    """After three messages in a row, over a week or more; then it is tried again."""
    await full(desk, *days)

    (suspended,) = await logged(desk.log, ChannelSuspended)
    assert (suspended.why, suspended.channel) == ("full", "email")
    assert suspended.until == suspended.at + LEFT_ALONE
    assert suspended.reason == "the mailbox is full, for a week and more"


@pytest.mark.parametrize(
    ("days", "taken"),
    [((0,), ()), ((0, 7), ()), ((0, 1, 2, 3), ()), ((0, 3, 6.9), ()), ((0, 1, 3, 7), (2,)), ((0, 1, 2, 3, 7), (3,))],
    ids=["once", "twice", "for three days", "not quite a week", "but for one", "but for the last but one"],
)
async def test_a_mailbox_that_is_full_at_times_is_written_to(
    desk: Desk, days: tuple[float, ...], taken: tuple[int, ...]
):
    """What was taken in between counts; each bounce is recorded."""
    await full(desk, *days, taken=taken)

    assert len(await desk.bounced()) == len(days) - len(taken)
    assert await desk.suspended() == []


async def test_a_full_mailbox_is_remembered_across_restarts(desk: Desk):
    """All that is counted stands in the log."""
    for number, day in enumerate((0, 3, 4)):
        desk.clock.advance(day * DAY)
        desk.restarted()
        await desk.comes_back(postfix(await desk.sent(number), status="4.2.2", diagnostic=""))

    assert await desk.suspended() == [("email", "full")]


async def test_a_resumed_channel_begins_to_count_anew(desk: Desk):
    """What was before it was mended is past."""
    await full(desk, 0, 3)
    await desk.log.append([ChannelResumed(subscriber="desk", channel="email", at=desk.clock(), reason="mended")])
    desk.clock.advance(4 * DAY)
    await desk.comes_back(postfix(await desk.sent(9), status="5.2.2", diagnostic=""))

    assert await desk.suspended() == []


async def test_a_full_mailbox_that_is_gone_is_gone(desk: Desk):
    """A pause gives way to the end."""
    await full(desk, 0, 3, 7)
    await desk.comes_back(postfix(await desk.sent(9)))

    assert await desk.suspended() == [("email", "full"), ("email", "bounced")]
    await desk.standing.catch_up()
    assert desk.standing.suspended("desk", "email", desk.clock() + timedelta(days=365)) is not None


# ---------------------------------------------------------------- within the service


async def test_the_service_reads_what_came_back(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """From a mail that was sent to a channel that is suspended; a mailbox that is not there stops nothing else."""
    caplog.set_level(logging.INFO, logger="notifier")
    async with world() as around:
        home = make_home(tmp_path / "home", around, {"trade": "rss"})
        settings = home / "notifier.toml"
        settings.write_text(
            '[web]\naddress = "https://alerts.example.org"\nsecret = "0123456789abcdef"\n'
            '[bounces]\naddress = "bounce@alerts.example.org"\nmaildir = "returned"\n' + settings.read_text()
        )
        around.publisher.publish("trade", rss())
        async with Service.opened(home) as app:
            await app.run_once()
            around.publisher.publish("trade", rss(("one", "Hong Kong", "dual-use goods")))
            await app.run_once()
            page = await app.log.read(0, [AlertRaised.type])
            token = LINKS.bounce(page.events[0].id, "email", TO)
            mails = maildir(home / "returned") / "new" / "1"
            mails.write_bytes(postfix(f"bounce+{token}@alerts.example.org"))
            await app.run_once()
            recorded: list[Event] = await events(app, DeliveryBounced, ChannelSuspended)

    assert len(around.mailroom.mails) == 1
    assert "bounces could not be read, and are tried again: the Maildir" in caplog.text
    assert [type(each) for each in recorded] == [DeliveryBounced, ChannelSuspended]
