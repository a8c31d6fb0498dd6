"""
An OPML file, the list of feeds that feed readers exchange → its feeds (OPML 2.0, http://opml.org/spec2.opml).

A stranger's list is read with the same limits as a stranger's feed: no entities, and bounds on its size and shape.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from xml.parsers import expat

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import ID
from notifier.feeds.links import LONGEST
from notifier.feeds.reading.charset import decode_text
from notifier.feeds.reading.plain import one_line, tag_of_language
from notifier.feeds.reading.prescan import ATTRIBUTES, DEPTH, within

BYTES = 16 * 1024 * 1024  # of a file
OUTLINES = 50_000  # in a file
TITLE = 200  # characters of a feed's title


class Outline(msgspec.Struct, frozen=True):
    """
    One feed of a list: its address (http or https), its title there, its id if the list has one in our form, and its
    language; "" for what the list does not give.
    """

    url: str
    title: str
    id: str = ""
    lang: str = ""


def read(body: bytes) -> tuple[list[Outline], list[str]]:
    """
    The feeds of an OPML file, in any folder, each address once; and, as written, the addresses that are not http(s).

    Raises `Refused` with outcome not-a-feed (not OPML) or parse-error (not well formed, or over the limits).
    """
    within(len(body), BYTES, "bytes")
    text, _ = decode_text(body)
    scan = _OpmlScan()
    try:
        # Decoded already: the declared charset no longer counts.
        scan.parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        if not scan.is_opml:
            raise Refused("this is not OPML", outcome="not-a-feed") from error
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
                raise Refused("XML, but not OPML", outcome="not-a-feed")
            self.is_opml = True
        if name.lower() == "outline":
            self._outlines += 1
            within(self._outlines, OUTLINES, "outlines")
            # Some write xmlurl, others xmlURL.
            self._take({key.lower(): one_line(value, LONGEST) for key, value in attributes.items()})

    def _take(self, attributes: dict[str, str]) -> None:
        if not (given := attributes.get("xmlurl", "")):
            return
        url = _web_address(given)
        if not url:
            self.strange.append(given)
            return
        title = attributes.get("text") or attributes.get("title") or urlsplit(url).hostname or ""
        id, lang = attributes.get("title", ""), tag_of_language(attributes.get("language", ""))
        self.found.setdefault(url, Outline(url, title[:TITLE], id if ID.fullmatch(id) else "", lang))

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _entity(self, *declared: object) -> None:
        raise Refused("the file declares entities, which no list needs; it is not read", outcome="parse-error")


def _web_address(given: str) -> str:
    """The http(s) address that a list gives, or ""; browsers once wrote such addresses as `feed:`."""
    scheme, _, rest = given.partition(":")
    if scheme.lower() == "feed":
        given = rest if rest.lower().startswith(("http:", "https:")) else f"http:{rest}"
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return ""
    return given if usable and given.isprintable() and " " not in given else ""
