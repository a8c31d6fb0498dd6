"""Does a hub's word make us ask its publisher, and is it never more than that?"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import io
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from notifier.events.statements import StatementPublished
from notifier.feeds.habit import Bounds
from notifier.guard import networks
from notifier.secret import Secret
from notifier.service import Service
from notifier.web.websub import LEASE, PATIENCE, REFUSED, Hubs, signed
from tests.builders import Clock
from tests.channels.peers import closed_port
from tests.homes import HOST, events, make_home, world
from tests.homes import PATIENCE as SECONDS

TOPIC = "https://press.example/feed"
LOOPBACK = networks([f"{HOST}/32"])


class Hub:
    """A hub on loopback: answers subscriptions with `status`, and acts as a hub does when the test calls for it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._news = asyncio.Condition()
        self.status = 202
        self.leads_to = ""
        self.asked: list[dict[str, str]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        async with self._news:
            self.asked.append(form)
            self._news.notify_all()
        if self.leads_to and request.path == "/hub":
            return web.Response(status=307, headers={"Location": self.leads_to})
        return web.Response(status=self.status)

    async def heard(self, count: int = 1) -> dict[str, str]:
        """The last request, once so many have come."""
        async with self._news, asyncio.timeout(SECONDS):
            await self._news.wait_for(lambda: len(self.asked) >= count)
        return self.asked[-1]

    async def verifies(self, **other: str) -> tuple[int, str]:
        """Ask back whether the last request was meant: the status and the body of the answer."""
        form = self.asked[-1]
        said = {"mode": "subscribe", "topic": form["hub.topic"], "challenge": "c-17", "lease_seconds": "3600"} | other
        query = {f"hub.{name}": value for name, value in said.items() if value}
        async with self._session.get(form["hub.callback"], params=query) as answer:
            return answer.status, await answer.text()

    async def brings(self, body: bytes = b"<rss/>", *, signature: str | None = None, method: str = "sha256") -> int:
        """Distribute content under the last request's secret, or under another signature; the status of the answer."""
        form = self.asked[-1]
        if signature is None:
            digest = hmac.new(form.get("hub.secret", "").encode(), body, method).hexdigest()
            signature = f"{method}={digest}"
        headers = {"X-Hub-Signature": signature} if signature else {}
        async with self._session.post(form["hub.callback"], data=io.BytesIO(body), headers=headers) as answer:
            return answer.status


@contextlib.asynccontextmanager
async def a_hub() -> AsyncIterator[Hub]:
    async with aiohttp.ClientSession() as session:
        hub, app = Hub(session), web.Application()
        app.router.add_post("/{way:.*}", hub.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        hub.url = f"http://{HOST}:{runner.addresses[0][1]}/hub"
        try:
            yield hub
        finally:
            await runner.cleanup()


class Desk:
    """The hubs of our feeds, on loopback, and which feeds they said have news."""

    def __init__(self, callback: str, secret: str = "a secret of ours") -> None:  # noqa: S107 it is a test's
        self.clock = Clock()
        self.news: list[str] = []
        self.hubs = Hubs(callback, Secret(secret), self.news.append, self.clock, LOOPBACK)


@contextlib.asynccontextmanager
async def subscribed(hub: Hub, *, verified: bool = True) -> AsyncIterator[Desk]:
    """A desk that has subscribed to the topic of one feed."""
    port = await closed_port()
    desk = Desk(f"http://{HOST}:{port}/websub")
    await desk.hubs.listen(HOST, port)
    try:
        desk.hubs.follow("us-press", hub.url, TOPIC)
        await desk.hubs.run()
        if verified:
            assert await hub.verifies() == (200, "c-17")
        yield desk
    finally:
        await desk.hubs.close()


# ---------------------------------------------------------------- subscribing


async def test_a_hub_is_asked_as_the_recommendation_says() -> None:
    """Mode, topic and an address of its own, with the lease that we wish, in a form."""
    async with a_hub() as hub, subscribed(hub, verified=False):
        form = await hub.heard()

    assert form["hub.mode"] == "subscribe"
    assert form["hub.topic"] == TOPIC
    assert form["hub.lease_seconds"] == str(int(LEASE.total_seconds()))
    assert 0 < len(form["hub.secret"]) < 200
    assert len(form["hub.callback"].rpartition("/")[2]) == 40
    assert form["hub.secret"] not in form["hub.callback"]


async def test_a_subscription_stands_once_it_is_verified() -> None:
    """By the challenge, given back as it came; not before, and for as long as the hub grants."""
    async with a_hub() as hub, subscribed(hub, verified=False) as desk:
        before = desk.hubs.active()
        answer = await hub.verifies(challenge="<b>x</b>")
        after = desk.hubs.active()
        desk.clock.advance(3_601)
        ended = desk.hubs.active()

    assert answer == (200, "<b>x</b>")
    assert (before, after, ended) == (frozenset(), {"us-press"}, frozenset())


@pytest.mark.parametrize(
    "other",
    [
        {"topic": "https://other.example/feed"},
        {"topic": ""},
        {"mode": "unsubscribe"},
        {"mode": ""},
        {"challenge": ""},
        {"challenge": "c" * 5_000},
    ],
    ids=["another topic", "no topic", "unsubscribe", "no mode", "no challenge", "a long challenge"],
)
async def test_what_we_did_not_ask_for_is_not_verified(other: Mapping[str, str]) -> None:
    """404, and no subscription is active."""
    async with a_hub() as hub, subscribed(hub, verified=False) as desk:
        status, _ = await hub.verifies(**other)
        active = desk.hubs.active()

    assert (status, active) == (404, frozenset())


async def test_an_unknown_address_is_not_there() -> None:
    """Nobody learns anything from one, by either method."""
    async with a_hub() as hub, subscribed(hub) as desk:
        hub.asked[-1] = hub.asked[-1] | {"hub.callback": hub.asked[-1]["hub.callback"][:-1] + "x"}
        statuses = (await hub.verifies())[0], await hub.brings()
        news = desk.news

    assert statuses == (404, 404)
    assert news == []


async def test_a_lease_is_renewed_before_it_ends() -> None:
    """At four fifths of it, with the same address and secret; not earlier."""
    async with a_hub() as hub, subscribed(hub) as desk:
        desk.clock.advance(0.79 * 3600)
        await desk.hubs.run()
        early = len(hub.asked)
        desk.clock.advance(0.02 * 3600)
        await desk.hubs.run()
        first, second = hub.asked

    assert early == 1
    assert first == second


@pytest.mark.parametrize(
    ("status", "wait"),
    [(202, PATIENCE), (204, PATIENCE), (400, REFUSED), (503, REFUSED), (301, REFUSED)],
    ids=["never verified", "no content", "refused", "ill", "gone elsewhere"],
)
async def test_a_hub_that_does_not_serve_us_is_asked_again_later(status: int, wait: timedelta) -> None:
    """Seldom: polling brings the news."""
    async with a_hub() as hub:
        hub.status = status
        async with subscribed(hub, verified=False) as desk:
            desk.clock.advance(wait.total_seconds() - 1)
            await desk.hubs.run()
            early = len(hub.asked)
            desk.clock.advance(1)
            await desk.hubs.run()

    assert (early, len(hub.asked)) == (1, 2)


async def test_a_hub_that_denies_us_is_believed() -> None:
    """Also later: what stood does not stand any more."""
    async with a_hub() as hub, subscribed(hub) as desk:
        status, _ = await hub.verifies(mode="denied", challenge="", reason="too many")
        active = desk.hubs.active()

    assert (status, active) == (200, frozenset())


async def test_a_hub_may_lead_elsewhere() -> None:
    """307 is followed with the same request (5.1.2)."""
    async with a_hub() as hub:
        hub.leads_to = "/other-hub"
        async with subscribed(hub, verified=False) as desk:
            await hub.verifies()
            active = desk.hubs.active()

    assert active == {"us-press"}
    assert hub.asked[0] == hub.asked[1]


async def test_a_dead_hub_disturbs_nobody() -> None:
    """Nobody listens, or it is inside and not allowed: the other is asked all the same."""
    async with a_hub() as hub, subscribed(hub, verified=False) as desk:
        desk.hubs.follow("dead", f"http://{HOST}:{await closed_port()}/hub", TOPIC)
        desk.hubs.follow("inside", "http://10.0.0.1/hub", TOPIC)
        desk.hubs.follow("well", hub.url, f"{TOPIC}/2")
        await desk.hubs.run()

    assert [form["hub.topic"] for form in hub.asked] == [TOPIC, f"{TOPIC}/2"]


async def test_a_restart_asks_under_the_same_address() -> None:
    """A hub then renews what there is; another secret, hub or topic has another address."""
    first, again, other = (Desk("https://us.example/websub", secret) for secret in ("one" * 9, "one" * 9, "two" * 9))
    async with a_hub() as hub:
        for desk in (first, again, other):
            desk.hubs.follow("us-press", hub.url, TOPIC)
            await desk.hubs.run()
            await desk.hubs.close()
        again.hubs.follow("us-press", hub.url, f"{TOPIC}/moved")
        await again.hubs.run()
        await again.hubs.close()

    callbacks = [form["hub.callback"] for form in hub.asked]
    assert callbacks[0] == callbacks[1]
    assert len(set(callbacks)) == 3


async def test_what_a_feed_names_no_more_is_not_heard() -> None:
    """Once it names another hub, the former's word counts no longer."""
    async with a_hub() as hub, subscribed(hub) as desk:
        desk.hubs.follow("us-press", "https://hub.example/", TOPIC)
        status = await hub.brings()
        news, active = desk.news, desk.hubs.active()

    assert (status, news, active) == (404, [], frozenset())


async def test_a_secret_is_told_in_private_only() -> None:
    """Not to a hub without TLS on the public internet, which could be overheard."""
    desk = Desk("https://us.example/websub")

    told = [desk.hubs._may_hear_secrets(hub) for hub in ("https://h.example/", "http://h.example/", "http://8.8.8.8/")]

    assert told == [True, False, False]


# ---------------------------------------------------------------- being told


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
async def test_a_hub_s_word_is_news(method: str) -> None:
    """Under any signature of the recommendation; what it brings is not looked at."""
    async with a_hub() as hub, subscribed(hub) as desk:
        status = await hub.brings(b"\xff not a feed", method=method)
        news = desk.news

    assert (status, news) == (202, ["us-press"])


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=" + "0" * 64, "md5=0", "sha1", "sha256=ü", "=", "sha256:" + "0" * 64]
)
async def test_a_word_under_a_wrong_signature_is_none(signature: str) -> None:
    """It is thanked like any, so that nobody learns how to forge one, and does nothing (8)."""
    async with a_hub() as hub, subscribed(hub) as desk:
        status = await hub.brings(signature=signature)
        news = desk.news

    assert (status, news) == (202, [])


def test_a_signature_covers_every_byte() -> None:
    """In any case of its letters; of another body or secret it is none."""
    signature = "SHA1=" + hmac.new(b"k", b"body", hashlib.sha1).hexdigest().upper()

    assert signed(b"body", signature, "k")
    assert not signed(b"body ", signature, "k")
    assert not signed(b"body", signature, "K")


async def test_a_body_without_end_is_given_up() -> None:
    """Sixteen megabytes are more than any feed has."""
    async with a_hub() as hub, subscribed(hub) as desk:
        status = await hub.brings(b"x" * (16 * 2**20 + 1))
        news = desk.news

    assert (status, news) == (413, [])


# ---------------------------------------------------------------- the whole


def document(hub: str, *titles: str) -> str:
    items = "".join(f"<item><guid>{title}</guid><title>{title}</title></item>" for title in titles)
    links = f'<atom:link rel="hub" href="{hub}"/><atom:link rel="self" href="{TOPIC}"/>'
    return (
        '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>News</title>'
        f"<link>https://press.example/</link>{links}{items}</channel></rss>"
    )


async def test_news_of_a_hub_is_fetched_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a feed that names its hub to a statement in the log, long before the feed was due."""
    monkeypatch.setattr("notifier.service.HUBS", 0.2)  # seconds between looks at which hub is to be asked
    port = await closed_port()
    async with world() as around, a_hub() as hub:
        home = make_home(tmp_path, around, {"trade": "rss"})
        with (home / "notifier.toml").open("a") as settings:
            settings.write(
                f'every = 86400\n[websub]\ncallback = "http://{HOST}:{port}/websub"\n'
                f'secret = "${{HUB_SECRET}}"\nlisten = "{HOST}:{port}"\n'
            )
        around.publisher.publish("trade", document(hub.url, "One"))
        stop = asyncio.Event()
        async with Service.opened(home, environ={"HUB_SECRET": "0123456789abcdef"}) as app:
            app.settings = msgspec.structs.replace(app.settings, bounds=Bounds(fastest=0.01))
            service = asyncio.create_task(app.serve(stop, lambda feed, poll: None))
            form = await hub.heard()
            verified = await hub.verifies()
            head = await app.log.head()
            around.publisher.publish("trade", document(hub.url, "Two", "One"))
            thanked = await hub.brings()
            async with asyncio.timeout(SECONDS):
                await app.log.wait(head)
            stop.set()
            await service
            published = await events(app, StatementPublished)

    assert (form["hub.topic"], verified[0], thanked) == (TOPIC, 200, 202)
    assert [each.statement.title for each in published] == ["One", "Two"]
