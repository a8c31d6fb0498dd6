"""JSON Feed 1.0 and 1.1 (jsonfeed.org) → entries."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from notifier.errors import Refused
from notifier.feeds.dates import read_date
from notifier.feeds.feed import Document, Entry, Feed, Reading
from notifier.feeds.plain import one_line, to_text
from notifier.feeds.prescan import ITEMS


def read(document: Document, feed: Feed) -> Reading:
    """The entries of a JSON Feed. Raises `Refused` with outcome not-a-feed or parse-error."""
    try:
        found = msgspec.json.decode(document.body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"JSON that cannot be read: {error}", outcome="parse-error") from error
    items = found.get("items")
    if "jsonfeed.org" not in str(found.get("version", "")) or not isinstance(items, list):
        raise Refused("JSON, but not a JSON Feed", outcome="not-a-feed")
    base = _web(str(found.get("home_page_url", "")), document.url) or document.url
    entries = tuple(_entry(item, feed, base) for item in items[:ITEMS] if isinstance(item, dict))
    title = one_line(to_text(str(found.get("title", ""))))
    return Reading(entries=entries, title=title, link=base, lang=str(found.get("language", ""))[:35])


def _entry(item: dict[str, Any], feed: Feed, base: str) -> Entry:
    def said(name: str) -> str:
        value = item.get(name)
        return str(value) if isinstance(value, str | int | float) else ""

    summary = to_text(said("summary"))
    text = to_text(said("content_html")) or to_text(said("content_text"))
    published_raw = one_line(said("date_published"), 100)
    authors = item.get("authors") or [item.get("author")]
    return Entry(
        id=said("id").strip()[:2_000],
        title=one_line(to_text(said("title"))),
        link=_web(said("url"), base) or _web(said("external_url"), base),
        published=read_date(published_raw, feed.dates, feed.timezone),
        updated=read_date(said("date_modified"), feed.dates, feed.timezone),
        published_raw=published_raw,
        summary=summary or text,
        text="" if not summary or text == summary else text,
        authors=tuple(one_line(str(who.get("name", "")), 200) for who in authors if isinstance(who, dict))[:20],
        tags=tuple(one_line(str(tag), 200) for tag in item.get("tags") or ())[:20],
        lang=said("language")[:35],
    )


def _web(href: str, base: str) -> str:
    try:
        joined = urljoin(base, href) if href else ""
        web = urlsplit(joined).scheme in ("http", "https") and bool(urlsplit(joined).hostname)
    except ValueError:
        return ""
    return joined if web and len(joined) <= 2_000 else ""
