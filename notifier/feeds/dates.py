"""
Dates as publishers write them, read strictly: right, or not at all.

Liberal readers take `HKT` for UTC and find a date in anything; an alert with a wrong time is worse than one without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
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

# Hours east of Greenwich. RFC 822 fixes the American ones; left out is what means several things (IST, BST aside from
# London's use in feeds, AST), since half of the readers would be told a wrong hour.
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "mez": 1, "mesz": 2,
    "eet": 2, "eest": 3, "msk": 3, "sast": 2, "hkt": 8, "sgt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10,
    "aedt": 11, "nzst": 12, "nzdt": 13, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
    "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}  # fmt: skip

_WEEKDAY = r"(?:[a-z]{2,9}\.?,?\s*)?"
_TIME = (
    r"(?:,?\s+(?:at\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?(?:\s*(?P<half>[ap]m))?)?"
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
    r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2})(?:[T\s](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<zone>Z|UTC|GMT)?(?P<offset>[+-]\d{2}(?::?\d{2})?)?)?)?",
    re.I,
)


def read_date(raw: str, formats: Iterable[str] = (), zone: str = "UTC") -> datetime | None:
    """
    The moment that a feed's date means, in UTC; None when it cannot be told for certain.

    `formats` are strptime formats that the feed is known to use, tried first. `zone` (IANA) holds where the text
    names none. Read are RFC 822/5322 dates with their usual breakages, RFC 3339/ISO 8601, and `June 29, 2020`.
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
    for pattern in (_ISO, _DAY_FIRST, _MONTH_FIRST):
        if found := pattern.fullmatch(text):
            return _moment(found.groupdict(), zone)
    return None


def _moment(parts: dict[str, str | None], zone: str) -> datetime | None:
    month = parts["month"] or ""
    number = int(month) if month.isdigit() else _MONTHS.get(month.casefold())
    offset = _offset(parts.get("zone"), parts.get("offset"))
    if number is None or offset == "unknown":
        return None
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        hour = hour % 12 + (12 if half.casefold() == "pm" else 0)
    year = int(parts["year"] or 0)
    # Two digits: RFC 5322 4.3.
    year += 2000 if year < 50 else 1900 if year < 1000 else 0
    try:
        moment = datetime(
            year,
            number,
            int(parts["day"] or 1),
            hour,
            int(parts["minute"] or 0),
            min(int(parts["second"] or 0), 59),  # a leap second
            tzinfo=ZoneInfo(zone) if offset is None else timezone(timedelta(minutes=int(offset))),
        )
    except ValueError:
        return None
    return _utc(moment)


def _offset(name: str | None, digits: str | None) -> int | str | None:
    """Minutes east of Greenwich; None when nothing is said, "unknown" for a name that we do not know."""
    if name and name.casefold() not in _ZONES:
        return "unknown"
    if digits:
        sign = -1 if digits[0] == "-" else 1
        plain = digits[1:].replace(":", "")
        hours, minutes = (int(plain), 0) if len(plain) <= 2 else (int(plain[:-2]), int(plain[-2:]))
        return sign * (hours * 60 + minutes) if hours < 24 and minutes < 60 else "unknown"
    return _ZONES[name.casefold()] * 60 if name else None


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
