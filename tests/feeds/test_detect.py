"""What is new in a document, and what only looks so."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.detect import as_statement, detect, holds_known, holds_news
from notifier.feeds.feed import Entry
from notifier.feeds.known import Known
from tests.examples import examples
from tests.feeds.builders import FEED, NOW, entry, feed, knowing, news, reading, told

DAY = timedelta(days=1)


def with_(of: Entry, **changes: object) -> Entry:
    return msgspec.structs.replace(of, **changes)


def test_an_entry_we_do_not_hold_is_published():
    """The statement bears its feed's issuer, the entry's words, and when we saw it."""
    (event,) = news(entry("Status ends", summary="In short.", text="At length."))

    assert isinstance(event, StatementPublished)
    statement = event.statement
    assert (statement.issuer, statement.country, statement.feed) == ("US Department of Commerce", "US", "us-commerce")
    assert (statement.title, statement.summary, statement.text) == ("Status ends", "In short.", "At length.")
    assert (event.seen_at, event.muted_because) == (NOW, "")


def test_a_first_poll_is_a_baseline():
    """Everything in it is recorded, and alerts nobody."""
    events = news(entry(id="1"), entry("Two", id="2"), baseline=True)

    assert [event.muted_because for event in events if isinstance(event, StatementPublished)] == [
        "baseline",
        "baseline",
    ]


def test_what_we_hold_is_not_news():
    """The same document again yields nothing."""
    assert news(entry(), known=knowing([entry()])) == []


def test_a_touched_date_is_not_news():
    """The same words under a later date yield nothing: some ministries re-date every entry at night."""
    later = entry(published=NOW + DAY, updated=NOW + DAY)

    assert news(later, known=knowing([entry()])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "COMMERCE suspends licence exceptions for Hong Kong!"},
        {"summary": "Rules  that gave\npreferential treatment are suspended"},
        {"authors": ("Press Office",), "tags": ("Exports",), "lang": "en"},
        {"link": "https://commerce.example/moved/c-1"},
    ],
    ids=["capitals", "spaces", "authors and tags", "link"],
)
def test_other_clothes_are_not_news(changes: dict[str, object]):
    """Case, punctuation, spacing, tags and links may change without anything having been said."""
    assert news(with_(entry(), **changes), known=knowing([entry()])) == []


@pytest.mark.parametrize(
    "changes", [{"title": "Commerce restores them"}, {"summary": "All but five rules."}, {"text": "With a list."}]
)
def test_changed_words_are_a_revision(changes: dict[str, str]):
    """A change in title, summary or text revises the statement, and names the words it replaces."""
    (event,) = news(with_(entry(), **changes), known=knowing([entry()]))

    assert isinstance(event, StatementRevised)
    assert event.statement.id == as_statement(entry(), FEED).id
    assert event.replaces == as_statement(entry(), FEED).fingerprint
    assert event.muted_because == ""


def test_a_stale_cache_is_not_news():
    """Words that a statement has had before raise nothing: some servers answer with copies by turns."""
    first, second = entry(), entry(summary="All but five rules.")

    assert news(first, known=knowing([first], [second])) == []
    assert news(second, known=knowing([first], [second], [first])) == []


def test_what_left_the_window_is_nothing():
    """An entry that a document no longer lists was not withdrawn, and is not news when it returns."""
    old, new = entry("Old", id="1"), entry("New", id="2")

    assert told(news(new, known=knowing([old]))) == [("published", "New")]
    assert news(old, new, known=knowing([old], [new])) == []


def test_news_come_oldest_first():
    """Feeds list the newest first, and the log reads oldest first."""
    assert told(news(entry("Three", id="3"), entry("Two", id="2"), entry("One", id="1"))) == [
        ("published", "One"),
        ("published", "Two"),
        ("published", "Three"),
    ]


def test_half_an_entry_is_none():
    """What the end of the document cut off is not recorded, and what was cut of a known one revises nothing."""
    half = entry("Commerce susp", whole=False)

    assert news(half) == []
    assert news(half, known=knowing([entry()])) == []


def test_an_entry_that_says_nothing_is_none():
    """Without words and without a link there is nothing to tell; with either there is."""
    assert news(entry("", summary="", link="")) == []
    assert told(news(entry("", summary="", link="https://commerce.example/c-1"))) == [
        ("published", "https://commerce.example/c-1")
    ]


def test_an_entry_without_a_title_is_named_by_its_first_words():
    """A reader sees the beginning of the text in place of a title, cut between two words."""
    short, long = news(entry("", id="2", summary="word " * 40), entry("", id="1", summary="The House met."))

    assert told([short, long])[0] == ("published", "The House met.")
    assert told([short, long])[1][1].endswith("word …")


# ---------------------------------------------------------------- old and undated


@pytest.mark.parametrize(
    ("published", "updated", "muted_because"),
    [
        (NOW - 31 * DAY, None, "over 30 days old"),
        (NOW - 29 * DAY, None, ""),
        (NOW - 400 * DAY, NOW - DAY, ""),
        (None, None, ""),
        (NOW + 3 * DAY, None, ""),
    ],
    ids=["old", "recent", "old but updated", "undated", "to come"],
)
def test_an_old_entry_alerts_nobody_on_arrival(published: object, updated: object, muted_because: str):
    """Over 30 days back is recorded quietly, unless it was updated since; undated and scheduled ones are news."""
    (event,) = news(with_(entry(), published=published, updated=updated))

    assert isinstance(event, StatementPublished)
    assert event.muted_because == muted_because


def test_a_changed_old_entry_is_news():
    """However old a statement is, a change of its words is news."""
    old = entry(published=NOW - 400 * DAY)

    (event,) = news(with_(old, title="Silently edited"), known=knowing([old]))

    assert isinstance(event, StatementRevised)
    assert event.muted_because == ""


# ---------------------------------------------------------------- identity


def test_one_guid_on_different_words_is_several_statements():
    """One feed of the US House gives all its items one guid; each is a statement, also in the next poll."""
    floor = [
        entry(
            "Floor Summary", id="urn:house", summary=f"The House {what}.", link="", published=NOW - timedelta(minutes=n)
        )
        for n, what in enumerate(["rose", "passed a bill on trade", "met and prayed"])
    ]
    known = knowing(floor)

    assert len(told(news(*floor))) == 3
    assert len({event.subject for event in news(*floor)}) == 3
    assert news(*floor, known=known) == []
    assert news(floor[0], known=known) == [], "alone, its guid would do; it is still the one we hold"


def test_two_versions_of_one_text_stay_one_statement():
    """One guid twice, with the words before and after an edit: a statement and its revision."""
    draft = entry("HK special status revoked (draft headline)", summary="Hong Kong")
    final = entry("HK special status revoked", summary="Hong Kong, corrected")

    events = news(final, draft)

    assert told(events) == [("published", draft.title), ("revised", final.title)]
    assert len({event.subject for event in events}) == 1
    assert news(final, draft, known=knowing([final, draft])) == []


def test_a_guid_that_becomes_ambiguous_keeps_what_we_hold():
    """A second item under a known guid is news, and the first is not recorded again."""
    first, second = entry("Monday's list", id="x", summary="One"), entry("An order of the court", id="x", summary="Two")

    assert told(news(second, first, known=knowing([first]))) == [("published", "An order of the court")]


def test_entries_without_any_name_are_told_apart_by_their_words():
    """Without guid and link the words are the name."""
    one, two = entry("One", id="", link=""), entry("Two", id="", link="")

    assert len(told(news(one, two))) == 2
    assert told(news(two, known=knowing([one]))) == [("published", "Two")]


def test_the_link_is_the_name_where_there_is_no_guid():
    """Changed words at the same link are a revision."""
    assert told(news(entry("Edited", id=""), known=knowing([entry(id="")]))) == [("revised", "Edited")]


@pytest.mark.parametrize(
    ("identity", "before", "after", "expected"),
    [
        ("guid", {"id": "1", "link": "https://a.example/1"}, {"id": "1", "link": "https://a.example/2"}, "revised"),
        ("guid", {"id": "1"}, {"id": "2"}, "published"),
        ("link", {"id": "u#1"}, {"id": "u#2"}, "revised"),
        ("link", {"link": "http://a.example/1"}, {"link": "https://a.example/1"}, "revised"),
        ("link", {"link": "https://a.example/1#a"}, {"link": "https://a.example/1#b"}, "published"),
        ("link-without-fragment", {"link": "https://a.example/1#a"}, {"link": "https://a.example/1#b"}, "revised"),
        ("title", {"id": "1", "title": "Daily list"}, {"id": "2", "title": "Daily list"}, "revised"),
    ],
)
def test_a_feed_declares_what_makes_a_statement_the_same(
    identity: str, before: dict[str, str], after: dict[str, str], expected: str
):
    """By what its settings say: guid, link, link without fragment, or title."""
    of = feed(identity=identity)  # type: ignore[arg-type]
    old, new = with_(entry("Old title"), **before), with_(entry("Old title", summary="New words."), **after)

    assert [what for what, _ in told(news(new, known=knowing([old], of=of), of=of))] == [expected]


def test_the_same_entry_in_two_feeds_is_two_statements():
    """What one feed said is not known of another."""
    other = feed(id="us-state")

    assert told(news(entry(), known=knowing([entry()]), of=other)) == [("published", entry().title)]


# ---------------------------------------------------------------- a page that writes itself anew


def test_revisions_of_a_day_are_capped():
    """The sixth of a day, and what follows it, is recorded and alerts nobody; the next day begins anew."""
    known, quiet = knowing([entry(summary="Version 0.")]), list[str]()
    for n in range(1, 8):
        for event in news(entry(summary=f"Version {n}."), known=known):
            known.apply(event)
            quiet.append(event.muted_because)  # type: ignore[attr-defined]

    (tomorrow,) = detect(reading(entry(summary="Version 9.")), FEED, known, NOW + DAY, baseline=False)

    assert quiet == ["", "", "", "", "", "too often today", "too often today"]
    assert isinstance(tomorrow, StatementRevised)
    assert tomorrow.muted_because == ""


def test_other_statements_are_not_capped():
    """Each has revisions of its own."""
    known = knowing([entry(id="other")], *([entry(summary=f"Version {n}.")] for n in range(7)))

    (event,) = news(entry(id="other", summary="Changed."), known=known)

    assert isinstance(event, StatementRevised)
    assert event.muted_because == ""


# ---------------------------------------------------------------- renaming


@pytest.mark.parametrize(
    "renamed",
    [
        lambda id: id.replace("http://", "https://"),
        lambda id: id.replace("old.example", "new.example"),
        lambda id: f"{id}?utm_source=feed",
        lambda id: f"tag:new.example,2020:{id[-1]}",
    ],
    ids=["https", "host", "query", "scheme"],
)
@pytest.mark.parametrize("moved", [timedelta(0), timedelta(days=40)], ids=["same days", "other days"])
def test_wholesale_renaming_is_not_news(renamed, moved: timedelta):
    """When most entries bear words that we hold under names that are gone, they are the same statements."""
    old = [
        entry(f"Notice {n}", id=f"http://old.example/{n}", link=f"http://old.example/{n}", published=NOW - n * DAY)
        for n in range(5)
    ]
    new = [with_(e, id=renamed(e.id), link=renamed(e.link), published=e.published + moved) for e in old]

    assert loud(news(*new, known=knowing(old))) == []


@pytest.mark.parametrize(
    ("renamed", "others", "news_of"),
    [(1, 0, 1), (2, 0, 2), (2, 1, 2), (3, 0, 0), (3, 2, 0), (3, 3, 3)],
    ids=["one", "two, all there are", "two of three", "three, all there are", "three of five", "three of six"],
)
def test_so_many_entries_are_a_renaming(renamed: int, others: int, news_of: int):
    """Three at least, and most of the document; fewer, on another day, are warnings issued again, and alert."""
    stayed = [entry(f"Other {n}", id=f"other-{n}") for n in range(others)]
    old = [entry(f"Warning {n}", id=f"before-{n}") for n in range(renamed)]
    new = [with_(each, id=each.id.replace("before", "after"), published=NOW + DAY) for each in old]

    assert loud(news(*new, *stayed, known=knowing([*old, *stayed]))) == [
        ("published", f"Warning {n}") for n in reversed(range(news_of))
    ]


def loud(events: list[Event]) -> list[tuple[str, str]]:
    """What alerts somebody."""
    return told(event for event in events if not event.muted_because)  # type: ignore[attr-defined]


def test_a_new_name_is_remembered():
    """The words under it are known from then on, and an edit is a revision of the statement, not a new one."""
    old = [entry(f"Notice {n}", id=f"http://old.example/{n}", published=NOW - n * DAY) for n in range(5)]
    new = [with_(each, id=each.id.replace("http:", "tag:")) for each in old]
    known = knowing(old)
    renamed = news(*new, known=known)
    for event in renamed:
        known.apply(event)
    edited = with_(new[0], summary="All but five rules.")

    again, (revision,) = news(*new, known=known), news(edited, *new[1:], known=known)

    assert [event.muted_because for event in renamed if isinstance(event, StatementRevised)] == ["renamed"] * 5
    assert again == []
    assert isinstance(revision, StatementRevised)
    assert (revision.muted_because, revision.statement.title) == ("", "Notice 0")
    assert revision.revises == renamed[-1].id


def test_a_new_name_leads_to_the_old_one():
    """Its event names the event that recorded the statement before."""
    old = entry(id="1")
    (published,) = news(old)

    (renamed,) = news(with_(old, id="1-bis"), known=knowing([old]))

    assert isinstance(renamed, StatementRevised)
    assert (renamed.revises, renamed.replaces) == (published.id, renamed.statement.fingerprint)
    assert renamed.subject != published.subject


def test_a_new_entry_among_renamed_ones_is_news():
    """Renaming hides nothing that we do not hold."""
    old = [entry(f"Notice {n}", id=f"a{n}") for n in range(5)]
    new = [with_(e, id=e.id.replace("a", "b")) for e in old]

    assert loud(news(entry("Brand new", id="b9"), *new, known=knowing(old))) == [("published", "Brand new")]


def test_one_renamed_entry_of_the_same_day_is_not_news():
    """A single guid that changes while words and day stay is the same statement."""
    others = [entry("Other", id="2"), entry("Another", id="3")]

    assert loud(news(entry(id="1-bis"), *others, known=knowing([entry(id="1"), *others]))) == []


def test_the_same_words_on_another_day_are_news():
    """A warning that is given again is a new statement, under its new name."""
    warning = entry("Warning: Hong Kong", id="w-1")
    again = with_(warning, id="w-2", published=NOW + DAY)

    assert told(news(again, known=knowing([warning]))) == [("published", "Warning: Hong Kong")]


def test_the_same_words_beside_each_other_are_two_statements():
    """Words that stand under two names in one document are two statements, whatever we hold."""
    warning = entry("Warning: Hong Kong", id="w-1")

    assert told(news(with_(warning, id="w-2"), warning, known=knowing([warning]))) == [
        ("published", "Warning: Hong Kong")
    ]


def test_a_statement_that_takes_the_words_of_one_gone_is_revised():
    """A known statement keeps its name: new words for it are a revision, even if another that is gone had them."""
    open_, closed = entry("Court is open", id="court-1"), entry("Court is closed", id="court-2")

    events = news(entry("New", id="court-3"), with_(closed, title="Court is open"), known=knowing([open_, closed]))

    assert told(events) == [("revised", "Court is open"), ("published", "New")]


def test_two_wordings_under_a_new_name_are_told_once():
    """One of them had stood under another name; the next poll of the same document brings nothing more."""
    wordings = [entry("", id="1", link="", summary="One"), entry("One", id="1", link="", summary="")]
    known = knowing([entry("One", id="", link="", summary="")])

    first = news(*wordings, known=known)
    for event in first:
        known.apply(event)

    assert told(first) == [("published", "One"), ("revised", "One")]
    assert news(*wordings, known=known) == []


def test_a_renaming_beside_a_shared_name_is_told_once():
    """Two entries share a link that one had alone before: the next poll of the same finds nothing new."""
    alone, shared = "https://a.example/1", "https://a.example/2"
    held = [
        entry("", id="", link="", published=None, summary="First notice"),
        entry("Second notice", id="", link=""),
        entry("", id="", link=shared, published=None, summary=""),
    ]
    shown = [
        entry("", id="", link=alone, published=None, summary="First notice"),
        entry("", id="", link=shared, published=None, summary=""),
        entry("Second notice", id="", link=shared, published=NOW - 5 * DAY),
    ]
    known = knowing(held)

    first = news(*shown, known=known)
    for event in first:
        known.apply(event)

    assert loud(first) == []
    assert news(*shown, known=known) == []


# ---------------------------------------------------------------- whatever comes

ENTRIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(["", "One", "Two", "Hong Kong list one", "Hong Kong list two"]),
        id=st.sampled_from(["", "1", "2", "3"]),
        link=st.sampled_from(["", "https://a.example/1", "https://a.example/2#x", "http://a.example/1"]),
        published=st.sampled_from([None, NOW, NOW - 5 * DAY, NOW - 50 * DAY]),
        summary=st.sampled_from(["", "One", "Two", "Two words"]),
        whole=st.sampled_from([True, True, True, False]),
    ),
    max_size=8,
)
IDENTITIES = st.sampled_from(["guid", "link", "link-without-fragment", "title"])


@given(st.lists(ENTRIES, max_size=3), IDENTITIES)
def test_a_document_read_twice_is_told_once(polls: list[list[Entry]], identity):
    """Whatever we know and whatever comes: what a poll records, the next of the same document does not."""
    of = feed(identity=identity)
    known = Known()
    for entries in polls:
        for event in news(*entries, known=known, of=of):
            known.apply(event)

        assert news(*entries, known=known, of=of) == []


@given(ENTRIES, IDENTITIES)
def test_no_wording_is_lost(entries: list[Entry], identity):
    """Every wording of a whole entry is recorded at its first sight, in one event or another."""
    of = feed(identity=identity)

    recorded = {event.statement.fingerprint for event in news(*entries, of=of)}  # type: ignore[attr-defined]

    said = [e for e in entries if e.whole and (e.title or e.summary or e.link)]
    assert recorded == {as_statement(e, of).fingerprint for e in said}


@given(ENTRIES)
def test_an_event_has_one_name_for_ever(entries: list[Entry]):
    """Two machines that read the same document name its events alike, and no two events share a name."""
    first, second = news(*entries), news(*entries)

    assert [event.id for event in first] == [event.id for event in second]
    assert len({event.id for event in first}) == len(first)


def test_a_revision_names_the_event_before_it():
    """So the words before can be found: in the log, or earlier in the same document."""
    (first,) = news(entry(title="One"))
    known = Known()
    known.apply(first)
    (second,) = news(entry(title="Two"), known=known)
    known.apply(second)
    (third,) = news(entry(title="Three"), known=known)

    assert [second.revises, third.revises] == [first.id, second.id]


# ---------------------------------------------------------------- asked of a page, without making events


ENTRIES = st.builds(
    Entry,
    title=st.sampled_from(["Status ends", "Licences end", ""]),
    id=st.sampled_from(["1", "2", "3", ""]),
    summary=st.sampled_from(["", "In short."]),
    link=st.sampled_from(["https://commerce.example/a", "https://commerce.example/b", ""]),
    published=st.sampled_from([NOW, NOW - 2 * DAY, None]),
    gone=st.sampled_from(["", "", "it was withdrawn"]),
)


@examples(300)
@given(st.lists(ENTRIES, max_size=6), st.lists(ENTRIES, max_size=6))
def test_a_page_holds_news_where_detection_finds_some(held: list[Entry], shown: list[Entry]):
    """Whether a page is worth reading on is asked without events, and answered as detection would."""
    known = knowing(held)

    assert holds_news(reading(*shown), FEED, known) == bool(news(*shown, known=known))


@examples(100)
@given(st.lists(ENTRIES, min_size=1, max_size=6))
def test_a_page_that_was_read_holds_nothing_but_what_is_known(shown: list[Entry]):
    """Read again, it has no news, and it overlaps with itself if it has any entry."""
    known = knowing(shown)

    assert not holds_news(reading(*shown), FEED, known)
    assert holds_known(reading(*shown), FEED, known) == any(each.title or each.summary or each.link for each in shown)
