"""
Reading the settings: `notifier.toml` in the home, and the environment, which overrides it.

They are read once, all or nothing; all mistakes are reported together, each with its line and mend. A setting's name in
the environment is its place in the file, `NOTIFIER_EMAIL__HOST` for `host` under `[email]`; with `_FILE` at the end it
names a file that holds the value, and a systemd credential of that name is read too. In the file, `${NAME}` is replaced
by what the environment holds under that name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, get_origin
from urllib.parse import unquote, urlsplit

import msgspec

from notifier.channels.mail.address import mailbox
from notifier.channels.mail.relay import Relay
from notifier.errors import Misconfigured, Mistake
from notifier.feeds.habit import Bounds
from notifier.guard import Network
from notifier.home import toml
from notifier.home.checked import Misfit, checked, converted, did_you_mean, shown, struct_in, zone
from notifier.home.checks import Checks
from notifier.home.feed_tables import FeedsTable, FeedTables, OwnFeed, is_web_address
from notifier.home.settings import BounceSettings, FetchSettings, ImapBox, Settings, WebSettings, WebSubSettings
from notifier.home.toml import Place, TomlFile
from notifier.secret import NotFound, Secret, filled, find

FILE = "notifier.toml"
SIZE = 4 * 1024 * 1024  # bytes of the file; ten thousand feeds of the operator's own are a third of that
SECRET = 16  # characters of one, at least
RENAMED = f"{FILE}: [door] is called [web] now; the old name is still read"


class FetchTable(msgspec.Struct, frozen=True):
    """
    `[fetch]`: networks inside that may be reached all the same, seconds for a poll, polls of a host at a time, and
    whether the pages of statements are read.
    """

    allow: tuple[str, ...] = ()
    timeout: Annotated[float, msgspec.Meta(ge=1, le=300)] = 30.0
    per_host: Annotated[int, msgspec.Meta(ge=1, le=32)] = 2
    articles: bool = True


class WebSubTable(msgspec.Struct, frozen=True):
    """`[websub]`: the address at which hubs reach us, what signs for it, and where we listen behind it."""

    callback: str
    secret: str
    listen: str = "127.0.0.1:8085"


class WebTable(msgspec.Struct, frozen=True):
    """
    `[web]`: our public address for readers, what signs the links to it and what did before, and where we listen behind
    it. `confirm`: mail channels get no alerts until their readers have confirmed them.
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
    """The shape of notifier.toml. Each `[[feed]]` is the operator's own; `[door]` is an old name of `[web]`."""

    contact: str = ""
    operator: str = ""
    timezone: str = "UTC"
    email: Relay | None = None
    feeds: FeedsTable = FeedsTable()
    fetch: FetchTable = FetchTable()
    websub: WebSubTable | None = None
    web: WebTable | None = None
    door: WebTable | None = None
    bounces: BouncesTable | None = None
    apprise: AppriseTable = AppriseTable()
    feed: tuple[OwnFeed, ...] = ()


