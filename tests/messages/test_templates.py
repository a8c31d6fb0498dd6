"""The built-in templates: what a reader gets, in every form."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.mail.composer import Sender, composed
from notifier.cli.preview import FORMS as PREVIEWED
from notifier.events.alerts import WatchlistMatched
from notifier.message import Message
from notifier.messages.alert_view import AlertView
from notifier.messages.parts import Other, Why
from notifier.messages.passage import Run
from notifier.messages.redline import Excerpts, Stretch
from notifier.messages.render import Renderer
from tests.examples import examples
from tests.messages.builders import FORMS, NOW, TEMPLATES, TEXT, statement, view

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
        ("body.html", "has changed"),
        ("slack.json", "Revised"),
        ("console.txt", "Revised:"),
    ]:
        assert word in parts[form], form
        assert word not in new[form], form


WITHDRAWN = "its page is gone (410)"
BEFORE = statement(text=f"{TEXT} It ends on 5 May.")
AFTER = statement(text=f"{TEXT} It ends on 6 June.")


def test_a_revision_shows_what_changed_in_every_form() -> None:
    """Struck and underlined, in signs, in Slack's styles: no form needs colours to be understood."""
    parts = forms(view(AFTER, before=BEFORE))

    assert "It ends on [-5 May-]{+6 June+}." in " ".join(parts["body.txt"].split())
    assert "It ends on [-5 May-]{+6 June+}." in " ".join(parts["console.txt"].replace("|", "").split())
    assert re.search(
        r"<del [^>]*line-through[^>]*>5 May</del> <ins [^>]*underline[^>]*>6 June</ins>", parts["body.html"]
    )
    payload = json.loads(parts["slack.json"])
    assert payload["text"].endswith(" It ends on ~5 May~ *6 June*.")
    (line,) = [each for each in payload["blocks"][2]["elements"] if "5 May" in texts(each)]
    assert [(text, style) for text, style in styles(line) if style] == [
        ("5 May", {"strike": True}),
        (" 6 June", {"bold": True}),
    ]


def styles(line: dict[str, Any]) -> list[tuple[str, dict[str, bool]]]:
    return [(each["text"], each.get("style", {})) for each in line["elements"]]


def test_the_text_form_of_a_revision_reads_like_a_letter() -> None:
    """The whole of it, in the first alert's thread."""
    assert forms(view(AFTER, before=BEFORE, follows=BEFORE))["body.txt"] == (
        "REVISED: the text of this statement has changed.\n"
        "\n"
        "US Department of Commerce\n"
        "29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)\n"
        "\n"
        "Commerce Department suspends Hong Kong's special status\n"
        "\n"
        "What changed, as [-old-] and {+new+}:\n"
        "\n"
        "| … Kong preferential treatment over China are suspended. More steps are\n"
        "| weighed. It ends on [-5 May-]{+6 June+}.\n"
        "\n"
        "> …\u00a0Rules that gave *Hong Kong* *preferential treatment* over China are\n"
        "> suspended.\u00a0…\n"
        "\n"
        "Read the statement:\n"
        "https://commerce.example/2020/06/status\n"
        "\n"
        "Follows: Commerce Department suspends Hong Kong's special status — US\n"
        "Department of Commerce, 29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)\n"
        "\n"
        "Why you got this:\n"
        "  Watchlist “Exports” found Hong Kong, special status\n"
        '    Its query: "Hong Kong"\n'
        "\n"
        "-- \n"
        "For Export desk · event #41\n"
    )


def test_the_text_form_of_a_withdrawal_reads_like_a_letter() -> None:
    """It opens with what has happened and how we know."""
    assert forms(view(withdrawn=WITHDRAWN))["body.txt"].startswith(
        "WITHDRAWN by its publisher.\n"
        "Evidence: its page is gone (410)\n"
        "Its last known text is quoted below.\n"
        "\n"
        "US Department of Commerce\n"
    )


def test_a_withdrawal_says_so_in_every_form() -> None:
    """With how we know, and it is not taken for news or for a revision; the link says that it is of the past."""
    parts, new = forms(view(withdrawn=WITHDRAWN)), forms(view())

    for form in FORMS:
        assert "withdrawn" in parts[form].lower(), form
        assert "withdrawn" not in new[form].lower(), form
        assert "revised" not in parts[form].lower(), form
    for form in FORMS[1:]:
        assert WITHDRAWN in parts[form], form
    for form in ("body.txt", "body.html", "slack.json"):
        assert "Where it was published" in parts[form], form
        assert "Read the statement" not in parts[form], form


@pytest.mark.parametrize(
    ("silent", "subject", "told"),
    [
        (True, "Changed without notice: ", "the page does not say so"),
        (False, "Revised: ", "the feed does not mention it"),
    ],
    ids=["without a word", "on the page alone"],
)
def test_a_change_that_was_found_on_the_page_says_so(silent: bool, subject: str, told: str) -> None:
    """Its reader learns that the feed said nothing, and whether the publisher says such things elsewhere."""
    parts = forms(view(AFTER, before=BEFORE, page="f" * 24, silent=silent))

    for form in ("subject.txt", "console.txt", "slack.json"):
        assert subject in parts[form], form
    for form in ("body.txt", "body.html", "slack.json"):
        assert told in " ".join(parts[form].split()), form


