"""
The ways to feeds and subscribers, and back, as the operator's settings want them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

from notifier.channels.apprise import AppriseChannel
from notifier.channels.atom import AtomChannel
from notifier.channels.channel import Channel
from notifier.channels.console import ConsoleChannel
from notifier.channels.discord import DiscordChannel
from notifier.channels.mail.bounce_mailbox import ImapInbox, Inbox, MaildirInbox
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.feeds.fetch import Fetcher
from notifier.home import subscriber_files as subscriptions
from notifier.home.open_log import wall_clock
from notifier.home.settings import BounceSettings, ImapBox, Settings
from notifier.home.subscriber_files import Subscriptions
from notifier.messages.signed_links import SignedLinks


def channels_of(
    home: Path, settings: Settings, terminal: TextIO, seconds: Callable[[], float] = time.monotonic
) -> dict[str, Channel]:
    """
    The ways out, by the word that a subscriber's file uses. A new channel is one line here. `seconds`, which never go
    back, are those by which they keep their pace.
    """
    ways: list[Channel] = [
        *([_email(settings.email, settings.bounces)] if settings.email else []),
        SlackChannel(allowed=settings.fetch.allow, seconds=seconds),
        TeamsChannel(allowed=settings.fetch.allow, seconds=seconds),
        DiscordChannel(allowed=settings.fetch.allow, seconds=seconds),
        WebhookChannel(allowed=settings.fetch.allow, seconds=seconds),
        AtomChannel(home / "feeds"),
        *([AppriseChannel()] if settings.apprise else []),
        ConsoleChannel(terminal),
    ]
    return {way.kind: way for way in ways}


def _email(relay: Relay, bounces: BounceSettings | None) -> EmailChannel:
    """Mail, signed where the operator wants that, and sent so that what comes back is known."""
    return EmailChannel(relay, bounces=bounces.address if bounces else "", sign=relay.signer())


def links_of(settings: Settings) -> SignedLinks | None:
    """What makes and checks the links in our messages; None where the operator has not opened a door for them."""
    if settings.door is None:
        return None
    secret, *earlier = (each.reveal() for each in settings.door.secrets)
    return SignedLinks(settings.door.address, secret, earlier)


def inbox_of(settings: Settings) -> Inbox | None:
    """Where mails come back to; None where nobody reads them."""
    if settings.bounces is None:
        return None
    box = settings.bounces.box
    if isinstance(box, ImapBox):
        return ImapInbox(box.host, box.port, box.user, box.password.reveal(), box.folder, tls=box.tls)
    return MaildirInbox(box)


def fetcher_of(settings: Settings, clock: Callable[[], datetime] = wall_clock) -> Fetcher:
    """The way to the feeds, as the operator wants it."""
    fetch = settings.fetch
    return Fetcher(fetch.allow, settings.contact, fetch.timeout, clock, per_host=fetch.per_host)


def subscriptions_of(
    home: Path, settings: Settings, channels: Mapping[str, Channel], environ: Mapping[str, str]
) -> Subscriptions:
    """The subscribers' files of a home, all or nothing. Raises `Misconfigured` with every mistake in them."""
    return subscriptions.load(
        home / "subscriptions",
        environ,
        feeds=settings.feeds,
        refusal=lambda kind, address: channels[kind].refusal(address) if kind in channels else _NOT_SET_UP[kind],
        timezone=settings.timezone,
    )


# The kinds that need a setting first.
_NOT_SET_UP = {
    "email": "no mail server is set up to send it through; add [email] with host and sender to notifier.toml",
    "apprise": "Apprise's connections are not guarded, so it is off; to use it, add [apprise] with enabled = true to "
    "notifier.toml",
}
