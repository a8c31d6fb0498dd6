"""Mail addresses: which of them can work, and that what travels is what was written down."""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path

import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier.channels.mail import channel as email_channel
from notifier.channels.mail.address import mailbox, masked
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from tests.channels.messages import message
from tests.channels.peers import MailPeer
from tests.examples import examples

RELAY = Relay(host="127.0.0.1", tls="none", sender="Policy alerts <alerts@house.example>")
LONG_DOMAIN = ".".join(["b" * 60] * 3) + ".example"


@pytest.mark.parametrize(
    ("address", "travels"),
    [
        ("desk@bank.example", "desk@bank.example"),
        ("Info@Bank.Example", "Info@bank.example"),
        ("desk+alerts/hk=1@bank.example", "desk+alerts/hk=1@bank.example"),
        ("o'brien@bank.example", "o'brien@bank.example"),
        ("desk@bücher.example", "desk@xn--bcher-kva.example"),
        ("desk@BÜCHER.example", "desk@xn--bcher-kva.example"),
        ("desk@XN--bcher-kva.example", "desk@xn--bcher-kva.example"),
        ("desk@straße.example", "desk@xn--strae-oqa.example"),
        ("desk@strasse.example", "desk@strasse.example"),
        ("desk@香港.example", "desk@xn--j6w193g.example"),
        ("büro@bank.example", "büro@bank.example"),
        ("用户@bank.example", "用户@bank.example"),
        ("a" * 64 + "@bank.example", "a" * 64 + "@bank.example"),
    ],
)
def test_an_address_travels_as_it_is_written(address: str, travels: str) -> None:
    """The name to the letter and in its case; the domain in ASCII by IDNA 2008, in which ß is no ss (RFC 5891)."""
    assert mailbox(address) == travels
    assert EmailChannel(RELAY).refusal(address) == ""


@pytest.mark.parametrize(
    ("address", "problem", "mend"),
    [
        ("desk", "it has no @", "name@domain"),
        ("", "it has no @", "name@domain"),
        ("Desk <desk@bank.example>", "display name", "name@domain"),
        ("<desk@bank.example>", "angle brackets", "name@domain"),
        ('"the desk"@bank.example', "quoted", "another address"),
        ('"desk"@bank.example', "quoted", "another address"),
        ("desk(Hong Kong)@bank.example", "comment", "name@domain"),
        (" desk@bank.example", "spaces", "name@domain"),
        ("desk@bank.example\r\nRCPT TO:<x@y.example>", "angle brackets", "name@domain"),
        ("desk@bank.example\r\nDATA", "spaces or control characters", "name@domain"),
        ("desk\0@bank.example", "control characters", "name@domain"),
        ("de\u200bsk@bank.example", "invisible characters", "anew"),
        ("desk@ba\u00adnk.example", "invisible characters", "anew"),
        ("desk\ufe0f@bank.example", "invisible characters", "anew"),
        ("desk\u202e@bank.example", "invisible characters", "anew"),
        ("a@b.example,c@d.example", "a list", "name@domain"),
        ("@a.example,@b.example:c@d.example", "a route", "name@domain"),
        ("a@b@c.example", "a route", "name@domain"),
        ("desk%inside.example@bank.example", "for a route", "another address"),
        ("inside!desk@bank.example", "for a route", "another address"),
        ("desk@bank.example.", "a dot", "leave the dot out"),
        ("desk.@bank.example", "a dot", "leave the dot out"),
        (".desk@bank.example", "a dot", "leave the dot out"),
        ("the..desk@bank.example", "a dot", "leave the dot out"),
        ("desk@bank..example", "a dot", "leave the dot out"),
        ("desk@[192.0.2.1]", "by number", "its domain"),
        ("desk@[IPv6:2001:db8::1]", "a route or a list", "name@domain"),
        ("desk@192.0.2.1", "by number", "its domain"),
        ("de\u0301sk@bank.example", "stand apart", "anew"),
        ("desk@bu\u0308cher.example", "stand apart", "anew"),
        ("\ufb01nance@bank.example", "stand for others", "plain ones"),
        ("ｄｅｓｋ@bank.example", "stand for others", "plain ones"),
        ("desk@ｂａｎｋ.example", "stand for others", "plain ones"),
        ("desk@bank。example", "stand for others", "plain ones"),
        ("desk@b\u0430nk.example", "several scripts", "anew"),
        ("\u0430dmin@bank.example", "several scripts", "anew"),
        ("desk@bank", "period", "name@domain"),
        ("desk@ba_nk.example", "invalid characters", "name@domain"),
        ("desk@-bank.example", "hyphen", "name@domain"),
        ("desk@💩.example", "is invalid", "name@domain"),
        ("desk@xn--bcher-kva8445foa.example", "not valid IDNA", "name@domain"),
        ("desk@bank.invalid", "reserved", "name@domain"),
        ("a" * 65 + "@bank.example", "over 64 bytes", "shorter"),
        ("é" * 33 + "@bank.example", "over 64 bytes", "shorter"),
        ("a" * 64 + "@" + LONG_DOMAIN, "too long", "name@domain"),
        ("a" * 64 + "@" + ".".join(["ü" * 50] * 4) + ".example", "too long", "name@domain"),
    ],
)
def test_what_would_become_another_address_is_refused(address: str, problem: str, mend: str) -> None:
    """With what is wrong and what would mend it; the address itself stays out of the words (P6)."""
    told = EmailChannel(RELAY).refusal(address).removeprefix("this is not a mail address: ")

    said, _, how = told.partition("; ")
    assert problem in said
    assert mend in how
    parts = [part for part in re.split(r"[@.]", address) if len(part) > 3 or not part.isascii()]
    assert not [part for part in parts if part in told]


