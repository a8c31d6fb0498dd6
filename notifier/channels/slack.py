"""
Alerts to a Slack channel through its incoming webhook.

The webhook's URL is the whole secret: whoever has it can write there. It appears in no error and no log line.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from notifier.channels.blocks import within_limits
from notifier.channels.posting import Posting, UnreadablePayload
from notifier.errors import Refused, TryLater
from notifier.message import Message, Receipt

FORM = "slack.json"

# What Slack says where this webhook will never work again, with any message.
_DEAD = {
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_service_id",
    "no_team",
    "posting_to_general_channel_denied",
    "team_disabled",
    "user_not_found",
}
_SLUG = re.compile(r"[a-z][a-z0-9_]{1,60}")


class SlackChannel(Posting):
    """Posts to incoming webhooks, a message a second to each."""

    kind = "slack"
    forms: tuple[str, ...] = (FORM,)
    origin = "Slack"
    every = 1.0

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Post one message, and where Slack cannot read its blocks, once more as plain text.

        Raises `TryLater`, `unknown` where the connection ended after the request was sent, or `Refused`.
        """
        if self._problem(address):
            raise Refused("the subscriber's webhook URL cannot be used; see `notifier subscriptions check`")
        payload = within_limits(json.loads(message.text(FORM)))
        try:
            return await self._posted(address, payload)
        except UnreadablePayload as error:
            plain = {"text": payload.get("text", ""), "unfurl_links": False, "unfurl_media": False}
            try:
                return await self._posted(address, plain)
            except UnreadablePayload as again:
                told = f"Slack cannot read the message: {error}; as plain text: {again}; see templates/alert/slack.json"
                raise Refused(told, outcome="payload-refused") from again

    async def _posted(self, address: str, payload: dict[str, Any]) -> Receipt:
        answer = await self.post(address, msgspec.json.encode(payload))
        # Only Slack's own words are repeated: an answer of another kind may hold anything, the URL included.
        word = answer.said if _SLUG.fullmatch(answer.said) else ""
        told = f"{answer} {word}".rstrip()
        match answer.status:
            case 200 if answer.said == "ok":
                return Receipt("200 ok")
            case status if status // 100 == 2:
                told = f"{told}, but not with ok: it may have arrived"
                raise TryLater(told, outcome="unknown", after=900, unknown=True)
            case _ if word in _DEAD:
                told = f"{told}: this webhook does not accept messages; make a new one"
                raise Refused(told, outcome="endpoint-gone")
            case _:
                return self.judged(answer, address, told)
