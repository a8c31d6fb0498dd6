"""The built-in templates of a digest: what a reader gets, in every form."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.blocks import within_limits
from notifier.channels.mail.composer import LETTERS, Sender, composed
from notifier.events.alerts import FeedStatus
from notifier.message import Message
from notifier.messages.digest_view import DigestView
from notifier.messages.parts import DigestEntry, DigestFeed, DigestTelling, Group
from notifier.messages.render import Renderer
from tests.examples import examples
from tests.messages.builders import FORMS, NOW, TEMPLATES, statement
from tests.messages.digests import Told
from tests.messages.test_templates import HOSTILE, Page, texts

RENDERER = Renderer([TEMPLATES])
ILL = (
    FeedStatus(feed="us-commerce", issuer="US Commerce", outcome="unreachable", since=NOW, detail="503"),
    FeedStatus(feed="us-ustr", issuer="US Trade Representative", outcome=""),
)
READ = ("body.txt", "body.html", "slack.json", "console.txt")


def forms(view: DigestView) -> dict[str, str]:
    return RENDERER.render("digest", (*FORMS, "webhook.json"), view)


def said(parts: dict[str, str], form: str) -> str:
    """What a form says, whatever its lines, with the links of a page."""
    text = parts[form] if form != "body.html" else Page(parts[form]).words + parts[form]
    return " ".join(text.replace("*", "").split())


def story() -> Told:
    """A day: something new that was revised since, something told twice, something taken back."""
    told = Told()
    first = told.new("Licences for Hong Kong end", watchlists=("Exports", "Asia"))
    told.new("Rules on chips", also=[told.statement("Chips, says State", "state")], words=("chips",))
    told.revised(first, "Licences for Hong Kong end in May")
    told.withdrawn(told.new("Guidance on Hong Kong", watchlists=("Asia",)))
    return told


def test_the_text_form_reads_like_a_letter() -> None:
    """The whole of it, so that a change of wording is seen in review."""
    assert forms(story().view(feeds=ILL))["body.txt"] == (
        "Daily digest\n"
        "Tue 30 Jun 2020, 05:07 to Wed 1 Jul 2020, 05:07 (Hong Kong time)\n"
        "\n"
        "3 statements: 2 new, 1 withdrawn.\n"
        "\n"
        "\n"
        "== Exports ==\n"
        "\n"
        "Licences for Hong Kong end in May\n"
        "US Department of Commerce · 29 Jun 2020, 22:22 UTC (30 Jun, 06:22 Hong Kong)\n"
        "Revised since, 29 Jun 2020, 22:22 UTC (30 Jun, 06:22 Hong Kong).\n"
        "> …\u00a0Rules that gave *Hong Kong* preferential treatment over China are\n"
        "> suspended.\u00a0…\n"
        "Found: Hong Kong\n"
        "https://commerce.example/2020/06/status\n"
        "\n"
        "Rules on chips\n"
        "US Department of Commerce · 29 Jun 2020, 21:52 UTC (30 Jun, 05:52 Hong Kong)\n"
        "> …\u00a0Rules that gave *Hong Kong* preferential treatment over China are\n"
        "> suspended.\u00a0…\n"
        "Found: chips\n"
        "https://commerce.example/2020/06/status\n"
        "  Also: Chips, says State — US Department of Commerce, 29 Jun 2020,\n"
        "  21:52 UTC (30 Jun, 05:52 Hong Kong)\n"
        "  https://commerce.example/2020/06/status\n"
        "\n"
        "\n"
        "== Asia ==\n"
        "\n"
        "Withdrawn: Guidance on Hong Kong\n"
        "US Department of Commerce · 29 Jun 2020, 22:52 UTC (30 Jun, 06:52 Hong Kong)\n"
        "Withdrawn: its page is gone (410)\n"
        "> …\u00a0Rules that gave *Hong Kong* preferential treatment over China are\n"
        "> suspended.\u00a0…\n"
        "Found: Hong Kong\n"
        "https://commerce.example/2020/06/status\n"
        "\n"
        "\n"
        "2 of the 6 feeds behind this digest were not working:\n"
        "  US Commerce (us-commerce) does not answer, since 29 Jun 2020, 21:07\n"
        "  UTC (30 Jun, 05:07 Hong Kong): 503\n"
        "  US Trade Representative (us-ustr) has not been read yet\n"
        "\n"
        "-- \n"
        "For Export desk · daily digest of Wed 1 Jul 2020, 05:07\n"
    )


def test_every_form_carries_the_same_facts() -> None:
    """Titles, who, when, links, why, what has become of each, and which feeds are not well."""
    parts = forms(story().view(feeds=ILL))

    for form in READ:
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
            "US Trade Representative (us-ustr) has not been read yet",
            "Export desk",
        ):
            assert fact in said(parts, form), (form, fact)
        assert re.search("(?i)revised since", said(parts, form)), form
        assert re.search('(?i)withdrawn(: |", |</b> )', parts[form] + parts["body.html"]), form


def test_a_revision_shows_its_change_in_every_form() -> None:
    """In signs, strokes or marks, and nobody can forge one."""
    told = Told()
    early = told.new("Licences [-never-] end in April", id="early")
    told.pieces.clear()
    told.revised(early, "Licences [-never-] end in June")

    parts = forms(told.view())

    for form in ("body.txt", "console.txt"):
        assert "| Licences [ -never- ] end in [-April-]{+June+}" in parts[form], form
    assert re.search(r"<del class=\"d\"[^>]*>April</del> <ins class=\"i\"[^>]*>June</ins>", parts["body.html"])
    (quote,) = [
        part
        for block in json.loads(parts["slack.json"])["blocks"]
        for part in block.get("elements", [])
        if part["type"] == "rich_text_quote"
    ]
    assert [(part["text"].strip(), part.get("style")) for part in quote["elements"][1:]] == [
        ("April", {"strike": True}),
        ("June", {"bold": True}),
    ]


def test_the_subject_says_how_much_and_what_first() -> None:
    """What was withdrawn goes before all else; a single statement is named with who spoke."""
    one, gone = Told(), Told()
    one.new("Licences end")
    gone.withdrawn(gone.new("Licences end"))

    assert [forms(told.view())["subject.txt"] for told in (one, gone, story(), Told())] == [
        "[Daily digest] Licences end (US Department of Commerce)",
        "[Daily digest] Withdrawn: Licences end (US Department of Commerce)",
        "[Daily digest] 3 statements, 1 withdrawn: Guidance on Hong Kong and 2 more",
        "[Daily digest] No news",
    ]


def test_a_part_says_so() -> None:
    """And leaves the feeds to the first."""
    parts = forms(story().view(part=2, parts=3, feeds_asked=0))

    assert parts["subject.txt"].startswith("[Daily digest, part 2] ")
    for form in READ:
        assert "part 2 of 3" in parts[form], form
        assert "feeds" not in parts[form], form


def test_an_empty_digest_says_so() -> None:
    """No news, and the feeds were well: that is what it is asked for."""
    parts = forms(Told().view())

    for form in READ:
        assert "o news" in said(parts, form), form
        assert re.search("(?i)all 6 feeds were read without problems", said(parts, form)), form


def test_a_digest_has_a_place_to_leave() -> None:
    """Where there is a way to hear nothing more, both forms of a mail lead there."""
    leave = msgspec.structs.replace(story().view(), unsubscribe="https://alerts.example/leave/abc")

    parts, without = forms(leave), forms(story().view())

    for form in ("body.txt", "body.html"):
        assert "https://alerts.example/leave/abc" in parts[form], form
        assert "nothing more" not in without[form], form


def test_a_webhook_gets_the_values() -> None:
    """With all that the others say, for programs."""
    data = json.loads(forms(story().view(feeds=ILL))["webhook.json"])

    assert data["type"] == "digest.v1"
    first = data["data"]["watchlists"][0]
    assert (first["watchlist"], first["entries"][0]["title"]) == ("Exports", "Licences for Hong Kong end in May")
    assert (data["data"]["statements"], data["data"]["feeds"][0]["feed"]) == (3, "us-commerce")


def test_what_there_was_no_room_for_is_counted_in_every_form() -> None:
    """The reader learns how many he does not see."""
    told = Told()
    for n in range(400):
        told.new(f"Statement {n}")

    view = told.view()
    parts = forms(view)

    (group,) = view.groups
    for form in ("body.txt", "body.html", "console.txt"):
        assert f"and {group.left_out} more" in said(parts, form), form
    assert "and 375 more" in parts["slack.json"]


@pytest.mark.parametrize("revised", [False, True], ids=["new", "revised"])
@pytest.mark.parametrize("spread", [False, True], ids=["solid", "spread"])
@pytest.mark.parametrize("letter", ["&", "香", "🚢", "'", "x", "="])
def test_a_mail_is_never_large(letter: str, spread: bool, revised: bool) -> None:
    """Under 90 kB with its HTML, whatever titles, links, feeds, hits and changes come: large providers cut it."""
    told = Told()
    word = f"{letter} z " if spread else letter
    long = statement(word * 5_000, f"{word * 99} " * 30, issuer=letter * 5_000, link="https://x.example/" + "&" * 1_900)
    also = [told.statement(letter * 5_000, f"also{n}") for n in range(24)]
    for n in range(400):
        piece = told.new(
            like=long, id=f"s{n}", watchlists=(f"{n:04}" + letter * 60,), words=(letter * 80,) * 12, also=also
        )
        if revised:
            told.pieces.pop()
            other = msgspec.structs.replace(long, title=long.title.replace("z", "y"), text=long.text.replace("z", "y"))
            told.revised(piece, like=other, watchlists=(f"{n:04}",), also=also)
    feeds = [FeedStatus(feed="f" * 64, issuer=letter * 100, outcome="gap", since=NOW, detail=letter * 150)] * 30

    parts = forms(told.view(feeds=feeds, name=letter * 5_000, hits=letter))
    mail = composed(
        Message(id="a" * 32, parts=parts, written_at=NOW), Sender("Alerts", "a@house.example"), "d@b.example"
    )

    assert len(mail) < 90_000
    assert b"text/html" in mail
    slack = within_limits(json.loads(parts["slack.json"]))
    assert slack["blocks"][1]["type"] == "context"
    assert len(slack["blocks"]) > 3


def test_an_ordinary_digest_is_small_and_whole() -> None:
    """Thirty statements go in full, in a mail of less than 60 kB."""
    told = Told()
    for n in range(30):
        told.new(f"Statement {n} on licences for exports to Hong Kong")

    view = told.view()
    parts = forms(view)

    assert not any(entry.brief for group in view.groups for entry in group.entries)
    mail = composed(
        Message(id="a" * 32, parts=parts, written_at=NOW), Sender("Alerts", "a@house.example"), "d@b.example"
    )
    assert len(mail) < 60_000
    assert len(parts["body.txt"]) > LETTERS / 2


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No image, script, font or style sheet is fetched to read it, and nothing tells a sender it was opened."""
    page = Page(forms(story().view())["body.html"])

    assert not {"img", "script", "link", "iframe", "object", "form"} & set(page.tags)
    assert {value for name, value in page.attributes if name in {"src", "href"}} == {
        "https://commerce.example/2020/06/status"
    }


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_only_text(title: str) -> None:
    """Whatever a feed says, no form has more tags, lines, blocks or controls for it."""
    _nothing_acts(title)


