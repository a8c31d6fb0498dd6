"""
Real entries, each as if another feed had told it: which of them are taken for the same news?

Nearly all are different news by the same hand, after the same forms; so whatever is joined wrongly shows here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from notifier.alerts.features import Features, features_of
from notifier.alerts.stories import Stories, same_news
from notifier.errors import Refused
from notifier.feeds.parsers import Parser
from notifier.statement import Statement
from tests.corpus.test_feeds import NO_FEEDS, NOW, ROWS, named, reading_of, recorded

# What one text in two files is, and a docket's line that its court gave twice.
ONE_TEXT = {
    ("uk-govuk-finder-fcdo-poll1.atom", "uk-govuk-finder-fcdo-poll2.atom"): 1,
    ("uk-govuk-org-ecju-poll1.atom", "uk-govuk-org-ecju-poll2.atom"): 2,
    ("us-whitehouse-sitefeed-poll1.xml", "us-whitehouse-sitefeed-poll2.xml"): 1,
    ("us-whitehouse-sitefeed-poll1.xml", "us-whitehouse-blog-2011.xml"): 2,
    ("us-whitehouse-sitefeed-poll2.xml", "us-whitehouse-blog-2011.xml"): 1,
    ("us-uscourts-nysb-pacer.xml", "us-uscourts-nysb-pacer.xml"): 1,
    ("nodejs-poll2.xml", "nodejs-poll3.xml"): 1,
}
_NUMBER, _NAME = re.compile(r"\b\d+\b"), re.compile(r"\b[A-Z][a-z]{5,}\b")


@pytest.fixture(scope="module")
async def entries() -> list[tuple[str, Statement]]:
    """Every statement of every feed, with the file it is in; each the only one of a feed of its own."""
    parser, found = Parser(), dict[tuple[str, str], Statement]()
    try:
        for row in ROWS:
            if row.category not in NO_FEEDS:
                try:
                    reading = await reading_of(parser, row.file)
                except Refused:
                    continue
                for statement in recorded(reading):
                    found.setdefault((named(row).rpartition("/")[2], statement.id), statement)
    finally:
        await parser.close()
    return [
        (file, msgspec.structs.replace(statement, id=f"feed-{n}/1", feed=f"feed-{n}"))
        for n, ((file, _), statement) in enumerate(found.items())
    ]


def told(of: Statement, position: int = 0) -> Features:
    return features_of(position, str(position), of, NOW)


async def test_no_two_entries_are_taken_for_one(entries: list[tuple[str, Statement]]):
    """But for those that are one text, in two files."""
    tellings = [told(statement, n) for n, (_, statement) in enumerate(entries)]
    stories = Stories()

    joined = Counter[tuple[str, str]]()
    for n, each in enumerate(tellings):
        like = [int(id) for id in stories.earlier(each) if same_news(tellings[int(id)], each)]
        joined.update((entries[id][0], entries[n][0]) for id in like)
        stories.add(each)

    assert len(entries) > 1_000
    assert joined == ONE_TEXT


def cut_off(of: Statement) -> Statement:
    words = (of.summary or of.text).split()
    return msgspec.structs.replace(of, summary=" ".join(words[:40]) + (" …" if len(words) > 40 else ""), text="")


def with_a_beginning(of: Statement) -> Statement:
    return msgspec.structs.replace(of, summary=f"FOR IMMEDIATE RELEASE\nWASHINGTON – {of.summary}")


def with_a_longer_title(of: Statement) -> Statement:
    return msgspec.structs.replace(of, title=f"{of.title} - Press Release")


@pytest.mark.parametrize("copied", [cut_off, with_a_beginning, with_a_longer_title], ids=lambda copied: copied.__name__)
async def test_copies_of_real_entries_are_known_again(
    entries: list[tuple[str, Statement]], copied: Callable[[Statement], Statement]
):
    """Of those with fifteen words and more, 99 in a hundred, at another address."""
    long = [statement for _, statement in entries if told(statement).length >= 15]

    known = sum(same_news(told(each), told(elsewhere(copied(each)), 1)) for each in long)

    assert len(long) > 900
    assert known >= 0.99 * len(long)


@pytest.mark.parametrize(("part", "other"), [(_NUMBER, "4711"), (_NAME, "Ruritania")], ids=["a number", "a name"])
async def test_a_form_that_was_filled_in_otherwise_is_other_news(
    entries: list[tuple[str, Statement]], part: re.Pattern[str], other: str
):
    """One number or name of an entry is another throughout: at most one in a hundred is taken for the same news."""
    changed = [pair for _, statement in entries if (pair := filled_in_otherwise(statement, part, other))]

    joined = sum(same_news(told(one), told(two, 1)) for one, two in changed)

    assert len(changed) > 500
    assert joined <= 0.01 * len(changed)


def filled_in_otherwise(of: Statement, part: re.Pattern[str], other: str) -> tuple[Statement, Statement] | None:
    """A statement's beginning, and the same with one of its numbers or names replaced."""
    one = msgspec.structs.replace(of, summary=" ".join(of.summary.split()[:100]), text="")
    found = [word for word in part.findall(f"{one.title} {one.summary}") if word.casefold() not in _SAID_BY_ALL]
    if not found:
        return None
    word = re.compile(rf"\b{found[len(found) // 2]}\b")
    two = msgspec.structs.replace(one, title=word.sub(other, one.title), summary=word.sub(other, one.summary))
    return one, elsewhere(two)


# Words with which anybody may head anything.
_SAID_BY_ALL = {"release", "releases", "released", "office", "statement", "monday", "tuesday", "wednesday", "thursday"}
_SAID_BY_ALL |= {"friday", "saturday", "sunday", "washington", "united", "states", "department", "commission", "bureau"}
_SAID_BY_ALL |= {"agency", "notice", "remarks", "public", "secretary", "briefing", "announces", "issues", "kingdom"}


def elsewhere(of: Statement) -> Statement:
    return msgspec.structs.replace(
        of, id="copies/1", feed="copies", issuer="Ministry of Copies", link="https://copies.example/1"
    )
