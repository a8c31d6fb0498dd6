"""
A text that is encoded once for many, with slots where they differ.

Hundreds of readers get the same alert, except for a name and a link. The common text is encoded for mail (RFC 2045)
once; each reader's own text is encoded and set in between. No line of the result begins with a dot, so that none has to
be stuffed (RFC 5321, 4.5.2), and none is longer than 76.
"""

from __future__ import annotations

import binascii
import functools
import re
from collections.abc import Iterable, Mapping, Sequence

WIDTH = 76  # columns of an encoded line (RFC 2045, 6.7 and 6.8)
KEPT = 512  # fillings that are kept encoded: many are named twice in a mail, or share a watchlist
_SOFT = b"=\r\n"  # a line end that is none

_LINE_ENDS = re.compile("\r\n?")
_DOTS = re.compile(rb"(?m)^(\.+)(.*)$")
_TOKENS = re.compile(rb"=..|[^=]")
_PLAIN = re.compile(r"(?!\.)[ -<>-~]{0,70}(?<! )")

# What stands in place of each mark.
Fills = Mapping[str, str]


class Part:
    """
    One form of a message: its text except for the slots, encoded.

    `encoding` is its Content-Transfer-Encoding. `literals` are the texts around the slots, and `marks` name the slots.
    Scripts other than Latin cost nine bytes a letter when quoted, four in base64; the common text decides which is
    used, so it is the same for every reader. Under base64 a slot cannot be filled on its own: the literals are plain
    then, and the part is `packed` for each reader.
    """

    def __init__(self, text: str, marks: Iterable[str]) -> None:
        literals, self.marks = parted(_unified(text), marks)
        quoted = [_quoted(literal) for literal in literals]
        size = sum(len(literal.encode()) for literal in literals)
        self.is_packed = sum(map(len, quoted)) > 1.5 * size
        self.encoding = "base64" if self.is_packed else "quoted-printable"
        self.literals = [literal.encode() for literal in literals] if self.is_packed else _joinable(literals, quoted)

    def packed(self, fills: Fills) -> bytes:
        """The whole part for one in base64, CRLF line ends, without the last of them."""
        pieces = [self.literals[0]]
        for mark, literal in zip(self.marks, self.literals[1:], strict=True):
            pieces += (_unified(fills[mark]).encode(), literal)
        return _packed(b"".join(pieces))


def parted(text: str, marks: Iterable[str]) -> tuple[list[str], list[str]]:
    """The text split at its marks: the texts around them, and the marks in order."""
    either = "|".join(map(re.escape, marks))
    if not either:
        return [text], []
    pieces = re.split(f"({either})", text)
    return pieces[::2], pieces[1::2]


def _unified(text: str) -> str:
    return _LINE_ENDS.sub("\n", text) if "\r" in text else text


def _joinable(literals: Sequence[str], quoted: Sequence[bytes]) -> list[bytes]:
    """
    The quoted literals with soft line ends around each slot, so that whatever is filled in has lines of its own.

    Where the text has a line end itself, it is enough.
    """
    pieces = []
    last = len(literals) - 1
    for number, (literal, piece) in enumerate(zip(literals, quoted, strict=True)):
        opened = number > 0 and not literal.startswith("\n") and (literal or number < last)
        closed = number < last and literal and not literal.endswith("\n")
        pieces.append((_SOFT if opened else b"") + (_open_ended(piece) + _SOFT if closed else piece))
    # A part's last line is ended by what follows it.
    pieces[-1] = _without_end(pieces[-1])
    return pieces


def _without_end(piece: bytes) -> bytes:
    while piece.endswith(b"\r\n") and not piece.endswith(_SOFT):
        piece = piece[:-2]
    return piece


@functools.lru_cache(maxsize=KEPT)
def slot(text: str) -> bytes:
    """What stands in a slot of a quoted part, as lines of their own."""
    if _PLAIN.fullmatch(text):
        return text.encode("ascii")
    return _open_ended(_quoted(_unified(text)))


def _quoted(text: str) -> bytes:
    """Text with `\\n` line ends as quoted-printable (RFC 2045, 6.7) with CRLF, and no dot at the start of a line."""
    quoted = binascii.b2a_qp(text.encode(), istext=True)
    if quoted.startswith(b".") or b"\n." in quoted:
        quoted = _DOTS.sub(_dots, quoted)
    return quoted.replace(b"\n", b"\r\n")


def _dots(line: re.Match[bytes]) -> bytes:
    """A line that begins with dots, the dots encoded: in front of the rest where there is room, else above it."""
    dots, rest = len(line[1]), line[2]
    if 3 * dots + len(rest) <= WIDTH:
        return b"=2E" * dots + rest
    full, left = divmod(dots, WIDTH // 3)
    lines = [b"=2E" * (WIDTH // 3)] * full + ([b"=2E" * left] if left else [])
    return b"=\n".join([*lines, rest] if rest else lines)


def _open_ended(quoted: bytes) -> bytes:
    """Quoted text whose last line has room for the sign of a soft line end."""
    start = quoted.rfind(b"\n") + 1
    if len(quoted) - start < WIDTH:
        return quoted
    *tokens, last = _TOKENS.findall(quoted[start:])
    return quoted[:start] + b"".join(tokens) + _SOFT + (b"=2E" if last == b"." else last)


def _packed(text: bytes) -> bytes:
    """Text in base64. Under it the line ends are data, and text in mail has CRLF (RFC 2046, 4.1.1)."""
    packed = binascii.b2a_base64(text.replace(b"\n", b"\r\n"), newline=False)
    return b"\r\n".join([packed[at : at + WIDTH] for at in range(0, len(packed), WIDTH)])
