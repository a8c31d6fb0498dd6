"""Does everything that is held end in exactly one digest, at its time, and nobody get one that he did not ask for?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import LogFull
from notifier.eventlog.codec import encode
from notifier.eventlog.log import EventLog
from notifier.events.alerts import AlertRaised, DigestRaised, FeedStatus, WatchlistMatched
from notifier.events.feeds import FeedBaselined, FeedHealthChanged
from notifier.events.statements import StatementPublished
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.feeds.feed import Feed
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.digest import FAR, FEEDS, NAME, Digester
from notifier.steps.match import Matcher
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.query import parse
from notifier.watchlists.watchlist import Watchlist
from tests.builders import COMMERCE, NOON, ON_ANY_LOG, USTR, Clock, FailingLog, LogIn, events
from tests.examples import examples

DAILY = Timing(frequency="daily")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EIGHT = datetime(2020, 6, 30, 8, tzinfo=UTC)  # the first moment of a daily digest after NOON
SENT = [""]  # the wait of what is owed at once


def subscriber(
    id: str = "desk",
    timing: Timing = DAILY,
    *channels: str,
    watchlists: Sequence[Watchlist] = (Watchlist("desk", "Exports", parse('"Hong Kong"')),),
) -> Subscriber:
    ways = [Contact(kind, kind, Secret(f"{id}-{kind}@secret.example")) for kind in channels or ("email",)]
    return Subscriber(id=id, name="Export desk", timing=timing, watchlists=tuple(watchlists), channels=tuple(ways))


def published(n: int, words: str = "Hong Kong") -> StatementPublished:
    title = f"Statement {n} on {words}"
    return StatementPublished(
        statement=Statement(
            id=f"us-commerce/{n}",
            feed="us-commerce",
            issuer="US Department of Commerce",
            title=title,
            fingerprint=fingerprint(title),
            published_at=NOON,
        ),
        seen_at=NOON,
    )


class Desk:
    """A digester on a log, its clock, and the subscribers in force."""

    def __init__(self, *subscribers: Subscriber, log: EventLog | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.log = log or FailingLog(self.clock)
        self.feeds: tuple[Feed, ...] = (COMMERCE, USTR)
        self.book = Book()
        self.now_in_force(*(subscribers or (subscriber(),)))
        self.restart()
        self._n = 0

    def now_in_force(self, *subscribers: Subscriber) -> None:
        self.book.subscribers = {who.id: who for who in subscribers}

    def restart(self) -> None:
        """All is forgotten but the log and the files."""
        self.digester = Digester(self.log, self.book, self.feeds, self.clock)

    async def holds(self, wait: str = "daily", to: str = "desk", *channels: str) -> str:
        """The log comes to hold a statement and an alert on it that waits; the alert's id."""
        self._n += 1
        cause = published(self._n)
        alert = AlertRaised(
            cause=cause.id,
            subscriber=to,
            statement_id=cause.statement.id,
            matches=(WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong",)),),
            channels=channels or ("email",),
            waits_for=wait,
        )
        await self.log.append([cause])
        await self.log.append([alert])
        return alert.id

    async def digests(self, at: datetime | None = None) -> list[DigestRaised]:
        """All digests there are, once it was looked for them at this time."""
        self.clock.now = at or self.clock.now
        await self.digester.run()
        return await events(self.log, DigestRaised)


# ---------------------------------------------------------------- when


@ON_ANY_LOG
async def test_what_is_held_is_told_when_its_moment_has_come(log_in: LogIn, tmp_path: Path) -> None:
    """One digest names all alerts in their order, their moment, and up to where they are all; not a second before."""
    clock = Clock()
    async with log_in(tmp_path, clock) as log:
        desk = Desk(subscriber("desk", DAILY, "email", "slack"), log=log, clock=clock)
        held = [await desk.holds() for _ in range(3)]

        before = await desk.digests(EIGHT - timedelta(seconds=1))
        (digest,) = await desk.digests(EIGHT + timedelta(seconds=2))
        again = await desk.digests()

        assert before == []
        assert again == [digest]
        assert digest == DigestRaised(
            subscriber="desk",
            channels=("email", "slack"),
            frequency="daily",
            due_at=EIGHT,
            until=6,
            alerts=tuple(held),
            feeds=digest.feeds,
            feeds_asked=2,
        )


@pytest.mark.parametrize(
    ("timing", "wait", "due_at"),
    [
        (Timing(frequency="hourly"), "hourly", NOON + HOUR),
        (Timing(frequency="weekly", digest_on=2, digest_at=time(9)), "weekly", datetime(2020, 7, 1, 9, tzinfo=UTC)),
        (Timing(frequency="daily", timezone="Asia/Hong_Kong"), "daily", datetime(2020, 6, 30, 0, tzinfo=UTC)),
        (Timing(quiet_from=time(11), quiet_until=time(13, 30)), "quiet hours", NOON + HOUR * 1.5),
        (Timing(), "burst", NOON + timedelta(minutes=10)),
        (Timing(apart=("daily",)), "daily", EIGHT),
    ],
)
async def test_each_wait_has_its_moment(timing: Timing, wait: str, due_at: datetime) -> None:
    """By the subscriber's own clock, and for what it was held for."""
    desk = Desk(subscriber("desk", timing))
    await desk.holds(wait)

    early = await desk.digests(due_at - timedelta(seconds=1))
    (digest,) = await desk.digests(due_at)

    assert early == []
    assert (digest.frequency, digest.due_at) == (wait, due_at)


async def test_what_is_owed_at_once_is_in_no_digest() -> None:
    """It has gone out already."""
    desk = Desk()
    await desk.holds("")

    assert await desk.digests(EIGHT) == []


async def test_everything_that_is_due_is_one_digest() -> None:
    """Of an hourly watchlist, a daily one and a quiet night: at eight he reads one message, over all watchlists."""
    timing = Timing(frequency="daily", apart=("hourly",), quiet_from=time(22), quiet_until=time(8))
    desk = Desk(subscriber("desk", timing))
    desk.clock.now = datetime(2020, 6, 29, 22, 30, tzinfo=UTC)
    held = [await desk.holds(wait) for wait in ("hourly", "daily", "quiet hours", "hourly")]

    at_night = await desk.digests(EIGHT - HOUR)
    (digest,) = await desk.digests(EIGHT)

    assert at_night == []
    assert digest.alerts == tuple(held)
    assert (digest.frequency, digest.due_at) == ("daily", EIGHT)


async def test_what_waits_for_longer_stays() -> None:
    """A daily digest leaves to the weekly one what is its own."""
    desk = Desk(subscriber("desk", Timing(frequency="weekly", apart=("daily",), digest_on=4)))
    weekly, daily = await desk.holds("weekly"), await desk.holds("daily")

    (first,) = await desk.digests(EIGHT)
    _, second = await desk.digests(EIGHT + 3 * DAY)

    assert (first.frequency, first.alerts) == ("daily", (daily,))
    assert (second.frequency, second.alerts, second.since) == ("weekly", (weekly,), EIGHT)


async def test_each_subscriber_has_his_own_digest() -> None:
    """By his own clock, of his own alerts."""
    asia = Timing(frequency="daily", timezone="Asia/Hong_Kong")
    desk = Desk(subscriber(), subscriber("asia", asia))
    ours, theirs = await desk.holds(), await desk.holds(to="asia")

    digests = await desk.digests(EIGHT)

    assert {each.subscriber: each.alerts for each in digests} == {"desk": (ours,), "asia": (theirs,)}


async def test_what_is_recorded_after_a_digest_is_in_the_next() -> None:
    """Even where its statement was recorded before that: it comes neither twice nor never."""
    desk = Desk()
    await desk.holds()
    late = published(100)
    desk.clock.now = EIGHT - timedelta(milliseconds=1)
    await desk.log.append([late])
    await desk.digests(EIGHT)
    await desk.log.append(
        [
            AlertRaised(
                cause=late.id, subscriber="desk", statement_id="x", matches=(), channels=("email",), waits_for="daily"
            )
        ]
    )

    at_once = await desk.digests(EIGHT + HOUR)
    _, second = await desk.digests(EIGHT + DAY)

    assert len(at_once) == 1
    assert (second.due_at, len(second.alerts)) == (EIGHT + DAY, 1)


@pytest.mark.parametrize("wait", ["quiet hours", "burst"])
async def test_what_comes_late_for_the_end_of_its_wait_does_not_wait_for_another(wait: str) -> None:
    """Quiet hours are over, or the burst: what was decided within them is told as soon as it is there."""
    quiet = Timing(quiet_from=time(11), quiet_until=time(12, 10))
    desk = Desk(subscriber("desk", quiet if wait == "quiet hours" else Timing()))
    await desk.holds(wait)
    late = published(100)
    await desk.log.append([late])
    over = NOON + timedelta(minutes=10)
    await desk.digests(over)
    desk.clock.advance(5)
    alert = AlertRaised(
        cause=late.id, subscriber="desk", statement_id="x", matches=(), channels=("email",), waits_for=wait
    )
    await desk.log.append([alert])

    first, second = await desk.digests(over + timedelta(seconds=10))

    assert first.due_at == over
    assert second.due_at == over + timedelta(seconds=5)
    assert second.alerts == (alert.id,)


# ---------------------------------------------------------------- missed, changed, gone


async def test_what_was_missed_is_one_digest_of_the_latest_moment() -> None:
    """After nine days in which nobody looked, with all that was held in them."""
    desk = Desk()
    held = []
    for _ in range(9):
        held.append(await desk.holds())
        desk.clock.now += DAY
    desk.restart()

    digests = await desk.digests()

    assert [(each.due_at, each.alerts) for each in digests] == [(EIGHT + 8 * DAY, tuple(held))]


async def test_what_was_missed_is_not_told_in_quiet_hours() -> None:
    """The service comes back at night: what was due in the morning before waits until the next."""
    desk = Desk(subscriber("desk", Timing(frequency="daily", quiet_from=time(22), quiet_until=time(7))))
    held = await desk.holds()

    at_night = await desk.digests(EIGHT + 15 * HOUR)
    (digest,) = await desk.digests(EIGHT + 23 * HOUR)

    assert at_night == []
    assert (digest.alerts, digest.due_at) == ((held,), EIGHT)


async def test_nothing_is_told_in_quiet_hours_that_are_new() -> None:
    """Whatever was due before: they hold from when the file says so."""
    desk = Desk()
    await desk.holds()
    desk.now_in_force(subscriber("desk", Timing(frequency="daily", quiet_from=time(7), quiet_until=time(9))))

    in_them = await desk.digests(EIGHT)
    (digest,) = await desk.digests(EIGHT + HOUR)

    assert in_them == []
    assert digest.due_at == EIGHT + HOUR


async def test_who_wants_no_digests_any_more_is_told_at_once() -> None:
    """All that was held, in one digest that says for what."""
    desk = Desk()
    held = await desk.holds()
    desk.clock.advance(60)
    before = await desk.digests()

    desk.now_in_force(subscriber("desk", Timing()))
    (digest,) = await desk.digests()

    assert before == []
    assert (digest.alerts, digest.frequency, digest.due_at) == ((held,), "daily", NOON)


async def test_who_wants_other_digests_is_told_with_those() -> None:
    """What was held for a daily digest is in the weekly one."""
    desk = Desk()
    held = await desk.holds()
    desk.now_in_force(subscriber("desk", Timing(frequency="weekly", digest_on=4)))

    daily = await desk.digests(EIGHT)
    (digest,) = await desk.digests(EIGHT + 3 * DAY)

    assert daily == []
    assert (digest.alerts, digest.due_at) == ((held,), EIGHT + 3 * DAY)


async def test_what_is_held_for_nobody_is_raised_for_its_delivery_to_end() -> None:
    """The channels are those that were promised: each delivery then tells that it was withdrawn."""
    desk = Desk()
    held = [await desk.holds("daily", "desk", "email"), await desk.holds("daily", "desk", "email", "slack")]
    desk.now_in_force(subscriber("newsroom"))

    (digest,) = await desk.digests()

    assert (digest.alerts, digest.channels) == (tuple(held), ("email", "slack"))


# ---------------------------------------------------------------- empty digests

EMPTY = Timing(frequency="daily", empty_digests=True)


async def in_force_since(desk: Desk, at: datetime) -> None:
    await desk.log.append([SubscriptionsApplied(digest="c0ffee", subscribers=1, watchlists=1, applied_at=at)])


async def test_who_asked_for_it_hears_that_nothing_was_held() -> None:
    """Every day one, and the day on which something was held is no exception."""
    desk = Desk(subscriber("desk", EMPTY))
    await in_force_since(desk, NOON)

    await desk.digests(EIGHT)
    held = await desk.holds()
    await desk.digests(EIGHT + DAY)
    await desk.digests(EIGHT + DAY + HOUR)
    digests = await desk.digests(EIGHT + 2 * DAY)

    assert [(each.due_at, each.alerts) for each in digests] == [
        (EIGHT, ()),
        (EIGHT + DAY, (held,)),
        (EIGHT + 2 * DAY, ()),
    ]


async def test_nobody_else_hears_of_nothing() -> None:
    """Neither who has digests, nor who has none and asked for empty ones all the same."""
    desk = Desk(subscriber(), subscriber("newsroom", Timing(empty_digests=True)))
    await in_force_since(desk, NOON)

    assert await desk.digests(EIGHT + 10 * DAY) == []


async def test_empty_digests_begin_with_the_subscription() -> None:
    """None for moments at which nobody had asked; those that were missed since are one."""
    desk = Desk(subscriber("desk", EMPTY))
    await in_force_since(desk, EIGHT + HOUR)

    first = await desk.digests(EIGHT + 2 * HOUR)
    second = await desk.digests(EIGHT + 5 * DAY)

    assert first == []
    assert [each.due_at for each in second] == [EIGHT + 5 * DAY]


async def test_an_empty_digest_waits_for_the_end_of_quiet_hours() -> None:
    """It is no more urgent than others."""
    timing = msgspec.structs.replace(EMPTY, quiet_from=time(22), quiet_until=time(9))
    desk = Desk(subscriber("desk", timing))
    await in_force_since(desk, NOON)

    assert await desk.digests(EIGHT) == []
    assert [each.due_at for each in await desk.digests(EIGHT + HOUR)] == [EIGHT + HOUR]


# ---------------------------------------------------------------- feeds


async def test_a_digest_tells_which_of_its_feeds_are_not_well() -> None:
    """Those that the watchlists rest on: since when each is not, and which were never asked; in a first part."""
    other = Watchlist("desk", "Court", parse("court"), feeds=("uk-*",))
    scoped = Watchlist("desk", "Exports", parse("exports"), issuers=("US Department of Commerce",))
    desk = Desk(subscriber(watchlists=[scoped, other]))
    never, unasked = (Feed(id=f"{id}-court", url="https://x.example/", issuer="A court") for id in ("uk", "de"))
    desk.feeds = (COMMERCE, USTR, never, unasked)
    desk.restart()
    for hours, before, outcome in ((0, "", "ok"), (1, "ok", "unreachable"), (2, "unreachable", "throttled")):
        at = NOON + hours * HOUR
        change = FeedHealthChanged(feed="us-commerce", outcome=outcome, before=before, changed_at=at, detail="503")
        await desk.log.append([change])
    await desk.holds()

    (digest,) = await desk.digests(EIGHT)

    assert digest.feeds == (
        FeedStatus(feed="us-commerce", issuer=COMMERCE.issuer, outcome="throttled", since=NOON + HOUR, detail="503"),
        FeedStatus(feed="uk-court", issuer="A court", outcome=""),
    )
    assert (digest.feeds_asked, digest.feeds_left_out) == (2, 0)


async def test_feeds_that_are_well_are_not_named() -> None:
    """One that has recovered among them; how many there are is."""
    desk = Desk()
    for feed in (COMMERCE, USTR):
        for before, outcome in (("", "unreachable"), ("unreachable", "ok")):
            change = FeedHealthChanged(feed=feed.id, outcome=outcome, before=before, changed_at=NOON)
            await desk.log.append([change])
    await desk.holds()

    (digest,) = await desk.digests(EIGHT)

    assert (digest.feeds, digest.feeds_asked) == ((), 2)


# ---------------------------------------------------------------- large


async def test_a_large_digest_has_parts_that_fit() -> None:
    """No alert is in two, none in none; each part is an event that the log takes, whatever the feeds say."""
    desk = Desk()
    desk.feeds = tuple(Feed(id=f"{'f' * 50}-{n}", url="https://x.example/", issuer="香" * 200) for n in range(90))
    desk.restart()
    for feed in desk.feeds:
        change = FeedHealthChanged(feed=feed.id, outcome="unreachable", changed_at=NOON, detail="\x01🚢" * 5_000)
        await desk.log.append([change])
    held = [await desk.holds() for _ in range(1_001)]

    digests = await desk.digests(EIGHT)

    assert [id for each in digests for id in each.alerts] == held
    assert [(each.part, each.parts, len(each.alerts)) for each in digests] == [(1, 3, 400), (2, 3, 400), (3, 3, 201)]
    assert [(len(each.feeds), each.feeds_left_out) for each in digests] == [(FEEDS, 60), (0, 0), (0, 0)]
    assert all(len(encode(each, NOON)) < 65_535 for each in digests)


async def test_many_digests_at_one_moment_go_in_several_batches() -> None:
    """More subscribers than an append takes events have their digest at eight; a crash between costs none."""
    desk = Desk(*(subscriber(f"desk-{n:04}") for n in range(1_200)))
    for n in range(1_200):
        await desk.holds(to=f"desk-{n:04}")
    desk.log.failures = ["", "after"]
    desk.clock.now = EIGHT
    with pytest.raises(LogFull):
        await desk.digester.run()
    desk.restart()

    digests = await desk.digests()

    assert len({each.subscriber for each in digests}) == len(digests) == 1_200


# ---------------------------------------------------------------- once


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_failing_log_costs_no_digest_and_doubles_none(failure: str, restarted: bool) -> None:
    """Digests and the digester's place are stored together, and it goes on."""
    desk = Desk()
    held = await desk.holds()
    desk.log.failures = [failure]
    desk.clock.now = EIGHT
    with pytest.raises(LogFull):
        await desk.digester.run()

    if restarted:
        desk.restart()
    await desk.digests(EIGHT + HOUR)
    later = await desk.holds()
    digests = await desk.digests(EIGHT + DAY)

    assert [each.alerts for each in digests] == [(held,), (later,)]


@ON_ANY_LOG
async def test_a_digester_that_begins_anew_finds_the_same(log_in: LogIn, tmp_path: Path) -> None:
    """From its stored place, or from the log's beginning: what is held, and what was last told."""
    clock = Clock()
    async with log_in(tmp_path, clock) as log:
        desk = Desk(subscriber("desk", msgspec.structs.replace(EMPTY, apart=("weekly",))), log=log, clock=clock)
        await in_force_since(desk, NOON)
        await desk.log.append([FeedHealthChanged(feed="us-commerce", outcome="throttled", changed_at=NOON)])
        await desk.holds()
        await desk.holds("weekly")
        await desk.digests(EIGHT)
        await desk.holds()
        consumer = await log.consumer(NAME)
        assert consumer.position == 5  # before the weekly alert, which is held still

        desk.restart()
        from_place = await desk.digester.would_be("desk")
        await log.append([], commit=consumer.moved_to(0, b""))
        desk.restart()
        from_zero = await desk.digester.would_be("desk")

        assert from_place == from_zero
        assert len(from_zero[0].alerts) == 2
        assert from_zero[0].since == EIGHT
        assert await desk.digests() == await events(log, DigestRaised)


async def test_what_was_last_told_is_known_when_others_have_been_told_since() -> None:
    """After a start that no longer reads the digest itself, no other gets its moment, nor an empty one again."""
    desk = Desk(subscriber("desk", EMPTY), subscriber("newsroom", Timing(frequency="hourly")))
    await in_force_since(desk, NOON)
    await desk.digests(EIGHT)
    await desk.holds("hourly", "newsroom")
    await desk.digests(EIGHT + HOUR)
    desk.restart()
    await desk.holds("daily", "desk")

    await desk.digests(EIGHT + 2 * HOUR)
    digests = await desk.digests(EIGHT + DAY)

    of_desk = [each for each in digests if each.subscriber == "desk"]
    assert [(each.due_at, each.since) for each in of_desk] == [(EIGHT, None), (EIGHT + DAY, EIGHT)]


async def test_without_digests_nothing_is_written() -> None:
    """Nothing to do is nothing to store."""
    desk = Desk()
    await desk.holds("")

    await desk.digests(EIGHT)
    await desk.digests(EIGHT + DAY)

    assert (await desk.log.consumer(NAME)).version == 0


async def test_a_long_log_is_not_read_from_its_beginning_for_ever() -> None:
    """Without any digest our place is stored all the same, once it is worth it; what is held stays before it."""
    desk = Desk()
    for first in range(0, FAR + 1_000, 1_000):
        await desk.log.append([FeedBaselined(feed=f"feed-{first + n}", entries=0) for n in range(1_000)])
    held = await desk.holds()

    await desk.digests()
    await desk.digests()
    place = await desk.log.consumer(NAME)
    desk.restart()
    (digest,) = await desk.digests(EIGHT)

    assert (place.version, place.position) == (1, FAR + 1_001)
    assert digest.alerts == (held,)


# ---------------------------------------------------------------- the whole of it

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["statement", "many", "urgent", "look", "restart", "crash", "change"]), st.integers(1, 50_000)
    ),
    min_size=5,
    max_size=40,
)
TIMINGS = (
    Timing(timezone="Europe/Berlin"),
    Timing(timezone="Europe/Berlin", quiet_from=time(22), quiet_until=time(7)),
    Timing(timezone="Europe/Berlin", frequency="hourly", quiet_from=time(1), quiet_until=time(4)),
    Timing(timezone="Europe/Berlin", frequency="daily", digest_at=time(2, 30)),
    Timing(timezone="Europe/Berlin", frequency="weekly", digest_on=6, digest_at=time(2, 30)),
)


