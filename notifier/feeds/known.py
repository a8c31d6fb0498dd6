"""
What we hold already, folded from the log: which statements a feed made, in which words, and how often it changed them.

Thrown away freely and rebuilt identically. A statement is one number and one string of bytes, so that a million of
them, ten thousand feeds' worth, stay far below 200 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.statement import Statement

_WORDS, _DAY = 12, 3  # bytes of a fingerprint, and of the day it was published on (0: undated)
_EACH = _WORDS + _DAY
_EVENT = 16  # bytes of an event's id
_OFTEN = _DAY + 1  # bytes of the day on which a statement was last revised, and of how often on that day
_HEAD = _EVENT + _OFTEN

_TOLD = (StatementPublished, StatementRevised)


class Wording(NamedTuple):
    """Words that we hold: the day (UTC) that they bear, None where undated, and the event that told the statement."""

    day: date | None
    event_bytes: bytes

    @property
    def event(self) -> str:
        """The id of the event that told the newest wording of the statement that had these words."""
        return str(UUID(bytes=self.event_bytes))


class Known:
    """All statements by feed. `apply` folds an event; events of other types pass by."""

    def __init__(self) -> None:
        # feed → a hash of the statement's id → the id of the event that told its newest wording, the day of its last
        # revision that was no quiet one and their number on that day, then all wordings it had, the newest last, each
        # with its day
        self._feeds: dict[str, dict[int, bytes]] = {}

    def apply(self, event: Event, id: str = "") -> None:
        """Fold one event, whose id need not be worked out again where it is given. Again, it changes nothing."""
        # A start folds a million of these, so this is written for speed.
        if not isinstance(event, _TOLD):
            return
        if isinstance(event, StatementRevised) and event.page:
            # What its page says was never a wording of the feed.
            return
        statement = event.statement
        statements = self._feeds.get(statement.feed)
        if statements is None:
            statements = self._feeds[statement.feed] = {}
        short, words, day = _short(statement.id), bytes.fromhex(statement.fingerprint), statement.published_at
        packed = words + day.toordinal().to_bytes(_DAY, "big") if day else words + bytes(_DAY)
        held = statements.get(short)
        if held is None:
            held = bytes(_HEAD)
        elif statement.fingerprint in (words for words, _ in _each(held)):
            return
        often = held[_EVENT:_HEAD]
        if isinstance(event, StatementRevised) and not event.muted_because:
            today = event.seen_at.date().toordinal().to_bytes(_DAY, "big")
            often = today + bytes([min(_often(often, today) + 1, 255)])
        statements[short] = _packed_id(id or event.id) + often + held[_HEAD:] + packed

    def wordings(self, feed: str, id: str) -> tuple[str, ...]:
        """The fingerprints of all wordings that a statement has had, the newest last; none for one that is new."""
        return tuple(words for words, _ in _each(self._feeds.get(feed, {}).get(_short(id), b"")))

    def is_news(self, statement: Statement) -> bool:
        """Has this statement never had these words, as far as its feed showed?"""
        return statement.fingerprint not in self.wordings(statement.feed, statement.id)

    def newest(self, feed: str, id: str) -> str:
        """The id of the event that told a statement's newest wording; "" for one that is new."""
        held = self._feeds.get(feed, {}).get(_short(id))
        return str(UUID(bytes=held[:_EVENT])) if held else ""

    def revised_on(self, feed: str, id: str, moment: datetime) -> int:
        """How often a statement was revised on the day (UTC) of a moment, quiet revisions aside; at most 255."""
        held = self._feeds.get(feed, {}).get(_short(id), bytes(_HEAD))
        return _often(held[_EVENT:_HEAD], moment.date().toordinal().to_bytes(_DAY, "big"))

    def by_words(self, feed: str, without: Collection[str]) -> dict[str, Wording]:
        """All fingerprints of a feed, but for those of the statements whose ids are in `without`."""
        statements = self._feeds.get(feed, {})
        left_out = {_short(id) for id in without} if statements else set()
        return {
            words: Wording(date.fromordinal(day) if day else None, held[:_EVENT])
            for id, held in statements.items()
            if id not in left_out
            for words, day in _each(held)
        }


def day_of(statement: Statement) -> date | None:
    """The day (UTC) that a statement bears."""
    return statement.published_at.date() if statement.published_at else None


def _each(held: bytes) -> Iterator[tuple[str, int]]:
    for at in range(_HEAD, len(held), _EACH):
        yield held[at : at + _WORDS].hex(), int.from_bytes(held[at + _WORDS : at + _EACH], "big")


def _packed_id(id: str) -> bytes:
    return bytes.fromhex(id.replace("-", ""))


def _often(packed: bytes, day: bytes) -> int:
    """How many revisions are packed there of this day; those of another day are over."""
    return packed[_DAY] if packed[:_DAY] == day else 0


def _short(id: str) -> int:
    """A hash of a statement's id; most end in one of the width that we want, behind the name of their feed."""
    if id[-17:-16] == "/":
        try:
            return int(id[-16:], 16)
        except ValueError:
            pass
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big")
