"""Is a feed asked when it usually speaks, and never more often than the operator allows?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.feed import Feed
from notifier.feeds.habit import KEPT, SLOT, UNKNOWN, Arrivals, Bounds, Habit, habit_of, in_words, next_due
from notifier.statement import Statement

NEW_YORK = "America/New_York"
MONDAY = datetime(2020, 6, 29, tzinfo=ZoneInfo(NEW_YORK))
DESK = ("08:45", "11:15", "14:00", "16:15", "18:00")


def feed(*slots: str, every: float = 300.0, timezone: str = NEW_YORK) -> Feed:
    return Feed(
        id="us-desk", url="https://desk.example/", issuer="Desk", every=every, slots=tuple(slots), timezone=timezone
    )


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 0) -> datetime:
    """A time in New York, in the week of Monday, 29 June 2020, as UTC."""
    return (MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=second)).astimezone(UTC)


def waits(of: Feed, now: datetime, habit: Habit = UNKNOWN, bounds: Bounds = Bounds()) -> float:  # noqa: B008
    return (next_due(of, habit, bounds, now) - now).total_seconds()


def told(second: datetime, *, muted_because: str = "", revised: bool = False, of: str = "us-desk") -> Event:
    statement = Statement(id=f"{of}/1", feed=of, issuer="Desk", title="Rule", fingerprint="0" * 24)
    if revised:
        return StatementRevised(statement=statement, replaces="1" * 24, seen_at=second, muted_because=muted_because)
    return StatementPublished(statement=statement, seen_at=second, muted_because=muted_because)


def workdays(*hours: int, weeks: int = 2) -> list[datetime]:
    """News at these hours, and some minutes that differ from day to day, Monday to Friday."""
    days = [day for week in range(weeks) for day in range(week * 7, week * 7 + 5)]
    return [at(hour, day * 17 % 60, day=day) for day in days for hour in hours]


# ---------------------------------------------------------------- when it is asked next


def test_a_feed_of_which_nothing_is_known_keeps_the_operators_pace() -> None:
    """At any hour, whatever the bounds."""
    assert [waits(feed(), at(hour)) for hour in range(24)] == [300] * 24


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        (at(8, 30), 300),
        (at(8, 40), 180),
        (at(8, 42, 30), 60),
        (at(8, 43), 60),
        (at(8, 45), 60),
        (at(8, 59), 60),
        (at(9, 1), 300),
        (at(23, 59), 300),
    ],
    ids=["before", "soon", "very soon", "begins", "at it", "still", "after", "at night"],
)
def test_round_its_slots_a_feed_is_asked_fast(now: datetime, wait: float) -> None:
    """From two minutes before to a quarter of an hour after, and no poll before that skips the beginning."""
    assert waits(feed(*DESK), now) == wait


def test_slots_are_those_of_the_feeds_own_zone() -> None:
    """A quarter to nine in New York is a quarter to one in the afternoon in UTC, in summer."""
    assert waits(feed("08:45"), datetime(2020, 6, 29, 12, 45, tzinfo=UTC)) == 60
    assert waits(feed("08:45"), datetime(2020, 12, 29, 13, 45, tzinfo=UTC)) == 60
    assert waits(feed("08:45", timezone="UTC"), datetime(2020, 6, 29, 12, 45, tzinfo=UTC)) == 300


def test_a_slot_just_after_midnight_is_awaited_the_evening_before() -> None:
    """The day has no edge for it."""
    assert waits(feed("00:01"), at(23, 58)) == 60
    assert waits(feed("00:01"), at(23, 59, 30)) == 60
    assert waits(feed("23:55"), at(0, 5, day=1)) == 60


def test_a_day_of_slots_is_polled_in_time() -> None:
    """From midnight to midnight: within a minute of every slot, and no oftener than the bounds allow."""
    now, polls = at(0), []
    while now < at(0, day=1):
        polls.append(now)
        now = next_due(feed(*DESK), UNKNOWN, Bounds(), now)

    for slot in DESK:
        moment = at(int(slot[:2]), int(slot[3:]))
        assert any(timedelta(0) <= poll - moment <= timedelta(seconds=60) for poll in polls)
    assert all(timedelta(seconds=60) <= after - before for before, after in itertools.pairwise(polls))
    assert len(polls) < 24 * 12 + 5 * 17


def test_bounds_are_the_operators() -> None:
    """A feed polled every half minute is not slowed by the bounds; one polled every hour is sped up to them."""
    habit = Habit(slots=(600,), hours=frozenset({10}))

    assert waits(feed(every=30), at(10), habit) == 30
    assert waits(feed(every=3600), at(10), habit, Bounds(fastest=120)) == 120
    assert waits(feed(every=3600), at(3), habit, Bounds(slowest=900)) == 3600
    assert waits(feed(every=300), at(3), habit, Bounds(slowest=1800)) == 1800


# ---------------------------------------------------------------- what news shows


def test_hours_without_news_are_slow_where_the_operator_says_so() -> None:
    """Who speaks in office hours is asked seldom at night and at the weekend; unless allowed, nobody is."""
    habit, bounds = habit_of(workdays(10, 15), NEW_YORK), Bounds(slowest=900)

    assert waits(feed(), at(11, 30), habit, bounds) == 300
    assert waits(feed(), at(9, 30, day=1), habit, bounds) == 300
    assert waits(feed(), at(3), habit, bounds) == 900
    assert waits(feed(), at(11, 30, day=5), habit, bounds) == 900
    assert waits(feed(), at(3), habit) == 300


def test_little_news_shows_no_silence() -> None:
    """Below twenty times of news nothing is slowed."""
    habit = habit_of(workdays(10, weeks=3), NEW_YORK)

    assert habit.hours == frozenset()
    assert waits(feed(), at(3), habit) == 300


def test_news_that_comes_at_a_time_makes_a_slot() -> None:
    """On five days about the same minute: a slot that nobody declared, at the earlier of those minutes."""
    came = [at(16, minute, day=day) for day, minute in enumerate((2, 5, 3, 1, 4))]

    habit = habit_of(came, NEW_YORK)

    assert habit.slots == (16 * 60 + 2,)
    assert waits(feed(), at(16, 1), habit) == 60
    assert waits(feed(), at(15, 0), habit) == 300


@pytest.mark.parametrize(
    "came",
    [
        [at(16, minute) for minute in range(10)],
        [at(16, 2, day=day) for day in range(4)],
        [at(hour, 7 * day % 60, day=day) for day in range(6) for hour in range(8, 18)],
    ],
    ids=["one day", "four days", "all day long"],
)
def test_chance_makes_no_slot(came: Sequence[datetime]) -> None:
    """Much news on one day, or some at every hour, does not make a slot."""
    assert habit_of(came, NEW_YORK).slots == ()


def test_what_alerts_nobody_was_no_news() -> None:
    """A baseline of a hundred entries does not show when they arrived; revisions do."""
    arrivals = Arrivals()

    for event in (
        told(at(1), muted_because="baseline"),
        told(at(2)),
        told(at(2)),
        told(at(3), revised=True),
        told(at(4), of="gb-other"),
        told(at(5), muted_because="over 30 days old"),
        FeedBaselined(feed="us-desk", entries=1),
    ):
        arrivals.apply(event)

    assert arrivals.of("us-desk") == (at(2), at(3))
    assert arrivals.of("never-polled") == ()


def test_a_habit_follows_the_newest_news() -> None:
    """It is learned anew when news comes, from the last of it; old ways are forgotten."""
    arrivals = Arrivals()
    for day in range(30):
        arrivals.apply(told(at(9, 0, day=day)))
    before = arrivals.habit(feed())
    for day in range(30, 30 + KEPT):
        arrivals.apply(told(at(17, 0, day=day)))

    assert before.slots == (9 * 60,)
    assert arrivals.habit(feed()).slots == (17 * 60,)
    assert len(arrivals.of("us-desk")) == KEPT
    assert arrivals.habit(feed()) is arrivals.habit(feed())


MOMENTS = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(
    st.lists(MOMENTS, max_size=80),
    MOMENTS,
    st.sampled_from(["UTC", NEW_YORK, "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.lists(st.from_regex(SLOT, fullmatch=True), max_size=6),
    st.floats(30, 86_400),
)
def test_no_history_breaks_the_bounds(
    came: list[datetime], now: datetime, timezone: str, slots: list[str], every: float
) -> None:
    """Whatever came whenever, in any zone: never faster than the fastest, never slower than the slowest."""
    wait = waits(feed(*slots, every=every, timezone=timezone), now, habit_of(sorted(came), timezone))

    assert min(60, every) - 1e-3 <= wait <= max(300, every) + 1e-3


# ---------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("of", "habit", "words"),
    [
        (feed(), UNKNOWN, "every 5 min"),
        (feed("08:45", "11:15"), UNKNOWN, "every 5 min, faster at 08:45 11:15"),
        (feed("11:15"), Habit(slots=(525, 675)), "every 5 min, faster at 08:45 11:15"),
        (feed("08:45", every=60), UNKNOWN, "every 1 min"),
        (feed(every=3600), Habit(hours=frozenset({9})), "every 1 h"),
        (feed(every=90), Habit(hours=frozenset({9})), "every 90 s, every 5 min at hours without news"),
    ],
    ids=["plain", "slots", "learned too", "never faster", "never slower", "quiet hours"],
)
def test_a_rhythm_can_be_said(of: Feed, habit: Habit, words: str) -> None:
    """In the words that an operator reads, and no more of them than are so."""
    assert in_words(of, habit, Bounds()) == words
