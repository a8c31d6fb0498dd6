"""What every channel keeps: one suite, run against each of them and a real peer."""

from __future__ import annotations

import contextlib
import io
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from notifier.channels.apprise import AppriseChannel
from notifier.channels.atom import AtomChannel
from notifier.channels.channel import Channel
from notifier.channels.console import ConsoleChannel
from notifier.channels.discord import DiscordChannel
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from notifier.channels.posting import Posting
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.errors import Refused, TryLater
from notifier.guard import networks
from tests.channels.messages import HOSTILE, message
from tests.channels.peers import HANG_UP, MailPeer, WebPeer, closed_port, response

LOOPBACK = networks(["127.0.0.0/8"])


@dataclass
class Way:
    """A channel with an address on it, and what its peer was handed."""

    channel: Channel
    address: str
    secret: str
    handed: Callable[[], list[bytes]]


Opened = Callable[[str], AbstractAsyncContextManager[Way]]


@contextlib.asynccontextmanager
async def email(mood: str) -> AsyncIterator[Way]:
    """Mail over SMTP; moods: well, busy, refusing, cut off, absent."""
    answers = {
        "busy": {"RCPT": "451 4.7.1 please <desk@bank.example> try again in 120 seconds"},
        "refusing": {"RCPT": "550 5.1.1 <desk@bank.example>: no desk here"},
        "cut off": {".": HANG_UP},
    }.get(mood, {})
    async with MailPeer(answers) as peer:
        port = await closed_port() if mood == "absent" else peer.port
        channel = EmailChannel(Relay(host="127.0.0.1", port=port, tls="none", sender="Alerts <alerts@house.example>"))
        async with closing(channel):
            yield Way(channel, "desk@bank.example", "desk", lambda: [data for _, data in peer.taken])


@contextlib.asynccontextmanager
async def posting(channel: Posting, mood: str, well: str, *answers: str, keys: str = "") -> AsyncIterator[Way]:
    """A channel that posts to the web; the same moods, `answers` are those of a busy and of a refusing peer."""
    answer = {"busy": answers[0], "refusing": answers[1], "cut off": HANG_UP}.get(mood, well)
    async with WebPeer(answer) as peer:
        port = await closed_port() if mood == "absent" else peer.port
        address = f"http://127.0.0.1:{port}/services/T0000/B0000/verysecretZq4T{keys}"
        async with closing(channel):
            yield Way(channel, address, "verysecret", lambda: [body for _, _, body in peer.requests])


def slack(mood: str) -> AbstractAsyncContextManager[Way]:
    """Slack's incoming webhook."""
    busy, gone = response(429, "rate_limited", Retry_After="120"), response(410, "channel_is_archived")
    return posting(SlackChannel(allowed=LOOPBACK), mood, response(200, "ok"), busy, gone)


def webhook(mood: str) -> AbstractAsyncContextManager[Way]:
    """A webhook that takes signed events."""
    keys = f" whsec_{'c2VjcmV0' * 4}"
    busy = response(429, "", Retry_After="120")
    return posting(WebhookChannel(allowed=LOOPBACK), mood, response(204), busy, response(410), keys=keys)


def teams(mood: str) -> AbstractAsyncContextManager[Way]:
    """A workflow of Teams."""
    busy, gone = response(429, "", Retry_After="120"), response(404, '{"error": {"code": "WorkflowNotFound"}}')
    return posting(TeamsChannel(allowed=LOOPBACK), mood, response(202), busy, gone)


def discord(mood: str) -> AbstractAsyncContextManager[Way]:
    """A webhook of Discord's."""
    busy, gone = response(429, '{"retry_after": 120.0}'), response(404, '{"code": 10015, "message": "Unknown Webhook"}')
    return posting(DiscordChannel(allowed=LOOPBACK), mood, response(200, '{"id": "1"}'), busy, gone)


@contextlib.asynccontextmanager
async def apprise(mood: str) -> AsyncIterator[Way]:
    """A service behind Apprise, which tells no more than that it did not work."""
    answer = {"absent": response(503)}.get(mood, response(200))
    async with WebPeer(answer) as peer:
        channel = AppriseChannel()
        async with closing(channel):
            address = f"json://127.0.0.1:{peer.port}/verysecretZq4T"
            yield Way(channel, address, "verysecret", lambda: [body for _, _, body in peer.requests])


