"""Is everybody told when he wants to be, on every day of the year?"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.subscribers.timing import (
    BURST,
    LONGEST,
    MANY,
    NOTHING,
    QUIET,
    WITHIN,
    Timing,
    burst_over,
    first_instant,
    held,
    last_moment,
    most_immediate,
    next_moment,
    quiet_until,
)
from tests.examples import examples

# Clocks that change by an hour, by half of one, at midnight, under the equator, near the date line, and never.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Casablanca",
    "America/Nuuk",
    "Pacific/Chatham",
    "Asia/Kolkata",
    "UTC",
)
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
MOMENTS = st.integers(1_577_836_800, 1_893_455_999).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)  # 2020–2029


def days(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(number) for number in range((date(year + 1, 1, 1) - first).days)]


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


# ---------------------------------------------------------------- moments


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "at", [time(0), time(0, 30), time(1, 30), time(2), time(2, 30), time(8), time(23, 30)], ids=str
)
@pytest.mark.parametrize("year", [2020, 2024])
def test_a_daily_digest_comes_once_a_day(zone: str, at: time, year: int) -> None:
    """From one moment to the next, a year has one of each day, never two and never none."""
    timing = Timing(timezone=zone, frequency="daily", digest_at=at)
    moment = first_instant(zone, date(year - 1, 12, 31), at)

    moments = [moment := next_moment("daily", timing, moment) for _ in days(year)]

    assert moments == sorted(set(moments))
    told = [wall(moment, zone) for moment in moments]
    # Only where that time is skipped, and the gap ends at midnight, does a day's digest come with the next day's date.
    late = [day for day, each in zip(days(year), told, strict=True) if each.date() != day]
    assert all(first_instant(zone, day, at) == first_instant(zone, day + timedelta(1), time(0)) for day in late)
    off = [each for each in told if each.time() != at]
    assert len(off) <= 2
    for each in off:
        assert each - datetime.combine(each.date(), at) <= timedelta(hours=1)


@given(st.sampled_from(ZONES), st.dates(date(1995, 1, 1), date(2029, 1, 1)), TIMES)
def test_a_moment_is_the_first_instant_that_a_clock_reads_it_or_later(zone: str, day: date, at: time) -> None:
    """The second before reads earlier: true in gaps, where it is read never, and in folds, where it is read twice."""
    moment = first_instant(zone, day, at)

    assert wall(moment, zone) >= datetime.combine(day, at)
    assert wall(moment - timedelta(seconds=1), zone) < datetime.combine(day, at)


@pytest.mark.parametrize(
    ("zone", "day", "at", "expected"),
    [
        ("Europe/Berlin", date(2020, 3, 29), time(2, 30), utc(2020, 3, 29, 1)),
        ("Europe/Berlin", date(2020, 10, 25), time(2, 30), utc(2020, 10, 25, 0, 30)),
        ("Asia/Beirut", date(2020, 3, 29), time(0, 30), utc(2020, 3, 28, 22)),
        ("Australia/Lord_Howe", date(2020, 10, 4), time(2, 15), utc(2020, 10, 3, 15, 30)),
        ("Pacific/Apia", date(2011, 12, 30), time(8), utc(2011, 12, 30, 10)),
    ],
    ids=["skipped", "twice", "skipped at midnight", "half an hour", "a day that was none"],
)
def test_clocks_that_change(zone: str, day: date, at: time, expected: datetime) -> None:
    """What is skipped comes at the end of the gap, what comes twice the first time."""
    assert first_instant(zone, day, at) == expected


def test_a_weekly_digest_comes_on_its_day() -> None:
    """Fridays at eight in Hong Kong, from any moment of the week before."""
    timing = Timing(timezone="Asia/Hong_Kong", frequency="weekly", digest_on=4)

    for hours in range(7 * 24):
        assert next_moment("weekly", timing, utc(2020, 6, 26) + timedelta(hours=hours)) == utc(2020, 7, 3)


@pytest.mark.parametrize("zone", ZONES)
def test_an_hourly_digest_comes_at_the_full_hour(zone: str) -> None:
    """The reader's hour, which in Kolkata begins at half past; across a year never over an hour apart."""
    timing = Timing(timezone=zone, frequency="hourly")
    moment = utc(2024, 1, 1, 0, 10)
    off = 0

    for _ in range(366 * 24):
        after, moment = moment, next_moment("hourly", timing, moment)
        assert timedelta(0) < moment - after <= timedelta(hours=1)
        off += wall(moment, zone).minute != 0
    # Where clocks change by half an hour, the hour in which they do.
    assert off == (2 if zone == "Australia/Lord_Howe" else 0)


@given(st.sampled_from(ZONES), st.sampled_from(["hourly", "daily", "weekly"]), MOMENTS, st.integers(0, 60 * 24 * 20))
def test_the_last_moment_is_the_one_before_the_next(zone: str, period: str, now: datetime, minutes: int) -> None:
    """However long nobody looked, the last that was missed is found; none where none was."""
    timing = Timing(timezone=zone, frequency="daily", digest_at=time(2, 30), digest_on=6)
    after = now - timedelta(minutes=minutes)

    last = last_moment(period, timing, after, now)

    upcoming = next_moment(period, timing, now)
    assert next_moment(period, timing, after if last is None else last) == upcoming
    assert last is None or after < last <= now


