"""
When each step runs.

A step runs when its time comes and when the log has grown, one run at a time; asked while it runs, it runs once more.
About ten jobs of the scheduler keep the time. Feeds are none of them: they have a heap of their own (feeds/rhythm).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from notifier.errors import NotifierError
from notifier.eventlog.log import EventLog

logger = logging.getLogger(__name__)


class StepRunner:
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


class Schedule:
    """The clockwork of a running service."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lanes: list[StepRunner] = []
        self._upon_growth: list[StepRunner] = []
        self._watch: asyncio.Task[None] | None = None
        # The defaults drop a job that starts a second late; ours may start late, and never not at all.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def every(
        self, seconds: float, name: str, step: Callable[[], Awaitable[object]], *, upon_growth: bool = False
    ) -> None:
        """Run a step at once, then every so many seconds; with `upon_growth` also whenever the log has grown."""
        lane = StepRunner(name, step)
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
