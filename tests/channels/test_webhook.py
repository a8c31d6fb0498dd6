"""A webhook of the subscriber's own: signed events, received by a real server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.webhook import WebhookChannel
from notifier.errors import Misconfigured, NotifierError, Refused, TryLater
from notifier.message import Message
from notifier.messages.render import Renderer
from tests.channels.messages import WRITTEN_AT
from tests.channels.receiver import LOOPBACK, Answer, Receiver, hang_up, plain, signatures_by
from tests.examples import examples
from tests.messages.builders import TEMPLATES, statement, view

NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = "whsec_" + base64.b64encode(bytes(range(100, 124))).decode()
STRANGERS = "whsec_" + base64.b64encode(b"x" * 64).decode()
RENDERER = Renderer([TEMPLATES])
ID = "5f0c" * 8


class Seconds:
    """A clock in seconds since 1970 that moves by a minute whenever it is asked."""

    now = 1_593_464_820.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


@contextlib.asynccontextmanager
async def webhook(*, allowed: bool = True, total: float = 5.0) -> AsyncIterator[WebhookChannel]:
    """A channel that may connect to loopback, or may not."""
    channel = WebhookChannel(allowed=LOOPBACK if allowed else (), total=total, clock=Seconds())
    try:
        yield channel
    finally:
        await channel.close()


def event(title: str = "Curbs on exports", **said: object) -> Message:
    """An alert as its template writes it, or with this payload."""
    form = (
        json.dumps(said) if said else RENDERER.render("alert", ["webhook.json"], view(statement(title)))["webhook.json"]
    )
    return Message(id=ID, parts={"webhook.json": form}, written_at=WRITTEN_AT)


async def failure(*answers: Answer, total: float = 5.0) -> tuple[TryLater | Refused, Receiver]:
    """How an event ends against a receiver with these answers; no error ever holds the URL or a key."""
    async with Receiver(*answers) as receiver, webhook(total=total) as channel:
        with pytest.raises(NotifierError) as caught:
            await channel.send(event(), f"{receiver.url()} {NEW}")
    assert isinstance(caught.value, TryLater | Refused)
    told = str(caught.value) + repr(caught.value)
    assert not [secret for secret in ("verysecret", NEW, NEW[6:]) if secret in told]
    return caught.value, receiver


# ---------------------------------------------------------------- the event


async def test_an_event_is_a_cloudevent() -> None:
    """Structured mode, with the delivery's id, and what the template wrote as its data."""
    async with Receiver() as receiver, webhook() as channel:
        receipt = await channel.send(event(), f"{receiver.url()} {NEW}")

    ((path, headers, body),) = receiver.got
    told = json.loads(body)
    assert path == "/hooks/desk/verysecretZq4T"
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert {key: told[key] for key in ("specversion", "id", "source", "type", "datacontenttype")} == {
        "specversion": "1.0",
        "id": ID,
        "source": "/notifier",
        "type": "alert.v1",
        "datacontenttype": "application/json",
    }
    assert datetime.fromisoformat(told["time"]) == WRITTEN_AT
    assert told["data"]["title"] == "Curbs on exports"
    assert told["data"]["link"] == "https://commerce.example/2020/06/status"
    assert told["data"]["watchlists"] == [
        {"watchlist": "Exports", "reading": '"Hong Kong"', "words": ["Hong Kong", "special status"]}
    ]
    assert receipt.reply == "204"


async def test_an_event_is_signed() -> None:
    """Who has the key can tell that it is ours (Standard Webhooks 1.0.0), and that the body is as we wrote it."""
    async with Receiver() as receiver, webhook() as channel:
        await channel.send(event(), f"{receiver.url()} {NEW}")

    ((_, headers, body),) = receiver.got
    assert headers["webhook-id"] == ID
    assert headers["webhook-timestamp"].isdigit()
    assert signatures_by([NEW, STRANGERS], headers, body) == [NEW]
    assert signatures_by([NEW], headers, body.replace(b"Curbs", b"Ends.")) == []


async def test_while_a_key_is_replaced_both_sign() -> None:
    """Whoever receives may change over at any moment."""
    async with Receiver() as receiver, webhook() as channel:
        await channel.send(event(), f"{receiver.url()} {NEW} {OLD}")

    ((_, headers, body),) = receiver.got
    assert signatures_by([NEW, OLD, STRANGERS], headers, body) == [NEW, OLD]


