"""
Poll a feed and record its new, revised and withdrawn statements.

One poll is one transaction: statements, validators for the next request and the feed's health are stored together or
not at all (promise P2). A poll that finds no change writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from notifier.errors import Refused, TryLater
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Commit, Consumer, EventLog
from notifier.eventlog.wording import fitted, weight
from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined, FeedMoved
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.feeds import health
from notifier.feeds.backfill import filled
from notifier.feeds.detect import RENAMED, detect, holds_news, withdrawn
from notifier.feeds.feed import Document, Feed, Reading, Unchanged, Validators
from notifier.feeds.habit import Arrivals, Habit
from notifier.feeds.known import Known
from notifier.feeds.paging import Fetch, Parse, with_further_pages
from notifier.feeds.rounds import PollResult

TYPES = (StatementPublished.type, StatementRevised.type, StatementWithdrawn.type, FeedBaselined.type)
NAME = "poll/"  # each feed is a consumer: poll/us-bis-press


class PollProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    The state of one feed between polls, beside its statements. If it is lost, one full poll restores it.

    `outcome` is that of the last poll, `read_as` that of the last poll which brought a document. `validators` belong to
    the document at `url`, since an operator may change a feed's address. `behind` means that further pages are still to
    be read, even if the first has nothing new. `window` is the number of entries in the last document, `since` the time
    of the first, `fresh` the time after which the feed counts as stale. `hub` announces changes of `topic` (WebSub).
    """

    validators: Validators = Validators()
    url: str = ""
    outcome: str = ""
    read_as: str = ""
    moved_to: str = ""
    behind: bool = False
    window: int = 0
    since: datetime | None = None
    hub: str = ""
    topic: str = ""
    fresh: health.Freshness | None = None


