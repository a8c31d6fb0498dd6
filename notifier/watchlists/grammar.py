"""
The grammar of queries: from pieces to an expression, or to the reason why there is none.

    expr    = unit | disj | conj                       disj    = unit "OR" unit { "OR" unit }
    conj    = first { "AND" ["NOT"] unit | "NOT" unit | "-" atom }          first = unit | "NOT" unit | "-" atom
    unit    = primary [ prox primary ]                 primary = "(" expr ")" | field ":" primary | term
    term    = word { word } | quoted | "=" ( word | quoted )
    prox    = w/n /n NEAR/n | pre/n +n ONEAR/n | w/s /s pre/s +s | w/p /p pre/p +p | NOT w/n NOT /n NOT NEAR/n

AND, OR and NOT are operators in capitals only. Two ways to read a query are an error, never a guess.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from notifier.watchlists.aliases import Pack
from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase, Word, phrases
from notifier.watchlists.identifiers import spellings
from notifier.watchlists.scan import OPERATORS, QueryPiece, QueryUnreadable, replaced, scan, without
from notifier.watchlists.terms import phrase
from notifier.watchlists.text import COMMON

LONGEST = 10_000  # bytes of a query
MOST_TERMS = 200
DEEPEST = 50  # parentheses within parentheses

_SMALL = re.compile(r"(and|or|not)\s+", re.IGNORECASE)  # what was meant as an operator

# Raise it when the same query comes to mean something else.
LANGUAGE = 2


class ParsedQuery(msgspec.Struct, frozen=True):
    """What a query stands for, and `text`, the query with the packs that it names written out."""

    expression: Expression
    text: str


def read(query: str, packs: Mapping[str, Pack]) -> ParsedQuery:
    """The expression that a query stands for; `packs` are those it may name. Raises `QueryUnreadable` alone."""
    if len(query) > LONGEST or len(query.encode("utf-8", "surrogatepass")) > LONGEST:
        raise QueryUnreadable(
            "TOO_LONG", 0, f"a query has at most {LONGEST:,} bytes", advice="make several watchlists of it"
        )
    pieces = scan(query)
    if not pieces:
        raise QueryUnreadable("EMPTY", 0, "the query is empty", advice='write a word or a phrase, as in "Hong Kong"')
    reader = _QueryParser(query, pieces, packs)
    expression = reader.whole()
    if _true_of_nothing(expression):
        raise QueryUnreadable(
            "NO_POSITIVE",
            0,
            "nothing has to be there, so every text without these words would match",
            advice='name what must be there, as in "Hong Kong" NOT sports',
        )
    if _true_of_most(expression):
        raise QueryUnreadable(
            "TOO_COMMON",
            0,
            "nearly every text has these words, so it would match nearly everything",
            advice='name what the texts are about, as in "Hong Kong"',
        )
    return ParsedQuery(expression, reader.written_out())


def _true_of_nothing(expression: Expression) -> bool:
    """Whether a text without words would match."""
    match expression:
        case And(parts):
            return all(map(_true_of_nothing, parts))
        case Or(parts):
            return any(map(_true_of_nothing, parts))
        case Not(part):
            return not _true_of_nothing(part)
        case _:
            return False


def _true_of_most(expression: Expression) -> bool:
    """Whether nothing is asked for but words that nearly every text has."""
    match expression:
        case And(parts):
            return all(isinstance(part, Not) or _true_of_most(part) for part in parts)
        case Or(parts):
            return any(map(_true_of_most, parts))
        case Near(left, right):
            return _true_of_most(left) and _true_of_most(right)
        case Apart(left):
            return _true_of_most(left)
        case Phrase(text, words, field=field):
            # Capitals may be an acronym: EN is a standard, DES a cipher.
            return field in {"", "body"} and len(words) <= 2 and not text.isupper() and all(map(_is_common, words))
        case _:
            return False


def _is_common(word: Word) -> bool:
    if word.ending:
        return any(common.startswith(word.plain) for common in COMMON)
    return word.plain in COMMON and not word.exact.isupper()


class _Item(msgspec.Struct, frozen=True):
    """A unit beside AND and OR: what joins it to the one before, where, and whether NOT stands before it."""

    joint: str
    joint_at: int
    negated: bool
    start: int
    end: int
    unit: Expression


class _QueryParser:
    """Reads the pieces of one query from the left."""

    def __init__(self, query: str, pieces: Sequence[QueryPiece], packs: Mapping[str, Pack]) -> None:
        self._query = query
        self._pieces = pieces
        self._packs = packs
        self._named: list[tuple[QueryPiece, Pack]] = []
        self._next = 0
        self._terms = 0
        # Ways to write what a term before was the name of. They are no terms of their own, so that a reading, which
        # writes them all out, is within the bounds of what it reads.
        self._spelled: set[Phrase] = set()

    def whole(self) -> Expression:
        """The expression of all the pieces."""
        return self._expression("", 0)

    def written_out(self) -> str:
        """The query with a group of terms for every pack it names. Raises `QueryUnreadable` if that is too long."""
        text = self._query
        for piece, pack in reversed(self._named):
            text = replaced(text, piece, pack.group)
            if len(text.encode("utf-8", "surrogatepass")) > LONGEST:
                raise QueryUnreadable(
                    "TOO_LONG",
                    piece.start,
                    f"a query has at most {LONGEST:,} bytes, with the packs that it names written out",
                    advice="make several watchlists of it",
                )
        return text

    def _kind(self, ahead: int = 0) -> str:
        """The kind of the next piece, or of one after it; "" past the end."""
        index = self._next + ahead
        return self._pieces[index].kind if index < len(self._pieces) else ""

    def _take(self) -> QueryPiece:
        self._next += 1
        return self._pieces[self._next - 1]

    @property
    def _place(self) -> int:
        """Where the next piece starts, or where the query ends."""
        return self._pieces[self._next].start if self._kind() else len(self._query)

    @property
    def _end(self) -> int:
        """Where the last piece taken ends."""
        return self._pieces[self._next - 1].end

    # ---------------------------------------------------------------- AND, OR, NOT

    def _expression(self, field: str, depth: int) -> Expression:
        items = [self._item("", field, depth)]
        while self._kind() not in {"", ")"}:
            items.append(self._item(self._joint(), field, depth))
        if any(item.joint == "OR" for item in items):
            self._refuse_mix(items)
            units = _without_repeats([item.unit for item in items])
            return Or(tuple(units)) if len(units) > 1 else units[0]
        parts = tuple(Not(item.unit) if item.negated else item.unit for item in items)
        return And(parts) if len(parts) > 1 else parts[0]

    def _joint(self) -> str:
        """What joins the next unit to the last. NOT and - join by themselves, and are left for the unit to take."""
        kind = self._kind()
        if kind in {"AND", "OR"}:
            return kind
        if kind in {"NOT", "-"}:
            return ""
        if kind == "near":
            raise self._bad_proximity("a proximity joins two terms, and no more than two", advice="join them with AND")
        before, rest = self._query[: self._end], self._query[self._place :]
        if small := _SMALL.match(rest):
            problem, mends = "operators are written in capitals", [f"{before} {small[1].upper()} {rest[small.end() :]}"]
        else:
            problem, mends = "an operator is missing here", [f"{before} AND {rest}", f"{before} OR {rest}"]
        raise QueryUnreadable("MISSING_OPERATOR", self._place, problem, *mends, advice="join the terms with AND or OR")

    def _item(self, joint: str, field: str, depth: int) -> _Item:
        joint_at = self._place
        if joint:
            self._take()
        sign = self._kind()
        negated = sign in {"NOT", "-"}
        if negated:
            self._take()
        start = self._place
        unit = self._primary(field, depth, alone=True) if sign == "-" else self._unit(field, depth)
        return _Item(joint, joint_at, negated, start, self._end, unit)

    def _refuse_mix(self, items: list[_Item]) -> None:
        if not any(item.negated or item.joint != "OR" for item in items[1:]) and not items[0].negated:
            return
        kinds = [("AND", items[0].start)] if items[0].negated else []
        for item in items[1:]:
            kinds.append((item.joint or "AND", item.joint_at))
            if item.negated:
                kinds.append(("AND", item.joint_at))
        at = next(place for kind, place in kinds if kind != kinds[0][0])
        raise QueryUnreadable(
            "AMBIGUOUS_MIX",
            at,
            "OR beside AND or NOT can be read in two ways",
            *(self._grouped(items, tight) for tight in ("AND", "OR")),
            advice="put parentheses around what belongs together",
        )

    def _grouped(self, items: list[_Item], tight: str) -> str:
        """The query with parentheses around all that AND, or OR, holds together."""
        groups: list[list[str]] = []
        for before, item in zip([items[0], *items], items, strict=False):
            said = ("NOT " if item.negated else "") + self._query[item.start : item.end]
            # "a OR NOT b" would match nearly everything; who writes it means "a AND NOT b".
            joint = "AND" if tight == "OR" and (item.negated or before.negated) else item.joint or "AND"
            if groups and joint == tight:
                groups[-1].append(said)
            else:
                groups.append([said])
        loose = "AND" if tight == "OR" else "OR"
        joined = [f" {tight} ".join(group) for group in groups]
        enclosed = [
            f"({text})" if len(group) > 1 and len(groups) > 1 else text
            for group, text in zip(groups, joined, strict=True)
        ]
        start = items[0].start
        if items[0].negated:
            start = next(piece.start for piece in reversed(self._pieces) if piece.end <= start)
        return self._query[:start] + f" {loose} ".join(enclosed) + self._query[items[-1].end :]

    # ---------------------------------------------------------------- proximity

    def _unit(self, field: str, depth: int) -> Expression:
        start = self._place
        left = self._primary(field, depth)
        apart = self._kind() == "NOT" and self._kind(1) == "near"
        if not apart and self._kind() != "near":
            return left
        if apart:
            self._take()
        sign = self._take()
        second = self._place
        right = self._primary(field, depth)
        if self._kind() == "near" or (self._kind() == "NOT" and self._kind(1) == "near"):
            again = self._query[second : self._end]
            raise self._bad_proximity(
                "a proximity joins two terms, and no more than two",
                f"{self._query[: self._end]} AND {again}{self._query[self._end :]}",
                advice="write a w/5 b AND b w/5 c",
            )
        self._check_operands(sign, (start, left), (second, right))
        order, _, said = sign.text.partition("/")
        reach = int(said) if said.isdecimal() else said
        if not apart:
            return Near(left, right, reach, order == "pre")
        if order == "w" and isinstance(reach, int):
            return Apart(left, right, reach)
        meant = replaced(self._query, sign, f"w/{reach if isinstance(reach, int) else 25}")
        raise QueryUnreadable(
            "BAD_PROXIMITY", sign.start, "after NOT comes a distance in any order", meant, advice="write NOT w/5"
        )

    def _check_operands(self, sign: QueryPiece, *operands: tuple[int, Expression]) -> None:
        fields: list[set[str]] = []
        for start, operand in operands:
            found = phrases(operand)
            if found is None:
                raise QueryUnreadable(
                    "BAD_PROXIMITY",
                    start,
                    "beside a proximity stands a term, or terms joined by OR",
                    replaced(self._query, sign, "AND"),
                    advice="write (a OR b) w/5 c",
                )
            named = {phrase.field for phrase in found}
            fields.append({"title", "summary", "body"} | named if "" in named else named)
        if not set.intersection(*fields):
            raise QueryUnreadable(
                "BAD_PROXIMITY",
                sign.start,
                "words of two fields are never near each other",
                replaced(self._query, sign, "AND"),
                advice="join them with AND",
            )

    def _bad_proximity(self, message: str, *rewrites: str, advice: str) -> QueryUnreadable:
        return QueryUnreadable("BAD_PROXIMITY", self._place, message, *rewrites, advice=advice)

    # ---------------------------------------------------------------- terms

    def _primary(self, field: str, depth: int, alone: bool = False) -> Expression:
        """A group or a term; `alone`, a bare word is a term by itself."""
        while self._kind() == "field":
            field = self._take().text
        if self._kind() == "(":
            if depth == DEEPEST:
                raise QueryUnreadable(
                    "TOO_DEEP",
                    self._place,
                    f"parentheses may stand {DEEPEST} deep",
                    advice="take out those that change nothing",
                )
            self._take()
            inner = self._expression(field, depth + 1)
            self._take()
            return inner
        if self._kind() == "alias":
            return self._pack(field, depth)
        if self._kind() not in {"word", "quoted", "="}:
            raise self._missing_operand()
        start, term = self._place, self._term(field, alone)
        self._count(term, start)
        return term

    def _count(self, term: Expression, start: int) -> None:
        sought = {_sought(way) for way in phrases(term) or ()}
        self._terms += not sought <= self._spelled
        if isinstance(term, Or):
            self._spelled |= sought
        if self._terms > MOST_TERMS:
            raise QueryUnreadable(
                "TOO_MANY_TERMS",
                start,
                f"a query has at most {MOST_TERMS} terms, those of the packs that it names included",
                advice="make several watchlists of it",
            )

    def _pack(self, field: str, depth: int) -> Expression:
        """The terms of a pack: what stands there when its group is written in its place."""
        piece = self._take()
        pack = self._packs.get(piece.text)
        if pack is None:
            raise self._unknown_pack(piece)
        inner = _QueryParser(pack.group, scan(pack.group), {})
        inner._terms, inner._spelled = self._terms, self._spelled
        try:
            found = inner._primary(field, depth)
        except QueryUnreadable as unreadable:
            # Its terms were read when it was taken up: what fails is a bound of the query that they now stand in.
            raise QueryUnreadable(
                unreadable.code, piece.start, unreadable.message, advice=unreadable.advice
            ) from unreadable
        self._terms = inner._terms
        self._named.append((piece, pack))
        return found

    def _unknown_pack(self, piece: QueryPiece) -> QueryUnreadable:
        nearest = difflib.get_close_matches(piece.text[:40], self._packs, n=1)
        rewrites = [replaced(self._query, piece, f"@{name}") for name in nearest]
        advice = f"known are {', '.join(f'@{name}' for name in sorted(self._packs))}"
        if not 0 < len(self._packs) <= 40:
            advice = "put it in quotes if the word is meant"
        shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in piece.text[:40])
        problem = f"no pack of terms is called @{shown}"
        return QueryUnreadable("UNKNOWN_ALIAS", piece.start, problem, *rewrites, advice=advice)

    def _missing_operand(self) -> QueryUnreadable:
        around = [index for index in (self._next - 1, self._next) if 0 <= index < len(self._pieces)]
        rewrites = [without(self._query, self._pieces[i]) for i in around if self._pieces[i].kind not in {"(", ")"}]
        return QueryUnreadable(
            "MISSING_OPERAND",
            self._place,
            "a term is missing here",
            *rewrites,
            advice=f"write one, or put {', '.join(OPERATORS)} in quotes where the word is meant",
        )

    def _term(self, field: str, alone: bool) -> Expression:
        """One term: a phrase, or an Or of all ways to write what it is the name of."""
        exact = self._kind() == "="
        if exact:
            self._take()
            if self._kind() not in {"word", "quoted"}:
                raise QueryUnreadable(
                    "EMPTY_TERM", self._place - 1, "after = comes a word or a phrase in quotes", advice="write =Polish"
                )
        pieces = [self._take()]
        while pieces[0].kind == "word" and not exact and not alone and self._kind() == "word":
            pieces.append(self._take())
        written = phrase(self._query, pieces, field, exact)
        if exact or written.slack:
            return written
        others = _spelled(" ".join(" ".join(piece.text for piece in pieces).split()), field)
        ways: dict[Phrase, Phrase] = {}
        for way in (written, *others):
            ways.setdefault(_sought(way), way)
        if len(ways) == 1:
            return written
        return Or(tuple(ways.values()))


def _sought(way: Phrase) -> Phrase:
    """What a phrase looks for, however it is written."""
    return msgspec.structs.replace(way, text="")


def _without_repeats(units: Sequence[Expression]) -> list[Expression]:
    """Alternatives, but for those that one of several spellings before them holds already."""
    kept: list[Expression] = []
    held: list[set[Phrase]] = []
    for unit in units:
        sought = {_sought(each) for each in phrases(unit) or ()}
        if sought and any(sought <= each for each in held):
            continue
        kept.append(unit)
        if isinstance(unit, Or) and sought:
            held.append(sought)
    return kept


@lru_cache(1 << 12)
def _spelled(name: str, field: str) -> tuple[Phrase, ...]:
    """The other ways to write a name, as phrases."""
    return tuple(phrase(way, scan(way), field, exact=False) for way in spellings(name))
