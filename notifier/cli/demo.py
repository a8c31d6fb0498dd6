"""`notifier demo`: see it work, with nothing to set up."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import time
from pathlib import Path

import click
from rich.text import Text

from notifier.cli.screen import stdout
from notifier.demo.play import play
from notifier.demo.screen import Screen, Tally
from notifier.demo.story import load

PAUSE = 0.7  # seconds between scenes, so that about ten pass from the first to the last
HOME = Path("notifier-demo")


@click.command("demo")
@click.option("--once", is_flag=True, help="Play it without pauses, and exit 0 when all is delivered.")
@click.pass_context
def command(ctx: click.Context, once: bool) -> None:
    """
    Replay 29–30 June 2020, when the United States ended Hong Kong's special treatment: feeds are served on this
    machine, read, matched, and alerts go to a mail server and a Slack-shaped endpoint beside them. Nothing leaves it.

    What it made stays in ./notifier-demo, or in the directory that --home names.

    \b
    Examples:
      notifier demo
      notifier --home /tmp/replay demo --once
    """
    root = ctx.find_root()
    given = root.get_parameter_source("home") is not click.core.ParameterSource.DEFAULT
    home: Path = ctx.obj if given else HOME
    started = time.monotonic()
    screen = Screen(stdout())
    story = load()
    screen.banner(
        f"demo · 29–30 June 2020 replayed (a reconstruction) · {len(story.feed)} feeds · 4 subscribers · "
        "nothing leaves this machine"
    )
    with screen:
        tally = asyncio.run(play(home, screen, 0 if once else PAUSE))
    _summary(home, tally, time.monotonic() - started)
    if tally.delivered < tally.deliveries:
        sys.exit(1)


def _summary(home: Path, tally: Tally, seconds: float) -> None:
    console = stdout()
    console.print()
    all_there = tally.delivered == tally.deliveries
    console.print(
        Text.assemble(
            ("✓ " if all_there else "✗ ", "green" if all_there else "red"),
            f"{tally.statements} statements, {tally.matched} matched, {tally.alerts} alerts (",
            (f"{tally.delivered} delivered", "green"),
            f", {tally.retries} of them at a second try) in {seconds:.1f} s",
        )
    )
    # Quoted, so that a directory with a space in it can be pasted.
    notifier = f"{_command()} --home {shlex.quote(str(home))}"
    console.print()
    for what, how in (
        ("Mails and Slack messages", f"{shlex.quote(str(home))}/outbox/"),
        ("The log, event by event", f"{notifier} tail"),
        ("Watchlists", f"{notifier} subscriptions list"),
        ("Try a query of your own", f"echo 'Dual-use items' | {_command()} match dual-use"),
        ("Start a home of your own", f"{_command()} init my-desk"),
    ):
        console.print(Text.assemble((f"  {what:<26}", "dim"), (how, "cyan")))


def _command() -> str:
    """The notifier as it can be typed here: by its name when that is on the PATH."""
    if shutil.which("notifier"):
        return "notifier"
    here = os.path.relpath(sys.argv[0])
    return here if len(here) < len(sys.argv[0]) else sys.argv[0]
