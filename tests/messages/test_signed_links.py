"""Does a link hold for whom it was made, for ever, and for nobody else?"""

from __future__ import annotations

import re
import uuid
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.messages.signed_links import LENGTH, Link, SignedLinks
from tests.work import calls

SECRET = "0123456789abcdef"
LINKS = SignedLinks("https://alerts.example.org/", SECRET)
TO = "desk@bank.example"
ALERT = "0173024a-4c60-8c44-91e7-0a9b8c7d6e5f"

# Written down once and never changed: what was sent years ago must still hold.
GOLDEN = (
    "https://alerts.example.org/unsubscribe/"
    "WyJ1bnN1YnNjcmliZSIsImRlc2siLCJlbWFpbCJd.8zrw7bBE44IOpBLIg6RYJgLrGY_Bftwbx-w3-aYdAko"
)
GOLDEN_BOUNCE = "afzqessmmcgejephbknyy7lol5qxboo2lbkaabn6xi"


def token(url: str) -> str:
    return url.rpartition("/")[2]


def test_links_outlive_upgrades():
    """The tokens of every earlier release are those of this one."""
    assert LINKS.unsubscribe("desk", "email", TO) == GOLDEN
    assert LINKS.holds(token(GOLDEN), TO)
    assert LINKS.bounce(ALERT, "email", TO) == GOLDEN_BOUNCE


def test_a_link_says_whom_it_is_for_and_never_where_he_is():
    """Subscriber and channel can be read before anything is checked; no part of the address can."""
    url = LINKS.confirm("desk", "email", TO)

    assert LINKS.read(token(url)) == Link("confirm", "desk", "email")
    assert url.startswith("https://alerts.example.org/confirm/")
    assert re.fullmatch(r"https://[!-~]+", url)
    assert "bank" not in url


@pytest.mark.parametrize(
    "other",
    [
        SignedLinks("https://alerts.example.org", "another secret of ours").unsubscribe("desk", "email", TO),
        LINKS.unsubscribe("desk", "email", "former@bank.example"),
        LINKS.unsubscribe("desk", "email", TO)[:-1],
        LINKS.unsubscribe("desk", "email", TO) + "A",
        LINKS.unsubscribe("desk", "email", TO).replace(".", ""),
        LINKS.unsubscribe("desk", "email", TO).partition(".e")[0],
    ],
    ids=["another secret", "an older address", "cut", "longer", "no dot", "no signature"],
)
def test_what_we_did_not_make_does_not_hold(other: str):
    """Neither a forged link nor one for an address that the channel no longer has."""
    assert not LINKS.holds(token(other), TO)


def test_a_signature_is_of_one_purpose_subscriber_and_channel():
    """None of them can be exchanged: a link to confirm is none to unsubscribe."""
    names = ("desk", "email", "des", "kemail")
    signed = [
        make(one, other, TO) for make in (LINKS.confirm, LINKS.unsubscribe) for one, other in product(names, names)
    ]
    tokens = [token(url).partition(".") for url in signed]

    crossed = [f"{said}.{mac}" for (said, _, _), (_, _, mac) in product(tokens, tokens)]

    assert sum(LINKS.holds(each, TO) for each in crossed) == len(tokens) == 32


@given(st.text())
def test_any_text_may_come_as_a_token(text: str):
    """It is read or it is not, and does not hold."""
    assert LINKS.read(text) is None or not LINKS.holds(text, TO)
    assert not LINKS.matches(text, ALERT, "email", TO)
    assert LINKS.alert_of(text) == ""


@pytest.mark.parametrize("text", ["x" * (LENGTH + 1), "Wzcse30sIHt9XQ.x", "W10.x", "é.x", "IiI.x"])
def test_what_says_nothing_is_not_read(text: str):
    """Too long, or of another shape."""
    assert LINKS.read(text) is None
    assert not LINKS.holds(text, TO)


def test_the_longest_names_have_a_link_that_is_read():
    """64 letters each, of any script, stay below the limit of a token."""
    url = LINKS.unsubscribe("d" * 64, "香" * 64, TO)

    assert LINKS.read(token(url)) == Link("unsubscribe", "d" * 64, "香" * 64)
    assert LINKS.holds(token(url), TO)


def test_a_secret_can_be_replaced():
    """What the old one signed still holds, links and bounces; new ones are signed by the new."""
    old, new = LINKS, SignedLinks("https://alerts.example.org", "fedcba9876543210", [SECRET])

    assert new.holds(token(old.unsubscribe("desk", "email", TO)), TO)
    assert new.matches(old.bounce(ALERT, "email", TO), ALERT, "email", TO)
    assert not old.holds(token(new.unsubscribe("desk", "email", TO)), TO)
    assert not old.matches(new.bounce(ALERT, "email", TO), ALERT, "email", TO)


@pytest.mark.parametrize("to", ["Desk@Bank.example", "desk@bank.example whsec_MDEyMzQ1Njc4OWFiY2RlZg=="])
def test_the_same_place_in_other_letters_keeps_its_links(to: str):
    """Capitals of an address and the keys of a webhook may change."""
    assert LINKS.holds(token(LINKS.unsubscribe("desk", "email", TO)), to)


# ---------------------------------------------------------------- bounces


def test_a_bounce_names_its_alert():
    """In letters that every mail system keeps, short enough for a local part (64 octets, RFC 5321, 4.5.3.1.1)."""
    made = LINKS.bounce(ALERT, "email", TO)

    assert re.fullmatch("[a-z0-9]+", made)
    assert len(f"bounce+{made}") == 49
    assert LINKS.alert_of(made) == ALERT
    assert LINKS.matches(made, ALERT, "email", TO)


def test_capitals_do_not_matter_in_a_bounce():
    """Mail systems fold them."""
    made = LINKS.bounce(ALERT, "email", TO).upper()

    assert LINKS.alert_of(made) == ALERT
    assert LINKS.matches(made, ALERT, "email", TO)


def test_a_bounce_is_of_one_alert_channel_and_address():
    """Whoever has one learns nothing of another."""
    made = LINKS.bounce(ALERT, "email", TO)
    other = str(uuid.UUID(int=uuid.UUID(ALERT).int + 1))

    assert not LINKS.matches(made, other, "email", TO)
    assert not LINKS.matches(made, ALERT, "mail", TO)
    assert not LINKS.matches(made, ALERT, "email", "former@bank.example")
    assert not LINKS.matches(LINKS.bounce(other, "email", TO)[:26] + made[26:], other, "email", TO)


def test_a_link_that_was_made_before_is_at_hand():
    """The next message for the same reader signs nothing: a thousand readers of a thousand alerts are no million."""
    LINKS.unsubscribe("desk", "email", TO)

    assert calls(lambda: LINKS.unsubscribe("desk", "email", TO)) <= 10
