"""
What the operator decides: `notifier.toml` in the home, and the environment, which has the last word.

Read once, all or nothing; every mistake is told at once, with its line and mend. A setting's name in the environment
is its place in the file, `NOTIFIER_EMAIL__HOST` for `host` under `[email]`; with `_FILE` at the end it names a file
that holds the value, and a systemd credential of that name is taken too. In the file, `${NAME}` stands for what the
environment holds under that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, get_origin
from urllib.parse import unquote, urlsplit

import msgspec

from notifier.channels.mail.address import mailbox
from notifier.channels.mail.relay import Relay
from notifier.errors import Misconfigured, Mistake
from notifier.feeds.catalogue import catalogue
from notifier.feeds.faults import faults
from notifier.feeds.feed import ID, Feed
from notifier.feeds.habit import SLOT, Bounds
from notifier.feeds.reading.selectors import check_selector
from notifier.guard import Network
from notifier.home import toml
from notifier.home.checked import Misfit, checked, converted, did_you_mean, shown, struct_in, zone
from notifier.home.toml import Place, TomlFile
from notifier.secret import NotFound, Secret, filled, find

FILE = "notifier.toml"
SIZE = 4 * 1024 * 1024  # bytes of the file; ten thousand feeds of the operator's own are a third of that
SECRET = 16  # characters of one, at least
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


class FetchTable(msgspec.Struct, frozen=True):
    """
    `[fetch]`: networks inside that may be reached all the same, seconds for a poll, polls of a host at a time, and
    whether the pages of statements are read.
    """

    allow: tuple[str, ...] = ()
    timeout: Annotated[float, msgspec.Meta(ge=1, le=300)] = 30.0
    per_host: Annotated[int, msgspec.Meta(ge=1, le=32)] = 2
    articles: bool = True


class OwnFeed(Feed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[feed]]`: a feed of the operator's own; `preset` names one of the catalogue that it is read as."""

    preset: str = ""


class WebSubTable(msgspec.Struct, frozen=True):
    """`[websub]`: the address at which hubs reach us, what signs for it, and where we listen behind it."""

    callback: str
    secret: str
    listen: str = "127.0.0.1:8085"


class WebTable(msgspec.Struct, frozen=True):
    """
    `[door]`: our public address for readers, what signs the links to it and what did before, and where we listen behind
    it. `confirm`: mail channels are owed nothing until their readers have said that they want it.
    """

    address: str
    secret: str
    earlier_secrets: tuple[str, ...] = ()
    listen: str = "127.0.0.1:8086"
    confirm: bool = False


class BouncesTable(msgspec.Struct, frozen=True):
    """`[bounces]`: the address that mails come back to, and the mailbox where we read what comes: one of the two."""

    address: str
    maildir: str = ""
    imap: str = ""
    password: str = ""


class AppriseTable(msgspec.Struct, frozen=True):
    """`[apprise]`: whether subscribers' files may name Apprise URLs, whose connections nothing of ours guards."""

    enabled: bool = False


class SettingsFile(msgspec.Struct, frozen=True):
    """The shape of notifier.toml. Each `[[feed]]` is a feed of the operator's own."""

    contact: str = ""
    operator: str = ""
    timezone: str = "UTC"
    email: Relay | None = None
    feeds: FeedsTable = FeedsTable()
    fetch: FetchTable = FetchTable()
    websub: WebSubTable | None = None
    door: WebTable | None = None
    bounces: BouncesTable | None = None
    apprise: AppriseTable = AppriseTable()
    feed: tuple[OwnFeed, ...] = ()


class FetchSettings(msgspec.Struct, frozen=True):
    """
    How feeds are fetched: networks inside that may be reached, seconds for a poll, polls of a host at a time, and
    whether the pages of statements are read too.
    """

    allow: tuple[Network, ...] = ()
    timeout: float = 30.0
    per_host: int = 2
    articles: bool = True


class WebSubSettings(msgspec.Struct, frozen=True):
    """Our public address for hubs, the secret that all we tell them follows from, and where we listen."""

    callback: str
    secret: Secret
    host: str
    port: int


class WebSettings(msgspec.Struct, frozen=True):
    """
    Our public address for readers, the secrets that sign links to it (the first of them new ones), where we listen, and
    whether mail channels must be confirmed.
    """

    address: str
    secrets: tuple[Secret, ...]
    host: str
    port: int
    confirm: bool = False


