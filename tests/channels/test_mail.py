"""A message as the bytes of a mail, read back by the standard library's parser."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail import Sender, composed, encoded
from notifier.message import Message, without_controls
from tests.channels.messages import HOSTILE, WRITTEN_AT, message

HOUSE = Sender("Policy alerts", "alerts@house.example")

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Post",
    "Feedback-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]


def written(of: Message, *, sender: Sender = HOUSE, to: str = "desk@bank.example") -> bytes:
    return composed(of, sender, to)


def parsed(data: bytes) -> EmailMessage:
    """The mail as a reader's program sees it."""
    mail = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert isinstance(mail, EmailMessage)
    return mail


def header_lines(data: bytes) -> list[str]:
    """The names of the header fields as they stand in the bytes, whatever a parser makes of them."""
    head = data.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(":")[0] for line in head.split("\r\n") if line[:1] not in {" ", "\t"}]


def unified(text: str) -> str:
    """The text with one kind of line end."""
    return re.sub("\r\n?", "\n", text)


def subject(data: bytes) -> str:
    """The subject in words, by the older decoder, which does not interpret what it has decoded."""
    raw = email.message_from_bytes(data, policy=email.policy.compat32)["Subject"]
    return str(make_header(decode_header(raw)))


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_mail_has_each_header_once() -> None:
    """The headers of RFC 5322, the list's name, and the word that stops answering machines."""
    data = written(message())

    mail = parsed(data)
    assert header_lines(data) == HEADERS
    assert mail["From"] == "Policy alerts <alerts@house.example>"
    assert mail["To"] == "desk@bank.example"
    assert mail["Message-ID"] == f"<{'c0ffee' * 5}@house.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<policy-alerts.house.example>"
    assert mail["List-Post"] == "NO"
    assert mail["Feedback-ID"] == "alert:policy-alerts"
    assert parsedate_to_datetime(mail["Date"]) == WRITTEN_AT


def test_a_mail_that_follows_another_is_a_reply_to_it() -> None:
    """It names the first one's Message-ID, so that a mail program shows it beneath; one that follows none does not."""
    first = message(id="f00d" * 8)
    reply = msgspec.structs.replace(message(), follows=first.id)

    mail = parsed(written(reply))

    assert mail["In-Reply-To"] == mail["References"] == parsed(written(first))["Message-ID"]
    assert not {"In-Reply-To", "References"} & {*parsed(written(first)).keys()}


@pytest.mark.parametrize("letter", ["a", "=", "香", "🚢"])
def test_a_mail_that_would_be_too_large_goes_without_its_html(letter: str) -> None:
    """A large page is left out, a large text is cut between lines and says so; others stay as they are."""
    line = f"{letter * 60}\n"

    heavy_page = written(message(text="The text.", html=line * 2_000))
    heavy_text = written(message(text=line * 2_000, html="<p></p>"))

    assert max(len(heavy_page), len(heavy_text)) < 90_000
    assert [part.get_content_type() for part in parsed(heavy_page).iter_parts()] == ["text/plain"]
    assert body(parsed(heavy_page), "plain").rstrip() == "The text."
    *lines, _, told = body(parsed(heavy_text), "plain").rstrip("\n").split("\n")
    assert set(lines) == {line.rstrip("\n")}
    assert told == "[The rest of this alert was too long for a mail.]"
    assert len(list(parsed(written(message(html=line * 100))).iter_parts())) == 2


def test_a_mail_says_the_same_in_text_and_html() -> None:
    """multipart/alternative, the plainer form first (RFC 2046, 5.1.4)."""
    mail = parsed(written(message(text="香港\n\n“dual-use” = 1\n", html="<p>香港</p>\n")))

    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert body(mail, "plain") == "香港\n\n“dual-use” = 1\n"
    assert body(mail, "html") == "<p>香港</p>\n"
    assert not mail.defects


def test_equal_messages_are_equal_bytes() -> None:
    """The boundary and the Message-ID follow from the message, the date from when it was written."""
    assert written(message()) == written(message())
    assert written(message()) != written(message(id="other"))


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_adds_no_header(title: str) -> None:
    """Whatever it holds, the subject is one header, and a parser finds the others as they were."""
    data = written(message(subject=title, text=title, html=title))

    assert header_lines(data) == HEADERS
    assert parsed(data).keys() == HEADERS
    assert subject(data).split() == without_controls(title[:200]).split()


def test_a_title_that_looks_encoded_is_shown_as_written() -> None:
    """The trap that the standard library's own policy falls into: this became a Bcc line there."""
    title = "=?utf-8?q?a=0d=0aBcc:_e@z.example?="

    data = written(message(subject=title))

    assert b"Bcc" not in data
    assert subject(data) == title


