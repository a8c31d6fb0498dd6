"""
How long does it take to hold one statement against all watchlists?

    python -m benchmarks.matching            1,000, 10,000 and 100,000 watchlists; about two minutes
    python -m benchmarks.matching small      without the last
    python -m benchmarks.matching million    a million besides; some ten minutes, 3 GB

The statements are of 6 kB and were never seen before (the workload is described in _matching_workload); reading their
words and writing out who matched are in the figures. Beside the index, in turn with it on the same statements: each
query asked alone, its words read once for all, and one compiled regular expression for each. The first gives the same
matches, which is checked; the second only counts as time, since it knows of no plurals, hyphens or fields.
"""

from __future__ import annotations

import gc
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks._matching_workload import Workload
from notifier.statement import Statement
from notifier.watchlists.index import Index
from notifier.watchlists.query import Query, parse
from notifier.watchlists.search import Text
from notifier.watchlists.watchlist import Watchlist

SIZES = {"small": (1_000, 10_000), "usual": (1_000, 10_000, 100_000), "million": (1_000, 100_000, 1_000_000)}
ALONE = 1_000  # watchlists that are also asked one by one
WARM, MEASURED = 2_000, 200  # statements read beforehand, as a service has that has run for a while; and measured
CHANGED = 2_000  # watchlists added and removed again
TARGETS = {100_000: 1.2, 1_000_000: 2.2}  # milliseconds


def resident() -> float:
    """Bytes of memory that this process has resident (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def medians(statements: Sequence[Statement], *engines: Callable[[Statement], object]) -> list[float]:
    """The median of milliseconds a statement, for each engine, all in turn on every statement."""
    times: list[list[float]] = [[] for _ in engines]
    for statement in statements:
        for engine, taken in zip(engines, times, strict=True):
            began = time.perf_counter()
            engine(statement)
            taken.append((time.perf_counter() - began) * 1e3)
    return [statistics.median(taken) for taken in times]


def watchlists(queries: Sequence[str]) -> list[Watchlist]:
    parsed: dict[str, Query] = {}
    made = []
    for number, query in enumerate(queries):
        known = parsed.get(query) or parsed.setdefault(query, parse(query))
        made.append(Watchlist(f"s{number % 50_000}", f"w{number}", known))
    return made


def each_alone(lists: Sequence[Watchlist]) -> Callable[[Statement], list[Watchlist]]:
    def ask(statement: Statement) -> list[Watchlist]:
        text = Text(statement.fields())
        return [each for each in lists if each.query.search(text).matched]

    return ask


def expressions(queries: Sequence[str]) -> Callable[[Statement], int]:
    """A regular expression for each query: its phrases one or another, which is less than it asks."""
    words = [re.findall(r"\w[\w ]*", re.sub(r"AND|OR|NOT|pre/\d+|w/\w+|\w+:", " ", query)) for query in queries]
    compiled = [re.compile("|".join(rf"\b{each.strip()}\b" for each in found) or "x", re.I) for found in words]
    return lambda statement: sum(pattern.search(statement.text) is not None for pattern in compiled)


def measure(size: int, workload: Workload, stream: Iterator[Statement]) -> None:
    queries = workload.queries(size)
    lists = watchlists(queries)
    gc.collect()
    before, began = resident(), time.perf_counter()
    index = Index()
    index.add_all(lists)
    built = time.perf_counter() - began
    for _ in range(WARM):
        index.ids(next(stream))
    gc.collect()
    each = (resident() - before) / size
    fresh = [next(stream) for _ in range(MEASURED)]
    (ours,) = medians(fresh, lambda statement: index.ids(statement).to_array())
    found = statistics.mean(len(index.ids(statement)) for statement in fresh)
    more = watchlists(workload.queries(CHANGED))
    began = time.perf_counter()
    for watchlist in more:
        index.add(Watchlist("changed", watchlist.name, watchlist.query))
    added = (time.perf_counter() - began) / CHANGED * 1e6
    began = time.perf_counter()
    for watchlist in more:
        index.remove(("changed", watchlist.name))
    removed = (time.perf_counter() - began) / CHANGED * 1e6
    target = TARGETS.get(size)
    said = "" if target is None else f"   target ≤ {target} ms: {'reached' if ours <= target else 'NOT reached'}"
    print(
        f"{size:>9,} watchlists, {found:6,.0f} match   {ours:7.2f} ms a statement{said}\n"
        f"{'':22}built in {built:.1f} s, {each:,.0f} bytes each with the words of {WARM:,} statements (target ≤ 400), "
        f"add {added:.0f} µs (≤ 50), remove {removed:.0f} µs (≤ 20)"
    )


def compare(workload: Workload, stream: Iterator[Statement]) -> None:
    queries = workload.queries(ALONE)
    lists = watchlists(queries)
    index = Index()
    index.add_all(lists)
    for _ in range(200):
        index.ids(next(stream))
    fresh, alone = [next(stream) for _ in range(20)], each_alone(lists)
    for statement in fresh:
        if index.matches(statement) != sorted(alone(statement), key=lambda watchlist: watchlist.key):
            sys.exit("the index and the queries disagree")
    again = [next(stream) for _ in range(20)]
    ours, theirs, patterns = medians(again, index.matches, alone, expressions(queries))
    print(
        f"{ALONE:>9,} watchlists, the index {ours:.2f} ms; each query alone {theirs:.1f} ms, {theirs / ours:.0f} times"
    )
    print(f"{'':22}that; a regular expression for each {patterns:.1f} ms, {patterns / ours:.0f} times")


def china(size: int, stream: Iterator[Statement]) -> None:
    index, query = Index(), parse("China")
    index.add_all(Watchlist(f"s{number}", "China", query) for number in range(size))
    statements = [next(stream) for _ in range(50)]
    (ours,) = medians(statements, lambda statement: index.ids(statement).to_array())
    print(
        f"{size:>9,} who all watch China   {ours:.2f} ms a statement"
        + ("   target ≤ 3 ms" if size == 1_000_000 else "")
    )


def main(words: list[str]) -> None:
    """Measure, and print a line or two for each size."""
    name = words[0] if words else "usual"
    if name not in SIZES or len(words) > 1:
        sys.exit(f"python -m benchmarks.matching [{'|'.join(SIZES)}]")
    workload = Workload(2020)
    stream = workload.statements()
    compare(workload, stream)
    for size in SIZES[name]:
        measure(size, workload, stream)
    china(SIZES[name][-1], stream)


if __name__ == "__main__":
    main(sys.argv[1:])
