"""
Parts that views for eyes and values for programs have in common: statements, reasons and feeds as a message names them.
"""

from __future__ import annotations

import msgspec

from notifier.messages.digest_stories import Kind
from notifier.messages.passage import Run
from notifier.messages.redline import Stretch


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One watchlist that brought it: its name, its query as we read it, and the statement's words that decided."""

    watchlist: str
    reading: str
    words: tuple[str, ...]


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """Another statement that an alert names: what it says, who, where, and when (published, or else seen)."""

    title: str
    issuer: str
    link: str
    at: str


class DigestTelling(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in a line: what it is, its title, who spoke, where, and when (published, or else seen)."""

    kind: Kind
    title: str
    issuer: str
    link: str
    at: str


class DigestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One statement of a digest.

    `kind` is what it is to the reader: `new` also where it was revised since, and `revised_since` says when that was
    seen, "" where it was not. `silent`: a publisher who marks changes elsewhere did not mark this one. `reason` is how
    we know of a withdrawal. `at` is when it was published, or where it is `undated`, seen. `passage` quotes it around
    the hits, and `changed` shows the first thing that a revision changed of what the reader knows, `changes_left_out`
    how many more there are.

    `also` are others that tell the same news, `also_left_out` how many more; `follows` is the statement of an earlier
    message on it, None where there was none. Of a `brief` one only kind, title, issuer, link and `at` are filled.
    """

    kind: Kind
    title: str
    issuer: str
    link: str
    at: str
    brief: bool = False
    undated: bool = False
    revised_since: str = ""
    silent: bool = False
    reason: str = ""
    title_runs: tuple[Run, ...] = ()
    passage: tuple[Run, ...] = ()
    changed: tuple[Stretch, ...] = ()
    changes_left_out: int = 0
    lang: str = ""
    words: str = ""
    watchlists: str = ""
    also: tuple[DigestTelling, ...] = ()
    also_left_out: int = 0
    follows: DigestTelling | None = None
    position: int = 0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of one watchlist, the oldest first, and how many there was no room for."""

    watchlist: str
    entries: tuple[DigestEntry, ...]
    left_out: int = 0


class DigestFeed(msgspec.Struct, frozen=True, kw_only=True):
    """A feed that is not well: its id, who speaks there, what is the matter and since when, in words, and details."""

    feed: str
    issuer: str
    state: str
    since: str
    detail: str