class ImapBox(msgspec.Struct, frozen=True):
    """A mailbox at a server: `folder` of `user`, over TLS unless the server is on this machine."""

    host: str
    port: int
    user: str
    password: Secret
    folder: str = "INBOX"
    tls: bool = True


class BounceSettings(msgspec.Struct, frozen=True):
    """The address that mails come back to, and where we read what comes: a Maildir, or a mailbox at a server."""

    address: str
    box: Path | ImapBox


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the operator decided.

    `contact` is how publishers reach him, "" or an address or URL, `operator` the mailbox that is told what ails
    channels, "" for none; `timezone` (IANA) is for subscribers who name none;
    `email` is None where no mail server is set up, `websub` where hubs cannot reach us, `door` where readers cannot,
    and `bounces` where nobody reads what comes back; `apprise` is whether its URLs may be used; `feeds` are all that
    are polled, within `bounds`. `origins` tells where a setting came from ("email.host": "notifier.toml, line 3"); what
    it does not name is a default.
    """

    contact: str = ""
    operator: str = ""
    timezone: str = "UTC"
    email: Relay | None = None
    feeds: tuple[Feed, ...] = ()
    bounds: Bounds = Bounds()
    fetch: FetchSettings = FetchSettings()
    websub: WebSubSettings | None = None
    door: WebSettings | None = None
    bounces: BounceSettings | None = None
    apprise: bool = False
    origins: Mapping[str, str] = {}

    @classmethod
    def load(cls, home: Path, environ: Mapping[str, str]) -> Settings:
        """The settings of a home. Raises `Misconfigured` with every mistake in the file and in the environment."""
        return _SettingsParser(home / FILE, environ).settings()


class _SettingsParser:
    """Reads the settings once; what is wrong with them gathers in `mistakes`."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._home = path.parent
        self._environ = environ
        self._mistakes: list[Mistake] = []
        self._origins: dict[str, str] = {}
        self._file = self._read(path)

    def settings(self) -> Settings:
        self._fill(self._file.values, ())
        self._origins = {
            ".".join(map(str, place)): f"{FILE}, line {line}"
            for place, line in self._file.lines.items()
            if len(place) <= 2 and not any(isinstance(step, int) for step in place)
        }
        self._take_overrides()
        said = checked(self._file, (), SettingsFile, self._mistakes)
        if said is None:
            raise self._misconfigured()
        self._check(said)
        settings = Settings(
            contact=said.contact,
            operator=said.operator,
            timezone=said.timezone,
            email=said.email,
            feeds=(*self._enabled(said.feeds), *self._own(said)),
            bounds=Bounds(said.feeds.fastest, said.feeds.slowest),
            fetch=FetchSettings(
                tuple(self._networks(said.fetch)), said.fetch.timeout, said.fetch.per_host, said.fetch.articles
            ),
            websub=self._websub(said.websub) if said.websub else None,
            door=self._door(said.door) if said.door else None,
            bounces=self._bounces(said) if said.bounces else None,
            apprise=said.apprise.enabled,
            origins=self._origins,
        )
        if self._mistakes:
            raise self._misconfigured()
        return settings

    def _misconfigured(self) -> Misconfigured:
        return Misconfigured(sorted(self._mistakes, key=lambda mistake: (mistake.file, mistake.line)))

    def _wrong(self, place: Place, problem: str, mend: str = "") -> None:
        self._mistakes.append(self._file.mistake(place, problem, mend))

    def _fits(self, place: Place, check: Callable[..., object], *values: Any) -> None:
        try:
            check(*values)
        except Misfit as error:
            self._wrong(place, f'"{place[-1]}" {error.problem}', error.mend)

    def _passes(self, place: Place, check: Callable[[], object]) -> None:
        try:
            check()
        except Misconfigured as error:
            for mistake in error.mistakes:
                self._wrong(place, mistake.problem, mistake.mend)

    # ---------------------------------------------------------------- where values come from

    def _read(self, path: Path) -> TomlFile:
        try:
            file = toml.read(path, FILE, SIZE)
        except FileNotFoundError:
            if not any(find(name, self._environ) for name, _, _ in _names()):
                mend = "make one with `notifier init`, or say with --home where it is"
                raise Misconfigured([Mistake(FILE, 0, "there is no such file", mend)]) from None
            return TomlFile(FILE, {}, {})
        except OSError as error:
            raise Misconfigured([Mistake(FILE, 0, f"this file cannot be read: {error.strerror}")]) from error
        if isinstance(file, Mistake):
            raise Misconfigured([file])
        return file

    def _fill(self, values: dict[Any, Any], place: Place) -> None:
        """Put in what `${NAME}` stands for, wherever text stands in the file."""
        for key, value in values.items():
            here = (*place, key)
            if isinstance(value, dict):
                self._fill(value, here)
            elif isinstance(value, list):
                elements = dict(enumerate(value))
                self._fill(elements, here)
                values[key] = list(elements.values())
            elif isinstance(value, str):
                try:
                    values[key] = filled(value, self._environ)
                except NotFound as error:
                    self._wrong(here, error.problem, error.mend)

    def _take_overrides(self) -> None:
        """What the environment says goes before what the file says."""
        known = {name: (place, type) for name, place, type in _names()}
        for name, (place, type) in known.items():
            try:
                found = find(name, self._environ)
                if found is None:
                    continue
                value = _value(found.text, type)
            except (NotFound, Misfit) as error:
                self._mistakes.append(Mistake("environment", 0, f"{name}: {error.problem}", error.mend))
                continue
            *tables, key = place
            within = self._file.values
            for table in tables:
                within = within.setdefault(table, {})
            if isinstance(within, dict):
                within[key] = value
                self._origins[".".join(place)] = found.where
        for name in sorted(self._environ):
            if re.match(r"NOTIFIER_[A-Z]+__", name) and name.removesuffix("_FILE") not in known:
                mistake = Mistake("environment", 0, f"{name}: there is no such setting", did_you_mean(name, known))
                self._mistakes.append(mistake)

    # ---------------------------------------------------------------- what fits its type, and is wrong all the same

    def _check(self, said: SettingsFile) -> None:
        if said.contact and not re.fullmatch(r"[!-~]+@[!-~]+|https?://[!-~]+", said.contact):
            self._wrong(("contact",), '"contact" is for publishers', "write a mail address or a URL")
        self._check_operator(said)
        self._fits(("timezone",), zone, said.timezone)
        if said.feeds.fastest > said.feeds.slowest:
            self._wrong(("feeds", "fastest"), '"fastest" is longer than "slowest"', "both are seconds between polls")
        if said.email is not None:
            self._passes(("email",), said.email.checked)
            self._passes(("email", "dkim"), said.email.signer)

    def _check_operator(self, said: SettingsFile) -> None:
        if said.operator and said.email is None:
            self._wrong(
                ("operator",), '"operator" is told by mail, and there is no [email]', "add [email], or leave it out"
            )
        elif said.operator:
            try:
                mailbox(said.operator)
            except ValueError as error:
                self._wrong(("operator",), f'"operator": {error}')

    def _enabled(self, said: FeedsTable) -> Iterator[Feed]:
        usable = [source.id for source in catalogue().values() if source.usable]
        for index, id in enumerate(said.enabled):
            place, source = ("feeds", "enabled", index), catalogue().get(id)
            if source is None:
                mend = did_you_mean(id, usable) or "`notifier feeds list --all` shows those that there are"
                self._wrong(place, f"no feed {shown(id)} in the catalogue", mend)
            elif not source.usable:
                self._wrong(place, f"{shown(id)} cannot be polled: it {source.reason}", "leave it out")
            elif id in said.enabled[:index]:
                self._wrong(place, f"{shown(id)} is enabled twice", "keep one of them")
            else:
                yield source.feed(said.every)

    def _own(self, said: SettingsFile) -> Iterator[Feed]:
        taken = set(said.feeds.enabled)
        for number, feed in enumerate(said.feed):
            place = ("feed", number)
            if not ID.fullmatch(feed.id):
                self._wrong((*place, "id"), f"{shown(feed.id)} is no id", "write small letters, digits and hyphens")
            if feed.id in taken:
                self._wrong((*place, "id"), f"there is another feed {shown(feed.id)}", "give it an id of its own")
            taken.add(feed.id)
            if not _is_web_address(feed.url):
                # The address itself stays out of the message: it may hold a key.
                self._wrong((*place, "url"), "this is no address that can be polled", 'write it as "https://…"')
            if not feed.issuer.strip():
                self._wrong((*place, "issuer"), '"issuer" must not be empty', "say who speaks there")
            self._fits((*place, "timezone"), zone, feed.timezone)
            self._fits((*place, "every"), converted, feed.every, Seconds)
            self._check_own(place, feed)
            yield self._completed(place, feed, said.feeds.every)

    def _check_own(self, place: Place, feed: OwnFeed) -> None:
        """What is sent with its requests, when it speaks, and where it keeps what is past."""
        for name, value in feed.headers.items():
            # The value itself stays out of the message: it may be a key.
            if not _HEADER.fullmatch(name):
                mend = "write letters, digits and hyphens (RFC 9110)"
                self._wrong((*place, "headers", name), f"{shown(name)} is no name of a header", mend)
            elif not _HEADER_VALUE.fullmatch(value):
                mend = "write it in one line of visible ASCII characters (RFC 9110)"
                self._wrong((*place, "headers", name), f'the value of header "{name}" cannot be sent', mend)
        for index, slot in enumerate(feed.slots):
            if not SLOT.fullmatch(slot):
                self._wrong((*place, "slots", index), f"{shown(slot)} is no time of the day", 'write it as "08:45"')
        archive = catalogue().get(feed.archive)
        if feed.archive and (archive is None or archive.shape is None or not archive.usable):
            listed = [source.id for source in catalogue().values() if source.usable and source.shape]
            mend = did_you_mean(feed.archive, listed) or f"one of {', '.join(listed)}"
            self._wrong((*place, "archive"), f"no feed {shown(feed.archive)} in the catalogue to look back in", mend)

    def _completed(self, place: Place, feed: OwnFeed, every: float) -> Feed:
        """The feed with what its preset and the defaults say of what the file leaves open."""
        values = {name: getattr(feed, name) for name in Feed.__struct_fields__}
        preset = catalogue().get(feed.preset)
        if feed.preset and (preset is None or preset.kind == "list-file"):
            mend = did_you_mean(feed.preset, catalogue()) or "`notifier feeds list --all` shows the catalogue"
            self._wrong((*place, "preset"), f"no feed {shown(feed.preset)} in the catalogue to be read as", mend)
        told = {"every": every} | (preset.how if preset else {})
        # A declaration says of what kind its feed is, and makes the preset's own beside the point.
        if declared := next((kind for kind in ("json", "html") if values[kind]), ""):
            told |= {"kind": declared, "json": None, "html": None}
        values |= {name: value for name, value in told.items() if (*place, name) not in self._file.lines}
        self._check_shape(place, Feed(**values))
        return Feed(**values)

    def _check_shape(self, place: Place, feed: Feed) -> None:
        """Is what a feed of this kind is read by there, and can it be read by that, and so its statements' pages?"""
        if feed.article:
            self._fits((*place, "article"), _selector, feed.article)
        for kind, shape in (("json", feed.json), ("html", feed.html)):
            if shape is None and feed.kind == kind:
                mend = f"add [feed.{kind}] with entries = …, or a preset of that kind"
                self._wrong((*place, "kind"), f'nothing says where the entries of a "{kind}" feed are', mend)
            elif shape is not None and feed.kind != kind:
                mend = f'leave [feed.{kind}] out, or write kind = "{kind}"'
                self._wrong((*place, kind), f'a feed of kind "{feed.kind}" is not read by [feed.{kind}]', mend)
            for fault in faults(shape) if shape else ():
                name = next(step for step in reversed(fault.place) if isinstance(step, str))
                self._wrong((*place, kind, *fault.place), f'"{name}" {fault.problem}', fault.mend)

    def _websub(self, said: WebSubTable) -> WebSubSettings:
        if not _is_web_address(said.callback) or set("?#") & set(said.callback):
            mend = 'write it as "https://alerts.example.org/websub"'
            self._wrong(("websub", "callback"), "this is no address that hubs could reach", mend)
        secret = self._secret(("websub", "secret"), said.secret)
        return WebSubSettings(said.callback, secret, *self._listening(("websub", "listen"), said.listen, 8085))

    def _door(self, said: WebTable) -> WebSettings:
        place = ("door", "address")
        if not _is_web_address(said.address) or set("?#") & set(said.address):
            self._wrong(
                place, "this is no address that readers could reach", 'write it as "https://alerts.example.org"'
            )
        elif not _is_private(said.address, {"https"}):
            self._wrong(place, "mail programs follow https addresses alone (RFC 8058)", "write https:// in front of it")
        secrets = [self._secret(("door", "secret"), said.secret)]
        for index, earlier in enumerate(said.earlier_secrets):
            secrets.append(self._secret(("door", "earlier_secrets", index), earlier))
        listening = self._listening(("door", "listen"), said.listen, 8086)
        return WebSettings(said.address.rstrip("/"), tuple(secrets), *listening, said.confirm)

    def _secret(self, place: Place, text: str) -> Secret:
        if len(text) < SECRET:
            name = next(step for step in reversed(place) if isinstance(step, str))
            self._wrong(place, f'"{name}" has fewer than {SECRET} characters', "make one up by chance")
        return Secret(text)

    def _listening(self, place: Place, text: str, port: int) -> tuple[str, int]:
        """A host and a port of our machine."""
        host, _, digits = text.rpartition(":")
        if not host or not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) < 65_536):
            self._wrong(place, f"{shown(text)} is no host and port", f'write it as "127.0.0.1:{port}"')
            return "127.0.0.1", 0
        return host.strip("[]"), int(digits)

    def _bounces(self, file: SettingsFile) -> BounceSettings | None:
        said = file.bounces
        if said is None:
            return None
        for table, needed in (
            ("door", "its secret signs what bounces are known by"),
            ("email", "nothing else bounces"),
        ):
            if getattr(file, table) is None:
                self._wrong(("bounces",), f"there is no [{table}]: {needed}", f"add [{table}], or leave [bounces] out")
        local, _, domain = said.address.rpartition("@")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9.-]+", said.address) or not (local and domain):
            problem = (
                "this address cannot take a token: its part before the @ has up to 20 letters, digits, dots, hyphens"
            )
            self._wrong(("bounces", "address"), problem, 'write it as "bounce@alerts.example.org"')
        if bool(said.maildir) == bool(said.imap):
            self._wrong(("bounces",), "one of maildir and imap says where bounces are read", "set one of them")
            return None
        if said.maildir:
            return BounceSettings(said.address, self._home / said.maildir)
        box = _imap_box(said.imap, Secret(said.password))
        if box is None:
            mend = 'write it as "imaps://user@mail.example.org/INBOX"; imap:// is for a server on this machine'
            self._wrong(("bounces", "imap"), "this is no mailbox that can be read", mend)
            return None
        if not said.password.isascii() or not said.password.isprintable() or not said.password:
            mend = 'add password = "${…}", of printable ASCII characters'
            self._wrong(("bounces",), "a mailbox at a server has a password", mend)
        return BounceSettings(said.address, box)

    def _networks(self, said: FetchTable) -> Iterator[Network]:
        for index, text in enumerate(said.allow):
            try:
                yield ip_network(text)
            except ValueError:
                mend = 'write one as "127.0.0.1/32" or "10.1.0.0/16"'
                self._wrong(("fetch", "allow", index), f"{shown(text)} is no network", mend)


