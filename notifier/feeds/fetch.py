"""
A feed's address → its document, or word that nothing is new.

Polite (both validators, Retry-After, two requests a host at a time, a name and a contact), and on its guard: every
answer is bounded in bytes, in time and in where it may come from (promise P9).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from notifier.errors import Refused, TryLater
from notifier.feeds.feed import Document, Feed, Unchanged, Validators
from notifier.guard import Network, refuse_inside

BYTES = 16 * 1024 * 1024  # of a document, decoded; as many may come over the wire
SECONDS = 30.0  # for one poll, from the first look-up to the last byte, redirects included
REDIRECTS = 5
A_HOST = 2  # requests to one host at a time

_PERMANENT = {301, 308}
_TEMPORARY = {302, 303, 307}
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/rdf+xml, application/feed+json, application/xml;q=0.9, "
    "application/json;q=0.8, */*;q=0.5"
)


class Fetcher:
    """
    Fetches documents over one shared session. `allow` are networks inside that may be reached all the same,
    `contact` an address or URL by which a publisher can reach the operator. Close it at the end.
    """

    def __init__(
        self,
        allow: Iterable[Network] = (),
        contact: str = "",
        seconds: float = SECONDS,
        a_host: int = A_HOST,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard: Any = refuse_inside(allow)
        self._seconds = seconds
        self._a_host = a_host
        self._now = now
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._not_before: dict[str, float] = {}
        self._session: aiohttp.ClientSession | None = None
        about = f" (+{contact})" if contact else ""
        self._headers = {
            "User-Agent": f"policy-change-notifier{about}",
            "Accept": _ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        }

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        """
        The feed's document as it is now, or `Unchanged`.

        Raises `TryLater` (outcomes unreachable, throttled) and `Refused` (blocked, blocked-address, retired,
        not-found, too-large, bad-address).
        """
        host = urlsplit(feed.url).netloc
        if (wait := self._not_before.get(host, 0.0) - self._now()) > 0:
            raise TryLater(f"{host} asked us to wait", outcome="throttled", after=wait)
        try:
            async with asyncio.timeout(self._seconds), self._place(host):
                return await self._follow(feed, known)
        except TimeoutError as error:
            raise TryLater(f"{host} took over {self._seconds:g} s", outcome="unreachable") from error
        except aiohttp.ClientConnectorError as error:
            raise TryLater(f"{host}: no connection ({error.os_error})", outcome="unreachable") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TryLater(f"{host}: {type(error).__name__}, the answer broke off", outcome="unreachable") from error
        except ValueError as error:
            raise Refused(f"{feed.id}: {feed.url} cannot be asked: {error}", outcome="bad-address") from error

    def _place(self, host: str) -> asyncio.Semaphore:
        return self._hosts.setdefault(host, asyncio.Semaphore(self._a_host))

    async def _follow(self, feed: Feed, known: Validators) -> Document | Unchanged:
        url, moved_to, permanent = feed.url, "", True
        headers = self._headers | feed.headers
        # Both: some servers honour the one, some the other.
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        for _ in range(REDIRECTS + 1):
            _refuse_odd(url)
            async with self._open().get(url, headers=headers) as answer:
                if answer.status in _PERMANENT | _TEMPORARY:
                    url = urljoin(url, answer.headers.get("Location", ""))
                    permanent = permanent and answer.status in _PERMANENT
                    moved_to = url if permanent else moved_to
                    continue
                self._heed(url, answer)
                return await self._read(answer, known, url, moved_to)
        raise Refused(f"{urlsplit(feed.url).netloc}: over {REDIRECTS} redirects", outcome="blocked")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._guard, limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._seconds),
                auto_decompress=False,
                trust_env=False,
                requote_redirect_url=False,
            )
        return self._session

    def _heed(self, url: str, answer: aiohttp.ClientResponse) -> None:
        """Raise for an answer that is no document."""
        host, status = urlsplit(url).netloc, answer.status
        if status in (200, 304):
            return
        if status == 429 or (status == 503 and "Retry-After" in answer.headers):
            after = retry_after(answer.headers.get("Retry-After", ""), datetime.now(UTC))
            if after is not None:
                self._not_before[host] = self._now() + after
            raise TryLater(f"{host} answered {status}", outcome="throttled", after=after)
        if status in (404, 410):
            outcome = "retired" if status == 410 else "not-found"
            raise Refused(f"{host} answered {status}: the feed is not there", outcome=outcome)
        if status in (401, 402, 403, 405, 406, 451) or 200 <= status < 300:
            # A 202 is a bot wall's challenge: no 2xx but 200 brings a document.
            raise Refused(f"{host} answered {status}: it does not let us read", outcome="blocked")
        raise TryLater(f"{host} answered {status}", outcome="unreachable")

    async def _read(
        self, answer: aiohttp.ClientResponse, known: Validators, url: str, moved_to: str
    ) -> Document | Unchanged:
        validators = Validators(
            etag=answer.headers.get("ETag", ""),
            last_modified=answer.headers.get("Last-Modified", ""),
            body_hash=known.body_hash,
        )
        if answer.status == 304:
            etag, modified = validators.etag or known.etag, validators.last_modified or known.last_modified
            return Unchanged(Validators(etag, modified, known.body_hash), moved_to)
        body = await _whole(answer)
        body_hash = hashlib.blake2b(body, digest_size=16).hexdigest()
        validators = msgspec.structs.replace(validators, body_hash=body_hash)
        if body_hash == known.body_hash:
            return Unchanged(validators, moved_to)
        content_type = answer.headers.get("Content-Type", "")
        return Document(body=body, url=url, content_type=content_type, validators=validators, moved_to=moved_to)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _refuse_odd(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"not an http or https address: {parts.scheme}://…", outcome="bad-address")
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{parts.hostname}: the address carries a user name; take it out", outcome="bad-address")


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body, decoded and bounded. What is cut short against its Content-Length raises in aiohttp."""
    codings = [coding.strip().lower() for coding in answer.headers.get("Content-Encoding", "").split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or codings[:1] not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
        raise Refused(f"the body is encoded as {', '.join(codings)}, which nobody asked for", outcome="not-a-feed")
    body = b"".join([chunk async for chunk in _bounded(answer.content.iter_chunked(64 * 1024))])
    if codings or body[:2] == b"\x1f\x8b":
        # Some servers send gzip and do not say so.
        return inflated(body)
    return body


async def _bounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > BYTES:
            raise Refused(f"the document has over {BYTES // 2**20} MiB", outcome="too-large")
        yield chunk


def inflated(body: bytes) -> bytes:
    """
    A gzip or deflate body, decoded (RFC 1951–1952). Raises `Refused` over 16 MiB, before more is made of it, and
    `TryLater` for one that is cut short or broken.
    """
    # 47: gzip or zlib by their headers; raw deflate, which some servers mean by `deflate`, has none.
    for window in (47, -15):
        decoder = zlib.decompressobj(window)
        try:
            decoded = decoder.decompress(body, BYTES + 1)
        except zlib.error:
            continue
        if len(decoded) > BYTES:
            raise Refused(f"the document unpacks to over {BYTES // 2**20} MiB", outcome="too-large")
        if not decoder.eof:
            raise TryLater("the packed document is cut short", outcome="unreachable")
        return decoded
    raise TryLater("the packed document cannot be unpacked", outcome="unreachable")


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
