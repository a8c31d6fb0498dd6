"""Does a poll record all that is new, once, together with what it asks with next time?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.errors import LogFull, Refused, TryLater
from notifier.eventlog.log import EventLog
from notifier.eventlog.memory import MemoryLog
from notifier.events.feeds import FeedBaselined, FeedHealthChanged, FeedMoved
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.feeds.backfill import BACKFILL
from notifier.feeds.catalogue import catalogue
from notifier.feeds.feed import Document, Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.fetch import Fetcher
from notifier.feeds.habit import UNKNOWN
from notifier.feeds.rounds import PollResult
from notifier.feeds.shape import JsonShape, Paging
from notifier.guard import networks
from notifier.steps.poll import Poller
from tests.builders import (
    COMMERCE,
    NOON,
    ON_ANY_LOG,
    USTR,
    Clock,
    FailingLog,
    LogIn,
    Publisher,
    entry,
    events,
    recorded,
)
from tests.feeds.servers import answer, serving


class Desk:
    """A poller on a log, what its feeds show, and the clock of both."""

    def __init__(self, log: EventLog | None = None) -> None:
        self.clock = Clock()
        self.log = log or FailingLog(self.clock)
        self.publisher = Publisher()
        self.poller = Poller(self.log, self.publisher, self.publisher, self.clock)

    async def poll(self, *entries: Entry, feed: Feed = COMMERCE, **shown: object) -> PollResult:
        """One poll, five minutes after the last, of a feed that shows these entries."""
        self.publisher.shows(*entries, feed=feed, **shown)
        return await self.again(feed)

    async def again(self, feed: Feed = COMMERCE) -> PollResult:
        """One poll more, of whatever is there."""
        self.clock.advance(300)
        return await self.poller.poll(feed)

    async def restart(self) -> None:
        """All is forgotten but the log."""
        self.poller = Poller(self.log, self.publisher, self.publisher, self.clock)
        await self.poller.catch_up()

    async def titles(self) -> list[tuple[str, str]]:
        """What was published and may alert: feed and title, in the order of the log."""
        published = await events(self.log, StatementPublished)
        return [(each.statement.feed, each.statement.title) for each in published if not each.muted_because]


async def baselined(*feeds: Feed, log: EventLog | None = None) -> Desk:
    """A desk whose feeds have been read once, with one old entry each."""
    desk = Desk(log)
    for feed in feeds or (COMMERCE,):
        await desk.poll(entry("0", "An old statement"), feed=feed)
    return desk


def many(count: int, words: str = "") -> list[Entry]:
    """Entries, the newest first as feeds list them."""
    return [entry(str(n), f"Statement {n}", text=words) for n in reversed(range(1, count + 1))]


# ---------------------------------------------------------------- what is new


async def test_a_first_poll_is_a_baseline() -> None:
    """All entries are recorded, oldest first, and alert nobody; one event marks the end of the baseline."""
    desk = Desk()

    poll = await desk.poll(entry("2", "Newer"), entry("1", "Older"))

    published = await events(desk.log, StatementPublished)
    assert [(each.statement.title, each.muted_because) for each in published] == [
        ("Older", "baseline"),
        ("Newer", "baseline"),
    ]
    assert await events(desk.log, FeedBaselined) == [FeedBaselined(feed="us-commerce", entries=2)]
    assert (poll.baseline, poll.outcome, poll.published) == (True, "ok", 2)


async def test_what_a_later_poll_adds_is_news() -> None:
    """It is published once, alone, and may alert; the baseline is not repeated."""
    desk = await baselined()

    poll = await desk.poll(entry("1"), entry("0", "An old statement"))

    assert await desk.titles() == [("us-commerce", "Commerce suspends special status")]
    assert len(await events(desk.log, FeedBaselined)) == 1
    assert (poll.baseline, poll.published, poll.revised) == (False, 1, 0)


async def test_changed_words_are_a_revision() -> None:
    """It names the wording that it replaces, and is not a second publication."""
    desk = await baselined()
    before = (await events(desk.log, StatementPublished))[0].statement

    poll = await desk.poll(entry("0", "An old statement, corrected"))

    (revised,) = await events(desk.log, StatementRevised)
    assert (revised.statement.id, revised.replaces, revised.muted_because) == (before.id, before.fingerprint, "")
    assert (poll.published, poll.revised) == (0, 1)


async def test_an_empty_first_document_is_a_baseline_too() -> None:
    """Some publishers empty their feeds between sessions: what comes next is news."""
    desk = Desk()
    await desk.poll()

    poll = await desk.poll(entry("1"))

    assert len(await desk.titles()) == poll.published == 1


async def test_an_unchanged_poll_writes_nothing() -> None:
    """The log stays where it is, and so does what a restart begins with."""
    desk = await baselined()
    await desk.poll(entry("1"), etag='"1"')
    before = await desk.log.head(), await desk.log.consumers("poll/")

    polls = [await desk.again() for _ in range(3)]

    assert [poll.outcome for poll in polls] == ["unchanged"] * 3
    assert (await desk.log.head(), await desk.log.consumers("poll/")) == before


class Reader(Publisher):
    """Counts what it is given to read."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    async def parse(self, document: Document, feed: Feed) -> Reading:
        self.given += 1
        return Reading(entries=(entry(),))


