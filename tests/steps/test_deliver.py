"""Is everything that is owed handed over once, in order, and every end told to the log?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from notifier.delivery.outbox import delivery_id
from notifier.errors import LogFull, Refused, TryLater
from notifier.eventlog import codec
from notifier.eventlog.log import EventLog, LogPage
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.message import Message, Receipt
from notifier.messages.render import Renderer
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.deliver import UNRECORDED, Deliverer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from tests.builders import NOON, ON_ANY_LOG, Clock, FailingLog, LogIn, events

TEMPLATES = Path(__file__).parents[2] / "templates"
AT_ONCE = 16  # messages that a peer's kind of channel wants under way together
BUSY = TryLater("the mail server is busy")
REFUSED = Refused("the message itself was refused", outcome="content-refused")
NO_MAILBOX = Refused("the mailbox does not exist", outcome="no-such-address")
LOST = TryLater("the connection was lost after the message", unknown=True)

T = TypeVar("T")


class Peer:
    """
    One kind of way out, and all who can be reached on it. Each send takes the next of `answers`: an error to raise, or
    nothing. An address in `held` answers only when its event is set; `reached` tells that somebody was asked, `took`
    that a message was taken over.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.forms: tuple[str, ...] = ("subject.txt", "body.txt")
        self.at_once = AT_ONCE
        self.answers: list[Exception] = []
        self.held: dict[str, asyncio.Event] = {}
        self.reached, self.took = asyncio.Event(), asyncio.Event()
        self.tried: list[Message] = []
        self.taken: list[tuple[str, str]] = []

    def place(self, address: str) -> str:
        """Each is on a machine of his own."""
        return address

    async def send(self, message: Message, address: str) -> Receipt:
        self.tried.append(message)
        self.reached.set()
        if address in self.held:
            await self.held[address].wait()
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append((address, message.id))
        self.took.set()
        return Receipt("250 queued")


def subscriber(id: str = "desk", *kinds: str) -> Subscriber:
    """Somebody with an address on each kind of channel, which is named after its kind."""
    ways = [Contact(kind, kind, Secret(f"{id}-{kind}@secret.example")) for kind in kinds or ("email", "slack")]
    return Subscriber(
        id=id, name="Export desk", timing=Timing(timezone="Asia/Hong_Kong"), watchlists=(), channels=(*ways,)
    )


class Desk:
    """A deliverer on a log, the peers that it sends to, and the clock of all."""

    def __init__(self, log: EventLog | None = None, templates: Path = TEMPLATES) -> None:
        self.clock = Clock()
        self.log = log or FailingLog(self.clock)
        self.email, self.slack = Peer("email"), Peer("slack")
        self.subscribers = {who.id: who for who in (subscriber(), subscriber("newsroom"))}
        self.book = Book(self.subscribers)
        self.renderer = Renderer([templates, TEMPLATES])
        self.restart()

    def restart(self) -> None:
        """All is forgotten but the log and the files."""
        channels = {"email": self.email, "slack": self.slack}
        self.deliverer = Deliverer(self.log, channels, self.renderer, self.book, self.clock, random=lambda: 0.5)

    async def owes(
        self, n: int = 1, *channels: str, to: str = "desk", text: str = "", query: str = '"Hong Kong"'
    ) -> AlertRaised:
        """The log comes to hold the nth statement, and an alert on it."""
        title = f"Statement {n} on Hong Kong"
        said = Statement(
            id=f"us-commerce/{n}",
            feed="us-commerce",
            issuer="US Department of Commerce",
            title=title,
            text=text,
            fingerprint=fingerprint(title, text),
            published_at=NOON,
        )
        said, blob = said.detached(1_000)
        cause = StatementPublished(statement=said, seen_at=NOON)
        alert = AlertRaised(
            cause=cause.id,
            subscriber=to,
            statement_id=said.id,
            matches=(WatchlistMatched(watchlist="Exports", query=query, words=("Hong Kong",)),),
            channels=channels or ("email",),
        )
        await self.log.append([cause, alert], blobs=[blob] if blob else [])
        return alert

    async def later(self, seconds: float) -> int:
        """So many seconds on, all that is due is tried."""
        self.clock.advance(seconds)
        return await self.deliverer.run()

    async def postponed(self) -> list[DeliveryPostponed]:
        return await events(self.log, DeliveryPostponed)

    async def abandoned(self) -> list[DeliveryAbandoned]:
        return await events(self.log, DeliveryAbandoned)

    async def delivered(self) -> list[AlertDelivered]:
        return await events(self.log, AlertDelivered)


