"""
Poll a feed as soon as its hub announces news (WebSub, W3C Recommendation of 23 January 2018).

We subscribe at the hub that a feed names and answer it at a public address. Content from a hub is never read: it is
only a reason to poll the publisher early. Regular polling continues, so a hub that is silent, lies or dies costs
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

LEASE = timedelta(days=10)  # as requested; the hub decides
SHORTEST = timedelta(minutes=5)  # between renewals, however short the lease
PATIENCE = timedelta(hours=1)  # until the next request to a hub that did not answer or confirm
REFUSED = timedelta(days=1)  # until the next request to a hub that refused
SECONDS = 20.0  # for one request to a hub
REDIRECTS = 3
MAX_CONCURRENT = 8  # requests to hubs
CHALLENGE = 4_000  # characters of a challenge, at most
METHODS = ("sha256", "sha384", "sha512", "sha1")  # of signatures; most hubs still use SHA-1


class Subscription(msgspec.Struct, kw_only=True):
    """
    One subscription at a hub. `token` ends our callback URL, `secret` signs what the hub sends there; both derive from
    the operator's secret, so that a restart renews the same subscription. The next request is due at `next_at`; the hub
    confirmed a lease until `active_until`.
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
    The hubs of all feeds. Close it at the end.

    `callback` is our public URL; `news` is called with the id of a feed that may have news; `allow` are networks that
    may be reached although they are not public.
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

    # ---------------------------------------------------------------- subscribing

    def follow(self, feed: str, hub: str, topic: str) -> None:
        """Subscribe a feed at this hub for this topic with the next `run`, instead of what it named before."""
        before = self._feeds.get(feed)
        if before and (before.hub, before.topic) == (hub, topic):
            return
        if before:
            del self._tokens[before.token]
        token, secret = (self._derived(purpose, feed, hub, topic) for purpose in ("token", "secret"))
        subscription = Subscription(feed=feed, hub=hub, topic=topic, token=token, secret=secret, next_at=self._clock())
        self._feeds[feed] = self._tokens[token] = subscription

    def _derived(self, *parts: str) -> str:
        """Forty characters that nobody can guess and that stay the same after a restart."""
        named = "\n".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self._key.reveal().encode(), named.encode(), hashlib.sha256).hexdigest()[:40]

    async def run(self) -> None:
        """Send the requests that are due: for new subscriptions, before a lease ends, and after a failure."""
        slots = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(subscription: Subscription) -> None:
            async with slots:
                await self._subscribe(subscription)

        now = self._clock()
        due = [subscription for subscription in self._feeds.values() if subscription.next_at <= now]
        await asyncio.gather(*map(one, due))

    async def _subscribe(self, subscription: Subscription) -> None:
        # Not subscribed until the hub verifies the request at our callback.
        subscription.next_at = self._clock() + PATIENCE
        host = urlsplit(subscription.hub).hostname
        try:
            status = await self._post(subscription)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError, NotifierError) as error:
            logger.debug("%s: no answer from its hub %s: %s", subscription.feed, host, type(error).__name__)
            return
        if not 200 <= status < 300:
            subscription.next_at = self._clock() + REFUSED
            logger.info("%s: its hub %s answered %d; polling continues without it", subscription.feed, host, status)

    async def _post(self, subscription: Subscription) -> int:
        """Request a subscription, following redirects (5.1.2); return the hub's last status."""
        hub, status = subscription.hub, 0
        for _ in range(REDIRECTS + 1):
            form = {
                "hub.mode": "subscribe",
                "hub.topic": subscription.topic,
                "hub.callback": f"{self._callback}/{subscription.token}",
                "hub.lease_seconds": str(int(LEASE.total_seconds())),
            }
            if self._may_hear_secrets(hub):
                form["hub.secret"] = subscription.secret
            async with self._opened().post(hub, data=form, allow_redirects=False) as answer:
                status, target = answer.status, absolute(answer.headers.get("Location", ""), hub)
            if status not in {307, 308} or not target:
                break
            hub = target
        return status

    def _may_hear_secrets(self, hub: str) -> bool:
        """May a secret be sent to a hub: over TLS (5.1), or to one in a network that the operator allows?"""
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

    # ---------------------------------------------------------------- answering hubs

    async def listen(self, host: str, port: int) -> int:
        """Answer hubs at this local address until `close`. Return the port; for 0, the system chooses one."""
        app = web.Application(client_max_size=BYTES)
        app.router.add_get("/{path:.*}", self._verify)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    def _subscription(self, request: web.Request) -> Subscription:
        # Only the last segment of the path: a proxy may change the rest.
        subscription = self._tokens.get(request.path.rpartition("/")[2])
        if subscription is None:
            raise web.HTTPNotFound
        return subscription

    async def _verify(self, request: web.Request) -> web.Response:
        """Answer a hub that verifies our request (5.3) or denies it (5.2)."""
        subscription, query = self._subscription(request), request.query
        if query.get("hub.topic") != subscription.topic:
            raise web.HTTPNotFound
        now = self._clock()
        if query.get("hub.mode") == "denied":
            subscription.active_until, subscription.next_at = None, now + REFUSED
            logger.info("%s: its hub refused the subscription; polling continues without it", subscription.feed)
            return web.Response()
        challenge = query.get("hub.challenge", "")
        if query.get("hub.mode") != "subscribe" or not 0 < len(challenge) <= CHALLENGE:
            raise web.HTTPNotFound
        lease = _lease(query.get("hub.lease_seconds", ""))
        if subscription.active_until is None:
            logger.info("%s: subscribed at its hub", subscription.feed)
        subscription.active_until = now + lease
        subscription.next_at = now + max(lease * 0.8, SHORTEST)
        return web.Response(text=challenge, headers={"X-Content-Type-Options": "nosniff"})

    async def _take(self, request: web.Request) -> web.Response:
        """Take content from a hub (7): always accepted, and acted on only if the signature is right."""
        subscription = self._subscription(request)
        body = await request.read()
        if self._may_hear_secrets(subscription.hub) and not signed(
            body, request.headers.get("X-Hub-Signature", ""), subscription.secret
        ):
            logger.debug("%s: content for its hub's subscription has a wrong signature", subscription.feed)
        else:
            self._news(subscription.feed)
        return web.Response(status=202)

    def active(self) -> frozenset[str]:
        """The feeds with an active subscription at a hub."""
        now = self._clock()
        return frozenset(each.feed for each in self._feeds.values() if each.active_until and each.active_until > now)

    async def close(self) -> None:
        """Stop listening and close all connections. Leases expire by themselves."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._session is not None:
            await self._session.close()
            self._session = None


def signed(body: bytes, signature: str, secret: str) -> bool:
    """Is this the signature of a body (8): `method=hex`, an HMAC by one of `METHODS`?"""
    method, _, digits = signature.strip().partition("=")
    if method.lower() not in METHODS:
        return False
    expected = hmac.new(secret.encode(), body, method.lower()).hexdigest()
    return hmac.compare_digest(expected.encode(), digits.lower().encode("utf-8", "replace"))


def _lease(seconds: str) -> timedelta:
    """The lease that a hub grants, at most a year; the one requested if the hub does not state it."""
    known = seconds.isascii() and seconds.isdecimal() and 0 < len(seconds) <= 9
    return min(timedelta(seconds=int(seconds)), timedelta(days=365)) if known else LEASE
