"""
An expression as clauses, all of which must be true: each says that one of some leaves is there, or that one is not.

In this form a million expressions are evaluated by sets, a clause at a time. What has no such form of a reasonable size
keeps the clauses that it cannot do without, and is itself a *condition*, asked of the few that have come so far.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import msgspec

from notifier.watchlists.expression import And, Apart, Expression, Leaf, Near, Not, Or, Phrase

MOST_CLAUSES, MOST_LEAVES = 64, 1024
FAMILIES = 4  # clauses of one plan; the others are left to the condition

# Leaves of which one must be present, the parts of an "and" or an "or", or the one of a "not".
Condition = tuple[str, tuple["Condition | int", ...]]
_Clause = tuple[frozenset[int], frozenset[int]]
_Numbered = Callable[[Leaf], tuple[int, ...]]


class Plan(msgspec.Struct, frozen=True):
    """
    When an expression is true: one leaf of each of `needed` is present, none of `absent`, and the condition holds.
    """

    needed: tuple[tuple[int, ...], ...]
    absent: tuple[int, ...] = ()
    condition: Condition | None = None
    never: bool = False


class _TooLarge(Exception):
    """The clauses of an expression would be too many."""


def plan(expression: Expression, numbered: _Numbered) -> Plan:
    """How an expression is evaluated, its leaves `numbered`."""
    simple = _simple(expression, numbered)
    if simple is not None:
        return simple
    try:
        clauses = _clauses(expression, True, numbered)
    except _TooLarge:
        return _plan_with_condition(_needed(expression, True, numbered), (), expression, numbered)
    if any(not some and not none for some, none in clauses):
        return Plan((), never=True)
    needed = [tuple(sorted(some)) for some, none in clauses if not none]
    absent = [leaf for some, none in clauses if not some and len(none) == 1 for leaf in none]
    mixed = any((some and none) or len(none) > 1 for some, none in clauses)
    if mixed or len(needed) > FAMILIES or not needed:
        return _plan_with_condition(needed, absent, expression, numbered)
    needed.sort(key=len)
    return Plan(tuple(needed), tuple(absent))


def _simple(expression: Expression, numbered: _Numbered) -> Plan | None:
    """The plan of what people mostly write: terms, groups of terms with OR, and terms under NOT, joined by AND."""
    needed: list[tuple[int, ...]] = []
    absent: list[int] = []
    for part in expression.parts if isinstance(expression, And) else (expression,):
        match part:
            case Phrase() | Near() | Apart():
                needed.append(numbered(part))
            case Or(parts):
                terms = [each for each in parts if isinstance(each, Phrase | Near | Apart)]
                if len(terms) < len(parts):
                    return None
                needed.append(tuple(dict.fromkeys(leaf for each in terms for leaf in numbered(each))))
            case Not(Phrase() | Near() | Apart() as leaf):
                absent += numbered(leaf)
            case _:
                return None
    if not needed or len(needed) > FAMILIES:
        return None
    needed.sort(key=len)
    return Plan(tuple(needed), tuple(dict.fromkeys(absent)), never=not all(needed))


def true(condition: Condition | int, present: Container[int]) -> bool:
    """Whether a condition holds, with these leaves present."""
    if isinstance(condition, int):
        return condition in present
    kind, parts = condition
    if kind == "and":
        return all(true(part, present) for part in parts)
    if kind == "or":
        return any(true(part, present) for part in parts)
    return not true(parts[0], present)


def leaves_of(condition: Condition | int | None) -> list[int]:
    """The leaves that a condition asks for."""
    if condition is None:
        return []
    if isinstance(condition, int):
        return [condition]
    return [leaf for part in condition[1] for leaf in leaves_of(part)]


def _plan_with_condition(
    needed: list[tuple[int, ...]], absent: list[int] | tuple[int, ...], expression: Expression, numbered: _Numbered
) -> Plan:
    # The fewest leaves first: they are present in the fewest texts.
    first = sorted(needed, key=len)[:FAMILIES]
    return Plan(tuple(first), tuple(absent), _condition(expression, numbered))


def _condition(expression: Expression, numbered: _Numbered) -> Condition:
    match expression:
        case And(parts):
            return "and", tuple(_condition(part, numbered) for part in parts)
        case Or(parts):
            return "or", tuple(_condition(part, numbered) for part in parts)
        case Not(part):
            return "not", (_condition(part, numbered),)
        case Phrase() | Near() | Apart():
            return "or", numbered(expression)


def _clauses(expression: Expression, wanted: bool, numbered: _Numbered) -> list[_Clause]:
    """The clauses of an expression, or of its opposite; the leaves that may be there, and those that may not."""
    match expression:
        case Not(part):
            return _clauses(part, not wanted, numbered)
        case And(parts) | Or(parts):
            every = [_clauses(part, wanted, numbered) for part in parts]
            if isinstance(expression, And) == wanted:
                return _bounded(dict.fromkeys(clause for clauses in every for clause in clauses))
            product: dict[_Clause, None] = {(frozenset(), frozenset()): None}
            for clauses in every:
                if len(product) * len(clauses) > MOST_CLAUSES:
                    raise _TooLarge
                joined = ((some | more, none | less) for some, none in product for more, less in clauses)
                product = {(some, none): None for some, none in joined if not some & none}
            return _bounded(product)
        case Phrase() | Near() | Apart():
            leaves = numbered(expression)
            if wanted:
                return [(frozenset(leaves), frozenset())]
            return [(frozenset(), frozenset([leaf])) for leaf in leaves]


def _bounded(clauses: dict[_Clause, None]) -> list[_Clause]:
    if len(clauses) > MOST_CLAUSES or sum(len(some) + len(none) for some, none in clauses) > MOST_LEAVES:
        raise _TooLarge
    return list(clauses)


def _needed(expression: Expression, wanted: bool, numbered: _Numbered) -> list[tuple[int, ...]]:
    """Clauses of present leaves that an expression, or its opposite, cannot do without."""
    match expression:
        case Not(part):
            return _needed(part, not wanted, numbered)
        case And(parts) | Or(parts):
            every = [_needed(part, wanted, numbered) for part in parts]
            if isinstance(expression, And) == wanted:
                return [clause for clauses in every for clause in clauses]
            if not all(every):
                return []
            least = [min(clauses, key=len) for clauses in every]
            return [tuple(sorted({leaf for clause in least for leaf in clause}))]
        case Phrase() | Near() | Apart():
            return [numbered(expression)] if wanted else []
