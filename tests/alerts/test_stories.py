"""Is the same news known again, and nothing else taken for it?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from notifier.alerts.features import Features, features_of
from notifier.alerts.stories import KEPT, LOOKED_AT, MOST, WINDOW, Stories, same_news
from notifier.statement import Statement
from tests.alerts.story_pairs import NOON, Pair, pairs, said

SAME, OTHER = pairs("same") + pairs("same_unseen"), pairs("other") + pairs("other_unseen")
SUSPENDED = (
    "With the imposition of new security measures on Hong Kong, the risk that sensitive technology is diverted has "
    "increased. Regulations affording preferential treatment to Hong Kong over China, including the availability of "
    "export license exceptions, are suspended."
)
NEWS = "Commerce Suspends Preferential Treatment for Hong Kong"


def told(of: Statement, position: int = 1, *, after: timedelta = timedelta()) -> Features:
    """A telling at this place in the log, seen so long after noon."""
    return features_of(position, f"event-{position}", of, NOON + after)


def judged(pair: Pair) -> bool:
    one, other = told(pair.one, 1), told(pair.other, 2)
    assert same_news(one, other) == same_news(other, one)
    return same_news(one, other)


def named(pair: Pair) -> str:
    return pair.name


# ---------------------------------------------------------------- pairs


@pytest.mark.parametrize("pair", [pair for pair in SAME if not pair.missed], ids=named)
def test_the_same_news_is_known_again(pair: Pair):
    """Other beginnings, ends, headlines, letters and excerpts hide no copy."""
    assert judged(pair)


@pytest.mark.parametrize("pair", OTHER, ids=named)
def test_other_news_is_not(pair: Pair):
    """Forms that differ in a number, a name, a date or a turn are two statements of two things."""
    assert not judged(pair)


def test_precision_comes_first():
    """The measure that the module names: none of 52 pairs of other news is joined, and 34 of 40 of the same are."""
    right, wrong = sum(map(judged, SAME)), sum(map(judged, OTHER))

    assert (len(SAME), right, len(OTHER), wrong) == (40, 34, 52, 0)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda text: text + " We urge Beijing to reverse course.", True),
        (lambda text: "Press release. " + text, True),
        (lambda text: text[:150] + "…", True),
        (lambda text: text.replace("Hong Kong", "Macau"), False),
        (lambda text: text.replace("has increased", "has increased for 24 items"), False),
        (lambda text: text.removesuffix(".") + " and for Macau.", False),
    ],
    ids=["a sentence more", "a line before", "an excerpt", "another place", "a number within", "a place at the end"],
)
def test_a_copy_may_be_longer_or_shorter_and_may_not_say_more(change, same: bool):
    """What stands before and behind a text is no difference, what stands in it is."""
    assert same_news(told(said("BIS", NEWS, SUSPENDED), 1), told(said("Commerce", NEWS, change(SUSPENDED)), 2)) == same


def test_numbers_count_in_their_order():
    """The second list of May is not the fifth of February, though the same numbers stand in their titles."""
    one, other = (
        said("BIS", "List 2/5 of applications", SUSPENDED),
        said("Commerce", "List 5/2 of applications", SUSPENDED),
    )

    assert not same_news(told(one, 1), told(other, 2))


# ---------------------------------------------------------------- stories


def test_a_story_names_its_tellings_in_order():
    """The first in the log is the first in the story, and a telling is not its own."""
    stories = Stories()
    tellings = [told(said(f"Ministry {n}", NEWS, SUSPENDED), n) for n in range(1, 5)]
    for each in tellings:
        stories.add(each)

    assert stories.earlier(tellings[3]) == ("event-1", "event-2", "event-3")
    assert stories.earlier(tellings[1]) == ("event-1",)
    assert stories.earlier(tellings[0]) == ()


def test_a_story_goes_on_from_telling_to_telling():
    """One like the second belongs to the first too, though these two are not alike."""
    first = told(said("BIS", NEWS, SUSPENDED), 1)
    second = told(said("Commerce", NEWS, f"{SUSPENDED} Sanctions on Iran and on Cuba are being weighed as well."), 2)
    third = told(said("State", NEWS, "Sanctions on Iran and on Cuba are being weighed as well."), 3)
    stories = Stories()
    stories.add(first)
    alone = stories.earlier(third)
    stories.add(second)

    assert alone == ()
    assert not same_news(first, third)
    assert stories.earlier(third) == ("event-1", "event-2")


def test_the_wordings_of_a_statement_are_one_story():
    """However much has changed."""
    stories = Stories()
    one = said("BIS", NEWS, SUSPENDED)
    stories.add(told(one, 1))

    assert stories.earlier(told(Statement(**{**fields(one), "title": "Retracted", "summary": ""}), 2)) == ("event-1",)


def fields(of: Statement) -> dict[str, object]:
    return {name: getattr(of, name) for name in Statement.__struct_fields__}


@pytest.mark.parametrize(("after", "known"), [(WINDOW, True), (WINDOW + timedelta(seconds=1), False)], ids=str)
def test_a_story_lasts_four_days(after: timedelta, known: bool):
    """By when we saw it; what comes later is told anew."""
    stories = Stories()
    stories.add(told(said("BIS", NEWS, SUSPENDED), 1))

    assert bool(stories.earlier(told(said("Commerce", NEWS, SUSPENDED), 2, after=after))) == known


def test_the_order_of_folding_does_not_matter():
    """A log that is read again from another place gives the same stories."""
    statements = [one for pair in [*SAME, *OTHER] for one in (pair.one, pair.other)]
    tellings = [told(statement, n) for n, statement in enumerate(statements)]

    found = []
    for order in (tellings, tellings[::-1], tellings[::2] + tellings[1::2] + tellings):
        stories = Stories()
        for each in order:
            stories.add(each)
        found.append([stories.earlier(each) for each in tellings])

    assert found[0] == found[1] == found[2]
    assert sum(map(bool, found[0])) >= 34


def test_what_is_old_is_forgotten():
    """Nothing is kept for longer than stories last, and a day."""
    stories = Stories()
    stories.add(told(said("BIS", NEWS, SUSPENDED), 1))
    stories.add(told(said("Energy", "Notice of meeting"), 2, after=KEPT + timedelta(seconds=1)))

    assert stories.earlier(told(said("Commerce", NEWS, SUSPENDED), 3)) == ()
    assert len(stories) == 1


def test_memory_is_bounded():
    """Of more tellings than ever come in five days, the newest are kept."""
    stories = Stories()
    for n in range(MOST + 5):
        stories.add(told(said("BIS", f"Notice {n}"), n))

    assert len(stories) == MOST
    assert stories.earlier(told(said("BIS", "Notice 2"), MOST + 9)) == ()


def test_a_title_that_all_bear_costs_little_and_hides_nothing():
    """Among more candidates than are compared, those that share most with a telling are looked at first."""
    stories = Stories()
    for n in range(5 * LOOKED_AT):
        stories.add(told(said(f"Office {n}", NEWS, f"Notice {n} of {n + 7}."), n))
    stories.add(told(said("BIS", NEWS, SUSPENDED), 1_000))

    assert stories.earlier(told(said("Commerce", NEWS, SUSPENDED), 1_001)) == ("event-1000",)
