"""
What the demo shows: three bars that move, and a table of what matched, why, and who was told.

Without a terminal the same rows are printed as plain lines, one by one, as they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """
    One statement that somebody was told of. `runs` is its title in pieces, each with whether it hit; `why` pairs a
    watchlist with the words that decided.
    """

    published_at: datetime | None
    issuer: str
    runs: tuple[tuple[str, bool], ...]
    revised: bool
    why: tuple[tuple[str, tuple[str, ...]], ...]
    sent_to: str


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
    """Shows the tally and the rows; use it as a context manager around the play."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._rows: list[Row] = []
        self._live = (
            Live(console=console, refresh_per_second=12, get_renderable=self._picture) if console.is_terminal else None
        )

    def __enter__(self) -> Screen:
        if self._live:
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
            self._rows.append(row)
            if not self._live:
                self._console.print(_as_line(row))

    def _picture(self) -> RenderableType:
        return Group(self._bars(), Text(), self._table()) if self._rows else self._bars()

    def _bars(self) -> RenderableType:
        tally = self._tally
        progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=36),
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
            note=f"{tally.matched} matched · {tally.alerts} alerts",
        )
        progress.add_task(
            "Sending alerts", total=max(tally.deliveries, 1), completed=tally.delivered, note=ways + retries
        )
        return progress

    def _table(self) -> RenderableType:
        table = Table(title="Matches", title_justify="left", title_style="bold italic", box=None, pad_edge=False)
        table.add_column("Published (UTC)", no_wrap=True)
        table.add_column("Issuer", max_width=22)
        table.add_column("Statement", ratio=5)
        table.add_column("Watchlist → why", ratio=4)
        table.add_column("Sent to", no_wrap=True)
        for row in self._rows:
            table.add_row(_when(row), row.issuer, _title(row), _why(row), row.sent_to)
        return Padding(table, (0, 1))


def _when(row: Row) -> str:
    return f"{row.published_at:%d %b %H:%M}" if row.published_at else ""


def _title(row: Row) -> Text:
    title = Text()
    if row.revised:
        title.append("revised ", style="magenta")
    for text, hit in row.runs:
        title.append(text, style="bold yellow" if hit else "")
    return title


def _why(row: Row) -> Text:
    why = Text()
    for watchlist, words in row.why:
        why.append("\n" if why else "").append(watchlist).append(" → ", style="dim")
        why.append(", ".join(words), style="yellow")
    return why


def _as_line(row: Row) -> str:
    title = "".join(text for text, _ in row.runs)
    why = "; ".join(f"{watchlist} → {', '.join(words)}" for watchlist, words in row.why)
    revised = "revised: " if row.revised else ""
    return f"{_when(row)}  {row.issuer}: {revised}{title}\n              {why}\n              sent to {row.sent_to}"
