"""Is each new statement's page read, once, and is it said where it cannot be?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.errors import LogFull, Refused, TryLater
from notifier.eventlog.log import EventLog
from notifier.events.event import Event
from notifier.events.statements import PageRead, PageUnreadable, StatementPublished, StatementRevised
from notifier.feeds.feed import Feed
from notifier.statement import Statement, fingerprint
from notifier.steps.read_pages import MAX_CONCURRENT, MOST, PageReader
from tests.builders import COMMERCE, NOON, ON_ANY_LOG, USTR, WORDS, Clock, FailingLog, LogIn, Pages, events


class Desk:
    """A reader on a log, the pages that it finds, and the clock of both."""

    def __init__(self, log: EventLog | None = None, *feeds: Feed) -> None:
        self.clock = Clock()
        self.log = log or FailingLog(self.clock)
        self.pages = Pages()
        self.feeds = feeds or (COMMERCE, USTR)
        self.restart()

    def restart(self) -> None:
        """All is forgotten but the log."""
        self.reader = PageReader(self.log, self.pages, self.feeds, self.clock, random=lambda: 0.5)

    async def told(self, *told: Event) -> None:
        """These events come to stand in the log, and what is due is read."""
        await self.log.append(told)
        await self.reader.run()

    async def later(self, seconds: float) -> None:
        """So many seconds on, what is due is read."""
        self.clock.advance(seconds)
        await self.reader.run()

    async def read(self) -> list[PageRead]:
        return await events(self.log, PageRead)

    async def reasons(self) -> list[str]:
        return [each.reason for each in await events(self.log, PageUnreadable)]


def link(n: int = 1, host: str = "commerce.example") -> str:
    return f"https://{host}/{n}"


def published(n: int = 1, *, muted_because: str = "", at: str = "", text: str = "", feed: str = "us-commerce") -> Event:
    title = f"Statement {n}"
    said = Statement(
        id=f"{feed}/{n}",
        feed=feed,
        issuer="US Department of Commerce",
        title=title,
        summary="In brief.",
        text=text,
        link=at or link(n),
        fingerprint=fingerprint(title, "In brief.", text),
        published_at=NOON,
    )
    return StatementPublished(statement=said, seen_at=NOON, muted_because=muted_because)


@asynccontextmanager
async def under_way(desk: Desk) -> AsyncIterator[None]:
    """What is due has been begun; it is stopped at the end."""
    await desk.reader.start_due()
    try:
        yield
    finally:
        await desk.reader.stop()


async def until_asked(desk: Desk, count: int) -> None:
    async with asyncio.timeout(10):
        while len(desk.pages.asked) < count:  # noqa: ASYNC110 the fake sets no event
            await asyncio.sleep(0)


# ---------------------------------------------------------------- what is read


async def test_the_words_of_a_page_come_behind_its_statement() -> None:
    """A separate event has them instead of the missing text, caused by the statement's event."""
    desk = Desk()
    told = published()

    await desk.told(told)

    assert await desk.read() == [
        PageRead(
            cause=told.id,
            statement=msgspec.structs.replace(told.statement, text=WORDS),
            page=fingerprint(WORDS),
            by="extractor 1",
            seen_at=NOON,
        )
    ]


async def test_a_page_is_read_once() -> None:
    """However often the step runs, and over a restart."""
    desk = Desk()
    await desk.told(published())

    await desk.reader.run()
    desk.restart()
    await desk.reader.run()

    assert desk.pages.asked == [link()]
    assert len(await desk.read()) == 1


async def test_new_words_in_the_feed_are_read_at_the_page_again() -> None:
    """A revision found by the feed has a reading of its own; one found on the page has it already."""
    desk = Desk()
    first = published()
    told = StatementRevised(statement=first.statement, replaces="0" * 24, seen_at=NOON)
    found = StatementRevised(statement=first.statement, replaces="0" * 24, seen_at=NOON, page="a" * 24)

    await desk.told(first, told, found)

    assert [each.cause for each in await desk.read()] == [first.id, told.id]


