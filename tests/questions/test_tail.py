"""Does every event have a line that a person understands?"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import msgspec
import pytest

from notifier.eventlog.codec import TYPES
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised, WatchlistMatched
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import (
    AlertDelivered,
    DeliveryAbandoned,
    DeliveryBounced,
    DeliveryPostponed,
    DeliveryRetried,
)
from notifier.events.event import Event, Recorded
from notifier.events.feeds import FeedBaselined, FeedHealthChanged, FeedMoved
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.questions.tail import TailLine, counted, line
from notifier.statement import Statement
from tests.builders import NOON

STATEMENT = Statement(
    id="us-commerce/1",
    feed="us-commerce",
    issuer="US Department of Commerce",
    title="Status ends",
    fingerprint="0" * 24,
)
DELIVERY = {"cause": "1" * 36, "alert": "1" * 36, "subscriber": "desk", "channel": "email", "attempt": 1}
BOUNCED = {key: value for key, value in DELIVERY.items() if key != "attempt"} | {"seen_at": NOON}


def alert(*words: str) -> AlertRaised:
    matches = (
        WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=words),
        WatchlistMatched(watchlist="China", query="China", words=words[:1]),
    )
    return AlertRaised(
        cause="1" * 36, subscriber="desk", statement_id="us-commerce/1", matches=matches, channels=("email", "slack")
    )


def told(event: Event) -> TailLine:
    return line(Recorded(7, event.id, NOON, event))


# Every type of event: an example of each end it may have, what it is about, its sentence, and its mood.
LINES: list[tuple[Event, str, str, str]] = [
    (StatementPublished(statement=STATEMENT, seen_at=NOON), "us-commerce", "Status ends", "news"),
    (
        StatementPublished(statement=STATEMENT, seen_at=NOON, muted_because="baseline"),
        "us-commerce",
        "Status ends (baseline: no alert)",
        "quiet",
    ),
    (
        StatementRevised(statement=STATEMENT, replaces="0" * 24, seen_at=NOON),
        "us-commerce",
        "Status ends (its words changed)",
        "news",
    ),
    (
        StatementRevised(statement=STATEMENT, replaces="0" * 24, seen_at=NOON, muted_because="too often today"),
        "us-commerce",
        "Status ends (its words changed; too often today: no alert)",
        "quiet",
    ),
    (
        StatementRevised(statement=STATEMENT, replaces=STATEMENT.fingerprint, seen_at=NOON, muted_because="renamed"),
        "us-commerce",
        "Status ends (under another name than before)",
        "quiet",
    ),
    (
        StatementRevised(statement=STATEMENT, replaces="0" * 24, seen_at=NOON, page="1" * 24, silent=True),
        "us-commerce",
        "Status ends (its page was changed without a word)",
        "news",
    ),
    (
        PageRead(cause="1" * 36, statement=STATEMENT, page="1" * 24, seen_at=NOON),
        "us-commerce",
        "Status ends (its page was read)",
        "quiet",
    ),
    (
        PageUnreadable(cause="1" * 36, statement_id="us-commerce/1", reason="the PDF has no text layer"),
        "us-commerce",
        "a page could not be read: the PDF has no text layer",
        "plain",
    ),
    (
        StatementWithdrawn(statement=STATEMENT, revises="1" * 36, reason="410, twice", seen_at=NOON),
        "us-commerce",
        "Status ends (withdrawn: 410, twice)",
        "news",
    ),
    (
        StatementWithdrawn(statement=STATEMENT, revises="1" * 36, reason="410", seen_at=NOON, muted_because="baseline"),
        "us-commerce",
        "Status ends (withdrawn: 410)",
        "quiet",
    ),
    (
        FeedBaselined(feed="us-commerce", entries=1),
        "us-commerce",
        "first poll: 1 statement recorded as known, nobody alerted",
        "plain",
    ),
    (FeedHealthChanged(feed="us-commerce", outcome="ok", changed_at=NOON), "us-commerce", "ok", "good"),
    (FeedHealthChanged(feed="us-commerce", outcome="ok-empty", changed_at=NOON), "us-commerce", "ok-empty", "good"),
    (
        FeedHealthChanged(feed="us-commerce", outcome="blocked", before="ok", detail="403", changed_at=NOON),
        "us-commerce",
        "blocked, was ok: 403",
        "warning",
    ),
    (
        FeedMoved(feed="us-commerce", url="https://b.example", url_before="https://a.example"),
        "us-commerce",
        "moved for good to https://b.example; please change its url",
        "warning",
    ),
    (
        alert("Hong Kong", "licences"),
        "desk",
        "“Exports”, “China” matched: Hong Kong, licences → email, slack",
        "plain",
    ),
    (alert(), "desk", "“Exports”, “China” matched → email, slack", "plain"),
    (
        msgspec.structs.replace(alert("Hong Kong"), also=("2" * 36, "3" * 36)),
        "desk",
        "“Exports”, “China” matched: Hong Kong, with 2 more that tell the same → email, slack",
        "plain",
    ),
    (
        msgspec.structs.replace(alert(), follows="2" * 36),
        "desk",
        "“Exports”, “China” matched, follows an earlier alert → email, slack",
        "plain",
    ),
    (
        msgspec.structs.replace(alert(), waits_for="daily"),
        "desk",
        "“Exports”, “China” matched → email, slack, held (daily)",
        "plain",
    ),
    (
        msgspec.structs.replace(alert(), urgent=True),
        "desk",
        "urgent: “Exports”, “China” matched → email, slack",
        "plain",
    ),
    (
        DigestRaised(
            subscriber="desk", channels=("email",), frequency="daily", due_at=NOON, until=9, alerts=("1", "2"), part=2
        ),
        "desk",
        "daily digest of 2 alerts, part 2 → email",
        "plain",
    ),
    (
        NoticeRaised(
            subscriber="desk", channels=("email",), notice="suspended", about="slack", reason="410", raised_at=NOON
        ),
        "desk",
        "to be told (suspended slack: 410) → email",
        "plain",
    ),
    (
        DeliveryRetried(cause="1" * 36, alert="1" * 36, subscriber="desk", channel="email", retried_at=NOON),
        "desk · email",
        "to be tried again, the operator says",
        "plain",
    ),
    (
        DeliveryBounced(**BOUNCED, action="failed", status="5.1.1", reason="the mailbox does not exist"),
        "desk · email",
        "failed after it was taken over (5.1.1): the mailbox does not exist",
        "bad",
    ),
    (
        DeliveryBounced(**BOUNCED, action="delayed", status="", reason="no reason was given", elsewhere=True),
        "desk · email",
        "delayed somewhere behind its address after it was taken over: no reason was given",
        "warning",
    ),
    (
        ChannelSuspended(subscriber="desk", channel="email", why="bounced", reason="550", at=NOON),
        "desk · email",
        "bounced: nothing is sent there: 550",
        "bad",
    ),
    (
        ChannelSuspended(subscriber="desk", channel="email", why="full", reason="552", at=NOON, until=NOON),
        "desk · email",
        "full: nothing is sent there until 2020-06-29 12:00Z: 552",
        "bad",
    ),
    (
        ChannelResumed(subscriber="desk", channel="email", reason="it has another address", at=NOON),
        "desk · email",
        "is resumed: it has another address",
        "good",
    ),
    (ChannelConfirmed(subscriber="desk", channel="email", at=NOON), "desk · email", "confirmed", "good"),
    (AlertDelivered(**DELIVERY, reply="250 queued"), "desk · email", "taken over: 250 queued", "good"),
    (
        AlertDelivered(**DELIVERY | {"attempt": 3}, reply="250 queued"),
        "desk · email",
        "taken over at attempt 3: 250 queued",
        "good",
    ),
    (AlertDelivered(**DELIVERY), "desk · email", "taken over", "good"),
    (
        DeliveryPostponed(**DELIVERY, due_at=NOON + timedelta(minutes=1), reason="it is busy"),
        "desk · email",
        "it is busy; again at 12:01:00Z",
        "warning",
    ),
    (
        DeliveryPostponed(**DELIVERY, due_at=NOON + timedelta(minutes=15), reason="it hung up", unknown=True),
        "desk · email",
        "it hung up (it may have arrived); again at 12:15:00Z",
        "warning",
    ),
    (DeliveryAbandoned(**DELIVERY, reason="no such mailbox"), "desk · email", "given up: no such mailbox", "bad"),
    (
        SubscriptionsApplied(digest="0" * 32, subscribers=1, watchlists=1_200, applied_at=NOON),
        "subscriptions",
        "1 subscriber, 1,200 watchlists in force",
        "plain",
    ),
]


@pytest.mark.parametrize(("event", "about", "sentence", "mood"), LINES, ids=lambda value: getattr(value, "type", ""))
def test_an_event_is_a_line(event: Event, about: str, sentence: str, mood: str) -> None:
    """It says about what, what happened, and how that is meant."""
    assert told(event) == TailLine(NOON, event.type.removesuffix(".v1"), about, sentence, mood, 7)


def test_every_type_has_a_line() -> None:
    """A new fact is no mystery to whoever watches the log."""
    assert {type(event) for event, *_ in LINES} == set(TYPES.values())


def test_a_line_names_its_type_without_the_version() -> None:
    """However many digits that has."""

    class AlertMuted(FeedBaselined, frozen=True, kw_only=True):
        type: ClassVar[str] = "alert.muted.v12"

    assert told(AlertMuted(feed="us-commerce", entries=1)).name == "alert.muted"


def test_an_event_without_a_line_of_its_own_is_not_lost() -> None:
    """It says what it is about, and that it is unknown here."""

    class AlertMuted(FeedBaselined, frozen=True, kw_only=True):
        type: ClassVar[str] = "alert.muted.v1"

    assert told(AlertMuted(feed="us-commerce", entries=1)) == TailLine(
        NOON, "alert.muted", "us-commerce", "an event of a newer notifier", "plain", 7
    )


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "statement", "0 statements"),
        (1, "statement", "1 statement"),
        (2, "delivery", "2 deliveries"),
        (1, "delivery", "1 delivery"),
        (3, "day", "3 days"),
        (1_000, "alert", "1,000 alerts"),
    ],
)
def test_things_are_counted_in_words(number: int, noun: str, words: str) -> None:
    """One is one, and of others there are several."""
    assert counted(number, noun) == words
