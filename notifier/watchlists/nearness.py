"""
Which pairs of leaves stand near enough in a text, asked of thousands of pairs at once.

As in `search`, the nearest partner decides, so each occurrence costs one look-up in a sorted array, however often the
words are repeated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int32]
Truths = npt.NDArray[np.bool_]
_Keys = npt.NDArray[np.int64]

# How a pair must stand, in a byte: its kind, whether the order counts, and what it may not leave.
NEAR, APART, WINDOW, ALONE, ORDERED, WITHIN_SENTENCE, WITHIN_PARAGRAPH = 0, 1, 2, 3, 4, 8, 16
KIND = 3

_BLOCK = 1 << 20  # occurrences looked at together, for the sake of memory
_ROOM = 1 << 32  # more than there are words in a text


class Places:
    """
    Where the leaves of a text stand: a leaf, its first and its last word, one of each an occurrence. `sentences` and
    `paragraphs` are numbers by word.
    """

    def __init__(self, leaves: Numbers, firsts: Numbers, lasts: Numbers, sentences: Numbers, paragraphs: Numbers):
        keys = leaves.astype(np.int64) * _ROOM
        by_first = keys + firsts
        order = np.argsort(by_first)
        self._by_first: _Keys = by_first[order]
        self._by_last: _Keys = np.sort(keys + lasts)
        self._firsts, self._lasts = firsts[order].astype(np.int64), lasts[order].astype(np.int64)
        self._sentences, self._paragraphs = sentences, paragraphs

    def hold(self, lefts: Numbers, rights: Numbers, how: npt.NDArray[np.uint8], reach: Numbers) -> Truths:
        """Of each pair, whether it stands as it must."""
        starts = np.searchsorted(self._by_first, lefts.astype(np.int64) * _ROOM)
        counts = np.searchsorted(self._by_first, (lefts.astype(np.int64) + 1) * _ROOM) - starts
        true = np.zeros(len(lefts), dtype=np.bool_)
        ends = np.cumsum(counts)
        done = 0
        while done < len(lefts):
            # At least one pair at a time: how often one leaf stands is bounded by the text.
            before = int(ends[done - 1]) if done else 0
            until = max(done + 1, int(np.searchsorted(ends, before + _BLOCK, side="right")))
            each = slice(done, until)
            owner = np.repeat(np.arange(done, until), counts[each])
            place = np.arange(len(owner)) + np.repeat(starts[each] - (ends[each] - counts[each] - before), counts[each])
            stands = self._stand(place, rights[owner].astype(np.int64) * _ROOM, how[owner], reach[owner])
            true[owner[stands]] = True
            done = until
        return true

    def _stand(self, place: _Keys, right: _Keys, how: npt.NDArray[np.uint8], reach: Numbers) -> Truths:
        """The same of single occurrences of the left leaf."""
        first, last = self._firsts[place], self._lasts[place]
        kind = how & KIND
        apart = kind == APART
        if apart.all():
            return self._alone(first, last, right, reach)
        found = np.searchsorted(self._by_first, right + last, side="right")
        after = self._by_first[np.minimum(found, len(self._by_first) - 1)] - right
        near = (found < len(self._by_first)) & (after < _ROOM) & (after - last <= reach)
        near &= self._together(last, after, how, near)
        found = np.searchsorted(self._by_last, right + first, side="left") - 1
        before = self._by_last[np.maximum(found, 0)] - right
        back = (found >= 0) & (before >= 0) & (first - before <= reach) & (how & ORDERED == 0)
        near |= back & self._together(before, first, how, back)
        if apart.any():
            near[apart] = self._alone(first[apart], last[apart], right[apart], reach[apart])
        return near

    def _together(self, one: _Keys, other: _Keys, how: npt.NDArray[np.uint8], asked: Truths) -> Truths:
        together = np.ones(len(one), dtype=np.bool_)
        for flag, numbers in ((WITHIN_SENTENCE, self._sentences), (WITHIN_PARAGRAPH, self._paragraphs)):
            at = np.nonzero(asked & (how & flag != 0))[0]
            if len(at):
                together[at] = numbers[one[at]] == numbers[other[at]]
        return together

    def _alone(self, first: _Keys, last: _Keys, right: _Keys, reach: Numbers) -> Truths:
        # All that start early enough, less those that end too early, are those in between.
        started = np.searchsorted(self._by_first, right + last + reach, side="right")
        ended = np.searchsorted(self._by_last, right + np.maximum(first - reach, 0), side="left")
        return np.asarray(started == ended)
