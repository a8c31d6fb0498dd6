"""Does a click do what it says, once, for whom it was made, and does looking do nothing?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest

from notifier.channels.mail.address import masked
from notifier.delivery.channel_state import ChannelStates
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.event import Event
from notifier.home import packaged_data as shipped
from notifier.messages.render import Renderer
from notifier.messages.signed_links import SignedLinks
from notifier.secret import Secret
from notifier.service import Service
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.web.unsubscribe import BODY, CONNECTIONS, HEADERS, LASTING, UnsubscribePages
from tests.builders import NOON, Clock, FailingLog
from tests.channels.peers import closed_port
from tests.homes import DESK, HOST, PATIENCE, events, make_home, rss, world

TO = "desk@bank.example"
LINKS = SignedLinks("https://alerts.example.org/hk", "0123456789abcdef")
UNSUBSCRIBE, CONFIRM = LINKS.unsubscribe("desk", "email", TO), LINKS.confirm("desk", "email", TO)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
OF = {"subscriber": "desk", "channel": "email", "at": NOON}
BOUNCED = ChannelSuspended(**OF, why="bounced", reason="the mailbox does not exist")
DESK_OF = Subscriber(
    id="desk",
    name='Desk <b>"of"</b> Hong Kong',
    timing=Timing(timezone="Asia/Hong_Kong"),
    watchlists=(),
    channels=(
        Contact("email", "email", Secret(TO)),
        Contact("team", "slack", Secret("https://x.example")),
    ),
)


class Answer(msgspec.Struct, frozen=True):
    """What came back: status, headers in small letters, and the page with its words alone."""

    status: int
    headers: dict[str, str]
    page: str

    @property
    def words(self) -> str:
        return " ".join(re.sub("<style>.*?</style>|<[^>]*>", " ", self.page, flags=re.S).split())

    @property
    def action(self) -> str:
        """Where the one form of the page leads."""
        (action,) = re.findall('<form method="post" action="([^"]*)">', self.page)
        return str(action)


class House:
    """A door on loopback, the log behind it, and a browser before it."""

    def __init__(self, session: aiohttp.ClientSession, templates: list[Path], lasting: float) -> None:
        self._session = session
        self.clock = Clock()
        self.log = FailingLog(self.clock)
        self.subscribers = {"desk": DESK_OF}
        renderer = Renderer([*templates, shipped.templates()])
        self.door = UnsubscribePages(
            self.log,
            LINKS,
            renderer,
            ChannelStates(self.log),
            Book(self.subscribers),
            lambda kind, address: masked(address),
            self.clock,
            lasting,
        )
        self.port = 0

    async def asks(self, url: str, method: str = "GET", **how: object) -> Answer:
        """Follow a link of ours, as a proxy hands it on."""
        here = url.replace("https://alerts.example.org", f"http://{HOST}:{self.port}")
        async with self._session.request(method, here, allow_redirects=False, **how) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, headers, await answer.text())

    async def clicks(self, url: str) -> Answer:
        return await self.asks(url, "POST", data=ONE_CLICK)

    async def recorded(self) -> list[Event]:
        return [each.event for each in (await self.log.read()).events]


@contextlib.asynccontextmanager
async def house(*before: Event, templates: list[Path] | None = None, lasting: float = LASTING) -> AsyncIterator[House]:
    """A door that is open, with these events in the log."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        made = House(session, templates or [], lasting)
        await made.log.append(list(before))
        made.port = await made.door.listen(HOST, 0)
        try:
            yield made
        finally:
            await made.door.close()


def multipart() -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("List-Unsubscribe", "One-Click", content_type="text/plain")
    return form


# ---------------------------------------------------------------- unsubscribing


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("url", [UNSUBSCRIBE, CONFIRM, UNSUBSCRIBE.replace("/unsubscribe/", "/resubscribe/")])
async def test_looking_changes_nothing(method: str, url: str):
    """Programs open every link in a mail before its reader does (promise P12)."""
    async with house() as at:
        answer = await at.asks(url, method)
        recorded = await at.recorded()

    assert answer.status == 200
    assert recorded == []


