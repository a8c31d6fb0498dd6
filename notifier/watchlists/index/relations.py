"""
Leaves that depend on where others stand: near each other, apart, one after the other; and those that are searched for.

Each is a *test*, made only where the leaves are present that it cannot do without, and then for all such tests at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from notifier.watchlists.expression import Leaf
from notifier.watchlists.index.nearness import ALONE, KIND, WINDOW, LeafPlaces
from notifier.watchlists.index.numbers import Codes, Numbers, Places, Truths, distinct, enough
from notifier.watchlists.index.ragged_lists import Runs
from notifier.watchlists.index.vocabulary import Stream
from notifier.watchlists.search import Text

Clause = tuple[int, ...]

# A test is asked for where one leaf is present, or one of each of two clauses.
_BY_ONE, _BY_FIRST, _BY_SECOND = 0, 1, 2
_SHIFT, _MASK = 28, (1 << 28) - 1


class Test(msgspec.Struct, frozen=True):
    """
    What a test is of: a leaf that must be searched for, or a pair, `left` and `right`, which must stand as `how` says
    within `reach` words (of a window the leaf as well: where a text has its words in parts, only the search can tell).
    `needs` are clauses, at most two, of leaves of which one must be present; without any it is always made.
    """

    needs: tuple[Clause, ...]
    leaf: Leaf | None = None
    left: int = 0
    right: int = 0
    how: int = ALONE
    reach: int = 0

    @property
    def held(self) -> list[int]:
        """The leaves that must live as long as it does."""
        pair = [] if self.how & KIND == ALONE else [self.left, self.right]
        return [*pair, *(leaf for clause in self.needs for leaf in clause)]


class Relations:
    """The tests that are made."""

    def __init__(self) -> None:
        self._asked = Runs()  # by leaf, the tests that are made where it is present
        self._always: set[int] = set()
        self._numbers: dict[int, int] = {}  # by leaf that is tested
        self._free: list[int] = []
        # By test: its leaf, what it is of where that is searched for, and of pairs what stands where.
        self._searched: dict[int, Leaf] = {}
        self._leaf = np.zeros(16, dtype=np.int32)
        self._left = np.zeros(16, dtype=np.int32)
        self._right = np.zeros(16, dtype=np.int32)
        self._reach = np.zeros(16, dtype=np.int32)
        self._how = np.zeros(16, dtype=np.uint8)
        self._concerned = np.zeros(16, dtype=np.bool_)  # all false between statements

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, leaf: int, of: Test) -> None:
        """A leaf is true where this test is."""
        number = self._free.pop() if self._free else len(self._numbers)
        self._leaf, self._left = enough(self._leaf, number), enough(self._left, number)
        self._right, self._reach = enough(self._right, number), enough(self._reach, number)
        self._how = enough(self._how, number)
        self._leaf[number], self._numbers[leaf] = leaf, number
        self._left[number], self._right[number] = of.left, of.right
        self._how[number], self._reach[number] = of.how, of.reach
        if of.leaf is not None:
            self._searched[number] = of.leaf
        if not of.needs:
            self._always.add(number)
        for code, each in _codes(number, of.needs):
            self._asked.add(each, code)

    def remove(self, leaf: int, of: Test) -> None:
        """Undo `add`."""
        number = self._numbers.pop(leaf)
        self._free.append(number)
        self._searched.pop(number, None)
        self._always.discard(number)
        for code, each in _codes(number, of.needs):
            self._asked.remove(each, code)

    def true(
        self, present: Numbers, stream: Stream, places: tuple[Numbers, Places, Places], text: Callable[[], Text]
    ) -> Numbers:
        """The leaves whose tests hold, with these present at these places of a stream; `text` is for the search."""
        codes = distinct(self._asked.together(present))
        first = np.searchsorted(codes, _BY_FIRST << _SHIFT)
        twice = np.sort(codes[first:] & _MASK)
        both = twice[:-1][twice[1:] == twice[:-1]]
        tests = np.concatenate([codes[:first], both, np.fromiter(self._always, np.uint32, len(self._always))])
        searched = self._how[tests] & KIND == ALONE
        searched |= self._doubtful(tests, places)
        true = self._leaf[self._near(tests[~searched], stream, places)]
        if not searched.any():
            return true
        held = text()
        found = [self._leaf[test] for test in tests[searched].tolist() if held.found(self._searched[test])]
        return np.concatenate([true, np.array(found, dtype=np.int32)])

    def _doubtful(self, tests: Codes, places: tuple[Numbers, Places, Places]) -> Truths:
        """The windows of words of which the text has one in parts, so that more than places count."""
        leaves, firsts, lasts = places
        windows: Truths = self._how[tests] & KIND == WINDOW
        if windows.any():
            parted = distinct(leaves[lasts != firsts])
            windows &= np.isin(self._left[tests], parted) | np.isin(self._right[tests], parted)
        return windows

    def _near(self, tests: Codes, stream: Stream, places: tuple[Numbers, Places, Places]) -> Codes:
        """The pairs that stand as they must."""
        if not len(tests):
            return tests
        leaves, firsts, lasts = places
        lefts, rights = self._left[tests], self._right[tests]
        concerned = self._concerned = enough(self._concerned, int(max(leaves.max(), lefts.max(), rights.max())))
        concerned[lefts] = concerned[rights] = True
        mine = concerned[leaves]
        concerned[lefts] = concerned[rights] = False
        standing = LeafPlaces(stream.terms, leaves[mine], firsts[mine], lasts[mine])
        near: Codes = tests[standing.hold(lefts, rights, self._how[tests], self._reach[tests])]
        return near


def _codes(test: int, needs: Sequence[Clause]) -> Iterator[tuple[int, int]]:
    slots = (_BY_ONE,) if len(needs) == 1 else (_BY_FIRST, _BY_SECOND)
    for slot, clause in zip(slots, needs, strict=False):
        yield from ((slot << _SHIFT | test, leaf) for leaf in clause)
