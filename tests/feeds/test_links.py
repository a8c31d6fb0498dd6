"""Links as publishers write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feeds.links import LONGEST, absolute

BASE = "https://commerce.example/news/2020/"


@pytest.mark.parametrize(
    ("href", "meant"),
    [
        ("https://commerce.example/a", "https://commerce.example/a"),
        ("  https://commerce.example/a\n", "https://commerce.example/a"),
        ("a", "https://commerce.example/news/2020/a"),
        ("/a?b=1&c=2#d", "https://commerce.example/a?b=1&c=2#d"),
        ("//other.example/a", "https://other.example/a"),
        ("?page=2", "https://commerce.example/news/2020/?page=2"),
        ("HTTP://Commerce.Example/A", "http://commerce.example/A"),
        ("https://commerce.example:8443/a", "https://commerce.example:8443/a"),
        ("https://commerce.example//a//b", "https://commerce.example//a//b"),
        ("https://commerce.example/%E9%A6%99?q=%20", "https://commerce.example/%E9%A6%99?q=%20"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
    ],
)
def test_a_link_is_seen_from_where_it_stands(href: str, meant: str):
    """Relative links are resolved, and whole ones kept but for the case of scheme and host."""
    assert absolute(href, BASE) == meant


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JaVa\tScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "mailto:a@b.example",
        "https://user@commerce.example/",
        "https://user:word@commerce.example/",
        "https://commerce.example:99999/",
        "https://[half/",
        "https://commerce.example/" + "a" * LONGEST,
    ],
)
def test_what_nobody_should_follow_is_no_link(href: str):
    """Other schemes, user names, broken hosts and endless addresses are dropped, not repaired."""
    assert absolute(href, BASE) == ""


@pytest.mark.parametrize("href", ["", "  ", "\n"], ids=["empty", "spaces", "line end"])
def test_an_empty_link_is_none(href: str):
    """An entry without a link does not get its feed's: two such entries would pass for the same page."""
    assert absolute(href, BASE) == ""


@pytest.mark.parametrize(
    ("href", "safe"),
    [
        ("/a b", "/a%20b"),
        ("/a\"b'c", "/a%22b%27c"),
        ("/<script>", "/%3Cscript%3E"),
        ("/香港", "/%E9%A6%99%E6%B8%AF"),
        ("/a\x1b[31m", "/a%1B%5B31m"),
        ("/a|b", "/a%7Cb"),
    ],
    ids=["space", "quotes", "brackets", "other script", "escape", "pipe of Slack"],
)
def test_a_link_may_stand_in_any_message(href: str, safe: str):
    """What ends or opens something in mail, markup or a terminal is escaped as an address escapes it."""
    assert absolute(href, BASE) == "https://commerce.example" + safe


def test_a_host_in_another_script_is_written_in_ascii():
    """The host is shown as the name system knows it, so that no look-alike letters deceive."""
    assert absolute("https://bücher.example/", "") == "https://xn--bcher-kva.example/"


@given(st.text(max_size=60), st.sampled_from(["", BASE, "not an address", "https://[x"]))
def test_any_text_gives_a_safe_link_or_none(href: str, base: str):
    """Any link becomes an http(s) address of printable ASCII without quotes or brackets, or ""."""
    found = absolute(href, base)

    assert found == "" or re.fullmatch(r"https?://[!#-&(-;=?-~]+", found)
    assert not set("<>\"' ") & set(found)
