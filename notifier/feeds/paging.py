"""
Read a document that goes on over several pages, as feeds and archives may.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

import msgspec

from notifier.errors import Refused, TryLater
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.fetch import at, same_host


class Fetch(Protocol):
    """Fetches a feed's document. Raises `TryLater` or `Refused`; the error's `outcome` becomes the poll's."""

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged: ...


class Parse(Protocol):
    """Parses a document in isolation. Raises `TryLater` or `Refused`."""

    async def parse(self, document: Document, feed: Feed) -> Reading: ...


async def with_further_pages(
    feed: Feed,
    document: Document,
    first: Reading,
    fetcher: Fetch,
    parser: Parse,
    ends: Callable[[Reading], bool],
    pages: int = 0,
) -> Reading:
    """
    Read a document's further pages, at most `pages` or as many as its feed declares, and join all entries.

    Reading stops at a page that `ends`, is empty, repeats what came before, or is at another host. If a page cannot be
    read, the joined reading has the entries before it and is marked as cut short. Its `next` is the URL of the page
    that was left out, or "".
    """
    if feed.shape is None or feed.shape.paging is None:
        return first
    entries, page, asked = dict.fromkeys(first.entries), first, {document.url}
    known = Validators(body_hash=document.validators.body_hash)
    for number in range(2, (pages or feed.shape.paging.pages) + 1):
        if _is_last(page, asked, document) or ends(page):
            return _joined(first, entries)
        asked.add(page.next)
        try:
            answer = await fetcher.fetch(at(page.next, feed), known)
            if isinstance(answer, Unchanged):
                return _joined(first, entries)
            following = await parser.parse(answer, feed)
        except (TryLater, Refused) as failure:
            problem = f"page {number} could not be read: {failure}"
            return _joined(first, entries, problem=problem, cut_short=True, next=page.next)
        if entries.keys() >= set(following.entries):
            return _joined(first, entries)
        if len(entries) + len(following.entries) > ITEMS:
            break
        entries |= dict.fromkeys(following.entries)
        page = following
    over = not _is_last(page, asked, document) and not ends(page)
    return _joined(first, entries, next=page.next if over else "")


def _is_last(page: Reading, asked: Collection[str], document: Document) -> bool:
    return not page.next or page.next in asked or not same_host(page.next, document.url)


def _joined(first: Reading, entries: Iterable[Entry], **more: Any) -> Reading:
    return msgspec.structs.replace(first, **{"entries": tuple(entries), "next": "", **more})
