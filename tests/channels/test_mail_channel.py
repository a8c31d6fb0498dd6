"""Mail over SMTP: real servers, and peers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.message
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from notifier.errors import Misconfigured, Refused, TryLater
from notifier.message import Receipt
from tests.channels.messages import message
from tests.channels.peers import (
    HANG_UP,
    HANG_UP_AFTER_354,
    SILENCE,
    Answers,
    MailPeer,
    Peer,
    server_tls,
    trusting_tls,
)

SENDER = "Policy alerts <alerts@house.example>"
PASSWORD = "correct horse"
DESK = "desk@bank.example"


@contextlib.asynccontextmanager
async def to(peer: MailPeer, bounces: str = "", **relay: Any) -> AsyncIterator[EmailChannel]:
    """A channel to this peer."""
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": peer.port, "tls": "none", "sender": SENDER} | relay
    channel = EmailChannel(Relay(**settings), bounces=bounces, tls_context=trusting_tls())
    try:
        yield channel
    finally:
        await channel.close()


async def failure(answers: Answers, **relay: Any) -> tuple[TryLater | Refused, MailPeer]:
    """How sending ends against a peer with this script."""
    async with MailPeer(answers) as peer, to(peer, **relay) as channel:
        with pytest.raises((TryLater, Refused)) as caught:
            await channel.send(message(), DESK)
        assert isinstance(caught.value, TryLater | Refused)
        return caught.value, peer


# ---------------------------------------------------------------- the transaction


async def test_messages_in_a_row_share_a_connection() -> None:
    """While messages come, the server is greeted once; on closing it is taken leave of."""
    async with MailPeer() as peer:
        async with to(peer) as channel:
            for _ in range(3):
                await channel.send(message(), DESK)

        assert peer.connections == 1
        assert len(peer.taken) == 3
        assert peer.said[-1] == "QUIT"


async def test_messages_at_once_share_a_few_connections() -> None:
    """Forty at once go over at most eight connections, each to its own recipient."""
    async with MailPeer() as peer, to(peer) as channel:
        await asyncio.gather(*(channel.send(message(), f"desk{n}@bank.example") for n in range(40)))

        assert peer.connections <= 8
        assert sorted(recipient for recipient, _ in peer.taken) == sorted(f"desk{n}@bank.example" for n in range(40))


async def test_an_end_before_the_dot_leaves_no_doubt() -> None:
    """F01: a server that wanted the message and hung up instead of reading has not taken it."""
    error, _ = await failure({"DATA": HANG_UP_AFTER_354})

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown) == ("cut-off", False)


async def test_an_end_after_the_dot_is_unknown() -> None:
    """F02: the reply was lost, and perhaps nothing else: a quarter of an hour, then the same message again."""
    error, peer = await failure({".": HANG_UP})

    assert isinstance(error, TryLater)
    assert (error.outcome, error.unknown, error.after) == ("unknown", True, 900)
    assert peer.said.count("DATA") == 1


async def test_silence_after_the_dot_is_unknown() -> None:
    """So is an answer that does not come in time."""
    error, _ = await failure({".": SILENCE}, after_dot=0.05)

    assert isinstance(error, TryLater)
    assert error.unknown


@pytest.mark.parametrize("verb", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("way", [SILENCE, HANG_UP])
async def test_silence_before_the_message_is_bounded(verb: str, way: str) -> None:
    """Wherever a server falls silent or hangs up before the message, the attempt ends, without doubt about it."""
    error, _ = await failure({verb: way}, timeout=0.05)

    assert isinstance(error, TryLater)
    assert not error.unknown


async def test_a_refused_recipient_does_not_spoil_the_connection() -> None:
    """The transaction is reset, and the next message goes over the same connection."""
    async with MailPeer({"RCPT": ["550 5.1.1 unknown", "250 ok"]}) as peer, to(peer) as channel:
        with pytest.raises(Refused):
            await channel.send(message(), "nobody@bank.example")
        await channel.send(message(), DESK)

        assert [recipient for recipient, _ in peer.taken] == [DESK]
        assert peer.connections == 1


async def test_a_refusal_is_what_counts_though_the_reset_stalls() -> None:
    """F22: 550 and then silence is 550, and the next message finds a connection of its own."""
    answers = {"RCPT": ["550 5.1.1 unknown", "250 ok"], "RSET": SILENCE}
    async with MailPeer(answers) as peer, to(peer, timeout=0.05) as channel:
        with pytest.raises(Refused) as caught:
            await channel.send(message(), "nobody@bank.example")
        await channel.send(message(), DESK)

        assert caught.value.outcome == "no-such-address"
        assert [recipient for recipient, _ in peer.taken] == [DESK]


async def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    """A server may end what waits; nothing was sent, so nobody hears of it."""
    async with MailPeer({"RSET": HANG_UP, "RCPT": ["450 4.7.1 later", "250 ok"]}) as peer, to(peer) as channel:
        with pytest.raises(TryLater):
            await channel.send(message(), DESK)
        await channel.send(message(), DESK)

        assert peer.connections == 2
        assert len(peer.taken) == 1


async def test_a_busy_server_is_left_alone() -> None:
    """421 ends the connection from our side too, and the next message makes another."""
    async with MailPeer({"MAIL": ["421 4.7.0 too busy", "250 ok"]}) as peer, to(peer) as channel:
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)
        await channel.send(message(), DESK)

        assert caught.value.outcome == "throttled"
        assert peer.connections == 2


async def test_a_cancelled_message_leaves_no_connection_behind() -> None:
    """A reply that comes too late must not be taken for the answer to something else."""
    async with MailPeer({"RCPT": [SILENCE, "250 ok"]}) as peer, to(peer) as channel:
        sending = asyncio.create_task(channel.send(message(), DESK))
        await peer.heard("RCPT")
        sending.cancel()
        await asyncio.wait([sending])
        await channel.send(message(), DESK)

        assert peer.connections == 2
        assert len(peer.taken) == 1


async def test_cancelled_after_the_dot_it_may_have_arrived() -> None:
    """Who stops us while the server is about to answer hears that a second copy is possible."""
    async with MailPeer({".": SILENCE}) as peer, to(peer) as channel:
        sending = asyncio.create_task(channel.send(message(), DESK))
        await peer.has_read(1)
        sending.cancel()
        with pytest.raises(TryLater) as caught:
            await sending

    assert caught.value.unknown
    assert caught.value.after == 900


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    """Two replies to one command would shift all that follow, and the last would be taken for the message's."""
    async with MailPeer({"MAIL": ["250 ok\r\n250 and this", "250 ok"]}) as peer, to(peer) as channel:
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)

        assert not caught.value.unknown
        assert not [line for line in peer.said if line.startswith("RCPT")]


