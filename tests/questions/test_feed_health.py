"""Is it told truly how the feeds are doing, by the log and by themselves?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from notifier.errors import Refused, TryLater
from notifier.eventlog.memory import MemoryLog
from notifier.events.event import Event
from notifier.events.feeds import FeedHealthChanged
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.feed import Document, Feed, Unchanged, Validators
from notifier.feeds.habit import Habit
from notifier.feeds.rhythm import Round
from notifier.feeds.shape import JsonShape, Paging
from notifier.questions.feed_health import MAX_CONCURRENT, ROUNDS, FeedState, Tried, ask, feed_states
from notifier.statement import Statement
from tests.builders import COMMERCE, NOON, USTR, Clock, Publisher, entry

LATER = NOON + timedelta(hours=1)


def published(
    id: str = "1", *, feed: Feed = COMMERCE, muted_because: str = "", seen_at: datetime = NOON
) -> StatementPublished:
    return StatementPublished(statement=_statement(id, feed), seen_at=seen_at, muted_because=muted_because)


def revised(id: str = "1", *, muted_because: str = "") -> StatementRevised:
    return StatementRevised(
        statement=_statement(id, COMMERCE), replaces="0" * 24, seen_at=LATER, muted_because=muted_because
    )


def _statement(id: str, feed: Feed) -> Statement:
    return Statement(
        id=f"{feed.id}/{id}", feed=feed.id, issuer=feed.issuer, title=f"Statement {id}", fingerprint="1" * 24
    )


def health(outcome: str, before: str = "", detail: str = "", at: datetime = NOON) -> FeedHealthChanged:
    return FeedHealthChanged(feed=COMMERCE.id, outcome=outcome, before=before, detail=detail, changed_at=at)


async def state(*told: Event) -> FeedState:
    """The state of the feed of Commerce by the log."""
    log = MemoryLog(Clock())
    await log.append(told)
    return (await feed_states(log, [COMMERCE, USTR]))[COMMERCE.id]


# ---------------------------------------------------------------- what the log tells


async def test_a_feed_that_was_never_polled_has_no_state() -> None:
    """It is listed all the same, with nothing known."""
    assert await state() == FeedState(feed=COMMERCE)


async def test_the_last_outcome_counts() -> None:
    """With its reason, and since when it has been so."""
    now = await state(health("ok"), health("blocked", "ok", "it answered 403", at=LATER))

    assert (now.outcome, now.detail, now.since) == ("blocked", "it answered 403", LATER)


async def test_a_recovery_leaves_no_reason_behind() -> None:
    """What is well has no detail of what was not."""
    now = await state(health("blocked", detail="it answered 403"), health("ok", "blocked", at=LATER))

    assert (now.outcome, now.detail, now.since) == ("ok", "", LATER)


@pytest.mark.parametrize(
    ("told", "statements", "last_news_at"),
    [
        ([published("1", muted_because="baseline")], 1, None),
        ([published("1", muted_because="baseline"), published("2", seen_at=LATER)], 2, LATER),
        ([published("1"), published("2", muted_because="over 30 days old", seen_at=LATER)], 2, NOON),
        ([published("1"), revised("1")], 1, LATER),
        ([published("1"), revised("1", muted_because="baseline")], 1, NOON),
        ([published("1", feed=USTR)], 0, None),
    ],
    ids=["a baseline", "news", "old news", "a revision", "a quiet revision", "of another feed"],
)
async def test_statements_and_news_are_counted(told: Sequence[Event], statements: int, last_news_at: object) -> None:
    """A revised statement counts once; muted ones are not news."""
    now = await state(*told)

    assert (now.statements, now.last_news_at) == (statements, last_news_at)


async def test_where_its_polls_stand_is_told() -> None:
    """As the service noted it; one that was never polled, or a log without any note, has nothing to tell."""
    log, stands = MemoryLog(Clock()), Round(LATER, LATER + timedelta(minutes=5), NOON)
    before = await feed_states(log, [COMMERCE])
    consumer = await log.consumer(ROUNDS)
    await log.append([], commit=consumer.moved_to(0, msgspec.json.encode({COMMERCE.id: stands})))

    states = await feed_states(log, [COMMERCE, USTR])

    assert before[COMMERCE.id].round is None
    assert (states[COMMERCE.id].round, states[USTR.id].round) == (stands, None)


async def test_when_it_usually_speaks_is_told() -> None:
    """From the same log as its news."""
    news = [published(str(day), seen_at=NOON + timedelta(days=day)) for day in range(6)]

    assert (await state(*news)).habit == Habit(slots=(12 * 60,))


@pytest.mark.parametrize(
    ("outcome", "ill"), [("ok", False), ("ok-empty", False), ("stale", True), ("gap", True), ("blocked", True)]
)
async def test_what_needs_an_eye_is_ill(outcome: str, ill: bool) -> None:
    """A silent feed and one that was asked too seldom as much as one that cannot be read."""
    assert (await state(health(outcome))).ill is ill
    assert not (await state()).ill


async def test_a_long_log_is_read_to_its_end() -> None:
    """Also behind more events than one page has."""
    assert (await state(*(published(str(n)) for n in range(900)))).statements == 900


async def test_a_feed_that_is_polled_no_more_is_left_out() -> None:
    """What the log holds of others is passed over."""
    log = MemoryLog(Clock())
    await log.append([health("ok"), published(), revised()])

    assert await feed_states(log, [USTR]) == {USTR.id: FeedState(feed=USTR)}


# ---------------------------------------------------------------- what the feeds tell


async def asked(publisher: Publisher, *feeds: Feed) -> list[Tried]:
    return [tried async for tried in ask(feeds or [COMMERCE], publisher, publisher, NOON)]


async def test_a_feed_tells_what_it_shows() -> None:
    """How many entries, how many statements they are, and the newest date among them."""
    publisher = Publisher()
    publisher.shows(
        entry("1"),
        entry("1"),
        entry("2", "Older", published=NOON - timedelta(days=90)),
        entry("3", "?", published=None),
    )

    (tried,) = await asked(publisher)

    assert tried == Tried(
        feed="us-commerce", outcome="ok", entries=4, statements=3, newest=NOON - timedelta(minutes=15)
    )
    assert publisher.asked == [Validators()]


async def test_the_first_entries_are_shown_when_wanted() -> None:
    """As many as were asked for, in the document's order."""
    publisher = Publisher()
    publisher.shows(entry("3"), entry("2"), entry("1"))

    (tried,) = [each async for each in ask([COMMERCE], publisher, publisher, NOON, show=2)]

    assert [each.id for each in tried.first] == ["3", "2"]


