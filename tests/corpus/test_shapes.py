"""
Real answers of governments that are no feeds, read by the catalogue's declarations and by others like them.

They stay where they are, beside this checkout; the catalogue's own shapes are tested on each that there is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.errors import Refused
from notifier.events.statements import StatementPublished
from notifier.feeds.catalogue import catalogue
from notifier.feeds.detect import detect
from notifier.feeds.feed import Document, Entry, Feed, Reading
from notifier.feeds.health import outcome_of
from notifier.feeds.known import Known
from notifier.feeds.parsers import Parser
from notifier.feeds.reading.plain import cleaned
from notifier.feeds.shape import PageShape

FEEDS = Path(__file__).parents[2] / "../shared/data/feeds"
if not (FEEDS / "manifest.tsv").exists():
    pytest.skip("the collection of feeds is not beside this checkout (../shared/data)", allow_module_level=True)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PAGES = sorted(path.relative_to(FEEDS).as_posix() for path in FEEDS.glob("gov-html*/*.html"))
DEFENCE = Feed(
    id="jp-mod",
    url="https://www.mod.go.jp/js/",
    issuer="Joint Staff",
    kind="html",
    html=PageShape(entries=".list-news > li", title="h5", published="time@datetime", tags="span[data-tag]"),
    timezone="Asia/Tokyo",
)


@pytest.fixture(scope="module")
async def parser() -> AsyncIterator[Parser]:
    """One child for all files."""
    parser = Parser()
    yield parser
    await parser.close()


def preset(id: str, url: str = "") -> Feed:
    """A feed that is read as one of the catalogue."""
    source = catalogue()[id]
    return Feed(id="x", url=url or source.url, issuer=source.issuer, **source.how)


async def read(parser: Parser, file: str, of: Feed) -> Reading:
    return await parser.parse(Document(body=(FEEDS / file).read_bytes(), url=of.url), of)


async def test_documents_of_the_federal_register_are_read(parser: Parser):
    """All that the answer lists, with number, page, day, agencies and type, and where its next page is."""
    file = "gov-json/us-federalregister-documents.json"
    listed = json.loads((FEEDS / file).read_bytes())

    reading = await read(parser, file, preset("us-fr-documents-json"))

    assert [entry.id for entry in reading.entries] == [each["document_number"] for each in listed["results"]]
    assert [entry.link for entry in reading.entries] == [each["html_url"] for each in listed["results"]]
    assert [f"{entry.published:%Y-%m-%d}" for entry in reading.entries] == [
        each["publication_date"] for each in listed["results"]
    ]
    assert [len(entry.authors) for entry in reading.entries] == [len(each["agencies"]) for each in listed["results"]]
    assert [bool(entry.summary) for entry in reading.entries] == [bool(each["abstract"]) for each in listed["results"]]
    assert {entry.tags for entry in reading.entries} == {(each["type"],) for each in listed["results"]}
    assert reading.next == listed["next_page_url"]
    assert reading.warnings == ()


async def test_an_answer_of_the_federal_register_without_hits_is_empty(parser: Parser):
    """It has no `results` at all, and a count of 0."""
    reading = await read(parser, "derived/us-federalregister-empty-answer.json", preset("us-fr-documents-json"))

    assert outcome_of(reading) == "ok-empty"


async def test_the_history_of_a_gov_uk_page_is_read(parser: Parser):
    """A note each; a page that was never changed has none, and one that is gone is another's answer."""
    feed = preset("uk-govuk-content-api", "https://www.gov.uk/api/content/x")

    release = await read(parser, "gov-json/uk-govuk-press-release.json", feed)
    never = await read(parser, "gov-json/uk-govuk-publication-change-history.json", feed)
    with pytest.raises(Refused) as gone:
        await read(parser, "gov-json/uk-govuk-gone.json", feed)

    assert [(entry.title, entry.summary) for entry in release.entries] == [
        ("New FRANK adverts mark tenth anniversary", "First published.")
    ]
    assert release.entries[0].link.startswith("https://www.gov.uk/government/news/")
    assert release.entries[0].published == datetime(2013, 1, 28, tzinfo=UTC)
    assert outcome_of(never) == "ok-empty"
    assert gone.value.outcome == "not-a-feed"


