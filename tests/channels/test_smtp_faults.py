"""
Faults of mail servers, as the channel sees them: what is raised, what reached the server, and that the next mail is
right. The numbers are those of the list of fault cases; what the deliver step makes of them is tested with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from notifier.errors import Refused, TryLater
from tests.channels.messages import message
from tests.channels.peers import SILENCE, MailPeer, server_tls, trusting_tls
from tests.channels.test_mail_channel import DESK, PASSWORD, SENDER, Accounts, login, secured, to

NIGHT, OTHER = "night@bank.example", "desk@broker.example"


async def ended(channel: EmailChannel, address: str = DESK) -> TryLater | Refused:
    """How sending to this address fails."""
    with pytest.raises((TryLater, Refused)) as caught:
        await channel.send(message(), address)
    assert isinstance(caught.value, TryLater | Refused)
    assert "bank" not in str(caught.value)
    return caught.value


def told(error: TryLater | Refused) -> tuple[Any, ...]:
    """What a failure says to the deliver step."""
    if isinstance(error, Refused):
        return "refused", error.outcome
    assert not error.unknown
    return error.outcome, error.scope, error.counts, error.after


def recipients(peer: MailPeer) -> list[str]:
    return [recipient for recipient, _ in peer.taken]


# ---------------------------------------------------------------- a recipient, a domain, our server


async def test_a_greylisted_mail_goes_the_second_time() -> None:
    """F06: 450 4.7.1 asks for five minutes, for this mail alone; the same again is taken."""
    async with MailPeer({"RCPT": ["450 4.7.1 Greylisted", "250 ok"]}) as peer, to(peer) as channel:
        error = await ended(channel)
        await channel.send(message(), DESK)

        assert told(error) == ("greylisted", "message", True, 300)
        assert recipients(peer) == [DESK]
        assert peer.said.count("DATA") == 1
        assert peer.connections == 1


async def test_a_wait_in_words_is_kept() -> None:
    """F07: "try again in 120 seconds" is 120 and ten more, since clocks differ."""
    answers = {"RCPT": ["451 try again in 120 seconds", "250 ok"]}
    async with MailPeer(answers) as peer, to(peer) as channel:
        error = await ended(channel)
        await channel.send(message(), NIGHT)

        assert told(error) == ("greylisted", "message", True, 130)
        assert recipients(peer) == [NIGHT]


async def test_a_mailbox_that_is_none_ends_its_mail() -> None:
    """F08: 550 5.1.1 is for good, the mail itself is not sent, and a neighbour gets his."""
    answers = {"RCPT": ["550 5.1.1 <desk@bank.example>: user unknown", "250 ok"]}
    async with MailPeer(answers) as peer, to(peer) as channel:
        error = await ended(channel)
        await channel.send(message(), NIGHT)

        assert told(error) == ("refused", "no-such-address")
        assert recipients(peer) == [NIGHT]
        assert len(peer.read) == 1


async def test_a_mailbox_that_may_be_none_is_not_given_up_at_once() -> None:
    """F08, without an enhanced code: it ends this mail, under a name of its own; servers err in this one."""
    async with MailPeer({"RCPT": "550 mailbox unavailable"}) as peer, to(peer) as channel:
        assert told(await ended(channel)) == ("refused", "mailbox-refused")
        assert peer.read == []


async def test_a_full_mailbox_may_be_emptied() -> None:
    """F09: 552 5.2.2 is for later, and concerns whatever goes to this mailbox, and no other."""
    async with MailPeer({"RCPT": ["552 5.2.2 over quota", "250 ok"]}) as peer, to(peer) as channel:
        error = await ended(channel)
        await channel.send(message(), NIGHT)

        assert told(error) == ("mailbox-full", "address", True, None)
        assert recipients(peer) == [NIGHT]


@pytest.mark.parametrize("reply", ["550 5.7.26 unauthenticated mail", "550 5.7.515 Access denied"])
@pytest.mark.parametrize("verb", ["RCPT", "."])
async def test_a_domain_that_refuses_us_loses_no_mail(reply: str, verb: str) -> None:
    """F10: the operator can mend it; it holds for the whole domain, and the next domain gets its mail."""
    async with MailPeer({verb: [reply, reply, "250 ok"]}) as peer, to(peer) as channel:
        errors = [await ended(channel, DESK), await ended(channel, NIGHT)]
        await channel.send(message(), OTHER)

        assert [told(error) for error in errors] == [("policy", "place", True, 900)] * 2
        assert channel.place(DESK) == channel.place(NIGHT) != channel.place(OTHER)
        assert recipients(peer) == [OTHER]


async def test_a_login_that_is_refused_is_tried_once() -> None:
    """F11: 535 stops everything; of ten mails none is lost, one asks, and the password is in no word of it."""
    accounts = Accounts()
    async with secured(accounts) as port:
        channel = EmailChannel(login(port, password="wrong horse"), tls_context=trusting_tls())
        results = await asyncio.gather(*(channel.send(message(), DESK) for _ in range(10)), return_exceptions=True)
        await channel.close()

    assert {type(error) for error in results} == {TryLater}
    assert {(error.outcome, error.after) for error in results if isinstance(error, TryLater)} == {
        ("login-refused", 900)
    }
    assert not [error for error in results if "horse" in str(error)]
    assert accounts.taken == []


async def test_a_provider_that_throttles_gets_all_in_the_end() -> None:
    """F12: 454 at DATA is no attempt of this mail's; it is about our own server, and the connection stays good."""
    throttling = "454 4.7.0 Throttling failure: Maximum sending rate exceeded."
    async with MailPeer({"DATA": [throttling, throttling, "354 go on"]}) as peer, to(peer) as channel:
        errors = [await ended(channel), await ended(channel)]
        await channel.send(message(), DESK)

        assert [told(error) for error in errors] == [("throttled", "route", False, None)] * 2
        assert recipients(peer) == [DESK]
        assert len(peer.read) == 1


