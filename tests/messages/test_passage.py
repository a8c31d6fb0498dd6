"""Hits as runs of text, and the sentences around them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.messages.passage import Run, as_runs, passages


def quoted(text: str, hits: str, length: int = 320) -> list[str]:
    """The passages around a pattern's hits, the hits in square brackets."""
    found = passages(text, [match.span() for match in re.finditer(hits, text)], length=length)
    return ["".join(f"[{run.text}]" if run.hit else run.text for run in runs) for runs in found]


def test_runs_tell_hits_from_the_rest() -> None:
    """Spans in any order become runs that together say the text."""
    runs = as_runs("curbs on dual-use goods", [(9, 17), (0, 5)])

    assert runs == (Run("curbs", hit=True), Run(" on "), Run("dual-use", hit=True), Run(" goods"))


def test_overlapping_hits_are_one() -> None:
    """Two watchlists may hit the same words; the reader sees one mark."""
    assert as_runs("Hong Kong SAR", [(0, 9), (5, 13), (0, 9)]) == (Run("Hong Kong SAR", hit=True),)


def test_runs_are_one_line_without_controls() -> None:
    """Line breaks become spaces, and nothing is left that a terminal or a header would obey."""
    runs = as_runs("  Hong\n Kong\x1b[31m and\u202e more ", [(2, 12)])

    assert runs == (Run("Hong Kong", hit=True), Run("[31m and more"))


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=6))
def test_runs_keep_every_word_and_cut_nothing_else(text: str, spans: list[tuple[int, int]]) -> None:
    """Whatever the spans, the runs say the same as the whole text without any."""
    whole = "".join(run.text for run in as_runs(text, []))

    runs = as_runs(text, spans)

    assert "".join(run.text for run in runs) == whole
    assert all(run.text for run in runs)
    assert all(before.hit != after.hit for before, after in pairwise(runs))


def test_a_passage_is_the_sentence_around_a_hit() -> None:
    """The sentences before and after are left out, and an ellipsis says so."""
    text = "The Secretary spoke. Rules for Hong Kong are suspended. More steps follow."

    assert quoted(text, "Hong Kong") == ["…\u00a0Rules for [Hong Kong] are suspended.\u00a0…"]


def test_nothing_is_elided_where_nothing_is_missing() -> None:
    """A text of one sentence is quoted as it stands."""
    assert quoted("Rules for Hong Kong are suspended.", "Hong Kong") == ["Rules for [Hong Kong] are suspended."]


@pytest.mark.parametrize("name", ["the U.S. Department of State", "Executive Order No. 13936", "Mr. Chan of Hong Kong"])
def test_an_abbreviation_ends_no_sentence(name: str) -> None:
    """A stop within a name does not cut the quotation short."""
    text = f"It rained. We heard that {name} agreed to curbs. It rained on."

    assert quoted(text, "curbs") == [f"…\u00a0We heard that {name} agreed to [curbs].\u00a0…"]


def test_chinese_sentences_end_at_their_own_stop() -> None:
    """Sentences without spaces between them are told apart."""
    assert quoted("天氣炎熱。美國暫停香港特殊待遇。市民請多喝水。", "香港") == [
        "…\u00a0美國暫停[香港]特殊待遇。\u00a0…"
    ]


def test_a_word_is_quoted_where_it_first_hits() -> None:
    """A passage shows each word once, and far hits of other words have passages of their own."""
    text = "Hong Kong came first. " + "Filler said nothing. " * 30 + "Hong Kong again. " + "Dual-use goods came last."

    assert quoted(text, "Hong Kong|Dual-use") == [
        "[Hong Kong] came first.\u00a0…",
        "…\u00a0[Dual-use] goods came last.",
    ]


def test_a_long_sentence_is_cut_between_words() -> None:
    """A hit in the middle of a page without a stop is quoted with some words on either side."""
    text = "word " * 300 + "embargo " + "word " * 300

    (passage,) = quoted(text, "embargo", length=100)

    assert re.fullmatch(r"…\u00a0(word )+\[embargo\]( word)+\u00a0…", passage)
    assert len(passage) <= 110


def test_without_hits_the_beginning_is_quoted() -> None:
    """An alert on a field other than the text still shows what the text begins with."""
    assert quoted("  First words of it. " + "More. " * 100, "nothing at all", length=30) == [
        "First words of it. More.\u00a0…"
    ]


def test_an_empty_text_has_no_passage() -> None:
    """There is nothing to quote, and no ellipsis stands for it."""
    assert passages(" \n ", []) == ()


@given(
    st.text(alphabet="abcd .!?\n。香\u202e\x00", max_size=400),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12)), max_size=8),
)
def test_passages_are_bounded_and_true_to_the_text(text: str, places: list[tuple[int, int]]) -> None:
    """At most three passages of about the length asked for, each of them words of the text in their order."""
    found = passages(text, [(start, start + size) for start, size in places], most=3, length=60)

    assert len(found) <= 3
    said = "".join(re.sub("[\u202e\x00]", "", text).split())
    for runs in found:
        passage = "".join(run.text for run in runs)
        assert len(passage) <= 60 + 12 + 4
        assert "".join(passage.strip("…\u00a0").split()) in said


def test_a_megabyte_of_hits_is_quoted_in_one_pass() -> None:
    """Ten thousand hits cost ten thousand steps, not their square: this ends while one waits."""
    text = "Hong Kong. " * 90_000

    found = passages(text, [(n * 11, n * 11 + 9) for n in range(90_000)])

    assert len(found) == 1
