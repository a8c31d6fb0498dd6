"""
Joins the parts: the one file that knows them all.

A home is a directory with settings, subscriptions, templates and the log; an app is what runs there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

import msgspec

from notifier.delivery.channel_state import ChannelStates
from notifier.delivery.suspensions import OPERATOR
from notifier.errors import Misconfigured, TryLater
from notifier.eventlog import command_box as letterbox
from notifier.eventlog.log import EventLog
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.feeds.feed import Feed
from notifier.feeds.habit import next_due
from notifier.feeds.reading.pool import PAGES, Parsers
from notifier.feeds.rounds import PollResult, Rounds
from notifier.feeds.visit import Visitor
from notifier.home import packaged_data as shipped
from notifier.home import subscriber_files as subscriptions
from notifier.home.open_log import wall_clock
from notifier.home.settings import Settings
from notifier.home.subscriber_files import Subscriptions
from notifier.messages.render import Renderer
from notifier.ports import channels_of, fetcher_of, inbox_of, links_of, subscriptions_of
from notifier.questions.feed_health import ROUNDS, rounds_of
from notifier.questions.tail import counted
from notifier.schedule import Schedule
from notifier.secret import Secret
from notifier.steps.bounces import BounceReader
from notifier.steps.confirm import Confirmer, wanted
from notifier.steps.deliver import Deliverer
from notifier.steps.digest import Digester
from notifier.steps.match import Matcher
from notifier.steps.poll import Poller
from notifier.steps.read_pages import PageReader
from notifier.steps.recheck import Rechecker
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist
from notifier.web.unsubscribe import UnsubscribePages
from notifier.web.websub import Hubs

logger = logging.getLogger(__name__)

RELOAD = 2.0  # seconds between looks at the subscribers' files
TICK = 1.0  # seconds between looks at what is due
MATCH = 5.0  # seconds between looks at which digests are due; what the log comes to hold is matched at once
HUBS = 15.0  # seconds between looks at which hub is to be asked
NOTE = 60.0  # seconds between notes of where the polls stand
READ = 5.0  # seconds between looks at pages that are to be tried again; a new statement's is begun at once
RECHECK = 30.0  # seconds between looks at which pages are to be asked again
LETTERS = 1.0  # seconds between looks at what an operator's commands want recorded
CONFIRM = 30.0  # seconds between looks at who is to be asked whether he wants alerts
BOUNCES = 60.0  # seconds between looks at what came back by mail
GRACE = 6.0  # seconds that messages under way have to end when the service is told to stop


class Service:
    """
    A notifier put together: each step by name, and the ways to run them.

    `async with App.opened(home) as app` holds the home's log for writing until the end of the block.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        log: EventLog,
        clock: Callable[[], datetime],
        chance: random.Random,
        environ: Mapping[str, str],
        terminal: TextIO,
        seconds: Callable[[], float],
    ) -> None:
        self.home = home
        self.settings = settings
        self.log = log
        self._clock = clock
        self._chance = chance
        self._environ = environ
        self.channels = channels_of(home, settings, terminal, seconds)
        self.subscriptions = Subscriptions.none()
        self._operator = _operator_of(settings)
        self._files = self._files_without = subscriptions.stamp(home / "subscriptions")
        self.fetcher = fetcher_of(settings, clock)
        self.parsers = Parsers()
        self.poller = Poller(log, self.fetcher, self.parsers, clock)
        self.page_parsers = Parsers(child=PAGES)
        visitor = Visitor(self.fetcher, self.page_parsers)
        with_pages = settings.feeds if settings.fetch.articles else ()
        self.reader = PageReader(log, visitor, with_pages, clock, chance.random)
        self.rechecker = Rechecker(log, visitor, with_pages, clock)
        self.matcher = Matcher(log, Index(), self._channels_of, self._timing_of)
        self.digester = Digester(log, lambda: self.subscriptions.subscribers, settings.feeds, clock, self._wanted)
        self.links = links_of(settings)
        self.standing = ChannelStates(log, self._way_of)
        self._confirmer = (
            Confirmer(log, self.standing, lambda: self.subscriptions.subscribers, clock)
            if settings.door and settings.door.confirm
            else None
        )
        inbox = inbox_of(settings)
        self._bounces = (
            BounceReader(log, inbox, self.links, self.standing, self._subscriber, clock, self._wanted)
            if inbox and self.links
            else None
        )
        self._renderer = Renderer([home / "templates", shipped.templates()])
        self.deliverer = Deliverer(
            log,
            self.channels,
            self._renderer,
            self._subscriber,
            clock,
            chance.random,
            self.links,
            self._wanted,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls,
        home: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = wall_clock,
        chance: random.Random | None = None,
        terminal: TextIO | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Service]:
        """
        Open a home for work: settings and subscriptions read, log owned, projections folded.

        `clock` tells the time (UTC), and `seconds`, which never go back, are those by which channels keep their pace.

        Raises `Misconfigured` with every mistake in the operator's files, and `LogOwned` while another process works
        on the same home.
        """
        settings = Settings.load(home, environ)
        # Each is closed whatever becomes of the others: Ctrl-C may come while we close, and come twice.
        async with contextlib.AsyncExitStack() as at_end:
            log = await SqliteLog.open(home / "data", clock)
            at_end.push_async_callback(log.close)
            # Spreads polls and retries; nothing secret depends on it.
            chance = chance or random.Random()  # noqa: S311
            app = cls(home, settings, log, clock, chance, environ, terminal or sys.stdout, seconds)
            for close in (app._close_channels, app.page_parsers.close, app.parsers.close, app.fetcher.close, app._stop):
                at_end.push_async_callback(close)
            app.take_up(subscriptions_of(home, settings, app.channels, environ))
            await app.take_letters()
            await app.poller.catch_up()
            await app.rechecker.catch_up()
            await app.deliverer.catch_up()
            await app.record_subscriptions()
            yield app

    async def _stop(self) -> None:
        """Drop what is read, which is read again; messages under way may end, and what was owed stays owed."""
        await self.rechecker.stop()
        await self.reader.stop()
        if cut_off := await self.deliverer.stop(GRACE):
            logger.warning("%s did not end within %g s and is owed still", counted(cut_off, "message"), GRACE)

    async def _close_channels(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self.channels.values()))

    # ---------------------------------------------------------------- subscriptions

    def take_up(self, new: Subscriptions) -> None:
        """Put these subscriptions in force, from the next statement on."""
        index = self.matcher.index
        before = {watchlist.key: watchlist for watchlist in _watchlists(self.subscriptions)}
        after = {watchlist.key: watchlist for watchlist in _watchlists(new)}
        for key in before.keys() - after.keys():
            index.remove(key)
        for key, watchlist in after.items():
            if before.get(key) != watchlist:
                if key in before:
                    index.remove(key)
                index.add(watchlist)
        self.subscriptions = new

    async def record_subscriptions(self) -> None:
        """Tell the log which subscriptions are in force, if it does not know."""
        consumer = await self.log.consumer("subscriptions")
        if consumer.state == self.subscriptions.digest.encode():
            return
        applied = SubscriptionsApplied(
            digest=self.subscriptions.digest,
            subscribers=len(self.subscriptions.subscribers),
            watchlists=sum(len(who.watchlists) for who in self.subscriptions.subscribers.values()),
            applied_at=self._clock(),
        )
        commit = consumer.moved_to(consumer.position, self.subscriptions.digest.encode())
        await self.log.append([applied], commit=commit)

    async def reload(self) -> None:
        """
        Take up changed subscribers' files, all or nothing; a mistake is told, and the last good ones stay.

        A file that is gone is looked for once more: some editors take one away for a moment to put the new one in its
        place, and what is owed there must not end by that.
        """
        # Before they are read: what is written while we read is looked at once more.
        stamp = subscriptions.stamp(self.home / "subscriptions")
        if stamp == self._files:
            return
        if {file[0] for file in self._files} - {file[0] for file in stamp} and stamp != self._files_without:
            self._files_without = stamp
            return
        self._files = self._files_without = stamp
        try:
            new = subscriptions_of(self.home, self.settings, self.channels, self._environ)
        except Misconfigured as error:
            logger.warning("the subscriptions stay as they were:\n%s", error)
            return
        self.take_up(new)
        await self.record_subscriptions()
        logger.info("subscriptions taken up: %s", counted(len(new.subscribers), "subscriber"))

    async def take_letters(self) -> None:
        """Record what an operator's commands put into our box."""
        await letterbox.take_in(self.home / "data", self.log)

    def _subscriber(self, id: str) -> Subscriber | None:
        return self._operator if id == OPERATOR else self.subscriptions.subscribers.get(id)

    def _way_of(self, lane: tuple[str, str]) -> Contact | None:
        who = self._subscriber(lane[0])
        return next((way for way in who.channels if way.name == lane[1]), None) if who else None

    def _channels_of(self, id: str) -> tuple[str, ...]:
        who = self._subscriber(id)
        if who and self._confirmer:
            return wanted(self.standing, who)
        return tuple(channel.name for channel in who.channels) if who else ()

    def _wanted(self, who: Subscriber) -> tuple[str, ...]:
        return self._channels_of(who.id)

    def _timing_of(self, id: str) -> Timing:
        who = self._subscriber(id)
        return who.timing if who else Timing()

    # ---------------------------------------------------------------- work

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The feeds that are polled."""
        return self.settings.feeds

    async def run_once(self, told: Callable[[Feed, PollResult], None] = lambda feed, poll: None) -> None:
        """One whole pass: every feed polled, pages read, all matched, all that is due delivered."""
        await self.poll_once(told)
        await self.work_off()

    async def poll_once(self, told: Callable[[Feed, PollResult], None]) -> None:
        """Poll every feed."""
        rounds = await self._rounds(told)
        try:
            await rounds.start_due()
            await rounds.ended()
        finally:
            await rounds.stop()
        await self._keep(rounds)

    async def _rounds(self, told: Callable[[Feed, PollResult], None]) -> Rounds:
        stood = await rounds_of(self.log)
        return Rounds(
            self.feeds,
            self.poller.poll,
            self._chance.random,
            told=told,
            pace=self._pace,
            clock=self._clock,
            fastest=self.settings.bounds.fastest,
            rounds={feed.id: stood[feed.id] for feed in self.feeds if feed.id in stood},
        )

    def _pace(self, feed: Feed) -> float:
        """Seconds after which a feed that is well is asked again: its habit's, within the operator's bounds."""
        now = self._clock()
        return (next_due(feed, self.poller.habit(feed), self.settings.bounds, now) - now).total_seconds()

    async def _hubs(self, rounds: Rounds) -> Hubs | None:
        """Listen to hubs, where the operator says how they reach us."""
        if (how := self.settings.websub) is None:
            return None
        hubs = Hubs(how.callback, how.secret, rounds.hurry, self._clock, self.settings.fetch.allow)
        try:
            port = await hubs.listen(how.host, how.port)
        except OSError as error:
            # A net is beneath: news comes later, and comes.
            logger.error("hubs are not heard: %s:%d: %s", how.host, how.port, error.strerror)  # noqa: TRY400
            await hubs.close()
            return None
        logger.info("hubs are heard at %s:%d", how.host, port)
        return hubs

    async def _door(self) -> UnsubscribePages | None:
        """Answer readers who click, where the operator says how they reach us."""
        if (how := self.settings.door) is None or self.links is None:
            return None
        door = UnsubscribePages(
            self.log, self.links, self._renderer, self.standing, self._subscriber, self._masked, self._clock
        )
        try:
            port = await door.listen(how.host, how.port)
        except OSError as error:
            logger.error("readers' clicks are not heard: %s:%d: %s", how.host, how.port, error.strerror)  # noqa: TRY400
            await door.close()
            return None
        logger.info("readers' clicks are heard at %s:%d", how.host, port)
        return door

    def _masked(self, kind: str, address: str) -> str:
        return self.channels[kind].masked(address)

    async def _keep(self, rounds: Rounds) -> None:
        """Keep where the feeds' polls stand, for who asks the log: unchanged polls leave nothing else behind."""
        consumer = await self.log.consumer(ROUNDS)
        state = msgspec.json.encode(rounds.rounds)
        if rounds.rounds and state != consumer.state:
            await self.log.append([], commit=consumer.moved_to(consumer.position, state))

    async def work_off(self) -> None:
        """Match all that has been recorded, read the pages that are due, raise digests, deliver all that is due."""
        try:
            await self._read_bounces()
        except TryLater as error:
            logger.warning("bounces wait: %s", error)
        await self._ask_to_confirm()
        await self.match()
        # What title and summary say waits for no page.
        await self.deliverer.start_due()
        await self.reader.run()
        await self.rechecker.run()
        await self.match()
        await self.deliverer.run()

    async def match(self) -> None:
        """Match all that has been recorded, and raise the digests that are due: they hold what was matched by then."""
        await self.standing.catch_up()
        try:
            await self.matcher.run()
        finally:
            # What was matched before waits for no mending of what cannot be.
            await self.digester.run()

    async def _read_bounces(self) -> None:
        if self._bounces:
            await self._bounces.run()

    async def _ask_to_confirm(self) -> None:
        if self._confirmer:
            await self._confirmer.run()

    async def serve(self, stop: asyncio.Event, told: Callable[[Feed, PollResult], None]) -> None:
        """
        The service, until `stop` is set. Polls under way are dropped then: they are asked for again.
        """
        hubs: Hubs | None = None

        def polled(feed: Feed, poll: PollResult) -> None:
            told(feed, poll)
            if hubs is not None and poll.hub:
                hubs.heard(feed.id, poll.hub, poll.topic)

        rounds = await self._rounds(polled)
        hubs, door = await self._hubs(rounds), await self._door()
        await self.matcher.warm()
        schedule = Schedule(self.log)
        schedule.every(TICK, "poll", rounds.start_due)
        if hubs is not None:
            schedule.every(HUBS, "subscribe at hubs", hubs.run)
        schedule.every(NOTE, "note the rounds", functools.partial(self._keep, rounds))
        schedule.every(MATCH, "match", self.match, upon_growth=True)
        if self._bounces:
            schedule.every(BOUNCES, "bounces", self._read_bounces)
        if self._confirmer:
            schedule.every(CONFIRM, "ask to confirm", self._ask_to_confirm)
        schedule.every(READ, "read", self.reader.start_due, upon_growth=True)
        schedule.every(RECHECK, "recheck", self.rechecker.run)
        schedule.every(TICK, "deliver", self.deliverer.start_due, upon_growth=True)
        schedule.every(RELOAD, "reload", self.reload)
        schedule.every(LETTERS, "take letters in", self.take_letters)
        schedule.start()
        await stop.wait()
        if hubs is not None:
            await hubs.close()
        if door is not None:
            await door.close()
        await rounds.stop()
        # Before the schedule, which waits for the runs of its steps.
        await self.rechecker.stop()
        await schedule.stop()
        await self._keep(rounds)


def _operator_of(settings: Settings) -> Subscriber | None:
    """Whoever runs this, as somebody who can be told; None where he does not say how."""
    if not settings.operator:
        return None
    mail = Contact("email", "email", Secret(settings.operator))
    timing = Timing(timezone=settings.timezone)
    return Subscriber(id=OPERATOR, name="Operator", timing=timing, watchlists=(), channels=(mail,))


def _watchlists(of: Subscriptions) -> list[Watchlist]:
    return [watchlist for who in of.subscribers.values() for watchlist in who.watchlists]
