"""Do ids follow from what an event is, and from nothing else?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.eventlog.codec import TYPES
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event, event_id
from notifier.events.statements import StatementRevised
from tests.eventlog.builders import CAUSE, EXAMPLES, NOW, STATEMENT, published

ROOT = Path(__file__).parent.parent

# Written down once and never changed: a log of any age must find its events again.
GOLDEN = {
    "feed.baselined.v1": "00000000-0000-8fac-8458-ccf9abbc89fb",
    "feed.health-changed.v1": "017301e7-9120-8a82-b1c2-693855062512",
    "feed.moved.v1": "00000000-0000-8a1c-a251-9f545cab7f50",
    "statement.published.v1": "017301e1-2880-858a-9e75-560ed1ae88d9",
    "statement.read.v1": "0173024a-4c60-8442-8929-b6ebdd60064a",
    "statement.revised.v1": "017301e1-2880-8984-b818-c4347f0f855b",
    "statement.unread.v1": "0173024a-4c60-8756-84cd-7df7fe81dfcb",
    "statement.withdrawn.v1": "017301e1-2880-85c0-90b1-9e546f66308c",
    "alert.raised.v1": "0173024a-4c60-8177-a295-a4131361c6a3",
    "alert.delivered.v1": "0173024a-4c60-8755-a784-cf1fc321f635",
    "delivery.postponed.v1": "0173024a-4c60-80d3-912e-82c791fb797a",
    "delivery.abandoned.v1": "0173024a-4c60-888d-a2f6-7df3e99ed5b4",
    "delivery.retried.v1": "0173024a-4c60-81a1-96f4-2ccacfc9bff0",
    "digest.raised.v1": "017301e7-9120-8fdf-a15b-bc7f59200413",
    "notice.raised.v1": "017301e7-9120-8460-96ce-2958e8920e0c",
    "channel.suspended.v1": "0173024a-4c60-8371-8689-f3a8877d2be2",
    "channel.resumed.v1": "017301e7-9120-830d-82cc-83bb2377649f",
    "channel.confirmed.v1": "017301e7-9120-834d-901e-b0bf4a2212a1",
    "delivery.bounced.v1": "0173024a-4c60-88bd-b0c6-d1b8a6ce3f9f",
    "subscriptions.applied.v1": "017301e7-9120-8b71-939e-a5cb87519736",
}

PART = st.text(st.characters(exclude_categories=()), max_size=6)


def test_every_type_has_an_example() -> None:
    """What is said here of the examples is said of all events there are."""
    assert sorted(event.type for event in EXAMPLES) == sorted(TYPES)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_an_id_never_changes(event: Event) -> None:
    """The id of an event is what it was in every earlier release."""
    assert event.id == GOLDEN[event.type]


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_ids_are_the_same_in_every_process(seed: str) -> None:
    """Another process, with another seed for hashes, gives the same events the same ids."""
    script = "from tests.eventlog.builders import EXAMPLES; print(*(event.id for event in EXAMPLES))"

    answer = subprocess.run(  # noqa: S603 our own words
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Hong_Kong"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert answer.stdout.split() == [event.id for event in EXAMPLES]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_an_id_is_a_uuid_of_version_8(event: Event) -> None:
    """It has the shape of RFC 9562, in small letters and with hyphens."""
    parsed = uuid.UUID(event.id)

    assert str(parsed) == event.id
    assert parsed.variant == uuid.RFC_4122
    assert event.id[14] == "8"


def test_a_root_is_born_with_its_time() -> None:
    """The first 48 bits are the milliseconds of the time when it was said, not when we saw it."""
    early, late = published(1, seen_at=NOW), published(1, seen_at=NOW + timedelta(days=1))

    assert early.id == late.id
    assert int(early.id.replace("-", "")[:12], 16) == int((NOW + timedelta(seconds=1)).timestamp() * 1000)


def test_an_effect_lies_beside_its_cause() -> None:
    """Whatever follows from an event begins with the same 48 bits, so that the index keeps them together."""
    effects = [event for event in EXAMPLES if event.cause]

    assert len(effects) > 3
    assert all(event.id[:13] == event.cause[:13] for event in effects)
    assert all(event.id != event.cause for event in effects)


@pytest.mark.parametrize(
    "born_at",
    [
        None,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
    ids=["undated", "year 1", "before 1970", "year 9999"],
)
def test_a_wrong_date_costs_only_the_neighbourhood(born_at: datetime | None) -> None:
    """Any date gives a whole id, and the date is no part of what tells events apart."""
    id = event_id("a.v1", "", ("x",), born_at)

    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)
    assert id[14:] == event_id("a.v1", "", ("x",), NOW)[14:]


def test_times_of_one_moment_give_one_id() -> None:
    """A moment told in another zone is the same moment."""
    hong_kong = NOW.astimezone(tz=datetime.strptime("+0800", "%z").tzinfo)

    assert event_id("a.v1", "", ("x",), hong_kong) == event_id("a.v1", "", ("x",), NOW)


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "", "🚢"], ids=["lone surrogate", "NUL", "empty", "emoji"])
def test_any_text_can_be_named(text: str) -> None:
    """Whatever a key holds has an id; what cannot be stored is refused by the log, with a sentence."""
    assert event_id("a.v1", CAUSE, (text,), None) != event_id("a.v1", CAUSE, (f"{text}x",), None)


@given(st.lists(st.tuples(PART, PART, st.lists(PART, max_size=3).map(tuple)), min_size=2, max_size=6, unique=True))
def test_parts_do_not_run_together(named: list[tuple[str, str, tuple[str, ...]]]) -> None:
    """Different types, causes or keys give different ids, however their letters are shared out between the parts."""
    ids = [event_id(type, "", (cause, *key), None) for type, cause, key in named]

    assert len(set(ids)) == len(ids)


def test_colons_and_figures_do_not_deceive() -> None:
    """Keys that imitate how parts are joined are told apart."""
    keys = [("1:a", "b"), ("1", "a1:b"), ("1:a1:b",), ("", "1:a1:b"), ("1:a1:b", ""), ("a", "b"), ("ab",), ("ba",)]

    ids = {key: event_id("a.v1", CAUSE, key, None) for key in keys}

    assert all(ids[one] != ids[other] for one, other in combinations(keys, 2))


def test_events_of_different_types_differ() -> None:
    """The same cause and key under another type is another event."""
    assert len({event.id for event in EXAMPLES}) == len(EXAMPLES)
    assert event_id("alert.delivered.v1", CAUSE, ("email",), None) != event_id(
        "delivery.abandoned.v1", CAUSE, ("email",), None
    )


def test_what_an_alert_says_is_not_what_it_is() -> None:
    """A better matcher, run again, raises no second alert for the same subscriber and wording."""
    alert = next(event for event in EXAMPLES if isinstance(event, AlertRaised))

    again = msgspec.structs.replace(alert, matcher="2", matches=(), channels=())

    assert again.id == alert.id
    assert msgspec.structs.replace(alert, subscriber="newsroom").id != alert.id


def test_other_words_are_another_event() -> None:
    """A revision's id follows from the words before and after; back to the first words is a third event."""
    there = StatementRevised(statement=STATEMENT, replaces="aa" * 12, seen_at=NOW)
    back = StatementRevised(
        statement=msgspec.structs.replace(STATEMENT, fingerprint="aa" * 12),
        replaces=STATEMENT.fingerprint,
        seen_at=NOW,
    )

    assert there.id != back.id