async def soon(what: Awaitable[T]) -> T:
    """What happens at once, or never."""
    return await asyncio.wait_for(what, 5)


# ---------------------------------------------------------------- how a delivery ends


async def test_what_is_owed_is_handed_over() -> None:
    """The message goes to the address of the channel, and the log hears of it with the peer's reply."""
    desk = Desk()
    alert = await desk.owes()

    made = await desk.deliverer.run()

    assert desk.email.taken == [("desk-email@secret.example", delivery_id(alert.id, "email"))]
    assert await desk.delivered() == [
        AlertDelivered(
            cause=alert.id, alert=alert.id, subscriber="desk", channel="email", attempt=1, reply="250 queued"
        )
    ]
    assert (made, desk.deliverer.outbox.owed()) == (1, 0)


async def test_each_channel_has_its_own_message() -> None:
    """One alert on two channels is two messages of different names, and two outcomes."""
    desk = Desk()
    await desk.owes(1, "email", "slack")
    desk.email.answers = [BUSY]

    await desk.deliverer.run()

    assert [each.channel for each in await desk.delivered()] == ["slack"]
    assert [each.channel for each in await desk.postponed()] == ["email"]
    assert desk.email.tried[0].id != desk.slack.tried[0].id


async def test_nothing_is_sent_twice() -> None:
    """What was handed over is not owed any more, neither at once nor after a restart."""
    desk = Desk()
    await desk.owes()

    await desk.deliverer.run()
    await desk.later(100_000)
    desk.restart()
    await desk.later(100_000)

    assert len(desk.email.tried) == 1


async def test_a_failed_attempt_is_made_again_by_the_ladder() -> None:
    """After 1, 5, 15 and 30 minutes, counted in the log, with what the peer said."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [BUSY] * 4

    made = [await desk.later(seconds) for seconds in (0, 60, 300, 900, 1_799, 1)]

    assert made == [1, 1, 1, 1, 0, 1]
    assert [(each.attempt, each.reason) for each in await desk.postponed()] == [
        (n, "the mail server is busy") for n in (1, 2, 3, 4)
    ]
    assert [each.attempt for each in await desk.delivered()] == [5]


async def test_a_peer_is_asked_again_when_it_says() -> None:
    """Not before the time it asked for, and a little later, so that not all come back at once."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [TryLater("in 120 seconds, please", after=120)]

    await desk.deliverer.run()

    (postponed,) = await desk.postponed()
    assert postponed.due_at == NOON + timedelta(seconds=132)


async def test_a_refusal_is_final() -> None:
    """It is given up with the peer's reason, and never tried again."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [REFUSED]

    await desk.deliverer.run()
    await desk.later(100_000)

    assert [(each.attempt, each.reason) for each in await desk.abandoned()] == [(1, "the message itself was refused")]
    assert len(desk.email.tried) == 1


async def test_news_expires_after_three_days() -> None:
    """What could not be handed over by then is given up unsent, and its last wait ends there."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [BUSY] * 100
    await desk.later(1_800)
    while not await desk.abandoned():
        await desk.later(3_600)

    (abandoned,) = await desk.abandoned()
    assert abandoned.reason.startswith("expired")
    assert desk.clock() == NOON + timedelta(hours=72.5)
    assert (await desk.postponed())[-1].due_at == NOON + timedelta(hours=72)
    assert abandoned.attempt == len(desk.email.tried)


@pytest.mark.parametrize("gone", ["subscriber", "channel"])
async def test_who_unsubscribed_gets_nothing_more(gone: str) -> None:
    """What he was still owed is withdrawn, with that reason; nothing is sent."""
    desk = Desk()
    await desk.owes()
    if gone == "subscriber":
        del desk.subscribers["desk"]
    else:
        desk.subscribers["desk"] = subscriber("desk", "slack")

    await desk.deliverer.run()

    assert [(each.attempt, each.reason.partition(":")[0]) for each in await desk.abandoned()] == [(0, "withdrawn")]
    assert desk.email.tried == []


# ---------------------------------------------------------------- order, and who waits for whom


async def test_a_lane_keeps_the_order_of_the_log() -> None:
    """One subscriber's alerts on one channel go one after another."""
    desk = Desk()
    alerts = [await desk.owes(n) for n in range(1, 6)]

    await desk.deliverer.run()

    assert [id for _, id in desk.email.taken] == [delivery_id(alert.id, "email") for alert in alerts]


