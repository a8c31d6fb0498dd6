"""
How words reach a terminal.

People's words go to stderr and data to stdout. Foreign text is stripped of control characters before it is shown: a
title may not move the cursor, change a colour, or write into the clipboard.
"""

from __future__ import annotations

import re
import sys

from rich.console import Console
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


def stdout() -> Console:
    """Where data goes. Colours only on a terminal, and not under NO_COLOR."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def stderr() -> Console:
    """Where words for people go."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