def test_other_statements_of_the_story_are_named() -> None:
    """Each in one line, with issuer and link; how many there was no room for is told."""
    also = [statement(f"Telling {n}", issuer=f"Wire {n}", link=f"https://wire{n}.example/") for n in range(15)]

    parts = forms(view(also=also))

    for form in ("body.txt", "console.txt"):
        (line,) = [line for line in parts[form].split("\n") if "Telling 11" in line]
        assert "Wire 11" in line
        assert "https://wire11.example/" in line
    assert '<a class="a" href="https://wire11.example/"' in parts["body.html"]
    assert '"url": "https://wire11.example/", "text": "Telling 11"' in parts["slack.json"]
    for form in FORMS[1:]:
        assert "Telling 12" not in parts[form], form
        assert "3 more" in parts[form], form


def test_a_statement_that_joins_a_story_says_what_it_follows() -> None:
    """Slack's webhooks have no threads, and who reads one mail alone sees it too."""
    parts = forms(view(follows=statement("The first of it")))

    for form in FORMS[1:]:
        assert re.search("(?i)follows:(</b>)? The first of it", parts[form]), form


def signs_in(text: str) -> list[tuple[str, str]]:
    """What a reader takes for deleted and inserted."""
    found = re.findall(r"\[-(.*?)-\]|\{\+(.*?)\+\}", re.sub(r"\n *\| ", " ", text))
    return [("deleted", old) if old else ("inserted", new) for old, new in found]


FORGED = st.lists(st.sampled_from(["[-", "-]", "{+", "+}", "[", "]", "{", "}", "-", "+", "a", "b", " "]), max_size=14)


@examples(60)
@given(FORGED.map("".join), FORGED.map("".join), FORGED.map("".join))
def test_nobody_forges_a_change(old: str, new: str, title: str) -> None:
    """The signs in plain text are those of the redline, one for one, whatever signs the statement itself holds."""
    before, after = statement(title, f"It was {old}, they said."), statement(title, f"It was {new}, they said.")

    seen = view(after, before=before, hits="")
    parts = forms(seen)

    real = [(run.kind, run.text) for passage in seen.redline.passages for run in passage if run.kind != "kept"]
    for form, legend in (("body.txt", [("deleted", "old"), ("inserted", "new")] if real else []), ("console.txt", [])):
        shown = signs_in(parts[form])
        assert [(kind, text.replace(" ", "")) for kind, text in shown] == [
            (kind, text.replace(" ", "")) for kind, text in [*legend, *real]
        ]


def test_slacks_marks_cannot_be_forged() -> None:
    """A star or a tilde in the words becomes what looks like one, and Slack's three letters stay escaped."""
    before = statement(text="It was *bold* and ~gone~ for `code`.")
    after = statement(text="It is *bold* & ~gone~ for <!channel>.")

    said = json.loads(forms(view(after, before=before, hits=""))["slack.json"])["text"]

    assert said.endswith("It ~was~ *is* ∗bold∗ ~and~ *&amp;* ∼gone∼ for ~ˋcodeˋ~ *&lt;!channel&gt;*.")


def test_a_mail_is_never_large() -> None:
    """Under 90 kB as it travels, whatever title, words, changes, watchlists and company come: Gmail cuts at 102."""
    for letter in ("&", "香", "🚢", "'"):
        long = statement(letter * 20_000, f"{letter * 9_999} " * 3, issuer=letter * 5_000, summary=letter * 5_000)
        word = f"{letter}{letter} "
        before = statement(text="".join(f"{word * 9}{n} " for n in range(300)))
        after = statement(letter * 20_000, "".join(f"{word * 9}{n + 1} " for n in range(300)), issuer=letter * 5_000)
        many = [WatchlistMatched(watchlist=letter * 200, query=letter * 3_000, words=(letter * 80,) * 12)] * 12
        for seen in (
            view(after, before=before, also=[long] * 30, follows=long, matches=many, hits=letter),
            view(long, withdrawn=letter * 5_000, also=[long] * 30, follows=long, matches=many, hits=letter),
        ):
            parts = forms(seen)
            mail = Message(id="a" * 32, parts=parts, written_at=NOW)

            assert len(composed(mail, Sender("Alerts", "alerts@house.example"), "desk@bank.example")) < 90_000
            assert all(len(each) <= 3000 for each in texts(json.loads(parts["slack.json"])["blocks"]))


def test_an_undated_statement_without_link_still_reads() -> None:
    """What is not known is left out, or said to be unknown."""
    parts = forms(view(statement(link="", published_at=None, text="", lang=""), hits=""))

    assert "Undated; seen 29 Jun 2020, 21:07 UTC" in parts["body.txt"]
    assert "Read the statement" not in "".join(parts.values())
    assert "href" not in parts["body.html"]


def test_every_variable_is_documented() -> None:
    """docs/templates.md names each field of the view, and of what stands in it."""
    told = (TEMPLATES.parent / "docs" / "templates.md").read_text("utf-8")

    for part in (AlertView, Excerpts, Stretch, Run, Why, Other):
        assert [field for field in part.__struct_fields__ if not re.search(rf"`(\w+\.)?{field}`", told)] == []


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


@examples(40)
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


@pytest.mark.parametrize("folder", ["alert", "digest", "suspended"])
def test_there_is_a_template_for_every_channel(folder: str) -> None:
    """Whatever a channel wants, there is a form of it for each kind of message that may go there."""
    wanted = {form for forms in PREVIEWED.values() for form in forms}

    assert {path.name for path in (TEMPLATES / folder).iterdir()} >= wanted
