"""Does the log tell who got what, when, at which attempt and with which reply?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.eventlog.log import EventLog
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryBounced, DeliveryPostponed
from notifier.events.event import Event
from notifier.events.statements import StatementPublished
from notifier.questions.deliveries import Account, accounts
from notifier.statement import Statement, fingerprint
from tests.builders import NOON, ON_ANY_LOG, Clock, FailingLog, LogIn

SAID = Statement(id="a/1", feed="a", issuer="A", title="Curbs on exports", fingerprint=fingerprint("Curbs on exports"))
TOLD = StatementPublished(statement=SAID, seen_at=NOON)
ALERT = AlertRaised(
    cause=TOLD.id,
    subscriber="desk",
    statement_id=SAID.id,
    matches=(WatchlistMatched(watchlist="Exports", query="exports"),),
    channels=("email", "slack"),
)


def of(channel: str, attempt: int = 1) -> dict[str, object]:
    return {"cause": ALERT.id, "alert": ALERT.id, "subscriber": "desk", "channel": channel, "attempt": attempt}


BUSY = DeliveryPostponed(**of("email"), due_at=NOON + timedelta(minutes=5), reason="it is busy")
UNSURE = DeliveryPostponed(**of("email"), due_at=NOON + timedelta(minutes=15), reason="it hung up", unknown=True)
TAKEN = AlertDelivered(**of("email", 2), reply="250 queued")
REFUSED = DeliveryAbandoned(**of("slack"), reason="the webhook is no more")


async def told(log: EventLog, *events: Event) -> list[Account]:
    await log.append([TOLD, ALERT, *events])
    return [account async for account in accounts(log)]


@ON_ANY_LOG
async def test_every_channel_of_an_alert_has_its_account(log_in: LogIn, tmp_path: Path) -> None:
    """Each attempt with its number and what was said, the last telling how it stands; what it was about, and why."""
    async with log_in(tmp_path) as log:
        mail, slack = await told(log, BUSY, TAKEN, REFUSED)

    assert (mail.alert, mail.subscriber, mail.channel) == (ALERT.id, "desk", "email")
    assert (mail.title, mail.watchlists) == ("Curbs on exports", ("Exports",))
    assert [(each.number, each.state, each.said) for each in mail.attempts] == [
        (1, "postponed", "it is busy"),
        (2, "delivered", "250 queued"),
    ]
    assert (mail.state, mail.failed, mail.due_at) == ("delivered", False, None)
    assert (slack.state, slack.failed, slack.attempts[-1].said) == ("abandoned", True, "the webhook is no more")


@pytest.mark.parametrize(
    ("events", "state", "failed"),
    [
        ((), "owed", False),
        ((BUSY,), "postponed", True),
        ((UNSURE,), "unknown", True),
        ((BUSY, TAKEN), "delivered", False),
    ],
    ids=["not tried", "put off", "perhaps taken", "taken at last"],
)
async def test_an_account_says_how_it_stands(events: tuple[Event, ...], state: str, failed: bool) -> None:
    """Before the first try it is owed; what was put off names the time of the next."""
    mail, slack = await told(FailingLog(Clock()), *events)

    assert (mail.state, mail.failed) == (state, failed)
    assert (mail.due_at is not None) == (state in {"postponed", "unknown"})
    assert slack.state == "owed"


@pytest.mark.parametrize(
    ("action", "status", "state", "said"),
    [
        ("failed", "5.1.1", "bounced", "failed 5.1.1 (why)"),
        ("complained", "", "bounced", "complained (why)"),
        ("delayed", "4.4.1", "delivered", "250 queued"),
    ],
)
async def test_what_came_back_did_not_arrive(action: str, status: str, state: str, said: str) -> None:
    """Although a mail server had taken it over; one that is only late may arrive still."""
    of = {"cause": ALERT.id, "alert": ALERT.id, "subscriber": "desk", "channel": "email", "seen_at": NOON}
    back = DeliveryBounced(**of, action=action, status=status, reason="why")

    mail, slack = await told(FailingLog(Clock()), BUSY, TAKEN, back)

    assert (mail.state, mail.failed, mail.attempts[-1].said) == (state, state == "bounced", said)
    assert slack.state == "owed"


async def test_only_alerts_of_a_stretch_of_time_are_told() -> None:
    """By when they were raised: from the first moment on, and before the last."""
    log = FailingLog(Clock())
    (mail, *_) = await told(log, TAKEN)
    at = mail.raised_at

    assert [each.channel async for each in accounts(log, since=at)] == ["email", "slack"]
    assert [each async for each in accounts(log, since=at + timedelta(seconds=1))] == []
    assert [each async for each in accounts(log, until=at)] == []
