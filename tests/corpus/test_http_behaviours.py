"""
Behaviours of servers that were seen in the wild, played by a server of ours and met by the poller.

Each scene is named after the sighting that it replays; what was seen, where and when is told in the collection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.eventlog.memory import MemoryLog
from notifier.events.event import Event
from notifier.events.feeds import FeedMoved
from notifier.events.statements import StatementPublished
from notifier.feeds.feed import Feed
from notifier.feeds.fetch import Fetcher
from notifier.feeds.parsers import Parser
from notifier.feeds.rounds import PollResult
from notifier.guard import networks
from notifier.steps.poll import Poller
from tests.feeds.servers import SILENCE, Answer, Server, answer, redirect, serving

BEHAVIOURS = Path(__file__).parents[2] / "../shared/data/http-behaviours.yaml"
NOW = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)

# What the poller cannot tell yet, and what it waits for.
WAITING = {
    "charset-lie-json": "it is served by an API of its own shape, and those are no kind of feed yet",
    "gone-410": "it is about a statement's page, and pages are not read again yet",
    "future-dated": "a scheduled statement is told from others once detection looks at dates to come",
}


class Scene(msgspec.Struct, frozen=True):
    """
    What a server answers, poll by poll, and how each must end: the outcome, and how many statements are new and
    revised. The first poll of a feed is its baseline. `pause` passes between two polls.
    """

    answers: Sequence[Answer]
    ends: Sequence[tuple[str, int, int]]
    pause: timedelta = timedelta(minutes=5)


def item(number: int, title: str = "", *, site: str = "http://press.example", date: str = "") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    words = title or f"Statement {number} on exports"
    return f"<item><guid>{site}/{number}</guid><link>{site}/{number}</link><title>{words}</title>{dated}</item>"


def page(*items: str, extra: str = "", **headers: str) -> bytes:
    """A feed with these items, as a server gives it."""
    body = f'<rss version="2.0"><channel><title>Press</title>{extra}{"".join(items)}</channel></rss>'
    return answer(200, body.encode(), Content_Type="application/rss+xml", **headers)


def dated(hour: int) -> str:
    return item(1, date=f"Mon, 29 Jun 2020 {hour:02}:15:00 GMT")


ENDED = "<item><guid>end</guid><title>This feed has ended</title></item>"
WALL = b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Human verification: captcha</body></html>"
OLD_SITE = [item(number) for number in range(4)]
NEW_SITE = [item(number, site="https://new-press.example") for number in range(4)]

SCENES = {
    "botwall-200-html": Scene(
        [page(item(1)), answer(200, WALL, Content_Type="text/html"), page(item(2), item(1))],
        [("ok", 1, 0), ("blocked", 0, 0), ("ok", 1, 0)],
    ),
    "botwall-with-feed-content-type": Scene(
        [page(item(1)), answer(200, WALL, Content_Type="application/rss+xml"), page(item(1))],
        [("ok", 1, 0), ("blocked", 0, 0), ("unchanged", 0, 0)],
    ),
    "botwall-403": Scene(
        [page(item(1)), answer(403, WALL), page(item(1))],
        [("ok", 1, 0), ("blocked", 0, 0), ("unchanged", 0, 0)],
    ),
    "waf-202-challenge": Scene(
        [page(item(1)), answer(202, WALL, Content_Type="text/html"), page(item(1))],
        [("ok", 1, 0), ("blocked", 0, 0), ("unchanged", 0, 0)],
    ),
    "connection-black-hole": Scene([SILENCE], [("unreachable", 0, 0)]),
    "zombie-feed": Scene(
        [page(item(1, date="Thu, 01 Feb 2018 09:00:00 GMT"), item(2, date="Fri, 02 Jan 2009 09:00:00 GMT"))],
        [("ok", 2, 0), ("stale", 0, 0), ("stale", 0, 0)],
        pause=timedelta(days=2),
    ),
    "rolling-window-overrun": Scene(
        [page(*(item(number) for number in range(20))), page(*(item(number) for number in range(30, 50)))],
        [("ok", 20, 0), ("gap", 20, 0), ("unchanged", 0, 0)],
    ),
    "legit-empty": Scene(
        [page(item(1)), page(), page(item(1))],
        [("ok", 1, 0), ("ok-empty", 0, 0), ("ok", 0, 0)],
    ),
    "tombstone-entry": Scene(
        [page(item(1)), page(ENDED)],
        [("ok", 1, 0), ("retired", 0, 0)],
    ),
    "etag-moves-without-news": Scene(
        [page(item(1), ETag='"1"'), page(item(1), ETag='"2"'), page(item(1), extra="<ttl>5</ttl>", ETag='"3"')],
        [("ok", 1, 0), ("unchanged", 0, 0), ("ok", 0, 0)],
    ),
    "ims-only": Scene(
        [page(item(1), ETag='"1"', Last_Modified="Mon, 29 Jun 2020 20:00:00 GMT"), answer(304)],
        [("ok", 1, 0), ("unchanged", 0, 0)],
    ),
    "no-validators": Scene(
        [page(item(1)), page(item(1), Cache_Control="no-cache")],
        [("ok", 1, 0), ("unchanged", 0, 0)],
    ),
    "body-differs-without-news": Scene(
        [page(dated(8)), page(dated(9)), page(dated(9), extra="<!-- beacon 4f1 -->")],
        [("ok", 1, 0), ("ok", 0, 0), ("ok", 0, 0)],
    ),
    "stale-shared-cache": Scene(
        [page(item(1, "Curbs")), page(item(2), item(1, "More curbs"))] * 2 + [page(item(1, "Curbs"))],
        [("ok", 1, 0), ("ok", 1, 1), ("ok", 0, 0), ("ok", 0, 0), ("ok", 0, 0)],
    ),
    "max-age-one-day": Scene(
        [page(item(1), Cache_Control="max-age=86400, public"), page(item(2), Cache_Control="max-age=86400, public")],
        [("ok", 1, 0), ("ok", 1, 0)],
    ),
    "odd-date": Scene(
        [page(item(1, date="the day after the vote"), item(2, date="26-10-02  10:45"))],
        [("ok", 2, 0)],
    ),
    "moved-permanently": Scene(
        [page(*OLD_SITE), redirect(301, "/new")],
        [("ok", 4, 0), ("ok", 0, 0)],
    ),
    "burst": Scene(
        [page(item(1)), page(*(item(number) for number in range(432)))],
        [("ok", 1, 0), ("ok", 431, 0)],
    ),
}


class Played(msgspec.Struct, frozen=True):
    """A scene after its end: how each poll ended, what was recorded, and the server."""

    polls: list[PollResult]
    events: list[Event]
    server: Server

    def published(self) -> list[StatementPublished]:
        return [event for event in self.events if isinstance(event, StatementPublished)]


async def played(scene: Scene) -> Played:
    """A scene met by everything that polls: fetcher, parser in its child, and detection, over a log."""
    seconds = 0.5 if SILENCE in scene.answers else 10.0
    log, fetcher, parser = MemoryLog(lambda: NOW), Fetcher(networks(["127.0.0.0/8"]), seconds=seconds), Parser()
    polls: list[PollResult] = []
    poller = Poller(log, fetcher, parser, lambda: NOW + len(polls) * scene.pause)
    async with serving({"/feed": scene.answers, "/new": page(*NEW_SITE)}) as server:
        feed = Feed(id="us-press", url=server.url(), issuer="Press office")
        for _ in scene.ends:
            polls.append(await poller.poll(feed))
        await fetcher.close()
        await parser.close()
    recorded = await log.read(0)
    return Played(polls, [each.event for each in recorded.events], server)


@pytest.mark.skipif(not BEHAVIOURS.exists(), reason="the collection of servers' behaviours is not here")
def test_every_sighting_is_met_or_waits_for_a_reason() -> None:
    """Each behaviour of the collection is a scene, or is named with what it waits for; none is made up."""
    seen = set(re.findall(r"^- id: (\S+)$", BEHAVIOURS.read_text("utf-8"), re.M))

    assert seen == SCENES.keys() | WAITING.keys()
    assert not SCENES.keys() & WAITING.keys()


@pytest.mark.parametrize("name", SCENES)
async def test_a_sighting_ends_as_it_should(name: str) -> None:
    """Each poll has the outcome we want, and what is new is recorded once."""
    scene = await played(SCENES[name])

    assert [(poll.outcome, poll.published, poll.revised) for poll in scene.polls] == list(SCENES[name].ends)
    assert scene.polls[0].baseline == (scene.polls[0].outcome == "ok")


async def test_both_validators_reach_a_server_that_honours_one() -> None:
    """`ims-only`: which of the two it looks at is the server's business."""
    scene = await played(SCENES["ims-only"])

    headers = scene.server.asked[1].headers
    assert headers["if-none-match"] == ['"1"']
    assert headers["if-modified-since"] == ["Mon, 29 Jun 2020 20:00:00 GMT"]


