"""
When each feed is polled: some together, a slow one in nobody's way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from notifier.errors import NotifierError
from notifier.feeds.feed import Feed
from notifier.feeds.health import READ
from notifier.feeds.rhythm import Rhythm, Round

logger = logging.getLogger(__name__)

MAX_CONCURRENT = 256  # polls under way together: so many bodies may be held, and connections open
A_HOST = 32  # of them for feeds of one host, however slow it is; how many may ask it together is the fetcher's


class PollResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one poll ended: its outcome, that of the poll `before` ("" at first), what it added to the log, the seconds the
    server asked us to wait, and the hub that tells of changes, "" where there is none.
    """

    feed: str
    outcome: str
    before: str = ""
    published: int = 0
    revised: int = 0
    baseline: bool = False
    detail: str = ""
    after: float | None = None
    hub: str = ""
    topic: str = ""


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
        poll: Callable[[Feed], Awaitable[PollResult]],
        random: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
        told: Callable[[Feed, PollResult], None] = lambda feed, poll: None,
        pace: Callable[[Feed], float] = lambda feed: feed.every,
        clock: Callable[[], datetime] = _wall_clock,
        rounds: Mapping[str, Round] = MappingProxyType({}),
        fastest: float = 60.0,
    ) -> None:
        self._poll = poll
        self._ticks = ticks
        self._told = told
        self._pace = pace
        self._clock = clock
        self.rounds = dict(rounds)
        self._fastest = fastest
        self._last: dict[str, float] = {}  # when each was polled
        self._rhythm = Rhythm(feeds, ticks(), random)
        self._places = asyncio.Semaphore(MAX_CONCURRENT)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._over = False

    async def start_due(self) -> None:
        """Start the polls that are due, and do not wait for them; none once `stop` was called."""
        if self._over:
            return
        for feed in self._rhythm.due(self._ticks()):
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
            self._last[feed.id] = self._ticks()
            wait = self._rhythm.polled(feed, self._ticks(), failed=failed, after=after, pace=self._pace(feed))
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
        self._rhythm.hurry(id, max(self._ticks(), last + self._fastest))

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
