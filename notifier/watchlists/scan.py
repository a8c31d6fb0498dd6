"""
A query's text as the pieces it is made of: words, quotations, operators, parentheses, fields.

What cannot be read is raised as `QueryUnreadable`, which knows how the query could be written instead.
"""

from __future__ import annotations

import difflib
import re

import msgspec

FIELDS = (
    "title",
    "summary",
    "body",
    "source",
    "agency",
    "country",
    "lang",
    "type",
    "url",
    "author",
    "tag",
    "issuer",
    "feed",
    "added",
    "removed",
)
OPERATORS = ("AND", "OR", "NOT")
FARTHEST = 255  # words that a proximity may reach

_QUOTES = '"“”„'
# Comes along when text is copied, and is not seen: soft hyphen, zero width, direction marks, byte order mark.
_INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufeff"
_UNION = "EU|UE|EC|CE|EG|EEC|CEE|EWG|CFSP|PESC|GASP|Euratom"
_NUMBERED = r"(?: N[or]?[.°º]{0,2} \s* )?"
_PIECE = re.compile(
    rf"""
      (?P<paragraph> (?: \d[^\s(){_QUOTES}{_INVISIBLE}]* | [IVXLC]+ ) (?: \([0-9A-Za-z]{{1,5}}\) )+ )  # 744.11(a)(1)
    | (?P<author> \( (?:{_UNION}) (?:,\s?Euratom)? \) (?= \s+ {_NUMBERED} \d{{1,4}}/\d{{2,4}} ) )  # (EU) No 833/2014
    | @ (?P<alias> [^\s(){_QUOTES}{_INVISIBLE}]+ )
    | (?P<parenthesis> [()] )
    | (?P<quote> [{_QUOTES}] )
    | (?P<prefix> [=-] )
    | (?P<field> [^\W\d_]+ ) : (?!//)      # url:https://example.org names one field
    | (?P<word> [^\s(){_QUOTES}{_INVISIBLE}] [^\s(){_QUOTES}]* )
    """,
    re.VERBOSE,
)
_QUOTED = re.compile(rf"[{_QUOTES}](?P<inside>[^{_QUOTES}]*)[{_QUOTES}](?:~(?P<slack>\w*))?")
# Asked of words that may mean a proximity; "pre/post" does not, "w/o" is too near to "w/0".
_NEAR = re.compile(r"(?P<sign>w/|pre/|near/|onear/)(?P<reach>\d\S*|[a-z]|)|(?P<short>[/+])(?P<far>\d+|[sp])", re.I)
_OTHERS = {"|": "OR", "||": "OR", "&&": "AND"}  # operators elsewhere; a phrase would pass over them in silence


class QueryUnreadable(Exception):
    """
    A query cannot be read: as `QueryError`, but with the queries that may have been meant, none of them tried yet, and
    `advice` for when none of them will do.
    """

    def __init__(self, code: str, at: int, message: str, *rewrites: str, advice: str) -> None:
        super().__init__(message)
        self.code, self.at, self.message, self.rewrites, self.advice = code, at, message, rewrites, advice


class QueryPiece(msgspec.Struct, frozen=True):
    """
    A piece of a query, from `start` to before `end`.

    `kind` is AND, OR, NOT, -, (, ), =, word, quoted, field, alias or near. `text` is the word, what is in quotes (from
    `start` + 1 on), the field's or the pack's name, or the proximity as `w/5`, `pre/s`; `slack` is the number after a
    quotation's ~.
    """

    kind: str
    start: int
    end: int
    text: str = ""
    slack: int = 0


def scan(query: str) -> list[QueryPiece]:
    """The pieces in their order. Raises `QueryUnreadable`."""
    pieces: list[QueryPiece] = []
    at = 0
    while found := _PIECE.search(query, at):
        pieces.append(_piece(query, found))
        at = pieces[-1].end
    _balance(query, pieces)
    return pieces


def without(query: str, piece: QueryPiece) -> str:
    """The query with one piece left out."""
    return f"{query[: piece.start].rstrip()} {query[piece.end :].lstrip()}".strip()


def replaced(query: str, piece: QueryPiece, by: str) -> str:
    """The query with one piece written otherwise."""
    return query[: piece.start] + by + query[piece.end :]


def _piece(query: str, found: re.Match[str]) -> QueryPiece:
    match found.lastgroup:
        case "alias":
            return QueryPiece("alias", found.start(), found.end(), found["alias"].lower())
        case "parenthesis":
            return QueryPiece(found[0], found.start(), found.end())
        case "quote":
            return _quotation(query, found.start())
        case "prefix":
            return _prefix(query, found.start())
        case "field":
            return _field(found)
        case _:
            return _word(query, QueryPiece("word", found.start(), found.end(), found[0]))


