"""Are reports understood, whoever wrote them, and does no mail do any harm?"""

from __future__ import annotations

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail.bounce_reports import BYTES, HEAD, PARTS, RECIPIENTS, Outcome, Report, meaning, read_report
from tests.channels.returned import TO, VERP, complaint, exchange, gmail, postfix, qmail, vacation
from tests.work import ends

TOKEN = VERP.partition("+")[2].partition("@")[0]


def outcomes(mail: bytes) -> list[tuple[str, str]]:
    report = read_report(mail)
    return [(each.action, each.status) for each in report.outcomes] if report else []


# ---------------------------------------------------------------- the styles of mail systems


@pytest.mark.parametrize(
    ("mail", "status"),
    [(postfix(), "5.1.1"), (exchange(), "5.1.10"), (gmail(), "5.1.1")],
    ids=["Postfix", "Exchange", "Gmail"],
)
def test_a_failure_is_understood(mail: bytes, status: str):
    """The token by which it came back, what became of the mail, and at whom."""
    assert read_report(mail) == Report((TOKEN,), (Outcome("failed", status, TO),))


@pytest.mark.parametrize(
    "mail", [qmail(), vacation(), b"", b"Subject: hello\n\nhello"], ids=["qmail", "vacation", "empty", "a mail"]
)
def test_what_is_no_report_is_none(mail: bytes):
    """Words for people are not guessed at."""
    assert read_report(mail) is None


def test_a_complaint_is_understood():
    """By the envelope's sender that it names."""
    assert read_report(complaint()) == Report((TOKEN,), (), complaint=True)


@pytest.mark.parametrize("kind", ["not-spam", "virus", "other", ""])
def test_other_feedback_is_no_complaint(kind: str):
    """Least of all that a mail was taken out of the spam folder."""
    assert read_report(complaint(kind=kind)) is None


def test_a_delay_is_understood():
    """It is no failure."""
    assert outcomes(postfix(action="delayed", status="4.4.1")) == [("delayed", "4.4.1")]


@pytest.mark.parametrize("header", ["X-Original-To", "Delivered-To", "Envelope-To", "To", "DELIVERED-TO"])
def test_the_token_is_found_where_mail_systems_leave_it(header: str):
    """In whatever capitals."""
    mail = postfix("bounces@alerts.example.org").replace(
        b"Delivered-To:", f"{header}: {VERP.upper()}\nX-Loop:".encode()
    )

    report = read_report(mail)

    assert report is not None
    assert report.tokens == (TOKEN,)


def test_a_report_that_names_no_token_has_none():
    """It is a report all the same; nobody can say of what."""
    report = read_report(postfix("bounces@alerts.example.org"))

    assert report is not None
    assert report.tokens == ()


def test_each_recipient_has_an_outcome():
    """An address behind which there are several may fail at one of them."""
    block = b"Final-Recipient: rfc822; %s\nAction: %s\nStatus: %s\n\n"
    several = b"".join(
        block % each for each in [(b"a@x.example", b"failed", b"5.1.1"), (b"b@x.example", b"relayed", b"2.0.0")]
    )
    mail = postfix().replace(b"Final-Recipient", several + b"Final-Recipient", 1)

    assert outcomes(mail) == [("failed", "5.1.1"), ("relayed", "2.0.0"), ("failed", "5.1.1")]


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("base64", encodebytes),
        ("quoted-printable", lambda text: text.replace(b"5.1.1", b"5=2E1=2E1")),
        ("8bit", lambda text: text.replace(b"\n\n", b"\n \n")),
    ],
    ids=["base64", "quoted-printable", "8bit"],
)
def test_a_report_may_be_encoded(encoding: str, encode):
    """Although it must not be (RFC 3464, 2.1): some gateways do so."""
    head, kind, rest = postfix().partition(b"Content-Type: message/delivery-status\n\n")
    report, boundary, tail = rest.partition(b"\n--4XyZ")
    mail = head + kind[:-1] + f"Content-Transfer-Encoding: {encoding}\n\n".encode() + encode(report) + boundary + tail

    assert outcomes(mail) == [("failed", "5.1.1")]


def test_a_report_within_a_mail_is_found():
    """A gateway wrapped it; what a person forwards is a mail within a mail, and is not."""
    inner = postfix()
    wrapped = (
        b'Content-Type: multipart/mixed; boundary="w"\n\n--w\nContent-Type: text/plain\n\nx\n--w\n'
        + inner
        + b"\n--w--\n"
    )
    forwarded = wrapped.replace(b"--w\nReturn-Path", b"--w\nContent-Type: message/rfc822\n\nReturn-Path")

    assert outcomes(wrapped) == [("failed", "5.1.1")]
    assert read_report(forwarded) is None


@pytest.mark.parametrize(
    ("status", "diagnostic", "told"),
    [
        ("5.0.0", "smtp; 550 5.7.1 no", "5.7.1"),
        ("5.0.0", "smtp; 550 no, says 10.5.1.1", "5.0.0"),
        ("5.2.2", "smtp; 550 5.1.1 no", "5.2.2"),
        ("4.0.0", "smtp; 550 5.1.1 no", "4.0.0"),
        ("", "smtp; 550 5.1.1 no", "5.1.1"),
        ("5.1.1 (bad mailbox)", "", "5.1.1"),
        ("nonsense", "nonsense", ""),
    ],
)
def test_a_vague_status_is_made_exact(status: str, diagnostic: str, told: str):
    """By what the other server answered, where that is of the same kind; an IP address is no status."""
    assert outcomes(postfix(status=status, diagnostic=diagnostic)) == [("failed", told)]


