"""Questions to queries and texts, for the tests of this room."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from hypothesis import settings

from notifier.errors import QueryError
from notifier.statement import Statement, fingerprint
from notifier.watchlists.query import parse
from notifier.watchlists.text import Words
from notifier.watchlists.watchlist import Watchlist

# Tests marked long run with few examples each time, and with many where NOTIFIER_LONG says so.
MANY = settings(max_examples=3000 if os.environ.get("NOTIFIER_LONG") else 150, deadline=None)

# What the issue asks for: the index against the definition, in CI's long run.
EVEN_MORE = settings(max_examples=20_000 if os.environ.get("NOTIFIER_LONG") else 150, deadline=None)


def hits(query: str, text: str | Mapping[str, str]) -> list[str]:
    """What a query highlights: the words of a text, or `field:words` of several fields."""
    if isinstance(text, str):
        return [text[start:end] for start, end in parse(query).search({"body": text}).spans.get("body", [])]
    spans = parse(query).search(text).spans
    return [f"{field}:{text[field][start:end]}" for field, found in spans.items() for start, end in found]


def matches(query: str, text: str) -> bool:
    return parse(query).search({"body": text}).matched


def refused(query: str) -> QueryError:
    with pytest.raises(QueryError) as error:
        parse(query)
    return error.value


def terms(text: str) -> list[str]:
    return Words(text).terms


def watchlist(
    query: str,
    subscriber: str = "desk",
    name: str = "Exports",
    *,
    feeds: tuple[str, ...] = (),
    issuers: tuple[str, ...] = (),
) -> Watchlist:
    return Watchlist(subscriber, name, parse(query), feeds, issuers)


def statement(
    title: str = "",
    text: str = "",
    *,
    summary: str = "",
    feed: str = "us-commerce",
    issuer: str = "US Department of Commerce",
    tags: tuple[str, ...] = (),
) -> Statement:
    return Statement(
        id="s1",
        feed=feed,
        issuer=issuer,
        title=title,
        fingerprint=fingerprint(title, summary, text),
        summary=summary,
        text=text,
        tags=tags,
    )
