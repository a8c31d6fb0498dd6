"""
A feed → new and revised statements, in the log.

One poll is one transaction: what the document said, what the server told us to ask with next time, and how the feed
is doing are stored together or not at all (promise P2). An unchanged poll writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from notifier.errors import Refused, TryLater
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Commit, Consumer, EventLog
from notifier.eventlog.wording import fitted, weight
from notifier.events import Event, FeedBaselined, FeedMoved, StatementPublished, StatementRevised
from notifier.feeds import health
from notifier.feeds.detect import detect
from notifier.feeds.feed import Document, Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.fetch import at, same_host
from notifier.feeds.known import Known
from notifier.feeds.prescan import ITEMS

TYPES = (StatementPublished.type, StatementRevised.type, FeedBaselined.type)
NAME = "poll/"  # a consumer a feed: poll/us-bis-press


class Fetch(Protocol):
    """The way to a feed's document. Raises `TryLater` or `Refused`, whose `outcome` is the poll's."""

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged: ...


class Parse(Protocol):
    """A document's entries, read where it can do no harm. Raises `TryLater` or `Refused`."""

    async def parse(self, document: Document, feed: Feed) -> Reading: ...


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What we keep of a feed between polls, beside its statements: cheap to lose, since one more full poll restores it.

    `outcome` is how the last poll ended, `read_as` how the last document that we read did. `validators` are those of
    the document at `url`: an operator may give a feed another address. `behind` says that further pages of it are
    still to be read, although the first may hold nothing new by now.
    """

    validators: Validators = Validators()
    url: str = ""
    outcome: str = ""
    read_as: str = ""
    moved_to: str = ""
    behind: bool = False


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """How one poll ended: its outcome, what it added to the log, and the seconds the server asked us to wait."""

    feed: str
    outcome: str
    published: int = 0
    revised: int = 0
    baseline: bool = False
    detail: str = ""
    after: float | None = None


class Poller:
    """Polls feeds, one at a time each; different feeds may be polled together."""

    def __init__(self, log: EventLog, fetcher: Fetch, parser: Parse, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._fetcher = fetcher
        self._parser = parser
        self._clock = clock
        self._known = Known()
        self._position = 0
        self._baselined: set[str] = set()
        self._consumers: dict[str, Consumer] = {}
        self._progress: dict[str, Progress] = {}
        # Feeds of whose last append we had no answer: the log may hold all of it, some or nothing.
        self._unanswered: set[str] = set()

    async def catch_up(self) -> None:
        """Fold what the log holds into what we know. Call it once before the first poll."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                self._fold(recorded.event)
            self._position = page.position
        for consumer in await self._log.consumers(NAME):
            if consumer.version > self._consumer(consumer.name).version:
                self._remember(consumer, msgspec.json.decode(consumer.state, type=Progress))

    async def poll(self, feed: Feed) -> Poll:
        """Ask a feed what is new and record it. Only a bug or a failing log raises."""
        if feed.id in self._unanswered:
            await self.catch_up()
            self._unanswered.discard(feed.id)
        before = self._progress.get(feed.id, Progress())
        if before.url != feed.url:
            # Another document's validators: "nothing is new" in answer to them would mean nothing.
            before = msgspec.structs.replace(before, validators=Validators(), url=feed.url)
        try:
            answer = await self._fetcher.fetch(feed, before.validators)
            if isinstance(answer, Unchanged):
                return await self._unchanged(feed, before, answer)
            first = await self._parser.parse(answer, feed)
            reading = await whole(feed, answer, first, self._fetcher, self._parser, self._ends_at(feed, before))
        except (TryLater, Refused) as failure:
            return await self._failed(feed, before, failure)
        return await self._read(feed, before, answer, reading)

    def _ends_at(self, feed: Feed, before: Progress) -> Callable[[Reading], bool]:
        """Whether a page is the last worth reading: all it holds is known, and nothing behind it was missed before."""

        def ends(page: Reading) -> bool:
            return not before.behind and not detect(page, feed, self._known, self._clock(), baseline=False)

        return ends

    async def _unchanged(self, feed: Feed, before: Progress, answer: Unchanged) -> Poll:
        after = msgspec.structs.replace(before, validators=answer.validators, outcome=before.read_as or "ok")
        events = [*self._health(feed, before, after.outcome, ""), *self._moved(feed, before, answer.moved_to)]
        if events:
            await self._record(feed, events, msgspec.structs.replace(after, moved_to=answer.moved_to))
        else:
            # Not worth a write: asking with older validators costs one full answer after a restart, and no news.
            self._progress[feed.id] = after
        return Poll(feed=feed.id, outcome="unchanged")

    async def _failed(self, feed: Feed, before: Progress, failure: TryLater | Refused) -> Poll:
        events = self._health(feed, before, failure.outcome, str(failure))
        if events:
            await self._record(feed, events, msgspec.structs.replace(before, outcome=failure.outcome))
        wait = failure.after if isinstance(failure, TryLater) else None
        return Poll(feed=feed.id, outcome=failure.outcome, detail=str(failure), after=wait)

    async def _read(self, feed: Feed, before: Progress, document: Document, reading: Reading) -> Poll:
        baseline = feed.id not in self._baselined
        news = detect(reading, feed, self._known, self._clock(), baseline=baseline)
        outcome = health.outcome_of(reading)
        detail = _detail(reading, baseline=baseline)
        events = [
            *news,
            *self._health(feed, before, outcome, detail),
            *self._moved(feed, before, document.moved_to),
        ]
        after = Progress(document.validators, feed.url, outcome, read_as=outcome, moved_to=document.moved_to)
        if reading.cut_short:
            # It is asked for again: to store its validators would be to call the rest of it old news.
            after = msgspec.structs.replace(
                after, validators=before.validators, read_as=before.read_as, behind=before.behind or bool(reading.next)
            )
        elif baseline:
            # Last, and only for a whole document: until then whatever comes is still the baseline.
            events.append(FeedBaselined(feed=feed.id, entries=len(reading.entries)))
        await self._record(feed, events, after)
        return Poll(
            feed=feed.id,
            outcome=outcome,
            published=sum(isinstance(event, StatementPublished) for event in news),
            revised=sum(isinstance(event, StatementRevised) for event in news),
            baseline=baseline,
            detail=detail,
        )

    def _health(self, feed: Feed, before: Progress, outcome: str, detail: str) -> list[Event]:
        change = health.changed(feed, before.outcome, outcome, self._clock(), detail)
        return [change] if change else []

    def _moved(self, feed: Feed, before: Progress, moved_to: str) -> list[Event]:
        if not moved_to or moved_to == before.moved_to:
            return []
        return [FeedMoved(feed=feed.id, url=moved_to, url_before=before.moved_to or feed.url)]

    async def _record(self, feed: Feed, events: list[Event], after: Progress) -> None:
        consumer = self._consumer(NAME + feed.id)
        commit = consumer.moved_to(consumer.position, msgspec.json.encode(after))
        *firsts, last = batches([fitted(event) for event in events], weight)
        self._unanswered.add(feed.id)
        for batch in firsts:
            await self._append(batch, None)
        # The validators go with the last batch, so a crash between batches means reading the document again.
        await self._append(last, commit)
        self._unanswered.discard(feed.id)
        self._remember(msgspec.structs.replace(consumer, version=consumer.version + 1), after)
        for event in events:
            self._fold(event)

    async def _append(self, batch: list[tuple[Event, bytes | None]], commit: Commit | None) -> None:
        blobs = [blob for _, blob in batch if blob is not None]
        await self._log.append([event for event, _ in batch], blobs=blobs, commit=commit)

    def _fold(self, event: Event) -> None:
        if isinstance(event, FeedBaselined):
            self._baselined.add(event.feed)
        else:
            self._known.apply(event)

    def _consumer(self, name: str) -> Consumer:
        return self._consumers.get(name, Consumer(name))

    def _remember(self, consumer: Consumer, progress: Progress) -> None:
        self._consumers[consumer.name] = consumer
        self._progress[consumer.name.removeprefix(NAME)] = progress


