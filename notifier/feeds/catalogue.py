"""
The catalogue of official feeds that comes with the notifier; its data is catalogue.toml beside this file.

It also lists sources that cannot be polled, with the reason, so that nobody needs to try them again.
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
    One address of a publisher. `kind` is a feed's kind, or `list-file`, which is not polled yet. The kinds `json` and
    `html` need the declaration of that name.

    `reason` says why the source cannot be polled, "" if it can; `note` is advice for operators who enable it. `every`
    is in seconds, None for the operator's default. The other fields are those of `Feed`.
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
        """The declaration that the source is read by; None if it has none."""
        return self.json or self.html

    @property
    def how(self) -> dict[str, Any]:
        """How its documents are read, as fields of a `Feed`; they also fit other addresses of that publisher."""
        names = ("kind", "identity", "dates", "timezone", "slots", "json", "html", "full_text", "article")
        return {name: getattr(self, name) for name in names if (name, self.kind) != ("kind", "list-file")}

    def feed(self, every: float) -> Feed:
        """The source as a feed. `every`, in seconds, is for sources without a pace. Raises ValueError(reason)."""
        if not self.usable:
            raise ValueError(self.reason)
        fields: dict[str, Any] = msgspec.structs.asdict(self)
        fields["every"] = self.every or every
        return Feed(**{name: fields[name] for name in Feed.__struct_fields__})


@functools.cache
def catalogue() -> Mapping[str, Source]:
    """All sources by id, in the order of the file, which is by country."""
    with Path(__file__).with_name("catalogue.toml").open("rb") as file:
        tables = tomllib.load(file)
    return MappingProxyType({id: msgspec.convert({"id": id, **table}, Source) for id, table in tables.items()})
