"""`notifier match`: a verdict with its reasons, for people and for programs."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path

import pytest
from rich.cells import cell_len

from notifier.errors import QueryError
from notifier.watchlists.query import parse
from tests.cli.terminal import legible, on_a_terminal
from tests.commands import Run, run

QUERY = '"Hong Kong" AND ("dual-use" OR licence) NOT regatta'
TEXT = "Controls on dual-use items\nreach Hong Kong on Monday."


def match(query: str, text: str, *words: str) -> Run:
    return run("match", query, *words, stdin=text.encode())


def lines(*asked: object) -> Run:
    """`match --jsonl` over these lines: an object each, or the line itself."""
    written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in asked]
    return run("match", "--jsonl", stdin=b"\n".join(written) + b"\n")


# ---------------------------------------------------------------- for people


def test_a_verdict_is_a_tree_of_reasons():
    """How the query was read, each clause with the words that decided, the passage, and the verdict last."""
    told = match(QUERY, TEXT)

    assert told.code == 0
    assert told.err == ""
    assert told.out.splitlines() == [
        'read as "Hong Kong" AND ("dual-use" OR licence) AND NOT regatta',
        "✓ AND",
        '  ✓ "Hong Kong"   “Hong Kong”',
        "  ✓ OR",
        '    ✓ "dual-use"   “dual-use”',
        "    ✗ licence",
        "  ✓ NOT regatta",
        "  Controls on [dual-use] items reach [Hong Kong] on Monday.",
        "matches",
    ]


def test_what_does_not_match_shows_which_clause_failed():
    """Exit code 1, and the cross stands at the word that was missing or the one that was too much."""
    told = match(QUERY, TEXT.replace("Monday", "the day of the regatta"))

    assert told.code == 1
    assert "  ✗ NOT regatta   “regatta”" in told.out.splitlines()
    assert told.out.splitlines()[-1] == "does not match"


def test_a_text_comes_from_a_file_or_from_stdin(tmp_path: Path):
    """Named, or `-`, or nothing said."""
    statement = tmp_path / "statement.txt"
    statement.write_text(TEXT)

    assert run("match", "dual-use", statement).code == 0
    assert run("match", "dual-use", "-", stdin=TEXT.encode()).code == 0
    assert run("match", "dual-use", stdin=TEXT.encode()).code == 0
    assert run("match", "dual-use", tmp_path / "none.txt").code == 2


@pytest.mark.parametrize(
    "query",
    [
        '"Hong Kong" AND (',
        '香港 AND ("出口',
        "é̂ AND AND b",
        'exports\tAND\n"Hong Kong',
        'a\u200db AND "c',
        "x AND ~",
    ],
    ids=["plain", "wide", "combining", "tab and newline", "joiner", "last letter"],
)
def test_an_error_is_pointed_at(query: str):
    """The mark stands under the column where reading failed, however wide the letters before it are; exit code 2."""
    with pytest.raises(QueryError) as caught:
        parse(query)

    told = match(query, TEXT)

    error, shown, mark = told.err.splitlines()
    assert (told.code, told.out) == (2, "")
    assert error.startswith(f"error {caught.value.code}: ")
    assert mark.strip() == "^"
    assert len(shown) == 2 + len(query)
    assert mark.index("^") == cell_len(shown[: 2 + caught.value.at])


def test_in_a_long_query_the_place_is_shown():
    """On a terminal the query is cut so that the mark and what stands there are on one line each."""
    query = " AND ".join(["export", "香港"] * 30) + " AND OR licence" + " OR import" * 20

    code, out = on_a_terminal("match", query, columns=80)

    *_, shown, mark = legible(out).splitlines()
    assert code == 2
    assert cell_len(shown) <= 80
    before = next(n for n in range(len(shown)) if cell_len(shown[:n]) == mark.index("^"))
    assert shown[before:].startswith("OR licence")


def test_who_types_the_text_is_told_how_to_end_it():
    """A terminal that waits in silence looks as if it hung."""
    ours, theirs = pty.openpty()
    os.write(ours, b"Dual-use items\n\x04")

    code, out = on_a_terminal("match", "dual-use", columns=80, stdin=theirs)

    os.close(ours)
    os.close(theirs)
    assert code == 0
    assert legible(out).startswith("Type the text, and end it with Ctrl-D on a line of its own.\n")


def test_an_empty_query_says_what_to_write():
    """There is nothing to point at."""
    told = match("", TEXT)

    assert told.code == 2
    assert told.err.startswith("error EMPTY: ")
    assert "^" not in told.err


def test_a_text_cannot_move_the_cursor():
    """Escapes in the text, and in the query, are shown without their effect."""
    told = match("house OR \x1b[31mblue", "a \x1b[31mred\x07 house\r and [bold]more[/bold]")

    assert "\x1b" not in told.out + told.err
    assert "\x07" not in told.out
    assert "[bold]more[/bold]" in told.out


def test_letters_that_are_none_do_no_harm():
    """A text that is not UTF-8 is read as far as it goes, and so is a query."""
    text = run("match", "--json", "caf* OR bar", stdin=b"caf\xe9 bar")
    query = run("match", os.fsdecode(b"bar OR \xff"), stdin=b"bar")
    shown = run("match", os.fsdecode(b"bar\xff"), stdin=b"bar")

    assert (text.code, text.rows[0]["match"]) == (0, True)
    assert query.code == 2
    assert shown.out.startswith("read as ")
    assert "Traceback" not in text.err + query.err + shown.err


def test_a_terminal_without_our_signs_gets_others():
    """Where stdout cannot carry “✓”, a question mark stands for it, and the verdict is the same."""
    told = run("match", "dual-use", stdin=TEXT.encode(), PYTHONIOENCODING="ascii")

    assert told.code == 0
    assert told.out.splitlines()[-1] == "matches"
    assert told.err == ""


def test_without_a_query_it_shows_one():
    """A wrong use, with an example to start from."""
    told = run("match")

    assert told.code == 2
    assert "notifier match '\"Hong Kong\"' statement.txt" in told.err


# ---------------------------------------------------------------- for programs


def test_json_gives_spans_in_code_points():
    """Half-open, sorted, and counted in code points, also after letters that take more in other encodings."""
    told = match("dual-use OR 香港", "🇭🇰 香港: dual-use", "--json")

    assert told.code == 0
    assert told.rows == [{"match": True, "spans": [[3, 5], [7, 15]]}]


def test_json_that_does_not_match_exits_1():
    """The verdict is in the object and in the exit code."""
    told = match("dual-use", "nothing", "--json")

    assert (told.code, told.rows) == (1, [{"match": False, "spans": []}])


def test_each_line_is_answered():
    """A verdict for a text, spans by name for fields, code and place for a query that cannot be read."""
    told = lines(
        {"query": "dual-use", "text": "a dual-use item"},
        {"query": "title:embargo AND items", "title": "Embargo", "body": "on items", "source": "Ministry"},
        {"query": "embargo", "title": "Nothing", "summary": "at all"},
        {"query": '"Hong Kong', "text": "…"},
        {"query": "", "text": "…"},
        {"query": "embargo", "title": "Embargo", "text": "an embargo"},
    )

    assert told.code == 0
    assert told.err == ""
    assert told.rows == [
        {"match": True, "spans": [[2, 10]]},
        {"match": True, "spans": {"title": [[0, 7]], "body": [[3, 8]]}},
        {"match": False, "spans": {}},
        {"error": "UNTERMINATED_QUOTE", "at": 0},
        {"error": "EMPTY", "at": 0},
        {"match": True, "spans": {"title": [[0, 7]], "text": [[3, 10]]}},
    ]


def test_an_error_in_a_line_has_the_place_it_has_elsewhere():
    """`at` is a code point of the query."""
    query = '香港 AND ("出口'
    with pytest.raises(QueryError) as caught:
        parse(query)

    assert lines({"query": query, "text": "…"}).rows == [{"error": caught.value.code, "at": caught.value.at}]


def test_an_empty_line_is_passed_over():
    """It neither asks nor ends anything, and counts when a later line is named."""
    assert len(lines({"query": "a", "text": "a"}, b"", b"  ", {"query": "b", "text": "b"}).rows) == 2
    assert "line 3:" in lines({"query": "a", "text": "a"}, b"", b"nonsense").err


@pytest.mark.parametrize(
    "asked",
    [{"query": "a", "text": "\ud83d a"}, {"query": "a OR \ud83d", "text": "a"}],
    ids=["in the text", "in the query"],
)
def test_half_a_surrogate_pair_is_no_reason_to_stop(asked: dict[str, str]):
    """JSON can carry it, no text should; it is answered, and so is what follows."""
    told = lines(asked, {"query": "a", "text": "a"})

    assert told.code == 0
    assert len(told.rows) == 2
    assert told.rows[1] == {"match": True, "spans": [[0, 1]]}


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[1, 2]",
        b'{"text": "no query"}',
        b'{"query": null, "text": "None"}',
        b'{"query": "a", "text": 5}',
        b'{"query": "a", "text": "a", "body": "b"}',
        b'{"query": "a", "text": "\xff"}',
        b"[" * 100_000,
        b'{"query": "a", "text": ' + b"9" * 5_000 + b"}",
    ],
    ids=["text", "list", "no query", "null", "number", "two names", "no UTF-8", "deep", "long number"],
)
def test_a_bad_line_is_named(line: bytes):
    """Those before it are answered; then a sentence with its number, exit code 1, and no traceback."""
    told = lines({"query": "a", "text": "a"}, line, {"query": "a", "text": "a"})

    assert told.code == 1
    assert told.rows == [{"match": True, "spans": [[0, 1]]}]
    assert told.err.startswith("error line 2: ")
    assert len(told.err.splitlines()) == 1


def test_a_file_of_cases_goes_to_stdin():
    """Naming it as an argument, which would wait for ever on the terminal, is told."""
    told = run("match", "--jsonl", "cases.jsonl")

    assert told.code == 2
    assert "notifier match --jsonl < cases.jsonl" in told.err
