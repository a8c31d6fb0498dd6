"""
Which pieces of two lists belong together: what a revision kept, so that the rest is what it changed.

Comparing all with all takes seconds for long texts, and minutes for hostile ones. So a long stretch is first parted at
pieces that both sides have just once (a patience diff), and a comparison has an effort to spend; what is left when that
is spent, such as a hundred thousand times the same word, counts as changed.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

EFFORT = 8_000_000  # pairs of pieces that are looked at, at the very most and all told: about a second
MAX_STRETCH_EFFORT = 1_500_000  # of them for one stretch; a longer one is first parted
DEPTH = 4  # how often a stretch is parted


class Comparison:
    """
    What is asked of one comparison shares its `effort`: pairs of pieces that are looked at, eight millions a second.

    It `gave_up` where some stretch took too much; what is equal there is not told.
    """

    def __init__(self, effort: int = EFFORT) -> None:
        self._left = effort
        self.gave_up = False

    def pairs(self, old: Sequence[str], new: Sequence[str], depth: int = DEPTH) -> list[tuple[int, int]]:
        """Places of equal pieces, one in `old` and one in `new`, both ascending."""
        shorter = min(len(old), len(new))
        head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
        tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
        middle = self._middle(old[head : len(old) - tail], new[head : len(new) - tail], depth)
        found = [(at, at) for at in range(head)]
        found += [(head + i, head + j) for i, j in middle]
        return found + [(len(old) - at, len(new) - at) for at in range(tail, 0, -1)]

    def _middle(self, old: Sequence[str], new: Sequence[str], depth: int) -> list[tuple[int, int]]:
        often = Counter(new)
        same = sum(count * often[piece] for piece, count in Counter(old).items())
        if not same:
            return []
        # It goes over what is left of the old once for each stretch that it finds.
        effort = (same + len(old)) * min(same, len(old), len(new))
        if effort <= min(MAX_STRETCH_EFFORT, self._left):
            self._left -= effort
            blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
            return [(block.a + at, block.b + at) for block in blocks for at in range(block.size)]
        anchors = _anchors(old, new) if depth else []
        if not anchors:
            self.gave_up = True
            return []
        found: list[tuple[int, int]] = []
        i = j = 0
        for k, m in [*anchors, (len(old), len(new))]:
            found += [(i + a, j + b) for a, b in self.pairs(old[i:k], new[j:m], depth - 1)]
            found.append((k, m))
            i, j = k + 1, m + 1
        return found[:-1]


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """
    The longest row of pieces that both have just once, in the same order in both: what is called a patience diff.
    """
    here, there = _once(old), _once(new)
    places = [(at, there[piece]) for piece, at in here.items() if piece in there]
    tops: list[int] = []
    row: list[int] = []  # of the row so far, which place ends each length
    before: list[int] = []
    for number, (_, at) in enumerate(places):
        length = bisect_left(tops, at)
        before.append(row[length - 1] if length else -1)
        tops[length : length + 1] = [at]
        row[length : length + 1] = [number]
    found: list[tuple[int, int]] = []
    number = row[-1] if row else -1
    while number >= 0:
        found.append(places[number])
        number = before[number]
    return found[::-1]


def _once(pieces: Sequence[str]) -> dict[str, int]:
    often = Counter(pieces)
    return {piece: at for at, piece in enumerate(pieces) if often[piece] == 1}
