"""
Where in a text an expression is true: each leaf's occurrences, and from them the verdict.

A text is taken apart once, and what a leaf finds in it is kept, however many queries ask.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from notifier.watchlists import folding
from notifier.watchlists.expression import And, Closed, Expression, Leaf, Near, Not, Or, Phrase, Word, phrases
from notifier.watchlists.text import Words, capital

Span = tuple[int, int]

SEARCHED = ("title", "summary", "body")  # where a term is looked for that names no field


class Text:
    """
    What queries are held against: a statement's words by field. A field is taken apart when it is first asked for.

    Offsets are code points, spans of words are positions, first and last of them included.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._words: dict[str, Words] = {}
        self._found: dict[Leaf, dict[str, list[Span]]] = {}
        # Many ways to write a phrase are one phrase.
        self._phrases: dict[tuple[str, tuple[Word, ...], int], list[Span]] = {}

    def words(self, field: str) -> Words:
        """The words of a field; none where there is no such field."""
        if (words := self._words.get(field)) is None:
            words = self._words[field] = Words(self._fields.get(field, ""))
        return words

    def found(self, leaf: Leaf) -> dict[str, list[Span]]:
        """The occurrences that make a leaf true, by field: spans of words, rising; only fields that have any."""
        if (found := self._found.get(leaf)) is None:
            by_field = {field: self._in_field(leaf, field) for field in (*SEARCHED, *_named(leaf))}
            found = self._found[leaf] = {field: spans for field, spans in by_field.items() if spans}
        return found

    def _in_field(self, leaf: Leaf, field: str) -> list[Span]:
        if isinstance(leaf, Phrase):
            return self._phrase(leaf, field)
        left, right = self._operand(leaf.left, field), self._operand(leaf.right, field)
        if isinstance(leaf, Near):
            return _pairs(self.words(field), leaf, left, right)
        return _alone(left, right, leaf.reach)

    def _operand(self, operand: Expression, field: str) -> list[Span]:
        return sorted({span for phrase in phrases(operand) or () for span in self._phrase(phrase, field)})

    def _phrase(self, phrase: Phrase, field: str) -> list[Span]:
        if field != phrase.field and (phrase.field or field not in SEARCHED):
            return []
        key = (field, phrase.words, phrase.slack)
        if (spans := self._phrases.get(key)) is None:
            spans = self._phrases[key] = occurrences(self.words(field), phrase)
        return spans


def _named(leaf: Leaf) -> list[str]:
    """Fields that the leaf names, of those that are not searched otherwise."""
    operands = (leaf,) if isinstance(leaf, Phrase) else (leaf.left, leaf.right)
    fields = {phrase.field for each in operands for phrase in phrases(each) or ()}
    return sorted(fields.difference(SEARCHED, [""]))


def holds(expression: Expression, text: Text) -> bool:
    """Whether the expression is true of the text."""
    match expression:
        case And(parts):
            return all(holds(part, text) for part in parts)
        case Or(parts):
            return any(holds(part, text) for part in parts)
        case Not(part):
            return not holds(part, text)
        case _:
            return bool(text.found(expression))


def highlights(expression: Expression, text: Text) -> dict[str, list[Span]]:
    """
    What makes a true expression true: spans of code points by field, sorted, those that overlap merged. The fields come
    as a reader meets them: title, summary, body, then others by name.
    """
    found: dict[str, set[Span]] = {}
    for leaf in _true_leaves(expression, text):
        for field, spans in text.found(leaf).items():
            words = text.words(field)
            found.setdefault(field, set()).update((words.starts[first], words.ends[last]) for first, last in spans)
    fields = [field for field in SEARCHED if field in found] + sorted(found.keys() - set(SEARCHED))
    return {field: _merged(sorted(found[field])) for field in fields}


def _true_leaves(expression: Expression, text: Text) -> Iterator[Leaf]:
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                if holds(part, text):
                    yield from _true_leaves(part, text)
        case Not():
            pass  # what is absent cannot be shown
        case _:
            yield expression


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# ---------------------------------------------------------------- words


def _places(words: Words, word: Word) -> list[int]:
    """Where a word stands, as one word of the text."""
    if word.wild:
        found = sorted(place for form, places in words.forms.items() if _fits(word, form) for place in places)
    else:
        found = words.places.get(word.term, [])
    if word.exact:
        return [place for place in found if _is_exactly(word, words.surface(place))]
    if word.capital:
        return [place for place in found if capital(words.surface(place))]
    return found