async def test_lines_of_dots_arrive_as_they_were() -> None:
    """A lone dot in the text does not end the message (RFC 5321, 4.5.2)."""
    async with MailPeer() as peer, to(peer) as channel:
        await channel.send(message(text=".\n..\n.QUIT\nThat was all.\n"), DESK)

        ((_, data),) = peer.taken
        plain = email.message_from_bytes(data).get_payload(0)
        assert isinstance(plain, email.message.Message)
        assert plain.get_payload(decode=True) == b".\r\n..\r\n.QUIT\r\nThat was all."


async def test_a_dead_server_costs_a_few_time_outs() -> None:
    """Forty alerts behind a server that says nothing are postponed together, not one time-out after another."""
    async with MailPeer({"greeting": SILENCE}) as peer, to(peer, timeout=0.05) as channel:
        ends = await asyncio.gather(*(channel.send(message(), DESK) for _ in range(40)), return_exceptions=True)

        assert {(type(end), getattr(end, "outcome", "")) for end in ends} == {(TryLater, "unreachable")}
        assert peer.connections == 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("250 2.0.0 taken as 7F3A", "250 2.0.0 taken as 7F3A"),
        ("250 2.0.0 queued for desk@bank.example", "250 2.0.0 queued for …"),
        ("250 ok, Desk", "250 ok, …"),
        ("250 two  spaces\t", "250 two spaces"),
        (f"250 {'x' * 300}", f"250 {'x' * 160}…"),
    ],
)
async def test_a_receipt_is_a_line_without_addresses(said: str, shown: str) -> None:
    """What the server said is kept, and not to whom."""
    async with MailPeer({".": said}) as peer, to(peer) as channel:
        assert (await channel.send(message(), DESK)).reply == shown


# ---------------------------------------------------------------- several messages together

