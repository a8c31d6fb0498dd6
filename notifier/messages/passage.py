"""
The words of a statement that a reader should see: runs of text that hit or do not, and the sentences around hits.

Highlighting is data here, and becomes colour, stars or nothing in a template.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from notifier.message import without_controls

Span = tuple[int, int]

# The end of a sentence: a stop and what closes with it, then a space and no small letter; or a stop of Chinese and
# Japanese; or an empty line. "U.S. Department" and "No. 7" do not end one. A wrong guess only moves a quotation's edge.
_SENTENCE_END = re.compile(
    r"(?:(?<!\b[A-Z])(?<!\bNo)(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bArt)(?<!\bSec)\.|[!?…])"
    r"[\"'”’»)\]]*[ \t]+(?=[^\sa-z])|[。！？][」』”’）]*|\n\s*\n\s*"
)
_SPACE = re.compile(r"\s+")


class Run(msgspec.Struct, frozen=True):
    """A stretch of text, and whether a watchlist hit it."""

    text: str
    hit: bool = False


def as_runs(text: str, spans: Iterable[Span], start: int = 0, end: int | None = None) -> tuple[Run, ...]:
    """
    `text[start:end]` in runs, on one line and without control characters.

    Spans are half-open, in code points of the whole text; they may overlap, come in any order, or reach beyond it.
    """
    end = len(text) if end is None else end
    runs: list[Run] = []
    at = start
    for first, last in _merged(spans, start, end):
        runs += [Run(text[at:first]), Run(text[first:last], hit=True)]
        at = last
    runs.append(Run(text[at:end]))
    return _tidied(runs)


def passages(text: str, spans: Iterable[Span], *, most: int = 3, length: int = 320) -> tuple[tuple[Run, ...], ...]:
    """
    At most `most` passages of about `length` characters: the sentences that hold each word's first hit, in order.

    An ellipsis stands where text was left out. Without hits, the beginning of the text.
    """
    hits = _merged(spans, 0, len(text))
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if not hits:
        begin = len(text) - len(text.lstrip())
        windows = [(begin, cut_before(text, begin, begin + length))] if begin < len(text) else []
    else:
        windows = _windows(text, hits, ends, most, length)
    return tuple(_quoted(text, hits, window) for window in windows)


def _windows(text: str, hits: Sequence[Span], ends: Sequence[int], most: int, length: int) -> list[Span]:
    windows: list[Span] = []
    seen: set[str] = set()
    for hit in hits:
        word = _SPACE.sub(" ", text[slice(*hit)]).casefold()
        if word in seen:
            continue
        seen.add(word)
        begin, end = _sentence(text, hit, ends, length)
        if windows and begin <= windows[-1][1] and end - windows[-1][0] <= length:
            windows[-1] = (windows[-1][0], max(end, windows[-1][1]))
        elif windows and end <= windows[-1][1]:
            continue
        elif len(windows) == most:
            break
        else:
            windows.append((max(begin, windows[-1][1]) if windows else begin, end))
    return windows


def _sentence(text: str, hit: Span, ends: Sequence[int], length: int) -> Span:
    """The sentence around a hit, or as much of a long one as fits."""
    place = bisect_right(ends, hit[0])
    begin = ends[place - 1] if place else 0
    place = bisect_left(ends, min(hit[1], begin + length))
    end = ends[place] if place < len(ends) else len(text)
    if end - begin > length:
        if hit[0] - begin > length // 3:
            begin = cut_after(text, hit[0] - length // 3, hit[0])
        end = cut_before(text, min(hit[1], begin + length), begin + length)
    return begin, end


def cut_after(text: str, earliest: int, latest: int) -> int:
    """The first beginning of a word from `earliest` on; there itself where nothing is spaced (Chinese)."""
    space = _SPACE.search(text, earliest, latest)
    return space.end() if space else earliest


def cut_before(text: str, earliest: int, latest: int) -> int:
    """The last end of a word up to `latest`; there itself where nothing is spaced (Chinese)."""
    if latest >= len(text):
        return len(text)
    space = max(text.rfind(" ", earliest, latest), text.rfind("\n", earliest, latest))
    return space if space > earliest else latest


def _quoted(text: str, hits: Sequence[Span], window: Span) -> tuple[Run, ...]:
    begin, end = window
    runs = as_runs(text, hits, begin, end)
    before = (Run("…\u00a0"),) if text[:begin].strip() else ()
    after = (Run("\u00a0…"),) if text[end:].strip() else ()
    return _joined((*before, *runs, *after))


def _merged(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Spans within bounds, in order, overlapping ones as one."""
    merged: list[Span] = []
    for raw_first, raw_last in sorted(spans):
        first, last = max(raw_first, start), min(raw_last, end)
        if first >= last:
            continue
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _tidied(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs on one line: white space as single spaces, none at either end, no control characters, none empty."""
    tidy: list[Run] = []
    spaced = True
    for run in runs:
        text = _SPACE.sub(" ", without_controls(run.text))
        if spaced:
            text = text.lstrip()
        if text:
            tidy.append(Run(text, run.hit))
            spaced = text.endswith(" ")
    if tidy and spaced:
        tidy[-1] = Run(tidy[-1].text.rstrip(), tidy[-1].hit)
    return _joined(run for run in tidy if run.text)


def _joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Neighbours of a kind as one."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].hit == run.hit:
            joined[-1] = Run(joined[-1].text + run.text, run.hit)
        else:
            joined.append(run)
    return tuple(joined)