async def test_a_postponed_alert_holds_back_its_lane_alone() -> None:
    """Later ones of the same lane wait for it; other channels and subscribers do not."""
    desk = Desk()
    desk.email.answers = [BUSY]
    first, second = await desk.owes(1, "email", "slack"), await desk.owes(2, "email", "slack")
    await desk.owes(3, to="newsroom")

    await desk.deliverer.run()

    assert [address for address, _ in desk.email.taken] == ["newsroom-email@secret.example"]
    assert len(desk.slack.taken) == 2
    await desk.later(60)
    assert [id for _, id in desk.email.taken[1:]] == [delivery_id(each.id, "email") for each in (first, second)]


async def test_a_refused_alert_lets_the_next_go_at_once() -> None:
    """The lane goes on in the same run."""
    desk = Desk()
    desk.email.answers = [REFUSED]
    await desk.owes(1)
    second = await desk.owes(2)

    assert await desk.deliverer.run() == 2
    assert [id for _, id in desk.email.taken] == [delivery_id(second.id, "email")]


async def test_a_slow_peer_holds_up_no_other() -> None:
    """While one subscriber's server says nothing, another gets his alert, also one raised meanwhile."""
    desk = Desk()
    held = desk.email.held["desk-email@secret.example"] = asyncio.Event()
    await desk.owes(1)
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())

    await desk.owes(2, to="newsroom")
    await desk.deliverer.start_due()
    await soon(desk.email.took.wait())

    assert [address for address, _ in desk.email.taken] == ["newsroom-email@secret.example"]
    held.set()
    await soon(desk.deliverer.run())
    assert len(desk.email.taken) == 2


async def test_a_dead_kind_of_channel_holds_up_no_other() -> None:
    """With every place taken by a mail server that says nothing, Slack goes on."""
    desk = Desk()
    held = asyncio.Event()
    for n in range(AT_ONCE + 4):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
        desk.email.held[f"desk-{n}-email@secret.example"] = held
        await desk.owes(n, to=f"desk-{n}")
    await desk.owes(100, "slack")

    await desk.deliverer.start_due()
    await soon(desk.slack.took.wait())

    assert len(desk.email.tried) == AT_ONCE
    held.set()
    await soon(desk.deliverer.run())
    assert len(desk.email.taken) == AT_ONCE + 4


async def test_asking_twice_at_once_sends_once() -> None:
    """Neither two beginnings together, nor one while the message is under way, make a second copy."""
    desk = Desk()
    held = desk.email.held["desk-email@secret.example"] = asyncio.Event()
    await desk.owes()

    await asyncio.gather(desk.deliverer.start_due(), desk.deliverer.start_due())
    await soon(desk.email.reached.wait())
    await desk.deliverer.start_due()
    held.set()
    await soon(desk.deliverer.run())

    assert len(desk.email.tried) == 1


async def test_asking_while_a_lane_goes_on_begins_it_no_second_time() -> None:
    """Between one alert of a lane and the next, the lane is under way."""
    desk = Desk()
    first, second = asyncio.Event(), asyncio.Event()
    desk.email.held["desk-email@secret.example"] = first
    for n in (1, 2):
        await desk.owes(n)
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())
    desk.email.reached.clear()
    desk.email.held["desk-email@secret.example"] = second
    first.set()
    await soon(desk.email.reached.wait())

    await desk.deliverer.start_due()
    second.set()
    await soon(desk.deliverer.run())

    assert len(desk.email.tried) == 2


# ---------------------------------------------------------------- the same message


async def test_every_attempt_carries_the_same_message() -> None:
    """Id, time and words follow from the log: hours and a restart later a second copy can be told to be one."""
    desk = Desk()
    await desk.owes(text="The special status of Hong Kong ends. " * 100)
    desk.email.answers = [BUSY, LOST]

    for seconds in (0, 3_600, 36_000):
        await desk.later(seconds)
        desk.restart()

    first, second, third = desk.email.tried
    assert first == second == third
    assert first.written_at == NOON


async def test_a_message_says_what_was_said_and_why() -> None:
    """Also where the words travelled as a blob: the passage with the hit is quoted."""
    desk = Desk()
    await desk.owes(text="Nothing here. " * 400 + "Licences for Hong Kong exports end.")

    await desk.deliverer.run()

    (message,) = desk.email.tried
    assert "Statement 1 on Hong Kong" in message.text("subject.txt")
    assert "Licences for" in message.text("body.txt")
    assert "Exports" in message.text("body.txt")


async def test_a_query_that_cannot_be_read_any_more_is_told_all_the_same() -> None:
    """The language of queries may change between alert and delivery; what is owed stays owed."""
    desk = Desk()
    await desk.owes(query='"Hong Kong')

    await desk.deliverer.run()

    assert len(desk.email.taken) == 1


# ---------------------------------------------------------------- what may have arrived


