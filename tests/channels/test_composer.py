"""A message as the bytes of a mail, read back by the standard library's parser."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail.composer import ALERTS, Composer, Sender, composed, encoded
from notifier.message import Message, without_controls
from tests.channels.messages import HOSTILE, WRITTEN_AT, message
from tests.work import calls

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


# ---------------------------------------------------------------- splicing

MARKS = ("@@name@@", "@@names@@", "\ue000\ue001")
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="@\ue000\ue001")
WORDS = st.one_of(
    st.text(LETTERS, max_size=120),
    st.text("香港殊待遇", max_size=120),
    st.sampled_from(
        [
            ".",
            "..",
            ".\n",
            " .",
            "=",
            "x" * 74,
            "x" * 75,
            "x" * 76,
            "." * 90,
            "\n",
            " ",
            "\t",
            "ü" * 25,
            *(title[:200] for title in HOSTILE),
        ]
    ),
).map(lambda text: re.sub("[@\ue000\ue001]", "", text))
# A form with marks, and what stands in place of each for two readers.
FORM = st.lists(st.one_of(WORDS, st.sampled_from(MARKS)), max_size=8).map("".join)
FILLS = st.fixed_dictionaries(dict.fromkeys(MARKS, WORDS))


def said(to: int, parts: Mapping[str, str], fills: Mapping[str, Mapping[str, str]]) -> Message:
    return Message(id=f"{to:032x}", parts=parts, written_at=WRITTEN_AT, fills=fills, follows="f00d" * 8)


def expected(of: Message, to: str) -> EmailMessage:
    """The same mail, as the standard library builds it; but for the subject, which it reads where it should write."""
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = "Policy alerts <alerts@house.example>"
    mail["To"] = to
    mail["Date"] = of.written_at
    mail["Message-ID"] = f"<{of.id}@house.example>"
    mail["In-Reply-To"] = mail["References"] = f"<{of.follows}@house.example>"
    mail["List-Id"] = "<policy-alerts.house.example>"
    mail["List-Post"] = "NO"
    mail["Feedback-ID"] = "alert:policy-alerts"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(unified(of.text("body.txt")), cte="base64")
    mail.add_alternative(unified(of.text("body.html")), subtype="html", cte="base64")
    return parsed(mail.as_bytes())


def content(mail: EmailMessage) -> list[tuple[str, str, str | None, str]]:
    """The parts as a reader's program sees them."""
    found = []
    for part in mail.iter_parts():
        raw = part.get_payload(decode=True)
        assert isinstance(raw, bytes)
        found.append(
            (part.get_content_type(), part.get_content_disposition() or "", part.get_content_charset(), lines_of(raw))
        )
    return found


def lines_of(raw: bytes) -> str:
    return unified(raw.decode()).rstrip("\n")


@given(WORDS, FORM, FORM, FILLS, FILLS)
def test_a_spliced_mail_is_the_mail_that_the_library_builds(
    title: str, text: str, html: str, first: dict[str, str], second: dict[str, str]
) -> None:
    """Headers and parts are the same to a reader, whatever the words and whatever is filled in."""
    parts = {"subject.txt": f"[@@name@@] {title}"[:150], "body.txt": text, "body.html": html}
    composer = Composer(HOUSE)
    for number, fills in enumerate((first, second)):
        of = said(number, parts, dict.fromkeys(parts, fills))
        to = f"desk{number}@bank.example"

        data = composer.composed(of, to)

        mail, oracle = parsed(data), expected(of, to)
        assert content(mail) == content(oracle)
        assert {name: mail[name] for name in oracle if name != "Content-Type"} == {
            name: oracle[name] for name in oracle if name != "Content-Type"
        }
        assert subject(data).split() == without_controls(of.text("subject.txt")[:200]).split()
        assert sorted(header_lines(data)) == sorted([*oracle.keys(), "Subject"])
        assert composed(of, HOUSE, to) == data


