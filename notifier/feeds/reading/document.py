"""
Parse a feed's document into entries.

feedparser parses XML feeds after prescan.py has checked their shape; jsonfeed.py parses JSON Feed, json_api.py and
html_list.py documents of a declared shape.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urljoin

import feedparser
import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading
from notifier.feeds.links import LONGEST, absolute
from notifier.feeds.reading import html_list as page
from notifier.feeds.reading import json_api, jsonfeed
from notifier.feeds.reading.charset import decode_text
from notifier.feeds.reading.dates import read_date
from notifier.feeds.reading.plain import one_line, tag_of_language, to_text
from notifier.feeds.reading.prescan import cut_short, deleted, ends_inside_item, prescan, within
from notifier.feeds.reading.walls import checks_for_humans

_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|title)\b", re.I)
_FEED = re.compile(rb"<\s*(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s>]", re.I)
_ITEM = re.compile(rb"<\s*(?:[\w.-]+:)?(?:item|entry)[\s>]", re.I)
_XML = re.compile(r"^\s*(?:<\?xml[^>]*\?>)?\s*")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));")
_ENDED = "this feed has ended"


def read(document: Document, feed: Feed) -> Reading:
    """
    The document's entries in its own order.

    Raises `Refused` with outcome not-a-feed, blocked (a human-check page), retired (an entry says that the feed has
    ended) or parse-error (a hostile shape, or not readable at all).
    """
    reading = _read(document, feed)
    if not reading.lang or feed.lang:
        return reading
    # The channel's language is that of its entries, unless the operator has set another.
    entries = (entry if entry.lang else msgspec.structs.replace(entry, lang=reading.lang) for entry in reading.entries)
    return msgspec.structs.replace(reading, entries=tuple(entries))


def _read(document: Document, feed: Feed) -> Reading:
    if feed.json is not None:
        return json_api.read(document, feed, feed.json)
    if feed.html is not None:
        return page.read(document, feed, feed.html)
    text, guessed = decode_text(document.body, document.content_type)
    if text.lstrip()[:1] in ("{", "["):
        return jsonfeed.read(text.encode(), document.url, feed)
    body = _mended(text)
    _refuse_other(body)
    problem = prescan(body)
    parsed = _parsed(body)
    found = parsed["entries"]
    if not parsed.get("version") and not found and not _FEED.search(body[:4096]):
        raise Refused("XML, but not a feed", outcome="not-a-feed")
    if problem and not found and _ITEM.search(body):
        raise Refused(problem, outcome="parse-error")
    within(len(found), ITEMS, "items")
    cut = bool(problem) and cut_short(body)
    last = len(found) - 1 if cut and ends_inside_item(body) else None
    base = _base_of(parsed, document.url)
    entries = tuple(_entry(dict(raw), feed, base, whole=n != last) for n, raw in enumerate(found))
    if len(entries) == 1 and entries[0].title.casefold() == _ENDED:
        raise Refused("its publisher says that this feed has ended", outcome="retired")
    channel = parsed["feed"]
    return Reading(
        entries=entries,
        title=one_line(to_text(str(channel.get("title", "")))),
        link=absolute(str(channel.get("link", "")), document.url),
        lang=tag_of_language(str(channel.get("language", ""))),
        problem="the document is cut short" if cut else problem,
        cut_short=cut,
        warnings=_warnings(entries, guessed),
        deleted=tuple(one_line(id, LONGEST) for id in deleted(body)[:ITEMS]),
        hub=_related(channel, "hub", document.url),
        topic=_related(channel, "self", document.url),
    )


def _related(channel: Mapping[str, Any], relation: str, url: str) -> str:
    """The address of the feed's own link with a relation, as in Atom; "" if it has none."""
    links = (link.get("href") for link in channel.get("links", ()) if link.get("rel") == relation)
    return absolute(str(next(links, "") or ""), url)


def _mended(text: str) -> bytes:
    """The document as UTF-8, without characters that XML does not allow and that mislead or stop a parser."""
    text = _REFERENCE.sub(_reference, _NOT_IN_XML.sub("", text))
    before = _XML.match(text)
    end = before.end() if before else 0
    # Line numbers stay the same: errors name them.
    return ('<?xml version="1.0" encoding="utf-8"?>' + "\n" * text.count("\n", 0, end) + text[end:]).encode()


