"""Does an address get its messages at its pace, and peace when it asks for it?"""

from __future__ import annotations

from notifier.channels.pace import MANY, Pace


class Watch:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def paced(every: float) -> tuple[Pace, Watch]:
    watch = Watch()
    return Pace(every, clock=watch), watch


def test_one_address_gets_a_message_a_second() -> None:
    """The first goes at once, and the next is told how long until its turn; asking takes none."""
    pace, watch = paced(1.0)

    first, second, asked_again = (pace.turn("here") for _ in range(3))
    watch.now += 1.0
    third, fourth = pace.turn("here"), pace.turn("here")

    assert (first, second, asked_again) == (0.0, 1.0, 1.0)
    assert (third, fourth) == (0.0, 1.0)


def test_addresses_do_not_wait_for_each_other() -> None:
    """Each has a pace of its own."""
    pace, _ = paced(1.0)

    assert [pace.turn(address) for address in ("here", "there", "elsewhere")] == [0.0, 0.0, 0.0]


def test_time_that_has_passed_is_not_saved_up() -> None:
    """Who comes after a long rest goes at once, and the next a second later all the same."""
    pace, watch = paced(1.0)
    pace.turn("here")
    watch.now += 100

    assert [pace.turn("here"), pace.turn("here")] == [0.0, 1.0]


def test_an_address_that_asked_for_peace_has_it() -> None:
    """Until the wait is over everybody is told how long; then messages go again, and the others never stopped."""
    pace, watch = paced(0.0)
    pace.hold("here", 30)

    early = [pace.turn("here"), pace.turn("here"), pace.turn("there")]
    watch.now += 30

    assert early == [30.0, 30.0, 0.0]
    assert pace.turn("here") == 0.0


def test_a_shorter_wish_does_not_shorten_the_longer() -> None:
    """What was asked for first still holds."""
    pace, _ = paced(0.0)
    pace.hold("here", 30)
    pace.hold("here", 1)

    assert pace.turn("here") == 30.0


def test_addresses_of_long_ago_are_forgotten() -> None:
    """Memory is for those who must wait still."""
    pace, watch = paced(1.0)
    for n in range(MANY):
        pace.turn(f"address {n}")
    watch.now += 10

    pace.turn("one more")

    assert len(pace._free_at) == 1
