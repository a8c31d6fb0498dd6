"""Does the watch over pages stay within its bounds, and forget what needs no watching?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from notifier.events.event import Recorded
from notifier.events.statements import StatementPublished
from notifier.feeds import watch
from notifier.feeds.watch import CHECKS, Watch, WatchProgress
from notifier.statement import Statement
from tests.feeds.builders import FEED, NOW


def told(n: int, seen_at: datetime = NOW) -> Recorded:
    """The nth statement, as the log holds it at the nth position."""
    link = f"https://commerce.example/{n}"
    said = Statement(
        id=f"us-commerce/{n}", feed="us-commerce", issuer="US", title="T", fingerprint=f"{n:024x}", link=link
    )
    event = StatementPublished(statement=said, seen_at=seen_at)
    return Recorded(n, event.id, seen_at, event)


def watching(*numbers: int, done: datetime = NOW) -> Watch:
    """A watch over these statements."""
    found = Watch((FEED,), WatchProgress(done))
    for n in numbers:
        found.apply(told(n))
    return found


def test_what_is_due_comes_in_parts_the_longest_overdue_first():
    """A host of pages that became due together is taken so many at a time."""
    all = watching()
    for n, minutes in ((1, 2), (2, 0), (3, 1)):
        all.apply(told(n, NOW + timedelta(minutes=minutes)))

    taken = [[each.id for each in all.take_due(NOW + timedelta(hours=2), most=2)] for _ in range(3)]

    assert taken == [["us-commerce/2", "us-commerce/3"], ["us-commerce/1"], []]


def test_too_many_are_not_watched(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """The oldest are dropped, and the operator is warned once."""
    monkeypatch.setattr(watch, "MOST", 3)

    all = watching(1, 2, 3, 4, 5)

    assert [each.id for each in all.take_due(NOW + CHECKS[0], 10)] == [f"us-commerce/{n}" for n in (3, 4, 5)]
    assert len(caplog.records) == 1


def test_a_restart_folds_from_the_oldest_that_is_watched():
    """Not from the beginning of the log; where nothing is watched, from its end."""
    all = watching(7, 8)
    assert all.position(100) == 6

    for _ in CHECKS:
        for each in all.take_due(NOW + timedelta(days=400), 10):
            all.checked(each, each.mark)

    assert all.position(100) == 100
    assert all.take_due(NOW + timedelta(days=400), 10) == []


def test_a_check_that_is_not_over_keeps_what_is_done_back():
    """Up to it, and no further, all has been done."""
    all = watching(1, 2)
    now = NOW + CHECKS[0]
    one, other = all.take_due(now, 10)

    all.checked(one, now)
    all.postponed(other, now)
    before = all.progress(now)
    all.checked(other, now + timedelta(minutes=10))
    after = all.progress(now + timedelta(minutes=10))

    assert before.done < now
    assert after.done == now + timedelta(minutes=10)
