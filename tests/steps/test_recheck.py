"""Is a page's edit or withdrawal found when it is asked again, and is nothing else taken for one?"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.errors import LogFull, Refused, TryLater
from notifier.eventlog.log import EventLog
from notifier.eventlog.wording import fitted, wording_before
from notifier.events.event import Event
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.feeds.feed import Feed
from notifier.feeds.govuk import PublisherRecord
from notifier.statement import Statement, fingerprint
from notifier.steps.recheck import Rechecker
from tests.builders import COMMERCE, NOON, ON_ANY_LOG, USTR, WORDS, Clock, FailingLog, LogIn, Pages, events

HOUR, DAY = 3_600.0, 86_400.0
EDITED = "Licences for Hong Kong end tomorrow.\n\nExports need a new one."
THIRD = "Licences for Hong Kong never end."
LINK = "https://commerce.example/1"
GONE = Refused("commerce.example answered 410 (gone)", outcome="retired")


class Desk:
    """A rechecker on a log, the pages that it finds, and the clock of both. Make one with `open`."""

    def __init__(self, log: EventLog | None, feeds: tuple[Feed, ...]) -> None:
        self.clock = Clock()
        self.log = log or FailingLog(self.clock)
        self.pages = Pages()
        self.feeds = feeds

    @classmethod
    async def open(cls, *told: Event, log: EventLog | None = None, feeds: tuple[Feed, ...] = (COMMERCE, USTR)) -> Desk:
        """A desk that has run before, and then these events came to stand in its log."""
        desk = cls(log, feeds)
        await desk.restart()
        await desk.record(*told)
        return desk

    async def restart(self) -> None:
        """All is forgotten but the log."""
        self.rechecker = Rechecker(self.log, self.pages, self.feeds, self.clock)
        await self.rechecker.catch_up()

    async def record(self, *told: Event) -> None:
        fit = [fitted(event) for event in told]
        await self.log.append([event for event, _ in fit], blobs=[blob for _, blob in fit if blob])

    def shows(self, *answers: str | Exception, link: str = LINK) -> None:
        """From now on a page shows these, one a visit, and the last for ever."""
        self.pages.answers[link] = list(answers)

    async def after(self, seconds: float) -> None:
        """So many seconds after the statement was seen, what is due is asked."""
        self.clock.now = NOON + timedelta(seconds=seconds)
        await self.rechecker.run()

    async def revised(self) -> list[StatementRevised]:
        return await events(self.log, StatementRevised)

    async def read(self) -> list[PageRead]:
        return await events(self.log, PageRead)

    async def withdrawn(self) -> list[StatementWithdrawn]:
        return await events(self.log, StatementWithdrawn)


def published(n: int = 1, *, link: str = "", text: str = "", updated_at: datetime | None = None) -> StatementPublished:
    title = f"Statement {n}"
    said = Statement(
        id=f"us-commerce/{n}",
        feed="us-commerce",
        issuer="US Department of Commerce",
        title=title,
        summary="In brief.",
        text=text,
        link=link or f"https://commerce.example/{n}",
        fingerprint=fingerprint(title, "In brief.", text),
        published_at=NOON,
        updated_at=updated_at,
    )
    return StatementPublished(statement=said, seen_at=NOON)


def read(of: StatementPublished | StatementRevised, words: str = WORDS, by: str = "extractor 1") -> PageRead:
    """Its page was read soon after."""
    said = msgspec.structs.replace(of.statement, text=words)
    return PageRead(cause=of.id, statement=said, page=fingerprint(words), by=by, seen_at=NOON)


FIRST = published()
READ = read(FIRST)


# ---------------------------------------------------------------- when


async def test_a_page_is_asked_four_times_in_a_month() -> None:
    """After an hour, a day, a week and thirty days, and never again."""
    desk = await Desk.open(FIRST, READ)

    asked = []
    for seconds in (HOUR - 60, HOUR, 2 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 31 * DAY, 90 * DAY):
        await desk.after(seconds)
        asked.append(len(desk.pages.asked))

    assert asked == [0, 1, 1, 2, 2, 3, 4, 4, 4]


async def test_checks_that_were_made_are_not_made_again_after_a_restart() -> None:
    """Nor are those forgotten that come still; those that were missed meanwhile are one."""
    desk = await Desk.open(FIRST, READ)
    await desk.after(HOUR)

    await desk.restart()
    await desk.after(2 * HOUR)
    after_restart = len(desk.pages.asked)
    desk.clock.now = NOON + timedelta(days=8)
    await desk.restart()
    await desk.after(8 * DAY)

    assert (after_restart, len(desk.pages.asked)) == (1, 2)


async def test_what_was_said_before_it_first_ran_is_not_asked_for() -> None:
    """An old log does not set off thousands of visits."""
    desk = Desk(None, (COMMERCE,))
    await desk.record(FIRST, READ)
    await desk.restart()

    await desk.after(31 * DAY)

    assert desk.pages.asked == []


@pytest.mark.parametrize(
    "told",
    [
        msgspec.structs.replace(FIRST, muted_because="baseline"),
        msgspec.structs.replace(FIRST, statement=msgspec.structs.replace(FIRST.statement, link="")),
        msgspec.structs.replace(FIRST, statement=msgspec.structs.replace(FIRST.statement, feed="us-ustr")),
    ],
    ids=["quiet", "no-link", "unwanted"],
)
async def test_what_nobody_reads_is_not_asked_again(told: Event) -> None:
    """As at its first reading."""
    desk = await Desk.open(told, feeds=(COMMERCE, msgspec.structs.replace(USTR, full_text=False)))

    await desk.after(31 * DAY)

    assert desk.pages.asked == []


async def test_a_first_reading_that_is_not_over_is_left_alone() -> None:
    """While the page is tried still, the check is passed over; the next one is made."""
    desk = await Desk.open(FIRST)

    await desk.after(HOUR)
    asked_before = len(desk.pages.asked)
    await desk.record(READ)
    await desk.after(DAY)

    assert (asked_before, len(desk.pages.asked)) == (0, 1)


# ---------------------------------------------------------------- edits


async def test_the_same_words_are_no_event() -> None:
    """However often they are asked for."""
    desk = await Desk.open(FIRST, READ)
    before = await desk.log.head()

    for seconds in (HOUR, DAY, 7 * DAY, 30 * DAY):
        await desk.after(seconds)

    assert await desk.log.head() == before


async def test_other_words_are_a_revision() -> None:
    """It has the new text, names the words before and their event, and the fingerprints of both."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED)

    await desk.after(HOUR)
    (revised,) = await desk.revised()
    before = await wording_before(desk.log, revised)

    assert revised == StatementRevised(
        statement=msgspec.structs.replace(FIRST.statement, text=EDITED),
        replaces=READ.page,
        revises=READ.id,
        page=fingerprint(EDITED),
        by="extractor 1",
        seen_at=NOON + timedelta(hours=1),
    )
    assert before is not None
    assert before.text == WORDS


