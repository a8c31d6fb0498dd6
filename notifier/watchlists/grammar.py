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
from notifier.watchlists.expression import And, Apart, Expression, Near, Not, Or, Phrase, phrases
from notifier.watchlists.identifiers import spellings
from notifier.watchlists.operators import Item, matches_empty_text, matches_nearly_everything, refuse_mix
from notifier.watchlists.scan import OPERATORS, QueryPiece, QueryUnreadable, replaced, scan, without
from notifier.watchlists.terms import phrase

LONGEST = 10_000  # bytes of a query
MOST_TERMS = 200
DEEPEST = 50  # parentheses within parentheses

_SMALL = re.compile(r"(and|or|not)\s+", re.IGNORECASE)  # what was meant as an operator

# Raise it when the same query comes to mean something else.
LANGUAGE = 2


class ParsedQuery(msgspec.Struct, frozen=True):
    """The expression of a query, and its `text` with the packs that it names written out."""

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
    if matches_empty_text(expression):
        raise QueryUnreadable(
            "NO_POSITIVE",
            0,
            "nothing has to be there, so every text without these words would match",
            advice='name what must be there, as in "Hong Kong" NOT sports',
        )
    if matches_nearly_everything(expression):
        raise QueryUnreadable(
            "TOO_COMMON",
            0,
            "nearly every text has these words, so it would match nearly everything",
            advice='name what the texts are about, as in "Hong Kong"',
        )
    return ParsedQuery(expression, reader.written_out())


class _QueryParser:
    """Reads the pieces of one query from the left."""

    def __init__(self, query: str, pieces: Sequence[QueryPiece], packs: Mapping[str, Pack]) -> None:
        self._query = query
        self._pieces = pieces
        self._packs = packs
        self._named: list[tuple[QueryPiece, Pack]] = []
        self._next = 0
        self._terms = 0
        # Other spellings of the terms before. They do not count as terms: the query as read, which lists them all, must
        # be within the same bounds.
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
            refuse_mix(self._query, self._pieces, items)
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

    def _item(self, joint: str, field: str, depth: int) -> Item:
        joint_at = self._place
        if joint:
            self._take()
        sign = self._kind()
        negated = sign in {"NOT", "-"}
        if negated:
            self._take()
        start = self._place
        unit = self._primary(field, depth, alone=True) if sign == "-" else self._unit(field, depth)
        return Item(joint, joint_at, negated, start, self._end, unit)

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
                    "a proximity joins terms, or terms joined by OR",
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
