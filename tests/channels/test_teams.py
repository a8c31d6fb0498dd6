"""A workflow of Microsoft Teams, played by a web server that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from notifier.channels.teams import TeamsChannel
from notifier.errors import Misconfigured, NotifierError, Refused, TryLater
from notifier.message import Message
from tests.channels.messages import WRITTEN_AT, card
from tests.channels.peers import HANG_UP, SILENCE, WebPeer, response
from tests.channels.receiver import LOOPBACK

HOOK = "/workflows/b840/triggers/manual/paths/invoke?api-version=1&sig=verysecretZq4T"


@contextlib.asynccontextmanager
async def teams(total: float = 5.0) -> AsyncIterator[TeamsChannel]:
    channel = TeamsChannel(allowed=LOOPBACK, total=total)
    try:
        yield channel
    finally:
        await channel.close()


def saying(form: object) -> Message:
    """A message whose template wrote this."""
    return Message(id="c0ffee" * 5, parts={"teams.json": json.dumps(form)}, written_at=WRITTEN_AT)


async def failure(*answers: str, total: float = 5.0) -> tuple[TryLater | Refused, WebPeer]:
    """How a card ends against a server with these answers; no error ever holds the URL."""
    async with WebPeer(*answers) as peer, teams(total) as channel:
        with pytest.raises(NotifierError) as caught:
            await channel.send(saying(card("Curbs")), f"http://127.0.0.1:{peer.port}{HOOK}")
    assert isinstance(caught.value, TryLater | Refused)
    assert "verysecret" not in str(caught.value) + repr(caught.value)
    return caught.value, peer


@pytest.mark.parametrize("status", [200, 202])
async def test_a_card_goes_in_the_envelope_that_a_workflow_takes(status: int) -> None:
    """One POST with one attachment, and whatever the workflow calls taken is success."""
    async with WebPeer(response(status)) as peer, teams() as channel:
        receipt = await channel.send(saying(card("Curbs")), f"http://127.0.0.1:{peer.port}{HOOK}")

    ((line, headers, body),) = peer.requests
    assert line == f"POST {HOOK} HTTP/1.1"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert json.loads(body) == {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card("Curbs")}],
    }
    assert receipt.reply == str(status)


async def test_a_card_is_small() -> None:
    """Under 28 kB whatever stands in it: texts are cut and lists shortened, and the link stays whole."""
    link = "https://commerce.example/" + "x" * 1900
    huge = card("香" * 30_000) | {"actions": [{"type": "Action.OpenUrl", "title": "Read", "url": link}]}
    huge["body"] = [card("long " * 2000)["body"]] * 200
    async with WebPeer(response(202)) as peer, teams() as channel:
        await channel.send(saying(huge), f"http://127.0.0.1:{peer.port}{HOOK}")

    ((_, _, body),) = peer.requests
    assert len(body) <= 28_000
    assert json.loads(body)["attachments"][0]["content"]["actions"][0]["url"] == link


@pytest.mark.parametrize("form", [[], "x", {"text": "Curbs"}, {"type": "message"}])
async def test_a_template_that_writes_no_card_is_told(form: object) -> None:
    """An operator's own form is named, and nothing is sent."""
    async with WebPeer() as peer, teams() as channel:
        with pytest.raises(Misconfigured, match=r"templates/alert/teams\.json"):
            await channel.send(saying(form), f"http://127.0.0.1:{peer.port}{HOOK}")

        assert peer.requests == []


async def test_a_workflow_that_is_gone_is_refused() -> None:
    """Microsoft's word for it is told, and not the rest of what it says."""
    error, _ = await failure(response(404, '{"error": {"code": "WorkflowNotFound", "message": "no /workflows/b840"}}'))

    assert isinstance(error, Refused)
    assert error.outcome == "endpoint-gone"
    assert "WorkflowNotFound" in str(error)
    assert "b840" not in str(error)


async def test_a_workflow_that_is_switched_off_may_come_back() -> None:
    """It says 400, as for a card that it cannot read; the card is not at fault."""
    error, _ = await failure(response(400, '{"error":{"code":"WorkflowTriggerIsNotEnabled"}}'))

    assert isinstance(error, TryLater)
    assert (error.outcome, error.scope, error.unknown) == ("forbidden", "address", False)


@pytest.mark.parametrize("status", [400, 413])
async def test_a_card_that_cannot_be_read_is_refused(status: int) -> None:
    """The same again would be refused again."""
    error, peer = await failure(response(status, '{"error":{"code":"InvalidRequestContent"}}'))

    assert isinstance(error, Refused)
    assert error.outcome == "payload-refused"
    assert len(peer.requests) == 1


@pytest.mark.parametrize("answer", [HANG_UP, SILENCE])
async def test_an_end_after_the_request_is_unknown(answer: str) -> None:
    """They had all of it; there is no blind second."""
    error, peer = await failure(answer, total=0.3)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == ("unknown", True)
    assert len(peer.requests) == 1


async def test_a_workflow_gets_four_cards_a_second() -> None:
    """The second waits a quarter of a second, and another workflow not at all."""
    async with teams() as channel:
        turns = [channel.turn("https://teams.example/hook") for _ in range(2)]

        assert turns == [0.0, pytest.approx(0.25, abs=0.05)]
        assert channel.turn("https://teams.example/another") == 0.0
