"""Messages for the tests of this room."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from notifier.message import Message

WRITTEN_AT = datetime(2020, 6, 29, 21, 7, tzinfo=UTC)

HOSTILE = [
    "Title\r\nBcc: x@y.example",
    "=?utf-8?q?a=0d=0aBcc:_e@z.example?=",
    "<script>alert(1)</script>",
    "<!channel> <@U123> & <https://evil.example|x>",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\u202egnirts desrever\u2066",
    ".\r\n.\r\nQUIT\r\n",
    "a\x00b",
    "香港特殊待遇 — “dual‑use” ÄÖÜ 🚢",
    "long words " * 2000,
    "x" * 20_000,
]


def message(
    subject: str = "Curbs on exports",
    text: str = "Exports are curbed.\n",
    html: str = "<p>Exports are curbed.</p>\n",
    payload: object = None,
    *,
    id: str = "c0ffee" * 5,
) -> Message:
    """One alert in all forms."""
    slack = {"text": subject} if payload is None else payload
    return Message(
        id=id,
        parts={
            "subject.txt": subject,
            "body.txt": text,
            "body.html": html,
            "slack.json": json.dumps(slack),
            "webhook.json": json.dumps({"type": "alert.v1", "data": {"title": subject}}),
            "teams.json": json.dumps(card(subject)),
            "discord.json": json.dumps({"content": subject, "embeds": []}),
            "atom.json": json.dumps({"title": subject}),
            "atom.html": html,
            "console.txt": text,
        },
        written_at=WRITTEN_AT,
    )


def card(text: str) -> dict[str, object]:
    """The least card that says something."""
    said = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}
    return {"type": "AdaptiveCard", "version": "1.4", "body": [said]}
