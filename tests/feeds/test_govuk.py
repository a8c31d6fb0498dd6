"""What GOV.UK's content API says: official changes, withdrawals, and nothing where it says nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from notifier.errors import Refused
from notifier.feeds.govuk import PublisherRecord, content_address, record_of

MARCH = "2020-03-02T09:30:00.000+00:00"


def content(**more: Any) -> bytes:
    """An answer for a page that was published on a day in March; `updated_at` moves at every save."""
    fields = {"title": "Notice to exporters", "public_updated_at": MARCH, "updated_at": "2020-06-29T12:00:00.120Z"}
    return json.dumps(fields | more).encode()


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://www.gov.uk/guidance/export#top", "https://www.gov.uk/api/content/guidance/export"),
        ("http://www.gov.uk/guidance/export?x=1", "https://www.gov.uk/api/content/guidance/export"),
        ("https://www.gov.uk/", ""),
        ("https://www.gov.uk/api/content/guidance", ""),
        ("https://assets.publishing.service.gov.uk/media/notice.pdf", ""),
        ("https://www.gov.uk.example/guidance/export", ""),
    ],
)
def test_pages_of_gov_uk_have_an_address_in_its_api(link: str, address: str):
    """Only those, and none that looks like it."""
    assert content_address(link) == address


def test_a_silent_save_is_no_official_change():
    """`updated_at` is not counted."""
    assert record_of(content()) == PublisherRecord(changed_at=datetime(2020, 3, 2, 9, 30, tzinfo=UTC))


def test_the_newest_of_the_history_counts():
    """Some pages keep `public_updated_at` while their history grows."""
    told = record_of(
        content(details={"change_history": [{"public_timestamp": "2020-06-29T10:00:00+01:00", "note": "x"}]})
    )

    assert told.changed_at == datetime(2020, 6, 29, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("notice", "reason"),
    [
        (None, ""),
        ({}, ""),
        (
            {
                "explanation": "<div><p>Replaced by&nbsp;OGEL &amp; SIEL.</p></div>",
                "withdrawn_at": "2020-06-29T10:00:00Z",
            },
            "GOV.UK marked it withdrawn on 29 Jun 2020: Replaced by OGEL & SIEL.",
        ),
        ({"explanation": "", "withdrawn_at": "2020-06-29T10:00:00Z"}, "GOV.UK marked it withdrawn on 29 Jun 2020"),
        ({"explanation": "<p>Old.</p>"}, "GOV.UK marked it withdrawn: Old."),
    ],
    ids=["none", "in-force", "explained", "dated", "undated"],
)
def test_a_notice_of_withdrawal_is_told_in_its_words(notice: object, reason: str):
    """A page in force may have an empty notice."""
    assert record_of(content(withdrawn_notice=notice)).withdrawn == reason


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"public_updated_at": "soon"}', b'{"details": ' + b"[" * 100_000, b"\xff\xfe"]
)
def test_what_cannot_be_read_is_refused(body: bytes):
    """Another shape, half an answer, or depth without end."""
    with pytest.raises(Refused, match="content API"):
        record_of(body)


def test_a_page_that_says_little_is_read():
    """Nothing is needed."""
    assert record_of(b"{}") == PublisherRecord()
