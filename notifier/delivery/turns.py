"""
Whose turn is it, of the lanes that are due on one kind of channel?

Urgent ones come first, but not only they; places (a mail domain, a web host) take turns; and a place that is slow, dead
or asks for peace costs nobody else more than a few of the messages that may be under way at once.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from notifier.delivery.outbox import Lane

# Turns in a row that each class of urgency gets while others wait: weighted, so that none starves.
WEIGHTS = (8, 4, 2)
# Messages under way to a place that we know nothing of. Each that is handed over allows one more.
FIRST = 3
# Seconds that a place or a whole way out is left alone after its first, second, … failure in a row. Then one message
# is tried, and the others only if that went well.
HOLDS: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
# The whole way out is the operator's own: once it is mended, nobody shall wait for long.
OUR_OWN = 60.0
# Ends in a row that say the same of their place before it is believed, where each may be the fault of one address.
STRIKES = 3
KEPT = 1_000  # places, at least, that are remembered once they are idle
SPREAD = 0.2  # of a wait, added by chance, so that not all come back together


class _Place:
    """One host or domain: how many messages are under way there, may be, and who waits, by urgency."""

    __slots__ = ("failures", "held_until", "listed", "most", "strikes", "trusted", "under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: tuple[deque[Lane], ...] = tuple(deque() for _ in WEIGHTS)
        self.under_way = 0
        self.most = FIRST
        self.trusted = True
        self.failures = self.strikes = 0
        self.held_until: datetime | None = None
        self.listed = [False] * len(WEIGHTS)  # does it stand in the round of each class?

    def is_open(self) -> bool:
        return self.held_until is None and self.under_way < self.most


class Turns:
    """
    The lanes that wait for one kind of channel. `at_once` is how many messages may be under way on it.

    A lane is added once, given out by `next`, and stays out until it is added again; what was given out is returned
    with `over`. Nothing here looks at a clock: `now` is handed in.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._under_way = 0
        self._distrusted = 0
        self._places: dict[str, _Place] = {}
        self._rounds: tuple[deque[str], ...] = tuple(deque() for _ in WEIGHTS)
        self._credit = list(WEIGHTS)
        self._holds: list[tuple[datetime, str]] = []
        self._route = _Place()
        self._route.most = at_once
        self._waiting = 0

    def __len__(self) -> int:
        """How many lanes wait."""
        return self._waiting

    def add(self, lane: Lane, place: str, urgency: int) -> None:
        """A lane waits for a turn; `urgency` is a class from 0, the most urgent."""
        at = self._at(place)
        at.waiting[urgency].append(lane)
        self._waiting += 1
        self._list(place, at, urgency)

    def next(self, now: datetime) -> tuple[Lane, str] | None:
        """The lane whose turn it is, and its place; None where none may go now."""
        self._let_go(now)
        if self._route.held_until is not None or self._under_way >= self._route.most:
            return None
        for urgency in self._order():
            if (found := self._from_round(urgency)) is not None:
                self._credit[urgency] -= 1
                return found
        return None

    def over(self, place: str, *, well: bool | None) -> None:
        """
        A message that was given its turn has ended: answered, one way or another, where `well`; None where nothing was
        sent. Silence halves what may be under way there, and costs the place its good name.
        """
        at = self._places[place]
        self._under_way -= 1
        at.under_way -= 1
        if not at.trusted:
            self._distrusted -= 1
        if well:
            at.strikes = 0
            for each in (at, self._route):
                # What was begun before a hold says nothing of the time after it.
                if each.held_until is None:
                    each.failures = 0
                    each.most += each.most < self._at_once
            if not at.trusted and at.held_until is None:
                at.trusted = True
                self._distrusted -= at.under_way
        elif well is not None:
            at.most = max(at.most // 2, 1)
            self._distrust(at)
        self._relist(place, at)
        self._forget(place, at)

    def struck(self, place: str) -> bool:
        """An end that may be its address's fault, or its place's: is it time to believe the latter?"""
        at = self._at(place)
        at.strikes += 1
        return at.strikes >= STRIKES or at.failures > 0

    def hold(
        self,
        place: str | None,
        now: datetime,
        seconds: float,
        random: Callable[[], float],
        *,
        busy: bool = False,
    ) -> datetime:
        """
        Give out nothing for a place (None: for the whole kind of channel); returns until when.

        The hold lasts the given seconds, or longer if its failures in a row suggest so. After that one message is
        tried; if the place was only too `busy`, half as many as were under way.
        """
        at = self._route if place is None else self._at(place)
        if at.held_until is not None and at.held_until > now:
            return at.held_until  # those who were under way together failed together
        step = min(HOLDS[min(at.failures, len(HOLDS) - 1)], HOLDS[-1] if place is not None else OUR_OWN)
        at.failures += 1
        at.held_until = now + timedelta(seconds=max(step, seconds) * (1 + SPREAD * random()))
        under_way = self._under_way if place is None else at.under_way
        at.most = max(min(at.most, under_way) // 2, 1) if busy else 1
        if place is not None:
            self._distrust(at)
            heapq.heappush(self._holds, (at.held_until, place))
        return at.held_until

    # ---------------------------------------------------------------- inside

    def _at(self, place: str) -> _Place:
        at = self._places.get(place)
        if at is None:
            at = self._places[place] = _Place()
        return at

    def _order(self) -> list[int]:
        """The classes in the order in which they may go now: those with credit left first."""
        waiting = [urgency for urgency, places in enumerate(self._rounds) if places]
        if max([self._credit[urgency] for urgency in waiting], default=1) <= 0:
            self._credit = list(WEIGHTS)
        return waiting if len(waiting) < 2 else sorted(waiting, key=lambda urgency: self._credit[urgency] <= 0)

    def _from_round(self, urgency: int) -> tuple[Lane, str] | None:
        places = self._rounds[urgency]
        for _ in range(len(places)):
            place = places.popleft()
            at = self._places[place]  # whoever waits is not forgotten
            at.listed[urgency] = False
            if not at.waiting[urgency] or not at.is_open():
                continue  # listed again when it opens
            # Places that fell silent last time share half of what may be under way.
            if not at.trusted and self._distrusted >= max(self._at_once // 2, 1):
                self._list(place, at, urgency)
                continue
            lane = at.waiting[urgency].popleft()
            self._waiting -= 1
            self._under_way += 1
            at.under_way += 1
            self._distrusted += not at.trusted
            self._list(place, at, urgency)
            return lane, place
        return None

    def _list(self, place: str, at: _Place, urgency: int) -> None:
        if at.waiting[urgency] and not at.listed[urgency] and at.is_open():
            at.listed[urgency] = True
            self._rounds[urgency].append(place)

    def _relist(self, place: str, at: _Place) -> None:
        for urgency, waiting in enumerate(at.waiting):
            if waiting:
                self._list(place, at, urgency)

    def _distrust(self, at: _Place) -> None:
        if at.trusted:
            at.trusted = False
            self._distrusted += at.under_way

    def _let_go(self, now: datetime) -> None:
        if self._route.held_until is not None and self._route.held_until <= now:
            self._route.held_until = None
        while self._holds and self._holds[0][0] <= now:
            until, place = heapq.heappop(self._holds)
            at = self._places.get(place)
            if at is not None and at.held_until == until:
                at.held_until = None
                self._relist(place, at)
                self._forget(place, at)

    def _forget(self, place: str, at: _Place) -> None:
        """Keep nothing of a place that is idle and well; a thousand hosts come and go."""
        if len(self._places) <= KEPT or at.under_way or at.failures or at.held_until is not None:
            return
        if not any(at.waiting):
            del self._places[place]
