"""
What changed between two texts, word by word, as data: stretches that were kept, deleted or inserted.

Colours and signs are up to the templates. Texts are compared in two steps, sentences first and then the words of those
that differ: comparing all words at once took seconds where this takes milliseconds. A comparison has a limited effort;
what is left when that is spent, such as a hundred thousand times the same word, counts as rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from notifier.diff import Comparison
from notifier.message import without_controls
from notifier.messages.passage import cut_after, cut_before

# What is shown of a redline, whatever its length.
CONTEXT = 90  # characters before and after a change
PASSAGES, STRETCHES = 8, 60
TEXT = 600  # characters of one insertion or deletion
TOTAL = 2_400
CROWDED = 3  # words between two changes that are shown as changed with them

_PUNCTUATION = (
    r"!-/:-@\[-`{-~\u00a1-\u00bf\u2010-\u205e\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
# Chinese and Japanese, where a character does for a word.
_SIGN = (
    r"\u2e80-\u2fff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTERS = rf"(?:[^\s{_PUNCTUATION}{_SIGN}]++|[\u3005-\u3007])"
# Figures, abbreviations and hyphenated words stay whole: 39,306 is one word, and so are U.S. and dual-use.
_PIECE = re.compile(rf"{_LETTERS}(?:[.,'’\-\u2010\u2011/]{_LETTERS})*+\s*+|\S\s*+|\s++")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]]*+\s++|[。！？][」』”’）]*+\s*+|\n\s*+")
_STOP = re.compile(r"[.!?…。！？][\"'”’»)\]」』）]*+")
_SPACE = re.compile(r"\s+")

Kind = Literal["kept", "deleted", "inserted"]
_KINDS: tuple[Kind, Kind, Kind] = ("kept", "deleted", "inserted")


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """A piece of text, and what became of it."""

    text: str
    kind: Kind = "kept"


class Redline(msgspec.Struct, frozen=True):
    """
    Two texts as one: what was kept and deleted is the old one, what was kept and inserted the new one, exactly.

    `is_coarse`: some passages differ in so many places that they are given as rewritten, though words were kept.
    """

    stretches: tuple[Stretch, ...]
    is_coarse: bool = False


class Excerpts(msgspec.Struct, frozen=True, kw_only=True):
    """
    The changes with some words around them, each passage on one line and without control characters; an ellipsis marks
    omitted text. `left_out` counts the changes that did not fit.
    """

    passages: tuple[tuple[Stretch, ...], ...] = ()
    left_out: int = 0
    is_coarse: bool = False


def redline(old: str, new: str) -> Redline:
    """What became of the old text, and what is new. Time is bounded by the length of both, whatever they hold."""
    comparison = Comparison()
    before, after = _sentences(old), _sentences(new)
    changes: list[_Replaced] = []
    i = j = 0
    for k, m in [*comparison.pairs(before, after), (len(before), len(after))]:
        if (k, m) != (i, j):
            changes += _by_word("".join(before[i:k]), "".join(after[j:m]), comparison)
        changes.append(_Replaced("".join(before[k : k + 1])))
        i, j = k + 1, m + 1
    return Redline(tuple(_stretches(_settled(_uncrowded(_joined(changes))))), comparison.gave_up)


def excerpts(of: Redline) -> Excerpts:
    """What a reader should see of a redline: the changes and their surroundings, within bounds."""
    changes, rest = _legible(of.stretches)
    shown = _fitting(changes)
    passages: list[list[Stretch]] = []
    for number, change in enumerate(changes[:shown]):
        if number and len(change.kept) <= 2 * CONTEXT:
            passages[-1].append(Stretch(change.kept))
        else:
            if number:
                passages[-1].append(_trail(change.kept))
            passages.append([_lead(change.kept)])
        passages[-1] += _clipped(change)
    if passages:
        passages[-1].append(_trail(changes[shown].kept if shown < len(changes) else rest))
    tidy = (tuple(stretch for stretch in passage if stretch.text) for passage in passages)
    return Excerpts(passages=tuple(tidy), left_out=len(changes) - shown, is_coarse=of.is_coarse)


# ---------------------------------------------------------------- comparing


class _Replaced(NamedTuple):
    """A piece that was kept, and the change after it."""

    kept: str = ""
    gone: str = ""
    come: str = ""


def _sentences(text: str) -> list[str]:
    """The text in sentences and lines, nothing lost. A stop within a sentence parts it too, and does no harm."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends) if start < end]


def _by_word(old: str, new: str, comparison: Comparison) -> Iterator[_Replaced]:
    before, after = _PIECE.findall(old), _PIECE.findall(new)
    # The space after a word is not compared: a line broken elsewhere leaves the words what they were.
    words_before, words_after = [piece.rstrip() for piece in before], [piece.rstrip() for piece in after]
    i = j = 0
    for k, m in comparison.pairs(words_before, words_after):
        change, space = _parted("".join(before[i:k]), "".join(after[j:m]))
        word = words_before[k]
        yield change
        yield _Replaced(space + word, before[k][len(word) :], after[m][len(word) :])
        i, j = k + 1, m + 1
    change, space = _parted("".join(before[i:]), "".join(after[j:]))
    yield change
    yield _Replaced(space)


def _parted(gone: str, come: str) -> tuple[_Replaced, str]:
    """A change, and the space that both end with."""
    bare = gone.rstrip()
    space = gone[len(bare) :]
    if bare and come.endswith(space) and come[: len(come) - len(space)].strip():
        return _Replaced("", bare, come[: len(come) - len(space)]), space
    return _Replaced("", gone, come), ""


