"""Slack's incoming webhook, played by a web server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.blocks import within_limits
from notifier.channels.slack import SlackChannel
from notifier.errors import NotifierError, Refused, TryLater
from notifier.guard import networks
from tests.channels.messages import message
from tests.channels.peers import HANG_UP, SILENCE, WebPeer, response

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])
HOOK = "/services/T0000/B0000/verysecretZq4T"
BLOCK = {"type": "section", "text": {"type": "plain_text", "text": "Exports are curbed."}}


@contextlib.asynccontextmanager
async def slack(*, allowed: bool = True, total: float = 5.0) -> AsyncIterator[SlackChannel]:
    """A channel that may connect to loopback, or may not."""
    networks_ = LOOPBACK if allowed else ()
    channel = SlackChannel(allowed=networks_, total=total)
    try:
        yield channel
    finally:
        await channel.close()


async def failure(*answers: str, total: float = 5.0) -> tuple[TryLater | Refused, WebPeer]:
    """How a message ends against a server with these answers; no error ever holds the URL."""
    async with WebPeer(*answers) as peer, slack(total=total) as channel:
        with pytest.raises(NotifierError) as caught:
            await channel.send(message(), f"http://127.0.0.1:{peer.port}{HOOK}")
    assert isinstance(caught.value, TryLater | Refused)
    assert "verysecret" not in str(caught.value) + repr(caught.value)
    return caught.value, peer


async def test_a_message_is_posted_as_json() -> None:
    """One POST with the rendered payload, no cookie, and 200 with `ok` is the receipt."""
    payload = {"text": "Curbs", "unfurl_links": False, "blocks": [BLOCK]}
    async with WebPeer() as peer, slack() as channel:
        receipt = await channel.send(message(payload=payload), f"http://127.0.0.1:{peer.port}{HOOK}")

    ((line, headers, body),) = peer.requests
    assert line == f"POST {HOOK} HTTP/1.1"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert "cookie" not in headers
    assert json.loads(body) == payload
    assert receipt.reply == "200 ok"


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (response(429, "rate_limited", Retry_After="30"), 30),
        (response(503, "", Retry_After="30"), 30),
        (response(429, "rate_limited"), None),
        (response(429, "", Retry_After="Mon, 29 Jun 2020 21:02:00 GMT", Date="Mon, 29 Jun 2020 21:00:00 GMT"), 120),
        (response(429, "", Retry_After="999999999"), 3600),
        (response(429, "", Retry_After="-5"), 1),
        (response(429, "", Retry_After="0"), 1),
        (response(429, "", Retry_After="soon"), None),
        (response(429, "", Retry_After="Mon, 29 Jun 2020 21:02:00 GMT", Date="nonsense"), None),
    ],
)
async def test_a_throttled_message_waits_as_asked(answer: str, after: float | None) -> None:
    """Retry-After in either form (RFC 9110, 10.2.3), never under a second or over an hour."""
    error, _ = await failure(answer)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.after, error.unknown) == ("throttled", after, False)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (410, "channel_is_archived"),
        (404, "no_service"),
        (404, "channel_not_found"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (400, "team_disabled"),
    ],
)
async def test_a_dead_webhook_is_refused(status: int, word: str) -> None:
    """What Slack says for good is final at once, and its word is told."""
    error, peer = await failure(response(status, word))

    assert isinstance(error, Refused)
    assert error.outcome == "endpoint-gone"
    assert word in str(error)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (response(500, "rollup_error"), "try-later"),
        (response(502), "try-later"),
        (response(408), "try-later"),
        (response(403, "who_knows"), "forbidden"),
        (response(302, "", Location="http://127.0.0.1:1/"), "redirected"),
    ],
)
async def test_an_answer_that_may_pass_is_tried_later(answer: str, outcome: str) -> None:
    """Nothing was taken over, and nothing is lost."""
    error, _ = await failure(answer)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == (outcome, False)


async def test_a_message_that_slack_cannot_read_goes_once_more_as_plain_text() -> None:
    """The words arrive though the blocks are refused."""
    async with WebPeer(response(400, "invalid_blocks"), response(200, "ok")) as peer, slack() as channel:
        await channel.send(message(payload={"text": "Curbs", "blocks": [BLOCK]}), f"http://127.0.0.1:{peer.port}{HOOK}")

    _, (_, _, second) = peer.requests
    assert json.loads(second) == {"text": "Curbs", "unfurl_links": False, "unfurl_media": False}


async def test_a_message_that_slack_cannot_read_at_all_is_refused() -> None:
    """After the plain text there is no third attempt, and the template to mend is named."""
    error, peer = await failure(response(400, "invalid_blocks"), response(400, "no_text"))

    assert isinstance(error, Refused)
    assert error.outcome == "payload-refused"
    assert "templates/alert/slack.json" in str(error)
    assert len(peer.requests) == 2


async def test_words_that_are_not_slacks_are_not_repeated() -> None:
    """Whatever answers may write our URL, or anything else, into its page."""
    error, _ = await failure(response(500, f"<p>no route to {HOOK}</p>"))

    assert "route" not in str(error)


# ---------------------------------------------------------------- the connection


async def test_a_redirect_is_not_followed() -> None:
    """The message does not go where somebody else points."""
    async with WebPeer() as inside:
        _, peer = await failure(response(307, "", Location=f"http://127.0.0.1:{inside.port}/"))

        assert len(peer.requests) == 1
        assert inside.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        HANG_UP,
        SILENCE,
        response(200, "o", Content_Length="5"),
        response(200, "not ok"),
        "HTTP/1.1 200 OK\r\nX: " + "x" * 1_000_000 + "\r\n\r\n",
        "nonsense\r\n\r\n",
    ],
)
async def test_an_end_after_the_request_is_unknown(answer: str) -> None:
    """They had all of it; whether it was posted, nobody here can say. One POST, and no blind second."""
    error, peer = await failure(answer, total=0.3)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown, error.after) == ("unknown", True, 900)
    assert len(peer.requests) == 1


async def test_a_status_counts_though_its_words_never_end() -> None:
    """A refusal that drips on is a refusal."""
    error, _ = await failure(response(404, "no", Content_Length="99999999"), total=0.3)

    assert isinstance(error, Refused)


async def test_an_answer_is_never_unpacked() -> None:
    """A packed answer may be a bomb; none was asked for, so what it says does not count."""
    packed = gzip.compress(b"ok").decode("latin-1")
    head = f"HTTP/1.1 200 Words\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"

    error, peer = await failure(head + packed)

    assert error.outcome == "unknown"
    assert peer.requests[0][1]["accept-encoding"] == "identity"


async def test_no_cookie_comes_back() -> None:
    """What a server wants remembered is forgotten."""
    async with WebPeer(response(200, "ok", Set_Cookie="id=1; Path=/")) as peer, slack() as channel:
        for _ in range(2):
            await channel.send(message(), f"http://localhost:{peer.port}{HOOK}")

        assert [headers.get("cookie") for _, headers, _ in peer.requests] == [None, None]


async def test_a_connection_is_used_once() -> None:
    """A connection kept alive could be closed under a message, and leave it unknown."""
    async with WebPeer() as peer, slack() as channel:
        for _ in range(2):
            await channel.send(message(), f"http://127.0.0.1:{peer.port}{HOOK}")

        assert peer.connections == 2


async def test_nothing_connects_inside() -> None:
    """A webhook that leads to this machine is refused before a socket exists, unless the operator allows it."""
    async with WebPeer() as peer, slack(allowed=False) as channel:
        with pytest.raises(Refused, match="subscriptions check"):
            await channel.send(message(), f"https://localhost:{peer.port}{HOOK}")

        assert peer.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T/B/x",
        "http://127.0.0.1/services/T/B/x",
        "https://user:password@hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com",
        "https://hooks.slack.com/",
        "https://hooks.slack.com/a b",
        "https://hooks.slack.com/ä",
        "https://hooks.slack.com:port/x",
        "https:///services/x",
        "file:///etc/passwd",
        "hooks.slack.com/services/T/B/x",
    ],
)
async def test_what_is_no_webhook_is_refused(url: str) -> None:
    """It is told with the subscriber's file, and should it slip through, nothing is sent."""
    async with slack(allowed=False) as channel:
        assert url not in channel.refusal(url)
        assert len(channel.refusal(url)) > 20
        with pytest.raises(Refused):
            await channel.send(message(), url)