PIPELINING = ("PIPELINING", "SMTPUTF8")
DESKS = [f"desk{n}@bank.example" for n in range(60)]

End = Receipt | BaseException


async def ends(channel: EmailChannel, addresses: Sequence[str], at_once: int = 24) -> list[End]:
    """How messages to all of them end, so many at once."""
    places = asyncio.Semaphore(at_once)

    async def one(address: str) -> Receipt:
        async with places:
            return await channel.send(message(), address)

    async with asyncio.timeout(20):
        return await asyncio.gather(*(one(address) for address in addresses), return_exceptions=True)


def taken_by(peer: MailPeer) -> list[str]:
    return sorted(recipient for recipient, _ in peer.taken)


@pytest.mark.parametrize("extensions", [PIPELINING, ("SMTPUTF8",)])
async def test_each_of_many_gets_his_own_once(extensions: Sequence[str]) -> None:
    """Over eight connections, whichever commands go out together: every address once, with its own header."""
    async with MailPeer(extensions=extensions) as peer, to(peer) as channel:
        assert all(isinstance(end, Receipt) for end in await ends(channel, DESKS))

        assert taken_by(peer) == sorted(DESKS)
        assert all(f"\r\nTo: {recipient}\r\n".encode() in data for recipient, data in peer.taken)
        assert peer.connections <= 8


async def test_a_connection_is_renewed_after_a_hundred_messages() -> None:
    """Some servers count."""
    async with MailPeer(extensions=PIPELINING) as peer, to(peer) as channel:
        for number in range(150):
            await channel.send(message(), f"desk{number}@bank.example")

        assert (len(peer.taken), peer.connections) == (150, 2)


async def test_without_pipelining_commands_go_one_by_one() -> None:
    """A server that does not advertise it (RFC 2920) never finds a second command behind the one it reads."""
    async with MailPeer({"RCPT": ["250 ok", "550 5.1.1 nobody", "250 ok"]}) as peer, to(peer) as channel:
        await ends(channel, DESKS)

        assert peer.crowded == []
        assert len(peer.taken) == len(DESKS) - 1


async def test_with_pipelining_an_envelope_is_one_journey() -> None:
    """MAIL, RCPT and DATA come together where the server says that it can."""
    async with MailPeer(extensions=PIPELINING) as peer, to(peer) as channel:
        await channel.send(message(), DESK)

        assert [line[:4] for line in peer.crowded] == ["MAIL", "RCPT"]


async def test_a_refused_recipient_in_a_group_gets_a_lone_dot() -> None:
    """F19: RCPT is refused and DATA is not: nothing is sent, and the connection serves on."""
    answers = {"RCPT": ["550 5.1.1 unknown", "250 ok"]}
    async with MailPeer(answers, extensions=PIPELINING) as peer, to(peer) as channel:
        refused, *others = await ends(channel, DESKS)

        assert isinstance(refused, Refused)
        assert all(isinstance(end, Receipt) for end in others)
        assert taken_by(peer) == sorted(DESKS[1:])
        assert peer.empty == 1
        assert peer.connections <= 8


async def test_a_sender_refused_in_a_group_is_refused_once() -> None:
    """What the server says to the commands behind MAIL is only that MAIL is missing."""
    answers = {"MAIL": ["550 5.7.1 not you", "250 ok"], "RCPT": ["503 5.5.1 no MAIL", "250 ok"]}
    answers["DATA"] = ["503 5.5.1 no RCPT", "354 go on"]
    async with MailPeer(answers, extensions=PIPELINING) as peer, to(peer) as channel:
        with pytest.raises(TryLater, match="not you") as caught:
            await channel.send(message(), DESK)
        await channel.send(message(), DESK)

        assert caught.value.outcome == "policy"
        assert (len(peer.taken), peer.connections, peer.empty) == (1, 1, 0)


@pytest.mark.parametrize("extensions", [PIPELINING, ("SMTPUTF8",)])
async def test_one_answer_lost_is_one_message_in_doubt(extensions: Sequence[str]) -> None:
    """The connection died after one message's last line; those beside and behind it arrive, once."""
    answers = {".": ["250 taken", HANG_UP, "250 taken"]}
    async with MailPeer(answers, extensions=extensions) as peer, to(peer) as channel:
        all_ends = await ends(channel, DESKS)

    (doubt,) = [end for end in all_ends if not isinstance(end, Receipt)]
    assert isinstance(doubt, TryLater)
    assert (doubt.unknown, doubt.after) == (True, 900)
    assert taken_by(peer) == sorted(set(DESKS) - {DESKS[all_ends.index(doubt)]})


