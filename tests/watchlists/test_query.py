"""Is a query read in the one way it can be meant, and refused with place and mend where there are two or none?"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.errors import QueryError
from notifier.watchlists import grammar, query, text
from notifier.watchlists.query import Clause, Query, parse
from tests.watchlists.builders import MANY, refused

READ = [
    ("Hong Kong", '"Hong Kong"'),
    ("Hong\u00a0Kong  law", '"Hong Kong law"'),
    ("Bureau of Industry and Security", '"Bureau of Industry and Security"'),
    ('"China"', "China"),
    ('"AND"', '"AND"'),
    ('"w/5"', '"w/5"'),
    ("dual-use", "dual-use"),
    ("“Hong Kong” AND „dual-use“", '"Hong Kong" AND "dual-use"'),
    ("a AND b AND c", "a AND b AND c"),
    ("a OR b OR c", "a OR b OR c"),
    ("a NOT b", "a AND NOT b"),
    ("a AND NOT b", "a AND NOT b"),
    ("a -b -c", "a AND NOT b AND NOT c"),
    ("a AND -b", "a AND NOT b"),
    ("-b AND a", "NOT b AND a"),
    ("NOT b AND a", "NOT b AND a"),
    ('a -"b c"', 'a AND NOT "b c"'),
    ("a -(b OR c)", "a AND NOT (b OR c)"),
    ("a -title:b", "a AND NOT title:b"),
    ("a -=b", "a AND NOT =b"),
    ("NOT (NOT a)", "NOT (NOT a)"),
    ("a AND (b OR c)", "a AND (b OR c)"),
    ("a AND (b OR (NOT c))", "a AND (b OR (NOT c))"),
    ("(((a)))", "a"),
    ('(a)AND"b"', "a AND b"),
    ("a w/5 b", "a w/5 b"),
    ("a W/5 b", "a w/5 b"),
    ("a /5 b", "a w/5 b"),
    ("a NEAR/5 b", "a w/5 b"),
    ("a pre/5 b", "a pre/5 b"),
    ("a +5 b", "a pre/5 b"),
    ("a ONEAR/5 b", "a pre/5 b"),
    ("a w/255 b", "a w/255 b"),
    ("a w/s b", "a w/s b"),
    ("a /p b", "a w/p b"),
    ("a +s b", "a pre/s b"),
    ("a NOT w/5 b", "a NOT w/5 b"),
    ("a NOT /5 b", "a NOT w/5 b"),
    ("a NOT NEAR/5 b", "a NOT w/5 b"),
    ("big a w/5 (b OR c d)", '"big a" w/5 (b OR "c d")'),
    ("a w/5 b NOT c", "a w/5 b AND NOT c"),
    ("a OR b w/5 c", "a OR b w/5 c"),
    ('"a b"~5', '"a b"~5'),
    ("=Polish", "=Polish"),
    ('="Bank of China"', '="Bank of China"'),
    ("sanction* AND licen?e AND tax!", "sanction* AND licen?e AND tax!"),
    ("title:Hong Kong", 'title:"Hong Kong"'),
    ("Title: China", "title:China"),
    ("title:(a AND body:b)", "title:a AND body:b"),
    ("title:(a w/5 b)", "title:a w/5 title:b"),
    ("url:https://bis.example/a", "url:https://bis.example/a"),
    ("https://bis.example/a", "https://bis.example/a"),
    ("pre/post election 24/7", '"pre/post election 24/7"'),
    ("new § 744.11", '"new § 744.11"'),
    ("ECCN 3A090", '"ECCN 3A090" OR 3A090'),
    ("ECCN 3A090 OR 3A090", '"ECCN 3A090" OR 3A090'),
    ("85 FR 39306", '"85 FR 39306" OR "85 Fed Reg 39306" OR "85 Federal Register 39306"'),
    ("a AND HTS 8541.40", 'a AND ("HTS 8541.40" OR "8541.40" OR "8541 40" OR 854140*)'),
    ("title:(ECCN 3A090 w/5 b)", '(title:"ECCN 3A090" OR title:3A090) w/5 title:b'),
    ("a w/5 744.11(a)", "a w/5 744.11(a)"),
    ('="15 CFR 744"', '="15 CFR 744"'),
    ('"15 CFR 744"~2', '"15 CFR 744"~2'),
    ("AT&T", "AT&T"),
    ("at 12:30", '"at 12:30"'),
    ("a AND\u200b \ufeff b", "a AND b"),
    ("NO OR on OR 1260", "NO OR on OR 1260"),
]


@pytest.mark.parametrize(("written", "read"), READ, ids=[written for written, _ in READ])
def test_a_query_is_read_back_in_full(written: str, read: str):
    """Phrases come in quotes and operators in words, so that whoever wrote it sees what was understood."""
    assert parse(written).reading() == read


@pytest.mark.parametrize("written", [written for written, _ in READ])
def test_a_reading_means_what_was_written(written: str):
    """What we show can be pasted back: it is read as the same."""
    reading = parse(written).reading()

    assert parse(reading).reading() == reading
    assert _meaning(reading) == _meaning(written)


def _meaning(written: str) -> str:
    """The expression without the text of its terms, which may be quoted or not."""
    return re.sub(r"text='[^']*'|text=\"[^\"]*\"", "", repr(parse(written).expression))


REFUSED = [
    ("", "EMPTY", 0),
    (" \n\u00a0", "EMPTY", 0),
    ("Russia AND China OR Iran", "AMBIGUOUS_MIX", 17),
    ("a OR b AND c", "AMBIGUOUS_MIX", 7),
    ("a OR b NOT c", "AMBIGUOUS_MIX", 7),
    ("a OR b -c", "AMBIGUOUS_MIX", 7),
    ("a OR NOT b", "AMBIGUOUS_MIX", 2),
    ("NOT a OR b", "AMBIGUOUS_MIX", 6),
    ("x AND (a OR b AND c)", "AMBIGUOUS_MIX", 14),
    ('"Hong Kong" China', "MISSING_OPERATOR", 12),
    ('China "Hong Kong"', "MISSING_OPERATOR", 6),
    ('"a""b"', "MISSING_OPERATOR", 3),
    ("a (b)", "MISSING_OPERATOR", 2),
    ("(a) b", "MISSING_OPERATOR", 4),
    ("a title:b", "MISSING_OPERATOR", 2),
    ("a =b", "MISSING_OPERATOR", 2),
    ("a -b c", "MISSING_OPERATOR", 5),
    ("=a b", "MISSING_OPERATOR", 3),
    ("a || b", "MISSING_OPERATOR", 2),
    ("a && b", "MISSING_OPERATOR", 2),
    ("a AND", "MISSING_OPERAND", 5),
    ("AND a", "MISSING_OPERAND", 0),
    ("a AND OR b", "MISSING_OPERAND", 6),
    ("NOT NOT a", "MISSING_OPERAND", 4),
    ("a AND ()", "MISSING_OPERAND", 7),
    ("w/5 a", "MISSING_OPERAND", 0),
    ("a w/5", "MISSING_OPERAND", 5),
    ("title:", "MISSING_OPERAND", 6),
    ("title:-a", "MISSING_OPERAND", 6),
    ("(Russia AND China", "UNBALANCED", 0),
    ("(a AND (b", "UNBALANCED", 7),
    ("a) AND b", "UNBALANCED", 1),
    ('"Hong Kong', "UNTERMINATED_QUOTE", 0),
    ('a AND "Hong Kong AND b', "UNTERMINATED_QUOTE", 6),
    ("NOT sports", "NO_POSITIVE", 0),
    ("-sports", "NO_POSITIVE", 0),
    ("NOT a AND NOT b", "NO_POSITIVE", 0),
    ("a OR (NOT b)", "NO_POSITIVE", 0),
    ('a AND ""', "EMPTY_TERM", 6),
    ('a AND " § "', "EMPTY_TERM", 6),
    ("§ AND a", "EMPTY_TERM", 0),
    ("US - China", "EMPTY_TERM", 3),
    ("a AND = b", "EMPTY_TERM", 6),
    ("=(a)", "EMPTY_TERM", 0),
    ("us*", "WILDCARD_TOO_SHORT", 0),
    ("a AND *tion", "WILDCARD_TOO_SHORT", 6),
    ("a AND col*r", "WILDCARD_TOO_SHORT", 6),
    ("big a?", "WILDCARD_TOO_SHORT", 4),
    ('"big us-* x"', "WILDCARD_TOO_SHORT", 5),
    ("who cares ?", "WILDCARD_TOO_SHORT", 10),
    ("a AND titel:b", "UNKNOWN_FIELD", 6),
    ("Note: exports", "UNKNOWN_FIELD", 0),
    ("a w/0 b", "BAD_PROXIMITY", 2),
    ("a w/256 b", "BAD_PROXIMITY", 2),
    ("a w/ b", "BAD_PROXIMITY", 2),
    ("a w/x b", "BAD_PROXIMITY", 2),
    ("a NEAR/s b", "BAD_PROXIMITY", 2),
    ("a +852 b", "BAD_PROXIMITY", 2),
    ("a NOT w/s b", "BAD_PROXIMITY", 6),
    ("a NOT pre/5 b", "BAD_PROXIMITY", 6),
    ("a w/3 b w/3 c", "BAD_PROXIMITY", 8),
    ("a w/3 b NOT w/3 c", "BAD_PROXIMITY", 8),
    ("a -b w/3 c", "BAD_PROXIMITY", 5),
    ("(a AND b) w/5 c", "BAD_PROXIMITY", 0),
    ("a w/5 (b OR (c w/5 d))", "BAD_PROXIMITY", 6),
    ("title:a w/5 body:b", "BAD_PROXIMITY", 8),
    ('"a b"~0', "BAD_PROXIMITY", 5),
    ('"a b"~256', "BAD_PROXIMITY", 5),
    ('"a b"~x', "BAD_PROXIMITY", 5),
    ("Hong Kong~5", "BAD_PROXIMITY", 9),
]


@pytest.mark.parametrize(("written", "code", "at"), REFUSED, ids=[f"{code}: {text}" for text, code, _ in REFUSED])
def test_what_cannot_be_read_is_refused_with_its_place(written: str, code: str, at: int):
    """Code and code point say what is wrong and where, and a mend comes with every refusal."""
    error = refused(written)

    assert (error.code, error.at) == (code, at)
    assert error.message
    assert error.mend


MENDED = [
    ("Russia AND China OR Iran", "write (Russia AND China) OR Iran, or else Russia AND (China OR Iran)"),
    ("x AND (a OR b AND c)", "write x AND (a OR (b AND c)), or else x AND ((a OR b) AND c)"),
    ("a OR NOT b", "write a AND NOT b"),
    ("NOT a OR b", "write NOT a AND b"),
    ("a OR b NOT c", "write a OR (b AND NOT c), or else (a OR b) AND NOT c"),
    ('"Hong Kong" China', 'write "Hong Kong" AND China, or else "Hong Kong" OR China'),
    ("a || b", "write a OR b"),
    ("a AND OR b", "write a OR b, or else a AND b"),
    ("a AND", "write a"),
    ("(Russia AND China", "write (Russia AND China)"),
    ("a) AND b", "write a AND b"),
    ('"Hong Kong', 'write "Hong Kong"'),
    ('("Hong Kong AND b)', 'write ("Hong Kong" AND b)'),
    ("US - China", "write US China, or else US -China"),
    ("a AND us*", "write a AND us"),
    ("a AND col*r", "write a AND col*"),
    ("a AND titel:b", 'did you mean "title"?'),
    ("a w/0 b", "write a w/1 b"),
    ("a w/999 b", "write a w/255 b"),
    ("a NEAR/s b", "write a w/s b"),
    ("a w/3 b w/4 c AND d", "write a w/3 b AND b w/4 c AND d"),
    ("(a AND b) w/5 c", "write (a AND b) AND c"),
    ("title:a w/5 body:b", "write title:a AND body:b"),
    ('"a b"~0', 'write "a b"'),
]


@pytest.mark.parametrize(("written", "mend"), MENDED, ids=[written for written, _ in MENDED])
def test_a_mend_is_a_query_to_copy(written: str, mend: str):
    """Where what was meant can be told, it is there in full."""
    assert refused(written).mend == mend


@pytest.mark.parametrize("mend", [mend for _, mend in MENDED if mend.startswith("write ")])
def test_every_rewrite_can_be_read(mend: str):
    """Nobody is sent from one mistake into the next."""
    for rewrite in mend.removeprefix("write ").split(", or else "):
        assert parse(rewrite).reading()


def test_a_position_counts_code_points():
    """An emoji is one, as in the text that an editor shows."""
    assert refused('🚢🚢 AND "open').at == 7


def test_an_unreadable_letter_is_not_repeated():
    """What a terminal could not show, or would obey, stays out of messages."""
    error = refused("a\ud800 AND (\x1b[31m b")

    assert str(error).isprintable()


LIMITS = [
    ("x" * 10_000, ""),
    ("x" * 10_001, "TOO_LONG"),
    ("香" * 3_334, "TOO_LONG"),
    (" OR ".join("x" * 200), ""),
    (" OR ".join("x" * 201), "TOO_MANY_TERMS"),
    (" ".join("x" * 200), ""),
    (" ".join("x" * 201), "TOO_MANY_TERMS"),
    ("(" * 50 + "x" + ")" * 50, ""),
    ("(" * 51 + "x" + ")" * 51, "TOO_DEEP"),
]
NAMES = ["bytes", "bytes-over", "wide-over", "terms", "terms-over", "words", "words-over", "deep", "deep-over"]


@pytest.mark.parametrize(("written", "code"), LIMITS, ids=NAMES)
def test_a_query_has_bounds(written: str, code: str):
    """What is within is read, and what is beyond is refused in a message that names the bound."""
    if not code:
        assert parse(written).text == written
        return
    error = refused(written)

    assert error.code == code
    assert re.search(r"10,000|200|50", error.message)


def test_a_query_keeps_what_was_written():
    """Files and the log show it as its owner knows it."""
    assert parse("Hong  Kong ").text == "Hong  Kong "


def test_equal_queries_are_equal_values():
    """A watchlist is taken up anew only where something changed."""
    assert parse("a AND b") == parse("a AND b")
    assert parse("a AND b") != parse("a AND c")


def test_the_version_covers_language_and_words(monkeypatch: pytest.MonkeyPatch):
    """A change of either is a change of what matches."""
    versions = {query.version(), query.version()}
    monkeypatch.setattr(query, "LANGUAGE", grammar.LANGUAGE + 1)
    versions.add(query.version())
    monkeypatch.setattr(text, "_RULES", -1)
    versions.add(query.version())

    assert len(versions) == 3


# ---------------------------------------------------------------- why


def explained(written: str, body: str) -> Clause:
    return parse(written).explain({"body": body})


def test_each_clause_tells_how_it_fared():
    """True and false parts stand side by side, with the words of the text that decided."""
    why = explained(
        'Hong Kong AND (dual-use OR "export license") NOT sports', "Hong\n Kong’s dual‑use goods and Dual-use items"
    )

    assert why == Clause(
        "AND",
        True,
        (),
        (
            Clause('"Hong Kong"', True, ("Hong Kong",)),
            Clause(
                "OR",
                True,
                (),
                (Clause("dual-use", True, ("dual‑use", "Dual-use")), Clause('"export license"', False)),
            ),
            Clause("NOT sports", True),
        ),
    )


def test_what_should_be_absent_is_named_when_it_is_there():
    """A NOT that fails says which word did it."""
    why = explained("China NOT sports", "China in sports")

    assert (why.true, why.parts[1]) == (False, Clause("NOT sports", False, ("sports",)))


def test_a_group_that_should_be_absent_is_taken_apart():
    """Of several words, the reader sees which was there."""
    why = explained("China NOT (sports OR art)", "China and art")

    inner = Clause("OR", True, (), (Clause("sports", False), Clause("art", True, ("art",))))
    assert why.parts[1] == Clause("NOT", False, (), (inner,))


def test_a_proximity_shows_its_sides():
    """Both words may be there and yet too far apart."""
    why = explained("iran w/2 oil", "Iran sold some oil")

    assert why == Clause("iran w/2 oil", False, (), (Clause("iran", True, ("Iran",)), Clause("oil", True, ("oil",))))


def test_words_are_told_a_few_at_a_time():
    """Thousands of different words of one wildcard would hide the rest."""
    why = explained("wor*", " ".join(f"wor{number}" for number in range(100)))

    assert why.words == tuple(f"wor{number}" for number in range(12))


# ---------------------------------------------------------------- anything at all

SYNTAX = st.sampled_from(
    [
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        '"',
        "“",
        "-",
        "=",
        "title:",
        "x:",
        "w/5",
        "NOT w/5",
        "pre/s",
        "w/",
        "+3",
        "/999",
        "~5",
        "~",
        "*",
        "!",
        "?",
        " ",
        "  ",
        "a",
        "Hong",
        "US",
        "香",
        "3A090.a",
        "@china",
        "@",
        "added:",
        "(EU) 2021/821",
        "15 CFR 744.11(a)",
        "HTS 8541.40",
        "E.O. 13936",
        "the",
        "§",
        "�",
        "́",
        "„",
    ]
)


@MANY
@given(st.one_of(st.text(max_size=60), st.lists(SYNTAX, max_size=25).map("".join), st.lists(SYNTAX).map(" ".join)))
@example("\ud800:")
@example("\u200b=\u200b")
@example("=\u200b")
@example('"\ua66e?*"')
def test_any_text_is_read_or_refused(written: str):
    """Nothing but a `QueryError` is raised, its place lies in the query, and a reading is stable."""
    found = _read_or_refused(written)

    if isinstance(found, QueryError):
        assert 0 <= found.at <= len(written)
        assert (found.code.isupper(), bool(found.mend)) == (True, True)
        return
    assert not found.search({}).matched
    assert parse(found.reading()).reading() == found.reading()
    found.search({"title": written, "body": found.reading()})
    found.explain({"title": written})


def _read_or_refused(written: str) -> Query | QueryError:
    try:
        return parse(written)
    except QueryError as error:
        return error


def test_an_operator_in_small_letters_is_put_right():
    """Who writes `"a" and b` is told of the capitals, not of an operator that seems to be missing."""
    with pytest.raises(QueryError) as caught:
        parse('"Hong Kong" and dual-use')

    assert (caught.value.code, caught.value.at) == ("MISSING_OPERATOR", 12)
    assert caught.value.message == "operators are written in capitals"
    assert 'write "Hong Kong" AND dual-use' in caught.value.mend
