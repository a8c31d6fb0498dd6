"""Do matching, `preview` and `subscriptions check` agree on what a watchlist finds?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.eventlog.log import EventLog
from notifier.eventlog.memory import MemoryLog
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.questions.preview import find_alert
from notifier.questions.volume import volume
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.match import Matcher
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from notifier.watchlists.index.index import Index
from notifier.watchlists.query import parse
from notifier.watchlists.watchlist import Watchlist
from tests.builders import NOON, Clock, events
from tests.examples import examples

QUERIES = (
    'added:"entity list"',
    "removed:quota",
    "licence",
    "title:China",
    "quota NOT licence",
    "added:licence AND China",
)
WORDS = ("entity list", "quota", "licence", "China", "the rest", "exports")


def watchlist(query: str) -> Watchlist:
    return Watchlist("desk", "Wish", parse(query))


def publication(title: str = "Notice", text: str = "", n: int = 1) -> StatementPublished:
    said = Statement(
        id=f"us-commerce/{n}",
        feed="us-commerce",
        issuer="Commerce",
        title=title,
        text=text,
        fingerprint=fingerprint(title, text),
        published_at=NOON + timedelta(days=n),
    )
    return StatementPublished(statement=said, seen_at=NOON)


def revision(of: StatementPublished | StatementRevised, text: str) -> StatementRevised:
    said = msgspec.structs.replace(of.statement, text=text, fingerprint=fingerprint(of.statement.title, text))
    return StatementRevised(statement=said, replaces=of.statement.fingerprint, revises=of.id, seen_at=NOON)


def page(of: StatementPublished, text: str) -> PageRead:
    said = msgspec.structs.replace(of.statement, text=text)
    return PageRead(cause=of.id, statement=said, page=fingerprint(text), seen_at=NOON)


async def matched_live(log: EventLog, wish: Watchlist) -> set[str]:
    """The ids of the statements that live matching alerts a subscriber to."""
    index = Index()
    index.add(wish)
    mail = Contact("email", "email", Secret("desk@bank.example"))
    desk = Subscriber(id="desk", name="Desk", timing=Timing(), watchlists=(wish,), channels=(mail,))
    await Matcher(log, index, Book({"desk": desk})).run()
    alerts = await events(log, AlertRaised)
    also = [found.event for alert in alerts for id in alert.also if (found := await log.find(id))]
    return {alert.statement_id for alert in alerts} | {event.statement.id for event in also}


async def agreed(story: list[Event], query: str) -> tuple[set[str], int, str]:
    """What live matching alerts to, how many statements `volume` counts, and the statement that `preview` finds."""
    clock = Clock()
    asked, live = MemoryLog(clock), MemoryLog(clock)
    for event in story:
        await asked.append([event])
        await live.append([event])
        clock.advance(7_200)  # apart in time, so that no burst and no story hides one behind another

    wish = watchlist(query)
    found = await find_alert(asked, "Wish", [wish])
    counted = (await volume(asked, [wish])).matched.get(wish.key, 0)
    previewed = found.event.statement_id if found and isinstance(found.event, AlertRaised) else ""
    return await matched_live(live, wish), counted, previewed


FIRST = publication(text="Firms on the list.")


@pytest.mark.parametrize(
    ("story", "query"),
    [
        ([FIRST, revision(FIRST, "Firms on the list. Ten are added to the entity list.")], 'added:"entity list"'),
        (
            [publication(text="A quota holds."), revision(publication(text="A quota holds."), "It ends.")],
            "removed:quota",
        ),
        ([FIRST, page(FIRST, "The page has the words: a licence is needed.")], "licence"),
        (
            [FIRST, StatementWithdrawn(statement=FIRST.statement, revises=FIRST.id, reason="gone", seen_at=NOON)],
            "firms",
        ),
    ],
    ids=["added", "removed", "the page's words", "withdrawn"],
)
async def test_what_raises_an_alert_is_previewed_and_counted(story: list[Event], query: str):
    """For what a revision added or removed, and for words that only the page has, as for any others."""
    live, counted, previewed = await agreed(story, query)

    assert live == {"us-commerce/1"}
    assert counted == 1
    assert previewed == "us-commerce/1"


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """Some statements, each published, perhaps read, revised once or twice, perhaps withdrawn."""
    told: list[Event] = []
    for n in range(1, draw(st.integers(1, 4)) + 1):
        texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(". ".join)
        first = publication(title=draw(st.sampled_from(WORDS)), text=draw(texts), n=n)
        told.append(first)
        if draw(st.booleans()):
            told.append(page(first, draw(texts)))
        last: StatementPublished | StatementRevised = first
        for text in draw(st.lists(texts, max_size=2)):
            if text != last.statement.text:
                last = revision(last, text)
                told.append(last)
        if draw(st.booleans()):
            told.append(StatementWithdrawn(statement=last.statement, revises=last.id, reason="gone", seen_at=NOON))
    return list({event.id: event for event in told}.values())


@examples(60)
@given(stories(), st.sampled_from(QUERIES))
def test_all_agree_on_any_log(story: list[Event], query: str):
    """What live matching alerts to is counted, and the preview is one of these statements, if there are any."""
    live, counted, previewed = asyncio.run(agreed(story, query))

    assert counted == len(live)
    assert bool(previewed) == bool(live)
    assert not previewed or previewed in live