@examples(40)
@given(st.text(max_size=80))
def test_any_title_is_only_text(title: str) -> None:
    """The same for titles that nobody thought of."""
    _nothing_acts(title)


def _digest(title: str) -> dict[str, str]:
    told = Told()
    said = statement(title=title, text=title, issuer=title)
    first = told.new(like=said, also=[told.statement(title, "also")], words=(title,))
    told.revised(first, title)
    told.withdrawn(told.new(like=said), reason=title)
    early = told.new("Other words", id="early")
    told.pieces.remove(early)
    told.revised(early, title)
    for n in range(70):
        told.new(like=said, id=f"more{n}")
    feeds = (FeedStatus(feed="f", issuer=title[:100], outcome="gap", since=NOW, detail=title[:150]),)
    return forms(told.view(feeds=feeds, hits=""))


PLAIN = _digest("Title")


def _nothing_acts(title: str) -> None:
    parts = _digest(title)

    assert "\n" not in parts["subject.txt"]
    assert len(parts["subject.txt"]) < 250
    for form in ("subject.txt", "body.txt", "console.txt", "body.html"):
        assert not set(parts[form]) & set("\r\x00\x07\x1b\x9b\u202e\u2066\ud800"), form
    assert set(Page(parts["body.html"]).tags) <= {*Page(PLAIN["body.html"]).tags, "mark", "blockquote", "del", "ins"}
    payload = json.loads(parts["slack.json"])
    assert {block["type"] for block in payload["blocks"]} <= {"header", "context", "rich_text"}
    assert not set(payload["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")) & set("<>&")
    assert all(len(text) <= 3000 for text in texts(payload["blocks"]))
    assert sum(map(len, texts(payload["blocks"]))) <= 12_000
    assert "mrkdwn" not in parts["slack.json"]
    assert json.loads(parts["webhook.json"])["type"] == "digest.v1"


def test_every_variable_is_documented() -> None:
    """docs/templates.md names each field of the view, and of what stands in it."""
    told = (TEMPLATES.parent / "docs" / "templates.md").read_text("utf-8").partition("## A digest")[2]

    for part in (DigestView, Group, DigestEntry, DigestTelling, DigestFeed):
        assert [field for field in part.__struct_fields__ if not re.search(rf"`(\w+\.)?{field}`", told)] == []
