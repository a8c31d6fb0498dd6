"""Which ends of deliveries mean that nothing more may be sent there?"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from notifier.delivery.suspensions import Suspensions, notice_of
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import DeliveryAbandoned, DeliveryPostponed
from notifier.events.event import Event
from tests.messages.builders import NOW, delivered, raised, recorded

LANE = ("desk", "email")
DAY = timedelta(days=1)


def given_up(outcome: str, n: int = 1) -> DeliveryAbandoned:
    return DeliveryAbandoned(
        cause=raised(n).id,
        alert=raised(n).id,
        subscriber="desk",
        channel="email",
        attempt=1,
        reason="550",
        outcome=outcome,
    )


def put_off(outcome: str, n: int = 1, attempt: int = 1) -> DeliveryPostponed:
    return DeliveryPostponed(
        cause=raised(n).id,
        alert=raised(n).id,
        subscriber="desk",
        channel="email",
        attempt=attempt,
        due_at=NOW,
        reason="452",
        outcome=outcome,
    )


def suspended(why: str = "bounced", until: datetime | None = None) -> ChannelSuspended:
    return ChannelSuspended(subscriber="desk", channel="email", why=why, reason="550", at=NOW, until=until)


def folded(*events: tuple[Event, datetime]) -> Suspensions:
    suspensions = Suspensions()
    for position, (event, at) in enumerate(events, 1):
        suspensions.apply(recorded(event, position, at))
    return suspensions


@pytest.mark.parametrize(("outcome", "why"), [("no-such-address", "bounced"), ("endpoint-gone", "ended")])
def test_a_mailbox_or_webhook_that_is_no_more_is_suspended_at_once(outcome: str, why: str) -> None:
    """The event that says so follows from the end of the delivery, and has its words."""
    end = given_up(outcome)

    event = Suspensions().following(end, NOW)

    assert event == ChannelSuspended(
        cause=end.id, subscriber="desk", channel="email", why=why, reason="550", at=NOW, until=None
    )


@pytest.mark.parametrize("outcome", ["content-refused", "too-large", "expired", "withdrawn", "unknown", ""])
def test_the_fault_of_a_message_suspends_nobody(outcome: str) -> None:
    """Another message may be taken."""
    assert Suspensions().following(given_up(outcome), NOW) is None


@pytest.mark.parametrize(("later", "why"), [(6 * DAY, "bounced"), (8 * DAY, None)])
def test_a_refusal_without_a_code_is_believed_the_second_time(later: timedelta, why: str | None) -> None:
    """Within a week; one that is older is forgotten."""
    suspensions = folded((given_up("mailbox-refused", 1), NOW))

    event = suspensions.following(given_up("mailbox-refused", 2), NOW + later)

    assert (event.why if event else None) == why


def test_what_was_taken_between_two_refusals_clears_the_first() -> None:
    """A mailbox that takes mail is there."""
    suspensions = folded((given_up("mailbox-refused", 1), NOW), (delivered(raised(2)).event, NOW + DAY))

    assert suspensions.following(given_up("mailbox-refused", 3), NOW + 2 * DAY) is None


def test_a_mailbox_that_stays_full_is_left_alone_for_a_month() -> None:
    """Three alerts in a row met it, over a week or longer; the same alert thrice is one."""
    suspensions = folded(
        (put_off("mailbox-full", 1), NOW),
        (put_off("mailbox-full", 1, attempt=2), NOW + DAY),
        (put_off("mailbox-full", 2), NOW + 4 * DAY),
    )

    early = suspensions.following(put_off("mailbox-full", 2, attempt=2), NOW + 8 * DAY)
    event = suspensions.following(put_off("mailbox-full", 3), NOW + 8 * DAY)

    assert early is None
    assert event is not None
    assert (event.why, event.until) == ("full", NOW + 38 * DAY)


def test_three_full_answers_within_a_week_are_no_reason() -> None:
    """Its owner may be on holiday for some days."""
    suspensions = folded((put_off("mailbox-full", 1), NOW), (put_off("mailbox-full", 2), NOW + DAY))

    assert suspensions.following(put_off("mailbox-full", 3), NOW + 6 * DAY) is None


def test_a_suspension_holds_until_it_is_resumed() -> None:
    """And what led to it is forgotten then."""
    resumed = ChannelResumed(subscriber="desk", channel="email", reason="mended", at=NOW)

    before = folded((given_up("mailbox-refused"), NOW), (suspended(), NOW))
    after = folded((given_up("mailbox-refused"), NOW), (suspended(), NOW), (resumed, NOW))

    assert before.of(LANE, NOW + 900 * DAY) == suspended()
    assert list(before.all(NOW)) == [LANE]
    assert (after.of(LANE, NOW), dict(after.all(NOW))) == (None, {})
    assert after.following(given_up("mailbox-refused", 2), NOW) is None


def test_a_suspension_with_an_end_ends_by_itself() -> None:
    """At that moment."""
    suspensions = folded((suspended("full", NOW + DAY), NOW))

    assert suspensions.of(LANE, NOW + DAY - timedelta(seconds=1)) is not None
    assert suspensions.of(LANE, NOW + DAY) is None


def test_a_suspended_channel_is_not_suspended_again() -> None:
    """What was under way when it happened ends like the others, and says nothing new."""
    assert folded((suspended(), NOW)).following(given_up("no-such-address", 2), NOW) is None


def test_a_channel_is_confirmed_by_its_reader_alone() -> None:
    """Nothing else does that."""
    confirmed = ChannelConfirmed(subscriber="desk", channel="email", at=NOW)

    assert not folded((delivered(raised()).event, NOW)).confirmed()
    assert folded((confirmed, NOW)).confirmed() == {LANE: confirmed}


@pytest.mark.parametrize(("why", "told"), [("bounced", True), ("ended", True), ("full", True), ("unsubscribed", False)])
def test_the_subscriber_hears_of_it_elsewhere(why: str, told: bool) -> None:
    """On the first of his other channels; who unsubscribed knows, and who has no other cannot be told."""
    notice = notice_of(suspended(why), ["slack", "teams"])

    assert notice_of(suspended(why), []) is None
    assert (notice is not None) == told
    if notice is not None:
        assert (notice.channels, notice.about, notice.reason) == (("slack",), "email", "550")
        assert notice_of(msgspec.structs.replace(suspended(why)), ["slack"]) == notice
