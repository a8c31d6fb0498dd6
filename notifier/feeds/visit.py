"""
Read a statement's page: its text now, and the publisher's own record of it.

A page is fetched as by a reader who follows a feed's link: once when the statement is new, and a few times in the month
after. So robots.txt, which is for crawlers, does not apply; the limits for each host are those of fetch.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from notifier.errors import Refused
from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds import govuk
from notifier.feeds.feed import Document, Feed, Validators
from notifier.feeds.fetch import Fetcher, at
from notifier.feeds.parsers import Parsers
from notifier.statement import Statement, fingerprint

# As browsers send it: some servers answer with a feed or JSON unless a web page is named first.
_ACCEPT = "text/html, application/xhtml+xml, application/pdf;q=0.9, */*;q=0.5"


class WebPage(msgspec.Struct, frozen=True):
    """A page's text, with a blank line between blocks, and the extractor that found it, with its version."""

    words: str
    by: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the words, as of a statement's."""
        return fingerprint(self.words)


class Visitor:
    """Reads pages of statements, with a fetcher and parsers of pages that the caller closes."""

    def __init__(self, fetcher: Fetcher, parsers: Parsers) -> None:
        self._fetcher = fetcher
        self._parsers = parsers

    async def read(self, link: str, feed: Feed) -> WebPage:
        """
        The page at a statement's link. Raises `TryLater` and `Refused` as `Fetcher.fetch` and `Parser.parse` do; the
        outcome not-found or retired means that there is no such page.
        """
        document = await self._document(link, feed)
        # Without headers: they may hold a key, which the child must not see.
        reading = await self._parsers.parse(document, msgspec.structs.replace(feed, headers={}))
        return WebPage(reading.entries[0].text, reading.by)

    async def record(self, link: str, feed: Feed) -> govuk.PublisherRecord:
        """The publisher's record of a page; an empty one if there is none. Raises `TryLater`."""
        if not (address := govuk.content_address(link)):
            return govuk.PublisherRecord()
        try:
            return govuk.record_of((await self._document(address, feed)).body)
        except Refused:
            # Missing, or in another shape: the page itself is read next.
            return govuk.PublisherRecord()

    async def _document(self, url: str, feed: Feed) -> Document:
        asked = at(url, feed)
        asked = msgspec.structs.replace(asked, headers={**asked.headers, "Accept": _ACCEPT})
        document = await self._fetcher.fetch(asked, Validators())
        if not isinstance(document, Document):
            raise TypeError("unchanged, without validators")
        return document


def feed_of(event: Event, feeds: Mapping[str, Feed]) -> Feed | None:
    """The feed of a new statement whose page should be read; None for other events, and if it should not."""
    if not isinstance(event, StatementPublished | StatementRevised) or event.muted_because:
        return None
    if isinstance(event, StatementRevised) and event.page:
        return None
    feed = feeds.get(event.statement.feed)
    return feed if feed and feed.full_text and event.statement.link else None


def is_whole(statement: Statement) -> bool:
    """Does the feed itself give the full text?"""
    return bool(statement.text or statement.text_blob)