async def test_each_edit_is_told_once_and_against_the_last() -> None:
    """The second revision replaces the first one's words."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED, THIRD)

    for seconds in (HOUR, DAY, 7 * DAY):
        await desk.after(seconds)

    one, two = await desk.revised()
    assert (two.revises, two.replaces) == (one.id, one.page)
    assert two.statement.text == THIRD


@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_words_that_it_had_before_raise_nothing(restarted: bool) -> None:
    """A, B, A, B: the edit is recorded, a stale cache's copy is not; a third wording is compared with the newest."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED, WORDS, EDITED, THIRD)

    for seconds in (HOUR, DAY, 7 * DAY, 30 * DAY):
        if restarted:
            await desk.restart()
        await desk.after(seconds)

    assert [each.statement.text for each in await desk.revised()] == [EDITED, THIRD]


@pytest.mark.parametrize(
    "cosmetic",
    [
        "LICENCES for Hong\u00a0Kong end today!\n\nExports need a new one",
        "Licences for Hong Kong end today. Exports need a new one.",
    ],
    ids=["letters", "blocks"],
)
async def test_cosmetic_changes_are_none(cosmetic: str) -> None:
    """Case, punctuation, spaces and paragraphs are no words."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(cosmetic)

    await desk.after(HOUR)

    assert await desk.revised() == []


@ON_ANY_LOG
async def test_long_words_are_compared_whole(log_in: LogIn, tmp_path: Path) -> None:
    """Also where they travel as blobs, whose summary in the event is short."""
    long = "Exports need a licence. " * 3_000
    async with log_in(tmp_path) as log:
        desk = await Desk.open(FIRST, read(FIRST, long), log=log)
        desk.shows(long + "So do chips.")

        await desk.after(HOUR)
        (revised,) = await desk.revised()

        whole = revised.statement.attached(await log.blob(revised.statement.text_blob))
        assert (whole.summary, whole.text) == ("In brief.", long + "So do chips.")


async def test_new_words_in_the_feed_begin_anew() -> None:
    """Its page is compared with what it said after them, at hours counted from them."""
    again = StatementRevised(
        statement=FIRST.statement, replaces="0" * 24, revises=FIRST.id, seen_at=NOON + timedelta(minutes=30)
    )
    desk = await Desk.open(FIRST, READ, again, read(again, EDITED))
    desk.shows(EDITED)

    await desk.after(HOUR)
    asked_before = len(desk.pages.asked)
    await desk.after(1.5 * HOUR)

    assert (asked_before, len(desk.pages.asked)) == (0, 1)
    assert await desk.revised() == [again]


# ---------------------------------------------------------------- another extractor


async def test_another_extractor_is_a_new_start() -> None:
    """Its other words alert nobody, and an edit after them is compared with them."""
    desk = await Desk.open(FIRST, READ)
    desk.pages.by = "extractor 2"
    desk.shows("Home. " + WORDS, "Home. " + EDITED)

    await desk.after(HOUR)
    anew = (await desk.read())[-1]
    await desk.after(DAY)
    (revised,) = await desk.revised()

    assert (anew.muted_because, anew.cause, anew.by) == ("read anew by extractor 2", FIRST.id, "extractor 2")
    assert (revised.revises, revised.replaces) == (anew.id, fingerprint("Home. " + WORDS))


async def test_an_extractor_that_finds_the_same_words_is_noted_too() -> None:
    """Else the first edit after its coming would be taken for its doing."""
    desk = await Desk.open(FIRST, READ)
    desk.pages.by = "extractor 2"
    desk.shows(WORDS, EDITED)

    await desk.after(HOUR)
    await desk.after(DAY)

    assert [each.muted_because for each in await desk.read()] == ["", "read anew by extractor 2"]
    assert [each.statement.text for each in await desk.revised()] == [EDITED]


async def test_an_extractor_that_comes_back_is_a_new_start_again() -> None:
    """An operator may try a selector and take it out: the log takes both, and nobody is alerted."""
    desk = await Desk.open(FIRST, READ)

    for by, seconds in (("article main", HOUR), ("extractor 1", DAY), ("article main", 7 * DAY)):
        desk.pages.by = by
        await desk.after(seconds)

    assert [bool(each.muted_because) for each in await desk.read()] == [False, True, True]
    assert await desk.revised() == []


# ---------------------------------------------------------------- pages that were not read at first


async def test_a_page_that_could_not_be_read_is_read_later() -> None:
    """Its words may alert still, an hour on."""
    unread = PageUnreadable(cause=FIRST.id, statement_id="us-commerce/1", reason="404")
    desk = await Desk.open(FIRST, unread)

    await desk.after(HOUR)

    assert await desk.read() == [msgspec.structs.replace(READ, seen_at=NOON + timedelta(hours=1))]


async def test_a_page_that_is_read_after_days_alerts_nobody() -> None:
    """It is no longer news."""
    unread = PageUnreadable(cause=FIRST.id, statement_id="us-commerce/1", reason="404")
    desk = await Desk.open(FIRST, unread)
    desk.shows(Refused("blocked", outcome="blocked"), Refused("blocked", outcome="blocked"), WORDS)

    for seconds in (HOUR, DAY, 7 * DAY):
        await desk.after(seconds)

    assert [each.muted_because for each in await desk.read()] == ["its page could not be read for days"]


async def test_where_the_feed_gave_all_the_page_is_a_baseline() -> None:
    """Its first reading is muted, and an edit after it is recorded."""
    desk = await Desk.open(published(text="The whole text."))
    desk.shows(WORDS, EDITED)

    await desk.after(HOUR)
    await desk.after(DAY)

    assert [each.muted_because for each in await desk.read()] == ["the feed gave the whole text"]
    assert [each.statement.text for each in await desk.revised()] == [EDITED]


# ---------------------------------------------------------------- withdrawals


@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_a_page_that_is_gone_twice_was_withdrawn(restarted: bool) -> None:
    """On two visits an hour apart; its last words are recorded once, and it is not visited again."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(GONE)

    await desk.after(HOUR)
    after_one = await desk.withdrawn()
    if restarted:
        await desk.restart()
    await desk.after(1.5 * HOUR)
    too_soon = await desk.withdrawn()
    for seconds in (2 * HOUR, DAY, 30 * DAY):
        if restarted:
            await desk.restart()
        await desk.after(seconds)

    assert after_one == too_soon == []
    assert await desk.withdrawn() == [
        StatementWithdrawn(
            statement=msgspec.structs.replace(FIRST.statement, text=WORDS),
            revises=READ.id,
            reason="commerce.example answered 410 (gone), on two visits an hour or more apart",
            seen_at=NOON + timedelta(hours=2),
        )
    ]
    assert len(desk.pages.asked) == (3 if restarted else 2)


