"""How is a feed doing, and when is that an event?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notifier.feeds.feed import Entry, Feed, Reading
from notifier.feeds.health import HEALTHY, OUTCOMES, changed, outcome_of

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
    """The event tells what it was, what it is, since when, and why."""
    event = changed(FEED, "ok", "blocked", NOW, "403")

    assert event is not None
    assert (event.feed, event.before, event.outcome) == ("us-press", "ok", "blocked")
    assert (event.changed_at, event.detail) == (NOW, "403")


def test_a_feeds_first_poll_is_a_change() -> None:
    """Before it there was no outcome, so the log tells of every feed from the start."""
    assert changed(FEED, "", "ok", NOW) is not None


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_stays_as_it_was_is_no_event(outcome: str) -> None:
    """However often a feed fails in the same way, that is told once."""
    assert changed(FEED, outcome, outcome, NOW, "again") is None


def test_two_changes_are_two_events() -> None:
    """A feed that breaks twice in the same way, with a good time between, is told of twice."""
    first = changed(FEED, "ok", "blocked", NOW)
    second = changed(FEED, "ok", "blocked", NOW.replace(hour=22))

    assert first is not None
    assert second is not None
    assert first.id != second.id


def test_every_outcome_is_explained() -> None:
    """Operators are told what each outcome means, and only what brought word of the feed is healthy."""
    assert all(OUTCOMES.values())
    assert set(OUTCOMES) > HEALTHY == {"ok", "ok-empty", "unchanged"}
