"""
JSON posted to an address on the web: what Slack, Teams, Discord and everybody's webhooks have in common.

Whoever has such an address can write there, so it is a secret: it appears in no error and no log line.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter

from notifier.channels.pace import Pace
from notifier.errors import Refused, Scope, TryLater
from notifier.guard import Network, connector, is_public
from notifier.message import Receipt, without_controls

TOTAL = 15.0  # seconds for one message, all told
ANSWER = 4096  # bytes of an answer that are read
SHORTEST, LONGEST = 1.0, 3600.0  # seconds that a Retry-After may ask for
FORBIDDEN = 1200.0  # seconds until an address that turned us away is asked once more
PEACE = 60.0  # seconds in which nobody writes to an address that wants fewer messages, and does not say how many

_JSON = {"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"}


class UnreadablePayload(Exception):
    """The other side could not read this payload; another might do."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, the beginning of the body ("" where it was cut off), and the headers."""

    host: str
    status: int
    said: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.host} answered {self.status}"


class Posting:
    """
    A channel that posts to addresses on the web: public ones, and those in `allowed` (a test's, or a relay of the
    operator's own). Plain http is for the latter only. Redirects are not followed, and no cookie is kept.

    A kind of channel says from where its addresses come (`origin`), how many seconds lie between two messages to one of
    them (`every`), and whether the other side knows a second copy by its id (`knows_copies`): then an end of the
    connection after the message leaves nothing unknown, it is simply sent again. `ticks`, which never go back, are
    those of its pace.
    """

    kind: str
    forms: tuple[str, ...]
    at_once: int = 64
    origin: ClassVar[str]
    every: ClassVar[float] = 0.0
    knows_copies: ClassVar[bool] = False

    def __init__(
        self,
        *,
        allowed: Iterable[Network] = (),
        total: float = TOTAL,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = tuple(allowed)
        self._total = total
        self._pace = Pace(self.every, clock=ticks)
        # An address is looked at once, and not with each of its messages.
        self._problem = functools.lru_cache(10_000)(self.refusal)
        self._session: aiohttp.ClientSession | None = None

    def refusal(self, address: str) -> str:
        """Why this is not a webhook's URL, "" if it looks right. Connects to nothing, and does not repeat the URL."""
        if re.search(r"[^!-~]", address):
            return f"a webhook's URL has neither spaces nor letters beyond ASCII; copy it whole from {self.origin}"
        try:
            parts = urlsplit(address)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return f"this is not a URL; copy the webhook's from {self.origin}"
        if parts.scheme not in {"https", "http"} or not host:
            return "a webhook's URL begins with https://"
        if parts.username is not None or parts.password is not None:
            return "a webhook's URL has no user name in it"
        if problem := self._leads_nowhere(parts.scheme, host):
            return problem
        whole = len(parts.path) > 1
        return "" if whole else f"a webhook's URL has a path; copy the whole URL from {self.origin}"

    def _leads_nowhere(self, scheme: str, host: str) -> str:
        """Why nothing is sent to this host, "" where it may be; a name is looked up with each message, not here."""
        number = _number(host)
        is_allowed = bool(number) and any(ip_address(number) in network for network in self._allowed)
        if scheme == "http" and not is_allowed:
            return (
                "a webhook's URL begins with https://; plain http is for hosts allowed under [fetch] in notifier.toml"
            )
        if number and not is_public(number, self._allowed):
            return "a webhook's URL must be on the public internet, or on a host allowed under [fetch] in notifier.toml"
        return ""

    def masked(self, address: str) -> str:
        """Host and last four letters: `hooks.slack.com/…Zq4T`."""
        try:
            host = urlsplit(address).hostname or "…"
        except ValueError:
            return "…"
        path = address.partition("://")[2].partition("/")[2]
        # Four letters of a short secret would be most of it.
        return f"{host}/…{address[-4:] if len(path) >= 16 else ''}"

    def place(self, address: str) -> str:
        """The host of the URL, in small letters."""
        try:
            return urlsplit(address).hostname or ""
        except ValueError:
            return ""

    def turn(self, address: str) -> float:
        """Take the address's next turn and return 0; or the seconds until there may be one, and take none."""
        return self._pace.turn(address)

    async def check(self) -> str:
        """Webhooks cannot be tried without posting; their shape is checked with the subscribers' files."""
        return "tried with the first alert: it cannot be checked without posting"

    async def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ---------------------------------------------------------------- one request

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """
        The answer to one POST, whatever its status.

        Raises `TryLater` where there was none: `unknown` where the request was sent before the connection ended.
        """
        try:
            return await self._post_once(url, body, headers or {}, _Progress())
        except _ConnectionClosed:
            # Perhaps a connection kept alive that they closed in the moment that we wrote on it. They know a copy.
            return await self._post_once(url, body, headers or {}, _Progress(again=True))

    async def _post_once(self, url: str, body: bytes, headers: Mapping[str, str], progress: _Progress) -> Answer:
        host = urlsplit(url).hostname or ""
        try:
            async with self._opened().post(
                url,
                data=_Body(body, progress),
                headers={**_JSON, **headers},
                allow_redirects=False,
            ) as response:
                progress.answer = Answer(host, response.status, "", response.headers)
                said = await _beginning(response)
                return Answer(host, response.status, said, response.headers)
        except asyncio.CancelledError as error:
            if not progress.sent:
                raise
            raise self._lost(host, progress, error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if progress.answer is not None:
                # The status is answer enough, whatever became of the words after it.
                return progress.answer
            hung_up = isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError)
            if hung_up and progress.sent and self.knows_copies and not progress.again:
                raise _ConnectionClosed from None
            # `from None`: the library's errors carry the request, and the request its URL.
            raise self._lost(host, progress, error) from None

    def judged(self, answer: Answer, url: str, told: str = "") -> Receipt:
        """
        The receipt, or the error for an answer; `told` describes the answer. Raises `UnreadablePayload` if another
        payload may be accepted.
        """
        told = told or str(answer)
        match answer.status:
            case status if status // 100 == 2:
                return Receipt(str(status))
            case 429 | 503:
                raise self.throttled(url, told, asked(answer.headers))
            case 404 | 410:
                raise Refused(f"{told}: this webhook no longer exists; make a new one", outcome="endpoint-gone")
            case 400 | 413 | 415 | 422:
                raise UnreadablePayload(told)
            case 401 | 403:
                told = f"{told}; is the webhook still allowed there?"
                raise TryLater(told, outcome="forbidden", after=FORBIDDEN, scope="address")
            case status if status // 100 == 3:
                told = f"{told}, a redirect, which is not followed"
                raise TryLater(told, outcome="redirected", after=900, scope="address")
            case 502 | 504:
                # Whoever stands before the receiver does not reach it; with another message neither.
                raise TryLater(told, outcome="try-later", after=asked(answer.headers), scope="address")
            case _:
                raise TryLater(told, outcome="try-later", after=asked(answer.headers))

    def throttled(self, url: str, told: str, after: float | None) -> TryLater:
        """The error for an address that wants fewer messages; until then nobody's go there."""
        self._pace.hold(url, PEACE if after is None else after)
        return TryLater(told, outcome="throttled", after=after, scope="address", counts=False)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A connection kept alive may be closed by them in the moment that we write on it, and then nobody can
                # say whether they read it. Where a copy is known by its id, that does not matter.
                # How many are under way is for whoever calls: a limit here would let silent hosts hold up all others.
                connector=connector(self._allowed, force_close=not self.knows_copies, limit=0),
                timeout=aiohttp.ClientTimeout(total=self._total),
                headers={"User-Agent": "policy-change-notifier"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    def _lost(self, host: str, progress: _Progress, error: BaseException) -> TryLater:
        # A host that takes a request and says nothing would do so to the next one; one that hangs up may mean this one.
        scope: Scope = "place" if isinstance(error, TimeoutError) else "message"
        if progress.sent and self.knows_copies:
            told = f"{host} fell silent or hung up after the message was sent; it knows a second copy by its id"
            return TryLater(told, outcome="cut-off", scope=scope)
        if progress.sent:
            told = f"{host} fell silent or hung up after the message was sent, or we stopped; it may have arrived"
            return TryLater(told, outcome="unknown", after=900, unknown=True, scope=scope)
        return _unreached(host, error)


class _ConnectionClosed(Exception):
    """They closed the connection before their answer."""


class _Progress(msgspec.Struct):
    """How far a request got: is it the second, was its body written, and what came back so far."""

    again: bool = False
    sent: bool = False
    answer: Answer | None = None


class _Body(aiohttp.BytesPayload):
    """A body that notes when it is written: from then on they may have the request, and before they had none of it."""

    def __init__(self, body: bytes, progress: _Progress) -> None:
        super().__init__(body)
        self._progress = progress

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._progress.sent = True
        await super().write_with_length(writer, content_length)


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of an answer; a long one is cut, and nothing is unpacked."""
    body = b""
    while len(body) < ANSWER and (chunk := await response.content.read(ANSWER - len(body))):
        body += chunk
    return body.decode("utf-8", "replace").strip()


def asked(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3), within bounds; None where there is none that we can read."""
    raw = str(headers.get("Retry-After", "")).strip()
    if re.fullmatch(r"-?\d{1,20}(\.\d{1,6})?", raw):
        return bounded(float(raw))
    moment, now = _date(raw), _date(str(headers.get("Date", "")))
    # Held against their own clock, which may be off from ours.
    return None if moment is None or now is None else bounded((moment - now).total_seconds())


def bounded(seconds: float) -> float:
    """A wait that was asked for, as long as we grant it: a longer one would silence us, a shorter one make us spin."""
    return min(max(seconds, SHORTEST), LONGEST)


def _number(host: str) -> str:
    """The numeric address that a host is, in whatever spelling (`127.1`, `0x7f000001`); "" for a name."""
    if re.fullmatch(r"(.+\.)?localhost\.?", host):
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        return str(ip_address(host.partition("%")[0]))
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return ""


def _date(raw: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return date if date.tzinfo else None


def _unreached(host: str, error: BaseException) -> TryLater:
    """The error for a host that no message reached: it is the host's, whatever the address on it."""
    outcome = "unreachable"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        outcome, told = "bad-certificate", f"{host} shows a certificate that does not hold; nothing was sent"
    elif isinstance(error, aiohttp.ClientSSLError):
        outcome, told = "bad-certificate", f"{host} does not speak TLS as it should; nothing was sent"
    else:
        reason = getattr(error, "strerror", None) or "no answer"
        told = f"{host} cannot be reached: {without_controls(str(reason))}"
    return TryLater(told, outcome=outcome, scope="place")
