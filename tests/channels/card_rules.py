"""
What an Adaptive Card may hold here: the parts of schema 1.4 in which text is text.

By the schema explorer of Adaptive Cards, a `TextBlock` and a `Fact` read Markdown and a `TextRun` does not; so foreign
text stands in runs alone, and nothing is sent that fetches, submits or mentions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_RUN = {"type", "text", "size", "weight", "isSubtle", "highlight", "strikethrough", "underline", "italic"}
_FLAGS = {"isSubtle", "highlight", "strikethrough", "underline", "italic"}
_SIZES, _WEIGHTS = {"Small", "Default", "Medium", "Large", "ExtraLarge"}, {"Lighter", "Default", "Bolder"}
_STYLES = {"default", "emphasis", "good", "attention", "warning", "accent"}
_CARD = {"$schema", "type", "version", "fallbackText", "msteams", "body", "actions"}


def faults(message: dict[str, Any]) -> list[str]:
    """Everything in a workflow's message that is no card of text and links."""
    return list(_message(message))


def words(value: Any) -> str:
    """All text of the runs in an element, in order."""
    if isinstance(value, list):
        return "".join(map(words, value))
    if not isinstance(value, dict):
        return ""
    if value.get("type") == "TextRun":
        return str(value["text"])
    return "".join(words(part) for part in value.values())


def _message(message: dict[str, Any]) -> Iterator[str]:
    yield from _keys(message, {"type", "attachments"}, "message")
    (attachment,) = message["attachments"]
    yield from _keys(attachment, {"contentType", "content"}, "attachment")
    card = attachment["content"]
    yield from _keys(card, _CARD, "card")
    if (card["type"], card["version"]) != ("AdaptiveCard", "1.4"):
        yield "an AdaptiveCard 1.4"
    if card.get("msteams", {}) != {"width": "Full"}:
        yield "what is Teams' own says the width alone: entities would be mentions"
    if not card["body"]:
        yield "a card without a body"
    for element in card["body"]:
        yield from _element(element)
    for action in card.get("actions", []):
        yield from _keys(action, {"type", "title", "url"}, "action")
        if action["type"] != "Action.OpenUrl" or urlsplit(action["url"]).scheme not in {"http", "https"}:
            yield f"an action {action['type']!r}"


def _element(element: dict[str, Any]) -> Iterator[str]:
    match element.get("type"):
        case "Container":
            yield from _keys(element, {"type", "style", "spacing", "items"}, "container")
            if element.get("style", "default") not in _STYLES or not element["items"]:
                yield "a container has a known style, and items"
            for item in element["items"]:
                yield from _element(item)
        case "RichTextBlock":
            yield from _keys(element, {"type", "inlines"}, "rich text")
            if not element["inlines"]:
                yield "a rich text without runs"
            for run in element["inlines"]:
                yield from _run(run)
        case other:
            yield f"an element {other!r}"


def _run(run: dict[str, Any]) -> Iterator[str]:
    yield from _keys(run, _RUN, "run")
    if run.get("type") != "TextRun" or not isinstance(run.get("text"), str) or not run["text"]:
        yield f"a run is a TextRun with words: {run}"
    if run.get("size", "Default") not in _SIZES or run.get("weight", "Default") not in _WEIGHTS:
        yield f"no such size or weight: {run}"
    if any(not isinstance(run[flag], bool) for flag in _FLAGS & run.keys()):
        yield f"a flag is true or false: {run}"


def _keys(value: dict[str, Any], allowed: set[str], what: str) -> Iterator[str]:
    if extra := value.keys() - allowed:
        yield f"{what} has {sorted(extra)}"