async def test_a_collection_of_govinfo_is_read(parser: Parser):
    """A package each, by its id, with the moment of its last change and its page."""
    reading = await read(parser, "gov-json/us-govinfo-collections-bills.json", preset("us-govinfo-api"))

    assert len({entry.id for entry in reading.entries}) == len(reading.entries) == 100
    assert reading.entries[0].link == f"https://www.govinfo.gov/app/details/{reading.entries[0].id}"
    assert all(entry.updated for entry in reading.entries)
    assert reading.next.startswith("https://api.govinfo.gov/collections/BILLS/")


@pytest.mark.parametrize("file", sorted(path.name for path in FEEDS.glob("gov-json/*.json")))
@pytest.mark.parametrize("id", ["us-fr-documents-json", "us-govinfo-api", "uk-govuk-search-api"])
async def test_an_answer_is_read_by_its_own_shape_or_refused(parser: Parser, file: str, id: str):
    """By another publisher's declaration, none of them is a day without news."""
    own = {
        "us-federalregister-documents.json": "us-fr-documents-json",
        "us-govinfo-collections-bills.json": "us-govinfo-api",
    }
    if own.get(file) == id:
        assert (await read(parser, f"gov-json/{file}", preset(id))).entries
        return

    with pytest.raises(Refused) as refused:
        await read(parser, f"gov-json/{file}", preset(id))

    assert refused.value.outcome == "not-a-feed"


async def test_the_news_of_a_page_is_read_in_unclosed_markup(parser: Parser):
    """Japan's Joint Staff leaves its links unclosed; text of the menu and of a template is not news."""
    reading = await read(parser, "gov-html/jp-mod-homepage-trimmed.html", DEFENCE)

    newest = reading.entries[0]
    assert newest.title.startswith("令和")
    assert newest.link == "https://www.mod.go.jp/js/pdf/2026/p20260801_01.pdf"
    assert newest.published == datetime(2026, 7, 31, 15, 0, tzinfo=UTC)
    assert newest.tags == ("公表",)
    assert len({entry.link for entry in reading.entries}) == len(reading.entries) > 3
    assert all(entry.title and entry.published for entry in reading.entries)
    assert _published(reading, DEFENCE) == len(reading.entries)


@pytest.mark.parametrize("file", PAGES)
@pytest.mark.parametrize("id", ["us-ofac-recent-actions", "us-bis-press"])
async def test_a_page_of_another_publisher_is_refused(parser: Parser, file: str, id: str):
    """A site that was rebuilt looks like this: it is an error, and never a day without news."""
    with pytest.raises(Refused) as refused:
        await read(parser, file, preset(id))

    assert refused.value.outcome == "parse-error"
    assert "structure has changed" in str(refused.value)


@pytest.mark.parametrize("file", PAGES)
async def test_all_links_of_a_real_page_are_read(parser: Parser, file: str):
    """Whatever the markup, each is text on one line, with a link to a web page or none."""
    links = Feed(id="x", url="https://x.example/", issuer="X", kind="html", html=PageShape(entries="a"))

    reading = await read(parser, file, links)

    assert reading.entries
    assert all(_clean(entry) for entry in reading.entries)


def _clean(entry: Entry) -> bool:
    web = not entry.link or entry.link.startswith(("http://", "https://"))
    return web and cleaned(entry.title) == entry.title and "\n" not in entry.title


def _published(reading: Reading, of: Feed) -> int:
    events = detect(reading, of, Known(), NOW, baseline=True)
    return sum(isinstance(event, StatementPublished) for event in events)
