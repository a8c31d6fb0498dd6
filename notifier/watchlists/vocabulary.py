"""
Words as numbers, so that a text is read once, into an array, and all else is arithmetic.

A *surface* is a word as it is written. All that a query can ask of one word (its term, its ending, its capitals, its
letters) the surface decides, so it is asked once for every surface ever seen and never again for a text. Texts come in
chunks (what stands between white space) that repeat, and a chunk seen before costs one look-up.

Whatever is kept here grows with what is read, up to a bound: beyond it all that no query needs is forgotten.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from notifier.watchlists import folding
from notifier.watchlists.expression import Word
from notifier.watchlists.search import american_of, answers, answers_closed
from notifier.watchlists.text import capital, chunk

Numbers = npt.NDArray[np.int32]
Array = TypeVar("Array", bound=npt.NDArray[Any])

# What parts words, in the place of a term. No phrase holds any of them, so none crosses them.
SENTENCE, PARAGRAPH, FIELD, FIRST = 1, 2, 3, 4

CACHED = 1 << 16  # chunks remembered, twice over
MOST = 1 << 18  # surfaces known before those of old texts are forgotten

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n|\u2029")
_BREAK = array("i", [SENTENCE]).tobytes()
_CHAPTER = array("i", [PARAGRAPH]).tobytes()
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


class _Chunks(dict[str, bytes]):
    """The surfaces of a chunk, as bytes of an array, worked out on first sight."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self._old: dict[str, bytes] = {}

    def __missing__(self, text: str) -> bytes:
        found = self._old.get(text)
        if found is None:
            found = self._vocabulary.chunk(text)
        if len(text) < 40:
            # What was not asked for while so many others were is let go.
            if len(self) >= CACHED:
                self._old = dict(self)
                self.clear()
            self[text] = found
        return found

    def forget(self) -> None:
        self.clear()
        self._old = {}


