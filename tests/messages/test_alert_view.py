"""An alert as its templates see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifier.events.alerts import WatchlistMatched
from notifier.messages.alert_view import Recipient, alert_view, moment, span_of_time
from notifier.messages.passage import Run
from tests.messages.builders import NOW, raised, statement, view


def test_the_title_shows_what_hit() -> None:
    """The title comes whole, and in runs."""
    seen = view()

    assert seen.title == "Commerce Department suspends Hong Kong's special status"
    assert [run.text for run in seen.title_runs if run.hit] == ["Hong Kong", "special status"]


def test_the_text_is_quoted_around_its_hits() -> None:
    """The sentence that matters is there, the one before it is not."""
    (passage,) = view().passages

    assert passage[0] == Run("…\u00a0Rules that gave ")
    assert [run.text for run in passage if run.hit] == ["Hong Kong", "preferential treatment"]


def test_a_summary_that_the_text_repeats_is_quoted_once() -> None:
    """Many feeds give the beginning of the text as its summary."""
    said = "Rules for Hong Kong are suspended."

    seen = view(statement(text=f"{said} More follows.", summary=said))

    assert [[run.text for run in passage] for passage in seen.passages] == [
        ["Rules for ", "Hong Kong", " are suspended.\u00a0…"]
    ]


def test_a_summary_of_its_own_is_quoted_too() -> None:
    """Words that only the summary has are not lost."""
    seen = view(statement(summary="Hong Kong loses it.", text="The special status ends."))

    assert ["".join(run.text for run in passage) for passage in seen.passages] == [
        "Hong Kong loses it.",
        "The special status ends.",
    ]


def test_a_text_that_is_the_title_again_is_not_quoted() -> None:
    """A feed without texts repeats its titles; the reader sees them once."""
    assert view(statement(title="Hong Kong", text="Hong Kong", summary="Hong  Kong")).passages == ()


def test_a_hit_in_the_title_alone_still_quotes_the_beginning() -> None:
    """The reader sees what the statement is about before he follows the link."""
    (passage,) = view(hits="special status").passages

    assert passage[0].text.startswith("The Secretary of Commerce spoke in the evening.")


def test_the_time_is_told_in_both_zones() -> None:
    """UTC and the reader's own, with the date again where it differs."""
    assert view().published == "29 Jun 2020, 21:00 UTC (30 Jun, 05:00 Hong Kong)"


@pytest.mark.parametrize(
    ("at", "zone", "told"),
    [
        (datetime(2020, 6, 29, 21, tzinfo=UTC), "Europe/London", "29 Jun 2020, 21:00 UTC (22:00 London)"),
        (datetime(2020, 6, 29, 21, tzinfo=UTC), "UTC", "29 Jun 2020, 21:00 UTC"),
        (
            datetime(2020, 1, 1, 2, tzinfo=UTC),
            "America/New_York",
            "1 Jan 2020, 02:00 UTC (31 Dec 2019, 21:00 New York)",
        ),
        (datetime(2020, 3, 29, 0, 59, tzinfo=UTC), "Europe/Paris", "29 Mar 2020, 00:59 UTC (01:59 Paris)"),
        (datetime(2020, 3, 29, 1, tzinfo=UTC), "Europe/Paris", "29 Mar 2020, 01:00 UTC (03:00 Paris)"),
    ],
)
def test_moments_in_words(at: datetime, zone: str, told: str) -> None:
    """The same date is not repeated, another year is said, and summer time begins when it begins."""
    assert moment(at, ZoneInfo(zone)) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (89, "89 s"), (420, "7 min"), (7200, "2 h"), (172_800, "2 days")]
)
def test_lengths_of_time_in_words(seconds: float, told: str) -> None:
    """One unit, the one a person would use."""
    assert span_of_time(seconds) == told


def test_the_alert_says_how_fast_we_were() -> None:
    """From publication to detection, for a new statement."""
    assert view().detected_after == "7 min"


