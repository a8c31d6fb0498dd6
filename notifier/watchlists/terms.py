"""
A term of a query as the words that are looked for.

It is taken apart by the same rules as the texts, so both sides agree on what a word is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from notifier.watchlists.expression import Closed, Phrase, Word
from notifier.watchlists.scan import OPERATORS, QueryPiece, QueryUnreadable, replaced
from notifier.watchlists.text import JOINED_AT_MOST, Token, ambiguous, chunk, closed

MOST_WORDS = 200

# Stands for ? while a word is taken apart: a letter (Cyrillic multiocular O) that folding leaves alone and that nobody
# has written since the 15th century.
_ANY = "\ua66e"
# The same behind a full stop, where a digit keeps 744.?? together: one of Saurashtra.
_ANY_BOUND = "\ua8d0"
_OPEN = {_ANY, _ANY_BOUND}
_BEHIND_STOP = re.compile(r"(?<=\.)\?+")
_ENDING = re.compile(r"[*!]")


def phrase(query: str, pieces: Sequence[QueryPiece], field: str, exact: bool) -> Phrase:
    """
    The term that is one quotation, or bare words one after another. Raises `QueryUnreadable`.

    Signs that are no words (§, a dash) only part the words around them, as they do in texts.
    """
    said = list(_said(pieces))
    words: list[Word] = []
    for each in said:
        words += _words(query, each, exact)
        if len(words) > MOST_WORDS:
            raise QueryUnreadable(
                "TOO_MANY_TERMS",
                pieces[0].start,
                f"a phrase has at most {MOST_WORDS} words",
                advice="leave out those that do not matter",
            )
    if not words:
        raise QueryUnreadable(
            "EMPTY_TERM",
            pieces[0].start,
            "there is no word in this term",
            advice="write a word, with a letter or a digit",
        )
    text = ("=" if exact else "") + _shown(" ".join(each.text for each in said), pieces[0])
    return Phrase(text, tuple(words), () if exact else _closed(words), field, pieces[0].slack)


def _said(pieces: Sequence[QueryPiece]) -> Iterator[QueryPiece]:
    """What stands between spaces, each where it is in the query."""
    for piece in pieces:
        inside = piece.start + 1 if piece.kind == "quoted" else piece.start
        for word in re.finditer(r"\S+", piece.text):
            yield QueryPiece("word", inside + word.start(), inside + word.end(), word[0])


def _words(query: str, said: QueryPiece, exact: bool) -> list[Word]:
    """What is made of one word between spaces: several where hyphens part it, none of a sign."""
    stem, ending = said.text, False
    if found := _ENDING.search(said.text):
        stem, ending = said.text[: found.start()], True
        if any(map(str.isalnum, said.text[found.end() :])):
            raise _bad_wildcard(query, said, f"{found[0]} stands at the end of a word", stem + found[0])
    lettered = _BEHIND_STOP.sub(lambda open: _ANY_BOUND * len(open[0]), stem).replace("?", _ANY)
    tokens = chunk(lettered).tokens
    letters = sum(letter.isalnum() and letter not in _OPEN for token in tokens for letter in token.plain)
    if ending and (letters < 3 or tokens[-1].end < len(stem)):
        raise _bad_wildcard(query, said, f"right before {said.text[len(stem)]} come three letters or more", stem)
    if "?" in stem and letters < 2:
        raise _bad_wildcard(query, said, "? needs two letters or more beside it", stem)
    last = len(tokens) - 1
    return [_word(token, lettered, exact, ending and index == last) for index, token in enumerate(tokens)]


def _bad_wildcard(query: str, said: QueryPiece, message: str, meant: str) -> QueryUnreadable:
    rewrites = [replaced(query, said, each) for each in (meant, meant.replace("?", ""))]
    return QueryUnreadable("WILDCARD_TOO_SHORT", said.start, message, *rewrites, advice="write more of the word")


def _word(token: Token, text: str, exact: bool, ending: bool) -> Word:
    surface = text[token.start : token.end]
    return Word(
        term=_shut(token.term),
        plain=_shut(token.plain),
        linked=token.linked,
        capital=not exact and not ending and ambiguous(surface, token.dotted),
        ending=ending,
        exact=_shut(surface) if exact else "",
    )


def _shut(word: str) -> str:
    """A word that was taken apart, with its ? back."""
    return word.replace(_ANY, "?").replace(_ANY_BOUND, "?")


def _closed(words: Sequence[Word]) -> tuple[Closed, ...]:
    found: list[Closed] = []
    for first in range(len(words)):
        for after in range(first + 2, min(first + JOINED_AT_MOST, len(words)) + 1):
            if not words[after - 1].linked:
                break
            parts = words[first:after]
            plain = "".join(word.plain for word in parts)
            found.append(
                Closed(first, after, Word(closed(word.plain for word in parts), plain, ending=parts[-1].ending))
            )
    return tuple(found)


def _shown(text: str, first: QueryPiece) -> str:
    """A term as its reading says it: in quotes, unless it is a single word that needs none."""
    if first.slack:
        return f'"{text}"~{first.slack}'
    plain = first.kind == "word" or (text not in OPERATORS and re.fullmatch(r"[^\W_]+[*!]?", text))
    return text if plain and " " not in text else f'"{text}"'