def load_settings(home: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of a home. Raises `Misconfigured` with every mistake in the file and in the environment."""
    return _SettingsParser(home / FILE, environ).settings()


class _SettingsParser:
    """Reads the settings once; what is wrong with them gathers in `_mistakes`."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._home = path.parent
        self._environ = environ
        self._mistakes: list[Mistake] = []
        self._origins: dict[str, str] = {}
        self._file = self._read(path)
        self._checks = Checks(self._file, self._mistakes)

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
        feeds = FeedTables(self._checks)
        settings = Settings(
            contact=said.contact,
            operator=said.operator,
            timezone=said.timezone,
            email=said.email,
            feeds=(*feeds.enabled(said.feeds), *feeds.own(said.feed, said.feeds)),
            bounds=Bounds(said.feeds.fastest, said.feeds.slowest),
            fetch=FetchSettings(
                tuple(self._networks(said.fetch)), said.fetch.timeout, said.fetch.per_host, said.fetch.articles
            ),
            websub=self._websub(said.websub) if said.websub else None,
            web=self._web(said),
            bounces=self._bounces(said) if said.bounces else None,
            apprise=said.apprise.enabled,
            origins=self._origins,
            notes=(RENAMED,) if said.door else (),
        )
        if self._mistakes:
            raise self._misconfigured()
        return settings

    def _misconfigured(self) -> Misconfigured:
        return Misconfigured(sorted(self._mistakes, key=lambda mistake: (mistake.file, mistake.line)))

    # ---------------------------------------------------------------- where values come from

    def _read(self, path: Path) -> TomlFile:
        try:
            file = toml.read(path, FILE, SIZE)
        except FileNotFoundError:
            if not any(find(name, self._environ) for name, _, _ in _names()):
                mend = "make one with `notifier init`, or name its folder with --home"
                raise Misconfigured([Mistake(FILE, 0, "this file does not exist", mend)]) from None
            return TomlFile(FILE, {}, {})
        except OSError as error:
            raise Misconfigured([Mistake(FILE, 0, f"this file cannot be read: {error.strerror}")]) from error
        if isinstance(file, Mistake):
            raise Misconfigured([file])
        return file

    def _fill(self, values: dict[Any, Any], place: Place) -> None:
        """Replace `${NAME}` by its value in every text of the file."""
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
                    self._checks.wrong(here, error.problem, error.mend)

    def _take_overrides(self) -> None:
        """Let the environment override the file."""
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
                mistake = Mistake("environment", 0, f"{name}: unknown setting", did_you_mean(name, known))
                self._mistakes.append(mistake)

    # ---------------------------------------------------------------- what fits its type, and is wrong all the same

    def _check(self, said: SettingsFile) -> None:
        if said.contact and not re.fullmatch(r"[!-~]+@[!-~]+|https?://[!-~]+", said.contact):
            self._checks.wrong(
                ("contact",), '"contact" is neither a mail address nor a URL', "write how publishers can reach you"
            )
        self._check_operator(said)
        self._checks.fits(("timezone",), zone, said.timezone)
        if said.feeds.fastest > said.feeds.slowest:
            self._checks.wrong(
                ("feeds", "fastest"), '"fastest" is longer than "slowest"', "both are seconds between polls"
            )
        if said.email is not None:
            self._checks.passes(("email",), said.email.checked)
            self._checks.passes(("email", "dkim"), said.email.signer)

    def _check_operator(self, said: SettingsFile) -> None:
        if said.operator and said.email is None:
            self._checks.wrong(
                ("operator",), '"operator" is notified by mail, and there is no [email]', "add [email], or leave it out"
            )
        elif said.operator:
            try:
                mailbox(said.operator)
            except ValueError as error:
                self._checks.wrong(("operator",), f'"operator": {error}')

    def _websub(self, said: WebSubTable) -> WebSubSettings:
        if not is_web_address(said.callback) or set("?#") & set(said.callback):
            mend = 'write it as "https://alerts.example.org/websub"'
            self._checks.wrong(("websub", "callback"), "this is not an address that hubs could reach", mend)
        secret = self._secret(("websub", "secret"), said.secret)
        return WebSubSettings(said.callback, secret, *self._listening(("websub", "listen"), said.listen, 8085))

    def _web(self, file: SettingsFile) -> WebSettings | None:
        name = "door" if file.door else "web"
        table = file.web or file.door
        if table is None:
            return None
        if file.web and file.door:
            self._checks.wrong(("door",), "[door] is an old name of [web], and both are there", "keep [web]")
        place = (name, "address")
        if not is_web_address(table.address) or set("?#") & set(table.address):
            mend = 'write it as "https://alerts.example.org"'
            self._checks.wrong(place, "this is not an address that readers could reach", mend)
        elif not _is_private(table.address, {"https"}):
            problem = "mail programs follow only https links (RFC 8058)"
            self._checks.wrong(place, problem, "write https:// in front of it")
        secrets = [self._secret((name, "secret"), table.secret)]
        for index, earlier in enumerate(table.earlier_secrets):
            secrets.append(self._secret((name, "earlier_secrets", index), earlier))
        listening = self._listening((name, "listen"), table.listen, 8086)
        return WebSettings(table.address.rstrip("/"), tuple(secrets), *listening, table.confirm)

    def _secret(self, place: Place, text: str) -> Secret:
        if len(text) < SECRET:
            name = next(step for step in reversed(place) if isinstance(step, str))
            self._checks.wrong(place, f'"{name}" has fewer than {SECRET} characters', "generate a random one")
        return Secret(text)

    def _listening(self, place: Place, text: str, port: int) -> tuple[str, int]:
        """A host and a port of our machine."""
        host, _, digits = text.rpartition(":")
        if not host or not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) < 65_536):
            self._checks.wrong(place, f"{shown(text)} is not a host and port", f'write it as "127.0.0.1:{port}"')
            return "127.0.0.1", 0
        return host.strip("[]"), int(digits)

    def _bounces(self, file: SettingsFile) -> BounceSettings | None:
        said = file.bounces
        if said is None:
            return None
        for table, needed in (
            ("web", "its secret signs the tokens by which bounces are recognised"),
            ("email", "nothing else bounces"),
        ):
            if (file.web or file.door if table == "web" else file.email) is None:
                self._checks.wrong(
                    ("bounces",), f"there is no [{table}]: {needed}", f"add [{table}], or leave [bounces] out"
                )
        local, _, domain = said.address.rpartition("@")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9.-]+", said.address) or not (local and domain):
            problem = (
                "this address cannot carry a token: before the @ it may have up to 20 letters, digits, dots and hyphens"
            )
            self._checks.wrong(("bounces", "address"), problem, 'write it as "bounce@alerts.example.org"')
        if bool(said.maildir) == bool(said.imap):
            self._checks.wrong(("bounces",), "set either maildir or imap: where bounces are read", "set one of them")
            return None
        if said.maildir:
            return BounceSettings(said.address, self._home / said.maildir)
        box = _imap_box(said.imap, Secret(said.password))
        if box is None:
            mend = 'write it as "imaps://user@mail.example.org/INBOX"; imap:// is for a server on this machine'
            self._checks.wrong(("bounces", "imap"), "this is not a mailbox that can be read", mend)
            return None
        if not said.password.isascii() or not said.password.isprintable() or not said.password:
            mend = 'add password = "${…}", of printable ASCII characters'
            self._checks.wrong(("bounces",), "a mailbox on a server needs a password", mend)
        return BounceSettings(said.address, box)

    def _networks(self, said: FetchTable) -> Iterator[Network]:
        for index, text in enumerate(said.allow):
            try:
                yield ip_network(text)
            except ValueError:
                mend = 'write one as "127.0.0.1/32" or "10.1.0.0/16"'
                self._checks.wrong(("fetch", "allow", index), f"{shown(text)} is not a network", mend)


def _names(table: Any = SettingsFile, place: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Every setting that the environment can override: its variable, its place in the file, its type."""
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


def _is_private(url: str, schemes: Collection[str]) -> bool:
    """Is it safe from eavesdroppers: over TLS, or on this machine?"""
    parts = urlsplit(url)
    return parts.scheme in schemes or (parts.hostname or "") in {"localhost", "127.0.0.1", "::1"}


def _imap_box(url: str, password: Secret) -> ImapBox | None:
    """The mailbox of an IMAP URL; None for an invalid one, or one to which a password would go in clear."""
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
        return None  # quotes and blanks would end an argument of an IMAP command
    return ImapBox(parts.hostname or "", port or (993 if tls else 143), user, password, folder, tls)
