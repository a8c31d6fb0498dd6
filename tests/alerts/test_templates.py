"""The built-in templates: what a reader gets, in every form."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.alerts.alert import AlertView
from notifier.alerts.render import Renderer
from notifier.events import WatchlistMatched
from tests.alerts.builders import FORMS, TEMPLATES, statement, view

RENDERER = Renderer([TEMPLATES])

HOSTILE = [
    "Title\r\nBcc: x@y.example",
    "=?utf-8?q?a=0d=0aBcc:_e@z.example?=",
    '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "<!channel> <@U123> & <https://evil.example|x> *bold* :smile:",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\u202egnirts desrever\u2066\u2069",
    "{{ 7 * 7 }}{% raw %}",
    '"}], "text": "taken over',
    ".\r\n.\r\nQUIT\r\n",
    "a\x00b\ud800c",
    "long " * 4000,
    "x" * 20_000,
]


def forms(seen: AlertView) -> dict[str, str]:
    return RENDERER.render("alert", FORMS, seen)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its links, its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def texts(block: Any) -> list[str]:
    """Every text in a Slack payload's block."""
    if isinstance(block, dict):
        here = [block["text"]] if isinstance(block.get("text"), str) else []
        return here + [text for key, part in block.items() for text in texts(part)]
    return [text for part in block for text in texts(part)] if isinstance(block, list) else []


def test_every_form_carries_the_same_facts() -> None:
    """Title, issuer, both times, link, reason and place in the log are in each form that is read."""
    parts = forms(view())
    parts["body.html"] = Page(parts["body.html"]).words + parts["body.html"]

    for form in ("body.txt", "body.html", "slack.json", "console.txt"):
        said = " ".join(parts[form].replace("*", "").split())
        for fact in (
            "US Department of Commerce",
            "29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)",
            "https://commerce.example/2020/06/status",
            "Exports",
            "special status",
            "#41",
        ):
            assert fact in said, (form, fact)


def test_the_subject_says_what_and_who() -> None:
    """Watchlist, title and issuer, in the order of a reader's interest."""
    assert forms(view())["subject.txt"] == (
        "[Exports] Commerce Department suspends Hong Kong's special status (US Department of Commerce)"
    )


def test_the_subject_counts_further_watchlists() -> None:
    """A second watchlist that matched is not lost, and takes three letters."""
    both = [WatchlistMatched(watchlist=name, query="x", words=("x",)) for name in ("Exports", "Asia")]

    assert forms(view(matches=both))["subject.txt"].startswith("[Exports +1] ")


def test_the_text_form_reads_like_a_letter() -> None:
    """The whole of it, so that a change of wording is seen in review."""
    assert forms(view())["body.txt"] == (
        "US Department of Commerce\n"
        "29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)\n"
        "\n"
        "Commerce Department suspends Hong Kong's special status\n"
        "\n"
        "> …\u00a0Rules that gave *Hong Kong* *preferential treatment* over China are\n"
        "> suspended.\u00a0…\n"
        "\n"
        "Read the statement:\n"
        "https://commerce.example/2020/06/status\n"
        "\n"
        "Why you got this:\n"
        "  Watchlist “Exports” found Hong Kong, special status\n"
        '    Its query: "Hong Kong"\n'
        "\n"
        "-- \n"
        "For Export desk · event #41 · detected 7 min after publication\n"
    )


def test_hits_are_marked_in_html_and_slack() -> None:
    """The words that hit stand out in colour and in bold."""
    parts = forms(view())

    assert ">Hong Kong</mark>" in parts["body.html"]
    assert '"text": "Hong Kong", "style": {"bold": true}' in parts["slack.json"]


def test_a_revision_says_so_in_every_form() -> None:
    """Nobody takes a change for news, or the other way round."""
    parts, new = forms(view(revised=True)), forms(view())

    for form, word in [
        ("subject.txt", "Revised:"),
        ("body.txt", "REVISED"),
        ("body.html", "have changed"),
        ("slack.json", "Revised"),
        ("console.txt", "Revised:"),
    ]:
        assert word in parts[form], form
        assert word not in new[form], form


def test_an_undated_statement_without_link_still_reads() -> None:
    """What is not known is left out, or said to be unknown."""
    parts = forms(view(statement(link="", published_at=None, text="", lang=""), hits=""))

    assert "Undated; seen 29 Jun 2020, 21:07 UTC" in parts["body.txt"]
    assert "Read the statement" not in "".join(parts.values())
    assert "href" not in parts["body.html"]


def test_a_mail_is_small() -> None:
    """HTML and text of an ordinary alert stay under five kilobytes."""
    parts = forms(view())

    assert len((parts["body.html"] + parts["body.txt"]).encode()) < 5000


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No image, script, font or style sheet is fetched to read it, and nothing tells a sender it was opened."""
    page = Page(forms(view())["body.html"])

    assert not {"img", "script", "link", "iframe", "object", "form"} & set(page.tags)
    assert [value for name, value in page.attributes if name in {"src", "href"}] == [
        "https://commerce.example/2020/06/status"
    ]


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_only_text(title: str) -> None:
    """Whatever a feed says, no form has more tags, lines, blocks or controls for it."""
    _nothing_acts(forms(view(statement(title=title, text=title, issuer=title))))


@settings(max_examples=40)
@given(st.text(max_size=80))
def test_any_title_is_only_text(title: str) -> None:
    """The same for titles that nobody thought of."""
    _nothing_acts(forms(view(statement(title=title, text=f"{title}. {title}", issuer=title))))


def _nothing_acts(parts: dict[str, str]) -> None:
    plain = forms(view(statement(title="Title", text="Text", issuer="Issuer"), hits=""))

    assert "\n" not in parts["subject.txt"]
    assert len(parts["subject.txt"]) < 250
    for form in ("subject.txt", "body.txt", "console.txt", "body.html"):
        assert not set(parts[form]) & set("\r\x00\x07\x1b\x9b\u202e\u2066\ud800"), form
    assert set(Page(parts["body.html"]).tags) <= {*Page(plain["body.html"]).tags, "mark", "blockquote"}
    payload = json.loads(parts["slack.json"])
    assert {block["type"] for block in payload["blocks"]} <= {"header", "context", "rich_text"}
    assert not set(payload["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")) & set("<>&")
    assert len(payload["blocks"][0]["text"]["text"]) <= 150
    assert all(len(text) <= 3000 for text in texts(payload["blocks"]))
    assert sum(map(len, texts(payload["blocks"]))) <= 12_000
    assert "mrkdwn" not in parts["slack.json"]
