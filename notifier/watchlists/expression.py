"""
A query as we read it: phrases, joined by AND, OR and NOT, or by how near to each other they stand.

These are values without behaviour but one: `reading` writes them down again as a query that means the same.
"""

from __future__ import annotations

import msgspec


class Word(msgspec.Struct, frozen=True, cache_hash=True):
    """
    A word to search for, by its `term`.

    `plain` is its text, with ? for any one character; `ending` allows any ending. For a word with neither, only the
    term counts. `capital`: an acronym that must be in capitals; `linked`: only a hyphen separates it from the word
    before. `exact` is the word to the letter, if that was asked for.
    """

    term: str
    plain: str
    linked: bool = False
    capital: bool = False
    ending: bool = False
    exact: str = ""

    @property
    def wild(self) -> bool:
        """Whether it stands for several words."""
        return self.ending or "?" in self.plain


class Closed(msgspec.Struct, frozen=True, cache_hash=True):
    """What a phrase's hyphenated words, from `first` to before `after`, are when written as one."""

    first: int
    after: int
    word: Word


class Phrase(msgspec.Struct, frozen=True, cache_hash=True):
    """
    Words one after another: a term of the query. `text` is the term as written.

    `slack` above 0 allows them in any order, with at most that many other words between them. `field` is the only one
    to search, "" for title, summary and body.
    """

    text: str
    words: tuple[Word, ...]
    closed: tuple[Closed, ...] = ()
    field: str = ""
    slack: int = 0


class Near(msgspec.Struct, frozen=True, cache_hash=True):
    """
    Two operands, phrases or an Or of them, in one field near each other, the left one first where `ordered`.

    `reach` is the greatest distance in words (neighbours are 1 apart), or "s" for a sentence, "p" for a paragraph.
    """

    left: Expression
    right: Expression
    reach: int | str
    ordered: bool = False


class Apart(msgspec.Struct, frozen=True, cache_hash=True):
    """Somewhere the left operand stands with no right one within `reach` words, nor one that overlaps it."""

    left: Expression
    right: Expression
    reach: int


class And(msgspec.Struct, frozen=True):
    """All of the parts."""

    parts: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of the parts."""

    parts: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True):
    """Whatever the part is not true of."""

    part: Expression


Leaf = Phrase | Near | Apart
Expression = Leaf | And | Or | Not


def reading(of: Expression) -> str:
    """The expression as a query: phrases in quotes, every field named at its term, parentheses where they matter."""
    match of:
        case Phrase(text=text, field=field):
            return f"{field}:{text}" if field else text
        case Near(left, right, reach, ordered):
            return f"{_part(left)} {'pre' if ordered else 'w'}/{reach} {_part(right)}"
        case Apart(left, right, reach):
            return f"{_part(left)} NOT w/{reach} {_part(right)}"
        case And(parts):
            return " AND ".join(reading(part) if isinstance(part, Not) else _part(part) for part in parts)
        case Or(parts):
            return " OR ".join(_part(part) for part in parts)
        case Not(part):
            return f"NOT {_part(part)}"


def _part(of: Expression) -> str:
    return f"({reading(of)})" if isinstance(of, And | Or | Not) else reading(of)


def phrases(operand: Expression) -> list[Phrase] | None:
    """The phrases of an operand that is a phrase, or an Or of such; None of any other expression."""
    if isinstance(operand, Phrase):
        return [operand]
    if not isinstance(operand, Or):
        return None
    found: list[Phrase] = []
    for part in operand.parts:
        inner = phrases(part)
        if inner is None:
            return None
        found += inner
    return found
