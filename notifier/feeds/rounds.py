"""
Poll every feed when it is due, many concurrently, so that a slow feed delays no other.
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

MAX_CONCURRENT = 256  # polls; a limit on bodies in memory and open connections
A_HOST = 32  # polls of one host's feeds, which may all wait for it; the fetcher limits requests


class PollResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one poll ended: its outcome and that of the poll `before` ("" at first), the statements it published and
    revised, the seconds that the server asked us to wait `after`, and the WebSub `hub` of its `topic`, "" if none.
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
    Polls each feed when it is due and calls `on_poll` with the result.

    `pace` gives the seconds until a healthy feed is polled again, `fastest` the least seconds between hurried polls.
    `rounds` holds the last and next poll of each feed by the time of `clock`, and may start with those of an earlier
    run.
    """

    def __init__(
        self,
        feeds: Iterable[Feed],
        poll: Callable[[Feed], Awaitable[PollResult]],
        random: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
        on_poll: Callable[[Feed, PollResult], None] = lambda feed, poll: None,
        pace: Callable[[Feed], float] = lambda feed: feed.every,
        clock: Callable[[], datetime] = _wall_clock,
        rounds: Mapping[str, Round] = MappingProxyType({}),
        fastest: float = 60.0,
    ) -> None:
        self._poll = poll
        self._ticks = ticks
        self._on_poll = on_poll
        self._pace = pace
        self._clock = clock
        self.rounds = dict(rounds)
        self._fastest = fastest
        self._last: dict[str, float] = {}  # when each feed was polled, in ticks
        self._rhythm = Rhythm(feeds, ticks(), random)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start_due(self) -> None:
        """Start the polls that are due and return without waiting; after `stop`, start none."""
        if self._stopped:
            return
        for feed in self._rhythm.due(self._ticks()):
            task = asyncio.get_running_loop().create_task(self._one(feed), name=f"poll {feed.id}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, feed: Feed) -> None:
        failed, after = True, None
        try:
            # The host's slot first: a hundred feeds of a host that does not answer queue there and delay no others.
            async with self._host(feed), self._slots:
                poll = await self._poll(feed)
            failed, after = poll.outcome not in READ, poll.after
            self._on_poll(feed, poll)
        except NotifierError as error:
            logger.error("%s: %s", feed.id, error)  # noqa: TRY400 the message is enough
        except Exception:
            # A bug with one feed is loud, and the others are still polled.
            logger.exception("%s: the poll failed with an internal error; the feed is polled again when due", feed.id)
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
        Poll a feed soon, because a hub announced news: at most every `fastest` seconds, since anybody may claim that,
        and not before the time that its server asked us to wait.
        """
        last = self._last.get(id, -self._fastest)
        self._rhythm.hurry(id, max(self._ticks(), last + self._fastest))

    def _host(self, feed: Feed) -> asyncio.Semaphore:
        return self._hosts.setdefault(urlsplit(feed.url).netloc, asyncio.Semaphore(A_HOST))

    async def ended(self) -> None:
        """Wait until no poll is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def stop(self) -> None:
        """Cancel the polls under way. What they had not stored is fetched again after the next start."""
        self._stopped = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
