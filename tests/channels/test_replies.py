"""What a mail server's reply means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail.replies import FOR_GOOD, FOR_NOW, Reply, ReplyLine, Stage, asked_to_wait, judged
from notifier.errors import Refused, Scope, TryLater

ADDRESS = "desk@bank.example"

# Words that some line of the tables looks for.
REMARKS = [
    "relay access denied",
    "no such user",
    "mailbox full",
    "blocked by spamhaus",
    "virus",
    "too many messages for this domain",
    "greylisted",
    "try again in 120 seconds",
    "try again later",
]


def reply(line: str) -> Reply:
    return Reply(int(line[:3]), line[4:])


@pytest.mark.parametrize(
    ("stage", "line", "outcome", "after"),
    [
        ("RCPT", "450 4.7.1 Greylisted", "greylisted", 300),
        ("RCPT", "451 4.7.1 Greylisted for 10 minutes", "greylisted", 610),
        ("RCPT", "451 try again in 120 seconds", "greylisted", 130),
        ("RCPT", "450 4.2.0 please try again later", "greylisted", 300),
        ("RCPT", "451 try again in 3 seconds", "greylisted", 6),
        ("RCPT", "450 please wait for 5 minutes", "greylisted", 310),
        ("DATA", "451 4.7.1 come again", "greylisted", 300),
        ("RCPT", "452 4.2.2 mailbox full", "mailbox-full", None),
        ("RCPT", "452 mailbox full", "mailbox-full", None),
        ("RCPT", "450 4.2.2 mailbox full, try again in 60 seconds", "mailbox-full", None),
        ("RCPT", "552 5.2.2 over quota", "mailbox-full", None),
        ("RCPT", "552 too much", "mailbox-full", None),
        ("RCPT", "550 Mailbox full", "mailbox-full", None),
        ("RCPT", "550 5.2.1 mailbox disabled", "mailbox-full", None),
        ("RCPT", "550 4.2.2 over quota", "mailbox-full", None),
        ("RCPT", "451 4.3.0 internal error", "try-later", None),
        ("message", "451 4.3.2 system not accepting messages", "try-later", None),
        ("message", "451 4.3.0 try again in 20 minutes", "try-later", 1200),
        ("RCPT", "503 5.5.1 need MAIL first", "confused", None),
        ("RCPT", "250 ok", "confused", None),
    ],
)
def test_replies_to_come_again(stage: Stage, line: str, outcome: str, after: float | None) -> None:
    """What may pass ends no delivery, is an attempt, and waits as long as was asked for, or by the outcome's ladder."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.after, error.unknown, error.counts) == (outcome, after, False, True)


@pytest.mark.parametrize(
    ("stage", "line", "scope", "after"),
    [
        ("MAIL", "421 4.7.0 too many connections", "route", None),
        ("RCPT", "421 4.3.2 shutting down", "route", None),
        ("RCPT", "421 4.7.0 too many messages for this domain, wait for 2 minutes", "place", 120),
        ("DATA", "454 4.7.0 Throttling failure: maximum sending rate exceeded", "route", None),
        ("RCPT", "454 4.4.0 the destination is overloaded", "place", None),
        ("message", "454 Throttling failure: Daily message quota exceeded", "route", None),
        ("RCPT", "450 4.2.1 is receiving mail at a rate that prevents additional messages", "address", None),
        ("RCPT", "451 4.7.650 temporarily rate limited due to IP reputation", "place", None),
        ("MAIL", "451 4.7.500 Server busy", "route", None),
        ("RCPT", "450 4.7.1 too many messages, try again later", "place", None),
        ("MAIL", "452 4.5.3 over the limit", "route", None),
        ("RCPT", "452 4.5.3 over the limit", "place", None),
    ],
)
def test_who_asks_us_to_be_slower_costs_no_attempt(stage: Stage, line: str, scope: Scope, after: float | None) -> None:
    """It is told whom else it concerns: our server's mails, those to a domain, or those to one mailbox."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.scope, error.after, error.counts) == ("throttled", scope, after, False)


@pytest.mark.parametrize(
    ("stage", "line", "scope"),
    [
        ("MAIL", "550 5.7.26 unauthenticated mail is not accepted", "route"),
        ("MAIL", "530 5.7.0 must issue a STARTTLS command first", "route"),
        ("MAIL", "550 no such sender", "route"),
        ("RCPT", "530 5.7.0 TLS is needed", "route"),
        ("RCPT", "535 5.7.8 authentication failed", "route"),
        ("RCPT", "553 5.1.7 bad address of the sender", "route"),
        ("RCPT", "530 5.7.1 authentication required", "route"),
        ("RCPT", "554 5.7.1 <desk@bank.example>: Relay access denied", "route"),
        ("RCPT", "454 4.7.1 <desk@bank.example>: Relay access denied", "route"),
        ("RCPT", "550 relay not permitted", "route"),
        ("RCPT", "553 5.1.8 Sender address rejected: Domain not found", "route"),
        ("RCPT", "450 4.7.25 Client host rejected: cannot find your hostname", "route"),
        ("DATA", "554 5.7.1 access denied", "route"),
        ("RCPT", "550 5.7.515 access denied, sending domain does not meet the required level", "place"),
        ("RCPT", "554 5.7.1 Service unavailable; client blocked using zen.spamhaus.org", "place"),
        ("RCPT", "550 rejected because 192.0.2.1 is in a black list", "place"),
        ("RCPT", "554 5.7.9 message not accepted for policy reasons", "place"),
        ("message", "550 5.7.26 unauthenticated mail is not accepted", "place"),
        ("message", "554 5.7.1 blocked by policy", "place"),
        ("RCPT", "550 5.7.133 sender not authenticated for group", "address"),
    ],
)
def test_who_refuses_us_loses_nothing(stage: Stage, line: str, scope: Scope) -> None:
    """The operator can mend it: a quarter of an hour, then one more look, for our server, a domain or a mailbox."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.scope, error.after, error.counts) == ("policy", scope, 900, True)


