"""
A query: its expression, whether a text matches, where, and why.

    "Hong Kong" AND ("dual-use" OR "export licence") NOT sports

The language is in `grammar`, the rules for words in `text`, and the search in `search`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from notifier.errors import QueryError
from notifier.watchlists import expression as ast
from notifier.watchlists import text as texts
from notifier.watchlists.aliases import Pack, built_in
from notifier.watchlists.expression import And, Apart, Expression, Leaf, Near, Not, Or, Phrase
from notifier.watchlists.grammar import LANGUAGE, read
from notifier.watchlists.scan import QueryUnreadable, scan
from notifier.watchlists.search import Span, Text, highlights, holds

SHOWN = 12  # different words that a clause names
_LONGEST_MEND = 300  # letters of a rewritten query that help; of a longer one nobody finds the difference


class Verdict(msgspec.Struct, frozen=True):
    """
    Whether a query is true of a text. `spans` are the words that make it so, by field: half-open, in code points,
    sorted, apart from each other; empty where it is not true.
    """

    matched: bool
    spans: dict[str, list[Span]]


class Clause(msgspec.Struct, frozen=True):
    """
    A part of a query, and how it fared: `label` is how it reads (of a group, what joins it), `words` are those of the
    text that decided, `parts` what it is made of.
    """

    label: str
    true: bool
    words: tuple[str, ...] = ()
    parts: tuple[Clause, ...] = ()


class Query(msgspec.Struct, frozen=True):
    """
    A query that could be read, and the `expression` that it is understood as.

    `text` is the query as it was written, with the terms of the packs that it names in their place, so that it means
    the same for ever, whatever becomes of the packs. `written` has the packs by name; "" where it names none.
    """

    text: str
    expression: Expression
    written: str = ""

    @property
    def said(self) -> str:
        """The query as its owner wrote it."""
        return self.written or self.text

    def reading(self) -> str:
        """The query as we read it: phrases in quotes, every operator written out. It means the same when parsed."""
        return ast.reading(self.expression)

    def search(self, fields: Mapping[str, str] | Text) -> Verdict:
        """
        Hold it against a text, given by field. A term that names no field is looked for in title, summary and body.

        Whoever holds many queries against one text makes a `Text` of it first, so that it is taken apart once.
        """
        text = fields if isinstance(fields, Text) else Text(fields)
        if not holds(self.expression, text):
            return Verdict(False, {})
        return Verdict(True, highlights(self.expression, text))

    def explain(self, fields: Mapping[str, str] | Text) -> Clause:
        """Every clause, true or false, with the words that decided."""
        return _explained(self.expression, fields if isinstance(fields, Text) else Text(fields))


def parse(text: str, packs: Mapping[str, Pack] | None = None) -> Query:
    """
    Parse a query. Raises only `QueryError`, with code, position and mend.

    `packs` are the packs of terms that it may name, by name; by default the built-in ones. A mend that rewrites the
    query is itself valid.
    """
    packs = built_in() if packs is None else packs
    try:
        reading = read(text, packs)
    except QueryUnreadable as unreadable:
        mend = _mend(unreadable, packs)
        raise QueryError(unreadable.code, unreadable.at, unreadable.message, mend) from unreadable
    return Query(reading.text, reading.expression, text if text != reading.text else "")


def check_term(text: str) -> None:
    """See that a text is one term of a query, as a pack of terms holds them. Raises `QueryError`."""
    query = parse(text, {})
    kinds = [piece.kind for piece in scan(text)]
    if set(kinds) != {"word"} and kinds not in (["quoted"], ["=", "word"], ["=", "quoted"]):
        raise QueryError("NOT_A_TERM", 0, f"{query.text} is more than one term", "write each as a term of its own")


def version() -> str:
    """What matching depends on, in 16 hexadecimal digits: the language of queries and the reading of words."""
    return hashlib.blake2b(f"{LANGUAGE}\0{texts.version()}".encode(), digest_size=8).hexdigest()


def _mend(unreadable: QueryUnreadable, packs: Mapping[str, Pack]) -> str:
    readable = [rewrite for rewrite in dict.fromkeys(unreadable.rewrites) if _can_be_read(rewrite, packs)]
    return "write " + ", or else ".join(readable[:2]) if readable else unreadable.advice


def _can_be_read(query: str, packs: Mapping[str, Pack]) -> bool:
    if len(query) > _LONGEST_MEND or not query.isprintable():
        return False
    try:
        read(query, packs)
    except QueryUnreadable:
        return False
    return True


def _explained(expression: Expression, text: Text) -> Clause:
    match expression:
        case And(parts) | Or(parts):
            label = "AND" if isinstance(expression, And) else "OR"
            clauses = tuple(_explained(part, text) for part in parts)
            return Clause(label, holds(expression, text), parts=clauses)
        case Not(Phrase() | Near() | Apart() as leaf):
            return Clause(ast.reading(expression), not holds(leaf, text), _surfaces(leaf, text))
        case Not(part):
            return Clause("NOT", not holds(part, text), parts=(_explained(part, text),))
        case Near(left, right) | Apart(left, right):
            # Both may be there and yet not near: the reader sees which of the two it was.
            sides = (_explained(left, text), _explained(right, text))
            return Clause(ast.reading(expression), holds(expression, text), _surfaces(expression, text), sides)
        case Phrase():
            return Clause(ast.reading(expression), holds(expression, text), _surfaces(expression, text))


def _surfaces(leaf: Leaf, text: Text) -> tuple[str, ...]:
    found = (
        " ".join(words.text[words.starts[first] : words.ends[last]].split())
        for field, spans in text.found(leaf).items()
        for words in (text.words(field),)
        for first, last in spans
    )
    return tuple(_first(found))


def _first(surfaces: Iterable[str]) -> list[str]:
    """The first few that differ, in their order."""
    kept: dict[str, None] = {}
    for surface in surfaces:
        kept[surface] = None
        if len(kept) == SHOWN:
            break
    return list(kept)
