"""
The leaves of queries by their numbers: who holds them, and which of them a statement has.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from notifier.watchlists.expression import Word
from notifier.watchlists.index.numbers import Numbers, Places, distinct, enough
from notifier.watchlists.index.phrasebook import Hits, Phrasebook
from notifier.watchlists.index.relations import Relations, Test
from notifier.watchlists.index.vocabulary import Stream, Vocabulary
from notifier.watchlists.search import SEARCHED, Text

# What a leaf is: a phrase by its bytes, a class by its word, a leaf within a field, or a test.
_Key = bytes | Word | tuple[str, int] | Test | None


class LeavesFound:
    """The leaves that a statement holds: `present`, their numbers, rising."""

    def __init__(self, present: Numbers) -> None:
        self.present = present
        self._set: frozenset[int] | None = None

    def __contains__(self, leaf: object) -> bool:
        if self._set is None:
            self._set = frozenset(self.present.tolist())
        return leaf in self._set


class LeafStore:
    """Numbered leaves. A leaf lives while somebody holds it; its number is given to another after that."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._phrases = Phrasebook()
        self._relations = Relations()
        self._held = array("i", [0])
        self._keys: list[_Key] = [None]
        self._free: list[int] = []
        self._unheld: list[int] = []
        self._classes: dict[Word, int] = {}
        self._tests: dict[Test, int] = {}
        # By field: leaf → the same within the field, as a dictionary and as an array.
        self._fielded: dict[str, dict[int, int]] = {}
        self._in_field: dict[str, Numbers] = {}

    def __len__(self) -> int:
        return len(self._keys) - 1 - len(self._free)

    def hold(self, leaves: Iterable[int]) -> None:
        """Keep these alive, once more for each time they are named."""
        held = self._held
        for leaf in leaves:
            held[leaf] += 1

    def let_go(self, leaves: Iterable[int]) -> None:
        """Undo `hold`; what nobody holds is forgotten."""
        held = self._held
        for leaf in leaves:
            held[leaf] -= 1
            if not held[leaf]:
                self._forget(leaf)

    def sweep(self) -> None:
        """Forget what was numbered and never held."""
        while self._unheld:
            leaf = self._unheld.pop()
            if not self._held[leaf] and self._keys[leaf] is not None:
                self._forget(leaf)

    def _number(self, key: _Key) -> int:
        if self._free:
            leaf = self._free.pop()
            self._keys[leaf] = key
        else:
            leaf = len(self._keys)
            self._held.append(0)
            self._keys.append(key)
        self._unheld.append(leaf)
        return leaf

    def _sequence(self, terms: Sequence[int]) -> int:
        """The leaf of terms one after another."""
        return self._phrases.number(terms, self._number)

    def _class(self, word: Word) -> int:
        leaf = self._classes.get(word)
        if leaf is None:
            leaf = self._classes[word] = self._number(word)
            self._vocabulary.add_class(leaf, word)
        return leaf

    def _in(self, field: str, leaf: int) -> int:
        if not field:
            return leaf
        known = self._fielded.setdefault(field, {})
        within = known.get(leaf)
        if within is None:
            within = known[leaf] = self._number((field, leaf))
            self.hold([leaf])
            numbers = self._in_field.get(field, np.zeros(16, dtype=np.int32))
            self._in_field[field] = numbers = enough(numbers, leaf)
            numbers[leaf] = within
        return within

    def _tested(self, test: Test) -> int:
        leaf = self._tests.get(test)
        if leaf is None:
            leaf = self._tests[test] = self._number(test)
            self.hold(test.held)
            self._relations.add(leaf, test)
        return leaf

    def _forget(self, leaf: int) -> None:
        key, self._keys[leaf] = self._keys[leaf], None
        self._free.append(leaf)
        match key:
            case bytes():
                self._phrases.remove(key)
            case Word():
                del self._classes[key]
                self._vocabulary.remove_class(leaf)
            case Test():
                del self._tests[key]
                self._relations.remove(leaf, key)
                self.let_go(key.held)
            case (field, within):
                del self._fielded[field][within]
                self._in_field[field][within] = 0
                if not self._fielded[field]:
                    del self._fielded[field], self._in_field[field]
                self.let_go([within])

    def find(self, fields: Mapping[str, str]) -> LeavesFound:
        """The leaves that a statement, given by field, holds."""
        vocabulary = self._vocabulary
        if vocabulary.full:
            vocabulary.forget(self._phrases.terms())
            self._phrases.refresh()
        names = [*SEARCHED, *(field for field in self._fielded if field not in SEARCHED)]
        stream = vocabulary.read([fields.get(name, "") for name in names])
        starts = stream.starts
        leaves, firsts, lasts = self._hits(stream)
        searched = firsts < starts[len(SEARCHED)]
        within = [(leaves[searched], firsts[searched], lasts[searched])]
        for number, name in enumerate(names):
            if (numbers := self._in_field.get(name)) is not None:
                here = (firsts >= starts[number]) & (firsts < starts[number + 1]) & (leaves < len(numbers))
                inside = numbers[leaves[here]]
                known = inside != 0
                within.append((inside[known], firsts[here][known], lasts[here][known]))
        if len(within) > 1:
            leaves, firsts, lasts = (np.concatenate(each) for each in zip(*within, strict=True))
        else:
            leaves, firsts, lasts = within[0]
        present = distinct(leaves)
        if len(self._relations):
            true = self._relations.true(present, stream, (leaves, firsts, lasts), lambda: Text(fields))
            present = distinct(np.concatenate([present, true]))
        return LeavesFound(present)

    def _hits(self, stream: Stream) -> tuple[Numbers, Places, Places]:
        """Phrases and classes: each with the places in the stream where it begins and ends."""
        vocabulary, hits = self._vocabulary, Hits()
        self._phrases.find(stream, hits, vocabulary.terms)
        kind = vocabulary.kind[stream.surfaces]
        hits.add_words(kind)
        for place in np.nonzero(kind < 0)[0].tolist():
            for leaf in array("i", vocabulary.kinds[stream.surfaces.item(place)]):
                hits.add(leaf, place, place)
        for place, joints in stream.joints.items():
            for joint in joints:
                for leaf in array("i", vocabulary.kinds.get(joint.surface, b"")):
                    hits.add(leaf, place, place + joint.count - 1)
        return hits.arrays()
