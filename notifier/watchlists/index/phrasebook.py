"""
Which of hundreds of thousands of phrases a text has, found by the bytes of their terms.

A hash of two neighbours gives the positions at which a phrase may begin, and its length; then the bytes decide.
Automata (Aho-Corasick, Hyperscan, RE2) were measured, and gain nothing once a text is words.
"""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from notifier.watchlists.index.numbers import FIRST, Bytes, Numbers, Places, enough
from notifier.watchlists.index.vocabulary import Joint, Stream

LONGEST = 9  # words of a phrase

_LENGTHS = [[length for length in range(2, LONGEST + 1) if bits >> (length - 2) & 1] for bits in range(256)]
_HASH = (0x9E3779B1, 0x85EBCA77)


class Hits:
    """Leaves and where in a stream they stand, from their first to their last word, in the order they are found."""

    def __init__(self) -> None:
        self._leaves: list[int] = []
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._arrays: list[tuple[Numbers, Places, Places]] = []

    def add(self, leaf: int, first: int, last: int) -> None:
        """One more."""
        self._leaves.append(leaf)
        self._firsts.append(first)
        self._lasts.append(last)

    def add_words(self, leaves: Numbers) -> None:
        """Of every place in the stream, the leaf that its one word is, if above 0."""
        at = np.nonzero(leaves > 0)[0]
        self._arrays.append((leaves[at], at, at))

    def arrays(self) -> tuple[Numbers, Places, Places]:
        """All of them, side by side."""
        leaves = np.array(self._leaves, dtype=np.int32)
        firsts, lasts = np.array(self._firsts, dtype=np.int64), np.array(self._lasts, dtype=np.int64)
        columns = zip(*self._arrays, (leaves, firsts, lasts), strict=True)
        found, first, last = (np.concatenate(column) for column in columns)
        return found, first, last


