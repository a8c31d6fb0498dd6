"""Are lists of feeds read and written as feed readers do, and can none of them do harm?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Refused
from notifier.feeds.feed import Feed
from notifier.feeds.opml import opml_of
from notifier.feeds.reading.opml import BYTES, OUTLINES, Outline, read
from notifier.feeds.shape import PageShape

NOW = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)


def listed(*outlines: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<opml version="2.0"><body>{"".join(outlines)}</body></opml>'.encode()


def outline(url: str = "https://m.example/rss", text: str = "Ministry") -> str:
    return f'<outline type="rss" text="{text}" xmlUrl="{url}"/>'


def feed(id: str = "m", **more: object) -> Feed:
    return Feed(**{"id": id, "url": f"https://{id}.example/rss", "issuer": "Ministry", **more})


def test_feeds_are_found_in_any_folder():
    """Folders are passed through; an address in several folders is one feed, with its first title."""
    body = listed(
        '<outline text="Governments">',
        outline(),
        '<outline text="Asia">',
        outline("https://hk.example/atom?a=1&amp;b=2", "香港 &amp; more"),
        outline(text="Again"),
        "</outline></outline>",
    )

    assert read(body) == (
        [Outline("https://m.example/rss", "Ministry"), Outline("https://hk.example/atom?a=1&b=2", "香港 & more")],
        [],
    )


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('<outline xmlUrl="https://m.example/" title="Press"/>', Outline("https://m.example/", "Press")),
        ('<outline xmlUrl="https://m.example/"/>', Outline("https://m.example/", "m.example")),
        ('<outline xmlURL="https://m.example/" text="P"/>', Outline("https://m.example/", "P")),
        ('<OUTLINE XMLURL=" https://m.example/ " text=" P\n q "/>', Outline("https://m.example/", "P q")),
        ('<outline xmlUrl="feed://m.example/" text="P"/>', Outline("http://m.example/", "P")),
        ('<outline xmlUrl="feed:https://m.example/" text="P"/>', Outline("https://m.example/", "P")),
        (
            '<outline xmlUrl="https://m.example/" text="P" title="hk-press" language="zh-HK"/>',
            Outline("https://m.example/", "P", "hk-press", "zh-HK"),
        ),
        ('<outline xmlUrl="https://m.example/" text="P" language="no language"/>', Outline("https://m.example/", "P")),
    ],
    ids=["title", "nothing", "xmlURL", "blanks", "feed", "feed:https", "ours", "no language"],
)
def test_what_readers_write_is_read(written: str, found: Outline):
    """Names of attributes in any case, titles in either place, and the scheme that browsers once had."""
    assert read(listed(written)) == ([found], [])


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "file:///etc/passwd", "https://", "http://[", "https://a b/", "//m.example/", "x"],
)
def test_what_is_no_web_address_is_left_out(address: str):
    """They are returned beside the good ones."""
    assert read(listed(outline(address), outline())) == ([Outline("https://m.example/rss", "Ministry")], [address])


def test_a_list_is_read_in_its_own_letters():
    """Of old readers, which wrote no UTF-8."""
    body = listed(outline(text="Ministère")).decode().replace('"1.0"?', '"1.0" encoding="iso-8859-1"?', 1)

    (found,), _ = read(body.encode("iso-8859-1"))

    assert found.title == "Ministère"


def deep() -> bytes:
    return listed("<outline text='x'>" * 300, "</outline>" * 300)


def crowded() -> bytes:
    names = " ".join(f"a{number}=''" for number in range(5_000))
    return listed(f"<outline {names}/>")


def endless() -> bytes:
    return listed("<outline/>" * (OUTLINES + 1))


def bomb() -> bytes:
    entities = '<!DOCTYPE o [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    return listed(outline(text="&b;"), head=entities)


def outside() -> bytes:
    return listed(outline(text="&x;"), head='<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]>')


def cut() -> bytes:
    return listed(outline())[:-10]


def unescaped() -> bytes:
    return listed("<outline text='a & b'/>")


def a_feed() -> bytes:
    return b"<rss version='2.0'><channel/></rss>"


def an_address() -> bytes:
    return b"https://m.example/rss"


def large() -> bytes:
    return b" " * (BYTES + 1)


@pytest.mark.parametrize(
    ("made", "outcome", "said"),
    [
        (deep, "parse-error", "levels of elements"),
        (crowded, "parse-error", "attributes in one element"),
        (endless, "parse-error", "outlines"),
        (bomb, "parse-error", "declares entities"),
        (outside, "parse-error", "declares entities"),
        (cut, "parse-error", "not well-formed XML: line 1"),
        (unescaped, "parse-error", "not well-formed XML"),
        (a_feed, "not-a-feed", "not OPML"),
        (an_address, "not-a-feed", "not OPML"),
        (bytes, "not-a-feed", "not OPML"),
        (large, "parse-error", "bytes"),
    ],
)
def test_what_is_no_list_or_a_hostile_one_is_refused(made: Callable[[], bytes], outcome: str, said: str):
    """With what is wrong with it, and nothing of it is taken."""
    with pytest.raises(Refused, match=said) as refused:
        read(made())

    assert refused.value.outcome == outcome


@given(st.lists(st.sampled_from(["<opml>", "<body>", outline(), "<outline ", ">", "&x;", "\0", "]]>", '"', "é"])))
def test_any_bytes_are_read_or_refused(pieces: list[str]):
    """Nothing else comes of a list."""
    body = "".join(pieces).encode()

    try:
        found, _ = read(body)
    except Refused:
        return

    assert b"<opml>" in body
    assert {each.url for each in found} <= {"https://m.example/rss"}


def test_what_is_written_is_opml_two():
    """A head with title and date, and outlines of type rss; what other readers cannot read is left out."""
    shape = PageShape(entries="li")

    written = opml_of([feed(lang="en", kind="atom"), feed("page", kind="html", html=shape)], NOW)

    root = ElementTree.fromstring(written.encode())  # noqa: S314 it is ours
    assert (root.tag, root.attrib) == ("opml", {"version": "2.0"})
    assert root.findtext("head/dateCreated") == "Mon, 29 Jun 2020 21:00:00 GMT"
    assert [each.attrib for each in root.iter("outline")] == [
        {"type": "rss", "text": "Ministry", "title": "m", "xmlUrl": "https://m.example/rss", "language": "en"}
    ]


@given(st.text(), st.text())
def test_what_was_written_is_read_again(issuer: str, path: str):
    """Any text in a name or an address: one outline in, one outline out, and nothing of it acts as markup."""
    written = opml_of([feed(issuer=issuer, url=f"https://m.example/{path}"), feed("n")], NOW)

    found, strange = read(written.encode("utf-8", "replace"))

    assert len(found) + len(strange) == 2
    assert found[-1] == Outline("https://n.example/rss", "Ministry", "n")
