"""
When each step runs.

A step runs when its time comes and when the log has grown, one run at a time; asked while it runs, it runs once more.
About ten jobs of the scheduler keep the time. Feeds are none of them: they have a heap of their own (feeds/rhythm).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from notifier.errors import NotifierError
from notifier.eventlog.log import EventLog
from notifier.feeds.feed import Feed
from notifier.feeds.health import READ
from notifier.feeds.rhythm import Rhythm, Round
from notifier.steps.poll import Poll

logger = logging.getLogger(__name__)

AT_ONCE = 256  # polls under way together: so many bodies may be held, and connections open
A_HOST = 32  # of them for feeds of one host, however slow it is; how many may ask it together is the fetcher's


class Lane:
    """One step's turn: never two runs together, and no wish to run is lost."""

    def __init__(self, name: str, step: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._step = step
        self._wanted = False
        self._over = False
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Run the step soon; nothing once `finish` was called."""
        if self._over:
            return
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._turn(), name=self._name)

    async def _turn(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self._step()
            except NotifierError as error:
                # Its words say it all, and once is enough: a full disk lasts, and a turn comes every second.
                if str(error) != self._trouble:
                    logger.error("%s waits: %s", self._name, error)  # noqa: TRY400
                self._trouble = str(error)
            except Exception:
                # The boundary of a step: a bug in one must not end the others. It stays loud, and its time comes again.
                logger.exception("%s failed; it is tried again when its time comes", self._name)
            else:
                if self._trouble:
                    logger.info("%s goes on", self._name)
                self._trouble = ""

    async def finish(self) -> None:
        """Wait for the run that is under way; start no other, now or later."""
        self._over, self._wanted = True, False
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Rounds:
    """
    Polls every feed when it is due, some together, and none waits for a slow one.

    `pace` are the seconds after which a feed that is well should be asked again; `rounds` tells of each feed that was
    polled where it stands, by the time of `clock`, and begins with what is known of before.
    """

    def __init__(
        self,
        feeds: Iterable[Feed],
        poll: Callable[[Feed], Awaitable[Poll]],
        random: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
        told: Callable[[Feed, Poll], None] = lambda feed, poll: None,
        pace: Callable[[Feed], float] = lambda feed: feed.every,
        clock: Callable[[], datetime] = _wall_clock,
        rounds: Mapping[str, Round] = MappingProxyType({}),
        fastest: float = 60.0,
    ) -> None:
        self._poll = poll
        self._now = now
        self._told = told
        self._pace = pace
        self._clock = clock
        self.rounds = dict(rounds)
        self._fastest = fastest
        self._last: dict[str, float] = {}  # when each was polled
        self._rhythm = Rhythm(feeds, now(), random)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._over = False

    async def start_due(self) -> None:
        """Start the polls that are due, and do not wait for them; none once `stop` was called."""
        if self._over:
            return
        for feed in self._rhythm.due(self._now()):
            task = asyncio.get_running_loop().create_task(self._one(feed), name=f"poll {feed.id}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, feed: Feed) -> None:
        failed, after = True, None
        try:
            # Its host's place first: a hundred feeds of a host that does not answer queue there, out of others' way.
            async with self._host(feed), self._places:
                poll = await self._poll(feed)
            failed, after = poll.outcome not in READ, poll.after
            self._told(feed, poll)
        except NotifierError as error:
            logger.error("%s: %s", feed.id, error)  # noqa: TRY400 its words say it all
        except Exception:
            # As in a lane: one feed's bug is loud, and the others are polled all the same.
            logger.exception("polling %s failed; it is tried again when its time comes", feed.id)
        finally:
            self._last[feed.id] = self._now()
            wait = self._rhythm.polled(feed, self._now(), failed=failed, after=after, pace=self._pace(feed))
            self._note(feed, wait, failed=failed)

    def _note(self, feed: Feed, wait: float, *, failed: bool) -> None:
        now, before = self._clock(), self.rounds.get(feed.id)
        well_at = now if not failed else before.well_at if before else None
        self.rounds[feed.id] = Round(now, now + timedelta(seconds=wait), well_at)

    def hurry(self, id: str) -> None:
        """
        Poll a feed soon, since somebody says that it has news; not more often than `fastest` allows, since anybody
        might, nor while its server asked us to wait.
        """
        last = self._last.get(id, -self._fastest)
        self._rhythm.hurry(id, max(self._now(), last + self._fastest))

    def _host(self, feed: Feed) -> asyncio.Semaphore:
        return self._hosts.setdefault(urlsplit(feed.url).netloc, asyncio.Semaphore(A_HOST))

    async def ended(self) -> None:
        """Return once no poll is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def stop(self) -> None:
        """End the polls under way. What they had not stored is asked for again at the next start."""
        self._over = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


class Schedule:
    """The clockwork of a running service."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lanes: list[Lane] = []
        self._upon_growth: list[Lane] = []
        self._watch: asyncio.Task[None] | None = None
        # The defaults drop a job that starts a second late; ours may start late, and never not at all.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def every(
        self, seconds: float, name: str, step: Callable[[], Awaitable[object]], *, upon_growth: bool = False
    ) -> None:
        """Run a step at once, then every so many seconds; with `upon_growth` also whenever the log has grown."""
        lane = Lane(name, step)
        self._lanes.append(lane)
        if upon_growth:
            self._upon_growth.append(lane)

        async def turn() -> None:
            lane.ask()

        self._scheduler.add_job(turn, "interval", seconds=seconds, id=name)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()
        self._watch = asyncio.get_running_loop().create_task(self._watch_log(), name="watch the log")
        for lane in self._lanes:
            lane.ask()

    async def _watch_log(self) -> None:
        try:
            seen = await self._log.head()
            while True:
                await self._log.wait(seen)
                seen = await self._log.head()
                for lane in self._upon_growth:
                    lane.ask()
        except Exception:
            logger.exception("the log cannot be watched any more; steps go on by the clock alone")

    async def stop(self) -> None:
        """Start nothing more, and let what runs come to its end."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await asyncio.gather(*(lane.finish() for lane in self._lanes))
