"""Which feeds and issuers does a watchlist ask for?"""

from __future__ import annotations

import pytest

from tests.watchlists.builders import watchlist

FEEDS = [
    ((), True),
    (("us-bis-rules",), True),
    (("us-bis-*",), True),
    (("*",), True),
    (("*rules",), True),
    (("us-*-rules",), True),
    (("eu-*", "us-*"), True),
    (("us-bis",), False),
    (("bis-rules",), False),
    (("US-BIS-RULES",), False),
    (("us?bis?rules",), False),
    (("us.bis.rules",), False),
    (("[u]s-bis-rules",), False),
]


@pytest.mark.parametrize(("feeds", "covered"), FEEDS, ids=[" ".join(feeds) or "all" for feeds, _ in FEEDS])
def test_feeds_are_ids_with_stars(feeds: tuple[str, ...], covered: bool):
    """A star is any letters, all else stands for itself, and one that fits is enough."""
    assert watchlist("x", feeds=feeds).covers("us-bis-rules", "BIS") is covered


@pytest.mark.parametrize(
    ("issuers", "covered"),
    [((), True), (("norwegian government",), True), (("BIS", "Norwegian Government"), True), (("Norwegian*",), False)],
    ids=["all", "other-case", "second", "no-globs"],
)
def test_issuers_are_names_in_any_case(issuers: tuple[str, ...], covered: bool):
    """A name is the whole name."""
    assert watchlist("x", issuers=issuers).covers("no-regjeringen", "Norwegian Government") is covered


@pytest.mark.parametrize(
    ("feed", "issuer", "covered"), [("us-a", "BIS", True), ("us-a", "USTR", False), ("eu-a", "BIS", False)]
)
def test_feeds_and_issuers_must_both_hold(feed: str, issuer: str, covered: bool):
    """Giving both narrows."""
    assert watchlist("x", feeds=("us-*",), issuers=("BIS",)).covers(feed, issuer) is covered


def test_stars_without_end_are_matched_at_once():
    """A hundred stars are no trap: this ends while one waits."""
    assert not watchlist("x", feeds=("*a" * 12 + "**b",)).covers("a" * 60, "BIS")


def test_a_watchlist_is_known_by_subscriber_and_name():
    """Two subscribers may give the same name."""
    assert watchlist("x", "desk", "Exports").key == ("desk", "Exports")
