"""
A text as the words that queries are held against, each with its place in the original.

The text itself is never rewritten: each word is folded alone, and offsets are code points of the field as it came,
half-open. All is decided within one chunk (what stands between white space), so a chunk seen before costs nothing.

    T1 fold     T2 words, one character each in scripts without spaces     T3 hyphens part words, and close up again
    T4 apostrophes     T5 U.S. is US     T6 39,306 is 39306, and 744.11 is 744 with .11     T7 plurals, spelling
    T8 & is and     T9 a sentence ends at a stop after a long word or number; a blank line ends a paragraph
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache

import msgspec

from notifier.watchlists import folding
from notifier.watchlists.shapes import shapes

# A word over the shapes of a chunk. Possessive quantifiers keep it linear whatever the text holds.
_WORD = re.compile(
    r"""
      (?P<acronym> [as]m*+ (?: \.[as]m*+ )+ (?![as0mi]) \.? )  (?: 's(?![as0m']) )?
    | (?P<code> (?: 0{1,3} (?: ,000 )++ (?![as0mi]|,0)  |  (?= [asmi]*+ 0 ) [as0m]++ (?: i++ [as0m]++ )*+ )
                (?: \. (?: 0[as0m]*+ | [as]m*+ (?![as0mi']) ) )*+ )  (?: 's(?![as0m']) )?
    | (?P<word> [as0m]++ (?: i++ [as0m]++ )*+ (?: '[as0m]++ (?: i++ [as0m]++ )*+ )*+ )
    | (?P<sign> c (?: i*+ m++ )*+ | g++ v*+ t*+ | [vt] )
    | (?P<stop> f )
    """,
    re.VERBOSE,
)
_CHUNK = re.compile(r"\S+|\n[^\S\n]*\n|\u2029")
_STOPPED = re.compile(r"[)'i]*+[.!][)'.!i]*+")
_PART = re.compile(r"[^']+")
_LETTER, _SHOWN = frozenset("as"), frozenset("as0mcgvt")

_SIGNS = folding.table("signs")
_AMBIGUOUS = frozenset(_SIGNS["ambiguous"].split())
_ABBREVIATIONS = frozenset(_SIGNS["abbreviations"].split())
COMMON = frozenset(_SIGNS["common"].split())  # words that nearly every text has
_ELIDED = frozenset(_SIGNS["elided"].split())

JOINED_AT_MOST = 4  # parts of a hyphenated word that are also read as one; a-b-c-… would else cost its square

# Raise it when the rules of this file change; the tables tell of their changes themselves.
_RULES = 1


def version() -> str:
    """What the reading of words depends on, in 16 hexadecimal digits: equal versions find equal words."""
    said = [str(_RULES), _WORD.pattern, unicodedata.unidata_version]
    said += [repr(folding.table(name)) for name in ("plurals", "spelling", "signs", "chinese")]
    return hashlib.blake2b("\0".join(said).encode(), digest_size=8).hexdigest()


class Token(msgspec.Struct, frozen=True, gc=False):
    """
    A word of a chunk: its span there, its letters without dress (`plain`), and the `term` by which it is found.

    `dotted` is true of acronyms written with full stops, `linked` where a hyphen alone parts it from the word before.
    """

    start: int
    end: int
    plain: str
    term: str
    dotted: bool = False
    linked: bool = False


class Chunk(msgspec.Struct, frozen=True):
    """
    What stands between white space: its words; `joined`, hyphenated words closed up (index of the first, number of
    words, term); `breaks`, after how many of the words a sentence ends.
    """

    tokens: tuple[Token, ...]
    joined: tuple[tuple[int, int, str], ...] = ()
    breaks: tuple[int, ...] = ()


_NOTHING = Chunk(())


class Words:
    """
    A text as words. `terms`, `plains`, `starts`, `ends`, `sentences` and `paragraphs` are parallel lists with one item
    a word: its term, its plain text, its position, and the numbers of its sentence and paragraph, rising.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.terms: list[str] = []
        self.plains: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.sentences: list[int] = []
        self.paragraphs: list[int] = []
        # A hyphenated word closed up → its first and last word.
        self.joined: dict[str, list[tuple[int, int]]] = {}
        sentence = paragraph = 0
        for found in _CHUNK.finditer(text):
            if found[0].isspace():
                sentence, paragraph = sentence + 1, paragraph + 1
                continue
            sentence = self._take(chunk(found[0]), found.start(), sentence, paragraph)

    def _take(self, chunk: Chunk, offset: int, sentence: int, paragraph: int) -> int:
        first, breaks = len(self.terms), iter(chunk.breaks)
        stop = next(breaks, -1)
        for number, token in enumerate(chunk.tokens):
            while stop == number:
                sentence, stop = sentence + 1, next(breaks, -1)
            self.terms.append(token.term)
            self.plains.append(token.plain)
            self.starts.append(offset + token.start)
            self.ends.append(offset + token.end)
            self.sentences.append(sentence)
            self.paragraphs.append(paragraph)
        for index, count, term in chunk.joined:
            self.joined.setdefault(term, []).append((first + index, first + index + count - 1))
        return sentence + (stop >= 0)

    def surface(self, position: int) -> str:
        """The word as it is written."""
        return self.text[self.starts[position] : self.ends[position]]

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each term stands: positions, rising."""
        places: dict[str, list[int]] = {}
        for position, term in enumerate(self.terms):
            places.setdefault(term, []).append(position)
        return places

    @cached_property
    def forms(self) -> dict[str, list[int]]:
        """Where each plain word stands: positions, rising. For wildcards, which know of no terms."""
        forms: dict[str, list[int]] = {}
        for position, plain in enumerate(self.plains):
            forms.setdefault(plain, []).append(position)
        return forms


def chunk(text: str) -> Chunk:
    """The words of a text without white space."""
    # Long chunks are rarely seen twice, and would fill the cache.
    return _cached(text) if len(text) < 40 else _read(text)


def plainly(text: str) -> tuple[list[str], bool] | None:
    """
    The words of a chunk that is but ASCII letters, hyphens, a possessive, and a comma or a full stop at its end; and
    whether that ends a sentence. None of any other. It is what `chunk` says, of most chunks, in a third of the time.
    """
    if not (text.isascii() or "’" in text):
        return None
    bare = text[:-1] if text[-1] in ",." else text
    word = bare[:-2] if bare.endswith(("'s", "’s")) else bare
    parts = word.split("-")
    if not all(part.isascii() and part.isalpha() for part in parts):
        return None
    if text[-1] != ".":
        return parts, False
    letters = len(parts[-1]) + (word != bare)
    return parts, letters >= 4 and parts[-1].lower() not in _ABBREVIATIONS


def _read(text: str) -> Chunk:
    shape = shapes(text)
    if shape == "&":
        return Chunk((Token(0, 1, "and", "and"),))
    tokens: list[Token] = []
    breaks: list[int] = []
    ended, ending = 0, ""
    for found in _WORD.finditer(shape):
        kind = str(found.lastgroup)
        if kind == "stop":
            breaks.append(len(tokens))
            continue
        begin, end = found.span(kind)
        linked = bool(tokens) and shape[tokens[-1].end : begin].replace("i", "") == "-"
        for start, stop, bound in _pieces(kind, text, shape, begin, end):
            plain = ("." if bound else "") + folding.plain(_bare(text, shape, start, stop))
            tokens.append(Token(start, stop, plain, folding.term(plain), kind == "acronym", linked))
            linked = False
        ended, ending = found.end(), "" if kind == "acronym" else shape[begin:end]
    if not tokens:
        return Chunk((), (), tuple(breaks)) if breaks else _NOTHING
    if _long(tokens[-1].plain, ending) and _STOPPED.fullmatch(shape, ended):
        breaks.append(len(tokens))
    return Chunk(tuple(tokens), tuple(_joined(tokens)), tuple(breaks))


_cached = lru_cache(1 << 14)(_read)


def _bare(text: str, shape: str, start: int, end: int) -> str:
    surface = text[start:end]
    if surface.isalnum():
        return surface
    return "".join(letter for letter, form in zip(surface, shape[start:end], strict=True) if form in _SHOWN)


def _pieces(kind: str, text: str, shape: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The words in what the pattern found: where each starts and ends, and whether a full stop binds it to the last."""
    if kind == "code":
        bound = False
        while (stop := shape.find(".", start + 1, end)) >= 0:
            yield start, stop, bound
            start, bound = stop, True
        yield start, end, bound
    elif kind == "word" and "'" in shape[start:end]:
        parts = [part.span() for part in _PART.finditer(shape, start, end)]
        # China's is China, and l'ONU's is l' and ONU.
        if len(parts) > 1 and shape[slice(*parts[-1])] == "s":
            parts.pop()
        while len(parts) > 1 and _bare(text, shape, *parts[0]).lower() in _ELIDED:
            yield (*parts.pop(0), False)
        yield parts[0][0], parts[-1][1], False
    else:
        yield start, end, False


def _long(plain: str, shape: str) -> bool:
    """Whether a full stop after this word may end a sentence: four letters but no abbreviation, or three digits."""
    letters = sum(map(shape.count, _LETTER))
    return (letters >= 4 and plain not in _ABBREVIATIONS) or shape.count("0") >= 3


def _joined(tokens: list[Token]) -> Iterator[tuple[int, int, str]]:
    for index in range(len(tokens)):
        for count in range(2, JOINED_AT_MOST + 1):
            last = index + count - 1
            if last >= len(tokens) or not tokens[last].linked:
                break
            yield index, count, closed(token.plain for token in tokens[index : last + 1])


def closed(plains: Iterable[str]) -> str:
    """The term of hyphenated words written as one."""
    return folding.term("".join(plains))


def capital(surface: str) -> bool:
    """Whether a word stands in capitals, its plural s aside, or with the full stops of an acronym."""
    return "." in surface or surface.isupper() or (len(surface) > 2 and surface[-1] == "s" and surface[:-1].isupper())


def ambiguous(surface: str, dotted: bool) -> bool:
    """Whether a word of a query means the acronym alone: US and U.S., not us."""
    letters = surface.replace(".", "").upper() if dotted else surface
    return letters in _AMBIGUOUS
