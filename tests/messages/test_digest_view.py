"""Does a digest say each thing once, in its latest wording, and stay small?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from notifier.events.alerts import FeedStatus
from notifier.messages.digest_view import ALSO, FEEDS, FULL, TITLES, DigestView
from notifier.messages.parts import DigestEntry
from tests.messages.builders import NOW, statement
from tests.messages.digests import Told


def entries(view: DigestView) -> list[DigestEntry]:
    return [entry for group in view.groups for entry in group.entries]


def titles(view: DigestView) -> dict[str, list[str]]:
    return {group.watchlist: [entry.title for entry in group.entries] for group in view.groups}


def test_entries_come_by_watchlist() -> None:
    """An alert under its first, groups and entries in the order of the log."""
    told = Told()
    told.new("One", watchlists=("Exports", "Asia"))
    told.new("Two", watchlists=("Asia",))
    told.new("Three", watchlists=("Exports",))

    view = told.view()

    assert titles(view) == {"Exports": ["One", "Three"], "Asia": ["Two"]}
    assert entries(view)[0].watchlists == "“Exports” and “Asia”"


def test_an_entry_says_what_an_alert_would() -> None:
    """Title, issuer, link, when, the words that hit, and one passage around them."""
    told = Told()
    told.new("Licences for Hong Kong end", words=("Hong Kong", "licences"))

    (entry,) = entries(told.view())

    assert (entry.kind, entry.title, entry.issuer) == ("new", "Licences for Hong Kong end", "US Department of Commerce")
    assert entry.link == "https://commerce.example/2020/06/status"
    assert entry.at == "29 Jun 2020, 21:07 UTC (30 Jun, 05:07 Hong Kong)"
    assert entry.words == "Hong Kong, licences"
    assert [run.text for run in entry.passage if run.hit] == ["Hong Kong"]
    assert [run.text for run in entry.title_runs if run.hit] == ["Hong Kong"]


def test_a_statement_stands_there_once_in_its_latest_wording() -> None:
    """What is new to the reader is new, and that it was revised since is said."""
    told = Told()
    first = told.new("Licences end")
    told.new("Something else", id="other")
    told.revised(first, "Licences end in May")
    told.revised(first, "Licences end in June")

    view = told.view()

    revised, other = entries(view)
    assert (revised.title, revised.kind) == ("Licences end in June", "new")
    assert revised.revised_since == "29 Jun 2020, 22:37 UTC (30 Jun, 06:37 Hong Kong)"
    assert (other.title, other.revised_since) == ("Something else", "")
    assert (view.statements, view.new, view.revised, view.withdrawn) == (2, 2, 0, 0)


def test_what_the_reader_knows_is_revised_or_withdrawn() -> None:
    """Its first telling was in an earlier message, which it follows."""
    told = Told()
    early = [told.new(f"Licences {n} end", id=f"early{n}") for n in range(2)]
    told.pieces.clear()
    told.revised(early[0], "Licences 0 end in May")
    told.withdrawn(early[1])
    for each in early:
        told.before[each.alert.id] = each.cause

    view = told.view()

    assert [(entry.kind, entry.follows.title if entry.follows else "") for entry in entries(view)] == [
        ("revised", "Licences 0 end"),
        ("withdrawn", "Licences 1 end"),
    ]
    assert (view.new, view.revised, view.withdrawn) == (0, 1, 1)
    assert view.headline is not None
    assert (view.headline.kind, view.headline.title) == ("withdrawn", "Licences 1 end")


def test_a_revision_shows_what_changed_of_what_the_reader_knows() -> None:
    """From what an earlier message told to the latest wording; of what he never saw there is no change to show."""
    told = Told()
    early = told.new("Licences end in April", id="early")
    told.pieces.clear()
    told.revised(told.revised(early, "Licences end in May"), "Licences end in June")
    told.revised(told.new("Rules on chips"), "Rules on all chips")

    revised, new = entries(told.view())

    assert [(each.kind, each.text.strip()) for each in revised.changed if each.kind != "kept"] == [
        ("deleted", "April"),
        ("inserted", "June"),
    ]
    assert (revised.changes_left_out, new.changed) == (0, ())


def test_what_was_told_and_taken_back_is_withdrawn() -> None:
    """Nobody is told as news what is no more; how we know is said."""
    told = Told()
    told.withdrawn(told.new("Licences end"))

    (entry,) = entries(told.view())

    assert (entry.kind, entry.reason) == ("withdrawn", "its page is gone (410)")


def test_others_that_tell_the_same_stand_beneath() -> None:
    """Those that the alert names, and those that came as replies; each once, in its latest wording."""
    told = Told()
    beside = told.statement("Told beside", "beside")
    first = told.new("Licences end", also=[beside])
    reply = told.new("Licences end, says State", id="state", follows=first.alert.id, words=("State",))
    told.withdrawn(reply)

    (entry,) = entries(told.view())

    assert entry.title == "Licences end"
    assert [(each.title, each.kind) for each in entry.also] == [
        ("Told beside", "new"),
        ("Licences end, says State", "withdrawn"),
    ]
    assert entry.follows is None


def test_further_tellings_are_counted() -> None:
    """A story that all the world tells does not fill the page."""
    told = Told()
    told.new(also=[told.statement(f"Telling {n}", f"t{n}") for n in range(ALSO + 3)])

    (entry,) = entries(told.view())

    assert (len(entry.also), entry.also_left_out) == (ALSO, 3)


def test_a_large_digest_gives_titles_and_then_a_number() -> None:
    """The first in full, further ones by their titles, and nothing is left uncounted."""
    told = Told()
    for n in range(400):
        told.new(f"Statement {n}", watchlists=(f"List {n % 3}",))

    view = told.view()

    found = entries(view)
    full = [entry for entry in found if not entry.brief]
    assert len(full) <= FULL
    assert len(found) <= FULL + TITLES
    assert full
    assert len(found) > len(full)
    assert len(found) + view.left_out + sum(group.left_out for group in view.groups) == view.statements == 400
    assert all(entry.title and entry.issuer and entry.at for entry in found)


def test_a_list_without_room_for_any_of_it_is_counted() -> None:
    """It has no group without entries; what it had is told beneath."""
    told = Told()
    for n in range(300):
        told.new("香" * 300, watchlists=("First" if n < 299 else "Last",))

    view = told.view()

    assert [group.watchlist for group in view.groups] == ["First"]
    assert view.left_out == 1


@pytest.mark.parametrize(
    ("more", "called", "period"),
    [
        ({}, "Daily digest", "Tue 30 Jun 2020, 05:07 to Wed 1 Jul 2020, 05:07 (Hong Kong time)"),
        (
            {"since": NOW - timedelta(hours=2), "frequency": "quiet hours"},
            "After quiet hours",
            "Tue 30 Jun 2020, 03:07 to Wed 1 Jul 2020, 05:07 (Hong Kong time)",
        ),
        (
            {"timezone": "UTC", "frequency": "burst"},
            "Many at once",
            "Mon 29 Jun 2020, 21:07 to Tue 30 Jun 2020, 21:07 (UTC)",
        ),
        (
            {"since": NOW + timedelta(hours=23), "frequency": "hourly"},
            "Hourly digest",
            "Wed 1 Jul 2020, 04:07 to 05:07 (Hong Kong time)",
        ),
    ],
)
def test_a_digest_says_what_it_covers(more: dict[str, object], called: str, period: str) -> None:
    """From the digest before, or else its first statement, to its own moment; by the reader's clock."""
    told = Told()
    told.new()

    view = told.view(**more)

    assert (view.called, view.period) == (called, period)