LETTERS = (
    "abzABZ019.!#$%&'*+-/=?^_`{|}~@\"(),:;<>[]\\ "
    "\u00e9\u00fc\u00df\u0131\u0130\u1e9e\u03c3\u03c2\u0430\u4e00\u0301\u200b\u3002\ufb01\uff41"
)
NAMES = st.text(st.sampled_from(LETTERS), min_size=1, max_size=12)
DOMAINS = st.one_of(
    st.sampled_from(["bank.example", "Bank.Example", "bücher.example", "STRASSE.example", "straße.example"]),
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=12).map(lambda label: f"{label}.example"),
    st.text(max_size=6).map(lambda label: f"{label}.example"),
)
PLAIN = st.from_regex(r"[a-zA-Z0-9+_'-]{1,20}(\.[a-zA-Zäöü]{1,5})?@[a-zäöüß]{1,12}\.example", fullmatch=True)
ADDRESSES = st.one_of(PLAIN, st.builds("{}@{}".format, st.one_of(NAMES, st.text(min_size=1, max_size=8)), DOMAINS))


def accepted(address: str) -> bool:
    try:
        mailbox(address)
    except ValueError:
        return False
    return True


@given(st.lists(ADDRESSES, max_size=20))
@examples(40)
def test_nothing_is_rewritten_on_the_way(addresses: list[str]) -> None:
    """Of every address that is accepted, RCPT bears the very name, and the domain or its form in ASCII."""
    good = [address for address in addresses if accepted(address)]
    assume(good)

    async def sent() -> MailPeer:
        async with MailPeer() as peer:
            relay = Relay(host="127.0.0.1", port=peer.port, tls="none", sender=RELAY.sender)
            channel = EmailChannel(relay)
            for address in good:
                await channel.send(message(), address)
            await channel.close()
        return peer

    peer = asyncio.run(sent())

    travelled = [line for line in peer.said if line.startswith("RCPT")]
    assert len(travelled) == len(good) == len(peer.taken)
    for line, address, (_, data) in zip(travelled, good, peer.taken, strict=True):
        name, _, domain = address.rpartition("@")
        bare = f"{name}@{idna.encode(domain.lower()).decode()}"
        assert line == f"RCPT TO:<{bare}>"
        assert f"\r\nTo: {bare}\r\n".encode() in data


@given(ADDRESSES)
def test_what_is_accepted_stays_as_it_is(address: str) -> None:
    """Its form on the wire is an address too, the same one, within the limits of RFC 5321."""
    assume(accepted(address))
    bare = mailbox(address)

    assert mailbox(bare) == bare
    assert bare.rpartition("@")[0] == address.rpartition("@")[0]
    assert bare.rpartition("@")[2].isascii()
    assert len(bare.encode()) <= 254


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """What is no address is told so, whatever it is, in one printable line; masking never fails."""
    told = EmailChannel(RELAY).refusal(text)

    assert "\n" not in told
    assert told == "" or told.startswith("this is not a mail address: ")
    assert masked(text)


def test_the_mail_library_is_given_no_address() -> None:
    """It rewrites odd ones silently; it connects, secures and logs in, and the transaction is ours."""
    tree = ast.parse(Path(email_channel.__file__).read_text("utf-8"))

    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "connect" in asked
    assert not asked & {"sendmail", "send_message", "mail", "rcpt", "data", "vrfy", "expn", "execute_command", "send"}
