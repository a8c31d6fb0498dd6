"""How is a feed doing, and when is that an event?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifier.feeds.detect import detect
from notifier.feeds.feed import Entry, Feed, Reading
from notifier.feeds.health import HEALTHY, OUTCOMES, READ, WATCHED, changed, freshness, leaves_gap, outcome_of
from notifier.feeds.known import Known

NOW = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)
FEED = Feed(id="us-press", url="https://press.example/feed", issuer="Press office")
ENTRY = Entry(id="1", title="Curbs on exports")


@pytest.mark.parametrize(
    ("reading", "outcome"),
    [
        (Reading(entries=(ENTRY,)), "ok"),
        (Reading(entries=()), "ok-empty"),
        (Reading(entries=(ENTRY,), problem="not well formed"), "ok"),
        (Reading(entries=(ENTRY,), problem="cut short", cut_short=True), "parse-error"),
        (Reading(entries=(), problem="cut short", cut_short=True), "parse-error"),
    ],
    ids=["whole", "empty", "degraded", "cut-short", "cut-before-the-first"],
)
def test_a_reading_has_an_outcome(reading: Reading, outcome: str) -> None:
    """A document that is cut short is never called healthy, and an empty one is not called broken."""
    assert outcome_of(reading) == outcome
    assert outcome in OUTCOMES


def test_health_is_an_event_when_it_changes() -> None:
    """The event has the outcome before, the outcome now, the time and the reason."""
    event = changed(FEED, "ok", "blocked", NOW, "403")

    assert event is not None
    assert (event.feed, event.before, event.outcome) == ("us-press", "ok", "blocked")
    assert (event.changed_at, event.detail) == (NOW, "403")


def test_a_feeds_first_poll_is_a_change() -> None:
    """Before the first poll there was no outcome, so the log has an event for every feed from the start."""
    assert changed(FEED, "", "ok", NOW) is not None


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_stays_as_it_was_is_no_event(outcome: str) -> None:
    """However often a feed fails in the same way, there is one event."""
    assert changed(FEED, outcome, outcome, NOW, "again") is None


def test_two_changes_are_two_events() -> None:
    """A feed that fails twice in the same way, healthy in between, makes two events."""
    first = changed(FEED, "ok", "blocked", NOW)
    second = changed(FEED, "ok", "blocked", NOW.replace(hour=22))

    assert first is not None
    assert second is not None
    assert first.id != second.id


def test_every_outcome_is_explained() -> None:
    """Each outcome has a meaning for operators, and only outcomes of successful polls are healthy."""
    assert all(OUTCOMES.values())
    assert set(OUTCOMES) > HEALTHY == {"ok", "ok-empty", "unchanged"}
    assert set(OUTCOMES) > READ > HEALTHY


# ---------------------------------------------------------------- silence


def days(*ago: float) -> list[datetime]:
    return [NOW - timedelta(days=each) for each in ago]


@pytest.mark.parametrize(
    ("moments", "until"),
    [
        (days(1, 2, 3, 4, 5), 29),
        (days(100, 120, 121, 122, 123), -40),
        (days(600, 601, 602, 603, 604), -570),
        (days(600, 601, 602), -235),
        (days(10), 355),
        (days(1, 300, 301, 302, 303), 364),
        (days(-3, 1, 2, 3, 4), 30),
        (days(-300, 1, 2, 3, 4, 5), 29),
        (days(*range(1, 30), 4000), 29),
    ],
    ids=["daily", "now and then", "long silent", "little known", "one", "rare", "scheduled", "mistaken", "one old"],
)
def test_a_silence_is_measured_against_those_before(moments: list[datetime], until: float) -> None:
    """Three of the longest so far are too long: a month at least, a year at most or where too little is known."""
    fresh = freshness(moments, NOW, since=NOW - timedelta(days=4000))

    assert fresh is not None
    assert fresh.until == NOW + timedelta(days=until)
    assert fresh.newest <= NOW


def test_nobody_is_stale_before_he_was_watched() -> None:
    """A feed that was added today has until tomorrow, however old what it shows."""
    fresh = freshness(days(600, 601, 602, 603, 604), NOW, since=NOW)

    assert fresh is not None
    assert fresh.until == NOW + WATCHED


def test_without_any_time_there_is_no_silence() -> None:
    """A feed that dates nothing and has not spoken yet cannot be late."""
    assert freshness([], NOW, since=NOW) is None


# ---------------------------------------------------------------- windows


def shown(*numbers: int) -> list[Entry]:
    return [Entry(id=str(number), title=f"Curbs {number}") for number in numbers]


@pytest.mark.parametrize(
    ("before", "now", "gap"),
    [
        ((1, 2, 3), (4, 5, 6), True),
        ((1, 2, 3), (3, 4, 5), False),
        ((1, 2, 3), (1, 2, 3), False),
        ((1, 2, 3), (4, 4, 5), True),
        ((1,), (2, 3, 4), False),
        ((1, 2, 3), (4,), False),
        ((), (4, 5), False),
        ((1, 2, 3), (), False),
    ],
    ids=["none left", "one left", "all left", "with one twice", "one before", "one now", "empty before", "empty now"],
)
def test_windows_without_overlap_leave_a_gap(before: tuple[int, ...], now: tuple[int, ...], gap: bool) -> None:
    """A feed that shows only its newest entry has no window to compare."""
    known = Known()
    for event in detect(Reading(entries=tuple(shown(*before))), FEED, known, NOW, baseline=True):
        known.apply(event)
    entries = shown(*now)
    news = detect(Reading(entries=tuple(entries)), FEED, known, NOW, baseline=False)

    assert leaves_gap(len(before), entries, news) is gap


def test_a_revision_is_an_overlap() -> None:
    """All entries in other words are the same entries."""
    known = Known()
    for event in detect(Reading(entries=tuple(shown(1, 2))), FEED, known, NOW, baseline=True):
        known.apply(event)
    edited = [Entry(id=each.id, title=f"{each.title}, corrected") for each in shown(1, 2)]
    news = detect(Reading(entries=tuple(edited)), FEED, known, NOW, baseline=False)

    assert len(news) == 2
    assert not leaves_gap(2, edited, news)
