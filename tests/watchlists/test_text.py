"""Is a text taken apart into the words that a reader sees, each where it stands?"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.watchlists import text as texts
from notifier.watchlists.text import Words, ambiguous, capital, chunk
from tests.watchlists.builders import terms

READ = [
    ("Controls, announced (today)", ["control", "announced", "today"]),
    ("dual-use dual‑use dual–use", ["dual", "use"] * 3),
    ("and/or", ["and", "or"]),
    ("China’s China's Chinas'", ["china", "china", "china"]),
    ("Xi'an", ["xian"]),
    ("l'ONU d’Iran", ["l", "onu", "d", "iran"]),
    ("U.S. US U.S.-origin", ["us", "us", "us", "origin"]),
    ("15 C.F.R.", ["15", "cfr"]),
    ("MPs", ["mp"]),
    ("39,306 39306 1,2", ["39306", "39306", "1", "2"]),
    ("744.11 744.110", ["744", ".11", "744", ".110"]),
    ("3A090.a 3A090.A", ["3a090", ".a", "3a090", ".a"]),
    ("trade & aid", ["trade", "and", "aid"]),
    ("香港 특별 ไทย", [*"香港", *"특별", *"ไทย"]),
    ("co\u00adoperation un\u200bited", ["cooperation", "united"]),
    ("§ — …", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "found"), READ, ids=[text or "empty" for text, _ in READ])
def test_words_are_what_a_reader_sees(text: str, found: list[str]):
    """Hyphens part words, apostrophes and the stops of acronyms do not, and scripts without spaces go by the sign."""
    assert terms(text) == found


def test_offsets_are_code_points_of_the_text_as_it_came():
    """Nothing is rewritten: a soft hyphen, an emoji, an accent of its own are all counted."""
    words = Words("🚢 co\u00adop, Erdog\u0306an’s U.S. 3A090.a")

    found = [words.surface(position) for position in range(len(words.terms))]

    assert found == ["co\u00adop", "Erdog\u0306an", "U.S.", "3A090", ".a"]
    assert words.starts[0] == 2


def test_a_hyphenated_word_is_also_one():
    """Up to four parts are closed up, whichever they start with."""
    words = Words("the re-export-control rule")

    assert words.joined == {"reexport": [(1, 2)], "reexportcontrol": [(1, 3)], "exportcontrol": [(2, 3)]}


@pytest.mark.parametrize("text", ["dual/use", "dual use", "dual - use", "dual.use", "744.11"])
def test_only_a_hyphen_joins(text: str):
    """Slashes, spaces and stops part words for good."""
    assert Words(text).joined == {}


SENTENCES = [
    ("Exports stop. Imports go on.", 2),
    ("He left the U.S. Congress alone.", 1),
    ("See Art. 5 of it.", 1),
    ("Approved by the Dept. of State.", 1),
    ("It fell by 2020. Then it rose.", 2),
    ("Order No. 7. It stands.", 1),
    ("“Exports stop!” Imports go on.", 2),
    ("出口停止。进口继续。", 2),
    ("Exports stop\n\nImports go on", 2),
    ("Exports stop\nImports go on", 1),
    ("Exports stop\u2029Imports go on", 2),
]


@pytest.mark.parametrize(("text", "count"), SENTENCES, ids=[text for text, _ in SENTENCES])
def test_sentences_end_where_a_long_word_stops(text: str, count: int):
    """A stop after an abbreviation or a short word ends none; a blank line always does."""
    assert len(set(Words(text).sentences)) == count


def test_a_blank_line_ends_a_paragraph():
    """White space on the line does not fill it; a line's end alone is nothing."""
    assert Words("one\ntwo\n \t\nthree").paragraphs == [0, 0, 1]


def test_positions_are_kept_by_term_and_by_form():
    """A term stands wherever a form of it does."""
    words = Words("Sanctions, a sanction")

    assert words.places["sanction"] == [0, 2]
    assert words.forms == {"sanctions": [0], "a": [1], "sanction": [2]}


@pytest.mark.parametrize(
    ("word", "is_one"), [("US", True), ("U.S.", True), ("us", False), ("Us", False), ("ICEs", True)]
)
def test_capitals_are_known_by_sight(word: str, is_one: bool):
    """Dots make an acronym as well, and a plural s does not unmake it."""
    assert capital(word) is is_one


@pytest.mark.parametrize(
    ("word", "dotted", "is_one"),
    [("US", False, True), ("u.s.", True, True), ("us", False, False), ("NATO", False, False)],
)
def test_an_acronym_that_is_a_word_is_ambiguous(word: str, dotted: bool, is_one: bool):
    """Only those of the list, and only where they are written as acronyms."""
    assert ambiguous(word, dotted) is is_one


def test_the_version_tells_the_rules_apart(monkeypatch: pytest.MonkeyPatch):
    """It is the same twice, and another when a rule is."""
    before = texts.version()
    monkeypatch.setattr(texts, "_RULES", -1)

    assert len(before) == 16
    assert texts.version() != before


HOSTILE = {
    "surrogates": "\ud800\udfff \ud800a" * 10_000,
    "marks": "e" + "\u0301" * 100_000,
    "marks-alone": "\u0301" * 100_000,
    "stops": "a." * 200_000,
    "hyphens": "a-" * 100_000,
    "apostrophes": "a'" * 200_000,
    "invisible": "a\u200b" * 200_000,
    "digits": "1,000" * 100_000,
    "megabyte": "Hong Kong dual-use controls. " * 36_000,
    "one-word": "x" * 1_000_000,
    "jamo": "\u1100\u1161\u11a8" * 50_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_is_taken_apart_in_one_pass(text: str):
    """However long and odd it is, this ends while one waits, and every span is in order and inside the text."""
    words = Words(text)

    spans = list(zip(words.starts, words.ends, strict=True))
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert not spans or spans[-1][1] <= len(text)


ODD = st.text("aAsZ019.,'’-&!?。 \n\u2029香カﾟᄀ각\u0301\u00ad\ud800é)", max_size=40)


@given(ODD)
@example("a.b.c.d's-")
@example("1,000,00.a.1b")
def test_a_word_reads_the_same_alone(text: str):
    """What stands between white space decides, so a word's neighbours never change it."""
    words = Words(text)

    alone = [token.term for part in text.split() for token in chunk(part).tokens]

    assert words.terms == alone
    assert sorted(words.sentences) == words.sentences
    assert sorted(words.paragraphs) == words.paragraphs
    assert all(term for term in words.terms)
