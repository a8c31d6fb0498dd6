"""
Reading the subscribers' files: one TOML file each, in `subscriptions/`.

All files must be valid, or none is used: a folder with a mistake changes nothing, and all mistakes are reported
together, with file, line and mend (promise P7). A file's name, without `.toml`, is the subscriber's name in the log; an
address never goes there, nor anything made from one (promise P6).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from datetime import time
from pathlib import Path

import msgspec

from notifier.errors import Misconfigured, Mistake, QueryError
from notifier.feeds.catalogue import catalogue
from notifier.feeds.feed import Feed
from notifier.home import packs as aliases
from notifier.home import toml
from notifier.home.checked import Misfit, checked, did_you_mean, shown, zone
from notifier.home.subscriber_tables import KINDS, WEEK, ChannelTable, SubscriberFile, WatchlistTable
from notifier.home.toml import Place, TomlFile
from notifier.secret import NotFound, Secret, filled
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import DAILY, HOURLY, WEEKLY, Timing
from notifier.watchlists.advice import advice
from notifier.watchlists.aliases import Pack
from notifier.watchlists.query import Query, parse
from notifier.watchlists.watchlist import Watchlist

_ID = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_LONGEST = 64  # letters of an id, and of the name of a watchlist or channel: they stand in every alert

_MEANT = {".toml", ".tml", ".yaml", ".yml"}  # endings by which a file was probably meant to be a subscriber's

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_QUIET = re.compile(rf"\s*({_TIME.pattern})\s*[-–—]\s*({_TIME.pattern})\s*")

# What a key about digests needs to have any meaning: one of these frequencies.
_ABOUT_DIGESTS = {
    "digest_at": (DAILY, WEEKLY),
    "digest_on": (WEEKLY,),
    "empty_digests": (HOURLY, DAILY, WEEKLY),
}


class Subscriptions(msgspec.Struct, frozen=True):
    """
    All subscribers, in order of their ids.

    `digest` changes with the subscribers and their watchlists, and contains nothing of an address: it goes to the log.
    `warnings` are sentences on what is valid but may not be intended. `places` has file and line of each watchlist's
    query, by the watchlist's key.
    """

    subscribers: Mapping[str, Subscriber]
    digest: str
    warnings: tuple[str, ...] = ()
    places: Mapping[tuple[str, str], tuple[str, int]] = {}

    @classmethod
    def none(cls) -> Subscriptions:
        """No subscribers at all."""
        return cls({}, _digest([]))


def load(
    folder: Path,
    environ: Mapping[str, str],
    *,
    feeds: Collection[Feed],
    refusal: Callable[[str, str], str],
    timezone: str = "UTC",
) -> Subscriptions:
    """
    Every subscriber's file in a folder, all or nothing. An empty or missing folder gives no subscribers, and a warning.

    Beside the folder is that of the packs of terms that queries may name, `aliases/`; it may be missing. `feeds` are
    those that are polled; `refusal(kind, address)` says why an address cannot work on a kind of channel, or "";
    `timezone` is for files that name none. Raises `Misconfigured` with all mistakes in all files.
    """
    mistakes, subscribers = list[Mistake](), list[Subscriber]()
    warnings, places = list[Mistake](), dict[tuple[str, str], tuple[str, int]]()
    packs = aliases.load(folder.with_name("aliases"), mistakes)
    paths = _listed(folder)
    for path in paths:
        if path.suffix != ".toml":
            continue
        name = f"{folder.name}/{_without_address(path.name)}"
        try:
            file = toml.read(path, name)
        except OSError as error:
            file = Mistake(name, 0, f"this file cannot be read: {error.strerror}")
        if isinstance(file, Mistake):
            mistakes.append(file)
            continue
        reader = _SubscriberFileParser(path.stem, file, environ, feeds, refusal, timezone, packs)
        if subscriber := reader.subscriber():
            subscribers.append(subscriber)
        mistakes += reader.mistakes
        warnings += reader.warnings
        places |= reader.places
    if mistakes:
        raise Misconfigured(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line)))
    told = (*_warnings(folder, paths), *map(str, warnings))
    return Subscriptions({each.id: each for each in subscribers}, _digest(subscribers), told, places)


def stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """
    What changes when a file in the folder does, or one in the folder of packs beside it. Reads no file, so it may be
    asked for every second.
    """
    found = []
    for path in [*_listed(folder), *_listed(folder.with_name("aliases"))]:
        # A file may go between the listing and this; then the stamp without it tells as much.
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            found.append((path.name, state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def _listed(folder: Path) -> list[Path]:
    """What may have been meant as a subscriber's file, in order."""
    # Editors leave `.desk.toml.swp`, `#desk.toml#` and `desk.toml~` behind.
    return sorted(path for path in folder.glob("[!.#]*") if path.suffix.lower() in _MEANT)


