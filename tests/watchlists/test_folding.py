"""Are two spellings of one word the same, and two words that look alike not?"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.watchlists import folding
from notifier.watchlists.folding import plain, singular, term

SAME = [
    ("Erdoğan", "erdogan"),
    ("Łódź", "lodz"),
    ("Straße", "strasse"),
    ("İstanbul", "istanbul"),
    ("ＮＡＴＯ", "nato"),
    ("ﬁne", "fine"),
    ("Ångström", "angstrom"),
    ("Ελλάδα", "ελλαδα"),
    ("עִבְרִית", "עברית"),
    ("عَرَبِي", "عربي"),
    ("ø œ æ", "o oe ae"),
    ("ﾊﾟ", "パ"),
    ("한국", "한국"),
]


@pytest.mark.parametrize(("written", "read"), SAME)
def test_what_only_dresses_a_letter_is_taken_away(written: str, read: str):
    """Case, width, ligatures, accents of Latin, Greek, Hebrew and Arabic letters do not tell words apart."""
    assert plain(written) == read


@pytest.mark.parametrize(("one", "other"), [("й", "и"), ("हिन्दी", "हनद"), ("が", "か"), ("กำ", "กา")])
def test_marks_that_are_letters_stay(one: str, other: str):
    """Russian й is not и, and Hindi, Japanese and Thai signs belong to their words."""
    assert plain(one) != plain(other)


PLURALS = [
    ("sanctions", "sanction"),
    ("policies", "policy"),
    ("countries", "country"),
    ("ties", "tie"),
    ("boxes", "box"),
    ("businesses", "business"),
    ("breaches", "breach"),
    ("heroes", "hero"),
    ("crises", "crisis"),
    ("analyses", "analysis"),
    ("women", "woman"),
    ("criteria", "criterion"),
    ("licenses", "license"),
    ("mps", "mp"),
]


@pytest.mark.parametrize(("plural", "one"), PLURALS)
def test_a_plural_is_its_singular(plural: str, one: str):
    """Regular plurals by rule, irregular ones by table."""
    assert singular(plural) == singular(one) == one


@pytest.mark.parametrize("word", ["goods", "arms", "customs", "securities", "news", "commons", "futures", "means"])
def test_some_words_are_not_plurals(word: str):
    """Without their s they would mean something else."""
    assert singular(word) == word
    assert term(word) != term(word[:-1])


@pytest.mark.parametrize("word", ["process", "crisis", "status", "as", "is", "us", "gas"])
def test_an_s_is_not_always_a_plural(word: str):
    """Words that end in ss, us or is stay, and so do the shortest."""
    assert singular(word) == word


SPELLINGS = [
    ("licence", "license"),
    ("licences", "license"),
    ("defence", "defense"),
    ("organisations", "organization"),
    ("authorised", "authorized"),
    ("behaviour", "behavior"),
    ("labelling", "labeling"),
    ("centres", "center"),
    ("programmes", "program"),
]


@pytest.mark.parametrize(("british", "american"), SPELLINGS)
def test_british_and_american_spelling_is_one_word(british: str, american: str):
    """The table holds in the plural as well."""
    assert term(british) == term(american) == american


# Pairs that Snowball's stemmer takes for one word.
DIFFERENT = [
    ("import", "important"),
    ("importer", "importance"),
    ("security", "securities"),
    ("united", "unit"),
    ("department", "depart"),
    ("business", "busy"),
    ("authority", "author"),
    ("federal", "federation"),
    ("transit", "transition"),
    ("sanction", "sanctioned"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_words_of_one_stem_are_not_one_word(one: str, other: str):
    """There is no stemming: who asks for import is not told what is important."""
    assert term(one) != term(other)


def test_the_british_words_of_a_stem_are_known():
    """A wildcard on a British stem can be led to the American words."""
    assert "organisation" in folding.british("organis")
    assert not folding.british("organiz")


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing_more(word: str):
    """A folded word is in its last form, whatever it was made of, and normalised."""
    once = plain(word)

    assert unicodedata.is_normalized("NFKC", once)
    assert plain(once) == once


def test_traditional_and_simplified_characters_meet():
    """One character is one character, before and after, and folding twice is folding once."""
    pairs = [(pair[0], pair[1]) for pair in folding.table("chinese")["pairs"].split()]

    assert len(pairs) > 2500
    assert len(dict(pairs)) == len(pairs)
    assert [pair for pair in pairs if folding.plain(pair[0]) != pair[1] or folding.plain(pair[1]) != pair[1]] == []
