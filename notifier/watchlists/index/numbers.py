"""Arrays of numbers that grow, and the few things asked of them that NumPy does slowly."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Truths = npt.NDArray[np.bool_]

# What parts words, in the place of a term. No phrase holds any of them, so none crosses them.
SENTENCE, PARAGRAPH, FIELD, FIRST = 1, 2, 3, 4

_T = TypeVar("_T", bound=np.generic)


def enough(numbers: npt.NDArray[_T], index: int) -> npt.NDArray[_T]:
    """The numbers, with room for this index: themselves, or a copy of twice the size, filled up with zeros."""
    if index < len(numbers):
        return numbers
    grown = np.zeros(max(index + 1, 2 * len(numbers)), dtype=numbers.dtype)
    grown[: len(numbers)] = numbers
    return grown


def distinct(numbers: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """The numbers in their order, each once."""
    # np.unique hashes them, which takes ten times as long for a few thousand.
    rising = np.sort(numbers)
    kept = np.ones(len(rising), dtype=np.bool_)
    np.not_equal(rising[1:], rising[:-1], out=kept[1:])
    return rising[kept]
