"""
Which watchlists match, given the leaves that are present: sets of numbers, united, intersected and subtracted.

A watchlist with k clauses is, for each clause, in the set of every leaf that satisfies it. So the result is the union
over k of the intersection over its clauses, minus the watchlists for which an excluded leaf is present. Small sets are
packed in four bytes each beside their leaf, and only large ones are bitmaps (Roaring, Lemire et al., 2016).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from pyroaring import BitMap

from notifier.watchlists.index.clauses import FAMILIES, Plan
from notifier.watchlists.index.numbers import Codes, Numbers, distinct, enough
from notifier.watchlists.index.ragged_lists import Runs

FEW = 64  # numbers packed beside one leaf, before the most of them become a bitmap

_SHIFT, _MASK = 28, (1 << 28) - 1
# Where the clauses of a watchlist that has so many begin; after all of them, what must be absent.
_SLOTS = {1: 0, 2: 1, 3: 3, 4: 6}
_ABSENT = 10
_COUNT = 11
_SLOT_KEYS = np.arange(_COUNT + 1, dtype=np.uint32) << np.uint32(12)
_FIRST = np.zeros(1, dtype=np.int64)


class Postings:
    """The numbers of watchlists by what they ask for."""

    def __init__(self) -> None:
        self._few = Runs()  # by leaf: slots and numbers
        self._many: dict[int, dict[int, BitMap]] = {}  # by leaf, then slot
        self._has_many = np.zeros(16, dtype=np.bool_)  # by leaf

    def add(self, number: int, plan: Plan) -> None:
        """A watchlist asks for these."""
        for slot, leaf in asked(plan):
            many = self._many.get(leaf)
            if many is not None and slot in many:
                many[slot].add(number)
            elif self._few.add(leaf, slot << _SHIFT | number) > FEW:
                self._split(leaf)

    def add_all(self, slots: Codes, leaves: Codes, numbers: Codes) -> None:
        """Many at once: the number in a row asks for the leaf beside it, in that slot."""
        if not len(leaves):
            return
        codes = slots << np.uint32(_SHIFT) | numbers
        order = np.lexsort((codes, leaves))
        leaves, codes = leaves[order], codes[order]
        self._few.add_all(leaves, codes)
        for leaf in self._few.longer(FEW):
            self._split(leaf)

    def remove(self, number: int, plan: Plan) -> None:
        """Undo `add`."""
        for slot, leaf in asked(plan):
            many = self._many.get(leaf)
            if many is None or slot not in many:
                self._few.remove(leaf, slot << _SHIFT | number)
                continue
            many[slot].discard(number)
            if not many[slot]:
                del many[slot]
            if not many:
                del self._many[leaf]
                self._has_many[leaf] = False

    def _split(self, leaf: int) -> None:
        """Make bitmaps of the slots that hold the most, until few are left."""
        codes = np.sort(self._few.of(leaf))
        many = self._many.setdefault(leaf, {})
        self._has_many = enough(self._has_many, leaf)
        self._has_many[leaf] = True
        bounds = np.searchsorted(codes >> _SHIFT, np.arange(_COUNT + 1)).tolist()
        sizes = {slot: bounds[slot + 1] - bounds[slot] for slot in range(_COUNT)}
        kept = np.ones(len(codes), dtype=np.bool_)
        left = len(codes)
        for slot, size in sorted(sizes.items(), key=lambda each: -each[1]):
            if size and (slot in many or left > FEW // 2):
                part = slice(bounds[slot], bounds[slot + 1])
                made = BitMap(codes[part] & np.uint32(_MASK)) | many.get(slot, BitMap())
                made.run_optimize()
                many[slot] = made
                kept[part] = False
                left -= size
        self._few.put(leaf, codes[kept])

    def true(self, present: Numbers) -> BitMap:
        """Those whose clauses are true when these leaves, which rise, and no others are present."""
        codes = distinct(self._few.together(present))
        maps: list[list[BitMap]] = [[] for _ in range(_COUNT)]
        for slot, made in bitmaps(codes):
            maps[slot].append(made)
        self._has_many = enough(self._has_many, int(present[-1]) if len(present) else 0)
        for leaf in present[self._has_many[present]].tolist():
            for slot, many in self._many[leaf].items():
                maps[slot].append(many)
        found = [_all([maps[_SLOTS[family] + clause] for clause in range(family)]) for family in range(1, FAMILIES + 1)]
        result = BitMap.union(*found)
        if maps[_ABSENT] and result:
            result -= BitMap.union(*maps[_ABSENT])
        return result


def asked(plan: Plan) -> Iterator[tuple[int, int]]:
    """The slots and leaves of a plan."""
    if plan.never:
        return
    for slot, clause in enumerate(plan.needed, _SLOTS.get(len(plan.needed), 0)):
        for leaf in clause:
            yield slot, leaf
    for leaf in plan.absent:
        yield _ABSENT, leaf


def _all(clauses: Sequence[list[BitMap]]) -> BitMap:
    """What is in one set at least of each clause."""
    if not all(clauses):
        return BitMap()
    united = sorted((BitMap.union(*maps) for maps in clauses), key=len)
    # Not in place: the union of one set may be that very set.
    return united[0].intersection(*united[1:]) if len(united) > 1 else united[0]


def bitmaps(codes: Codes) -> Iterator[tuple[int, BitMap]]:
    """
    The slots of codes that rise, each with the set of its numbers.

    Reading Roaring's own format is ten times as fast as adding number by number:
    https://github.com/RoaringBitmap/RoaringFormatSpec
    """
    if not len(codes):
        return
    high = codes >> np.uint32(16)
    starts = np.nonzero(high[1:] != high[:-1])[0] + 1
    edges = np.concatenate([_FIRST, starts, [len(codes)]])
    starts, sizes = edges[:-1], edges[1:] - edges[:-1]
    keys = high[starts]
    heads = (keys & np.uint32(0xFFF)) | (sizes - 1).astype(np.uint32) << np.uint32(16)
    bounds = np.searchsorted(keys, _SLOT_KEYS).tolist()
    places = edges.tolist()
    low = codes.astype(np.uint16)
    for slot in range(_COUNT):
        first, last = bounds[slot], bounds[slot + 1]
        if first == last:
            continue
        count, begin, end = last - first, places[first], places[last]
        if end - begin > 4096 and sizes[first:last].max() > 4096:
            # Of so many in one container the format says otherwise.
            yield slot, BitMap(codes[begin:end] & np.uint32(_MASK))
            continue
        offsets = (8 + 8 * count + 2 * (starts[first:last] - begin)).astype(np.uint32)
        header = struct.pack("<2I", 12346, count)
        written = (header, heads[first:last].tobytes(), offsets.tobytes(), low[begin:end].tobytes())
        yield slot, BitMap.deserialize(b"".join(written))
