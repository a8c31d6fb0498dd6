"""A digest in chats and feeds: what a reader gets there, within the other side's rules."""

from __future__ import annotations

import json
import re
from typing import Any

import lxml.html
import pytest

from notifier.channels.embeds import within_limits
from notifier.channels.json_limits import fitted
from notifier.channels.teams import CARD, MOST
from notifier.events.alerts import FeedStatus
from notifier.messages.digest_view import DigestView
from tests.channels import card_rules, discord_rules
from tests.channels.test_hostile import titles
from tests.messages.builders import NOW, statement
from tests.messages.digests import Told
from tests.messages.test_digest_templates import ILL, RENDERER, story

FORMS = ("teams.json", "discord.json", "atom.json", "atom.html")


def forms(view: DigestView) -> dict[str, Any]:
    """The forms, JSON as their channels fit it."""
    parts = RENDERER.render("digest", FORMS, view)
    card = {"type": "message", "attachments": [{"contentType": CARD, "content": json.loads(parts["teams.json"])}]}
    return {
        "teams.json": json.loads(fitted(card, MOST)),
        "discord.json": within_limits(json.loads(parts["discord.json"])),
        "atom.json": json.loads(parts["atom.json"]),
        "atom.html": parts["atom.html"],
    }


def said(parts: dict[str, Any], form: str) -> str:
    """What a form says, without what is ours in it."""
    match form:
        case "teams.json":
            return card_rules.words(parts[form]["attachments"][0]["content"]["body"])
        case "discord.json":
            texts = [parts[form]["content"], *(each[key] for each in parts[form]["embeds"] for key in each)]
            links = " ".join(re.findall("<(https?://[^>]+)>", " ".join(texts)))
            return " ".join(discord_rules.read(text)[0] for text in texts) + links
        case _:
            page = lxml.html.fromstring(f"<div>{parts['atom.html']}</div>")
            return " ".join([parts["atom.json"]["title"], page.text_content(), *page.xpath("//a/@href")])


def story_of(title: str, number: int = 30) -> DigestView:
    """A day on which all that is foreign is this."""
    told = Told()
    one = statement(title=title, text=title, issuer=title)
    first = told.new(like=one, also=[told.statement(title, "also")], words=(title,))
    told.revised(first, title)
    told.withdrawn(told.new(like=one), reason=title)
    for n in range(number):
        told.new(like=one, id=f"more{n}", watchlists=(f"{n} {title[:60]}" if title.isprintable() else "Exports",))
    feeds = (FeedStatus(feed="f", issuer=title[:100], outcome="gap", since=NOW, detail=title[:150]),)
    return told.view(feeds=feeds, hits="")


@pytest.mark.parametrize("form", ["teams.json", "discord.json", "atom.html"])
def test_every_form_carries_the_same_facts(form: str) -> None:
    """Titles, who, when, links, why, what has become of each, and which feeds are not well."""
    told = " ".join(said(forms(story().view(feeds=ILL)), form).split())

    for fact in (
        "Daily digest",
        "Tue 30 Jun 2020, 05:07 to Wed 1 Jul 2020, 05:07 (Hong Kong time)",
        "2 new, 1 withdrawn",
        "Exports",
        "Asia",
        "Licences for Hong Kong end in May",
        "US Department of Commerce",
        "29 Jun 2020, 21:52 UTC (30 Jun, 05:52 Hong Kong)",
        "https://commerce.example/2020/06/status",
        "chips",
        "US Commerce (us-commerce) does not answer, since 29 Jun 2020, 21:07 UTC",
        "Export desk",
    ):
        assert fact in told, fact
    assert re.search("(?i)revised since", told)
    assert "Withdrawn: Guidance on Hong Kong" in told


def test_an_entry_has_the_watchlists_as_categories() -> None:
    """Feed readers sort by them."""
    parts = forms(story().view())

    assert parts["atom.json"] == {"title": "Daily digest: 2 new, 1 withdrawn", "categories": ["Exports", "Asia"]}


def test_an_empty_digest_says_so() -> None:
    """No news, and that is what it is asked for."""
    parts = forms(Told().view())

    for form in ("teams.json", "discord.json", "atom.html"):
        assert "o news" in said(parts, form), form
    assert card_rules.faults(parts["teams.json"]) == []
    assert discord_rules.faults(parts["discord.json"]) == []


def test_a_long_digest_counts_what_it_leaves_out() -> None:
    """Four hundred statements are within every limit, and the reader learns how many he does not see."""
    told = Told()
    for n in range(400):
        told.new(f"Statement {n} on <&*_香🚢 " + "long " * 30, watchlists=(f"Watchlist {n % 7}",))

    parts = forms(told.view(feeds=[FeedStatus(feed="f" * 64, issuer="*" * 100, outcome="gap", since=NOW)] * 30))

    assert card_rules.faults(parts["teams.json"]) == []
    assert discord_rules.faults(parts["discord.json"]) == []
    assert "and 375 more" in said(parts, "teams.json")
    assert "and 385 more" in said(parts, "discord.json")


def test_hostile_titles_are_only_text() -> None:
    """Sixty of the five hundred, as title, text, issuer, words, reason and watchlist: nothing acts."""
    tags = {*["div", "p", "h3", "ul", "li", "a", "strong", "small", "blockquote", "mark"]}
    for title in titles()[:: len(titles()) // 60]:
        parts = forms(story_of(title))

        assert card_rules.faults(parts["teams.json"]) == [], title
        assert discord_rules.faults(parts["discord.json"]) == [], title
        page = lxml.html.fromstring(f"<div>{parts['atom.html']}</div>")
        assert {element.tag for element in page.iter()} <= tags, title
        assert {name for element in page.iter() for name in element.attrib} <= {"href", "dir", "lang"}, title
