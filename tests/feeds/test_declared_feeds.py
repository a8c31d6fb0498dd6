"""What offers no feed, for real: pages over HTTP, read in the child, recorded once, and shown beforehand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.eventlog.memory import MemoryLog
from notifier.events.deliveries import AlertDelivered
from notifier.events.statements import StatementPublished
from notifier.feeds.feed import Feed
from notifier.feeds.fetch import Fetcher
from notifier.feeds.parsers import Parser
from notifier.feeds.shape import JsonShape, PageShape, Paging
from notifier.guard import networks
from notifier.service import Service
from notifier.steps.poll import Poller
from tests.commands import Run
from tests.feeds.servers import Script, Server, answer, serving
from tests.homes import HOST, events, make_home, said, world

NOW = datetime(2020, 6, 30, 1, 0, tzinfo=UTC)
KEY = {"X-Api-Key": "k-17"}


class Desk:
    """A poller with real hands, on a log in memory."""

    def __init__(self, server: Server, parser: Parser) -> None:
        self.server, self.log = server, MemoryLog(lambda: NOW)
        self.fetcher = Fetcher(allow=networks([f"{HOST}/32"]))
        self.poller = Poller(self.log, self.fetcher, parser, lambda: NOW)

    def feed(self, **shape: JsonShape | PageShape) -> Feed:
        kind = "json" if "json" in shape else "html"
        return Feed(id="m", url=self.server.url("/news"), issuer="M", kind=kind, headers=KEY, **shape)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.server.asked]

    async def titles(self) -> list[str]:
        page = await self.log.read(0, [StatementPublished.type])
        return [each.event.statement.title for each in page.events if isinstance(each.event, StatementPublished)]


@pytest.fixture
async def parser() -> AsyncIterator[Parser]:
    parser = Parser()
    yield parser
    await parser.close()


def listing(*titles: str, following: str | None = None) -> bytes:
    items = [{"no": title, "title": title} for title in titles]
    return answer(200, json.dumps({"items": items, "next": following}).encode(), ETag='"1"')


def rows(*titles: str) -> bytes:
    return answer(200, "".join(f"<li><a href='/{title}'>{title}</a></li>" for title in titles).encode())


LISTED = JsonShape(entries="items", id="no", title="title", paging=Paging(next="next", pages=4))


@pytest.mark.parametrize(
    ("script", "shape", "titles", "asked"),
    [
        (
            {"/news": listing("C", "B", following="/news?p=2"), "/news?p=2": listing("A")},
            {"json": LISTED},
            ["A", "B", "C"],
            ["/news", "/news?p=2"],
        ),
        (
            {"/news": listing("A", following="/news?p=1"), "/news?p=1": listing("A", following="/news?p=1")},
            {"json": LISTED},
            ["A"],
            ["/news", "/news?p=1"],
        ),
        (
            {"/news": rows("C"), "/news?page=1": rows("B"), "/news?page=2": rows("B")},
            {"html": PageShape(entries="li", paging=Paging(parameter="page", first=0))},
            ["B", "C"],
            ["/news", "/news?page=1", "/news?page=2"],
        ),
    ],
    ids=["by address", "the first again", "by counting"],
)
async def test_further_pages_are_asked_for_one_after_the_other(
    parser: Parser, script: Script, shape: dict[str, JsonShape | PageShape], titles: Sequence[str], asked: Sequence[str]
):
    """Until one repeats or leads no further; each is asked with the operator's key, and only the first with an ETag."""
    async with serving(script) as server:
        desk = Desk(server, parser)
        poll = await desk.poller.poll(desk.feed(**shape))
        await desk.fetcher.close()

    assert (poll.outcome, poll.detail) == ("ok", "")
    assert await desk.titles() == titles
    assert desk.paths == asked
    assert all(request.headers["x-api-key"] == ["k-17"] for request in server.asked)
    assert not any("if-none-match" in request.headers for request in server.asked)


