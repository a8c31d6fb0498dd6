"""
Is this entry news?

It is the first time we see its id, and again whenever its words change.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urldefrag

from notifier.events import Event, StatementPublished, StatementRevised
from notifier.feeds.feed import Entry, Feed, Reading
from notifier.feeds.known import Known
from notifier.statement import Statement, fingerprint

OLD = timedelta(days=30)  # an entry dated so far back alerts nobody on arrival
BASELINE = "baseline"
_WORD = re.compile(r"\w+")


def detect(reading: Reading, feed: Feed, known: Known, now: datetime, *, baseline: bool) -> list[Event]:
    """
    What is new in a document, oldest first, as events; none for what we hold.

    With `baseline` (a feed's first poll) everything is recorded and alerts nobody. Only whole entries count, and a
    wording that a statement has had before is no revision: caches serve old copies.
    """
    events: list[Event] = []
    seen: dict[str, list[str]] = {}
    # Feeds list the newest first; the log reads oldest first.
    statements = _told_apart([entry for entry in reading.entries if entry.whole], feed)
    renamed = _renamed_wholesale(statements, feed, known)
    for statement in reversed(statements):
        held = seen.setdefault(statement.id, list(known.wordings(feed.id, statement.id)))
        if statement.fingerprint in held:
            continue
        quiet = BASELINE if baseline else _old(statement, now)
        if held:
            replaces = held[-1]
            events.append(StatementRevised(statement=statement, replaces=replaces, seen_at=now, quiet=quiet))
        elif known.said_on_that_day(statement) or (renamed and known.holds_words(statement)):
            # The same words under a new guid or link: the publisher renamed it, and said nothing new. The same words
            # on another day are news, though: a warning is lifted and given again.
            continue
        else:
            events.append(StatementPublished(statement=statement, seen_at=now, quiet=quiet))
        held.append(statement.fingerprint)
    return events


def _renamed_wholesale(statements: Sequence[Statement], feed: Feed, known: Known) -> bool:
    """Do most entries bear names that we never saw, over words that we hold? Then the feed's scheme has changed."""
    strange = [statement for statement in statements if not known.wordings(feed.id, statement.id)]
    return len(strange) >= 3 and sum(map(known.holds_words, strange)) * 2 > len(statements)


def as_statement(entry: Entry, feed: Feed, key: str) -> Statement:
    """The entry as a statement of its feed's issuer; `key` is what makes it the same statement next time."""
    return Statement(
        id=f"{feed.id}/{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}",
        feed=feed.id,
        issuer=feed.issuer,
        title=entry.title or _first_words(entry.summary or entry.text),
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


def _told_apart(entries: Sequence[Entry], feed: Feed) -> list[Statement]:
    """
    The entries as statements, in the document's order.

    Where one key stands on entries of different words it does not tell them apart, and the words join the key: one
    feed of the US House gives all its items one guid. Two versions of one text are the exception; they stay one.
    """
    keyed = [(_key(entry, feed), entry) for entry in entries]
    sharing: dict[str, list[Entry]] = defaultdict(list)
    for key, entry in keyed:
        sharing[key].append(entry)
    ambiguous = {key for key, those in sharing.items() if len(those) > 1 and not _versions_of_one(those)}
    statements = []
    for key, entry in keyed:
        statement = as_statement(entry, feed, key)
        if key in ambiguous:
            statement = as_statement(entry, feed, f"{key}\n{statement.fingerprint}")
        statements.append(statement)
    return statements


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
    published = statement.published_at
    return "dated over 30 days back" if published and now - published > OLD else ""


def _first_words(text: str) -> str:
    """A title for an entry without one."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:100].rsplit(" ", 1)[0] + " …"
