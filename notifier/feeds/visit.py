"""
A statement's page → the words that stand there now, and what its publisher says of them beside it.

It is asked for as by a reader who follows a feed's link: once when the statement is new, and a few times in the month
after. So robots.txt, which is for those who follow links on their own, is not asked; the limits of each host are those
of its feeds (fetch.py).
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

# As browsers ask: some servers give a feed, or JSON, to whoever does not name a page first.
_ACCEPT = "text/html, application/xhtml+xml, application/pdf;q=0.9, */*;q=0.5"


class WebPage(msgspec.Struct, frozen=True):
    """A page's words, a blank line between blocks, and what read them, with its version."""

    words: str
    by: str

    @property
    def fingerprint(self) -> str:
        """What the words are, whatever they look like."""
        return fingerprint(self.words)


class Visitor:
    """Reads pages of statements, over a fetcher and the parsers of pages that others close."""

    def __init__(self, fetcher: Fetcher, parsers: Parsers) -> None:
        self._fetcher = fetcher
        self._parsers = parsers

    async def read(self, link: str, feed: Feed) -> WebPage:
        """
        The page at a statement's link. Raises `TryLater` and `Refused` as fetching and reading do; a page that is not
        there has the outcome not-found or retired.
        """
        document = await self._document(link, feed)
        # Without its headers: they may hold a key, and the child needs none.
        reading = await self._parsers.parse(document, msgspec.structs.replace(feed, headers={}))
        return WebPage(reading.entries[0].text, reading.by)

    async def said(self, link: str, feed: Feed) -> govuk.PublisherRecord:
        """What the page's publisher says of it, nothing where he says nothing. Raises `TryLater`."""
        if not (address := govuk.content_address(link)):
            return govuk.PublisherRecord()
        try:
            return govuk.said((await self._document(address, feed)).body)
        except Refused:
            # Not there, or in another shape: the page itself will tell.
            return govuk.PublisherRecord()

    async def _document(self, url: str, feed: Feed) -> Document:
        asked = at(url, feed)
        asked = msgspec.structs.replace(asked, headers={**asked.headers, "Accept": _ACCEPT})
        document = await self._fetcher.fetch(asked, Validators())
        if not isinstance(document, Document):
            raise TypeError("unchanged, where nothing was known")
        return document


def feed_of(event: Event, feeds: Mapping[str, Feed]) -> Feed | None:
    """The feed that told of a statement whose page is to be read; None where there is no page, or nobody wants it."""
    if not isinstance(event, StatementPublished | StatementRevised) or event.muted_because:
        return None
    if isinstance(event, StatementRevised) and event.page:
        return None
    feed = feeds.get(event.statement.feed)
    return feed if feed and feed.full_text and event.statement.link else None


def is_whole(statement: Statement) -> bool:
    """Has the feed itself given the whole text?"""
    return bool(statement.text or statement.text_blob)
