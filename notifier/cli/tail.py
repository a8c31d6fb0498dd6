"""`notifier tail`: the log as it grows."""

from __future__ import annotations

import asyncio
import fnmatch
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from notifier.cli.moment import Moment
from notifier.cli.screen import MOODS, one_line, plain, stdout
from notifier.eventlog import codec
from notifier.eventlog.log import EventLog
from notifier.eventlog.log import follow as followed
from notifier.events.event import Recorded
from notifier.home.open_log import reading_log
from notifier.questions.tail import line

NARROW = 110  # columns of a terminal, below which a line is told shorter


class TailFilter(msgspec.Struct, frozen=True):
    """Which events to show; empty means all. `types` are globs over names, with or without their version."""

    since: datetime | None
    until: datetime | None
    types: tuple[str, ...]
    feeds: tuple[str, ...]

    def takes(self, recorded: Recorded) -> bool:
        """Is this event one of them?"""
        if self.since and recorded.recorded_at < self.since:
            return False
        if self.until and recorded.recorded_at >= self.until:
            return False
        name = recorded.event.type
        short = name.rpartition(".v")[0]
        if self.types and not any(fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(short, glob) for glob in self.types):
            return False
        return not self.feeds or any(fnmatch.fnmatch(_feed(recorded), glob) for glob in self.feeds)


ALL = TailFilter(None, None, (), ())


def _feed(recorded: Recorded) -> str:
    """The feed an event is about, "" for none: a statement's id begins with its feed's."""
    subject = getattr(recorded.event, "statement_id", recorded.event.subject)
    return str(subject).partition("/")[0]


@click.command("tail")
@click.option("-f", "--follow", is_flag=True, help="Stay, and show what comes.")
@click.option(
    "-n", "--last", type=click.IntRange(min=0), help="Only the last N of them (before following).", metavar="N"
)
@click.option("--since", type=Moment(), help="From this date or time on (UTC).")
@click.option("--until", type=Moment(), help="Up to this date or time (UTC).")
@click.option("--type", "types", multiple=True, help="Only these types, e.g. 'alert.*'. May be repeated.")
@click.option("--feed", "feeds", multiple=True, help="Only events about these feeds, e.g. 'us-*'. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="CloudEvents 1.0, one JSON object a line, on stdout.")
@click.pass_obj
def command(
    home: Path,
    follow: bool,
    last: int | None,
    since: datetime | None,
    until: datetime | None,
    types: tuple[str, ...],
    feeds: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Show the event log, one line an event.

    \b
    Examples:
      notifier tail -f
      notifier tail --type 'statement.*' --since 2020-06-29
      notifier tail --json | jq .type
    """
    wanted = TailFilter(since, until, types, feeds)
    try:
        asyncio.run(_tail(home, wanted, follow, last, as_json))
    except KeyboardInterrupt:
        raise click.Abort from None


async def _tail(home: Path, wanted: TailFilter, follow: bool, last: int | None, as_json: bool) -> None:
    console = stdout()
    async with reading_log(home) as log:
        async for recorded in _events(log, wanted, follow, last):
            if as_json:
                click.echo(_as_json(recorded))
            else:
                _show(console, recorded)


async def _events(log: EventLog, wanted: TailFilter, follow: bool, last: int | None) -> AsyncIterator[Recorded]:
    after = 0
    if last is not None:
        # Of all events, the last N are at the end of the log; some that are wanted may be anywhere.
        after = max(0, await log.head() - last) if wanted == ALL else 0
        kept: deque[Recorded] = deque(maxlen=last)
        async for recorded in _to_the_end(log, after):
            after = recorded.position
            if wanted.takes(recorded):
                kept.append(recorded)
        for recorded in kept:
            yield recorded
        if not follow:
            return
    async for recorded in followed(log, after) if follow else _to_the_end(log, after):
        if wanted.takes(recorded):
            yield recorded


async def _to_the_end(log: EventLog, after: int) -> AsyncIterator[Recorded]:
    while (page := await log.read(after)).position > after:
        for recorded in page.events:
            yield recorded
        after = page.position


def _as_json(recorded: Recorded) -> bytes:
    event = codec.encode(recorded.event, recorded.recorded_at, id=recorded.id)
    # Put in here, since the limit of an event's size holds for what is stored, and that is without its position.
    return event[:-1] + b',"position":%d}' % recorded.position


def _show(console: Console, recorded: Recorded) -> None:
    """
    Columns: time, type, about, sentence, position. Clipped to a terminal's width, never wrapped; in a narrow one the
    sentence gets what the year and a long name would have taken.
    """
    told = line(recorded)
    narrow = console.is_terminal and console.width < NARROW
    about = Text(plain(told.about), style="bold")
    about.truncate(16 if narrow else max(26, about.cell_len), overflow="ellipsis", pad=True)
    left = Text.assemble(
        (f"{told.recorded_at:{'%m-%d %H:%M:%SZ' if narrow else '%Y-%m-%d %H:%M:%SZ'}} ", "dim"),
        (f"{told.name:<21} ", MOODS[told.mood]),
        about,
        " ",
    )
    position = f"#{told.position}"
    sentence = Text(plain(told.sentence), style="dim" if told.mood == "quiet" else "")
    if console.is_terminal:
        room = console.width - left.cell_len - len(position) - 1
        sentence.truncate(max(room, 1), overflow="ellipsis", pad=True)
    one_line(console, Text.assemble(left, sentence, " ", (position, "dim")))