def test_an_empty_digest_is_one() -> None:
    """Nothing of it, until when, and the feeds."""
    view = Told().view()

    assert (view.statements, view.groups, view.headline) == (0, (), None)
    assert view.period == "until Wed 1 Jul 2020, 05:07 (Hong Kong time)"
    assert (view.feeds, view.feeds_asked) == ((), 6)


def test_feeds_that_are_not_well_are_told_in_words() -> None:
    """What is the matter, since when; and how many more there are."""
    ill = FeedStatus(feed="us-commerce", issuer="Commerce", outcome="unreachable", since=NOW, detail="503\x1b[31m")
    others = [FeedStatus(feed=f"f{n}", outcome="") for n in range(FEEDS)]

    view = Told().view(feeds=[ill, *others], feeds_left_out=4)

    first, second, *_ = view.feeds
    assert (first.issuer, first.state, first.detail) == ("Commerce", "does not answer", "503[31m")
    assert first.since == "29 Jun 2020, 21:07 UTC (30 Jun, 05:07 Hong Kong)"
    assert (second.state, second.since) == ("has not been read yet", "")
    assert (len(view.feeds), view.feeds_left_out) == (FEEDS, 5)


def test_an_undated_statement_says_when_it_was_seen() -> None:
    """As an alert does."""
    told = Told()
    told.new(like=statement(link="javascript:alert(1)", published_at=None, text=""))

    (entry,) = entries(told.view())

    assert (entry.undated, entry.at) == (True, "29 Jun 2020, 21:07 UTC (30 Jun, 05:07 Hong Kong)")
    assert entry.link == ""
