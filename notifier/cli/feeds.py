"""`notifier feeds`: list, check, read, import and export feeds."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.text import Text

from notifier.cli import opml
from notifier.cli.screen import aside, hanging, one_line, plain, shown, stderr, stdout, told
from notifier.errors import Refused, TryLater
from notifier.feeds.catalogue import Source, catalogue
from notifier.feeds.feed import Document, Entry, Feed, Reading
from notifier.feeds.fetch import GZIP, inflated
from notifier.feeds.habit import Bounds, in_words
from notifier.feeds.health import HEALTHY
from notifier.feeds.parsers import Parser
from notifier.home.checked import did_you_mean
from notifier.home.open_log import has_log, reading_log, wall_clock
from notifier.home.settings import Settings
from notifier.home.settings_file import load_settings
from notifier.ports import fetcher_of
from notifier.questions.feed_health import FeedState, Tried, ask, feed_states
from notifier.questions.tail import counted


@click.group("feeds", subcommand_metavar="VERB …")
def command() -> None:
    """
    List and check feeds, read a saved document, exchange feeds with other readers.

    \b
    Examples:
      notifier feeds list
      notifier feeds list --all            with the whole catalogue
      notifier feeds check us-fr-rss-bis
      notifier feeds read saved.xml --json
      notifier feeds import subscriptions.opml
    """


command.add_command(opml.import_)
command.add_command(opml.export)


# ---------------------------------------------------------------- read


@command.command("read", short_help="Show a saved document as it is read, with its problems.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--url", default="", help="The document's URL, to resolve relative links.")
@click.option("--content-type", default="", help="The Content-Type that the server sent.")
@click.option("--as", "preset", default="", metavar="ID", help="Read it like this feed of the catalogue.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per entry.")
def read(file: Path, url: str, content_type: str, preset: str, as_json: bool) -> None:
    """
    Show the entries of a saved document as they are read, and its problems.

    Exit code 0 if it was read, even if it is damaged; 1 if it is not a feed or cannot be read.

    \b
    Examples:
      notifier feeds read saved.xml
      curl -s https://example.org/feed | notifier feeds read - --json
      notifier feeds read actions.html --as us-ofac-recent-actions
    """
    how = _source(preset, catalogue()) if preset else None
    feed = Feed(id="read", url=url or (how.url if how else ""), issuer="", **(how.how if how else {}))
    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        document = Document(body=_decompressed(body), url=feed.url, content_type=content_type)
        reading = asyncio.run(_parsed(document, feed))
    except (TryLater, Refused) as error:
        stderr().print(told(f"{error.outcome}:", "red", str(error)))
        sys.exit(1)
    if as_json:
        for entry in reading.entries:
            click.echo(msgspec.json.encode(_row(entry)))
    else:
        _show(reading)
    for problem in filter(None, (reading.problem, *reading.warnings)):
        stderr().print(shown(f"{file}: {problem}", "yellow"))


def _decompressed(body: bytes) -> bytes:
    """The document, which may have been saved compressed, as the server sent it."""
    try:
        return inflated(body) if body.startswith(GZIP) else body
    except TryLater as error:  # a poll might succeed later; reading the same file again does not
        raise Refused(str(error), outcome="parse-error") from error


async def _parsed(document: Document, feed: Feed) -> Reading:
    parser = Parser()
    try:
        return await parser.parse(document, feed)
    finally:
        await parser.close()


def _row(entry: Entry) -> dict[str, object]:
    """An entry for programs: null for what the feed does not give, times in UTC."""
    return {
        "id": entry.id or None,
        "title": entry.title or None,
        "link": entry.link or None,
        "published": entry.published,
        "updated": entry.updated,
        "summary": entry.summary or None,
        "text": entry.text or None,
        **({} if entry.whole else {"whole": False}),
    }


def _show(reading: Reading) -> None:
    console = stdout()
    console.print(shown(reading.title or "Untitled", "bold").append(f"  {counted(len(reading.entries), 'item')}"))
    _show_entries(reading.entries)


def _show_entries(entries: Iterable[Entry]) -> None:
    console = stdout()
    for entry in entries:
        date = f"{entry.published:%Y-%m-%d %H:%MZ}" if entry.published else plain(entry.published_raw)[:17] or "undated"
        title = entry.title or entry.summary or entry.text or entry.link
        line = Text.assemble((f"  {date:<18}", "dim"), plain(title)[:200])
        if not entry.whole:
            line.append("  (incomplete: not recorded)", style="yellow")
        one_line(console, line)


# ---------------------------------------------------------------- list


@command.command("list", short_help="List the polled feeds and their health.")
@click.option("--all", "everything", is_flag=True, help="List the whole catalogue, also what cannot be polled and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per feed.")
@click.pass_obj
def list_(home: Path, everything: bool, as_json: bool) -> None:
    """
    List the feeds that are polled: state, last success, last news, next poll and rhythm. A feed that needs attention is
    marked with "!". With --all, also list the rest of the catalogue.

    \b
    Examples:
      notifier feeds list
      notifier feeds list --all --json | jq -r 'select(.country == "GB") | .id'
    """
    settings = None if everything and not (home / "notifier.toml").exists() else load_settings(home, os.environ)
    polled = settings.feeds if settings else ()
    states = asyncio.run(_states(home, polled))
    others = [source for source in catalogue().values() if source.id not in states] if everything else []
    bounds = settings.bounds if settings else Bounds()
    if as_json:
        for state in states.values():
            click.echo(msgspec.json.encode(_state_row(state, bounds)))
        for source in others:
            click.echo(msgspec.json.encode(_source_row(source)))
        return
    _show_states(states.values(), bounds)
    _show_sources(others)
    if not states and not others:
        aside("No feeds are polled; add some under [feeds] in notifier.toml (see `notifier feeds list --all`)")


async def _states(home: Path, polled: Iterable[Feed]) -> dict[str, FeedState]:
    if not has_log(home):
        return {feed.id: FeedState(feed=feed) for feed in polled}
    async with reading_log(home) as log:
        return await feed_states(log, polled)


def _state_row(state: FeedState, bounds: Bounds) -> dict[str, object]:
    feed, at = state.feed, state.round
    return {
        "id": feed.id,
        "issuer": feed.issuer,
        "country": feed.country or None,
        "kind": feed.kind,
        "url": feed.url,
        "polled": True,
        "every": feed.every,
        "state": state.outcome or None,
        "since": state.since,
        "detail": state.detail or None,
        "statements": state.statements,
        "last_news_at": state.last_news_at,
        "last_poll_at": at.polled_at if at else None,
        "last_success_at": at.well_at if at else None,
        "next_poll_at": at.next_at if at else None,
        "rhythm": in_words(feed, state.habit, bounds),
        "well": not state.ill,
    }


def _source_row(source: Source) -> dict[str, object]:
    return {
        "id": source.id,
        "issuer": source.issuer,
        "country": source.country or None,
        "kind": source.kind,
        "url": source.url,
        "polled": False,
        "status": source.status,
        "usable": source.usable,
        "reason": source.reason or None,
        "note": source.note or None,
    }


def _show_states(states: Collection[FeedState], bounds: Bounds) -> None:
    console, width = stdout(), max((len(state.feed.id) for state in states), default=0)
    # On a narrow terminal, leave out the year and the columns that matter least.
    narrow = console.is_terminal and console.width < 150
    moment, dates = ("%m-%d %H:%M", 11) if narrow else ("%Y-%m-%d %H:%M", 16)
    if states:
        heads = f"{'Last success':<{dates}}  {'Last news':<{dates}}  {'Next poll':<{dates}}  Rhythm, issuer"
        more = "" if narrow else f"{'Since (UTC)':<{dates}}  {'Statements':>10}  "
        one_line(console, Text(f"{'Feed':<{width}}  {'State':<15}  {more}{heads}", "bold"))
    for state in states:
        style = "dim" if not state.outcome else "yellow" if state.ill else "green"
        mark, at = " !" if state.ill else "", state.round
        more = "" if narrow else f"{_moment(state.since, moment):<{dates}}  {state.statements:>10,}  "
        line = Text.assemble(
            (f"{state.feed.id:<{width}}  ", "bold"),
            (f"{(state.outcome or 'not polled yet') + mark:<15}  ", style),
            more,
            f"{_moment(at.well_at if at else None, moment):<{dates}}  ",
            f"{_moment(state.last_news_at, moment):<{dates}}  ",
            f"{_moment(at.next_at if at else None, moment):<{dates}}  ",
            f"{in_words(state.feed, state.habit, bounds)}  ",
            plain(state.feed.issuer),
        )
        one_line(console, line)
        if state.detail:
            hanging(console, Text(f"{'':{width}}  "), Text(plain(state.detail), "dim"))


def _show_sources(sources: Collection[Source]) -> None:
    console, width = stdout(), max((len(source.id) for source in sources), default=0)
    if sources:
        heads = f"{'Status':<11}  Issuer: reason or note"
        one_line(console, Text(f"\n{'In the catalogue':<{width}}  {heads}", "bold"))
    for source in sources:
        status = (f"{source.status:<11}  ", "green" if source.usable else "dim")
        line = Text.assemble((f"{source.id:<{width}}  ", "bold" if source.usable else ""), status, plain(source.issuer))
        known = plain(source.reason or source.note)
        if console.is_terminal:
            one_line(console, line)
            if known:
                hanging(console, Text("    "), Text(known, "dim"))
        else:
            console.print(line.append(f": {known}" if known else ""))


def _moment(at: datetime | None, form: str) -> str:
    return f"{at:{form}}" if at else "–"


# ---------------------------------------------------------------- check


@command.command("check", short_help="Poll feeds now without recording anything.")
@click.argument("ids", nargs=-1)
@click.option("--show", type=click.IntRange(0, 1000), default=0, metavar="N", help="Also show the first N entries.")
@click.option("-v", "show", flag_value=3, type=int, help="The same as --show 3.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per feed.")
@click.pass_obj
def check(home: Path, ids: tuple[str, ...], show: int, as_json: bool) -> None:
    """
    Poll feeds now and show the result, recording nothing: all that are polled, or those named, which may also be of
    the catalogue. Exit code 3 if a feed is not healthy.

    \b
    Examples:
      notifier feeds check
      notifier feeds check us-fr-rss-bis gb-ofsi
      notifier feeds check us-ofac-recent-actions --show 5
    """
    settings = load_settings(home, os.environ)
    feeds = [_named(id, settings) for id in ids] if ids else list(settings.feeds)
    if not feeds:
        raise click.ClickException("no feeds are polled; name one of the catalogue (see `notifier feeds list --all`)")
    if asyncio.run(_check(settings, feeds, show, as_json)):
        sys.exit(3)


async def _check(settings: Settings, feeds: Collection[Feed], show: int, as_json: bool) -> int:
    """Poll the feeds and show each result as it comes; return the number that are not healthy."""
    fetcher, parser, ill = fetcher_of(settings), Parser(), 0
    width = max(len(feed.id) for feed in feeds)
    try:
        async for tried in ask(feeds, fetcher, parser, wall_clock(), show):
            ill += tried.outcome not in HEALTHY
            if as_json:
                click.echo(msgspec.json.encode(_tried_row(tried, show)))
            else:
                hanging(stdout(), *_line(tried, width))
                _show_entries(tried.first)
    finally:
        await fetcher.close()
        await parser.close()
    return ill


def _tried_row(tried: Tried, show: int) -> dict[str, object]:
    row = msgspec.structs.asdict(tried)
    del row["first"]
    return row | ({"first": [_row(entry) for entry in tried.first]} if show else {})


def _line(tried: Tried, width: int) -> tuple[Text, Text]:
    """The outcome of a poll and the feed's id; and its result in words."""
    well = tried.outcome in HEALTHY
    head = Text.assemble((f"{tried.outcome:<15}  ", "green" if well else "red"), (f"{tried.feed:<{width}}  ", "bold"))
    rest = Text()
    if well:
        rest.append(counted(tried.statements, "statement"))
        rest.append(f", the newest of {tried.newest:%Y-%m-%d %H:%M}Z" if tried.newest else "")
    if tried.detail:
        rest.append(f"{'  ' if well else ''}{plain(tried.detail)}", style="dim")
    return head, rest


def _named(id: str, settings: Settings) -> Feed:
    polled = {feed.id: feed for feed in settings.feeds}
    if id in polled:
        return polled[id]
    source = _source(id, [*polled, *catalogue()])
    if not source.usable:
        raise click.ClickException(f"{id} cannot be polled: it {source.reason}")
    return source.feed(300)


def _source(id: str, known: Iterable[str]) -> Source:
    """A feed of the catalogue by its id. Raises UsageError that suggests one of the `known` ids."""
    source = catalogue().get(id)
    if source is None:
        hint = did_you_mean(id, known)
        raise click.UsageError(f"no feed “{plain(id)}”{'; ' + hint if hint else ''}")
    return source
