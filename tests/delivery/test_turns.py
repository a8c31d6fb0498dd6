"""Who goes first, and does anybody starve?"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.outbox import IMMEDIATE, IN_DIGEST, URGENT, Lane
from notifier.delivery.turns import FIRST, Turns
from tests.messages.builders import NOW


def lane(n: int) -> Lane:
    return (f"desk-{n}", "email")


def waiting(*lanes: tuple[int, str, int], at_once: int = 64) -> Turns:
    """Lanes by number, each with its place and urgency."""
    turns = Turns(at_once)
    for n, place, urgency in lanes:
        turns.add(lane(n), place, urgency)
    return turns


def given_out(turns: Turns, most: int = 1_000) -> list[str]:
    """The places that get a turn now, none of which ends."""
    out = []
    while len(out) < most and (turn := turns.next(NOW)) is not None:
        out.append(turn[1])
    return out


def unspread() -> float:
    return 0.0


def test_urgent_lanes_go_first_and_starve_nobody() -> None:
    """Of a long queue most turns are the urgent ones', and some are everybody's."""
    turns = Turns(1)
    for urgency in (IN_DIGEST, IMMEDIATE, URGENT):
        for n in range(100):
            turns.add((f"{urgency}", str(n)), "bank.example", urgency)

    first = []
    for _ in range(28):
        (subscriber, _), place = turns.next(NOW) or ((" ", ""), "")
        first.append(int(subscriber))
        turns.over(place, well=True)

    assert first[:8] == [URGENT] * 8
    assert Counter(first) == {URGENT: 16, IMMEDIATE: 8, IN_DIGEST: 4}


def test_a_lane_waits_behind_others_of_its_place_alone() -> None:
    """Ten thousand for one domain leave the next domain's turn where it was."""
    turns = waiting(*((n, "large.example", IMMEDIATE) for n in range(10)), (10, "small.example", IMMEDIATE), at_once=3)

    assert given_out(turns) == ["large.example", "small.example", "large.example"]


def test_no_more_is_under_way_than_the_channel_wants() -> None:
    """However many wait; and one that ends makes room for one."""
    turns = waiting(*((n, f"host-{n}.example", IMMEDIATE) for n in range(10)), at_once=3)

    assert len(given_out(turns)) == 3
    turns.over("host-0.example", well=True)
    assert len(given_out(turns)) == 1


def test_a_place_that_does_well_is_given_more() -> None:
    """Begun with a few, so that a dead one holds up few; each success allows one more."""
    turns = waiting(*((n, "bank.example", IMMEDIATE) for n in range(40)))

    first = len(given_out(turns))
    for _ in range(first):
        turns.over("bank.example", well=True)

    assert (first, len(given_out(turns))) == (FIRST, 2 * FIRST)


def test_a_silent_place_is_given_less() -> None:
    """Down to one at a time, until it answers."""
    turns = waiting(*((n, "dead.example", IMMEDIATE) for n in range(40)))

    first = len(given_out(turns))
    for _ in range(first):
        turns.over("dead.example", well=False)

    assert (first, len(given_out(turns))) == (FIRST, 1)


def test_silent_places_share_half_of_the_room() -> None:
    """A hundred dead hosts leave the other half to those that answer."""
    turns = Turns(8)
    for n in range(20):
        turns.add(lane(n), f"dead-{n}.example", IMMEDIATE)
    while (turn := turns.next(NOW)) is not None:
        turns.over(turn[1], well=False)
    for n in range(20):
        turns.add(lane(n), f"dead-{n}.example", IMMEDIATE)
        turns.add(lane(100 + n), f"well-{n}.example", IMMEDIATE)

    out = given_out(turns)

    assert len(out) == 8
    assert sum(place.startswith("dead") for place in out) <= 4


def test_a_held_place_gets_nothing_and_the_others_do() -> None:
    """Until its time is over; then one message tries, and the others follow if it went well."""
    turns = waiting(*((n, "shut.example", IMMEDIATE) for n in range(4)), (9, "open.example", IMMEDIATE))
    turns.next(NOW)
    until = turns.hold("shut.example", NOW, 60, unspread)
    turns.over("shut.example", well=True)

    during = given_out(turns)
    after = [turns.next(until) for _ in range(3)]

    assert until == NOW + timedelta(seconds=60)
    assert during == ["open.example"]
    assert [turn[1] for turn in after if turn] == ["shut.example"]
    turns.over("shut.example", well=True)
    assert [turn[1] for _ in range(3) if (turn := turns.next(until))] == ["shut.example"] * 2


def test_a_held_way_out_gives_nothing_to_anybody() -> None:
    """Our login is refused: nobody's mail goes, and nobody's is tried."""
    turns = waiting((1, "a.example", URGENT), (2, "b.example", IMMEDIATE))

    until = turns.hold(None, NOW, 900, unspread)

    assert turns.next(NOW + timedelta(seconds=899)) is None
    assert turns.next(until) is not None
    assert len(turns) == 1


def test_holds_grow_and_those_that_fail_together_count_once() -> None:
    """A place that fails again after its hold is left alone for longer; a success forgets that."""
    turns = waiting(*((n, "shut.example", IMMEDIATE) for n in range(9)))
    turns.next(NOW)

    first = turns.hold("shut.example", NOW, 0, unspread)
    together = turns.hold("shut.example", NOW, 0, unspread)
    second = turns.hold("shut.example", first, 0, unspread)

    assert (first - NOW, together, second - first) == (timedelta(seconds=10), first, timedelta(seconds=30))


def test_who_is_too_busy_gets_half() -> None:
    """After its hold, half of what was under way, and not one alone."""
    turns = waiting(*((n, f"host-{n}.example", IMMEDIATE) for n in range(100)), at_once=16)
    begun = given_out(turns)

    until = turns.hold(None, NOW, 0, unspread, busy=True)
    for place in begun:
        turns.over(place, well=None)

    assert len(begun) == 16
    assert len([turn for _ in range(100) if (turn := turns.next(until))]) == 8


def test_our_own_way_out_is_tried_every_minute() -> None:
    """However long a mail server of ours was down, the mails go soon after it is up again."""
    turns, until = waiting((1, "a.example", IMMEDIATE)), NOW
    for _ in range(9):
        before, until = until, turns.hold(None, until, 0, unspread)

    assert until - before == timedelta(seconds=60)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.integers(0, 2)), max_size=60), st.data())
def test_every_lane_has_its_turn_once(lanes: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """Whatever ends how, and whatever is held, each lane that was added is given out once in the end."""
    turns, now, under_way = Turns(4), NOW, list[str]()
    for number, (_, place, urgency) in enumerate(lanes):
        turns.add(lane(number), f"host-{place}", urgency)
    out: Counter[Lane] = Counter()

    while len(turns) or under_way:
        turn = turns.next(now)
        if turn is not None:
            out[turn[0]] += 1
            under_way.append(turn[1])
        if under_way and (turn is None or data.draw(st.booleans())):
            place = under_way.pop()
            how = data.draw(st.sampled_from(["well", "silent", "held", "all held", "nothing"]))
            if how in ("held", "all held"):
                turns.hold(place if how == "held" else None, now, 1, unspread)
            turns.over(place, well={"well": True, "silent": False}.get(how))
        elif turn is None:
            now += timedelta(minutes=30)

    assert out == Counter({lane(number): 1 for number in range(len(lanes))})
