"""
Alerts to a Slack channel through its incoming webhook.

The webhook's URL is the whole secret: whoever has it can write there. It appears in no error and no log line.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from notifier.channels.blocks import within_limits
from notifier.errors import Refused, TryLater
from notifier.guard import Network, connector
from notifier.message import Message, Receipt, without_controls

FORM = "slack.json"
TOTAL = 15.0  # seconds for one message, all told
ANSWER = 4096  # bytes of an answer that are read
SHORTEST, LONGEST = 1.0, 3600.0  # seconds that a Retry-After may ask for

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


class SlackChannel:
    """
    Posts to incoming webhooks, at public addresses and those in `allowed`: a test's, or a relay of the operator's own.
    Plain http is for the latter only.
    """

    kind = "slack"
    forms: tuple[str, ...] = (FORM,)

    def __init__(
        self,
        *,
        allowed: Iterable[Network] = (),
        total: float = TOTAL,
    ) -> None:
        self._allowed = tuple(allowed)
        self._total = total
        self._session: aiohttp.ClientSession | None = None

    def refusal(self, address: str) -> str:
        """Why this is no webhook's URL, "" when it looks right. Asks nobody, and does not repeat the URL."""
        if re.search(r"[^!-~]", address):
            return "a webhook's URL has neither spaces nor letters beyond ASCII; copy it whole from Slack"
        try:
            parts = urlsplit(address)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return "this is no URL; copy the webhook's from Slack"
        if parts.scheme not in {"https", "http"} or not host:
            return "a webhook's URL begins with https://"
        if parts.username is not None or parts.password is not None:
            return "a webhook's URL has no user name in it"
        if parts.scheme == "http" and not self._is_allowed(host):
            return (
                "a webhook's URL begins with https://; plain http is for hosts allowed under [fetch] in notifier.toml"
            )
        return "" if len(parts.path) > 1 else "a webhook's URL goes on after the host; copy it whole from Slack"

    def masked(self, address: str) -> str:
        """Host and last four letters: `hooks.slack.com/…Zq4T`."""
        try:
            host = urlsplit(address).hostname or "…"
        except ValueError:
            return "…"
        path = address.partition("://")[2].partition("/")[2]
        # Four letters of a short secret would be most of it.
        return f"{host}/…{address[-4:] if len(path) >= 16 else ''}"

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Post one message, and where Slack cannot read its blocks, once more as plain text.

        Raises `TryLater`, `unknown` where the connection ended after the request was sent, or `Refused`.
        """
        if self.refusal(address):
            raise Refused("the subscriber's webhook URL cannot be used; see `notifier subscriptions check`")
        payload = within_limits(json.loads(message.parts[FORM]))
        try:
            return await self._post(address, payload)
        except _Unreadable as error:
            plain = {"text": payload.get("text", ""), "unfurl_links": False, "unfurl_media": False}
            try:
                return await self._post(address, plain)
            except _Unreadable as again:
                told = f"Slack cannot read the message: {error}; as plain text: {again}; see templates/alert/slack.json"
                raise Refused(told, outcome="payload-refused") from again

    async def check(self) -> str:
        """Webhooks cannot be tried without posting; their shape is checked with the subscribers' files."""
        return "Slack webhooks are tried with the first alert: there is no way to ask without posting"

    async def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ---------------------------------------------------------------- one request

    async def _post(self, address: str, payload: dict[str, Any]) -> Receipt:
        host = urlsplit(address).hostname
        progress = _Progress()
        try:
            async with self._opened().post(
                address,
                data=msgspec.json.encode(payload),
                headers={"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"},
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                progress.status = response.status
                said = await _beginning(response)
                return _judged(response.status, said, response.headers, host or "")
        except asyncio.CancelledError as error:
            if not progress.sent:
                raise
            raise _lost(host or "", progress, error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if progress.status not in {0, 200}:
                # The status is answer enough, whatever became of the words after it.
                return _judged(progress.status, "", {}, host or "")
            # `from None`: the library's errors carry the request, and the request its URL.
            raise _lost(host or "", progress, error) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_headers_sent)
            self._session = aiohttp.ClientSession(
                # A connection kept alive may be closed by them in the moment that we write on it, and then nobody can
                # say whether they read it. One message a second does not need it.
                connector=connector(self._allowed, force_close=True),
                timeout=aiohttp.ClientTimeout(total=self._total),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                trace_configs=[trace],
            )
        return self._session

    def _is_allowed(self, host: str) -> bool:
        try:
            number = ip_address("127.0.0.1" if host == "localhost" else host)
        except ValueError:
            return False
        return any(number in network for network in self._allowed)


class _Unreadable(Exception):
    """Slack could not read this payload; another might do."""


class _Progress(msgspec.Struct):
    """How far a request got: were its headers sent, and which status came back (0 for none)."""

    sent: bool = False
    status: int = 0


async def _headers_sent(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.sent = True


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of an answer; a long one is cut, and nothing is unpacked."""
    body = b""
    while len(body) < ANSWER and (chunk := await response.content.read(ANSWER - len(body))):
        body += chunk
    return body.decode("utf-8", "replace").strip()


def _judged(status: int, said: str, headers: Any, host: str) -> Receipt:
    """The receipt, or the error that this answer amounts to."""
    # Only Slack's own words are repeated: an answer of another kind may hold anything, the URL included.
    word = said if _SLUG.fullmatch(said) else ""
    told = f"{host} answered {status} {word}".rstrip()
    match status:
        case 200 if said == "ok":
            return Receipt("200 ok")
        case 200:
            raise TryLater(f"{told}, but not with ok: it may have arrived", outcome="unknown", after=900, unknown=True)
        case 429 | 503:
            raise TryLater(told, outcome="throttled", after=_asked(headers))
        case 404 | 410:
            raise Refused(f"{told}: this webhook is no more; put a new one in place", outcome="endpoint-gone")
        case _ if word in _DEAD:
            raise Refused(f"{told}: this webhook takes no messages; put a new one in place", outcome="endpoint-gone")
        case 400 | 413 | 415 | 422:
            raise _Unreadable(told)
        case 401 | 403:
            raise TryLater(f"{told}; is the webhook still allowed there?", outcome="forbidden", after=1200)
        case _ if status // 100 == 3:
            raise TryLater(f"{told}, a redirect, which is not followed", outcome="redirected", after=900)
        case _:
            raise TryLater(told, outcome="try-later", after=_asked(headers))


def _asked(headers: Any) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3), within bounds; None where there is none that we can read."""
    raw = str(headers.get("Retry-After", "")).strip()
    if re.fullmatch(r"-?\d{1,20}(\.\d{1,6})?", raw):
        return min(max(float(raw), SHORTEST), LONGEST)
    moment, now = _date(raw), _date(str(headers.get("Date", "")))
    # Held against their own clock, which may be off from ours.
    if moment is None or now is None:
        return None
    return min(max((moment - now).total_seconds(), SHORTEST), LONGEST)


def _date(raw: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return date if date.tzinfo else None


def _lost(host: str, progress: _Progress, error: BaseException) -> TryLater:
    if progress.sent:
        return TryLater(
            f"{host} fell silent or hung up after the message was sent, or we stopped; it may have arrived",
            outcome="unknown",
            after=900,
            unknown=True,
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TryLater(f"{host} shows a certificate that does not hold; nothing was sent", outcome="bad-certificate")
    if isinstance(error, aiohttp.ClientSSLError):
        return TryLater(f"{host} does not speak TLS as it should; nothing was sent", outcome="bad-certificate")
    reason = getattr(error, "strerror", None) or "no answer"
    return TryLater(f"{host} cannot be reached: {without_controls(str(reason))}", outcome="unreachable")
