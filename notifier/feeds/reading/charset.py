"""
Decode a document whose declared character set may be wrong.

Bytes are hardly ever valid UTF-8 by chance, so bytes that are valid UTF-8 are decoded as such whatever they declare; a
declaration counts for others, and Western European is the last guess.
"""

from __future__ import annotations

import re

# Names of character sets and the codec for each: as in the WHATWG's Encoding standard, a superset replaces the sets
# that it extends. Only these: Python also has codecs that are not character sets (`zip`, `undefined`, `punycode`).
_CODECS = {
    "utf-8": "utf-8", "utf8": "utf-8", "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
    "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252",
    "cp1252": "cp1252", "windows-1252": "cp1252", "iso-8859-9": "cp1254", "tis-620": "cp874", "windows-874": "cp874",
    "koi8-r": "koi8-r", "koi8-u": "koi8-u", "ibm866": "cp866", "cp866": "cp866", "macintosh": "mac-roman",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "x-gbk": "gb18030", "hz-gb-2312": "hz",
    "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "x-x-big5": "big5hkscs",
    "shift-jis": "cp932", "shiftjis": "cp932", "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932",
    "euc-jp": "euc-jp", "x-euc-jp": "euc-jp", "iso-2022-jp": "iso-2022-jp",
    "euc-kr": "cp949", "ks-c-5601-1987": "cp949", "windows-949": "cp949",
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-125{part}": f"cp125{part}" for part in (0, 1, 3, 4, 5, 6, 7, 8)},
}  # fmt: skip
_SEVEN_BIT = {"iso-2022-jp", "hz"}
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WIDE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))

_IN_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'>]{0,40})""")
_IN_HEADER = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.I)


def decode_text(body: bytes, content_type: str = "") -> tuple[str, str]:
    """
    The text of a document, and a warning for the operator if its character set was guessed, else "".

    In this order: a byte order mark, UTF-8 if the bytes are valid, the XML declaration, the `Content-Type` header,
    windows-1252. What cannot be decoded becomes U+FFFD.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace"), ""
    for start, codec in _WIDE:
        if body.startswith(start):
            return body.decode(codec, "replace"), ""
    declared = _declared(body, content_type)
    codec = next((_CODECS[name] for name in declared if name in _CODECS), "")
    if codec not in _SEVEN_BIT:
        text = body.decode("utf-8", "replace")
        if _mostly_right(text):
            return text, ""
    if not codec or codec.startswith("utf"):
        charset = f"declares {declared[0]}" if declared else "does not declare its charset"
        return body.decode("cp1252", "replace"), f"it {charset}, and is not UTF-8; it is read as Western European"
    return body.decode(codec, "replace"), ""


def _declared(body: bytes, content_type: str) -> list[str]:
    found = _IN_XML.search(body[:400])
    names = [found.group(1).decode("ascii", "replace")] if found else []
    if named := _IN_HEADER.search(content_type[:400]):
        names.append(named.group(1))
    return ["".join(c for c in name.lower().replace("_", "-") if c.isprintable()) for name in names]


def _mostly_right(text: str) -> bool:
    """Is this UTF-8 apart from a few broken bytes, or a last character that was cut in two?"""
    wrong = text.count("\ufffd")
    if not wrong:
        return True
    if text[-1] == "\ufffd":
        wrong -= 1
    return wrong * 10 <= sum(character > "\x7f" and character != "\ufffd" for character in text)
