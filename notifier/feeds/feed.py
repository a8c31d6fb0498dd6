"""A feed, a document fetched from it, and an entry in that document."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

import msgspec

from notifier.feeds.shape import JsonShape, PageShape

ITEMS = 5_000  # entries of a document, its further pages included; one with more is not read
Kind = Literal["rss", "atom", "rdf", "jsonfeed", "json", "html"]
Identity = Literal["guid", "link", "link-without-fragment", "title"]

ID = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    An address we poll, and who speaks there.

    `every` is seconds between polls, `identity` says what makes an entry the same statement (FEEDS: three questions),
    `dates` are strptime formats to try before the usual ones, in `timezone` where they name none; `headers` are sent
    with each request. `country` is an ISO 3166 code, `lang` a BCP 47 tag. `json` and `html` say how to read what is no
    feed, for the kinds of these names. `slots` are times of the day in `timezone`, "08:45", at which it is known to
    speak. `archive` is the feed of the catalogue that still has what has left this one's window, "" where none is.

    `full_text` says whether the pages of its statements are read, and `article` is a CSS selector for where their words
    stand, "" where they are found well enough without.
    """

    id: str
    url: str
    issuer: str
    kind: Kind = "rss"
    country: str = ""
    lang: str = ""
    every: float = 300.0
    identity: Identity = "guid"
    dates: tuple[str, ...] = ()
    timezone: str = "UTC"
    headers: dict[str, str] = {}
    slots: tuple[str, ...] = ()
    archive: str = ""
    json: JsonShape | None = None
    html: PageShape | None = None
    full_text: bool = True
    article: str = ""

    @property
    def shape(self) -> JsonShape | PageShape | None:
        """The declaration that the feed is read by; None for a kind that needs none."""
        return self.json or self.html


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lets the next poll ask "anything new?": both HTTP validators as they came, and a hash of the body."""

    etag: str = ""
    last_modified: str = ""
    body_hash: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """
    A body as fetched, decoded from its transfer and content codings. `url` is where it was found in the end;
    `moved_to` is set when a permanent redirect led there. `hub` and `topic` are the server's words on who tells of
    changes, and under which name (WebSub); "" where it has none.
    """

    body: bytes
    url: str
    content_type: str = ""
    validators: Validators = Validators()
    moved_to: str = ""
    hub: str = ""
    topic: str = ""


class Unchanged(msgspec.Struct, frozen=True):
    """The server said 304, or the body is the one we know. `validators` are those to send next time."""

    validators: Validators
    moved_to: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One item as it came, untrusted, with its markup turned to text.

    `id` is the guid or "", `link` absolute http(s) or ""; dates are UTC, or None where there is none that we can read,
    with the raw text beside. `whole` is false for an item that the end of the document cut off, and `gone` says by
    what we know that its publisher took it back, "" for one that stands.
    """

    id: str = ""
    title: str = ""
    link: str = ""
    published: datetime | None = None
    updated: datetime | None = None
    published_raw: str = ""
    summary: str = ""
    text: str = ""
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    lang: str = ""
    whole: bool = True
    gone: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a parse made of a document: its entries, the newest first as it gave them, and `problem`, why the document is
    not whole or not well formed ("" when it is).

    A degraded reading keeps its good entries. Where it is `cut_short`, its validators must not be stored: the rest
    would never be asked for. `warnings` are for the operator, about letters that look lost. `next` is the address at
    which the document goes on, "" for most. `by` names the reader of a statement's page, with its version, since
    another may find other words on the same page. `deleted` are the ids of entries that the feed says it deleted. `hub`
    and `topic` are its own words on who tells of changes, and under which name.
    """

    entries: tuple[Entry, ...]
    title: str = ""
    link: str = ""
    lang: str = ""
    problem: str = ""
    cut_short: bool = False
    warnings: tuple[str, ...] = ()
    next: str = ""
    by: str = ""
    deleted: tuple[str, ...] = ()
    hub: str = ""
    topic: str = ""