@pytest.mark.parametrize("extensions", [PIPELINING, ("SMTPUTF8",)])
async def test_a_busy_server_turns_away_all_who_wait(extensions: Sequence[str]) -> None:
    """F04: 421 at the third of ten: two are sent, eight are owed as before, and for none of those is it an attempt."""
    answers = {"MAIL": ["250 ok", "250 ok", "421 4.7.0 too busy"]}
    async with MailPeer(answers, extensions=extensions) as peer, to(peer) as channel:
        all_ends = await ends(channel, DESKS[:10])

    postponed = [end for end in all_ends if isinstance(end, TryLater)]
    assert len(peer.taken) == 10 - len(postponed) == 2
    assert {(end.outcome, end.unknown, end.counts, end.scope) for end in postponed} == {
        ("throttled", False, False, "route")
    }


async def test_a_slow_answer_is_waited_for() -> None:
    """F03: the time after the dot is its own, far longer than that for a command."""
    hold = asyncio.Event()
    async with MailPeer(hold=hold) as peer, to(peer, timeout=0.05) as channel:
        sending = asyncio.create_task(channel.send(message(), DESK))
        await peer.has_read(1)
        done, _ = await asyncio.wait([sending], timeout=0.2)
        hold.set()

        assert not done
        assert (await sending).reply == "250 2.0.0 taken"


@pytest.mark.parametrize("extensions", [PIPELINING, ("SMTPUTF8",)])
async def test_a_goodbye_to_an_idle_connection_is_not_heard(extensions: Sequence[str]) -> None:
    """F05: 421 and an end while nothing is asked: the next message makes another connection, and nobody hears of it."""
    async with MailPeer(extensions=extensions) as peer, to(peer) as channel:
        await channel.send(message(), DESK)
        peer.dismiss()
        await channel.send(message(), DESK)

        assert (len(peer.taken), peer.connections) == (2, 2)