@pytest.mark.parametrize(
    "second", [answer(200, b"<rss/>"), answer(304), answer(200, b"<rss/>", ETag='"2"')], ids=["as it was", "304", "tag"]
)
async def test_an_unchanged_body_never_reaches_the_parser(second: bytes) -> None:
    """Either the server says so, or it sends the same bytes again, under any tag."""
    reader, clock = Reader(), Clock()
    async with serving({"/feed": [answer(200, b"<rss/>", ETag='"1"'), second]}) as server:
        fetcher = Fetcher(networks(["127.0.0.0/8"]))
        poller = Poller(MemoryLog(clock), fetcher, reader, clock)
        polls = [await poller.poll(server.feed()) for _ in range(3)]
        await fetcher.close()

    assert [poll.outcome for poll in polls] == ["ok", "unchanged", "unchanged"]
    assert reader.given == 1


async def test_the_hub_of_a_feed_is_remembered() -> None:
    """Through unchanged polls and a restart; without a topic, the feed's own address is the topic."""
    desk = Desk()
    desk.publisher.shows(entry("1"), etag='"1"', hub="https://hub.example/")
    first = await desk.again()
    await desk.restart()
    unchanged = await desk.again()
    gone = await desk.poll(entry("1"), etag='"2"')

    assert [(poll.outcome, poll.hub, poll.topic) for poll in (first, unchanged)] == [
        ("ok", "https://hub.example/", COMMERCE.url),
        ("unchanged", "https://hub.example/", COMMERCE.url),
    ]
    assert gone.hub == ""


async def test_a_document_served_anew_adds_no_event() -> None:
    """Many servers know no validators: the same entries in a new document are nothing new."""
    desk = await baselined()
    head = await desk.log.head()

    poll = await desk.poll(entry("0", "An old statement"))

    assert (poll.outcome, poll.published, await desk.log.head()) == ("ok", 0, head)


async def test_feeds_of_equal_entries_do_not_disturb_each_other() -> None:
    """The same words from two ministries are two statements, each of its own feed."""
    desk = await baselined(COMMERCE, USTR)

    await desk.poll(entry("1", "Joint statement"), feed=COMMERCE)
    await desk.poll(entry("1", "Joint statement"), feed=USTR)

    assert await desk.titles() == [("us-commerce", "Joint statement"), ("us-ustr", "Joint statement")]
    ids = {each.statement.id for each in await events(desk.log, StatementPublished)}
    assert len(ids) == 4


async def test_a_baseline_of_one_feed_is_none_of_another() -> None:
    """A feed that is added later starts quietly, while the others go on."""
    desk = await baselined(COMMERCE)

    poll = await desk.poll(entry("1"), feed=USTR)

    assert poll.baseline
    assert await desk.titles() == []


# ---------------------------------------------------------------- what is taken back


async def test_what_its_feed_deleted_is_withdrawn_once() -> None:
    """With its last words and their event, however long the feed goes on saying so, and over a restart."""
    desk = await baselined()
    await desk.poll(entry("1"), entry("2"))
    (told,) = [
        each for each in await recorded(desk.log, StatementPublished) if each.event.statement.link.endswith("/1")
    ]

    for _ in range(2):
        await desk.poll(entry("2"), deleted=("1", "never-seen"))
        await desk.restart()
    await desk.poll(entry("2"), deleted=("1",))

    (gone,) = await events(desk.log, StatementWithdrawn)
    assert (gone.statement, gone.revises) == (told.event.statement, told.id)
    assert gone.reason == "its feed says that it was deleted"


async def test_what_comes_back_can_be_taken_back_again() -> None:
    """Published again in other words, it can be withdrawn a second time."""
    desk = await baselined()
    await desk.poll(entry("1"))
    await desk.poll(deleted=("1",))
    await desk.poll(entry("1", "Commerce suspends special status, again"))
    await desk.poll(deleted=("1",))

    assert len(await events(desk.log, StatementWithdrawn)) == 2


async def test_a_name_that_its_feed_does_not_go_by_takes_nothing_back() -> None:
    """If the link identifies the statement, a deleted guid means nothing."""
    by_link = msgspec.structs.replace(COMMERCE, identity="link")
    desk = await baselined(by_link)
    await desk.poll(entry("1"), feed=by_link)

    await desk.poll(feed=by_link, deleted=("1",))

    assert await events(desk.log, StatementWithdrawn) == []


# ---------------------------------------------------------------- what we ask with


async def test_validators_are_sent_next_time() -> None:
    """First none, then what came with the document."""
    desk = Desk()
    await desk.poll(entry(), etag='"1"')

    await desk.again()

    assert [asked.etag for asked in desk.publisher.asked] == ["", '"1"']


