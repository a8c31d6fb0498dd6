"""JSON Feed turned into entries."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from notifier.errors import Refused
from notifier.feeds.feed import Entry, Reading
from notifier.feeds.reading.jsonfeed import read
from tests.feeds.builders import FEED

URL = "https://ministry.example/feed.json"


def made_of(*items: object, version: str = "https://jsonfeed.org/version/1.1", **more: object) -> bytes:
    return json.dumps({"version": version, "title": "News", "items": items, **more}).encode()


def reading_of(body: bytes) -> Reading:
    return read(body, URL, FEED)


def test_an_item_is_read():
    """Version 1.1: all that an item may say, seen from the feed's home page."""
    body = made_of(
        {
            "id": "n-1",
            "url": "/n-1",
            "title": "Sanctions <b>list</b>\namended",
            "summary": "In short.",
            "content_html": "<p>One</p><p>Two</p>",
            "date_published": "2020-06-30T09:00:00+09:00",
            "date_modified": "2020-06-30T10:00:00+09:00",
            "authors": [{"name": "Press Office"}, {"url": "https://x.example"}],
            "tags": ["sanctions", "sanctions", 7],
            "language": "en-GB",
        },
        home_page_url="https://www.ministry.example/",
        language="en",
    )

    reading = reading_of(body)

    assert (reading.title, reading.link, reading.lang) == ("News", "https://www.ministry.example/", "en")
    assert reading.entries == (
        Entry(
            id="n-1",
            title="Sanctions list amended",
            link="https://www.ministry.example/n-1",
            published=datetime(2020, 6, 30, tzinfo=UTC),
            updated=datetime(2020, 6, 30, 1, tzinfo=UTC),
            published_raw="2020-06-30T09:00:00+09:00",
            summary="In short.",
            text="One\n\nTwo",
            authors=("Press Office",),
            tags=("sanctions",),
            lang="en-GB",
        ),
    )


def test_version_one_is_read():
    """Version 1 has one author; text without a summary is the summary."""
    (entry,) = reading_of(
        made_of({"id": 7, "content_text": "Words", "author": {"name": "A"}}, version="https://jsonfeed.org/version/1")
    ).entries

    assert (entry.id, entry.summary, entry.text, entry.authors) == ("7", "Words", "", ("A",))


def test_an_item_about_another_page_links_there():
    """`external_url` replaces a missing `url`; without both there is no link."""
    first, second = reading_of(made_of({"id": "1", "external_url": "https://b.example/x"}, {"id": "2"})).entries

    assert (first.link, second.link) == ("https://b.example/x", "")


@pytest.mark.parametrize("bad", [None, "text", 7, [], ["x"]], ids=["null", "text", "number", "list", "list of text"])
def test_good_items_beside_a_bad_one_are_kept(bad: object):
    """An item that is not an object is left out, and costs no other."""
    entries = reading_of(made_of(bad, {"id": "1", "title": "Good"})).entries

    assert [entry.title for entry in entries] == ["Good"]


@pytest.mark.parametrize("field", ["id", "title", "url", "summary", "date_published", "authors", "tags", "language"])
@pytest.mark.parametrize(
    "value", [None, [], {}, True, 1e300, "\u009b\r\n"], ids=["null", "list", "object", "true", "number", "codes"]
)
def test_a_field_of_the_wrong_kind_costs_no_item(field: str, value: object):
    """Publishers put anything anywhere; the rest of the item is kept."""
    (entry,) = reading_of(made_of({"content_text": "Words", field: value})).entries

    assert "Words" in (entry.summary, entry.text)
    assert "\u009b" not in entry.id + entry.title + entry.lang


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (r"A\ud800", "A\ufffd"),
        (r"A\udc00\ud800B", "A\ufffd\ufffdB"),
        (r"A\ud83d\ude00", "A😀"),
        (r"A\\ud800", r"A\ud800"),
        (r"A\\\ud800", "A\\\ufffd"),
    ],
    ids=["half", "wrong way round", "whole", "escaped", "escaped and half"],
)
def test_half_a_character_spoils_one_letter(written: str, read_as: str):
    """A title that some system cut inside an emoji does not cost the document; whole ones and backslashes stay."""
    body = made_of({"id": "1", "title": "T"}, {"id": "2"}).replace(b'"T"', f'"{written}"'.encode())

    first, second = reading_of(body).entries

    assert (first.title, second.id) == (read_as, "2")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"items": []}',
        b'{"version": "https://jsonfeed.org/version/1.1"}',
        b'{"version": 1, "items": []}',
    ],
)
def test_other_json_is_no_feed(body: bytes):
    """Only what calls itself a JSON Feed and has a list of items is one."""
    with pytest.raises(Refused) as caught:
        reading_of(body)

    assert caught.value.outcome == "not-a-feed"


@pytest.mark.parametrize(
    "body",
    [
        made_of({"id": "1", "title": "One"})[:-1],
        made_of({"id": "1", "title": "One"})[:-20],
        b"{" + b'"a":[' * 100_000,
        b'{"items": [NaN]}',
        made_of(*({"id": str(number)} for number in range(5_001))),
        made_of({"id": "1"}).replace(b'"1"', b"9" * 5_000),
    ],
    ids=["cut at the end", "cut in an item", "deep", "no number", "too many", "endless number"],
)
def test_json_that_cannot_be_read_says_so(body: bytes):
    """Half a document of JSON is none at all: no entry of it counts."""
    with pytest.raises(Refused) as caught:
        reading_of(body)

    assert caught.value.outcome == "parse-error"
