"""
How fast messages may be sent to one address.

Slack accepts a message a second, others more, and each may ask for a pause. A sender that ignores this is blocked, and
with it everyone whose messages go to the same address; so the pause is kept for the address, whoever writes to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MANY = 10_000  # addresses that are remembered; those whose time is past are forgotten beyond that


class Pace:
    """
    Turns to write to an address: one every so many seconds, and none while the address asked for peace.

    `clock` counts seconds from anywhere and never goes back.
    """

    def __init__(self, every: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._free_at: dict[str, float] = {}

    def turn(self, address: str) -> float:
        """Take the address's next turn and return 0; or the seconds until there may be one, and take none."""
        now = self._clock()
        free_at = self._free_at.get(address, now)
        if free_at > now:
            return free_at - now
        if self._every:
            self._free_at[address] = now + self._every
        else:
            self._free_at.pop(address, None)
        if len(self._free_at) > MANY:
            self._free_at = {each: at for each, at in self._free_at.items() if at > now}
        return 0.0

    def hold(self, address: str, seconds: float) -> None:
        """Let nobody write to this address for so long."""
        self._free_at[address] = max(self._free_at.get(address, 0.0), self._clock() + seconds)
