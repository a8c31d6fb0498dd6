"""
How to read a document that is no feed: a declaration, as the catalogue and the operator write it.

The values say where things are and hold no code. What a path is, paths.py tells, and a selector, selectors.py.
"""

from __future__ import annotations

from typing import Annotated

import msgspec


class Paging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where the next page is: at the address that stands at `next` (a path, or a selector), or at the same address with
    `parameter` in its query counted up by `step`, from `first` where the query does not name it. One poll reads at
    most so many `pages`.
    """

    next: str = ""
    parameter: str = ""
    first: Annotated[int, msgspec.Meta(ge=0)] = 1
    step: Annotated[int, msgspec.Meta(ge=1)] = 1
    pages: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5


class JsonShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where a JSON answer has its entries and their fields.

    `entries` is a path; what else is named is a path, seen from the entry, or words with paths in them, `{path}`. An
    answer without entries must have something at `known_by`, a count of 0 or any words, else it is another's.

    `in_force` is what every entry has that stands: one that has lost it was taken back.
    """

    entries: str
    title: str
    id: str = ""
    link: str = ""
    published: str = ""
    updated: str = ""
    summary: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    known_by: str = ""
    in_force: str = ""
    paging: Paging | None = None


class PageShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where a web page has its entries and their fields, as CSS selectors: `entries` in the page, the others in an entry,
    with `@name` at the end for an attribute in place of words. The title is the link's words where none is declared.
    """

    entries: str
    title: str = ""
    id: str = ""
    link: str = "a"
    published: str = ""
    summary: str = ""
    tags: str = ""
    paging: Paging | None = None
