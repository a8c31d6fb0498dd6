"""
A web page → entries, by a declaration of where they are: for those who publish no feed.

A page on which the declared entries are not found has got another shape; that is told, and is never "no news".
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
from notifier.feeds.reading.charset import letters
from notifier.feeds.reading.dates import read_date
from notifier.feeds.reading.next_page import next_page
from notifier.feeds.reading.plain import TEXT, one_line, to_text
from notifier.feeds.reading.prescan import within
from notifier.feeds.reading.walls import checks_for_humans
from notifier.feeds.selectors import translated
from notifier.feeds.shape import PageShape

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.I)
_AROUND = " \t\r\n\xa0-–—|•·:,;()[]"  # what stands between a date and its neighbours
_parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)


def read(document: Document, feed: Feed, shape: PageShape) -> Reading:
    """
    The entries of a page, in its order, and where its next page is.

    Raises `Refused` with outcome blocked (a human-check page), not-a-feed (no web page) or parse-error (the declared
    entries are not there, or it is over the limits).
    """
    root, guessed = opened(document)
    found = selected(root, shape.entries)
    if not found:
        if checks_for_humans(document.body[:65_536]):
            raise Refused("a page that checks for humans stands before the one wanted", outcome="blocked")
        raise Refused(f"the page's shape has changed: nothing on it is “{shape.entries}”", outcome="parse-error")
    within(len(found), ITEMS, "items")
    base = absolute(_said(root, "base@href"), document.url) or document.url
    entries = tuple(_entry(element, shape, feed, base) for element in found)
    if not any(entry.title for entry in entries):
        wanted = shape.title or shape.link
        raise Refused(f"the page's shape has changed: no entry has a title at “{wanted}”", outcome="parse-error")
    following = _said(root, shape.paging.next, "href") if shape.paging and shape.paging.next else ""
    return Reading(
        entries=entries,
        title=one_line(root.findtext(".//title") or ""),
        link=document.url,
        next=next_page(document.url, shape.paging, following),
        warnings=(guessed,) if guessed else (),
    )


def opened(document: Document) -> tuple[lxml.html.HtmlElement, str]:
    """
    The root of a web page, and a warning where its letters had to be guessed. Raises `Refused` for what is no page.
    """
    declared = _CHARSET.search(document.body[:2048])
    named = f"; charset={declared[1].decode('ascii', 'replace')}" if declared else ""
    text, guessed = letters(document.body, document.content_type + named)
    return _parsed(text), guessed


def _parsed(text: str) -> lxml.html.HtmlElement:
    if "<" not in text:
        raise Refused("no web page, where one was expected", outcome="not-a-feed")
    try:
        # Without U+0000, at which the parser would stop.
        root = lxml.html.document_fromstring(text.replace("\0", "").encode(), parser=_parser)
    except lxml.etree.ParserError as error:
        raise Refused("the page is empty", outcome="not-a-feed") from error
    if any(error.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in _parser.error_log):
        raise Refused("the page's elements are nested over 255 deep; it is not read", outcome="parse-error")
    return root


def _entry(element: lxml.html.HtmlElement, shape: PageShape, feed: Feed, base: str) -> Entry:
    published, raw = _date(element, shape.published, feed)
    return Entry(
        id=one_line(_said(element, shape.id), LONGEST),
        title=one_line(_said(element, shape.title or shape.link.partition("@")[0])),
        link=absolute(_said(element, shape.link, "href"), base),
        published=published,
        published_raw=one_line(raw, 100),
        summary=_said(element, shape.summary),
        tags=_names(element, shape.tags),
    )


def _date(element: lxml.html.HtmlElement, selector: str, feed: Feed) -> tuple[datetime | None, str]:
    """
    The date that a selector means, and how it stands there: all of the element's words, or those before the first
    element in it, since some publishers write date and category into one.
    """
    for found in selected(element, selector)[:1]:
        whole = words_of(found, translated(selector)[1])
        for raw in (whole, one_line(found.text or "").strip(_AROUND)):
            if moment := read_date(raw, feed.dates, feed.timezone):
                return moment, raw
        return None, whole
    return None, ""


def _said(element: lxml.html.HtmlElement, selector: str, attribute: str = "") -> str:
    """The words of the first element that a selector finds, or its attribute where one is named or given."""
    return next((words_of(found, translated(selector)[1] or attribute) for found in selected(element, selector)), "")


def words_of(element: lxml.html.HtmlElement, attribute: str = "", limit: int = TEXT) -> str:
    """The words of an element, or of its attribute where one is named; at most `limit` bytes of them."""
    if attribute:
        return str(element.get(attribute, "")).strip()
    return to_text(lxml.etree.tostring(element, encoding="unicode", method="html", with_tail=False), limit)


def _names(element: lxml.html.HtmlElement, selector: str) -> tuple[str, ...]:
    names = (one_line(words_of(found, translated(selector)[1]), 200) for found in selected(element, selector)[:20])
    return tuple(dict.fromkeys(name for name in names if name))


def selected(element: lxml.html.HtmlElement, selector: str) -> list[lxml.html.HtmlElement]:
    """The elements that a selector finds, that one itself among them; none for no selector."""
    if not selector:
        return []
    found = _compiled(translated(selector)[0])(element)
    return found if isinstance(found, list) else []


@functools.lru_cache(maxsize=256)
def _compiled(xpath: str) -> lxml.etree.XPath:
    return lxml.etree.XPath(xpath, smart_strings=False)
