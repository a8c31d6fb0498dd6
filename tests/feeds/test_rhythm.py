"""When is each feed polled next?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifier.feeds.feed import Feed
from notifier.feeds.rhythm import JITTER, LONGEST_WAIT, SLOWEST, Rhythm


def feed(id: str = "us-press", every: float = 300.0) -> Feed:
    return Feed(id=id, url=f"https://{id}.example/feed", issuer="Press office", every=every)


def steady(*feeds: Feed, now: float = 0.0) -> Rhythm:
    """A rhythm without jitter."""
    return Rhythm(feeds, now, lambda: 0.5)


def waits(rhythm: Rhythm, polled: Feed, failures: int) -> list[float]:
    return [rhythm.polled(polled, 0, failed=True) for _ in range(failures)]


def test_all_feeds_are_due_at_the_start() -> None:
    """A restart makes nobody wait, and keeps to the order of the settings."""
    feeds = [feed("c"), feed("a"), feed("b")]

    assert steady(*feeds, now=7.0).due(7.0) == feeds


def test_a_feed_under_way_is_not_given_out_again() -> None:
    """However late it is, a feed is polled once at a time."""
    rhythm = steady(feed())
    rhythm.due(0)

    assert rhythm.due(1_000_000) == []
    assert rhythm.next_due() is None


def test_a_polled_feed_is_due_after_its_interval() -> None:
    """The interval counts from the end of the poll; not a moment earlier is the feed due."""
    rhythm = steady(feed(every=300))
    rhythm.due(0)

    assert rhythm.polled(feed(every=300), 20, failed=False) == 300

    assert rhythm.next_due() == 320
    assert rhythm.due(319.9) == []
    assert rhythm.due(320) == [feed(every=300)]


def test_the_longest_overdue_comes_first() -> None:
    """After a pause, feeds are polled in the order in which they became due."""
    slow, quick = feed("slow", every=600), feed("quick", every=60)
    rhythm = steady(slow, quick)
    rhythm.due(0)
    rhythm.polled(slow, 0, failed=False)
    rhythm.polled(quick, 0, failed=False)

    assert rhythm.due(5_000) == [quick, slow]


def test_failures_in_a_row_slow_a_feed_down() -> None:
    """One failure changes nothing; each more doubles the interval, up to an hour."""
    rhythm = steady(feed(every=300))

    assert waits(rhythm, feed(every=300), 7) == [300, 600, 1200, 2400, SLOWEST, SLOWEST, SLOWEST]


def test_a_feed_that_works_again_keeps_its_interval() -> None:
    """One good poll forgets the failures."""
    rhythm = steady(feed(every=300))
    waits(rhythm, feed(every=300), 5)

    assert rhythm.polled(feed(every=300), 0, failed=False) == 300
    assert rhythm.polled(feed(every=300), 0, failed=True) == 300


def test_failures_never_make_a_slow_feed_quicker() -> None:
    """A feed that is asked once a day is asked no oftener because it fails."""
    rhythm = steady(feed(every=86_400))

    assert waits(rhythm, feed(every=86_400), 4) == [86_400] * 4


def test_a_feed_that_fails_for_years_is_still_asked() -> None:
    """No number of failures is too many to count."""
    rhythm = steady(feed(every=30))

    assert waits(rhythm, feed(every=30), 5_000)[-1] == SLOWEST
    assert rhythm.next_due() is not None


def test_a_servers_wish_to_wait_is_kept() -> None:
    """Retry-After lengthens the wait, never shortens it, and holds us off for a day at the most."""
    rhythm = steady(feed(every=300))

    def wait(after: float) -> float:
        return rhythm.polled(feed(every=300), 0, failed=False, after=after)

    assert [wait(after) for after in (0, 299, 301, 7_200, 10_000_000)] == [300, 300, 301, 7_200, LONGEST_WAIT]


def test_feeds_of_one_interval_spread_out() -> None:
    """A tenth to either side, as chance has it."""
    early, late = Rhythm([feed()], 0, lambda: 0.0), Rhythm([feed()], 0, lambda: 1.0)

    assert early.polled(feed(every=300), 0, failed=False) == 300 * (1 - JITTER)
    assert late.polled(feed(every=300), 0, failed=False) == 300 * (1 + JITTER)


def test_a_hurried_feed_is_due_sooner() -> None:
    """Once, and only where it would have come later; the others keep their turn."""
    slow, quick = feed("slow", every=600), feed("quick", every=300)
    rhythm = steady(slow, quick)
    rhythm.due(0)
    rhythm.polled(slow, 0, failed=False)
    rhythm.polled(quick, 0, failed=False)

    rhythm.hurry("slow", 50)
    rhythm.hurry("slow", 100)
    rhythm.hurry("quick", 400)
    rhythm.hurry("unknown", 0)

    assert rhythm.next_due() == 50
    assert [rhythm.due(now) for now in (49, 50, 299, 300)] == [[], [slow], [], [quick]]
    rhythm.polled(slow, 60, failed=False)
    assert [rhythm.due(now) for now in (600, 660)] == [[], [slow]]


def test_a_feed_hurried_while_it_is_polled_is_polled_once_more() -> None:
    """What came in between may not be in the answer that is under way; but a wish to wait goes before."""
    rhythm = steady(feed())
    rhythm.due(0)
    rhythm.hurry("us-press", 60)
    rhythm.hurry("us-press", 60)

    assert rhythm.due(59) == []
    assert rhythm.polled(feed(), 10, failed=False) == 50
    assert [rhythm.due(now) for now in (59, 60)] == [[], [feed()]]
    assert rhythm.polled(feed(), 70, failed=False) == 300
    rhythm.due(370)
    rhythm.hurry("us-press", 380)
    assert rhythm.polled(feed(), 375, failed=True, after=500) == 500


@given(
    st.lists(st.tuples(st.floats(0, 10_000), st.booleans(), st.none() | st.floats(0, 1e6)), max_size=60),
    st.floats(0, 1),
)
def test_no_due_feed_is_lost(steps: list[tuple[float, bool, float | None]], chance: float) -> None:
    """Whatever happens and however long it takes, each feed is either under way or due at some time."""
    feeds = [feed(f"f{number}", every=30.0 * (number + 1)) for number in range(5)]
    rhythm, now = Rhythm(feeds, 0, lambda: chance), 0.0
    for passed, failed, after in steps:
        now += passed
        rhythm.hurry(f"f{int(passed) % 6}", now)
        taken = rhythm.due(now)
        rhythm.hurry(f"f{int(passed) % 5}", now + passed)
        for due in taken:
            rhythm.polled(due, now, failed=failed, after=after)

    assert sorted(due.id for due in rhythm.due(now + LONGEST_WAIT + 1)) == [each.id for each in feeds]