async def test_an_unknown_end_allows_one_second_copy() -> None:
    """Not before a quarter of an hour, and under the same name, so that whoever gets both can tell."""
    desk = Desk()
    alert = await desk.owes()
    desk.email.answers = [TryLater("the connection was lost", after=5, unknown=True)]

    made = [await desk.later(seconds) for seconds in (0, 899, 200)]

    (postponed,) = await desk.postponed()
    assert (made, postponed.unknown) == ([1, 0, 1], True)
    assert [message.id for message in desk.email.tried] == [delivery_id(alert.id, "email")] * 2


async def test_a_second_unknown_end_is_the_last() -> None:
    """There is no third copy; a failure that is certain does not count for one."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [LOST, BUSY, LOST]

    for _ in range(6):
        await desk.later(3_600)

    (abandoned,) = await desk.abandoned()
    assert abandoned.reason.startswith("unknown twice")
    assert len(desk.email.tried) == abandoned.attempt == 3


# ---------------------------------------------------------------- faults of our own


async def test_the_builtin_template_stands_in_for_a_broken_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The alerts go in its words, the operator is told file and mend once, and his own is used again when mended."""
    template = tmp_path / "alert" / "subject.txt"
    template.parent.mkdir()
    template.write_text("{{ titel }}")
    desk = Desk(templates=tmp_path)
    for n in (1, 2):
        await desk.owes(n)

    await desk.deliverer.run()

    assert [each.text("subject.txt") for each in desk.email.tried] == [
        f"[Exports] Statement {n} on Hong Kong (US Department of Commerce)" for n in (1, 2)
    ]
    assert [str(template) in record.message for record in caplog.records] == [True]
    template.write_text("Mine: {{ title }}")
    await desk.owes(3)
    await desk.later(1)
    assert desk.email.tried[-1].text("subject.txt") == "Mine: Statement 3 on Hong Kong"


async def test_a_broken_builtin_template_is_loud_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The alert waits, the file is told, and once it is mended the alert goes."""
    template = tmp_path / "alert" / "subject.txt"
    template.parent.mkdir()
    template.write_text("{{ titel }}")
    (template.parent / "body.txt").write_text("{{ title }}")
    desk = Desk()
    desk.renderer = Renderer([tmp_path])
    desk.restart()
    await desk.owes()

    await desk.deliverer.run()

    (postponed,) = await desk.postponed()
    assert "subject.txt" in postponed.reason
    assert postponed.reason in caplog.text
    assert (desk.email.tried, postponed.unknown) == ([], False)
    template.write_text("{{ title }}")
    await desk.later(1_100)
    assert len(desk.email.taken) == 1


async def test_a_bug_in_a_channel_is_loud_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The log says that it is ours, where it happened is told, and others are not held up; no address is told."""
    desk = Desk()
    await desk.owes(1)
    await desk.owes(2, to="newsroom")
    desk.email.answers = [ZeroDivisionError("while sending to desk-email@secret.example")]

    await desk.deliverer.run()

    (postponed,) = await desk.postponed()
    assert "ZeroDivisionError" in postponed.reason
    assert "ZeroDivisionError" in caplog.text
    assert "in send" in caplog.text
    assert "secret" not in caplog.text + postponed.reason
    assert postponed.unknown
    assert [each.subscriber for each in await desk.delivered()] == ["newsroom"]
    await desk.later(1_100)
    assert [each.subscriber for each in await desk.delivered()] == ["newsroom", "desk"]


async def test_a_kind_of_channel_that_is_not_set_up_withdraws_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody asked for an end of his alerts when the operator took a server away."""
    desk = Desk()
    desk.subscribers["desk"] = subscriber("desk", "pager")
    await desk.owes(1, "pager")

    await desk.deliverer.run()

    assert len(await desk.postponed()) == 1
    assert "KeyError" in caplog.text


async def test_an_alert_without_its_cause_is_loud_and_waits(caplog: pytest.LogCaptureFixture) -> None:
    """A log that does not hold what it names is a fault of ours, told, and no reason to send nonsense."""
    desk = Desk()
    await desk.log.append(
        [AlertRaised(cause="0" * 8, subscriber="desk", statement_id="s", matches=(), channels=("email",))]
    )

    await desk.deliverer.run()

    assert [each.unknown for each in await desk.postponed()] == [False]
    assert "LookupError" in caplog.text


# ---------------------------------------------------------------- a log that fails


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("answer", [None, BUSY, REFUSED], ids=["sent", "busy", "refused"])
async def test_an_outcome_that_the_log_did_not_take_is_kept(
    failure: str, answer: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stored when there is room again, and the message is not sent a second time."""
    desk = Desk()
    await desk.owes()
    desk.email.answers = [answer] if answer else []
    desk.log.failures = [failure]

    await desk.deliverer.run()
    await desk.deliverer.run()

    assert len(desk.email.tried) == 1
    assert len(await desk.delivered() + await desk.postponed() + await desk.abandoned()) == 1
    assert "sending is paused until the log accepts delivery outcomes" in caplog.text


