"""
Declarations of how to read a document that is not a feed, as the catalogue and operators write them.

They hold no code. paths.py defines the paths in them, selectors.py the selectors.
"""

from __future__ import annotations

from typing import Annotated

import msgspec


class Paging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where a document's next page is: at the address found at `next` (a path or a selector); or at the same address with
    the query's `parameter` increased by `step`, counting from `first` if the query lacks it. One poll reads at most
    `pages` pages.
    """

    next: str = ""
    parameter: str = ""
    first: Annotated[int, msgspec.Meta(ge=0)] = 1
    step: Annotated[int, msgspec.Meta(ge=1)] = 1
    pages: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5


class JsonShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where a JSON answer has its entries and their fields.

    `entries` is a path. The other fields are paths from an entry, or text with paths in braces. An answer without
    entries must have a count of 0, or any text, at `known_by`; otherwise it is not an answer of this shape.

    Every entry in force has a value at `in_force`: one without was withdrawn.
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
    Where a web page has its entries and their fields, as CSS selectors: `entries` in the page, the others in an entry.
    `@name` at the end of a selector means that attribute instead of the text. The default title is the link's text.
    """

    entries: str
    title: str = ""
    id: str = ""
    link: str = "a"
    published: str = ""
    summary: str = ""
    tags: str = ""
    paging: Paging | None = None