async def test_further_pages_are_asked_too() -> None:
    """As a first poll would read them; a failure has its outcome."""
    shape = JsonShape(entries="results", title="title", paging=Paging(next="next", pages=3))
    listed = [msgspec.structs.replace(COMMERCE, url=f"{COMMERCE.url}?{page}", json=shape) for page in range(3)]
    publisher = Publisher()
    publisher.shows(entry("3"), feed=listed[0], next=listed[1].url)
    publisher.shows(entry("2"), feed=listed[1], next=listed[2].url)
    publisher.fails(TryLater("no answer", outcome="unreachable"), listed[2])

    (tried,) = await asked(publisher, listed[0])

    assert (tried.entries, tried.outcome) == (2, "parse-error")
    assert tried.detail == "page 3 could not be read: no answer"


async def test_an_empty_feed_has_no_newest_date() -> None:
    """It is read, and holds nothing."""
    publisher = Publisher()
    publisher.shows()

    assert await asked(publisher) == [Tried(feed="us-commerce", outcome="ok-empty")]


@pytest.mark.parametrize(
    "failure", [TryLater("no answer", outcome="unreachable"), Refused("it answered 403", outcome="blocked")], ids=str
)
@pytest.mark.parametrize("read", [True, False], ids=["when read", "when fetched"])
async def test_a_failure_is_an_answer(failure: TryLater | Refused, read: bool) -> None:
    """It has its outcome and its reason, and the next feed is polled."""
    publisher = Publisher()
    publisher.shows(refused=failure)
    if not read:
        publisher.fails(failure)
    publisher.shows(entry(), feed=USTR)

    first, second = await asked(publisher, COMMERCE, USTR)

    assert first == Tried(feed="us-commerce", outcome=failure.outcome, detail=str(failure))
    assert second.outcome == "ok"


async def test_what_is_not_whole_and_what_has_moved_is_told() -> None:
    """The operator hears of both."""
    publisher = Publisher()
    publisher.shows(entry(), cut_short=True, moved_to="https://www.commerce.example/news.xml")

    (tried,) = await asked(publisher)

    assert tried.outcome == "parse-error"
    assert tried.detail == ("the document is cut short; moved permanently to https://www.commerce.example/news.xml")


class Crowded(Publisher):
    """Answers the first feed only when all others that may be asked with it have been; counts who is asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.here = self.most = 0
        self.crowd = asyncio.Event()

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        self.here += 1
        self.most = max(self.most, self.here)
        if self.here == MAX_CONCURRENT:
            self.crowd.set()
        try:
            await asyncio.wait_for(self.crowd.wait(), 5)
            return await super().fetch(feed, known)
        finally:
            self.here -= 1


def feeds(count: int) -> list[Feed]:
    return [Feed(id=f"feed-{n}", url=f"https://feed-{n}.example", issuer="Somebody") for n in range(count)]


async def test_some_are_asked_together_and_told_in_their_order() -> None:
    """Not one after another, and not all at once."""
    publisher, many = Crowded(), feeds(MAX_CONCURRENT * 2 + 1)
    for feed in many:
        publisher.shows(entry(), feed=feed)

    tried = await asked(publisher, *many)

    assert [each.feed for each in tried] == [feed.id for feed in many]
    assert publisher.most == MAX_CONCURRENT


class Hanging(Publisher):
    """Fails on the first feed, and leaves all others without an answer."""

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        if feed.id == "feed-0":
            raise ZeroDivisionError("a bug")
        return await asyncio.Event().wait() or await super().fetch(feed, known)


async def test_who_breaks_off_leaves_nothing_under_way() -> None:
    """Neither a bug nor an operator who has seen enough leaves a request behind."""
    before = asyncio.all_tasks()

    with pytest.raises(ZeroDivisionError):
        await asked(Hanging(), *feeds(MAX_CONCURRENT))

    assert asyncio.all_tasks() == before