async def test_validators_outlive_a_restart() -> None:
    """They stand in the log beside the entries that they cover."""
    desk = Desk()
    await desk.poll(entry(), etag='"1"')
    await desk.restart()

    poll = await desk.again()

    assert (desk.publisher.asked[-1].etag, poll.outcome) == ('"1"', "unchanged")


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_entries_and_validators_are_stored_together(failure: str, restarted: bool) -> None:
    """Whether the log fails before it stored a poll or after: nothing is lost, and nothing is there twice."""
    desk = await baselined()
    desk.log.failures = [failure]
    with pytest.raises(LogFull):
        await desk.poll(entry("1"), etag='"1"')

    if restarted:
        await desk.restart()
    await desk.again()
    await desk.again()

    assert [asked.etag for asked in desk.publisher.asked[2:]] == (
        ["", '"1"'] if failure == "before" else ['"1"', '"1"']
    )
    assert len(await desk.titles()) == 1
    assert len(await events(desk.log, FeedHealthChanged)) == 1


async def test_another_address_is_asked_without_old_validators() -> None:
    """An operator who gives a feed a new address gets what is there, even where its validators look alike."""
    desk = Desk()
    await desk.poll(entry("0"), etag='"1"')
    elsewhere = msgspec.structs.replace(COMMERCE, url="https://www.commerce.example/news.xml")

    poll = await desk.poll(entry("1", "Only at the new address"), feed=elsewhere, etag='"1"')

    assert (desk.publisher.asked[-1].etag, poll.published) == ("", 1)
    await desk.again(elsewhere)
    assert desk.publisher.asked[-1].etag == '"1"'


# ---------------------------------------------------------------- documents that are not whole


async def test_a_cut_short_document_is_asked_for_again() -> None:
    """Its good entries count, its validators do not: the rest would never be asked for."""
    desk = await baselined()
    await desk.poll(entry("2", "Newest"), entry("1", "Half", whole=False), etag='"2"', cut_short=True)

    await desk.poll(entry("2", "Newest"), entry("1", "Whole now"), etag='"2"')

    assert [asked.etag for asked in desk.publisher.asked] == ["", "", ""]
    assert [title for _, title in await desk.titles()] == ["Newest", "Whole now"]


async def test_a_cut_short_document_does_not_end_the_baseline() -> None:
    """What the whole of it shows later is as old as the rest, and alerts nobody."""
    desk = Desk()
    first = await desk.poll(entry("2", "Newest"), cut_short=True)

    second = await desk.poll(entry("2", "Newest"), entry("1", "Behind the cut"))

    assert (first.baseline, second.baseline, await desk.titles()) == (True, True, [])
    assert len(await events(desk.log, FeedBaselined)) == 1
    assert len(await events(desk.log, StatementPublished)) == 2


# ---------------------------------------------------------------- how the feed is doing


@pytest.mark.parametrize(
    "failure",
    [
        TryLater("no answer", outcome="unreachable"),
        Refused("it answered 403", outcome="blocked"),
        Refused("it answered 410", outcome="retired"),
    ],
    ids=lambda failure: failure.outcome,
)
async def test_a_failure_is_told_once_and_is_no_news(failure: TryLater | Refused) -> None:
    """The first such poll is an event with its reason, the next ones are none, and what is asked next is unchanged."""
    desk = await baselined()
    await desk.poll(entry("1"), etag='"1"')
    desk.publisher.fails(failure)

    polls = [await desk.again() for _ in range(3)]

    *_, change = await events(desk.log, FeedHealthChanged)
    assert (change.before, change.outcome, change.detail) == ("ok", failure.outcome, str(failure))
    assert len(await events(desk.log, FeedHealthChanged)) == 2
    assert {poll.outcome for poll in polls} == {failure.outcome}
    assert desk.publisher.asked[-1].etag == '"1"'


async def test_what_is_no_feed_is_not_no_news() -> None:
    """A login page in place of a feed is a change of health, and its validators are not kept."""
    desk = await baselined()

    poll = await desk.poll(etag='"login"', refused=Refused("a web page, not a feed", outcome="not-a-feed"))

    assert poll.outcome == "not-a-feed"
    assert [each.outcome for each in await events(desk.log, FeedHealthChanged)] == ["ok", "not-a-feed"]
    await desk.again()
    assert desk.publisher.asked[-1].etag == ""


async def test_a_failing_first_poll_is_no_baseline() -> None:
    """What a feed shows when it can first be read is the baseline."""
    desk = Desk()
    desk.publisher.fails(TryLater("no answer", outcome="unreachable"))
    await desk.again()

    poll = await desk.poll(entry())

    assert poll.baseline
    assert await desk.titles() == []


@pytest.mark.parametrize("unchanged", [True, False], ids=["unchanged", "read anew"])
async def test_a_recovery_is_told(unchanged: bool) -> None:
    """Also where the first answer after a failure is that nothing is new."""
    desk = await baselined()
    await desk.poll(entry("1"), etag='"1"')
    desk.publisher.fails(TryLater("no answer", outcome="unreachable"))
    await desk.again()
    await desk.restart()

    await desk.poll(entry("1"), etag='"1"' if unchanged else '"2"')

    changes = await events(desk.log, FeedHealthChanged)
    assert [(each.before, each.outcome) for each in changes] == [
        ("", "ok"),
        ("ok", "unreachable"),
        ("unreachable", "ok"),
    ]


