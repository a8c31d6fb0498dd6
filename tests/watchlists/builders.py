"""Questions to queries and texts, for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from notifier.errors import QueryError
from notifier.statement import Statement, fingerprint
from notifier.watchlists.query import parse
from notifier.watchlists.text import Words
from notifier.watchlists.watchlist import Watchlist
from tests.examples import examples

MANY = examples(150, 3_000)
EVEN_MORE = examples(150, 20_000)


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