async def test_a_page_has_one_button_that_posts():
    """It says for whom, on which channel, and where to in a masked form; foreign markup is only text."""
    async with house() as at:
        answer = await at.asks(UNSUBSCRIBE)

    assert answer.page.count("<button") == answer.page.count("<form") == 1
    assert answer.action == "../unsubscribe/" + UNSUBSCRIBE.rpartition("/")[2]
    assert "Stop these messages?" in answer.words
    assert "For Desk &lt;b&gt;&#34;of&#34;&lt;/b&gt; Hong Kong Channel email To d…@bank.example" in answer.words
    assert TO not in answer.page


@pytest.mark.parametrize(
    "data",
    [ONE_CLICK, multipart, b"", {"whatever": "a browser's form"}, b"\xff\x00no form"],
    ids=["urlencoded", "multipart", "empty", "a form", "anything"],
)
async def test_a_post_unsubscribes_at_once(data: object):
    """No cookie, no login, no redirect; the event is in the log before the answer comes."""
    async with house() as at:
        answer = await at.asks(UNSUBSCRIBE, "POST", data=data() if callable(data) else data)
        recorded = await at.recorded()

    assert answer.status == 200
    assert "You are unsubscribed from this channel" in answer.words
    assert recorded == [ChannelSuspended(**OF, why="unsubscribed", reason="the reader asked for it")]
    assert "set-cookie" not in answer.headers


async def test_clicking_twice_is_clicking_once():
    """Also side by side, and a day later."""
    async with house() as at:
        answers = await asyncio.gather(*(at.clicks(UNSUBSCRIBE) for _ in range(8)))
        at.clock.advance(86_400)
        answers.append(await at.clicks(UNSUBSCRIBE))
        recorded = await at.recorded()

    assert [answer.status for answer in answers] == [200] * 9
    assert len(recorded) == 1


async def test_a_mistaken_click_can_be_taken_back():
    """By the button on the page that thanks for it, through whatever proxy; and stopped again."""
    async with house() as at:
        stopped = await at.clicks(UNSUBSCRIBE)
        back = await at.clicks(UNSUBSCRIBE.rpartition("/")[0] + "/" + stopped.action)
        at.clock.advance(1)
        again = await at.clicks(UNSUBSCRIBE.rpartition("/")[0] + "/" + back.action)
        recorded = await at.recorded()

    assert "You get messages again" in back.words
    assert "You are unsubscribed" in again.words
    assert [type(event) for event in recorded] == [ChannelSuspended, ChannelResumed, ChannelSuspended]


async def test_a_reader_does_not_undo_what_a_mail_system_said():
    """A mailbox that is not there is not there; the page says why nothing comes, and that one may stop it for good."""
    async with house(BOUNCED) as at:
        before = await at.asks(UNSUBSCRIBE)
        await at.clicks(UNSUBSCRIBE.replace("/unsubscribe/", "/resubscribe/"))
        untouched = await at.recorded()
        at.clock.advance(1)
        await at.clicks(UNSUBSCRIBE)
        *_, stopped = await at.recorded()

    assert "the mailbox does not exist" in before.words
    assert untouched == [BOUNCED]
    assert isinstance(stopped, ChannelSuspended)
    assert stopped.why == "unsubscribed"


async def test_a_suspension_that_has_ended_is_none():
    """A mailbox that was full until yesterday gets messages, and its reader may stop them."""
    full = ChannelSuspended(**OF, why="full", reason="full for a week", until=NOON + timedelta(days=1))
    async with house(full) as at:
        at.clock.advance(86_400)
        answer = await at.asks(UNSUBSCRIBE)

    assert "Stop these messages?" in answer.words


# ---------------------------------------------------------------- confirming


async def test_a_channel_is_confirmed_by_its_reader():
    """With one button, once; before that the page shows nothing that somebody else has written."""
    async with house() as at:
        before = await at.asks(CONFIRM)
        after = await at.clicks(CONFIRM.rpartition("/")[0] + "/" + before.action)
        await at.clicks(CONFIRM)
        recorded = await at.recorded()

    assert "Hong Kong" not in before.words
    assert "d…@bank.example" in before.words
    assert "Thank you, you have confirmed" in after.words
    assert recorded == [ChannelConfirmed(**OF)]


