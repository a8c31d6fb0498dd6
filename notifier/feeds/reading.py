"""
A document's bytes → its entries.

feedparser reads the XML kinds, after a look at the document's shape; JSON Feed is read by us. This runs in a child
process (parse.py), because what a stranger sends may still be made to hurt.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import feedparser

from notifier.errors import Refused
from notifier.feeds import jsonfeed
from notifier.feeds.dates import read_date
from notifier.feeds.feed import Document, Entry, Feed, Reading
from notifier.feeds.plain import one_line, to_text
from notifier.feeds.prescan import ITEMS, cut_short, ends_inside_item, prescan

LINK = 2_000  # characters of a link that we keep

_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|body)\b", re.I)
_FEED = re.compile(rb"<\s*(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s>]", re.I)
_ITEM = re.compile(rb"<\s*(?:[\w.-]+:)?(?:item|entry)[\s>]", re.I)
_DECLARED = re.compile(rb"""^(\s*<\?xml[^>]*?encoding\s*=\s*["'])([^"']*)(["'])""", re.I)
_BAD_REFERENCE = re.compile(rb"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));")
_WALLS = re.compile(
    rb"captcha|incapsula|human verification|verify (?:that )?you are (?:a )?human|cf-chl|challenge-platform|awswaf|"
    rb"request unsuccessful|access denied|are you a robot|bot check|unusual traffic",
    re.I,
)
_ENDED = "this feed has ended"


def read(document: Document, feed: Feed) -> Reading:
    """
    The document's entries, newest first as it gives them.

    Raises `Refused` with outcome not-a-feed, blocked (a human-check page), retired (the publisher says that the feed
    has ended) or parse-error (a hostile shape, or nothing that can be read).
    """
    body = document.body
    if body.lstrip()[:1] == b"{":
        return jsonfeed.read(document, feed)
    _refuse_other(body)
    problem = prescan(body)
    parsed = _parsed(body)
    if not parsed.get("version") and not parsed["entries"] and not _FEED.search(body[:4096]):
        raise Refused("XML, but not a feed", outcome="not-a-feed")
    if problem and not parsed["entries"] and _ITEM.search(body):
        raise Refused(problem, outcome="parse-error")
    cut = cut_short(body)
    last_is_half = cut and ends_inside_item(body)
    channel = parsed["feed"]
    base = _absolute(str(channel.get("link", "")), document.url) or document.url
    total = len(parsed["entries"])
    entries = tuple(
        _entry(raw, feed, base, whole=not (last_is_half and n == total - 1))
        for n, raw in enumerate(parsed["entries"][:ITEMS])
    )
    if len(entries) == 1 and entries[0].title.casefold() == _ENDED:
        raise Refused("its publisher says that this feed has ended", outcome="retired")
    return Reading(
        entries=entries,
        title=one_line(to_text(str(channel.get("title", "")))),
        link=base,
        lang=str(channel.get("language", ""))[:35],
        problem="the document is cut short" if cut else problem,
        cut_short=cut,
        warnings=_warnings(entries),
    )


def _refuse_other(body: bytes) -> None:
    """Raise for what is plainly no feed, by what it is and not by what the server calls it."""
    if not body.strip():
        raise Refused("the document is empty", outcome="not-a-feed")
    if _FEED.search(body[:65_536]):
        return
    if _HTML.search(body[:4096]) or _WALLS.search(body[:65_536]):
        if _WALLS.search(body[:65_536]):
            raise Refused("a page that checks for humans stands before the feed", outcome="blocked")
        raise Refused("a web page and not a feed", outcome="not-a-feed")
    if b"\0" not in body[:4096] and b"<" not in body[:4096]:
        raise Refused("plain text and not a feed", outcome="not-a-feed")


def _parsed(body: bytes) -> Mapping[str, Any]:
    options = {"sanitize_html": False, "resolve_relative_uris": False}
    try:
        # A stream, never bytes or text: those feedparser may take for the name of a file or an address.
        parsed: Mapping[str, Any] = feedparser.parse(io.BytesIO(_mended(body)), **options)
    except (ValueError, LookupError, OverflowError, AssertionError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"the parser gave up: {type(error).__name__}", outcome="parse-error") from error
    return parsed


def _mended(body: bytes) -> bytes:
    """The bytes without what makes feedparser read wrongly, or raise."""
    declared = _DECLARED.search(body[:400])
    if declared and declared.group(2).lower() not in (b"utf-8", b"utf8") and _is_utf8(body):
        # Many declare an 8-bit set and send UTF-8. Text in such a set is next to never valid UTF-8 by chance.
        body = body[: declared.start(2)] + b"utf-8" + body[declared.end(2) :]
    return _BAD_REFERENCE.sub(_reference, body)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not body.isascii()


def _reference(found: re.Match[bytes]) -> bytes:
    """A character reference, unless it refers to no character."""
    digits = found.group(1) or found.group(2)
    if len(digits) < 9:
        number = int(digits, 16 if found.group(1) else 10)
        if 0 < number < 0xD800 or 0xDFFF < number < 0x110000:
            return found.group(0)
    return "\ufffd".encode()


def _entry(raw: Mapping[str, Any], feed: Feed, base: str, *, whole: bool) -> Entry:
    base = _base(raw, base)
    published_raw = one_line(str(raw.get("published", "") or raw.get("updated", "")), 100)
    summary, text = _words(raw)
    return Entry(
        id=str(raw.get("id", "")).strip()[:LINK],
        title=one_line(to_text(str(raw.get("title", "")))),
        link=_link(raw, base),
        published=read_date(published_raw, feed.dates, feed.timezone),
        updated=read_date(str(raw.get("updated", "")), feed.dates, feed.timezone),
        published_raw=published_raw,
        summary=summary,
        text=text,
        authors=_names(raw.get("authors", ()), "name"),
        tags=_names(raw.get("tags", ()), "term"),
        lang=str((raw.get("title_detail") or {}).get("language") or "")[:35],
        whole=whole,
    )


def _words(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Summary and text: the longest content is the text, unless it says just what the summary says."""
    summary = to_text(str(raw.get("summary", "")))
    contents = [to_text(str(content.get("value", ""))) for content in raw.get("content", ())[:5]]
    text = max(contents, key=len, default="")
    return summary, "" if text == summary else text


