"""
Parse dates as publishers write them, strictly: a date that is not certain is not returned.

Lenient parsers take `HKT` for UTC and find a date in anything; an alert with a wrong time is worse than one without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ),
        1,
    )
    for name in names.split()
}

# Hours east of Greenwich. RFC 822 fixes the American ones; ambiguous abbreviations (IST, AST) are left out. A feed's
# own zone comes first: CST is +8 in Shanghai.
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "mez": 1, "mesz": 2,
    "eet": 2, "eest": 3, "msk": 3, "sast": 2, "hkt": 8, "sgt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10,
    "aedt": 11, "nzst": 12, "nzdt": 13, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
    "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}  # fmt: skip

_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,?\s*)?"
_TIME = (
    r"(?:,?\s+(?:at\s+|-\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{1,2})(?:\.\d+)?)?"
    r"(?:\s*(?P<half>[ap]m))?)?"
)
_OFFSET = r"(?:\s*(?P<zone>[a-z]{1,5})?\s*(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?(?:\s*\([^)]*\))?)?"

_DAY_FIRST = re.compile(
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]+(?P<month>[a-z]{{3,9}})\.?,?[\s-]+(?P<year>\d{{4}}|\d{{2}}){_TIME}{_OFFSET}",
    re.I,
)
_MONTH_FIRST = re.compile(
    rf"{_WEEKDAY}(?P<month>[a-z]{{3,9}})\.?\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}){_TIME}{_OFFSET}", re.I
)
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?:[T\s](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<zone>[a-z]{1,5})?\s*(?P<offset>[+-]\d{2}(?::?\d{2})?)?)?",
    re.I,
)
_HAN = re.compile(
    r"(?P<year>\d{4})\s*年\s*(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*日"
    r"(?:\s*(?P<hour>\d{1,2})[:時时点](?P<minute>\d{2})(?:[:分](?P<second>\d{2})?秒?)?)?"
)


def read_date(raw: str, formats: Iterable[str] = (), zone: str = "UTC") -> datetime | None:
    """
    The time in UTC that a feed's date means; None if that is not certain.

    `formats` are strptime formats that the feed is known to use, tried first. `zone` (IANA name) is used if the text
    has no zone, or has the abbreviation of this one. Other known forms are RFC 822/5322 with the usual mistakes,
    RFC 3339/ISO 8601, `June 29, 2020` and `2020年6月30日`; a date without a time means 00:00.
    """
    text = " ".join(raw.split())
    if not text or len(text) > 100:
        return None
    for format in formats:
        try:
            moment = datetime.strptime(text, format)  # noqa: DTZ007 the zone follows
        except ValueError:
            continue
        return _utc(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))
    for pattern in (_ISO, _DAY_FIRST, _MONTH_FIRST, _HAN):
        if found := pattern.fullmatch(text):
            return _moment(found.groupdict(), zone)
    return None


def _moment(parts: dict[str, str | None], zone: str) -> datetime | None:
    month = parts["month"] or ""
    number = int(month) if month.isdigit() else _MONTHS.get(month.casefold())
    if number is None:
        return None
    hour = int(parts.get("hour") or 0)
    if half := (parts.get("half") or "").casefold():
        if half == "am" and hour > 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    digits = parts["year"] or ""
    year = int(digits)
    if len(digits) == 2:
        # RFC 5322 4.3.
        year += 2000 if year < 50 else 1900
    if year < 1900:
        # Some software writes the year 1 for a missing date.
        return None
    second = int(parts.get("second") or 0)
    try:
        moment = datetime(
            year,
            number,
            int(parts["day"] or 1),
            hour,
            int(parts.get("minute") or 0),
            min(second, 59) if second <= 60 else second,  # a leap second
            tzinfo=_zone(parts.get("zone") or "", parts.get("offset") or "", year, ZoneInfo(zone)),
        )
    except ValueError:
        return None
    return _utc(moment)


def _zone(name: str, digits: str, year: int, own: ZoneInfo) -> tzinfo:
    """A date's zone by offset or abbreviation, or the feed's own. Raises ValueError for an unknown one."""
    name = name.casefold()
    if digits and (not name or name in _ZONES):
        sign = -1 if digits[0] == "-" else 1
        plain = digits[1:].replace(":", "")
        hours, minutes = (int(plain), 0) if len(plain) <= 2 else (int(plain[:-2]), int(plain[-2:]))
        if hours > 14 or minutes > 59:
            raise ValueError(f"not an offset from UTC: {digits}")
        return timezone(sign * timedelta(hours=hours, minutes=minutes))
    # Summer and winter names: some publishers write EST all year and mean their local time.
    if not name or name in {str(datetime(year, month, 1, tzinfo=own).tzname()).casefold() for month in (1, 7)}:
        return own
    if name not in _ZONES:
        raise ValueError(f"an unknown zone: {name}")
    return timezone(timedelta(hours=_ZONES[name]))


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
