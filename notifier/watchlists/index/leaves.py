"""
Every leaf of every query under a number, and which of them a statement holds.

What can be decided by words side by side is a *phrase*, found by the bytes of its terms. What asks more of one word (an
ending, its very letters) is a *class* of words. The same in one field only is a leaf of that *field*. What asks where
others stand is a *test*, made only where those others are present. What is none of these is searched for as
`Query.search` does. So the answer is always that of the search, and ten thousand people who watch Hong Kong cost one
phrase.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from notifier.watchlists.expression import Apart, Leaf, Near, Phrase, Word, phrases
from notifier.watchlists.index.nearness import APART, NEAR, ORDERED, WINDOW, WITHIN_PARAGRAPH, WITHIN_SENTENCE
from notifier.watchlists.index.numbers import Numbers, Places, distinct, enough
from notifier.watchlists.index.phrasebook import LONGEST, Hits, Phrasebook
from notifier.watchlists.index.relations import Clause, Relations, Test
from notifier.watchlists.index.vocabulary import Stream, Vocabulary
from notifier.watchlists.search import SEARCHED, Text

WAYS = 16  # that a leaf may be written in, before it is searched for instead

_FAR = 1 << 30
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


class Leaves:
    """The leaves of the queries in force. A leaf lives while somebody holds it."""

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

    # ---------------------------------------------------------------- of a query

    def of(self, leaf: Leaf) -> Clause:
        """The numbers of which one at least must be present for a leaf to be true. Whoever keeps them holds them."""
        return tuple(dict.fromkeys(self._phrase(leaf)[0] if isinstance(leaf, Phrase) else self._related(leaf)))

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

    def _phrase(self, phrase: Phrase) -> tuple[list[int], bool]:
        """The leaves of a phrase, and whether each of them has places where it stands."""
        if phrase.slack and len(phrase.words) > 1:
            return [self._window(phrase)], False
        if not phrase.closed and len(phrase.words) <= LONGEST and (terms := self._common(phrase.words)):
            return [self._in(phrase.field, self._sequence(terms))], True
        found: list[int] = []
        placed = True
        for way in _ways(phrase):
            runs = self._runs(way, phrase.field)
            if runs is None or len(runs) > 2 or len(found) > WAYS:
                return [self._search(phrase)], False
            if len(runs) == 1:
                found += runs[0]
            else:
                ones, others = runs
                placed = False
                how = NEAR | ORDERED | WITHIN_SENTENCE
                found += [self._pair(one, other, how, 1) for one in ones for other in others]
        return (found, placed) if 0 < len(found) <= WAYS else ([self._search(phrase)], False)

    def _common(self, words: Sequence[Word]) -> list[int] | None:
        """The terms of a phrase that can be written in one way; None of any other."""
        terms = list(map(self._vocabulary.plain_term, words))
        if not all(terms):
            return None
        self._phrases.note(terms)
        return terms

    def _runs(self, way: Sequence[_Step], field: str) -> list[list[int]] | None:
        """Words one after another as leaves side by side, each of which may be any of several."""
        runs: list[list[int]] = []
        terms: list[tuple[int, ...]] = []
        for step in way:
            options = self._vocabulary.terms_of(step.word)
            if options is not None:
                self._note(step, options)
                terms.append(options)
                continue
            if terms:
                runs.append([*self._sequences(terms, field)])
                terms = []
            runs.append([self._in(field, self._class(step.word))])
        if len(terms) > LONGEST:
            return None
        if terms:
            runs.append([*self._sequences(terms, field)])
        return None if any(not 0 < len(run) <= WAYS for run in runs) else runs

    def _sequences(self, terms: Sequence[tuple[int, ...]], field: str) -> Iterator[int]:
        if len(terms) > LONGEST or sum(len(options) > 1 for options in terms) > 3:
            return
        for sequence in itertools.product(*terms):
            yield self._in(field, self._sequence(sequence))

    def _note(self, step: _Step, options: tuple[int, ...]) -> None:
        parts = [found for word in step.parts if (found := self._vocabulary.terms_of(word))]
        if step.parts and len(parts) == len(step.parts):
            self._phrases.note_closed(options, parts)
        else:
            self._phrases.note(options)

    def _related(self, leaf: Near | Apart) -> list[int]:
        """The leaves of a proximity: one for each pair of operands, or a search."""
        lefts, rights = phrases(leaf.left) or [], phrases(leaf.right) or []
        if isinstance(leaf, Apart):
            if len(rights) != 1 or {each.field for each in lefts} != {rights[0].field}:
                return [self._search(leaf)]
            how, reach = APART, leaf.reach
        else:
            how = NEAR | (ORDERED if leaf.ordered else 0)
            how |= {"s": WITHIN_SENTENCE, "p": WITHIN_PARAGRAPH}.get(str(leaf.reach), 0)
            reach = leaf.reach if isinstance(leaf.reach, int) else _FAR
        found: list[int] = []
        for left, right in itertools.product(lefts, rights):
            field = _meeting(left.field, right.field)
            if field is None:
                continue
            (ones, placed), (others, also) = (
                self._phrase(msgspec.structs.replace(each, field=field)) for each in (left, right)
            )
            if not (placed and also) or len(ones) * len(others) > WAYS or (how == APART and len(others) > 1):
                return [self._search(leaf)]
            found += [self._pair(one, other, how, reach) for one in ones for other in others]
        return found if len(found) <= WAYS else [self._search(leaf)]

    def _window(self, phrase: Phrase) -> int:
        runs = [self._runs([_Step(word)], phrase.field) for word in phrase.words]
        bound = any(word.term.startswith(".") for word in phrase.words)
        if len(runs) != 2 or phrase.closed or bound or any(run is None or len(run[0]) != 1 for run in runs):
            return self._search(phrase)
        ((one,),), ((other,),) = (run or [] for run in runs)
        # Where a text has such a word in parts, as only the search can tell, the phrase is needed as well.
        return self._pair(one, other, WINDOW | WITHIN_SENTENCE, 1 + phrase.slack, phrase)

    # ---------------------------------------------------------------- numbers

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

    def _pair(self, left: int, right: int, how: int, reach: int, phrase: Phrase | None = None) -> int:
        needs = ((left,),) if how & APART else ((left,), (right,))
        return self._tested(Test(needs, phrase, left, right, how, reach))

    def _search(self, leaf: Leaf) -> int:
        return self._tested(Test(tuple(self._needs(leaf)), leaf))

    def _tested(self, test: Test) -> int:
        leaf = self._tests.get(test)
        if leaf is None:
            leaf = self._tests[test] = self._number(test)
            self.hold(test.held)
            self._relations.add(leaf, test)
        return leaf

    def _needs(self, leaf: Leaf) -> list[Clause]:
        """What a text must have, one leaf of each clause, for a leaf that is searched for to be true."""
        if isinstance(leaf, Phrase):
            return sorted(filter(None, self._words_of(leaf)), key=len)[:2]
        sides = (leaf.left,) if isinstance(leaf, Apart) else (leaf.left, leaf.right)
        needs: list[Clause] = []
        for side in sides:
            every = [next(iter(self._words_of(phrase)), None) for phrase in phrases(side) or ()]
            if every and all(every):
                needs.append(tuple(dict.fromkeys(one for clause in every for one in clause or ())))
        return needs

    def _words_of(self, phrase: Phrase) -> list[Clause]:
        """For each word of a phrase, the longest first, the leaves of which a text must have one."""
        order = sorted(range(len(phrase.words)), key=lambda index: -len(phrase.words[index].plain))
        found: list[Clause] = []
        for index in order:
            words = [phrase.words[index]]
            words += [closed.word for closed in phrase.closed if closed.first <= index < closed.after]
            runs = [self._runs([_Step(word)], phrase.field) for word in words]
            found.append(tuple(dict.fromkeys(leaf for run in runs for leaf in (run or [[]])[0])))
        return found

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

    # ---------------------------------------------------------------- in a statement

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


class _Step(msgspec.Struct, frozen=True):
    """A word of a phrase, or a hyphenated one written in one, and then the words that are its parts."""

    word: Word
    parts: tuple[Word, ...] = ()


def _ways(phrase: Phrase) -> Iterator[list[_Step]]:
    """The ways to write a phrase: its hyphenated words in parts, or in one. At most one more than are of use."""
    if not phrase.closed:
        yield [_Step(word) for word in phrase.words]
        return
    ways: list[tuple[int, list[_Step]]] = [(0, [])]
    number = 0
    while ways and number <= WAYS:
        index, steps = ways.pop()
        if index == len(phrase.words):
            number += 1
            yield steps
            continue
        for closed in phrase.closed:
            if closed.first == index:
                step = _Step(closed.word, phrase.words[closed.first : closed.after])
                ways.append((closed.after, [*steps, step]))
        ways.append((index + 1, [*steps, _Step(phrase.words[index])]))


def _meeting(one: str, other: str) -> str | None:
    """The field where two phrases may both stand, "" for those that are searched anyway; None where there is none."""
    if one == other or (not other and one in SEARCHED):
        return one
    return other if not one and other in SEARCHED else None
