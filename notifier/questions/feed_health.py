"""
The health of feeds, from the log or by polling them now. Nothing is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

import msgspec

from notifier.errors import Refused, TryLater
from notifier.eventlog.log import LogReader
from notifier.events.feeds import FeedHealthChanged
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.detect import detect
from notifier.feeds.feed import Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.habit import UNKNOWN, Arrivals, Habit
from notifier.feeds.health import HEALTHY, outcome_of
from notifier.feeds.known import Known
from notifier.feeds.paging import Fetch, Parse, with_further_pages
from notifier.feeds.rhythm import Round

TYPES = (FeedHealthChanged.type, StatementPublished.type, StatementRevised.type)
ROUNDS = "rounds"  # the consumer whose state is the last and next poll of each feed
MAX_CONCURRENT = 16  # feeds polled at a time


class FeedState(msgspec.Struct, kw_only=True):
    """
    A feed's state by the log: the `outcome` of its polls and `since` when ("" and None before the first), the number of
    `statements`, the time of the last that was not muted (`last_news_at`), the last and next poll to the minute
    (`round`, None if never polled), and when the feed usually publishes (`habit`).
    """

    feed: Feed
    outcome: str = ""
    detail: str = ""
    since: datetime | None = None
    statements: int = 0
    last_news_at: datetime | None = None
    round: Round | None = None
    habit: Habit = UNKNOWN

    @property
    def ill(self) -> bool:
        """Does it need the operator's attention?"""
        return bool(self.outcome) and self.outcome not in HEALTHY


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """
    The result of polling a feed now: the outcome, the numbers of entries and of distinct statements, the date of the
    newest entry, problems in words (`detail`), and the first entries as asked for.
    """

    feed: str
    outcome: str
    entries: int = 0
    statements: int = 0
    newest: datetime | None = None
    detail: str = ""
    first: tuple[Entry, ...] = ()


async def feed_states(log: LogReader, feeds: Iterable[Feed]) -> dict[str, FeedState]:
    """The state of each feed by the log, by the feed's id."""
    states, arrivals = {feed.id: FeedState(feed=feed) for feed in feeds}, Arrivals()
    after = -1
    page = await log.read(0, TYPES)
    while page.position > after:
        for recorded in page.events:
            arrivals.apply(recorded.event)
            match recorded.event:
                case FeedHealthChanged() as change if state := states.get(change.feed):
                    state.outcome, state.detail, state.since = change.outcome, change.detail, change.changed_at
                case StatementPublished() as published if state := states.get(published.statement.feed):
                    state.statements += 1
                    state.last_news_at = state.last_news_at if published.muted_because else published.seen_at
                case StatementRevised(muted_because="") as revised if state := states.get(revised.statement.feed):
                    state.last_news_at = revised.seen_at
                case _:
                    pass
        after = page.position
        page = await log.read(after, TYPES)
    rounds = await rounds_of(log)
    for id, state in states.items():
        state.round, state.habit = rounds.get(id), arrivals.habit(state.feed)
    return states


async def rounds_of(log: LogReader) -> dict[str, Round]:
    """The last and next poll of each feed by its id, as the service last stored them."""
    state = (await log.consumer(ROUNDS)).state
    return msgspec.json.decode(state, type=dict[str, Round]) if state else {}


async def ask(
    feeds: Iterable[Feed], fetcher: Fetch, parser: Parse, now: datetime, show: int = 0
) -> AsyncIterator[Tried]:
    """Fetch and parse each feed once and yield the results in order, each with its first `show` entries."""
    slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def one(feed: Feed) -> Tried:
        async with slots:
            return await _ask(feed, fetcher, parser, now, show)

    tasks = [asyncio.create_task(one(feed)) for feed in feeds]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(feed: Feed, fetcher: Fetch, parser: Parse, now: datetime, show: int) -> Tried:
    try:
        document = await fetcher.fetch(feed, Validators())
        if isinstance(document, Unchanged):
            return Tried(feed=feed.id, outcome="unchanged")
        reading = await with_further_pages(feed, document, await parser.parse(document, feed), fetcher, parser, _never)
    except (TryLater, Refused) as failure:
        return Tried(feed=feed.id, outcome=failure.outcome, detail=str(failure))
    news = detect(reading, feed, Known(), now, baseline=True)
    moved = f"moved permanently to {document.moved_to}" if document.moved_to else ""
    return Tried(
        feed=feed.id,
        outcome=outcome_of(reading),
        entries=len(reading.entries),
        statements=len(news),
        newest=max((entry.published for entry in reading.entries if entry.published), default=None),
        detail="; ".join(filter(None, (reading.problem, *reading.warnings, moved))),
        first=reading.entries[:show],
    )


def _never(page: Reading) -> bool:
    """Without known statements, every page has news."""
    return False
