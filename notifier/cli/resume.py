"""`notifier subscriptions resume`: write again to a channel that takes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from notifier.cli.screen import aside, told
from notifier.delivery.channel_state import ChannelStates
from notifier.errors import NotifierError
from notifier.events.channels import ChannelResumed
from notifier.home.open_log import reading_log, record_beside, wall_clock
from notifier.questions.tail import counted


@click.command("resume", short_help="Resume a suspended channel.")
@click.argument("subscriber")
@click.argument("channel", required=False)
@click.option("--reason", default="the operator says so", show_default=True, help="What the log keeps as the reason.")
@click.pass_obj
def resume(home: Path, subscriber: str, channel: str | None, reason: str) -> None:
    """
    Write again to a channel whose mailbox bounced, or whose webhook had ended: all that take nothing, or one.

    From the next alert on. Readers who have unsubscribed should ask for alerts again themselves. Another address in the
    subscriber's file needs no resuming. While a service runs it does this.

    \b
    Examples:
      notifier subscriptions resume hong-kong-desk
      notifier subscriptions resume hong-kong-desk email --reason "by phone"
    """
    asyncio.run(_resume(home, subscriber, channel, reason))


async def _resume(home: Path, subscriber: str, channel: str | None, reason: str) -> None:
    now = wall_clock()
    async with reading_log(home) as log:
        standing = ChannelStates(log)
        await standing.catch_up()
    found = [each for each in standing.all_suspended(subscriber, now) if channel in (None, each.channel)]
    if not found:
        which = f"channel {channel} of {subscriber}" if channel else f"any channel of {subscriber}"
        raise NotifierError(f"nothing keeps us from writing to {which}; see `notifier subscriptions list`")
    if any(mark in reason for mark in "@\n\r"):
        raise NotifierError("the reason goes into the log: one line, and no address in it")
    await record_beside(
        home,
        [
            ChannelResumed(subscriber=subscriber, channel=each.channel, reason=reason, at=now, cause=each.id)
            for each in found
        ],
    )
    names = ", ".join(each.channel for each in found)
    aside(told("✓", "green", f"{counted(len(found), 'channel')} of {subscriber} resumed: {names}"))
