"""Is a query true of exactly the texts it should be, and are exactly the words shown that make it so?"""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.watchlists.query import parse
from notifier.watchlists.search import Text
from notifier.watchlists.text import Words
from tests.watchlists.builders import MANY, hits, matches

FOUND = [
    ("hong kong", "HONG KONG, Hong\nKong’s Hong-Kong", ["HONG KONG", "Hong\nKong", "Hong-Kong"]),
    ("sanctions", "a sanction", ["sanction"]),
    ("dual use", "dual‑use", ["dual‑use"]),
    ("re-export licence", "reexport licenses", ["reexport licenses"]),
    ("reexport licence", "the re-export license", ["re-export license"]),
    ("reexport*", "re-exported and reexporting", ["re-exported", "reexporting"]),
    ("re-export*", "re-exported and reexporting", ["re-exported", "reexporting"]),
    ("F-35", "F35 F-35 F 35", ["F35", "F-35", "F 35"]),
    ("F35", "F35 F-35 F 35", ["F35", "F-35"]),
    ("non-self-governing", "nonself-governing nonselfgoverning", ["nonself-governing", "nonselfgoverning"]),
    ("trade and aid", "Trade & aid", ["Trade & aid"]),
    ("制裁", "实施制裁措施", ["制裁"]),
    ("US", "U.S.-made, US's, us, USA", ["U.S.", "US"]),
    ("U.S. sanctions", "US sanctions told us sanctions", ["US sanctions"]),
    ("NATO", "Nato’s", ["Nato"]),
    ("744", "744.11, 7441", ["744"]),
    ("=Polish", "Polish the polish; POLISH", ["Polish"]),
    ("=US", "US U.S. us", ["US"]),
    ('="Bank of China"', "Bank of China, bank of China", ["Bank of China"]),
    ("=Sanction*", "Sanctions sanctions Sanctioned", ["Sanctions", "Sanctioned"]),
    ("=exports", "export exports", ["exports"]),
    ("export licens*", "export licenses, export licensing", ["export licenses", "export licensing"]),
    ("licens*", "licence licences licensing", ["licence", "licences", "licensing"]),
    ("defence*", "defense defenseless defend", ["defense", "defenseless"]),
    ("organis*", "Organizations organise organ", ["Organizations", "organise"]),
    ("organi?ation", "organisations organization", ["organisations", "organization"]),
    ("wom?n", "woman, women, womn", ["woman", "women"]),
    ("744.1*", "744.1 744.15 744.2", ["744.1", "744.15"]),
    ("a OR b", "b a c", ["b", "a"]),
    ("a AND (b OR z)", "a b", ["a", "b"]),
    ("a AND (b OR (c AND z))", "a b c", ["a", "b"]),
    ("a NOT z", "a", ["a"]),
    ("NOT (NOT a) AND b", "a b", ["b"]),
    ("a b OR b c", "a b c", ["a b c"]),
    ("香 OR 港", "香港", ["香", "港"]),
    ("a a", "a a a", ["a a a"]),
    ('"oil iran"~3', "Iran sold its oil. Oil", ["Iran sold its oil"]),
    ('"a b"~2', "a b b", ["a b"]),
    ('"a b"~2', "a a b", ["a b"]),
    ('"a a b"~2', "a x b a", ["a x b a"]),
    ('"sanctions sanction*"~3', "sanctions and sanctions", ["sanctions and sanctions"]),
    ('"reexport licence"~2', "licence to re-export", ["licence to re-export"]),
    ('"744.11 EAR"~6', "EAR, section 744.11(a)", ["EAR, section 744.11"]),
    ("iran w/5 sanction*", "Sanctions on Iran, and a far, far, far away sanction", ["Sanctions", "Iran"]),
    ("iran pre/2 oil", "oil Iran oil", ["Iran", "oil"]),
    ("iran w/1 oil", "iran oil", ["iran", "oil"]),
    ("a b w/2 c d", "a b x c d", ["a b", "c d"]),
    ("iran w/3 (oil OR gas)", "gas of Iran, Iran has oil", ["gas", "Iran", "Iran", "oil"]),
    ("a w/9 a", "a x a", ["a", "a"]),
    ("a w/3 b", "Words go on. a. b", ["a", "b"]),
    ("export w/s ban", "Ban exports. A ban was made. Exports go on.", ["Ban", "exports"]),
    ("ban pre/s export", "Exports they ban today. Ban exports.", ["Ban", "exports"]),
    ("export w/p ban", "Exports stop. They ban it.\n\nA ban.", ["Exports", "ban"]),
    ("export NOT w/2 ban", "export ban, x x x export", ["export"]),
]


