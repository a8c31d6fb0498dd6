"""
Fill the gap between two polls from a feed's further pages, or from an archive that keeps what has left the feed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec

from notifier.errors import Refused, TryLater
from notifier.feeds.catalogue import catalogue
from notifier.feeds.detect import as_statement, holds_known
from notifier.feeds.feed import Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.fetch import at
from notifier.feeds.known import Known
from notifier.feeds.paging import Fetch, Parse, with_further_pages

BACKFILL = 50  # pages that are read back, at most
GAP = "no entry of the last poll is left"


async def filled(feed: Feed, reading: Reading, known: Known, fetcher: Fetch, parser: Parse) -> tuple[Reading, str]:
    """
    Add to a reading that shares no entry with the last poll the entries published in between, as far as they are found.

    Returns the reading with these entries, and a sentence for the operator: how many were found, and whether some may
    still be missing. If a page cannot be read, the reading is marked as cut short and the next poll goes on from there.
    """
    archive = catalogue().get(feed.archive)
    try:
        if reading.next:
            older = await _pages(at(reading.next, feed), fetcher, parser, lambda page: holds_known(page, feed, known))
            missed, complete = older.entries, holds_known(older, feed, known)
        elif archive is not None:
            source = archive.feed(feed.every)
            older = await _pages(source, fetcher, parser, lambda page: any(map(_is_known(feed, known), _by_link(page))))
            missed, complete = _missed(feed, reading, older, known)
        else:
            return reading, f"{GAP}: something may have been published in between"
    except (TryLater, Refused) as failure:
        return reading, f"{GAP}, and what was published in between could not be read: {failure}"
    if older.cut_short and reading.next:
        # As after any page that fails, the next poll goes on where this one stopped.
        rest = {"cut_short": True, "problem": older.problem, "next": older.next}
        return msgspec.structs.replace(reading, entries=(*reading.entries, *missed), **rest), GAP
    entries = dict.fromkeys((*reading.entries, *missed))
    more = entries.keys() - set(reading.entries)
    found = f"{sum(not _is_known(feed, known)(entry) for entry in more):,} more were found further back"
    doubt = "" if complete else ", which may not be all that was published in between"
    return msgspec.structs.replace(reading, entries=tuple(entries), next=""), f"{GAP}; {found}{doubt}"


async def _pages(feed: Feed, fetcher: Fetch, parser: Parse, ends: Callable[[Reading], bool]) -> Reading:
    """The document at a feed's address with its further pages, up to one that `ends`, at most `BACKFILL` in all."""
    document = await fetcher.fetch(feed, Validators())
    if isinstance(document, Unchanged):
        return Reading(entries=())
    first = await parser.parse(document, feed)
    return await with_further_pages(feed, document, first, fetcher, parser, ends, BACKFILL)


def _missed(feed: Feed, reading: Reading, archive: Reading, known: Known) -> tuple[tuple[Entry, ...], bool]:
    """The archive's entries before the first known one that the document does not show; and whether there is one."""
    shown = {as_statement(entry, feed).id for entry in reading.entries}
    listed = [entry for entry in _by_link(archive) if as_statement(entry, feed).id not in shown]
    missed = tuple(itertools.takewhile(lambda entry: not _is_known(feed, known)(entry), listed))
    return missed, len(missed) < len(listed)


def _is_known(feed: Feed, known: Known) -> Callable[[Entry], bool]:
    return lambda entry: bool(known.wordings(feed.id, as_statement(entry, feed).id))


def _by_link(page: Reading) -> list[Entry]:
    """An archive's entries with their links as ids: links are what an archive shares with its feed."""
    return [msgspec.structs.replace(entry, id=entry.link) for entry in page.entries if entry.link]
