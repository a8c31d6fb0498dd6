"""
Reads a mail as the standards write it, and forgives nothing: RFC 5322, 2045 to 2047, 2369, 2919, 8058.

Mail programs mend what they are given, each in its own way, so that a mail which one of them shows may be another
mail, or none, to the next. Here the first thing that is not as written raises `Unlawful`. Obsolete syntax is not read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

LONGEST, WORD = 998, 75  # octets of a line, and of an encoded word

# What our mails may have, and no more: a header beyond these was smuggled in.
REQUIRED = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
ALLOWED = frozenset(
    (
        *REQUIRED,
        *("In-Reply-To", "References", "Auto-Submitted", "Feedback-ID", "DKIM-Signature"),
        *("List-Id", "List-Post", "List-Help", "List-Archive", "List-Unsubscribe", "List-Unsubscribe-Post"),
    )
)
UNSTRUCTURED = frozenset({"Subject"})

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOT_ATOM = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_ADDRESS = rf"{_DOT_ATOM}@{_DOMAIN}"
_ADDRESS_UTF8 = rf"(?:{_ATEXT}|[^\x00-\x7f])+(?:\.(?:{_ATEXT}|[^\x00-\x7f])+)*@{_DOMAIN}"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_ENCODED = r"=\?[A-Za-z0-9-]+\?[BbQq]\?[!->@-~]*\?="
_PHRASE = rf"(?:{_QUOTED}|{_ATEXT}+(?: {_ATEXT}+)*|{_ENCODED}(?: {_ENCODED})*)"
_MSG_ID = rf"<{_DOT_ATOM}@{_DOMAIN}>"
_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d{2}:\d{2}:\d{2} [+-]\d{4}"
)
_WEB = r"<https://[A-Za-z0-9.:-]+(?:/[!-;=?-~]*)?>"
_PART = re.compile(r"text/(plain|html); charset=utf-8")
_BOUNDARY = re.compile(r'multipart/alternative; boundary="([0-9A-Za-z\'()+_,./:=?-]{1,70})"')

SHAPES = {
    "From": re.compile(rf"(?:{_PHRASE} <{_ADDRESS}>|{_ADDRESS})"),
    "To": re.compile(_ADDRESS),
    "Date": _DATE,
    "Message-ID": re.compile(_MSG_ID),
    "In-Reply-To": re.compile(_MSG_ID),
    "References": re.compile(rf"{_MSG_ID}(?: {_MSG_ID}){{0,9}}"),
    "MIME-Version": re.compile(r"1\.0"),
    "Content-Type": _BOUNDARY,
    "Auto-Submitted": re.compile(r"auto-generated"),
    "Feedback-ID": re.compile(r"[!-~]{1,200}"),
    "List-Id": re.compile(rf"(?:{_PHRASE} )?<{_DOMAIN}>"),
    "List-Post": re.compile(r"NO"),
    "List-Help": re.compile(_WEB),
    "List-Archive": re.compile(_WEB),
    "List-Unsubscribe": re.compile(rf"{_WEB}(?:, <mailto:{_ADDRESS}(?:\?[!-;=?-~]*)?>)?"),
    "List-Unsubscribe-Post": re.compile(r"List-Unsubscribe=One-Click"),
    "DKIM-Signature": re.compile(r"v=1; [!-~ ]+"),
}


class Unlawful(ValueError):
    """A mail that is not as the standards have it; the words say where."""


class Mail(msgspec.Struct, frozen=True):
    """A mail as it reads: its headers in words, unfolded, in their order, and its texts by kind (`plain`, `html`)."""

    headers: dict[str, str]
    texts: dict[str, str]


def read(data: bytes, *, utf8: bool = False) -> Mail:
    """
    A whole mail (CRLF line ends, without the dots of its way). `utf8` allows a recipient beyond ASCII (RFC 6532).

    Raises `Unlawful`.
    """
    lines = _lines(data)
    if "" not in lines:
        raise Unlawful("no empty line ends the headers")
    at = lines.index("")
    headers = _headers(lines[:at], utf8=utf8)
    if missing := [name for name in REQUIRED if name not in headers]:
        raise Unlawful(f"there is no {missing[0]}")
    if ("List-Unsubscribe" in headers) != ("List-Unsubscribe-Post" in headers):
        raise Unlawful("one click needs both List-Unsubscribe and List-Unsubscribe-Post (RFC 8058, 3.1)")
    boundary = _BOUNDARY.fullmatch(headers["Content-Type"])
    assert boundary is not None
    return Mail(headers, dict(_parts(lines[at + 1 :], boundary[1])))


def _lines(data: bytes) -> list[str]:
    if not data.endswith(b"\r\n"):
        raise Unlawful("the last line has no end")
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", data):
        raise Unlawful("a bare CR, a bare LF or a NUL")
    lines = data.decode("utf-8").removesuffix("\r\n").split("\r\n")
    for number, line in enumerate(lines, 1):
        if len(line.encode()) > LONGEST:
            raise Unlawful(f"line {number} has over {LONGEST} octets")
    return lines


# ---------------------------------------------------------------- headers


def _headers(lines: list[str], *, utf8: bool) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, folded in _fields(lines):
        if name not in ALLOWED:
            raise Unlawful(f"a header {name!r}")
        if name in headers:
            raise Unlawful(f"a second {name}")
        _check_folds(name, folded)
        value = "".join(folded)
        if not re.fullmatch(r"[\t -~]*", value) and not (utf8 and name == "To"):
            raise Unlawful(f"{name} has more than printable ASCII in it")
        if value.startswith(" ") or value.endswith(" ") or "\t" in value:
            raise Unlawful(f"{name} has blanks at its ends, or tabs")
        headers[name] = _worded(name, value, folded, utf8=utf8)
    return headers


def _fields(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The fields of a head: name, and the pieces of the value, of which all but the first begin with a blank."""
    name, folded = "", list[str]()
    for line in lines:
        if line[:1] in {" ", "\t"}:
            if not name or not line.strip():
                raise Unlawful("a fold before the first header, or of blanks alone")
            folded.append(line)
            continue
        if name:
            yield name, folded
        found = re.fullmatch(r"([!-9;-~]+): (.*)", line)
        if not found:
            raise Unlawful(f"no header: {line[:40]!r}")
        name, folded = found[1], [found[2]]
    if name:
        yield name, folded


