"""
Every leaf of every query under a number, and which of them a statement holds.

What can be decided by words side by side is a *phrase*, found by the bytes of its terms. What asks more of one word (an
ending, its very letters) is a *class* of words. The same in one field only is a leaf of that *field*. What asks where
others stand is a *test*, made only where those others are present. What is none of these is searched for as
`Query.search` does. So the answer is always that of the search, and ten thousand people who watch Hong Kong cost one
phrase.

The algorithm was measured against automata (Aho-Corasick, Hyperscan, RE2), which gain nothing once a text is words.
"""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from notifier.watchlists.expression import Apart, Leaf, Near, Phrase, Word, phrases
from notifier.watchlists.nearness import (
    ALONE,
    APART,
    KIND,
    NEAR,
    ORDERED,
    WINDOW,
    WITHIN_PARAGRAPH,
    WITHIN_SENTENCE,
    Standing,
)
from notifier.watchlists.numbers import FIRST, Bytes, Numbers, Places, distinct, enough
from notifier.watchlists.search import SEARCHED, Text
from notifier.watchlists.vocabulary import Joint, Stream, Vocabulary

LONGEST = 9  # words of a phrase found by its bytes
WAYS = 16  # that a leaf may be written in, before it is searched for instead

_LENGTHS = [[length for length in range(2, LONGEST + 1) if bits >> (length - 2) & 1] for bits in range(256)]
_FAR = 1 << 30
_PHRASE, _CLASS, _FIELDED, _TEST, _FREE = range(5)
# A test is asked for where one leaf is present, or one of each of two.
_BY_ONE, _BY_FIRST, _BY_SECOND = 0, 1, 2
_SHIFT, _MASK = 28, (1 << 28) - 1
_HASH = (0x9E3779B1, 0x85EBCA77)

Clause = tuple[int, ...]
_Columns = tuple[list[int], list[int], list[int]]  # leaves, where each begins, where it ends


class _Searched(msgspec.Struct, frozen=True):
    """A leaf that is searched for, and what must be present before it is: one of each clause. None: it always is."""

    leaf: Leaf
    needs: tuple[Clause, ...]


