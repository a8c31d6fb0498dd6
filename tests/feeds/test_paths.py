"""Does a path lead where it says, and is what is not a path refused before anything is read by it?"""

from __future__ import annotations

import pytest

from notifier.feeds.paths import LONGEST, MANY, STEPS, check_path, check_template, find, texts_at

TOP = {
    "title": "Rules",
    "results": [
        {"number": "2020-1", "pages": 3, "final": True, "agencies": [{"name": "Commerce"}, {}, {"name": "BIS"}]},
        {"number": "2020-2", "note": None, "dates": ["29 June", "30 June"]},
    ],
    "table": [[1, 2], [3]],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("title", ["Rules"]),
        ("results[0].number", ["2020-1"]),
        ("results[-1].dates[1]", ["30 June"]),
        ("results[].number", ["2020-1", "2020-2"]),
        ("results[].agencies[].name", ["Commerce", "BIS"]),
        ("table[][]", [1, 2, 3]),
        ("$.results[1].number", ["2020-2"]),
        ("$", [TOP]),
        ("results[2].number", []),
        ("results[-3]", []),
        ("results[1].note", []),
        ("title.first", []),
        ("title[0]", []),
        ("title[]", []),
        ("nothing", []),
    ],
)
def test_a_path_finds_what_is_there(path: str, found: list[object]):
    """Names, places and all of a list; nothing where the way breaks off or ends at null."""
    assert list(find(path, TOP, TOP)) == found


def test_a_path_starts_at_the_entry_unless_it_says_otherwise():
    """`$` is the top of the answer."""
    entry = TOP["results"][0]

    assert list(find("number", entry, TOP)) == ["2020-1"]
    assert list(find("$.title", entry, TOP)) == ["Rules"]
    assert list(find("title", entry, TOP)) == []


def test_a_list_at_the_top_is_reached_too():
    """Some answers are a list and nothing around it."""
    assert list(find("[].n", [{"n": 1}, {"n": 2}], None)) == [1, 2]
    assert list(find("$[1].n", None, [{"n": 1}, {"n": 2}])) == [2]


@pytest.mark.parametrize(
    "path",
    [
        "", ".", ".title", "title.", "a..b", "a b", "a[", "a]", "a[x]", "a[0]b", "[].", "$title", "$.", "a$", "a{b}",
        "a[99999]", "a" * (LONGEST + 1), ".".join("a" * (STEPS + 1)),
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str):
    """A mistake is reported with a correction, and not read as something else."""
    with pytest.raises(ValueError, match="not a path") as told:
        check_path(path)

    assert "agencies[].name" in told.value.args[1]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("number", ["2020-1"]),
        ("pages", ["3"]),
        ("final", []),
        ("agencies", []),
        ("agencies[].name", ["Commerce", "BIS"]),
        ("https://x.example/{number}?from={$.title}", ["https://x.example/2020-1?from=Rules"]),
        ("{number} of {nothing}", ["2020-1 of "]),
        ("Note: {note}", []),
        ("{agencies[].name}", ["Commerce"]),
        ("", []),
    ],
)
def test_words_hold_what_stands_at_their_paths(template: str, words: list[str]):
    """Text and numbers are words; where no path of a template leads anywhere, there are none."""
    assert list(texts_at(template, TOP["results"][0], TOP)) == words


def test_what_is_put_in_is_not_read_again():
    """A value that looks like a template is text like any other."""
    assert list(texts_at("<{a}>", {"a": "{b}", "b": "secret"}, {})) == ["<{b}>"]


def test_a_field_takes_only_so_many_values():
    """A list without end fills no entry without end."""
    assert len(list(texts_at("[]", list(range(1_000)), None))) == MANY


@pytest.mark.parametrize("template", ["{", "a}", "{a", "a{b}}", "{{a}}", "{}", "{a b}", "x {.a}"])
def test_what_is_no_template_is_refused(template: str):
    """Braces come in pairs, with a path in them."""
    with pytest.raises(ValueError, match=r"is not a path|has a brace"):
        check_template(template)
