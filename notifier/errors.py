"""
Everything that can go wrong on purpose, in one family.

    NotifierError
    ├── TryLater        an edge could not now, and may later: a time-out, a 503, a greylisting
    ├── Refused         the other side said no for good: a 410, a 550, an address we will not connect to
    ├── Misconfigured   a file of the operator's is wrong: each Mistake names file, line and mend
    ├── QueryError      a watchlist's query cannot be read: code, position and mend
    └── LogError        the event log cannot do as asked
        ├── Conflict    an id is taken by other words; nothing of the batch was stored
        ├── Overtaken   another consumer of that name has moved on; nothing was stored
        ├── LogOwned    another process writes this log
        ├── LogFull     the disk took no more; what was acknowledged stands, what was not is not
        └── TooLarge    an event, or a batch, is over its limit

Two members decide what happens next. An edge raises `TryLater` or `Refused` `from` the library's own error;
the step that called it catches exactly these two and turns them into events. Anything else is a bug and stays loud.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

# What an end of one delivery says of others: nothing, or that its address, its host or domain, or the whole way out
# (our mail server, our login) would fare the same.
Scope = Literal["message", "address", "place", "route"]


class NotifierError(Exception):
    """Any error that we raise on purpose; `str()` of it is a sentence for people, without secrets."""


class TryLater(NotifierError):
    """
    It did not work now; the same again may work later.

    `outcome` is a short slug from the room that raised it (`unreachable`, `throttled`, …), `after` the seconds the
    other side asked us to wait, None when it did not say. `unknown` is true when the other side may have accepted
    what we sent before the connection was lost: a second copy is then possible (promise P4). `scope` tells who else
    would fare the same, and need not be tried until then. `counts` is false where we were only asked to be slower, or
    never came to try: that is no attempt.
    """

    def __init__(
        self,
        message: str,
        *,
        outcome: str = "try-later",
        after: float | None = None,
        unknown: bool = False,
        scope: Scope = "message",
        counts: bool = True,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.after = after
        self.unknown = unknown
        self.scope = scope
        self.counts = counts


class Refused(NotifierError):
    """
    The answer is no, and asking again will not change it.

    `outcome` is a short slug from the room that raised it (`blocked`, `not-a-feed`, `no-such-address`, …).
    """

    def __init__(self, message: str, *, outcome: str = "refused") -> None:
        super().__init__(message)
        self.outcome = outcome


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong in an operator's file. `line` counts from 1; 0 when no line is to blame."""

    file: str
    line: int
    problem: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.problem}" + (f"; {self.mend}" if self.mend else "")


class Misconfigured(NotifierError):
    """An operator's files cannot be used as they are. `mistakes` holds all that were found, at once."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class QueryError(NotifierError):
    """
    A query that cannot be read.

    `code` is one of the codes of the query language (`UNBALANCED`, `MISSING_OPERATOR`, …), `at` the code point in the
    query where reading failed, counted from 0, `mend` a suggested rewrite or "".
    """

    def __init__(self, code: str, at: int, message: str, mend: str = "") -> None:
        super().__init__(message + (f"; {mend}" if mend else ""))
        self.code = code
        self.at = at
        self.message = message
        self.mend = mend


class LogError(NotifierError):
    """The event log cannot do as asked; nothing of the call was stored."""


class Conflict(LogError):
    """An event of this id is in the log with other words. The whole batch was refused."""


class Overtaken(LogError):
    """The consumer's stored position is not the expected one: another process reads under the same name."""


class LogOwned(LogError):
    """Another process holds the log for writing; the message names its process id."""


class LogFull(LogError):
    """The disk is full. Nothing acknowledged is lost, and the log goes on once there is room."""


class TooLarge(LogError):
    """An event over 65,535 bytes, or a batch over 1,000 events or 4 MiB."""
