"""Are the words that a revision put in and took out told, and nothing that merely stood beside them?"""

from __future__ import annotations

import pytest

from notifier.watchlists.change import Revised, revised
from notifier.watchlists.query import parse
from tests.watchlists.builders import statement


def change(before: str, after: str) -> Revised:
    return revised(statement("Title", before), statement("Title", after))


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        ("The quota stays.", "The quota ends.", ["ends"], ["stays"]),
        ("One sentence here.", "One sentence here. Another comes.", ["Another comes"], []),
        ("First comes this. Then follows that.", "Then follows that. First comes this.", [], []),
        ("The dual-use list.", "the dual‑use List", [], []),
        ("A licence is needed.", "A licence for chips is no longer needed.", ["for chips", "no longer"], []),
        ("香港政策不变", "香港政策改变", ["改"], ["不"]),
        ("香港", "香港", [], []),
        ("Same words. Same words.", "Same words.", [], ["Same words"]),
        ("", "All is new here.", ["All is new here"], []),
    ],
    ids=["word", "sentence", "moved", "dress", "places", "characters", "same", "repeated", "empty"],
)
def test_what_came_and_what_went(before: str, after: str, added: list[str], removed: list[str]):
    """Words as queries see them: neither a move nor a dash is a change."""
    found = change(before, after)

    assert [passage.text for passage in found.added] == added
    assert [passage.text for passage in found.removed] == removed
    assert all(found.text[each.start : each.start + len(each.text)] == each.text for each in found.added)


def test_title_and_summary_are_words_too():
    """What moves from the summary into the text is nothing new."""
    before = statement("Sanctions planned", "The text.", summary="Iran is meant.")
    after = statement("Sanctions imposed", "The text. Iran is meant.")

    found = revised(before, after)

    assert [(each.field, each.text) for each in found.added] == [("title", "imposed")]
    assert [(each.field, each.text) for each in found.removed] == [("title", "planned")]


@pytest.mark.parametrize(
    ("query", "matched"),
    [
        ("added:chips", True),
        ("added:licence", False),
        ("removed:quota", True),
        ("removed:chips", False),
        ("licence AND added:chips", True),
        ("chips NOT removed:quota", False),
        ('added:"chips and wafers"', True),
        ("added:(wafers OR steel) w/2 added:chips", True),
        ('added:"for chips quota"', False),
    ],
)
def test_a_term_may_ask_for_the_change_alone(query: str, matched: bool):
    """`added:` and `removed:` are fields of their own, and other terms look at the text as it is now."""
    found = change("A licence is due. The quota ends.", "A licence is due for chips and wafers.")

    assert parse(query).search(found.fields()).matched is matched


@pytest.mark.parametrize("query", ["added:licence", "removed:licence"])
def test_what_is_new_was_not_changed(query: str):
    """A statement that nothing came before has neither field."""
    assert not parse(query).search(statement("Licence", "A licence is due.").fields()).matched


def test_added_words_are_shown_where_they_stand():
    """Spans lead into the title or text; what was removed stands nowhere any more."""
    found = revised(
        statement("Rules", "A licence is due. The quota ends."),
        statement("Rules on chips", "A licence is due for chips and wafers."),
    )

    spans = parse("added:chips AND added:wafers AND removed:quota AND licence").search(found.fields()).spans
    placed = found.in_place(spans)

    words = {field: [found.fields()[field][start:end] for start, end in places] for field, places in placed.items()}
    assert words == {"title": ["chips"], "body": ["licence", "chips", "wafers"]}


def test_one_word_before_many_of_a_kind_is_one_change():
    """However often the others come: what stands at both ends of a text is not in question."""
    found = change("same " * 3000 + "x", "y " + "same " * 3000 + "x")

    assert [passage.text for passage in found.added] == ["y"]
    assert found.removed == ()


def test_a_text_rewritten_from_end_to_end_is_all_new():
    """Beyond an effort nothing is compared word by word, so that no text takes long."""
    found = change("one other " * 3000, "other one one " * 2000)

    assert [len(found.added), len(found.removed)] == [1, 1]
    assert found.added[0].text == ("other one one " * 2000).strip()
