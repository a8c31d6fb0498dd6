"""
Alerts to a program of the subscriber's own: a CloudEvent, signed, over HTTP.

The event has the form of CloudEvents 1.0 in JSON (structured mode), the signature that of Standard Webhooks 1.0.0. A
delivery keeps its id over all attempts, so whoever receives may throw a second copy away.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from notifier.channels.json_limits import fitted
from notifier.channels.posting import TOTAL, Posting, UnreadablePayload
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.guard import Network
from notifier.message import Message, Receipt

FORM = "webhook.json"
MOST = 20_000 - 1  # bytes of a body; Standard Webhooks asks for less than 20 kB
SOURCE = "/notifier"  # as in the log, when it is shown to programs
TYPE = "application/cloudevents+json; charset=utf-8"

PREFIX = "whsec_"
KEYS = 2  # a new one, and the old one until everybody has the new
_SECRETS = 'write secrets = ["${NAME}"], and the old one beside it while it is being replaced'


class WebhookChannel(Posting):
    """
    Posts events and signs them with every key of the endpoint: one, or two while one is being replaced.

    An address is the URL and its keys, separated by spaces. `clock` gives the time in seconds since 1970 for the
    signature: receivers refuse old ones, so that nobody can replay them.
    """

    kind = "webhook"
    forms: tuple[str, ...] = (FORM,)
    origin = "the receiver"
    knows_copies = True

    def __init__(
        self,
        *,
        allowed: Iterable[Network] = (),
        total: float = TOTAL,
        ticks: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(allowed=allowed, total=total, ticks=ticks)
        self._clock = clock

    def refusal(self, address: str) -> str:
        """Why this is no webhook's URL with one or two keys; "" when it looks right. Repeats neither."""
        url, *keys = address.split(" ")
        if problem := super().refusal(url):
            return problem
        if not keys:
            return f"events for a webhook are signed, and this one has no key; {_SECRETS}"
        if len(keys) > KEYS:
            return f"a webhook has one key, or two while the first is being replaced; {_SECRETS}"
        if not all(_key(text) for text in keys):
            return f'a key for signing is "{PREFIX}" and 24 to 64 bytes in base64 (Standard Webhooks); make a new one'
        return ""

    def masked(self, address: str) -> str:
        """Host and last four letters of the URL; nothing of the keys."""
        return super().masked(_url(address))

    def turn(self, address: str) -> float:
        """Take the address's next turn and return 0; or the seconds until there may be one, and take none."""
        return super().turn(_url(address))

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Post one event; any 2xx is success.

        Raises `TryLater` or `Refused`; never `unknown`, since the receiver knows a second copy by its id.
        """
        if self._problem(address):
            raise Refused("the subscriber's webhook cannot be used; see `notifier subscriptions check`")
        url, *keys = address.split(" ")
        body = _event(message)
        stamp = str(int(self._clock()))
        headers = {
            "Content-Type": TYPE,
            "webhook-id": message.id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(signature(_key(key), message.id, stamp, body) for key in keys),
        }
        answer = await self.post(url, body, headers)
        if answer.status == 404:
            # Also what a receiver says while it is being put in place. One that wants no more says 410.
            raise TryLater(f"{answer}; is the receiver in place?", outcome="try-later", scope="address")
        try:
            return self.judged(answer, url)
        except UnreadablePayload as error:
            raise Refused(f"{error}: it cannot read the event", outcome="payload-refused") from error


def signature(key: bytes, id: str, stamp: str, body: bytes) -> str:
    """One signature in the header's form: version, and HMAC-SHA256 over id, time and body."""
    digest = hmac.digest(key, b".".join((id.encode(), stamp.encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _url(address: str) -> str:
    return address.partition(" ")[0]


def _key(text: str) -> bytes:
    """The bytes of a key as it is written; none where it is no key."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key if text.startswith(PREFIX) and 24 <= len(key) <= 64 else b""


def _event(message: Message) -> bytes:
    """The CloudEvent: what the template wrote, and what every event has, which no template can change."""
    said: Any = json.loads(message.text(FORM))
    kind = said.get("type") if isinstance(said, dict) else None
    if not isinstance(kind, str) or not kind:
        raise _wrong('it must write a JSON object with "type", a text (CloudEvents 1.0)')
    event = {
        "specversion": "1.0",
        "id": message.id,
        "source": SOURCE,
        "time": message.written_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
    }
    try:
        return fitted(said | event, MOST)
    except ValueError as error:
        raise _wrong(str(error)) from error


def _wrong(problem: str) -> Misconfigured:
    return Misconfigured([Mistake(f"templates/alert/{FORM}", 0, problem, "see docs/templates.md")])
