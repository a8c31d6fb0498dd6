"""What is owed, folded from events."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.outbox import (
    EXPIRY,
    IMMEDIATE,
    IN_DIGEST,
    OF_FULL_MAILBOX,
    URGENT,
    Outbox,
    backoff,
    delivery_id,
)
from notifier.events.alerts import DigestRaised, NoticeRaised
from notifier.events.deliveries import DeliveryRetried
from notifier.events.event import Event, Recorded
from tests.messages.builders import NOW, abandoned, delivered, postponed, raised

LANE = ("desk", "email")


def folded(*events: Recorded) -> Outbox:
    outbox = Outbox()
    for event in events:
        outbox.apply(event)
    return outbox


def test_an_alert_is_owed_on_each_channel() -> None:
    """One alert with two channels is two deliveries, each with a name of its own."""
    alert = raised(channels=("email", "slack"))

    due = folded(alert).due(NOW)

    assert [(owed.alert_id, owed.channel, owed.attempts) for owed in due] == [
        (alert.id, "email", 0),
        (alert.id, "slack", 0),
    ]
    assert len({delivery_id(owed.alert_id, owed.channel) for owed in due}) == 2


def test_a_channel_named_twice_is_owed_once() -> None:
    """A channel that an alert names twice is one delivery."""
    assert folded(raised(channels=("email", "email"))).owed() == 1


def test_what_was_handed_over_is_owed_no_more() -> None:
    """A delivery ends with the event that says so, and the other channel's does not."""
    alert = raised(channels=("email", "slack"))

    outbox = folded(alert, delivered(alert))

    assert [owed.channel for owed in outbox.due(NOW)] == ["slack"]
    assert outbox.owed() == 1


def test_what_was_given_up_is_owed_no_more() -> None:
    """An abandoned delivery leaves the outbox empty, with nothing to wait for."""
    alert = raised()

    outbox = folded(alert, abandoned(alert))

    assert outbox.owed() == 0
    assert outbox.due(NOW) == []
    assert outbox.next_due() is None


def test_a_postponed_alert_comes_back_when_it_is_due() -> None:
    """It is not due before its time, and then it is, with its attempts counted."""
    alert, later = raised(), NOW + timedelta(minutes=5)

    outbox = folded(alert, postponed(alert, later, attempt=2))

    assert outbox.due(later - timedelta(seconds=1)) == []
    assert [owed.attempts for owed in outbox.due(later)] == [2]
    assert outbox.next_due() == later


def test_an_uncertain_end_is_counted() -> None:
    """The step can tell how often the other side may have taken a message without our knowing."""
    alert = raised()

    outbox = folded(
        alert, postponed(alert, NOW, attempt=1, unknown=True), postponed(alert, NOW, attempt=2, unknown=False)
    )

    assert [(owed.attempts, owed.unknowns) for owed in outbox.due(NOW)] == [(2, 1)]


def test_a_postponed_alert_holds_back_the_later_ones_of_its_lane() -> None:
    """A subscriber's channel gets its alerts in the order of the log, whatever fails in between."""
    first, second = raised(1), raised(2)
    later = NOW + timedelta(minutes=1)

    outbox = folded(first, second, postponed(first, later))

    assert outbox.due(NOW) == []
    assert [owed.position for owed in outbox.due(later)] == [1, 2]


def test_nothing_overtakes_within_a_lane() -> None:
    """Also where the first may go and the second may not, the third waits for the second."""
    first, second, third = raised(1), raised(2), raised(3)

    outbox = folded(first, second, third, postponed(second, NOW + timedelta(hours=1)))

    assert [owed.position for owed in outbox.due(NOW)] == [1]


def test_a_postponed_alert_holds_back_nobody_else() -> None:
    """Other subscribers, and other channels of the same one, are due as if nothing had happened."""
    first = raised(1, channels=("email", "slack"))
    second, other = raised(2, channels=("email", "slack")), raised(3, subscriber="newsroom")

    outbox = folded(first, second, other, postponed(first, NOW + timedelta(hours=1)))

    assert [(owed.subscriber, owed.channel, owed.position) for owed in outbox.due(NOW)] == [
        ("desk", "slack", 1),
        ("desk", "slack", 2),
        ("newsroom", "email", 3),
    ]


def test_the_end_of_the_first_lets_the_next_go() -> None:
    """When the head of a lane is given up, what waited behind it is due."""
    first, second = raised(1), raised(2)

    outbox = folded(first, second, postponed(first, NOW + timedelta(hours=4)), abandoned(first))

    assert [owed.position for owed in outbox.due(NOW)] == [2]
    assert outbox.next_due() == NOW


def test_a_lane_gives_its_oldest_or_nothing() -> None:
    """What waits holds back what stands behind it, until its time has come."""
    first, second = raised(1), raised(2)
    later = NOW + timedelta(minutes=1)

    outbox = folded(first, second, postponed(first, later))

    assert outbox.first_due(LANE, NOW) is None
    assert getattr(outbox.first_due(LANE, later), "position", None) == 1
    assert outbox.first_due(("newsroom", "email"), later) is None


