"""Is an owner told of what his query may not mean, and left in peace where it is as it should be?"""

from __future__ import annotations

import pytest

from notifier.watchlists.advice import advice
from notifier.watchlists.aliases import built_in
from notifier.watchlists.query import parse
from tests.watchlists.builders import refused

TOLD = [
    ("dual-use and export licence", "and is a word of the phrase dual-use and export licence"),
    ("chips or wafers", "or is a word of the phrase chips or wafers"),
    ("us AND China", "us finds the word in any case"),
    ("type:rule AND China", "type:rule never matches: no statement says its type"),
    ("lang:English AND China", "lang:English never matches: languages are codes"),
    ("country:Norway", "country:Norway never matches: countries are codes of two letters"),
    ('"Hong Kong" OR "Hong Kong autonomy"', '"Hong Kong autonomy" adds nothing: "Hong Kong" finds all of it'),
    ('"Hong Kong autonomy" OR "Hong Kong"', '"Hong Kong autonomy" adds nothing: "Hong Kong" finds all of it'),
    ("sanction* OR sanctions", "sanctions adds nothing: sanction* finds all of it"),
    ("licence OR licences", "licences adds nothing: licence finds all of it"),
    ("China OR title:China", "title:China adds nothing: China finds all of it"),
    ("China OR China", "China adds nothing: China finds all of it"),
    ("us OR US", "US adds nothing: us finds all of it"),
    ("dual use OR dual-use", '"dual use" adds nothing: dual-use finds all of it'),
    ("China AND title:China", "China adds nothing: it is part of title:China"),
    ("HKSAR OR @hong-kong", "HKSAR adds nothing: HKSAR finds all of it"),
    ('"Hong Kong" AND "Hong Kong autonomy"', '"Hong Kong" adds nothing: it is part of "Hong Kong autonomy"'),
    (
        '"Hong Kong autonomy" NOT "Hong Kong"',
        'this never matches: NOT "Hong Kong" excludes all of "Hong Kong autonomy"',
    ),
    ("x AND (China OR Chinese) NOT (China OR chin*)", None),
    ("(China OR Chinese) NOT chin*", None),
]


@pytest.mark.parametrize(("written", "problem"), TOLD, ids=[written for written, _ in TOLD])
def test_what_may_not_be_meant_is_told(written: str, problem: str | None):
    """Each with what to do about it; what can never be true among it."""
    found = advice(parse(written))

    if problem is None:
        assert any(each.problem.startswith("this never matches") for each in found)
    else:
        assert problem in [each.problem for each in found]
    assert all(each.mend for each in found)


@pytest.mark.parametrize(
    "written",
    [
        '"Bureau of Industry and Security"',
        "US AND China",
        "lang:zh-hant AND country:HK",
        '"Hong Kong" OR "King Kong"',
        "title:China OR China w/5 Iran",
        "15 CFR 744",
        "title:15 CFR 744 AND ECCN 3A090",
        "goodwill OR good will",
        "China NOT Chinese",
        "added:China NOT removed:China",
        '"a b"~3 OR "a b c"',
    ],
)
def test_what_is_as_it_should_be_is_left_alone(written: str):
    """No warning is given that its reader would learn to pass over."""
    assert [each for each in advice(parse(written)) if "finds the word" not in each.problem] == []


@pytest.mark.parametrize("name", built_in())
def test_our_packs_hold_nothing_in_vain(name: str):
    """No term of a pack finds what another finds already."""
    assert advice(parse(f"@{name}")) == []


@pytest.mark.parametrize(
    "written", ["the", "The", "=the", '"of the"', "the*", "the AND of", "x OR the", "of NOT sports", "the w/5 of", "的"]
)
def test_a_query_for_nearly_everything_is_refused(written: str):
    """Words that every text has ask for nothing; the reason is given."""
    error = refused(written)

    assert (error.code, error.at) == ("TOO_COMMON", 0)
    assert "nearly everything" in error.message


@pytest.mark.parametrize(
    "written",
    ["the AND China", '"the of to"', "DES", "EN", "title:the", "lang:en", "a", "China NOT the", "the w/5 China"],
)
def test_a_common_word_beside_another_is_no_harm(written: str):
    """Something else must be there too, or the word stands where it is rare."""
    assert parse(written)
