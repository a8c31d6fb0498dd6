"""
How words reach a terminal.

People's words go to stderr and data to stdout. Foreign text is stripped of control characters before it is shown: a
title may not move the cursor, change a colour, or write into the clipboard.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

# C0 and C1 controls (escape sequences begin with one), and the marks that turn the direction of writing around.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

MOODS = {"good": "green", "news": "cyan", "quiet": "dim", "warning": "yellow", "bad": "red", "plain": ""}


def plain(foreign: str) -> str:
    """Text from outside on one line, fit to be shown."""
    return " ".join(_CONTROLS.sub("", foreign).split())


def shown(foreign: str, style: str = "") -> Text:
    """Text from outside as rich shows it: no markup in it counts."""
    return Text(plain(foreign), style=style)


def told(label: str, style: str, foreign: str) -> Text:
    """A coloured word of ours, a space, and text that may hold some from outside."""
    return Text.assemble((label, style), " ", plain(foreign))


def one_line(console: Console, line: Text) -> None:
    """Print one line: clipped to a terminal's width, whole where it goes into a pipe."""
    if console.is_terminal:
        line.truncate(console.width, overflow="ellipsis")
    console.print(line)


def hanging(console: Console, head: Text, rest: Text) -> None:
    """Print a head and its text, which wraps beside the head on a terminal, and not at all in a pipe."""
    if not console.is_terminal:
        console.print(head + rest)
        return
    for number, part in enumerate(rest.wrap(console, max(console.width - head.cell_len, 20)) or [Text()]):
        console.print((Text(" " * head.cell_len) if number else head) + part)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 what is being handled: rich would end the process as failed; `main` does better


def stdout() -> Console:
    """Where data goes. Colours only on a terminal, and not under NO_COLOR."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Where words for people go."""
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    # On a terminal lines break between words; into a pipe they go whole, so that `grep` finds a sentence.
    return _Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=not file.isatty())


@contextlib.contextmanager
def progress(words: str, total: int) -> Iterator[Callable[[], None]]:
    """
    A bar on stderr while something long is done, where a person looks; it goes when the block ends. Call what it gives
    after each of `total` steps.
    """
    console = stderr()
    if not console.is_terminal or _is_quiet():
        yield lambda: None
        return
    columns = TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(words, total=total)
        yield lambda: bar.advance(task)


def _is_quiet() -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.find_root().params.get("quiet"))


def aside(words: str | Text) -> None:
    """Print a remark on stderr that is no error; nothing under --quiet."""
    if not _is_quiet():
        stderr().print(words)
