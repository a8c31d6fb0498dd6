"""
What in a valid query may not be intended: words that add nothing, and terms that can never match.

Nothing here is an error. A query is matched as written, and its owner is warned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

import msgspec

from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase, Word, phrases, reading
from notifier.watchlists.query import Query, parse
from notifier.watchlists.scan import QueryPiece, scan
from notifier.watchlists.search import SEARCHED, answers
from notifier.watchlists.text import ambiguous


class Advice(msgspec.Struct, frozen=True):
    """One thing to look at: what it is, and what to do about it."""

    problem: str
    mend: str


def advice(query: Query) -> list[Advice]:
    """What to look at in a query, in its order, each thing once."""
    found = [*_on_words(query), *_on_terms(query.expression)]
    return list(dict.fromkeys(found))


# ---------------------------------------------------------------- as it was written


def _on_words(query: Query) -> Iterator[Advice]:
    for are_words, group in groupby(scan(query.said), lambda piece: piece.kind == "word"):
        if are_words:
            yield from _on_run(list(group))


def _on_run(run: list[QueryPiece]) -> Iterator[Advice]:
    """Bare words one after another are a phrase, which not everyone expects of these."""
    for piece in run[1:-1]:
        if piece.text.lower() in {"and", "or"}:
            phrase = " ".join(each.text for each in run)
            yield Advice(
                f"{piece.text} is a word of the phrase {phrase}",
                f"put the phrase in quotes, or write {piece.text.upper()} where the operator is meant",
            )
    word = run[0].text
    if len(run) == 1 and word.islower() and ambiguous(word.upper(), dotted=False):
        yield Advice(f"{word} finds the word in any case", f"write {word.upper()} for the acronym alone")


# ---------------------------------------------------------------- as it is understood


def _on_terms(expression: Expression) -> Iterator[Advice]:
    match expression:
        case Phrase():
            yield from _on_field(expression)
        case Not(part):
            yield from _on_terms(part)
        case Near(left, right) | Apart(left, right):
            yield from _on_terms(left)
            yield from _on_terms(right)
        case Or(parts):
            if not _is_one_name(expression):
                yield from _on_alternatives(parts)
                for part in parts:
                    yield from _on_terms(part)
        case And(parts):
            yield from _on_requirements(parts)
            for part in parts:
                yield from _on_terms(part)


def _is_one_name(group: Or) -> bool:
    """Whether these are the spellings of one name, which overlap on purpose."""
    first = group.parts[0]
    return isinstance(first, Phrase) and not first.field and parse(first.text, {}).expression == group


def _on_field(term: Phrase) -> Iterator[Advice]:
    value = term.words[0].plain
    if term.field == "type":
        yield Advice(f"{reading(term)} never matches: no statement says its type", "leave it out")
    elif term.field == "lang" and not re.fullmatch(r"[a-z]{2,3}", value):
        yield Advice(f"{reading(term)} never matches: languages are codes", "write lang:en, lang:zh")
    elif term.field == "country" and not re.fullmatch(r"[a-z]{2}", value):
        yield Advice(f"{reading(term)} never matches: countries are codes of two letters", "write country:HK")


def _on_alternatives(parts: tuple[Expression, ...]) -> Iterator[Advice]:
    for number, part in enumerate(parts):
        if not isinstance(part, Phrase):
            continue
        for place, other in enumerate(parts):
            wide = _first(_covers(each, part) for each in phrases(other) or ()) if place != number else None
            # Of two that find the same, the second is the one too many.
            if wide and (place < number or isinstance(other, Or) or not _covers(part, wide)):
                yield Advice(f"{reading(part)} adds nothing: {reading(wide)} finds all of it", "leave it out")
                break


def _on_requirements(parts: tuple[Expression, ...]) -> Iterator[Advice]:
    asked = [part for part in parts if not isinstance(part, Not)]
    for part in asked:
        narrow = phrases(part)
        for other in parts:
            if narrow is None or other is part:
                continue
            if isinstance(other, Not):
                denied = phrases(other.part) or []
                if all(any(_covers(wide, each) for wide in denied) for each in narrow):
                    problem = f"this never matches: {reading(other)} excludes all of {reading(part)}"
                    yield Advice(problem, "leave one of them out")
            elif isinstance(part, Phrase) and isinstance(other, Phrase) and _covers(other, part):
                yield Advice(f"{reading(other)} adds nothing: it is part of {reading(part)}", "leave it out")


def _first(found: Iterator[Phrase | None]) -> Phrase | None:
    return next(filter(None, found), None)


def _covers(wide: Phrase, narrow: Phrase) -> Phrase | None:
    """`wide`, if it is found wherever `narrow` is; else None."""
    if wide.field != narrow.field and (wide.field or narrow.field not in SEARCHED):
        return None
    if wide.slack or narrow.slack:
        return wide if wide.words == narrow.words and wide.slack >= narrow.slack else None
    # A hyphenated phrase is found as one word too, and then as nothing else.
    if narrow.closed and wide.closed != narrow.closed:
        return None
    count = len(wide.words)
    places = range(len(narrow.words) - count + 1)
    found = any(all(map(_is_covered, wide.words, narrow.words[at : at + count])) for at in places)
    return wide if found else None


def _is_covered(wide: Word, narrow: Word) -> bool:
    if wide == narrow:
        return True
    if narrow.wild or wide.exact or (wide.capital and not narrow.capital):
        return False
    return answers(wide, narrow.term, narrow.plain, narrow.plain.upper())
