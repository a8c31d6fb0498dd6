"""Do steps and polls run when they should, never twice together, and is none of them lost?"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest

from notifier.errors import LogFull
from notifier.eventlog.memory import MemoryLog
from notifier.events.feeds import FeedBaselined
from notifier.feeds.feed import Feed
from notifier.feeds.rhythm import Round
from notifier.feeds.rounds import A_HOST, MAX_CONCURRENT, PollResult, Rounds
from notifier.schedule import Schedule, StepRunner

NOW = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)


class Step:
    """A step that runs until it is let go on, and counts."""

    def __init__(self, *, held: bool = False, errors: Iterable[Exception | None] = ()) -> None:
        self._errors = list(errors)
        self._may_go = asyncio.Event()
        if not held:
            self._may_go.set()
        self._news = asyncio.Condition()
        self.began = self.ended = self.together = self.most_together = 0

    async def __call__(self) -> None:
        self.began += 1
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        async with self._news:
            self._news.notify_all()
        try:
            await self._may_go.wait()
            if self._errors and (error := self._errors.pop(0)):
                raise error
        finally:
            self.together -= 1
            self.ended += 1

    def release(self) -> None:
        self._may_go.set()

    async def has_begun(self, times: int) -> None:
        async with self._news, asyncio.timeout(10):
            await self._news.wait_for(lambda: self.began >= times)


class Polls:
    """Polls that end as the test says: by feed an outcome, an error, or an event to wait for first."""

    def __init__(self, **ends: str | float | Exception | asyncio.Event) -> None:
        self.ends = ends
        self.begun: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self.together: list[str] = []
        self.news = asyncio.Condition()

    async def poll(self, feed: Feed) -> PollResult:
        assert feed.id not in self.together
        self.begun.append(feed.id)
        self.together.append(feed.id)
        async with self.news:
            self.news.notify_all()
        end = self.ends.get(feed.id, "ok")
        try:
            if isinstance(end, asyncio.Event):
                await end.wait()
        except asyncio.CancelledError:
            self.cancelled.append(feed.id)
            raise
        finally:
            self.together.remove(feed.id)
        if isinstance(end, Exception):
            raise end
        if isinstance(end, float):
            return PollResult(feed=feed.id, outcome="throttled", after=end)
        return PollResult(feed=feed.id, outcome=end if isinstance(end, str) else "ok")

    def tell(self, feed: Feed, poll: PollResult) -> None:
        self.told.append((feed.id, poll.outcome))

    async def begin(self, count: int) -> None:
        """Return once so many polls have begun, counting from the first."""
        async with self.news, asyncio.timeout(10):
            await self.news.wait_for(lambda: len(self.begun) >= count)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def feed(id: str, host: str = "", every: float = 300.0) -> Feed:
    return Feed(id=id, url=f"https://{host or id}.example/feed", issuer="Press office", every=every)


def rounds(feeds: Iterable[Feed], polls: Polls, clock: Callable[[], float]) -> Rounds:
    return Rounds(feeds, polls.poll, lambda: 0.5, clock, polls.tell)


async def settle() -> None:
    """Let everything run that can run without anything more from outside."""
    for _ in range(20):
        ready = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(ready.set_result, None)
        await ready


# ---------------------------------------------------------------- lanes


async def test_a_step_asked_while_it_runs_runs_once_more() -> None:
    """However often it was asked meanwhile, and never beside itself."""
    step = Step(held=True)
    lane = StepRunner("match", step)
    lane.ask()
    await step.has_begun(1)

    for _ in range(5):
        lane.ask()
    await settle()
    begun_meanwhile = step.began
    step.release()
    await settle()

    assert (begun_meanwhile, step.began, step.ended, step.most_together) == (1, 2, 2, 1)


async def test_a_step_asked_when_idle_runs_each_time() -> None:
    """A wish after the last run has ended starts another."""
    step = Step()
    lane = StepRunner("match", step)

    for _ in range(3):
        lane.ask()
        await settle()

    assert step.ended == 3


async def test_a_failing_step_is_loud_and_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is told with its place, and ends neither the lane nor the wish that came meanwhile."""
    step = Step(held=True, errors=[KeyError("a bug"), ValueError("another")])
    lane = StepRunner("match", step)

    lane.ask()
    await step.has_begun(1)
    lane.ask()
    step.release()
    await settle()
    lane.ask()
    await settle()

    assert step.ended == 3
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[0] for record in failures if record.exc_info] == [KeyError, ValueError]
    assert all("match" in record.getMessage() for record in failures)


