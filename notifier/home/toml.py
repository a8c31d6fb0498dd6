"""
A TOML file, with the line of every value in it.

The standard library reads TOML but forgets the lines, which whoever wrote the file needs. So the lines come from a
second look at the text, which also finds keys that are set twice.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from notifier.errors import Mistake

Place = tuple[str | int, ...]  # the way to a value from the top of its file: ("channel", 0, "email")

SIZE, DEPTH = 64 * 1024, 16  # bytes of a file, and brackets or dots within one another: beyond most handwriting

# Each alternative takes in what it begins, also where the closing quote is missing, so that a scan of any text is
# linear.
_TOKEN = re.compile(
    r"""
      (?P<text>  \"{3} (?: \\. | [^\\] )*? (?: \"{3,5} | \Z )  |  '{3} .*? (?: '{3,5} | \Z )
               | " (?: \\[^\n] | [^"\\\n] )* "?  |  ' [^'\n]* '? )
    | (?P<comment> \# [^\n]* )
    | (?P<end>     \n )
    | (?P<mark>    [\[\]{},=.] )
    | (?P<bare>    [^\s\[\]{},=.\#"']+ )
    | \s
    """,
    re.DOTALL | re.VERBOSE,
)
_CONTROL = re.compile(r"[^\n\t -~\x80-\U0010ffff]")


class TomlFile(msgspec.Struct, frozen=True):
    """A file as read: its values, and the line where each is set. `name` is what people call it in messages."""

    name: str
    values: dict[str, Any]
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """The line of a value, or of what it lies in; 0 for what the file does not mention."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def mistake(self, place: Place, problem: str, mend: str = "") -> Mistake:
        """Something wrong at a place in this file."""
        return Mistake(self.name, self.line(place), problem, mend)


def read(path: Path, name: str, size: int = SIZE) -> TomlFile | Mistake:
    """
    The file, or what keeps it from being read: not TOML, not UTF-8, over `size` bytes, a key set twice, ….

    Raises OSError where it cannot be opened.
    """
    with path.open("rb") as file:
        data = file.read(size + 1)
    try:
        text = _decoded(data, size)
        return TomlFile(name, lines=_Lines(text).found, values=tomllib.loads(text))
    except _Unreadable as error:
        return Mistake(name, error.line, error.problem, error.mend)
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number of thousands of digits
        return _not_toml(name, str(error), last=data.count(b"\n") + 1)


class _Unreadable(Exception):
    def __init__(self, line: int, problem: str, mend: str = "") -> None:
        super().__init__(problem)
        self.line, self.problem, self.mend = line, problem, mend


def _decoded(data: bytes, size: int) -> str:
    if len(data) > size:
        raise _Unreadable(0, f"this file has over {size // 1024:,} KiB", "split it")
    if data.startswith(b"\xef\xbb\xbf"):
        raise _Unreadable(1, "this file begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _Unreadable(data.count(b"\n", 0, error.start) + 1, "this is not UTF-8", "save it as UTF-8") from error
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise _Unreadable(line, f"there is a control character (U+{ord(control[0]):04X}) here", "remove it")
    return text


def _not_toml(name: str, said: str, last: int) -> Mistake:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", said)
    if place is None:
        return Mistake(name, 0, "a number in this file is too long", 'text goes in "quotes"')
    # The parser's words are about grammar and repeat no value, so no secret gets out with them.
    problem, mend = said[: place.start()], ""
    if problem == "Invalid value":
        mend = 'text goes in "quotes"'
    return Mistake(name, int(place[1] or last), f"this is not TOML ({problem[:1].lower()}{problem[1:]})", mend)


class _Lines:
    """
    Where each table, key and list element of a text stands. Knows only as much TOML as that takes: what is no TOML
    passes here, and is refused by the parser after.
    """

    def __init__(self, text: str) -> None:
        self.found: dict[Place, int] = {}
        self._table: Place = ()
        self._tables: dict[Place, int] = {}  # how many there are so far in a list of tables
        for tokens, lines in _statements(text):
            if tokens[0] == "[":
                self._header(tokens, lines[0])
            elif "=" in tokens:
                self._assignment(tokens, lines)

    def _header(self, tokens: Sequence[str], line: int) -> None:
        place: Place = ()
        *parents, last = _keys(tokens, line)
        for key in parents:
            place = (*place, key)
            # A list of tables named on the way means the last one in it.
            place = (*place, self._tables[place] - 1) if place in self._tables else place
        place = (*place, last)
        if tokens[1:2] == ["["]:
            self._tables[place] = self._tables.get(place, 0) + 1
            place = (*place, self._tables[place] - 1)
        self._table = place
        self._set(place, line)

    def _assignment(self, tokens: Sequence[str], lines: Sequence[int]) -> None:
        equals = tokens.index("=")
        place = (*self._table, *_keys(tokens[:equals], lines[0]))
        self._set(place, lines[0])
        if tokens[equals + 1 : equals + 2] != ["["]:
            return
        index, depth = 0, 0
        for piece, line in zip(tokens[equals + 2 :], lines[equals + 2 :], strict=True):
            if piece == "," and depth == 0:
                index += 1
            else:
                self.found.setdefault((*place, index), line)
                depth += _opened(piece)

    def _set(self, place: Place, line: int) -> None:
        if before := self.found.get(place):
            raise _Unreadable(line, f"this is set a second time, after line {before}", "keep one of them")
        self.found[place] = line


def _statements(text: str) -> Iterator[tuple[list[str], list[int]]]:
    """Headers and assignments, each as its tokens and their lines; a value in brackets may run over many lines."""
    line, depth = 1, 0
    tokens, lines = list[str](), list[int]()
    for match in _TOKEN.finditer(text):
        token, kind = match[0], match.lastgroup
        if kind == "end" and tokens and (depth <= 0 or tokens[0] == "["):
            yield tokens, lines
            tokens, lines, depth = [], [], 0
        elif kind in {"text", "mark", "bare"}:
            tokens.append(token)
            lines.append(line)
            depth += _opened(token)
            if depth > DEPTH:
                raise _Unreadable(line, f"brackets are nested over {DEPTH} deep here")
        line += token.count("\n")
    if tokens:
        yield tokens, lines


def _opened(token: str) -> int:
    return (token in {"[", "{"}) - (token in {"]", "}"})


def _keys(tokens: Sequence[str], line: int) -> list[str]:
    keys = [token for token in tokens if token not in {"[", "]", "."}]
    if len(keys) > DEPTH:
        raise _Unreadable(line, f"a key of over {DEPTH} parts is here")
    return [tomllib.loads(f"key = {key}")["key"] if key[0] in "\"'" else key for key in keys] or [""]