@pytest.mark.parametrize(("query", "text", "words"), FOUND, ids=[f"{query} ~ {text}" for query, text, _ in FOUND])
def test_what_makes_a_query_true_is_shown(query: str, text: str, words: list[str]):
    """Every occurrence of a true part, and nothing of a false one or of what is under NOT."""
    assert hits(query, text) == words


MISSED = [
    ("dual use", "dualuse"),
    ("dual-use", "use dual"),
    ("Hong Kong", "Hong. Kong"),
    ("Hong Kong", "Hong\n\nKong"),
    ("re-export", "exports are"),
    ("import", "important"),
    ("US", "tell us"),
    ("WHO", "Who?"),
    ("744.1", "744.11"),
    ("organi?ation", "organiation organissation"),
    ("sanction*", "unsanctioned"),
    ("sanction*", "sanctio"),
    ("=polish", "Polish"),
    ("a AND b", "a"),
    ("a NOT b", "a x\n\nb"),
    ("a NOT (b OR c)", "a c"),
    ("a w/2 b", "a x x b"),
    ("a w/5 a", "a"),
    ("a pre/5 b", "b a"),
    ("a b w/5 b c", "a b c"),
    ("export w/s ban", "Export stops. Ban it."),
    ("a w/p b", "a\n\nb"),
    ("a pre/p b", "b a"),
    ("a NOT w/2 b", "b x a"),
    ("a NOT w/2 b", "a x b"),
    ("a NOT w/1 a b", "a b"),
    ('"a b"~1', "a x x b"),
    ('"744.11 EAR"~6', "EAR, 744 and 734.11"),
    ('"744.11"~6', "744 and 734.11"),
    ('"a b"~3', "Words a ended. B goes"),
    ('"a a"~3', "a"),
    ('"sanctions sanction*"~3', "sanctions"),
]


@pytest.mark.parametrize(("query", "text"), MISSED, ids=[f"{query} ~ {text}" for query, text in MISSED])
def test_what_is_nearly_true_is_not(query: str, text: str):
    """One step off, and there is neither a match nor a span."""
    verdict = parse(query).search({"body": text})

    assert (verdict.matched, verdict.spans) == (False, {})


FIELDS = {
    "title": "Hong Kong act",
    "summary": "On dual-use goods",
    "body": "Hong Kong again",
    "source": "Department of State",
    "agency": "BIS",
    "country": "US",
    "tag": "export\n\ncontrol",
}
IN_FIELDS = [
    ("Hong Kong", ["title:Hong Kong", "body:Hong Kong"]),
    ("title:Hong Kong", ["title:Hong Kong"]),
    ("title:act AND body:again", ["title:act", "body:again"]),
    ("Hong Kong AND dual-use", ["title:Hong Kong", "summary:dual-use", "body:Hong Kong"]),
    ("title:(act OR dual-use)", ["title:act"]),
    ("source:state AND country:US", ["country:US", "source:State"]),
    ("act NOT body:act", ["title:act"]),
    ("title:hong w/2 act", ["title:Hong", "title:act"]),
    ("agency:bis", ["agency:BIS"]),
    ("tag:control", ["tag:control"]),
    ("State", []),
    ("title:dual-use", []),
    ("act w/255 again", []),
    ("act Hong", []),
    ("tag:export control", []),
    ("url:bis", []),
    ("Hong Kong NOT source:state", []),
]


@pytest.mark.parametrize(("query", "words"), IN_FIELDS, ids=[query for query, _ in IN_FIELDS])
def test_fields_are_searched_when_named(query: str, words: list[str]):
    """Without a name title, summary and body are searched; neither phrase nor proximity goes from one to another."""
    assert hits(query, FIELDS) == words


def test_spans_are_code_points_of_the_field():
    """Letters beyond the sixteenth bit count once, and an accent of its own counts."""
    assert parse("Erdogan").search({"body": "🚢🚢 Erdog\u0306an’s"}).spans == {"body": [(3, 11)]}


def test_a_text_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch):
    """Many queries against one text, and a query both searched and explained, cost one reading of its words."""
    read = []
    monkeypatch.setattr("notifier.watchlists.search.Words", lambda text: read.append(text) or Words(text))
    text = Text(FIELDS)

    for query in ("Hong Kong", "hong kong AND act", "title:act", "act w/5 hong"):
        assert parse(query).search(text).matched
        assert parse(query).explain(text).true

    assert read == [FIELDS["title"], FIELDS["summary"], FIELDS["body"]]


