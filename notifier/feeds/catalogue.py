"""
The catalogue of official feeds that comes with the notifier; the data is in catalogue.toml beside this.

It lists what can be polled and what cannot, each of the latter with the reason, so that nobody looks for it twice.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from notifier.feeds.feed import Feed, Identity
from notifier.feeds.shape import JsonShape, PageShape

Status = Literal["ok", "ok-weak", "blocked", "retired", "stale", "unconfirmed"]


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One publisher's address. `kind` is what is found there: that of a feed, or `list-file`, which is not polled yet.
    What is `json` or `html` has a declaration under that name, without which it cannot be read.

    `reason` says why the source cannot be polled, "" where it can; `note` is worth knowing for whoever enables it.
    `every` is in seconds, None where the operator's default will do. The rest is as in `Feed`.
    """

    id: str
    url: str
    issuer: str
    kind: Literal["rss", "atom", "rdf", "jsonfeed", "json", "html", "list-file"]
    status: Status
    country: str = ""
    lang: str = ""
    reason: str = ""
    note: str = ""
    every: float | None = None
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
    def usable(self) -> bool:
        """Can it be polled?"""
        return not self.reason

    @property
    def shape(self) -> JsonShape | PageShape | None:
        """The declaration that it is read by; None where none is needed, or there is none."""
        return self.json or self.html

    @property
    def how(self) -> dict[str, Any]:
        """How its documents are read, as fields of a `Feed`: also another address of that publisher is read so."""
        names = ("kind", "identity", "dates", "timezone", "slots", "json", "html", "full_text", "article")
        return {name: getattr(self, name) for name in names if (name, self.kind) != ("kind", "list-file")}

    def feed(self, every: float) -> Feed:
        """The feed to poll, every so many seconds unless the catalogue knows better. Raises ValueError(reason)."""
        if not self.usable:
            raise ValueError(self.reason)
        said: dict[str, Any] = msgspec.structs.asdict(self)
        said["every"] = self.every or every
        return Feed(**{name: said[name] for name in Feed.__struct_fields__})


@functools.cache
def catalogue() -> Mapping[str, Source]:
    """All sources by id, in the order of the file: by country."""
    with Path(__file__).with_name("catalogue.toml").open("rb") as file:
        tables = tomllib.load(file)
    return MappingProxyType({id: msgspec.convert({"id": id, **table}, Source) for id, table in tables.items()})
