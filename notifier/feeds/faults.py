"""Check a declaration (shape.py) before anything is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from notifier.feeds.paths import check_path, check_template
from notifier.feeds.selectors import check_selector
from notifier.feeds.shape import JsonShape, PageShape, Paging


class Fault(msgspec.Struct, frozen=True):
    """One fault of a declaration: the path of keys to the value, the problem, and how to mend it."""

    place: tuple[str | int, ...]
    problem: str
    mend: str = ""


def faults(shape: JsonShape | PageShape) -> Iterator[Fault]:
    """All faults of a declaration: missing values, paths and selectors that cannot be read."""
    page = isinstance(shape, PageShape)
    needed = {"entries"} if page else {"entries", "title"}
    for name in shape.__struct_fields__:
        value = getattr(shape, name)
        if name in needed and not value:
            yield Fault((name,), "must not be empty")
        check = check_selector if page else check_path if name in {"entries", "known_by"} else check_template
        if isinstance(value, str) and value:
            yield from _of((name,), check, value)
        elif isinstance(value, tuple):
            for index, each in enumerate(value):
                yield from _of((name, index), check, each)
        elif isinstance(value, Paging):
            yield from _of_paging(value, check_selector if page else check_path)


def _of_paging(paging: Paging, check: Callable[[str], None]) -> Iterator[Fault]:
    if bool(paging.next) == bool(paging.parameter):
        yield Fault(("paging",), 'needs one of "next" and "parameter"', "keep the one that finds the next page")
    if paging.next:
        yield from _of(("paging", "next"), check, paging.next)


def _of(place: tuple[str | int, ...], check: Callable[[str], None], value: str) -> Iterator[Fault]:
    try:
        check(value)
    except ValueError as error:
        yield Fault(place, *error.args)
