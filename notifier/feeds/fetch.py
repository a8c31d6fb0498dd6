"""
A feed's address → its document, or word that nothing is new.

Polite (both validators, Retry-After, two requests a host at a time, a name and a contact), and on its guard: every
answer is bounded in bytes, in time and in where it may come from (promise P9).
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

BYTES = 16 * 1024 * 1024  # of a document, decoded; as many may come over the wire
SECONDS = 30.0  # for one poll, from the first look-up to the last byte, redirects included
TO_CONNECT = 10.0  # seconds of them, at most, until a connection stands
REDIRECTS = 5
A_HOST = 2  # requests to one host at a time
MEMBERS = 1_000  # packed streams in one body, which may follow one another

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
    Fetches documents over one shared session. `allow` are networks inside that may be reached all the same, `contact`
    an address or URL by which a publisher can reach the operator, `seconds` what servers may take for one poll, and
    `per_host` how many requests to one host are under way at a time. Close it at the end.
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
        # Forgotten with its last request: the pages that feeds link to are on hosts without number.
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
        The feed's document as it is now, or `Unchanged`: the server says so, or the body is the one we know.

        Raises `TryLater` (outcomes unreachable, throttled) and `Refused` (blocked, blocked-address, bad-address,
        retired, not-found, parse-error for a body over its limits).
        """
        host = _origin(feed.url)[1]
        try:
            return await self._follow(feed, known)
        except TimeoutError as error:
            raise TryLater(f"{host} did not answer in time", outcome="unreachable") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise Refused(f"{feed.id}: its address, or one it leads to, is none", outcome="bad-address") from error
        except aiohttp.ClientConnectorError as error:
            raise TryLater(f"{host}: no connection ({_reason(error.os_error)})", outcome="unreachable") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryLater(f"{host}: {type(error).__name__}, the answer broke off", outcome="unreachable") from error

    async def _follow(self, feed: Feed, known: Validators) -> Document | Unchanged:
        url, moved_to, permanent, left = feed.url, "", True, self._seconds
        for _ in range(REDIRECTS + 1):
            _, host = _origin(url)
            # Only the time that servers take is counted: with many feeds on one host, the last of them has to wait
            # for its turn, and is as healthy as the first.
            async with self._place(host):
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

    def _place(self, host: str) -> asyncio.Semaphore:
        place = self._hosts.get(host)
        if place is None:
            place = self._hosts[host] = asyncio.Semaphore(self._per_host)
        return place

    def _get(self, url: str, feed: Feed, known: Validators) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        self._await_turn(_origin(url)[1])
        headers = self._headers.copy()
        if feed.headers and may_hear_secrets(url, feed.url):
            headers |= {name.title(): value for name, value in feed.headers.items()}
        # Both: some servers honour the one, some the other.
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        # Redirects are ours to follow: aiohttp would send our headers along, and not say what was permanent.
        return self._open().get(url, headers=headers, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Longer alive would keep thousands of connections open that no poll comes back to in time.
                connector=connector(self._allow, limit=0, ttl_dns_cache=60, keepalive_timeout=5),
                cookie_jar=aiohttp.DummyCookieJar(),
                # One clock for the whole poll runs in _follow.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=TO_CONNECT),
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
            raise Refused(f"{host} answered {status}: nothing is there", outcome=outcome)
        if status in (400, 422):
            # APIs say so of a parameter that they do not know, or no more.
            raise Refused(f"{host} answered {status}: it does not understand the address", outcome="not-a-feed")
        if status in (401, 402, 403, 405, 406, 451) or 200 <= status < 300:
            # A 202 is a bot wall's challenge: no 2xx but 200 brings a document.
            raise Refused(f"{host} answered {status}: it does not let us read", outcome="blocked")
        raise TryLater(f"{host} answered {status}", outcome="unreachable")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _reason(error: OSError) -> str:
    """Why the system did not connect, in its own short words; a name that was not found has a negative number."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or type(error).__name__


@functools.lru_cache(maxsize=16 * 1024)
def _origin(url: str) -> tuple[str, str]:
    """
    Scheme and host (with its port) of an address that we may ask. Raises `Refused("bad-address")` for any other.

    Remembered, since every poll asks.
    """
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused("what should be an address is none", outcome="bad-address") from error
    if parts.scheme not in ("http", "https") or not name:
        raise Refused(f"not an http or https address: {parts.scheme}:…", outcome="bad-address")
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{name}: the address carries a user name; take it out", outcome="bad-address")
    return parts.scheme, parts.netloc.lower()


def may_hear_secrets(url: str, named: str) -> bool:
    """
    May a feed's own headers be sent to this address? They may hold a key, so only to the host that the operator
    named, and never in the clear where he named it with https.
    """
    return same_host(url, named)


def at(url: str, feed: Feed) -> Feed:
    """The feed as it is asked for at another address; its own headers go nowhere but to the host they are meant for."""
    headers = feed.headers if may_hear_secrets(url, feed.url) else {}
    return msgspec.structs.replace(feed, url=url, headers=headers)


def same_host(url: str, other: str) -> bool:
    """Is an address at the same host as another, and no less safe?"""
    (scheme, host), (other_scheme, other_host) = _origin(url), _origin(other)
    return host == other_host and scheme in ("https", other_scheme)


def _joined(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise Refused(f"{_origin(url)[1]} leads to what is no address", outcome="bad-address") from error
    if not location:
        raise Refused(f"{_origin(url)[1]} leads away, and does not say where", outcome="bad-address")
    return target


async def _read(answer: aiohttp.ClientResponse, known: Validators, url: str, moved_to: str) -> Document | Unchanged:
    etag, modified = _plain(answer, "ETag"), _plain(answer, "Last-Modified")
    if answer.status == 304:
        if not (known.etag or known.last_modified):
            raise TryLater(f"{_origin(url)[1]} answered 304, unasked", outcome="unreachable")
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
    """The first address of each relation that a Link header names (RFC 8288)."""
    found: dict[str, str] = {}
    for header in answer.headers.getall("Link", ())[:20]:
        for link in _LINK.finditer(header[:4_000]):
            for relation in link["relations"].lower().split():
                found.setdefault(relation, absolute(link["address"], url))
    return found


def _plain(answer: aiohttp.ClientResponse, name: str) -> str:
    """A header that is fit to be kept and sent back: ASCII and of a sane length; else ""."""
    value = answer.headers.get(name, "")
    return value if value.isascii() and value.isprintable() and len(value) <= 1_000 else ""


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body, decoded and bounded. What is cut short against its Content-Length raises in aiohttp."""
    codings = [coding.strip().lower() for coding in ",".join(answer.headers.getall("Content-Encoding", ())).split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or codings[:1] not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
        raise Refused("the body is packed in a way that nobody asked for", outcome="parse-error")
    packed = bytearray()
    async for chunk in answer.content.iter_any():
        packed += chunk
        _within(len(packed))
    body = bytes(packed)
    # Some servers send gzip and do not say so; others say so and send none.
    return inflated(body) if body[:2] == GZIP or (body and codings == ["deflate"]) else body


def inflated(body: bytes) -> bytes:
    """
    A gzip or deflate body, decoded (RFC 1951, 1952). Raises `Refused("parse-error")` at 16 MiB, before more is made of
    it, and `TryLater` for one that is cut short or broken.
    """
    decoded = bytearray()
    if body[:2] != GZIP:
        # `deflate` means zlib's wrapping, and to some servers none.
        wrapped = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        _unpack(body, 0, 15 if wrapped else -15, decoded)
        return bytes(decoded)
    at = 0
    for _ in range(MEMBERS):
        at = _unpack(body, at, 31, decoded)
        if body[at : at + 2] != GZIP:
            return bytes(decoded)
    raise Refused(f"the body is packed in over {MEMBERS:,} pieces; it is not read", outcome="parse-error")


def _unpack(body: bytes, at: int, window: int, decoded: bytearray) -> int:
    """Decode the packed stream that begins at `at`, onto `decoded`; return where it ends."""
    decoder, whole = zlib.decompressobj(window), memoryview(body)
    while not decoder.eof:
        # By slices: zlib copies what follows the stream, and a body of many small ones would be copied as often.
        piece = whole[at : at + _SLICE]
        if not piece:
            raise TryLater("the packed document is cut short", outcome="unreachable")
        try:
            decoded += decoder.decompress(piece, BYTES + 1 - len(decoded))
        except zlib.error as error:
            raise TryLater("the packed document cannot be unpacked", outcome="unreachable") from error
        _within(len(decoded))
        at += len(piece) - len(decoder.unused_data)
    return at


def _within(size: int) -> None:
    if size > BYTES:
        raise Refused(f"the document has over {BYTES // 2**20} MiB; it is not read", outcome="parse-error")


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110: a number, or a date); None when it cannot be read."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        # By its length first: Python reads no number of thousands of digits.
        return 86_400.0 if len(text) > 9 else float(min(int(text), 86_400))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), 86_400.0)
