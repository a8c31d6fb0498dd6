"""
A feed's address → its document, or word that nothing is new.

Polite (both validators, Retry-After, two requests a host at a time, a name and a contact), and on its guard: every
answer is bounded in bytes, in time and in where it may come from (promise P9).
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from notifier.errors import Refused, TryLater
from notifier.feeds.feed import Document, Feed, Unchanged, Validators
from notifier.guard import Network, refuse_inside

BYTES = 16 * 1024 * 1024  # of a document, decoded; as many may come over the wire
SECONDS = 30.0  # for one poll, from the first look-up to the last byte, redirects included
REDIRECTS = 5
A_HOST = 2  # requests to one host at a time

_GZIP = b"\x1f\x8b"
_PERMANENT = {301, 308}
_TEMPORARY = {302, 303, 307}
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/rdf+xml, application/feed+json, application/xml;q=0.9, "
    "application/json;q=0.8, */*;q=0.5"
)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Fetcher:
    """
    Fetches documents over one shared session. `allow` are networks inside that may be reached all the same, `contact`
    an address or URL by which a publisher can reach the operator. Close it at the end.
    """

    def __init__(
        self,
        allow: Iterable[Network] = (),
        contact: str = "",
        seconds: float = SECONDS,
        clock: Callable[[], datetime] = _wall_clock,
    ) -> None:
        self._guard: Any = refuse_inside(allow)
        self._seconds = seconds
        self._clock = clock
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._not_before: dict[str, datetime] = {}
        self._session: aiohttp.ClientSession | None = None
        about = f" (+{contact})" if contact else ""
        self._headers = {
            "User-Agent": f"policy-change-notifier{about}",
            "Accept": _ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        }

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        """
        The feed's document as it is now, or `Unchanged`: the server says so, or the body is the one we know.

        Raises `TryLater` (outcomes unreachable, throttled) and `Refused` (blocked, blocked-address, bad-address,
        retired, not-found, parse-error for a body over its limits).
        """
        host = urlsplit(feed.url).netloc.rpartition("@")[2]
        try:
            # The wait for a place counts too: feeds of one slow host must not hold up those of others.
            async with asyncio.timeout(self._seconds), self._place(host):
                return await self._follow(feed, known)
        except TimeoutError as error:
            raise TryLater(f"{host} took over {self._seconds:g} s", outcome="unreachable") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise Refused(f"{feed.id}: its address, or one it leads to, is none", outcome="bad-address") from error
        except aiohttp.ClientConnectorError as error:
            raise TryLater(f"{host}: no connection ({error.os_error})", outcome="unreachable") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TryLater(f"{host}: {type(error).__name__}, the answer broke off", outcome="unreachable") from error

    def _place(self, host: str) -> asyncio.Semaphore:
        return self._hosts.setdefault(host, asyncio.Semaphore(A_HOST))

    async def _follow(self, feed: Feed, known: Validators) -> Document | Unchanged:
        url, moved_to, permanent = feed.url, "", True
        for _ in range(REDIRECTS + 1):
            host = _host_of(url)
            self._await_turn(host)
            # Headers of the operator's may hold a key: they go to the host he named, and no further.
            own = feed.headers if host == _host_of(feed.url) else {}
            async with self._open().get(url, headers=self._headers | own | _conditions(known)) as answer:
                if answer.status in _PERMANENT | _TEMPORARY:
                    url = _joined(url, answer.headers.get("Location", ""))
                    permanent = permanent and answer.status in _PERMANENT
                    moved_to = url if permanent else moved_to
                    continue
                self._heed(host, answer)
                return await _read(answer, known, url, moved_to)
        raise Refused(f"{_host_of(feed.url)}: over {REDIRECTS} redirects", outcome="blocked")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._guard, limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                # One clock for the whole poll runs in fetch.
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
                # Some ministries send ten kilobytes of Content-Security-Policy.
                max_field_size=64 * 1024,
            )
        return self._session

    def _await_turn(self, host: str) -> None:
        """Raise while a host has asked us to stay away."""
        if until := self._not_before.get(host):
            wait = (until - self._clock()).total_seconds()
            if wait > 0:
                raise TryLater(f"{host} asked us to wait", outcome="throttled", after=wait)
            del self._not_before[host]

    def _heed(self, host: str, answer: aiohttp.ClientResponse) -> None:
        """Raise for an answer that is no document."""
        status = answer.status
        if status in (200, 304):
            return
        if status == 429 or (status == 503 and "Retry-After" in answer.headers):
            now = self._clock()
            after = retry_after(answer.headers.get("Retry-After", ""), now)
            if after:
                self._not_before[host] = now + timedelta(seconds=after)
            raise TryLater(f"{host} answered {status}", outcome="throttled", after=after)
        if status in (404, 410):
            outcome = "retired" if status == 410 else "not-found"
            raise Refused(f"{host} answered {status}: the feed is not there", outcome=outcome)
        if status in (401, 402, 403, 405, 406, 451) or 200 <= status < 300:
            # A 202 is a bot wall's challenge: no 2xx but 200 brings a document.
            raise Refused(f"{host} answered {status}: it does not let us read", outcome="blocked")
        raise TryLater(f"{host} answered {status}", outcome="unreachable")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _host_of(url: str) -> str:
    """The host (and port) of an address that we may ask. Raises `Refused("bad-address")` for any other."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"not an http or https address: {parts.scheme}:…", outcome="bad-address")
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{parts.hostname}: the address carries a user name; take it out", outcome="bad-address")
    return parts.netloc


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Refused(f"{_host_of(url)} leads to what is no address", outcome="bad-address") from error