class Poller:
    """Polls feeds. Different feeds may be polled concurrently; one feed must not be polled twice at a time."""

    def __init__(self, log: EventLog, fetcher: Fetch, parser: Parse, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._fetcher = fetcher
        self._parser = parser
        self._clock = clock
        self._known = Known()
        self._arrivals = Arrivals()
        self._position = 0
        self._baselined: set[str] = set()
        self._gone: set[str] = set()
        self._consumers: dict[str, Consumer] = {}
        self._progress: dict[str, PollProgress] = {}
        # Feeds whose last append failed: the log may hold all of it, some or nothing.
        self._unanswered: set[str] = set()

    async def catch_up(self) -> None:
        """Fold the log into memory. Call it once before the first poll."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                self._fold(recorded.event, recorded.id)
            self._position = page.position
        for consumer in await self._log.consumers(NAME):
            if consumer.version > self._consumer(consumer.name).version:
                self._remember(consumer, msgspec.json.decode(consumer.state, type=PollProgress))

    def habit(self, feed: Feed) -> Habit:
        """When a feed usually publishes, learned from the log."""
        return self._arrivals.habit(feed)

    async def poll(self, feed: Feed) -> PollResult:
        """
        Fetch a feed once, record its news, and return how the poll ended.

        A feed that fails is an outcome. Raises `LogError` if the log fails; anything else is a bug.
        """
        if feed.id in self._unanswered:
            await self.catch_up()
            self._unanswered.discard(feed.id)
        before = self._progress.get(feed.id, PollProgress())
        if before.url != feed.url:
            # These validators are another document's: a 304 in answer to them would be wrong.
            before = msgspec.structs.replace(before, validators=Validators(), url=feed.url)
        try:
            answer = await self._fetcher.fetch(feed, before.validators)
            if isinstance(answer, Unchanged):
                return await self._unchanged(feed, before, answer)
            first = await self._parser.parse(answer, feed)
            reading = await with_further_pages(
                feed, answer, first, self._fetcher, self._parser, self._ends_at(feed, before)
            )
        except (TryLater, Refused) as failure:
            return await self._failed(feed, before, failure)
        return await self._read(feed, before, answer, reading)

    def _ends_at(self, feed: Feed, before: PollProgress) -> Callable[[Reading], bool]:
        """Is a page the last one worth reading? It has no news, and no page after it is still to be read."""

        def ends(page: Reading) -> bool:
            return not before.behind and not holds_news(page, feed, self._known)

        return ends

    async def _unchanged(self, feed: Feed, before: PollProgress, answer: Unchanged) -> PollResult:
        outcome, detail = _unless_stale(before.read_as or "ok", before.fresh, self._clock())
        after = msgspec.structs.replace(before, validators=answer.validators, outcome=outcome)
        events = [
            *_health(feed, before, self._clock(), outcome, detail),
            *_moved(feed, before, self._clock(), answer.moved_to),
        ]
        if events:
            await self._record(feed, events, msgspec.structs.replace(after, moved_to=answer.moved_to))
        else:
            # Not written: older validators cost one full answer after a restart, and no news.
            self._progress[feed.id] = after
        return PollResult(
            feed=feed.id,
            outcome="stale" if outcome == "stale" else "unchanged",
            before=before.outcome,
            detail=detail,
            hub=before.hub,
            topic=before.topic,
        )

    async def _failed(self, feed: Feed, before: PollProgress, failure: TryLater | Refused) -> PollResult:
        events = _health(feed, before, self._clock(), failure.outcome, str(failure))
        if events:
            await self._record(feed, events, msgspec.structs.replace(before, outcome=failure.outcome))
        wait = failure.after if isinstance(failure, TryLater) else None
        return PollResult(feed=feed.id, outcome=failure.outcome, before=before.outcome, detail=str(failure), after=wait)

    async def _read(self, feed: Feed, before: PollProgress, document: Document, reading: Reading) -> PollResult:
        baseline = feed.id not in self._baselined
        news = detect(reading, feed, self._known, self._clock(), baseline=baseline)
        read_as, window, since = health.outcome_of(reading), len(reading.entries), before.since or self._clock()
        fresh = self._fresh(feed, reading, news, since)
        outcome, silence = _unless_stale(read_as, fresh, self._clock())
        gap = ""
        if not (baseline or reading.cut_short) and health.leaves_gap(before.window, reading.entries, news):
            outcome = "gap"
            reading, gap = await filled(feed, reading, self._known, self._fetcher, self._parser)
            news = detect(reading, feed, self._known, self._clock(), baseline=False)
        detail = "; ".join(filter(None, (gap, _detail(reading, baseline=baseline), silence)))
        events = [
            *news,
            *([] if baseline else await self._withdrawn(feed, reading)),
            *_health(feed, before, self._clock(), outcome, detail),
            *_moved(feed, before, self._clock(), document.moved_to),
        ]
        after = PollProgress(
            validators=document.validators,
            url=feed.url,
            outcome=outcome,
            read_as=read_as,
            moved_to=document.moved_to,
            window=window,
            since=since,
            hub=document.hub or reading.hub,
            topic=document.topic or reading.topic or document.url,
            fresh=fresh,
        )
        if reading.cut_short:
            # With its validators stored, the next poll would get a 304 and never see the rest.
            behind = before.behind or bool(reading.next)
            after = msgspec.structs.replace(before, url=feed.url, outcome=outcome, behind=behind)
        elif baseline:
            # Last, and only for a whole document: until then, all that comes belongs to the baseline.
            events.append(FeedBaselined(feed=feed.id, entries=len(reading.entries)))
        await self._record(feed, events, after)
        return PollResult(
            feed=feed.id,
            outcome=outcome,
            before=before.outcome,
            published=sum(isinstance(event, StatementPublished) for event in news),
            revised=sum(isinstance(event, StatementRevised) and event.muted_because != RENAMED for event in news),
            baseline=baseline,
            detail=detail,
            hub=after.hub,
            topic=after.topic,
        )

    def _fresh(self, feed: Feed, reading: Reading, news: Iterable[Event], since: datetime) -> health.Freshness | None:
        """The feed's freshness by the dates of its entries and the arrival of its news; None without any date."""
        now = self._clock()
        dates = (date for entry in reading.entries for date in (entry.published, entry.updated) if date)
        loud = any(
            isinstance(event, StatementPublished | StatementRevised) and not event.muted_because for event in news
        )
        return health.freshness([*dates, *self._arrivals.of(feed.id), *([now] if loud else [])], now, since)

    async def _withdrawn(self, feed: Feed, reading: Reading) -> list[Event]:
        """The statements that the feed withdraws, each once: a feed may list a withdrawal for weeks."""
        events: list[Event] = []
        for id, reason in withdrawn(reading, feed, self._known).items():
            last = await self._log.find(self._known.newest(feed.id, id)) if id not in self._gone else None
            if last and isinstance(last.event, StatementPublished | StatementRevised):
                statement, now = last.event.statement, self._clock()
                events.append(StatementWithdrawn(statement=statement, revises=last.id, reason=reason, seen_at=now))
        return events

    async def _record(self, feed: Feed, events: list[Event], after: PollProgress) -> None:
        consumer = self._consumer(NAME + feed.id)
        commit = consumer.moved_to(consumer.position, msgspec.json.encode(after))
        *firsts, last = batches([fitted(event) for event in events], weight)
        self._unanswered.add(feed.id)
        for batch in firsts:
            await self._append(batch, None)
        # The validators go with the last batch: after a crash between batches, the document is read again.
        await self._append(last, commit)
        self._unanswered.discard(feed.id)
        self._remember(msgspec.structs.replace(consumer, version=consumer.version + 1), after)
        for event in events:
            self._fold(event)

    async def _append(self, batch: list[tuple[Event, bytes | None]], commit: Commit | None) -> None:
        blobs = [blob for _, blob in batch if blob is not None]
        await self._log.append([event for event, _ in batch], blobs=blobs, commit=commit)

    def _fold(self, event: Event, id: str = "") -> None:
        if isinstance(event, FeedBaselined):
            self._baselined.add(event.feed)
        elif isinstance(event, StatementWithdrawn):
            self._gone.add(event.statement.id)
        else:
            self._gone.discard(event.subject)
            self._known.apply(event, id)
            self._arrivals.apply(event)

    def _consumer(self, name: str) -> Consumer:
        return self._consumers.get(name, Consumer(name))

    def _remember(self, consumer: Consumer, progress: PollProgress) -> None:
        self._consumers[consumer.name] = consumer
        self._progress[consumer.name.removeprefix(NAME)] = progress


def _health(feed: Feed, before: PollProgress, now: datetime, outcome: str, detail: str) -> list[Event]:
    change = health.changed(feed, before.outcome, outcome, now, detail)
    return [change] if change else []


def _moved(feed: Feed, before: PollProgress, now: datetime, moved_to: str) -> list[Event]:
    if not moved_to or moved_to == before.moved_to:
        return []
    return [FeedMoved(feed=feed.id, url=moved_to, url_before=before.moved_to or feed.url, moved_at=now)]


def _detail(reading: Reading, *, baseline: bool) -> str:
    """The problems of a reading in words for the operator; "" if there are none."""
    # A baseline may be longer than we read; after it, unread pages may be missed news.
    over = reading.next and not (baseline or reading.cut_short)
    unread = "it has more news than the pages that were read" if over else ""
    return "; ".join(filter(None, (reading.problem, *reading.warnings, unread)))


def _unless_stale(outcome: str, fresh: health.Freshness | None, now: datetime) -> tuple[str, str]:
    """`stale` with a sentence for the operator if an `ok` feed has been silent too long; else the outcome and ""."""
    if outcome == "ok" and fresh is not None and now > fresh.until:
        return "stale", f"nothing newer than {fresh.newest:%Y-%m-%d}"
    return outcome, ""
