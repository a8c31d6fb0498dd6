"""What a server answers, and what a poll makes of it: every peer is a real one on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import NotifierError, Refused, TryLater
from notifier.feeds.feed import Document, Feed, Unchanged, Validators
from notifier.feeds.fetch import BYTES, MEMBERS, Fetcher, inflated, may_hear_secrets, retry_after
from notifier.feeds.health import OUTCOMES
from notifier.guard import networks
from tests.channels.peers import server_tls
from tests.feeds.servers import SILENCE, Answer, Cut, Held, Server, Trickle, answer, closed_host, redirect, serving

NOW = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)
NOTHING = Validators()
BODY = b"<rss><channel><title>Press</title></channel></rss>"
PAGE = answer(200, BODY)
LOOPBACK = networks(["127.0.0.0/8"])


@contextlib.asynccontextmanager
async def fetching(
    *, inside: bool = True, seconds: float = 10.0, clock: Callable[[], datetime] = lambda: NOW, contact: str = ""
) -> AsyncIterator[Fetcher]:
    """A fetcher that may connect to loopback, or may not."""
    fetcher = Fetcher(LOOPBACK if inside else (), contact, seconds, clock)
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def fetched(said: Answer, known: Validators = NOTHING) -> Document | Unchanged:
    """What a poll makes of one answer."""
    async with serving({"/feed": said}) as server, fetching() as fetcher:
        return await fetcher.fetch(server.feed(), known)


async def failure(said: Answer, *, seconds: float = 10.0) -> TryLater | Refused:
    """How a poll fails that is answered so."""
    async with serving({"/feed": said}) as server, fetching(seconds=seconds) as fetcher:
        return await failing(fetcher, server.feed())


async def failing(fetcher: Fetcher, feed: Feed) -> TryLater | Refused:
    """How this poll fails: by an outcome that operators can look up."""
    with pytest.raises(NotifierError) as caught:
        await fetcher.fetch(feed, NOTHING)
    assert isinstance(caught.value, TryLater | Refused)
    assert caught.value.outcome in OUTCOMES
    return caught.value


def body_of(document: Document | Unchanged) -> bytes:
    assert isinstance(document, Document)
    return document.body


# ---------------------------------------------------------------- what is asked


async def test_both_validators_are_sent() -> None:
    """Some servers honour the one, some the other; both go back exactly as they came."""
    known = Validators(etag='W/"a-1"', last_modified="Mon, 29 Jun 2020 20:00:00 GMT", body_hash="00")
    async with serving({"/feed": answer(304)}) as server, fetching() as fetcher:
        await fetcher.fetch(server.feed(), known)

    (request,) = server.asked
    assert request.headers["if-none-match"] == ['W/"a-1"']
    assert request.headers["if-modified-since"] == ["Mon, 29 Jun 2020 20:00:00 GMT"]


async def test_a_first_poll_asks_without_conditions() -> None:
    """Nothing is known yet, so nothing can be unchanged."""
    async with serving({"/feed": PAGE}) as server, fetching() as fetcher:
        await fetcher.fetch(server.feed(), NOTHING)

    assert not {"if-none-match", "if-modified-since"} & server.asked[0].headers.keys()


async def test_a_publisher_can_tell_who_asks() -> None:
    """The User-Agent names us, and how to reach the operator; the codings are those we can read."""
    async with serving({"/feed": PAGE}) as server, fetching(contact="mailto:desk@example.org") as fetcher:
        await fetcher.fetch(server.feed(), NOTHING)

    headers = server.asked[0].headers
    assert headers["user-agent"] == ["policy-change-notifier (+mailto:desk@example.org)"]
    assert headers["accept-encoding"] == ["gzip, deflate"]


async def test_a_feeds_own_headers_replace_ours() -> None:
    """A header that the operator sets is sent once, with their value, in whatever case its name is written."""
    async with serving({"/feed": PAGE}) as server, fetching() as fetcher:
        feed = server.feed(headers={"accept": "application/json;charset=utf-8", "X-Key": "k"})
        await fetcher.fetch(feed, NOTHING)

    assert server.asked[0].headers["accept"] == ["application/json;charset=utf-8"]
    assert server.asked[0].headers["x-key"] == ["k"]


async def test_cookies_are_not_kept() -> None:
    """A poll leaves no trace that the next one, or the next hop of a redirect, could be known by."""
    cookie = ("Set-Cookie", "seen=1; Path=/")
    script = {"/feed": answer(302, b"", [cookie, ("Location", "/there")]), "/there": answer(200, BODY, [cookie])}
    async with serving(script) as server, fetching() as fetcher:
        await fetcher.fetch(server.feed(), NOTHING)
        await fetcher.fetch(server.feed(), NOTHING)

    assert len(server.asked) == 4
    assert [request.path for request in server.asked if "cookie" in request.headers] == []


# ---------------------------------------------------------------- what is new


async def test_a_document_comes_with_what_to_ask_next_time() -> None:
    """Body, type and both validators are the server's; the hash is of the body."""
    said = answer(200, BODY, ETag='"1"', Last_Modified="Mon, 29 Jun 2020 20:00:00 GMT", Content_Type="text/xml")

    document = await fetched(said)

    assert isinstance(document, Document)
    assert (document.body, document.content_type, document.moved_to) == (BODY, "text/xml", "")
    assert (document.validators.etag, document.validators.last_modified) == ('"1"', "Mon, 29 Jun 2020 20:00:00 GMT")
    assert document.validators.body_hash
    assert document.url.endswith("/feed")