# ---------------------------------------------------------------- quiet hours


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (utc(2020, 6, 29, 13, 59), None),
        (utc(2020, 6, 29, 14), utc(2020, 6, 29, 23)),
        (utc(2020, 6, 29, 16, 30), utc(2020, 6, 29, 23)),
        (utc(2020, 6, 29, 22, 59, 59), utc(2020, 6, 29, 23)),
        (utc(2020, 6, 29, 23), None),
    ],
)
def test_quiet_hours_pass_midnight(at: datetime, until: datetime | None) -> None:
    """From ten in the evening to seven in Hong Kong, in which a day begins."""
    timing = Timing(timezone="Asia/Hong_Kong", quiet_from=time(22), quiet_until=time(7))

    assert quiet_until(timing, at) == until


def test_without_quiet_hours_it_is_never_quiet() -> None:
    """Nobody has any unless he says so."""
    assert quiet_until(Timing(), utc(2020, 6, 29, 3)) is None


@given(st.sampled_from(ZONES), TIMES, TIMES, MOMENTS)
def test_quiet_hours_end(zone: str, begin: time, end: time, at: datetime) -> None:
    """Whatever they are, their end is near, later than now, and not quiet; the second before it is."""
    timing = Timing(timezone=zone, quiet_from=begin, quiet_until=end)

    until = quiet_until(timing, at)

    if until is not None:
        assert at < until <= at + timedelta(hours=25)
        assert quiet_until(timing, until) is None
        assert quiet_until(timing, until - timedelta(seconds=1)) == until


# ---------------------------------------------------------------- bursts

MINUTE = timedelta(minutes=1)
NOON = utc(2020, 6, 29, 12)
ALWAYS = Timing()


def waits(moments: list[datetime], timing: Timing = ALWAYS) -> list[str]:
    """What alerts of these moments wait for, one after another."""
    lately, found = NOTHING, []
    for at in moments:
        found.append(held("", timing, at, lately))
        lately = lately.after(found[-1], at)
    return found


def test_the_first_of_many_come_at_once_and_the_others_wait() -> None:
    """Five within ten minutes are not too many; what comes on top waits."""
    assert waits([NOON + MINUTE * number for number in range(8)]) == [""] * 5 + [BURST] * 3


def test_what_comes_now_and_then_is_no_burst() -> None:
    """Five an hour, for a day."""
    assert set(waits([NOON + 12 * MINUTE * number for number in range(120)])) == {""}


def test_a_burst_is_over_once_it_was_quiet() -> None:
    """Ten minutes after its last alert, the next comes at once."""
    first = [NOON] * 7
    last = NOON + 9 * MINUTE

    assert waits([*first, last, last + WITHIN - timedelta(seconds=1)])[-2:] == [BURST, BURST]
    assert waits([*first, last, last + WITHIN])[-2:] == [BURST, ""]


def test_a_burst_does_not_go_on_for_ever() -> None:
    """However many come, nobody waits for over half an hour; then it begins anew."""
    found = waits([NOON + MINUTE * number for number in range(60)])

    assert found == [""] * 5 + [BURST] * 30 + [""] * 5 + [BURST] * 20


@examples(300)
@given(st.lists(st.integers(0, 1500), max_size=120))
def test_nobody_is_overrun_and_nothing_waits_for_long(gaps: list[int]) -> None:
    """Never more than five at once within ten minutes, and of each that waits its burst is over within half an hour."""
    moments = [NOON]
    for gap in gaps:
        moments.append(moments[-1] + timedelta(seconds=gap))

    found = waits(moments)

    at_once = [at for at, wait in zip(moments, found, strict=True) if not wait]
    assert found[0] == ""
    assert len(found) == len(moments)
    for number, at in enumerate(at_once[MANY:], MANY):
        assert at - at_once[number - MANY] >= WITHIN
    burst: list[datetime] = []
    for at, wait in [*zip(moments, found, strict=True), (moments[-1] + 2 * LONGEST, "")]:
        if wait == BURST:
            burst.append(at)
        elif burst:
            assert burst_over(burst[0], burst[-1]) <= at
            assert burst_over(burst[0], burst[-1]) <= burst[0] + LONGEST
            burst = []


def test_what_decides_has_an_order() -> None:
    """A digest that was asked for is that, by day and by night; quiet hours come before bursts."""
    quiet = Timing(quiet_from=time(11), quiet_until=time(13))

    assert held("daily", quiet, NOON, NOTHING) == "daily"
    assert waits([NOON] * 9, quiet) == [QUIET] * 9
    assert most_immediate(["weekly", "immediately", "daily"]) == ""
    assert most_immediate(["weekly", "hourly", "daily"]) == "hourly"
