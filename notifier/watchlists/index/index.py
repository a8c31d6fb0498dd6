"""
All watchlists, matched against one statement.

A statement is read once: which leaves of any query does it have (`leaves`)? From these, sets of numbers give the
watchlists that match (`postings`), without looking at any single watchlist. The result is the same as asking every
query on its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from pyroaring import BitMap

from notifier.statement import Statement
from notifier.watchlists.index.clauses import Condition, Plan, leaves_of, plan, true
from notifier.watchlists.index.leaf_store import LeavesFound
from notifier.watchlists.index.leaves import Leaves
from notifier.watchlists.index.postings import Postings, asked
from notifier.watchlists.index.scopes import Scopes
from notifier.watchlists.query import version
from notifier.watchlists.watchlist import Watchlist


class Index:
    """
    The watchlists in force. `version` changes with all that makes the same query match something else.

    Each has a number while it is in force; a number that is free is given to the next.
    """

    def __init__(self) -> None:
        self.version = version()
        self._numbers: dict[tuple[str, str], int] = {}
        self._watchlists: list[Watchlist | None] = []
        self._free: list[int] = []
        self._leaves = Leaves()
        self._postings = Postings()
        self._scopes = Scopes(self._watchlists)
        self._conditions: dict[int, Condition] = {}
        self._conditional = BitMap()  # those that have a condition, and of these the ones that need nothing else
        self._always = BitMap()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Watchlist:
        """The watchlist of a number that `ids` gave."""
        watchlist = self._watchlists[number]
        if watchlist is None:
            raise KeyError(number)
        return watchlist

    def add(self, watchlist: Watchlist) -> None:
        """Take up a watchlist, in place of one of the same key."""
        key = watchlist.key
        if key in self._numbers:
            self.remove(key)
        planned = plan(watchlist.query.expression, self._leaves.of)
        number = self._take(watchlist)
        self._postings.add(number, planned)
        self._hold(number, planned)
        self._leaves.hold(leaf for _, leaf in asked(planned))
        self._leaves.sweep()

    def add_all(self, watchlists: Iterable[Watchlist]) -> None:
        """
        Take up many watchlists, as `add` does one by one, in less time.

        They are numbered by what they ask for, so that their sets are runs, which are the quickest to unite.
        """
        # Of two with one key the later is meant.
        every = list({watchlist.key: watchlist for watchlist in watchlists}.values())
        for watchlist in every:
            if watchlist.key in self._numbers:
                self.remove(watchlist.key)
        rows, slots, leaves, order = array("I"), array("I"), array("I"), array("Q")
        conditions: dict[int, Plan] = {}
        for row, watchlist in enumerate(every):
            planned = plan(watchlist.query.expression, self._leaves.of)
            first = planned.needed[0][0] if planned.needed and not planned.never else 0
            order.append(len(planned.needed) << 32 | first)
            before = len(rows)
            for slot, leaf in asked(planned):
                slots.append(slot)
                leaves.append(leaf)
                rows.append(row)
            self._leaves.hold(leaves[before:])
            if planned.condition is not None:
                conditions[row] = planned
        numbers = np.empty(len(every), dtype=np.uint32)
        for row in np.argsort(np.frombuffer(order, dtype=np.uint64), kind="stable").tolist():
            numbers[row] = self._take(every[row])
        columns = [np.frombuffer(column, dtype=np.uint32) for column in (slots, leaves, rows)]
        self._postings.add_all(columns[0], columns[1], numbers[columns[2]])
        for row, planned in conditions.items():
            self._hold(int(numbers[row]), planned)
        self._leaves.sweep()

    def remove(self, key: tuple[str, str]) -> None:
        """Forget the watchlist of this subscriber and name. Raises KeyError where there is none."""
        number = self._numbers.pop(key)
        watchlist = self[number]
        planned = plan(watchlist.query.expression, self._leaves.of)
        self._postings.remove(number, planned)
        self._watchlists[number] = None
        self._free.append(number)
        self._leaves.let_go(leaf for _, leaf in asked(planned))
        if (condition := self._conditions.pop(number, None)) is not None:
            self._leaves.let_go(leaves_of(condition))
            self._conditional.discard(number)
            self._always.discard(number)
        self._leaves.sweep()

    def matches(self, statement: Statement) -> list[Watchlist]:
        """The watchlists that the statement matches, by subscriber, then name."""
        found = [self[number] for number in self.ids(statement)]
        return sorted(found, key=lambda watchlist: watchlist.key)

    def ids(self, statement: Statement) -> BitMap:
        """The same as numbers, in no order that means anything; they hold until a watchlist is added or removed."""
        found = self._leaves.find(statement.fields())
        matched = self._postings.true(found.present)
        if self._conditions:
            matched = self._fulfilled(matched | self._always, found)
        return matched - self._scopes.outside(statement.feed, statement.issuer)

    def _fulfilled(self, matched: BitMap, found: LeavesFound) -> BitMap:
        """Those whose conditions hold as well; a condition that many share is asked once."""
        known: dict[Condition, bool] = {}
        failed = []
        for number in matched & self._conditional:
            condition = self._conditions[number]
            holds = known.get(condition)
            if holds is None:
                holds = known[condition] = true(condition, found)
            if not holds:
                failed.append(number)
        return matched - BitMap(failed)

    def _take(self, watchlist: Watchlist) -> int:
        if self._free:
            number = self._free.pop()
            self._watchlists[number] = watchlist
        else:
            number = len(self._watchlists)
            self._watchlists.append(watchlist)
        self._numbers[watchlist.key] = number
        self._scopes.add(number)
        return number

    def _hold(self, number: int, planned: Plan) -> None:
        if planned.condition is None:
            return
        self._conditions[number] = planned.condition
        self._conditional.add(number)
        self._leaves.hold(leaves_of(planned.condition))
        if not planned.needed:
            self._always.add(number)
