"""
Words as numbers, so that a text is read once, into an array, and the rest is arithmetic.

A *surface* is a word as written. Everything a query can ask of one word (its term, ending, capitals, letters) depends
on the surface, so it is computed once for every surface and never again for a text. Texts come in chunks (between white
space) that repeat, and a known chunk costs one look-up.

What is kept here grows with what is read, up to a bound: beyond it, everything that no query needs is forgotten.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from notifier.watchlists import folding
from notifier.watchlists.expression import Word
from notifier.watchlists.index.chunks import Chunks
from notifier.watchlists.index.numbers import FIELD, FIRST, SENTENCE, Numbers, enough
from notifier.watchlists.search import american_of, answers, answers_closed
from notifier.watchlists.text import JOINED_AT_MOST, capital, chunk, closed, plainly

MOST = 1 << 19  # surfaces known before those of old texts are forgotten

_BREAK = array("i", [SENTENCE]).tobytes()
_JOINED = "\0"
_Closed = tuple[int, int, str, str]
# Acronyms that are words in small letters: in capitals they have a number of their own.
_AMBIGUOUS = frozenset(
    token.term for word in folding.table("signs")["ambiguous"].split() for token in chunk(word).tokens
)


class Joint(msgspec.Struct, frozen=True):
    """Hyphenated words read as one: of how many words, its surface, its term, and the terms of its parts."""

    count: int
    surface: int
    term: int
    parts: tuple[int, ...]


class Stream:
    """
    Texts one after another, as numbers. `surfaces` and `terms` run side by side, words and what parts them; `starts` is
    where each text starts and, last, where one more would; `joints` are the hyphenated words that begin in a place.
    """

    def __init__(self, surfaces: Numbers, terms: Numbers, starts: list[int], joints: dict[int, tuple[Joint, ...]]):
        self.surfaces, self.terms, self.starts, self.joints = surfaces, terms, starts, joints


class Vocabulary:
    """
    The numbers of terms and surfaces. `kind` is, by surface, the leaf that this very word answers, 0 where there is
    none and -1 where there are several; `kinds` has them all, as bytes of an array.
    """

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}
        self._free: list[int] = []
        self.terms = FIRST  # one more than the highest number of a term
        self._chunks = Chunks(self.chunk)
        self._classes: dict[int, Word] = {}
        # Which classes may answer a surface: by a stem that it begins with, by its term, and where a letter is open, by
        # the first three letters ("" where those are open).
        self._by_stem: dict[str, list[int]] = {}
        self._by_term: dict[str, list[int]] = {}
        self._by_start: dict[str, list[int]] = {}
        self._begin()

    def _begin(self) -> None:
        self._surfaces: dict[str, int] = {}
        # By surface: how it is written (with a mark where hyphens join it), and its letters without dress.
        self._written = [""] * FIRST
        self._plains = [""] * FIRST
        self._starting: dict[str, list[int]] = {}  # first three letters → surfaces
        self._term_of = np.arange(1 << 10, dtype=np.int32)
        self.kind = np.zeros(1 << 10, dtype=np.int32)
        self.kinds: dict[int, bytes] = {}
        self._joints: list[tuple[Joint, ...]] = [()]
        self._joint_numbers: dict[tuple[Joint, ...], int] = {}

    # ---------------------------------------------------------------- reading

    def read(self, texts: Sequence[str]) -> Stream:
        """Texts as numbers, each parted from the next as a field."""
        found = self._chunks.words(texts)
        # Before a word that begins hyphenated ones stands their number, as a negative one.
        places = np.nonzero(found < 0)[0]
        joints: dict[int, tuple[Joint, ...]] = {}
        if len(places):
            numbers = found[places].tolist()
            found = found[found >= 0]
            at = (places - np.arange(len(places))).tolist()
            joints = {place: self._joints[-number] for place, number in zip(at, numbers, strict=True)}
        starts = [0, *(np.nonzero(found == FIELD)[0] + 1).tolist(), len(found) + 1]
        return Stream(found, self._term_of[found], starts, joints)

    @property
    def full(self) -> bool:
        """Whether it is time to forget."""
        return len(self._written) + len(self._joints) > MOST

    def forget(self, needed: Iterable[int]) -> None:
        """Forget all surfaces, and all terms but those needed. What was read before has lost its meaning."""
        kept = set(needed)
        for term, number in list(self._terms.items()):
            if number not in kept:
                del self._terms[term]
                self._free.append(number)
        self._chunks.forget()
        self._begin()

    def chunk(self, text: str) -> bytes:
        """The surfaces of a chunk, not looked up but worked out."""
        if plain := plainly(text):
            parts, stopped = plain
            surfaces = [self._surface(part, part.lower()) for part in parts]
            if len(parts) == 1:
                return struct.pack("<i", surfaces[0]) + (_BREAK if stopped else b"")
            return self._packed_chunk(surfaces, self._closed(parts), (len(parts),) * stopped)
        read = chunk(text)
        surfaces = [self._surface(text[token.start : token.end], token.plain) for token in read.tokens]
        closed = [
            (index, count, text[read.tokens[index].start : read.tokens[index + count - 1].end], term)
            for index, count, term in read.joined
        ]
        return self._packed_chunk(surfaces, closed, read.breaks)

    def _closed(self, parts: Sequence[str]) -> Iterator[_Closed]:
        """Of words that hyphens part, those written as one: index, number of words, how they are written, the term."""
        for index in range(len(parts) - 1):
            for count in range(2, min(JOINED_AT_MOST, len(parts) - index) + 1):
                joined = parts[index : index + count]
                yield index, count, "-".join(joined), closed(part.lower() for part in joined)

    def _packed_chunk(self, surfaces: Sequence[int], closed: Iterable[_Closed], breaks: Sequence[int]) -> bytes:
        joints: dict[int, list[Joint]] = {}
        for index, count, written, term in closed:
            surface = self._surface(written, term, joined=True)
            parts = tuple(map(self._term_of.item, surfaces[index : index + count]))
            joints.setdefault(index, []).append(Joint(count, surface, self._term_of.item(surface), parts))
        found = array("i")
        for index, surface in enumerate(surfaces):
            found.extend([SENTENCE] * breaks.count(index))
            if index in joints:
                found.append(-self._joint(tuple(joints[index])))
            found.append(surface)
        return found.tobytes() + (_BREAK if len(surfaces) in breaks else b"")

    def _joint(self, joints: tuple[Joint, ...]) -> int:
        number = self._joint_numbers.get(joints)
        if number is None:
            number = self._joint_numbers[joints] = len(self._joints)
            self._joints.append(joints)
        return number

    def term(self, term: str, capital: bool = False) -> int:
        """The number of a term; of an ambiguous one, in capitals or not."""
        if capital and term in _AMBIGUOUS:
            term += "\0"
        number = self._terms.get(term)
        if number is None:
            if self._free:
                number = self._free.pop()
            else:
                number, self.terms = self.terms, self.terms + 1
            self._terms[term] = number
        return number

    def plain_term(self, word: Word) -> int:
        """The number of the only term that a word of a query is found by; 0 where it is not as simple as that."""
        term = word.term
        if word.ending or word.exact or word.capital or term in _AMBIGUOUS or "?" in word.plain:
            return 0
        return self._terms.get(term) or self.term(term)

    def terms_of(self, word: Word) -> tuple[int, ...] | None:
        """The numbers of the terms that a word of a query is found by; None where terms alone do not decide."""
        if word.ending or word.exact or "?" in word.plain:
            return None
        if word.term not in _AMBIGUOUS:
            return None if word.capital else (self.term(word.term),)
        capitals = self.term(word.term, True)
        return (capitals,) if word.capital else (self.term(word.term), capitals)

    def _surface(self, written: str, plain: str, joined: bool = False) -> int:
        key = written + _JOINED if joined else written
        known = self._surfaces.get(key)
        if known is not None:
            return known
        if plain == written:
            plain = written
        known = self._surfaces[key] = len(self._written)
        self._written.append(key)
        self._plains.append(plain)
        term = plain if joined else folding.term(plain)
        if known >= len(self._term_of):
            self._term_of, self.kind = enough(self._term_of, known), enough(self.kind, known)
        self._term_of[known] = self.term(term, term in _AMBIGUOUS and capital(written))
        for start in {plain[:3], folding.american(plain)[:3], term[:3]}:
            self._starting.setdefault(start, []).append(known)
        kinds = [leaf for leaf in self._asking(plain, term) if self._answers(known, self._classes[leaf])]
        if kinds:
            self._mark(known, array("i", kinds).tobytes())
        return known

    # ---------------------------------------------------------------- words that ask for more than a term

    def add_class(self, leaf: int, word: Word) -> None:
        """From now on, know of each surface whether it answers this word of a query."""
        self._classes[leaf] = word
        for where, key in self._clues(word):
            where.setdefault(key, []).append(leaf)
        number = array("i", [leaf]).tobytes()
        for surface in self._concerned(word):
            if self._answers(surface, word):
                self._mark(surface, self.kinds.get(surface, b"") + number)

    def remove_class(self, leaf: int) -> None:
        """Ask it no longer."""
        word = self._classes.pop(leaf)
        for where, key in self._clues(word):
            where[key].remove(leaf)
            if not where[key]:
                del where[key]
        for surface in self._concerned(word):
            if surface in self.kinds:
                kinds = array("i", self.kinds[surface])
                if leaf in kinds:
                    kinds.remove(leaf)
                    self._mark(surface, kinds.tobytes())

    def _clues(self, word: Word) -> Iterator[tuple[dict[str, list[int]], str]]:
        """Where a class is found again by what may answer it."""
        if not word.wild:
            yield self._by_term, word.term
            return
        if "?" in word.plain or len(word.plain) < 3:
            yield self._by_start, word.plain[:3] if len(word.plain) > 2 and "?" not in word.plain[:3] else ""
        else:
            yield self._by_stem, word.plain
        if word.ending:
            for term in american_of(word.plain):
                yield self._by_term, term

    def _asking(self, plain: str, term: str) -> list[int]:
        """The classes that a surface may answer."""
        asking: set[int] = set()
        for form in {plain, folding.american(plain), term} if self._by_stem or self._by_start else ():
            for end in range(3, len(form) + 1):
                if leaves := self._by_stem.get(form[:end]):
                    asking.update(leaves)
            asking.update(self._by_start.get(form[:3], ()))
        asking.update(self._by_start.get("", ()), self._by_term.get(term, ()))
        return sorted(asking)

    def _concerned(self, word: Word) -> Iterable[int]:
        """The surfaces known that may answer a class."""
        starts = {key[:3] for _, key in self._clues(word)}
        if "" in starts:
            return range(FIRST, len(self._written))
        return {surface for start in starts for surface in self._starting.get(start, ())}

    def _answers(self, surface: int, word: Word) -> bool:
        written, plain = self._written[surface], self._plains[surface]
        if written.endswith(_JOINED):
            return answers_closed(word, plain, written.removesuffix(_JOINED))
        return answers(word, folding.term(plain), plain, written)

    def _mark(self, surface: int, kinds: bytes) -> None:
        self.kind[surface] = -1 if len(kinds) > 4 else struct.unpack("<i", kinds)[0] if kinds else 0
        if kinds:
            self.kinds[surface] = kinds
        else:
            self.kinds.pop(surface, None)