QUIET_FEED = msgspec.structs.replace(USTR, full_text=False)


@pytest.mark.parametrize(
    "told",
    [
        published(muted_because="baseline"),
        published(text="The whole text."),
        published(feed="us-ustr"),
        published(feed="nobody-polls"),
        msgspec.structs.replace(published(), statement=msgspec.structs.replace(published().statement, link="")),
        msgspec.structs.replace(published(), seen_at=NOON - timedelta(days=2)),
    ],
    ids=["quiet", "whole", "unwanted", "no-feed", "no-link", "long-past"],
)
async def test_what_needs_no_reading_is_not_asked_for(told: Event) -> None:
    """What alerts nobody, has its text already, has no page, or is not wanted: no request, and no event."""
    desk = Desk(None, COMMERCE, QUIET_FEED)

    await desk.told(told)

    assert desk.pages.asked == []
    assert await desk.read() == []
    assert await desk.reasons() == []


@ON_ANY_LOG
async def test_long_words_are_kept_once(log_in: LogIn, tmp_path: Path) -> None:
    """They travel as a blob named by its content: two statements of one page's words share it."""
    async with log_in(tmp_path) as log:
        desk = Desk(log)
        desk.pages.answers = {
            link(1): ["Exports need a licence. " * 4_000],
            link(2): ["Exports need a licence. " * 4_000],
        }

        await desk.told(published(1), published(2))
        first, second = await desk.read()

        assert first.statement.text_blob == second.statement.text_blob != ""
        assert first.statement.attached(await log.blob(first.statement.text_blob)).text.startswith("Exports need")


# ---------------------------------------------------------------- what cannot be read


async def test_a_refusal_is_told_with_its_reason() -> None:
    """It is final: nothing is asked twice, and the alerts on title and summary stand."""
    desk = Desk()
    desk.pages.answers[link()] = [Refused("the PDF has no text layer: its pages are images")]

    await desk.told(published())
    await desk.later(3_600)

    assert await desk.reasons() == ["the PDF has no text layer: its pages are images"]
    assert desk.pages.asked == [link()]


async def test_what_fails_for_now_is_tried_again() -> None:
    """After a minute, not before; then its words are there, as if nothing had been."""
    desk = Desk()
    desk.pages.answers[link()] = [TryLater("commerce.example answered 500"), WORDS]

    await desk.told(published())
    await desk.later(50)
    asked_before = len(desk.pages.asked)
    await desk.later(15)

    assert (asked_before, len(desk.pages.asked)) == (1, 2)
    assert len(await desk.read()) == 1
    assert await desk.reasons() == []


async def test_what_keeps_failing_is_given_up_with_its_reason() -> None:
    """Four tries within half an hour; the last one's reason is recorded."""
    desk = Desk()
    desk.pages.answers[link()] = [TryLater("commerce.example answered 500")]

    await desk.told(published())
    for seconds in (60, 300, 1_500, 7_200):
        await desk.later(seconds)

    assert len(desk.pages.asked) == 4
    assert await desk.reasons() == ["commerce.example answered 500"]


async def test_a_host_that_asks_us_to_wait_is_obeyed() -> None:
    """Its page is tried again when it said, not sooner."""
    desk = Desk()
    desk.pages.answers[link()] = [TryLater("commerce.example answered 429", after=600.0), WORDS]

    await desk.told(published())
    await desk.later(590)
    asked_before = len(desk.pages.asked)
    await desk.later(15)

    assert (asked_before, len(desk.pages.asked)) == (1, 2)


async def test_a_try_that_is_due_survives_a_restart() -> None:
    """What waits is in the log with the step's place, and nothing that follows it is lost."""
    desk = Desk()
    desk.pages.answers[link(1)] = [TryLater("commerce.example answered 500"), WORDS]
    await desk.told(published(1), published(2))

    desk.restart()
    await desk.told(published(3))
    await desk.later(70)

    assert [each.statement.id for each in await desk.read()] == ["us-commerce/2", "us-commerce/3", "us-commerce/1"]


