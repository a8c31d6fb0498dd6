"""`notifier run`: the service."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from pathlib import Path

import click

from notifier.cli.screen import progress
from notifier.feeds.feed import Feed
from notifier.feeds.health import HEALTHY
from notifier.feeds.rounds import PollResult
from notifier.questions.tail import counted
from notifier.service import Service

logger = logging.getLogger("notifier")


@click.command("run")
@click.option("--once", is_flag=True, help="One whole pass (poll, match, deliver), then exit.")
@click.pass_obj
def command(home: Path, once: bool) -> None:
    """
    Poll the feeds, match what is new, and deliver alerts, until SIGTERM or Ctrl-C.

    Changed subscribers' files are taken up by themselves, all or nothing.

    \b
    Examples:
      notifier run
      notifier run --once        for cron, and to try a home
    """
    _open_more_files()
    asyncio.run(_once(home) if once else _serve(home))


async def _once(home: Path) -> None:
    async with Service.opened(home) as app:
        before = await app.log.head()
        with progress("polling", len(app.settings.feeds)) as advance:

            def told(feed: Feed, poll: PollResult) -> None:
                _told(feed, poll)
                advance()

            await app.poll_once(told)
        # After the bar is gone: alerts may be written to this terminal.
        await app.work_off()
        grown = await app.log.head() - before
        logger.info("one pass over %s: %s", counted(len(app.settings.feeds), "feed"), counted(grown, "new event"))
        if owed := app.deliverer.outbox.owed():
            logger.info("%s not made yet; the next run continues with them", counted(owed, "delivery"))


async def _serve(home: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with Service.opened(home) as app:
        logger.info(
            "%s, %s; the log is at %d. Ctrl-C stops",
            counted(len(app.settings.feeds), "feed"),
            counted(len(app.subscriptions.subscribers), "subscriber"),
            await app.log.head(),
        )
        _notify_systemd("READY=1")
        await app.serve(stop, _told)
        _notify_systemd("STOPPING=1")
        logger.info("stopping; undelivered alerts are kept for the next start")


def _told(feed: Feed, poll: PollResult) -> None:
    ill, change = poll.outcome not in HEALTHY, poll.outcome != poll.before
    if poll.baseline:
        logger.info("%s: first poll, %s known from here on", feed.id, counted(poll.published, "statement"))
    elif poll.published or poll.revised:
        logger.info("%s: %d new, %d revised", feed.id, poll.published, poll.revised)
    if ill:
        # Once is enough for what lasts; `feeds list` and `doctor` go on naming it.
        logger.log(logging.WARNING if change else logging.DEBUG, "%s: %s: %s", feed.id, poll.outcome, poll.detail)
    elif poll.before and poll.before not in HEALTHY:
        logger.info("%s: it is well again, after %s", feed.id, poll.before)
    else:
        logger.debug("%s: %s", feed.id, poll.outcome)


def _open_more_files() -> None:
    """Each connection is an open file: take as many as the system allows, which are more than it begins with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:  # some systems say "unlimited", and mean less
            logger.debug("open files stay limited to %d: %s", soft, error)


def _notify_systemd(state: str) -> None:
    """Tell systemd how we are (sd_notify: a datagram to the socket it names), where it asked to be told."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())