async def test_a_page_that_comes_back_was_not_withdrawn() -> None:
    """A server that lost it for an hour, and again a day later, took nothing back."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(GONE, WORDS, GONE, WORDS)

    for seconds in (HOUR, 2 * HOUR, DAY, DAY + HOUR):
        await desk.after(seconds)

    assert len(desk.pages.asked) == 4
    assert await desk.withdrawn() == []


async def test_a_page_that_never_was_there_is_not_withdrawn() -> None:
    """A feed that links to nothing has a mistake in it."""
    unread = PageUnreadable(cause=FIRST.id, statement_id="us-commerce/1", reason="404")
    desk = await Desk.open(FIRST, unread)
    desk.shows(GONE)

    for seconds in (HOUR, 2 * HOUR, DAY, DAY + HOUR, 7 * DAY, 30 * DAY):
        await desk.after(seconds)

    assert len(desk.pages.asked) == 4
    assert await desk.withdrawn() == []


@pytest.mark.parametrize(
    "failure",
    [Refused("it does not let us read", outcome="blocked"), Refused("no words", outcome="parse-error")],
    ids=["blocked", "no-words"],
)
async def test_a_page_that_cannot_be_read_says_nothing(failure: Exception) -> None:
    """A wall that comes up later is neither an edit nor a withdrawal."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(failure)
    before = await desk.log.head()

    for seconds in (HOUR, 2 * HOUR, DAY):
        await desk.after(seconds)

    assert (await desk.log.head(), len(desk.pages.asked)) == (before, 2)


