"""
Alerts to a channel or chat of Microsoft Teams, through a workflow that accepts Adaptive Cards.

Teams' own webhooks are retired; their successor is a workflow of Power Automate ("Send webhook alerts to a channel"),
whose URL is the only secret.
"""

from __future__ import annotations

import json
import re
from typing import Any

from notifier.channels.json_limits import fitted
from notifier.channels.posting import Answer, Posting, UnreadablePayload
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.message import Message, Receipt

FORM = "teams.json"
MOST = 28_000  # bytes of a message; Teams takes 28 KB
CARD = "application/vnd.microsoft.card.adaptive"
_CODE = re.compile(r'"code"\s*:\s*"([A-Za-z]{1,60})"')
_OFF = "WorkflowTriggerIsNotEnabled"  # said with 400, though nothing is wrong with the message


class TeamsChannel(Posting):
    """Posts Adaptive Cards to workflows, four a second to each at most."""

    kind = "teams"
    forms: tuple[str, ...] = (FORM,)
    origin = "Teams (Workflows, “Send webhook alerts to a channel”)"
    every = 0.25

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Post one card; 202 says that the workflow took it, and any other 2xx is as good.

        Raises `TryLater`, `unknown` where the connection ended after the request was sent, or `Refused`.
        """
        if self._problem(address):
            raise Refused("the subscriber's Teams URL cannot be used; see `notifier subscriptions check`")
        answer = await self.post(address, _body(message))
        told = f"{answer} {_code(answer)}".rstrip()
        if _code(answer) == _OFF:
            told = f"{told}: the workflow is switched off"
            raise TryLater(told, outcome="forbidden", after=1200, scope="address")
        try:
            return self.judged(answer, address, told)
        except UnreadablePayload as error:
            told = f"Teams cannot read the card: {error}; see templates/alert/{FORM}"
            raise Refused(told, outcome="payload-refused") from error


def _code(answer: Answer) -> str:
    """Microsoft's word for an error; nothing else of the answer is repeated, for it may hold the URL."""
    found = _CODE.search(answer.said)
    return found[1] if found else ""


def _body(message: Message) -> bytes:
    """The card that the template wrote, in the envelope that a workflow takes, within its limit."""
    card: Any = json.loads(message.text(FORM))
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
        raise _wrong('it must write a JSON object with "type": "AdaptiveCard"')
    try:
        return fitted({"type": "message", "attachments": [{"contentType": CARD, "content": card}]}, MOST)
    except ValueError as error:
        raise _wrong(str(error)) from error


def _wrong(problem: str) -> Misconfigured:
    return Misconfigured([Mistake(f"templates/alert/{FORM}", 0, problem, "see docs/templates.md")])
