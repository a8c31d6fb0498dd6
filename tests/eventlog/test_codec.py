"""Is what the log keeps what it kept in every release, byte for byte?"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.errors import LogError, TooLarge
from notifier.eventlog import codec
from notifier.eventlog.codec import EVENT_BYTES, TYPES, UPCASTS, decode, encode, same_words
from notifier.events.event import Event
from notifier.events.feeds import FeedMoved
from tests.eventlog.builders import EXAMPLES, NOW, Retold, moved, published

# One file for each type and version that was ever released; none is ever changed or taken away.
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


def filled_to(size: int) -> Event:
    """An event of so many bytes."""
    return published(text="x" * (size - len(encode(published(text="x"), NOW)) + 1))


def test_every_type_is_golden() -> None:
    """Each type and version that the codec reads has its file, and each file a type that is read."""
    assert [path.stem for path in GOLDEN] == sorted([*TYPES, *UPCASTS])


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_events_are_written_as_ever(event: Event) -> None:
    """The CloudEvents JSON of an event is what it was in every earlier release, byte for byte."""
    golden = (Path(__file__).parent / "golden" / f"{event.type}.json").read_bytes()

    assert encode(event, NOW) + b"\n" == golden


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.type)
def test_events_are_read_as_ever(event: Event) -> None:
    """What an earlier release wrote reads as the event that it was, with its id and its time."""
    golden = (Path(__file__).parent / "golden" / f"{event.type}.json").read_bytes()

    recorded = decode(7, event.type, golden)

    assert (recorded.position, recorded.id, recorded.recorded_at, recorded.event) == (7, event.id, NOW, event)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_line_is_a_cloud_event(path: Path) -> None:
    """The attributes that CloudEvents 1.0 requires are there, with no null among them, on a single line."""
    (line,) = path.read_text("utf-8").splitlines()
    event = json.loads(line)

    assert event.keys() == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
    assert event["specversion"] == "1.0"
    assert event["type"] == path.stem
    assert event["time"] == "2020-06-29T21:07:00Z"
    assert all(event.values())


def test_a_position_is_shown_to_outsiders_only() -> None:
    """The position is an attribute where it is asked for; the log keeps it in a column."""
    event = moved()

    assert json.loads(encode(event, NOW, position=41))["position"] == 41
    assert b"position" not in encode(event, NOW)


@pytest.mark.parametrize(
    "text",
    ["a\x00b", "🚢 香港", "\ufeff\u202e", '"\\/\b\f\n\r\t', "\x7f\x80\x9f", "\U0010ffff", "é" * 5_000],
    ids=["NUL", "emoji", "BOM and RTL", "escapes", "controls", "last", "long"],
)
def test_any_text_comes_back(text: str) -> None:
    """Text round-trips, whatever it holds, and is written the same again."""
    event = published(text=text)

    data = encode(event, NOW)
    recorded = decode(1, event.type, data)

    assert recorded.event == event
    assert encode(recorded.event, recorded.recorded_at) == data


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc80 of a file name"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    """What is no Unicode text is not stored, and the error says which event it was and what to do."""
    with pytest.raises(LogError, match=r"statement\.published\.v1.*clean it first"):
        encode(published(text=text), NOW)


def test_the_largest_event_has_65_535_bytes() -> None:
    """That much is taken; one byte more is refused with both figures and the mend."""
    assert len(encode(filled_to(65_535), NOW)) == EVENT_BYTES == 65_535
    with pytest.raises(TooLarge, match=r"65,536 bytes and may have 65,535; store its text as a blob"):
        encode(filled_to(65_536), NOW)


def test_bytes_count_and_not_characters() -> None:
    """An event of few but wide characters is as large as its UTF-8."""
    with pytest.raises(TooLarge):
        encode(published(text="禁" * 22_000), NOW)


# ---------------------------------------------------------------- old and new versions


@pytest.fixture
def _older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions of a feed's move before the present one: the first had one field, under another name."""

    def to_v0(data: dict[str, Any]) -> dict[str, Any]:
        return {"feed": data["name"], "target": data["target"]}

    def to_v1(data: dict[str, Any]) -> dict[str, Any]:
        return {"feed": data["feed"], "url": data["target"], "url_before": ""}

    lifts: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
        "feed.moved.v00": ("feed.moved.v0", to_v0),
        "feed.moved.v0": ("feed.moved.v1", to_v1),
    }
    monkeypatch.setattr(codec, "UPCASTS", lifts)


@pytest.mark.usefixtures("_older")
@pytest.mark.parametrize(
    ("type", "data"),
    [("feed.moved.v00", '{"name":"a","target":"t"}'), ("feed.moved.v0", '{"feed":"a","target":"t"}')],
)
def test_old_versions_are_lifted_step_by_step(type: str, data: str) -> None:
    """An event of any earlier version reads as the newest, under the id it was stored with."""
    stored = f'{{"id":"x","time":"2020-06-29T21:07:00Z","data":{data}}}'.encode()

    recorded = decode(3, type, stored)

    assert recorded.event == FeedMoved(feed="a", url="t", url_before="")
    assert (recorded.position, recorded.id, recorded.recorded_at) == (3, "x", NOW)


@pytest.mark.usefixtures("_older")
def test_a_lift_that_yields_no_event_is_told() -> None:
    """Old data that cannot be lifted is an error that names the event's place."""
    with pytest.raises(LogError, match=r"event 3 \(feed\.moved\.v0\) is damaged"):
        decode(3, "feed.moved.v0", b'{"id":"x","time":"2020-06-29T21:07:00Z","data":{"feed":1,"target":"t"}}')


def test_a_newer_type_is_a_clear_error() -> None:
    """Where a newer notifier wrote the event, the error says so, and what to do."""
    event = Retold()

    with pytest.raises(LogError, match=r"event 9 is of type statement\.retold\.v1.*newer notifier.*update"):
        decode(9, event.type, encode(event, NOW))


def test_a_field_from_the_future_is_passed_over() -> None:
    """A field that was added within a version does not stop those who do not know it."""
    event = moved()
    data = encode(event, NOW).replace(b'"data":{', b'"data":{"since":4,').replace(b'"id"', b'"epoch":"7","id"', 1)

    assert decode(1, event.type, data).event == event


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b'"feed"', b'"food"'),
        lambda data: data.replace(b'"url":"', b'"url":"\xff'),
        lambda data: b"",
    ],
    ids=["cut short", "a flipped letter", "no UTF-8", "empty"],
)
def test_damage_is_told_with_its_place(harm: Callable[[bytes], bytes]) -> None:
    """Bytes that are not what was written are an error that names the position; never a wrong event."""
    event = moved()

    with pytest.raises(LogError, match=r"event 12 \(feed\.moved\.v1\) is damaged"):
        decode(12, event.type, harm(encode(event, NOW)))


# ---------------------------------------------------------------- the same, or not


def test_the_same_event_later_is_the_same() -> None:
    """When we saw and recorded it is no part of what was said: the next try, after a crash, reads a later clock."""
    later = NOW + timedelta(days=1)

    assert same_words(encode(published(), NOW), encode(published(), later))
    assert same_words(encode(published(), NOW), encode(published(seen_at=later), later))


@pytest.mark.parametrize(
    "other", [published(text="other"), published(title="other"), published(muted_because="baseline"), published(2)]
)
def test_other_words_are_not_the_same(other: Event) -> None:
    """A difference anywhere else makes them two."""
    assert not same_words(encode(published(), NOW), encode(other, NOW))