async def test_a_busy_server_is_asked_again_soon() -> None:
    """Every ten minutes, a few times, and then at the next check."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(TryLater("commerce.example answered 503"))

    for minutes in range(60, 180, 10):
        await desk.after(minutes * 60)
    asked = len(desk.pages.asked)
    desk.shows(EDITED)
    await desk.after(DAY)

    assert asked == 4
    assert len(await desk.revised()) == 1


async def test_a_host_that_does_not_answer_is_asked_for_one_page() -> None:
    """The others wait, and those of other hosts do not."""
    elsewhere = published(9, link="https://other.example/9")
    first, second = published(1), published(2)
    desk = await Desk.open(first, second, elsewhere, read(first), read(second), read(elsewhere))
    for n in (1, 2):
        desk.shows(TryLater("no connection"), link=f"https://commerce.example/{n}")

    await desk.after(HOUR)

    assert sorted(desk.pages.asked) == ["https://commerce.example/1", "https://other.example/9"]


# ---------------------------------------------------------------- where the publisher says more


@pytest.mark.parametrize(
    ("changed_at", "silent"),
    [(NOON - timedelta(days=400), True), (NOON, True), (NOON + timedelta(minutes=50), False)],
    ids=["long-ago", "at-publication", "now"],
)
async def test_an_edit_that_the_publisher_does_not_mark_is_silent(changed_at: datetime, silent: bool) -> None:
    """Does the publisher record an official change since the words before?"""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED)
    desk.pages.publisher[LINK] = PublisherRecord(changed_at=changed_at)

    await desk.after(HOUR)

    (revised,) = await desk.revised()
    assert revised.silent == silent
    assert revised.statement.updated_at == (None if silent else changed_at)


async def test_an_edit_after_an_official_one_is_silent_again() -> None:
    """What was announced once does not cover what follows."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED, THIRD)
    desk.pages.publisher[LINK] = PublisherRecord(changed_at=NOON + timedelta(minutes=50))

    await desk.after(HOUR)
    await desk.after(DAY)

    assert [each.silent for each in await desk.revised()] == [False, True]


