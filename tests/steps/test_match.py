"""Does every subscriber who asked get one alert for each wording, and nobody else any?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
import pytest

from notifier.errors import LogFull
from notifier.eventlog.log import EventLog, LogPage
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined
from notifier.events.statements import PageRead, StatementPublished, StatementRevised
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.match import ROOM, Matcher
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.query import parse
from notifier.watchlists.watchlist import Watchlist
from tests.builders import NOON, ON_ANY_LOG, Clock, FailingLog, LogIn, events, recorded

HONG_KONG = '"Hong Kong"'


def statement(
    title: str = "Special status of Hong Kong ends",
    text: str = "",
    *,
    id: str = "us-commerce/1",
    feed: str = "us-commerce",
    issuer: str = "US Department of Commerce",
) -> Statement:
    return Statement(
        id=id,
        feed=feed,
        issuer=issuer,
        title=title,
        text=text,
        fingerprint=fingerprint(title, text),
        published_at=NOON,
    )


def published(of: Statement | None = None, muted_because: str = "") -> StatementPublished:
    return StatementPublished(statement=of or statement(), seen_at=NOON, muted_because=muted_because)


def revised(of: Statement, muted_because: str = "") -> StatementRevised:
    return StatementRevised(statement=of, replaces="0" * 24, seen_at=NOON, muted_because=muted_because)


def read(text: str, of: StatementPublished, muted_because: str = "") -> PageRead:
    """The page of a statement was read, and says this."""
    said = msgspec.structs.replace(of.statement, text=text)
    return PageRead(cause=of.id, statement=said, page=fingerprint(text), seen_at=NOON, muted_because=muted_because)


def watchlist(query: str = HONG_KONG, name: str = "Exports", subscriber: str = "desk", **scope: object) -> Watchlist:
    return Watchlist(subscriber, name, parse(query), **scope)


class WatchedLog(FailingLog):
    """A log that keeps from where it was read."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.read_after: list[int] = []

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        self.read_after.append(after)
        return await super().read(after, types, limit)


class OpenBook(Book):
    """Whoever is asked for is a subscriber: with mail, or the channels that a test names, and when it says."""

    def __init__(self, channels: Mapping[str, tuple[str, ...]], timing: Mapping[str, Timing]) -> None:
        super().__init__()
        self._channels = channels
        self._timing = timing

    def find(self, id: str) -> Subscriber:
        contacts = [Contact(name, name, Secret(f"{id}@secret.example")) for name in self._channels.get(id, ("email",))]
        timing = self._timing.get(id, Timing())
        return Subscriber(id=id, name=id, timing=timing, watchlists=(), channels=tuple(contacts))


class Desk:
    """A matcher on a log, its watchlists, and the channels of their subscribers: mail for all but those named."""

    def __init__(
        self, *watchlists: Watchlist, channels: Mapping[str, tuple[str, ...]] | None = None, log: EventLog | None = None
    ) -> None:
        self.log = log or FailingLog(Clock())
        self.channels = channels or {}
        self.timing = dict[str, Timing]()
        self.index = Index()
        for each in watchlists:
            self.index.add(each)
        self.restart()

    def restart(self) -> None:
        """All is forgotten but the log and the watchlists."""
        self.matcher = Matcher(self.log, self.index, OpenBook(self.channels, self.timing))

    async def told(self, *told: Event) -> list[AlertRaised]:
        """All alerts, once these events have been matched too."""
        await self.log.append(told)
        await self.matcher.run()
        return await events(self.log, AlertRaised)


# ---------------------------------------------------------------- who is told


async def test_a_match_is_an_alert() -> None:
    """It says whom, of what, why, on which channels, and by which matcher; its cause is the statement's event."""
    desk = Desk(watchlist(), channels={"desk": ("email", "slack")})
    event = published()

    (alert,) = await desk.told(event)

    assert (alert.subscriber, alert.statement_id, alert.cause) == ("desk", "us-commerce/1", event.id)
    assert alert.channels == ("email", "slack")
    assert alert.matcher == desk.index.version != ""
    assert [(match.watchlist, match.query, match.words) for match in alert.matches] == [
        ("Exports", HONG_KONG, ("Hong Kong",))
    ]


async def test_a_subscriber_gets_one_alert_however_many_watchlists_match() -> None:
    """Each of them is named in it, with its own words; those that do not match are not."""
    desk = Desk(watchlist(), watchlist("special*", "Status"), watchlist("sports", "Sports"))

    (alert,) = await desk.told(published())

    assert {match.watchlist: match.words for match in alert.matches} == {
        "Exports": ("Hong Kong",),
        "Status": ("Special",),
    }


