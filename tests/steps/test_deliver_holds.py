"""What one failure means for others: holds, suspensions, urgency, and what the operator wants tried again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec

from notifier.delivery.outbox import delivery_id
from notifier.errors import Refused, TryLater
from notifier.events.alerts import NoticeRaised
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import DeliveryPostponed, DeliveryRetried
from notifier.secret import Secret
from notifier.subscribers.subscriber import OPERATOR, Contact
from notifier.subscribers.timing import Timing
from tests.builders import NOON, ON_ANY_LOG, LogIn, events
from tests.steps.test_deliver import BUSY, REFUSED, Desk, soon, subscriber

GONE = Refused("550 5.1.1 the mailbox does not exist", outcome="no-such-address")
LOGIN = TryLater("the mail server refuses our login", outcome="login-refused", after=900, scope="route")
POLICY = TryLater("550 5.7.26 the domain refuses us", outcome="policy", after=900, scope="place")
THROTTLED = TryLater("454 4.7.0 Throttling", outcome="throttled", scope="route", counts=False)


async def many(n: int, domain: str = "") -> Desk:
    """A desk with an alert owed to each of so many people, at their own domains or at one."""
    desk = Desk()
    if domain:
        desk.email.place = lambda address: domain
    for number in range(n):
        desk.subscribers[f"desk-{number}"] = subscriber(f"desk-{number}", "email")
        await desk.owes(number, to=f"desk-{number}")
    return desk


# ---------------------------------------------------------------- holds


async def test_f11_a_refused_login_is_tried_once_and_costs_nobody_an_attempt() -> None:
    """The whole way out waits; then one message tries the login, and when it is mended all go."""
    desk = await many(100)
    desk.email.answers = [LOGIN] * 100

    await desk.deliverer.run()
    first = len(desk.email.tried)
    await desk.later(800)
    desk.email.answers = [LOGIN]
    await desk.later(400)
    probed = len(desk.email.tried) - first
    await desk.later(1_200)

    assert first <= desk.email.at_once
    assert probed == 1
    assert len(desk.email.taken) == 100
    assert len(await desk.postponed()) == first + 1


async def test_f10_a_domain_that_refuses_us_is_left_alone_and_no_other() -> None:
    """After a few; nobody there is suspended, the others get their mail, and all is well once it takes us again."""
    desk = await many(40, "shut.example")
    desk.email.place = lambda address: "shut.example" if address != "newsroom-email@secret.example" else "well.example"
    desk.email.answers = [POLICY] * 40
    await desk.deliverer.run()
    refused = len(desk.email.tried)
    desk.email.answers = []

    await desk.owes(100, to="newsroom")
    await desk.later(1)
    others = [address for address, _ in desk.email.taken]
    for _ in range(3):
        await desk.later(1_100)

    assert refused <= 5
    assert others == ["newsroom-email@secret.example"]
    assert len(desk.email.taken) == 41
    assert await events(desk.log, ChannelSuspended) == []


async def test_one_closed_mailbox_closes_no_domain() -> None:
    """A policy may be that of one mailbox: its neighbours get their mail, however often it refuses."""
    desk = await many(6, "bank.example")
    desk.email.answers = [POLICY]

    await desk.deliverer.run()
    desk.email.answers = [POLICY]
    await desk.later(1_100)

    assert len(desk.email.taken) == 5
    assert [each.reason for each in await desk.postponed()] == [str(POLICY)] * 2


async def test_f12_a_throttled_way_out_goes_on_slower_and_loses_nothing() -> None:
    """All are delivered in the end, and being asked to be slower is no attempt."""
    desk = await many(60)
    desk.email.answers = [THROTTLED] * 20

    for _ in range(40):
        await desk.later(200)

    assert len(desk.email.taken) == 60
    assert {each.attempt for each in await desk.delivered()} == {1}
    assert {(each.attempt, each.uncounted) for each in await desk.postponed()} == {(0, True)}


async def test_a_held_way_out_expires_what_waits_for_it() -> None:
    """News of three days ago ends as expired, though it was never tried again."""
    desk = await many(30)
    desk.email.answers = [LOGIN] * 1_000

    for _ in range(80):
        await desk.later(3_600)

    assert len(await desk.abandoned()) == 30
    assert {each.outcome for each in await desk.abandoned()} == {"expired"}
    assert desk.deliverer.outbox.owed() == 0


async def test_a_way_out_that_holds_keeps_no_other_waiting() -> None:
    """Slack goes while the mail server refuses our login."""
    desk = Desk()
    desk.email.answers = [LOGIN]
    await desk.owes(1, "email", "slack")

    await desk.deliverer.run()

    assert len(desk.slack.taken) == 1


# ---------------------------------------------------------------- suspended channels


async def test_f08_a_mailbox_that_is_no_more_is_not_even_tried() -> None:
    """The next alert ends as suspended, and the log says since when and why."""
    desk = Desk()
    desk.subscribers["desk"] = subscriber("desk", "email")
    desk.email.answers = [GONE]
    await desk.owes(1)
    await desk.deliverer.run()

    await desk.owes(2)
    await desk.later(1)

    (suspended,) = await events(desk.log, ChannelSuspended)
    assert (suspended.subscriber, suspended.channel, suspended.why, suspended.at) == ("desk", "email", "bounced", NOON)
    assert [(each.attempt, each.outcome) for each in await desk.abandoned()] == [
        (1, "no-such-address"),
        (0, "suspended"),
    ]
    assert "the mailbox does not exist" in (await desk.abandoned())[1].reason
    assert len(desk.email.tried) == 1


async def test_the_operator_is_told_of_a_channel_that_ended() -> None:
    """By mail, once, and of his own mailbox nothing."""
    desk = Desk()
    mail = Contact("email", "email", Secret("ops@secret.example"))
    desk.book.operator = msgspec.structs.replace(subscriber(), id=OPERATOR, channels=(mail,))
    desk.subscribers["desk"] = subscriber("desk", "slack")
    desk.email.forms = ("subject.txt", "body.txt", "body.html")
    desk.slack.answers, desk.email.answers = [GONE], [GONE]
    await desk.owes(1, "slack")

    await desk.deliverer.run()
    await desk.owes(2, "slack")
    await desk.later(1)

    (word,) = await events(desk.log, NoticeRaised)
    (mailed,) = desk.email.tried
    suspended = await events(desk.log, ChannelSuspended)
    assert (word.subscriber, word.about, word.cause) == (OPERATOR, "desk · slack", suspended[0].id)
    assert "the mailbox does not exist" in mailed.text("body.txt")
    assert [each.subscriber for each in suspended] == ["desk", OPERATOR]


async def test_f28_who_unsubscribes_gets_nothing_that_waited() -> None:
    """The event may come from anywhere; what is owed on that channel ends, and on others goes on."""
    desk = Desk()
    desk.email.answers = [BUSY]
    await desk.owes(1, "email", "slack")
    await desk.deliverer.run()
    gone = ChannelSuspended(subscriber="desk", channel="email", why="unsubscribed", reason="by its link", at=NOON)

    await desk.log.append([gone])
    await desk.owes(2, "email", "slack")
    await desk.later(60)

    assert len(desk.email.tried) == 1
    assert [each.outcome for each in await desk.abandoned()] == ["suspended"] * 2
    assert len(desk.slack.taken) == 2
    assert await events(desk.log, NoticeRaised) == []


@ON_ANY_LOG
async def test_another_address_in_the_file_resumes_the_channel(log_in: LogIn, tmp_path: Path) -> None:
    """Also where it was changed while the service was down; the same address does not."""
    async with log_in(tmp_path) as log:
        desk = Desk(log)
        desk.subscribers["desk"] = subscriber("desk", "email")
        desk.email.answers = [GONE]
        await desk.owes(1)
        await desk.deliverer.run()
        desk.restart()
        await desk.owes(2)
        await desk.later(1)

        desk.restart()
        way = Contact("email", "email", Secret("another@secret.example"))
        desk.subscribers["desk"] = msgspec.structs.replace(subscriber("desk"), channels=(way,))
        third = await desk.owes(3)
        await desk.later(1)

        assert [each.outcome for each in await desk.abandoned()] == ["no-such-address", "suspended"]
        assert desk.email.taken == [("another@secret.example", delivery_id(third.id, "email"))]
        assert [each.reason for each in await events(log, ChannelResumed)] == ["it has another address"]


async def test_a_resumed_channel_takes_the_next_alert() -> None:
    """The operator says so."""
    desk = Desk()
    desk.subscribers["desk"] = subscriber("desk", "email")
    desk.email.answers = [GONE]
    await desk.owes(1)
    await desk.deliverer.run()

    await desk.log.append([ChannelResumed(subscriber="desk", channel="email", reason="it is back", at=NOON)])
    await desk.owes(2)
    await desk.later(1)

    assert len(desk.email.taken) == 1


async def test_a_webhook_that_goes_on_forbidding_has_ended() -> None:
    """After three more questions over an hour."""
    desk = Desk()
    desk.subscribers["desk"] = subscriber("desk", "slack")
    desk.slack.answers = [TryLater("403", outcome="forbidden", after=1_200)] * 9
    await desk.owes(1, "slack")

    for _ in range(9):
        await desk.later(1_440)

    assert len(desk.slack.tried) == 4
    assert [each.why for each in await events(desk.log, ChannelSuspended)] == ["ended"]


# ---------------------------------------------------------------- urgency, and once more


async def test_what_is_urgent_overtakes_what_waits() -> None:
    """Of fifty that wait for a place, the urgent one raised last goes among the first."""
    desk = await many(50)
    desk.email.at_once = 1
    desk.restart()
    held = desk.email.held["desk-0-email@secret.example"] = asyncio.Event()
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())
    alert = await desk.owes(99, to="newsroom")
    urgent = msgspec.structs.replace(alert, subscriber="desk", urgent=True)
    await desk.log.append([urgent])

    await desk.deliverer.start_due()
    held.set()
    await soon(desk.deliverer.run())

    assert [address for address, _ in desk.email.taken][1] == "desk-email@secret.example"
    assert len(desk.email.taken) == 52


async def test_what_was_given_up_is_tried_again_where_the_operator_wants_it() -> None:
    """Under its old name and words; both rounds of attempts stand in the log, and a restart changes nothing."""
    desk = Desk()
    desk.email.answers = [REFUSED]
    alert = await desk.owes()
    await desk.deliverer.run()
    wish = DeliveryRetried(
        cause=alert.id, alert=alert.id, subscriber="desk", channel="email", retried_at=NOON + timedelta(days=9)
    )
    await desk.later(9 * 86_400)
    desk.email.answers = [BUSY, REFUSED]

    await desk.log.append([wish])
    await desk.later(1)
    desk.restart()
    await desk.later(60)
    again = msgspec.structs.replace(wish, retried_at=desk.clock())
    await desk.log.append([again])
    await desk.later(60)

    assert [each.id for each in desk.email.tried] == [delivery_id(alert.id, "email")] * 4
    assert desk.email.tried[0] == desk.email.tried[3]
    assert [(each.attempt, each.retry) for each in await desk.abandoned()] == [(1, ""), (2, wish.id)]
    assert [(each.attempt, each.retry) for each in await desk.delivered()] == [(1, again.id)]
    assert [each.retry for each in await events(desk.log, DeliveryPostponed)] == [wish.id]


# ---------------------------------------------------------------- words that are shared


async def test_who_are_told_the_same_share_its_words() -> None:
    """One rendering for all, and in each message its own reader's name."""
    desk = Desk()
    alert = await desk.owes(1)
    name = "Newsroom <b>&</b> {+friends+}"
    desk.subscribers["newsroom"] = msgspec.structs.replace(subscriber("newsroom"), name=name)
    await desk.log.append([msgspec.structs.replace(alert, subscriber="newsroom")])
    desk.email.forms = ("subject.txt", "body.txt", "body.html")

    await desk.deliverer.run()

    first, second = desk.email.tried
    assert first.parts is second.parts
    assert "For Export desk · event" in first.text("body.txt")
    assert "For Newsroom <b>&</b> { +friends+ } · event" in second.text("body.txt")
    assert "For Newsroom &lt;b&gt;&amp;&lt;/b&gt;" in second.text("body.html")
    assert "mark" not in first.text("body.html").replace("<mark", "").replace("</mark", "")