async def test_a_trouble_that_lasts_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk is told in a sentence when it begins and when it ends, not with a traceback every second."""
    caplog.set_level(logging.INFO, "notifier")
    full = LogFull("the disk is full")
    step = Step(errors=[full, full, full, None])
    lane = StepRunner("deliver", step)

    for _ in range(4):
        lane.ask()
        await settle()
    await lane.finish()

    assert [record.getMessage() for record in caplog.records] == ["deliver waits: the disk is full", "deliver goes on"]
    assert not any(record.exc_info for record in caplog.records)


async def test_a_finished_lane_lets_its_run_end_and_starts_no_other() -> None:
    """What was asked for before, during or after the end is not begun any more."""
    step = Step(held=True)
    lane = StepRunner("deliver", step)
    lane.ask()
    await step.has_begun(1)
    lane.ask()

    finishing = asyncio.create_task(lane.finish())
    await settle()
    waits = not finishing.done()
    lane.ask()
    step.release()
    await finishing
    lane.ask()
    await settle()

    assert waits
    assert (step.began, step.ended) == (1, 1)


async def test_an_idle_lane_finishes_at_once() -> None:
    """There is nothing to wait for where nothing ever ran."""
    async with asyncio.timeout(10):
        await StepRunner("deliver", Step()).finish()


# ---------------------------------------------------------------- rounds


async def test_every_feed_is_polled_at_the_start_and_when_it_is_due() -> None:
    """At the start, after each feed's own interval, and not between."""
    polls, clock = Polls(), Clock()
    round_ = rounds([feed("quick", every=60), feed("slow", every=300)], polls, clock)

    for now in (0, 59, 60, 299, 300):
        clock.now = now
        await round_.start_due()
        await settle()
        polls.begun.append(f"at {now}")

    assert polls.begun == ["quick", "slow", "at 0", "at 59", "quick", "at 60", "quick", "at 299", "slow", "at 300"]
    assert polls.told == [(id, "ok") for id in polls.begun if not id.startswith("at")]


async def test_a_slow_feed_holds_up_nobody() -> None:
    """While one poll does not end, the others come round again and again, and it is not begun a second time."""
    polls, clock = Polls(slow=asyncio.Event()), Clock()
    round_ = rounds([feed("slow"), feed("one"), feed("two")], polls, clock)

    for turn in range(4):
        clock.now = turn * 300.0
        await round_.start_due()
        await settle()
    await round_.stop()

    assert polls.begun.count("slow") == 1
    assert polls.begun.count("one") == polls.begun.count("two") == 4


async def test_a_slow_host_holds_up_nobody() -> None:
    """Hundreds of feeds of a host that does not answer leave places for those of others, whatever the order."""
    never = asyncio.Event()
    stuck = [feed(f"stuck-{number}", "stuck") for number in range(2 * MAX_CONCURRENT)]
    polls = Polls(**{each.id: never for each in stuck})
    round_ = rounds([*stuck, feed("other")], polls, Clock())

    await round_.start_due()
    await settle()
    begun = len(polls.begun)
    never.set()
    await polls.begin(len(stuck) + 1)
    await round_.stop()

    assert ("other", "ok") in polls.told[:1]
    assert begun == A_HOST + 1
    assert sorted(polls.begun) == sorted(["other", *(each.id for each in stuck)])


async def test_so_many_polls_and_no_more_are_under_way() -> None:
    """What is held in memory is bounded however many feeds are due, and all of them get their turn."""
    go = asyncio.Event()
    feeds = [feed(f"f{number}") for number in range(MAX_CONCURRENT + 50)]
    polls = Polls(**{each.id: go for each in feeds})
    round_ = rounds(feeds, polls, Clock())

    await round_.start_due()
    await settle()
    together = len(polls.together)
    go.set()
    await polls.begin(len(feeds))
    await settle()

    assert together == MAX_CONCURRENT
    assert sorted(id for id, _ in polls.told) == sorted(each.id for each in feeds)


