"""A webhook of Discord's, played by a web server that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.discord import DiscordChannel
from notifier.channels.embeds import cut, length, units, within_limits
from notifier.errors import Misconfigured, NotifierError, Refused, TryLater
from notifier.message import Message
from notifier.messages.render import markdown
from tests.channels.messages import WRITTEN_AT
from tests.channels.peers import HANG_UP, SILENCE, WebPeer, response
from tests.channels.receiver import LOOPBACK
from tests.examples import examples

HOOK = "/api/webhooks/1/verysecretZq4T"
EMBED = {"title": "Curbs", "url": "https://commerce.example/1", "description": "Exports are curbed."}
NOBODY: dict[str, Any] = {"parse": []}


@contextlib.asynccontextmanager
async def discord(total: float = 5.0) -> AsyncIterator[DiscordChannel]:
    channel = DiscordChannel(allowed=LOOPBACK, total=total)
    try:
        yield channel
    finally:
        await channel.close()


def saying(form: object) -> Message:
    """A message whose template wrote this."""
    return Message(id="c0ffee" * 5, parts={"discord.json": json.dumps(form)}, written_at=WRITTEN_AT)


async def failure(*answers: str, total: float = 5.0) -> tuple[TryLater | Refused, WebPeer]:
    """How a message ends against a server with these answers; no error ever holds the URL."""
    async with WebPeer(*answers) as peer, discord(total) as channel:
        with pytest.raises(NotifierError) as caught:
            await channel.send(saying({"content": "Curbs"}), f"http://127.0.0.1:{peer.port}{HOOK}")
    assert isinstance(caught.value, TryLater | Refused)
    assert "verysecret" not in str(caught.value) + repr(caught.value)
    return caught.value, peer


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "?wait=true"),
        ("?thread_id=7", "?thread_id=7&wait=true"),
        ("?wait=false&thread_id=7", "?thread_id=7&wait=true"),
    ],
)
async def test_a_message_is_posted_and_its_standing_waited_for(query: str, asked: str) -> None:
    """Without `wait` Discord says yes before it has looked; a thread stays the one that was meant."""
    async with WebPeer(response(200, '{"id": "1"}')) as peer, discord() as channel:
        form = {"content": "Exports", "embeds": [EMBED]}
        await channel.send(saying(form), f"http://127.0.0.1:{peer.port}{HOOK}{query}")

    ((line, _, body),) = peer.requests
    assert line == f"POST {HOOK}{asked} HTTP/1.1"
    assert json.loads(body) == form | {"allowed_mentions": NOBODY}


async def test_no_template_mentions_anybody() -> None:
    """Whatever a form of the operator's says of mentions, of files or of speech does not go."""
    form = {"content": "@everyone", "tts": True, "allowed_mentions": {"parse": ["everyone"]}, "components": [1]}
    async with WebPeer(response(200, "{}")) as peer, discord() as channel:
        await channel.send(saying(form), f"http://127.0.0.1:{peer.port}{HOOK}")

    assert json.loads(peer.requests[0][2]) == {"content": "@everyone", "embeds": [], "allowed_mentions": NOBODY}


async def test_a_message_that_discord_cannot_read_goes_once_more_as_plain_text() -> None:
    """Title and link arrive though the embeds are refused."""
    async with WebPeer(response(400, '{"code": 50035}'), response(200, "{}")) as peer, discord() as channel:
        form = {"content": "Exports", "embeds": [EMBED]}
        await channel.send(saying(form), f"http://127.0.0.1:{peer.port}{HOOK}")

    _, (_, _, second) = peer.requests
    assert json.loads(second) == {
        "content": "Exports\nCurbs\nhttps://commerce.example/1",
        "allowed_mentions": NOBODY,
    }


async def test_a_message_that_discord_cannot_read_at_all_is_refused() -> None:
    """After the plain text there is no third attempt, and the template to mend is named."""
    error, peer = await failure(response(400, '{"code": 50035}'))

    assert isinstance(error, Refused)
    assert error.outcome == "payload-refused"
    assert "templates/alert/discord.json" in str(error)
    assert len(peer.requests) == 2


@pytest.mark.parametrize(("status", "code"), [(404, 10015), (401, 10015), (401, 50027), (404, 10003)])
async def test_a_webhook_that_is_no_more_is_refused(status: int, code: int) -> None:
    """The webhook, its token or its thread are gone; Discord's code is told."""
    error, peer = await failure(response(status, json.dumps({"code": code, "message": f"Unknown {HOOK}"})))

    assert isinstance(error, Refused)
    assert error.outcome == "endpoint-gone"
    assert str(code) in str(error)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (response(404, "<p>not here</p>"), "try-later"),
        (response(401, '{"code": 0}'), "forbidden"),
        (response(403, '{"code": "odd"}'), "forbidden"),
        (response(500, ""), "try-later"),
    ],
)
async def test_an_answer_that_may_pass_is_tried_later(answer: str, outcome: str) -> None:
    """A proxy's page is not Discord's word."""
    error, _ = await failure(answer)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == (outcome, False)


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (response(429, '{"retry_after": 7.25, "global": false}', Retry_After="8"), 7.25),
        (response(429, "", Retry_After="8"), 8),
        (response(429, '{"retry_after": 0.064}'), 1),
        (response(429, '{"retry_after": 1e12}'), 3600),
        (response(429, "<p>slower</p>"), None),
    ],
)
async def test_f31_a_throttled_webhook_has_its_peace(answer: str, after: float | None) -> None:
    """F31: for as long as the body asks, in fractions of seconds, or else the header; no attempt is counted."""
    async with WebPeer(answer) as peer, discord() as channel:
        address = f"http://127.0.0.1:{peer.port}{HOOK}"
        with pytest.raises(TryLater) as caught:
            await channel.send(saying({"content": "Curbs"}), address)

        error = caught.value
        assert (error.outcome, error.after, error.scope, error.counts) == ("throttled", after, "address", False)
        assert channel.turn(address) == pytest.approx(60 if after is None else after, abs=1)
        assert channel.turn(f"{address}/another") == 0.0


