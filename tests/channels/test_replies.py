"""What a mail server's reply means."""

from __future__ import annotations

import pytest

from notifier.channels.replies import Reply, Stage, asked_to_wait, judged
from notifier.errors import Refused, TryLater

ADDRESS = "desk@bank.example"


def reply(line: str) -> Reply:
    return Reply(int(line[:3]), line[4:])


@pytest.mark.parametrize(
    ("stage", "line", "outcome", "after"),
    [
        ("RCPT", "450 4.7.1 Greylisted", "greylisted", 300),
        ("RCPT", "451 4.7.1 Greylisted for 10 minutes", "greylisted", 600),
        ("RCPT", "451 try again in 120 seconds", "greylisted", 120),
        ("RCPT", "450 4.2.0 please try again later", "greylisted", 300),
        ("MAIL", "421 4.7.0 too many connections", "throttled", None),
        ("DATA", "454 4.7.0 Throttling failure: maximum sending rate exceeded", "throttled", None),
        ("RCPT", "452 4.2.2 mailbox full", "mailbox-full", 1800),
        ("RCPT", "552 5.2.2 over quota", "mailbox-full", 1800),
        ("RCPT", "550 5.2.1 mailbox disabled", "mailbox-full", 1800),
        ("RCPT", "451 4.3.0 internal error", "try-later", None),
        ("message", "451 4.3.2 system not accepting messages", "try-later", None),
        ("MAIL", "550 5.7.26 unauthenticated mail is not accepted", "policy", 900),
        ("RCPT", "550 5.7.515 access denied", "policy", 900),
        ("RCPT", "554 5.7.1 relay access denied", "policy", 900),
        ("MAIL", "530 5.7.0 must issue a STARTTLS command first", "policy", 900),
        ("MAIL", "550 no such sender", "policy", 900),
        ("message", "554 5.7.1 blocked by policy", "policy", 900),
        ("RCPT", "250 ok", "confused", None),
    ],
)
def test_replies_to_come_again(stage: Stage, line: str, outcome: str, after: float | None) -> None:
    """What may pass, and what the operator can mend, ends no delivery."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, TryLater)
    assert (error.outcome, error.after, error.unknown) == (outcome, after, False)


@pytest.mark.parametrize(
    ("stage", "line", "outcome"),
    [
        ("RCPT", "550 5.1.1 user unknown", "no-such-address"),
        ("RCPT", "550 5.1.10 null MX", "no-such-address"),
        ("RCPT", "553 no such user here", "no-such-address"),
        ("message", "550 5.1.1 user unknown", "no-such-address"),
        ("MAIL", "552 5.3.4 message too big", "too-large"),
        ("message", "552 too much mail data", "too-large"),
        ("message", "554 5.6.0 message content rejected", "content-refused"),
        ("message", "554 transaction failed", "content-refused"),
        ("RCPT", "501 5.5.4 syntax error", "refused"),
    ],
)
def test_replies_that_are_final(stage: Stage, line: str, outcome: str) -> None:
    """What is the recipient's or the message's own fault will not be better tomorrow."""
    error = judged(reply(line), stage, ADDRESS)

    assert isinstance(error, Refused)
    assert error.outcome == outcome


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
    ("text", "seconds"),
    [
        ("try again in 120 seconds", 120),
        ("Greylisted for 5 minutes", 300),
        ("retry after 2h", 7200),
        ("come back in 30", 30),
        ("please wait", None),
        ("in 2 days", None),
        ("see http://help.example/in/5", None),
    ],
)
def test_waits_are_read_from_words(text: str, seconds: float | None) -> None:
    """Greylisting servers say in prose how long."""
    assert asked_to_wait(text) == seconds
