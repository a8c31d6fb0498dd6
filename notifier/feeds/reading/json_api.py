"""
Parse a publisher's JSON answer into entries by a declaration of where they are.

An answer that does not fit the declaration is refused with what was expected: a renamed field must not look like a day
without news (promise P2).
"""

from __future__ import annotations

from typing import Any

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading
from notifier.feeds.links import LONGEST, absolute
from notifier.feeds.paths import find, texts_at
from notifier.feeds.reading.charset import decode_text
from notifier.feeds.reading.dates import read_date
from notifier.feeds.reading.jsonfeed import decoded
from notifier.feeds.reading.next_page import next_page
from notifier.feeds.reading.plain import joined, one_line, to_text
from notifier.feeds.reading.prescan import within
from notifier.feeds.reading.walls import checks_for_humans
from notifier.feeds.shape import JsonShape


def read(document: Document, feed: Feed, shape: JsonShape) -> Reading:
    """
    The entries of a JSON answer in its order, and the address of its next page.

    Raises `Refused` with outcome not-a-feed (not JSON, another shape, or an error message), blocked (a human-check
    page), or parse-error (broken JSON, or over the limits).
    """
    text, guessed = decode_text(document.body, document.content_type)
    if text.lstrip()[:1] not in ("{", "["):
        if checks_for_humans(document.body[:65_536]):
            raise Refused("a page that checks for humans is served instead of the answer", outcome="blocked")
        raise Refused("not JSON, which was expected", outcome="not-a-feed")
    top = decoded(text.encode())
    found = _entries(top, shape)
    within(len(found), ITEMS, "items")
    entries = tuple(_Entry(item, top, document.url, feed).read(shape) for item in found if isinstance(item, dict))
    _refuse_strange(found, entries, shape)
    if all(entry.gone for entry in entries):
        # The field was dropped or renamed: they were not all withdrawn.
        entries = tuple(msgspec.structs.replace(entry, gone="") for entry in entries)
    lost = bool(entries and shape.link and not any(entry.link for entry in entries))
    following = next(texts_at(shape.paging.next, top, top), "") if shape.paging else ""
    return Reading(
        entries=entries,
        next=next_page(document.url, shape.paging, following) if entries else "",
        warnings=tuple(filter(None, (guessed, f"no entry has a link at “{shape.link}”" if lost else ""))),
    )


def _entries(top: object, shape: JsonShape) -> list[object]:
    """The values at the declared path of entries; none if the answer says that there are none."""
    found = list(find(shape.entries, top, top))
    if len(found) == 1 and isinstance(found[0], list):
        return found[0]
    if found and all(isinstance(each, dict) for each in found):
        return found
    if not found and any(number == "0" or not number.isdecimal() for number in texts_at(shape.known_by, top, top)):
        return []
    raise Refused(f"JSON without entries at “{shape.entries}”: {_shown(top)}", outcome="not-a-feed")


def _shown(top: object) -> str:
    """An answer of another shape in short: its error message, or its keys."""
    if not isinstance(top, dict):
        return "it is a list"
    for name in ("errors", "error", "message"):
        if complaint := top.get(name):
            words = complaint if isinstance(complaint, str) else msgspec.json.encode(complaint).decode()
            return f"it answers with an error, {one_line(words, 200)}"
    return f"it holds {one_line(', '.join(map(str, top)), 200) or 'nothing'}"


def _refuse_strange(found: list[object], entries: tuple[Entry, ...], shape: JsonShape) -> None:
    """Raise `Refused` if the entries are not objects, or if none has an id or a title as declared."""
    if found and not entries:
        raise Refused(f"JSON with something other than objects at “{shape.entries}”", outcome="not-a-feed")
    for name in ("id", "title"):
        path = getattr(shape, name)
        if entries and path and not any(getattr(entry, name) for entry in entries):
            raise Refused(f"JSON whose entries have no {name} at “{path}”", outcome="not-a-feed")


class _Entry:
    """One object of an answer, from which an entry is read."""

    def __init__(self, item: dict[str, Any], top: object, url: str, feed: Feed) -> None:
        self._item, self._top, self._url, self._feed = item, top, url, feed

    def read(self, shape: JsonShape) -> Entry:
        published, updated = self._first(shape.published), self._first(shape.updated)
        feed = self._feed
        return Entry(
            id=one_line(self._first(shape.id), LONGEST),
            title=one_line(to_text(self._first(shape.title))),
            link=absolute(self._first(shape.link), self._url),
            published=read_date(published, feed.dates, feed.timezone),
            updated=read_date(updated, feed.dates, feed.timezone),
            published_raw=one_line(published or updated, 100),
            summary=self._text(shape.summary),
            text=self._text(shape.text),
            authors=self._names(shape.authors),
            tags=self._names(shape.tags),
            gone=f"its feed lists it without {shape.in_force}"
            if shape.in_force and not self._first(shape.in_force)
            else "",
        )

    def _first(self, template: str) -> str:
        return next(texts_at(template, self._item, self._top), "")

    def _all(self, templates: tuple[str, ...]) -> list[str]:
        return [word for template in templates for word in texts_at(template, self._item, self._top)]

    def _text(self, templates: tuple[str, ...]) -> str:
        # Each on its own: unclosed markup in one must not affect the next.
        return joined(filter(None, map(to_text, self._all(templates))))

    def _names(self, templates: tuple[str, ...]) -> tuple[str, ...]:
        names = (one_line(to_text(word), 200) for word in self._all(templates))
        return tuple(dict.fromkeys(name for name in names if name))[:20]
