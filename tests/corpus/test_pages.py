"""
Real pages before and after a change, found by the steps as they run: each gives exactly what is known of it.

The files are third parties' (`../shared/data/feeds`, with a manifest that tells the truth about each pair), so these
tests read them by path and skip where they are not.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.eventlog.memory import MemoryLog
from notifier.eventlog.wording import wording_before
from notifier.events.statements import PageRead, StatementPublished, StatementRevised
from notifier.feeds import govuk
from notifier.feeds.feed import Feed
from notifier.feeds.fetch import Fetcher
from notifier.feeds.parsers import PAGES, Parsers
from notifier.feeds.visit import Visitor
from notifier.guard import networks
from notifier.statement import Statement
from notifier.steps.read_pages import PageReader
from notifier.steps.recheck import Rechecker
from notifier.watchlists.change import revised
from tests.builders import NOON, Clock, events
from tests.feeds.servers import answer, serving

DATA = Path(__file__).parents[2] / "../shared/data/feeds"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the corpus of real feeds is not beside this checkout")


def html(name: str) -> bytes:
    return answer(200, (DATA / "gov-html-pair" / name).read_bytes(), Content_Type="text/html; charset=utf-8")


async def history(*visits: bytes) -> tuple[MemoryLog, list[PageRead], list[StatementRevised]]:
    """A page that shows these answers: read when its statement is new, and asked again at each check."""
    clock = Clock()
    log, fetcher, parsers = MemoryLog(clock), Fetcher(allow=networks(["127.0.0.0/8"])), Parsers(child=PAGES)
    try:
        async with serving({"/1": visits}) as server:
            feed = Feed(id="us-gov", url=server.url(), issuer="US")
            visitor = Visitor(fetcher, parsers)
            rechecker = Rechecker(log, visitor, [feed], clock)
            await rechecker.catch_up()
            said = Statement(
                id="us-gov/1", feed="us-gov", issuer="US", title="A page", fingerprint="0" * 24, link=server.url("/1")
            )
            await log.append([StatementPublished(statement=said, seen_at=NOON)])
            await PageReader(log, visitor, [feed], clock, lambda: 0.5).run()
            for wait in (timedelta(hours=1), timedelta(days=1), timedelta(days=7)):
                clock.now = NOON + wait
                await rechecker.run()
    finally:
        await fetcher.close()
        await parsers.close()
    return log, await events(log, PageRead), await events(log, StatementRevised)


# Each pair, whether its change is one, and a word that went with it.
PAIRS = [
    ("us-doe-china-energy", True, "Obama"),
    ("us-epa-adaptation", True, "Executive"),
    ("us-doi-mission", False, ""),
]


@pytest.mark.parametrize(("page", "changed", "word"), PAIRS)
async def test_a_pair_gives_the_revision_that_its_note_calls_for(page: str, changed: bool, word: str) -> None:
    """A changed text is one revision, whose words before and after tell what went; a changed footer is none."""
    log, read, changes = await history(html(f"{page}-a.html"), html(f"{page}-b.html"))

    assert len(read) == 1
    assert len(changes) == changed
    for change in changes:
        before = await wording_before(log, change)
        assert before is not None
        assert any(word in passage.text for passage in revised(before, change.statement).removed)


async def test_a_page_that_goes_back_raises_nothing_more() -> None:
    """A, B, A, B of a real page: the one edit is recorded once."""
    before, after = html("us-epa-adaptation-a.html"), html("us-epa-adaptation-b.html")

    _, read, changes = await history(before, after, before, after)

    assert (len(read), len(changes)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "changed_on"),
    [
        ("uk-govuk-press-release.json", "2013-01-28"),
        ("uk-govuk-publication-change-history.json", "2012-11-01"),
        ("uk-govuk-gone.json", "2016-09-26"),
    ],
)
def test_gov_uk_s_own_answers_are_read(name: str, changed_on: str) -> None:
    """Only official changes count, and an empty notice is not a withdrawal."""
    told = govuk.record_of((DATA / "gov-json" / name).read_bytes())

    assert told.changed_at is not None
    assert (told.changed_at.date().isoformat(), told.withdrawn) == (changed_on, "")
