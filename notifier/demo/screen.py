"""
What the demo shows: a row for each statement that matched, with the reason and the recipients, and three moving bars.

Without a terminal the same rows are printed as plain lines, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from notifier.messages.redline import Stretch
from notifier.messages.render import SIGNS
from notifier.questions.tail import counted

WORDS = 4  # that hit, shown in a row


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """
    One statement that was sent to somebody. `label` says whether it was revised or withdrawn; `runs` is its title in
    pieces, each with whether it hit; `changes` is what a revision changed, and `also` the other issuers of the same
    news in this alert. `why` pairs a watchlist with its matching words; it went to so many `people`, in these `ways`.
    """

    seen_at: datetime
    issuer: str
    runs: tuple[tuple[str, bool], ...]
    label: str
    changes: tuple[Stretch, ...]
    also: tuple[str, ...]
    why: tuple[tuple[str, tuple[str, ...]], ...]
    people: int
    ways: tuple[str, ...]


class Tally(msgspec.Struct, kw_only=True):
    """What has happened so far, as counts."""

    polls: int = 0
    polls_expected: int = 0
    unchanged: int = 0
    polls_retried: int = 0
    statements: int = 0
    statements_seen: int = 0
    matched: int = 0
    alerts: int = 0
    deliveries: int = 0
    delivered: int = 0
    retries: int = 0
    by_channel: dict[str, int] = msgspec.field(default_factory=dict)


class Screen:
    """
    Shows the tally and the rows; use it as a context manager around the play.

    Rows scroll up and the bars stay below them, so that a small window shows as much as a large one.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._live = (
            Live(console=console, refresh_per_second=12, get_renderable=self._bars) if console.is_terminal else None
        )

    def __enter__(self) -> Screen:
        if self._live:
            heads = ("Seen (UTC)", "Statement", "Words that hit", "Sent to")
            self._console.print(self._row(*(Text(head, style="bold") for head in heads)))
            self._console.print(Rule(style="dim"))
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def banner(self, sentence: str) -> None:
        """The line above everything."""
        self._console.print(Text.assemble(("Policy-change notifier ", "bold"), (sentence, "dim")))
        self._console.print()

    def tell(self, tally: Tally, rows: Iterable[Row] = ()) -> None:
        """Take up the newest counts, and rows to add."""
        self._tally = tally
        for row in rows:
            if self._live:
                self._console.print(self._row(_when(row), _statement(row), _why(row), _sent_to(row)))
            else:
                self._console.print(_as_line(row))

    def _bars(self) -> RenderableType:
        tally = self._tally
        progress = Progress(
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=min(36, max(8, self._console.width - 80))),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        polls = f"{tally.unchanged} not modified (304) · {tally.polls_retried} retried after 503"
        ways = " · ".join(f"{kind} {count}" for kind, count in sorted(tally.by_channel.items()))
        retries = f" · {tally.retries} retried" if tally.retries else ""
        progress.add_task("Polling feeds", total=max(tally.polls_expected, 1), completed=tally.polls, note=polls)
        progress.add_task(
            "Matching statements",
            total=max(tally.statements, 1),
            completed=tally.statements_seen,
            note=f"{tally.matched} matched · {counted(tally.alerts, 'alert')}",
        )
        progress.add_task(
            "Sending alerts", total=max(tally.deliveries, 1), completed=tally.delivered, note=ways + retries
        )
        return Group(Text(), progress)

    def _row(self, *cells: RenderableType) -> RenderableType:
        """Cells in columns as wide as those of every other row."""
        when, sent, gaps = 12, 18, 6
        left = self._console.width - when - sent - gaps
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        for width in (when, left * 5 // 9, left - left * 5 // 9, sent):
            # Chinese has no spaces to break a title at: it goes on below instead of ending in dots.
            table.add_column(width=width, overflow="fold")
        table.add_row(*cells)
        return table


def _when(row: Row) -> str:
    return f"{row.seen_at:%d %b %H:%M}"


def _statement(row: Row) -> Text:
    title = Text()
    if row.label:
        title.append(f"{row.label} ", style=_STYLES[row.label])
    for text, hit in row.runs:
        title.append(text, style="bold yellow" if hit else "")
    title.append("\n" + _issuers(row), style="dim")
    if row.changes:
        title.append("\n")
    for stretch in row.changes:
        title.append(_signed(stretch), style=_STYLES[stretch.kind])
    return title


_STYLES = {
    "revised": "magenta",
    "withdrawn": "bold red",
    "kept": "dim",
    "deleted": "red strike",
    "inserted": "green underline",
}


def _signed(stretch: Stretch) -> str:
    before, after = SIGNS.get(stretch.kind, ("", ""))
    return f"{before}{stretch.text}{after}"


def _issuers(row: Row) -> str:
    return " · also ".join((row.issuer, *row.also))


def _why(row: Row) -> Text:
    why = Text()
    words = list(dict.fromkeys(word for _, words in row.why for word in words))
    for word in words[:WORDS]:
        why.append(", " if why else "").append(word, style="yellow")
    why.append(", …" if len(words) > WORDS else "")
    return why.append("\n" + " · ".join(watchlist for watchlist, _ in row.why), style="dim")


def _sent_to(row: Row) -> Text:
    people = "1 person" if row.people == 1 else f"{row.people} people"
    return Text(people).append("\n" + " ".join(row.ways), style="dim")


def _as_line(row: Row) -> str:
    title = "".join(text for text, _ in row.runs)
    why = "; ".join(f"{watchlist} → {', '.join(words)}" for watchlist, words in row.why)
    told = f"sent to {counted(row.people, 'subscriber')}: {', '.join(row.ways)}"
    label = f"{row.label}: " if row.label else ""
    changes = "".join(map(_signed, row.changes))
    lines = (f"{_when(row)}  {label}{title} ({_issuers(row)})", changes, why, told)
    return f"\n{'':14}".join(line for line in lines if line)