async def test_a_recovery_is_to_what_was_last_read() -> None:
    """A feed that was empty, then cut short, then as before, is empty: nobody has read anything else of it."""
    desk = Desk()
    await desk.poll(etag='"1"')
    await desk.poll(entry("1"), cut_short=True)

    await desk.poll(etag='"1"')

    assert [each.outcome for each in await events(desk.log, FeedHealthChanged)] == [
        "ok-empty",
        "parse-error",
        "ok-empty",
    ]


async def test_a_server_that_asks_us_to_wait_is_heard() -> None:
    """How long it asked for comes back with the poll."""
    desk = Desk()
    desk.publisher.fails(TryLater("it answered 429", outcome="throttled", after=120))

    assert (await desk.again()).after == 120


async def test_a_move_is_told_once() -> None:
    """A permanent redirect is one event, however often it is followed, also after a restart."""
    desk = await baselined()
    there = "https://www.commerce.example/news.xml"

    await desk.poll(entry("0", "An old statement"), moved_to=there, etag='"1"')
    seen_at = desk.clock.now
    await desk.again()
    await desk.restart()
    await desk.again()
    await desk.poll(entry("0", "An old statement"), moved_to=there)

    moved = FeedMoved(feed="us-commerce", url=there, url_before=COMMERCE.url, moved_at=seen_at)
    assert await events(desk.log, FeedMoved) == [moved]


async def test_a_move_that_was_taken_back_and_made_again_is_told_again() -> None:
    """There, to another place, and there once more: three moves, and each has its place in the log."""
    desk = await baselined()
    places = ["https://one.example/", "https://two.example/", "https://one.example/", "", "https://one.example/"]

    for place in places:
        await desk.poll(entry("0", "An old statement"), moved_to=place)

    moved = await events(desk.log, FeedMoved)
    assert [event.url for event in moved] == [place for place in places if place]
    assert len({event.id for event in moved}) == 4


# ---------------------------------------------------------------- pages

LISTED = Feed(
    id="us-register",
    url="https://register.example/documents",
    issuer="Federal Register",
    kind="json",
    json=JsonShape(entries="results", title="title", paging=Paging(next="next", pages=3)),
)


def page(number: int, host: str = "https://register.example") -> str:
    return f"{host}/documents?page={number}" if number > 1 else LISTED.url


def lists(desk: Desk, *pages: Sequence[Entry] | Exception, etag: str = "", last_leads_to: str = "") -> None:
    """From now on the register has these pages, each with a link to the next."""
    for number, shown in enumerate(pages, 1):
        feed = msgspec.structs.replace(LISTED, url=page(number))
        if isinstance(shown, Exception):
            desk.publisher.fails(shown, feed)
        else:
            following = page(number + 1) if number < len(pages) else last_leads_to
            desk.publisher.shows(*shown, feed=feed, next=following, etag=etag if number == 1 else "")
    desk.publisher.asked.clear()
    desk.publisher.asked_at.clear()


async def listed(*pages: Sequence[Entry] | Exception, known: Sequence[Entry] = ()) -> Desk:
    """A desk that has read a register of one page, and now faces these."""
    desk = Desk()
    lists(desk, known or [entry("0", "An old statement")])
    await desk.again(LISTED)
    lists(desk, *pages)
    return desk


async def titles(desk: Desk) -> list[str]:
    return [title for _, title in await desk.titles()]


async def test_news_on_further_pages_is_news() -> None:
    """One page after the other is read, and all of it recorded, oldest first."""
    old = entry("0", "An old statement")
    desk = await listed([entry("3", "C")], [entry("2", "B")], [entry("1", "A"), old])

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published, poll.detail) == ("ok", 3, "")
    assert await titles(desk) == ["A", "B", "C"]
    assert desk.publisher.asked_at == [page(1), page(2), page(3)]


async def test_a_page_of_what_is_known_is_the_last() -> None:
    """Nothing is asked of a publisher that we hold already."""
    old = entry("0", "An old statement")
    desk = await listed([old], [entry("1", "Older still")])
    await desk.again(LISTED)
    only_first = list(desk.publisher.asked_at)
    lists(desk, [entry("2", "New")], [old], [entry("1", "Older still")])

    await desk.again(LISTED)

    assert only_first == [page(1)]
    assert desk.publisher.asked_at == [page(1), page(2)]
    assert await titles(desk) == ["New"]


@pytest.mark.parametrize(
    "second", [[entry("2", "B"), entry("1", "A")], [entry("1", "A")], []], ids=["the same", "a part", "empty"]
)
async def test_a_page_that_repeats_or_is_empty_is_the_last(second: Sequence[Entry]) -> None:
    """Some servers answer every page with the first."""
    desk = await listed([entry("2", "B"), entry("1", "A")], second, [entry("0", "Never")])

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published, poll.detail) == ("ok", 2, "")
    assert desk.publisher.asked_at == [page(1), page(2)]


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example/documents?page=2", "http://register.example/documents?page=2", page(1)]
)
async def test_pages_elsewhere_are_not_asked_for(address: str) -> None:
    """Neither at another host, nor in the clear, nor where we have been."""
    desk = Desk()
    lists(desk, [entry("1", "A")], last_leads_to=address)

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published) == ("ok", 1)
    assert desk.publisher.asked_at == [page(1)]