def test_a_lane_is_taken_once() -> None:
    """Lanes come the longest due first, and again only when they are put back."""
    outbox = folded(raised(1, subscriber="newsroom"), raised(2), raised(3))

    taken = [outbox.take_due(NOW), outbox.take_due(NOW)]
    outbox.put_back(LANE)

    assert taken == [[("newsroom", "email"), LANE], []]
    assert outbox.take_due(NOW) == [LANE]


def test_a_lane_is_taken_when_its_time_comes() -> None:
    """One whose oldest waits is not due, also where it was put back meanwhile."""
    alert, later = raised(), NOW + timedelta(minutes=1)
    outbox = folded(alert)
    outbox.take_due(NOW)

    outbox.apply(postponed(alert, later))
    outbox.put_back(LANE)

    assert [outbox.take_due(NOW), outbox.take_due(later), outbox.take_due(later)] == [[], [LANE], []]


def test_a_lane_that_is_empty_is_not_put_back() -> None:
    """Once all of it was handed over there is nothing to name."""
    alert = raised()
    outbox = folded(alert)
    outbox.take_due(NOW)

    outbox.apply(delivered(alert))
    outbox.put_back(LANE)

    assert outbox.take_due(NOW + timedelta(days=1)) == []
    assert outbox.next_due() is None


def test_asking_twice_changes_nothing() -> None:
    """Due alerts stay due until the log says how it went, and each is named once."""
    first, second, third = raised(1), raised(2), raised(3)
    outbox = folded(first, second, third, delivered(second))

    asked = [[owed.position for owed in outbox.due(NOW)] for _ in range(3)]

    assert asked == [[1, 3]] * 3


def test_a_clock_that_steps_back_makes_nothing_due_early() -> None:
    """What was due at noon is not due at eleven, even when noon was asked about first."""
    alert = raised()
    outbox = folded(alert, postponed(alert, NOW + timedelta(hours=1)))

    outbox.due(NOW + timedelta(hours=2))

    assert outbox.due(NOW) == []


def test_an_event_folded_twice_counts_once() -> None:
    """A reader that starts over before its place owes nothing twice."""
    alert = raised()

    outbox = folded(alert, alert)

    assert len(outbox.due(NOW)) == outbox.owed() == 1


def test_an_outcome_for_what_is_not_owed_changes_nothing() -> None:
    """Events of deliveries that have ended already are no error: a second process may have recorded them."""
    alert = raised()

    outbox = folded(alert, delivered(alert), postponed(alert, NOW), abandoned(alert))

    assert outbox.owed() == 0


def test_an_alert_expires_after_three_days() -> None:
    """`expires_at` counts from the alert, not from the last attempt."""
    alert = raised()

    outbox = folded(alert, postponed(alert, NOW + timedelta(hours=71)))

    assert [owed.expires_at for owed in outbox.due(NOW + timedelta(hours=71))] == [NOW + timedelta(hours=72)]
    assert timedelta(hours=72) == EXPIRY


@given(st.data())
def test_any_story_ends_with_what_has_no_outcome(data: st.DataObject) -> None:
    """Whatever the order of outcomes: owed are exactly the deliveries without an end, and lanes keep their order."""
    alerts = [
        raised(
            n, subscriber=data.draw(st.sampled_from("ab")), channels=data.draw(st.sampled_from([("e",), ("e", "s")]))
        )
        for n in range(1, data.draw(st.integers(1, 8)) + 1)
    ]
    open_ = {(alert.id, channel): None for alert in alerts for channel in alert.event.channels}  # type: ignore[attr-defined]
    outbox = folded(*alerts)
    for step in range(data.draw(st.integers(0, 12))):
        alert = data.draw(st.sampled_from(alerts))
        channel = data.draw(st.sampled_from(["e", "s"]))
        match data.draw(st.sampled_from(["sent", "later", "gone"])):
            case "sent":
                outbox.apply(delivered(alert, channel=channel))
                open_.pop((alert.id, channel), None)
            case "gone":
                outbox.apply(abandoned(alert, channel=channel))
                open_.pop((alert.id, channel), None)
            case _:
                until = NOW + timedelta(minutes=data.draw(st.integers(0, 50)))
                outbox.apply(postponed(alert, until, channel=channel, attempt=step + 1))

    due = outbox.due(NOW + timedelta(days=1))

    assert {(owed.alert_id, owed.channel) for owed in due} == open_.keys()
    assert len(due) == outbox.owed()
    assert [owed.position for owed in due] == sorted(owed.position for owed in due)
    assert (outbox.next_due() is None) == (not due)


def test_a_delivery_keeps_its_name() -> None:
    """The name is a pure function of alert and channel, and no two pairs run together into one."""
    assert delivery_id("alert-1", "email") == delivery_id("alert-1", "email") == "b0f9846a000160fc30af7183899559c9"
    assert delivery_id("alert-1", "1email") != delivery_id("alert-11", "email")


