"""
An alert as its templates see it: plain values, with nothing to call and nothing to look up.

It depends on the log and the subscriber's file alone, not on the time of sending, so that every attempt at a delivery
sends the same text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from notifier.eventlog.wording import StatementEvent
from notifier.events.alerts import AlertRaised
from notifier.events.event import Event, Recorded
from notifier.events.statements import StatementRevised, StatementWithdrawn
from notifier.message import without_controls
from notifier.messages.parts import Other, Why
from notifier.messages.passage import Run, Span, as_runs, passages
from notifier.messages.program_view import AlertData
from notifier.messages.redline import Excerpts, excerpts, redline
from notifier.statement import Statement

TITLE = 300  # characters of a title that are shown; a longer one is somebody's mistake
ISSUER, REASON, NAME = 200, 500, 100
PASSAGES = 3
ALSO = 12  # further statements of a story that are named
LINK = 2000
UNTITLED = "Statement without a title"


class Recipient(msgspec.Struct, frozen=True):
    """Who reads a message: a name to show, an IANA time zone (`Asia/Hong_Kong`), and a link to unsubscribe, or ""."""

    name: str
    timezone: str = "UTC"
    unsubscribe: str = ""

    @property
    def shown(self) -> str:
        """The name as messages show it: one line, and not too long a one."""
        return _cut(self.name, NAME)


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a template may use (docs/templates.md). All texts are single lines without control characters; they are
    untrusted, and a template's form escapes them.

    `kind` is `new`, `revised` or `withdrawn`. Of a revision, `redline` has the changes if the text before is known;
    `on_page`: the change was found on the statement's page, and the feed did not show it; `silent`: a publisher who
    marks changes elsewhere did not mark this one. `reason` is the evidence for a withdrawal, "" for others.

    `also` are further statements with the same news, `also_left_out` how many more there are; `follows` is the
    statement of the first alert on this news, None if this is the first.

    `passages` quote the statement around the hits; `link` is an http(s) URL in printable ASCII, or "". `published` and
    `detected` are times in words, in UTC and the reader's zone, "" without a date; `detected_after` is a duration in
    words, or "". `position` is that of the statement's event in the log. `unsubscribe` is a link, or "". `data` is the
    same alert for programs.
    """

    kind: Literal["new", "revised", "withdrawn"]
    on_page: bool
    silent: bool
    reason: str
    redline: Excerpts
    also: tuple[Other, ...]
    also_left_out: int
    follows: Other | None
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
    unsubscribe: str = ""
    data: AlertData | None = None


def alert_view(
    alert: Recorded,
    cause: Recorded,
    spans: Mapping[str, Sequence[Span]],
    *,
    statement: Statement,
    readings: Mapping[str, str],
    reader: Recipient,
    before: Statement | None = None,
    also: Sequence[Recorded] = (),
    follows: Recorded | None = None,
) -> AlertView:
    """
    The view of one alert.

    `alert` is the recorded `AlertRaised`, `cause` the recorded event of the statement, `statement` the same with its
    words attached, and `before` the words that a revision replaced. `spans` are the hits of all its watchlists by field
    (`title`, `summary`, `body`), half-open, in code points. `readings` maps a watchlist's name to its query as we read
    it; without an entry the query itself is shown. `also` are the events of further statements that it names, and
    `follows` that of the first alert's statement.
    """
    raised, told = alert.event, cause.event
    if not isinstance(raised, AlertRaised) or not isinstance(told, StatementEvent):
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
            words=_each_once(_line(word) for word in match.words),
        )
        for match in raised.matches
    )
    view = AlertView(
        kind=kind_of(told),
        on_page=isinstance(told, StatementRevised) and bool(told.page),
        silent=isinstance(told, StatementRevised) and told.silent,
        reason=_cut(told.reason, REASON) if isinstance(told, StatementWithdrawn) else "",
        redline=changes(before, statement) if before else Excerpts(),
        also=tuple(other(each.event, zone) for each in also[:ALSO]),
        also_left_out=max(len(also) - ALSO, 0),
        follows=other(follows.event, zone) if follows else None,
        title="".join(run.text for run in title),
        title_runs=title,
        passages=_passages(statement, spans),
        issuer=_cut(statement.issuer, ISSUER),
        feed=statement.feed,
        lang=statement.lang if re.fullmatch(r"[A-Za-z0-9-]{2,35}", statement.lang) else "",
        link=_link(statement.link),
        published=moment(statement.published_at, zone) if statement.published_at else "",
        detected=moment(told.seen_at, zone),
        detected_after=_after(statement, told),
        why=why,
        watchlists=_listed(f"“{each.watchlist}”" for each in why),
        words=", ".join(_each_once(word for each in why for word in each.words)),
        subscriber=reader.shown,
        timezone=reader.timezone,
        position=cause.position,
        unsubscribe=reader.unsubscribe,
    )
    return msgspec.structs.replace(view, data=_data(view, statement, told))


