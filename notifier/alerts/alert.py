"""
An alert as its templates see it: plain values, nothing to call and nothing to look up.

It follows from the log and the subscriber's file alone, not from the time of sending, so that every attempt at a
delivery carries the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from notifier.alerts.passage import Run, Span, as_runs, passages
from notifier.events import AlertRaised, Recorded, StatementPublished, StatementRead, StatementRevised
from notifier.message import without_controls
from notifier.statement import Statement

TITLE = 300  # characters of a title that are shown; a longer one is somebody's mistake
PASSAGES = 3
LINK = 2000
UNTITLED = "Statement without a title"


class Reader(msgspec.Struct, frozen=True):
    """Who reads it: a name to show, and an IANA time zone (`Asia/Hong_Kong`)."""

    name: str
    timezone: str = "UTC"


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """One watchlist that brought it: its name, its query as we read it, and the statement's words that decided."""

    watchlist: str
    reading: str
    words: tuple[str, ...]


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a template may use (docs/templates.md). All texts are single lines without control characters, and are still
    foreign: a template's form escapes them.

    `kind` is `new` or `revised`; `passages` quote the statement around the hits; `link` is an http(s) address in
    printable ASCII, or "". `published` and `detected` are moments in words, in UTC and the reader's zone, "" where the
    feed gave none; `detected_after` is a length of time in words, "" where it says nothing. `position` is that of the
    statement's event in the log.
    """

    kind: Literal["new", "revised"]
    title: str
    title_runs: tuple[Run, ...]
    passages: tuple[tuple[Run, ...], ...]
    issuer: str
    feed: str
    lang: str
    link: str
    published: str
    detected: str
    detected_after: str
    why: tuple[Why, ...]
    watchlists: str
    words: str
    subscriber: str
    timezone: str
    position: int


def alert_view(
    alert: Recorded,
    cause: Recorded,
    spans: Mapping[str, Sequence[Span]],
    *,
    statement: Statement,
    readings: Mapping[str, str],
    reader: Reader,
) -> AlertView:
    """
    The view of one alert.

    `alert` is the recorded `AlertRaised`, `cause` the recorded event of the statement, `statement` the same with its
    words attached. `spans` are the hits of all its watchlists by field (`title`, `summary`, `body`), half-open, in code
    points. `readings` maps a watchlist's name to its query as we read it; without an entry the query itself is shown.
    """
    raised, told = alert.event, cause.event
    if not isinstance(raised, AlertRaised) or not isinstance(
        told, StatementPublished | StatementRevised | StatementRead
    ):
        raise TypeError(f"an alert on a statement was expected, not {raised.type} on {told.type}")
    zone = ZoneInfo(reader.timezone)
    title = as_runs(statement.title, spans.get("title", ()), 0, TITLE)
    if len(statement.title) > TITLE:
        title = (*title, Run("…"))
    title = title or (Run(UNTITLED),)
    why = tuple(
        Why(
            watchlist=_line(match.watchlist),
            reading=_line(readings.get(match.watchlist, match.query)),
            words=tuple(_line(word) for word in match.words),
        )
        for match in raised.matches
    )
    return AlertView(
        kind="revised" if isinstance(told, StatementRevised) else "new",
        title="".join(run.text for run in title),
        title_runs=title,
        passages=_passages(statement, spans),
        issuer=_line(statement.issuer),
        feed=statement.feed,
        lang=statement.lang if re.fullmatch(r"[A-Za-z0-9-]{2,35}", statement.lang) else "",
        link=_link(statement.link),
        published=moment(statement.published_at, zone) if statement.published_at else "",
        detected=moment(told.seen_at, zone),
        detected_after=_after(statement, told),
        why=why,
        watchlists=_listed(f"“{each.watchlist}”" for each in why),
        words=", ".join(dict.fromkeys(word for each in why for word in each.words)),
        subscriber=_line(reader.name),
        timezone=reader.timezone,
        position=cause.position,
    )


def moment(at: datetime, zone: ZoneInfo) -> str:
    """`29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)`; the date again only where it differs, UTC alone for UTC."""
    at = at.astimezone(UTC)
    there = at.astimezone(zone)
    told = f"{at.day} {at:%b %Y, %H:%M} UTC"
    if zone.key in {"UTC", "Etc/UTC", "Etc/GMT", "GMT"}:
        return told
    city = zone.key.rpartition("/")[2].replace("_", " ")
    if there.year != at.year:
        date = f"{there.day} {there:%b %Y}, "
    else:
        date = f"{there.day} {there:%b}, " if there.date() != at.date() else ""
    return f"{told} ({date}{there:%H:%M} {city})"


def span_of_time(seconds: float) -> str:
    """A length of time in words, in one unit: `45 s`, `7 min`, `3 h`, `2 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def _after(statement: Statement, told: StatementPublished | StatementRevised | StatementRead) -> str:
    # A revision is seen long after the first publication, and a date ahead of us is no date: neither tells our speed.
    if statement.published_at is None or isinstance(told, StatementRevised) or told.seen_at < statement.published_at:
        return ""
    return span_of_time((told.seen_at - statement.published_at).total_seconds())


def _passages(statement: Statement, spans: Mapping[str, Sequence[Span]]) -> tuple[tuple[Run, ...], ...]:
    """Passages of summary and text; what is said twice is quoted once."""
    said = [_line(statement.title)]
    quoted: list[tuple[Run, ...]] = []
    # A summary is often the beginning of the text, or the title again.
    if _line(statement.summary) not in _line(statement.text):
        said.append(_line(statement.summary))
        if said[1] != said[0]:
            quoted += passages(statement.summary, spans.get("summary", ()), most=PASSAGES)
    if _line(statement.text) not in said and (spans.get("body") or not quoted):
        quoted += passages(statement.text, spans.get("body", ()), most=PASSAGES)
    with_hits = [passage for passage in quoted if any(run.hit for run in passage)]
    return tuple((with_hits or quoted[:1])[:PASSAGES])


def _link(link: str) -> str:
    """The link as an address that no form can mistake for anything else, "" if it is not plain http or https."""
    parts = urlsplit(link) if _is_sound(link) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    safe = quote(link, safe="!#$%&'()*+,/:;=?@[]-._~")
    return safe if len(safe) <= LINK else ""


def _is_sound(link: str) -> bool:
    try:
        urlsplit(link)
    except ValueError:  # such as "http://[" has no sensible reading
        return False
    return not re.search(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]", link)


def _line(text: str) -> str:
    return " ".join(without_controls(text).split())


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