async def test_each_subscriber_gets_his_own_alert() -> None:
    """Two who watch the same are two alerts."""
    desk = Desk(watchlist(), watchlist(subscriber="newsroom"))

    alerts = await desk.told(published())

    assert [alert.subscriber for alert in alerts] == ["desk", "newsroom"]


async def test_nobody_is_told_of_what_he_did_not_ask_for() -> None:
    """A statement that no query matches raises nothing."""
    assert await Desk(watchlist()).told(published(statement("Tariffs on steel"))) == []


async def test_a_subscriber_without_channels_is_owed_nothing() -> None:
    """There is no way to him; others are told all the same."""
    desk = Desk(watchlist(), watchlist(subscriber="newsroom"), channels={"desk": ()})

    alerts = await desk.told(published())

    assert [alert.subscriber for alert in alerts] == ["newsroom"]


@pytest.mark.parametrize("apart", [True, False], ids=["later", "together"])
async def test_the_words_of_a_page_alert_whom_the_summary_did_not(apart: bool) -> None:
    """Its alert is caused by the reading; who was told by title and summary hears nothing more of the same."""
    desk = Desk(watchlist(), watchlist("chips", subscriber="newsroom"), watchlist("fish", subscriber="harbour"))
    first = published()
    of_page = read("Special status of Hong Kong ends. Chips need a licence.", first)

    if apart:
        await desk.told(first)
        alerts = await desk.told(of_page)
    else:
        alerts = await desk.told(first, of_page)

    assert [(alert.subscriber, alert.cause) for alert in alerts] == [("desk", first.id), ("newsroom", of_page.id)]


async def test_a_page_that_was_read_anew_in_silence_alerts_nobody() -> None:
    """Another extractor's words are no news."""
    desk = Desk(watchlist("chips"))
    first = published()

    assert await desk.told(first, read("Chips need a licence.", first, muted_because="read by another extractor")) == []


@pytest.mark.parametrize("told", [published, revised], ids=["published", "revised"])
async def test_a_quiet_statement_alerts_nobody(told: Callable[..., StatementPublished | StatementRevised]) -> None:
    """What a first poll found, or what is old, is recorded and not told."""
    desk = Desk(watchlist())

    assert await desk.told(told(statement(), muted_because="baseline")) == []


async def test_a_revision_alerts_again() -> None:
    """Whoever was told the old words is told the new ones, and so is who only asked for these."""
    desk = Desk(watchlist(), watchlist("sanctions", subscriber="newsroom"))
    await desk.told(published())

    alerts = await desk.told(revised(statement("Special status of Hong Kong ends, sanctions follow")))

    assert [(alert.subscriber, alert.statement_id) for alert in alerts] == [
        ("desk", "us-commerce/1"),
        ("desk", "us-commerce/1"),
        ("newsroom", "us-commerce/1"),
    ]


@pytest.mark.parametrize(
    ("scope", "owed"),
    [
        ({"feeds": ("us-commerce",)}, True),
        ({"feeds": ("us-*",)}, True),
        ({"feeds": ("eu-*",)}, False),
        ({"issuers": ("us department of commerce",)}, True),
        ({"issuers": ("US Treasury",)}, False),
        ({"feeds": ("us-*",), "issuers": ("US Treasury",)}, False),
    ],
    ids=str,
)
async def test_a_watchlist_holds_for_its_feeds_and_issuers(scope: Mapping[str, object], owed: bool) -> None:
    """A match elsewhere is none of its."""
    desk = Desk(watchlist(**scope))

    assert len(await desk.told(published())) == owed


# ---------------------------------------------------------------- the words that decided


async def test_the_words_that_decided_stand_as_they_were_written() -> None:
    """The first of them first, each once, from every field; what only NOT names is not among them."""
    desk = Desk(watchlist('("Hong Kong" OR "export licence") NOT sports'))

    text = "Export\n licences for Hong Kong. No export licence for HONG KONG."
    (alert,) = await desk.told(published(statement(text=text)))

    assert sorted(alert.matches[0].words) == ["Export licences", "HONG KONG", "Hong Kong", "export licence"]
    assert alert.matches[0].words[0] == "Hong Kong"


async def test_words_are_bounded() -> None:
    """A query that hits everywhere keeps twelve words of at most eighty letters."""
    desk = Desk(watchlist("exp*"))
    text = " ".join(f"exp{'o' * 100}{n}" for n in range(50)) + " " + " ".join(f"expo{n}" for n in range(50))

    (alert,) = await desk.told(published(statement(text=text)))

    words = alert.matches[0].words
    assert len(words) == 12
    assert max(map(len, words)) == 80