async def test_a_publisher_who_marks_nothing_is_not_called_silent() -> None:
    """Nobody can tell."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED)

    await desk.after(HOUR)

    assert [each.silent for each in await desk.revised()] == [False]


async def test_a_publisher_s_word_is_a_withdrawal_at_once() -> None:
    """Its page is there still, with a banner; it needs no second visit."""
    desk = await Desk.open(FIRST, READ)
    desk.pages.publisher[LINK] = PublisherRecord(withdrawn="GOV.UK marked it withdrawn on 29 Jun 2020: Replaced.")

    for seconds in (HOUR, DAY):
        await desk.after(seconds)

    assert [(each.reason, each.revises) for each in await desk.withdrawn()] == [
        ("GOV.UK marked it withdrawn on 29 Jun 2020: Replaced.", READ.id)
    ]


# ---------------------------------------------------------------- when something breaks


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_a_failing_log_costs_no_edit_and_doubles_none(failure: str, restarted: bool) -> None:
    """Whether it was stored or not before the failure, it is in the log once in the end."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED)
    desk.log.failures = [failure]

    with pytest.raises(LogFull):
        await desk.after(HOUR)
    if restarted:
        await desk.restart()
    await desk.after(HOUR + 60)

    assert [each.statement.text for each in await desk.revised()] == [EDITED]


async def test_a_bug_in_reading_is_loud_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The next page is compared all the same."""
    second = published(2)
    desk = await Desk.open(FIRST, READ, second, read(second))
    desk.shows(ZeroDivisionError("a bug"))
    desk.shows(EDITED, link="https://commerce.example/2")

    await desk.after(HOUR)

    assert [each.statement.id for each in await desk.revised()] == ["us-commerce/2"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_stop_ends_what_is_under_way() -> None:
    """At once; it is asked again after the next start."""
    desk = await Desk.open(FIRST, READ)
    desk.shows(EDITED)
    desk.pages.held[LINK] = asyncio.Event()
    desk.clock.now = NOON + timedelta(hours=1)

    running = asyncio.create_task(desk.rechecker.run())
    async with asyncio.timeout(10):
        while not desk.pages.asked:  # noqa: ASYNC110 the fake sets no event
            await asyncio.sleep(0)
        await desk.rechecker.stop()
        await running
    desk.pages.held.clear()
    await desk.restart()
    await desk.after(HOUR + 60)

    assert len(await desk.revised()) == 1