def _reference(found: re.Match[str]) -> str:
    """A reference to a character: unchanged if XML allows it, "" if not, U+FFFD if there is no such character."""
    digits = (found.group(1) or found.group(2)).lstrip("0")
    if 0 < len(digits) < 9:
        number = int(digits, 16 if found.group(1) else 10)
        if number < 0xD800 or 0xDFFF < number < 0x110000:
            return "" if _NOT_IN_XML.match(chr(number)) else found.group(0)
    return "\ufffd"


def _refuse_other(body: bytes) -> None:
    """Raise `Refused` if the content is plainly not a feed, whatever its Content-Type."""
    start = body.partition(b"?>")[2][:65_536]
    if not start.strip():
        raise Refused("the document is empty", outcome="not-a-feed")
    if _FEED.search(start):
        return
    if checks_for_humans(start):
        raise Refused("a page that checks for humans is served instead of the feed", outcome="blocked")
    if _HTML.search(start[:4096]):
        raise Refused("a web page, not a feed", outcome="not-a-feed")
    if b"<" not in start[:4096]:
        raise Refused("neither XML nor JSON, so not a feed", outcome="not-a-feed")


def _parsed(body: bytes) -> Mapping[str, Any]:
    options = {"sanitize_html": False, "resolve_relative_uris": False}
    try:
        # A stream: feedparser may take bytes or text for a file name or a URL.
        parsed: Mapping[str, Any] = feedparser.parse(io.BytesIO(body), **options)
    except (ValueError, LookupError, OverflowError, AssertionError, TypeError, AttributeError) as error:
        raise Refused(f"the parser failed: {type(error).__name__}", outcome="parse-error") from error
    return parsed


def _base_of(parsed: Mapping[str, Any], url: str) -> str:
    """The base of relative links: the feed's own address in Atom (RFC 4287), its site's in RSS by custom."""
    if str(parsed.get("version", "")).startswith("atom"):
        return url
    return absolute(str(parsed["feed"].get("link", "")), url) or url


def _entry(raw: dict[str, Any], feed: Feed, base: str, *, whole: bool) -> Entry:
    # A plain dict: feedparser's own returns `published` for a missing `updated`.
    published_raw = one_line(str(raw.get("published", "") or raw.get("updated", "")), 100)
    summary, text = _words(raw)
    return Entry(
        id=one_line(str(raw.get("id", "")), LONGEST),
        title=one_line(to_text(str(raw.get("title", "")))),
        link=_link(raw, _own_base(raw, base)),
        published=read_date(published_raw, feed.dates, feed.timezone),
        updated=read_date(str(raw.get("updated", "")), feed.dates, feed.timezone),
        published_raw=published_raw,
        summary=summary,
        text=text,
        authors=_names(raw.get("authors", ()), "name"),
        tags=_names(raw.get("tags", ()), "term"),
        lang=tag_of_language(str((raw.get("title_detail") or {}).get("language") or "")),
        whole=whole,
    )


def _words(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Summary and text. The text is the longest content, or "" if that is the same as the summary."""
    summary = to_text(str(raw.get("summary", "")))
    contents = [to_text(str(content.get("value", ""))) for content in raw.get("content", ())[:5]]
    text = max(contents, key=len, default="")
    return summary, "" if text == summary else text


def _own_base(raw: Mapping[str, Any], base: str) -> str:
    for name in ("title_detail", "summary_detail"):
        if own := (raw.get(name) or {}).get("base"):
            return urljoin(base, str(own))
    return base


def _link(raw: Mapping[str, Any], base: str) -> str:
    """The entry's http(s) link, or "": preferably the alternate link to a web page."""
    links = [link for link in raw.get("links", ()) if link.get("rel") in (None, "alternate") and link.get("href")]
    pages = [link["href"] for link in links if link.get("type") in (None, "", "text/html", "application/xhtml+xml")]
    for href in [*pages, raw.get("link", ""), *(link["href"] for link in links)]:
        if link := absolute(str(href), base):
            return link
    return ""


def _names(found: Iterable[Mapping[str, Any]], key: str) -> tuple[str, ...]:
    names = (one_line(str(name.get(key) or ""), 200) for name in list(found)[:20] if isinstance(name, Mapping))
    return tuple(dict.fromkeys(name for name in names if name))


def _warnings(entries: Iterable[Entry], guessed: str) -> tuple[str, ...]:
    text = "".join(entry.title + entry.summary for entry in entries)
    warnings = [guessed] if guessed else []
    if text.count("\ufffd") > max(5, len(text) // 200):
        warnings.append("many characters could not be decoded: is its declared charset wrong?")
    if text.count("?") > max(20, len(text) // 10):
        warnings.append("one character in ten is a question mark: were its characters lost?")
    return tuple(warnings)