def _detail(reading: Reading, *, baseline: bool) -> str:
    """What there is to say of a reading, in words for the operator."""
    # A baseline may well be longer; afterwards, it is news that is not read.
    over = reading.next and not (baseline or reading.cut_short)
    goes_on = "its news goes on beyond the pages that were read" if over else ""
    return "; ".join(filter(None, (reading.problem, *reading.warnings, goes_on)))


async def whole(
    feed: Feed, document: Document, first: Reading, fetcher: Fetch, parser: Parse, ends: Callable[[Reading], bool]
) -> Reading:
    """
    A document with its further pages, as far as its feed's declaration allows: until one that `ends`, is empty, or
    holds nothing but what came before. Pages at another host are not asked for.

    Where a page cannot be read, what came before counts, and the whole is called cut short. `next` of the reading is
    the page that was left out, "" where none was.
    """
    if feed.shape is None or feed.shape.paging is None:
        return first
    entries, page, asked = dict.fromkeys(first.entries), first, {document.url}
    known = Validators(body_hash=document.validators.body_hash)
    for number in range(2, feed.shape.paging.pages + 1):
        if _goes_nowhere(page, asked, document) or ends(page):
            return _joined(first, entries)
        asked.add(page.next)
        try:
            answer = await fetcher.fetch(at(page.next, feed), known)
            if isinstance(answer, Unchanged):
                return _joined(first, entries)
            following = await parser.parse(answer, feed)
        except (TryLater, Refused) as failure:
            problem = f"page {number} could not be read: {failure}"
            return _joined(first, entries, problem=problem, cut_short=True, next=page.next)
        if entries.keys() >= set(following.entries):
            return _joined(first, entries)
        if len(entries) + len(following.entries) > ITEMS:
            break
        entries |= dict.fromkeys(following.entries)
        page = following
    over = not _goes_nowhere(page, asked, document) and not ends(page)
    return _joined(first, entries, next=page.next if over else "")


def _goes_nowhere(page: Reading, asked: Collection[str], document: Document) -> bool:
    return not page.next or page.next in asked or not same_host(page.next, document.url)


def _joined(first: Reading, entries: Iterable[Entry], **more: Any) -> Reading:
    return msgspec.structs.replace(first, **{"entries": tuple(entries), "next": "", **more})