async def test_a_long_text_is_matched_whole() -> None:
    """Words that travel as a blob count like those in the event."""
    long = statement("Notice", "Nothing here. " * 4_000 + "Export licences for Hong Kong.")
    detached, blob = long.detached(1_000)
    desk = Desk(watchlist())
    await desk.log.append([published(detached)], blobs=[blob])

    await desk.matcher.run()

    (alert,) = await events(desk.log, AlertRaised)
    assert alert.matches[0].words == ("Hong Kong",)


# ---------------------------------------------------------------- once


async def test_running_again_raises_nothing_again() -> None:
    """Neither at once nor after a restart."""
    desk = Desk(watchlist())
    await desk.told(published())

    again = await desk.matcher.run()
    desk.restart()
    after_restart = await desk.matcher.run()

    assert (again, after_restart) == (0, 0)
    assert len(await events(desk.log, AlertRaised)) == 1


async def test_a_run_tells_how_many_alerts_it_raised() -> None:
    """And only those that were not in the log before."""
    desk = Desk(*many(1_200))
    await desk.log.append([published()])
    desk.log.failures = ["", "before"]
    with pytest.raises(LogFull):
        await desk.matcher.run()

    assert await desk.matcher.run() == 700


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_failing_log_costs_no_alert_and_doubles_none(failure: str, restarted: bool) -> None:
    """Alerts and the matcher's place are stored together, and the matcher goes on."""
    desk = Desk(watchlist())
    await desk.told(published(statement("Hong Kong first", id="us-commerce/0")))
    await desk.log.append([published()])
    desk.log.failures = [failure]
    with pytest.raises(LogFull):
        await desk.matcher.run()

    if restarted:
        desk.restart()
    await desk.matcher.run()

    assert len(await events(desk.log, AlertRaised)) == 2
    assert len(await desk.told(published(statement("Hong Kong again", id="us-commerce/2")))) == 3


def many(count: int) -> list[Watchlist]:
    return [watchlist(subscriber=f"desk-{n:04}") for n in range(count)]


async def test_many_alerts_go_in_several_batches() -> None:
    """More subscribers than an append takes events are all told of one statement."""
    desk = Desk(*many(1_200))

    alerts = await desk.told(published())

    assert len({alert.subscriber for alert in alerts}) == len(alerts) == 1_200


@pytest.mark.parametrize("failures", [["", "before"], ["", "after"], ["", "", "before"], ["", "", "after"]], ids=str)
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_crash_between_batches_costs_no_alert_and_doubles_none(failures: list[str], restarted: bool) -> None:
    """The batches that were stored are found to be there, and the rest follows."""
    desk = Desk(*many(1_200))
    await desk.log.append([published()])
    desk.log.failures = [*failures]
    with pytest.raises(LogFull):
        await desk.matcher.run()

    if restarted:
        desk.restart()
    await desk.matcher.run()

    alerts = await events(desk.log, AlertRaised)
    assert len({alert.subscriber for alert in alerts}) == len(alerts) == 1_200


async def test_what_was_promised_before_a_crash_stands() -> None:
    """Watchlists and channels that changed between crash and restart hold for the alerts that were not yet raised."""
    desk = Desk(*many(1_200))
    await desk.log.append([published()])
    desk.log.failures = ["", "before"]
    with pytest.raises(LogFull):
        await desk.matcher.run()
    for each in many(1_200):
        desk.index.add(watchlist("special", subscriber=each.subscriber))
    desk.channels = {each.subscriber: ("slack",) for each in many(1_200)}
    desk.restart()

    await desk.matcher.run()

    alerts = await events(desk.log, AlertRaised)
    assert len({alert.subscriber for alert in alerts}) == len(alerts) == 1_200
    assert {(alert.channels, alert.matches[0].words) for alert in alerts} == {
        (("email",), ("Hong Kong",)),
        (("slack",), ("Special",)),
    }


async def test_a_subscriber_of_many_long_queries_holds_up_nobody() -> None:
    """His alert names as many of them as an event has room for, and he and the others are told."""
    long = " OR ".join([HONG_KONG, *(f"{'word' * 8}{n}" for n in range(190))])
    desk = Desk(*(watchlist(long, f"Wish {n:03}") for n in range(100)), watchlist(subscriber="newsroom"))

    alerts = await desk.told(published())

    assert [alert.subscriber for alert in alerts] == ["desk", "newsroom"]
    assert [match.watchlist for match in alerts[0].matches[:2]] == ["Wish 000", "Wish 001"]


