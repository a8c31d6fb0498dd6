"""
JSON payloads made small enough for their receiver.

A receiver refuses a payload that is a few bytes too large; a shortened alert with its link is better than none.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from notifier.message import without_controls

# How long a text and a list may be, in steps: each tried only where the one before left too much.
_STEPS = ((20_000, 1000), (4000, 100), (2000, 50), (1000, 20), (500, 10), (200, 10), (100, 5), (50, 3))
# What JSON writes for a control character, and those that it leaves as they are.
_WRITTEN = re.compile(r"\\[bfru]")
_LEFT = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
LINK = 2000  # characters; half a link leads nowhere, so one of up to this length is never cut


def fitted(payload: Any, most: int) -> bytes:
    """
    The payload as JSON of at most so many bytes, without control characters: its texts cut and its lists shortened no
    more than that takes. Raises ValueError where even that leaves too much.
    """
    if (whole := _as_it_is(payload)) and len(whole) <= most:
        return whole
    for text, items in _STEPS:
        encoded = msgspec.json.encode(_cut(payload, text, items))
        if len(encoded) <= most:
            return encoded
    raise ValueError(f"even shortened it has more than {most:,} bytes")


def _as_it_is(payload: Any) -> bytes:
    """The payload as JSON; none where a control character may be in it. Most have none, and are not walked through."""
    try:
        encoded = msgspec.json.encode(payload)
    except UnicodeEncodeError:  # half a character
        return b""
    text = encoded.decode()
    return b"" if _WRITTEN.search(text) or not (text.isprintable() or not _LEFT.search(text)) else encoded


def cut(text: str, most: int) -> str:
    """At most so many characters, the last an ellipsis where something is missing; without control characters."""
    text = without_controls(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _cut(value: Any, text: int, items: int) -> Any:
    match value:
        case str() if value.startswith(("https://", "http://")) and len(value) <= LINK:
            return without_controls(value)
        case str():
            return cut(value, text)
        case list():
            return [_cut(part, text, items) for part in value[:items]]
        case dict():
            return {without_controls(key): _cut(part, text, items) for key, part in value.items()}
        case _:
            return value