@pytest.mark.parametrize(
    ("action", "status", "verdict"),
    [
        ("failed", "5.1.1", "gone"),
        ("failed", "5.1.2", "gone"),
        ("failed", "5.1.3", "gone"),
        ("failed", "5.1.6", "gone"),
        ("failed", "5.1.10", "gone"),
        ("failed", "5.4.1", "gone"),
        ("failed", "5.0.0", "gone"),
        ("failed", "5.5.0", "gone"),
        ("failed", "5.2.2", "full"),
        ("failed", "5.2.1", "full"),
        ("failed", "4.4.1", "full"),
        ("failed", "4.2.2", "full"),
        ("failed", "5.4.7", "full"),
        ("failed", "", "full"),
        ("failed", "5.7.26", "refused"),
        ("failed", "5.7.515", "refused"),
        ("failed", "5.3.4", "refused"),
        ("failed", "5.6.1", "refused"),
        ("failed", "5.1.8", "refused"),
        ("delayed", "4.4.1", "late"),
        ("delayed", "5.1.1", "late"),
        ("relayed", "2.0.0", "fine"),
        ("delivered", "2.1.5", "fine"),
        ("expanded", "2.0.0", "fine"),
        ("whatever", "5.1.1", "fine"),
    ],
)
def test_a_status_says_whose_fault_it_is(action: str, status: str, verdict: str):
    """A mailbox that is not there, one that is full, or what the mailbox cannot help: our name, or our message."""
    assert meaning(Outcome(action, status, ""))[0] == verdict


def test_no_address_is_shown():
    """Of a recipient, wherever an outcome is printed."""
    assert TO not in f"{read_report(postfix())!r}"


# ---------------------------------------------------------------- hostile mails

NESTED = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(20_000))


@pytest.mark.parametrize(
    "mail",
    [
        NESTED,
        b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\n\n" * 200_000,
        b"Content-Type: multipart/report; boundary=b\n\n" + (b"--b" + b" " * 1_000 + b"x\n") * 1_000,
        b"X: " + b"x" * BYTES,
        b"X: y\n" * 200_000,
        b"X:\n" + b" y\n" * 300_000,
        b"Content-Type: multipart/report; boundary=" + b'"' * 500_000,
        b"Content-Type: multipart/report; " + b"boundary=" * 100_000,
        b"Content-Type: multipart/report" + b"; boundary \t" * 50_000,
        b"To: " + b"+a@" * 300_000,
        postfix().replace(b"Action: failed", b"Action: failed\n\n" * 50_000),
        postfix().replace(b"5.1.1", b"5." * 400_000),
        postfix().replace(b"5.1.1", b"1" * 400_000),
        postfix().replace(b"rfc822;", b"rfc822;" * 100_000),
        postfix().replace(b"\n\nFinal", b"\n" + b" " * 500_000 + b"\nFinal"),
        postfix() + b"\x00\xff" * 400_000,
        b"\n" * BYTES,
        b"\r" * BYTES,
        b"--" * (BYTES // 2),
        postfix() * 500,
    ],
    ids=lambda mail: mail[:12].decode("latin-1") + str(len(mail)),
)
def test_no_mail_takes_long(mail: bytes):
    """A megabyte of anything is read, or not, in one pass; what looked back over it again and again would not end."""
    with ends():
        report = read_report(mail)

    assert report is None or (len(report.outcomes) <= RECIPIENTS and len(report.tokens) <= 10)


@given(st.binary(max_size=400), st.integers(0, len(postfix())), st.integers(0, 60))
def test_any_damage_is_borne(noise: bytes, place: int, length: int):
    """Whatever stands in place of a piece of a report, reading it raises nothing."""
    mail = postfix()

    report = read_report(mail[:place] + noise + mail[place + length :])

    assert report is None or len(report.outcomes) <= RECIPIENTS


@given(st.binary(max_size=2_000))
def test_any_bytes_are_borne(noise: bytes):
    """What is no mail at all is no report."""
    assert read_report(noise) is None


@pytest.mark.parametrize("charset", [b"nonsense", b"utf-7", b"\xff\xfe", b"idna", b"undefined", b"hex"])
def test_a_charset_is_of_no_account(charset: bytes):
    """Reports are ASCII, or UTF-8; what they claim to be makes no difference, and no codec is looked up."""
    mail = postfix().replace(b"message/delivery-status", b"message/delivery-status; charset=" + charset)

    assert outcomes(mail) == [("failed", "5.1.1")]


def test_a_report_counts_before_a_megabyte():
    """What stands behind is not looked at; a report cut short there holds as far as it goes."""
    mail = postfix()
    padded = mail.replace(b"I'm sorry", b"x" * BYTES + b"I'm sorry")
    followed = mail.replace(b"From: Alerts", b"X-Padding: " + b"x" * BYTES + b"\nFrom: Alerts")

    assert read_report(padded) is None
    assert outcomes(followed) == [("failed", "5.1.1")]


def test_a_report_behind_many_parts_is_not_looked_for():
    """So many are enough."""
    part = b"--4XyZ.1593464820/mx.alerts.example.org\nContent-Type: text/plain\n\nx\n"
    few, many = (postfix().replace(b"--4XyZ", part * count + b"--4XyZ", 1) for count in (PARTS - 2, PARTS))

    assert outcomes(few) == [("failed", "5.1.1")]
    assert read_report(many) is None


def test_a_long_head_is_read_as_far_as_it_may_be():
    """Fields behind that are not seen."""
    mail = postfix().replace(b"Return-Path: <>", b"Return-Path: <>\nX-Padding: " + b"x" * HEAD, 1)

    assert read_report(mail) is None
