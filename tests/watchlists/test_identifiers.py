"""Is a law, a rule or a tariff number found however it is written, and nothing that only looks like it?"""

from __future__ import annotations

import pytest

from notifier.watchlists import expression as ast
from notifier.watchlists.identifiers import spellings
from notifier.watchlists.query import parse
from tests.watchlists.builders import hits, matches

NAMES = [
    "15 CFR 744",
    "15 C.F.R. § 744.11",
    "15 CFR 744.11(a)(1)",
    "22 CFR 120",
    "21 CFR part 11",
    "Part 744 of the EAR",
    "ITAR 120.41",
    "ECCN 3A090.a",
    "85 Fed. Reg. 39,306",
    "FR Doc. 2020-14253",
    "E.O. 13936",
    "(EU) 2021/821",
    "Regulation (EC) No 428/2009",
    "Regulation (EEC) No 2454/93",
    "Council Regulation (EU) No 833/2014",
    "Directive 2009/43/EC",
    "Directive (EU) 2019/1937",
    "Council Decision 2014/512/CFSP",
    "Decision 2014/512",
    "S.I. 2019 No. 855",
    "HTS 8541",
    "8541.40",
    "HTSUS 8541.40.20",
    "8541.40.20.00",
    "USML Category XI",
    "USML Category XI(a)",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_all_its_spellings(name: str):
    """The reading writes them out, as written first, and means the same when it is read again."""
    query = parse(name)

    assert isinstance(query.expression, ast.Or)
    assert query.reading().startswith((name, f'"{name}"'))
    assert parse(query.reading()).expression == query.expression
    assert parse(f"x OR {name}").expression == ast.Or((parse("x").expression, query.expression))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_finds_itself_in_every_spelling(name: str):
    """Whatever way of writing it a text has chosen, the whole of it is highlighted."""
    ways = [way for way in spellings(name) if "?" not in way and "~" not in way]

    texts = [way.strip('"').rstrip("*") for way in ways]

    assert len(texts) > 0
    assert [text for text in texts if not matches(name, text)] == []


@pytest.mark.parametrize(
    "written",
    [
        "744",
        "15 CFR",
        "CFR 744",
        "new 15 CFR 744",
        "3A090",
        "order 13936",
        "39306",
        "2021/821",
        "2019/855",
        "8541",
        "XI",
    ],
)
def test_what_is_no_whole_name_stays_as_it_is(written: str):
    """A number alone may be anything, and within a longer phrase the words are those that were written."""
    assert isinstance(parse(written).expression, ast.Phrase)


@pytest.mark.parametrize("written", ['="15 CFR 744"', '"15 CFR 744"~3'])
def test_what_was_asked_for_to_the_letter_is_not_respelled(written: str):
    """An exact phrase and one with open places are taken at their word."""
    assert isinstance(parse(written).expression, ast.Phrase)


def test_a_name_is_one_term_of_two_hundred():
    """However many spellings it has, so that a list of citations may be long; its reading is within the bound too."""
    listed = " OR ".join(f"E.O. {number}" for number in range(13800, 13850))

    query = parse(listed)

    assert parse(query.reading()).expression == query.expression


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("a (b)", None),
        ("a w/5(b OR c)", "a b"),
        ("x AND(b)", "x b"),
        ("(EU)", "the EU"),
        ("(EU) OR x", "the EU"),
        ("XI (a)", None),
    ],
)
def test_other_brackets_group_as_before(query: str, text: str | None):
    """Only brackets right behind a number, and those that name a maker of laws before one, belong to a word."""
    if text is None:
        with pytest.raises(Exception, match="operator is missing"):
            parse(query)
        return
    assert matches(query, text)


def test_open_places_behind_a_full_stop_stay_bound():
    """744.?? is a section of two digits, not a part and a word of two letters."""
    assert hits("744.??", "744.11, 744.1, 744 ab, 744.110") == ["744.11"]
    assert hits("3A090.?", "3A090.a and 3A090 a") == ["3A090.a"]
