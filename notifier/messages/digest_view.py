"""
A digest as its templates see it: plain values, like those of an alert.

Many alerts become few entries. A statement has one entry, in its latest wording, however often it was revised; others
with the same news are listed below it. Entries are grouped by watchlist. To keep a mail small, the first entries are
shown in full, further ones by their titles, and the rest are counted.
"""

from __future__ import annotations

import html
import quopri
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from notifier.events.alerts import DigestRaised, FeedStatus
from notifier.events.event import Recorded
from notifier.message import without_controls
from notifier.messages.alert_view import Recipient, alert_view, changes, kind_of, moment, other
from notifier.messages.digest_stories import (
    DigestStory,
    Kind,
    StoryWords,
    kind,
    revised_since,
    statement_event,
)
from notifier.messages.parts import DigestEntry, DigestFeed, DigestTelling, Group
from notifier.messages.passage import Run
from notifier.messages.program_view import DigestData
from notifier.messages.redline import Excerpts, Stretch

P = TypeVar("P", Run, Stretch)

FOLDER = "digest"  # its templates

FULL, TITLES = 60, 150  # entries that are told in full at most, and by their titles
PASSAGE, TITLE, REASON, NAME = 330, 200, 200, 100  # letters of what is said
ALSO = 4  # further tellings of its news that an entry names
FEEDS = 10  # that are not well and named

# Bytes that entries may take of a mail, in full and all told. It may have 90,000, and begins with some of its own.
ROOM_IN_FULL, ROOM = 58_000, 74_000
# Bytes that templates write around an entry, a title, a telling, a group; and in it around a hit, or a change.
_ENTRY, _TITLE, _TELLING, _GROUP, _HIT, _CHANGE = 600, 170, 130, 220, 70, 120

CALLED = {
    "hourly": "Hourly digest",
    "daily": "Daily digest",
    "weekly": "Weekly digest",
    "quiet hours": "After quiet hours",
    "burst": "Many at once",
}
# What outcomes of a poll say to whoever waits for news of a feed.
FEED_STATES = {
    "": "has not been read yet",
    "stale": "has been silent for unusually long",
    "gap": "may have published something that we missed",
    "blocked": "does not let us in",
    "not-a-feed": "serves something that is not a feed",
    "parse-error": "could not be read completely",
    "retired": "has been ended by its publisher",
    "not-found": "was not found at its address",
    "unreachable": "does not answer",
    "throttled": "asks us to poll less often",
}


