"""Many things to append → as few appends as the log's limits allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from notifier.eventlog.log import BATCH_BYTES, BATCH_EVENTS

T = TypeVar("T")


def batches(things: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """
    The things in order, in batches that are well inside the log's limits: half of its events, half of its bytes.

    `size` is a thing's bytes, give or take what the log writes around an event. There is always a batch, empty where
    there is nothing to append, so that a commit can go with the last.
    """
    batch: list[T] = []
    held = 0
    for thing in things:
        more = size(thing)
        if batch and (len(batch) == BATCH_EVENTS // 2 or held + more > BATCH_BYTES // 2):
            yield batch
            batch, held = [], 0
        batch.append(thing)
        held += more
    yield batch