def _word(query: str, piece: QueryPiece) -> QueryPiece:
    """A bare word, or the operator that it is."""
    text = re.sub(f"[{_INVISIBLE}]+$", "", piece.text)
    if text in OPERATORS:
        return msgspec.structs.replace(piece, kind=text)
    if near := _NEAR.fullmatch(text):
        return _proximity(query, piece, near)
    if operator := _OTHERS.get(text):
        meant = replaced(query, piece, operator)
        raise QueryUnreadable(
            "MISSING_OPERATOR", piece.start, f"{text} is not an operator here", meant, advice=f"write {operator}"
        )
    if loose := re.fullmatch(r"([^~]+)~\d*", text):
        at = piece.start + loose.end(1)
        raise QueryUnreadable("BAD_PROXIMITY", at, "~ follows a phrase in quotes", advice='write "phrase"~5')
    return piece


def _quotation(query: str, at: int) -> QueryPiece:
    found = _QUOTED.match(query, at)
    if found is None:
        rest = query[at:].rstrip()
        closing = f'{query[:at]}{rest}"'
        before = re.search(r"\s+(?:AND|OR|NOT)(?!\S)|\s*\)", rest)
        if before:
            closing = f'{query[:at]}{rest[: before.start()]}"{rest[before.start() :]}'
        raise QueryUnreadable(
            "UNTERMINATED_QUOTE", at, "this quote is never closed", closing, advice="close it where the phrase ends"
        )
    slack = found["slack"]
    piece = QueryPiece("quoted", at, found.end(), found["inside"])
    if slack is None:
        return piece
    number = _number(slack)
    if number is None:
        bare = found.start("slack") - 1
        raise QueryUnreadable(
            "BAD_PROXIMITY",
            bare,
            f"after ~ comes how many other words may stand between, 1 to {FARTHEST}",
            query[:bare] + query[found.end() :],
            advice="write ~5",
        )
    return msgspec.structs.replace(piece, slack=number)


def _prefix(query: str, at: int) -> QueryPiece:
    """The = of an exact term or the - of one that must not be there; alone, either may mean anything."""
    piece = QueryPiece(query[at], at, at + 1)
    if at + 1 < len(query) and not query[at + 1].isspace() and query[at + 1] != ")":
        return piece
    glued = query[: at + 1] + query[at + 1 :].lstrip()
    raise QueryUnreadable(
        "EMPTY_TERM",
        at,
        f"{query[at]} stands alone",
        without(query, piece),
        glued,
        advice=f"write it before a word, as in {query[at]}China",
    )


def _field(found: re.Match[str]) -> QueryPiece:
    name = found["field"].lower()
    piece = QueryPiece("field", found.start(), found.end(), name)
    if name in FIELDS:
        return piece
    if near := difflib.get_close_matches(name[:20], FIELDS, n=1):
        advice = f'did you mean "{near[0]}"?'
    else:
        advice = f"put the words in quotes, or take one of {', '.join(FIELDS)}"
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in found["field"][:40])
    raise QueryUnreadable("UNKNOWN_FIELD", found.start(), f'no field "{shown}"', advice=advice)


def _proximity(query: str, piece: QueryPiece, found: re.Match[str]) -> QueryPiece:
    sign = (found["sign"] or found["short"]).lower()
    reach = (found["reach"] or found["far"] or "").lower()
    order = "pre" if sign in {"pre/", "+", "onear/"} else "w"
    sized = reach in {"s", "p"} and sign not in {"near/", "onear/"}
    if sized or _number(reach) is not None:
        return QueryPiece("near", piece.start, piece.end, f"{order}/{reach if sized else int(reach)}")
    if reach in {"s", "p"}:
        meant = f"{order}/{reach}"
    else:
        meant = f"{order}/{FARTHEST if reach.isdecimal() and reach.strip('0') else 1 if reach.isdecimal() else 5}"
    raise QueryUnreadable(
        "BAD_PROXIMITY",
        piece.start,
        f"how near is said with a number from 1 to {FARTHEST}, or with s or p: w/5, w/s",
        replaced(query, piece, meant),
        replaced(query, piece, f'"{piece.text}"'),
        advice=f"write {meant}, or put the words in quotes",
    )


def _number(digits: str) -> int | None:
    if not re.fullmatch(r"0{0,9}[1-9][0-9]{0,2}", digits):
        return None
    return number if (number := int(digits)) <= FARTHEST else None


def _balance(query: str, pieces: list[QueryPiece]) -> None:
    """Every parenthesis has its partner. Looked at first: without it, all that follows is misread."""
    opened: list[QueryPiece] = []
    for piece in pieces:
        if piece.kind == "(":
            opened.append(piece)
        elif piece.kind == ")":
            if not opened:
                raise QueryUnreadable(
                    "UNBALANCED",
                    piece.start,
                    "this parenthesis closes nothing",
                    without(query, piece),
                    advice="leave it out",
                )
            opened.pop()
    if opened:
        raise QueryUnreadable(
            "UNBALANCED",
            opened[-1].start,
            "this parenthesis is never closed",
            query.rstrip() + ")" * len(opened),
            advice="close it",
        )