async def test_nothing_is_sent_while_the_log_takes_nothing() -> None:
    """Each outcome that cannot be stored would be a second copy after a crash."""
    desk = Desk()
    await desk.owes(1)
    await desk.owes(2)
    await desk.deliverer.catch_up()
    desk.log.failures = ["before"] * 3

    await desk.deliverer.run()
    for _ in range(2):
        with pytest.raises(LogFull):
            await desk.deliverer.start_due()

    assert len(desk.email.tried) == 1
    await desk.deliverer.run()
    assert len(desk.email.tried) == len(await desk.delivered()) == 2


async def test_who_waits_for_a_place_does_not_send_while_the_log_takes_nothing() -> None:
    """A failing log stops also those who were about to send, but for the few that were begun before it failed."""
    desk = Desk()
    held, many = asyncio.Event(), UNRECORDED * 2
    for n in range(many):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
        desk.email.held[f"desk-{n}-email@secret.example"] = held
        await desk.owes(n, to=f"desk-{n}")
    running = asyncio.create_task(desk.deliverer.run())
    await soon(desk.email.reached.wait())
    desk.log.failures = ["before"] * many

    held.set()
    await soon(running)

    assert (begun := len(desk.email.tried)) <= UNRECORDED + AT_ONCE
    with pytest.raises(LogFull):
        await desk.deliverer.run()
    assert len(desk.email.tried) == begun
    desk.log.failures = []
    await soon(desk.deliverer.run())
    assert len(desk.email.tried) == len(await desk.delivered()) == many


@ON_ANY_LOG
async def test_asking_again_while_outcomes_are_stored_disturbs_nothing(log_in: LogIn, tmp_path: Path) -> None:
    """The clock and the growing log ask all the time; each alert goes once, and each outcome is there once."""
    async with log_in(tmp_path) as log:
        desk = Desk(log)
        for n in range(40):
            desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
            await desk.owes(n, "email", "slack", to=f"desk-{n}")

        await soon(asyncio.gather(desk.deliverer.run(), *(desk.deliverer.start_due() for _ in range(20))))
        await soon(desk.deliverer.run())

        assert len(desk.email.tried) == len(desk.slack.tried) == 40
        assert len(await desk.delivered()) == 80


# ---------------------------------------------------------------- addresses that end, or ask for peace


class PacedPeer(Peer):
    """A way out whose addresses have turns: each takes the next of `turns`, seconds to wait."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.turns: list[float] = []
        self.waiting = asyncio.Event()

    def turn(self, address: str) -> float:
        self.waiting.set()
        return self.turns.pop(0) if self.turns else 0.0


GONE = Refused("hooks.example answered 410: this webhook is no more", outcome="endpoint-gone")


async def test_f37_an_address_that_has_ended_is_asked_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """What is owed there ends with the reason, operator and owner are told once, and other ways go on."""
    desk = Desk()
    for n in range(3):
        await desk.owes(n, "email", "slack")
    desk.slack.answers = [GONE]

    await desk.deliverer.run()
    await desk.owes(3, "slack")
    await desk.deliverer.run()

    assert len(desk.slack.tried) == 1
    assert len(desk.email.taken) == 4
    assert "this webhook is no more" in desk.email.tried[-1].text("body.txt")
    assert [each.attempt for each in await desk.abandoned()] == [1, 0, 0, 0]
    assert all("this webhook is no more" in each.reason for each in await desk.abandoned())
    assert caplog.text.count("channel slack is suspended") == 1
    assert "secret.example" not in caplog.text


async def test_a_new_address_is_another_channel() -> None:
    """A webhook that was replaced in the subscriber's file takes alerts again."""
    desk = Desk()
    await desk.owes(1, "slack")
    desk.slack.answers = [GONE]
    await desk.deliverer.run()
    way = Contact("slack", "slack", Secret("another@secret.example"))
    desk.subscribers["desk"] = msgspec.structs.replace(subscriber(), channels=(way,))

    second = await desk.owes(2, "slack")
    await desk.deliverer.run()

    assert desk.slack.taken == [("another@secret.example", delivery_id(second.id, "slack"))]


