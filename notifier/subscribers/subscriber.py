"""
Subscribers as values: their watchlists, their channels, and when they want alerts.
"""

from __future__ import annotations

import msgspec

from notifier.secret import Secret
from notifier.subscribers.timing import Timing
from notifier.watchlists.watchlist import Watchlist

OPERATOR = "(operator)"
"""How the log names the operator; no subscriber's file can have that name."""

MAIL = "email"
"""The kind of channel that leads to a mailbox."""


class Contact(msgspec.Struct, frozen=True):
    """One channel of a subscriber: its `name` in the log, its `kind`, and its address."""

    name: str
    kind: str
    address: Secret


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber: `id` in the log, `name` for people, and `timing`: when they want alerts, in which time zone."""

    id: str
    name: str
    timing: Timing
    watchlists: tuple[Watchlist, ...]
    channels: tuple[Contact, ...]

    @property
    def timezone(self) -> str:
        """An IANA zone's name."""
        return self.timing.timezone
