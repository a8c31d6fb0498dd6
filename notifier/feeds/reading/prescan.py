"""
Check the shape of an XML document before an expensive parser reads it.

Feed parsers are quadratic in attributes, namespaces and depth. A strict parser that stores nothing counts these first,
and refuses more than any publisher needs. It sees the document up to its first error; beyond that, the limits of the
child process apply.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from xml.parsers import expat

from notifier.errors import Refused
from notifier.feeds.feed import ITEMS

DEPTH, ATTRIBUTES, NAMESPACES, TEXT = 200, 100, 64, 2_000_000

# A tag of a feed's structure. CDATA is skipped: an article on feeds may quote such tags.
_TAG = re.compile(
    rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<(?P<close>/?)\s*(?:[\w.-]+:)?(?P<name>rss|feed|rdf|channel|item|entry)[\s/>]",
    re.I | re.S,
)
# The elements whose end ends a feed, by its root. In RSS 1.0 the channel ends before the items begin.
_ENDS = {b"rss": {b"rss", b"channel"}, b"channel": {b"channel"}, b"feed": {b"feed"}, b"rdf": {b"rdf"}}
_ITEMS = {b"item", b"entry"}
_TOMBSTONE = "http://purl.org/atompub/tombstones/1.0\x1fdeleted-entry"


def prescan(body: bytes) -> str:
    """
    The reason why a document (UTF-8) is not well-formed XML, "" if it is.

    Raises `Refused("parse-error")` for a hostile shape: entity declarations, or more than 200 levels, 100 attributes of
    an element, 64 namespaces for each item, 5,000 items, two million characters of text in an element.
    """
    scan = _XmlScan()
    try:
        scan.parser.Parse(body, True)
    except expat.ExpatError as error:
        return f"not well-formed XML: line {error.lineno}, {expat.errors.messages[error.code]}"
    return ""


class _XmlScan:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate(encoding="utf-8", namespace_separator="\x1f")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartNamespaceDeclHandler = self._namespace
        self.parser.EntityDeclHandler = self._entity
        self._depth = self._namespaces = self._items = self._letters = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._letters = 0
        self._items += name.rpartition("\x1f")[2] in ("item", "entry")
        within(self._depth, DEPTH, "levels of elements")
        within(len(attributes), ATTRIBUTES, "attributes in one element")
        within(self._items, ITEMS, "items")

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        self._letters += len(text)
        within(self._letters, TEXT, "characters of text in one element")

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        self._namespaces += 1
        # Some feeds declare the same few on every item: the limit grows with the items.
        within(self._namespaces, NAMESPACES * max(self._items, 1), "namespace declarations")

    def _entity(self, *declared: object) -> None:
        raise Refused("the document declares entities, which no feed needs; it is not read", outcome="parse-error")


def deleted(body: bytes) -> tuple[str, ...]:
    """The ids of entries that an Atom feed reports as deleted (RFC 6721), up to its first XML error."""
    found: list[str] = []
    if b"deleted-entry" not in body:
        return ()

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == _TOMBSTONE and attributes.get("ref"):
            found.append(attributes["ref"])

    parser = expat.ParserCreate(encoding="utf-8", namespace_separator="\x1f")
    parser.StartElementHandler = start
    with contextlib.suppress(expat.ExpatError):
        parser.Parse(body, True)
    return tuple(dict.fromkeys(found))


def within(number: int, limit: int, what: str) -> None:
    """Raise `Refused("parse-error")` if a document's `number` of something is over the limit."""
    if number > limit:
        raise Refused(f"the document has over {limit:,} {what}; it is not read", outcome="parse-error")


def cut_short(body: bytes) -> bool:
    """Does an XML feed end before its root element?"""
    tags = list(_tags(body))
    root = next((name for name, closes in tags if name in _ENDS and not closes), None)
    return root is not None and not any(closes and name in _ENDS[root] for name, closes in tags)


def ends_inside_item(body: bytes) -> bool:
    """Does a document end inside its last item or entry?"""
    closed = [closes for name, closes in _tags(body) if name in _ITEMS]
    return bool(closed) and not closed[-1]


def _tags(body: bytes) -> Iterator[tuple[bytes, bool]]:
    """The tags of a document's root, channel, items and entries in order: name, and whether it is an end tag."""
    for found in _TAG.finditer(body):
        if name := found["name"]:
            yield name.lower(), bool(found["close"])