async def test_who_waits_for_his_turn_takes_nobodys_place() -> None:
    """However many wait for the pace of their addresses, others of the same kind are sent to."""
    desk = Desk()
    desk.slack = PacedPeer("slack")
    desk.restart()
    desk.slack.turns = [0.2] * AT_ONCE * 2
    for n in range(AT_ONCE * 2 + 1):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
        await desk.owes(n, "slack", to=f"desk-{n}")

    running = asyncio.create_task(desk.deliverer.run())
    await soon(desk.slack.took.wait())
    assert len(desk.slack.taken) == 1

    await soon(running)

    assert len(desk.slack.taken) == AT_ONCE * 2 + 1


async def test_f31_an_address_that_asked_for_peace_keeps_the_order_of_its_alerts() -> None:
    """Nothing is sent before the wait is over, which is no attempt; then all of it, oldest first."""
    desk = Desk()
    desk.slack = PacedPeer("slack")
    desk.restart()
    alerts = [await desk.owes(n, "slack") for n in range(3)]
    desk.slack.turns = [30.0]
    await desk.deliverer.run()
    before = list(desk.slack.tried)
    desk.restart()
    desk.slack.turns = [0.05]

    await desk.deliverer.run()

    assert before == []
    assert [id for _, id in desk.slack.taken] == [delivery_id(alert.id, "slack") for alert in alerts]
    assert await desk.postponed() == []


async def test_who_waits_for_his_turn_is_let_go_at_the_end() -> None:
    """A stop does not wait for the pace of an address; what was not sent is owed."""
    desk = Desk()
    desk.slack = PacedPeer("slack")
    desk.restart()
    await desk.owes(1, "slack")
    desk.slack.turns = [30.0]
    await desk.deliverer.start_due()
    await soon(desk.slack.waiting.wait())

    await soon(desk.deliverer.stop(5))

    assert desk.slack.tried == []
    assert desk.deliverer.outbox.owed() == 1


# ---------------------------------------------------------------- ends and beginnings


@ON_ANY_LOG
async def test_a_restart_goes_on_where_it_was(log_in: LogIn, tmp_path: Path) -> None:
    """A deliverer that read only the log owes the same, has made as many attempts, and waits as long."""
    async with log_in(tmp_path) as log:
        desk = Desk(log)
        await desk.owes(1, "email", "slack")
        await desk.owes(2, to="newsroom")
        desk.email.answers = [LOST, REFUSED]
        desk.slack.answers = [BUSY]
        await desk.deliverer.run()
        before = desk.deliverer.outbox

        desk.restart()
        await desk.deliverer.catch_up()

        after = desk.deliverer.outbox
        far = NOON + timedelta(days=1)
        assert after.due(far) == before.due(far)
        assert {(owed.channel, owed.attempts, owed.unknowns) for owed in after.due(far)} == {
            ("email", 1, 1),
            ("slack", 1, 0),
        }
        assert after.next_due() == before.next_due()


