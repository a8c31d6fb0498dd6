"""Dates as publishers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feeds.reading.dates import read_date

EVENING = datetime(2020, 6, 29, 21, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [
        "Mon, 29 Jun 2020 21:00:00 GMT",
        "Mon, 29 Jun 2020 21:00:00 +0000",
        "Mon, 29 Jun 2020 17:00:00 -0400",
        "Mon, 29 Jun 2020 17:00:00 EDT",
        "Mon, 29 Jun 2020 21:00 Z",
        "29 Jun 2020 21:00:00 UT",
        "Mon,29 Jun 2020 21:0:0 GMT".replace("21:0:0", "21:00:0"),
        "Monday, 29 June 2020 21:00:00 GMT",
        "mon, 29 JUN 2020 21:00:00 gmt",
        "Mon, 29-Jun-2020 21:00:00 GMT",
        "  Mon,  29   Jun 2020\n 21:00:00  GMT ",
        "Tue, 30 Jun 2020 06:00:00 GMT+9",
        "Mon, 29 Jun 2020 21:00:00 +0000 (UTC)",
        "Mon, 29 Jun 20 21:00:00 GMT",
        "Tue, 30 Jun 2020 02:30:00 +0530",
        "2020-06-29T21:00:00Z",
        "2020-06-29T21:00:00.123+00:00",
        "2020-06-29T17:00:00-04:00",
        "2020-06-29 21:00:00 +0000",
        "2020-06-29 21:00",
        "June 29, 2020 9:00 PM",
        "Monday, June 29, 2020 - 21:00",
        "2020年6月29日 21:00",
        "2020年06月29日21時00分",
    ],
)
def test_a_moment_is_read_however_it_is_written(raw: str):
    """RFC 822 and 3339 with their usual breakages, and the forms of American and Chinese pages, mean one moment."""
    assert read_date(raw) == EVENING


@pytest.mark.parametrize(
    "raw", ["2020-06-30", "30 Jun 2020", "June 30, 2020", "Tuesday, June 30, 2020", "2020年6月30日"]
)
def test_a_day_is_the_midnight_that_began_it(raw: str):
    """A date without a time starts its day in the feed's own zone."""
    assert read_date(raw) == datetime(2020, 6, 30, tzinfo=UTC)
    assert read_date(raw, zone="Asia/Hong_Kong") == datetime(2020, 6, 29, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "hour"),
    [
        ("30 Jun 2020 12:00 HKT", 4),
        ("30 Jun 2020 12:00 JST", 3),
        ("30 Jun 2020 12:00 BST", 11),
        ("30 Jun 2020 12:00 CET", 11),
        ("30 Jun 2020 12:00 CEST", 10),
        ("30 Jun 2020 12:00 EST", 17),
        ("30 Jun 2020 12:00 EDT", 16),
    ],
)
def test_an_abbreviation_means_its_offset(raw: str, hour: int):
    """Zones that mean one thing the world over are known by name; liberal readers take HKT for UTC."""
    assert read_date(raw) == datetime(2020, 6, 30, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "zone", "hour"),
    [
        ("30 Jun 2020 12:00 EST", "America/New_York", 16),
        ("30 Jan 2020 12:00 EST", "America/New_York", 17),
        ("30 Jun 2020 12:00 CET", "Europe/Berlin", 10),
        ("30 Jan 2020 12:00 CET", "Europe/Berlin", 11),
        ("30 Jan 2020 12:00 BST", "Europe/London", 12),
        ("30 Jun 2020 12:00 BST", "Europe/London", 11),
        ("30 Jun 2020 12:00 CST", "Asia/Shanghai", 4),
        ("30 Jun 2020 12:00 IST", "Asia/Kolkata", 6),
    ],
)
def test_the_feeds_own_zone_is_the_clock_on_its_wall(raw: str, zone: str, hour: int):
    """Some write EST all year round and mean what their clock shows; an abbreviation of the own zone follows it."""
    moment = read_date(raw, zone=zone)

    assert moment is not None
    assert moment.hour == hour


@pytest.mark.parametrize(
    ("raw", "format", "zone", "meant"),
    [
        ("12/30/2022", "%m/%d/%Y", "America/Los_Angeles", datetime(2022, 12, 30, 8, tzinfo=UTC)),
        ("26-10-02  10:45", "%y-%m-%d %H:%M", "Europe/Vienna", datetime(2026, 10, 2, 8, 45, tzinfo=UTC)),
        ("30/06/2020 12:00 +0800", "%d/%m/%Y %H:%M %z", "UTC", datetime(2020, 6, 30, 4, tzinfo=UTC)),
    ],
)
def test_a_feeds_own_format_is_tried_first(raw: str, format: str, zone: str, meant: datetime):
    """What only the feed's declaration can tell is read by it, in its zone where the text names none."""
    assert read_date(raw) is None
    assert read_date(raw, (format,), zone) == meant
    assert read_date("Mon, 29 Jun 2020 21:00:00 GMT", (format,), zone) == EVENING


@pytest.mark.parametrize(
    ("raw", "year"), [("1 Jan 20", 2020), ("1 Jan 49", 2049), ("1 Jan 50", 1950), ("1 Jan 99", 1999)]
)
def test_two_digits_are_a_year_of_our_time(raw: str, year: int):
    """RFC 5322: below 50 is this century, from 50 the last."""
    assert read_date(raw) == datetime(year, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "tomorrow",
        "12/30/2022",
        "06/07/2020",
        "26-10-02 10:45",
        "05 Agustus 2019",
        "Seg, 24 Set 2018",
        "30 Jun 2020 12:00 IST",
        "30 Jun 2020 12:00 XYZ",
        "31 Jun 2020",
        "30 Jun 2020 25:00",
        "30 Jun 2020 12:61",
        "30 Jun 2020 13:00 am",
        "30 Jun 2020 12:00 +2500",
        "1518478934",
        "30 Jun 2020 and more",
        "Mon, 01 Jan 0001 00:00:00 +0000",
        "0001-01-01T00:00:00Z",
        "0020-06-29",
        "x" * 5_000,
    ],
)
def test_what_is_not_certain_is_no_date(raw: str):
    """Ambiguous, foreign, impossible or empty: an alert with a wrong time is worse than one without."""
    assert read_date(raw) is None


def test_a_leap_second_is_the_last_of_its_minute():
    """A sixty-first second does not cost the date."""
    assert read_date("Sat, 31 Dec 2016 23:59:60 GMT") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2049, 1, 1)))  # noqa: DTZ001 the zone is said below
def test_any_well_written_date_is_read_back(moment: datetime):
    """A date as the standards write it comes back to the second."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)

    assert read_date(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == moment
    assert read_date(moment.isoformat()) == moment
    assert read_date(moment.strftime("%d %b %y %H:%M:%S +0000")) == moment


@given(st.text(max_size=50), st.sampled_from(["UTC", "Asia/Hong_Kong", "America/New_York"]))
def test_any_text_is_a_date_or_none(raw: str, zone: str):
    """Nothing is raised, and what is found is in UTC."""
    moment = read_date(raw, zone=zone)

    assert moment is None or moment.tzinfo is UTC
