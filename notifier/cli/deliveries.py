"""`notifier deliveries`: who got what, how it went, and once more, please."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import Counter, deque
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.text import Text

from notifier.cli.moment import Moment
from notifier.cli.screen import MOODS, aside, hanging, plain, stdout, told
from notifier.delivery.channel_state import ChannelStates
from notifier.errors import NotifierError
from notifier.events.deliveries import DeliveryRetried
from notifier.home.open_log import reading_log, record_beside, wall_clock
from notifier.questions.deliveries import Account, accounts
from notifier.questions.tail import counted

_MOOD = {
    "delivered": "good",
    "owed": "plain",
    "held": "plain",
    "postponed": "warning",
    "unknown": "warning",
    "abandoned": "bad",
    "bounced": "bad",
}


class DeliveriesFilter(msgspec.Struct, frozen=True):
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


@click.group("deliveries", invoke_without_command=True, subcommand_metavar="[retry …]")
@click.option(
    "--failed", is_flag=True, help="Only what was given up, put off, came back, or may have come without an answer."
)
@click.option("--subscriber", "subscribers", multiple=True, help="Only theirs, e.g. 'hong-kong-*'. May be repeated.")
@click.option("--since", type=Moment(), help="Of alerts from this date or time on (UTC).")
@click.option("--until", type=Moment(), help="Of alerts up to this date or time (UTC).")
@click.option("-n", "--last", type=click.IntRange(min=0), help="Only the last N of them.", metavar="N")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a delivery, on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    failed: bool,
    subscribers: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    last: int | None,
    as_json: bool,
) -> None:
    """
    Show each alert on each channel: to whom, since when it stands so, at which attempt, and what the other side said.

    An alert that went in a digest stands as the digest does. `retry` has what failed tried again.

    \b
    Examples:
      notifier deliveries --failed
      notifier deliveries --subscriber hong-kong-desk --since 2020-06-29
      notifier deliveries --failed --json | jq -r .subscriber
      notifier deliveries retry --subscriber hong-kong-desk
    """
    if ctx.invoked_subcommand is None:
        asyncio.run(_show(ctx.obj, DeliveriesFilter(since, until, subscribers, failed), last, as_json))


@command.command("retry", short_help="Have what failed tried again.")
@click.argument("alerts", nargs=-1, metavar="[ALERT…]")
@click.option("--subscriber", "subscribers", multiple=True, help="What failed of theirs, e.g. 'hong-kong-*'.")
@click.option("--channel", help="Only on the channel of this name.")
@click.option("--since", type=Moment(), help="Of alerts from this date or time on (UTC).")
@click.option("--until", type=Moment(), help="Of alerts up to this date or time (UTC).")
@click.pass_obj
def retry(
    home: Path,
    alerts: tuple[str, ...],
    subscribers: tuple[str, ...],
    channel: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """
    Have alerts tried again: those that were given up, afresh; those that wait for their next attempt, at once.

    ALERT is an id, as `deliveries --failed --json` shows it. What was handed over is not sent again. While a service
    runs it does this; else the next one, or `notifier run --once`.

    \b
    Examples:
      notifier deliveries retry --subscriber hong-kong-desk --channel email
      notifier deliveries retry --since 2020-06-29
      notifier deliveries retry 0173024a-4c60-8c44-91e7-0a9b8c7d6e5f
    """
    if not (alerts or subscribers or since):
        raise click.UsageError(
            "name ALERT ids, --subscriber or --since; `notifier deliveries --failed` lists what failed"
        )
    asyncio.run(_retry(home, DeliveriesFilter(since, until, subscribers, failed=True), frozenset(alerts), channel))


async def _retry(home: Path, wanted: DeliveriesFilter, alerts: frozenset[str], channel: str | None) -> None:
    now = wall_clock()  # before we look: what is handed over from now on is not tried again
    async with reading_log(home) as log:
        found = [
            account
            async for account in accounts(log, wanted.since, wanted.until)
            if wanted.takes(account) and (not alerts or account.alert in alerts) and channel in (None, account.channel)
        ]
        standing = ChannelStates(log)
        await standing.catch_up()
    if not found:
        raise NotifierError("none of these failed; `notifier deliveries` shows the state of each")
    # Alerts of one digest failed together, and are tried again together.
    wishes = {(account.digest or account.alert, account.channel): account for account in found}
    events = [
        DeliveryRetried(cause=id, alert=id, subscriber=account.subscriber, channel=way, retried_at=now)
        for (id, way), account in wishes.items()
    ]
    for batch in (events[at : at + 500] for at in range(0, len(events), 500)):
        await record_beside(home, batch)
    for account in wishes.values():
        _print(account)
    aside(told("✓", "green", f"{counted(len(events), 'delivery')} will be tried again"))
    for subscriber, way in dict.fromkeys((account.subscriber, account.channel) for account in wishes.values()):
        if stop := standing.suspended(subscriber, way, now):
            mend = f"have it resumed first: notifier subscriptions resume {subscriber} {way}"
            aside(told("!", "yellow", f"{subscriber}: channel {way} is suspended ({stop.why}); {mend}"))


async def _show(home: Path, wanted: DeliveriesFilter, last: int | None, as_json: bool) -> None:
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
