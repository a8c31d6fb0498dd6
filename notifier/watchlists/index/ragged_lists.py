"""
Short lists of numbers, all in one array.

As an object each, hundreds of thousands of lists of two or three numbers take ten times the memory, and those of five
hundred indices are waited for five hundred times. Here they are read together.
"""

from __future__ import annotations

import numpy as np

from notifier.watchlists.index.numbers import Codes, Numbers, Places, enough

_LOOSE = 1 << 12  # numbers of room given up before it is worth while to move all together


class Runs:
    """By index, a list of numbers below 2^32, in no order that means anything. Of an index never used it is empty."""

    def __init__(self) -> None:
        self._starts, self._lengths = np.zeros(16, dtype=np.int64), np.zeros(16, dtype=np.int32)
        self._rooms = np.zeros(16, dtype=np.int32)
        self._numbers = np.zeros(16, dtype=np.uint32)
        self._end = 0
        self._loose = 0

    @property
    def size(self) -> int:
        """Numbers that there is room for."""
        return len(self._numbers)

    def of(self, index: int) -> Codes:
        """The list at an index, until the next change."""
        if index >= len(self._lengths):
            return self._numbers[:0]
        start = self._starts.item(index)
        return self._numbers[start : start + self._lengths.item(index)]

    def together(self, indices: Numbers) -> Codes:
        """The lists at these indices, which rise, one after another."""
        if len(indices) and indices[-1] >= len(self._lengths):
            indices = indices[indices < len(self._lengths)]
        found: Codes = self._numbers[ragged(self._starts[indices], self._lengths[indices])]
        return found

    def longer(self, than: int) -> list[int]:
        """The indices of lists of more numbers than that."""
        found: list[int] = np.nonzero(self._lengths > than)[0].tolist()
        return found

    def add(self, index: int, number: int) -> int:
        """One more number at an index; how many there are now."""
        self._reach(index)
        length = self._lengths.item(index)
        if length == self._rooms.item(index):
            self._move(index, max(2, length + length // 2))
        self._numbers[self._starts.item(index) + length] = number
        self._lengths[index] = length + 1
        return length + 1

    def add_all(self, indices: Codes, numbers: Codes) -> None:
        """Many more: each at the index beside it. Indices rise."""
        self._reach(int(indices[-1]))
        starts = np.nonzero(np.diff(indices, prepend=-1))[0]
        at, more = indices[starts].astype(np.int64), np.diff(starts, append=len(indices))
        kept = np.nonzero(self._lengths[at])[0]
        old = [(int(at[place]), self.of(int(at[place])).copy()) for place in kept.tolist()]
        self._give_up(int(self._rooms[at].sum()))
        self._numbers = enough(self._numbers, self._end + len(numbers))
        self._numbers[self._end : self._end + len(numbers)] = numbers
        self._starts[at], self._lengths[at], self._rooms[at] = self._end + starts, more, more
        self._end += len(numbers)
        for index, before in old:
            for number in before.tolist():
                self.add(index, number)

    def remove(self, index: int, number: int) -> int:
        """Undo one `add`; how many are left. Raises ValueError where the number is not there."""
        numbers = self.of(index)
        at = numbers.tolist().index(number)
        numbers[at] = numbers[-1]
        self._lengths[index] = len(numbers) - 1
        return len(numbers) - 1

    def put(self, index: int, numbers: Codes) -> None:
        """Have these at an index in place of as many or more."""
        start = self._starts.item(index)
        self._numbers[start : start + len(numbers)] = numbers
        self._lengths[index] = len(numbers)

    def _reach(self, index: int) -> None:
        self._starts, self._lengths = enough(self._starts, index), enough(self._lengths, index)
        self._rooms = enough(self._rooms, index)

    def _move(self, index: int, room: int) -> None:
        """Give the list at an index more room, at the end."""
        self._give_up(self._rooms.item(index))
        numbers = self.of(index)
        self._numbers = enough(self._numbers, self._end + room)
        self._numbers[self._end : self._end + len(numbers)] = numbers
        self._starts[index], self._rooms[index] = self._end, room
        self._end += room

    def _give_up(self, room: int) -> None:
        """Lose so much room, and move all together, with none to spare, before too much is lost."""
        self._loose += room
        if self._loose <= max(_LOOSE, self._end // 3):
            return
        numbers = self._numbers[ragged(self._starts, self._lengths)]
        ends = np.cumsum(self._lengths, dtype=np.int64)
        self._numbers, self._end, self._loose = numbers, len(numbers), 0
        self._starts, self._rooms = ends - self._lengths, self._lengths.copy()


def ragged(starts: Numbers | Places, lengths: Numbers) -> Places:
    """The places of so many from each start on, one run after another."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