async def test_a_bug_in_reading_is_loud_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Its statement's page is recorded as unreadable, and the next is read."""
    desk = Desk()
    desk.pages.answers[link(1)] = [ZeroDivisionError("a bug")]

    await desk.told(published(1), published(2))

    assert await desk.reasons() == ["internal error (ZeroDivisionError); see the service's log"]
    assert [each.statement.id for each in await desk.read()] == ["us-commerce/2"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_feed_that_is_gone_leaves_no_page_waiting() -> None:
    """A statement that waited while the operator took its feed out is let go, with a reason."""
    desk = Desk()
    desk.pages.answers[link()] = [TryLater("commerce.example answered 500")]
    await desk.told(published())

    desk.feeds = (USTR,)
    desk.restart()
    await desk.later(70)

    assert await desk.reasons() == ["its feed is no longer polled, or its pages no longer read"]


# ---------------------------------------------------------------- beside each other


async def test_a_slow_page_holds_up_no_other() -> None:
    """What else is due is read and recorded while one page does not answer."""
    desk = Desk()
    desk.pages.held[link(1)] = asyncio.Event()
    await desk.log.append([published(1), published(2, at=link(2, "other.example"))])

    async with under_way(desk), asyncio.timeout(10):
        while not await desk.read():
            await desk.log.wait(2)

    assert [each.statement.id for each in await desk.read()] == ["us-commerce/2"]


async def test_few_pages_are_asked_for_together() -> None:
    """Two of one host and eight in all."""
    desk = Desk()
    await desk.told(*(published(n) for n in range(10)))
    of_one_host, desk.pages.most_at_once = desk.pages.most_at_once, 0

    await desk.told(*(published(n, at=link(n, f"host-{n}.example")) for n in range(10, 40)))

    assert (of_one_host, desk.pages.most_at_once) == (2, MAX_CONCURRENT)
    assert len(await desk.read()) == 40


async def test_what_waits_is_bounded() -> None:
    """Statements without room stay in the log, and are read in turn."""
    desk = Desk()
    count = MOST + 150
    told = [published(n) for n in range(count)]
    await desk.log.append(told[:900])
    await desk.log.append(told[900:])

    await desk.reader.run()
    first = len(await desk.read())
    await desk.reader.run()

    assert MOST <= first < count
    assert len(await desk.read()) == count


# ---------------------------------------------------------------- a log that fails


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_a_failing_log_costs_no_words_and_doubles_none(failure: str, restarted: bool) -> None:
    """Whether it stored them or not before it failed, each page's words stand there once in the end."""
    desk = Desk()
    await desk.log.append([published()])
    desk.log.failures = [failure, failure]

    with pytest.raises(LogFull):
        await desk.reader.run()
    if restarted:
        desk.restart()
    await desk.reader.run()

    assert len(await desk.read()) == 1


async def test_nothing_is_asked_for_while_the_log_takes_nothing() -> None:
    """Words that cannot be stored are not heaped up, and no host is asked for them over and over."""
    desk = Desk()
    await desk.log.append([published(n) for n in range(60)])
    desk.log.failures = ["before"] * 100

    for _ in range(3):
        with pytest.raises(LogFull):
            await desk.reader.run()

    assert len(desk.pages.asked) <= 2 * MAX_CONCURRENT
    desk.log.failures = []
    await desk.reader.run()
    assert len(await desk.read()) == 60


async def test_what_was_stopped_is_read_after_the_next_start() -> None:
    """A stop ends the visit at once, and loses nothing."""
    desk = Desk()
    desk.pages.held[link()] = asyncio.Event()
    await desk.log.append([published()])

    async with under_way(desk):
        await until_asked(desk, 1)
    desk.pages.held.clear()
    desk.restart()
    await desk.reader.run()

    assert len(await desk.read()) == 1
