"""
The edges of the notifier, made as the operator's settings want them: what reaches publishers and subscribers, what is
kept, what tells the time.

`Ports` holds them all in one value that is handed to the service, so that a test, the demo or a simulation can hand in
others.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

import msgspec

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
from notifier.eventlog.log import EventLog
from notifier.feeds.fetch import Fetcher
from notifier.feeds.parsers import PAGES, Parsers
from notifier.home import packaged_data
from notifier.home import subscriber_files as subscriptions
from notifier.home.open_log import own_log, wall_clock
from notifier.home.settings import BounceSettings, ImapBox, Settings
from notifier.home.subscriber_files import Subscriptions
from notifier.messages.render import Renderer
from notifier.messages.signed_links import SignedLinks


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """
    All edges of one running notifier.

    `clock` tells the time of day (UTC, may be set), `ticks` are seconds of a clock that never goes back, and `chance`
    spreads polls and retries; nothing secret depends on it. `channels` are by kind. `inbox` is None where nobody reads
    bounces, `links` where readers cannot reach us.
    """

    log: EventLog
    fetcher: Fetcher
    parsers: Parsers
    page_parsers: Parsers
    channels: Mapping[str, Channel]
    renderer: Renderer
    inbox: Inbox | None
    links: SignedLinks | None
    clock: Callable[[], datetime]
    ticks: Callable[[], float]
    chance: random.Random


@contextlib.asynccontextmanager
async def opened(
    home: Path,
    settings: Settings,
    *,
    clock: Callable[[], datetime] = wall_clock,
    ticks: Callable[[], float] = time.monotonic,
    chance: random.Random | None = None,
    terminal: TextIO | None = None,
) -> AsyncIterator[Ports]:
    """
    The edges of a home, open until the end of the block; its log is owned meanwhile.

    Raises `LogOwned` while another process works on the same home.
    """
    # Each is closed whatever becomes of the others: Ctrl-C may come while we close, and come twice.
    async with contextlib.AsyncExitStack() as at_end:
        log = await own_log(home, clock)
        at_end.push_async_callback(log.close)
        ports = Ports(
            log=log,
            fetcher=fetcher_of(settings, clock, ticks),
            parsers=Parsers(),
            page_parsers=Parsers(child=PAGES),
            channels=channels_of(home, settings, terminal or sys.stdout, ticks),
            renderer=Renderer([home / "templates", packaged_data.templates()]),
            inbox=inbox_of(settings),
            links=links_of(settings),
            clock=clock,
            ticks=ticks,
            chance=chance or random.Random(),  # noqa: S311 it spreads polls and retries
        )
        at_end.push_async_callback(_close_channels, ports.channels)
        for port in (ports.page_parsers, ports.parsers, ports.fetcher):
            at_end.push_async_callback(port.close)
        yield ports


async def _close_channels(channels: Mapping[str, Channel]) -> None:
    await asyncio.gather(*(channel.close() for channel in channels.values()))


def channels_of(
    home: Path, settings: Settings, terminal: TextIO, ticks: Callable[[], float] = time.monotonic
) -> dict[str, Channel]:
    """
    The channels by kind, the key that a subscriber's file uses. A new channel is one line here.

    `ticks`, seconds that never go back, are those by which channels keep the pace of an address.
    """
    channels: list[Channel] = [
        *([_email(settings.email, settings.bounces)] if settings.email else []),
        SlackChannel(allowed=settings.fetch.allow, ticks=ticks),
        TeamsChannel(allowed=settings.fetch.allow, ticks=ticks),
        DiscordChannel(allowed=settings.fetch.allow, ticks=ticks),
        WebhookChannel(allowed=settings.fetch.allow, ticks=ticks),
        AtomChannel(home / "feeds"),
        *([AppriseChannel()] if settings.apprise else []),
        ConsoleChannel(terminal),
    ]
    return {channel.kind: channel for channel in channels}


def _email(relay: Relay, bounces: BounceSettings | None) -> EmailChannel:
    """Mail, signed where the operator wants that, with an envelope sender by which bounces are recognised."""
    return EmailChannel(relay, bounces=bounces.address if bounces else "", sign=relay.signer())


def links_of(settings: Settings) -> SignedLinks | None:
    """What makes and checks the links in our messages; None where the operator has not set up public pages."""
    if settings.web is None:
        return None
    secret, *earlier = (each.reveal() for each in settings.web.secrets)
    return SignedLinks(settings.web.address, secret, earlier)


def inbox_of(settings: Settings) -> Inbox | None:
    """The mailbox that bounces come back to; None where nobody reads them."""
    if settings.bounces is None:
        return None
    box = settings.bounces.box
    if isinstance(box, ImapBox):
        return ImapInbox(box.host, box.port, box.user, box.password.reveal(), box.folder, tls=box.tls)
    return MaildirInbox(box)


def fetcher_of(
    settings: Settings, clock: Callable[[], datetime] = wall_clock, ticks: Callable[[], float] = time.monotonic
) -> Fetcher:
    """What fetches feeds and pages, with the operator's limits."""
    fetch = settings.fetch
    return Fetcher(fetch.allow, settings.contact, fetch.timeout, clock, per_host=fetch.per_host, ticks=ticks)


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
    "email": "no mail server is set up; add [email] with host and sender to notifier.toml",
    "apprise": "Apprise's connections are not guarded, so it is off; to use it, add [apprise] with enabled = true to "
    "notifier.toml",
}