@pytest.mark.parametrize(
    "url",
    [CONFIRM.replace("/confirm/", "/unsubscribe/"), UNSUBSCRIBE.replace("/unsubscribe/", "/confirm/")],
    ids=["confirm as unsubscribe", "unsubscribe as confirm"],
)
async def test_a_link_is_for_one_purpose(url: str):
    """What confirms does not stop, and the other way round."""
    async with house() as at:
        answer = await at.clicks(url)
        recorded = await at.recorded()

    assert answer.status == 404
    assert recorded == []


# ---------------------------------------------------------------- links that do not hold


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_links_that_do_not_hold_are_answered_alike(method: str):
    """Forged, cut, of an older address, of nobody: 404 and the same page, and nothing is recorded."""
    forged = SignedLinks("https://alerts.example.org", "another secret of ours")
    urls = [
        forged.unsubscribe("desk", "email", TO),
        LINKS.unsubscribe("desk", "email", "former@bank.example"),
        LINKS.unsubscribe("nobody", "email", TO),
        LINKS.unsubscribe("desk", "fax", TO),
        UNSUBSCRIBE[:-1],
        "https://alerts.example.org/unsubscribe/%C3%A9",
        "https://alerts.example.org/",
        "https://alerts.example.org/unsubscribe/",
        "https://alerts.example.org/robots.txt",
    ]
    async with house() as at:
        answers = [await at.asks(url, method) for url in urls]
        recorded = await at.recorded()

    assert {answer.status for answer in answers} == {404}
    assert len({answer.page for answer in answers}) == 1
    assert "This link is not valid" in answers[0].words
    assert recorded == []


async def test_a_subscriber_who_left_has_no_links():
    """Nothing is sent to him either."""
    async with house() as at:
        del at.subscribers["desk"]
        answer = await at.clicks(UNSUBSCRIBE)

    assert answer.status == 404


# ---------------------------------------------------------------- hardness


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("url", [UNSUBSCRIBE, CONFIRM, UNSUBSCRIBE + "x"], ids=["unsubscribe", "confirm", "forged"])
async def test_every_page_keeps_to_itself(url: str, method: str):
    """No script, no resource from anywhere, no frame around it, no address passed on, nothing kept or indexed."""
    async with house() as at:
        answer = await at.asks(url, method)

    assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search("<script|<link|<img|https?:|url[(]| on[a-z]+=", answer.page)


async def test_a_long_body_is_refused():
    """At a few kB, and nothing is recorded."""
    async with house() as at:
        answer = await at.asks(UNSUBSCRIBE, "POST", data=b"x" * (BODY + 1))
        recorded = await at.recorded()

    assert answer.status == 413
    assert recorded == []


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /unsubscribe/", b"POST /unsubscribe/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"],
    ids=["silent", "half a line", "half a body"],
)
async def test_a_slow_caller_is_cut(said: bytes):
    """Whatever is missing still, the connection ends by itself."""
    async with house(lasting=0.05) as at, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(HOST, at.port)
        writer.write(said)
        await reader.read()
        writer.close()
        answer = await at.asks(UNSUBSCRIBE)

    assert answer.status == 200


async def test_too_many_callers_are_hung_up_on():
    """So many at once are let in; the next is not, until one of them has gone."""
    async with house() as at, asyncio.timeout(PATIENCE):
        callers = [await asyncio.open_connection(HOST, at.port) for _ in range(CONNECTIONS)]
        reader, writer = await asyncio.open_connection(HOST, at.port)
        hung_up = await reader.read()
        for _, each in [*callers, (reader, writer)]:
            each.close()
            await each.wait_closed()
        answer = await at.asks(UNSUBSCRIBE)

    assert hung_up == b""
    assert answer.status == 200