@pytest.mark.parametrize(
    ("links", "hub", "topic"),
    [
        (['<https://hub.example/>; rel="hub"', '<https://m.example/f>; rel="self"'], "https://hub.example/", "self"),
        (["<https://hub.example/>; rel=hub, <https://m.example/f>; rel=self"], "https://hub.example/", "self"),
        (['<https://hub.example/>; type="x"; REL="Hub alternate"'], "https://hub.example/", ""),
        (['<https://one.example/>; rel="hub"', '<https://two.example/>; rel="hub"'], "https://one.example/", ""),
        (['<javascript:alert(1)>; rel="hub"'], "", ""),
        (["<" * 10_000, ";rel=hub"], "", ""),
        (['<https://m.example/style.css>; rel="preload"'], "", ""),
    ],
    ids=["two headers", "one header", "several relations", "two hubs", "no address", "no link", "others"],
)
async def test_a_document_comes_with_the_hub_that_its_server_names(links: list[str], hub: str, topic: str) -> None:
    """And the topic, in Link headers however they are written."""
    said = answer(200, b"<rss/>", [("Link", link) for link in links])
    async with serving({"/feed": said}) as server:
        fetcher = Fetcher(LOOPBACK)
        document = await fetcher.fetch(server.feed(), Validators())
        await fetcher.close()

    assert isinstance(document, Document)
    assert (document.hub, document.topic) == (hub, "https://m.example/f" if topic else "")


async def test_not_modified_is_unchanged() -> None:
    """304 keeps the validators that we know, and takes those it brings."""
    known = Validators(etag='"1"', last_modified="then", body_hash="00")

    assert await fetched(answer(304), known) == Unchanged(known)
    assert await fetched(answer(304, ETag='"2"'), known) == Unchanged(Validators('"2"', "then", "00"))


async def test_a_304_that_nobody_asked_for_is_no_news_of_health() -> None:
    """Without a condition there is nothing that could be unmodified: a broken cache is not "nothing new"."""
    assert (await failure(answer(304))).outcome == "unreachable"


async def test_the_same_body_is_unchanged() -> None:
    """If validators change or are missing, the body's hash shows that nothing is new; the new ones are kept."""
    first = await fetched(answer(200, BODY, ETag='"1"'))
    assert isinstance(first, Document)

    again = await fetched(answer(200, BODY, ETag='"2"'), first.validators)

    assert again == Unchanged(Validators('"2"', "", first.validators.body_hash))


async def test_another_body_is_a_document_with_new_validators() -> None:
    """A 200 with other words is a document, whatever its ETag."""
    first = await fetched(answer(200, BODY, ETag='"1"'))
    assert isinstance(first, Document)

    second = await fetched(answer(200, BODY + b" ", ETag='"1"'), first.validators)

    assert body_of(second) == BODY + b" "
    assert second.validators != first.validators


@pytest.mark.parametrize(
    "tag", ['"caf\xe9"', '"\x01"', f'"{"x" * 2000}"'], ids=["not-ascii", "control-character", "long"]
)
async def test_a_tag_that_cannot_be_sent_back_is_forgotten(tag: str) -> None:
    """An ETag that is not fit to be a header of ours costs a full answer next time, not the poll."""
    tagged = PAGE.replace(b"\r\n", f"\r\nETag: {tag}\r\n".encode("latin-1"), 1)

    document = await fetched(tagged)

    assert body_of(document) == BODY
    assert document.validators.etag == ""


