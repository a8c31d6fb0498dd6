"""
What Discord's reference says of a webhook's message, and what its Markdown makes of a text.

The limits are those of discord/discord-api-docs (resources/message, embed limits). A text is read sign by sign, so that
every sign which acts is either ours or behind a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_ACTS = set("\\*_~`|>#+-[]()<@:/.!")
# What our forms write themselves: bold, struck out, quotes, links in angle brackets.
_OURS = re.compile(r"\*\*|~~|(?m:^> )|<https?://[!-;=?-~]+>")


def faults(payload: dict[str, Any]) -> list[str]:
    """Everything in a payload that Discord would refuse, or take for more than text."""
    return list(_payload(payload))


def read(text: str) -> tuple[str, str]:
    """The words that a reader sees, and the signs in it that act, beyond those that our forms write."""
    seen, acting, at = "", "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in _ACTS:
            seen, at = seen + text[at + 1], at + 2
        elif ours := _OURS.match(text, at):
            at = ours.end()
        else:
            acting += text[at] if text[at] in _ACTS else ""
            seen, at = seen + text[at], at + 1
    return seen, acting


def _payload(payload: dict[str, Any]) -> Iterator[str]:
    if extra := payload.keys() - {"content", "embeds", "allowed_mentions"}:
        yield f"a message has {sorted(extra)}"
    if payload.get("allowed_mentions") != {"parse": []}:
        yield "somebody could be mentioned"
    yield from _marked("content", payload["content"], 2000)
    embeds = payload.get("embeds", [])
    if len(embeds) > 10 or sum(_letters(embed) for embed in embeds) > 6000:
        yield "at most 10 embeds, 6,000 letters together"
    for embed in embeds:
        yield from _embed(embed)


def _embed(embed: dict[str, Any]) -> Iterator[str]:
    if extra := embed.keys() - {"author", "title", "url", "description", "fields", "footer"}:
        yield f"an embed has {sorted(extra)}"
    if not urlsplit(embed.get("url", "https://x.example")).scheme.startswith("http"):
        yield "a link is http(s)"
    for name, most in (("title", 256), ("description", 4096)):
        if name in embed:
            yield from _marked(name, embed[name], most)
    for name, key, most in (("author", "name", 256), ("footer", "text", 2048)):
        if name in embed and (embed[name].keys() != {key} or not 1 <= len(embed[name][key].strip()) <= most):
            yield f"{name} has a text within its limit, and nothing else"
    fields = embed.get("fields", [])
    if len(fields) > 25:
        yield "at most 25 fields"
    for field in fields:
        if field.keys() != {"name", "value"} or not 1 <= len(field["name"]) <= 256:
            yield f"a field has a name and a value: {field}"
        yield from _marked("value", field["value"], 1024)


def _marked(what: str, text: str, most: int) -> Iterator[str]:
    if not 1 <= len(text) <= most:
        yield f"{what} has {len(text)} letters"
    if acting := read(text)[1]:
        yield f"{what} has signs that act: {acting!r} in {text!r}"


def _letters(embed: dict[str, Any]) -> int:
    texts = [embed.get("title", ""), embed.get("description", "")]
    texts += [embed.get("author", {}).get("name", ""), embed.get("footer", {}).get("text", "")]
    return sum(map(len, texts)) + sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", []))
