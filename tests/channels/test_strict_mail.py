"""Our mails, read by a parser that forgives nothing; and the parser, which must not forgive what it is there for."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.composer import Sender, composed
from notifier.channels.mail.relay import Relay
from notifier.message import Message, without_controls
from tests.channels.messages import HOSTILE, message
from tests.channels.peers import MailPeer
from tests.channels.strict import Mail, Unlawful, read
from tests.channels.test_dkim import SIGNERS
from tests.examples import examples

HOUSE = Sender("Policy alerts", "alerts@house.example")
DESK = "desk@bank.example"

LETTERS = st.characters(exclude_categories=["Cs"])
WORDS = st.one_of(
    st.text(LETTERS, max_size=120),
    st.text("aä香🚢 =?_.,:;<>\"'()@\\-\u00a0\u202e", max_size=120),
    st.lists(
        st.sampled_from(["=?utf-8?q?a=0d=0aBcc:_e@z?=", "=?", "?=", "x" * 90, "香" * 40, "exports", ".", ""]),
        max_size=9,
    ).map(" ".join),
)
TEXTS = st.one_of(
    st.text(LETTERS, max_size=300),
    st.lists(
        st.sampled_from(
            [".", "..", ".QUIT", " ", "\t", "--", "--=_", "=", "=2E", "\r", "\r.\r\n", "香" * 30, "x" * 1200, ""]
        ),
        max_size=20,
    ).map("\n".join),
)


def mail(of: Message, *, sender: Sender = HOUSE, to: str = DESK) -> Mail:
    return read(composed(of, sender, to), utf8=not to.isascii())


def plain(text: str) -> list[str]:
    """A text as its lines, whatever ended them, without empty ones at the end."""
    return re.sub(r"\r\n?", "\n", text).rstrip("\n").split("\n")


# ---------------------------------------------------------------- our mails


@given(subject=WORDS, text=TEXTS, html=TEXTS, follows=st.sampled_from(["", "f00d" * 8]))
@examples(300)
def test_any_mail_is_lawful(subject: str, text: str, html: str, follows: str) -> None:
    """Whatever is in it: it is read strictly, and says what it was given to say."""
    of = msgspec.structs.replace(message(subject=subject, text=text, html=html), follows=follows)

    found = mail(of)

    assert found.headers["Subject"].split() == without_controls(subject[:200]).split()
    assert plain(found.texts["plain"]) == plain(text)
    if "html" in found.texts:
        assert plain(found.texts["html"]) == plain(html)
    assert ("In-Reply-To" in found.headers) == bool(follows)


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_mail_is_lawful(title: str) -> None:
    """F25: titles that were made to break a mail."""
    found = mail(message(subject=title, text=title, html=title))

    assert found.headers["Subject"].split() == without_controls(title[:200]).split()
    assert found.headers["To"] == DESK


@given(st.text(LETTERS, max_size=60).map(lambda name: " ".join(without_controls(name).split())))
@examples(300)
def test_any_sender_is_lawful(name: str) -> None:
    """One mailbox, whatever the name before it."""
    found = mail(message(), sender=Sender(name, HOUSE.address))

    assert found.headers["From"].endswith(HOUSE.address + (">" if name else ""))


@pytest.mark.parametrize(
    "to", [DESK, "o'brien+alerts/hk@xn--bcher-kva.example", "büro@bank.example", "a" * 64 + "@b.example"]
)
def test_any_recipient_is_lawful(to: str) -> None:
    """One bare address; beyond ASCII for servers that asked for it."""
    assert mail(message(), to=to).headers["To"] == to


@pytest.mark.parametrize("letter", ["a", "=", "香", "🚢", ".\n"])
def test_a_large_mail_is_lawful(letter: str) -> None:
    """Also where parts are left out or cut."""
    assert mail(message(text=letter * 120_000, html=letter * 120_000)).texts["plain"]


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_signed_mail_is_lawful(kind: str) -> None:
    """The signature is one header more."""
    data = composed(message(), HOUSE, DESK)

    assert "DKIM-Signature" in read(SIGNERS[kind](data) + data).headers


@given(st.lists(TEXTS, min_size=1, max_size=5))
@examples(30)
def test_what_travels_is_what_was_written(texts: list[str]) -> None:
    """Lines of dots and all: after its way over SMTP (RFC 5321, 4.5.2) each mail is lawful, and the mail it was."""

    async def sent() -> MailPeer:
        async with MailPeer() as peer:
            channel = EmailChannel(Relay(host="127.0.0.1", port=peer.port, tls="none", sender="alerts@house.example"))
            for text in texts:
                await channel.send(message(text=text, html=f"<p>{len(text)}</p>"), DESK)
            await channel.close()
        return peer

    arrived = [read(data) for _, data in asyncio.run(sent()).taken]

    assert [plain(found.texts["plain"]) for found in arrived] == [plain(text) for text in texts]


# ---------------------------------------------------------------- the parser

GOOD = composed(message(subject="Curbs — 香港", text="Words.\n", html="<p>香港</p>\n" * 9), HOUSE, DESK)
CLICK = b"List-Unsubscribe: <https://house.example/u/abc>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def begin(header: bytes) -> bytes:
    return header + GOOD


def other(name: bytes, value: bytes) -> bytes:
    """The good mail with another value of a header."""
    return re.sub(rb"(?m)^" + name + rb": [^\r]*(?:\r\n [^\r]*)*", lambda found: name + b": " + value, GOOD, count=1)


@pytest.mark.parametrize(
    "more", [b"", CLICK, b"List-Help: <https://house.example/>\r\n", b"List-Archive: <https://house.example/a?b=1>\r\n"]
)
def test_the_parser_takes_what_is_lawful(more: bytes) -> None:
    """A good mail, with headers that ours may have."""
    assert read(begin(more)).texts["plain"] == "Words."


BROKEN = {
    "a bare LF": GOOD.replace(b"\r\n", b"\n"),
    "one bare LF": GOOD.replace(b"Words.\r\n", b"Words.\n"),
    "a bare CR": GOOD.replace(b"Words.", b"Wor\rds."),
    "a NUL": GOOD.replace(b"Words.", b"Wor\0ds."),
    "no end": GOOD.removesuffix(b"\r\n"),
    "a long line": GOOD.replace(b"Words.", b"x" * 999),
    "a long quoted line": GOOD.replace(b"Words.", b"x" * 77),
    "an unknown header": begin(b"Bcc: x@y.example\r\n"),
    "a second Subject": begin(b"Subject: x\r\n"),
    "a second To": begin(b"To: x@y.example\r\n"),
    "no Date": other(b"Date", b"x").replace(b"Date: x\r\n", b""),
    "a blank before the colon": GOOD.replace(b"Subject:", b"Subject :"),
    "no blank behind the colon": GOOD.replace(b"To: ", b"To:"),
    "a fold of blanks": GOOD.replace(b"To: ", b"To: \r\n "),
    "a fold before all": b" x\r\n" + GOOD,
    "a fold within the list's address": begin(CLICK.replace(b"/u/", b"/\r\n u/")),
    "an encoded list's address": begin(CLICK.replace(b"<https://house.example/u/abc>", b"=?utf-8?q?=3Chttps=3A//x?=")),
    "a list's address in clear": begin(CLICK.replace(b"https", b"http")),
    "a list's address without brackets": begin(CLICK.replace(b"<", b"").replace(b">", b"")),
    "one click without its pair": begin(CLICK.partition(b"\r\n")[0] + b"\r\n"),
    "one click, nearly": begin(CLICK.replace(b"One-Click", b"one-click")),
    "two senders": other(b"From", b"Policy, alerts <alerts@house.example>"),
    "a name with a dot": other(b"From", b"A. Desk <alerts@house.example>"),
    "two recipients": other(b"To", b"a@b.example, c@d.example"),
    "a recipient beyond ASCII": other(b"To", "büro@bank.example".encode()),
    "an encoded recipient": other(b"To", b"desk@=?utf-8?q?b=C3=BCcher?=.example"),
    "an address that is encoded": other(b"From", b"=?utf-8?q?alerts=40house=2Eexample?="),
    "a subject in Latin 1": other(b"Subject", b"=?iso-8859-1?q?caf=E9?="),
    "a raw subject": other(b"Subject", "café".encode()),
    "half a letter": other(b"Subject", b"=?utf-8?q?=E9=A6?= =?utf-8?q?=99?="),
    "an encoded line break": other(b"Subject", b"=?utf-8?q?a=0D=0ABcc:_x?="),
    "an encoded word that is too long": other(b"Subject", b"=?utf-8?q?" + b"x" * 70 + b"?="),
    "an encoded word in a word": other(b"Subject", b"a=?utf-8?q?b?="),
    "a broken encoded word": other(b"Subject", b"=?utf-8?b?x?="),
    "a line of encoded words that is too long": other(b"Subject", b" ".join([b"=?utf-8?q?xxxxxxxxxxxxxxxx?="] * 4)),
    "no day": other(b"Date", b"29 Jun 2020 21:07:00 +0000"),
    "the wrong day": other(b"Date", b"Tue, 29 Jun 2020 21:07:00 +0000"),
    "a zone by name": other(b"Date", b"Mon, 29 Jun 2020 21:07:00 GMT"),
    "a date that is none": other(b"Date", b"Mon, 31 Jun 2020 21:07:00 +0000"),
    "a Message-ID without brackets": other(b"Message-ID", b"x@house.example"),
    "a list's long name": other(b"List-Id", b"<" + b"x" * 260 + b".example>"),
    "no boundary": other(b"Content-Type", b"multipart/alternative"),
    "another boundary": other(b"Content-Type", b'multipart/alternative; boundary="x"'),
    "a preamble": GOOD.replace(b"\r\n\r\n", b"\r\n\r\nx\r\n", 1),
    "an epilogue": GOOD + b"x\r\n",
    "HTML first": GOOD.replace(b"/plain", b"/x").replace(b"/html", b"/plain").replace(b"/x", b"/html"),
    "a part in Latin 1": GOOD.replace(b"charset=utf-8", b"charset=iso-8859-1", 1),
    "a part of eight bits": GOOD.replace(b"quoted-printable", b"8bit", 1),
    "badly quoted": GOOD.replace(b"Words.", b"Words=3d"),
    "quoted, and not UTF-8": GOOD.replace(b"Words.", b"caf=E9"),
    "a blank at the end of a line": GOOD.replace(b"Words.", b"Words. "),
    "bad base64": re.sub(rb"(?s)(base64\r\n\r\n.)", rb"\1!", GOOD),
    "a header in a part": GOOD.replace(b"--=_", b"x--=_", 1),
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_the_parser_forgives_nothing(data: bytes) -> None:
    """Each departure from the standards that mail programs would mend, and many that smuggle."""
    assert data != GOOD
    with pytest.raises(Unlawful):
        read(data)
