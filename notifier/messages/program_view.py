"""
What programs get of an alert, a digest and a notice: typed values whose fields are a contract.

Webhooks post them as the `data` of a CloudEvent. Fields are added and never renamed or removed. A moment for programs
is RFC 3339 in UTC, under a name that ends in `_at`; one for people is in words, beside it, and may be worded anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from notifier.messages.parts import DigestFeed, Group, Other, Why
from notifier.messages.passage import Run
from notifier.messages.redline import Excerpts


class AlertData(msgspec.Struct, frozen=True, kw_only=True):
    """
    An alert. `statement` is the statement's id and `position` that of its event in the log; `feed` is the id of its
    feed.

    `kind` is new, revised or withdrawn; `silent`: a revision that its publisher did not announce; `reason`: the
    evidence for a withdrawal. `published_at` is null if the feed gave no date, and `detected_at` is when we saw it.
    `passages` quote the statement in runs of text, `redline` shows what a revision changed, `also` are further
    statements with the same news, and `watchlists` those that matched, with the matching words.
    """

    kind: Literal["new", "revised", "withdrawn"]
    statement: str
    title: str
    issuer: str
    feed: str
    lang: str
    link: str
    published: str
    published_at: datetime | None
    detected: str
    detected_at: datetime
    silent: bool
    reason: str
    passages: tuple[tuple[Run, ...], ...]
    redline: Excerpts
    also: tuple[Other, ...]
    watchlists: tuple[Why, ...]
    subscriber: str
    position: int


class DigestData(msgspec.Struct, frozen=True, kw_only=True):
    """
    A digest, or one part of it: how many statements it is about, and their entries by watchlist.

    `due_at` is its moment and `since_at` that of the digest before, null for the first. `left_out` counts the
    statements of further watchlists that there was no room for, as each of `watchlists` does its own. `feeds` are those
    that are not well, of the `feeds_asked` that the watchlists rest on.
    """

    frequency: str
    due: str
    due_at: datetime
    since_at: datetime | None
    period: str
    part: int
    parts: int
    statements: int
    new: int
    revised: int
    withdrawn: int
    left_out: int
    watchlists: tuple[Group, ...]
    feeds: tuple[DigestFeed, ...]
    feeds_left_out: int
    feeds_asked: int
    subscriber: str


class NoticeData(msgspec.Struct, frozen=True, kw_only=True):
    """A notice about the subscription: `notice` says of what kind, `channel` which channel it is about."""

    notice: str
    channel: str
    reason: str
    raised_at: datetime
    subscriber: str
