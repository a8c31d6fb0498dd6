"""The look at a document's shape before anything expensive reads it."""

from __future__ import annotations

import pytest

from notifier.errors import Refused
from notifier.feeds.reading.prescan import (
    ATTRIBUTES,
    DEPTH,
    ITEMS,
    NAMESPACES,
    TEXT,
    cut_short,
    deleted,
    ends_inside_item,
    prescan,
)
from tests.feeds.builders import atom, item, rdf, rss

ONE = item("One", guid="1")


def inside(markup: str) -> bytes:
    return rss(f"<item>{markup}</item>").encode()


def attributes(number: int) -> str:
    return "<a " + " ".join(f"a{n}='1'" for n in range(number)) + "/>"


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (inside("<a>" * DEPTH + "</a>" * DEPTH), "levels of elements"),
        (inside(attributes(ATTRIBUTES + 1)), "attributes"),
        (inside("".join(f'<a xmlns:n{n}="u"/>' for n in range(NAMESPACES + 1))), "namespace declarations"),
        (rss("<item/>" * (ITEMS + 1)).encode(), "items"),
        (inside(f"<description>{'x' * (TEXT + 1)}</description>"), "characters of text"),
    ],
    ids=["depth", "attributes", "namespaces", "items", "text"],
)
def test_what_no_publisher_needs_is_refused(body: bytes, limit: str):
    """Each limit stops the scan before anything is built, and the error names the limit."""
    with pytest.raises(Refused, match=limit) as refused:
        prescan(body)

    assert refused.value.outcome == "parse-error"


@pytest.mark.parametrize(
    "body",
    [
        inside("<a>" * (DEPTH - 3) + "</a>" * (DEPTH - 3)),
        inside(attributes(ATTRIBUTES)),
        rss(f'<item xmlns:a="a" xmlns:b="b">{ONE}</item>' * 100).encode(),
        rss("<item/>" * ITEMS).encode(),
        inside(f"<description>{'x' * TEXT}</description>"),
    ],
    ids=["depth", "attributes", "namespaces", "items", "text"],
)
def test_what_is_just_within_a_limit_is_read(body: bytes):
    """The limits themselves are allowed; declarations repeated on each item are a custom of some feeds."""
    assert prescan(body) == ""


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "lol">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a "b">',
        "<!ENTITY a SYSTEM 'http://e.example/'>",
    ],
    ids=["internal", "file", "parameter", "address"],
)
def test_entity_declarations_are_refused(declaration: str):
    """No feed declares entities; a document that does wants a parser to expand them."""
    body = f"<!DOCTYPE rss [{declaration}]>{rss(ONE).partition('?>')[2]}".encode()

    with pytest.raises(Refused, match="entities") as refused:
        prescan(body)

    assert refused.value.outcome == "parse-error"


def test_a_plain_doctype_is_harmless():
    """RSS 0.91 came with a document type at Netscape's; nothing is fetched for it."""
    doctype = (
        '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://my.netscape.com/publish/formats/rss-0.91.dtd">'
    )

    assert prescan(f"{doctype}{rss(ONE).partition('?>')[2]}".encode()) == ""


def test_a_fault_is_named_with_its_line():
    """A document that is not well formed is not refused: its error is returned with the line."""
    assert (
        prescan(b"<rss>\n<channel>\n<title>R&D</title>")
        == "not well-formed XML: line 3, not well-formed (invalid token)"
    )


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        (rss(ONE), False),
        (rss(ONE).removesuffix("</rss>"), False),
        (rss(ONE).removesuffix("</channel></rss>"), True),
        (rss(ONE)[:60], True),
        (atom("<entry/>"), False),
        (atom("<entry/>").removesuffix("</feed>"), True),
        (rdf("<item/>"), False),
        (rdf("<item/>").removesuffix("</rdf:RDF>"), True),
        ("<channel><item></item></channel>", False),
        ("<channel><item></item>", True),
        (rss(ONE) + "<script>", False),
        ("<html><body>", False),
        (rss(ONE).removesuffix("</channel></rss>") + "<item><title><![CDATA[it ends in </channel></rss> as", True),
    ],
    ids=[
        "whole", "no root end", "no end", "head only", "atom", "atom cut", "rdf", "rdf cut", "bare channel",
        "bare channel cut", "trailing", "no feed", "quoted end",
    ],
)  # fmt: skip
def test_a_feed_is_cut_short_when_its_root_does_not_end(body: str, cut: bool):
    """In RSS 1.0 only the root's end counts, since the channel ends before the items; what CDATA quotes never does."""
    assert cut_short(body.encode()) == cut


@pytest.mark.parametrize(
    ("tail", "inside_item"),
    [
        ("", False),
        ("<item><title>Half", True),
        ("<item>", True),
        ("<item rdf:about=", True),
        ("<a:entry><title>Half", True),
        ("<ite", False),
        ("<items/>", False),
        ("<item><title>Half</title></item", True),
        ("<item><description><![CDATA[as in <item></item> or", True),
    ],
)
def test_an_item_without_its_end_is_seen(tail: str, inside_item: bool):
    """An item counts as ended by its own end tag only, not by one that it quotes."""
    body = rss(ONE).removesuffix("</channel></rss>") + tail

    assert ends_inside_item(body.encode()) == inside_item


TOMBSTONE = '<at:deleted-entry xmlns:at="http://purl.org/atompub/tombstones/1.0" ref="{}" when="2020-06-29T12:00:00Z"/>'


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (atom("<entry><id>tag:1</id></entry>"), ()),
        (atom(TOMBSTONE.format("tag:1"), TOMBSTONE.format("tag:2"), TOMBSTONE.format("tag:1")), ("tag:1", "tag:2")),
        (atom(TOMBSTONE.format("tag:1") + "<b>"), ("tag:1",)),
        (atom(TOMBSTONE.replace("tombstones", "other").format("tag:1")), ()),
        (atom(f"<entry><content><![CDATA[{TOMBSTONE.format('tag:1')}]]></content></entry>"), ()),
        (atom(TOMBSTONE.format("")), ()),
    ],
    ids=["none", "two", "up to a fault", "another's", "quoted", "nameless"],
)
def test_a_feed_names_what_it_deleted(body: str, ids: tuple[str, ...]):
    """By the namespace of RFC 6721, and not where an article quotes it."""
    assert deleted(body.encode()) == ids