async def test_the_watchlists_an_alert_names_where_not_all_fit_are_the_first() -> None:
    """By name and without a hole: one that would fit still, behind one that did not, is left out."""
    long = " OR ".join([HONG_KONG, *(f"{'word' * 8}{n}" for n in range(190))])
    wishes = [watchlist(long, f"Wish {n:03}") for n in reversed(range(100))]
    desk = Desk(*wishes, watchlist(name="Zz, a short one"))

    (alert,) = await desk.told(published())

    named = [match.watchlist for match in alert.matches]
    size = [len(msgspec.json.encode(match)) for match in alert.matches]
    assert named == [f"Wish {n:03}" for n in range(len(named))]
    assert sum(size) <= ROOM < sum(size) + size[0]


async def test_the_matcher_s_place_moves_past_what_matches_nothing() -> None:
    """After a restart, statements that were looked at are not looked at again."""
    desk = Desk(watchlist())
    tariffs = [published(statement(f"Tariffs {n}", id=f"us-commerce/{n}")) for n in range(450)]
    await desk.log.append([FeedBaselined(feed="us-commerce", entries=0)])

    await desk.told(*tariffs)

    assert (await desk.log.consumer("match")).position == 451


async def test_other_events_cost_no_write() -> None:
    """Where nothing is to be matched nothing is stored, and it is passed over once."""
    desk = Desk(watchlist(), log=WatchedLog(Clock()))
    await desk.log.append([FeedBaselined(feed="us-commerce", entries=0)])

    await desk.matcher.run()
    await desk.matcher.run()

    assert (await desk.log.consumer("match")).version == 0
    assert desk.log.read_after == [0, 1]
    assert len(await desk.told(published())) == 1


# ---------------------------------------------------------------- on any log


@ON_ANY_LOG
async def test_alerts_follow_from_the_log_alone(log_in: LogIn, tmp_path: Path) -> None:
    """Their ids are the same on every log: statement by statement, and by subscriber within one."""
    async with log_in(tmp_path) as log:
        desk = Desk(watchlist(subscriber="newsroom"), watchlist(), log=log)
        first, second = published(), published(statement("Hong Kong again", id="us-commerce/2"))

        await desk.told(first, second)

        expected = [
            AlertRaised(
                cause=cause.id,
                subscriber=subscriber,
                statement_id=cause.statement.id,
                matches=(),
                channels=(),
            ).id
            for cause in (first, second)
            for subscriber in ("desk", "newsroom")
        ]
        assert [each.id for each in await recorded(log, AlertRaised)] == expected


async def test_a_watchlist_may_ask_for_what_a_revision_changed() -> None:
    """The words before are those of the event that the revision names; without one, nothing came or went."""
    desk = Desk(watchlist("added:sanctions"), watchlist("removed:status", subscriber="newsroom"))
    before = published(statement("Special status of Hong Kong"))
    changed = revised(statement("Special treatment of Hong Kong, sanctions follow"))

    assert await desk.told(before) == []
    assert await desk.told(msgspec.structs.replace(changed, revises=before.id)) != []

    alerts = await events(desk.log, AlertRaised)
    assert [(alert.subscriber, alert.matches[0].words) for alert in alerts] == [
        ("desk", ("sanctions",)),
        ("newsroom", ("status",)),
    ]


async def test_a_revision_that_names_nothing_before_it_changed_nothing() -> None:
    """So it is with rows of before that was kept."""
    desk = Desk(watchlist("added:sanctions"))

    assert await desk.told(published(), revised(statement("Sanctions follow"))) == []


async def test_an_alert_outlives_the_packs_that_its_query_named() -> None:
    """The query is recorded with their terms written out, so that it means the same for ever."""
    desk = Desk(watchlist("@hong-kong"))

    (alert,) = await desk.told(published())

    assert parse(alert.matches[0].query, {}).expression == parse("@hong-kong").expression


async def test_to_read_ahead_tells_nobody_and_forgets_nothing() -> None:
    """Words of old statements are read at the start; what is owed for them is owed as before, and once."""
    desk = Desk(watchlist())
    await desk.log.append([published()])

    await desk.matcher.warm()
    before = await events(desk.log, AlertRaised)
    alerts = await desk.told()

    assert before == []
    assert [alert.statement_id for alert in alerts] == ["us-commerce/1"]