async def test_no_more_pages_are_read_than_the_operator_allows() -> None:
    """If there is more news, the operator learns of it; a longer baseline is expected."""
    desk = Desk()
    lists(desk, *([entry(str(n), f"Statement {n}")] for n in range(9)))
    first = await desk.again(LISTED)
    lists(
        desk, [entry("20", "News 20"), entry("0", "Statement 0")], *([entry(str(n), "Missed")] for n in range(30, 39))
    )

    second = await desk.again(LISTED)

    assert (first.published, first.detail) == (3, "")
    assert (second.published, second.detail) == (3, "it has more news than the pages that were read")
    assert desk.publisher.asked_at == [page(1), page(2), page(3)]


# ---------------------------------------------------------------- gaps and silences


async def windowed(*before: Entry, feed: Feed = COMMERCE) -> Desk:
    """A desk that has read a feed which shows two entries at least."""
    desk = Desk()
    await desk.poll(*(before or (entry("2", "B"), entry("1", "A"))), feed=feed)
    return desk


async def healths(desk: Desk) -> list[tuple[str, str]]:
    return [(each.outcome, each.detail) for each in await events(desk.log, FeedHealthChanged)]


async def test_a_window_without_overlap_is_a_gap() -> None:
    """Its entries are recorded as usual; the gap is reported once, and over with the next poll."""
    desk = await windowed()

    poll = await desk.poll(entry("9", "Y"), entry("8", "X"))
    again = await desk.poll(entry("10", "Z"), entry("9", "Y"))

    assert (poll.outcome, poll.before, poll.published, again.outcome) == ("gap", "ok", 2, "ok")
    assert "something may have been published" in poll.detail
    assert await healths(desk) == [("ok", ""), ("gap", poll.detail), ("ok", "")]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_a_window_is_remembered(restarted: bool) -> None:
    """Through unchanged polls, failing ones, and a restart."""
    desk = await windowed()
    await desk.again()
    desk.publisher.fails(TryLater("no answer", outcome="unreachable"))
    await desk.again()
    if restarted:
        await desk.restart()

    assert (await desk.poll(entry("9", "Y"), entry("8", "X"))).outcome == "gap"


async def test_a_gap_does_not_last_through_unchanged_polls() -> None:
    """An unchanged poll is not a second gap."""
    desk = await windowed()
    await desk.poll(entry("9", "Y"), entry("8", "X"), etag='"9"')

    assert (await desk.again()).outcome == "unchanged"
    assert [outcome for outcome, _ in await healths(desk)] == ["ok", "gap", "ok"]


async def test_a_gap_is_filled_from_further_pages() -> None:
    """More than a poll reads else, back to the first page that holds what we know; oldest first in the log."""
    known = [entry("1", "Known 1"), entry("0", "Known 0")]
    desk = await listed(*([entry(str(n), f"News {n}")] for n in range(19, 9, -1)), known, [entry("x")], known=known)

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published) == ("gap", 10)
    assert poll.detail == "no entry of the last poll is left; 7 more were found further back"
    assert await titles(desk) == [f"News {n}" for n in range(10, 20)]
    assert desk.publisher.asked_at == [page(number) for number in range(1, 12)]


async def test_an_archive_that_ends_before_the_overlap_is_told() -> None:
    """All of it is read, and may not be all."""
    desk = await listed(*([entry(str(n), f"News {n}")] for n in range(19, 9, -1)), known=many(2))

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published) == ("gap", 10)
    assert poll.detail.endswith("7 more were found further back, which may not be all that was published in between")


async def test_an_archive_has_an_end_for_us() -> None:
    """Fifty pages behind those of a poll are read, and no more."""
    desk = await listed(*([entry(str(n), f"News {n}")] for n in range(100, 200)), known=many(2))

    poll = await desk.again(LISTED)

    assert poll.published == len(desk.publisher.asked_at) == 3 + BACKFILL


async def test_a_page_of_the_archive_that_fails_is_read_by_the_next_poll() -> None:
    """What was read counts, and the rest is not called read."""
    failure = TryLater("no answer", outcome="unreachable")
    old = many(2)
    pages = [[entry(str(n), f"News {n}")] for n in range(19, 13, -1)]
    desk = await listed(*pages[:4], failure, known=old)
    first = await desk.again(LISTED)
    lists(desk, pages[0], *pages[4:], old)

    second = await desk.again(LISTED)

    assert (first.outcome, first.published, second.published) == ("gap", 4, 2)
    assert "page 2 could not be read" in first.detail


REGISTER = Feed(
    id="us-rules",
    url="https://register.example/rules.rss",
    issuer="Federal Register",
    archive="us-fr-documents-json",
)
ARCHIVE = catalogue()["us-fr-documents-json"].feed(300)


