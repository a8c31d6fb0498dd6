"""
A Discord payload within Discord's limits, in which nobody is mentioned.

Discord refuses a payload whole for one text too long; a shortened alert with its link is better than none.
"""

from __future__ import annotations

import re
from typing import Any

from notifier.message import without_controls

# Discord's limits, in UTF-16 units (no count of theirs is stricter): the words above, all embeds together, and how many
# embeds, and fields in each.
CONTENT, WHOLE, EMBEDS, FIELDS = 2000, 6000, 10, 25
# Each text of an embed, in the order in which they are given up where all together are too long.
_TEXTS = {"description": 4096, "title": 256, "name": 256, "value": 1024, "text": 2048}
_ALLOWED = ("content", "embeds", "username", "avatar_url")


def within_limits(payload: dict[str, Any]) -> dict[str, Any]:
    """
    The payload such that Discord takes it: texts cut to their limits and without control characters, at most 10 embeds
    of 6,000 letters together, no field without words. No template can have it mention anybody.
    """
    fitted = {key: payload[key] for key in _ALLOWED if payload.get(key)}
    fitted["content"] = cut(str(payload.get("content", "")), CONTENT)
    embeds, left = [], WHOLE
    for embed in list(payload.get("embeds", ()))[:EMBEDS]:
        fits = _embed(embed)
        while length(fits) > left and fits.get("fields"):
            fits["fields"].pop()
        if length(fits) > left:
            others = length(fits) - units(fits.get("description", ""))
            fits["description"] = cut(fits.get("description", ""), max(left - others, 0))
        if length(fits) > left:
            break
        left -= length(fits)
        embeds.append(fits)
    fitted["embeds"] = embeds
    return fitted | {"allowed_mentions": {"parse": []}}


def plain(payload: dict[str, Any]) -> dict[str, Any]:
    """The same without embeds: their titles and links as words."""
    lines = [payload["content"]]
    for embed in payload["embeds"]:
        lines += [str(embed[key]) for key in ("title", "url") if embed.get(key)]
    return {"content": cut("\n".join(lines), CONTENT), "allowed_mentions": {"parse": []}}


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def length(embed: dict[str, Any]) -> int:
    """What Discord counts of an embed: title, description, names and values of fields, author and footer."""
    texts = [embed.get("title", ""), embed.get("description", "")]
    texts += [embed.get("author", {}).get("name", ""), embed.get("footer", {}).get("text", "")]
    texts += [field[key] for field in embed.get("fields", ()) for key in ("name", "value")]
    return sum(map(units, texts))


def cut(text: str, most: int) -> str:
    """
    At most so many UTF-16 units, the last an ellipsis where something is missing; without control characters. No
    backslash is left without what it escapes.
    """
    text = without_controls(text)
    if units(text) <= most:
        return text
    if most < 1:
        return ""
    # A character beyond the basic plane is two units; the half of one at the end is dropped.
    text = text.encode("utf-16-le")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    escapes = re.search(r"\\*$", text)
    return (text[:-1] if escapes and len(escapes[0]) % 2 else text) + "…"


def _embed(embed: dict[str, Any]) -> dict[str, Any]:
    fits: dict[str, Any] = _texts(embed)
    for part, key in (("author", "name"), ("footer", "text")):
        # An issuer may be nothing but control characters, and of them nothing is left.
        if not fits.get(part, {}).get(key, "").strip():
            fits.pop(part, None)
    if "fields" in fits:
        fields = [field for field in fits["fields"] if field.get("name", "").strip() and field.get("value", "").strip()]
        fits["fields"] = fields[:FIELDS]
    return fits


def _texts(value: Any) -> Any:
    """The embed with every text in it made fit."""
    if isinstance(value, list):
        return [_texts(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        key: cut(part, _TEXTS[key]) if isinstance(part, str) and key in _TEXTS else _texts(part)
        for key, part in value.items()
    }
