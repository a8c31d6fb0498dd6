"""
Every leaf of every query under a number, and which of them a statement has.

Words side by side are a *phrase*, found by the bytes of its terms. A word with a condition of its own (an ending, its
exact letters) is a *class* of words. A leaf that must be in one field is a leaf of that *field*. A condition on where
several leaves are is a *test*, made only if those leaves are present. Everything else is searched for as `Query.search`
does. So the result is always that of the search, and ten thousand subscribers who watch Hong Kong cost one phrase.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from notifier.watchlists.expression import Apart, Leaf, Near, Phrase, Word, phrases
from notifier.watchlists.index.leaf_store import LeafStore
from notifier.watchlists.index.nearness import APART, NEAR, ORDERED, WINDOW, WITHIN_PARAGRAPH, WITHIN_SENTENCE
from notifier.watchlists.index.phrasebook import LONGEST
from notifier.watchlists.index.relations import Clause, Test
from notifier.watchlists.search import SEARCHED

WAYS = 16  # that a leaf may be written in, before it is searched for instead

_FAR = 1 << 30


class Leaves(LeafStore):
    """The leaves of the queries in force: which numbers stand for a leaf of a query."""

    def of(self, leaf: Leaf) -> Clause:
        """The numbers of which one at least must be present for a leaf to be true. Whoever keeps them holds them."""
        return tuple(dict.fromkeys(self._phrase(leaf)[0] if isinstance(leaf, Phrase) else self._related(leaf)))

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

    def _pair(self, left: int, right: int, how: int, reach: int, phrase: Phrase | None = None) -> int:
        needs = ((left,),) if how & APART else ((left,), (right,))
        return self._tested(Test(needs, phrase, left, right, how, reach))

    def _search(self, leaf: Leaf) -> int:
        return self._tested(Test(tuple(self._needs(leaf)), leaf))

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