async def test_where_all_of_discord_wants_fewer_nobody_writes_there() -> None:
    """A global limit holds the whole host."""
    error, _ = await failure(response(429, '{"retry_after": 30, "global": true}'))

    assert isinstance(error, TryLater)
    assert (error.scope, error.after, error.counts) == ("place", 30, False)


async def test_a_webhook_with_no_message_left_is_not_written_to() -> None:
    """Success with nothing remaining is a wish to wait; another webhook is not concerned."""
    spent = response(200, "{}", X_RateLimit_Remaining="0", X_RateLimit_Reset_After="7.5")
    async with WebPeer(spent) as peer, discord() as channel:
        address = f"http://127.0.0.1:{peer.port}{HOOK}"
        await channel.send(saying({"content": "Curbs"}), address)

        assert 5 < channel.turn(address) <= 7.5
        assert channel.turn(f"{address}/another") == 0.0


async def test_a_webhook_with_messages_left_is_written_to() -> None:
    """A remainder is no wish."""
    left = response(200, "{}", X_RateLimit_Remaining="4", X_RateLimit_Reset_After="60")
    async with WebPeer(left) as peer, discord() as channel:
        address = f"http://127.0.0.1:{peer.port}{HOOK}"
        for _ in range(2):
            assert channel.turn(address) == 0.0
            await channel.send(saying({"content": "Curbs"}), address)

    assert len(peer.requests) == 2


@pytest.mark.parametrize("answer", [HANG_UP, SILENCE])
async def test_an_end_after_the_request_is_unknown(answer: str) -> None:
    """They had all of it; there is no blind second."""
    error, peer = await failure(answer, total=0.3)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == ("unknown", True)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("form", [[], "x", {"embeds": {}}, {"embeds": ["x"]}])
async def test_a_template_that_writes_no_message_is_told(form: object) -> None:
    """An operator's own form is named, and nothing is sent."""
    async with WebPeer() as peer, discord() as channel:
        with pytest.raises(Misconfigured, match=r"templates/alert/discord\.json"):
            await channel.send(saying(form), f"http://127.0.0.1:{peer.port}{HOOK}")

        assert peer.requests == []


# ---------------------------------------------------------------- limits


def test_a_payload_within_limits_is_left_alone() -> None:
    """What Discord would take goes as it was rendered."""
    payload = {"content": "Exports", "embeds": [EMBED | {"fields": [{"name": "Why", "value": "so"}]}]}

    assert within_limits(payload) == payload | {"allowed_mentions": NOBODY}


def test_no_backslash_is_left_without_what_it_escapes() -> None:
    """A text cut in the middle of an escape would escape the ellipsis, or our own mark."""
    for most in range(1, 40):
        shown = cut(markdown("a*b\\" * 10), most)

        assert units(shown) <= most
        backslashes = re.search(r"\\*$", shown.removesuffix("…"))
        assert backslashes is None or len(backslashes[0]) % 2 == 0


TEXT = st.text(max_size=60).flatmap(lambda text: st.sampled_from([text, text * 40, text * 200]))
FIELD = st.fixed_dictionaries({"name": TEXT, "value": TEXT})
EMBEDS = st.lists(
    st.fixed_dictionaries(
        {
            "title": TEXT,
            "description": TEXT,
            "author": st.fixed_dictionaries({"name": TEXT}),
            "footer": st.fixed_dictionaries({"text": TEXT}),
            "fields": st.lists(FIELD, max_size=40),
        }
    ),
    max_size=14,
)


@examples(60)
@given(TEXT, EMBEDS)
def test_whatever_a_template_writes_is_within_limits(content: str, embeds: list[Any]) -> None:
    """Discord refuses a message whole for one text too long; ours never has one, nor a field without words."""
    fitted = within_limits({"content": content, "embeds": embeds})

    assert units(fitted["content"]) <= 2000
    assert len(fitted["embeds"]) <= 10
    assert sum(map(length, fitted["embeds"])) <= 6000
    for embed in fitted["embeds"]:
        assert units(embed["title"]) <= 256
        assert units(embed["description"]) <= 4096
        assert 0 < units(embed.get("author", {}).get("name", "x")) <= 256
        assert 0 < units(embed.get("footer", {}).get("text", "x")) <= 2048
        assert len(embed["fields"]) <= 25
        assert all(0 < units(field["name"]) <= 256 and 0 < units(field["value"]) <= 1024 for field in embed["fields"])