# ---------------------------------------------------------------- the way there


async def test_no_starttls_is_no_mail() -> None:
    """F13: a server that hides STARTTLS hears our name, and neither a login nor a mail, however often it is tried."""
    async with (
        MailPeer({"AUTH": "235 welcome"}, extensions=["AUTH PLAIN LOGIN", "SMTPUTF8"]) as peer,
        to(peer, tls="starttls", username="alerts", password=PASSWORD) as channel,
    ):
        errors = [await ended(channel), await ended(channel, NIGHT)]

        assert [(type(error), error.outcome) for error in errors] == [(TryLater, "no-tls")] * 2
        assert "notifier.toml" in str(errors[0])
        assert {line.partition(" ")[0] for line in peer.said} <= {"EHLO", "QUIT"}


def certificate(folder: Path, name: str, until: datetime) -> Path:
    """A self-signed certificate for a host name that holds until then, with its key, in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number(), until - timedelta(9), until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path


class Listener:
    """A mail server with this certificate, by STARTTLS or TLS from the first byte; `mails` counts what it took."""

    def __init__(self) -> None:
        self.mails = 0

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails += 1
        return "250 2.0.0 OK"

    @contextlib.asynccontextmanager
    async def at_work(self, tls: str, path: Path) -> AsyncIterator[int]:
        """Listen; the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        inner = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
        outer = context if tls == "implicit" else None
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="peer.example", **inner), "127.0.0.1", 0, ssl=outer
        )
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize(("name", "days", "words"), [("localhost", -1, "expired"), ("other.example", 9, "mismatch")])
async def test_a_certificate_that_does_not_hold_is_no_mail(
    tmp_path: Path, tls: str, name: str, days: int, words: str
) -> None:
    """F14: it is expired, or another host's, though its maker is trusted: nothing goes, not even in clear."""
    path, listener = certificate(tmp_path, name, datetime.now(UTC) + timedelta(days)), Listener()
    trusting = ssl.create_default_context(cafile=str(path))
    async with listener.at_work(tls, path) as port:
        relay = Relay(host="localhost", port=port, tls=tls, sender=SENDER)  # type: ignore[arg-type]
        channel = EmailChannel(relay, tls_context=trusting)
        errors = [await ended(channel), await ended(channel, NIGHT)]
        await channel.close()

    assert [(type(error), error.outcome) for error in errors] == [(TryLater, "bad-certificate")] * 2
    assert words in str(errors[0])
    assert listener.mails == 0


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_that_holds_is_a_mail(tmp_path: Path, tls: str) -> None:
    """F14, the other way round: the same server with a good certificate gets its mail."""
    path, listener = certificate(tmp_path, "localhost", datetime.now(UTC) + timedelta(9)), Listener()
    trusting = ssl.create_default_context(cafile=str(path))
    async with listener.at_work(tls, path) as port:
        relay = Relay(host="localhost", port=port, tls=tls, sender=SENDER)  # type: ignore[arg-type]
        channel = EmailChannel(relay, tls_context=trusting)
        await channel.send(message(), DESK)
        await channel.close()

    assert listener.mails == 1


