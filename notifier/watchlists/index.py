"""
All watchlists, held against one statement.

A query is looked at only when the statement has a word that it cannot do without. What is looked at is decided by the
query itself, so the answer is the same as asking every watchlist alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from notifier.statement import Statement
from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase
from notifier.watchlists.query import version
from notifier.watchlists.search import SEARCHED, Text, holds
from notifier.watchlists.watchlist import Watchlist

# Field ("" for the title, summary and body) and term.
Clue = tuple[str, str]


class _Entry(msgspec.Struct):
    """One query, and the watchlists that share it. `clues` is None where any text at all may match."""

    expression: Expression
    clues: frozenset[Clue] | None
    watchlists: dict[tuple[str, str], Watchlist]


class Index:
    """The watchlists in force. `version` changes with all that makes the same query match something else."""

    def __init__(self) -> None:
        self.version = version()
        self._watchlists: dict[tuple[str, str], Watchlist] = {}
        self._entries: dict[str, _Entry] = {}  # by the query's text
        self._by_clue: dict[str, dict[str, dict[str, _Entry]]] = {}  # field → term → query → entry
        self._always: dict[str, _Entry] = {}

    def add(self, watchlist: Watchlist) -> None:
        """Take up a watchlist, in place of one of the same key."""
        if watchlist.key in self._watchlists:
            self.remove(watchlist.key)
        self._watchlists[watchlist.key] = watchlist
        query = watchlist.query
        entry = self._entries.get(query.text)
        if entry is None:
            entry = _Entry(query.expression, clues(query.expression), {})
            self._entries[query.text] = entry
            for place in self._places(entry):
                place[query.text] = entry
        entry.watchlists[watchlist.key] = watchlist

    def remove(self, key: tuple[str, str]) -> None:
        """Forget the watchlist of this subscriber and name. Raises KeyError where there is none."""
        query = self._watchlists.pop(key).query.text
        entry = self._entries[query]
        del entry.watchlists[key]
        if not entry.watchlists:
            del self._entries[query]
            for place in self._places(entry):
                del place[query]
            self._forget_empty(entry)

    def matches(self, statement: Statement) -> list[Watchlist]:
        """The watchlists that the statement matches, by subscriber, then name."""
        text = Text(statement.fields())
        found: list[Watchlist] = []
        for entry in self._candidates(text):
            asking = [each for each in entry.watchlists.values() if each.covers(statement.feed, statement.issuer)]
            if asking and holds(entry.expression, text):
                found += asking
        return sorted(found, key=lambda watchlist: watchlist.key)

    def _places(self, entry: _Entry) -> Iterator[dict[str, _Entry]]:
        """Where an entry is, or is to be, kept."""
        if entry.clues is None:
            yield self._always
            return
        for field, term in entry.clues:
            yield self._by_clue.setdefault(field, {}).setdefault(term, {})

    def _forget_empty(self, entry: _Entry) -> None:
        for field, term in entry.clues or ():
            if not self._by_clue[field][term]:
                del self._by_clue[field][term]
            if not self._by_clue[field]:
                del self._by_clue[field]

    def _candidates(self, text: Text) -> Iterable[_Entry]:
        found = dict(self._always)
        for field, by_term in self._by_clue.items():
            for name in (field,) if field else SEARCHED:
                words = text.words(name)
                for term in by_term.keys() & (words.places.keys() | words.joined.keys()):
                    found.update(by_term[term])
        return found.values()


def clues(expression: Expression) -> frozenset[Clue] | None:
    """Terms of which a text must have one for it to be true: as a word, or as a hyphenated one closed up."""
    match expression:
        case And(parts):
            return _best(map(clues, parts))
        case Near(left, right):
            return _best([clues(left), clues(right)])
        case Apart(left):
            return clues(left)
        case Or(parts):
            every = [found for found in map(clues, parts) if found is not None]
            return frozenset().union(*every) if len(every) == len(parts) else None
        case Not():
            return None
        case Phrase():
            return _best(_clue(expression, index) for index in range(len(expression.words)))


def _clue(phrase: Phrase, index: int) -> frozenset[Clue] | None:
    """What a text must have for one word of a phrase."""
    wanted = [phrase.words[index]]
    wanted += [closed.word for closed in phrase.closed if closed.first <= index < closed.after]
    if any(word.wild for word in wanted):
        return None
    return frozenset((phrase.field, word.term) for word in wanted)


def _best(found: Iterable[frozenset[Clue] | None]) -> frozenset[Clue] | None:
    """The fewest terms and, among as many, the longest: long words are rare."""
    some = [each for each in found if each is not None]
    return min(some, key=lambda each: (len(each), -sum(len(term) for _, term in each)), default=None)
