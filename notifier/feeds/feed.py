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
    One address that is polled, its issuer, and how to read it.

    `every` is the seconds between polls. `identity` is the field that identifies a statement over polls. `dates` are
    strptime formats tried before the usual ones, in `timezone` if they name none. `headers` are sent with each request.
    `country` is an ISO 3166 code, `lang` a BCP 47 tag. `json` and `html` declare how to read a document that is not a
    feed, for the kinds of these names. `slots` are times of day in `timezone`, as "08:45", at which the issuer usually
    publishes. `archive` is the catalogue's id of a source that keeps what has left this feed, or "".

    With `full_text` the pages of its statements are read; `article` is a CSS selector for the text on such a page, ""
    to leave finding it to the extractor.
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
    """What the next poll sends to learn of changes: both HTTP validators as received, and a hash of the body."""

    etag: str = ""
    last_modified: str = ""
    body_hash: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """
    A fetched body, decoded from its transfer and content codings. `url` is its address after all redirects, `moved_to`
    the address that permanent redirects led to, or "". `hub` and `topic` are from the Link header (WebSub), or "".
    """

    body: bytes
    url: str
    content_type: str = ""
    validators: Validators = Validators()
    moved_to: str = ""
    hub: str = ""
    topic: str = ""


class Unchanged(msgspec.Struct, frozen=True):
    """The server answered 304, or the body is the same as before. `validators` are those to send next time."""

    validators: Validators
    moved_to: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One item of a document, untrusted, with its markup turned to text.

    `id` is the guid or "", `link` absolute http(s) or "". Dates are UTC, None if missing or unreadable;
    `published_raw` is the date as written. `whole` is false for an item that the document's end cut off. `gone` is the
    sign by which its publisher withdrew it, in words, "" for one in force.
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
    A parsed document: its entries in its own order, usually the newest first, and `problem`, why the document is not
    complete or not well formed ("" if it is).

    A damaged document keeps its good entries. If it is `cut_short`, its validators must not be stored, or the rest
    would never be fetched. `warnings` are sentences for the operator, as on a charset that was guessed. `next` is the
    address of the document's next page, or "". `by` is the extractor that read a statement's page, with its version:
    another may find other words on the same page. `deleted` are the ids of entries that the feed reports as deleted.
    `hub` and `topic` are from the feed itself (WebSub), or "".
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
