"""
The cost of scheduling very many feeds, and whether a poll is lost when all are due at once.

Fifty thousand feeds, a tenth of them with slots, are due in one second; then the clock runs through one interval, a
second at a time, and each is polled again at its own time. The polls do nothing, so only scheduling is measured: as a
share of a core over that interval, and against as many bare asyncio tasks in the same run.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from notifier.feeds.feed import Feed
from notifier.feeds.habit import UNKNOWN, Bounds, next_due
from notifier.feeds.rounds import PollResult, Rounds

FEEDS, EVERY, TURNS = 50_000, 300, 3
SHARE = 0.02  # of a core
START = datetime(2020, 6, 29, 3, 0, tzinfo=UTC)  # no slot is near


async def scheduled() -> tuple[float, float, Counter[str], Counter[str]]:
    """CPU seconds of the first second and of the interval after it, and the polls of each feed in both."""
    slots = ("08:45", "16:15")
    feeds = [
        Feed(
            id=f"f{n}",
            url=f"https://h{n % 5_000}.example/{n}",
            issuer="Press",
            every=EVERY,
            slots=() if n % 10 else slots,
        )
        for n in range(FEEDS)
    ]
    now, polled = 0.0, Counter[str]()

    async def poll(feed: Feed) -> PollResult:
        polled[feed.id] += 1
        return PollResult(feed=feed.id, outcome="unchanged")

    def pace(feed: Feed) -> float:
        moment = START + timedelta(seconds=now)
        return (next_due(feed, UNKNOWN, Bounds(), moment) - moment).total_seconds()

    chance = random.Random(7)
    rounds = Rounds(feeds, poll, chance.random, lambda: now, pace=pace)
    began = time.process_time()
    await rounds.start_due()
    await rounds.ended()
    burst, first = time.process_time() - began, polled.copy()
    polled.clear()
    began = time.process_time()
    # Long enough for the last feed, which may be late by a tenth of its interval.
    for second in range(1, int(EVERY * 1.1) + 2):
        now = float(second)
        await rounds.start_due()
        await rounds.ended()
    return burst, time.process_time() - began, first, polled


async def bare() -> float:
    """CPU seconds of as many tasks that do nothing."""

    async def nothing() -> None:
        pass

    began = time.process_time()
    await asyncio.gather(*(asyncio.create_task(nothing()) for _ in range(FEEDS)))
    return time.process_time() - began


async def measure() -> bool:
    bursts, intervals, tasks, missed = [], [], [], 0
    for _ in range(TURNS):
        tasks.append(await bare())
        burst, interval, first, then = await scheduled()
        bursts.append(burst)
        intervals.append(interval)
        missed = max(missed, FEEDS - len(first), FEEDS - len(then))
    burst, interval, task = map(statistics.median, (bursts, intervals, tasks))
    share = interval / EVERY
    print(f"{FEEDS:,} feeds, every {EVERY} s, {TURNS} turns, medians:")
    print(f"  missed when all are due in one second, or after   {missed}   target 0")
    print(f"  CPU to start them all                             {burst:.2f} s   ({burst / task:.1f} times bare tasks)")
    print(f"  scheduling through an interval                    {share:.2%} of a core   target {SHARE:.0%}")
    return missed == 0 and share <= SHARE


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure()) else 1)
