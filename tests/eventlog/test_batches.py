"""Is everything appended, in order, and in batches that any log takes?"""

from __future__ import annotations

import pytest

from notifier.eventlog.batches import batches
from notifier.eventlog.log import BATCH_BYTES, BATCH_EVENTS


@pytest.mark.parametrize(
    ("things", "sizes"),
    [
        ([1] * 3, [3]),
        ([1] * BATCH_EVENTS, [BATCH_EVENTS // 2] * 2),
        ([1] * (BATCH_EVENTS + 1), [BATCH_EVENTS // 2] * 2 + [1]),
        ([BATCH_BYTES // 8] * 9, [4, 4, 1]),
        ([1, BATCH_BYTES, 1], [1, 1, 1]),
    ],
    ids=["few", "two full", "one more", "large", "one over the limit"],
)
def test_batches_end_at_half_of_the_limits(things: list[int], sizes: list[int]) -> None:
    """Of events or of bytes, whichever comes first; a thing over the limit goes alone, for the log to refuse."""
    assert [len(batch) for batch in batches(things, int)] == sizes


def test_all_is_there_in_its_order() -> None:
    """Nothing is left out between two batches."""
    things = list(range(BATCH_EVENTS * 3))

    assert [thing for batch in batches(things, lambda thing: 1) for thing in batch] == things


def test_of_nothing_there_is_one_empty_batch() -> None:
    """A commit may have to go without events, and needs an append to go with."""
    assert list(batches([], int)) == [[]]
