"""Real feeds on the whole line: served, polled twice, one of them edited, and told of by mail."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from notifier.events.alerts import AlertRaised
from notifier.events.deliveries import AlertDelivered
from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined, FeedHealthChanged
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.service import Service
from tests.homes import DESK, events, make_home, world

FEEDS = Path(__file__).parents[2] / "../shared/data/feeds/gov-feed"

# Feeds of governments as they were served, and the statements that they show.
SERVED = {
    "ca-nrcan-earthquakes.atom": 3,
    "es-ign-sismologia.xml": 25,
    "un-gdacs-24h.xml": 21,
    "us-gsa-blogs.xml": 361,
    "us-house-clerk-floor-same-guid.xml": 7,
    "us-uscourts-ca1-oralargs.xml": 21,
    "us-uscourts-ca10-pacer.xml": 6,
    "us-uscourts-ca4-pacer.xml": 20,
    "us-uscourts-ca9-published.rss": 100,
    "us-uscourts-cadc-pacer.xml": 13,
    "us-uscourts-cafc-wordpress.xml": 100,
    "us-whitehouse-blog-2011.xml": 3,
}
EDITED = "us-whitehouse-blog-2011.xml"
WORDS = "Dual-use controls reach Hong Kong"

pytestmark = pytest.mark.skipif(not FEEDS.is_dir(), reason="the collection of real feeds is not beside this checkout")


def edited(body: bytes) -> bytes:
    """The document with its first item's title changed."""
    return re.sub(rb"(<item>.*?<title>).*?(</title>)", rb"\1" + WORDS.encode() + rb"\2", body, count=1, flags=re.S)


async def test_an_edit_in_one_of_many_real_feeds_is_found_and_mailed(tmp_path: Path):
    """Twelve feeds are a baseline; then the one edited title is the only event, and the only mail."""
    ids = {name: name.partition(".")[0] for name in SERVED}
    async with world() as around:
        home = make_home(tmp_path, around, {id: _kind(name) for name, id in ids.items()}, {"desk": DESK})
        for name, id in ids.items():
            around.publisher.publish(id, (FEEDS / name).read_bytes(), "application/xml")
        async with Service.opened(home) as app:
            await app.run_once()
            first = await events(app)
            around.publisher.publish(ids[EDITED], edited((FEEDS / EDITED).read_bytes()), "application/xml")
            await app.run_once()
            second = (await events(app))[len(first) :]

    baselines = {event.feed: event.entries for event in first if isinstance(event, FeedBaselined)}
    published = Counter(event.statement.feed for event in first if isinstance(event, StatementPublished))
    assert baselines == {ids[name]: number for name, number in SERVED.items()}
    assert published == baselines
    assert {event.outcome for event in first if isinstance(event, FeedHealthChanged)} == {"ok"}
    assert _types(first) == {SubscriptionsApplied, FeedBaselined, FeedHealthChanged, StatementPublished}

    assert [type(event) for event in second] == [StatementRevised, AlertRaised, AlertDelivered]
    ((to, mail),) = around.mailroom.mails
    assert to == "desk@bank.example"
    assert WORDS in mail["Subject"]
    assert around.publisher.answered[304] == len(SERVED) - 1


def _kind(name: str) -> str:
    return "atom" if name.endswith(".atom") else "rss"


def _types(of: list[Event]) -> set[type[Event]]:
    return {type(event) for event in of}
