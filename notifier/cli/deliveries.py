"""`notifier deliveries`: who got what, and how it went."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import Counter, deque
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.text import Text

from notifier.app import reading_log
from notifier.cli.moment import Moment
from notifier.cli.screen import MOODS, aside, hanging, plain, stdout, told
from notifier.deliveries import Account, accounts
from notifier.tail import counted

_MOOD = {"delivered": "good", "owed": "plain", "postponed": "warning", "unknown": "warning", "abandoned": "bad"}


class Wanted(msgspec.Struct, frozen=True):
    """Which deliveries to show."""

    since: datetime | None
    until: datetime | None
    subscribers: tuple[str, ...]
    failed: bool

    def takes(self, account: Account) -> bool:
        """Is this delivery one of them?"""
        if self.failed and not account.failed:
            return False
        return not self.subscribers or any(fnmatch.fnmatch(account.subscriber, glob) for glob in self.subscribers)


@click.command("deliveries")
@click.option("--failed", is_flag=True, help="Only what was given up, put off, or may have come without an answer.")
@click.option("--subscriber", "subscribers", multiple=True, help="Only theirs, e.g. 'hong-kong-*'. May be repeated.")
@click.option("--since", type=Moment(), help="Of alerts from this date or time on (UTC).")
@click.option("--until", type=Moment(), help="Of alerts up to this date or time (UTC).")
@click.option("-n", "--last", type=click.IntRange(min=0), help="Only the last N of them.", metavar="N")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a delivery, on stdout.")
@click.pass_obj
def command(
    home: Path,
    failed: bool,
    subscribers: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    last: int | None,
    as_json: bool,
) -> None:
    """
    Show each alert on each channel: to whom, since when it stands so, at which attempt, and what the other side said.

    \b
    Examples:
      notifier deliveries --failed
      notifier deliveries --subscriber hong-kong-desk --since 2020-06-29
      notifier deliveries --failed --json | jq -r .subscriber
    """
    asyncio.run(_show(home, Wanted(since, until, subscribers, failed), last, as_json))


async def _show(home: Path, wanted: Wanted, last: int | None, as_json: bool) -> None:
    async with reading_log(home) as log:
        found = deque(
            [account async for account in accounts(log, wanted.since, wanted.until) if wanted.takes(account)], last
        )
    for account in found:
        if as_json:
            click.echo(msgspec.json.encode(account))
        else:
            _print(account)
    if not as_json:
        counts = Counter(account.state for account in found)
        states = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
        aside(told("·", "dim", f"{counted(len(found), 'delivery')}" + (f": {states}" if states else "")))


def _print(account: Account) -> None:
    console = stdout()
    head = Text.assemble(
        (f"{account.since:%Y-%m-%d %H:%M:%S}Z", "dim"),
        " ",
        (f"{account.state:<9}", MOODS[_MOOD[account.state]]),
        " ",
        plain(f"{account.subscriber} · {account.channel}"),
        "  ",
    )
    hanging(console, head, Text(plain(f"{account.title}{_how(account)}")))


def _how(account: Account) -> str:
    """What there is to say of the last attempt."""
    if not account.attempts:
        return ""
    last = account.attempts[-1]
    at = f" at attempt {last.number}" if last.number > 1 else ""
    due = f", again at {account.due_at:%Y-%m-%d %H:%M:%S}Z" if account.due_at else ""
    return f" ({last.said}{at}{due})" if last.said else f" ({account.state}{at}{due})"
