"""
When two spellings are the same word.

`plain` removes case, width, accents and invisible characters; Chinese becomes simplified, character by character.
`term` then maps plurals and British spelling to one form. There is deliberately no stemming: Snowball maps important to
import, goods to good and securities to security. The tables are data, in `tables/`.
"""

from __future__ import annotations

import bisect
import itertools
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

_TABLES = Path(__file__).with_name("tables")


def table(name: str) -> dict[str, Any]:
    """One of this room's tables, as it stands in its TOML file."""
    return tomllib.loads((_TABLES / f"{name}.toml").read_text("utf-8"))


# Letters that Unicode does not take apart, though readers do, and traditional characters.
_LETTERS = str.maketrans(
    {"ø": "o", "œ": "oe", "æ": "ae", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}
    | {"ə": "a", "ȷ": "j", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ɨ": "i", "ĸ": "k"}
    | {pair[0]: pair[1] for pair in table("chinese")["pairs"].split()}
)
# The scripts whose marks are dress and not letters: Russian й and the vowel signs of Hindi are not и and nothing.
_DRESSED: tuple[tuple[int, int], ...] = (
    (0x41, 0x24F),
    (0x250, 0x2AF),
    (0x1E00, 0x1EFF),
    (0x370, 0x3FF),
    (0x1F00, 0x1FFF),
    (0x590, 0x6FF),
)
_DRESSED += ((0x750, 0x77F), (0x870, 0x8FF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xAB30, 0xAB6F))

# Unicode allows no more marks in a row in texts that are to be normalised in pieces (UAX 15, stream-safe text). More
# would also cost quadratic time: they are sorted one by one.
_MARKS_IN_A_ROW = 30


def plain(surface: str) -> str:
    """
    A word without its dress, from its letters, marks and digits alone: NFKC, small, Latin, Greek, Arabic and Hebrew
    without accents, ø as o, 國 as 国. Long runs of marks are cut to 30.
    """
    if surface.isascii():
        return surface.lower()
    if len(surface) > _MARKS_IN_A_ROW:
        surface = _bounded(surface)
    letters, dressed = [], False
    for letter in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", surface).casefold()):
        if unicodedata.category(letter)[0] != "M":
            dressed = any(first <= ord(letter) <= last for first, last in _DRESSED)
        elif dressed:
            continue
        letters.append(letter)
    return unicodedata.normalize("NFKC", "".join(letters).translate(_LETTERS))


def _bounded(surface: str) -> str:
    kept, marks = [], 0
    for letter in surface:
        marks = marks + 1 if unicodedata.category(letter)[0] == "M" else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(letter)
    return "".join(kept)


def term(word: str) -> str:
    """What a plain word is known by: singular, in American spelling. Equal for spellings that mean one word."""
    alone = singular(word)
    return _AMERICAN.get(alone, alone)


def american(word: str) -> str:
    """A plain word in American spelling, its ending left alone."""
    return _AMERICAN.get(word, word)


def british(stem: str) -> list[str]:
    """The British spellings that begin with a plain stem."""
    found = itertools.islice(_BRITISH, bisect.bisect_left(_BRITISH, stem), None)
    return list(itertools.takewhile(lambda word: word.startswith(stem), found))


def singular(word: str) -> str:
    """
    The singular of a plain English word: Harman's rules ("How effective is suffixing?", 1991), mended for -oes and for
    -xes, -ches, -shes, -sses, -zzes, with lists of irregular and unchanging words before them.
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or word in _KEPT:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("xes", "ches", "shes", "sses", "zzes", "oes")):
        return word[:-2]
    return word[:-1]


def _american() -> dict[str, str]:
    """British → American, form by form."""
    said = table("spelling")
    spelled: dict[str, str] = dict(said["pairs"])
    for stem in said["ise"].split():
        for ending in ("ise", "ised", "ising", "iser", "isation", "isational", "isable"):
            spelled[stem + ending] = stem + "iz" + ending[2:]
    for word in said["our"].split():
        for ending in ("", "ed", "ing", "able", "ably", "al", "er", "ful", "hood", "ite", "itism", "less", "y"):
            spelled[word + ending] = word[:-2] + "r" + ending
    for word in said["doubled"].split():
        for ending in ("ed", "ing", "er"):
            spelled[word + "l" + ending] = word + ending
    return spelled


_PLURALS = table("plurals")
_KEPT = frozenset(_PLURALS["kept"].split())
_IRREGULAR: dict[str, str] = _PLURALS["irregular"]
_AMERICAN = _american()
_BRITISH = sorted(_AMERICAN)
