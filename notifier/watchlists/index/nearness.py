"""
Which pairs of leaves stand near enough in a text, asked of thousands of pairs at once.

As in `search`, the nearest partner decides, so each occurrence costs one look-up in a sorted array, however often the
words are repeated.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from notifier.watchlists.index.numbers import FIELD, FIRST, PARAGRAPH, Bytes, Numbers, Places, Truths

# How a pair must stand, in a byte: its kind, whether the order counts, and what it may not leave.
NEAR, APART, WINDOW, ALONE, ORDERED, WITHIN_SENTENCE, WITHIN_PARAGRAPH = 0, 1, 2, 3, 4, 8, 16
KIND = 3

_BLOCK = 1 << 20  # occurrences looked at together, for the sake of memory
_ROOM = 1 << 32  # more than there are words in a text
_GAP = 1000  # words between two fields: more than any proximity reaches


class LeafPlaces:
    """
    Where the leaves of a text stand: a leaf, and the places in the stream of `terms` of its first and its last word,
    one of each an occurrence.
    """

    def __init__(self, terms: Numbers, leaves: Numbers, firsts: Places, lasts: Places):
        self._terms = terms
        steps = (terms >= FIRST).astype(np.int64)
        steps[terms == FIELD] = _GAP
        position = np.cumsum(steps)
        keys = leaves.astype(np.int64) * _ROOM
        first_at, last_at = position[firsts], position[lasts]
        by_first, by_last = keys + first_at, keys + last_at
        order, other = np.argsort(by_first), np.argsort(by_last)
        # In the order of the first words, and where in the stream they are; in that of the last words likewise.
        self._by_first, self._first_places = by_first[order], firsts[order]
        self._by_last, self._last_places = by_last[other], lasts[other]
        self._firsts, self._lasts = first_at[order], last_at[order]
        self._ends = lasts[order]

    @cached_property
    def _sentences(self) -> Places:
        return np.cumsum(self._terms < FIRST)

    @cached_property
    def _paragraphs(self) -> Places:
        return np.cumsum((self._terms == PARAGRAPH) | (self._terms == FIELD))

    def hold(self, lefts: Numbers, rights: Numbers, how: Bytes, reach: Numbers) -> Truths:
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

    def _stand(self, place: Places, right: Places, how: Bytes, reach: Numbers) -> Truths:
        """The same of single occurrences of the left leaf."""
        first, last = self._firsts[place], self._lasts[place]
        kind = how & KIND
        apart = kind == APART
        if apart.all():
            return self._alone(first, last, right, reach)
        found = np.searchsorted(self._by_first, right + last, side="right")
        there = np.minimum(found, len(self._by_first) - 1)
        after = self._by_first[there] - right
        near = (found < len(self._by_first)) & (after < _ROOM) & (after - last <= reach)
        self._part(near, self._ends[place], self._first_places[there], how)
        found = np.searchsorted(self._by_last, right + first, side="left") - 1
        there = np.maximum(found, 0)
        before = self._by_last[there] - right
        back = (found >= 0) & (before >= 0) & (first - before <= reach) & (how & ORDERED == 0)
        self._part(back, self._last_places[there], self._first_places[place], how)
        near |= back
        if apart.any():
            near[apart] = self._alone(first[apart], last[apart], right[apart], reach[apart])
        return near

    def _part(self, near: Truths, one: Places, other: Places, how: Bytes) -> None:
        """Take back what is near, but not in one sentence or paragraph as it must be."""
        for flag in (WITHIN_SENTENCE, WITHIN_PARAGRAPH):
            at = np.nonzero(near & (how & flag != 0))[0]
            if len(at):
                numbers = self._sentences if flag == WITHIN_SENTENCE else self._paragraphs
                near[at] = numbers[one[at]] == numbers[other[at]]

    def _alone(self, first: Places, last: Places, right: Places, reach: Numbers) -> Truths:
        # All that start early enough, less those that end too early, are those in between.
        started = np.searchsorted(self._by_first, right + last + reach, side="right")
        ended = np.searchsorted(self._by_last, right + np.maximum(first - reach, 0), side="left")
        return np.asarray(started == ended)