# ---------------------------------------------------------------- redirects


@pytest.mark.parametrize(
    ("statuses", "moved"),
    [
        ([301], "/1"),
        ([308], "/1"),
        ([301, 308, 301], "/3"),
        ([302], ""),
        ([303], ""),
        ([307], ""),
        ([302, 301], ""),
        ([301, 307], "/1"),
        ([301, 302, 301], "/1"),
        ([301] * 5, "/5"),
    ],
    ids=str,
)
async def test_a_permanent_redirect_is_told(statuses: list[int], moved: str) -> None:
    """A feed has moved as far as redirects are permanent; what comes after a temporary one does not count."""
    script: dict[str, Answer] = {f"/{n}": redirect(status, f"/{n + 1}") for n, status in enumerate(statuses)}
    script[f"/{len(statuses)}"] = PAGE
    async with serving(script) as server, fetching() as fetcher:
        document = await fetcher.fetch(server.feed("/0"), NOTHING)

    assert body_of(document) == BODY
    assert document.moved_to == (server.url(moved) if moved else "")
    assert isinstance(document, Document)
    assert document.url == server.url(f"/{len(statuses)}")


async def test_what_moved_and_is_unchanged_has_still_moved() -> None:
    """A 304 at the new address reports the move too."""
    async with serving({"/feed": redirect(301, "/new"), "/new": answer(304)}) as server, fetching() as fetcher:
        unchanged = await fetcher.fetch(server.feed(), Validators(etag='"1"'))

    assert unchanged.moved_to == server.url("/new")
    assert server.asked[1].headers["if-none-match"] == ['"1"']


async def test_redirects_come_to_an_end() -> None:
    """Five redirects are followed, and no sixth request beyond them."""
    async with serving({"/feed": redirect(302, "/feed")}) as server, fetching() as fetcher:
        error = await failing(fetcher, server.feed())

    assert error.outcome == "blocked"
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/feed",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/xml,<rss/>",
        "http://user:word@127.0.0.1/feed",
        "http://user@127.0.0.1/feed",
        "http://[::1/feed",
        "http://127.0.0.1:99999/feed",
        "http://a..b/feed",
        "",
        "   ",
    ],
)
async def test_a_redirect_must_lead_to_a_web_address(location: str) -> None:
    """Other schemes, user names and invalid URLs end the poll, and no other server is contacted."""
    async with serving({"/feed": redirect(301, location)}) as server, fetching() as fetcher:
        error = await failing(fetcher, server.feed())

    assert error.outcome == "bad-address"
    assert len(server.asked) == 1
    assert "word" not in str(error)


async def test_a_redirect_may_not_lead_inside() -> None:
    """A public feed that redirects to a metadata service is stopped at the connection, without a request."""
    leads_inside = redirect(302, "http://169.254.169.254/latest/meta-data/")
    async with serving({"/feed": leads_inside}) as server, fetching() as fetcher:
        error = await failing(fetcher, server.feed())

    assert error.outcome == "blocked-address"


async def test_an_inside_address_is_not_asked() -> None:
    """Without the operator's leave, loopback is not connected to."""
    async with serving({"/feed": PAGE}) as server, fetching(inside=False) as fetcher:
        error = await failing(fetcher, server.feed())

    assert error.outcome == "blocked-address"
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "http://user:word@127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:x/", "feed.xml"],
)
async def test_a_feed_must_have_a_web_address(url: str) -> None:
    """A feed's own address is held to the same."""
    async with fetching() as fetcher:
        error = await failing(fetcher, Feed(id="us-press", url=url, issuer="Press office"))

    assert error.outcome == "bad-address"
    assert "word" not in str(error)


async def test_a_feeds_own_headers_stay_with_its_host() -> None:
    """A key that the operator sends to one host is sent on within it, and to no other."""
    async with serving({"/feed": PAGE}) as elsewhere:
        script = {"/feed": redirect(307, "/next"), "/next": redirect(307, elsewhere.url())}
        async with serving(script) as server, fetching() as fetcher:
            await fetcher.fetch(server.feed(headers={"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret"}), NOTHING)

    assert [request.headers.get("x-api-key") for request in server.asked] == [["s3cret"]] * 2
    assert "s3cret" not in str(elsewhere.asked)
    assert len(elsewhere.asked) == 1


