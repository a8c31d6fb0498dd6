"""
Every form of an alert as it stands, kept in files, so that a change of wording is seen in review.

After a change that is meant, `NOTIFIER_RENEW=1 pytest tests/alerts/test_snapshots.py` writes the files anew; what they
hold then is what `git diff` shows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from notifier.channels.blocks import within_limits as fitted_blocks
from notifier.channels.embeds import within_limits as fitted_embeds
from notifier.channels.teams import CARD
from notifier.events.alerts import WatchlistMatched
from notifier.messages.alert_view import AlertView
from notifier.messages.render import Renderer
from tests.channels import card_rules, discord_rules, slack_rules
from tests.messages.builders import TEMPLATES, TEXT, statement, view

SNAPSHOTS = Path(__file__).with_name("snapshots")
RENEW = os.environ.get("NOTIFIER_RENEW") == "1"
RENDERER = Renderer([TEMPLATES])
FORMS = sorted(path.name for path in (TEMPLATES / "alert").iterdir())

BEFORE = statement(text=f"{TEXT} It ends on 5 May.")
AFTER = statement(text=f"{TEXT} It ends on 6 June.")
ALSO = [statement(f"Wire {n} tells the same", issuer=f"Wire {n}", link=f"https://wire{n}.example/") for n in range(2)]
FOLLOWED = statement("Commerce Department weighs Hong Kong's status")
BOTH = [WatchlistMatched(watchlist=name, query="Hong Kong", words=("Hong Kong",)) for name in ("Exports", "Asia")]

VIEWS = {
    "new": view(also=ALSO, matches=BOTH),
    "revised": view(AFTER, before=BEFORE, page="f" * 24, silent=True, follows=FOLLOWED),
    "withdrawn": view(withdrawn="its page is gone (410)", follows=FOLLOWED),
}

LONG = "<&*_香🚢 " * 4000
MANY = [WatchlistMatched(watchlist="W" * 64, query="(a OR b) " * 300, words=("word " * 16,) * 12)] * 12
# What makes a form long, or leaves most of it out.
ODD = {
    "long": view(
        statement(LONG, LONG, issuer=LONG),
        before=statement("Curbs", "".join(f"{n} <b> *c* " for n in range(3000))),
        hits="香",
        also=[statement(LONG, issuer=LONG, link="https://wire.example/" + "x" * 1900)] * 30,
        follows=statement(LONG, issuer=LONG),
        matches=MANY,
    ),
    "withdrawn and long": view(statement(LONG, LONG), withdrawn=LONG, also=[statement(LONG)] * 30, matches=MANY),
    "bare": view(statement("x", "", link="", published_at=None, issuer="", lang=""), hits="", name="\x00"),
    "without a title": view(statement("", ""), hits=""),
}


def seen(kind: str, form: str) -> str:
    """A form of an alert, JSON in lines that can be compared."""
    text = RENDERER.render("alert", (form,), VIEWS[kind])[form]
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" if form.endswith(".json") else text


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_reads_as_it_did(kind: str, form: str) -> None:
    """Word for word what was last agreed on."""
    path = SNAPSHOTS / kind / form
    text = seen(kind, form)
    if RENEW:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    assert path.exists(), "a new form has no snapshot yet: NOTIFIER_RENEW=1"
    assert text == path.read_text("utf-8")


def test_every_snapshot_is_of_a_form_that_there_is() -> None:
    """A form that was taken out leaves nothing behind that nobody compares."""
    kept = {path.relative_to(SNAPSHOTS).as_posix() for path in SNAPSHOTS.rglob("*.*")}

    assert kept == {f"{kind}/{form}" for kind in VIEWS for form in FORMS}


def rendered(form: str, of: AlertView) -> Any:
    return json.loads(RENDERER.render("alert", (form,), of)[form])


@pytest.mark.parametrize("kind", [*VIEWS, *ODD])
def test_every_alert_keeps_slacks_rules(kind: str) -> None:
    """Block Kit's limits and required fields (tests/channels/slack_rules.py), the longest and the barest too."""
    assert slack_rules.faults(fitted_blocks(rendered("slack.json", (VIEWS | ODD)[kind]))) == []


@pytest.mark.parametrize("kind", [*VIEWS, *ODD])
def test_every_alert_keeps_the_rules_of_cards(kind: str) -> None:
    """Text stands in runs alone (tests/channels/card_rules.py)."""
    card = rendered("teams.json", (VIEWS | ODD)[kind])

    assert card_rules.faults({"type": "message", "attachments": [{"contentType": CARD, "content": card}]}) == []


@pytest.mark.parametrize("kind", [*VIEWS, *ODD])
def test_every_alert_keeps_discords_rules(kind: str) -> None:
    """Discord's limits, and no sign acts but ours (tests/channels/discord_rules.py)."""
    assert discord_rules.faults(fitted_embeds(rendered("discord.json", (VIEWS | ODD)[kind]))) == []


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"text": ""}, "the fallback has 1"),
        ({"text": "<!channel>"}, "has markup"),
        ({"text": "a & b"}, "has markup"),
        ({}, "message needs ['text']"),
        ({"text": "x", "link_names": True}, "does not take ['link_names']"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "type 'mrkdwn'"),
        ({"text": "x", "blocks": [{"type": "header"}]}, "header needs ['text']"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "at most 50 blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "1 to 10 elements"),
        ({"text": "x", "blocks": [{"type": "section"}]}, "has text or fields"),
        ({"text": "x", "blocks": [{"type": "actions", "elements": []}]}, "of type 'actions'"),
        ({"text": "x", "blocks": [{"type": "rich_text", "elements": []}]}, "has elements"),
    ],
)
def test_slacks_rules_find_what_slack_refuses(payload: dict[str, Any], told: str) -> None:
    """A check that finds nothing would prove nothing."""
    assert told in " ".join(slack_rules.faults(payload))


@pytest.mark.parametrize(
    ("text", "acting"),
    [("\\*a\\*", ""), ("*a*", "**"), ("**a**", ""), ("> a", ""), ("a > b", ">"), ("@here", "@"), ("<https://x.y>", "")],
)
def test_discords_rules_find_what_acts(text: str, acting: str) -> None:
    """The same of Discord's."""
    assert discord_rules.read(text)[1] == acting
