"""Is what programs get a contract: the same fields, typed, whatever the words for people become?"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from notifier.home import packaged_data
from notifier.messages.program_view import AlertData, DigestData, NoticeData
from notifier.messages.render import Renderer
from tests.messages.builders import statement, view
from tests.messages.test_digest_templates import story

RENDERER = Renderer([packaged_data.templates()])

# What receivers of version 0.1.0 rely on.
FIRST = {
    AlertData: {
        *("kind", "title", "issuer", "feed", "lang", "link", "published", "detected", "silent", "reason"),
        *("passages", "redline", "also", "watchlists", "subscriber", "position"),
    },
    DigestData: {
        *("frequency", "due", "period", "part", "parts", "statements", "new", "revised", "withdrawn", "left_out"),
        *("watchlists", "feeds", "feeds_left_out", "feeds_asked", "subscriber"),
    },
    NoticeData: {"notice", "channel", "reason", "subscriber"},
}


@pytest.mark.parametrize("of", FIRST, ids=lambda of: of.__name__)
def test_no_field_is_ever_taken_away(of: type[msgspec.Struct]):
    """Programs that were written for the first version read what they read then."""
    assert FIRST[of] <= set(of.__struct_fields__)


def test_an_alert_is_posted_as_its_typed_value():
    """Its times are RFC 3339 in UTC, beside the words for people, and it can be read back as what it is."""
    posted = json.loads(RENDERER.render("alert", ["webhook.json"], view(statement()))["webhook.json"])

    data = msgspec.convert(posted["data"], AlertData)

    assert posted["type"] == "alert.v1"
    assert posted["subject"] == f"{data.feed}/{data.position}"
    assert data.published_at == datetime(2020, 6, 29, 21, tzinfo=UTC)
    assert posted["data"]["published_at"] == "2020-06-29T21:00:00Z"
    assert posted["data"]["published"].startswith("29 Jun 2020, 21:00 UTC")
    assert data.detected_at >= data.published_at
    assert data.statement == statement().id


def test_an_alert_without_a_date_says_so():
    """Programs get null, and no words that they would have to know."""
    undated = msgspec.structs.replace(statement(), published_at=None)

    posted = json.loads(RENDERER.render("alert", ["webhook.json"], view(undated))["webhook.json"])

    assert posted["data"]["published_at"] is None
    assert posted["data"]["published"] == ""


def test_a_digest_is_posted_as_its_typed_value():
    """With its moment, the entries by watchlist, and the numbers of what was left out."""
    posted = json.loads(RENDERER.render("digest", ["webhook.json"], story().view())["webhook.json"])

    data = msgspec.convert(posted["data"], DigestData)

    assert posted["type"] == "digest.v1"
    assert data.statements == sum(len(group.entries) + group.left_out for group in data.watchlists) + data.left_out
    assert data.due_at.tzinfo is not None