@pytest.mark.parametrize("dripped", [b"250-and more\r\n", b"2"])
async def test_a_reply_that_never_ends_is_bounded(dripped: bytes) -> None:
    """F17: line after line, or byte after byte: what does not become a reply in the time for one is none."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 peer.example ready\r\n")
        await reader.readline()
        writer.write(b"250 peer.example\r\n")
        while True:
            writer.write(dripped)
            await asyncio.sleep(0.005)

    async with Peer(drip) as peer:
        channel = EmailChannel(Relay(host="127.0.0.1", port=peer.port, tls="none", sender=SENDER, timeout=0.1))
        async with asyncio.timeout(4):
            with pytest.raises(TryLater) as caught:
                await channel.send(message(), DESK)
        await channel.close()

    assert (caught.value.outcome, caught.value.unknown) == ("cut-off", False)


def moods(chance: random.Random) -> dict[str, list[str]]:
    """A server that is mostly well."""
    bad = {
        "MAIL": ["451 4.3.0 not now", "550 5.7.1 not you", HANG_UP],
        "RCPT": ["550 5.1.1 nobody", "450 4.2.0 not now", HANG_UP],
        "DATA": ["451 4.3.0 not now", HANG_UP_AFTER_354, HANG_UP],
        ".": ["554 5.6.0 no", "451 4.3.0 not now", HANG_UP],
    }
    if chance.random() < 0.3:
        bad["."].append("421 4.3.2 bye")
    usual = {"DATA": "354 go on"}
    return {
        verb: [chance.choice(ways) if chance.random() < 0.08 else usual.get(verb, "250 2.0.0 ok") for _ in range(200)]
        for verb, ways in bad.items()
    }


@pytest.mark.parametrize("extensions", [PIPELINING, ("SMTPUTF8",)])
@pytest.mark.parametrize("seed", range(12))
async def test_what_is_told_of_a_message_is_true(seed: int, extensions: Sequence[str]) -> None:
    """
    Whatever the server does, and whoever is cancelled when: told taken, it was taken once; told not, it was not; and in
    doubt, at most once.
    """
    chance = random.Random(seed)  # noqa: S311
    async with MailPeer(moods(chance), extensions=extensions) as peer, to(peer, timeout=2) as channel:
        tasks = [asyncio.create_task(channel.send(message(), address)) for address in DESKS]
        for number in sorted(chance.sample(range(len(DESKS)), 12)):
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            tasks[number].cancel()
        async with asyncio.timeout(20):
            all_ends = await asyncio.gather(*tasks, return_exceptions=True)

    taken = Counter(recipient for recipient, _ in peer.taken)
    for address, end in zip(DESKS, all_ends, strict=True):
        if isinstance(end, Receipt):
            assert taken[address] == 1
        elif isinstance(end, TryLater) and end.unknown:
            assert taken[address] <= 1
        else:
            assert isinstance(end, TryLater | Refused | asyncio.CancelledError)
            assert taken[address] == 0, end
    assert taken.keys() <= set(DESKS)


# ---------------------------------------------------------------- addresses


async def test_a_domain_of_any_script_travels_as_ascii() -> None:
    """F24: IDNA (RFC 5891) in the envelope and in the header."""
    async with MailPeer() as peer, to(peer) as channel:
        await channel.send(message(), "desk@bücher.example")

        ((recipient, data),) = peer.taken
        assert recipient == "desk@xn--bcher-kva.example"
        assert b"\r\nTo: desk@xn--bcher-kva.example\r\n" in data


async def test_a_mailbox_of_any_script_needs_a_server_that_takes_it() -> None:
    """F23: without SMTPUTF8 it is refused before anything is sent, and the next recipient is served."""
    async with MailPeer(extensions=["8BITMIME"]) as peer, to(peer) as channel:
        with pytest.raises(Refused) as caught:
            await channel.send(message(), "büro@bank.example")
        await channel.send(message(), DESK)

        assert caught.value.outcome == "needs-smtputf8"
        assert [recipient for recipient, _ in peer.taken] == [DESK]
        assert sum(line.startswith("MAIL") for line in peer.said) == 1


async def test_a_mailbox_of_any_script_is_served_where_the_server_can() -> None:
    """With SMTPUTF8 (RFC 6531) the address travels as it is."""
    async with MailPeer() as peer, to(peer) as channel:
        await channel.send(message(), "büro@bank.example")

        ((recipient, data),) = peer.taken
        assert recipient == "büro@bank.example"
        assert "\r\nTo: büro@bank.example\r\n".encode() in data
        assert "MAIL FROM:<alerts@house.example> SMTPUTF8" in peer.said


@pytest.mark.parametrize(
    "address", ["desk@bank.example\r\nRCPT TO:<x@y.example>", "<desk@bank.example>", "a@b.example, c@d.example", "desk"]
)
async def test_a_wrong_address_never_reaches_the_server(address: str) -> None:
    """Should one have slipped into a file, nothing is sent and nothing injected."""
    async with MailPeer() as peer, to(peer) as channel:
        with pytest.raises(Refused):
            await channel.send(message(), address)

        assert peer.said == []


def test_masking_keeps_the_first_letter_and_the_domain() -> None:
    """Enough to recognise it by."""
    channel = EmailChannel(Relay(host="localhost", tls="none", sender=SENDER))

    assert channel.masked(DESK) == "d…@bank.example"


# ---------------------------------------------------------------- whom a bounce goes to, and signatures


async def test_a_bounce_comes_back_to_an_address_that_names_the_message() -> None:
    """The envelope's sender bears the message's token (VERP); the mail itself says who writes, as ever."""
    async with MailPeer() as peer, to(peer, bounces="bounces@house.example") as channel:
        await channel.send(msgspec.structs.replace(message(), bounce="k7Zq_-1"), DESK)
        await channel.send(message(), DESK)

        assert [line for line in peer.said if line.startswith("MAIL")] == [
            "MAIL FROM:<bounces+k7Zq_-1@house.example>",
            "MAIL FROM:<alerts@house.example>",
        ]
        assert all(b"From: Policy alerts <alerts@house.example>\r\n" in data for _, data in peer.taken)


async def test_without_an_address_for_bounces_the_token_stays_at_home() -> None:
    """They come back to the sender then, as he is."""
    async with MailPeer() as peer, to(peer) as channel:
        await channel.send(msgspec.structs.replace(message(), bounce="k7Zq_-1"), DESK)

        assert "MAIL FROM:<alerts@house.example>" in peer.said


async def test_a_token_that_is_no_part_of_an_address_is_a_bug() -> None:
    """Nothing is sent with it."""
    async with MailPeer() as peer, to(peer, bounces="bounces@house.example") as channel:
        with pytest.raises(ValueError, match="token"):
            await channel.send(msgspec.structs.replace(message(), bounce="a> SIZE=1"), DESK)

        assert peer.said == []


@pytest.mark.parametrize(
    "address", ["bounces", "Bounces <b@house.example>", "büro@house.example", "b" * 60 + "@x.example"]
)
def test_an_address_for_bounces_that_cannot_work_is_a_mistake_of_the_settings(address: str) -> None:
    """It is told with the place to mend, before anything is sent."""
    with pytest.raises(Misconfigured, match=r"notifier\.toml: \[bounces\]: address"):
        EmailChannel(Relay(host="localhost", tls="none", sender=SENDER), bounces=address)


async def test_a_signature_stands_before_what_it_signs() -> None:
    """The signer is given the whole mail as it goes out, and its lines stand in front."""
    signed: list[bytes] = []

    def sign(mail: bytes) -> bytes:
        signed.append(mail)
        return b"DKIM-Signature: v=1;\r\n b=abc\r\n"

    async with MailPeer() as peer:
        relay = Relay(host="127.0.0.1", port=peer.port, tls="none", sender=SENDER)
        channel = EmailChannel(relay, sign=sign)
        await channel.send(message(), DESK)
        await channel.close()

    ((_, data),) = peer.taken
    assert data == b"DKIM-Signature: v=1;\r\n b=abc\r\n" + signed[0]
    assert signed[0].startswith(b"From: ")


# ---------------------------------------------------------------- TLS and login


class Accounts:
    """An aiosmtpd server's mailboxes and its one account."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.logins = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert session.ssl is not None
        self.taken.append(envelope.original_content or b"")
        return "250 2.0.0 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, way: str, data: Any) -> AuthResult:
        self.logins += 1
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@contextlib.asynccontextmanager
async def secured(accounts: Accounts) -> AsyncIterator[int]:
    """A real SMTP server that asks for STARTTLS and a login; the port it listens on."""

    def session() -> SMTP:
        return SMTP(
            accounts,
            hostname="peer.example",
            require_starttls=True,
            auth_required=True,
            authenticator=accounts.authenticate,
            tls_context=server_tls(),
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def login(port: int, *, tls: Literal["starttls", "implicit"] = "starttls", password: str = PASSWORD) -> Relay:
    return Relay(host="localhost", port=port, tls=tls, sender=SENDER, username="alerts", password=password)


async def test_a_mail_goes_over_starttls_after_a_login() -> None:
    """Against a real server that refuses anything else."""
    accounts = Accounts()
    async with secured(accounts) as port:
        channel = EmailChannel(login(port), tls_context=trusting_tls())
        await channel.send(message(), DESK)
        await channel.send(message(), DESK)
        said = await channel.check()
        await channel.close()

    assert len(accounts.taken) == 2
    assert "logged in" in said


async def test_a_mail_goes_over_implicit_tls_after_a_login() -> None:
    """TLS from the first byte, as on port 465 (RFC 8314)."""
    peer = MailPeer({"AUTH": "235 2.7.0 welcome"}, extensions=["AUTH PLAIN"], tls=server_tls())
    async with peer:
        channel = EmailChannel(login(peer.port, tls="implicit"), tls_context=trusting_tls())
        await channel.send(message(), DESK)
        await channel.close()

    assert len(peer.taken) == 1
    assert [line[:10] for line in peer.said if line.startswith("AUTH")] == ["AUTH PLAIN"]


async def test_groups_of_commands_go_over_tls_too() -> None:
    """Sixty messages, as over a bare connection."""
    async with (
        MailPeer(extensions=PIPELINING, tls=server_tls()) as peer,
        to(peer, host="localhost", tls="implicit") as channel,
    ):
        assert all(isinstance(end, Receipt) for end in await ends(channel, DESKS))

        assert taken_by(peer) == sorted(DESKS)
        assert peer.crowded


async def test_a_large_mail_goes_over_tls() -> None:
    """More than a record of TLS holds, and than the network takes at once."""
    text = "Exports are curbed, at length.\n" * 2_500
    async with MailPeer(tls=server_tls()) as peer, to(peer, host="localhost", tls="implicit") as channel:
        await channel.send(message(text=text, html=""), DESK)

        ((_, data),) = peer.taken
        assert data.count(b"at length.") == 2_500


async def test_a_certificate_that_does_not_hold_gets_nothing_over_starttls() -> None:
    """Neither password nor mail goes to a server that cannot prove its name."""
    accounts = Accounts()
    async with secured(accounts) as port:
        channel = EmailChannel(login(port))
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)
        await channel.close()

    assert caught.value.outcome == "bad-certificate"
    assert (accounts.logins, accounts.taken) == (0, [])


