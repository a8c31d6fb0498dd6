"""
The service: which steps there are, when each runs, and how it starts, reloads and stops.

A home is a directory with settings, subscriptions, templates and the log; the service is what runs there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO, TypeVar

import msgspec

from notifier import ports as edges
from notifier.delivery.channel_state import ChannelStates
from notifier.errors import Misconfigured, TryLater
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.feeds.feed import Feed
from notifier.feeds.habit import next_due
from notifier.feeds.rounds import PollResult, Rounds
from notifier.feeds.visit import Visitor
from notifier.home.files_watch import FilesWatch
from notifier.home.open_log import take_commands, wall_clock
from notifier.home.settings import Settings
from notifier.home.settings_file import load_settings
from notifier.home.subscriber_files import Subscriptions
from notifier.ports import Ports, subscriptions_of
from notifier.questions.feed_health import ROUNDS, rounds_of
from notifier.questions.tail import counted
from notifier.schedule import Schedule
from notifier.secret import Secret
from notifier.steps.bounces import BounceReader
from notifier.steps.confirm import Confirmer
from notifier.steps.deliver import Deliverer
from notifier.steps.digest import Digester
from notifier.steps.match import Matcher
from notifier.steps.poll import Poller
from notifier.steps.read_pages import PageReader
from notifier.steps.recheck import Rechecker
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import MAIL, OPERATOR, Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist
from notifier.web.unsubscribe import UnsubscribePages
from notifier.web.websub import Hubs

logger = logging.getLogger(__name__)

# Seconds between the turns of each step. Some also run as soon as the log has grown.
RELOAD = 2.0  # looks at the subscribers' files
TICK = 1.0  # looks at which polls and deliveries are due
MATCH = 5.0  # looks at which digests are due; what the log comes to hold is matched at once
HUBS = 15.0  # looks at which hub is to be asked
NOTE = 60.0  # notes of when each feed was polled
READ = 5.0  # looks at pages that are to be tried again; a new statement's is begun at once
RECHECK = 30.0  # looks at which pages are to be asked again
COMMANDS = 1.0  # looks at what operators' commands want recorded
CONFIRM = 30.0  # looks at who is to be asked whether they want alerts
BOUNCES = 60.0  # looks at the mailbox that bounces come back to
GRACE = 6.0  # seconds that messages under way have to end when the service is told to stop


class Listener(Protocol):
    """Something that answers over HTTP."""

    async def listen(self, host: str, port: int) -> int:
        """Begin to answer; the port. Raises `OSError`."""
        ...

    async def close(self) -> None:
        """Answer no more."""
        ...


L = TypeVar("L", bound=Listener)


class Service:
    """
    A notifier put together: each step by name, and the ways to run them.

    `async with Service.opened(home) as service` owns the home's log until the end of the block.
    """

    def __init__(self, home: Path, settings: Settings, ports: Ports, environ: Mapping[str, str]) -> None:
        self.home = home
        self.settings = settings
        self.log = ports.log
        self.subscriptions = Subscriptions.none()
        self._ports = ports
        self._environ = environ
        self._files = FilesWatch(home / "subscriptions")
        self.book = Book(operator=_operator_of(settings))
        log, clock = ports.log, ports.clock
        visitor = Visitor(ports.fetcher, ports.page_parsers)
        with_pages = settings.feeds if settings.fetch.articles else ()
        self.poller = Poller(log, ports.fetcher, ports.parsers, clock)
        self.reader = PageReader(log, visitor, with_pages, clock, ports.chance.random)
        self.rechecker = Rechecker(log, visitor, with_pages, clock)
        self.matcher = Matcher(log, Index(), self.book)
        self.digester = Digester(log, self.book, settings.feeds, clock)
        self.states = ChannelStates(log, self.book.contact)
        self._confirmer: Confirmer | None = None
        if settings.web and settings.web.confirm:
            self._confirmer = Confirmer(log, self.states, self.book, clock)
            self.book.is_confirmed = self.states.is_confirmed
        self._bounces: BounceReader | None = None
        if ports.inbox and ports.links:
            self._bounces = BounceReader(log, ports.inbox, ports.links, self.states, self.book, clock)
        self.deliverer = Deliverer(
            log, ports.channels, ports.renderer, self.book, clock, ports.chance.random, ports.links, ports.ticks
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls,
        home: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = wall_clock,
        ticks: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
        terminal: TextIO | None = None,
    ) -> AsyncIterator[Service]:
        """
        Open a home for work: settings and subscriptions read, log owned, projections folded.

        `clock` tells the time (UTC), and `ticks` are seconds that never go back.

        Raises `Misconfigured` with every mistake in the operator's files, and `LogOwned` while another process works
        on the same home.
        """
        settings = load_settings(home, environ)
        for note in settings.notes:
            logger.warning("%s", note)
        async with (
            edges.opened(home, settings, clock=clock, ticks=ticks, chance=chance, terminal=terminal) as ports,
            contextlib.AsyncExitStack() as at_end,
        ):
            service = cls(home, settings, ports, environ)
            at_end.push_async_callback(service._stop)
            service.take_up(subscriptions_of(home, settings, ports.channels, environ))
            await service.take_commands()
            await service.poller.catch_up()
            await service.rechecker.catch_up()
            await service.deliverer.catch_up()
            await service.record_subscriptions()
            yield service

    async def _stop(self) -> None:
        """Drop the pages being read, which are read again; messages under way may end, and what was owed stays owed."""
        await self.rechecker.stop()
        await self.reader.stop()
        if cut_off := await self.deliverer.stop(GRACE):
            logger.warning("%s did not end within %g s and is owed still", counted(cut_off, "message"), GRACE)

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
        self.book.subscribers = new.subscribers

    async def record_subscriptions(self) -> None:
        """Record in the log which subscriptions are in force, if it does not say so already."""
        consumer = await self.log.consumer("subscriptions")
        if consumer.state == self.subscriptions.digest.encode():
            return
        applied = SubscriptionsApplied(
            digest=self.subscriptions.digest,
            subscribers=len(self.subscriptions.subscribers),
            watchlists=sum(len(who.watchlists) for who in self.subscriptions.subscribers.values()),
            applied_at=self._ports.clock(),
        )
        commit = consumer.moved_to(consumer.position, self.subscriptions.digest.encode())
        await self.log.append([applied], commit=commit)

    async def reload(self) -> None:
        """Take up changed subscribers' files, all or nothing; where there is a mistake, the last good ones stay."""
        if not self._files.has_changed():
            return
        try:
            new = subscriptions_of(self.home, self.settings, self._ports.channels, self._environ)
        except Misconfigured as error:
            logger.warning("the subscriptions stay as they were:\n%s", error)
            return
        self.take_up(new)
        await self.record_subscriptions()
        logger.info("subscriptions reloaded: %s", counted(len(new.subscribers), "subscriber"))

    async def take_commands(self) -> None:
        """Record what operators' commands left in the box beside the log."""
        await take_commands(self.home, self.log)

    # ---------------------------------------------------------------- work

    async def run_once(self, on_poll: Callable[[Feed, PollResult], None] = lambda feed, poll: None) -> None:
        """One whole pass: every feed polled, pages read, all matched, all that is due delivered."""
        await self.poll_once(on_poll)
        await self.work_off()

    async def poll_once(self, on_poll: Callable[[Feed, PollResult], None]) -> None:
        """Poll every feed."""
        rounds = await self._rounds(on_poll)
        try:
            await rounds.start_due()
            await rounds.ended()
        finally:
            await rounds.stop()
        await self._keep(rounds)

    async def _rounds(self, on_poll: Callable[[Feed, PollResult], None]) -> Rounds:
        before = await rounds_of(self.log)
        return Rounds(
            self.settings.feeds,
            self.poller.poll,
            self._ports.chance.random,
            ticks=self._ports.ticks,
            on_poll=on_poll,
            pace=self._pace,
            clock=self._ports.clock,
            fastest=self.settings.bounds.fastest,
            rounds={feed.id: before[feed.id] for feed in self.settings.feeds if feed.id in before},
        )

    def _pace(self, feed: Feed) -> float:
        """Seconds after which a feed that is well is polled again: its habit's, within the operator's bounds."""
        now = self._ports.clock()
        return (next_due(feed, self.poller.habit(feed), self.settings.bounds, now) - now).total_seconds()

    async def _keep(self, rounds: Rounds) -> None:
        """Keep when each feed was polled, for questions: unchanged polls leave nothing else in the log."""
        consumer = await self.log.consumer(ROUNDS)
        state = msgspec.json.encode(rounds.rounds)
        if rounds.rounds and state != consumer.state:
            await self.log.append([], commit=consumer.moved_to(consumer.position, state))

    async def work_off(self) -> None:
        """Match all that has been recorded, read the pages that are due, raise digests, deliver all that is due."""
        try:
            await self._read_bounces()
        except TryLater as error:
            logger.warning("bounces could not be read, and are tried again: %s", error)
        await self._ask_to_confirm()
        await self.match()
        # Alerts on title and summary wait for no page.
        await self.deliverer.start_due()
        await self.reader.run()
        await self.rechecker.run()
        await self.match()
        await self.deliverer.run()

    async def match(self) -> None:
        """Match all that has been recorded, and raise the digests that are due: they hold what was matched by then."""
        await self.states.catch_up()
        try:
            await self.matcher.run()
        finally:
            # Where matching fails, digests of what was matched before are raised all the same.
            await self.digester.run()

    async def _read_bounces(self) -> None:
        if self._bounces:
            await self._bounces.run()

    async def _ask_to_confirm(self) -> None:
        if self._confirmer:
            await self._confirmer.run()

    async def serve(self, stop: asyncio.Event, on_poll: Callable[[Feed, PollResult], None]) -> None:
        """
        The service, until `stop` is set. Polls under way are dropped then: they are made again after the next start.
        """
        hubs: Hubs | None = None

        def polled(feed: Feed, poll: PollResult) -> None:
            on_poll(feed, poll)
            if hubs is not None and poll.hub:
                hubs.follow(feed.id, poll.hub, poll.topic)

        rounds = await self._rounds(polled)
        hubs = await _hubs(self.settings, self._ports, rounds)
        pages = await _pages(self.settings, self._ports, self.states, self.book)
        await self.matcher.warm()
        schedule = self._scheduled(rounds, hubs)
        schedule.start()
        await stop.wait()
        if hubs is not None:
            await hubs.close()
        if pages is not None:
            await pages.close()
        await rounds.stop()
        # Before the schedule, which waits for the runs of its steps.
        await self.rechecker.stop()
        await schedule.stop()
        await self._keep(rounds)

    def _scheduled(self, rounds: Rounds, hubs: Hubs | None) -> Schedule:
        """When each step runs."""
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
        schedule.every(COMMANDS, "take commands", self.take_commands)
        return schedule


