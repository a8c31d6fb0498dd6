"""Pairs of statements that tell the same news, or do not: story_pairs.toml, read."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from notifier.statement import Statement, fingerprint

NOON = datetime(2020, 6, 29, 12, 0, tzinfo=UTC)


class Pair(msgspec.Struct, frozen=True):
    """Two statements; `missed`: they tell the same news in a way that is not found."""

    name: str
    one: Statement
    other: Statement
    missed: bool


def said(
    by: str, title: str, summary: str = "", *, text: str = "", link: str = "", hours: float = 0, feed: str = ""
) -> Statement:
    """A statement that `by` published so many hours after noon, in a feed of its own."""
    feed = feed or by.casefold().replace(" ", "-")
    return Statement(
        id=f"{feed}/{fingerprint(title, summary, text, link, str(hours))}",
        feed=feed,
        issuer=by,
        title=title,
        summary=summary,
        text=text,
        link=link,
        fingerprint=fingerprint(title, summary, text),
        published_at=NOON + timedelta(hours=hours),
    )


def pairs(kind: str) -> list[Pair]:
    """All pairs of a kind: `same`, `other`, `same_unseen`, `other_unseen`."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))[kind]
    return [
        Pair(table["name"], said(**table["one"]), said(**table["other"]), table.get("missed", False))
        for table in tables
    ]
