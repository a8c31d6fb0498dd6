"""Is news that comes several times one story to each subscriber: one alert, and replies to it?"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.alerts.decided import ALSO
from notifier.errors import LogFull
from notifier.eventlog.log import LogPage
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.statement import Statement, fingerprint
from tests.builders import NOON, ON_ANY_LOG, Clock, FailingLog, LogIn, events, recorded
from tests.steps.test_match import Desk, many, watchlist

TITLE = "Commerce suspends preferential treatment for Hong Kong"
TEXT = (
    "Regulations affording preferential treatment to Hong Kong over China, including the availability of license "
    "exceptions, are suspended. Further actions to eliminate differential treatment are being evaluated."
)


def told_by(feed: str, title: str = TITLE, text: str = TEXT, *, n: int = 1, seen: timedelta = timedelta()) -> Event:
    """One feed's first telling of the news."""
    return StatementPublished(
        statement=Statement(
            id=f"{feed}/{n}",
            feed=feed,
            issuer=f"Ministry {feed}",
            title=title,
            summary=text,
            fingerprint=fingerprint(title, text),
            published_at=NOON + seen,
        ),
        seen_at=NOON + seen,
    )


def revision(of: Event, more: str = "Corrected.") -> StatementRevised:
    """The same statement with a sentence more."""
    assert isinstance(of, StatementPublished | StatementRevised)
    before = of.statement
    words = f"{before.summary} {more}"
    after = msgspec.structs.replace(before, summary=words, fingerprint=fingerprint(before.title, words))
    return StatementRevised(statement=after, replaces=before.fingerprint, revises=of.id, seen_at=NOON)


def withdrawal(of: Event, muted_because: str = "") -> StatementWithdrawn:
    assert isinstance(of, StatementPublished | StatementRevised)
    return StatementWithdrawn(
        statement=of.statement, revises=of.id, reason="404 twice", seen_at=NOON, muted_because=muted_because
    )


def alert_of(cause: Event, subscriber: str = "desk") -> str:
    """The id of the alert that an event raises."""
    return AlertRaised(cause=cause.id, subscriber=subscriber, statement_id="", matches=(), channels=()).id


def in_short(alerts: list[AlertRaised]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(alert.cause, alert.also, alert.follows) for alert in alerts]


class PagedLog(FailingLog):
    """A log that hands out at most so many events at once."""

    def __init__(self, clock: Clock, most: int = 1) -> None:
        super().__init__(clock)
        self.most = most

    async def read(self, after: int = 0, types: Collection[str] | None = None, limit: int = 500) -> LogPage:
        return await super().read(after, types, min(limit, self.most))


# ---------------------------------------------------------------- one event, one alert


async def test_a_story_of_two_feeds_is_one_alert() -> None:
    """Both tellings are in the log when we decide: one alert, of the first, that names the other."""
    desk = Desk(watchlist())
    first, second = told_by("bis"), told_by("commerce", text=f"FOR IMMEDIATE RELEASE\n{TEXT}")

    alerts = await desk.told(first, second)

    assert in_short(alerts) == [(first.id, (second.id,), "")]


async def test_a_later_telling_is_a_reply() -> None:
    """Each follows the first alert of the story, and still names its own statement."""
    desk = Desk(watchlist())
    first, second, third = told_by("bis"), told_by("commerce"), told_by("state", text=f"{TEXT} Media note.")
    await desk.told(first)
    await desk.told(second)

    alerts = await desk.told(third)

    assert in_short(alerts) == [
        (first.id, (), ""),
        (second.id, (), alert_of(first)),
        (third.id, (), alert_of(first)),
    ]
    assert [alert.statement_id for alert in alerts] == ["bis/1", "commerce/1", "state/1"]


async def test_other_news_is_an_alert_of_its_own() -> None:
    """Neither named nor a reply, however alike the words."""
    desk = Desk(watchlist("treatment"))
    first, second = told_by("bis"), told_by("commerce", TITLE.replace("Hong Kong", "Macau"), TEXT.replace("Hong", "Ma"))

    alerts = await desk.told(first, second)

    assert in_short(alerts) == [(first.id, (), ""), (second.id, (), "")]