def _base(raw: Mapping[str, Any], base: str) -> str:
    for name in ("title_detail", "summary_detail"):
        if own := (raw.get(name) or {}).get("base"):
            return urljoin(base, str(own))
    return base


def _link(raw: Mapping[str, Any], base: str) -> str:
    """The entry's page: the alternate link of a web page before any other, an http(s) address or nothing."""
    links = [link for link in raw.get("links", ()) if link.get("rel") in (None, "alternate") and link.get("href")]
    pages = [link["href"] for link in links if link.get("type") in (None, "", "text/html", "application/xhtml+xml")]
    for href in [*pages, raw.get("link", ""), *(link["href"] for link in links)]:
        if link := _absolute(str(href), base):
            return link
    return ""


def _absolute(href: str, base: str) -> str:
    try:
        joined = urljoin(base, href.strip()) if base else href.strip()
        parts = urlsplit(joined)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or len(joined) > LINK:
        return ""
    return quote(joined, safe="/:?#[]@!$&'()*+,;=%~-._", errors="replace")


def _names(found: Iterable[Mapping[str, Any]], key: str) -> tuple[str, ...]:
    names = (one_line(str(name.get(key) or ""), 200) for name in list(found)[:20] if isinstance(name, Mapping))
    return tuple(dict.fromkeys(name for name in names if name))


def _warnings(entries: Iterable[Entry]) -> tuple[str, ...]:
    text = "".join(entry.title + entry.summary for entry in entries)
    letters = max(len(text), 1)
    warnings = []
    if text.count("\ufffd") > max(5, letters // 200):
        warnings.append("many characters could not be decoded: is its charset declared wrongly?")
    if text.count("?") > max(20, letters // 10):
        warnings.append("one character in ten is a question mark: has it lost its own script?")
    return tuple(warnings)
