"""Does the matcher hold what is to wait, and nothing else, whenever it comes to decide?"""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from notifier.errors import LogFull
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event
from notifier.subscribers.timing import Timing
from notifier.watchlists.watchlist import Watchlist
from tests.builders import NOON, events
from tests.steps.test_match import Desk, many, published, read, statement, watchlist
from tests.steps.test_match_stories import PagedLog, told_by

QUIET = Timing(timezone="Asia/Hong_Kong", quiet_from=time(19), quiet_until=time(7))  # it is eight in the evening there


def news(n: int, words: str = "Hong Kong") -> Event:
    return published(statement(f"Note {n} on {words}", id=f"us-commerce/{n}"))


def waits(alerts: list[AlertRaised]) -> list[str]:
    return [alert.waits_for for alert in alerts]


@pytest.mark.parametrize(
    ("watchlists", "held"),
    [
        ([watchlist()], ""),
        ([watchlist(frequency="daily")], "daily"),
        ([watchlist(frequency="weekly"), watchlist("special", "Status", frequency="hourly")], "hourly"),
        ([watchlist(frequency="weekly"), watchlist("special", "Status")], ""),
        ([watchlist(frequency="weekly"), watchlist("sports", "Sports")], "weekly"),
    ],
    ids=["immediately", "daily", "the most immediate", "one at once", "one that does not match"],
)
async def test_an_alert_waits_for_what_its_most_immediate_watchlist_says(
    watchlists: list[Watchlist], held: str
) -> None:
    """Of those that matched; the subscriber hears of it once."""
    (alert,) = await Desk(*watchlists).told(published())

    assert (alert.waits_for, alert.urgent) == (held, False)


async def test_nothing_goes_out_in_quiet_hours() -> None:
    """They are those at the moment at which the statement was recorded, and not at which we come to match it."""
    desk = Desk(watchlist())
    desk.timing["desk"] = QUIET
    await desk.log.append([published()])
    desk.log._clock.now = NOON + timedelta(hours=11)

    alerts = await desk.told(news(2))

    assert waits(alerts) == ["quiet hours", ""]


@pytest.mark.parametrize("timing", [Timing(), QUIET, Timing(frequency="weekly")])
async def test_what_is_urgent_goes_at_once(timing: Timing) -> None:
    """Whatever else the subscriber wants, also of other watchlists, and however many there are."""
    desk = Desk(watchlist(frequency=timing.frequency), watchlist("special", "Status", urgent=True))
    desk.timing["desk"] = timing

    alerts = await desk.told(*(news(n, "special Hong Kong") for n in range(9)))

    assert [(alert.waits_for, alert.urgent) for alert in alerts] == [("", True)] * 9


async def test_the_first_of_many_go_at_once_and_the_others_wait() -> None:
    """Of each subscriber his own; none is dropped."""
    desk = Desk(watchlist(), watchlist(subscriber="newsroom"))

    alerts = await desk.told(*(news(n) for n in range(8)))

    for who in ("desk", "newsroom"):
        own = [alert for alert in alerts if alert.subscriber == who]
        assert waits(own) == [""] * 5 + ["burst"] * 3


async def test_urgent_alerts_do_not_make_a_burst() -> None:
    """They were asked for, and keep nothing else from going out."""
    desk = Desk(watchlist(), watchlist("urgent", "Urgent", urgent=True))

    alerts = await desk.told(*(news(n, "urgent") for n in range(9)), news(10))

    assert waits(alerts) == [""] * 10


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_burst_goes_on_after_a_restart(restarted: bool) -> None:
    """What came before is in the log: the same alerts wait, wherever a run ended."""
    desk = Desk(watchlist())
    alerts: list[AlertRaised] = []
    for n in range(60):
        alerts = await desk.told(news(n))
        desk.log._clock.advance(60)
        if restarted:
            desk.restart()

    assert waits(alerts) == [""] * 5 + ["burst"] * 30 + [""] * 5 + ["burst"] * 20


@pytest.mark.parametrize("page", [1, 7, 500])
async def test_a_burst_does_not_depend_on_how_the_log_is_read(page: int) -> None:
    """In pages of any length, all at once or one by one."""
    desk = Desk(watchlist())
    log = PagedLog(desk.log._clock, page)
    desk.log = log
    desk.restart()
    for n in range(60):
        await log.append([news(n)])
        log._clock.advance(60)

    await desk.matcher.run()

    assert waits(await events(log, AlertRaised)) == [""] * 5 + ["burst"] * 30 + [""] * 5 + ["burst"] * 20


@pytest.mark.parametrize("failures", [["", "before"], ["", "after"], ["", "", "before"], ["", "", "after"]], ids=str)
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running on"])
async def test_a_crash_between_batches_counts_nothing_twice(failures: list[str], restarted: bool) -> None:
    """What was raised before it counts once, and is raised once."""
    desk = Desk(*many(300))
    for n in range(4):
        await desk.log.append([news(n)])
    desk.log.failures = [*failures]
    with pytest.raises(LogFull):
        await desk.matcher.run()

    if restarted:
        desk.restart()
    alerts = await desk.told(*(news(n) for n in range(4, 7)))

    assert len(alerts) == 7 * 300
    for each in many(300):
        assert waits([alert for alert in alerts if alert.subscriber == each.subscriber]) == [""] * 5 + ["burst"] * 2


async def test_an_alert_that_names_something_urgent_is_urgent() -> None:
    """Where a second telling is named in the first alert, what makes it urgent holds for that."""
    desk = Desk(watchlist("treatment", frequency="daily"), watchlist("urgent", "Urgent", urgent=True))
    first, second = told_by("bis"), told_by("commerce", text=f"{told_by('bis').statement.summary} Urgent.")

    (alert,) = await desk.told(first, second)

    assert (alert.also, alert.waits_for, alert.urgent) == ((second.id,), "", True)


@pytest.mark.parametrize("apart", [True, False], ids=["later", "together"])
async def test_a_page_that_turns_out_to_be_urgent_is_told_at_once(apart: bool) -> None:
    """Its summary alone would have waited until tomorrow; the words of the page do not."""
    desk = Desk(watchlist(frequency="daily"), watchlist("chips", "Chips", urgent=True))
    first = published()
    page = read("Special status of Hong Kong ends. Chips need a licence.", first)
    if apart:
        await desk.told(first)

    alerts = await desk.told(*([page] if apart else [first, page]))

    told = [(alert.cause, alert.waits_for, alert.urgent, bool(alert.follows)) for alert in alerts]
    assert told == ([(first.id, "daily", False, False)] if apart else []) + [
        (page.id if apart else first.id, "", True, apart)
    ]


async def test_a_page_that_is_urgent_is_not_told_twice() -> None:
    """Whoever had its summary at once knows of it."""
    desk = Desk(watchlist(), watchlist("chips", "Chips", urgent=True))
    first = published()
    await desk.told(first)

    alerts = await desk.told(read("Chips need a licence.", first))

    assert [alert.cause for alert in alerts] == [first.id]
