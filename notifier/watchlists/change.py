"""
What a revision added, and what it removed.

Texts are compared in two steps: sentences that both have are dropped, wherever they are, and the rest is compared word
by word. (Comparing all words takes seconds where this takes milliseconds.) Words are equal as queries see them, so a
capital or a dash is not a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from notifier.diff import Comparison
from notifier.statement import Statement
from notifier.watchlists.search import SEARCHED, Span
from notifier.watchlists.text import Words

# Of comparing the words of sentences that changed: a quarter of a second. Beyond, stretches count as rewritten.
_EFFORT = 2_000_000
# Between passages: a phrase does not run from one into the next.
_APART = "\n\n"


class Passage(msgspec.Struct, frozen=True):
    """A stretch of words that came or went: its `text`, and where it starts in which field of its statement."""

    text: str
    field: str
    start: int


class Revised(Statement, frozen=True, kw_only=True, omit_defaults=True):
    """A statement beside the words before: as `Statement`, with what came and what went as fields of their own."""

    added: tuple[Passage, ...] = ()
    removed: tuple[Passage, ...] = ()

    def fields(self) -> dict[str, str]:
        """The statement as a query sees it, with `added` and `removed`."""
        changed = {"added": _joined(self.added), "removed": _joined(self.removed)}
        return super().fields() | changed

    def in_place(self, spans: Mapping[str, Iterable[Span]]) -> dict[str, list[Span]]:
        """Spans by field, with those in `added` where the words are now; those in `removed` are nowhere."""
        placed = {field: list(found) for field, found in spans.items() if field not in {"added", "removed"}}
        for start, end in spans.get("added", ()):
            at = 0
            for passage in self.added:
                if at <= start and end <= at + len(passage.text):
                    offset = passage.start - at
                    placed.setdefault(passage.field, []).append((start + offset, end + offset))
                at += len(passage.text) + len(_APART)
        return placed


def revised(before: Statement, after: Statement) -> Revised:
    """The statement as it is after, beside what it was."""
    old, new = _StatementWords(before), _StatementWords(after)
    gone, come = _changed(old.sentences, new.sentences)
    went, came = _told_apart([old.plain(at) for at in gone], [new.plain(at) for at in come])
    values = {field: getattr(after, field) for field in Statement.__struct_fields__}
    return Revised(
        **values,
        added=tuple(new.passages(come[at] for at in came)),
        removed=tuple(old.passages(gone[at] for at in went)),
    )


# Which field of three, and which of its words.
_Place = tuple[int, int]


class _StatementWords:
    """The words of a statement's three texts, and its sentences: where the words of each stand."""

    def __init__(self, statement: Statement) -> None:
        fields = statement.fields()
        self._words = [Words(fields[field]) for field in SEARCHED]
        self.sentences: list[tuple[tuple[str, ...], list[_Place]]] = []
        for number, words in enumerate(self._words):
            by_sentence: dict[int, list[_Place]] = {}
            for at, sentence in enumerate(words.sentences):
                by_sentence.setdefault(sentence, []).append((number, at))
            for places in by_sentence.values():
                self.sentences.append((tuple(map(self.plain, places)), places))

    def plain(self, place: _Place) -> str:
        number, at = place
        return self._words[number].plains[at]

    def passages(self, places: Iterable[_Place]) -> Iterator[Passage]:
        """The places as passages: neighbours in one sentence are one."""
        run: list[_Place] = []
        for place in places:
            if run and not self._neighbours(run[-1], place):
                yield self._passage(run)
                run = []
            run.append(place)
        if run:
            yield self._passage(run)

    def _neighbours(self, one: _Place, other: _Place) -> bool:
        sentences = self._words[one[0]].sentences
        return other == (one[0], one[1] + 1) and sentences[one[1]] == sentences[other[1]]

    def _passage(self, run: Sequence[_Place]) -> Passage:
        number, first = run[0]
        words, start = self._words[number], self._words[number].starts[first]
        return Passage(words.text[start : words.ends[run[-1][1]]], SEARCHED[number], start)


_Sentences = list[tuple[tuple[str, ...], list[_Place]]]


def _changed(old: _Sentences, new: _Sentences) -> tuple[list[_Place], list[_Place]]:
    """The words of sentences that only one side has, on either side. A sentence that moved is no change."""
    olds, news = Counter(said for said, _ in old), Counter(said for said, _ in new)
    return _left(old, olds - news), _left(new, news - olds)


def _left(sentences: _Sentences, over: Counter[tuple[str, ...]]) -> list[_Place]:
    left: list[_Place] = []
    for said, places in sentences:
        if over[said] > 0:
            over[said] -= 1
            left += places
    return left


def _told_apart(old: list[str], new: list[str]) -> tuple[list[int], list[int]]:
    """Which of the old words went, and which of the new ones came."""
    kept = Comparison(_EFFORT).pairs(old, new)
    stayed, held = {one for one, _ in kept}, {other for _, other in kept}
    return [at for at in range(len(old)) if at not in stayed], [at for at in range(len(new)) if at not in held]


def _joined(passages: Iterable[Passage]) -> str:
    return _APART.join(passage.text for passage in passages)