async def test_a_certificate_that_does_not_hold_gets_nothing_over_implicit_tls() -> None:
    """Nor where TLS is there from the first byte."""
    async with MailPeer(tls=server_tls()) as peer:
        channel = EmailChannel(login(peer.port, tls="implicit"))
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)
        await channel.close()

    assert caught.value.outcome == "bad-certificate"
    assert peer.said == []


async def test_a_certificate_for_another_name_gets_nothing() -> None:
    """F14: a certificate that is trusted, but made out to `localhost`, does not do for its number."""
    async with MailPeer(tls=server_tls()) as peer:
        channel = EmailChannel(
            Relay(host="127.0.0.1", port=peer.port, tls="implicit", sender=SENDER), tls_context=trusting_tls()
        )
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)
        await channel.close()

    assert caught.value.outcome == "bad-certificate"
    assert peer.said == []


async def test_a_server_that_hides_starttls_gets_nothing() -> None:
    """F13: where TLS was asked for and is not offered, neither login nor mail goes in clear."""
    async with (
        MailPeer(extensions=["AUTH PLAIN LOGIN"]) as peer,
        to(peer, tls="starttls", username="alerts", password=PASSWORD) as channel,
    ):
        with pytest.raises(TryLater) as caught:
            await channel.send(message(), DESK)

        assert caught.value.outcome == "no-tls"
        assert not [line for line in peer.said if line[:4] in {"AUTH", "MAIL"}]