async def test_a_poll_with_a_bug_is_loud_and_comes_round_again(caplog: pytest.LogCaptureFixture) -> None:
    """One feed's bug is told with the feed's name; it is polled again, and the others are not disturbed."""
    polls, clock = Polls(broken=KeyError("a bug")), Clock()
    round_ = rounds([feed("broken"), feed("sound")], polls, clock)

    for now in (0, 300, 900):
        clock.now = now
        await round_.start_due()
        await settle()

    assert polls.begun.count("broken") == 3
    assert polls.told == [("sound", "ok")] * 3
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) == 3
    assert all("broken" in record.getMessage() and record.exc_info for record in failures)


async def test_a_listener_with_a_bug_loses_no_feed(caplog: pytest.LogCaptureFixture) -> None:
    """A feed whose news could not be told is due again like any other."""
    polls, clock = Polls(), Clock()

    def broken(feed: Feed, poll: PollResult) -> None:
        raise KeyError("a bug")

    round_ = Rounds([feed("one")], polls.poll, lambda: 0.5, clock, broken)
    for now in (0, 300):
        clock.now = now
        await round_.start_due()
        await settle()

    assert polls.begun == ["one", "one"]
    assert len(caplog.records) == 2


@pytest.mark.parametrize(("outcome", "failed"), [("ok", False), ("ok-empty", False), ("unchanged", False)])
async def test_a_healthy_feed_keeps_its_pace(outcome: str, failed: bool) -> None:
    """An empty feed, and one without news, are polled as often as one with."""
    assert await pace(outcome) == [0, 300, 600, 900, 1200]


@pytest.mark.parametrize("outcome", ["blocked", "not-a-feed", "parse-error", "unreachable", "not-found", "retired"])
async def test_a_failing_feed_slows_down(outcome: str) -> None:
    """From the second failure on the interval doubles."""
    assert await pace(outcome) == [0, 300, 900]


async def test_a_wish_to_wait_is_kept() -> None:
    """Retry-After of ten minutes means ten minutes."""
    assert await pace(600.0) == [0, 600, 1200]


async def pace(end: str | float) -> list[int]:
    """When a feed with an interval of 300 is polled within 1,200 seconds, if each poll ends so."""
    polls, clock, at = Polls(feed=end), Clock(), []
    round_ = rounds([feed("feed", every=300)], polls, clock)
    for now in range(0, 1201, 60):
        clock.now = now
        before = len(polls.begun)
        await round_.start_due()
        await settle()
        at += [now] * (len(polls.begun) - before)
    return at


async def test_a_healthy_feed_is_asked_when_its_habit_says_so() -> None:
    """And one that fails, by its interval: a slot is no reason to knock at a closed door."""
    polls, clock = Polls(broken="blocked"), Clock()
    round_ = Rounds([feed("well"), feed("broken")], polls.poll, lambda: 0.5, clock, polls.tell, pace=lambda feed: 60)

    for now in range(0, 301, 60):
        clock.now = now
        await round_.start_due()
        await settle()

    assert polls.begun.count("well") == 6
    assert polls.begun.count("broken") == 2


async def test_a_word_that_a_feed_has_news_is_followed_soon() -> None:
    """As soon as the fastest pace allows, however often it is said."""
    polls, clock = Polls(), Clock()
    round_ = Rounds([feed("told"), feed("other")], polls.poll, lambda: 0.5, clock, fastest=60)
    await round_.start_due()
    await settle()

    for now in (10, 59, 60, 61, 119, 120, 121):
        clock.now = now
        for _ in range(3):
            round_.hurry("told")
        await round_.start_due()
        await settle()
        polls.begun.append(f"at {now}")

    assert [each for each in polls.begun if each != "other"] == [
        "told", "at 10", "at 59", "told", "at 60", "at 61", "at 119", "told", "at 120", "at 121",
    ]  # fmt: skip
    assert polls.begun.count("other") == 1


@pytest.mark.parametrize("outcome", ["stale", "gap"])
async def test_a_feed_that_was_read_keeps_its_pace(outcome: str) -> None:
    """That it is silent, or was asked too seldom, is no reason to ask it less often."""
    assert await pace(outcome) == [0, 300, 600, 900, 1200]