def _joined(changes: Iterable[_Replaced]) -> list[_Replaced]:
    """The same with what belongs together in one: each change but the last has something before it or is the first."""
    joined: list[_Replaced] = []
    kept: list[str] = []
    gone: list[str] = []
    come: list[str] = []
    for change in changes:
        same = change.gone if change.gone == change.come else ""
        if change.kept and (gone or come):
            joined.append(_Replaced("".join(kept), "".join(gone), "".join(come)))
            kept, gone, come = [], [], []
        if same and not gone and not come:
            kept += [change.kept, same]
            continue
        kept.append(change.kept)
        gone += [change.gone] if change.gone else []
        come += [change.come] if change.come else []
    return [*joined, _Replaced("".join(kept), "".join(gone), "".join(come))]


def _uncrowded(changes: Iterable[_Replaced]) -> list[_Replaced]:
    """`5 May` → `6 June` is one change: what little stands between two larger ones goes with them."""
    calm: list[_Replaced] = []
    for change in changes:
        last = calm[-1] if calm else _Replaced()
        if _is_crowded(last, change):
            gone, come = last.gone + change.kept + change.gone, last.come + change.kept + change.come
            calm[-1] = _Replaced(last.kept, gone, come)
        else:
            calm.append(change)
    return calm


def _is_crowded(last: _Replaced, change: _Replaced) -> bool:
    if not all(text.strip() for text in (last.gone, last.come, change.gone, change.come)):
        return False  # words were only put in, or only taken out: that reads well as it is
    if len(last.gone) > CONTEXT or _SENTENCE_END.search(change.kept):
        return False
    smallest = min(max(len(last.gone), len(last.come)), max(len(change.gone), len(change.come)))
    return len(change.kept.strip()) <= smallest and len(_PIECE.findall(change.kept)) <= CROWDED


def _settled(changes: Iterable[_Replaced]) -> list[_Replaced]:
    """`It ends[. It began].` → `It ends.[ It began.]`: what was put in or taken out ends where a sentence does."""
    settled = list(changes)
    for at, (change, after) in enumerate(pairwise(settled)):
        text = change.gone or change.come
        stop = None if change.gone and change.come else _STOP.match(text)
        # A change is told from the next by what stands between them.
        if stop and after.kept.startswith(stop[0]) and (after.kept != stop[0] or after == _Replaced(stop[0])):
            text = text[stop.end() :] + stop[0]
            settled[at] = _Replaced(
                settled[at].kept + stop[0], text if change.gone else "", text if change.come else ""
            )
            settled[at + 1] = after._replace(kept=after.kept[stop.end() :])
    return settled


def _stretches(changes: Iterable[_Replaced]) -> Iterator[Stretch]:
    for change in changes:
        for text, kind in zip(change, _KINDS, strict=True):
            if text:
                yield Stretch(text, kind)


# ---------------------------------------------------------------- showing


def _legible(stretches: Iterable[Stretch]) -> tuple[list[_Replaced], str]:
    """Changes of words, each on one line and the spaces around it outside of it; and what was kept after the last."""
    changes: list[_Replaced] = []
    kept = gone = come = ""
    for stretch in [*stretches, Stretch("")]:
        text = _SPACE.sub(" ", without_controls(stretch.text))
        if stretch.kind == "deleted":
            gone = text
        elif stretch.kind == "inserted":
            come = text
        else:
            if gone.strip() == come.strip():
                kept = _onto(kept, come)
            else:
                kept = _onto(kept, " " if " " in {gone[:1], come[:1]} else "")
                changes.append(_Replaced(kept, gone.strip(), come.strip()))
                kept = " " if " " in {gone[-1:], come[-1:]} else ""
            kept, gone, come = _onto(kept, text), "", ""
    return changes, kept


def _onto(text: str, more: str) -> str:
    return text + (more[1:] if text[-1:] == " " and more[:1] == " " else more)


def _fitting(changes: Sequence[_Replaced]) -> int:
    """How many of the changes there is room for; always the first."""
    length, stretches, passages = 0, 0, 1
    for number, change in enumerate(changes):
        told = list(_clipped(change))
        length += sum(len(stretch.text) for stretch in told) + min(len(change.kept), 2 * CONTEXT)
        stretches += len(told) + 1
        passages += bool(number) and len(change.kept) > 2 * CONTEXT
        if number and (length > TOTAL or stretches > STRETCHES or passages > PASSAGES):
            return number
    return len(changes)


def _clipped(change: _Replaced) -> Iterator[Stretch]:
    """A change, of a long one the beginning."""
    for text, kind in ((change.gone, _KINDS[1]), (change.come, _KINDS[2])):
        if len(text) > TEXT:
            yield Stretch(text[: cut_before(text, TEXT // 2, TEXT)], kind)
            yield Stretch(" … ")
        elif text:
            yield Stretch(text, kind)


def _lead(kept: str) -> Stretch:
    """The last words before a change."""
    if len(kept) <= CONTEXT:
        return Stretch(kept.lstrip())
    return Stretch("… " + kept[cut_after(kept, len(kept) - CONTEXT, len(kept) - 1) :])


def _trail(kept: str) -> Stretch:
    """The first words after a change."""
    if len(kept) <= CONTEXT:
        return Stretch(kept.rstrip())
    return Stretch(kept[: cut_before(kept, 0, CONTEXT)] + " …")
