"""
A reader's click → a channel suspended, resumed or confirmed, in the log.

The links in what we send lead here. Opening one changes nothing, since programs open links to look at them; POST does,
at once and without a login, as mail programs do it for their readers (RFC 8058). A link that does not hold is answered
alike, whatever is wrong with it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

import msgspec
from aiohttp import web

from notifier.delivery.channel_state import ChannelStates
from notifier.errors import LogError
from notifier.eventlog.log import EventLog
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.event import Event
from notifier.messages.render import Renderer
from notifier.messages.signed_links import CONFIRM, UNSUBSCRIBE, SignedLinks
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber

logger = logging.getLogger(__name__)

RESUBSCRIBE = "resubscribe"  # takes the link to unsubscribe, and takes it back
FOLDER = "web"

BODY = 4_096  # bytes of a request's body; a one-click POST has 30
SECONDS = 10.0  # for a request's body to come
LASTING = 30.0  # seconds that a connection has; at twice of it, it is cut, whatever is under way
CONNECTIONS = 200  # at once; more are hung up on

HEADERS = {
    # Nothing but what stands on the page itself, and nobody may frame it to have its button clicked.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}

READER = "the reader asked for it"

State = Literal["active", "unsubscribed", "stopped", "waiting", "confirmed", "gone", "later"]


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a page may use: the state of the channel, its name and kind and its address masked, the subscriber's
    name, what a form on it would post to (relative), and whether something was changed by this very request.
    """

    state: State
    done: bool = False
    subscriber: str = ""
    channel: str = ""
    kind: str = ""
    to: str = ""
    why: str = ""
    action: str = ""


class LinkTarget(msgspec.Struct, frozen=True):
    """Whom a link that holds is for."""

    token: str
    who: Subscriber
    way: Contact


