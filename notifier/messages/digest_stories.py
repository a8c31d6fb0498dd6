"""
What a digest is about: its alerts, joined into stories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from notifier.eventlog.wording import StatementEvent
from notifier.events.alerts import AlertRaised
from notifier.events.event import Recorded
from notifier.events.statements import StatementRevised, StatementWithdrawn
from notifier.messages.passage import Span
from notifier.statement import Statement

Kind = Literal["new", "revised", "withdrawn"]


class DigestedAlert(msgspec.Struct, frozen=True):
    """One alert of a digest, and the statement's event that caused it, as recorded."""

    alert: Recorded
    cause: Recorded

    @property
    def raised(self) -> AlertRaised:
        """The alert."""
        if not isinstance(self.alert.event, AlertRaised):
            raise TypeError(f"an alert was expected, not {self.alert.event.type}")
        return self.alert.event

    @property
    def event(self) -> StatementEvent:
        """The statement's event."""
        return statement_event(self.cause)


class StoryWords(msgspec.Struct, frozen=True):
    """A statement with its full text, its hits by field, and its text before the first alert of a digest."""

    statement: Statement
    spans: Mapping[str, Sequence[Span]]
    before: Statement | None = None


class DigestStory(msgspec.Struct, frozen=True, kw_only=True):
    """
    All alerts of a digest on the same news, the oldest first.

    `words` has the latest text, None for a story that is shown by its title alone; `also` are the events of further
    statements that its alerts name, and `follows` the event that an earlier message was about.
    """

    pieces: tuple[DigestedAlert, ...]
    words: StoryWords | None = None
    also: tuple[Recorded, ...] = ()
    follows: Recorded | None = None

    @property
    def wordings(self) -> tuple[DigestedAlert, ...]:
        """The alerts on the statement that told it first."""
        return tuple(each for each in self.pieces if each.raised.statement_id == self.pieces[0].raised.statement_id)


def stories(pieces: Iterable[DigestedAlert]) -> list[DigestStory]:
    """What alerts are about, in the order of the log: each story once, with all its tellings and revisions."""
    found: dict[str, list[DigestedAlert]] = {}
    for piece in pieces:
        found.setdefault(piece.raised.follows or piece.alert.id, []).append(piece)
    return [DigestStory(pieces=tuple(each)) for each in found.values()]


def statement_event(recorded: Recorded) -> StatementEvent:
    """The event of a statement. Raises `TypeError` for others."""
    if not isinstance(recorded.event, StatementEvent):
        raise TypeError(f"a statement was expected, not {recorded.event.type}")
    return recorded.event


def kind(story: DigestStory) -> Kind:
    """What a story is to its reader: news to them is new, even if it was revised since."""
    first, latest = story.wordings[0], story.wordings[-1]
    if isinstance(latest.event, StatementWithdrawn):
        return "withdrawn"
    return "revised" if isinstance(first.event, StatementRevised | StatementWithdrawn) else "new"


def revised_since(first: DigestedAlert, latest: DigestedAlert) -> bool:
    return isinstance(latest.event, StatementRevised) and not isinstance(first.event, StatementRevised)
