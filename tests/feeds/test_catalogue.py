"""Is the catalogue whole, and can every feed that it offers be polled as it stands?"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from notifier.feeds.catalogue import Source, catalogue
from notifier.feeds.faults import faults
from notifier.feeds.feed import ID
from notifier.feeds.habit import SLOT
from notifier.feeds.reading.dates import read_date

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
    assert feed.kind in {"rss", "atom", "rdf", "jsonfeed", "json", "html"}
    assert (feed.shape is None) == (feed.kind not in {"json", "html"})
    assert source.status in {"ok", "ok-weak"}
    assert urlsplit(feed.url).scheme in {"http", "https"}
    assert not set("<>{}") & set(feed.url)
    assert feed.issuer
    assert feed.every >= 30
    assert ZoneInfo(feed.timezone)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
def test_slots_and_archives_are_of_use(source: Source):
    """A slot is a time of the day, and an archive a feed that goes on page after page and can be polled itself."""
    assert all(SLOT.fullmatch(slot) for slot in source.slots)
    if source.archive:
        archive = catalogue()[source.archive]
        assert archive.usable
        assert archive.shape is not None
        assert archive.shape.paging is not None


def test_the_public_inspection_desk_is_asked_when_it_files():
    """Its five times of the day, in Washington's zone, whichever of its two feeds is enabled."""
    for id in ("us-fr-public-inspection-current", "us-fr-pi-rss"):
        feed = catalogue()[id].feed(300)

        assert (feed.slots, feed.timezone) == (("08:45", "11:15", "14:00", "16:15", "18:00"), "America/New_York")


def test_what_is_seen_working_is_offered():
    """Every feed that somebody saw working, and what is read by a declaration, can be enabled, and nothing else."""
    working = {
        source.id
        for source in SOURCES
        if source.kind in {"rss", "atom", "rdf", "jsonfeed"} and source.status in {"ok", "ok-weak"}
    }
    declared = {
        "us-fr-documents-json",
        "us-fr-public-inspection-current",
        "us-ofac-recent-actions",
        "us-bis-press",
        "uk-govuk-search-api",
    }

    assert {source.id for source in USABLE} == working | declared
    assert len(working) == 51


def test_what_has_an_address_of_one_s_own_is_a_preset():
    """Two are declared and cannot be enabled unchanged: their reason explains how to use them."""
    presets = [source for source in SOURCES if (source.json or source.html) and not source.usable]

    assert {source.id for source in presets} == {"us-govinfo-api", "uk-govuk-content-api"}
    assert all("preset" in source.reason for source in presets)


@pytest.mark.parametrize("source", [each for each in SOURCES if each.json or each.html], ids=lambda source: source.id)
def test_every_declaration_can_be_read_by(source: Source):
    """Its paths are paths, its selectors selectors, and its key is the name of its kind."""
    shape = source.json or source.html

    assert shape is not None
    assert list(faults(shape)) == []
    assert (source.kind, source.how[source.kind]) == (("json" if source.json else "html"), shape)


def test_what_is_json_or_a_page_is_not_offered_without_a_declaration():
    """Nobody has seen its shape, and its reason does not promise otherwise."""
    undeclared = [source for source in SOURCES if source.kind in {"json", "html"} and not (source.json or source.html)]

    assert undeclared
    assert not any(source.usable or "yet" in source.reason.partition("SPARQL")[0] for source in undeclared)


def test_what_cannot_be_polled_says_why():
    """A source that cannot be used gives its reason when its feed is requested."""
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
    """A source with a rhythm of its own keeps it; any other is polled at the operator's pace."""
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
