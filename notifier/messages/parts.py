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
    """Another statement that an alert names: its title, issuer, link, and when it was published, or else seen."""

    title: str
    issuer: str
    link: str
    at: str


class DigestTelling(msgspec.Struct, frozen=True, kw_only=True):
    """A statement in a line: its kind, title, issuer, link, and when it was published, or else seen."""

    kind: Kind
    title: str
    issuer: str
    link: str
    at: str


class DigestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One statement of a digest.

    `kind` is its kind for the reader: `new` even if it was revised since; then `revised_since` says when, else it is
    "". `silent`: a publisher who marks changes elsewhere did not mark this one. `reason` is the evidence for a
    withdrawal. `at` is when it was published, or seen if it is `undated`. `passage` quotes it around the hits,
    `changed` shows the first change to what the reader knows, and `changes_left_out` counts the others.

    `also` are other statements with the same news, `also_left_out` counts more; `follows` is the statement of an
    earlier message on it, or None. Of a `brief` entry only kind, title, issuer, link and `at` are filled.
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
    """A feed that fails: its id, its issuer, what is wrong and since when, in words, and details."""

    feed: str
    issuer: str
    state: str
    since: str
    detail: str