async def test_a_cache_does_not_set_the_pace() -> None:
    """`max-age-one-day`: how long an answer may be cached does not change when we poll again."""
    scene = await played(SCENES["max-age-one-day"])

    assert [poll.after for poll in scene.polls] == [None, None]


async def test_an_odd_date_is_kept_as_it_came() -> None:
    """`odd-date`: the entry is recorded without a date that we could read, with the words that stood there."""
    scene = await played(SCENES["odd-date"])

    statements = {event.statement.title: event.statement for event in scene.published()}
    odd = statements["Statement 1 on exports"]
    assert (odd.published_at, odd.published_raw) == (None, "the day after the vote")
    assert len(statements) == 2


async def test_a_move_is_recorded_and_alerts_nobody() -> None:
    """`moved-permanently`: the new address is an event, though every link and guid is another."""
    scene = await played(SCENES["moved-permanently"])

    assert [event.url for event in scene.events if isinstance(event, FeedMoved)] == [scene.server.url("/new")]
    assert {event.muted_because for event in scene.published()} == {"baseline"}


async def test_an_ended_feed_publishes_nothing() -> None:
    """`tombstone-entry`: the entry that says so is no statement."""
    scene = await played(SCENES["tombstone-entry"])

    assert [event.statement.title for event in scene.published()] == ["Statement 1 on exports"]


async def test_a_black_hole_delays_no_other() -> None:
    """`connection-black-hole`: while one server never answers, another is read."""
    fetcher, parser = Fetcher(networks(["127.0.0.0/8"]), seconds=10), Parser()
    poller = Poller(MemoryLog(lambda: NOW), fetcher, parser, lambda: NOW)
    async with serving({"/feed": SILENCE}) as hole, serving({"/feed": page(item(1))}) as other:
        stuck = asyncio.create_task(poller.poll(Feed(id="hole", url=hole.url(), issuer="Press")))
        await hole.heard(1)
        poll = await poller.poll(Feed(id="other", url=other.url(), issuer="Press"))
        waits = not stuck.done()
        stuck.cancel()
        await asyncio.wait([stuck])
        await fetcher.close()
        await parser.close()

    assert poll.outcome == "ok"
    assert waits