async def test_where_each_feed_stands_is_noted() -> None:
    """When it was polled, when last with success, and when it comes next; what was known before stays until then."""
    clock = Clock()
    before = Round(NOW - timedelta(days=1), NOW, NOW - timedelta(days=2))
    round_ = Rounds(
        [feed("well"), feed("ill"), feed("new", every=60), feed("hanging")],
        Polls(well="ok", ill="blocked", new="blocked", hanging=asyncio.Event()).poll,
        lambda: 0.5,
        clock,
        clock=lambda: NOW,
        rounds={"ill": before, "hanging": before},
    )

    await round_.start_due()
    await settle()
    await round_.stop()

    assert round_.rounds["well"] == Round(NOW, NOW + timedelta(seconds=300), NOW)
    assert round_.rounds["ill"] == Round(NOW, NOW + timedelta(seconds=300), NOW - timedelta(days=2))
    assert round_.rounds["new"] == Round(NOW, NOW + timedelta(seconds=60), None)


async def test_thousands_of_feeds_are_spread_and_none_is_lost() -> None:
    """Due together at the start, five thousand feeds of fifty hosts drift apart, each polled once a turn."""
    chance = random.Random(7)  # noqa: S311
    feeds = [feed(f"f{number}", f"host-{number % 50}") for number in range(5_000)]
    polls, clock = Polls(), Clock()
    at_host: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def poll(of: Feed) -> PollResult:
        host = of.url.split("/")[2]
        at_host[host] += 1
        most[host] = max(most[host], at_host[host])
        await settle()
        at_host[host] -= 1
        return await polls.poll(of)

    round_ = Rounds(feeds, poll, chance.random, clock)
    await round_.start_due()
    await round_.ended()
    first = len(polls.begun)
    busiest = 0
    for now in range(0, 331):
        clock.now = now
        before = len(polls.begun)
        await round_.start_due()
        await round_.ended()
        busiest = max(busiest, len(polls.begun) - before)

    assert first == 5_000
    assert Counter(polls.begun) == Counter({each.id: 2 for each in feeds})
    assert busiest < 5_000 / 60 * 2
    assert max(most.values()) <= A_HOST


async def test_stopping_ends_the_polls_under_way() -> None:
    """Running and waiting ones alike, and none is begun afterwards, however late it is."""
    never, clock = asyncio.Event(), Clock()
    feeds = [feed(f"f{number}", "one-host") for number in range(A_HOST + 5)]
    polls = Polls(**{each.id: never for each in feeds})
    round_ = rounds(feeds, polls, clock)
    await round_.start_due()
    await settle()

    async with asyncio.timeout(10):
        await round_.stop()
    clock.now = 1_000_000
    await round_.start_due()
    await settle()

    assert len(polls.begun) == A_HOST
    assert sorted(polls.cancelled) == sorted(polls.begun)
    assert polls.together == []
    assert polls.told == []


# ---------------------------------------------------------------- the whole clockwork


async def test_steps_run_at_the_start_and_when_the_log_grows() -> None:
    """Each step runs at once; those that read the log run again as soon as there is something to read."""
    log, reader, other = MemoryLog(lambda: NOW), Step(), Step()
    schedule = Schedule(log)
    schedule.every(3600, "match", reader, upon_growth=True)
    schedule.every(3600, "reload", other)

    schedule.start()
    await reader.has_begun(1)
    await settle()
    await log.append([FeedBaselined(feed="us-press", entries=0)])
    await reader.has_begun(2)
    await schedule.stop()
    await log.append([FeedBaselined(feed="gb-press", entries=0)])
    await settle()

    assert (reader.ended, other.ended) == (2, 1)


async def test_a_step_runs_again_when_its_time_comes() -> None:
    """The clock alone starts it too."""
    step = Step()
    schedule = Schedule(MemoryLog(lambda: NOW))
    schedule.every(0.02, "poll", step)

    schedule.start()
    await step.has_begun(3)
    await schedule.stop()

    assert step.most_together == 1


async def test_a_log_that_cannot_be_watched_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Steps go on by the clock, and the operator hears why they come late."""
    schedule = Schedule(Unwatchable(lambda: NOW))
    step = Step()
    schedule.every(0.02, "match", step, upon_growth=True)

    schedule.start()
    await step.has_begun(2)
    await schedule.stop()

    assert "cannot be watched" in caplog.text


class Unwatchable(MemoryLog):
    """A log whose file has gone."""

    async def wait(self, after: int) -> None:
        raise OSError("no such file")