async def test_a_gap_is_filled_from_the_feeds_archive() -> None:
    """By the addresses of pages: under other ids and in other words the archive has the statements of the feed."""
    desk = await windowed(ruled(2), ruled(1), feed=REGISTER)
    desk.publisher.shows(*(ruled(n, archived=True) for n in range(7, -1, -1)), feed=ARCHIVE)

    poll = await desk.poll(ruled(7), ruled(6), feed=REGISTER)
    window = [ruled(n) for n in (7, 6)]
    again = await desk.poll(ruled(8), *window, feed=REGISTER)

    assert (poll.outcome, poll.published, poll.revised) == ("gap", 5, 0)
    assert await titles(desk) == ["Archived 3", "Archived 4", "Archived 5", "Rule 6", "Rule 7", "Rule 8"]
    assert {each.statement.feed for each in await events(desk.log, StatementPublished)} == {"us-rules"}
    assert (again.outcome, again.published, again.revised) == ("ok", 1, 0)


@pytest.mark.parametrize(
    ("shown", "is_whole"),
    [((7, 6, 5, 4, 3, 2, 1), True), ((7, 6, 5, 4, 3), False), ((7, 6), False), ((), False)],
    ids=["back to what we know", "not so far", "no more than the feed", "nothing"],
)
async def test_a_gap_is_called_filled_only_where_the_archive_leads_back_to_what_we_know(
    shown: tuple[int, ...], is_whole: bool
) -> None:
    """An archive that ends before that may miss something too, and the operator learns of it."""
    desk = await windowed(ruled(2), ruled(1), feed=REGISTER)
    desk.publisher.shows(*(ruled(n, archived=True) for n in shown), feed=ARCHIVE)

    poll = await desk.poll(ruled(7), ruled(6), feed=REGISTER)

    more = len({5, 4, 3} & {*shown})
    assert poll.published == 2 + more
    assert f"; {more} more were found further back" in poll.detail
    assert ("which may not be all that was published in between" in poll.detail) is not is_whole


async def test_an_archive_that_fails_costs_nothing_of_the_feed() -> None:
    """Its own news is recorded, and the operator hears that there may have been more."""
    desk = await windowed(ruled(2), ruled(1), feed=REGISTER)
    desk.publisher.fails(TryLater("no answer", outcome="unreachable"), ARCHIVE)

    poll = await desk.poll(ruled(7), ruled(6), feed=REGISTER)

    assert (poll.outcome, poll.published) == ("gap", 2)
    assert "could not be read: no answer" in poll.detail


def ruled(number: int, *, archived: bool = False) -> Entry:
    """A rule as the feed shows it, named by its address, or as its archive does, by its number."""
    link = f"https://register.example/rules/{number}"
    return entry(str(number) if archived else link, f"{'Archived' if archived else 'Rule'} {number}", link=link)


SILENT = [entry(str(n), f"Statement {n}", published=NOON - timedelta(days=400 + n)) for n in range(6)]


@pytest.mark.parametrize("etag", ["", '"1"'], ids=["served anew", "304"])
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_a_feed_that_falls_silent_is_stale(etag: str, restarted: bool) -> None:
    """Not on its first day, and once, with the day of its newest statement; news ends it."""
    desk = Desk()
    first = await desk.poll(*SILENT, etag=etag)
    same = await desk.again()
    desk.clock.advance(86_400)
    if restarted:
        await desk.restart()
    stale = [await desk.again(), await desk.again()]
    fresh = await desk.poll(entry("7", "A word", published=desk.clock.now), *SILENT, etag='"2"')

    assert (first.outcome, same.outcome in {"ok", "unchanged"}) == ("ok", True)
    assert [(poll.outcome, poll.detail) for poll in stale] == [("stale", "nothing newer than 2019-05-26")] * 2
    assert (fresh.outcome, fresh.before) == ("ok", "stale")
    assert [outcome for outcome, _ in await healths(desk)] == ["ok", "stale", "ok"]


async def test_a_feed_without_dates_is_known_by_when_its_news_came() -> None:
    """After a year without any."""
    desk = await windowed(entry("1", "A", published=None), entry("0", "B", published=None))
    await desk.poll(entry("2", "C", published=None), entry("1", "A", published=None))
    desk.clock.advance(360 * 86_400)
    before = await desk.again()
    desk.clock.advance(6 * 86_400)

    assert (before.outcome, (await desk.again()).outcome) == ("ok", "stale")


async def test_a_feed_that_is_empty_between_sessions_is_not_stale() -> None:
    """However long."""
    desk = Desk()
    await desk.poll()
    desk.clock.advance(1000 * 86_400)

    assert (await desk.again()).outcome == "ok-empty"


async def test_when_a_feed_speaks_is_learned_from_the_log() -> None:
    """While it runs and after a restart alike; its baseline is not news."""
    desk = await baselined()
    for day in range(6):
        desk.clock.advance(86_400 - 300)
        await desk.poll(entry(str(10 + day), f"Statement of day {day}"), entry("0", "An old statement"))
    learned = desk.poller.habit(COMMERCE)
    await desk.restart()

    assert learned.slots == (12 * 60 + 5,)
    assert desk.poller.habit(COMMERCE) == learned
    assert desk.poller.habit(USTR) == UNKNOWN


