"""Is what waits for a digest folded from the log alone, and let go at its moment?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier.alerts.waiting import Held, Waiting, dropped, gathered, released_at
from notifier.events.alerts import DigestRaised
from notifier.events.event import Recorded
from notifier.subscribers.timing import Timing
from tests.messages.builders import NOW, raised, recorded

MINUTE = timedelta(minutes=1)


def held(n: int, wait: str = "daily", subscriber: str = "desk") -> Recorded:
    """The nth alert in the log, which waits."""
    alert = raised(n, subscriber=subscriber)
    return recorded(msgspec.structs.replace(alert.event, waits_for=wait), n)


def digest(position: int, *alerts: Recorded, due_at: datetime = NOW) -> Recorded:
    event = DigestRaised(
        subscriber="desk",
        channels=("email",),
        frequency="daily",
        due_at=due_at,
        until=position - 1,
        alerts=tuple(each.id for each in alerts),
    )
    return recorded(event, position)


def waiting(n: int, wait: str = "daily", since: datetime = NOW) -> Waiting:
    return Waiting(id=f"alert {n}", position=n, raised_at=since + timedelta(seconds=1), since=since, wait=wait)


def folded(*events: Recorded) -> Held:
    found = Held()
    for event in events:
        found.apply(event)
    return found


def test_an_alert_is_held_until_a_digest_names_it() -> None:
    """And nothing else is."""
    first, second, at_once = held(1), held(2), raised(3)

    found = folded(first, second, at_once, digest(4, first))

    assert [each.id for each in found.of("desk")] == [second.id]
    assert found.subscribers() == ["desk"]
    assert found.last == {"desk": NOW}
    assert folded(first, digest(2, first)).subscribers() == []


def test_folding_a_stretch_of_the_log_again_changes_nothing() -> None:
    """After a start some of it is read a second time."""
    events = [held(1), held(2, subscriber="newsroom"), held(3), digest(4, held(1)), held(5)]

    once, again = folded(*events), folded(*events, *events[1:])

    assert (once.of("desk"), once.of("newsroom"), once.last) == (again.of("desk"), again.of("newsroom"), again.last)


def test_the_place_to_read_from_is_before_the_first_that_is_held() -> None:
    """Of anybody; with nothing held, or nothing but what a digest is about to name, it is where we are."""
    first, second = held(7), held(9, subscriber="newsroom")
    found = folded(first, second)

    assert found.place(20) == 6
    assert found.place(20, [first.id]) == 8
    assert found.place(20, [first.id, second.id]) == 20
    assert Held().place(20) == 20


def test_a_later_digest_is_never_of_an_earlier_moment() -> None:
    """Moments name digests, so none comes twice, in whatever order they are folded."""
    assert folded(digest(2, due_at=NOW), digest(3, due_at=NOW - MINUTE)).last == {"desk": NOW}


TIMINGS = st.builds(
    Timing,
    timezone=st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]),
    frequency=st.sampled_from(["immediately", "hourly", "daily", "weekly"]),
    apart=st.sets(st.sampled_from(["hourly", "daily", "weekly"])).map(tuple),
    digest_at=st.sampled_from([time(2, 30), time(8)]),
    digest_on=st.integers(0, 6),
    quiet_from=st.sampled_from([None, time(22)]),
    quiet_until=st.sampled_from([None, time(7)]),
)
SINCE = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from(["hourly", "daily", "weekly", "quiet hours", "burst"])),
    min_size=1,
    max_size=12,
)


@given(TIMINGS, SINCE, st.none() | st.integers(0, 40_000))
def test_whatever_waits_is_let_go(timing: Timing, minutes: list[tuple[int, str]], last_minute: int | None) -> None:
    """
    Not before it came, later than the digest before, and within eight days and a quiet night; all that was reckoned
    together is what each would be alone, but for bursts.
    """
    start = datetime(2020, 10, 1, tzinfo=UTC)
    last = start + MINUTE * last_minute if last_minute is not None else None
    all_of_it = [waiting(n, wait, start + MINUTE * at) for n, (at, wait) in enumerate(sorted(minutes))]

    released = released_at(all_of_it, timing, last)

    for each, at in zip(all_of_it, released, strict=True):
        after = max(each.since, last or each.since)
        assert at >= each.since
        assert last is None or at > last
        assert at <= after + timedelta(days=8, hours=9, minutes=1)
        if each.wait != "burst":
            assert [at] == released_at([each], timing, last)
    whole = gathered(all_of_it, timing, last, max(released))
    assert whole is not None
    assert whole.alerts == tuple(all_of_it)
    assert whole.due_at >= max(released)
    assert gathered(all_of_it, timing, last, min(released) - MINUTE) is None


def test_what_is_dropped_is_all_of_it() -> None:
    """Under a moment that is later than that of the digest before."""
    alerts = [waiting(1), waiting(2, "burst")]

    found = dropped(alerts, NOW + MINUTE)

    assert (found.alerts, found.frequency) == (tuple(alerts), "burst")
    assert found.due_at > NOW + MINUTE
