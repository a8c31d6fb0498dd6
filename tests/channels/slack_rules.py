"""
What Slack's reference says of a message, as a check that is independent of what we write.

Block Kit's limits and required fields as its public reference has them (docs.slack.dev, reference/block-kit), for the
blocks and elements that a template may reasonably use; anything else is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

# The markup that Slack knows beside its three escaped letters: <…> for links, mentions and dates.
_MARKUP = re.compile(r"<[^>]*>|&(?!amp;|lt;|gt;)")
# By type of block: what it may have beside, and what it needs.
_BLOCKS: dict[str, tuple[set[str], set[str]]] = {
    "header": (set(), {"text"}),
    "section": ({"text", "fields", "expand"}, set()),
    "context": (set(), {"elements"}),
    "divider": (set(), set()),
    "rich_text": (set(), {"elements"}),
}
_STYLES = {"bold", "italic", "strike", "code", "highlight", "underline", "client_highlight", "unlink"}


def faults(payload: dict[str, Any]) -> list[str]:
    """Everything in a webhook's payload that Slack would refuse, or take for more than text."""
    return list(_payload(payload))


def words(value: Any) -> str:
    """All text that a reader sees in a block, in order."""
    if isinstance(value, list):
        return "".join(map(words, value))
    if not isinstance(value, dict):
        return ""
    own = value["text"] if isinstance(value.get("text"), str) else ""
    return own + "".join(words(part) for part in value.values())


def _payload(payload: dict[str, Any]) -> Iterator[str]:
    yield from _keys(payload, {"text", "blocks", "unfurl_links", "unfurl_media"}, {"text"}, "message")
    text = payload.get("text", "")
    if not 1 <= len(text) <= 40_000:
        yield "the fallback has 1 to 40,000 characters"
    if _MARKUP.search(text):
        yield f"the fallback has markup: {_MARKUP.search(text)}"
    blocks = payload.get("blocks", [])
    if len(blocks) > 50:
        yield "a message has at most 50 blocks"
    if len(words(blocks)) > 12_000:
        yield "a message has at most 12,000 characters"
    for block in blocks:
        yield from _block(block)


def _block(block: dict[str, Any]) -> Iterator[str]:
    kind = str(block.get("type"))
    if kind not in _BLOCKS:
        yield f"a block of type {kind!r}"
        return
    allowed, needed = _BLOCKS[kind]
    yield from _keys(block, {"type", "block_id", *allowed, *needed}, needed, kind)
    if not needed <= block.keys():
        return
    match kind:
        case "header":
            yield from _text(block["text"], {"plain_text"}, 150)
        case "section":
            yield from _section(block)
        case "context":
            if not 1 <= len(block["elements"]) <= 10:
                yield "a context has 1 to 10 elements"
            for element in block["elements"]:
                yield from _text(element, {"plain_text", "mrkdwn"}, 3000)
        case "rich_text":
            if not block["elements"]:
                yield "a rich_text has elements"
            for element in block["elements"]:
                yield from _rich(element)


def _section(block: dict[str, Any]) -> Iterator[str]:
    fields = block.get("fields", [])
    if not block.get("text") and not fields:
        yield "a section has text or fields"
    if "text" in block:
        yield from _text(block["text"], {"plain_text", "mrkdwn"}, 3000)
    if len(fields) > 10:
        yield "a section has at most 10 fields"
    for field in fields:
        yield from _text(field, {"plain_text", "mrkdwn"}, 2000)


def _rich(element: dict[str, Any]) -> Iterator[str]:
    """An element of a rich_text block, and what stands in it."""
    kind = element.get("type")
    if kind == "rich_text_list":
        allowed = {"type", "elements", "style", "indent", "offset", "border"}
        yield from _keys(element, allowed, {"type", "elements", "style"}, "list")
        if element.get("style") not in {"bullet", "ordered"}:
            yield "a list is of bullets or ordered"
        for item in element["elements"]:
            yield from _rich(item)
    elif kind in {"rich_text_section", "rich_text_quote", "rich_text_preformatted"}:
        yield from _keys(element, {"type", "elements", "border"}, {"type", "elements"}, str(kind))
        if not element["elements"]:
            yield f"a {kind} without elements"
        for item in element["elements"]:
            yield from _run(item)
    else:
        yield f"an element of type {kind!r} in a rich_text"


def _run(item: dict[str, Any]) -> Iterator[str]:
    """A text or a link; a user, a channel, a group, a broadcast or an emoji is more than text."""
    match item.get("type"):
        case "text":
            yield from _keys(item, {"type", "text", "style"}, {"type", "text"}, "text")
            if not item["text"]:
                yield "a text without letters"
        case "link":
            yield from _keys(item, {"type", "url", "text", "style", "unsafe"}, {"type", "url"}, "link")
            if urlsplit(item["url"]).scheme not in {"http", "https"} or len(item["url"]) > 3000:
                yield "a link is an http(s) address of at most 3,000 characters"
        case other:
            yield f"a {other!r} in a rich_text"
    for name, value in item.get("style", {}).items():
        if name not in _STYLES or not isinstance(value, bool):
            yield f"no style {name!r}: {value!r}"


def _text(text: dict[str, Any], kinds: set[str], most: int) -> Iterator[str]:
    """A text object. `mrkdwn` must say `verbatim`, or Slack makes links and mentions of names that it finds."""
    kind = text.get("type")
    if kind not in kinds:
        yield f"a text object of type {kind!r}"
    allowed = {"type", "text", "emoji"} if kind == "plain_text" else {"type", "text", "verbatim"}
    yield from _keys(text, allowed, {"type", "text"}, f"{kind} text")
    if not 1 <= len(text["text"]) <= most:
        yield f"a text of {len(text['text'])} characters where {most} may stand"
    if kind == "plain_text" and text.get("emoji") is not False:
        yield "emoji are made of words unless that is switched off"
    if kind == "mrkdwn" and (text.get("verbatim") is not True or _MARKUP.search(text["text"])):
        yield "mrkdwn that is not verbatim, or has markup"


def _keys(value: dict[str, Any], allowed: set[str], needed: set[str], what: str) -> Iterator[str]:
    if extra := value.keys() - allowed:
        yield f"{what} does not take {sorted(extra)}"
    if missing := needed - value.keys():
        yield f"{what} needs {sorted(missing)}"