def _stands_at(words: Words, word: Word, place: int) -> bool:
    fits = _fits(word, words.plains[place]) if word.wild else words.terms[place] == word.term
    return fits and (not (word.exact or word.capital) or _is_written(word, words.surface(place)))


def answers(word: Word, term: str, plain: str, surface: str) -> bool:
    """Whether a word of a text, by its term, its plain form and how it is written, is this word of a query."""
    return (_fits(word, plain) if word.wild else term == word.term) and _is_written(word, surface)


def answers_closed(word: Word, term: str, surface: str) -> bool:
    """The same of words that hyphens join, by their term when written as one."""
    return not word.exact and answers(word, term, term, surface)


def _is_written(word: Word, surface: str) -> bool:
    if word.exact:
        return _is_exactly(word, surface)
    return not word.capital or capital(surface)


def _joined(words: Words, word: Word) -> Iterator[Span]:
    """Where the text has a word in parts, with hyphens between them."""
    if word.exact or not words.joined:
        return
    terms = [term for term in words.joined if _fits(word, term)] if word.wild else [word.term]
    for term in terms:
        for first, last in words.joined.get(term, ()):
            if not word.capital or capital(words.text[words.starts[first] : words.ends[last]]):
                yield first, last


def _fits(word: Word, form: str) -> bool:
    """Whether a word with wildcards stands for this one. It stands at least for what it would without them."""
    if "?" in word.plain:
        return _fits_pattern(word, form)
    stem = word.plain
    if form.startswith(stem) or folding.american(form).startswith(stem):
        return True
    term = folding.term(form)
    return term.startswith(stem) or term in american_of(stem)


@lru_cache(1 << 14)
def _fits_pattern(word: Word, form: str) -> bool:
    pattern = _pattern(word.plain, word.ending)
    if pattern.fullmatch(form) or pattern.fullmatch(folding.american(form)):
        return True
    term = folding.term(form)
    return pattern.fullmatch(term) is not None or (word.ending and term in american_of(word.plain))


@lru_cache(1 << 12)
def _pattern(wild: str, ending: bool) -> re.Pattern[str]:
    return re.compile(re.escape(wild).replace(r"\?", ".") + (".*" if ending else ""), re.DOTALL)


@lru_cache(1 << 12)
def american_of(stem: str) -> frozenset[str]:
    """The American words whose British spelling begins so: organis* finds organization."""
    return frozenset(folding.term(word) for word in folding.british(stem))


def _is_exactly(word: Word, surface: str) -> bool:
    if not word.wild:
        return surface == word.exact
    return _pattern(word.exact, word.ending).fullmatch(surface) is not None


# ---------------------------------------------------------------- phrases


def occurrences(words: Words, phrase: Phrase) -> list[Span]:
    """Where a phrase stands: first and last word of each occurrence, rising."""
    if phrase.slack and len(phrase.words) > 1:
        return _windows(words, phrase)
    return _in_order(words, phrase.words, phrase.closed)


def _in_order(words: Words, wanted: Sequence[Word], closed: Sequence[Closed]) -> list[Span]:
    """
    The words one after another, within a sentence. Any of them may be hyphenated in the text, and those hyphenated in
    the query may be one word there.
    """
    steps = [[(index + 1, word)] for index, word in enumerate(wanted)]
    for each in closed:
        steps[each.first].append((each.after, each.word))
    # Per number of words found so far: the place after them → where the first of them may stand.
    reached: list[dict[int, tuple[int, ...]]] = [{} for _ in range(len(wanted) + 1)]
    for index, ways in enumerate(steps):
        for after, word in ways:
            if index == 0:
                for first, last in _spans(words, word):
                    _reach(reached[after], last + 1, (first,))
            elif reached[index]:
                for first, last in _spans_after(words, word, reached[index]):
                    _reach(reached[after], last + 1, reached[index][first])
    return sorted((first, after - 1) for after, firsts in reached[-1].items() for first in firsts)


def _reach(reached: dict[int, tuple[int, ...]], place: int, firsts: tuple[int, ...]) -> None:
    known = reached.get(place)
    # Two ways to one place are rare: abc-abcd ends where its abcd ends.
    reached[place] = firsts if known is None else tuple({*known, *firsts})


def _spans(words: Words, word: Word) -> Iterator[Span]:
    for place in _places(words, word):
        yield place, place
    yield from _joined(words, word)