def _check_folds(name: str, folded: list[str]) -> None:
    """A value begins on its header's line; that of a text for people may be empty."""
    if not folded[0].strip() and (len(folded) > 1 or name not in UNSTRUCTURED):
        raise Unlawful(f"{name} begins with an empty line")


def _worded(name: str, value: str, folded: list[str], *, utf8: bool) -> str:
    """A header's value in words, where it is shaped as it must be."""
    if name not in UNSTRUCTURED:
        shape = re.compile(_ADDRESS_UTF8) if utf8 and name == "To" else SHAPES[name]
        if not shape.fullmatch(value):
            raise Unlawful(f"{name} is not shaped as it must be: {value[:80]!r}")
    if name == "Date":
        _check_date(value)
    if name == "List-Id" and len(value) > 255:
        raise Unlawful("List-Id has over 255 octets (RFC 2919, 3)")
    if name.startswith("List-") and any("<" in piece and ">" not in piece.rpartition("<")[2] for piece in folded):
        raise Unlawful(f"{name} is folded within its brackets")
    if "=?" not in value:
        return value
    if name not in UNSTRUCTURED and not (name == "From" and "=?" not in value[value.rindex("<") :]):
        raise Unlawful(f"an encoded word in {name} (RFC 2047, 5)")
    for line in (f"{name}: {folded[0]}", *folded[1:]):
        if "=?" in line and len(line) > 76:
            raise Unlawful(f"a line of {name} with an encoded word has over 76 characters")
    return _decoded(value)


def _decoded(value: str) -> str:
    """A value with its encoded words put into letters; the blanks between two of them are none of its own."""
    words, before = "", ""
    for piece in re.split(r"( +)", value):
        if not piece or piece.isspace():
            before += piece
            continue
        encoded = re.fullmatch(r"=\?(?P<charset>[A-Za-z0-9-]+)\?(?P<way>[BbQq])\?(?P<text>[!->@-~]*)\?=", piece)
        if encoded is None and "=?" in piece:
            raise Unlawful(f"what is nearly an encoded word: {piece[:80]!r}")
        if encoded is not None:
            if len(piece) > WORD:
                raise Unlawful(f"an encoded word of over {WORD} characters")
            words += ("" if words and before and words.endswith(_END) else before) + _letters(encoded) + _END
        else:
            words += before + piece
        before = ""
    return words.replace(_END, "")


_END = "\0"  # stands behind what was an encoded word; no header has it


