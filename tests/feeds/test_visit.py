"""Is a statement's page asked for as a reader would, and are its words brought back, from real servers?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from notifier.errors import Refused, TryLater
from notifier.feeds.fetch import Fetcher
from notifier.feeds.govuk import PublisherRecord
from notifier.feeds.parsers import PAGES, Parsers
from notifier.feeds.visit import Visitor
from notifier.guard import networks
from tests.feeds.pdfs import pdf
from tests.feeds.servers import answer, redirect, serving
from tests.feeds.test_article import WORDS, page

PAGE = answer(200, page().encode(), Content_Type="text/html; charset=utf-8")


@asynccontextmanager
async def a_visitor(*allowed: str) -> AsyncIterator[Visitor]:
    """A visitor for the duration of the block, allowed on loopback, or where the test allows it."""
    fetcher, parsers = Fetcher(allow=networks(allowed or ["127.0.0.0/8"])), Parsers(child=PAGES)
    try:
        yield Visitor(fetcher, parsers)
    finally:
        await fetcher.close()
        await parsers.close()


async def test_a_page_is_fetched_and_read() -> None:
    """Its words come back with what read them, and a PDF's by its own reader."""
    script = {"/1": PAGE, "/1.pdf": answer(200, pdf(["Special status ends."]), Content_Type="application/pdf")}

    async with serving(script) as server, a_visitor() as visitor:
        of_page = await visitor.read(server.url("/1"), server.feed())
        of_pdf = await visitor.read(server.url("/1.pdf"), server.feed())

    assert of_page.words == "\n\n".join(["Special status ends", *WORDS])
    assert (of_page.by.split()[0], of_pdf.by.split()[0]) == ("trafilatura", "pypdfium2")
    assert of_pdf.words == "Special status ends."


async def test_a_page_is_asked_for_by_name() -> None:
    """A page or a PDF is wanted, and not a feed; no validators are sent, since we have no copy."""
    async with serving({"/1": PAGE}) as server, a_visitor() as visitor:
        await visitor.read(server.url("/1"), server.feed())

    (asked,) = server.asked
    assert asked.headers["accept"][0].startswith("text/html")
    assert "if-none-match" not in asked.headers


async def test_a_feed_s_own_headers_stay_with_its_host() -> None:
    """A key goes along to pages of the feed's host, and to no other that a feed may link to."""
    async with serving({"/1": PAGE}) as server, serving({"/1": PAGE}) as other, a_visitor() as visitor:
        feed = server.feed(headers={"X-Key": "s3cret"})
        await visitor.read(server.url("/1"), feed)
        await visitor.read(other.url("/1"), feed)

    assert server.asked[0].headers["x-key"] == ["s3cret"]
    assert "x-key" not in other.asked[0].headers


async def test_a_selector_of_the_feed_is_heeded() -> None:
    """`article` selects the text."""
    async with serving({"/1": PAGE}) as server, a_visitor() as visitor:
        told = await visitor.read(server.url("/1"), msgspec.structs.replace(server.feed(), article="h1"))

    assert told.words == "Special status ends"


@pytest.mark.parametrize(
    ("said", "error", "outcome"),
    [
        (answer(404), Refused, "not-found"),
        (answer(410), Refused, "retired"),
        (answer(403), Refused, "blocked"),
        (answer(202, b"<script>challenge()</script>"), Refused, "blocked"),
        (answer(200, page("Verify you are human.").encode()), Refused, "blocked"),
        (answer(500), TryLater, "unreachable"),
        (answer(429, Retry_After="60"), TryLater, "throttled"),
        (redirect(302, "http://169.254.169.254/latest/meta-data"), Refused, "blocked-address"),
    ],
    ids=["404", "410", "403", "202", "wall", "500", "429", "inside"],
)
async def test_what_goes_wrong_is_told_as_of_a_feed(said: bytes, error: type[Exception], outcome: str) -> None:
    """Gone, blocked, busy and not public have their own outcomes, and no page is read."""
    async with serving({"/1": said}) as server, a_visitor() as visitor:
        with pytest.raises(error) as caught:
            await visitor.read(server.url("/1"), server.feed())

    assert caught.value.outcome == outcome


async def test_only_gov_uk_says_more_of_its_pages() -> None:
    """Nobody else is asked anything beside the page."""
    async with serving({"/1": PAGE}) as server, a_visitor() as visitor:
        told = await visitor.record(server.url("/1"), server.feed())

    assert told == PublisherRecord()
    assert server.asked == []
