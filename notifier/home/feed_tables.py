"""
The feeds that the operator wants polled: names of the catalogue, and tables of their own in notifier.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from notifier.feeds.catalogue import catalogue
from notifier.feeds.faults import faults
from notifier.feeds.feed import ID, Feed
from notifier.feeds.habit import SLOT
from notifier.feeds.selectors import check_selector
from notifier.home.checked import Misfit, converted, did_you_mean, shown, zone
from notifier.home.checks import Checks
from notifier.home.toml import Place

SHORTEST, LONGEST = 30.0, 86_400.0  # seconds between polls of a feed: politeness, and a day

# A field's name and value (RFC 9110, 5.1 and 5.5), the latter without what is obsolete in it.
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")

Seconds = Annotated[float, msgspec.Meta(ge=SHORTEST, le=LONGEST)]


class FeedsTable(msgspec.Struct, frozen=True):
    """
    `[feeds]`: those of the catalogue that are polled, and how often, in seconds, unless a feed says otherwise; how
    often round a feed's slots, and how seldom at hours at which it never spoke.
    """

    enabled: tuple[str, ...] = ()
    every: Seconds = 300.0
    fastest: Seconds = 60.0
    slowest: Seconds = 300.0


class OwnFeed(Feed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[feed]]`: a feed of the operator's own; `preset` names one of the catalogue that it is read as."""

    preset: str = ""


class FeedTables:
    """Reads them; what is wrong goes to `checks`."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def enabled(self, said: FeedsTable) -> Iterator[Feed]:
        """The feeds of the catalogue that are polled."""
        usable = [source.id for source in catalogue().values() if source.usable]
        for index, id in enumerate(said.enabled):
            place, source = ("feeds", "enabled", index), catalogue().get(id)
            if source is None:
                mend = did_you_mean(id, usable) or "`notifier feeds list --all` shows those that there are"
                self._checks.wrong(place, f"no feed {shown(id)} in the catalogue", mend)
            elif not source.usable:
                self._checks.wrong(place, f"{shown(id)} cannot be polled: it {source.reason}", "leave it out")
            elif id in said.enabled[:index]:
                self._checks.wrong(place, f"{shown(id)} is enabled twice", "keep one of them")
            else:
                yield source.feed(said.every)

    def own(self, tables: Iterable[OwnFeed], said: FeedsTable) -> Iterator[Feed]:
        """The operator's own feeds, completed from their presets and the defaults under `[feeds]`."""
        taken = set(said.enabled)
        for number, feed in enumerate(tables):
            place = ("feed", number)
            if not ID.fullmatch(feed.id):
                self._checks.wrong(
                    (*place, "id"), f"{shown(feed.id)} is not an id", "write small letters, digits and hyphens"
                )
            if feed.id in taken:
                self._checks.wrong(
                    (*place, "id"), f"there is another feed {shown(feed.id)}", "give it an id of its own"
                )
            taken.add(feed.id)
            if not is_web_address(feed.url):
                # The address itself stays out of the message: it may hold a key.
                self._checks.wrong((*place, "url"), "this is not a URL that can be polled", 'write it as "https://…"')
            if not feed.issuer.strip():
                self._checks.wrong((*place, "issuer"), '"issuer" must not be empty', "name who publishes there")
            self._checks.fits((*place, "timezone"), zone, feed.timezone)
            self._checks.fits((*place, "every"), converted, feed.every, Seconds)
            self._check_own(place, feed)
            yield self._completed(place, feed, said.every)

    def _check_own(self, place: Place, feed: OwnFeed) -> None:
        """Check its headers, its slots and its archive."""
        for name, value in feed.headers.items():
            # The value itself stays out of the message: it may be a key.
            if not _HEADER.fullmatch(name):
                mend = "write letters, digits and hyphens (RFC 9110)"
                self._checks.wrong((*place, "headers", name), f"{shown(name)} is not the name of a header", mend)
            elif not _HEADER_VALUE.fullmatch(value):
                mend = "write it in one line of visible ASCII characters (RFC 9110)"
                self._checks.wrong((*place, "headers", name), f'the value of header "{name}" cannot be sent', mend)
        for index, slot in enumerate(feed.slots):
            if not SLOT.fullmatch(slot):
                self._checks.wrong(
                    (*place, "slots", index), f"{shown(slot)} is not a time of day", 'write it as "08:45"'
                )
        archive = catalogue().get(feed.archive)
        if feed.archive and (archive is None or archive.shape is None or not archive.usable):
            listed = [source.id for source in catalogue().values() if source.usable and source.shape]
            mend = did_you_mean(feed.archive, listed) or f"one of {', '.join(listed)}"
            self._checks.wrong(
                (*place, "archive"), f"no feed {shown(feed.archive)} in the catalogue to look back in", mend
            )

    def _completed(self, place: Place, feed: OwnFeed, every: float) -> Feed:
        """The feed, with values from its preset and the defaults where the file has none."""
        values = {name: getattr(feed, name) for name in Feed.__struct_fields__}
        preset = catalogue().get(feed.preset)
        if feed.preset and (preset is None or preset.kind == "list-file"):
            mend = did_you_mean(feed.preset, catalogue()) or "`notifier feeds list --all` shows the catalogue"
            self._checks.wrong((*place, "preset"), f"no feed {shown(feed.preset)} in the catalogue to be read as", mend)
        told = {"every": every} | (preset.how if preset else {})
        # A declaration decides the kind of its feed, whatever the preset says.
        if declared := next((kind for kind in ("json", "html") if values[kind]), ""):
            told |= {"kind": declared, "json": None, "html": None}
        values |= {name: value for name, value in told.items() if (*place, name) not in self._checks.file.lines}
        self._check_shape(place, Feed(**values))
        return Feed(**values)

    def _check_shape(self, place: Place, feed: Feed) -> None:
        """Has the feed what its kind is read by, can that be used, and the selector for its statements' pages too?"""
        if feed.article:
            self._checks.fits((*place, "article"), _selector, feed.article)
        for kind, shape in (("json", feed.json), ("html", feed.html)):
            if shape is None and feed.kind == kind:
                mend = f"add [feed.{kind}] with entries = …, or a preset of that kind"
                self._checks.wrong((*place, "kind"), f'a "{kind}" feed needs to know where its entries are', mend)
            elif shape is not None and feed.kind != kind:
                mend = f'leave [feed.{kind}] out, or write kind = "{kind}"'
                self._checks.wrong((*place, kind), f'a feed of kind "{feed.kind}" is not read by [feed.{kind}]', mend)
            for fault in faults(shape) if shape else ():
                name = next(step for step in reversed(fault.place) if isinstance(step, str))
                self._checks.wrong((*place, kind, *fault.place), f'"{name}" {fault.problem}', fault.mend)


def _selector(text: str) -> None:
    """Raise `Misfit` for an invalid CSS selector."""
    try:
        check_selector(text)
    except ValueError as error:
        raise Misfit(*error.args) from error


def is_web_address(url: str) -> bool:
    """Is this an http or https URL with a host?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False
