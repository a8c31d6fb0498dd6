"""
A hub's word that a feed has news → that feed, polled at once (WebSub, W3C Recommendation of 23 January 2018).

We subscribe at the hub that a feed names, and answer it at a public address. What it brings is never read: it is only
a reason to ask the publisher himself, early. Polling goes on beneath, so a hub that is silent, lies or dies costs
nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web

from notifier.errors import NotifierError
from notifier.feeds.fetch import BYTES
from notifier.feeds.links import absolute
from notifier.guard import Network, connector, is_public
from notifier.secret import Secret

logger = logging.getLogger(__name__)

LEASE = timedelta(days=10)  # that we ask for; the hub decides
SHORTEST = timedelta(minutes=5)  # a shorter one is renewed no more often than that
PATIENCE = timedelta(hours=1)  # until a hub that did not answer, or not as it should, is asked again
REFUSED = timedelta(days=1)  # until one that said no is
SECONDS = 20.0  # for one request to a hub
REDIRECTS = 3
MAX_CONCURRENT = 8  # requests to hubs under way together
CHALLENGE = 4_000  # characters of a challenge that we echo
METHODS = ("sha256", "sha384", "sha512", "sha1")  # of signatures; SHA-1 is what most hubs still send


class Subscription(msgspec.Struct, kw_only=True):
    """
    What we asked a hub for, and how it stands. `token` ends our address for it, `secret` signs what it sends there;
    both follow from the operator's secret, so a restart renews what there is. It is asked again at `next_at`.
    """

    feed: str
    hub: str
    topic: str
    token: str
    secret: str
    next_at: datetime
    active_until: datetime | None = None


class Hubs:
    """
    The hubs of all feeds. `callback` is our public address, `news` is told the id of a feed that may have some, and
    `allow` are networks inside that may be reached all the same. Close it at the end.
    """

    def __init__(
        self,
        callback: str,
        secret: Secret,
        news: Callable[[str], None],
        clock: Callable[[], datetime],
        allow: Iterable[Network] = (),
    ) -> None:
        self._callback = callback.rstrip("/")
        self._key = secret
        self._news = news
        self._clock = clock
        self._allow = tuple(allow)
        self._feeds: dict[str, Subscription] = {}
        self._tokens: dict[str, Subscription] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    # ---------------------------------------------------------------- asking

    def heard(self, feed: str, hub: str, topic: str) -> None:
        """A feed names this hub for this topic. What it named before is no longer wanted."""
        before = self._feeds.get(feed)
        if before and (before.hub, before.topic) == (hub, topic):
            return
        if before:
            del self._tokens[before.token]
        token, secret = (self._derived(purpose, feed, hub, topic) for purpose in ("token", "secret"))
        wanted = Subscription(feed=feed, hub=hub, topic=topic, token=token, secret=secret, next_at=self._clock())
        self._feeds[feed] = self._tokens[token] = wanted

    def _derived(self, *parts: str) -> str:
        """Forty characters that nobody can guess, the same after a restart."""
        named = "\n".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self._key.reveal().encode(), named.encode(), hashlib.sha256).hexdigest()[:40]

    async def run(self) -> None:
        """Subscribe where it is due: for the first time, before a lease ends, and again where it failed."""
        places = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(wanted: Subscription) -> None:
            async with places:
                await self._ask(wanted)

        now = self._clock()
        await asyncio.gather(*(one(wanted) for wanted in list(self._feeds.values()) if wanted.next_at <= now))

    async def _ask(self, wanted: Subscription) -> None:
        # Until the hub asks back whether it was us, nothing has come of it.
        wanted.next_at = self._clock() + PATIENCE
        host = urlsplit(wanted.hub).hostname
        try:
            status = await self._post(wanted)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError, NotifierError) as error:
            logger.debug("%s: no answer of its hub %s: %s", wanted.feed, host, type(error).__name__)
            return
        if not 200 <= status < 300:
            wanted.next_at = self._clock() + REFUSED
            logger.info("%s: its hub %s answered %d; polling continues without it", wanted.feed, host, status)

    async def _post(self, wanted: Subscription) -> int:
        """The status that a hub answers a request for a subscription with, where it leads us in the end (5.1.2)."""
        hub, status = wanted.hub, 0
        for _ in range(REDIRECTS + 1):
            form = {
                "hub.mode": "subscribe",
                "hub.topic": wanted.topic,
                "hub.callback": f"{self._callback}/{wanted.token}",
                "hub.lease_seconds": str(int(LEASE.total_seconds())),
            }
            if self._may_hear_secrets(hub):
                form["hub.secret"] = wanted.secret
            async with self._opened().post(hub, data=form, allow_redirects=False) as answer:
                status, there = answer.status, absolute(answer.headers.get("Location", ""), hub)
            if status not in {307, 308} or not there:
                break
            hub = there
        return status

    def _may_hear_secrets(self, hub: str) -> bool:
        """A secret is told to a hub over TLS, or to one inside that the operator allows (5.1)."""
        parts = urlsplit(hub)
        host = parts.hostname or ""
        return parts.scheme == "https" or (is_public(host, self._allow) and not is_public(host))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._allow, limit=MAX_CONCURRENT),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                trust_env=False,
            )
        return self._session

    # ---------------------------------------------------------------- being asked

    async def listen(self, host: str, port: int) -> int:
        """Answer hubs at this address of our machine, until `close`; the port, which is the system's choice for 0."""
        app = web.Application(client_max_size=BYTES)
        app.router.add_get("/{way:.*}", self._verify)
        app.router.add_post("/{way:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    def _meant(self, request: web.Request) -> Subscription:
        # The last part alone: what stands before it may be changed by a proxy.
        wanted = self._tokens.get(request.path.rpartition("/")[2])
        if wanted is None:
            raise web.HTTPNotFound
        return wanted

    async def _verify(self, request: web.Request) -> web.Response:
        """A hub asks whether it was us who subscribed (5.3), or says that it will not have us (5.2)."""
        wanted, said = self._meant(request), request.query
        if said.get("hub.topic") != wanted.topic:
            raise web.HTTPNotFound
        now = self._clock()
        if said.get("hub.mode") == "denied":
            wanted.active_until, wanted.next_at = None, now + REFUSED
            logger.info("%s: its hub refused the subscription; polling continues without it", wanted.feed)
            return web.Response()
        challenge = said.get("hub.challenge", "")
        if said.get("hub.mode") != "subscribe" or not 0 < len(challenge) <= CHALLENGE:
            raise web.HTTPNotFound
        lease = _lease(said.get("hub.lease_seconds", ""))
        if wanted.active_until is None:
            logger.info("%s: its hub will tell us of news", wanted.feed)
        wanted.active_until = now + lease
        wanted.next_at = now + max(lease * 0.8, SHORTEST)
        return web.Response(text=challenge, headers={"X-Content-Type-Options": "nosniff"})

    async def _take(self, request: web.Request) -> web.Response:
        """A hub brings what is new (7). It is thanked whatever it brings, and believed when the signature is right."""
        wanted = self._meant(request)
        body = await request.read()
        if self._may_hear_secrets(wanted.hub) and not signed(
            body, request.headers.get("X-Hub-Signature", ""), wanted.secret
        ):
            logger.debug("%s: what came in its hub's name is not signed by it", wanted.feed)
        else:
            self._news(wanted.feed)
        return web.Response(status=202)

    def active(self) -> frozenset[str]:
        """The feeds whose hubs tell us of news at present."""
        now = self._clock()
        return frozenset(each.feed for each in self._feeds.values() if each.active_until and each.active_until > now)

    async def close(self) -> None:
        """Listen no more, and let go of the connections. Leases run out by themselves."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._session is not None:
            await self._session.close()
            self._session = None


def signed(body: bytes, signature: str, secret: str) -> bool:
    """Is this the signature of a body (8): `method=hex`, an HMAC of one of four methods?"""
    method, _, digits = signature.strip().partition("=")
    if method.lower() not in METHODS:
        return False
    expected = hmac.new(secret.encode(), body, method.lower()).hexdigest()
    return hmac.compare_digest(expected.encode(), digits.lower().encode("utf-8", "replace"))


def _lease(said: str) -> timedelta:
    """The time that a hub grants; what we asked for, where it does not say so."""
    known = said.isascii() and said.isdecimal() and 0 < len(said) <= 9
    return min(timedelta(seconds=int(said)), timedelta(days=365)) if known else LEASE