async def test_only_the_first_page_is_asked_for_with_validators() -> None:
    """They are its own; 304 to it ends the poll."""
    desk = Desk()
    lists(desk, [entry("2", "B")], [entry("1", "A")], etag='"1"')
    await desk.again(LISTED)
    await desk.again(LISTED)
    lists(desk, [entry("3", "C")], [entry("2", "B")], etag='"2"')

    await desk.again(LISTED)

    assert [asked.etag for asked in desk.publisher.asked] == ['"1"', ""]


async def test_an_operator_s_headers_stay_with_the_host_that_he_named() -> None:
    """A feed that has moved is paged at its new host, without the key."""
    keyed = msgspec.structs.replace(LISTED, headers={"X-Api-Key": "k"})
    stays, moves = Keyed(), Keyed("https://new.example/documents")
    for publisher, host in ((stays, "https://register.example"), (moves, "https://new.example")):
        publisher.shows(entry("2", "B"), feed=keyed, next=page(2, host))
        publisher.shows(entry("1", "A"), feed=msgspec.structs.replace(keyed, url=page(2, host)))

    polls = [await Poller(FailingLog(Clock()), each, each, Clock()).poll(keyed) for each in (stays, moves)]

    assert [poll.published for poll in polls] == [2, 2]
    assert stays.headers == [{"X-Api-Key": "k"}, {"X-Api-Key": "k"}]
    assert moves.headers == [{"X-Api-Key": "k"}, {}]


class Keyed(Publisher):
    """Remembers the headers that each request came with; its documents may have moved."""

    def __init__(self, moved_to: str = "") -> None:
        super().__init__()
        self.headers: list[dict[str, str]] = []
        self._moved_to = moved_to

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        self.headers.append(feed.headers)
        served = await super().fetch(feed, known)
        moved = isinstance(served, Document) and self._moved_to and feed.url == LISTED.url
        return msgspec.structs.replace(served, url=self._moved_to) if moved else served