async def test_a_webhook_is_recognised_by_its_last_letters() -> None:
    """Host and last four; of a short one not even these."""
    async with slack() as channel:
        assert channel.masked(f"https://hooks.slack.com{HOOK}") == "hooks.slack.com/…Zq4T"
        assert channel.masked("https://hooks.slack.com/short") == "hooks.slack.com/…"


# ---------------------------------------------------------------- limits


def lengths(value: Any) -> list[int]:
    """The length of every text in a payload."""
    if isinstance(value, dict):
        own = [len(value["text"])] if isinstance(value.get("text"), str) else []
        return own + [length for part in value.values() for length in lengths(part)]
    return [length for part in value for length in lengths(part)] if isinstance(value, list) else []


def test_a_payload_within_limits_is_left_alone() -> None:
    """What Slack would take goes as it was rendered."""
    payload = {"text": "Curbs", "unfurl_links": False, "blocks": [BLOCK]}

    assert within_limits(payload) == payload


def test_long_texts_are_cut_to_slacks_limits() -> None:
    """150 for a header, 3,000 for any other text, 50 blocks."""
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 20_000}}
    section = {"type": "section", "text": {"type": "plain_text", "text": "x" * 20_000}}

    fitted = within_limits({"text": "x" * 20_000, "blocks": [header, section, *[BLOCK] * 100]})

    assert lengths(fitted)[:3] == [3000, 150, 3000]
    assert len(fitted["blocks"]) == 50