async def _hubs(settings: Settings, ports: Ports, rounds: Rounds) -> Hubs | None:
    """Answer WebSub hubs, where the operator says how they reach us. Without them, polling finds the news later."""
    if (web := settings.websub) is None:
        return None
    hubs = Hubs(web.callback, web.secret, rounds.hurry, ports.clock, settings.fetch.allow)
    return await _listening(hubs, "listen for WebSub hubs", web.host, web.port)


async def _pages(settings: Settings, ports: Ports, states: ChannelStates, book: Book) -> UnsubscribePages | None:
    """Answer readers who click, where the operator says how they reach us."""
    if (web := settings.web) is None or ports.links is None:
        return None

    def masked(kind: str, address: str) -> str:
        return ports.channels[kind].masked(address)

    pages = UnsubscribePages(ports.log, ports.links, ports.renderer, states, book, masked, ports.clock)
    return await _listening(pages, "serve unsubscribe pages", web.host, web.port)


async def _listening(listener: L, what: str, host: str, port: int) -> L | None:
    """The listener, listening; None where it cannot, which is logged: everything else runs without it."""
    try:
        found = await listener.listen(host, port)
    except OSError as error:
        logger.error("cannot %s on %s:%d: %s", what, host, port, error.strerror)  # noqa: TRY400
        await listener.close()
        return None
    logger.info("ready to %s on %s:%d", what, host, found)
    return listener


def _operator_of(settings: Settings) -> Subscriber | None:
    """The operator as somebody who can be notified; None where the settings name no mailbox for it."""
    if not settings.operator:
        return None
    mail = Contact(MAIL, MAIL, Secret(settings.operator))
    timing = Timing(timezone=settings.timezone)
    return Subscriber(id=OPERATOR, name="Operator", timing=timing, watchlists=(), channels=(mail,))


def _watchlists(of: Subscriptions) -> list[Watchlist]:
    return [watchlist for who in of.subscribers.values() for watchlist in who.watchlists]