@pytest.mark.parametrize(
    ("named", "url", "allowed"),
    [
        ("https://press.example/feed", "https://press.example/other", True),
        ("https://press.example/feed", "https://PRESS.example/feed", True),
        ("http://press.example/feed", "https://press.example/feed", True),
        ("https://press.example/feed", "http://press.example/feed", False),
        ("https://press.example/feed", "https://press.example:8443/feed", False),
        ("https://press.example/feed", "https://press.example.evil.example/feed", False),
        ("https://press.example/feed", "https://cdn.press.example/feed", False),
    ],
)
def test_secrets_go_to_the_named_host_and_never_into_the_clear(named: str, url: str, allowed: bool) -> None:
    """A feed's own headers follow a redirect within its host, and from http to https, but not back."""
    assert may_hear_secrets(url, named) is allowed


# ---------------------------------------------------------------- answers that are no document


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [
        (202, "blocked", Refused),
        (204, "blocked", Refused),
        (206, "blocked", Refused),
        (400, "not-a-feed", Refused),
        (422, "not-a-feed", Refused),
        (401, "blocked", Refused),
        (403, "blocked", Refused),
        (404, "not-found", Refused),
        (410, "retired", Refused),
        (429, "throttled", TryLater),
        (451, "blocked", Refused),
        (500, "unreachable", TryLater),
        (502, "unreachable", TryLater),
        (503, "unreachable", TryLater),
        (305, "unreachable", TryLater),
    ],
)
async def test_a_status_has_an_outcome(status: int, outcome: str, kind: type) -> None:
    """Nothing but 200 and 304 is success, even with a feed in the body."""
    error = await failure(answer(status, b"" if status == 204 else BODY))

    assert (error.outcome, type(error)) == (outcome, kind)


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["120", " 120 ", "Mon, 29 Jun 2020 21:02:00 GMT", "Monday, 29-Jun-20 21:02:00 GMT"])
async def test_a_wait_is_read_in_either_form(status: int, value: str) -> None:
    """Seconds or a date (RFC 9110, 10.2.3), and the error has the wait."""
    error = await failure(answer(status, Retry_After=value))

    assert error.outcome == "throttled"
    assert isinstance(error, TryLater)
    assert error.after == 120


async def test_a_wait_holds_for_the_whole_host() -> None:
    """No feed of the host is asked before the time has come; feeds of other hosts are, and then it is too."""
    now = NOW
    script: dict[str, list[Answer]] = {"/feed": [answer(429, Retry_After="60")], "/other": [PAGE]}
    async with (
        serving(script) as server,
        serving({"/feed": PAGE}) as elsewhere,
        fetching(clock=lambda: now) as fetcher,
    ):
        await failing(fetcher, server.feed())
        now = NOW + timedelta(seconds=20)
        early = await failing(fetcher, server.feed("/other"))
        other = await fetcher.fetch(elsewhere.feed(), NOTHING)
        asked = len(server.asked)
        now = NOW + timedelta(seconds=60)
        late = await fetcher.fetch(server.feed("/other"), NOTHING)

    assert isinstance(early, TryLater)
    assert (early.outcome, early.after, asked) == ("throttled", 40, 1)
    assert body_of(other) == body_of(late) == BODY