async def test_the_same_words_posted_again_are_a_reply() -> None:
    """Under another id of the same feed, a day later."""
    desk = Desk(watchlist())
    first, again = told_by("bis"), told_by("bis", n=2, seen=timedelta(days=1))
    await desk.told(first)

    alerts = await desk.told(again)

    assert in_short(alerts)[1:] == [(again.id, (), alert_of(first))]


async def test_who_was_not_told_before_is_told_first() -> None:
    """A story begins for each subscriber with his own first alert of it."""
    desk = Desk(watchlist(feeds=("bis",)), watchlist(subscriber="newsroom", feeds=("commerce", "state")))
    first, second, third = told_by("bis"), told_by("commerce"), told_by("state")
    await desk.told(first)
    await desk.told(second)

    alerts = await desk.told(third)

    assert [(alert.subscriber, alert.cause, alert.follows) for alert in alerts] == [
        ("desk", first.id, ""),
        ("newsroom", second.id, ""),
        ("newsroom", third.id, alert_of(second, "newsroom")),
    ]


async def test_what_a_watchlist_leaves_out_is_not_named() -> None:
    """A telling in a feed that he did not ask for is none of his, in an alert of another either."""
    desk = Desk(watchlist(feeds=("bis",)))
    first = told_by("bis")

    alerts = await desk.told(first, told_by("commerce"))

    assert in_short(alerts) == [(first.id, (), "")]


async def test_an_alert_names_so_many_and_no_more() -> None:
    """Beyond, a telling is a reply, so that it is told and the event keeps within its size."""
    desk = Desk(watchlist())
    tellings = [told_by(f"feed-{n}") for n in range(ALSO + 2)]

    alerts = await desk.told(*tellings)

    assert [len(alert.also) for alert in alerts] == [ALSO, 0]
    assert alerts[1].follows == alerts[0].id


async def test_a_story_ends_after_days() -> None:
    """Five days later the same words are told anew."""
    desk = Desk(watchlist())
    await desk.told(told_by("bis"))
    late = told_by("commerce", seen=timedelta(days=5))

    alerts = await desk.told(late)

    assert in_short(alerts)[1:] == [(late.id, (), "")]


async def test_a_telling_of_minutes_later_is_a_reply() -> None:
    """However late they are both looked at."""
    clock = Clock()
    desk = Desk(watchlist(), log=FailingLog(clock))
    first, second = told_by("bis"), told_by("commerce")
    await desk.log.append([first])
    clock.advance(61)

    alerts = await desk.told(second)

    assert in_short(alerts) == [(first.id, (), ""), (second.id, (), alert_of(first))]


# ---------------------------------------------------------------- revisions and withdrawals


async def test_a_revision_is_a_reply() -> None:
    """To the first alert of its statement, also when it is the revision of a revision, and weeks later."""
    desk = Desk(watchlist())
    first = told_by("bis")
    second = revision(first)
    third = msgspec.structs.replace(revision(second, "Again."), seen_at=NOON + timedelta(days=40))
    await desk.told(first, second)

    alerts = await desk.told(third)

    assert [(alert.cause, alert.follows) for alert in alerts] == [
        (first.id, ""),
        (second.id, alert_of(first)),
        (third.id, alert_of(first)),
    ]


async def test_a_revision_of_a_later_telling_is_a_reply() -> None:
    """To the first alert of the story, whether the telling was a reply or named in it."""
    desk = Desk(watchlist())
    first, named, reply = told_by("bis"), told_by("commerce"), told_by("state")
    await desk.told(first, named)
    await desk.told(reply)

    alerts = await desk.told(revision(named), revision(reply))

    assert [alert.follows for alert in alerts] == ["", *[alert_of(first)] * 3]