def test_too_much_in_all_loses_its_end() -> None:
    """12,000 characters, whole blocks from the end left out."""
    section = {"type": "section", "text": {"type": "plain_text", "text": "x" * 2500}}

    fitted = within_limits({"text": "Curbs", "blocks": [section] * 10})

    assert len(fitted["blocks"]) == 4
    assert fitted["text"] == "Curbs"


def test_an_entity_is_never_cut_in_half() -> None:
    """Escaped text stays escaped where it is cut."""
    fitted = within_limits({"text": "x" * 2998 + "&lt;!channel&gt;"})

    assert fitted["text"] == "x" * 2998


@given(
    st.text(max_size=4000),
    st.lists(
        st.recursive(
            st.fixed_dictionaries({"type": st.sampled_from(["plain_text", "mrkdwn"]), "text": st.text(max_size=5000)}),
            lambda inner: st.fixed_dictionaries(
                {"type": st.sampled_from(["header", "section", "rich_text"]), "text": inner}
            ),
            max_leaves=3,
        ),
        max_size=60,
    ),
)
def test_whatever_a_template_writes_is_within_limits(text: str, blocks: list[Any]) -> None:
    """Slack refuses a message whole for one text too long; ours never has one."""
    fitted = within_limits({"text": text, "blocks": blocks})

    assert len(fitted.get("blocks", [])) <= 50
    assert all(length <= 3000 for length in lengths(fitted))
    assert sum(lengths(fitted)) <= 12_000


async def test_cancelled_after_it_was_sent_it_may_have_arrived() -> None:
    """Who stops us while Slack is about to answer hears that a second copy is possible."""
    async with WebPeer(SILENCE) as peer, slack() as channel:
        sending = asyncio.create_task(channel.send(message(), f"http://127.0.0.1:{peer.port}{HOOK}"))
        await peer.has_read(1)
        sending.cancel()
        with pytest.raises(TryLater) as caught:
            await sending

    assert caught.value.unknown