class UnsubscribePages:
    """
    Answers on `links`. `subscriber` finds who is meant by an id, `masked` shows an address of a kind of channel; what
    was asked for is appended to the log before it is thanked for. Close it at the end.
    """

    def __init__(
        self,
        log: EventLog,
        links: SignedLinks,
        renderer: Renderer,
        states: ChannelStates,
        book: Book,
        masked: Callable[[str, str], str],
        clock: Callable[[], datetime],
        lasting: float = LASTING,
    ) -> None:
        self._log = log
        self._links = links
        self._renderer = renderer
        self._states = states
        self._book = book
        self._masked = masked
        self._clock = clock
        self._lasting = lasting
        self._one_by_one = asyncio.Lock()
        self._faults: set[str] = set()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._cutter: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- listening

    async def listen(self, host: str, port: int) -> int:
        """Answer at this address of our machine, until `close`; the port, which is the system's choice for 0."""
        app = web.Application(client_max_size=BODY, middlewares=[self._guarded])
        # What stands before the last two parts may be a proxy's.
        for purpose in (UNSUBSCRIBE, RESUBSCRIBE, CONFIRM):
            way = f"/{{before:(.*/)?}}{purpose}/{{token}}"
            app.router.add_get(way, self._shown)
            app.router.add_post(way, self._done)
        # The library quotes a request that it cannot read, and with it the token.
        quiet = logging.getLogger(f"{__name__}.requests")
        quiet.disabled = True
        self._runner = web.AppRunner(app, access_log=None, logger=quiet, handle_signals=False, shutdown_timeout=2)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port, backlog=CONNECTIONS)
        self._cutter = loop.create_task(self._cut_long(), name="cut long connections")
        return int(self._server.sockets[0].getsockname()[1])

    def _connection(self) -> asyncio.Protocol:
        """Somebody connects: let in, unless there are too many."""
        server = self._runner.server if self._runner else None
        return _ClosedAtOnce() if server is None or len(server.connections) >= CONNECTIONS else server()

    async def _cut_long(self) -> None:
        """A connection is for one request, and cut where it lasts: no caller holds a place by being slow."""
        before: set[web.RequestHandler] = set()
        while self._runner is not None and self._runner.server is not None:
            there = set(self._runner.server.connections)
            for connection in there & before:
                connection.force_close()
            before = there
            await asyncio.sleep(self._lasting)

    async def close(self) -> None:
        """Answer no more; what is under way may end within two seconds."""
        if self._cutter is not None:
            self._cutter.cancel()
            await asyncio.gather(self._cutter, return_exceptions=True)
            self._cutter = None
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Whatever happens ends in a page, and no token in a line of ours."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            # No such way, no such method, too long a body: nobody's link.
            return self._page(PageView(state="gone"), error.status)
        except TimeoutError:
            return self._page(PageView(state="later"), 408)
        except LogError as error:
            logger.error("a reader's click could not be recorded: %s", error)  # noqa: TRY400 its words say it all
            return self._page(PageView(state="later"), 503)
        except Exception as error:  # noqa: BLE001 it is told here
            # The boundary of a request. Its place is told, not its words: they may quote the token.
            place = "".join(traceback.format_tb(error.__traceback__))
            logger.error("answering a reader failed: %s\n%s", type(error).__name__, place)  # noqa: TRY400
            return self._page(PageView(state="later"), 500)

    # ---------------------------------------------------------------- answering

    async def _shown(self, request: web.Request) -> web.Response:
        """GET and HEAD: how it stands, and a button. Nothing changes."""
        meant = self._meant(request)
        await self._states.catch_up()
        return self._page(self._view(meant, _purpose(request)))

    async def _done(self, request: web.Request) -> web.Response:
        """POST: what the way says. Whatever the body says: the link alone is the reader's word."""
        meant, purpose = self._meant(request), _purpose(request)
        async with asyncio.timeout(SECONDS):
            await request.read()
        async with self._one_by_one:
            await self._states.catch_up()
            wish = self._wish(meant, purpose)
            if wish is not None:
                await self._log.append([wish])
                await self._states.catch_up()
                # No address, no token: who and which channel is in the log as well.
                logger.info("%s: channel %s: %s", meant.who.id, meant.way.name, _DONE[type(wish)])
        return self._page(self._view(meant, purpose, done=True))

    def _wish(self, meant: LinkTarget, purpose: str) -> Event | None:
        """What is to be recorded; None where it stands so already."""
        who, channel, now = meant.who.id, meant.way.name, self._clock()
        suspended = self._states.suspended(who, channel, now)
        if purpose == CONFIRM:
            confirmed = self._states.is_confirmed(who, channel)
            return None if confirmed else ChannelConfirmed(subscriber=who, channel=channel, at=now)
        if purpose == RESUBSCRIBE:
            # Readers may take back what they stopped; what a mail system reported of their mailbox they cannot.
            mine = suspended is not None and suspended.why == "unsubscribed"
            return ChannelResumed(subscriber=who, channel=channel, at=now, reason=READER) if mine else None
        if suspended is not None and suspended.why == "unsubscribed":
            return None
        return ChannelSuspended(subscriber=who, channel=channel, at=now, why="unsubscribed", reason=READER)

    def _meant(self, request: web.Request) -> LinkTarget:
        token, purpose = request.match_info["token"], _purpose(request)
        link = self._links.read(token)
        if link is not None and link.purpose == (CONFIRM if purpose == CONFIRM else UNSUBSCRIBE):
            who = self._book.find(link.subscriber)
            for way in who.channels if who else ():
                if who and way.name == link.channel and self._links.holds(token, way.address.reveal()):
                    return LinkTarget(token, who, way)
        raise web.HTTPNotFound

    def _view(self, meant: LinkTarget, purpose: str, *, done: bool = False) -> PageView:
        who, way = meant.who, meant.way
        suspended = self._states.suspended(who.id, way.name, self._clock())
        state: State = "active"
        if purpose == CONFIRM:
            state = "confirmed" if self._states.is_confirmed(who.id, way.name) else "waiting"
        elif suspended is not None:
            state = "unsubscribed" if suspended.why == "unsubscribed" else "stopped"
        leads_to = {"active": UNSUBSCRIBE, "stopped": UNSUBSCRIBE, "unsubscribed": RESUBSCRIBE, "waiting": CONFIRM}
        return PageView(
            state=state,
            done=done,
            subscriber=who.name,
            channel=way.name,
            kind=way.kind,
            to=self._masked(way.kind, way.address.reveal()),
            why=suspended.reason if suspended else "",
            # Relative, so that it leads through whatever proxy the page came through.
            action=f"../{leads_to[state]}/{meant.token}" if state in leads_to else "",
        )

    def _page(self, view: PageView, status: int = 200) -> web.Response:
        parts, faults = self._renderer.render_all_the_same(FOLDER, ["page.html"], view)
        for fault in faults.values():
            if str(fault) not in self._faults:
                logger.error("the built-in page is shown until this is mended: %s", fault)
            self._faults.add(str(fault))
        page = web.Response(
            text=parts["page.html"], status=status, content_type="text/html", charset="utf-8", headers=HEADERS
        )
        page.force_close()
        return page


_DONE: dict[type[Event], str] = {
    ChannelSuspended: "unsubscribed by its reader",
    ChannelResumed: "resumed by its reader",
    ChannelConfirmed: "confirmed by its reader",
}


class _ClosedAtOnce(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _purpose(request: web.Request) -> str:
    return request.path.rpartition("/")[0].rpartition("/")[2]