async def test_f34_an_event_keeps_its_id_and_is_signed_anew_at_each_attempt() -> None:
    """500 twice and then 200: one id and one body, three times and three good signatures."""
    async with Receiver(plain(500), plain(500), plain(200)) as receiver, webhook() as channel:
        for _ in range(2):
            with pytest.raises(TryLater):
                await channel.send(event(), f"{receiver.url()} {NEW}")
        await channel.send(event(), f"{receiver.url()} {NEW}")

    assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {ID}
    assert len({headers["webhook-timestamp"] for _, headers, _ in receiver.got}) == 3
    assert len({body for _, _, body in receiver.got}) == 1
    assert all(signatures_by([NEW], headers, body) for _, headers, body in receiver.got)


async def test_an_event_is_small() -> None:
    """Under 20 kB whatever stands in it; the link stays whole."""
    link = "https://commerce.example/" + "x" * 1900
    huge = event(type="alert.v1", data={"link": link, "title": "香" * 30_000, "words": ["long " * 500] * 500})
    async with Receiver() as receiver, webhook() as channel:
        await channel.send(huge, f"{receiver.url()} {NEW}")

    ((_, headers, body),) = receiver.got
    assert len(body) < 20_000
    assert json.loads(body)["data"]["link"] == link
    assert signatures_by([NEW], headers, body) == [NEW]


@pytest.mark.parametrize(
    "said", [{"data": 1}, {"type": ""}, {"type": 5}, {"type": "x", "data": {str(n): n for n in range(5000)}}]
)
async def test_a_template_that_writes_no_event_is_told(said: dict[str, object]) -> None:
    """An operator's own form is named, and nothing is sent."""
    async with Receiver() as receiver, webhook() as channel:
        with pytest.raises(Misconfigured, match=r"templates/alert/webhook\.json"):
            await channel.send(event(**said), f"{receiver.url()} {NEW}")

        assert receiver.got == []


@examples(60)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_any_title_arrives_as_text(titles: list[str]) -> None:
    """Whatever a feed said is one JSON text, with a good signature, and no header more."""

    async def sent() -> Receiver:
        async with Receiver() as receiver, webhook() as channel:
            for title in titles:
                await channel.send(event(title), f"{receiver.url()} {NEW}")
        return receiver

    receiver = asyncio.run(sent())

    for title, (_, headers, body) in zip(titles, receiver.got, strict=True):
        told = json.loads(body)
        assert told["data"]["title"] == view(statement(title)).title
        assert set(told) == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
        assert not set(range(32)) & set(body)
        assert signatures_by([NEW], headers, body) == [NEW]
        assert {name for name in headers if name.startswith("webhook-")} == {
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_success(status: int) -> None:
    """Also where its words never end: the status says that it was taken."""

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=status, headers={"Content-Length": "999"} if status != 204 else {})
        await answer.prepare(request)
        return answer

    async with Receiver(endless) as receiver, webhook(total=0.5) as channel:
        receipt = await channel.send(event(), f"{receiver.url()} {NEW}")

    assert receipt.reply == str(status)


async def test_410_ends_the_endpoint() -> None:
    """It wants no more, and says so for good."""
    error, receiver = await failure(plain(410))

    assert isinstance(error, Refused)
    assert error.outcome == "endpoint-gone"
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_an_event_that_cannot_be_read_is_refused(status: int) -> None:
    """The same again would be refused again."""
    error, receiver = await failure(plain(status))

    assert isinstance(error, Refused)
    assert error.outcome == "payload-refused"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, "forbidden"),
        (403, "forbidden"),
        (404, "try-later"),
        (408, "try-later"),
        (500, "try-later"),
        (502, "try-later"),
    ],
)
async def test_an_answer_that_may_pass_is_tried_later(status: int, outcome: str) -> None:
    """A receiver that is being put in place, or is not well, misses nothing."""
    error, _ = await failure(plain(status))

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == (outcome, False)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"Retry_After": "30"}, 30),
        ({}, None),
        ({"Retry_After": "Mon, 29 Jun 2020 21:02:00 GMT", "Date": "Mon, 29 Jun 2020 21:00:00 GMT"}, 120),
        ({"Retry_After": "999999999"}, 3600),
        ({"Retry_After": "-5"}, 1),
    ],
    ids=["F31-seconds", "F32-none", "F32-date", "F32-endless", "F32-negative"],
)
async def test_f31_f32_a_throttled_event_waits_as_asked(status: int, headers: dict[str, str], after: float) -> None:
    """Retry-After in either form, never under a second or over an hour; nobody's events go there until then."""
    async with Receiver(plain(status, **headers)) as receiver, webhook() as channel:
        address = f"{receiver.url()} {NEW}"
        with pytest.raises(TryLater) as caught:
            await channel.send(event(), address)
        assert (caught.value.outcome, caught.value.after) == ("throttled", after)

        assert channel.turn(address) == pytest.approx(60 if after is None else after, abs=1)
        assert channel.turn(f"{receiver.url('/another')} {NEW}") == 0.0