@given(FORM, FORM, FILLS)
def test_a_spliced_mail_keeps_to_the_rules_of_the_wire(text: str, html: str, fills: dict[str, str]) -> None:
    """Seven bits, CRLF, at most 76 columns, and no line begins with a dot, so that none has to be stuffed."""
    parts = {"subject.txt": "@@name@@", "body.txt": text, "body.html": html}

    data = composed(said(1, parts, dict.fromkeys(parts, fills)), HOUSE, "desk@bank.example")

    assert data.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", data)
    assert not re.search(rb"(?m)^\.", data)
    assert data.endswith(b"--\r\n")
    *_, text_lines, html_lines = re.split(rb"\r\n--=_.*\r\n", data)[:3]
    for lines in (text_lines, html_lines):
        assert max(map(len, lines.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76


@pytest.mark.parametrize("last", ["x", ".", "=", "ü", " "])
@pytest.mark.parametrize("fill", ["", ".", "..", ".QUIT", "x", "= ", "x" * 71, f"{'x' * 75}.", f"{'x' * 76}=", "香"])
def test_a_slot_may_stand_anywhere(last: str, fill: str) -> None:
    """At every column, behind and before whatever letter: the lines are short, and none begins with a dot."""
    composer = Composer(HOUSE)
    for column in range(68, 80):
        text = f"{'x' * column}{last}@@name@@.{'x' * column}\n@@name@@\n.\n@@name@@ more plain words to be quoted"
        of = said(1, {"subject.txt": "", "body.txt": text, "body.html": ""}, {"body.txt": {"@@name@@": fill}})

        data = composer.composed(of, "desk@bank.example")

        quoted = data.partition(b"quoted-printable\r\n\r\n")[2].partition(b"\r\n--=_")[0]
        assert max(map(len, quoted.split(b"\r\n"))) <= 76
        assert not re.search(rb"(?m)^\.", data)
        assert body(parsed(data), "plain").rstrip("\n") == text.replace("@@name@@", fill)


def test_what_is_said_to_all_is_encoded_once() -> None:
    """Whoever gets the same as others costs a third of the calls of one who gets a text of their own, or less."""
    text = "Curbs on “exports” are = suspended.\n" * 200
    parts = {"subject.txt": "Curbs", "body.txt": f"{text}@@name@@\n", "body.html": f"<p>{text}@@name@@</p>\n"}
    shared = [said(n, parts, {"body.txt": {"@@name@@": f"Desk {n}"}, "body.html": {}}) for n in range(400)]
    apart = [msgspec.structs.replace(of, parts=dict(of.parts)) for of in shared]

    assert 3 * calls(lambda: compose(shared)) < calls(lambda: compose(apart))


def compose(messages: list[Message]) -> None:
    composer = Composer(HOUSE)
    for of in messages:
        composer.composed(of, "desk@bank.example")


def test_marks_are_those_of_the_message() -> None:
    """Two messages may share their words and not their marks: what is no mark of one stands in it as it is."""
    parts = {"subject.txt": "Curbs", "body.txt": "For @@name@@\n", "body.html": "<p>@@name@@</p>\n"}
    composer = Composer(HOUSE)

    filled = composer.composed(said(1, parts, {"body.txt": {"@@name@@": "the desk"}}), "desk@bank.example")
    plain = composer.composed(said(2, parts, {}), "desk@bank.example")

    assert [body(parsed(filled), kind).strip() for kind in ("plain", "html")] == ["For the desk", "<p>@@name@@</p>"]
    assert body(parsed(plain), "plain").strip() == "For @@name@@"


def test_words_of_many_alerts_do_not_get_mixed_up() -> None:
    """More of them than are kept, over and over, some at the place in memory of others gone."""
    composer = Composer(HOUSE)
    for round in range(2):
        for number in range(2 * ALERTS):
            text = f"Alert {number} of round {round} for @@name@@\n"
            of = said(number, {"subject.txt": "", "body.txt": text, "body.html": ""}, {"body.txt": {"@@name@@": "you"}})

            mail = parsed(composer.composed(of, "desk@bank.example"))

            assert body(mail, "plain").strip() == f"Alert {number} of round {round} for you"


def test_a_mail_that_would_be_too_large_for_one_is_cut_for_him_alone() -> None:
    """His own words made it so; the others get the HTML."""
    parts = {"subject.txt": "Curbs", "body.txt": "For @@name@@\n", "body.html": "<p>@@name@@</p>\n"}
    composer = Composer(HOUSE)

    long, short = (
        composer.composed(said(1, parts, {form: {"@@name@@": name} for form in parts}), "desk@bank.example")
        for name in ("long " * 20_000, "short")
    )

    assert [part.get_content_type() for part in parsed(long).iter_parts()] == ["text/plain"]
    assert len(list(parsed(short).iter_parts())) == 2
    assert len(long) < 90_000


# ---------------------------------------------------------------- unsubscribing


def leaving(address: str) -> bytes:
    return written(msgspec.structs.replace(message(), unsubscribe=address))


@pytest.mark.parametrize("token", ["x", "abcDEF123-_.~" * 60, "a?b=c&d=%C3%BC#e"])
def test_one_click_stands_in_the_bytes_as_it_is(token: str) -> None:
    """Mail programs read the address between the brackets; encoded or folded it is none (RFC 8058)."""
    data = leaving(f"https://alerts.house.example/unsubscribe/{token}")

    line = f"List-Unsubscribe: <https://alerts.house.example/unsubscribe/{token}>"
    assert f"\r\n{line}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode() in data
    assert header_lines(data).count("List-Unsubscribe") == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://alerts.house.example/u",
        "mailto:leave@house.example",
        "https://",
        "https://alerts.house.example/u\r\nBcc: x@y.example",
        "https://alerts.house.example/u\n",
        "https://alerts.house.example/a b",
        "https://alerts.house.example/\0",
        "https://alerts.house.example/>,<https://evil.example/",
        "https://bücher.example/u",
        f"https://alerts.house.example/{'x' * 1000}",
    ],
)
def test_an_address_that_could_not_stand_there_is_a_bug(address: str) -> None:
    """No mail is written with it."""
    with pytest.raises(ValueError, match="unsubscribing"):
        leaving(address)


def test_without_an_address_there_is_no_one_click() -> None:
    """A promise that nobody keeps is worse than none."""
    assert b"Unsubscribe" not in written(message())