def _warnings(folder: Path, paths: Collection[Path]) -> tuple[str, ...]:
    others = [path.name for path in paths if path.suffix != ".toml"]
    warnings = [
        f"{folder.name}/{_without_address(name)} is ignored: a subscriber's file ends in .toml" for name in others
    ]
    if len(others) == len(paths):
        warnings.append(f"{folder.name}/ has no subscriber's file, so nobody gets alerts")
    return tuple(warnings)


def _without_address(name: str) -> str:
    return re.sub(r"\S+@\S+", "…@….toml", name)


def _digest(subscribers: Collection[Subscriber]) -> str:
    said = [
        [
            each.id,
            each.timing,
            [
                [wish.name, wish.query.text, wish.feeds, wish.issuers, wish.frequency, wish.urgent]
                for wish in each.watchlists
            ],
            [[channel.name, channel.kind] for channel in each.channels],
        ]
        for each in subscribers
    ]
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def _within(at: time, begin: time | None, end: time | None) -> bool:
    """Does a time of the day lie in the quiet hours?"""
    if begin is None or end is None:
        return False
    return begin <= at < end if begin < end else at >= begin or at < end


# ---------------------------------------------------------------- one file


class _SubscriberFileParser:
    """Reads one subscriber's file; what is wrong with it gathers in `mistakes`, what may be in `warnings`."""

    def __init__(
        self,
        id: str,
        file: TomlFile,
        environ: Mapping[str, str],
        feeds: Collection[Feed],
        refusal: Callable[[str, str], str],
        timezone: str,
        packs: Mapping[str, Pack],
    ) -> None:
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self.places: dict[tuple[str, str], tuple[str, int]] = {}
        self._id = id
        self._file = file
        self._environ = environ
        self._feeds = feeds
        self._refusal = refusal
        self._timezone = timezone
        self._packs = packs

    def subscriber(self) -> Subscriber | None:
        """The subscriber, or None where there are mistakes."""
        if not _ID.fullmatch(self._id) or len(self._id) > _LONGEST:
            self._wrong(
                (), "a file's name is the subscriber's id in the log: use letters a–z, digits and hyphens", "rename it"
            )
        said = checked(self._file, (), SubscriberFile, self.mistakes)
        if said is None:
            self._look_on()
            return None
        self._check_zone(said.timezone)
        timing = self._timing(said)
        watchlists = self._watchlists(said.watchlist, said.frequency)
        channels = self._channels(said.channel)
        if self.mistakes:
            return None
        return Subscriber(
            id=self._id,
            name=said.name or self._id,
            timing=timing,
            watchlists=tuple(watchlists),
            channels=tuple(channels),
        )

    def _look_on(self) -> None:
        """A mistake in the file's shape must not hide those in what stands beside it: what is text is read as ever."""
        checks = {"timezone": self._check_zone, "digest_at": self._digest_at, "quiet_hours": self._quiet_hours}
        for key, check in checks.items():
            if (said := self._file.values.get(key)) and isinstance(said, str):
                check(said)
        tables = self._file.values.get("watchlist")
        for number, table in enumerate(tables if isinstance(tables, list) else ()):
            if isinstance(table, dict) and (query := table.get("query")) and isinstance(query, str):
                self._query(("watchlist", number, "query"), query)

    def _check_zone(self, said: str) -> None:
        try:
            zone(said or "UTC")
        except Misfit as error:
            self._wrong(("timezone",), f'"timezone" {error.problem}', error.mend)

    def _wrong(self, place: Place, problem: str, mend: str = "") -> None:
        self.mistakes.append(self._file.mistake(place, problem, mend))

    # ---------------------------------------------------------------- when

    def _timing(self, said: SubscriberFile) -> Timing:
        quiet_from, quiet_until = self._quiet_hours(said.quiet_hours)
        timing = Timing(
            timezone=said.timezone or self._timezone,
            frequency=said.frequency,
            apart=tuple(dict.fromkeys(each.frequency for each in said.watchlist if each.frequency)),
            digest_at=self._digest_at(said.digest_at),
            digest_on=WEEK.index(said.digest_on),
            quiet_from=quiet_from,
            quiet_until=quiet_until,
            empty_digests=said.empty_digests,
        )
        for key, needed in _ABOUT_DIGESTS.items():
            if key in self._file.values and not {*needed} & {*timing.periods}:
                mend = f"set frequency to {' or '.join(needed)}, or leave it out"
                self.warnings.append(self._file.mistake((key,), f"{key} has no effect without a digest", mend))
        if _within(timing.digest_at, quiet_from, quiet_until) and {DAILY, WEEKLY} & {*timing.periods}:
            place = ("digest_at",) if "digest_at" in self._file.values else ("quiet_hours",)
            at = f"{timing.digest_at:%H:%M}"
            problem = f"the digest of {at} falls into the quiet hours and is sent at their end"
            self.warnings.append(self._file.mistake(place, problem))
        return timing

    def _digest_at(self, said: str) -> time:
        match = _TIME.fullmatch(said.strip())
        if match is None:
            self._wrong(("digest_at",), f"{shown(said)} is not a time of day", 'write it as "08:00"')
            return time(8)
        return time(int(match[1]), int(match[2]))

    def _quiet_hours(self, said: str) -> tuple[time, time] | tuple[None, None]:
        if not said:
            return None, None
        match = _QUIET.fullmatch(said)
        if match is None:
            self._wrong(("quiet_hours",), f"{shown(said)} are not quiet hours", 'write them as "22:00-07:00"')
            return None, None
        begin, end = time(int(match[2]), int(match[3])), time(int(match[5]), int(match[6]))
        if begin == end:
            mend = "for one message a day, set frequency to daily"
            self._wrong(("quiet_hours",), f"{shown(said)} would be the whole day or none of it", mend)
            return None, None
        return begin, end

    # ---------------------------------------------------------------- watchlists

    def _watchlists(self, tables: tuple[WatchlistTable, ...], frequency: str) -> list[Watchlist]:
        if not tables:
            self._wrong(("watchlist",), "nothing is watched", "add [[watchlist]] with a name and a query")
        watchlists = []
        self._refuse_doubles("watchlist", [table.name for table in tables])
        for number, table in enumerate(tables):
            place = ("watchlist", number)
            query = self._query((*place, "query"), table.query)
            if query is None:
                continue
            if table.urgent and table.frequency not in {None, "immediately"}:
                mend = "leave out one of them"
                self._wrong((*place, "frequency"), "an urgent watchlist is sent immediately, and cannot wait", mend)
            watchlist = Watchlist(
                self._id,
                table.name,
                query,
                table.feeds,
                table.issuers,
                frequency=table.frequency or frequency,
                urgent=table.urgent,
            )
            watchlists.append(watchlist)
            self.places[watchlist.key] = (self._file.name, self._file.line((*place, "query")))
            for each in advice(query):
                self.warnings.append(self._file.mistake((*place, "query"), each.problem, each.mend))
            self._check_scope(place, watchlist)
        return watchlists

    def _query(self, place: Place, said: str) -> Query | None:
        try:
            return parse(said, self._packs)
        except QueryError as error:
            where = f"{error.code} at character {error.at + 1} of the query"
            self._wrong(place, f"{error.message} ({where})", error.mend)
            return None

    def _check_scope(self, place: Place, watchlist: Watchlist) -> None:
        """A feed or issuer that nothing fits is a wish that would never be fulfilled."""
        before = len(self.mistakes)
        ids, issuers = [feed.id for feed in self._feeds], {feed.issuer for feed in self._feeds}
        for index, pattern in enumerate(watchlist.feeds):
            if not self._covers(msgspec.structs.replace(watchlist, feeds=(pattern,), issuers=())):
                listed = pattern in catalogue()
                mend = "add it under [feeds] in notifier.toml" if listed else did_you_mean(pattern, ids)
                self._wrong((*place, "feeds", index), f"no feed that is polled is called {shown(pattern)}", mend)
        for index, issuer in enumerate(watchlist.issuers):
            if not self._covers(msgspec.structs.replace(watchlist, feeds=(), issuers=(issuer,))):
                mend = did_you_mean(issuer, issuers)
                self._wrong((*place, "issuers", index), f"no feed that is polled is {shown(issuer)}'s", mend)
        if len(self.mistakes) == before and not self._covers(watchlist) and self._feeds:
            self._wrong(place, "none of these issuers publishes in these feeds", "leave out feeds, or issuers")

    def _covers(self, watchlist: Watchlist) -> bool:
        return any(watchlist.covers(feed.id, feed.issuer) for feed in self._feeds)

    # ---------------------------------------------------------------- channels

    def _channels(self, tables: tuple[ChannelTable, ...]) -> list[Contact]:
        if not tables:
            self._wrong(("channel",), "there is no channel to send alerts on", 'add [[channel]] with email = "…"')
        channels: list[Contact] = []
        for number, table in enumerate(tables):
            kinds = [kind for kind in KINDS if getattr(table, kind)]
            if len(kinds) == 1:
                channels += self._channel(("channel", number), table, kinds[0], channels)
            else:
                problem = f"{' and '.join(kinds)} in one channel" if kinds else "this channel has no address"
                mend = "begin each with its own [[channel]]" if kinds else f"set one of {', '.join(KINDS)}"
                self._wrong(("channel", number), problem, mend)
        self._refuse_doubles("channel", [channel.name for channel in channels])
        return channels

    def _channel(self, place: Place, table: ChannelTable, kind: str, before: list[Contact]) -> list[Contact]:
        """The channel of one table, in a list, or an empty one where something is wrong with it."""
        try:
            # A key on the address's heels: who has both can be taken for us, so neither is kept without the other.
            address = " ".join(filled(text, self._environ) for text in (getattr(table, kind), *table.secrets))
        except NotFound as error:
            self._wrong((*place, kind), error.problem, error.mend)
            return []
        if table.secrets and kind != "webhook":
            self._wrong((*place, "secrets"), f"nothing is signed on a channel of kind {kind}", "leave secrets out")
            return []
        if problem := self._refusal(kind, address):
            self._wrong((*place, kind), problem)
        elif "@" in table.name:
            self._wrong((*place, "name"), "a channel's name goes into the log", "keep addresses out of it")
        elif any(channel.kind == kind and channel.address == Secret(address) for channel in before):
            self._wrong((*place, kind), "another channel has the same address", "keep one of them")
        else:
            return [Contact(table.name or kind, kind, Secret(address))]
        return []

    def _refuse_doubles(self, what: str, names: list[str]) -> None:
        for number, name in enumerate(names):
            place = (what, number)
            if name in names[:number]:
                self._wrong(place, f"a second {what} is called {shown(name)}", "give it a name of its own")
            if len(name) > _LONGEST or not name.isprintable() or not name.strip():
                self._wrong(place, f"a {what}'s name has 1 to {_LONGEST} letters, in one line", "find a shorter one")
