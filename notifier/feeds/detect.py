"""
Is this entry news?

It is the first time we see its id, and again whenever its words change.
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

OLD = timedelta(days=30)  # an entry dated so far back alerts nobody on arrival
OFTEN = 5  # revisions of one statement a day that alert; a page that writes itself anew each minute has many
BASELINE, RENAMED, TOO_OFTEN = "baseline", "renamed", "too often today"
_WORD = re.compile(r"\w+")


def detect(reading: Reading, feed: Feed, known: Known, now: datetime, *, baseline: bool) -> list[Event]:
    """
    What is new in a document, oldest first, as events; none for what we hold.

    With `baseline` (a feed's first poll) everything is recorded and alerts nobody. Only whole entries count, and a
    wording that a statement has had before is no revision: caches serve old copies. What has left the window is
    nothing. A statement under a new name is recorded, so that its next edit is known for one, and alerts nobody; nor do
    further revisions where a day brought many.
    """
    events: list[Event] = []
    seen: dict[str, list[str]] = {}
    told: dict[str, str] = {}
    revised = Counter[str]()
    statements, twins = _statements(reading, feed, known)
    renamed = _Renamed(statements, feed, known)
    # Feeds list the newest first; the log reads oldest first.
    for statement in reversed(statements):
        held = seen.setdefault(statement.id, list(known.wordings(feed.id, statement.id)))
        if statement.fingerprint in held:
            continue
        if held:
            # However old: that an old text changes is news.
            often = known.revised_on(feed.id, statement.id, now) + revised[statement.id] >= OFTEN
            quiet = BASELINE if baseline else TOO_OFTEN if often else ""
            revised[statement.id] += 1
            before = told.get(statement.id) or known.newest(feed.id, statement.id)
            events.append(
                StatementRevised(
                    statement=statement, replaces=held[-1], revises=before, seen_at=now, muted_because=quiet
                )
            )
        elif renamed.is_new(statement) and statement.fingerprint in known.wordings(feed.id, twins[statement.id]):
            continue  # its guid stands alone now, or no longer does: no name to remember, since that may turn again
        elif before := renamed.before(statement):
            same = statement.fingerprint
            events.append(
                StatementRevised(statement=statement, replaces=same, revises=before, seen_at=now, muted_because=RENAMED)
            )
        else:
            quiet = BASELINE if baseline else _old(statement, now)
            events.append(StatementPublished(statement=statement, seen_at=now, muted_because=quiet))
        held.append(statement.fingerprint)
        told[statement.id] = events[-1].id
    return events


def holds_news(reading: Reading, feed: Feed, known: Known) -> bool:
    """Would `detect` tell anything of this document? Asked of each further page, so it makes no event."""
    statements, twins = _statements(reading, feed, known)
    by_id: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        by_id[statement.id].add(statement.fingerprint)
    return any(
        known.is_news(statement)
        and not (
            len(by_id[statement.id]) == 1
            and not known.wordings(feed.id, statement.id)
            and statement.fingerprint in known.wordings(feed.id, twins[statement.id])
        )
        for statement in statements
    )


def holds_known(reading: Reading, feed: Feed, known: Known) -> bool:
    """Does this document show a statement that we know, in whatever words, or one that was taken back?"""
    statements, _ = _statements(reading, feed, known)
    return any(_taken_back(entry, feed, known) for entry in reading.entries) or any(
        known.wordings(feed.id, statement.id) for statement in statements
    )


def _statements(reading: Reading, feed: Feed, known: Known) -> tuple[list[Statement], dict[str, str]]:
    """The document's whole entries as statements, those aside that were taken back; and as in `_told_apart`."""
    entries = [entry for entry in reading.entries if entry.whole and (_has_words(entry) or entry.link)]
    return _told_apart([entry for entry in entries if not _taken_back(entry, feed, known)], feed)


def withdrawn(reading: Reading, feed: Feed, known: Known) -> dict[str, str]:
    """The ids of statements we hold that their feed says were taken back, with how it says so."""
    found = {as_statement(entry, feed).id: entry.gone for entry in reading.entries if _taken_back(entry, feed, known)}
    if feed.identity == "guid":
        for id in reading.deleted:
            statement = as_statement(Entry(id=id), feed)
            if known.newest(feed.id, statement.id):
                found[statement.id] = "its feed says that it was deleted"
    return found


def _taken_back(entry: Entry, feed: Feed, known: Known) -> bool:
    """Was this one taken back? One that we never saw in force is told as it is."""
    return bool(entry.gone and known.newest(feed.id, as_statement(entry, feed).id))


class _Renamed:
    """
    Which statements are old ones under a new name?

    Those of words that we hold under a name which is gone from the document: of the same day, or of any day where that
    happened to most entries, so that the publisher has changed his guids or links. The same words of another day are
    news else: a warning is lifted, and given again.
    """

    def __init__(self, statements: Sequence[Statement], feed: Feed, known: Known) -> None:
        wordings: dict[str, set[str]] = defaultdict(set)
        for statement in statements:
            wordings[statement.id].add(statement.fingerprint)
        # Of two wordings under one new name, both are told: with the first taken for an old acquaintance, the second
        # would be news now and the first its revision at the next poll.
        self._strange = {
            id: next(iter(words))
            for id, words in wordings.items()
            if len(words) == 1 and not known.wordings(feed.id, id)
        }
        self._before = known.by_words(feed.id, without=wordings) if self._strange else {}
        familiar = sum(words in self._before for words in self._strange.values())
        self._wholesale = familiar >= 3 and familiar * 2 > len(wordings)

    def is_new(self, statement: Statement) -> bool:
        """Is its name one that we do not hold, and one wording alone under it?"""
        return statement.id in self._strange

    def before(self, statement: Statement) -> str:
        """The id of the event that told a statement under its old name; "" for one that has none."""
        before = self._before.get(statement.fingerprint)
        if before is None or statement.id not in self._strange:
            return ""
        day = day_of(statement)
        same_day = day is None or before.day is None or day == before.day
        return before.event if self._wholesale or same_day else ""


def as_statement(entry: Entry, feed: Feed, key: str = "") -> Statement:
    """
    The entry as a statement of its feed's issuer.

    `key` is what makes it the same statement next time; by default what the feed declares (`Feed.identity`).
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


def _told_apart(entries: Sequence[Entry], feed: Feed) -> tuple[list[Statement], dict[str, str]]:
    """
    The entries as statements, in the document's order; and the id that each would have if its key told it apart, or did
    not.

    Where one key stands on entries of different words it does not tell them apart, and the words join the key: one
    feed of the US House gives all its items one guid. Two versions of one text are the exception; they stay one.
    """
    keyed = [(_key(entry, feed), entry) for entry in entries]
    sharing: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in keyed:
        sharing[key].append(entry)
    ambiguous = {key for key, those in sharing.items() if len(those) > 1 and not _versions_of_one(those)}
    statements, twins = [], {}
    for key, entry in keyed:
        statement = as_statement(entry, feed, key)
        twin = _id(f"{key}\n{statement.fingerprint}", feed)
        if key in ambiguous:
            statement, twin = msgspec.structs.replace(statement, id=twin), statement.id
        statements.append(statement)
        twins[statement.id] = twin
    return statements, twins


def _key(entry: Entry, feed: Feed) -> str:
    """What makes this entry the same statement next time, by the feed's declaration; its words when it has no name."""
    link = entry.link.replace("http://", "https://", 1)
    bare = urldefrag(link).url
    wanted = {"guid": entry.id, "link": link, "link-without-fragment": bare, "title": entry.title}[feed.identity]
    key = wanted or entry.id or link
    return key.replace("http://", "https://", 1) if key else fingerprint(entry.title, entry.summary, entry.text)


def _versions_of_one(entries: Iterable[Entry]) -> bool:
    """Do these differ so little that they are one text, before and after an edit?"""
    first, *others = entries
    return all(
        other.link == first.link and other.published == first.published and _alike(_words(first), _words(other)) >= 0.5
        for other in others
    )


def _words(entry: Entry) -> frozenset[str]:
    return frozenset(_WORD.findall(f"{entry.title} {entry.summary} {entry.text}".casefold()))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of words that two texts have in common (Jaccard), from 0 to 1."""
    return len(one & other) / max(len(one | other), 1)


def _old(statement: Statement, now: datetime) -> str:
    # An old statement that is listed now because it was updated now is no old news.
    dates = [date for date in (statement.published_at, statement.updated_at) if date]
    return "over 30 days old" if dates and now - max(dates) > OLD else ""


def _has_words(entry: Entry) -> bool:
    return bool(entry.title or entry.summary or entry.text)


def _first_words(text: str) -> str:
    """A title for an entry without one."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:100].rsplit(" ", 1)[0] + " …"