def test_it_does_not_boast_where_it_cannot_know() -> None:
    """A revision, a date ahead of us and no date at all say nothing of our speed."""
    ahead = statement(published_at=NOW + timedelta(days=1))

    assert view(revised=True).detected_after == ""
    assert view(ahead).detected_after == ""
    assert view(statement(published_at=None)).detected_after == ""
    assert view(statement(published_at=None)).published == ""


def test_it_says_why() -> None:
    """Each watchlist with its query as we read it and the words that decided; all of them in a line."""
    seen = view(
        matches=[
            WatchlistMatched(watchlist="Exports", query="dual-use", words=("dual-use", "export")),
            WatchlistMatched(watchlist="Asia", query="香港", words=("香港", "export")),
        ]
    )

    assert [(why.watchlist, why.reading, why.words) for why in seen.why] == [
        ("Exports", "dual-use", ("dual-use", "export")),
        ("Asia", "香港", ("香港", "export")),
    ]
    assert (seen.watchlists, seen.words) == ("“Exports” and “Asia”", "dual-use, export, 香港")


def test_a_word_in_other_capitals_is_told_once() -> None:
    """As it stood first; a reader learns nothing from "Entity List, entity list"."""
    seen = view(
        matches=[
            WatchlistMatched(watchlist="A", query="entity list", words=("Entity List", "entity list")),
            WatchlistMatched(watchlist="B", query="entity list OR Beirut", words=("ENTITY LIST", "Beirut")),
        ]
    )

    assert [why.words for why in seen.why] == [("Entity List",), ("ENTITY LIST", "Beirut")]
    assert seen.words == "Entity List, Beirut"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://ministry.example/a?b=1&c=ü", "https://ministry.example/a?b=1&c=%C3%BC"),
        ("http://ministry.example/a%20b", "http://ministry.example/a%20b"),
        ('https://ministry.example/"><b>', "https://ministry.example/%22%3E%3Cb%3E"),
        ("https://ministry.example/a|b", "https://ministry.example/a%7Cb"),
        ("javascript:alert(1)", ""),
        ("JavaScript://ministry.example/%0aalert(1)", ""),
        ("data:text/html,hello", ""),
        ("https://", ""),
        ("https://[", ""),
        ("https://ministry.example/a b", ""),
        ("https://ministry.example/\r\nBcc: x@y", ""),
        ("https://ministry.example/" + "a" * 3000, ""),
        ("", ""),
    ],
)
def test_a_link_is_a_web_address_or_nothing(link: str, shown: str) -> None:
    """Only http and https, in printable ASCII, with nothing that ends an attribute or a link in any form."""
    assert view(statement(link=link)).link == shown


def test_foreign_texts_are_lines_without_controls() -> None:
    """Title, issuer and words cannot break a line, turn it around or colour it."""
    seen = view(
        statement(title="a\r\nBcc: x@y\x1b[31m\u202eb\x00\ud800", issuer="b\nc", lang='"><b>'),
        matches=[WatchlistMatched(watchlist="w\n", query="q\x07", words=("x\ny",))],
        name="Desk\r\n",
    )

    assert seen.title == "a Bcc: x@y[31mb\ufffd"
    assert (seen.issuer, seen.lang, seen.subscriber) == ("b c", "", "Desk")
    assert (seen.watchlists, seen.why[0].reading, seen.why[0].words) == ("“w”", "q", ("x y",))


def test_a_statement_without_a_title_has_one_here() -> None:
    """A heading or a Slack header without words would be refused, or be missing from the page."""
    assert view(statement(title="\x00 ")).title == "Statement without a title"


def test_an_endless_title_is_cut() -> None:
    """Twenty thousand letters become three hundred and an ellipsis."""
    seen = view(statement(title="Hong Kong " * 2000))

    assert len(seen.title) <= 301
    assert seen.title.endswith("…")


def test_every_attempt_carries_the_same_words() -> None:
    """The view does not depend on when it is made."""
    assert view() == view()


def test_an_alert_on_something_else_is_a_bug() -> None:
    """An event that is no statement's is refused loudly."""
    alert = raised()

    with pytest.raises(TypeError, match=r"alert\.raised"):
        alert_view(alert, alert, {}, statement=statement(), readings={}, reader=Recipient("Desk"))
