"""
How the notifier's own words about its work read: a short coloured line on a terminal, a full plain one elsewhere.

Times are UTC. Whatever a publisher's or a mail server's words brought along that a terminal would obey is left out.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from notifier.message import without_controls

_COLOURS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31;1"}


def set_up(level: int) -> None:
    """Log the notifier's own messages to stderr from this level on, and only warnings of its libraries."""
    # Libraries speak of addresses and URLs while they work.
    logging.basicConfig(handlers=[_Stderr()], level=logging.WARNING, force=True)
    logging.getLogger("notifier").setLevel(level)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment: above a progress bar while there is one."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_Line())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        words = without_controls(super().format(record))
        if not sys.stderr.isatty():
            return f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname:<7} {words}"
        if os.environ.get("NO_COLOR"):
            return f"{at:%H:%M:%SZ} {words}"
        colour = _COLOURS.get(record.levelno)
        return f"\033[2m{at:%H:%M:%SZ}\033[0m " + (f"\033[{colour}m{words}\033[0m" if colour else words)