@pytest.mark.parametrize(
    ("stage", "line", "scope"),
    [
        ("MAIL", "451 4.3.0 queue file write error", "route"),
        ("DATA", "452 4.3.1 insufficient system storage", "route"),
        ("RCPT", "450 4.1.2 domain not found", "place"),
        ("RCPT", "451 4.4.1 no answer from host", "place"),
        ("RCPT", "451 4.3.0 temporary lookup failure", "message"),
        ("message", "451 4.5.0 error while scanning", "message"),
        ("RCPT", "450 4.2.0 greylisted", "message"),
        ("RCPT", "452 4.2.2 mailbox full", "address"),
    ],
)
def test_one_recipient_holds_up_no_others(stage: Stage, line: str, scope: Scope) -> None:
    """What is said after a recipient was named is about him or his domain; what is said of all comes before (P5)."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, TryLater)
    assert error.scope == scope


@pytest.mark.parametrize(
    ("stage", "line", "outcome"),
    [
        ("RCPT", "550 5.1.1 user unknown", "no-such-address"),
        ("RCPT", "550 5.1.6 mailbox has moved", "no-such-address"),
        ("RCPT", "550 5.1.10 null MX", "no-such-address"),
        ("RCPT", "556 domain does not accept mail", "no-such-address"),
        ("message", "550 5.1.1 user unknown", "no-such-address"),
        ("RCPT", "550 5.1.2 bad destination system", "mailbox-refused"),
        ("RCPT", "501 5.1.3 bad address syntax", "mailbox-refused"),
        ("RCPT", "550 mailbox unavailable", "mailbox-refused"),
        ("RCPT", "551 user not local", "mailbox-refused"),
        ("RCPT", "553 no such user here", "mailbox-refused"),
        ("RCPT", "550 5.4.1 Recipient address rejected: Access denied", "mailbox-refused"),
        ("RCPT", "554 5.7.1 unknown user", "mailbox-refused"),
        ("RCPT", "553 5.6.7 address needs SMTPUTF8", "needs-smtputf8"),
        ("MAIL", "552 5.3.4 message too big", "too-large"),
        ("message", "552 too much mail data", "too-large"),
        ("message", "554 5.6.0 message content rejected", "content-refused"),
        ("DATA", "554 5.6.1 media are not supported", "content-refused"),
        ("message", "554 5.7.1 a virus was found", "content-refused"),
        ("message", "554 transaction failed", "content-refused"),
        ("RCPT", "501 5.5.4 syntax error", "refused"),
    ],
)
def test_replies_that_are_final(stage: Stage, line: str, outcome: str) -> None:
    """What is the recipient's or the message's own fault will not be better tomorrow."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, Refused)
    assert error.outcome == outcome


