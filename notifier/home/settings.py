"""
What the operator decided, as values: the settings of a home, checked and filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from notifier.channels.mail.relay import Relay
from notifier.feeds.feed import Feed
from notifier.feeds.habit import Bounds
from notifier.guard import Network
from notifier.secret import Secret


class FetchSettings(msgspec.Struct, frozen=True):
    """
    How feeds are fetched: private networks that may be reached, seconds for a poll, polls of one host at a time, and
    whether the pages of statements are read too.
    """

    allow: tuple[Network, ...] = ()
    timeout: float = 30.0
    per_host: int = 2
    articles: bool = True


class WebSubSettings(msgspec.Struct, frozen=True):
    """Our public address for hubs, the secret from which theirs are derived, and where we listen."""

    callback: str
    secret: Secret
    host: str
    port: int


class WebSettings(msgspec.Struct, frozen=True):
    """
    Our public address for readers, the secrets that sign links to it (the first signs new ones), where we listen, and
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
    All settings.

    `contact` is a mail address or URL for publishers, `operator` the mailbox that is notified of suspended channels,
    "" for none; `timezone` (IANA) is for subscribers who name none. `email` is None where no mail server is set up,
    `websub` where hubs cannot reach us, `web` where readers cannot, and `bounces` where nobody reads them; `apprise`
    says whether its URLs may be used. `feeds` are all that are polled, within `bounds`. `origins` says where a setting
    came from ("email.host": "notifier.toml, line 3"); one that it does not have is a default. `notes` are sentences on
    settings that are read and have a new name.
    """

    contact: str = ""
    operator: str = ""
    timezone: str = "UTC"
    email: Relay | None = None
    feeds: tuple[Feed, ...] = ()
    bounds: Bounds = Bounds()
    fetch: FetchSettings = FetchSettings()
    websub: WebSubSettings | None = None
    web: WebSettings | None = None
    bounces: BounceSettings | None = None
    apprise: bool = False
    origins: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