HOSTILE = {
    "repeats": "sanction " * 10_000,
    "repeated-hyphens": "sanction-" * 10_000,
    "surrogates": "\ud800 sanction \udfff" * 10_000,
    "marks": "sanction " + "e\u0301" * 10 + "\u0301" * 100_000,
    "megabyte": "A sanction on dual-use goods of Iran. " * 28_000,
}
QUERIES = [
    "sanction sanction sanction",
    "sanction w/5 sanction",
    "sanction w/s sanction",
    "sanction NOT w/255 iran",
    '"sanction sanction*"~255',
    "sanct* OR s?nction OR =sanction",
    "sanction-sanction-sanction",
]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_searched_to_the_end(text: str):
    """Ten thousand occurrences cost ten thousand steps, not their square: this ends while one waits."""
    held = Text({"body": text})

    for query in QUERIES:
        verdict = parse(query).search(held)
        assert verdict.matched == bool(verdict.spans)
    assert parse("sanction").search(held).matched


# ---------------------------------------------------------------- against the definition, by trying every pair

WORDS = st.lists(st.sampled_from(["a", "b", "c", "stop.", "\n\n"]), max_size=14).map(" ".join)
OPERANDS = st.sampled_from(["a", "b", "a b", "b a", "(a OR c)", "(b OR a b)"])


def _places(operand: str, words: Words) -> list[tuple[int, int]]:
    found = []
    for phrase in operand.strip("()").split(" OR "):
        wanted = phrase.split()
        for first in range(len(words.terms)):
            last = first + len(wanted) - 1
            if words.terms[first : last + 1] == wanted and words.sentences[first] == words.sentences[last]:
                found.append((first, last))
    return found


def _near(sign: str, one: tuple[int, int], other: tuple[int, int], words: Words) -> bool:
    before, after = sorted([one, other])
    if before[1] >= after[0] or (sign.startswith("pre") and before != one):
        return False
    reach = sign.partition("/")[2]
    if reach.isdecimal():
        return after[0] - before[1] <= int(reach)
    numbers = words.sentences if reach == "s" else words.paragraphs
    return numbers[before[1]] == numbers[after[0]]


def _shown(spans: set[tuple[int, int]], words: Words) -> set[int]:
    return {place for first, last in spans for place in range(words.starts[first], words.ends[last])}


@MANY
@given(WORDS, OPERANDS, st.sampled_from(["w/1", "w/3", "pre/2", "w/s", "pre/s", "w/p", "pre/p"]), OPERANDS)
@example("b a b", "a", "w/1", "b")
def test_proximity_is_what_every_pair_says(text: str, left: str, sign: str, right: str):
    """The quick search finds exactly the spans that trying all pairs finds."""
    words = Words(text)
    pairs = itertools.product(_places(left, words), _places(right, words))
    near = {span for one, other in pairs if _near(sign, one, other, words) for span in (one, other)}

    verdict = parse(f"{left} {sign} {right}").search({"body": text})

    assert verdict.matched is bool(near)
    shown = {place for start, end in verdict.spans.get("body", []) for place in range(start, end)}
    assert shown == _shown(near, words)


@MANY
@given(WORDS, OPERANDS, st.integers(1, 4), OPERANDS)
def test_apart_is_what_every_pair_says(text: str, left: str, reach: int, right: str):
    """What overlaps is within reach, and one that stands alone is enough."""
    words = Words(text)
    others = _places(right, words)
    alone = {
        one
        for one in _places(left, words)
        if not any(other[0] - one[1] <= reach and one[0] - other[1] <= reach for other in others)
    }

    verdict = parse(f"{left} NOT w/{reach} {right}").search({"body": text})

    assert verdict.matched is bool(alone)
    shown = {place for start, end in verdict.spans.get("body", []) for place in range(start, end)}
    assert shown == _shown(alone, words)


@MANY
@given(WORDS, st.lists(st.sampled_from("abc"), min_size=2, max_size=4), st.integers(1, 3))
def test_a_window_holds_all_its_words(text: str, wanted: list[str], slack: int):
    """Some stretch of a sentence, no longer than allowed, has each word as often as the query: then, and only then."""
    words = Words(text)
    size = len(wanted) + slack
    held = any(
        words.sentences[first] == words.sentences[last]
        and all(words.terms[first : last + 1].count(word) >= wanted.count(word) for word in wanted)
        for first in range(len(words.terms))
        for last in range(first, min(first + size, len(words.terms)))
    )

    assert matches(f'"{" ".join(wanted)}"~{slack}', text) is held


@given(st.text("ab-*. \n'", max_size=30), st.sampled_from(["a", "a b", "a-b", "ab", "a OR b", "a b OR b a"]))
def test_spans_are_in_order_and_apart(text: str, query: str):
    """Sorted, not overlapping, inside the text, and never empty."""
    spans = parse(query).search({"body": text}).spans.get("body", [])

    flat = [offset for span in spans for offset in span]
    assert flat == sorted(flat)
    assert all(re.search(r"[ab]", text[start:end]) for start, end in spans)
