"""
Detect news in a document: a statement whose id is new, or whose words have changed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urldefrag

import msgspec

from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.feed import Entry, Feed, Reading
from notifier.feeds.known import Known, day_of
from notifier.statement import Statement, fingerprint

OLD = timedelta(days=30)  # a new entry dated further back alerts nobody
WHOLESALE = 3  # entries under new ids, at least, that show a publisher renaming all
OFTEN = 5  # revisions of one statement a day that alert; a page that updates itself each minute has many
BASELINE, RENAMED, TOO_OFTEN = "baseline", "renamed", "too often today"
_WORD = re.compile(r"\w+")


def detect(reading: Reading, feed: Feed, known: Known, now: datetime, *, baseline: bool) -> list[Event]:
    """
    The new and revised statements of a document as events, oldest first.

    With `baseline` (a feed's first poll) all are muted. Incomplete entries are ignored. A wording that a statement has
    had before is not a revision, since caches serve old copies; an entry that has left the feed is not an event. A
    renamed statement is recorded muted, so that its next edit is recognised; revisions beyond `OFTEN` a day are muted.
    """
    events: list[Event] = []
    seen: dict[str, list[str]] = {}
    recorded_as: dict[str, str] = {}
    revised = Counter[str]()
    statements, other_ids = _statements(reading, feed, known)
    renamed = _Renamed(statements, feed, known)
    # Feeds list the newest first; the log reads oldest first.
    for statement in reversed(statements):
        held = seen.setdefault(statement.id, list(known.wordings(feed.id, statement.id)))
        if statement.fingerprint in held:
            continue
        if held:
            # Never muted for its age: a change of an old text is news.
            often = known.revised_on(feed.id, statement.id, now) + revised[statement.id] >= OFTEN
            muted_because = BASELINE if baseline else TOO_OFTEN if often else ""
            revised[statement.id] += 1
            before = recorded_as.get(statement.id) or known.newest(feed.id, statement.id)
            events.append(
                StatementRevised(
                    statement=statement, replaces=held[-1], revises=before, seen_at=now, muted_because=muted_because
                )
            )
        elif renamed.is_new(statement) and statement.fingerprint in known.wordings(feed.id, other_ids[statement.id]):
            continue  # known under its other id: a guid may be shared in one poll and not in the next
        elif before := renamed.before(statement):
            same = statement.fingerprint
            events.append(
                StatementRevised(statement=statement, replaces=same, revises=before, seen_at=now, muted_because=RENAMED)
            )
        else:
            muted_because = BASELINE if baseline else _old(statement, now)
            events.append(StatementPublished(statement=statement, seen_at=now, muted_because=muted_because))
        held.append(statement.fingerprint)
        recorded_as[statement.id] = events[-1].id
    return events


def holds_news(reading: Reading, feed: Feed, known: Known) -> bool:
    """Would `detect` find any news in this document? Cheaper: it is asked of each further page, and makes no events."""
    statements, other_ids = _statements(reading, feed, known)
    by_id: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        by_id[statement.id].add(statement.fingerprint)
    return any(
        known.is_news(statement)
        and not (
            len(by_id[statement.id]) == 1
            and not known.wordings(feed.id, statement.id)
            and statement.fingerprint in known.wordings(feed.id, other_ids[statement.id])
        )
        for statement in statements
    )


def holds_known(reading: Reading, feed: Feed, known: Known) -> bool:
    """Does this document show a statement that is known, in any wording, or that was withdrawn?"""
    statements, _ = _statements(reading, feed, known)
    return any(_is_withdrawal(entry, feed, known) for entry in reading.entries) or any(
        known.wordings(feed.id, statement.id) for statement in statements
    )


def _statements(reading: Reading, feed: Feed, known: Known) -> tuple[list[Statement], dict[str, str]]:
    """The document's complete entries as statements, without those withdrawn; and their other ids (`_with_ids`)."""
    entries = [entry for entry in reading.entries if entry.whole and (_has_words(entry) or entry.link)]
    return _with_ids([entry for entry in entries if not _is_withdrawal(entry, feed, known)], feed)


def withdrawn(reading: Reading, feed: Feed, known: Known) -> dict[str, str]:
    """The ids of known statements that the feed marks as withdrawn, each with the reason in words."""
    found = {
        as_statement(entry, feed).id: entry.gone for entry in reading.entries if _is_withdrawal(entry, feed, known)
    }
    if feed.identity == "guid":
        for id in reading.deleted:
            statement = as_statement(Entry(id=id), feed)
            if known.newest(feed.id, statement.id):
                found[statement.id] = "its feed says that it was deleted"
    return found


def _is_withdrawal(entry: Entry, feed: Feed, known: Known) -> bool:
    """Is this the withdrawal of a known statement? One never seen in force is recorded like any other entry."""
    return bool(entry.gone and known.newest(feed.id, as_statement(entry, feed).id))


class _Renamed:
    """
    Which statements of a document are known ones under a new id?

    Those whose words are known under an id that has left the document, if their day is the same, or whatever their day
    if this holds for most of the document: then the publisher has changed their guids or links. Otherwise the same
    words on another day are news: a warning may be lifted and issued again.
    """

    def __init__(self, statements: Sequence[Statement], feed: Feed, known: Known) -> None:
        wordings: dict[str, set[str]] = defaultdict(set)
        for statement in statements:
            wordings[statement.id].add(statement.fingerprint)
        # Two wordings under one new id are not a renaming: with the first taken for one, the second would be news now
        # and the first its revision at the next poll.
        self._new = {
            id: next(iter(words))
            for id, words in wordings.items()
            if len(words) == 1 and not known.wordings(feed.id, id)
        }
        self._before = known.by_words(feed.id, without=wordings) if self._new else {}
        known_words = sum(words in self._before for words in self._new.values())
        self._wholesale = known_words >= WHOLESALE and known_words * 2 > len(wordings)

    def is_new(self, statement: Statement) -> bool:
        """Is its id not known, and is this the only wording under that id?"""
        return statement.id in self._new

    def before(self, statement: Statement) -> str:
        """The id of the event that recorded the statement under its old id; "" if it was not renamed."""
        before = self._before.get(statement.fingerprint)
        if before is None or statement.id not in self._new:
            return ""
        day = day_of(statement)
        same_day = day is None or before.day is None or day == before.day
        return before.event if self._wholesale or same_day else ""


def as_statement(entry: Entry, feed: Feed, key: str = "") -> Statement:
    """
    The entry as a statement of its feed's issuer.

    `key` identifies the statement in later polls; by default it is what the feed declares (`Feed.identity`).
    """
    return Statement(
        id=_id(key or _key(entry, feed), feed),
        feed=feed.id,
        issuer=feed.issuer,
        title=entry.title or _first_words(entry.summary or entry.text) or entry.link,
        fingerprint=fingerprint(entry.title, entry.summary, entry.text),
        link=entry.link,
        summary=entry.summary,
        text=entry.text,
        published_at=entry.published,
        published_raw="" if entry.published else entry.published_raw,
        updated_at=entry.updated,
        lang=entry.lang or feed.lang,
        country=feed.country,
        authors=entry.authors,
        tags=entry.tags,
    )


def _id(key: str, feed: Feed) -> str:
    return f"{feed.id}/{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def _with_ids(entries: Sequence[Entry], feed: Feed) -> tuple[list[Statement], dict[str, str]]:
    """
    The entries as statements in the document's order, and each statement's other id, by the id that it has.

    If entries of different words share a key, their words join the key: one feed of the US House gives all its items
    one guid. Two versions of one text keep one key. The other id is the one with the words, or without them, that the
    statement would have if its key were shared, or were not.
    """
    keyed = [(_key(entry, feed), entry) for entry in entries]
    sharing: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in keyed:
        sharing[key].append(entry)
    ambiguous = {key for key, those in sharing.items() if len(those) > 1 and not _versions_of_one(those)}
    statements, other_ids = [], {}
    for key, entry in keyed:
        statement = as_statement(entry, feed, key)
        other = _id(f"{key}\n{statement.fingerprint}", feed)
        if key in ambiguous:
            statement, other = msgspec.structs.replace(statement, id=other), statement.id
        statements.append(statement)
        other_ids[statement.id] = other
    return statements, other_ids


def _key(entry: Entry, feed: Feed) -> str:
    """What identifies this entry in later polls, as the feed declares; its words if it has neither guid nor link."""
    link = entry.link.replace("http://", "https://", 1)
    bare = urldefrag(link).url
    declared = {"guid": entry.id, "link": link, "link-without-fragment": bare, "title": entry.title}[feed.identity]
    key = declared or entry.id or link
    return key.replace("http://", "https://", 1) if key else fingerprint(entry.title, entry.summary, entry.text)


def _versions_of_one(entries: Iterable[Entry]) -> bool:
    """Are these one text before and after an edit: same link and date, half of the words in common?"""
    first, *others = entries
    return all(
        other.link == first.link
        and other.published == first.published
        and _similarity(_words(first), _words(other)) >= 0.5
        for other in others
    )


def _words(entry: Entry) -> frozenset[str]:
    return frozenset(_WORD.findall(f"{entry.title} {entry.summary} {entry.text}".casefold()))


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of distinct words that two texts have in common (Jaccard index), 0 to 1."""
    return len(one & other) / max(len(one | other), 1)


def _old(statement: Statement, now: datetime) -> str:
    # An old statement that is listed because it was updated now is not old news.
    dates = [date for date in (statement.published_at, statement.updated_at) if date]
    return "over 30 days old" if dates and now - max(dates) > OLD else ""


def _has_words(entry: Entry) -> bool:
    return bool(entry.title or entry.summary or entry.text)


def _first_words(text: str) -> str:
    """A title for an entry without one."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:100].rsplit(" ", 1)[0] + " …"
