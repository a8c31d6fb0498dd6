"""What we hold, folded from the log."""

from __future__ import annotations

import sys
from datetime import date, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.detect import as_statement
from notifier.feeds.known import Known, day_of
from notifier.statement import Statement, fingerprint
from tests.feeds.builders import FEED, NOW, entry, knowing, news

STATEMENT = as_statement(entry(), FEED)


def test_wordings_are_kept_in_order():
    """A statement's wordings come back, the newest last, and none for one that we never saw."""
    first, second = entry(), entry(summary="All but five rules.")

    known = knowing([first], [second])

    assert known.wordings("us-commerce", STATEMENT.id) == tuple(
        as_statement(e, FEED).fingerprint for e in (first, second)
    )
    assert known.wordings("us-commerce", "us-commerce/other") == ()
    assert known.wordings("us-state", STATEMENT.id) == ()


def test_words_are_known_with_their_day():
    """All wordings of a feed with their days and events, except those of statements left out."""
    undated = entry("Undated", id="c-2", published=None)
    known = knowing([entry(), undated])

    words = as_statement(undated, FEED).fingerprint
    (told,) = news(undated)
    assert {held: wording.day for held, wording in known.by_words("us-commerce", without=()).items()} == {
        STATEMENT.fingerprint: date(2020, 6, 30),
        words: None,
    }
    left = known.by_words("us-commerce", without={STATEMENT.id})
    assert {held: (wording.day, wording.event) for held, wording in left.items()} == {words: (None, told.id)}
    assert known.by_words("us-state", without=()) == {}


def test_revisions_of_a_day_are_counted():
    """Those that alert; the next day begins anew, and folding them again counts none twice."""
    known, log = Known(), list[Event]()
    for n in range(4):
        for event in news(entry(summary=f"Version {n}."), known=known):
            known.apply(event)
            log.append(event)
    for event in log:
        known.apply(event)

    assert known.revised_on("us-commerce", STATEMENT.id, NOW) == 3
    assert known.revised_on("us-commerce", STATEMENT.id, NOW + timedelta(days=1)) == 0
    assert known.revised_on("us-commerce", "us-commerce/other", NOW) == 0


def test_a_day_is_counted_in_utc():
    """The day of a statement is that of its moment in UTC; an undated one has none."""
    assert day_of(STATEMENT) == date(2020, 6, 30)
    assert day_of(as_statement(entry(published=NOW - timedelta(hours=2)), FEED)) == date(2020, 6, 29)
    assert day_of(as_statement(entry(published=None), FEED)) is None


def test_what_a_page_says_is_no_wording_of_the_feed():
    """A revision that was found on a statement's page leaves the feed's newest words as they are, and their event."""
    known = knowing([entry()])
    newest = known.newest("us-commerce", STATEMENT.id)
    edited = as_statement(entry(text="The whole text, edited."), FEED)

    known.apply(StatementRevised(statement=edited, replaces="a" * 24, page="b" * 24, revises=newest, seen_at=NOW))

    assert known.wordings("us-commerce", STATEMENT.id) == (STATEMENT.fingerprint,)
    assert known.newest("us-commerce", STATEMENT.id) == newest


def test_other_events_pass_by():
    """What is not about statements leaves what we know as it is."""
    known = knowing([entry()])

    known.apply(FeedBaselined(feed="us-commerce", entries=1))

    assert known.wordings("us-commerce", STATEMENT.id) == (STATEMENT.fingerprint,)


def held(known: Known, events: list[Event]) -> dict[str, tuple[str, ...]]:
    return {event.subject: known.wordings("us-commerce", event.subject) for event in events}


WORDS = st.sampled_from(["One", "Two", "Three"])


@given(st.lists(st.lists(st.builds(entry, WORDS, id=st.sampled_from("123"), summary=WORDS), max_size=4), max_size=5))
def test_it_is_rebuilt_as_it_was(polls: list[list]):
    """Folded from the log from the start, once or twice over, it knows what it knew when it had grown poll by poll."""
    live, log = Known(), list[Event]()
    for entries in polls:
        for event in news(*entries, known=live):
            live.apply(event)
            log.append(event)

    rebuilt = Known()
    for event in [*log, *log]:
        rebuilt.apply(event)

    assert held(rebuilt, log) == held(live, log)
    assert rebuilt.by_words("us-commerce", ()) == live.by_words("us-commerce", ())


def test_a_statement_costs_few_bytes():
    """A million statements stay far below 200 MB: counted over the structures themselves, with room for the dict."""
    known, many = Known(), 10_000
    for number in range(many):
        statement = Statement(
            id=f"us-commerce/{number}",
            feed="us-commerce",
            issuer="",
            title="",
            fingerprint=fingerprint(str(number)),
            published_at=NOW,
        )
        known.apply(StatementPublished(statement=statement, seen_at=NOW))

    statements = known._feeds["us-commerce"]  # its cost is what this test is about
    size = sys.getsizeof(statements) + sum(
        sys.getsizeof(key) + sys.getsizeof(value) for key, value in statements.items()
    )
    assert len(statements) == many
    assert size / many < 160


def test_an_events_id_may_be_given_or_worked_out():
    """What the log knows already need not be computed again, and comes to the same."""
    given, worked_out = Known(), Known()
    for event in news(entry()):
        given.apply(event, event.id)
        worked_out.apply(event)

    assert given.newest("us-commerce", STATEMENT.id) == worked_out.newest("us-commerce", STATEMENT.id) != ""


def test_any_id_of_a_statement_is_known_again():
    """Also one that does not end in the hash that ours end in, and that looks as if it did."""
    ids = ["us-commerce/1", "us-commerce/not-hexadecimal", "us-commerce/00000000000000ff", "0" * 40, "/"]
    known = Known()
    for id in ids:
        known.apply(StatementPublished(statement=msgspec.structs.replace(STATEMENT, id=id), seen_at=NOW))

    assert all(known.wordings("us-commerce", id) == (STATEMENT.fingerprint,) for id in ids)
    assert known.wordings("us-commerce", "us-commerce/00000000000000fe") == ()
