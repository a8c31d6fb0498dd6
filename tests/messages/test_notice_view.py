"""The built-in notices: what a reader gets, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from notifier.channels.mail.composer import Sender, composed
from notifier.events.alerts import NoticeRaised
from notifier.message import Message
from notifier.messages.notice_view import NoticeView, notice_view
from notifier.messages.render import Renderer
from tests.messages.builders import NOW, TEMPLATES
from tests.messages.test_templates import HOSTILE, Page

RENDERER = Renderer([TEMPLATES])
LINK = "https://alerts.example.org/confirm/WyJjb25maXJtIiwiZGVzayJd.MAC"
FORMS = {
    "confirm": ("subject.txt", "body.txt", "body.html"),
    "operator": ("subject.txt", "body.txt", "body.html"),
    "suspended": (
        "subject.txt",
        "body.txt",
        "body.html",
        "slack.json",
        "teams.json",
        "discord.json",
        "atom.json",
        "atom.html",
        "console.txt",
        "webhook.json",
    ),
}
RAISED = NoticeRaised(
    subscriber="desk",
    channels=("email",),
    notice="suspended",
    about="team",
    reason="the Slack channel is archived",
    raised_at=NOW,
)


def told(view: NoticeView) -> dict[str, str]:
    return RENDERER.render(view.notice, FORMS[view.notice], view)


def test_a_suspended_channel_is_told_in_every_form():
    """Which one, why, and what to do; in text, page, Slack, terminal and event."""
    forms = told(notice_view(RAISED, subscriber="Hong Kong desk"))

    assert forms["subject.txt"] == "Your channel “team” is suspended"
    assert all(
        "team" in text and "the Slack channel is archived" in text
        for form, text in forms.items()
        if form not in {"subject.txt", "discord.json", "atom.json", "atom.html"}
    )
    for whole in (forms["discord.json"], forms["atom.json"] + forms["atom.html"]):
        assert "team" in whole
        assert "the Slack channel is archived" in whole
    assert all("Hong Kong desk" in forms[form] for form in forms if form not in {"subject.txt", "atom.json"})
    assert "operator can also resume" in forms["body.txt"]
    assert json.loads(forms["webhook.json"]) == {
        "type": "channel.suspended.v1",
        "subject": "team",
        "data": {
            "notice": "suspended",
            "channel": "team",
            "reason": "the Slack channel is archived",
            "raised_at": "2020-06-29T21:07:00Z",
            "subscriber": "Hong Kong desk",
        },
    }


def test_what_asks_for_confirmation_says_nothing_of_who_asked():
    """Its words are ours alone, the same for everybody but for the link (promise P12)."""
    raised = NoticeRaised(
        subscriber="desk", channels=("cheap watches",), notice="confirm", about="cheap watches", raised_at=NOW
    )

    forms = told(notice_view(raised, subscriber="Buy at evil.example", confirm=LINK))

    assert not [form for form, text in forms.items() if "watches" in text or "evil" in text]
    assert f"\n{LINK}\n" in forms["body.txt"]
    assert Page(forms["body.html"]).attributes.count(("href", LINK)) == 1
    assert forms["subject.txt"] == "Please confirm that you want alerts here"


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: text[:20])
def test_nothing_foreign_acts_in_a_notice(hostile: str):
    """A reason or a name is only ever text: no markup, no header, no JSON, no mention."""
    raised = NoticeRaised(
        subscriber="desk", channels=("email",), notice="suspended", about=hostile, reason=hostile, raised_at=NOW
    )

    forms = told(notice_view(raised, subscriber=hostile))

    page = Page(forms["body.html"])
    assert not {"script", "img"} & set(page.tags)
    assert "\n" not in forms["subject.txt"]
    assert "<!channel>" not in json.loads(forms["slack.json"])["text"]
    assert json.loads(forms["webhook.json"])["data"].keys() == {
        "notice",
        "channel",
        "reason",
        "raised_at",
        "subscriber",
    }
    assert not [form for form, text in forms.items() if {"\x1b", "\x00", "\u202e", "\r"} & set(text)]
    message = Message(id="0" * 32, parts=forms, written_at=NOW)
    mail = composed(message, Sender("Alerts", "alerts@house.example"), "desk@bank.example")
    assert b"\nBcc:" not in mail.partition(b"\r\n\r\n")[0]


def test_an_operators_own_notice_goes_before_ours(tmp_path: Path):
    """As with every template, one form at a time."""
    (tmp_path / "suspended").mkdir()
    (tmp_path / "suspended" / "subject.txt").write_text("{{ about }} has ended")
    renderer = Renderer([tmp_path, TEMPLATES])

    forms = renderer.render("suspended", FORMS["suspended"], notice_view(RAISED, subscriber="desk"))

    assert forms["subject.txt"] == "team has ended"
    assert "is suspended" in forms["body.txt"]


def test_the_operator_is_told_whose_channel_it_is_and_what_to_do():
    """In text and page; what a server said stays text."""
    raised = msgspec.structs.replace(RAISED, notice="operator", about="desk · team", reason="<b>550</b> no such user")

    forms = told(notice_view(raised, subscriber="Operator"))

    assert forms["subject.txt"] == "Channel suspended: desk · team"
    for form in ("body.txt", "body.html"):
        assert "desk · team" in forms[form]
        assert "notifier subscriptions resume" in " ".join(forms[form].split())
    assert "<b>550</b> no such user" in forms["body.txt"]
    assert "&lt;b&gt;550&lt;/b&gt; no such user" in forms["body.html"]
