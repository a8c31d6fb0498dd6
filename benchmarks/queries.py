"""
How long does a query take to compile, and a text to be taken apart, when someone means harm?

Queries of 10 kB of every kind, fuzzed ones among them, against the bound of 50 ms; texts of 1 MB against one half as
long, as a ratio: 2 is linear. Run it as `python -m benchmarks.queries`.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable

from notifier.errors import QueryError
from notifier.watchlists.aliases import built_in
from notifier.watchlists.query import parse
from notifier.watchlists.text import Words

BOUND = 50.0  # ms
PIECES = [
    *"()=-*?~@\"“'.,/:§香𐍈",
    *(
        " AND ",
        " OR ",
        " NOT ",
        " w/5 ",
        " NOT w/3 ",
        " pre/s ",
        "title:",
        "added:",
        "@china",
        "@dual-use",
        "(EU) 2021/821",
    ),
    *(
        "15 CFR 744.11(a)",
        "8541.40.20",
        "E.O. 13936",
        "Hong Kong",
        "licen?e",
        "sanction*",
        "a-b-c-d",
        "\ud800",
        "\u0301",
    ),
]
QUERIES = {
    "one word": "x" * 10_000,
    "hyphens": "a-" * 5_000,
    "full stops": "1." * 5_000,
    "brackets of a paragraph": "1" + "(a)" * 3_333,
    "parentheses": "(" * 5_000 + ")" * 5_000,
    "quotes": '"' * 10_000,
    "open places": "a?" * 5_000,
    "marks": "a" + "\u0301" * 4_999,
    "names": " OR ".join(f"15 CFR 744.{number}" for number in range(200)),
    "regulations": " OR ".join(f"(EU) No {number}/2014" for number in range(200)),
    "acts": "council regulation " * 520,
    "packs": " OR ".join(f"title:@{name}" for name in list(built_in())[:12]),
    "missing operators": '"a" ' * 2_500,
    "mixed": " OR ".join(f"word{number} AND b" for number in range(90)),
    "fields": "title:" * 1_600 + "x",
    "unknown field": "x" * 9_000 + ":a",
    "unknown pack": "@" + "x" * 9_000,
}
TEXTS: dict[str, Callable[[int], str]] = {
    "words": lambda size: "licence for Hong Kong. " * (size // 23),
    "one chunk": lambda size: "x" * size,
    "combining marks": lambda size: "a" + "\u0301" * size,
    "lone surrogates": lambda size: "\ud800" * size,
    "hyphens": lambda size: "a-" * (size // 2),
    "full stops": lambda size: "1." * (size // 2),
    "apostrophes": lambda size: "a'" * (size // 2),
    "traditional Chinese": lambda size: "軍民兩用物項" * (size // 6),
}


def compile_time(query: str) -> float:
    """Milliseconds until a query is read or refused; anything but a `QueryError` is raised."""
    start = time.perf_counter()
    with contextlib.suppress(QueryError):
        parse(query)
    return (time.perf_counter() - start) * 1000


def fuzzed(chance: random.Random) -> str:
    """A query of about 10 kB out of pieces that mean something."""
    parts = list[str]()
    while sum(map(len, parts)) < 9_900:
        parts.append(chance.choice(PIECES) * chance.choice((1, 1, 1, 5)))
        parts.append(chance.choice(("", " ", " AND ", " OR ")))
    return "".join(parts).encode("utf-8", "surrogatepass")[:10_000].decode("utf-8", "ignore")


def main() -> int:
    """Print what was measured; 1 where a query took over the bound."""
    slowest = 0.0
    for name, query in QUERIES.items():
        took = min(compile_time(query), compile_time(query))
        slowest = max(slowest, took)
        print(f"{name:<28}{took:8.2f} ms")
    chance = random.Random(1)
    times = sorted(compile_time(fuzzed(chance)) for _ in range(1_000))
    slowest = max(slowest, times[-1])
    print(f"{'fuzzed, 1,000 of 10 kB':<28}{times[500]:8.2f} ms median, {times[-1]:.2f} ms at most")
    for name, made in TEXTS.items():
        half, whole = (_text_time(made(size)) for size in (500_000, 1_000_000))
        print(f"{name:<28}{whole:8.0f} ms for 1 MB, {whole / half:.1f} times that of half")
    print(f"slowest query: {slowest:.1f} ms of {BOUND:.0f}")
    return int(slowest > BOUND)


def _text_time(text: str) -> float:
    start = time.perf_counter()
    Words(text)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    sys.exit(main())