CODES = [*range(400, 600), 250, 354, 199, 999]
STATUSES = ["", *(f"{family}.{subject}.{detail}" for family in (4, 5) for subject in range(8) for detail in range(12))]
STATUSES += ["5.7.26", "5.7.515", "5.7.133", "4.7.650", "2.0.0"]
FINAL = {"no-such-address", "mailbox-refused", "needs-smtputf8", "too-large", "content-refused", "refused"}
PASSING = {"mailbox-full", "greylisted", "throttled", "policy", "try-later", "confused"}


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_reply_has_one_class(stage: Stage) -> None:
    """Each code, with each enhanced code, at each stage: for good only where both say so, and never both ways."""
    for code in CODES:
        for status in STATUSES:
            error = judged(Reply(code, f"{status} no".strip()), stage, ADDRESS)
            if isinstance(error, Refused):
                assert (code // 100, status[:1] in {"", "5", "2"}, error.outcome in FINAL) == (5, True, True)
            else:
                assert error.outcome in PASSING
                assert error.counts == (error.outcome != "throttled")
                assert (error.after == 900) == (error.outcome == "policy")


@given(st.sampled_from(CODES), st.text(max_size=200), st.sampled_from(get_args(Stage)))
def test_no_words_bring_it_down(code: int, text: str, stage: Stage) -> None:
    """A server may say anything."""
    error = judged(Reply(code, text), stage, ADDRESS)

    assert (error.outcome in FINAL) == isinstance(error, Refused)
    assert ADDRESS not in str(error)


@pytest.mark.parametrize("table", [FOR_NOW, FOR_GOOD], ids=["for now", "for good"])
def test_no_line_of_the_tables_is_dead(table: Sequence[ReplyLine]) -> None:
    """Each line decides some reply that the lines above it leave."""
    words = "no", *REMARKS
    family = 4 if table is FOR_NOW else 5
    replies = [
        Reply(code, f"{status} {said}".strip())
        for code in (family * 100 + rest for rest in (0, 3, 21, 30, 50, 51, 52, 53, 54, 56))
        for status in STATUSES
        if status[:1] in {"", str(family)}
        for said in words
    ]

    decide = {
        next(number for number, line in enumerate(table) if line.fits(each, stage))
        for each in replies
        for stage in get_args(Stage)
    }

    assert decide == set(range(len(table)))


@pytest.mark.parametrize(
    "text",
    [
        "5.1.1 <desk@bank.example>: Recipient address rejected",
        "5.1.1 desk@bank.example unknown; see desk for help, Desk@Bank.Example",
        "<alerts@house.example> may not write to <desk@bank.example>",
        "5.1.1 mailto:desk@bank.example",
    ],
)
def test_no_address_is_left_in_what_is_shown(text: str) -> None:
    """Servers repeat addresses in their replies; the log must not."""
    shown = Reply(550, text).shown(ADDRESS)

    assert "@" not in shown
    assert "desk" not in shown.lower()


def test_what_is_shown_is_short_and_plain() -> None:
    """A reply may be a page long, and may try to paint the terminal."""
    shown = Reply(550, "\x1b[31m5.7.1 no\r\n " + "x" * 5000).shown()

    assert len(shown) < 200
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("5.1.1 user unknown", "5.1.1"),
        ("5.1.10", "5.1.10"),
        ("#5.1.0 Address rejected.", "5.1.0"),
        ("5.1.1: user unknown", "5.1.1"),
        ("4.7.1, come again", "4.7.1"),
        ("5.1.1.7 is on our list", ""),
        ("5.1.1x", ""),
        ("3.1.1 no", ""),
        ("user unknown (5.1.1)", ""),
        ("", ""),
    ],
)
def test_an_enhanced_code_stands_first(text: str, status: str) -> None:
    """With a sign before or behind it, as some servers have it; the address of a host that begins alike is none."""
    assert Reply(550, text).status == status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 120 seconds", 120),
        ("Greylisted for 5 minutes", 300),
        ("retry after 2h", 7200),
        ("come back in 30", 30),
        ("Greylisting in action, please come back in 00:04:59", 299),
        ("please wait 60 seconds", 60),
        ("try again in at least 5 min", 300),
        ("please wait", None),
        ("in 2 days", None),
        ("see http://help.example/in/5", None),
    ],
)
def test_waits_are_read_from_words(text: str, seconds: float | None) -> None:
    """Greylisting servers say in prose how long."""
    assert asked_to_wait(text) == seconds