FAILURES = [
    TryLater("no answer", outcome="unreachable"),
    Refused("it answered 403", outcome="blocked"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.outcome)
async def test_a_page_that_cannot_be_read_takes_nothing_from_the_first(failure: TryLater | Refused) -> None:
    """The pages before it are recorded; the reading is not called whole, and names the missing page."""
    desk = await listed([entry("2", "B")], failure)

    poll = await desk.again(LISTED)

    assert (poll.outcome, poll.published) == ("parse-error", 1)
    assert poll.detail == f"page 2 could not be read: {failure}"


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
async def test_a_missed_page_is_read_although_the_first_is_known(restarted: bool) -> None:
    """What was behind it is news still, once; the first page is asked for in full until then."""
    desk = await listed([entry("2", "B")], FAILURES[0])
    lists(desk, [entry("2", "B")], FAILURES[0], etag='"1"')
    await desk.again(LISTED)
    await desk.again(LISTED)
    if restarted:
        await desk.restart()
    lists(desk, [entry("2", "B")], [entry("1", "A")], etag='"1"')

    polls = [await desk.again(LISTED) for _ in range(2)]

    assert [(poll.outcome, poll.published) for poll in polls] == [("ok", 1), ("unchanged", 0)]
    assert await titles(desk) == ["B", "A"]
    assert desk.publisher.asked[0].etag == ""


async def test_a_missed_page_does_not_end_the_baseline() -> None:
    """Its entries are not news when they appear at last."""
    desk = Desk()
    lists(desk, [entry("2", "B")], FAILURES[0])
    await desk.again(LISTED)
    lists(desk, [entry("2", "B")], [entry("1", "A")])

    poll = await desk.again(LISTED)

    assert (poll.baseline, poll.outcome) == (True, "ok")
    assert await titles(desk) == []


# ---------------------------------------------------------------- a lot at once


async def test_long_words_travel_as_a_blob() -> None:
    """The event stays small, and the words can be put back in place."""
    desk = await baselined()
    words = "export licence " * 4_000

    await desk.poll(entry("1", summary="In short. " * 100, text=words))

    statement = (await events(desk.log, StatementPublished))[-1].statement
    assert (statement.text, len(statement.summary)) == ("", 500)
    whole = statement.attached(await desk.log.blob(statement.text_blob))
    assert (whole.text, whole.summary) == (words, "In short. " * 100)


async def test_long_words_are_not_news_again() -> None:
    """What travelled as a blob is known by its words like any other."""
    desk = await baselined()
    long = entry("1", text="export licence " * 4_000)
    await desk.poll(long)
    head = await desk.log.head()
    await desk.restart()

    poll = await desk.poll(long)

    assert (poll.published, poll.revised, await desk.log.head()) == (0, 0, head)


@pytest.mark.parametrize(
    "letter", ['"', "\\", "\n\n-", "🚢", "香"], ids=["quote", "backslash", "lines", "emoji", "Han"]
)
async def test_no_entry_is_too_large_for_the_log(letter: str) -> None:
    """The most that a reader lets through, in letters that take the most room, is recorded."""
    desk = await baselined()
    names = tuple(f"{n}{letter * 200}"[:200] for n in range(20))
    body = 24 * 1024 // (2 * len(letter.encode())) - 10

    await desk.poll(
        entry("1", letter * 1_000, summary=letter * body, text=f"x{letter * body}", authors=names, tags=names)
    )

    assert len(await desk.titles()) == 1


async def test_many_entries_go_in_several_batches() -> None:
    """A document of more entries than an append takes is recorded whole and in order."""
    desk = await baselined()

    poll = await desk.poll(*many(1_200))

    assert poll.published == 1_200
    assert [title for _, title in await desk.titles()] == [f"Statement {n}" for n in range(1, 1_201)]


async def test_large_entries_go_in_several_batches() -> None:
    """Where bytes and not numbers are the limit, too: names and tags count as words do."""
    desk = await baselined()
    tags = tuple(f"{n:02}" + "🚢" * 198 for n in range(20))

    poll = await desk.poll(*(msgspec.structs.replace(each, tags=tags) for each in many(400, "Han 香" * 500)))

    assert poll.published == len(await desk.titles()) == 400


@pytest.mark.parametrize("failures", [["before"], ["after"], ["", "before"], ["", "after"], ["", "", "after"]], ids=str)
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_crash_between_batches_loses_nothing_and_repeats_nothing(failures: list[str], restarted: bool) -> None:
    """Wherever the log fails, the next poll asks again with the old validators and adds what is missing."""
    desk = await baselined()
    desk.log.failures = [*failures]
    with pytest.raises(LogFull):
        await desk.poll(*many(1_200), etag='"1"')

    if restarted:
        await desk.restart()
    await desk.again()

    assert [title for _, title in await desk.titles()] == [f"Statement {n}" for n in range(1, 1_201)]
    await desk.again()
    assert desk.publisher.asked[-1].etag == '"1"'


async def test_a_crash_within_a_baseline_leaves_it_a_baseline() -> None:
    """What had not been stored alerts nobody afterwards either."""
    desk = Desk()
    desk.log.failures = ["", "before"]
    with pytest.raises(LogFull):
        await desk.poll(*many(700))
    await desk.restart()

    poll = await desk.again()

    assert poll.baseline
    assert len(await events(desk.log, StatementPublished)) == 700
    assert await desk.titles() == []


async def test_one_feed_s_failing_append_is_nothing_to_another() -> None:
    """The other feed's poll is recorded, and both go on from where they are."""
    desk = await baselined(COMMERCE, USTR)
    desk.log.failures = ["after"]
    with pytest.raises(LogFull):
        await desk.poll(entry("1", "Of Commerce"), feed=COMMERCE)

    await desk.poll(entry("1", "Of the USTR"), feed=USTR)
    await desk.again(COMMERCE)
    await desk.poll(entry("2", "Of Commerce again"), feed=COMMERCE)

    assert [title for _, title in await desk.titles()] == ["Of Commerce", "Of the USTR", "Of Commerce again"]


# ---------------------------------------------------------------- restarts


@ON_ANY_LOG
async def test_a_restart_raises_nothing_new(log_in: LogIn, tmp_path: Path) -> None:
    """A poller that read only the log knows what the one knows that wrote it, in the middle of everything."""
    long = entry("2", "A long one", text="export licence " * 4_000)
    async with log_in(tmp_path) as log:
        desk = await baselined(COMMERCE, USTR, log=log)
        await desk.poll(entry("1"), long, etag='"1"')
        await desk.poll(entry("1", "Commerce suspends it, corrected"), long)
        await desk.poll(entry("5", "Half", whole=False), feed=USTR, cut_short=True)
        head = await log.head()
        await desk.restart()

        polls = [
            await desk.poll(entry("1", "Commerce suspends it, corrected"), long),
            await desk.poll(entry("1"), long),
            await desk.poll(entry("5", "Half", whole=False), feed=USTR, cut_short=True),
        ]

        assert [(poll.outcome, poll.published, poll.revised) for poll in polls] == [
            ("ok", 0, 0),
            ("ok", 0, 0),
            ("parse-error", 0, 0),
        ]
        assert await log.head() == head


async def test_catching_up_on_an_empty_log_is_nothing() -> None:
    """The first start of all ends, with everything still to come."""
    desk = Desk()

    await desk.restart()

    assert (await desk.poll(entry())).baseline


async def test_what_is_recorded_says_when_it_was_seen() -> None:
    """By the clock, whatever date the entry bears; an entry of long ago is recorded and alerts nobody."""
    desk = await baselined()

    await desk.poll(entry("1", published=NOON - timedelta(days=31)))

    *_, published = await recorded(desk.log, StatementPublished)
    assert published.event.seen_at == NOON + timedelta(minutes=10)
    assert published.event.muted_because == "over 30 days old"