def _letters(encoded: re.Match[str]) -> str:
    """Each encoded word holds whole letters (RFC 2047, 5), and nothing that ends a line."""
    if encoded["charset"].lower() != "utf-8":
        raise Unlawful(f"an encoded word in {encoded['charset']}")
    text = encoded["text"]
    try:
        if encoded["way"] in "Bb":
            octets = base64.b64decode(text, validate=True)
        else:
            if not re.fullmatch(r"(?:[!-<>@-~]|=[0-9A-F]{2})*", text):
                raise Unlawful("an encoded word that is badly quoted")
            octets = binascii.a2b_qp(text.encode(), header=True)
        letters = octets.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unlawful("an encoded word that cannot be read") from error
    if re.search(r"[\x00-\x1f\x7f-\x9f]", letters):
        raise Unlawful("an encoded word with a control character in it")
    return letters


def _check_date(value: str) -> None:
    try:
        found = datetime.strptime(value, "%a, %d %b %Y %H:%M:%S %z")
    except ValueError as error:
        raise Unlawful("Date is no date") from error
    if f"{found:%a}" != value[:3]:
        raise Unlawful("Date names the wrong day of the week")


# ---------------------------------------------------------------- bodies


def _parts(lines: list[str], boundary: str) -> Iterator[tuple[str, str]]:
    """Text, then HTML, or text alone (RFC 2046, 5.1): nothing stands before, between or behind them."""
    opening, closing = f"--{boundary}", f"--{boundary}--"
    if not lines or lines[0] != opening or lines[-1] != closing:
        raise Unlawful("something stands before the first part or behind the last")
    inner = lines[:-1]
    if closing in inner or any(line.startswith(opening) and line != opening for line in inner):
        raise Unlawful("the boundary stands in a part")
    begins = [number for number, line in enumerate(inner) if line == opening]
    kinds = []
    for start, end in zip(begins, [*begins[1:], len(inner)], strict=True):
        kind, text = _part(inner[start + 1 : end])
        kinds.append(kind)
        yield kind, text
    if kinds not in (["plain"], ["plain", "html"]):
        raise Unlawful(f"the parts are {kinds}: the plainest goes first")


def _part(lines: list[str]) -> tuple[str, str]:
    if "" not in lines:
        raise Unlawful("a part without an empty line behind its headers")
    at = lines.index("")
    headers = {name: "".join(folded) for name, folded in _fields(lines[:at])}
    if list(headers) != ["Content-Type", "Content-Transfer-Encoding"] or len(lines[:at]) != 2:
        raise Unlawful(f"the headers of a part are {list(headers)}")
    kind = _PART.fullmatch(headers["Content-Type"])
    if kind is None:
        raise Unlawful(f"a part of {headers['Content-Type']}")
    ways = {"quoted-printable": _unquoted, "base64": _unpacked}
    if headers["Content-Transfer-Encoding"] not in ways:
        raise Unlawful(f"a part in {headers['Content-Transfer-Encoding']}")
    try:
        text = ways[headers["Content-Transfer-Encoding"]](lines[at + 1 :]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unlawful("a part that is not UTF-8") from error
    if re.search(r"\r(?!\n)|(?<!\r)\n", text):
        raise Unlawful("a part whose text has a bare CR or LF")
    return kind[1], text.replace("\r\n", "\n")


def _unquoted(lines: list[str]) -> bytes:
    """RFC 2045, 6.7, without its rules for robust readers."""
    octets = b""
    for line in lines:
        if len(line) > 76 or not re.fullmatch(r"(?:[\t -<>-~]|=[0-9A-F]{2})*=?", line):
            raise Unlawful(f"badly quoted: {line[:80]!r}")
        if line.endswith((" ", "\t")):
            raise Unlawful("a quoted line ends with a blank, which servers take away")
        octets += binascii.a2b_qp(line.removesuffix("=").encode()) + (b"" if line.endswith("=") else b"\r\n")
    return octets.removesuffix(b"\r\n")


def _unpacked(lines: list[str]) -> bytes:
    """RFC 2045, 6.8: padding at the end alone, and lines of 76."""
    if any(len(line) > 76 or not line for line in lines) or len({len(line) for line in lines[:-1]}) > 1:
        raise Unlawful("base64 in lines that are empty, too long or ragged")
    try:
        return base64.b64decode("".join(lines), validate=True)
    except binascii.Error as error:
        raise Unlawful("base64 that cannot be read") from error
