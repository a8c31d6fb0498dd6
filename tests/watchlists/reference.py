"""
A matcher straight from the definitions (T1-T9 by way of `Words`, Q4-Q8 here), by trying everything.

It shares no code with the search or the index: it knows what a word is, and what a query says, and tries every stretch
of words against every part. What it takes its time for, it cannot get wrong by being clever.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from notifier.watchlists import folding
from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase, Word, phrases
from notifier.watchlists.text import Words

SEARCHED = ("title", "summary", "body")
Span = tuple[int, int]


def verdict(expression: Expression, fields: Mapping[str, str]) -> tuple[bool, dict[str, list[Span]]]:
    """Whether the expression is true of the fields, and what of them makes it so, by field."""
    texts = {field: Words(text) for field, text in fields.items()}
    if not _true(expression, texts):
        return False, {}
    shown: dict[str, set[int]] = {}
    spans: dict[str, set[Span]] = {}
    for leaf in _shown(expression, texts):
        for field, found in _occurrences(leaf, texts).items():
            words = texts[field]
            spans.setdefault(field, set()).update((words.starts[first], words.ends[last]) for first, last in found)
    for field, found in spans.items():
        shown[field] = {offset for start, end in found for offset in range(start, end)}
    return True, {field: _stretches(shown[field], spans[field]) for field in spans}


def _true(expression: Expression, texts: Mapping[str, Words]) -> bool:
    match expression:
        case And(parts):
            return all(_true(part, texts) for part in parts)
        case Or(parts):
            return any(_true(part, texts) for part in parts)
        case Not(part):
            return not _true(part, texts)
        case _:
            return bool(_occurrences(expression, texts))


def _shown(expression: Expression, texts: Mapping[str, Words]) -> Iterator[Expression]:
    """The leaves whose occurrences are shown: those of true parts, and none under NOT."""
    if isinstance(expression, And | Or):
        for part in expression.parts:
            if _true(part, texts):
                yield from _shown(part, texts)
    elif not isinstance(expression, Not):
        yield expression


def _stretches(shown: set[int], spans: set[Span]) -> list[Span]:
    """Overlapping spans as one; those that only touch stay two."""
    starts = {start for start, _ in spans if not any(one < start < other for one, other in spans)}
    ends = {end for _, end in spans if not any(one < end < other for one, other in spans)}
    assert all(offset in shown for offset in starts)
    return list(zip(sorted(starts), sorted(ends), strict=True))


def _occurrences(leaf: Expression, texts: Mapping[str, Words]) -> dict[str, list[Span]]:
    found = {}
    for field, words in texts.items():
        if spans := sorted(set(_in_field(leaf, field, words))):
            found[field] = spans
    return found


def _in_field(leaf: Expression, field: str, words: Words) -> Iterator[Span]:
    if isinstance(leaf, Phrase):
        yield from _phrase(leaf, field, words)
        return
    assert isinstance(leaf, Near | Apart)
    lefts = {span for each in phrases(leaf.left) or [] for span in _phrase(each, field, words)}
    rights = {span for each in phrases(leaf.right) or [] for span in _phrase(each, field, words)}
    if isinstance(leaf, Apart):
        for one in lefts:
            if not any(other[0] - one[1] <= leaf.reach and one[0] - other[1] <= leaf.reach for other in rights):
                yield one
        return
    for one, other in itertools.product(lefts, rights):
        if _near(one, other, leaf, words):
            yield one
            yield other


def _near(one: Span, other: Span, leaf: Near, words: Words) -> bool:
    before, after = sorted([one, other])
    if before[1] >= after[0] or (leaf.ordered and before != one):
        return False
    if isinstance(leaf.reach, int):
        return after[0] - before[1] <= leaf.reach
    numbers = words.sentences if leaf.reach == "s" else words.paragraphs
    return numbers[before[1]] == numbers[after[0]]


def _phrase(phrase: Phrase, field: str, words: Words) -> Iterator[Span]:
    if field != phrase.field if phrase.field else field not in SEARCHED:
        return
    if phrase.slack and len(phrase.words) > 1:
        yield from _windows(phrase, words)
        return
    for way in _ways(phrase.words, phrase, 0):
        for first in range(len(words.terms)):
            yield from ((first, last) for last in _follow(way, first, words))


def _ways(wanted: tuple[Word, ...], phrase: Phrase, index: int) -> Iterator[tuple[Word, ...]]:
    """The words of the query, those with hyphens also in one."""
    if index == len(wanted):
        yield ()
        return
    steps = [(index + 1, wanted[index])]
    steps += [(closed.after, closed.word) for closed in phrase.closed if closed.first == index]
    for after, word in steps:
        for others in _ways(wanted, phrase, after):
            yield (word, *others)


def _follow(way: tuple[Word, ...], first: int, words: Words) -> Iterator[int]:
    """The last places of these words one after another from a place on, within a sentence."""
    for last in _ends(way[0], first, words):
        if len(way) == 1:
            yield last
        elif last + 1 < len(words.terms) and words.sentences[last] == words.sentences[last + 1]:
            yield from _follow(way[1:], last + 1, words)


def _ends(word: Word, first: int, words: Words) -> Iterator[int]:
    """Where a word may end that starts here: in the same place, or where the text has it in parts with hyphens."""
    surface = words.surface(first)
    same = _fits(word, words.plains[first]) if word.wild else word.term == words.terms[first]
    if same and _written(word, surface):
        yield first
    for term, spans in words.joined.items():
        for start, last in spans:
            whole = words.text[words.starts[start] : words.ends[last]]
            same = _fits(word, term) if word.wild else word.term == term
            if start == first and same and not word.exact and _written(word, whole):
                yield last


def _written(word: Word, surface: str) -> bool:
    if word.exact:
        return re.fullmatch(_regex(word.exact, word.ending), surface, re.DOTALL) is not None
    letters = surface.replace(".", "")
    return not word.capital or surface != letters or letters.isupper() or (len(letters) > 2 and letters[:-1].isupper())


def _fits(word: Word, form: str) -> bool:
    """A wildcard stands for a form as it is, in American spelling, or in the singular."""
    forms = {form, folding.american(form), folding.term(form)}
    if any(re.fullmatch(_regex(word.plain, word.ending), each, re.DOTALL) for each in forms):
        return True
    return word.ending and folding.term(form) in {folding.term(each) for each in folding.british(word.plain)}


def _regex(wild: str, ending: bool) -> str:
    return "".join("." if letter == "?" else re.escape(letter) for letter in wild) + ".*" * ending


def _windows(phrase: Phrase, words: Words) -> Iterator[Span]:
    """The stretches of a sentence, short enough, that have every word, and no shorter one inside that has."""
    held = [
        (first, last)
        for first, last in itertools.combinations_with_replacement(range(len(words.terms)), 2)
        if last - first < len(phrase.words) + phrase.slack
        and words.sentences[first] == words.sentences[last]
        and _holds_all(phrase, first, last, words)
    ]
    for first, last in held:
        if not any((first, last) != other and first <= other[0] and other[1] <= last for other in held):
            yield first, last


def _holds_all(phrase: Phrase, first: int, last: int, words: Words) -> bool:
    """Whether each group of words that hyphens hold together has a place of its own in the stretch."""
    groups: list[list[int]] = []
    for index, word in enumerate(phrase.words):
        if (word.linked or word.term.startswith(".")) and groups:
            groups[-1].append(index)
        else:
            groups.append([index])
    options = []
    for group in groups:
        inner = Phrase(
            "",
            tuple(phrase.words[index] for index in group),
            tuple(
                type(each)(each.first - group[0], each.after - group[0], each.word)
                for each in phrase.closed
                if group[0] <= each.first and each.after <= group[-1] + 1
            ),
        )
        found = set(_phrase(inner, "body", words))
        options.append([start for start, end in found if first <= start and end <= last])
    return any(len(set(chosen)) == len(chosen) for chosen in itertools.product(*options))
