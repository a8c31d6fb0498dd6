"""
How fast one address may be written to.

Slack takes a message a second, others more, and each may ask for peace. Who does not keep to it is shut out, and with
him everyone whose messages go to the same address; so it is the address that waits, whoever writes to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from notifier.errors import TryLater

PATIENCE = 5.0  # seconds that a turn is waited for; who waits longer is better told when to come again


class Pace:
    """
    Turns to write to an address: one every so many seconds, and none while the address asked for peace.

    `clock` counts seconds from anywhere and never goes back, `rest` waits for some.
    """

    def __init__(
        self,
        every: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._every = every
        self._clock = clock
        self._rest = rest
        self._free_at: dict[str, float] = {}

    async def turn(self, address: str) -> None:
        """Return when it is the caller's turn. Raises `TryLater` with the wait where that is long."""
        now = self._clock()
        free_at = self._free_at.get(address, now)
        wait = free_at - now
        if wait > PATIENCE:
            told = "the address has asked for peace, or many messages wait for it; nothing was sent"
            raise TryLater(told, outcome="throttled", after=wait)
        self._free_at[address] = max(free_at, now) + self._every
        if wait > 0:
            await self._rest(wait)

    def hold(self, address: str, seconds: float) -> None:
        """Let nobody write to this address for so long."""
        self._free_at[address] = max(self._free_at.get(address, 0.0), self._clock() + seconds)