class DigestView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a template of a digest may use (docs/templates.md). Texts are like those of an alert: single lines, and
    untrusted.

    `frequency` is what the alerts waited for, and `called` its name; `due` is the time of the digest and `period` what
    it covers, in the reader's zone. `statements` counts all entries, `new`, `revised` and `withdrawn` those of each
    kind, `left_out` those in no group; `headline` is the first of them, or the first that was withdrawn, None without
    any. `feeds` are those that fail, of `feeds_asked` in all. `data` is the same digest for programs.
    """

    called: str
    frequency: str
    due: str
    period: str
    part: int
    parts: int
    statements: int
    new: int
    revised: int
    withdrawn: int
    left_out: int
    headline: DigestTelling | None
    groups: tuple[Group, ...]
    feeds: tuple[DigestFeed, ...]
    feeds_left_out: int
    feeds_asked: int
    subscriber: str
    timezone: str
    unsubscribe: str = ""
    data: DigestData | None = None


# ---------------------------------------------------------------- the view


def digest_view(digest: Recorded, told: Sequence[DigestStory], reader: Recipient) -> DigestView:
    """
    The view of a digest, with the stories of its alerts. Those beyond the first `FULL` need no words.
    """
    raised = digest.event
    if not isinstance(raised, DigestRaised):
        raise TypeError(f"a digest was expected, not {raised.type}")
    zone = ZoneInfo(reader.timezone)
    feeds = tuple(_feed_state(each, zone) for each in raised.feeds[:FEEDS])
    groups, left_out = _grouped(told, reader, _Room(feeds))
    kinds = [kind(story) for story in told]
    view = DigestView(
        called=CALLED.get(raised.frequency, "Digest"),
        frequency=raised.frequency,
        due=_wall(raised.due_at, zone),
        period=_period(raised, told, zone),
        part=raised.part,
        parts=raised.parts,
        statements=len(told),
        new=kinds.count("new"),
        revised=kinds.count("revised"),
        withdrawn=kinds.count("withdrawn"),
        left_out=left_out,
        headline=_headline(told, kinds, zone),
        groups=groups,
        feeds=feeds,
        feeds_left_out=raised.feeds_left_out + len(raised.feeds) - len(feeds),
        feeds_asked=raised.feeds_asked,
        subscriber=reader.shown,
        timezone=reader.timezone,
        unsubscribe=reader.unsubscribe,
    )
    return msgspec.structs.replace(view, data=_data(view, raised))


def _data(view: DigestView, raised: DigestRaised) -> DigestData:
    """The same digest for programs."""
    return DigestData(
        frequency=view.frequency,
        due=view.due,
        due_at=raised.due_at,
        since_at=raised.since,
        period=view.period,
        part=view.part,
        parts=view.parts,
        statements=view.statements,
        new=view.new,
        revised=view.revised,
        withdrawn=view.withdrawn,
        left_out=view.left_out,
        watchlists=view.groups,
        feeds=view.feeds,
        feeds_left_out=view.feeds_left_out,
        feeds_asked=view.feeds_asked,
        subscriber=view.subscriber,
    )


def _headline(told: Sequence[DigestStory], kinds: Sequence[Kind], zone: ZoneInfo) -> DigestTelling | None:
    if not told:
        return None
    chosen = kinds.index("withdrawn") if "withdrawn" in kinds else 0
    return msgspec.structs.replace(_telling(told[chosen].wordings[-1].cause, zone), kind=kinds[chosen])


class _Room:
    """How much of a mail is taken, as its bytes will travel, text and HTML together (channels/mail.py)."""

    def __init__(self, feeds: Iterable[DigestFeed]) -> None:
        self._quoted = self._data = 0
        for each in feeds:
            self.take(_TELLING, each.feed, each.issuer, each.state, each.since, each.detail)

    def take(self, around: int, *texts: str) -> int:
        """Take room for texts, and so many bytes around them; how many are taken now."""
        text = " ".join(texts)
        # A tenth of what is around is signs that travel as three bytes.
        data = f"{'=' * (around // 10)}{'x' * (around - around // 10)}{html.escape(text)} {text}".encode()
        self._data += len(data)
        self._quoted += len(quopri.encodestring(data))
        # What would cost more when quoted goes in base64.
        return min(self._quoted, int(1.5 * self._data))


def _grouped(told: Sequence[DigestStory], reader: Recipient, room: _Room) -> tuple[tuple[Group, ...], int]:
    entries: dict[str, list[DigestEntry]] = {}
    left_out: dict[str, int] = {}
    taken, full, brief = 0, 0, 0
    for story in told:
        matches = story.pieces[0].raised.matches
        watchlist = _line(matches[0].watchlist) if matches else ""
        if watchlist not in entries:
            taken = room.take(_GROUP, watchlist)
        group = entries.setdefault(watchlist, [])
        if story.words and full < FULL and taken < ROOM_IN_FULL:
            entry = _entry(story, story.words, reader)
            full += 1
        elif brief < TITLES and taken < ROOM:
            entry = _brief(story, reader)
            brief += 1
        else:
            left_out[watchlist] = left_out.get(watchlist, 0) + 1
            continue
        group.append(entry)
        taken = _took(entry, room)
    groups = [
        Group(watchlist=watchlist, entries=tuple(group), left_out=left_out.get(watchlist, 0))
        for watchlist, group in entries.items()
        if group
    ]
    return tuple(groups), sum(count for watchlist, count in left_out.items() if not entries[watchlist])


def _took(entry: DigestEntry, room: _Room) -> int:
    # A change is shown in place of the passage.
    quoted = "".join([each.text for each in entry.changed] or [each.text for each in entry.passage])
    marked = _HIT * sum(run.hit for run in (*entry.title_runs, *entry.passage)) + _CHANGE * len(entry.changed)
    for each in (*entry.also, *([entry.follows] if entry.follows else [])):
        room.take(_TELLING, each.title, each.issuer, each.link, each.at)
    return room.take(
        (_TITLE if entry.brief else _ENTRY) + marked,
        *(entry.title, entry.issuer, entry.link, entry.at, entry.reason, entry.words, entry.watchlists, quoted),
    )


def _entry(story: DigestStory, words: StoryWords, reader: Recipient) -> DigestEntry:
    """A story in full: the latest wording of the statement that told it first."""
    first, latest, zone = story.wordings[0], story.wordings[-1], ZoneInfo(reader.timezone)
    seen = alert_view(latest.alert, latest.cause, words.spans, statement=words.statement, readings={}, reader=reader)
    revised = changes(words.before, words.statement) if words.before and kind(story) == "revised" else Excerpts()
    others = _others(story, zone)
    return DigestEntry(
        kind=kind(story),
        title=clipped(seen.title, TITLE),
        title_runs=_first(seen.title_runs, TITLE),
        issuer=clipped(seen.issuer, 100),
        link=seen.link,
        at=seen.published or seen.detected,
        undated=not seen.published,
        revised_since=moment(latest.event.seen_at, zone) if revised_since(first, latest) else "",
        silent=seen.silent,
        reason=clipped(seen.reason, REASON),
        passage=_first(seen.passages[0], PASSAGE) if seen.passages else (),
        changed=_first(revised.passages[0], PASSAGE) if revised.passages else (),
        changes_left_out=max(len(revised.passages) - 1, 0) + revised.left_out,
        lang=seen.lang,
        words=clipped(seen.words, 120),
        watchlists=clipped(seen.watchlists, 160),
        also=others[:ALSO],
        also_left_out=max(len(others) - ALSO, 0),
        follows=_telling(story.follows, zone) if story.follows else None,
        position=latest.cause.position,
    )


def _brief(story: DigestStory, reader: Recipient) -> DigestEntry:
    told = _telling(story.wordings[-1].cause, ZoneInfo(reader.timezone))
    return DigestEntry(
        kind=kind(story),
        title=clipped(told.title, 120),
        title_runs=(Run(clipped(told.title, 120)),),
        issuer=clipped(told.issuer, 60),
        link=told.link if len(told.link) <= 300 else "",
        at=told.at,
        brief=True,
        position=story.wordings[-1].cause.position,
    )


def _others(story: DigestStory, zone: ZoneInfo) -> tuple[DigestTelling, ...]:
    """Other statements of a story, each in its latest wording."""
    first = story.pieces[0].raised.statement_id
    events = sorted((*story.also, *(each.cause for each in story.pieces)), key=lambda recorded: recorded.position)
    latest = {statement_event(each).statement.id: each for each in events}
    return tuple(_telling(each, zone) for id, each in latest.items() if id != first)


def _telling(recorded: Recorded, zone: ZoneInfo) -> DigestTelling:
    said = other(recorded.event, zone)
    return DigestTelling(
        kind=kind_of(recorded.event),
        title=clipped(said.title, 150),
        issuer=clipped(said.issuer, 80),
        link=said.link if len(said.link) <= 500 else "",
        at=said.at,
    )


def _feed_state(told: FeedStatus, zone: ZoneInfo) -> DigestFeed:
    return DigestFeed(
        feed=_line(told.feed),
        issuer=clipped(_line(told.issuer), 80),
        state=FEED_STATES.get(told.outcome, "cannot be read"),
        since=moment(told.since, zone) if told.since else "",
        detail=clipped(_line(told.detail), 100),
    )


def _period(raised: DigestRaised, told: Sequence[DigestStory], zone: ZoneInfo) -> str:
    began = raised.since or min((story.pieces[0].cause.recorded_at for story in told), default=None)
    until = f"{_wall(raised.due_at, zone)} ({_city(zone)})"
    if not began or began >= raised.due_at:
        return f"until {until}"
    there, due = began.astimezone(zone), raised.due_at.astimezone(zone)
    if there.date() == due.date():
        return f"{_wall(began, zone)} to {due:%H:%M} ({_city(zone)})"
    return f"{_wall(began, zone)} to {until}"


def _wall(at: datetime, zone: ZoneInfo) -> str:
    there = at.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M}"


def _city(zone: ZoneInfo) -> str:
    return f"{zone.key.rpartition('/')[2].replace('_', ' ')} time" if "/" in zone.key else zone.key


def clipped(text: str, most: int) -> str:
    """At most `most` characters, the last an ellipsis where something is missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _first(pieces: Sequence[P], most: int) -> tuple[P, ...]:
    """The first `most` letters of runs, or of a redline, an ellipsis where something is missing."""
    kept: list[P] = []
    for each in pieces:
        if len(each.text) > most:
            kept.append(msgspec.structs.replace(each, text=clipped(each.text, most)) if most > 1 else type(each)("…"))
            break
        kept.append(each)
        most -= len(each.text)
    return tuple(kept)


def _line(text: str) -> str:
    return " ".join(without_controls(text).split())