@examples(60)
@given(STEPS, st.integers(0, 4))
async def test_whatever_happens_every_alert_is_told_exactly_once(steps: list[tuple[str, int]], first: int) -> None:
    """
    As many alerts come out as went in, each at once or in one digest, over a night in which clocks change; urgent ones
    at once. Statements come singly and in bursts, the service stops, the disk fails, the file changes.
    """
    desk = Desk(subscriber("desk", TIMINGS[first]))
    desk.clock.now = datetime(2020, 10, 24, 18, tzinfo=UTC)
    index, n = Index(), 0

    def now_in_force(timing: Timing) -> None:
        for key, query, urgent in (("Exports", '"Hong Kong"', False), ("Urgent", "tariffs", True)):
            if n:
                index.remove(("desk", key))
            index.add(Watchlist("desk", key, parse(query), frequency=timing.frequency, urgent=urgent))
        desk.now_in_force(subscriber("desk", timing))

    def matching() -> Matcher:
        return Matcher(desk.log, index, desk.book)

    now_in_force(TIMINGS[first])
    n, matcher = 1, matching()
    for step, seconds in steps:
        desk.clock.advance(seconds)
        if step in {"statement", "many", "urgent"}:
            for _ in range(8 if step == "many" else 1):
                await desk.log.append([published(n, "Hong Kong" if step != "urgent" else "tariffs")])
                n += 1
            await matcher.run()
        elif step == "restart":
            matcher = matching()
            desk.restart()
        elif step == "change":
            now_in_force(TIMINGS[seconds % 5])
        elif step == "crash":
            await desk.log.append([published(n)])
            n += 1
            desk.log.failures = ["after" if seconds % 2 else "before"]
            for run in (matcher.run, desk.digester.run):
                with contextlib.suppress(LogFull):
                    await run()
            desk.log.failures = []
        await matcher.run()
        await desk.digester.run()
    desk.restart()
    digests = await desk.digests((desk.clock.now + 15 * DAY).replace(hour=12))

    alerts = await events(desk.log, AlertRaised)
    told = [id for each in digests for id in each.alerts]
    assert sorted(told) == sorted(alert.id for alert in alerts if alert.waits_for)
    assert all(not alert.waits_for for alert in alerts if alert.urgent)
    assert [each.due_at for each in digests] == sorted({each.due_at for each in digests})
    statements = {event.id for event in await events(desk.log, StatementPublished)}
    assert statements == {alert.cause for alert in alerts} | {id for alert in alerts for id in alert.also}