async def test_a_page_that_fails_is_asked_for_again(parser: Parser):
    """What came before it is recorded; the next poll reads on although the first page has nothing new."""
    first = listing("B", following="/news?p=2")
    async with serving({"/news": first, "/news?p=2": [answer(500), listing("A")]}) as server:
        desk = Desk(server, parser)
        failed = await desk.poller.poll(desk.feed(json=LISTED))
        before = await desk.titles()
        mended = await desk.poller.poll(desk.feed(json=LISTED))
        await desk.fetcher.close()

    assert (failed.outcome, before) == ("parse-error", ["B"])
    assert "page 2 could not be read" in failed.detail
    assert (mended.outcome, await desk.titles()) == ("ok", ["B", "A"])
    assert desk.paths == ["/news", "/news?p=2"] * 2


async def test_a_question_that_is_not_understood_is_told(parser: Parser):
    """An API that answers 400 or 422 has no news to be without."""
    async with serving({"/news": answer(422, b'{"errors": ["Unexpected parameter"]}')}) as server:
        desk = Desk(server, parser)
        poll = await desk.poller.poll(desk.feed(json=LISTED))
        await desk.fetcher.close()

    assert poll.outcome == "not-a-feed"
    assert "answered 422" in poll.detail


PAGE = """
[[feed]]
id = "actions"
url = "{url}"
issuer = "Office of Foreign Assets Control"
preset = "us-ofac-recent-actions"
"""


def actions(*titles: str) -> str:
    return "".join(
        f'<div class="search-result views-row"><a href="/recent-actions/{title[-1]}">{title}</a>'
        f'<div class="font-sans-2xs">June 30, 2020 - <a>Guidance</a></div></div>'
        for title in titles
    )


def home_of(folder: Path, around: object) -> Path:
    """A home that follows a page by a preset of the catalogue."""
    home = make_home(folder, around, {})
    with (home / "notifier.toml").open("a") as settings:
        settings.write(PAGE.format(url=around.publisher.url("actions")))
    return home


async def test_what_a_page_would_yield_is_shown_before_it_is_followed(tmp_path: Path):
    """`feeds check` reads it by its declaration and shows the first titles; nothing is recorded."""
    async with world() as around:
        home = home_of(tmp_path, around)
        around.publisher.publish("actions", actions("Notice 3", "Notice 2", "Notice 1"), "text/html")
        _, plain, _ = await said(home, "feeds", "check")
        _, two, _ = await said(home, "feeds", "check", "actions", "--show", "2")
        _, some, _ = await said(home, "feeds", "check", "-v")
        as_json = Run(*await said(home, "feeds", "check", "--show", "1", "--json"))
        around.publisher.publish("actions", "<h1>We have a new site</h1>", "text/html")
        rebuilt, out, _ = await said(home, "feeds", "check", "-v")

    assert plain.split() == ["ok", "actions", "3", "statements,", "the", "newest", "of", "2020-06-30", "04:00Z"]
    assert [line.split(maxsplit=2)[2] for line in two.splitlines()[1:]] == ["Notice 3", "Notice 2"]
    assert len(some.splitlines()) == 4
    assert [entry["title"] for entry in as_json.rows[0]["first"]] == ["Notice 3"]
    assert rebuilt == 3
    assert "the page's structure has changed" in " ".join(out.split())
    assert not (home / "data").exists()


async def test_what_a_page_adds_reaches_its_subscriber(tmp_path: Path):
    """From an address without a feed to a mail, through settings, child, log and outbox."""
    async with world() as around:
        home = home_of(tmp_path, around)
        around.publisher.publish("actions", actions("Notice 1"), "text/html")
        async with Service.opened(home, clock=lambda: NOW) as app:
            await app.run_once()
            around.publisher.publish("actions", actions("Hong Kong dual-use exports 2", "Notice 1"), "text/html")
            await app.run_once()
            delivered = await events(app, AlertDelivered)

    (mail,) = around.mailroom.to(around.mailroom.mails[0][0])
    assert "Hong Kong dual-use exports 2" in mail.as_string()
    assert len(delivered) == 1
