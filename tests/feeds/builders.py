"""Documents, entries and feeds for the tests of this room; each leaves in sight only what its test is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.detect import detect
from notifier.feeds.feed import Document, Entry, Feed, Identity, Reading
from notifier.feeds.known import Known
from notifier.feeds.parsers import Parser
from notifier.feeds.reading.document import read

NOW = datetime(2020, 6, 30, 1, 0, tzinfo=UTC)
URL = "https://commerce.example/news/feed"

# Elements without end: a parser that is made to keep track of all of them is busy for far more than five seconds.
ENDLESS = b"<rss version='2.0'><channel>&x;<item><description>" + b"<a>" * 4_000_000
# Attributes without end, past the first fault so that the look at the shape does not see them.
HUGE = b"<rss version='2.0'><channel><item>&x;<a " + b" ".join(b'a%d="1"' % n for n in range(900_000)) + b"/></item>"


def feed(
    *,
    identity: Identity = "guid",
    dates: Sequence[str] = (),
    timezone: str = "UTC",
    lang: str = "",
    id: str = "us-commerce",
) -> Feed:
    return Feed(
        id=id,
        url=URL,
        issuer="US Department of Commerce",
        country="US",
        identity=identity,
        dates=tuple(dates),
        timezone=timezone,
        lang=lang,
    )


FEED = feed()


def document(body: bytes | str, *, url: str = URL, content_type: str = "application/rss+xml") -> Document:
    return Document(body=body.encode() if isinstance(body, str) else body, url=url, content_type=content_type)


def reading_of(body: bytes | str, of: Feed = FEED, *, content_type: str = "application/rss+xml") -> Reading:
    """What we make of a document, read in this process."""
    return read(document(body, content_type=content_type), of)


def item(title: str = "Special status ends", *, guid: str = "", link: str = "", date: str = "", text: str = "") -> str:
    """An item of RSS 2.0; what is not given is not in it."""
    parts = (("title", title), ("guid", guid), ("link", link), ("pubDate", date), ("description", text))
    return f"<item>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in parts if value)}</item>"


def rss(*items: str, head: str = "<link>https://commerce.example/</link>") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<rss version="2.0"><channel><title>Press releases</title>{head}{"".join(items)}</channel></rss>'
    )


def rdf(*items: str) -> str:
    """A feed of RSS 1.0, whose items stand behind the channel and not in it."""
    return (
        '<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns="http://purl.org/rss/1.0/">'
        '<channel rdf:about="https://meti.example/"><title>METI</title><link>https://meti.example/</link></channel>'
        f"{''.join(items)}</rdf:RDF>"
    )


def atom(*entries: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB">'
        f"<title>Notices to exporters</title>{''.join(entries)}</feed>"
    )


def entry(
    title: str = "Commerce suspends licence exceptions for Hong Kong",
    *,
    id: str = "c-1",
    link: str = "https://commerce.example/c-1",
    published: datetime | None = NOW - timedelta(hours=1),
    updated: datetime | None = None,
    summary: str = "Rules that gave preferential treatment are suspended.",
    text: str = "",
    whole: bool = True,
) -> Entry:
    return Entry(
        id=id,
        title=title,
        link=link,
        published=published,
        updated=updated,
        summary=summary,
        text=text,
        whole=whole,
    )


def reading(*entries: Entry) -> Reading:
    return Reading(entries=entries)


def knowing(*polls: Iterable[Entry], of: Feed = FEED) -> Known:
    """What we know after these polls of a feed."""
    known = Known()
    for entries in polls:
        for event in detect(reading(*entries), of, known, NOW, baseline=False):
            known.apply(event)
    return known


def news(*entries: Entry, known: Known | None = None, of: Feed = FEED, baseline: bool = False) -> list[Event]:
    """What a poll finds in a document of these entries."""
    return detect(reading(*entries), of, known or Known(), NOW, baseline=baseline)


def told(events: Iterable[Event]) -> list[tuple[str, str]]:
    """Events in short: what happened, and the title of the statement it happened to."""
    names = {StatementPublished: "published", StatementRevised: "revised"}
    return [
        (names[type(event)], event.statement.title)
        for event in events
        if isinstance(event, StatementPublished | StatementRevised)
    ]


@asynccontextmanager
async def a_parser(seconds: float = 60.0, idle: float = 60.0) -> AsyncIterator[Parser]:
    """A parser for as long as the block lasts."""
    parser = Parser(seconds, idle)
    try:
        yield parser
    finally:
        await parser.close()