class Phrasebook:
    """The phrases that are watched, each with the number of its leaf."""

    def __init__(self) -> None:
        self._single = np.zeros(1 << 10, dtype=np.int32)  # those of one word, by term
        self._longer: dict[bytes, int] = {}
        self._beginnings: set[bytes] = set()  # of those of three words and more, for what hyphens join
        self._lengths: Bytes = np.zeros(1 << 12, dtype=np.uint8)  # by hash of the first two terms, as bits
        # Terms that phrases hold, and those they hold only as hyphenated words in one, with how these were parted.
        self._worded = bytearray(1 << 10)
        self._parted: dict[int, set[tuple[int, ...]]] = {}

    def number(self, terms: Sequence[int], new: Callable[[bytes], int]) -> int:
        """The leaf of terms one after another; `new` numbers one that is not known yet."""
        if len(terms) == 1:
            term = terms[0]
            self._single = enough(self._single, term)
            leaf = self._single.item(term)
            if not leaf:
                leaf = self._single[term] = new(struct.pack("<i", term))
            return leaf
        key = array("i", terms).tobytes()
        known = self._longer.get(key)
        if known is None:
            known = self._longer[key] = new(key)
            if len(self._longer) * 8 > len(self._lengths):
                self._lengths = np.zeros(4 * len(self._lengths), dtype=np.uint8)
                for each in self._longer:
                    self._expect(each)
            else:
                self._expect(key)
        return known

    def remove(self, key: bytes) -> None:
        """Forget a phrase, by the key that `new` was given."""
        if len(key) == 4:
            self._single[struct.unpack("<i", key)[0]] = 0
        else:
            del self._longer[key]

    def note(self, terms: Sequence[int]) -> None:
        """Some phrase has these terms as words."""
        worded, most = self._worded, max(terms)
        if most >= len(worded):
            worded.extend(bytes(most + 1))
        for term in terms:
            worded[term] = 1

    def note_closed(self, terms: Iterable[int], parts: Sequence[tuple[int, ...]]) -> None:
        """Some phrase has one of these terms in the place of parts, each of one of its terms, and has these, too."""
        for term in terms:
            self._parted.setdefault(term, set()).update(itertools.product(*parts))

    def terms(self) -> set[int]:
        """The terms of all phrases."""
        joined = np.frombuffer(b"".join(self._longer), dtype=np.int32)
        return {*joined.tolist(), *np.nonzero(self._single)[0].tolist()}

    def refresh(self) -> None:
        """Drop what was noted of phrases that are gone; the numbers of other terms may come to mean something else."""
        self.note([0, *self._parted])
        self._parted.clear()
        self._beginnings.clear()
        for key in self._longer:
            self._expect(key)

    def _expect(self, key: bytes) -> None:
        """Remember how a phrase begins and how long it is."""
        first, second = struct.unpack_from("<2i", key)
        self._lengths[self._slot(first, second)] |= 1 << (len(key) // 4 - 2)
        for end in range(8, len(key), 4):
            self._beginnings.add(key[:end])

    def _slot(self, first: int, second: int) -> int:
        hashed = (first * _HASH[0] + second * _HASH[1]) & 0xFFFFFFFF
        return (hashed ^ hashed >> 15) & (len(self._lengths) - 1)

    # ---------------------------------------------------------------- in a text

    def find(self, stream: Stream, hits: Hits, terms: int) -> None:
        """Add all that stand in a stream, whose terms are below a number."""
        self._single = enough(self._single, terms)
        hits.add_words(self._single[stream.terms])
        lengths = self._hints(stream.terms)
        self._find_longer(stream.terms, lengths, hits)
        if stream.joints:
            self._find_joined(stream, lengths, hits)

    def _hints(self, terms: Numbers) -> Bytes:
        """By place, as bits, how long the phrases are that may begin there."""
        one = terms[:-1].astype(np.uint32) * np.uint32(_HASH[0])
        one += terms[1:].astype(np.uint32) * np.uint32(_HASH[1])
        one ^= one >> np.uint32(15)
        one &= np.uint32(len(self._lengths) - 1)
        found: Bytes = self._lengths[one]
        return found

    def _find_longer(self, terms: Numbers, lengths: Bytes, hits: Hits) -> None:
        written, phrase, size = terms.tobytes(), self._longer.get, 4 * len(terms)
        places = np.nonzero(lengths)[0]
        for place, bits in zip(places.tolist(), lengths[places].tolist(), strict=True):
            start = 4 * place
            for length in _LENGTHS[bits]:
                end = start + 4 * length
                leaf = phrase(written[start:end])
                # A slice at the end is shorter than it should be, and may be another phrase.
                if leaf is not None and end <= size:
                    hits.add(leaf, place, place + length - 1)

    def _find_joined(self, stream: Stream, lengths: Bytes, hits: Hits) -> None:
        """Phrases that hold a hyphenated word of the text as if it were written in one."""
        live: dict[int, list[Joint]] = {}
        for place, joints in stream.joints.items():
            for joint in joints:
                if self._is_live(joint):
                    live.setdefault(place, []).append(joint)
                    if leaf := self._single.item(joint.term):
                        hits.add(leaf, place, place + joint.count - 1)
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
            self._walk(terms, live, start, hits)

    def _is_live(self, joint: Joint) -> bool:
        """Whether some phrase needs these words in one. Not so where it would find them in these very parts, too."""
        term = joint.term
        if term < len(self._worded) and self._worded[term]:
            return True
        parted = self._parted.get(term)
        return parted is not None and parted != {joint.parts}

    def _walk(self, terms: list[int], live: Mapping[int, list[Joint]], start: int, hits: Hits) -> None:
        """Follow every phrase that begins here, through words and hyphenated words, as far as phrases go."""
        paths: list[tuple[int, int, bytes, bool]] = [(start, start, b"", False)]
        while paths:
            place, last, written, joined = paths.pop()
            if joined and len(written) > 4 and (leaf := self._longer.get(written)):
                hits.add(leaf, start, last)
            if place >= len(terms) or terms[place] < FIRST or len(written) == 4 * LONGEST:
                continue
            if len(written) > 4 and written not in self._beginnings:
                continue
            paths.append((place + 1, place, written + struct.pack("<i", terms[place]), joined))
            for joint in live.get(place, ()):
                end = place + joint.count
                paths.append((end, end - 1, written + struct.pack("<i", joint.term), True))