@pytest.mark.parametrize("greeting", ["554 5.3.2 no mail service here", "421 4.3.2 shutting down", "521 not today"])
async def test_a_server_that_will_not_greet_refuses_no_mail(greeting: str) -> None:
    """F15: the refusal is our server's and not this mail's: it waits, and goes once there is a greeting."""
    async with MailPeer({"greeting": [greeting, "220 ready"]}) as peer, to(peer) as channel:
        error = await ended(channel)
        said_before = list(peer.said)
        await channel.check()
        await channel.send(message(), DESK)

        assert isinstance(error, TryLater)
        assert not error.unknown
        assert [line for line in said_before if line != "QUIT"] == []
        assert recipients(peer) == [DESK]


async def test_a_server_that_says_nothing_holds_up_no_other() -> None:
    """F16: the wait for a greeting ends with the time-out, and mails over another server go meanwhile."""
    async with (
        MailPeer({"greeting": SILENCE}) as silent,
        MailPeer() as well,
        to(silent, timeout=0.3) as stuck,
        to(well) as free,
    ):
        waiting = asyncio.create_task(ended(stuck))
        await free.send(message(), DESK)
        went_first = not waiting.done()
        error = await waiting

        assert went_first
        assert (type(error), error.outcome) == (TryLater, "unreachable")
        assert silent.said == []
        assert recipients(well) == [DESK]


# ---------------------------------------------------------------- after a refusal


@pytest.mark.parametrize("tls", [None, "implicit"], ids=["clear", "TLS"])
async def test_a_refusal_outlives_a_reset_that_stalls(tls: str | None) -> None:
    """F22: what is told is the 550, at once, and the next mail finds a connection that answers."""
    answers = {"RCPT": ["550 5.1.1 unknown", "250 ok"], "RSET": SILENCE}
    way = {"tls": "implicit", "host": "localhost"} if tls else {}
    async with (
        MailPeer(answers, tls=server_tls() if tls else None) as peer,
        to(peer, timeout=0.3, **way) as channel,
    ):
        error = await ended(channel)
        await channel.send(message(), NIGHT)

        assert told(error) == ("refused", "no-such-address")
        assert recipients(peer) == [NIGHT]


async def test_a_name_beyond_ascii_spoils_no_connection() -> None:
    """F23: without SMTPUTF8 it fails before a command is sent, and the next mail goes over the same connection."""
    async with MailPeer(extensions=["8BITMIME"]) as peer, to(peer) as channel:
        await channel.send(message(), NIGHT)
        error = await ended(channel, "büro@bank.example")
        await channel.send(message(), DESK)

        assert told(error) == ("refused", "needs-smtputf8")
        assert recipients(peer) == [NIGHT, DESK]
        assert peer.connections == 1
        assert not [line for line in peer.said if "ü" in line or "SMTPUTF8" in line]


async def test_a_name_beyond_ascii_may_be_refused_behind_our_server() -> None:
    """F23, where our server can and theirs cannot: 5.6.7 is for good, for this recipient alone."""
    async with MailPeer({"RCPT": ["553 5.6.7 no SMTPUTF8 there", "250 ok"]}) as peer, to(peer) as channel:
        error = await ended(channel, "büro@bank.example")
        await channel.send(message(), DESK)

        assert told(error) == ("refused", "needs-smtputf8")
        assert recipients(peer) == [DESK]


@pytest.mark.parametrize(
    ("address", "travels"),
    [
        ("desk@bücher.example", "desk@xn--bcher-kva.example"),
        ("desk@straße.example", "desk@xn--strae-oqa.example"),
        ("desk@香港.example", "desk@xn--j6w193g.example"),
    ],
)
async def test_a_domain_beyond_ascii_goes_as_ascii(address: str, travels: str) -> None:
    """F24: in the envelope and in the header, to a server that knows nothing but ASCII."""
    async with MailPeer(extensions=[]) as peer, to(peer) as channel:
        await channel.send(message(), address)

        ((recipient, data),) = peer.taken
        assert recipient == travels
        assert f"\r\nTo: {travels}\r\n".encode() in data
        assert data.isascii()