@pytest.mark.parametrize(
    "said",
    [
        b"GET /unsubscribe/TOKEN HTTP/9.9\r\n\r\n",
        b"GET /unsubscribe/TOKEN\x00 HTTP/1.1\r\n\r\n",
        b"GET /unsubscribe/TOKEN HTTP/1.1\r\nTOKEN TOKEN\r\n\r\n",
        b"GET /unsubscribe/" + b"TOKEN" * 4000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["version", "NUL", "header", "length"],
)
async def test_no_token_is_in_any_line_of_ours(said: bytes, caplog: pytest.LogCaptureFixture):
    """Not even of a request that cannot be read, at any level of talk."""
    caplog.set_level(logging.DEBUG, logger="notifier")
    async with house() as at, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(HOST, at.port)
        writer.write(said.replace(b"TOKEN", UNSUBSCRIBE.rpartition("/")[2].encode()))
        answer = await reader.read()
        writer.close()
        await at.clicks(UNSUBSCRIBE)

    assert answer.startswith(b"HTTP/1.")
    assert "unsubscribed by its reader" in caplog.text
    assert UNSUBSCRIBE.rpartition("/")[2][:20] not in caplog.text
    assert TO not in caplog.text


async def test_what_is_not_recorded_is_not_thanked_for():
    """A full disk is a 503 that says to come back; the next click does it."""
    async with house() as at:
        at.log.failures = ["before"]
        first, second = await at.clicks(UNSUBSCRIBE), await at.clicks(UNSUBSCRIBE)
        recorded = await at.recorded()

    assert first.status == 503
    assert "Nothing was changed. Please try again" in first.words
    assert "You are unsubscribed" in second.words
    assert len(recorded) == 1


async def test_an_operators_broken_page_closes_no_door(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The built-in one stands in for it, and the log says so once."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "page.html").write_text("{{ nonsense }}")
    async with house(templates=[tmp_path]) as at:
        answers = [await at.asks(UNSUBSCRIBE), await at.clicks(UNSUBSCRIBE)]

    assert [answer.status for answer in answers] == [200, 200]
    assert "You are unsubscribed" in answers[1].words
    assert caplog.text.count("page.html, line 1") == 1


async def test_an_operators_page_of_the_first_version_is_shown(tmp_path: Path):
    """Its folder was called door/ then; one in web/ comes before it."""
    for folder, text in (("door", "The old page: {{ state }}"), ("web", "The new page: {{ state }}")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.html").write_text(text)
        async with house(templates=[tmp_path]) as at:
            answer = await at.asks(UNSUBSCRIBE)
        assert answer.words == text.replace("{{ state }}", "active")


# ---------------------------------------------------------------- within the service


def with_door(home: Path, port: int, more: str = "") -> Path:
    path = home / "notifier.toml"
    door = f'[web]\naddress = "https://alerts.example.org/hk"\nsecret = "0123456789abcdef"\nlisten = "{HOST}:{port}"\n'
    path.write_text(door + more + path.read_text())
    return home


async def test_the_service_opens_its_door(tmp_path: Path):
    """A click while it runs is in its log; it stops as ever."""
    async with world() as around:
        port = await closed_port()
        home = with_door(make_home(tmp_path, around, {}), port)
        async with Service.opened(home) as app, asyncio.timeout(PATIENCE):
            stop = asyncio.Event()
            service = asyncio.create_task(app.serve(stop, lambda feed, poll: None))
            status = await clicked(port)
            suspended = await events(app, ChannelSuspended)
            stop.set()
            await service

    assert DESK.count(TO) == 1
    assert status == 200
    assert [(event.subscriber, event.channel, event.why) for event in suspended] == [("desk", "email", "unsubscribed")]


async def clicked(port: int) -> int:
    """The status of a click, once the door is open."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectorError):
                async with session.post(f"http://{HOST}:{port}/unsubscribe/{UNSUBSCRIBE.rpartition('/')[2]}") as answer:
                    return answer.status
            await asyncio.sleep(0)


async def test_a_port_that_is_taken_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The rest of the service runs all the same."""
    async with world() as around:
        around.publisher.publish("trade", rss(("one", "Controls change", "…")))
        home = with_door(make_home(tmp_path, around, {"trade": "rss"}), around.slack.port)
        async with Service.opened(home) as app, asyncio.timeout(PATIENCE):
            stop, head = asyncio.Event(), await app.log.head()
            service = asyncio.create_task(app.serve(stop, lambda feed, poll: None))
            await app.log.wait(head)
            stop.set()
            await service

    assert f"cannot serve unsubscribe pages on {HOST}:{around.slack.port}: " in caplog.text