async def test_a_wrong_password_is_tried_once() -> None:
    """F11: ten alerts are postponed after one refused login; a server that counts would lock the account."""
    accounts = Accounts()
    async with secured(accounts) as port:
        channel = EmailChannel(login(port, password="wrong horse"), tls_context=trusting_tls())
        results = [await asyncio.gather(channel.send(message(), DESK), return_exceptions=True) for _ in range(10)]
        await channel.close()

    outcomes = {(type(error), getattr(error, "outcome", "")) for (error,) in results}
    assert outcomes == {(TryLater, "login-refused")}
    assert all("horse" not in str(error) for (error,) in results)
    assert accounts.logins <= 2  # PLAIN and LOGIN, once each


async def test_a_check_tries_a_mended_password_at_once() -> None:
    """The operator who has just mended it does not wait for the quarter of an hour."""
    accounts = Accounts()
    async with secured(accounts) as port:
        channel = EmailChannel(login(port, password="wrong horse"), tls_context=trusting_tls())
        with pytest.raises(TryLater):
            await channel.check()
        first = accounts.logins
        with pytest.raises(TryLater):
            await channel.check()
        await channel.close()

    assert accounts.logins == 2 * first


@pytest.mark.parametrize("sender", ["", "nobody", "Alerts <nobody>", "a@b.example, c@d.example"])
def test_a_sender_without_address_is_a_mistake_of_the_settings(sender: str) -> None:
    """It is told with the place to mend, before anything is sent."""
    with pytest.raises(Misconfigured, match=r"notifier\.toml: \[email\]"):
        EmailChannel(Relay(host="localhost", tls="none", sender=sender))


def test_a_password_does_not_travel_in_clear() -> None:
    """A login without TLS is for a server on this machine alone."""
    with pytest.raises(Misconfigured, match="in clear"):
        EmailChannel(Relay(host="mail.example", tls="none", sender=SENDER, username="a", password="b"))

    EmailChannel(Relay(host="127.0.0.1", tls="none", sender=SENDER, username="a", password="b"))


def test_the_settings_do_not_show_the_password() -> None:
    """Not even to whoever prints them."""
    assert PASSWORD not in repr(login(587)) + str(login(587))
