"""
Fetch a feed's document, or learn that it is unchanged.

Polite: it sends both validators and a contact, honours Retry-After, and makes two requests to a host at a time. Safe:
each answer is limited in bytes, in time and in the addresses that it may come from (promise P9).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit
from weakref import WeakValueDictionary

import aiohttp
import msgspec

from notifier.errors import Refused, TryLater
from notifier.feeds.feed import Document, Feed, Unchanged, Validators
from notifier.feeds.links import absolute
from notifier.guard import Network, connector

BYTES = 16 * 1024 * 1024  # of a document, as received and decoded
SECONDS = 30.0  # of one poll, from the first look-up to the last byte, with redirects
TO_CONNECT = 10.0  # seconds of them for one connection
REDIRECTS = 5
A_HOST = 2  # requests to one host at a time
MEMBERS = 1_000  # gzip members in one body

_SLICE = 64 * 1024
GZIP = b"\x1f\x8b"
_LINK = re.compile(r'<(?P<address>[^<>]{1,2000})>[^<,]{0,200}?;\s*rel="?(?P<relations>[^",;<>]{1,100})', re.I)
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
    Fetches documents over one shared session. Close it at the end.

    `allow` are networks that may be reached although they are not public, `contact` is an address or URL at which a
    publisher can reach the operator, `seconds` is the time that servers may take for one poll, `per_host` the number of
    concurrent requests to one host. `clock` tells the time (UTC); `ticks` are seconds that never go back.
    """

    def __init__(
        self,
        allow: Iterable[Network] = (),
        contact: str = "",
        seconds: float = SECONDS,
        clock: Callable[[], datetime] = _wall_clock,
        per_host: int = A_HOST,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow = tuple(allow)
        self._seconds = seconds
        self._clock = clock
        self._per_host = per_host
        self._ticks = ticks
        # Weak, so that a host is forgotten after its last request: feeds link to pages on any number of hosts.
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
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
        The feed's current document; `Unchanged` if the server says so, or if the body has the known hash.

        Raises `TryLater` (outcomes unreachable, throttled) and `Refused` (blocked, blocked-address, bad-address,
        retired, not-found, not-a-feed for a 400 or 422, parse-error for a body over the limits).
        """
        host = _origin(feed.url)[1]
        try:
            return await self._follow(feed, known)
        except TimeoutError as error:
            raise TryLater(f"{host} did not answer in time", outcome="unreachable") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise Refused(
                f"{feed.id}: its URL is invalid, or redirects to an invalid one", outcome="bad-address"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise TryLater(f"{host}: no connection ({_reason(error.os_error)})", outcome="unreachable") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryLater(
                f"{host}: the connection was lost ({type(error).__name__})", outcome="unreachable"
            ) from error

    async def _follow(self, feed: Feed, known: Validators) -> Document | Unchanged:
        url, moved_to, permanent, left = feed.url, "", True, self._seconds
        for _ in range(REDIRECTS + 1):
            _, host = _origin(url)
            # Only the time that servers take counts: of many feeds on one host, the last waits for its turn and is as
            # healthy as the first.
            async with self._slot(host):
                began = self._ticks()
                async with asyncio.timeout(left), self._get(url, feed, known) as answer:
                    if answer.status not in _PERMANENT | _TEMPORARY:
                        self._heed(host, answer)
                        return await _read(answer, known, url, moved_to)
                left -= self._ticks() - began
            url = _joined(url, answer.headers.get("Location", "").strip())
            permanent = permanent and answer.status in _PERMANENT
            moved_to = url if permanent else moved_to
        raise Refused(f"{_origin(feed.url)[1]}: over {REDIRECTS} redirects", outcome="blocked")

    def _slot(self, host: str) -> asyncio.Semaphore:
        slot = self._hosts.get(host)
        if slot is None:
            slot = self._hosts[host] = asyncio.Semaphore(self._per_host)
        return slot

    def _get(self, url: str, feed: Feed, known: Validators) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        self._await_turn(_origin(url)[1])
        headers = self._headers.copy()
        if feed.headers and may_hear_secrets(url, feed.url):
            headers |= {name.title(): value for name, value in feed.headers.items()}
        # Both: some servers honour only one of them.
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        # We follow redirects ourselves: aiohttp would send our headers along, and not say which are permanent.
        return self._open().get(url, headers=headers, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Kept longer, thousands of connections would be open that no poll uses again in time.
                connector=connector(self._allow, limit=0, ttl_dns_cache=60, keepalive_timeout=5),
                cookie_jar=aiohttp.DummyCookieJar(),
                # The time limit of the whole poll is in _follow.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=TO_CONNECT),
                auto_decompress=False,
                trust_env=False,
                # Some ministries send ten kilobytes of Content-Security-Policy.
                max_field_size=64 * 1024,
            )
        return self._session

    def _await_turn(self, host: str) -> None:
        """Raise `TryLater` while a host's Retry-After lasts."""
        if until := self._not_before.get(host):
            wait = (until - self._clock()).total_seconds()
            if wait > 0:
                raise TryLater(f"{host} asked us to wait", outcome="throttled", after=wait)
            del self._not_before[host]

    def _heed(self, host: str, answer: aiohttp.ClientResponse) -> None:
        """Raise `TryLater` or `Refused` for an answer that is not a document."""
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
            outcome, reason = ("retired", "gone") if status == 410 else ("not-found", "not found")
            raise Refused(f"{host} answered {status} ({reason})", outcome=outcome)
        if status in (400, 422):
            # So APIs answer a parameter that they do not know, or no longer know.
            raise Refused(f"{host} answered {status}: it does not accept the URL", outcome="not-a-feed")
        if status in (401, 402, 403, 405, 406, 451) or 200 <= status < 300:
            # A 202 is a bot wall's challenge: of all 2xx, only 200 brings a document.
            raise Refused(f"{host} answered {status}: access denied", outcome="blocked")
        raise TryLater(f"{host} answered {status}", outcome="unreachable")

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _reason(error: OSError) -> str:
    """The system's words for a failed connection; a name that was not found has a negative number."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or type(error).__name__


@functools.lru_cache(maxsize=16 * 1024)
def _origin(url: str) -> tuple[str, str]:
    """
    Scheme and host (with its port) of an http(s) URL. Raises `Refused("bad-address")` for any other.

    Cached, since every poll needs it.
    """
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused("not a valid URL", outcome="bad-address") from error
    if parts.scheme not in ("http", "https") or not name:
        raise Refused(f"not an http or https URL: {parts.scheme}:…", outcome="bad-address")
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{name}: the URL contains a login; remove it", outcome="bad-address")
    return parts.scheme, parts.netloc.lower()


def may_hear_secrets(url: str, named: str) -> bool:
    """
    May a feed's own headers be sent to `url`? They may hold a key: only to the host of `named`, the operator's URL, and
    never unencrypted if that is https.
    """
    return same_host(url, named)


def at(url: str, feed: Feed) -> Feed:
    """The feed with another URL; its own headers stay only if they may be sent there."""
    headers = feed.headers if may_hear_secrets(url, feed.url) else {}
    return msgspec.structs.replace(feed, url=url, headers=headers)


def same_host(url: str, other: str) -> bool:
    """Is `url` at the same host as `other`, and not http if that is https?"""
    (scheme, host), (other_scheme, other_host) = _origin(url), _origin(other)
    return host == other_host and scheme in ("https", other_scheme)


def _joined(url: str, location: str) -> str:
    """The target of a redirect. Raises `Refused("bad-address")` if it has none."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise Refused(f"{_origin(url)[1]} redirects to an invalid URL", outcome="bad-address") from error
    if not location:
        raise Refused(f"{_origin(url)[1]} redirects without a target", outcome="bad-address")
    return target


async def _read(answer: aiohttp.ClientResponse, known: Validators, url: str, moved_to: str) -> Document | Unchanged:
    etag, modified = _plain(answer, "ETag"), _plain(answer, "Last-Modified")
    if answer.status == 304:
        if not (known.etag or known.last_modified):
            raise TryLater(f"{_origin(url)[1]} answered 304 to an unconditional request", outcome="unreachable")
        return Unchanged(Validators(etag or known.etag, modified or known.last_modified, known.body_hash), moved_to)
    body = await _whole(answer)
    validators = Validators(etag, modified, hashlib.blake2b(body, digest_size=16).hexdigest())
    if validators.body_hash == known.body_hash:
        return Unchanged(validators, moved_to)
    linked = _linked(answer, url)
    return Document(
        body=body,
        url=url,
        content_type=_plain(answer, "Content-Type"),
        validators=validators,
        moved_to=moved_to,
        hub=linked.get("hub", ""),
        topic=linked.get("self", ""),
    )


def _linked(answer: aiohttp.ClientResponse, url: str) -> dict[str, str]:
    """The first address for each relation in the Link headers (RFC 8288)."""
    found: dict[str, str] = {}
    for header in answer.headers.getall("Link", ())[:20]:
        for link in _LINK.finditer(header[:4_000]):
            for relation in link["relations"].lower().split():
                found.setdefault(relation, absolute(link["address"], url))
    return found


def _plain(answer: aiohttp.ClientResponse, name: str) -> str:
    """A header's value if it is printable ASCII of at most 1,000 characters, fit to be sent back; else ""."""
    value = answer.headers.get(name, "")
    return value if value.isascii() and value.isprintable() and len(value) <= 1_000 else ""


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The decoded body, within the limits. aiohttp raises for one shorter than its Content-Length."""
    codings = [coding.strip().lower() for coding in ",".join(answer.headers.getall("Content-Encoding", ())).split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or codings[:1] not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
        raise Refused("the body has a content encoding that was not asked for", outcome="parse-error")
    packed = bytearray()
    async for chunk in answer.content.iter_any():
        packed += chunk
        _within(len(packed))
    body = bytes(packed)
    # Some servers send gzip without saying so; others say so and send none.
    return inflated(body) if body[:2] == GZIP or (body and codings == ["deflate"]) else body


def inflated(body: bytes) -> bytes:
    """
    Decode a gzip or deflate body (RFC 1950 to 1952). Raises `Refused("parse-error")` as soon as it exceeds 16 MiB, and
    `TryLater` if it is cut short or broken.
    """
    decoded = bytearray()
    if body[:2] != GZIP:
        # `deflate` means zlib's format, but some servers send the bare stream.
        wrapped = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        _unpack(body, 0, 15 if wrapped else -15, decoded)
        return bytes(decoded)
    at = 0
    for _ in range(MEMBERS):
        at = _unpack(body, at, 31, decoded)
        if body[at : at + 2] != GZIP:
            return bytes(decoded)
    raise Refused(f"the body has over {MEMBERS:,} gzip members; it is not read", outcome="parse-error")


def _unpack(body: bytes, at: int, window: int, decoded: bytearray) -> int:
    """Decode the compressed stream that begins at `at` and append it to `decoded`; return its end."""
    decoder, whole = zlib.decompressobj(window), memoryview(body)
    while not decoder.eof:
        # In slices: zlib copies what follows a stream, so a body of many small ones would be copied many times.
        piece = whole[at : at + _SLICE]
        if not piece:
            raise TryLater("the compressed document is cut short", outcome="unreachable")
        try:
            decoded += decoder.decompress(piece, BYTES + 1 - len(decoded))
        except zlib.error as error:
            raise TryLater("the compressed document cannot be decoded", outcome="unreachable") from error
        _within(len(decoded))
        at += len(piece) - len(decoder.unused_data)
    return at


def _within(size: int) -> None:
    if size > BYTES:
        raise Refused(f"the document has over {BYTES // 2**20} MiB; it is not read", outcome="parse-error")


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds, at most a day, of a Retry-After header (RFC 9110: seconds or a date); None if it cannot be read."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Its length first: Python refuses to convert thousands of digits.
        return 86_400.0 if len(text) > 9 else float(min(int(text), 86_400))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), 86_400.0)
