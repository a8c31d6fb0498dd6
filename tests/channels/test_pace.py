"""Does an address get its messages at its pace, and peace when it asks for it?"""

from __future__ import annotations

import pytest

from notifier.channels.pace import Pace
from notifier.errors import TryLater


class Watch:
    """A clock that moves only while somebody rests; `rests` are for how long they did."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds


def paced(every: float) -> tuple[Pace, Watch]:
    watch = Watch()
    return Pace(every, clock=watch, rest=watch.rest), watch


async def test_one_address_gets_a_message_a_second() -> None:
    """The first goes at once, each further one a second after the one before."""
    pace, watch = paced(1.0)

    for _ in range(3):
        await pace.turn("here")

    assert watch.rests == [1.0, 1.0]


async def test_addresses_do_not_wait_for_each_other() -> None:
    """Each has a pace of its own."""
    pace, watch = paced(1.0)

    for address in ("here", "there", "elsewhere"):
        await pace.turn(address)

    assert watch.rests == []


async def test_time_that_has_passed_is_not_waited_for() -> None:
    """Who comes after the second is over goes at once, and rest is not saved up."""
    pace, watch = paced(1.0)
    await pace.turn("here")
    watch.now += 100

    await pace.turn("here")
    await pace.turn("here")

    assert watch.rests == [1.0]


async def test_an_address_that_asked_for_peace_has_it() -> None:
    """Until the wait is over everybody is sent away with it; then messages go again, and the others never stopped."""
    pace, watch = paced(0.0)
    pace.hold("here", 30)

    for _ in range(2):
        with pytest.raises(TryLater) as caught:
            await pace.turn("here")
        assert (caught.value.outcome, caught.value.after, caught.value.unknown) == ("throttled", 30, False)
    await pace.turn("there")
    watch.now += 30
    await pace.turn("here")

    assert watch.rests == []


async def test_a_shorter_wish_does_not_shorten_the_longer() -> None:
    """What was asked for first still holds."""
    pace, _ = paced(0.0)
    pace.hold("here", 30)
    pace.hold("here", 1)

    with pytest.raises(TryLater):
        await pace.turn("here")


async def test_who_would_wait_long_is_told_when_to_come() -> None:
    """Who stands behind many others at one address is sent away with the wait, and takes nobody's place."""
    watch = Watch()
    waiting: list[float] = []

    async def standing(seconds: float) -> None:
        waiting.append(seconds)

    pace = Pace(1.0, clock=watch, rest=standing)
    for _ in range(6):
        await pace.turn("here")

    for _ in range(2):
        with pytest.raises(TryLater) as caught:
            await pace.turn("here")
        assert caught.value.after == 6

    assert waiting == [1, 2, 3, 4, 5]
