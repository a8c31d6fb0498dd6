"""
What we hold already, folded from the log: which statements a feed made, and in which words.

Thrown away freely and rebuilt identically. Ids and words are kept as 8 bytes of a hash each, so that ten thousand
feeds fit where one used to.
"""

from __future__ import annotations

import hashlib
from datetime import date

from notifier.events import Event, StatementPublished, StatementRevised
from notifier.statement import Statement


class Known:
    """All statements by feed. `apply` folds an event; events of other types pass by."""

    def __init__(self) -> None:
        # feed → statement → the fingerprints of all wordings it had, the newest last
        self._statements: dict[str, dict[bytes, tuple[bytes, ...]]] = {}
        # feed → fingerprint → the day it was published, to know words that come back under another guid
        self._days: dict[str, dict[bytes, date | None]] = {}

    def apply(self, event: Event) -> None:
        """Fold one event."""
        if not isinstance(event, StatementPublished | StatementRevised):
            return
        statement = event.statement
        words = bytes.fromhex(statement.fingerprint)
        wordings = self._statements.setdefault(statement.feed, {})
        id = _short(statement.id)
        held = wordings.get(id, ())
        if words not in held:
            wordings[id] = (*held, words)
        self._days.setdefault(statement.feed, {})[words] = day_of(statement)

    def wordings(self, feed: str, id: str) -> tuple[str, ...]:
        """The fingerprints of all wordings that a statement has had, the newest last; none for one that is new."""
        return tuple(words.hex() for words in self._statements.get(feed, {}).get(_short(id), ()))

    def holds_words(self, statement: Statement) -> bool:
        """Did this feed say these words before, under whatever name?"""
        return bytes.fromhex(statement.fingerprint) in self._days.get(statement.feed, {})

    def said_on_that_day(self, statement: Statement) -> bool:
        """Did this feed say these words before on the same day, as far as both are dated?"""
        if not self.holds_words(statement):
            return False
        before = self._days[statement.feed][bytes.fromhex(statement.fingerprint)]
        return before is None or statement.published_at is None or before == day_of(statement)


def day_of(statement: Statement) -> date | None:
    """The day (UTC) that a statement bears."""
    return statement.published_at.date() if statement.published_at else None


def _short(id: str) -> bytes:
    return hashlib.blake2b(id.encode(), digest_size=8).digest()
