"""
How deliveries ended → the log, many in one commit.

An outcome that the log refuses is kept, and no message is sent until the log has taken it: to send without a record
would make a second copy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from notifier.delivery.lanes import Lanes
from notifier.delivery.outbox import Lane
from notifier.errors import Conflict, LogError
from notifier.eventlog.log import Appended, Duplicate, EventLog
from notifier.events.event import Event

logger = logging.getLogger(__name__)

GROUP = 256  # messages at most whose outcomes, up to three events each, are stored in one commit
TOGETHER = 64  # outcomes that are worth a commit; fewer wait for others that are under way
LINGER = 0.005  # seconds, at most

Fold = Callable[[list[Event], Sequence[Appended | Duplicate]], Awaitable[None]]


class Recorder:
    """
    `fold` is called with what was recorded and the log's answers, before the lanes go on; `proceed` after that.
    `is_stuck` says that the log refused outcomes: nothing may be sent until `settle` and `resume`.
    """

    def __init__(self, log: EventLog, lanes: Lanes, fold: Fold, proceed: Callable[[], None]) -> None:
        self._log = log
        self._lanes = lanes
        self._fold = fold
        self._proceed = proceed
        self.is_stuck = False
        # Outcomes that the log has not taken yet, by identity. Where it refuses them they go first when it takes
        # something again.
        self._unrecorded: dict[int, Event] = {}
        self._ended: list[tuple[Lane, Sequence[Event]]] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many events the log has not taken yet."""
        return len(self._unrecorded)

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that records; None while there is nothing to record."""
        return self._task if self._task is not None and not self._task.done() else None

    def add(self, lane: Lane, events: Sequence[Event]) -> None:
        """Record how a message of a lane ended; the lane goes on after that."""
        self._lanes.begin(lane)
        for event in events:
            self._unrecorded[id(event)] = event
        self._ended.append((lane, events))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._record(), name="record deliveries")

    async def _record(self) -> None:
        while self._ended:
            if len(self._ended) < TOGETHER and self._lanes.under_way > len(self._ended):
                await asyncio.sleep(LINGER)
            # Thousands may expire in one second; the log takes so many at once and no more.
            group, self._ended = self._ended[:GROUP], self._ended[GROUP:]
            events = [event for _, ended in group for event in ended]
            try:
                answers = await self._log.append(events)
                for event in events:
                    self._unrecorded.pop(id(event), None)
                await self._fold(events, answers)
            except LogError as error:
                # All lanes go on once the outcomes that wait in `_unrecorded` are stored.
                self.is_stuck = True
                logger.error("sending is paused until the log accepts delivery outcomes: %s", error)  # noqa: TRY400
            except Exception:
                self.is_stuck = True
                logger.exception("recording delivery outcomes failed; sending is paused until they are recorded")
            finally:
                for lane, _ in group:
                    self._lanes.release(lane)
            self._proceed()

    async def settle(self) -> None:
        """Record what the log refused before, one by one: one outcome's fault is not the others'. Raises `LogError`."""
        if not self.is_stuck:
            return
        for event in list(self._unrecorded.values()):
            try:
                await self._log.append([event])
            except Conflict as error:
                # The log has this outcome in other words, from somebody else. It stands, and nothing waits for ever.
                logger.error("an outcome is not recorded: %s", error)  # noqa: TRY400 its words say it all
            self._unrecorded.pop(id(event), None)

    def resume(self) -> None:
        """Let sending go on, unless something is still unrecorded. Call it once what was settled is folded in."""
        if not self._unrecorded:
            self.is_stuck = False

    async def finish(self) -> None:
        """Wait until what has ended is recorded, or refused, and record what was refused, once more."""
        if self._task is not None:
            await asyncio.wait([self._task])
        try:
            await self.settle()
        except LogError as error:
            logger.error(  # noqa: TRY400 its words say it all
                "%d outcomes could not be recorded: after the next start, their messages may be sent again: %s",
                len(self._unrecorded),
                error,
            )
