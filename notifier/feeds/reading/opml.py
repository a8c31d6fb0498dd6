"""
OPML, in which feed readers give each other their feeds (OPML 2.0, http://opml.org/spec2.opml).

A stranger's file is read as a stranger's feed is: no entities, and within limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import ID, Feed
from notifier.feeds.reading.charset import letters
from notifier.feeds.reading.links import LONGEST
from notifier.feeds.reading.plain import cleaned, one_line, tag_of_language
from notifier.feeds.reading.prescan import ATTRIBUTES, DEPTH, within

BYTES = 16 * 1024 * 1024  # of a file
OUTLINES = 50_000  # in a file
TITLE = 200  # characters of what a feed is called
KINDS = ("rss", "atom", "rdf", "jsonfeed")  # what other readers can read too; to OPML they are all "rss"


class Outline(msgspec.Struct, frozen=True):
    """
    One feed of a list: its address (http or https), what the list calls it, its id where the list gives one that we
    would have given, and its language; "" for what is not there.
    """

    url: str
    title: str
    id: str = ""
    lang: str = ""


def read(body: bytes) -> tuple[list[Outline], list[str]]:
    """
    The feeds of an OPML file, whatever folders they lie in, each address once; and the addresses that are none of the
    web, as they stand there.

    Raises `Refused` with outcome not-a-feed (no OPML) or parse-error (not well formed, or over the limits).
    """
    within(len(body), BYTES, "bytes")
    text, _ = letters(body)
    scan = _OpmlScan()
    try:
        # What the declaration calls the letters no longer counts.
        scan.parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        if not scan.is_opml:
            raise Refused("this is no OPML", outcome="not-a-feed") from error
        problem = f"not well-formed XML: line {error.lineno}, {expat.errors.messages[error.code]}"
        raise Refused(problem, outcome="parse-error") from error
    return list(scan.found.values()), scan.strange


class _OpmlScan:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate(encoding="utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity
        self.is_opml = False
        self.found: dict[str, Outline] = {}
        self.strange: list[str] = []
        self._depth = self._outlines = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        within(self._depth, DEPTH, "levels of elements")
        within(len(attributes), ATTRIBUTES, "attributes in one element")
        if self._depth == 1:
            if name.lower() != "opml":
                raise Refused("XML, but no OPML", outcome="not-a-feed")
            self.is_opml = True
        if name.lower() == "outline":
            self._outlines += 1
            within(self._outlines, OUTLINES, "outlines")
            # Some write xmlurl, others xmlURL.
            self._take({key.lower(): one_line(value, LONGEST) for key, value in attributes.items()})

    def _take(self, said: dict[str, str]) -> None:
        if not (given := said.get("xmlurl", "")):
            return
        url = _web_address(given)
        if not url:
            self.strange.append(given)
            return
        title = said.get("text") or said.get("title") or urlsplit(url).hostname or ""
        id, lang = said.get("title", ""), tag_of_language(said.get("language", ""))
        self.found.setdefault(url, Outline(url, title[:TITLE], id if ID.fullmatch(id) else "", lang))

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _entity(self, *declared: object) -> None:
        raise Refused("the file declares entities, which no list needs; it is not read", outcome="parse-error")


def _web_address(given: str) -> str:
    """The http or https address that is meant, "" where it is none: `feed:` is how browsers once said it."""
    scheme, _, rest = given.partition(":")
    if scheme.lower() == "feed":
        given = rest if rest.lower().startswith(("http:", "https:")) else f"http:{rest}"
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return ""
    return given if usable and given.isprintable() and " " not in given else ""


def write(feeds: Iterable[Feed], now: datetime) -> str:
    """An OPML 2.0 document of the feeds that other readers can read as well."""
    outlines = [f"    <outline {_attributes(feed)}/>\n" for feed in feeds if feed.kind in KINDS]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">\n  <head>\n'
        "    <title>Feeds of the policy-change notifier</title>\n"
        f"    <dateCreated>{format_datetime(now, usegmt=True)}</dateCreated>\n"
        f"  </head>\n  <body>\n{''.join(outlines)}  </body>\n</opml>\n"
    )


def _attributes(feed: Feed) -> str:
    said = {"type": "rss", "text": feed.issuer, "title": feed.id, "xmlUrl": feed.url, "language": feed.lang}
    return " ".join(f"{name}={quoteattr(cleaned(value))}" for name, value in said.items() if value)