def test_waits_grow_and_stay_near_their_step() -> None:
    """Without a word from the other side the waits are 1, 5, 15, 30 min, 1, 2, 4 h, give or take a fifth."""
    soonest = [backoff(attempt, None, lambda: 0.0) for attempt in range(1, 10)]
    latest = [backoff(attempt, None, lambda: 0.999) for attempt in range(1, 10)]

    for n, step in enumerate([60, 300, 900, 1800, 3600, 7200, 14400, 14400, 14400]):
        assert soonest[n] == pytest.approx(0.8 * step)
        assert latest[n] == pytest.approx(1.2 * step, rel=0.001)


def test_a_wait_that_was_asked_for_is_kept() -> None:
    """Told "in 120 seconds" is we wait never less, and at most a fifth more."""
    soonest, latest = backoff(1, 120, lambda: 0.0), backoff(1, 120, lambda: 0.999)

    assert soonest == 120
    assert latest == pytest.approx(144, rel=0.001)


def test_a_peer_can_neither_silence_us_nor_make_us_spin() -> None:
    """Waits asked for are at least a second and at most an hour, and grow once they have been granted three times."""
    assert backoff(1, 999_999_999, lambda: 0) == 3600
    assert backoff(1, -5, lambda: 0) == 1
    assert [backoff(attempt, 1, lambda: 0) for attempt in (3, 4, 5, 50)] == [1, 60, 300, 14400]


def test_an_alert_without_channels_owes_nothing() -> None:
    """Somebody who removed his last channel is owed nothing, and nothing waits for him."""
    outbox = folded(raised(channels=()))

    assert outbox.owed() == 0
    assert outbox.next_due() is None


# ---------------------------------------------------------------- digests, notices, urgency, and the operator's wishes


def of(event: Event, position: int = 1) -> Recorded:
    return Recorded(position, event.id, NOW, event)


def test_an_alert_that_is_held_is_owed_with_its_digest() -> None:
    """Not by itself: the digest that names it is what is owed, and the last in urgency."""
    held = raised()
    held = of(msgspec.structs.replace(held.event, waits_for="daily"))
    digest = of(
        DigestRaised(subscriber="desk", channels=("email",), frequency="daily", due_at=NOW, until=1, alerts=(held.id,)),
        2,
    )

    assert folded(held).owed() == 0
    (owed,) = folded(held, digest).due(NOW)
    assert (owed.alert_id, owed.lane, owed.urgency) == (digest.id, LANE, IN_DIGEST)


def test_a_lane_is_as_urgent_as_anything_in_it() -> None:
    """What stands before an urgent alert has to go first; once that has ended, the lane is as any other."""
    first, third = raised(1), raised(3)
    urgent = of(msgspec.structs.replace(raised(2).event, urgent=True), 2)
    outbox = folded(first, urgent, third)

    before = outbox.urgency(LANE)
    outbox.apply(delivered(first))
    outbox.apply(delivered(urgent))

    assert (before, outbox.urgency(LANE)) == (URGENT, IMMEDIATE)


def test_a_notice_is_urgent() -> None:
    """It tells a subscriber why he hears nothing."""
    notice = NoticeRaised(subscriber="desk", channels=("email",), notice="suspended", about="slack", raised_at=NOW)

    assert folded(of(notice)).urgency(LANE) == URGENT


def test_what_is_too_old_is_named_once() -> None:
    """Wherever it stands in its lane, and not before its time; what has ended is not among it."""
    first, second, third = raised(1), raised(2), raised(3)
    outbox = folded(first, second, third, delivered(second), postponed(first, NOW + timedelta(days=9)))

    early = outbox.take_expired(NOW + EXPIRY - timedelta(seconds=1))
    late = outbox.take_expired(NOW + EXPIRY)

    assert early == []
    assert [owed.position for owed in late] == [1, 3]
    assert outbox.take_expired(NOW + EXPIRY) == []


def wish(alert: Recorded, at: datetime) -> Recorded:
    return of(DeliveryRetried(cause=alert.id, alert=alert.id, subscriber="desk", channel="email", retried_at=at), 5_000)


def test_what_waits_is_tried_at_once_where_the_operator_wants_it() -> None:
    """Its attempts stay counted."""
    alert, later = raised(), NOW + timedelta(hours=1)
    wanted = wish(alert, NOW)

    outbox = folded(alert, postponed(alert, later, attempt=3), wanted)

    (owed,) = outbox.due(NOW)
    assert (owed.attempts, owed.retry) == (3, wanted.id)


def test_what_was_given_up_is_owed_afresh_where_the_operator_wants_it() -> None:
    """With three days before it, under the same name and of the same date."""
    alert, at = raised(), NOW + timedelta(days=10)
    outbox = folded(alert, abandoned(alert))

    outbox.again(alert, wish(alert, at))

    (owed,) = outbox.due(at)
    assert (owed.alert_id, owed.attempts, owed.raised_at, owed.expires_at) == (alert.id, 0, NOW, at + EXPIRY)


def test_a_full_mailbox_has_a_ladder_of_its_own() -> None:
    """Half an hour, two, eight hours, a day."""
    waits = [backoff(n, None, lambda: 0.5, OF_FULL_MAILBOX) for n in range(1, 6)]

    assert waits == [1_800, 7_200, 28_800, 86_400, 86_400]
