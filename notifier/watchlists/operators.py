"""
Which mixtures of operators are refused, and which expressions would match anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase, Word
from notifier.watchlists.scan import QueryPiece, QueryUnreadable
from notifier.watchlists.text import COMMON


class Item(msgspec.Struct, frozen=True):
    """A unit beside AND and OR: what joins it to the one before, where, and whether NOT stands before it."""

    joint: str
    joint_at: int
    negated: bool
    start: int
    end: int
    unit: Expression


def refuse_mix(query: str, pieces: Sequence[QueryPiece], items: Sequence[Item]) -> None:
    """Raise `QueryUnreadable` where OR is beside AND or NOT without parentheses, with both readings as mends."""
    if not any(item.negated or item.joint != "OR" for item in items[1:]) and not items[0].negated:
        return
    kinds = [("AND", items[0].start)] if items[0].negated else []
    for item in items[1:]:
        kinds.append((item.joint or "AND", item.joint_at))
        if item.negated:
            kinds.append(("AND", item.joint_at))
    at = next(position for kind, position in kinds if kind != kinds[0][0])
    raise QueryUnreadable(
        "AMBIGUOUS_MIX",
        at,
        "OR beside AND or NOT is ambiguous",
        *(_grouped(query, pieces, items, tight) for tight in ("AND", "OR")),
        advice="put parentheses around what belongs together",
    )


def _grouped(query: str, pieces: Sequence[QueryPiece], items: Sequence[Item], tight: str) -> str:
    """The query with parentheses around all that AND, or OR, holds together."""
    groups: list[list[str]] = []
    for before, item in zip([items[0], *items], items, strict=False):
        said = ("NOT " if item.negated else "") + query[item.start : item.end]
        # "a OR NOT b" would match nearly everything; who writes it means "a AND NOT b".
        joint = "AND" if tight == "OR" and (item.negated or before.negated) else item.joint or "AND"
        if groups and joint == tight:
            groups[-1].append(said)
        else:
            groups.append([said])
    loose = "AND" if tight == "OR" else "OR"
    joined = [f" {tight} ".join(group) for group in groups]
    enclosed = [
        f"({text})" if len(group) > 1 and len(groups) > 1 else text for group, text in zip(groups, joined, strict=True)
    ]
    start = items[0].start
    if items[0].negated:
        start = next(piece.start for piece in reversed(pieces) if piece.end <= start)
    return query[:start] + f" {loose} ".join(enclosed) + query[items[-1].end :]


def matches_empty_text(expression: Expression) -> bool:
    """Whether a text without words would match."""
    match expression:
        case And(parts):
            return all(map(matches_empty_text, parts))
        case Or(parts):
            return any(map(matches_empty_text, parts))
        case Not(part):
            return not matches_empty_text(part)
        case _:
            return False


def matches_nearly_everything(expression: Expression) -> bool:
    """Whether nothing is asked for but words that nearly every text has."""
    match expression:
        case And(parts):
            return all(isinstance(part, Not) or matches_nearly_everything(part) for part in parts)
        case Or(parts):
            return any(map(matches_nearly_everything, parts))
        case Near(left, right):
            return matches_nearly_everything(left) and matches_nearly_everything(right)
        case Apart(left):
            return matches_nearly_everything(left)
        case Phrase(text, words, field=field):
            # Capitals may be an acronym: EN is a standard, DES a cipher.
            return field in {"", "body"} and len(words) <= 2 and not text.isupper() and all(map(_is_common, words))
        case _:
            return False


def _is_common(word: Word) -> bool:
    if word.ending:
        return any(common.startswith(word.plain) for common in COMMON)
    return word.plain in COMMON and not word.exact.isupper()