def _names(table: Any = SettingsFile, place: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Every setting that the environment can name: its variable, its place in the file, its type."""
    for field in msgspec.structs.fields(table):
        struct, here = struct_in(field.type), (*place, field.name)
        if struct is None:
            yield f"NOTIFIER_{'__'.join(here)}".upper(), here, field.type
        elif get_origin(field.type) is not tuple:
            yield from _names(struct, here)


def _value(text: str, type: Any) -> Any:
    """A text from the environment as a setting's type; lists are written with commas. Raises `Misfit`."""
    if get_origin(type) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return converted(text, type, strict=False)


def _selector(text: str) -> None:
    """Raise `Misfit` for what is no CSS selector."""
    try:
        check_selector(text)
    except ValueError as error:
        raise Misfit(*error.args) from error


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False


def _is_private(url: str, schemes: Collection[str]) -> bool:
    """Does nobody on the way hear what is said there: over TLS, or on this machine?"""
    parts = urlsplit(url)
    return parts.scheme in schemes or (parts.hostname or "") in {"localhost", "127.0.0.1", "::1"}


def _imap_box(url: str, password: Secret) -> ImapBox | None:
    """The mailbox that an address names; None where it names none, or one that would be read in clear."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    known = parts.scheme in {"imap", "imaps"} and parts.hostname and parts.username and parts.password is None
    if not known or not url.isascii() or not url.isprintable() or not _is_private(url, {"imaps"}):
        return None
    tls = parts.scheme == "imaps"
    folder = unquote(parts.path.strip("/")) or "INBOX"
    user = unquote(parts.username or "")
    if not re.fullmatch(r"[!#-\[\]-~]+", user) or not re.fullmatch(r"[ !#-\[\]-~]+", folder):
        return None  # quotes and blanks would be read as the end of a command's part
    return ImapBox(parts.hostname or "", port or (993 if tls else 143), user, password, folder, tls)