class Vocabulary:
    """
    The numbers of terms and surfaces. `term_of`, `marked` and `joint` are arrays over surfaces: the term, whether
    `kinds` has the leaves that this very word answers, and whether `joints` has hyphenated words that begin with it.
    """

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}
        self._free: list[int] = []
        self.terms = FIRST  # one more than the highest number of a term
        self._chunks = _Chunks(self)
        self._classes: dict[int, Word] = {}
        self._by_start: dict[str, list[int]] = {}  # first three letters → classes that may answer
        self._begin()

    def _begin(self) -> None:
        self._surfaces: dict[tuple[str, int, tuple[Joint, ...]], int] = {}
        self._written: list[tuple[str, str, str, bool]] = [("", "", "", False)] * FIRST
        self._starting: dict[str, list[int]] = {}  # first three letters → surfaces
        self.term_of = np.arange(1 << 10, dtype=np.int32)
        self.marked = np.zeros(1 << 10, dtype=np.bool_)
        self.joint = np.zeros(1 << 10, dtype=np.bool_)
        self.kinds: dict[int, bytes] = {}
        self.joints: dict[int, tuple[Joint, ...]] = {}

    # ---------------------------------------------------------------- reading

    def read(self, text: str) -> bytes:
        """The surfaces of a text in their order, with what parts them, as the bytes of an array."""
        if "\n" not in text and "\u2029" not in text:
            return b"".join(map(self._chunks.__getitem__, text.split()))
        parts = [b"".join(map(self._chunks.__getitem__, part.split())) for part in _PARAGRAPH.split(text)]
        return _CHAPTER.join(parts)

    @property
    def full(self) -> bool:
        """Whether it is time to forget."""
        return len(self._written) > MOST

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
        read = chunk(text)
        if len(read.tokens) == 1 and not read.joined:
            (token,) = read.tokens
            surface = text[token.start : token.end]
            number = self.term(token.term, capital(surface))
            written = self._surface(surface, token.plain, token.term, number, ()).to_bytes(4, sys.byteorder)
            return _BREAK * read.breaks.count(0) + written + (_BREAK if 1 in read.breaks else b"")
        joints: dict[int, list[Joint]] = {}
        numbers = [self.term(token.term, capital(text[token.start : token.end])) for token in read.tokens]
        for index, count, term in read.joined:
            surface = text[read.tokens[index].start : read.tokens[index + count - 1].end]
            number = self.term(term, capital(surface))
            inside = self._surface(surface, term, term, number, (), joined=True)
            joint = Joint(count, inside, number, tuple(numbers[index : index + count]))
            joints.setdefault(index, []).append(joint)
        found = array("i")
        breaks = list(read.breaks)
        for index, token in enumerate(read.tokens):
            found.extend([SENTENCE] * breaks.count(index) if breaks else ())
            surface = text[token.start : token.end]
            beginning = tuple(joints.get(index, ()))
            found.append(self._surface(surface, token.plain, token.term, numbers[index], beginning))
        return found.tobytes() + (_BREAK if len(read.tokens) in breaks else b"")

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

    def terms_of(self, word: Word) -> tuple[int, ...] | None:
        """The numbers of the terms that a word of a query is found by; None where terms alone do not decide."""
        if word.wild or word.exact:
            return None
        if word.capital:
            return (self.term(word.term, True),) if word.term in _AMBIGUOUS else None
        if word.term in _AMBIGUOUS:
            return self.term(word.term), self.term(word.term, True)
        return (self.term(word.term),)

    def _surface(
        self, surface: str, plain: str, term: str, number: int, joints: tuple[Joint, ...], joined: bool = False
    ) -> int:
        # The same word begins several hyphenated ones, and none; each of these has its own number.
        key = (surface + "\0" * joined, number, joints)
        known = self._surfaces.get(key)
        if known is not None:
            return known
        known = self._surfaces[key] = len(self._written)
        self._written.append((surface, plain, term, joined))
        if known >= len(self.term_of):
            self.term_of = _doubled(self.term_of)
            self.marked, self.joint = _doubled(self.marked), _doubled(self.joint)
        self.term_of[known] = number
        if joints:
            self.joints[known] = joints
            self.joint[known] = True
        starts = {form[:3] for form in (plain, folding.american(plain), term)}
        for start in starts:
            self._starting.setdefault(start, []).append(known)
        asking = {leaf for start in ("", *starts) for leaf in self._by_start.get(start, ())}
        kinds = [leaf for leaf in sorted(asking) if self._answers(known, self._classes[leaf])]
        if kinds:
            self._mark(known, array("i", kinds).tobytes())
        return known

    # ---------------------------------------------------------------- words that ask for more than a term

    def add_class(self, leaf: int, word: Word) -> None:
        """From now on, know of each surface whether it answers this word of a query."""
        self._classes[leaf] = word
        starts = _starts(word)
        for start in starts:
            self._by_start.setdefault(start, []).append(leaf)
        if "" in starts:
            known: set[int] = set(range(FIRST, len(self._written)))
        else:
            known = {surface for start in starts for surface in self._starting.get(start, ())}
        number = array("i", [leaf]).tobytes()
        for surface in known:
            if self._answers(surface, word):
                self._mark(surface, self.kinds.get(surface, b"") + number)

    def remove_class(self, leaf: int) -> None:
        """Ask it no longer."""
        word = self._classes.pop(leaf)
        starts = _starts(word)
        for start in starts:
            self._by_start[start].remove(leaf)
            if not self._by_start[start]:
                del self._by_start[start]
        for surface in (
            list(self.kinds) if "" in starts else {s for each in starts for s in self._starting.get(each, ())}
        ):
            if surface in self.kinds:
                kinds = array("i", self.kinds[surface])
                if leaf in kinds:
                    kinds.remove(leaf)
                    self._mark(surface, kinds.tobytes())

    def _answers(self, surface: int, word: Word) -> bool:
        written, plain, term, joined = self._written[surface]
        if joined:
            return answers_closed(word, term, written)
        return answers(word, term, plain, written)

    def _mark(self, surface: int, kinds: bytes) -> None:
        self.marked[surface] = bool(kinds)
        if kinds:
            self.kinds[surface] = kinds
        else:
            self.kinds.pop(surface, None)


def _starts(word: Word) -> set[str]:
    """The first three letters of all that a word may answer; "" where they can be any."""
    if not word.wild:
        return {word.term[:3]}
    if len(word.plain) < 3 or "?" in word.plain[:3]:
        return {""}
    return {word.plain[:3]} | ({term[:3] for term in american_of(word.plain)} if word.ending else set())


def _doubled(numbers: Array) -> Array:
    return cast(Array, np.concatenate([numbers, np.zeros_like(numbers)]))
