"""Is the catalogue whole, and can every feed that it offers be polled as it stands?"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from notifier.feeds.catalogue import Source, catalogue
from notifier.feeds.dates import read_date
from notifier.feeds.feed import ID

SOURCES = list(catalogue().values())
USABLE = [source for source in SOURCES if source.usable]


def test_every_source_is_listed():
    """The catalogue holds what was found for every country it covers, usable or not."""
    countries = {source.country for source in SOURCES}

    assert len(SOURCES) == 101
    assert {"US", "GB", "EU", "HK", "CN", "JP", "KR", "NO", "UN"} <= countries


@pytest.mark.parametrize("source", USABLE, ids=lambda source: source.id)
def test_what_is_offered_can_be_polled(source: Source):
    """A usable source is a feed of a kind we read, at an address with nothing left to fill in."""
    feed = source.feed(every=300)

    assert ID.fullmatch(feed.id)
    assert feed.kind in {"rss", "atom", "rdf", "jsonfeed"}
    assert source.status in {"ok", "ok-weak"}
    assert urlsplit(feed.url).scheme in {"http", "https"}
    assert not set("<>{}") & set(feed.url)
    assert feed.issuer
    assert feed.every >= 30
    assert ZoneInfo(feed.timezone)


def test_what_is_seen_working_is_offered():
    """Every feed of a kind we read that somebody saw working, and nothing else, can be enabled by its name."""
    working = {
        source.id
        for source in SOURCES
        if source.kind in {"rss", "atom", "rdf", "jsonfeed"} and source.status in {"ok", "ok-weak"}
    }

    assert {source.id for source in USABLE} == working
    assert len(working) == 51


def test_what_cannot_be_polled_says_why():
    """A source that is no use today gives its reason where it is asked for its feed."""
    retired = catalogue()["int-nato"]

    with pytest.raises(ValueError, match="NATO"):
        retired.feed(every=300)


def test_issuers_can_be_told_apart_without_their_country():
    """Two countries' ministries do not share a name: alerts and watchlists know an issuer by the name alone."""
    countries: dict[str, set[str]] = {}
    for source in SOURCES:
        countries.setdefault(source.issuer, set()).add(source.country)

    assert [issuer for issuer, found in countries.items() if len(found) > 1] == []


def test_the_operators_rhythm_gives_way_to_the_publishers():
    """A source that asks for its own rhythm keeps it; any other is polled as the operator says."""
    slow, plain = catalogue()["us-fr-rss-bis"], catalogue()["us-ustr"]

    assert slow.feed(every=60).every == 900
    assert plain.feed(every=60).every == 60


def test_statements_of_gov_uk_keep_their_identity_through_updates():
    """GOV.UK gives an entry a new id with each major update; its link is what stays."""
    organisations = [source for source in USABLE if "www.gov.uk" in source.url]

    assert organisations
    assert {source.identity for source in organisations} == {"link"}


def test_dates_of_the_atomic_energy_agency_are_read():
    """Dates like `26-10-02  10:45` come without a zone and with two spaces."""
    feed = catalogue()["int-iaea"].feed(every=300)

    read = read_date("26-10-02  10:45", feed.dates, feed.timezone)

    assert read == datetime(2026, 10, 2, 8, 45, tzinfo=UTC)
