"""
A Slack payload within Slack's limits.

Slack refuses a message whole for one text too long; a shortened alert with its link is better than none.
"""

from __future__ import annotations

import re
from typing import Any

from notifier.message import without_controls

# Slack's limits, in characters: a header's text, any other text object, the fallback, the whole; and in blocks.
HEADER, SECTION, FALLBACK, WHOLE, BLOCKS = 150, 3000, 3000, 12_000, 50


def within_limits(payload: dict[str, Any]) -> dict[str, Any]:
    """
    The payload within Slack's limits: texts cut and without control characters, at most 50 blocks and 12,000
    characters.
    """
    fitted: dict[str, Any] = dict(payload, text=_text(str(payload.get("text", "")), FALLBACK, escaped=True))
    blocks = [_cut(block, SECTION) for block in payload.get("blocks", [])][:BLOCKS]
    for block in blocks:
        if block.get("type") == "header":
            block["text"] = _cut(block.get("text", {}), HEADER)
    while blocks and sum(map(_length, blocks)) + len(fitted["text"]) > WHOLE:
        blocks.pop()
    if blocks:
        fitted["blocks"] = blocks
    else:
        fitted.pop("blocks", None)
    return fitted


def _cut(value: Any, most: int) -> Any:
    """The block with every text in it made fit."""
    if isinstance(value, list):
        return [_cut(part, most) for part in value]
    if not isinstance(value, dict):
        return value
    cut = {key: _cut(part, most) for key, part in value.items()}
    if isinstance(cut.get("text"), str):
        cut["text"] = _text(cut["text"], most, escaped=cut.get("type") == "mrkdwn")
    return cut


def _text(text: str, most: int, *, escaped: bool) -> str:
    """At most so many characters; of an escaped text never the half of an entity."""
    text = without_controls(text)
    if len(text) <= most:
        return text
    return re.sub(r"&[a-z]{0,3}$", "", text[:most]) if escaped else text[:most]


def _length(value: Any) -> int:
    if isinstance(value, dict):
        own = value["text"] if isinstance(value.get("text"), str) else ""
        return len(own) + sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0