async def test_an_edit_under_a_new_name_is_a_reply() -> None:
    """A publisher who renames his statements breaks no thread: the quiet event of the new name leads to the old one."""
    desk = Desk(watchlist())
    first = told_by("bis")
    assert isinstance(first, StatementPublished)
    renamed = StatementRevised(
        statement=msgspec.structs.replace(first.statement, id="bis/renamed"),
        replaces=first.statement.fingerprint,
        revises=first.id,
        seen_at=NOON,
        muted_because="renamed",
    )
    edit = msgspec.structs.replace(revision(renamed), seen_at=NOON + timedelta(days=9))
    await desk.told(first, renamed)

    alerts = await desk.told(edit)

    assert in_short(alerts) == [(first.id, (), ""), (edit.id, (), alert_of(first))]


async def test_a_revision_is_the_first_that_he_hears() -> None:
    """Of a statement that his watchlist did not match before, there is no alert to follow."""
    desk = Desk(watchlist("sanctions"))
    first = told_by("bis")
    await desk.told(first)

    alerts = await desk.told(revision(first, "Sanctions follow."))

    assert [alert.follows for alert in alerts] == [""]


async def test_a_withdrawal_is_told_as_a_reply() -> None:
    """By the last words that the statement had."""
    desk = Desk(watchlist())
    first = told_by("bis")
    second = revision(first)
    gone = withdrawal(second)
    await desk.told(first, second)

    alerts = await desk.told(gone)

    assert in_short(alerts)[2:] == [(gone.id, (), alert_of(first))]
    assert alerts[2].matches[0].words == ("Hong Kong",)


async def test_a_quiet_withdrawal_alerts_nobody() -> None:
    """As with all that is quiet."""
    assert await Desk(watchlist()).told(withdrawal(told_by("bis"), muted_because="baseline")) == []


# ---------------------------------------------------------------- whatever happens between


@pytest.mark.parametrize("most", [1, 2, 3, 500])
async def test_pages_do_not_matter(most: int) -> None:
    """However the log is read, the same alerts follow from it."""
    clock = Clock()
    desk = Desk(watchlist(), watchlist(subscriber="newsroom", feeds=("c*",)), log=PagedLog(clock, most))
    bis, other, commerce, late = (
        told_by("bis"),
        told_by("bis", "Hong Kong fair", "", n=2),
        told_by("com"),
        told_by("cfr"),
    )
    for event, seconds in ((bis, 20), (other, 20), (commerce, 50), (late, 1), (revision(bis), 1)):
        await desk.log.append([event])
        clock.advance(seconds)

    await desk.matcher.run()

    alerts = await events(desk.log, AlertRaised)
    assert [(alert.subscriber, *each) for alert, each in zip(alerts, in_short(alerts), strict=True)] == [
        ("desk", bis.id, (commerce.id,), ""),
        ("desk", other.id, (), ""),
        ("newsroom", commerce.id, (late.id,), ""),
        ("desk", late.id, (), alert_of(bis)),
        ("desk", revision(bis).id, (), alert_of(bis)),
    ]


@pytest.mark.parametrize("failures", [["before"], ["", "before"], ["", "after"], ["", "", "before"], ["", "", "after"]])
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_crash_costs_nobody_a_telling_and_doubles_none(failures: list[str], restarted: bool) -> None:
    """Cut off between batches, and with a third telling come meanwhile, each is told each of the three once."""
    desk = Desk(*many(1_200))
    first, second, third = told_by("bis"), told_by("commerce"), told_by("state")
    await desk.log.append([first, second])
    desk.log.failures = [*failures]
    with pytest.raises(LogFull):
        await desk.matcher.run()
    await desk.log.append([third])
    if restarted:
        desk.restart()

    await desk.matcher.run()

    told: dict[str, list[str]] = {}
    for alert in await events(desk.log, AlertRaised):
        told.setdefault(alert.subscriber, []).extend([alert.cause, *alert.also])
        assert (alert.follows == "") == (alert.cause == first.id)
    assert len(told) == 1_200
    assert {tuple(each) for each in told.values()} == {(first.id, second.id, third.id)}


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_each_is_told_each_once(seed: int) -> None:
    """Three stories in five feeds and their edits; runs, restarts and failing appends between them, in any order."""
    chance, clock = random.Random(seed), Clock()  # noqa: S311 the same each time
    log = PagedLog(clock, most=chance.choice([1, 3, 500]))
    desk = Desk(watchlist(), watchlist(subscriber="newsroom"), log=log)
    firsts = [told_by(feed, f"{TITLE}: {n} of {n}", f"{TEXT} Rule {n}.", n=n) for n in (11, 22, 33) for feed in "abcde"]
    told = [*firsts, *map(revision, chance.sample(firsts, 4))]
    for event in chance.sample(firsts, len(firsts)) + told[len(firsts) :]:
        await log.append([event])
        clock.advance(chance.choice([0, 1, 40, 90]))
        log.failures = chance.choice([[], [], ["before"], ["after"]])
        if chance.random() < 0.4:
            with contextlib.suppress(LogFull):
                await desk.matcher.run()
        log.failures = []
        if chance.random() < 0.2:
            desk.restart()

    await desk.matcher.run()

    alerts = await events(log, AlertRaised)
    for subscriber in ("desk", "newsroom"):
        his = [alert for alert in alerts if alert.subscriber == subscriber]
        named = [cause for alert in his for cause in (alert.cause, *alert.also)]
        assert sorted(named) == sorted(event.id for event in told)
        for n in (11, 22, 33):
            of_story = [alert for alert in his if alert.statement_id.endswith(f"/{n}")]
            assert [alert.follows for alert in of_story] == ["", *[of_story[0].id] * (len(of_story) - 1)]


