"""What changed between two texts, as data and in excerpts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.diff import EFFORT
from notifier.messages.redline import Excerpts, Redline, excerpts, redline

FILLING = "".join(f"Sentence {n} tells of rule {n * 7} and of nothing else.\n\n" for n in range(20))
MOVED = "Licences for Hong Kong end at once, the Secretary said.\n\n"


def olds(of: Redline) -> str:
    return "".join(stretch.text for stretch in of.stretches if stretch.kind != "inserted")


def news(of: Redline) -> str:
    return "".join(stretch.text for stretch in of.stretches if stretch.kind != "deleted")


def told(of: Redline | Excerpts) -> str:
    """A redline, or its passages a line each, with signs."""
    signs = {"kept": "{}", "deleted": "[-{}-]", "inserted": "{{+{}+}}"}
    passages = [of.stretches] if isinstance(of, Redline) else of.passages
    return "\n".join("".join(signs[each.kind].format(each.text) for each in passage) for passage in passages)


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("A levy on 39,306 tons.", "A levy on 39,806 tons.", "A levy on [-39,306-]{+39,806+} tons."),
        ("Curbs on exports.", "Curbs on all exports.", "Curbs on {+all +}exports."),
        ("Curbs on all exports.", "Curbs on exports.", "Curbs on [-all -]exports."),
        ("It ends on 5 May.", "It ends on 6 June.", "It ends on [-5 May-]{+6 June+}."),
        ("He spoke.", "He spoke. She did.", "He spoke.{+ She did.+}"),
        ("He spoke. She did.", "He spoke.", "He spoke.[- She did.-]"),
        ("U.S. dual-use goods", "U.S. dual‑use goods", "U.S. [-dual-use-]{+dual‑use+} goods"),
        ("對香港影響輕微。", "對香港影響重大。", "對香港影響[-輕微-]{+重大+}。"),
        ("제재를 해제한다.", "제재를 연장한다.", "제재를 [-해제한다-]{+연장한다+}."),
        ("ترفع العقوبات", "تبقى العقوبات", "[-ترفع-]{+تبقى+} العقوبات"),
        ("", "New.", "{+New.+}"),
        ("Old.", "", "[-Old.-]"),
        ("Same.", "Same.", "Same."),
        ("", "", ""),
    ],
    ids=[
        "a figure stays whole",
        "a word put in",
        "a word taken out",
        "what stands close goes together",
        "a sentence put in",
        "a sentence taken out",
        "a hyphenated word stays whole",
        "Chinese",
        "Korean",
        "Arabic",
        "from nothing",
        "to nothing",
        "nothing changed",
        "nothing at all",
    ],
)
def test_a_change_is_told_word_by_word(old: str, new: str, seen: str) -> None:
    """Whole words go out and come in; the rest is kept."""
    assert told(redline(old, new)) == seen


WORDS = st.lists(
    st.sampled_from(["a", "b", "b. ", "c\n\n", " ", "39,306 ", "香", "港。", "it's ", "U.S. "]), max_size=60
)


@given(WORDS.map("".join), WORDS.map("".join))
def test_a_redline_holds_both_texts(old: str, new: str) -> None:
    """Kept and deleted are the old text, kept and inserted the new one, letter for letter; neighbours differ."""
    line = redline(old, new)

    assert (olds(line), news(line)) == (old, new)
    assert all(one.kind != other.kind for one, other in zip(line.stretches, line.stretches[1:], strict=False))
    assert all(each.text for each in line.stretches)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_redline_holds_any_two_texts(old: str, new: str) -> None:
    """Also those that nobody would write."""
    line = redline(old, new)

    assert (olds(line), news(line)) == (old, new)


@given(st.text(max_size=200))
def test_a_text_and_itself_have_no_changes(text: str) -> None:
    """Nothing is shown, and nothing is said to be left out."""
    assert excerpts(redline(text, text)) == Excerpts()


def test_a_paragraph_that_moved_goes_here_and_comes_there() -> None:
    """All that stands between the two places is kept."""
    line = redline(MOVED + FILLING, FILLING + MOVED)

    assert [(each.kind, each.text) for each in line.stretches] == [
        ("deleted", MOVED),
        ("kept", FILLING),
        ("inserted", MOVED),
    ]


HOSTILE = {
    "equal words": ("spam " * 100_000, "eggs " + "spam " * 99_990 + "eggs " * 9 + "ham"),
    "two words": ("spam eggs " * 50_000, "eggs spam " * 50_000 + "ham"),
    "three lines and five": (
        "\n".join("abc"[n % 3] for n in range(100_000)),
        "\n".join("abcde"[n % 5] for n in range(100_000)),
    ),
    "every second word": (
        " ".join(f"k{n} u{n}" for n in range(40_000)),
        " ".join(f"k{n} v{n}" for n in range(40_000)),
    ),
    "stops": (". " * 500_000, "! " * 500_000),
    "hyphens": ("a-" * 500_000, "a'" * 500_000),
    "spaces": ("\n" * 1_000_000, " " * 1_000_000),
    "Chinese": ("中国香港" * 100_000, "香港中国" * 100_000 + "中"),
}


@pytest.mark.parametrize("texts", HOSTILE.values(), ids=HOSTILE)
def test_texts_made_to_be_slow_are_not(texts: tuple[str, str]) -> None:
    """A megabyte is compared at once where comparing all words with all would take hours, and still exactly."""
    old, new = texts

    line = redline(old, new)

    assert (olds(line), news(line)) == (old, new)
    assert excerpts(line).passages or old.split() == new.split()


def test_what_is_too_much_to_compare_counts_as_rewritten() -> None:
    """It says so; a sentence beside it is compared as ever."""
    beyond = int(EFFORT**0.5)

    line = redline("It was 5.\n" + "spam eggs " * beyond, "It was 6.\n" + "eggs spam " * beyond + "ham")

    assert line.is_coarse
    assert told(line).startswith("It was [-5-]{+6+}.\n[-spam eggs spam eggs")
    assert not redline("It was 5.", "It was 6.").is_coarse


# ---------------------------------------------------------------- what a reader sees


def test_an_excerpt_shows_the_change_and_some_words_around_it() -> None:
    """Long unchanged stretches become an ellipsis, cut between words."""
    seen = excerpts(redline(f"{FILLING}A levy of 5 %.\n\n{FILLING}", f"{FILLING}A levy of 7 %.\n\n{FILLING}"))

    (passage,) = told(seen).split("\n")
    assert re.fullmatch(r"… \w+ .{60,90}A levy of \[-5-\]\{\+7\+\} %\. Sentence 0 .{40,90}\w …", passage)
    assert seen.left_out == 0


def test_changes_far_apart_are_passages_of_their_own() -> None:
    """And those close by share one."""
    seen = excerpts(redline(f"It was 5, and 6 after.\n{FILLING}Then 7.", f"It is 5, and 8 after.\n{FILLING}Then 9."))

    first, second = told(seen).split("\n")
    assert first.startswith("It [-was-]{+is+} 5, and [-6-]{+8+} after. Sentence 0 tells")
    assert second.endswith("Then [-7-]{+9+}.")


def test_spaces_and_line_breaks_are_no_changes_to_a_reader() -> None:
    """Text that was only broken elsewhere has no excerpt; spaces stand outside of what changed."""
    assert excerpts(redline("It was\nsaid .", "It  was said.")) == Excerpts()
    assert told(excerpts(redline("It was\nsaid now.", "It was never\n\nsaid now."))) == "It was {+never+} said now."


def test_a_long_insertion_is_shown_by_its_beginning() -> None:
    """What was put in is marked as such up to the ellipsis, which is ours."""
    seen = excerpts(redline("Before. After.", f"Before. {'More words follow. ' * 400}After."))

    (passage,) = seen.passages
    assert 500 < len(passage[1].text) <= 600
    assert [each.text for each in passage if each.kind == "kept"] == ["Before. ", " … ", " After."]


def test_many_changes_are_counted_and_not_shown() -> None:
    """The first are there; how many there was no room for is told."""
    old = "".join(f"Rule {n} ends. {'It is as it was. ' * 20}" for n in range(50))

    seen = excerpts(redline(old, old.replace("ends", "begins")))

    assert len(seen.passages) == 50 - seen.left_out == 8


def test_an_excerpt_is_bounded() -> None:
    """Whatever was changed, it has a few thousand characters and a few dozen stretches at most."""
    for old, new in HOSTILE.values():
        seen = excerpts(redline(old[:20_000], new[:20_000]))

        assert sum(len(each.text) for passage in seen.passages for each in passage) < 4_000
        assert sum(map(len, seen.passages)) < 100


def test_an_excerpt_has_no_controls() -> None:
    """Escape sequences, overrides and line breaks do not come through."""
    seen = excerpts(redline("It was\x1b[31m 5.", "It was\x1b[31m \u202e6\x00\r\n."))

    assert told(seen) == "It was[31m [-5-]{+6+} ."
