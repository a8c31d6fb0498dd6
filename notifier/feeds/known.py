"""
The statements that the log holds: which a feed published, in which wordings, and how often it revised them.

A projection: it may be discarded and is rebuilt from the log. Each statement is one number and one string of bytes, so
that a million of them (ten thousand feeds) take far less than 200 MB.
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

_WORDS, _DAY = 12, 3  # bytes of a fingerprint, and of the day of publication (0: undated)
_EACH = _WORDS + _DAY
_EVENT = 16  # bytes of an event's id
_OFTEN = _DAY + 1  # bytes of the day of the last revision, and of the number of revisions on that day
_HEAD = _EVENT + _OFTEN

_FOLDED = (StatementPublished, StatementRevised)


class Wording(NamedTuple):
    """One known wording: the day (UTC) of the statement, None if undated, and the event of its newest wording."""

    day: date | None
    event_bytes: bytes

    @property
    def event(self) -> str:
        """The id of the event with the newest wording of the statement that once had this one."""
        return str(UUID(bytes=self.event_bytes))


class Known:
    """All statements by feed, folded from events with `apply`."""

    def __init__(self) -> None:
        # feed → a hash of the statement's id → packed bytes: the id of the event with its newest wording, the day of
        # its last revision that was not muted and their number on that day, then all its wordings, the newest last,
        # each with its day.
        self._feeds: dict[str, dict[int, bytes]] = {}

    def apply(self, event: Event, id: str = "") -> None:
        """Fold one event; `id` spares computing it. Other types are ignored, and folding twice changes nothing."""
        # A start folds a million of these, so this is written for speed.
        if not isinstance(event, _FOLDED):
            return
        if isinstance(event, StatementRevised) and event.page:
            # The words of a page are not a wording of the feed.
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
        """The fingerprints of all wordings of a statement, the newest last; empty for one that is not known."""
        return tuple(words for words, _ in _each(self._feeds.get(feed, {}).get(_short(id), b"")))

    def is_news(self, statement: Statement) -> bool:
        """Is this statement new, or in words that it has never had in its feed?"""
        return statement.fingerprint not in self.wordings(statement.feed, statement.id)

    def newest(self, feed: str, id: str) -> str:
        """The id of the event with a statement's newest wording; "" for one that is not known."""
        held = self._feeds.get(feed, {}).get(_short(id))
        return str(UUID(bytes=held[:_EVENT])) if held else ""

    def revised_on(self, feed: str, id: str, moment: datetime) -> int:
        """The number of unmuted revisions of a statement on the day (UTC) of a moment, at most 255."""
        held = self._feeds.get(feed, {}).get(_short(id), bytes(_HEAD))
        return _often(held[_EVENT:_HEAD], moment.date().toordinal().to_bytes(_DAY, "big"))

    def by_words(self, feed: str, without: Collection[str]) -> dict[str, Wording]:
        """A feed's wordings by fingerprint, leaving out the statements whose ids are in `without`."""
        statements = self._feeds.get(feed, {})
        left_out = {_short(id) for id in without} if statements else set()
        return {
            words: Wording(date.fromordinal(day) if day else None, held[:_EVENT])
            for id, held in statements.items()
            if id not in left_out
            for words, day in _each(held)
        }


def day_of(statement: Statement) -> date | None:
    """The day (UTC) of a statement's publication; None if it is undated."""
    return statement.published_at.date() if statement.published_at else None


def _each(held: bytes) -> Iterator[tuple[str, int]]:
    for at in range(_HEAD, len(held), _EACH):
        yield held[at : at + _WORDS].hex(), int.from_bytes(held[at + _WORDS : at + _EACH], "big")


def _packed_id(id: str) -> bytes:
    return bytes.fromhex(id.replace("-", ""))


def _often(packed: bytes, day: bytes) -> int:
    """The packed number of revisions if it is of this day, else 0."""
    return packed[_DAY] if packed[:_DAY] == day else 0


def _short(id: str) -> int:
    """A 64-bit hash of a statement's id: the 16 hex digits that most ids end in, after their feed's name."""
    if id[-17:-16] == "/":
        try:
            return int(id[-16:], 16)
        except ValueError:
            pass
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big")