@given(st.text(max_size=120))
def test_any_subject_survives(title: str) -> None:
    """Folded and encoded as it may be, it reads as it was, on one line, and every line is short."""
    title = title.replace("\ud800", "")

    data = written(message(subject=title))

    assert header_lines(data) == HEADERS
    assert subject(data).split() == without_controls(title).split()
    assert max(map(len, data.split(b"\r\n"))) <= 200


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_text_survives(text: str) -> None:
    """Both parts come back letter for letter, at most line ends apart, and the bytes are 7-bit with short lines."""
    data = written(message(text=text, html=text))

    mail = parsed(data)
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        raw = part.get_payload(decode=True)
        assert isinstance(raw, bytes)
        assert unified(raw.decode()).rstrip("\n") == unified(text).rstrip("\n")
    assert data.isascii()
    assert max(map(len, data.split(b"\r\n"))) <= 200


def test_lines_end_with_crlf_and_nothing_else() -> None:
    """A bare line feed is refused by strict servers, and is how mail is smuggled past others."""
    data = written(message(text="one\ntwo\r\nthree\r\n.\r\n", html="<p>\n</p>"))

    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")


@pytest.mark.parametrize("word", ["curbs", "香港"])
def test_a_bare_line_end_ends_a_line(word: str) -> None:
    """Quoted-printable lets a bare CR through, and where it stands mails are cut in two: it becomes a line's end."""
    data = written(message(text=f"{word}\r{word}\r\r\n{word}", html="<p>\r</p>"))

    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert body(parsed(data), "plain").rstrip() == f"{word}\n{word}\n\n{word}"


@pytest.mark.parametrize("word", ["curbs", "香港"])
def test_text_has_the_line_ends_of_mail(word: str) -> None:
    """CRLF once unpacked, however the text came and however it is packed."""
    mail = parsed(written(message(text=f"{word}\r\n{word}\n{word}\n")))

    part = mail.get_body(("plain",))
    assert part is not None
    unpacked = part.get_payload(decode=True)
    assert isinstance(unpacked, bytes)
    assert unpacked.decode().rstrip("\r\n") == f"{word}\r\n{word}\r\n{word}"


def test_latin_text_stays_readable_in_the_source() -> None:
    """English is quoted-printable; Chinese is base64, at less than half of what quoting would cost."""
    english, chinese = written(message(text="Curbs on exports, “suspended”.\n")), written(message(text="香港" * 200))

    assert b"Curbs on exports" in english
    assert len(chinese) < 4000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Policy alerts", "Policy alerts <alerts@house.example>"),
        ("Policy, alerts", '"Policy, alerts" <alerts@house.example>'),
        ('The "desk" (UK)', '"The \\"desk\\" (UK)" <alerts@house.example>'),
        ("", "alerts@house.example"),
    ],
)
def test_a_sender_stays_one_address(name: str, shown: str) -> None:
    """A comma in the name makes no second sender."""
    mail = parsed(written(message(), sender=Sender(name, "alerts@house.example")))

    assert mail["From"] == shown
    assert [address.addr_spec for address in mail["From"].addresses] == ["alerts@house.example"]


def test_a_sender_may_be_of_any_script() -> None:
    """The name is encoded, the address is not."""
    mail = parsed(written(message(), sender=Sender("政策通知, Ä", "alerts@house.example")))

    (address,) = mail["From"].addresses
    assert (address.display_name, address.addr_spec) == ("政策通知, Ä", "alerts@house.example")


def test_a_recipient_with_a_line_break_is_a_bug() -> None:
    """Addresses are checked long before; should one come through, no mail is written."""
    with pytest.raises(ValueError, match="line break"):
        written(message(), to="a@b.example\r\nBcc: x@y.example")


def test_the_date_is_told_in_utc() -> None:
    """RFC 5322, 3.3, with the zone of zero."""
    of = Message(id="x", parts=message().parts, written_at=datetime(2026, 11, 4, 7, 5, 9, tzinfo=UTC))

    assert b"\r\nDate: Wed, 04 Nov 2026 07:05:09 +0000\r\n" in written(of)


def test_a_long_plain_subject_is_folded_between_words() -> None:
    """No line over 76, and nothing encoded that need not be."""
    folded = encoded("Commerce Department suspends preferential treatment for goods " * 2, "Subject")

    assert "=?" not in folded
    assert max(len(line) for line in folded.split("\r\n")) <= 76
