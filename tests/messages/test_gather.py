"""Does what the log holds of a digest become what its reader sees?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.eventlog.log import EventLog
from notifier.events.alerts import AlertRaised, DigestRaised
from notifier.events.event import Event, Recorded
from notifier.messages.alert_view import Recipient
from notifier.messages.digest_view import FULL, DigestView
from notifier.messages.gather import digested
from notifier.steps.digest import Digester
from notifier.steps.match import Matcher
from notifier.subscribers.book import Book
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist
from tests.builders import ON_ANY_LOG, Clock, FailingLog, LogIn, recorded
from tests.steps.test_digest import EIGHT, subscriber
from tests.steps.test_match import published, statement, watchlist
from tests.steps.test_match_stories import revision, told_by, withdrawal

DAILY = {"frequency": "daily"}


class Desk:
    """From a statement to what is seen of it in a digest."""

    def __init__(self, *watchlists: Watchlist, log: EventLog | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.log = log or FailingLog(self.clock)
        index = Index()
        for each in watchlists:
            index.add(each)
        who = subscriber("desk", Timing(frequency="daily"), watchlists=watchlists)
        book = Book({"desk": who})
        self.matcher = Matcher(self.log, index, book)
        self.digester = Digester(self.log, book, (), self.clock)

    async def told(self, *told: Event) -> None:
        """These are recorded and matched, one run after another."""
        for event in told:
            await self.log.append([event])
            await self.matcher.run()

    async def digest(self, at: datetime = EIGHT) -> DigestView:
        """The newest digest, as its reader sees it, once the time has come."""
        self.clock.now = at
        await self.digester.run()
        newest: Recorded = (await recorded(self.log, DigestRaised))[-1]
        return await digested(self.log, newest, Recipient("Export desk", "Asia/Hong_Kong"))


@ON_ANY_LOG
async def test_a_story_of_a_day_is_one_entry(log_in: LogIn, tmp_path: Path) -> None:
    """Told by two, revised and revised again: once, with a passage around what hit, and the other telling beneath."""
    clock = Clock()
    async with log_in(tmp_path, clock) as log:
        desk = Desk(watchlist(**DAILY), log=log, clock=clock)
        first, second = told_by("bis"), told_by("commerce")
        once = revision(first, "Corrected once.")
        await desk.told(first, second, once, revision(once, "Corrected twice."))

        view = await desk.digest()

        (group,) = view.groups
        (entry,) = group.entries
        assert (group.watchlist, entry.kind, bool(entry.revised_since)) == ("Exports", "new", True)
        assert [each.issuer for each in entry.also] == ["Ministry commerce"]
        assert (entry.issuer, entry.words) == ("Ministry bis", "Hong Kong")
        assert [run.text for run in entry.passage if run.hit] == ["Hong Kong"]
        assert "preferential treatment to Hong Kong" in "".join(run.text for run in entry.passage)


async def test_what_follows_an_earlier_digest_says_so() -> None:
    """On the next day it is revised, and another is taken back: the reader knows both."""
    desk = Desk(watchlist(**DAILY))
    first, other = told_by("bis"), published(statement("Hong Kong: a notice", id="x/1"))
    await desk.told(first, other)
    before = await desk.digest()
    await desk.told(revision(first), withdrawal(other))

    view = await desk.digest(datetime(2020, 7, 1, 8, tzinfo=UTC))

    assert (before.new, before.statements) == (2, 2)
    (group,) = view.groups
    assert [(entry.kind, entry.follows and entry.follows.title) for entry in group.entries] == [
        ("revised", first.statement.title),
        ("withdrawn", "Hong Kong: a notice"),
    ]
    assert [each.text for each in group.entries[0].changed if each.kind == "inserted"] == ["Corrected."]
    assert view.period == "Tue 30 Jun 2020, 16:00 to Wed 1 Jul 2020, 16:00 (Hong Kong time)"


async def test_long_words_are_fetched_for_those_that_are_told_in_full() -> None:
    """A statement whose text lies beside its event is quoted where it hits."""
    desk = Desk(watchlist(**DAILY))
    long = statement("Notice", "Nothing here. " * 4_000 + "Export licences for Hong Kong.")
    detached, blob = long.detached(1_000)
    await desk.log.append([published(detached)], blobs=[blob])
    await desk.matcher.run()

    view = await desk.digest()

    assert "Export licences for Hong Kong." in "".join(run.text for run in view.groups[0].entries[0].passage)


async def test_a_large_digest_is_gathered_too() -> None:
    """More than are told in full, each once."""
    desk = Desk(watchlist(**DAILY))
    many = [published(statement(f"Hong Kong note {n}", id=f"x/{n}")) for n in range(FULL + 20)]
    await desk.log.append(many)
    await desk.matcher.run()

    view = await desk.digest()

    assert len({entry.title for group in view.groups for entry in group.entries}) == view.statements == FULL + 20


async def test_only_a_digest_is_a_digest() -> None:
    """Whatever else is handed in is a bug, and says so."""
    alert = AlertRaised(cause="", subscriber="desk", statement_id="", matches=(), channels=())

    with pytest.raises(TypeError, match=r"alert\.raised"):
        await digested(FailingLog(Clock()), Recorded(1, alert.id, EIGHT, alert), Recipient("Desk"))