async def test_a_redirect_does_not_get_round_a_wait() -> None:
    """A host that asked us to stay away is not asked by way of another either."""
    async with (
        serving({"/busy": answer(503, Retry_After="60")}) as busy,
        serving({"/feed": redirect(302, busy.url("/any"))}) as server,
        fetching() as fetcher,
    ):
        await failing(fetcher, busy.feed("/busy"))
        error = await failing(fetcher, server.feed())

    assert error.outcome == "throttled"
    assert len(busy.asked) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("Mon, 29 Jun 2020 20:00:00 GMT", 0),
        ("999999", 86_400),
        ("9" * 5_000, 86_400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("Mon, 29 Jun 2020 21:00:30", 30),
        ("Mon, 29 Jun 99999999999999999999 21:00:00 GMT", None),
        ("Mon, 29 Jun 2020 21:00:00 +99999999", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_wait_is_bounded(value: str, seconds: float | None) -> None:
    """At least 0 and at most a day; a value that cannot be read is no wait and no error."""
    assert retry_after(value, NOW) == seconds


@given(st.text(max_size=60))
def test_no_wait_can_break_the_poll(value: str) -> None:
    """Any header at all gives seconds from none to a day, or None."""
    assert (after := retry_after(value, NOW)) is None or 0 <= after <= 86_400


# ---------------------------------------------------------------- packed bodies


def deflated(body: bytes, window: int) -> bytes:
    packer = zlib.compressobj(wbits=window)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "x-gzip"),
        (gzip.compress(BODY), "GZIP"),
        (gzip.compress(BODY), "identity, gzip"),
        (gzip.compress(BODY), None),
        (gzip.compress(BODY), "deflate"),
        (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "gzip"),
        (gzip.compress(BODY) + b"\0" * 100, "gzip"),
        (deflated(BODY, 15), "deflate"),
        (deflated(BODY, -15), "deflate"),
        (BODY, "gzip"),
        (BODY, "identity"),
        (BODY, ""),
    ],
    ids=[
        "gzip",
        "x-gzip",
        "upper-case",
        "with-identity",
        "not-said",
        "said-to-be-deflate",
        "two-members",
        "padded",
        "deflate-zlib",
        "deflate-raw",
        "said-and-not-done",
        "identity",
        "empty-header",
    ],
)
async def test_a_packed_body_is_unpacked(body: bytes, coding: str | None) -> None:
    """gzip and deflate, as servers send them and not only as they should."""
    headers = [] if coding is None else [("Content-Encoding", coding)]

    assert body_of(await fetched(answer(200, body, headers))) == BODY


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Encoding", "gzip, gzip")],
        [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")],
        [("Content-Encoding", "br")],
        [("Content-Encoding", "zstd")],
        [("Content-Encoding", "deflate, gzip")],
        [("Content-Encoding", "compress")],
    ],
    ids=str,
)
async def test_a_coding_that_nobody_asked_for_is_refused(headers: list[tuple[str, str]]) -> None:
    """Doubled and unknown codings are not unpacked, layer by layer or otherwise."""
    error = await failure(answer(200, gzip.compress(gzip.compress(BODY)), headers))

    assert (error.outcome, type(error)) == ("parse-error", Refused)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_small_body_that_unpacks_without_end_is_given_up(coding: str) -> None:
    """256 MiB from 256 KiB: refused at the limit, with little more than the limit in memory."""
    piece = b"\0" * 2**20
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(packer.compress(piece) for _ in range(256)) + packer.flush()
    tracemalloc.start()

    error = await failure(answer(200, bomb, [("Content-Encoding", coding)]))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.outcome, type(error)) == ("parse-error", Refused)
    assert len(bomb) < 300 * 1024
    assert peak < 4 * BYTES


def test_a_body_of_very_many_streams_is_given_up() -> None:
    """Each of them costs something, whatever it holds: a feed comes in one, or a few."""
    assert inflated(gzip.compress(b"x") * MEMBERS) == b"x" * MEMBERS

    with pytest.raises(Refused) as caught:
        inflated(gzip.compress(b"") * 200_000)

    assert caught.value.outcome == "parse-error"


@pytest.mark.parametrize("cut", [3, 10, 30, -1], ids=["in-the-header", "at-its-end", "in-the-words", "in-the-checksum"])
async def test_a_packed_body_that_is_cut_short_is_no_document(cut: int) -> None:
    """The rest may come next time; half a document is not read."""
    error = await failure(answer(200, gzip.compress(BODY)[:cut], Content_Encoding="gzip"))

    assert (error.outcome, type(error)) == ("unreachable", TryLater)


async def test_a_packed_body_that_is_broken_is_no_document() -> None:
    """A body whose checksum does not fit has lost something on its way."""
    packed = bytearray(gzip.compress(BODY))
    packed[-6] ^= 1

    assert (await failure(answer(200, bytes(packed)))).outcome == "unreachable"


@given(st.binary(max_size=200), st.sampled_from([31, 15, -15]))
def test_whatever_is_packed_comes_out_again(body: bytes, window: int) -> None:
    """Unpacking gives back every body, in each of the three wrappings."""
    if deflated(body, -15)[:2] != b"\x1f\x8b":
        assert inflated(deflated(body, window)) == body


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_no_bytes_break_the_unpacking(body: bytes, marked: bool) -> None:
    """Any bytes at all are unpacked, or fail as an edge may fail."""
    with contextlib.suppress(TryLater, Refused):
        inflated(b"\x1f\x8b" * marked + body)