async def test_what_was_recorded_stands() -> None:
    """Who had his alert before the crash gets a reply of what came after it; who had none has it named in his."""
    desk = Desk(*many(1_200))
    first, second = told_by("bis"), told_by("commerce")
    await desk.log.append([first])
    desk.log.failures = ["", "before"]
    with pytest.raises(LogFull):
        await desk.matcher.run()

    alerts = await desk.told(second)

    assert Counter((alert.cause, alert.also, bool(alert.follows)) for alert in alerts) == {
        (first.id, (), False): 500,
        (first.id, (second.id,), False): 700,
        (second.id, (), True): 500,
    }


async def test_a_later_telling_that_was_told_first_stands() -> None:
    """Watchlists that changed after a crash match the first telling too; who had the second is not told of it again."""
    desk = Desk(*(watchlist(subscriber=f"desk-{n:04}", feeds=("commerce",)) for n in range(1_200)))
    first, second = told_by("bis"), told_by("commerce")
    await desk.log.append([first, second])
    desk.log.failures = ["", "before"]
    with pytest.raises(LogFull):
        await desk.matcher.run()
    for each in many(1_200):
        desk.index.add(each)

    await desk.matcher.run()

    alerts = await events(desk.log, AlertRaised)
    assert Counter((alert.cause, alert.also) for alert in alerts) == {
        (first.id, ()): 500,
        (first.id, (second.id,)): 700,
        (second.id, ()): 500,
    }


async def test_a_story_outlives_a_restart() -> None:
    """It is folded from the log, among many other events of older days."""
    clock = Clock()
    desk = Desk(watchlist(), log=FailingLog(clock))
    for n in range(30):
        await desk.told(told_by("bis", f"Hong Kong fair {n}", "", n=n))
        clock.advance(86_400)
    first, named = told_by("bis", n=100, seen=timedelta(days=30)), told_by("commerce", seen=timedelta(days=30))
    await desk.told(first, named)
    desk.restart()

    alerts = await desk.told(told_by("state", seen=timedelta(days=31)))

    assert [alert.follows for alert in alerts if alert.statement_id == "state/1"] == [alert_of(first)]


@ON_ANY_LOG
async def test_stories_are_the_same_on_any_log(log_in: LogIn, tmp_path: Path) -> None:
    """A telling named, a reply after a restart, a revision."""
    async with log_in(tmp_path) as log:
        desk = Desk(watchlist(), log=log)
        first, second, third = told_by("bis"), told_by("commerce"), told_by("state")
        await desk.told(first, second)
        desk.restart()
        await desk.told(third)

        await desk.told(revision(second))

        assert [(each.id, each.event.follows) for each in await recorded(log, AlertRaised)] == [
            (alert_of(first), ""),
            (alert_of(third), alert_of(first)),
            (alert_of(revision(second)), alert_of(first)),
        ]