async def test_readers_in_other_zones_have_their_own_times() -> None:
    """They share no words."""
    desk = Desk()
    alert = await desk.owes(1)
    desk.subscribers["newsroom"] = msgspec.structs.replace(
        subscriber("newsroom"), timing=Timing(timezone="Europe/London")
    )
    await desk.log.append([msgspec.structs.replace(alert, subscriber="newsroom")])

    await desk.deliverer.run()

    first, second = desk.email.tried
    assert "Hong Kong)" in first.text("body.txt")
    assert "London)" in second.text("body.txt")


async def test_a_template_that_asks_who_reads_is_filled_for_each(tmp_path: Path) -> None:
    """Whatever an operator's template makes of a name, it makes of the right one."""
    folder = tmp_path / "alert"
    folder.mkdir()
    (folder / "body.txt").write_text("{{ subscriber | upper }}{% if subscriber == 'Newsroom' %} first{% endif %}")
    desk = Desk(templates=tmp_path)
    alert = await desk.owes(1)
    desk.subscribers["newsroom"] = msgspec.structs.replace(subscriber("newsroom"), name="Newsroom")
    await desk.log.append([msgspec.structs.replace(alert, subscriber="newsroom")])

    await desk.deliverer.run()

    assert [each.text("body.txt") for each in desk.email.tried] == ["EXPORT DESK\n", "NEWSROOM first\n"]