def _conditions(known: Validators) -> dict[str, str]:
    # Both: some servers honour the one, some the other.
    conditions = {}
    if known.etag:
        conditions["If-None-Match"] = known.etag
    if known.last_modified:
        conditions["If-Modified-Since"] = known.last_modified
    return conditions


async def _read(answer: aiohttp.ClientResponse, known: Validators, url: str, moved_to: str) -> Document | Unchanged:
    etag, modified = _plain(answer, "ETag"), _plain(answer, "Last-Modified")
    if answer.status == 304:
        if not (known.etag or known.last_modified):
            raise TryLater(f"{_host_of(url)} answered 304, unasked", outcome="unreachable")
        return Unchanged(Validators(etag or known.etag, modified or known.last_modified, known.body_hash), moved_to)
    body = await _whole(answer)
    validators = Validators(etag, modified, hashlib.blake2b(body, digest_size=16).hexdigest())
    if validators.body_hash == known.body_hash:
        return Unchanged(validators, moved_to)
    content_type = _plain(answer, "Content-Type")
    return Document(body=body, url=url, content_type=content_type, validators=validators, moved_to=moved_to)


def _plain(answer: aiohttp.ClientResponse, name: str) -> str:
    """A header that is fit to be kept and sent back: ASCII and of a sane length; else ""."""
    value = answer.headers.get(name, "")
    return value if value.isascii() and value.isprintable() and len(value) <= 1_000 else ""


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body, decoded and bounded. What is cut short against its Content-Length raises in aiohttp."""
    codings = [coding.strip().lower() for coding in answer.headers.get("Content-Encoding", "").split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or codings[:1] not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
        raise Refused("the body is packed in a way that nobody asked for", outcome="parse-error")
    chunks, size = [], 0
    async for chunk in answer.content.iter_chunked(64 * 1024):
        size += len(chunk)
        _within(size)
        chunks.append(chunk)
    body = b"".join(chunks)
    # Some servers send gzip and do not say so; others say so and send none.
    return inflated(body) if body[:2] == _GZIP or codings == ["deflate"] else body


def inflated(body: bytes) -> bytes:
    """
    A gzip or deflate body, decoded (RFC 1951, 1952). Raises `Refused("parse-error")` at 16 MiB, before more is made of
    it, and `TryLater` for one that is cut short or broken.
    """
    if body[:2] != _GZIP:
        # `deflate` means zlib's wrapping, and to some servers none.
        wrapped = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        return _member(body, 15 if wrapped else -15, 0)[0]
    decoded = b""
    while body[:2] == _GZIP:
        more, body = _member(body, 31, len(decoded))
        decoded += more
    return decoded


def _member(body: bytes, window: int, before: int) -> tuple[bytes, bytes]:
    """One packed stream, decoded, and what follows it."""
    decoder = zlib.decompressobj(window)
    try:
        decoded = decoder.decompress(body, BYTES + 1 - before)
    except zlib.error as error:
        raise TryLater("the packed document cannot be unpacked", outcome="unreachable") from error
    _within(before + len(decoded))
    if not decoder.eof:
        raise TryLater("the packed document is cut short", outcome="unreachable")
    return decoded, decoder.unused_data


def _within(size: int) -> None:
    if size > BYTES:
        raise Refused(f"the document has over {BYTES // 2**20} MiB; it is not read", outcome="parse-error")


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110: a number, or a date); None when it cannot be read."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text), 86_400))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), 86_400.0)
