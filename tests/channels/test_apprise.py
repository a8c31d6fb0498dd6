"""Services behind Apprise: the real library, posting to a server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from notifier.channels.apprise import AppriseChannel
from notifier.errors import Refused, TryLater
from tests.channels.messages import message
from tests.channels.peers import SILENCE, WebPeer, response

PATH = "/notify/verysecretZq4T"


@contextlib.asynccontextmanager
async def elsewhere(total: float = 20.0) -> AsyncIterator[AppriseChannel]:
    channel = AppriseChannel(total=total)
    try:
        yield channel
    finally:
        await channel.close()


async def test_a_message_is_handed_to_the_service() -> None:
    """Subject and text as they are; nothing in them is a template, an escape or markup to Apprise."""
    text = "It is {{ 7 * 7 }} \\u0041 :smile: <b>bold</b> *star* & more\n"
    async with WebPeer(response(200)) as peer, elsewhere() as channel:
        receipt = await channel.send(message("Curbs {{ 1 }}", text), f"json://127.0.0.1:{peer.port}{PATH}")

    ((line, _, body),) = peer.requests
    assert line == f"POST {PATH} HTTP/1.1"
    assert (json.loads(body)["title"], json.loads(body)["message"]) == ("Curbs {{ 1 }}", text.strip())
    assert receipt.reply == "taken by Apprise"


@pytest.mark.parametrize("wish", ["", "?optional=yes", "?retry=5&wait=0.1", "?overflow=split"])
async def test_what_did_not_work_is_tried_later_by_us(wish: str) -> None:
    """One request and a failure that is called one, whatever the URL wishes: how often is for the log to decide."""
    async with WebPeer(response(503)) as peer, elsewhere() as channel:
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), f"json://127.0.0.1:{peer.port}{PATH}{wish}")

        assert (caught.value.outcome, caught.value.unknown) == ("not-taken", False)
        assert len(peer.requests) == 1


async def test_a_service_that_does_not_end_is_unknown() -> None:
    """It may have the message; nobody waits for it longer than the limit."""
    async with WebPeer(SILENCE) as peer, elsewhere(total=0.5) as channel:
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), f"json://127.0.0.1:{peer.port}{PATH}")

    assert (caught.value.outcome, caught.value.unknown) == ("unknown", True)


async def test_cancelled_while_it_is_sent_it_may_have_arrived() -> None:
    """Who stops us hears that a second copy is possible."""
    async with WebPeer(SILENCE) as peer, elsewhere() as channel:
        sending = asyncio.create_task(channel.send(message(), f"json://127.0.0.1:{peer.port}{PATH}"))
        await peer.has_read(1)
        sending.cancel()
        with pytest.raises(TryLater) as caught:
            await sending

    assert caught.value.unknown


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("", "one word"),
        ("tgram://a b", "one word"),
        ("nosuch://verysecret/x", "does not know this service"),
        ("tgram://verysecret", "does not know this service"),
        ("sns://AHIAJGNT76XIMXDBIJYA/bu1dHSdO22pfaaVy/us-east-2/12223334444/12223334445", "names 2 recipients"),
    ],
)
async def test_what_is_no_apprise_url_is_refused(url: str, mend: str) -> None:
    """It is told with the subscriber's file, without what was written, and should it slip through, nothing is sent."""
    async with elsewhere() as channel:
        assert mend in channel.refusal(url)
        assert not url or url not in channel.refusal(url)
        with pytest.raises(Refused):
            await channel.send(message(), url)


async def test_only_the_service_is_shown() -> None:
    """All else of the URL may be a secret, the host too."""
    async with elsewhere() as channel:
        assert channel.masked("tgram://123456789:verysecret/chat") == "tgram:…"
        assert channel.masked("verysecret") == "…"


async def test_apprise_tells_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a log at its most talkative nor the terminal holds anything of a URL that failed or cannot be read."""
    log = io.StringIO()
    root, handler = logging.getLogger(), logging.StreamHandler(log)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with WebPeer(response(500, "no")) as peer, elsewhere() as channel:
            with pytest.raises(TryLater) as caught:
                await channel.send(message(), f"json://me:verysecret@127.0.0.1:{peer.port}{PATH}?+X-Key=verysecret")
            channel.refusal("tgram://verysecret")
        logging.getLogger("notifier").critical("heard")
    finally:
        root.setLevel(level)
        root.removeHandler(handler)

    assert "heard" in log.getvalue()
    assert "verysecret" not in log.getvalue() + str(caught.value) + "".join(capfd.readouterr())


def test_our_mails_are_written_as_before() -> None:
    """Apprise changes how Python encodes headers; a second copy of a mail must be the first, also once it is loaded."""
    code = (
        "from email.header import Header\n"
        "from notifier.channels.apprise import AppriseChannel\n"
        "title = Header('Kontrolle über Güter', 'utf-8')\n"
        "before = title.encode()\n"
        "AppriseChannel().refusal('json://localhost/x')\n"
        "print(Header('Kontrolle über Güter', 'utf-8').encode() == before)"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 our own words

    assert told == "True\n"


def test_apprise_is_loaded_for_who_uses_it() -> None:
    """A notifier without such a channel neither needs it nor waits for it."""
    code = (
        "import sys; sys.modules['apprise'] = None\n"
        "from notifier.channels.apprise import AppriseChannel\n"
        "import notifier.service\n"
        "print(AppriseChannel().refusal('tgram://123456789:abc/chat'))"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 our own words

    assert told == "Apprise is not installed; run pip install 'policy-change-notifier[apprise]'\n"
