"""
Parse a web page into entries by a declaration of where they are, for publishers without a feed.

A page without the declared entries has changed its structure: that is an error, and never "no news".
"""

from __future__ import annotations

import functools
import re
from datetime import datetime

import lxml.etree
import lxml.html

from notifier.errors import Refused
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading
from notifier.feeds.links import LONGEST, absolute
from notifier.feeds.reading.charset import decode_text
from notifier.feeds.reading.dates import read_date
from notifier.feeds.reading.next_page import next_page
from notifier.feeds.reading.plain import TEXT, one_line, to_text
from notifier.feeds.reading.prescan import within
from notifier.feeds.reading.walls import checks_for_humans
from notifier.feeds.selectors import translated
from notifier.feeds.shape import PageShape

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.I)
_AROUND = " \t\r\n\xa0-–—|•·:,;()[]"  # between a date and its neighbours
_parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)


def read(document: Document, feed: Feed, shape: PageShape) -> Reading:
    """
    The entries of a page in its order, and the address of its next page.

    Raises `Refused` with outcome blocked (a human-check page), not-a-feed (not a web page) or parse-error (the declared
    entries are missing, or over the limits).
    """
    root, guessed = opened(document)
    found = selected(root, shape.entries)
    if not found:
        if checks_for_humans(document.body[:65_536]):
            raise Refused("a page that checks for humans is served instead", outcome="blocked")
        raise Refused(f"the page's structure has changed: nothing matches “{shape.entries}”", outcome="parse-error")
    within(len(found), ITEMS, "items")
    base = absolute(_text_at(root, "base@href"), document.url) or document.url
    entries = tuple(_entry(element, shape, feed, base) for element in found)
    if not any(entry.title for entry in entries):
        selector = shape.title or shape.link
        raise Refused(f"the page's structure has changed: no entry has a title at “{selector}”", outcome="parse-error")
    following = _text_at(root, shape.paging.next, "href") if shape.paging and shape.paging.next else ""
    return Reading(
        entries=entries,
        title=one_line(root.findtext(".//title") or ""),
        link=document.url,
        next=next_page(document.url, shape.paging, following),
        warnings=(guessed,) if guessed else (),
    )


def opened(document: Document) -> tuple[lxml.html.HtmlElement, str]:
    """
    The root of a web page, and a warning if its character set was guessed, else "".

    Raises `Refused` if the document is not a web page or is nested too deep.
    """
    declared = _CHARSET.search(document.body[:2048])
    named = f"; charset={declared[1].decode('ascii', 'replace')}" if declared else ""
    text, guessed = decode_text(document.body, document.content_type + named)
    return _parsed(text), guessed


def _parsed(text: str) -> lxml.html.HtmlElement:
    if "<" not in text:
        raise Refused("not a web page, which was expected", outcome="not-a-feed")
    try:
        # Without U+0000, at which the parser stops.
        root = lxml.html.document_fromstring(text.replace("\0", "").encode(), parser=_parser)
    except lxml.etree.ParserError as error:
        raise Refused("the page is empty", outcome="not-a-feed") from error
    if any(error.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in _parser.error_log):
        raise Refused("the page's elements are nested over 255 deep; it is not read", outcome="parse-error")
    return root


def _entry(element: lxml.html.HtmlElement, shape: PageShape, feed: Feed, base: str) -> Entry:
    published, raw = _date(element, shape.published, feed)
    return Entry(
        id=one_line(_text_at(element, shape.id), LONGEST),
        title=one_line(_text_at(element, shape.title or shape.link.partition("@")[0])),
        link=absolute(_text_at(element, shape.link, "href"), base),
        published=published,
        published_raw=one_line(raw, 100),
        summary=_text_at(element, shape.summary),
        tags=_names(element, shape.tags),
    )


def _date(element: lxml.html.HtmlElement, selector: str, feed: Feed) -> tuple[datetime | None, str]:
    """
    The date at a selector and its text: all the text of the element, or that before its first child, since some
    publishers put date and category into one element.
    """
    for found in selected(element, selector)[:1]:
        whole = text_of(found, translated(selector)[1])
        for raw in (whole, one_line(found.text or "").strip(_AROUND)):
            if moment := read_date(raw, feed.dates, feed.timezone):
                return moment, raw
        return None, whole
    return None, ""


def _text_at(element: lxml.html.HtmlElement, selector: str, attribute: str = "") -> str:
    """The text of the first element that a selector finds, or of the attribute that it names, or else `attribute`."""
    return next((text_of(found, translated(selector)[1] or attribute) for found in selected(element, selector)), "")


def text_of(element: lxml.html.HtmlElement, attribute: str = "", limit: int = TEXT) -> str:
    """The text of an element, at most `limit` bytes, or of an attribute of it."""
    if attribute:
        return str(element.get(attribute, "")).strip()
    return to_text(lxml.etree.tostring(element, encoding="unicode", method="html", with_tail=False), limit)


def _names(element: lxml.html.HtmlElement, selector: str) -> tuple[str, ...]:
    names = (one_line(text_of(found, translated(selector)[1]), 200) for found in selected(element, selector)[:20])
    return tuple(dict.fromkeys(name for name in names if name))


def selected(element: lxml.html.HtmlElement, selector: str) -> list[lxml.html.HtmlElement]:
    """The elements that a selector finds, perhaps `element` itself; none for ""."""
    if not selector:
        return []
    found = _compiled(translated(selector)[0])(element)
    return found if isinstance(found, list) else []


@functools.lru_cache(maxsize=256)
def _compiled(xpath: str) -> lxml.etree.XPath:
    return lxml.etree.XPath(xpath, smart_strings=False)