class SlowLog(FailingLog):
    """A log whose readers wait, with their page, until there are `turns` for them; `asked` tells that one has come."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.turns, self.asked = asyncio.Semaphore(0), asyncio.Event()

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        page = await super().read(after, types, limit)
        self.asked.set()
        await self.turns.acquire()
        return page


async def test_lanes_that_catch_up_side_by_side_count_each_event_once() -> None:
    """Two pages that overlap are folded as one: an attempt of unknown end is one, and not two."""
    log = SlowLog(Clock())
    desk = Desk(log)
    alert = (await desk.owes()).id
    lost = {"cause": alert, "alert": alert, "subscriber": "desk", "channel": "email", "due_at": NOON, "reason": ""}
    await log.append([DeliveryPostponed(**lost, attempt=1, unknown=True)])
    readers = [asyncio.create_task(desk.deliverer.catch_up())]
    await soon(log.asked.wait())
    log.asked.clear()
    await log.append([DeliveryPostponed(**lost, attempt=2)])
    readers.append(asyncio.create_task(desk.deliverer.catch_up()))
    await soon(log.asked.wait())

    for _ in range(4):
        log.turns.release()
    await soon(asyncio.gather(*readers))

    assert [(owed.attempts, owed.unknowns) for owed in desk.deliverer.outbox.due(NOON)] == [(2, 1)]


async def test_a_stop_lets_what_is_under_way_end() -> None:
    """The message that was begun is handed over and recorded; the next of its lane is not begun."""
    desk = Desk()
    held = desk.email.held["desk-email@secret.example"] = asyncio.Event()
    await desk.owes(1)
    await desk.owes(2)
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())

    stopping = asyncio.create_task(desk.deliverer.stop(5))
    held.set()

    assert await soon(stopping) == 0
    assert len(desk.email.tried) == len(await desk.delivered()) == 1


async def test_a_stop_cuts_off_what_does_not_end() -> None:
    """After its time the rest is dropped, owed still, and goes under the same name after the next start."""
    desk = Desk()
    desk.email.held["desk-email@secret.example"] = asyncio.Event()
    alert = await desk.owes(1)
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())

    cut_off = await soon(desk.deliverer.stop(0))
    desk.email.held.clear()
    desk.restart()
    await desk.deliverer.run()

    assert cut_off == 1
    assert desk.email.taken == [("desk-email@secret.example", delivery_id(alert.id, "email"))]
    assert desk.email.tried[0] == desk.email.tried[1]


async def test_a_stop_begins_nothing_that_waited_for_a_place() -> None:
    """Those in the queue are not cut off in the middle of anything, and are owed still."""
    desk = Desk()
    held = asyncio.Event()
    for n in range(AT_ONCE + 4):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
        desk.email.held[f"desk-{n}-email@secret.example"] = held
        await desk.owes(n, to=f"desk-{n}")
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())

    stopping = asyncio.create_task(desk.deliverer.stop(5))
    held.set()

    assert await soon(stopping) == 0
    assert len(desk.email.tried) == len(await desk.delivered()) == AT_ONCE
    assert await desk.abandoned() == []


async def test_a_stop_counts_what_it_cut_off() -> None:
    """Those who waited for a place had begun nothing, and are not among them."""
    desk = Desk()
    for n in range(AT_ONCE + 4):
        desk.subscribers[f"desk-{n}"] = subscriber(f"desk-{n}")
        desk.email.held[f"desk-{n}-email@secret.example"] = asyncio.Event()
        await desk.owes(n, to=f"desk-{n}")
    await desk.deliverer.start_due()
    await soon(desk.email.reached.wait())

    assert await soon(desk.deliverer.stop(0)) == AT_ONCE


async def test_a_stop_with_nothing_under_way_ends_at_once() -> None:
    """And what is asked for afterwards is not begun."""
    desk = Desk()

    assert await soon(desk.deliverer.stop(5)) == 0
    await desk.owes()
    await soon(desk.deliverer.run())
    assert desk.email.tried == []


# ---------------------------------------------------------------- what the log must not hold


async def test_no_address_enters_the_log() -> None:
    """Whatever way a delivery ends, its events name the channel and not what lies behind it."""
    desk = Desk()
    for n in range(5):
        await desk.owes(n, "email", "slack")
    desk.email.answers = [BUSY, LOST, NO_MAILBOX, ValueError("no such desk-email@secret.example")]
    desk.slack.answers = [NO_MAILBOX, LOST]
    for _ in range(6):
        await desk.later(4_000)
    del desk.subscribers["desk"]
    await desk.later(4_000)

    page = await desk.log.read()

    assert len(page.events) == await desk.log.head() > 20
    stored = b"".join(codec.encode(each.event, each.recorded_at) for each in page.events)
    assert b"secret" not in stored
    assert b"Export desk" not in stored


async def test_words_that_a_revision_added_are_shown_where_they_stand() -> None:
    """The words before come from the log, and a hit among those that came is marked in the text as it is now."""
    desk = Desk()
    first = await desk.owes(text="A licence is due.")
    text = "A licence is due for chips."
    said = Statement(
        id="us-commerce/1",
        feed="us-commerce",
        issuer="US Department of Commerce",
        title="Statement 1 on Hong Kong",
        text=text,
        fingerprint=fingerprint("Statement 1 on Hong Kong", text),
        published_at=NOON,
    )
    changed = StatementRevised(statement=said, replaces="0" * 24, revises=first.cause, seen_at=NOON)
    await desk.log.append([changed, alert_on(changed, query="licence AND added:chips")])

    await desk.deliverer.run()
    await desk.later(60)

    assert "A *licence* is due for *chips*." in desk.email.tried[-1].text("body.txt")


async def test_a_page_that_was_read_is_quoted() -> None:
    """An alert by the words of a page is one on something new, and the passage with the hit stands in it."""
    desk = Desk()
    first = await desk.owes()
    (cause,) = await events(desk.log, StatementPublished)
    said = msgspec.structs.replace(cause.statement, text="Nothing here. " * 400 + "\n\nChips need a licence.")
    said, blob = said.detached(1_000)
    of_page = PageRead(cause=first.cause, statement=said, page="a" * 24, seen_at=NOON)
    alert = AlertRaised(
        cause=of_page.id,
        subscriber="newsroom",
        statement_id=said.id,
        matches=(WatchlistMatched(watchlist="Chips", query="chips", words=("Chips",)),),
        channels=("email",),
    )
    await desk.log.append([of_page, alert], blobs=[blob] if blob else [])

    await desk.deliverer.run()

    (message,) = [each for each in desk.email.tried if each.id == delivery_id(alert.id, "email")]
    assert "*Chips* need a licence." in message.text("body.txt")


# ---------------------------------------------------------------- what follows on an alert


def alert_on(
    cause: StatementPublished | StatementRevised | PageRead | StatementWithdrawn,
    *channels: str,
    query: str = '"Hong Kong"',
    also: tuple[str, ...] = (),
    follows: str = "",
) -> AlertRaised:
    return AlertRaised(
        cause=cause.id,
        subscriber="desk",
        statement_id=cause.statement.id,
        matches=(WatchlistMatched(watchlist="Exports", query=query, words=("Hong Kong",)),),
        channels=channels or ("email",),
        also=also,
        follows=follows,
    )


async def first_statement(desk: Desk) -> tuple[Statement, AlertRaised]:
    """The first statement and its alert, which was delivered by mail."""
    alert = await desk.owes(text="A levy of 5 % is due in Hong Kong.")
    await desk.deliverer.run()
    cause = await desk.log.find(alert.cause)
    assert cause is not None
    assert isinstance(cause.event, StatementPublished)
    return cause.event.statement, alert


async def test_a_revision_is_a_reply_that_shows_what_changed() -> None:
    """It follows the first alert on the same channel, and shows the changes; on a new channel it follows none."""
    desk = Desk()
    said, first = await first_statement(desk)
    text = "A levy of 7 % is due in Hong Kong."
    now = msgspec.structs.replace(said, text=text, fingerprint=fingerprint(said.title, text))
    changed = StatementRevised(statement=now, replaces=said.fingerprint, revises=first.cause, seen_at=NOON)

    await desk.log.append([changed, alert_on(changed, "email", "slack", follows=first.id)])
    await desk.later(1)

    mail, other = desk.email.tried[-1], desk.slack.tried[-1]
    assert mail.follows == desk.email.tried[0].id == delivery_id(first.id, "email")
    assert other.follows == ""
    assert "A levy of [-5-]{+7+} % is due in Hong Kong." in mail.text("body.txt")
    assert f"Follows: {said.title}" in mail.text("body.txt")


async def test_a_withdrawal_is_a_reply_that_says_so() -> None:
    """With the reason, and the words that the statement had last, also where they travelled as a blob."""
    desk = Desk()
    said, first = await first_statement(desk)
    long = msgspec.structs.replace(said, text="Licences for Hong Kong end. " * 100)
    last, blob = long.detached(1_000)
    gone = StatementWithdrawn(statement=last, revises=first.cause, reason="its page is gone (410)", seen_at=NOON)

    await desk.log.append([gone, alert_on(gone, follows=first.id)], blobs=[blob] if blob else [])
    await desk.later(1)

    mail = desk.email.tried[-1]
    assert mail.text("subject.txt") == f"[Exports] Withdrawn: {said.title} (US Department of Commerce)"
    assert "its page is gone (410)" in mail.text("body.txt")
    assert "Licences for *Hong Kong* end." in mail.text("body.txt")
    assert mail.follows == delivery_id(first.id, "email")


async def test_the_words_of_a_page_that_was_read_are_told_as_new() -> None:
    """The feed gave a title, its page the words that hit."""
    desk = Desk()
    said, first = await first_statement(desk)
    page = msgspec.structs.replace(said, text="Licences for Hong Kong end.")
    read = PageRead(cause=first.cause, statement=page, page="f" * 24, seen_at=NOON)

    await desk.log.append([read, alert_on(read)])
    await desk.later(1)

    mail = desk.email.tried[-1]
    assert "Licences for *Hong Kong* end." in mail.text("body.txt")
    assert "revised" not in mail.text("body.txt").lower()


async def test_an_alert_names_the_other_statements_of_its_story() -> None:
    """Each with its title and issuer, in the same message."""
    desk = Desk()
    said, _ = await first_statement(desk)
    wire = msgspec.structs.replace(said, id="wire/1", feed="wire", issuer="Trade Wire", title="US ends it")
    told = StatementPublished(statement=wire, seen_at=NOON)
    other = StatementPublished(statement=msgspec.structs.replace(said, id="us-commerce/9"), seen_at=NOON)

    await desk.log.append([told, other, alert_on(other, also=(told.id,))])
    await desk.later(1)

    assert "* US ends it — Trade Wire, " in desk.email.tried[-1].text("body.txt")
