"""
What stands between white space, found again all at once.

Texts repeat themselves, so the words of a chunk are worked out once. To look up nine hundred chunks one after another
is to wait for memory nine hundred times; asked for as an array, they are waited for together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from notifier.watchlists.index.numbers import FIELD, PARAGRAPH, Numbers, enough
from notifier.watchlists.index.ragged_lists import ragged

MOST = 1 << 19  # chunks remembered, at 28 bytes, before all are forgotten and learnt anew
LONGEST = 40  # characters of a chunk that is remembered: longer ones are rarely seen twice

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n|\u2029")
_FIELDS_PART, _PARAGRAPHS_PART = " ", "\n\n"  # stand among the chunks, and are none
_FIELD, _CHAPTER = (np.array([mark], dtype=np.int32).tobytes() for mark in (FIELD, PARAGRAPH))
_NONE = 0
_MASK = 2 * MOST - 1  # of the slots, of which half are free

_Hashes = npt.NDArray[np.int64]


class Chunks:
    """
    The chunks that were read. `read` works out the words of one, as bytes of an array of int32.

    They are told apart by Python's hash of them alone: 64 bits, under a key of each process that nobody outside knows.
    Two of half a million would be taken for each other once in 10^7 processes that ever fill up.
    """

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self.forget()

    def forget(self) -> None:
        """Forget all: the numbers of words have come to mean something else."""
        self._slots = np.zeros(_MASK + 1, dtype=np.int32)  # by hash, the chunk, else in one of the next slots
        # By chunk: its hash, and where its words are, and how many there are.
        self._hashes = np.zeros(1 << 10, dtype=np.int64)
        self._starts, self._lengths = np.zeros(1 << 10, dtype=np.int32), np.zeros(1 << 10, dtype=np.int32)
        self._words = np.zeros(1 << 10, dtype=np.int32)
        self._count, self._end = _NONE + 1, 0
        self._learn({_FIELDS_PART: self._count, _PARAGRAPHS_PART: self._count + 1}, [_FIELD, _CHAPTER])

    def words(self, texts: Sequence[str]) -> Numbers:
        """The words of texts, one text after another, and between them what parts paragraphs, and texts."""
        if self._count >= MOST:
            self.forget()
        chunks = _chunks(texts)
        found = self._known(np.fromiter(map(hash, chunks), np.int64, len(chunks)))
        unknown = np.nonzero(found == _NONE)[0].tolist()
        if unknown:
            # Those that are not to be remembered get the last numbers, which are given again.
            new = sorted(dict.fromkeys(chunks[index] for index in unknown), key=lambda chunk: len(chunk) >= LONGEST)
            numbers = {chunk: number for number, chunk in enumerate(new, self._count)}
            found[unknown] = [numbers[chunks[index]] for index in unknown]
            self._learn(numbers, [self._read(chunk) for chunk in new])
        words: Numbers = self._words[ragged(self._starts[found], self._lengths[found])]
        return words

    def _known(self, hashes: _Hashes) -> Numbers:
        """The chunks of these hashes, _NONE where there is none."""
        slots = hashes & _MASK
        found: Numbers = self._slots[slots]
        others = np.nonzero((self._hashes[found] != hashes) & (found != _NONE))[0]
        while len(others):
            slots[others] = slots[others] + 1 & _MASK
            found[others] = self._slots[slots[others]]
            others = others[(self._hashes[found[others]] != hashes[others]) & (found[others] != _NONE)]
        return found

    def _learn(self, numbers: Mapping[str, int], words: Sequence[bytes]) -> None:
        """Store the words of chunks under the next numbers, and remember those that are worth it."""
        first, after = self._count, self._count + len(words)
        lengths = np.array([len(each) // 4 for each in words], dtype=np.int32)
        ends = self._end + np.cumsum(lengths)
        self._starts, self._lengths = enough(self._starts, after), enough(self._lengths, after)
        self._hashes, self._words = enough(self._hashes, after), enough(self._words, int(ends[-1]))
        self._starts[first:after], self._lengths[first:after] = ends - lengths, lengths
        self._words[self._end : ends[-1]] = np.frombuffer(b"".join(words), dtype=np.int32)
        for chunk, number in numbers.items():
            if len(chunk) < LONGEST:
                slot = hash(chunk) & _MASK
                while self._slots.item(slot):
                    slot = slot + 1 & _MASK
                self._slots[slot], self._hashes[number] = number, hash(chunk)
                self._count, self._end = number + 1, ends.item(number - first)


def _chunks(texts: Sequence[str]) -> list[str]:
    """The chunks of texts, and what parts them."""
    chunks: list[str] = []
    for number, text in enumerate(texts):
        if number:
            chunks.append(_FIELDS_PART)
        if "\n" not in text and "\u2029" not in text:
            chunks += text.split()
            continue
        for index, paragraph in enumerate(_PARAGRAPH.split(text)):
            if index:
                chunks.append(_PARAGRAPHS_PART)
            chunks += paragraph.split()
    return chunks
