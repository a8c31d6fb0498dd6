"""Digests for the tests of this room: of statements that were told one after another, a quarter of an hour apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from notifier.events.alerts import AlertRaised, DigestRaised, FeedStatus, WatchlistMatched
from notifier.events.event import Event, Recorded
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.messages.alert_view import Recipient
from notifier.messages.digest_stories import DigestedAlert, DigestStory, StoryWords, stories
from notifier.messages.digest_view import FULL, DigestView, digest_view
from notifier.statement import Statement
from tests.messages.builders import NOW, recorded, statement


class Told:
    """
    Events of statements and the alerts on them, as a log would come to hold them. Each method tells one more thing, and
    gives the alert.
    """

    def __init__(self) -> None:
        self.pieces: list[DigestedAlert] = []
        self.also: dict[str, tuple[Recorded, ...]] = {}
        self.before: dict[str, Recorded] = {}
        self.known: dict[str, Statement] = {}
        self._position = 0

    def new(self, title: str = "Licences for Hong Kong end", *, id: str = "", **more: object) -> DigestedAlert:
        return self._tell(StatementPublished(statement=self._statement(title, id), seen_at=self._at()), **more)

    def revised(
        self, of: DigestedAlert, title: str = "Licences for Hong Kong end in May", **more: object
    ) -> DigestedAlert:
        said = StatementRevised(
            statement=self._statement(title, of.raised.statement_id), replaces="0" * 24, seen_at=self._at()
        )
        told = self._tell(said, follows=of.raised.follows or of.alert.id, **more)
        self.known[told.alert.id] = of.event.statement
        return told

    def withdrawn(self, of: DigestedAlert, reason: str = "its page is gone (410)", **more: object) -> DigestedAlert:
        said = StatementWithdrawn(statement=of.event.statement, revises=of.cause.id, reason=reason, seen_at=self._at())
        return self._tell(said, follows=of.raised.follows or of.alert.id, **more)

    def statement(self, title: str, id: str) -> Recorded:
        """A statement that nobody was alerted of by itself."""
        self._position += 1
        event = StatementPublished(statement=self._statement(title, id), seen_at=self._at())
        return recorded(event, self._position, self._at())

    def _at(self) -> datetime:
        return NOW + timedelta(minutes=15 * self._position)

    def _statement(self, title: str, id: str) -> Statement:
        return msgspec.structs.replace(statement(title, published_at=self._at()), id=id or f"s{self._position}")

    def _tell(
        self,
        said: Event,
        *,
        watchlists: Sequence[str] = ("Exports",),
        follows: str = "",
        also: Sequence[Recorded] = (),
        words: Sequence[str] = ("Hong Kong",),
        like: Statement | None = None,
    ) -> DigestedAlert:
        if like:
            said = msgspec.structs.replace(said, statement=msgspec.structs.replace(like, id=said.statement.id))
        at = self._at()
        self._position += 2
        cause = recorded(said, self._position - 1, at)
        raised = AlertRaised(
            cause=cause.id,
            subscriber="desk",
            statement_id=said.statement.id,
            matches=tuple(WatchlistMatched(watchlist=name, query="x", words=(*words,)) for name in watchlists),
            channels=("email",),
            waits_for="daily",
            follows=follows,
            also=tuple(each.id for each in also),
        )
        piece = DigestedAlert(recorded(raised, self._position, at), cause)
        self.pieces.append(piece)
        self.also[piece.alert.id] = tuple(also)
        return piece

    def view(
        self,
        *,
        hits: str = "Hong Kong",
        name: str = "Export desk",
        timezone: str = "Asia/Hong_Kong",
        feeds: Sequence[FeedStatus] = (),
        **more: object,
    ) -> DigestView:
        """The digest of all that was told."""
        values = {
            "subscriber": "desk",
            "channels": ("email",),
            "frequency": "daily",
            "due_at": NOW + timedelta(days=1),
            "until": self._position,
            "alerts": tuple(piece.alert.id for piece in self.pieces),
            "feeds": tuple(feeds),
            "feeds_asked": 6,
        }
        digest = DigestRaised(**values | more)
        told = stories(self.pieces)
        in_full = [self._in_full(each, hits) for each in told[:FULL]]
        return digest_view(recorded(digest, 99), [*in_full, *told[FULL:]], Recipient(name, timezone))

    def _in_full(self, story: DigestStory, hits: str) -> DigestStory:
        said = story.wordings[-1].event.statement
        spans = {
            field: [match.span() for match in re.finditer(hits, text)] if hits else []
            for field, text in said.fields().items()
            if field in {"title", "summary", "body"}
        }
        return msgspec.structs.replace(
            story,
            words=StoryWords(said, spans, self.known.get(story.pieces[0].alert.id)),
            also=tuple(each for piece in story.pieces for each in self.also[piece.alert.id]),
            follows=self.before.get(story.pieces[0].raised.follows),
        )