class Found:
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
        # By leaf: who holds it, what it is, its key there, and the tests that are made where it is present.
        self._held = array("i", [0])
        self._kinds = bytearray([_FREE])
        self._keys: list[bytes | Word | tuple[str, int] | _Searched] = [b""]
        self._asked: list[bytes] = [b""]
        self._free: list[int] = []
        self._unheld: list[int] = []
        # Phrases: of one word by term; of more by the bytes of their terms, after a look at what may begin there.
        self._single = np.zeros(1 << 10, dtype=np.int32)
        self._phrases: dict[bytes, int] = {}
        self._beginnings: set[bytes] = set()  # of phrases of three words and more, for those joined by hyphens
        self._lengths = np.zeros(1 << 12, dtype=np.uint8)
        # Terms that phrases hold, and those they hold only as hyphenated words in one, with how these were parted.
        self._worded = bytearray(1 << 10)
        self._parted: dict[int, set[tuple[int, ...]]] = {}
        self._classes: dict[Word, int] = {}
        self._fielded: dict[str, dict[int, int]] = {}
        self._in_field: dict[str, Numbers] = {}
        self._tests: dict[bytes | Leaf, int] = {}
        self._always: set[int] = set()
        # By test: its leaf, and for pairs what stands where.
        self._test_of: dict[int, int] = {}
        self._free_tests: list[int] = []
        self._leaf = np.zeros(16, dtype=np.int32)
        self._left, self._right, self._reach = (np.zeros(16, dtype=np.int32) for _ in range(3))
        self._how = np.zeros(16, dtype=np.uint8)
        self._next_test = 0
        self._asking = np.zeros(16, dtype=np.bool_)  # by leaf, whether tests are made where it is present
        self._concerned = np.zeros(16, dtype=np.bool_)  # all false between statements

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
            if not self._held[leaf] and self._kinds[leaf] != _FREE:
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
                placed = False
                how = NEAR | ORDERED | WITHIN_SENTENCE
                found += [self._pair(one, other, how, 1) for one, other in itertools.product(*runs)]
        return (found, placed) if 0 < len(found) <= WAYS else ([self._search(phrase)], False)

    def _common(self, words: Sequence[Word]) -> list[int] | None:
        """The terms of a phrase that can be written in one way; None of any other."""
        terms = list(map(self._vocabulary.plain_term, words))
        if not all(terms):
            return None
        worded, most = self._worded, max(terms)
        if most >= len(worded):
            worded.extend(bytes(most + 1))
        for term in terms:
            worded[term] = 1
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
        parts = [self._vocabulary.terms_of(word) for word in step.parts]
        for term in options:
            if term >= len(self._worded):
                self._worded.extend(bytes(term + 1))
            if parts and all(parts):
                self._parted.setdefault(term, set()).update(itertools.product(*(each or () for each in parts)))
            else:
                self._worded[term] = 1

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
        if len(runs) != 2 or phrase.closed or any(run is None or len(run[0]) != 1 for run in runs):
            return self._search(phrase)
        ((one,),), ((other,),) = (run or [] for run in runs)
        # Where a text has such a word in parts, as only the search can tell, the phrase is needed as well.
        return self._pair(one, other, WINDOW | WITHIN_SENTENCE, 1 + phrase.slack, phrase)

    # ---------------------------------------------------------------- numbers

    def _number(self, kind: int, key: bytes | Word | tuple[str, int] | _Searched) -> int:
        if self._free:
            leaf = self._free.pop()
            self._kinds[leaf], self._keys[leaf] = kind, key
        else:
            leaf = len(self._keys)
            self._held.append(0)
            self._kinds.append(kind)
            self._keys.append(key)
            self._asked.append(b"")
        self._unheld.append(leaf)
        return leaf

    def _sequence(self, terms: Sequence[int]) -> int:
        """The leaf of terms one after another."""
        if len(terms) == 1:
            term = terms[0]
            if term >= len(self._single):
                self._single = enough(self._single, term)
            leaf = int(self._single[term])
            if not leaf:
                leaf = self._number(_PHRASE, struct.pack("<i", term))
                self._single[term] = leaf
            return leaf
        key = array("i", terms).tobytes()
        known = self._phrases.get(key)
        if known is None:
            known = self._phrases[key] = self._number(_PHRASE, key)
            if len(self._phrases) * 8 > len(self._lengths):
                self._lengths = np.zeros(4 * len(self._lengths), dtype=np.uint8)
                for each in self._phrases:
                    self._expect(each)
            else:
                self._expect(key)
        return known

    def _expect(self, key: bytes) -> None:
        """Remember how a phrase begins and how long it is."""
        first, second = struct.unpack_from("<2i", key)
        self._lengths[self._slot(first, second)] |= 1 << (len(key) // 4 - 2)
        for end in range(8, len(key), 4):
            self._beginnings.add(key[:end])

    def _slot(self, first: int, second: int) -> int:
        hashed = (first * _HASH[0] + second * _HASH[1]) & 0xFFFFFFFF
        return (hashed ^ hashed >> 15) & (len(self._lengths) - 1)

    def _class(self, word: Word) -> int:
        leaf = self._classes.get(word)
        if leaf is None:
            leaf = self._classes[word] = self._number(_CLASS, word)
            self._vocabulary.add_class(leaf, word)
        return leaf

    def _in(self, field: str, leaf: int) -> int:
        if not field:
            return leaf
        known = self._fielded.setdefault(field, {})
        within = known.get(leaf)
        if within is None:
            within = known[leaf] = self._number(_FIELDED, (field, leaf))
            self.hold([leaf])
            numbers = self._in_field.get(field, self._single[:0])
            self._in_field[field] = numbers = enough(numbers, leaf)
            numbers[leaf] = within
        return within

    def _pair(self, left: int, right: int, how: int, reach: int, phrase: Phrase | None = None) -> int:
        key = struct.pack("<iiiB", left, right, reach, how)
        leaf = self._tests.get(key)
        if leaf is not None:
            return leaf
        needs = ((left,),) if how & KIND == APART else ((left,), (right,))
        leaf = self._tests[key] = self._number(_TEST, _Searched(phrase, needs) if phrase else key)
        self.hold((left, right))
        test = self._test(leaf, needs)
        self._left[test], self._right[test], self._how[test], self._reach[test] = left, right, how, reach
        return leaf

    def _search(self, leaf: Leaf) -> int:
        known = self._tests.get(leaf)
        if known is None:
            searched = _Searched(leaf, tuple(self._needs(leaf)))
            known = self._tests[leaf] = self._number(_TEST, searched)
            test = self._test(known, searched.needs)
            self._how[test] = ALONE
        return known

    def _test(self, leaf: int, needs: Sequence[Clause]) -> int:
        if self._free_tests:
            test = self._free_tests.pop()
        else:
            test, self._next_test = self._next_test, self._next_test + 1
            if test >= len(self._leaf):
                self._leaf, self._left = enough(self._leaf, test), enough(self._left, test)
                self._right, self._reach = enough(self._right, test), enough(self._reach, test)
                self._how = enough(self._how, test)
        self._leaf[test] = leaf
        self._test_of[leaf] = test
        for code, clause in _codes(test, needs):
            self.hold(clause)
            for each in clause:
                self._asked[each] += code
                self._asking = enough(self._asking, each)
                self._asking[each] = True
        if not needs:
            self._always.add(test)
        return test

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
        kind, key = self._kinds[leaf], self._keys[leaf]
        self._kinds[leaf], self._keys[leaf] = _FREE, b""
        if kind == _PHRASE and isinstance(key, bytes):
            if len(key) == 4:
                self._single[struct.unpack("<i", key)[0]] = 0
            else:
                del self._phrases[key]
        elif kind == _CLASS and isinstance(key, Word):
            del self._classes[key]
            self._vocabulary.remove_class(leaf)
        elif kind == _FIELDED and isinstance(key, tuple):
            field, within = key
            del self._fielded[field][within]
            self._in_field[field][within] = 0
            if not self._fielded[field]:
                del self._fielded[field], self._in_field[field]
            self.let_go([within])
        else:
            self._forget_test(leaf, key)
        self._free.append(leaf)

    def _forget_test(self, leaf: int, key: object) -> None:
        test = self._test_of.pop(leaf)
        left, right, how = int(self._left[test]), int(self._right[test]), int(self._how[test])
        if how & KIND != ALONE:
            del self._tests[struct.pack("<iiiB", left, right, int(self._reach[test]), how)]
            needs: tuple[Clause, ...] = ((left,),) if how & KIND == APART else ((left,), (right,))
            pair: Clause = (left, right)
        elif isinstance(key, _Searched):
            del self._tests[key.leaf]
            needs, pair = key.needs, ()
        else:
            raise TypeError(key)
        self._left[test] = self._right[test] = self._reach[test] = self._how[test] = 0
        self._always.discard(test)
        self._free_tests.append(test)
        for code, clause in _codes(test, needs):
            for each in clause:
                self._asked[each] = without(self._asked[each], code)
                self._asking[each] = bool(self._asked[each])
            self.let_go(clause)
        self.let_go(pair)

    # ---------------------------------------------------------------- in a statement

    def find(self, fields: Mapping[str, str]) -> Found:
        """The leaves that a statement, given by field, holds."""
        vocabulary = self._vocabulary
        if vocabulary.full:
            self._forget_terms()
        names = [*SEARCHED, *(field for field in self._fielded if field not in SEARCHED)]
        stream = vocabulary.read(fields.get(name, "") for name in names)
        starts = stream.starts
        leaves, firsts, lasts = self._places(stream)
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
        if self._test_of:
            tested = self._tested(present, stream, (leaves, firsts, lasts), lambda: Text(fields))
            if len(tested):
                present = distinct(np.concatenate([present, tested]))
        return Found(present)

    def _forget_terms(self) -> None:
        """Keep only the terms that phrases hold; the numbers of others may come to mean something else."""
        joined = np.frombuffer(b"".join(self._phrases), dtype=np.int32)
        self._vocabulary.forget({*np.unique(joined).tolist(), *np.nonzero(self._single)[0].tolist()})
        for term in self._parted:
            self._worded[term] = 1
        self._parted.clear()
        self._beginnings.clear()
        for key in self._phrases:
            self._expect(key)

    def _places(self, stream: Stream) -> tuple[Numbers, Places, Places]:
        """Phrases and classes: each with the places in the stream where it begins and ends."""
        terms, surfaces, vocabulary = stream.terms, stream.surfaces, self._vocabulary
        if len(self._single) < vocabulary.terms:
            self._single = enough(self._single, vocabulary.terms)
        singles = self._single[terms]
        at = np.nonzero(singles)[0]
        leaves, firsts, lasts = [singles[at]], [at], [at]
        lengths = self._hints(terms)
        found, where, ends = self._longer(terms, lengths)
        kind = vocabulary.kind[surfaces]
        at = np.nonzero(kind > 0)[0]
        leaves.append(kind[at])
        firsts.append(at)
        lasts.append(at)
        for place in np.nonzero(kind < 0)[0].tolist():
            several = array("i", vocabulary.kinds[surfaces.item(place)])
            found.extend(several)
            where.extend([place] * len(several))
            ends.extend([place] * len(several))
        if stream.joints:
            self._joined(stream, lengths, (found, where, ends))
        leaves.append(np.array(found, dtype=np.int32))
        firsts.append(np.array(where, dtype=np.int64))
        lasts.append(np.array(ends, dtype=np.int64))
        return np.concatenate(leaves), np.concatenate(firsts), np.concatenate(lasts)

    def _hints(self, terms: Numbers) -> Bytes:
        """By place, as bits, how long the phrases are that may begin there."""
        one = terms[:-1].astype(np.uint32) * np.uint32(_HASH[0])
        one += terms[1:].astype(np.uint32) * np.uint32(_HASH[1])
        one ^= one >> np.uint32(15)
        one &= np.uint32(len(self._lengths) - 1)
        hints: Bytes = self._lengths[one]
        return hints

    def _longer(self, terms: Numbers, lengths: Bytes) -> _Columns:
        """Phrases of two words and more."""
        found: list[int] = []
        where: list[int] = []
        ends: list[int] = []
        written, phrase, size = terms.tobytes(), self._phrases.get, 4 * len(terms)
        places = np.nonzero(lengths)[0]
        for place, bits in zip(places.tolist(), lengths[places].tolist(), strict=True):
            start = 4 * place
            for length in _LENGTHS[bits]:
                end = start + 4 * length
                leaf = phrase(written[start:end])
                # A slice at the end is shorter than it should be, and may be another phrase.
                if leaf is not None and end <= size:
                    found.append(leaf)
                    where.append(place)
                    ends.append(place + length - 1)
        return found, where, ends

    def _joined(
        self,
        stream: Stream,
        lengths: Bytes,
        found: _Columns,
    ) -> None:
        """Phrases that hold a hyphenated word of the text as if it were written in one."""
        vocabulary = self._vocabulary
        live: dict[int, list[Joint]] = {}
        for place, joints in stream.joints.items():
            for joint in joints:
                for leaf in array("i", vocabulary.kinds.get(joint.surface, b"")):
                    _append(found, leaf, place, place + joint.count - 1)
                if self._is_live(joint):
                    live.setdefault(place, []).append(joint)
                    if leaf := self._single.item(joint.term):
                        _append(found, leaf, place, place + joint.count - 1)
        if not live:
            return
        terms = stream.terms.tolist()
        begun: set[int] = set()
        for place in live:
            begun.add(place)
            for back in range(1, LONGEST):
                start = place - back
                if start < 0 or terms[start] < FIRST:
                    break
                # Only the nearest word, or one before a hyphenated one, can begin what no hint tells of.
                if back == 1 or start in live or lengths[start] >> (back - 1):
                    begun.add(start)
        for start in sorted(begun):
            self._walk(terms, live, start, found)

    def _is_live(self, joint: Joint) -> bool:
        """Whether some phrase needs these words in one. Not so where it would find them in these very parts, too."""
        term = joint.term
        if term < len(self._worded) and self._worded[term]:
            return True
        parted = self._parted.get(term)
        return parted is not None and parted != {joint.parts}

    def _walk(
        self,
        terms: list[int],
        live: Mapping[int, list[Joint]],
        start: int,
        found: _Columns,
    ) -> None:
        """Follow every phrase that begins here, through words and hyphenated words, as far as phrases go."""
        paths: list[tuple[int, int, bytes, bool]] = [(start, start, b"", False)]
        while paths:
            place, last, written, joined = paths.pop()
            if joined and len(written) > 4 and (leaf := self._phrases.get(written)):
                _append(found, leaf, start, last)
            if place >= len(terms) or terms[place] < FIRST or len(written) == 4 * LONGEST:
                continue
            if len(written) > 4 and written not in self._beginnings:
                continue
            paths.append((place + 1, place, written + struct.pack("<i", terms[place]), joined))
            for joint in live.get(place, ()):
                end = place + joint.count
                paths.append((end, end - 1, written + struct.pack("<i", joint.term), True))

    # ---------------------------------------------------------------- tests

    def _tested(
        self,
        present: Numbers,
        stream: Stream,
        places: tuple[Numbers, Places, Places],
        text: Callable[[], Text],
    ) -> Numbers:
        """The leaves of the tests that hold, of those that what is present asks for."""
        asked = self._asked
        self._asking = enough(self._asking, len(asked))
        asking = present[self._asking[present]].tolist()
        codes = distinct(np.frombuffer(b"".join([asked[leaf] for leaf in asking]), dtype=np.uint32))
        first = np.searchsorted(codes, _BY_FIRST << _SHIFT)
        twice = np.sort(codes[first:] & _MASK)
        both = twice[:-1][twice[1:] == twice[:-1]]
        tests = np.concatenate([codes[:first], both, np.fromiter(self._always, np.uint32, len(self._always))])
        if not len(tests):
            return present[:0]
        how = self._how[tests]
        searched = how & KIND == ALONE
        paired = tests[~searched]
        true = np.zeros(0, dtype=np.uint32)
        if len(paired):
            leaves, firsts, lasts = places
            if (how & KIND == WINDOW).any() and (lasts != firsts).any():
                # Words in parts are hyphenated, or phrases: only of the former can a window be in doubt.
                long = distinct(leaves[lasts != firsts])
                doubtful = (how & KIND == WINDOW) & (
                    np.isin(self._left[tests], long) | np.isin(self._right[tests], long)
                )
                searched |= doubtful
                paired = tests[~searched]
            lefts, rights = self._left[paired], self._right[paired]
            concerned = self._concerned = enough(self._concerned, len(self._keys))
            concerned[lefts] = concerned[rights] = True
            mine = concerned[leaves]
            concerned[lefts] = concerned[rights] = False
            near = Standing(stream.terms, leaves[mine], firsts[mine], lasts[mine])
            true = paired[near.hold(lefts, rights, self._how[paired], self._reach[paired])]
        holding = self._leaf[true]
        if searched.any():
            held = text()
            asked_for = [(int(self._leaf[test]), self._keys[self._leaf[test]]) for test in tests[searched]]
            more = [leaf for leaf, key in asked_for if isinstance(key, _Searched) and held.found(key.leaf)]
            holding = np.concatenate([holding, np.array(more, dtype=np.int32)])
        return holding


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


def _codes(test: int, needs: Sequence[Clause]) -> Iterator[tuple[bytes, Clause]]:
    slots = (_BY_ONE,) if len(needs) == 1 else (_BY_FIRST, _BY_SECOND)
    for slot, clause in zip(slots, needs, strict=False):
        yield struct.pack("<I", slot << _SHIFT | test), clause


def without(packed: bytes, code: bytes) -> bytes:
    """Four-byte codes without one of them. Raises ValueError where it is not among them."""
    at = packed.index(code)
    while at % 4:
        at = packed.index(code, at + 1)
    return packed[:at] + packed[at + 4 :]


def _append(found: _Columns, leaf: int, first: int, last: int) -> None:
    for column, value in zip(found, (leaf, first, last), strict=True):
        column.append(value)
