"""Parse JSON Feed 1.0 and 1.1 (jsonfeed.org) into entries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import ITEMS, Entry, Feed, Reading
from notifier.feeds.links import LONGEST, absolute
from notifier.feeds.reading.dates import read_date
from notifier.feeds.reading.plain import one_line, tag_of_language, to_text
from notifier.feeds.reading.prescan import within

# Escapes of half a character, as left by a cut between the two. Whole ones and escaped backslashes stay.
_HALVES = re.compile(rb"(\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)|\\u[dD][89a-fA-F]\w\w")


def read(body: bytes, url: str, feed: Feed) -> Reading:
    """
    The entries of a JSON Feed (UTF-8) found at `url`. Items that are not objects are left out.

    Raises `Refused` with outcome not-a-feed or parse-error; a feed that is cut short cannot be read at all.
    """
    found = decoded(body)
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(found.get("version", "")):
        raise Refused("JSON, but not a JSON Feed", outcome="not-a-feed")
    within(len(items), ITEMS, "items")
    link, hubs = absolute(_text_at(found, "home_page_url"), url), _objects(found.get("hubs"))
    return Reading(
        entries=tuple(_entry(item, feed, link or url) for item in items if isinstance(item, dict)),
        title=one_line(to_text(_text_at(found, "title"))),
        link=link,
        lang=tag_of_language(_text_at(found, "language")),
        hub=next(
            (absolute(_text_at(hub, "url"), url) for hub in hubs if _text_at(hub, "type").lower() == "websub"), ""
        ),
        topic=absolute(_text_at(found, "feed_url"), url),
    )


def decoded(body: bytes) -> Any:
    """Decode JSON (UTF-8) to plain values. Raises `Refused("parse-error")`."""
    try:
        return msgspec.json.decode(_HALVES.sub(_mended, body))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"JSON that cannot be read: {error}", outcome="parse-error") from error


def _mended(found: re.Match[bytes]) -> bytes:
    return found.group(1) or rb"\ufffd"


def _entry(item: dict[str, Any], feed: Feed, base: str) -> Entry:
    summary = to_text(_text_at(item, "summary"))
    text = to_text(_text_at(item, "content_html")) or to_text(_text_at(item, "content_text"))
    published_raw = one_line(_text_at(item, "date_published"), 100)
    return Entry(
        id=one_line(_text_at(item, "id"), LONGEST),
        title=one_line(to_text(_text_at(item, "title"))),
        link=absolute(_text_at(item, "url"), base) or absolute(_text_at(item, "external_url"), base),
        published=read_date(published_raw, feed.dates, feed.timezone),
        updated=read_date(_text_at(item, "date_modified"), feed.dates, feed.timezone),
        published_raw=published_raw,
        summary=summary or text,
        text="" if not summary or text == summary else text,
        authors=_distinct(_text_at(who, "name") for who in _objects(item.get("authors") or [item.get("author")])),
        tags=_distinct(tag for tag in _list(item.get("tags")) if isinstance(tag, str)),
        lang=tag_of_language(_text_at(item, "language")),
    )


def _text_at(item: dict[str, Any], name: str) -> str:
    """The text or number at a key as text, else "": some publishers number their items."""
    value = item.get(name)
    return str(value) if isinstance(value, str | int | float) else ""


def _list(value: object) -> list[object]:
    return value[:20] if isinstance(value, list) else []


def _objects(value: object) -> Iterable[dict[str, Any]]:
    return (found for found in _list(value) if isinstance(found, dict))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    lines = (one_line(name, 200) for name in names)
    return tuple(dict.fromkeys(line for line in lines if line))