# ---------------------------------------------------------------- the connection


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_f33_a_redirect_is_not_followed(status: int) -> None:
    """Body and signature do not go where somebody else points."""
    async with Receiver() as inside:
        error, receiver = await failure(plain(status, Location=inside.url()))

        assert (error.outcome, len(receiver.got)) == ("redirected", 1)
        assert inside.got == []


async def test_f35_an_end_before_the_answer_is_simply_tried_again() -> None:
    """The receiver may have it, and knows the second copy by its id: once more at once, and then later."""
    async with Receiver(hang_up, hang_up, hang_up, plain(200)) as receiver, webhook() as channel:
        with pytest.raises(TryLater) as caught:
            await channel.send(event(), f"{receiver.url()} {NEW}")
        assert len(receiver.got) == 2
        await channel.send(event(), f"{receiver.url()} {NEW}")

    assert (caught.value.outcome, caught.value.unknown) == ("cut-off", False)
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == [ID] * 4


async def test_f39_an_endless_answer_ends_in_time() -> None:
    """A byte now and then is no reason to wait on."""
    stuck = asyncio.Event()

    async def dripping(request: web.Request) -> web.StreamResponse:
        await stuck.wait()
        return web.Response()

    error, _ = await failure(dripping, total=0.3)

    assert isinstance(error, TryLater)


async def test_f39_a_bomb_is_not_unpacked() -> None:
    """A packed answer of any size is read for four kilobytes, and never unpacked."""
    bomb = gzip.compress(bytes(20_000_000))

    async def packed(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=bomb, headers={"Content-Encoding": "gzip", "X": "x" * 4000})

    async with Receiver(packed) as receiver, webhook() as channel:
        answer = await channel.post(receiver.url(), b"{}")

    assert answer.status == 500
    assert len(answer.said) <= 4096
    assert receiver.got[0][1]["accept-encoding"] == "identity"


async def test_f39_a_million_letters_of_headers_end_it() -> None:
    """The attempt ends, and not the notifier."""
    error, _ = await failure(plain(200, X="x" * 1_000_000))

    assert isinstance(error, TryLater)


async def test_no_cookie_comes_back_and_a_connection_is_kept() -> None:
    """What a server wants remembered is forgotten; its connection may be used again, since copies are known."""
    async with Receiver(plain(200, Set_Cookie="id=1; Path=/")) as receiver, webhook() as channel:
        for _ in range(2):
            await channel.send(event(), f"{receiver.url(host='localhost')} {NEW}")

    assert [headers.get("cookie") for _, headers, _ in receiver.got] == [None, None]


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        ("https://desk.example/hook", "has no key"),
        (f"http://desk.example/hook {NEW}", "begins with https://"),
        (f"http://[::ffff:127.0.0.1]/hook {NEW}", "begins with https://"),
        (f"https://[::ffff:127.0.0.1]/hook {NEW}", "public internet"),
        (f"https://me:pass@desk.example/hook {NEW}", "no user name"),
        (f"https://desk.example/hook {NEW} {OLD} {STRANGERS}", "one key, or two"),
        ("https://desk.example/hook whsec_c2hvcnQ=", "24 to 64 bytes"),
        (f"https://desk.example/hook {NEW[6:]}", "24 to 64 bytes"),
        ("https://desk.example/hook whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes"),
        (f"https://desk.example/hook {NEW[:-3]}!!=", "24 to 64 bytes"),
    ],
)
async def test_what_is_no_signed_webhook_is_refused(address: str, mend: str) -> None:
    """It is told with the subscriber's file, without what was written, and should it slip through, nothing is sent."""
    async with webhook(allowed=False) as channel:
        said = channel.refusal(address)
        assert mend in said
        assert not [part for part in address.split(" ") if part in said]
        with pytest.raises(Refused):
            await channel.send(event(), address)


async def test_a_webhook_is_shown_without_its_keys() -> None:
    """Host and last four letters of the URL."""
    async with webhook() as channel:
        assert channel.masked(f"https://desk.example/hooks/verysecretZq4T {NEW} {OLD}") == "desk.example/…Zq4T"
