"""Do many lists in one array stay apart?"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.watchlists.index.ragged_lists import Runs
from tests.watchlists.builders import MANY

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 40), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("remove"), st.integers(0, 40), st.integers(0, 60)),
        st.tuples(st.just("all"), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=30)),
        st.tuples(st.just("keep"), st.integers(0, 40), st.integers(0, 3)),
    ),
    max_size=60,
)


@MANY
@given(STEPS)
def test_lists_are_as_if_each_stood_alone(steps: list[tuple[object, ...]]):
    """Whatever is added, taken out or cut short, alone or many at once: every list is what it would be as a list."""
    runs, plain = Runs(), defaultdict[int, Counter[int]](Counter)

    for step in steps:
        match step:
            case ("add", int(index), int(number)):
                plain[index][number] += 1
                assert runs.add(index, number) == plain[index].total()
            case ("remove", int(index), int(at)) if plain[index]:
                number = sorted(plain[index].elements())[at % plain[index].total()]
                plain[index] -= Counter([number])
                assert runs.remove(index, number) == plain[index].total()
            case ("all", list(pairs)):
                rows = np.array(sorted(pairs), dtype=np.uint32)
                runs.add_all(rows[:, 0], rows[:, 1])
                for index, number in pairs:
                    plain[index][number] += 1
            case ("keep", int(index), int(most)) if plain[index]:
                kept = sorted(plain[index].elements())[:most]
                runs.put(index, np.array(kept, dtype=np.uint32))
                plain[index] = Counter(kept)
            case _:
                pass
        each = np.arange(50, dtype=np.int32)
        assert [Counter(runs.of(index).tolist()) for index in range(50)] == [+plain[index] for index in range(50)]
        assert Counter(runs.together(each).tolist()) == sum(plain.values(), Counter())
        assert runs.longer(2) == [index for index in range(50) if plain[index].total() > 2]


def test_room_given_up_is_used_again():
    """A list that grows and shrinks for ever takes no more memory than one that did so for a while."""
    runs = Runs()
    for _ in range(50):
        for number in range(400):
            runs.add(number % 7, number)
        for number in range(400):
            runs.remove(number % 7, number)
        for number in range(7):
            runs.add_all(np.full(300, number, dtype=np.uint32), np.arange(300, dtype=np.uint32))
            for each in range(300):
                runs.remove(number, each)

    assert runs.size < 30_000


def test_what_is_not_there_cannot_be_taken_out():
    """It is said, and nothing changes."""
    runs = Runs()
    runs.add(3, 7)

    with pytest.raises(ValueError, match="8"):
        runs.remove(3, 8)

    assert runs.of(3).tolist() == [7]
