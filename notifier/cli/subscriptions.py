"""`notifier subscriptions`: the subscribers' files, checked and listed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.text import Text

from notifier.cli.resume import resume
from notifier.cli.screen import aside, hanging, plain, shown, stderr, stdout, told
from notifier.delivery.channel_state import ChannelStates
from notifier.errors import Misconfigured, Mistake
from notifier.home.open_log import has_log, reading_log, wall_clock
from notifier.home.settings_file import load_settings
from notifier.home.subscriber_files import Subscriptions
from notifier.home.subscriber_tables import WEEK
from notifier.ports import channels_of, subscriptions_of
from notifier.questions.tail import counted
from notifier.questions.volume import Volume, volume
from notifier.subscribers.subscriber import MAIL
from notifier.subscribers.timing import DAILY, WEEKLY, Timing


@click.group("subscriptions", subcommand_metavar="VERB …")
def command() -> None:
    """
    The subscribers' files, checked and listed; and channels that take nothing, resumed.

    \b
    Examples:
      notifier subscriptions check
      notifier subscriptions list --json
      notifier subscriptions resume hong-kong-desk
    """


command.add_command(resume)


@command.command("check", short_help="Check the files and report every mistake; changes nothing.")
@click.pass_obj
def check(home: Path) -> None:
    """
    Read every subscriber's file as `run` would, and name file, line and mend of what is wrong. Changes nothing.

    Warns of what is not wrong and may not be meant: terms that add nothing or never match, and watchlists that match
    over 5 % of the statements in the log. Exit code 3 when there is a mistake: `run` would take up none of the files.

    \b
    Examples:
      notifier subscriptions check
      notifier --home my-desk subscriptions check && echo good
    """
    try:
        found, _ = _load(home)
    except Misconfigured as error:
        for mistake in error.mistakes:
            stderr().print(told("error", "red", str(mistake)))
        stderr().print(shown(f"{counted(len(error.mistakes), 'mistake')}; nothing was changed", "dim"))
        sys.exit(3)
    for warning in (*found.warnings, *asyncio.run(_wide(home, found))):
        aside(told("warning", "yellow", warning))
    watchlists = sum(len(who.watchlists) for who in found.subscribers.values())
    all_of = f"{counted(len(found.subscribers), 'subscriber')}, {counted(watchlists, 'watchlist')}"
    aside(told("✓", "green", f"{all_of}; all is well"))


@command.command("list", short_help="List watchlists and channels, with addresses masked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a subscriber, on stdout.")
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """
    List the subscribers with their watchlists and channels; addresses and URLs are masked. A channel that takes nothing
    says why and since when, and mail that is not confirmed that it is owed nothing yet.

    \b
    Examples:
      notifier subscriptions list
      notifier subscriptions list --json | jq -r .subscriber
    """
    found, masked = _load(home)
    standing, confirm = asyncio.run(_standing(home)), _confirm(home)
    for id, who in found.subscribers.items():
        channels = [
            Listed(
                name=way.name,
                kind=way.kind,
                to=masked(way.kind, way.address.reveal()),
                suspended=_suspended(standing, id, way.name),
                confirmed=_confirmed(standing, id, way.name) if confirm and way.kind == MAIL else None,
            )
            for way in who.channels
        ]
        if as_json:
            row = {
                "subscriber": id,
                "name": who.name,
                "timezone": who.timezone,
                "frequency": who.timing.frequency,
                "digest_at": f"{who.timing.digest_at:%H:%M}",
                "digest_on": WEEK[who.timing.digest_on],
                "quiet_hours": _quiet_hours(who.timing),
                "empty_digests": who.timing.empty_digests,
                "watchlists": [
                    {
                        "name": wish.name,
                        "query": wish.query.said,
                        "frequency": wish.frequency,
                        "urgent": wish.urgent,
                    }
                    for wish in who.watchlists
                ],
                "channels": channels,
            }
            click.echo(msgspec.json.encode(row))
            continue
        console = stdout()
        about = plain(f"{who.name} · {who.timezone} · {_when(who.timing)}")
        console.print(Text.assemble((id, "bold"), (f"  {about}", "dim")))
        for wish in who.watchlists:
            own = "urgent" if wish.urgent else wish.frequency if wish.frequency != who.timing.frequency else ""
            name = Text.assemble("  ", (plain(wish.name), "cyan"), f" ({own})" if own else "", ": ")
            hanging(console, name, Text(plain(wish.query.reading())))
        for way in channels:
            how = f"  {plain(_how(way))}" if _how(way) else ""
            hanging(console, Text("  → "), Text.assemble(plain(f"{way.name}: {way.to}"), (how, "yellow")))


class Suspended(msgspec.Struct, frozen=True):
    """Why a channel takes nothing, since when, and until when; None for until it is resumed."""

    why: str
    reason: str
    since: datetime
    until: datetime | None


class Listed(msgspec.Struct, frozen=True):
    """A channel as it is listed, masked; `confirmed` is None where nobody has to confirm."""

    name: str
    kind: str
    to: str
    suspended: Suspended | None
    confirmed: bool | None


def _suspended(standing: ChannelStates | None, subscriber: str, channel: str) -> Suspended | None:
    found = standing.suspended(subscriber, channel, wall_clock()) if standing else None
    return Suspended(found.why, found.reason, found.at, found.until) if found else None


def _confirmed(standing: ChannelStates | None, subscriber: str, channel: str) -> bool:
    return standing is not None and standing.is_confirmed(subscriber, channel)


def _how(way: Listed) -> str:
    """How a channel stands, where it takes nothing."""
    if way.suspended:
        until = f", until {way.suspended.until:%Y-%m-%d %H:%M}Z" if way.suspended.until else ""
        return f"{way.suspended.why} since {way.suspended.since:%Y-%m-%d %H:%M}Z{until}: {way.suspended.reason}"
    return "not confirmed yet, so owed nothing" if way.confirmed is False else ""


async def _standing(home: Path) -> ChannelStates | None:
    """How the channels stand, as the log tells; None where there is no log yet."""
    if not has_log(home):
        return None
    async with reading_log(home) as log:
        standing = ChannelStates(log)
        await standing.catch_up()
        return standing


def _confirm(home: Path) -> bool:
    web = load_settings(home, os.environ).web
    return web is not None and web.confirm


def _when(timing: Timing) -> str:
    """When somebody is told, in a few words."""
    day = f" on {WEEK[timing.digest_on].capitalize()}" if timing.frequency == WEEKLY else ""
    at = f" at {timing.digest_at:%H:%M}" if timing.frequency in {DAILY, WEEKLY} else ""
    quiet = _quiet_hours(timing)
    return f"{timing.frequency}{day}{at}" + (f", quiet {quiet}" if quiet else "")


def _quiet_hours(timing: Timing) -> str:
    begin, end = timing.quiet_from, timing.quiet_until
    return f"{begin:%H:%M}-{end:%H:%M}" if begin is not None and end is not None else ""


async def _wide(home: Path, found: Subscriptions) -> list[str]:
    """Warnings of watchlists that match much of what is in the log; none where there is no log, or little in it."""
    if not has_log(home):
        return []
    async with reading_log(home) as log:
        measured = await volume(log, [wish for who in found.subscribers.values() for wish in who.watchlists])
    return [_told_wide(found, measured, key) for key in measured.wide]


def _told_wide(found: Subscriptions, measured: Volume, key: tuple[str, str]) -> str:
    matched, read = measured.matched[key], measured.read
    problem = f"this matches {matched:,} of {read:,} statements in the log ({matched / read:.0%})"
    return str(Mistake(*found.places[key], problem, "ask for more with AND, or name feeds or issuers"))


def _load(home: Path) -> tuple[Subscriptions, Callable[[str, str], str]]:
    """The subscriptions of a home, and what masks an address by its kind of channel."""
    settings = load_settings(home, os.environ)
    channels = channels_of(home, settings, sys.stdout)
    found = subscriptions_of(home, settings, channels, os.environ)
    return found, lambda kind, address: channels[kind].masked(address)