# ---------------------------------------------------------------- sizes, and broken answers


async def test_a_document_may_be_as_long_as_the_limit() -> None:
    """16 MiB are read; one byte more is not."""
    full = b" " * BYTES

    assert len(body_of(await fetched(answer(200, full)))) == BYTES
    assert (await failure(answer(200, full + b" "))).outcome == "parse-error"


async def test_a_document_without_end_is_given_up() -> None:
    """A body without a declared length is read up to the limit and no further."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    error = await failure(Trickle(answer(Transfer_Encoding="chunked"), chunk * 16))

    assert (error.outcome, type(error)) == ("parse-error", Refused)


@pytest.mark.parametrize(
    "said",
    [
        Cut(answer(200, BODY, Content_Length="1000")),
        Cut(answer(200, b"20\r\n" + BODY[:10], Transfer_Encoding="chunked")),
        Cut(answer(200, b"4\r\n<rss\r\n", Transfer_Encoding="chunked")),
        answer(200, b"zz\r\n<rss\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        answer(200, b"4\r\n<rss>>>>\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        Cut(b"HTTP/1.1 200 OK\r\nContent-Le"),
        Cut(b"this is not HTTP\r\n\r\n"),
        Cut(b""),
        answer(200, BODY, Content_Length="many"),
        answer(200, BODY, [("Content-Length", "5"), ("Content-Length", "50")]),
        Cut(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        Cut(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20_000 + b"\r\n"),
    ],
    ids=[
        "shorter-than-said",
        "cut-inside-a-chunk",
        "cut-between-chunks",
        "chunk-size-is-no-number",
        "chunk-longer-than-said",
        "cut-inside-the-head",
        "no-http",
        "hung-up",
        "length-is-no-number",
        "two-lengths",
        "header-too-long",
        "too-many-headers",
    ],
)
async def test_a_broken_answer_is_no_document(said: Answer) -> None:
    """Half a document is not read as a whole one, and nothing that a server writes is an error of ours."""
    error = await failure(said)

    assert (error.outcome, type(error)) == ("unreachable", TryLater)


async def test_long_headers_are_read_over() -> None:
    """Some ministries send a policy of many kilobytes before each document."""
    policies = [("Content-Security-Policy", "default-src " + "https://example.org " * 2_000)] * 2

    assert body_of(await fetched(answer(200, BODY, policies))) == BODY


async def test_a_document_may_end_with_its_connection() -> None:
    """Old servers name no length, and hang up at the end."""
    assert body_of(await fetched(Cut(b"HTTP/1.0 200 OK\r\n\r\n" + BODY))) == BODY


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    "said",
    [SILENCE, Trickle(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"), Trickle(answer(Content_Length="100000"), b" ")],
    ids=["silence", "a-head-by-drops", "a-body-by-drops"],
)
async def test_a_slow_answer_ends_with_the_time_for_a_poll(said: Answer) -> None:
    """However lively the drops are, the whole poll is bounded."""
    async with asyncio.timeout(10):
        error = await failure(said, seconds=0.3)

    assert (error.outcome, type(error)) == ("unreachable", TryLater)


async def test_slow_redirects_share_one_time() -> None:
    """Each hop takes from the same time: a chain of slow servers takes no longer than one."""
    script: dict[str, Answer] = {f"/{hop}": redirect(302, f"/{hop + 1}") for hop in range(4)}
    forty_seconds_a_hop = itertools.count(step=40.0)
    async with serving(script | {"/4": PAGE}) as server:
        fetcher = Fetcher(LOOPBACK, seconds=100, ticks=lambda: next(forty_seconds_a_hop))
        error = await failing(fetcher, server.feed("/0"))
        await fetcher.close()

    assert (error.outcome, type(error)) == ("unreachable", TryLater)
    assert "/4" not in [request.path for request in server.asked]


async def test_nobody_listening_is_unreachable() -> None:
    """The error names a refused connection."""
    async with fetching() as fetcher:
        error = await failing(fetcher, Feed(id="us-press", url=f"http://{await closed_host()}/", issuer="Press"))

    assert (error.outcome, type(error)) == ("unreachable", TryLater)
    assert "no connection" in str(error)


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    """A server that cannot show who it is gets no request."""
    async with serving({"/feed": PAGE}, server_tls()) as server, fetching() as fetcher:
        error = await failing(fetcher, Feed(id="us-press", url=f"https://{server.host}/feed", issuer="Press"))

    assert (error.outcome, type(error)) == ("unreachable", TryLater)
    assert server.asked == []


# ---------------------------------------------------------------- many at once


async def polled(fetcher: Fetcher, server: Server, count: int) -> list[asyncio.Task[Document | Unchanged]]:
    """So many polls of one host, under way."""
    return [
        asyncio.create_task(fetcher.fetch(server.feed(f"/{number}", id=f"f{number}"), NOTHING))
        for number in range(count)
    ]


async def test_a_host_is_asked_by_two_at_a_time() -> None:
    """Feeds of one host take turns, all come through, and those of other hosts do not wait for them."""
    held = {f"/{number}": Held(PAGE) for number in range(6)}
    async with serving(held) as slow, serving({"/feed": PAGE}) as quick, fetching() as fetcher:
        polls = await polled(fetcher, slow, 6)
        await slow.heard(2)
        other = await fetcher.fetch(quick.feed(), NOTHING)
        asked_meanwhile = len(slow.asked)
        slow.release()
        documents = await asyncio.gather(*polls)

    assert body_of(other) == BODY
    assert [body_of(document) for document in documents] == [BODY] * 6
    assert (asked_meanwhile, slow.most_at_once) == (2, 2)


async def test_the_operator_may_let_more_ask_together() -> None:
    """`per_host` is how many polls of a host are under way at a time."""
    held = {f"/{number}": Held(PAGE) for number in range(6)}
    async with serving(held) as server:
        fetcher = Fetcher(LOOPBACK, per_host=5)
        polls = await polled(fetcher, server, 6)
        await server.heard(5)
        server.release()
        await asyncio.gather(*polls)
        await fetcher.close()

    assert server.most_at_once == 5


async def test_the_wait_for_a_turn_is_not_the_servers_fault() -> None:
    """Of many feeds on a host whose first ones never answer, each has its own time, and the last is read."""
    script: dict[str, Answer] = {"/0": SILENCE, "/1": SILENCE, "/2": SILENCE, "/3": SILENCE, "/4": PAGE}
    async with serving(script) as server, fetching(seconds=0.3) as fetcher:
        results = await asyncio.gather(*await polled(fetcher, server, 5), return_exceptions=True)

    assert [type(result) for result in results] == [TryLater] * 4 + [Document]


async def test_a_redirect_waits_for_the_other_hosts_turn() -> None:
    """Feeds that all redirect to one host reach it two at a time as well."""
    held = {f"/{number}": Held(PAGE) for number in range(5)}
    async with serving(held) as target:
        script = {"/feed": [redirect(302, target.url(f"/{number}")) for number in range(5)]}
        async with serving(script) as one, serving(script) as two, serving(script) as three, fetching() as fetcher:
            polls = [
                asyncio.create_task(fetcher.fetch(server.feed(), NOTHING)) for server in (one, two, three, one, two)
            ]
            await target.heard(2)
            target.release()
            await asyncio.gather(*polls)

    assert target.most_at_once == 2


@pytest.mark.parametrize(
    "said", [SILENCE, Trickle(answer(Content_Length="100000"), b" ")], ids=["before-the-answer", "inside-the-body"]
)
async def test_a_cancelled_poll_leaves_its_place(said: Answer) -> None:
    """Polls that are broken off, whenever it is, hold nothing that those after them need."""
    async with serving({"/0": said, "/1": said, "/2": said, "/feed": PAGE}) as server, fetching() as fetcher:
        polls = await polled(fetcher, server, 3)
        await server.heard(2)
        for poll in polls:
            poll.cancel()
        ended = await asyncio.gather(*polls, return_exceptions=True)
        document = await fetcher.fetch(server.feed(), NOTHING)

    assert [type(end) for end in ended] == [asyncio.CancelledError] * 3
    assert body_of(document) == BODY


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """A kept connection that the server has let go of costs no poll."""
    async with serving({"/feed": [Cut(PAGE), PAGE]}) as server, fetching() as fetcher:
        first = await fetcher.fetch(server.feed(), NOTHING)
        second = await fetcher.fetch(server.feed(), NOTHING)

    assert body_of(first) == body_of(second) == BODY


async def test_a_fetcher_can_be_closed_twice() -> None:
    """Closing lets go of everything once, whether it was used or not."""
    fetcher = Fetcher()

    await fetcher.close()
    await fetcher.close()
