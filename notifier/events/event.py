"""
What happens, as facts in the past tense.

An event's id is a pure function of its cause, so doing a thing twice records it once, on any log and in any process.
It is a UUIDv8 (RFC 9562): 48 bits of time inherited from the root cause, which keep neighbours together in the
index, then a hash of the event's type, its cause and its `key`. The clock on the wall never enters it.

No event carries an address or a secret: a channel is named as the subscriber's file names it, and what lies behind
that name stays in the file. `alert` in the events about deliveries is the id of the `AlertRaised`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """
    Any event. `cause` is the id of the event that led to it; "" for a root, which is born of the outside world.

    `type` is the name on the log, with its version: a changed shape is a new version, and old ones stay readable.
    """

    type: ClassVar[str] = ""

    cause: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells this event from others of its type and cause."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What the event is about, in the sense of CloudEvents: a statement, a feed, or a subscriber."""
        raise NotImplementedError

    @property
    def born_at(self) -> datetime | None:
        """The time that a root event hands down to all that follow from it; only neighbourhood depends on it."""
        return None

    @property
    def id(self) -> str:
        """The event's id: 32 hexadecimal digits of a UUIDv8, with its hyphens."""
        return event_id(self.type, self.cause, self.key, self.born_at)


def event_id(type: str, cause: str, key: tuple[str, ...], born_at: datetime | None) -> str:
    """The UUIDv8 for an event of this type, cause and key; equal input gives the equal id, for ever."""
    if cause:
        prefix = cause[:8] + cause[9:13]
    else:
        milliseconds = int(born_at.timestamp() * 1000) if born_at else 0
        # A date before 1970 is somebody's mistake, and only the neighbourhood suffers; year 9999 has 48 bits.
        prefix = f"{max(milliseconds, 0):012x}"
    # Lengths go in with the parts, so no two lists of parts can run together into one.
    named = f"{len(type)}:{type}{len(cause)}:{cause}"
    for part in key:
        named += f"{len(part)}:{part}"
    hash = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"{prefix[:8]}-{prefix[8:]}-8{hash[:3]}-{_VARIANT[hash[3]]}{hash[4:7]}-{hash[7:19]}"


# The variant of RFC 9562: a digit whose first two bits are 1 and 0.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event in the log, at its `position` (from 1, without gaps), with when it was recorded (UTC)."""

    position: int
    id: str
    recorded_at: datetime
    event: Event
