"""Recorded events and views for the tests of this room; each leaves in sight only what its test is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed
from notifier.events.event import Event, Recorded
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.messages.alert_view import AlertView, Recipient, alert_view
from notifier.statement import Statement, fingerprint

NOW = datetime(2020, 6, 29, 21, 7, tzinfo=UTC)
TEMPLATES = Path(__file__).parents[2] / "templates"
FORMS = ("subject.txt", "body.txt", "body.html", "slack.json", "console.txt")

TITLE = "Commerce Department suspends Hong Kong's special status"
TEXT = (
    "The Secretary of Commerce spoke in the evening.\n\n"
    "Rules that gave Hong Kong preferential treatment over China are suspended. More steps are weighed."
)


def recorded(event: Event, position: int = 1, at: datetime = NOW) -> Recorded:
    return Recorded(position, event.id, at, event)


def raised(
    n: int = 1, *, subscriber: str = "desk", channels: Sequence[str] = ("email",), at: datetime = NOW
) -> Recorded:
    """The nth alert in the log."""
    matches = (WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong",)),)
    event = AlertRaised(
        cause=f"{n:08d}-0000-8000-8000-000000000000",
        subscriber=subscriber,
        statement_id=f"s{n}",
        matches=matches,
        channels=tuple(channels),
    )
    return recorded(event, n, at)


def delivered(alert: Recorded, *, channel: str = "email", attempt: int = 1) -> Recorded:
    event = AlertDelivered(
        cause=alert.id, alert=alert.id, subscriber=alert.event.subject, channel=channel, attempt=attempt
    )
    return recorded(event, alert.position + 1000)


def postponed(
    alert: Recorded, until: datetime, *, channel: str = "email", attempt: int = 1, unknown: bool = False
) -> Recorded:
    event = DeliveryPostponed(
        cause=alert.id,
        alert=alert.id,
        subscriber=alert.event.subject,
        channel=channel,
        attempt=attempt,
        due_at=until,
        reason="the mail server is busy",
        unknown=unknown,
    )
    return recorded(event, alert.position + 1000 + attempt)


def abandoned(alert: Recorded, *, channel: str = "email") -> Recorded:
    event = DeliveryAbandoned(
        cause=alert.id,
        alert=alert.id,
        subscriber=alert.event.subject,
        channel=channel,
        attempt=1,
        reason="the mailbox does not exist",
    )
    return recorded(event, alert.position + 1000)


def statement(
    title: str = TITLE,
    text: str = TEXT,
    *,
    summary: str = "",
    link: str = "https://commerce.example/2020/06/status",
    published_at: datetime | None = NOW - timedelta(minutes=7),
    issuer: str = "US Department of Commerce",
    lang: str = "en",
) -> Statement:
    return Statement(
        id="s1",
        feed="us-commerce",
        issuer=issuer,
        title=title,
        fingerprint=fingerprint(title, summary, text),
        link=link,
        summary=summary,
        text=text,
        published_at=published_at,
        lang=lang,
    )


def view(
    of: Statement | None = None,
    *,
    hits: str = "Hong Kong|special status|preferential treatment",
    timezone: str = "Asia/Hong_Kong",
    revised: bool = False,
    before: Statement | None = None,
    page: str = "",
    silent: bool = False,
    withdrawn: str = "",
    also: Sequence[Statement] = (),
    follows: Statement | None = None,
    name: str = "Export desk",
    matches: Sequence[WatchlistMatched] = (
        WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong", "special status")),
    ),
) -> AlertView:
    """The view of an alert on a statement whose hits are found by a pattern; `withdrawn` is the reason of that."""
    of = of or statement()
    told: Event = StatementPublished(statement=of, seen_at=NOW)
    if withdrawn:
        told = StatementWithdrawn(statement=of, revises="", reason=withdrawn, seen_at=NOW)
    elif revised or before or page:
        told = StatementRevised(statement=of, replaces="0" * 24, seen_at=NOW, page=page, silent=silent)
    cause = recorded(told, 41)
    spans = {
        field: [match.span() for match in re.finditer(hits, text)] if hits else []
        for field, text in of.fields().items()
        if field in {"title", "summary", "body"}
    }
    alert = AlertRaised(
        cause=cause.id, subscriber="desk", statement_id=of.id, matches=tuple(matches), channels=("email",)
    )
    return alert_view(
        recorded(alert, 42),
        cause,
        spans,
        statement=of,
        readings={},
        reader=Recipient(name, timezone),
        before=before,
        also=[recorded(StatementPublished(statement=each, seen_at=NOW)) for each in also],
        follows=recorded(StatementPublished(statement=follows, seen_at=NOW)) if follows else None,
    )