def _spans_after(words: Words, word: Word, starts: Mapping[int, object]) -> Iterator[Span]:
    """Those of a word's spans that start at one of these places, in the sentence of the word before."""
    sentences = words.sentences
    for place in starts:
        if place < len(sentences) and sentences[place] == sentences[place - 1] and _stands_at(words, word, place):
            yield place, place
    for first, last in _joined(words, word):
        if first in starts and sentences[first] == sentences[first - 1]:
            yield first, last


def _windows(words: Words, phrase: Phrase) -> list[Span]:
    """The smallest stretches of a sentence that hold all the words, at most `slack` more than they are."""
    wanted: dict[tuple[Word, ...], int] = {}
    groups = list(_hyphenated(phrase))
    for group, _ in groups:
        wanted[group] = wanted.get(group, 0) + 1
    found = {group: _in_order(words, group, closed) for group, closed in groups}
    needed = [wanted[group] for group in found]
    # One word of the text may fit two of the query, and still is only one.
    distinct = sorted({first for spans in found.values() for first, _ in spans})
    seen: list[list[int]] = [[] for _ in found]
    windows: list[Span] = []
    for last, first, number in sorted(
        (last, first, number) for number, spans in enumerate(found.values()) for first, last in spans
    ):
        seen[number].append(first)
        enough = bisect_right(distinct, last) - len(groups)
        if enough < 0 or any(len(firsts) < count for firsts, count in zip(seen, needed, strict=True)):
            continue
        start = min(distinct[enough], *(firsts[-count] for firsts, count in zip(seen, needed, strict=True)))
        fits = last - start < len(phrase.words) + phrase.slack and words.sentences[start] == words.sentences[last]
        if fits and (not windows or start > windows[-1][0]):
            windows.append((start, last))
    return windows


def _hyphenated(phrase: Phrase) -> Iterator[tuple[tuple[Word, ...], tuple[Closed, ...]]]:
    """
    The phrase in groups of words that hyphens and the stops in numbers hold together, each with what its words are when
    written as one.
    """
    starts = [index for index, word in enumerate(phrase.words) if not (index and (word.linked or word.term[0] == "."))]
    for start, after in zip(starts, [*starts[1:], len(phrase.words)], strict=True):
        closed = tuple(
            Closed(each.first - start, each.after - start, each.word)
            for each in phrase.closed
            if start <= each.first and each.after <= after
        )
        yield phrase.words[start:after], closed


# ---------------------------------------------------------------- proximity


def _pairs(words: Words, near: Near, left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """The spans on either side that have a partner near enough, and do not overlap it."""
    if not left or not right:
        return []
    follows, precedes = _followed(words, near.reach, right), _preceded(words, near.reach, right)
    found = {span for span in left if follows(span) or (not near.ordered and precedes(span))}
    follows, precedes = _followed(words, near.reach, left), _preceded(words, near.reach, left)
    found |= {span for span in right if precedes(span) or (not near.ordered and follows(span))}
    return sorted(found)


def _followed(words: Words, reach: int | str, others: Sequence[Span]) -> Callable[[Span], bool]:
    """Whether one of the others comes after a span, within reach. The nearest decides, so each costs one look-up."""
    firsts = [first for first, _ in others]

    def follows(span: Span) -> bool:
        index = bisect_right(firsts, span[1])
        return index < len(firsts) and _within(words, reach, span[1], firsts[index])

    return follows


def _preceded(words: Words, reach: int | str, others: Sequence[Span]) -> Callable[[Span], bool]:
    lasts = sorted(last for _, last in others)

    def precedes(span: Span) -> bool:
        index = bisect_left(lasts, span[0])
        return index > 0 and _within(words, reach, lasts[index - 1], span[0])

    return precedes


def _within(words: Words, reach: int | str, before: int, after: int) -> bool:
    if isinstance(reach, int):
        return after - before <= reach
    numbers = words.sentences if reach == "s" else words.paragraphs
    return numbers[before] == numbers[after]


def _alone(left: Sequence[Span], right: Sequence[Span], reach: int) -> list[Span]:
    """The spans on the left that none on the right overlaps or comes within reach of."""
    firsts, lasts = sorted(first for first, _ in right), sorted(last for _, last in right)
    # All that start early enough, less those that end too early, are those in between.
    return [
        (first, last) for first, last in left if bisect_right(firsts, last + reach) == bisect_left(lasts, first - reach)
    ]