def _data(view: AlertView, statement: Statement, event: StatementEvent) -> AlertData:
    """The same alert for programs."""
    return AlertData(
        kind=view.kind,
        statement=statement.id,
        title=view.title,
        issuer=view.issuer,
        feed=view.feed,
        lang=view.lang,
        link=view.link,
        published=view.published,
        published_at=statement.published_at,
        detected=view.detected,
        detected_at=event.seen_at,
        silent=view.silent,
        reason=view.reason,
        passages=view.passages,
        redline=view.redline,
        also=view.also,
        watchlists=view.why,
        subscriber=view.subscriber,
        position=view.position,
    )


def _each_once(words: Iterable[str]) -> tuple[str, ...]:
    """Each word as it stood first: a reader needs not be told of "Entity List" and "entity list"."""
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(word.casefold(), word)
    return tuple(first.values())


def changes(before: Statement, after: Statement) -> Excerpts:
    """What a revision changed in title and text, as a reader should see it."""
    return _excerpts(_words(before, after), _words(after, before))


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


def kind_of(told: Event) -> Literal["new", "revised", "withdrawn"]:
    """The kind of a statement's event: new, revised or withdrawn."""
    if isinstance(told, StatementWithdrawn):
        return "withdrawn"
    return "revised" if isinstance(told, StatementRevised) else "new"


def _words(statement: Statement, beside: Statement) -> tuple[str, str]:
    """Title and text, as they are compared with those of the other: like is held against like."""
    title = statement.title[:TITLE]
    if not statement.text or not beside.text:
        return title, statement.summary or statement.text
    if statement.summary in statement.text or beside.summary in beside.text:
        return title, statement.text
    return title, f"{statement.summary}\n\n{statement.text}"


# The same revision goes to many readers.
@functools.lru_cache(8)
def _excerpts(old: tuple[str, str], new: tuple[str, str]) -> Excerpts:
    title, text = (excerpts(redline(*both)) for both in zip(old, new, strict=True))
    return Excerpts(
        passages=title.passages + text.passages,
        left_out=title.left_out + text.left_out,
        is_coarse=title.is_coarse or text.is_coarse,
    )


def other(told: Event, zone: ZoneInfo) -> Other:
    """A statement's event in a line."""
    if not isinstance(told, StatementEvent):
        raise TypeError(f"a statement was expected, not {told.type}")
    statement = told.statement
    title = _cut(statement.title, TITLE) or UNTITLED
    at = moment(statement.published_at or told.seen_at, zone)
    return Other(title=title, issuer=_cut(statement.issuer, ISSUER), link=_link(statement.link), at=at)


def _after(statement: Statement, told: StatementEvent) -> str:
    # A revision is seen long after the first publication, and a date ahead of us is no date: neither tells our speed.
    if statement.published_at is None or kind_of(told) != "new" or told.seen_at < statement.published_at:
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


def _cut(text: str, most: int) -> str:
    line = _line(text)
    return line if len(line) <= most else line[:most] + "…"


def _listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