@contextlib.asynccontextmanager
async def atom(mood: str) -> AsyncIterator[Way]:
    """A feed's file, of which only its folder can be missing; what is handed over is a version of the file."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ("gone/feeds" if mood == "absent" else "feeds")
        channel = AtomChannel(folder, new_id=lambda: uuid.UUID(int=1))
        async with closing(channel):
            yield Way(channel, "hong-kong.xml", "", lambda: [path.read_bytes() for path in folder.glob("*")])


class Terminal(io.StringIO):
    """A terminal that may be gone."""

    gone = False

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@contextlib.asynccontextmanager
async def console(mood: str) -> AsyncIterator[Way]:
    """A terminal, of which only its absence can go wrong."""
    stream = Terminal()
    stream.gone = mood == "absent"
    yield Way(
        ConsoleChannel(stream),
        "stdout",
        "",
        lambda: [part.encode() for part in stream.getvalue().split("\n\n") if part],
    )


@contextlib.asynccontextmanager
async def closing(channel: Channel) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await channel.close()


ALL = pytest.mark.parametrize("way", [email, slack, teams, discord, webhook, atom, apprise, console])
NETWORK = pytest.mark.parametrize("way", [email, slack, teams, discord, webhook])
# Those whose other side cannot tell a second copy from another message.
UNSURE = pytest.mark.parametrize("way", [email, slack, teams, discord])
# Those where a second copy lies beside the first; in a feed's file it takes its place.
APART = pytest.mark.parametrize("way", [email, slack, teams, discord, webhook, apprise, console])


@ALL
async def test_a_message_is_handed_over_once(way: Opened) -> None:
    """The peer has it, and the receipt says what the peer said, without address or secret."""
    async with way("well") as open_:
        receipt = await open_.channel.send(message(), open_.address)

        (taken,) = open_.handed()
        assert b"Exports" in taken or b"exports" in taken
        assert receipt.reply
        assert open_.address not in receipt.reply


@APART
async def test_a_second_copy_is_the_first_byte_for_byte(way: Opened) -> None:
    """Whoever gets two can tell that they are one."""
    async with way("well") as open_:
        await open_.channel.send(message(), open_.address)
        await open_.channel.send(message(), open_.address)

        first, second = open_.handed()
        assert first == second


@ALL
async def test_a_good_address_is_not_refused(way: Opened) -> None:
    """The address that works is right in a subscriber's file."""
    async with way("well") as open_:
        assert open_.channel.refusal(open_.address) == ""


@ALL
@pytest.mark.parametrize(
    "address", ["", " ", "nobody", "Desk <desk@bank.example>", "a@b@c.example", "ftp://x/y", "a\nb"]
)
async def test_a_wrong_address_is_refused_with_a_mend(way: Opened, address: str) -> None:
    """The sentence tells what to write, and does not repeat what was written."""
    async with way("well") as open_:
        said = open_.channel.refusal(address)

        assert len(said.split()) > 4
        assert len(address) < 3 or address not in said


@ALL
async def test_a_masked_address_cannot_be_used(way: Opened) -> None:
    """What is shown is less than what is needed."""
    async with way("well") as open_:
        shown = open_.channel.masked(open_.address)

        assert shown
        assert not open_.secret or open_.secret not in shown


@ALL
@pytest.mark.parametrize("garbage", ["", "desk", "https://", "http://[", "@", "\x1b[31m"])
async def test_masking_never_fails(way: Opened, garbage: str) -> None:
    """Also what is no address at all can be shown, and is not shown whole."""
    async with way("well") as open_:
        shown = open_.channel.masked(garbage)

        assert shown
        assert len(garbage) < 2 or garbage not in shown


@NETWORK
async def test_a_busy_peer_is_asked_again_when_it_says(way: Opened) -> None:
    """A throttled or greylisted message may go later, after the wait that was asked for."""
    async with way("busy") as open_:
        with pytest.raises(TryLater) as caught:
            await open_.channel.send(message(), open_.address)

        assert caught.value.after in {120, 130}  # mail adds ten seconds: clocks differ
        assert not caught.value.unknown
        _tells_nothing(caught.value, open_)


@NETWORK
async def test_a_final_no_is_final(way: Opened) -> None:
    """A mailbox that is not there, or a closed webhook, is refused for good."""
    async with way("refusing") as open_:
        with pytest.raises(Refused) as caught:
            await open_.channel.send(message(), open_.address)

        assert caught.value.outcome in {"no-such-address", "endpoint-gone"}
        _tells_nothing(caught.value, open_)


@UNSURE
async def test_an_end_before_the_answer_is_unknown(way: Opened) -> None:
    """Where the peer had the whole message and hung up, it may have taken it: the step must know."""
    async with way("cut off") as open_:
        with pytest.raises(TryLater) as caught:
            await open_.channel.send(message(), open_.address)

        assert caught.value.unknown
        assert caught.value.after == 900
        _tells_nothing(caught.value, open_)


@ALL
async def test_a_peer_that_is_not_there_is_tried_later(way: Opened) -> None:
    """Nothing was sent, and there is no doubt about it."""
    async with way("absent") as open_:
        with pytest.raises(TryLater) as caught:
            await open_.channel.send(message(), open_.address)

        assert not caught.value.unknown
        _tells_nothing(caught.value, open_)


@ALL
async def test_a_check_answers_in_a_line(way: Opened) -> None:
    """What an operator is told names the way, and hands nothing over."""
    async with way("well") as open_:
        said = await open_.channel.check()

        assert said
        assert "\n" not in said
        assert open_.handed() == []


@ALL
async def test_closing_twice_is_safe(way: Opened) -> None:
    """Also after something was sent."""
    async with way("well") as open_:
        await open_.channel.send(message(), open_.address)

        await open_.channel.close()
        await open_.channel.close()


@ALL
@pytest.mark.parametrize("title", HOSTILE)
async def test_hostile_text_arrives_as_text(way: Opened, title: str) -> None:
    """Whatever a feed said, one message arrives, without a control character that was not ours."""
    async with way("well") as open_:
        await open_.channel.send(message(subject=title, text=title, html=title), open_.address)

        (taken,) = open_.handed()
        assert not {0, 7, 27} & set(taken)
        assert b"\xc2\x9b" not in taken


def _tells_nothing(error: Exception, way: Way) -> None:
    told = str(error)
    assert told
    assert way.address not in told
    assert not way.secret or way.secret not in told
