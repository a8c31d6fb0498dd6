"""
What each character is to the reading of words, as one letter.

A text is first translated into its shapes, one for one, so that the rule that finds words is a short pattern over a
dozen letters and every offset still holds. Word breaking by dictionary (ICU) is not used: it cuts the same Chinese or
Thai words differently from one context to the next.

    a  letter       s  the letter s     0  digit          m  mark on the letter before
    c  a character that is a word of its own: Han, kana, Hangul syllable, Thai, Lao, Khmer, Burmese
    g v t  the parts of a Hangul syllable                 i  invisible: soft hyphen, zero width, variation selector
    '  apostrophe   .  full stop        ,  comma          -  hyphen or dash
    &  ampersand    !  ! or ?           f  a stop that ends a sentence wherever it stands: 。！？ and their like
    )  closes what was opened, quotes included            x  all else, white space among it
"""

from __future__ import annotations

import unicodedata

_SINGLE: dict[str, str] = {
    "s": "sSſｓＳ",
    "'": "'’‘‛＇ʼʻʽʾʿ′`´",
    ".": ".．․",
    ",": ",，",
    "-": "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d",
    "&": "&＆",
    "!": "!?",
    "f": "。｡！？।॥۔؟",
    ")": ")]}\"'”»›）］｝」』】》〉",
    # Tatweel only stretches an Arabic word.
    "i": "\u00ad\u034f\u061c\u0640\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff",
    # The voicing marks of half-width kana are letters by category, and marks to readers.
    "m": "ﾞﾟ",
}
_KNOWN = {ord(sign): shape for shape, signs in reversed(_SINGLE.items()) for sign in signs}
_KNOWN |= dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)], "i")

# First and last code points, so that a letter of these scripts is a word by itself.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # 々〆〇
    (0x3021, 0x30FF),  # kana
    (0x3131, 0x318E),  # Hangul letters
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0xF900, 0xFAFF),
    (0xFF66, 0xFFDC),  # half-width kana and Hangul
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFD),
)
_HANGUL_PARTS = (
    ("g", 0x1100, 0x115F),
    ("g", 0xA960, 0xA97C),
    ("v", 0x1160, 0x11A7),
    ("v", 0xD7B0, 0xD7C6),
    ("t", 0x11A8, 0x11FF),
    ("t", 0xD7CB, 0xD7FB),
)


class _Shapes(dict[int, str]):
    """Shape by code point, worked out on first sight."""

    def __missing__(self, code: int) -> str:
        shape = self[code] = _KNOWN.get(code) or _shape(code)
        return shape


def _shape(code: int) -> str:
    category = unicodedata.category(chr(code))
    for shape, first, last in _HANGUL_PARTS:
        if first <= code <= last:
            return shape
    if category[0] == "L" or category == "Nl":
        return "c" if any(first <= code <= last for first, last in _UNSPACED) else "a"
    if category == "Nd":
        return "0"
    if category[0] == "M":
        return "m"
    if category == "Pd":
        return "-"
    return ")" if category in {"Pe", "Pf"} else "x"


_SHAPES = _Shapes()


def shapes(text: str) -> str:
    """The text, each character replaced by its shape."""
    return text.translate(_SHAPES)
