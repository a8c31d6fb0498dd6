"""
What we hold already, folded from the log: which statements a feed made, and in which words.

Thrown away freely and rebuilt identically. A statement is one number and one string of bytes, so that a million of
them, ten thousand feeds' worth, stay far below 200 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from datetime import date
from uuid import UUID

from notifier.events import Event, StatementPublished, StatementRevised
from notifier.statement import Statement

_WORDS, _DAY = 12, 3  # bytes of a fingerprint, and of the day it was published on (0: undated)
_EACH = _WORDS + _DAY
_EVENT = 16  # bytes of an event's id


class Known:
    """All statements by feed. `apply` folds an event; events of other types pass by."""

    def __init__(self) -> None:
        # feed → a hash of the statement's id → the id of the event that told its newest wording, then all wordings it
        # had, the newest last, each with its day
        self._feeds: dict[str, dict[int, bytes]] = {}

    def apply(self, event: Event) -> None:
        """Fold one event. Folding it again changes nothing."""
        if not isinstance(event, StatementPublished | StatementRevised):
            return
        if isinstance(event, StatementRevised) and event.page:
            # What its page says was never a wording of the feed.
            return
        statement = event.statement
        statements = self._feeds.setdefault(statement.feed, {})
        id = _short(statement.id)
        held = statements.get(id, bytes(_EVENT))
        if statement.fingerprint not in (words for words, _ in _each(held)):
            day = day_of(statement)
            packed = bytes.fromhex(statement.fingerprint) + (day.toordinal() if day else 0).to_bytes(_DAY, "big")
            statements[id] = UUID(event.id).bytes + held[_EVENT:] + packed

    def wordings(self, feed: str, id: str) -> tuple[str, ...]:
        """The fingerprints of all wordings that a statement has had, the newest last; none for one that is new."""
        return tuple(words for words, _ in _each(self._feeds.get(feed, {}).get(_short(id), b"")))

    def newest(self, feed: str, id: str) -> str:
        """The id of the event that told a statement's newest wording; "" for one that is new."""
        held = self._feeds.get(feed, {}).get(_short(id))
        return str(UUID(bytes=held[:_EVENT])) if held else ""

    def by_words(self, feed: str, without: Collection[str]) -> dict[str, date | None]:
        """
        All fingerprints of a feed and the day of each (UTC; None where undated), but for those of the statements
        whose ids are in `without`.
        """
        statements = self._feeds.get(feed, {})
        left_out = {_short(id) for id in without} if statements else set()
        return {
            words: date.fromordinal(day) if day else None
            for id, held in statements.items()
            if id not in left_out
            for words, day in _each(held)
        }


def day_of(statement: Statement) -> date | None:
    """The day (UTC) that a statement bears."""
    return statement.published_at.date() if statement.published_at else None


def _each(held: bytes) -> Iterator[tuple[str, int]]:
    for at in range(_EVENT, len(held), _EACH):
        yield held[at : at + _WORDS].hex(), int.from_bytes(held[at + _WORDS : at + _EACH], "big")


def _short(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big")
