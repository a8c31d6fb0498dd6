"""
Alerts to a Discord channel through its webhook.

The webhook's URL is the whole secret: whoever has it can write there. It appears in no error and no log line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from notifier.channels.embeds import plain, within_limits
from notifier.channels.posting import Answer, Posting, UnreadablePayload, asked, bounded
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.message import Message, Receipt

FORM = "discord.json"

# What Discord says of a webhook, its token or its thread that are no more.
_GONE = {10003, 10015, 50027}


class _DiscordError(msgspec.Struct, frozen=True):
    """What we read of an error's body: Discord's code, and for how long to keep quiet (seconds)."""

    code: int = 0
    retry_after: float | None = None
    is_global: bool = msgspec.field(default=False, name="global")


class DiscordChannel(Posting):
    """Posts embeds to webhooks, as fast as Discord's answers allow: limits are told there, and no number is ours."""

    kind = "discord"
    forms: tuple[str, ...] = (FORM,)
    origin = "Discord (the channel's settings, Integrations)"

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Post one message, and where Discord cannot read its embeds, once more as plain text.

        Raises `TryLater`, `unknown` where the connection ended after the request was sent, or `Refused`.
        """
        if self._problem(address):
            raise Refused("the subscriber's webhook URL cannot be used; see `notifier subscriptions check`")
        payload = within_limits(_payload(message))
        try:
            return await self._posted(address, payload)
        except UnreadablePayload as error:
            try:
                return await self._posted(address, plain(payload))
            except UnreadablePayload as again:
                told = f"Discord cannot read the message: {error}; as plain text: {again}; see templates/alert/{FORM}"
                raise Refused(told, outcome="payload-refused") from again

    async def _posted(self, address: str, payload: dict[str, Any]) -> Receipt:
        answer = await self.post(_waiting(address), msgspec.json.encode(payload))
        said = _said(answer)
        told = f"{answer} {said.code or ''}".rstrip()
        if answer.status == 429:
            raise self._slower(answer, said, address, told)
        self._heed(answer.headers, address)
        if said.code in _GONE and answer.status in {401, 403, 404}:
            raise Refused(f"{told}: this webhook no longer exists; make a new one", outcome="endpoint-gone")
        if answer.status == 404:
            # Without a code of Discord's it is something before it that does not know the way.
            raise TryLater(told, outcome="try-later", scope="place")
        return self.judged(answer, address, told)

    def _slower(self, answer: Answer, said: _DiscordError, address: str, told: str) -> TryLater:
        """The error for a webhook that wants fewer messages; where all of Discord does, for all on that host."""
        after = asked(answer.headers) if said.retry_after is None else bounded(said.retry_after)
        if said.is_global:
            return TryLater(told, outcome="throttled", after=after, scope="place", counts=False)
        return self.throttled(address, told, after)

    def _heed(self, headers: Mapping[str, str], address: str) -> None:
        """Nobody writes to a webhook that has no message left, until it has."""
        left, after = (headers.get(f"X-RateLimit-{name}", "").strip() for name in ("Remaining", "Reset-After"))
        if left == "0" and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", after):
            self._pace.hold(address, bounded(float(after)))


def _payload(message: Message) -> dict[str, Any]:
    written: Any = json.loads(message.text(FORM))
    embeds = written.get("embeds", []) if isinstance(written, dict) else None
    if not isinstance(embeds, list) or not all(isinstance(each, dict) for each in embeds):
        problem = 'it must write a JSON object with "content" and "embeds", a list of objects'
        raise Misconfigured([Mistake(f"templates/alert/{FORM}", 0, problem, "see docs/templates.md")])
    return dict(written)


def _waiting(address: str) -> str:
    """The webhook's URL, such that Discord answers once the message stands there, and not before."""
    parts = urlsplit(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def _said(answer: Answer) -> _DiscordError:
    """What the body says; nothing of it is repeated but the number."""
    try:
        return msgspec.json.decode(answer.said, type=_DiscordError)
    except msgspec.DecodeError:
        return _DiscordError()
