"""
How long does it take to hold a statement against all watchlists, and what does a watchlist cost?

    python -m benchmarks.matching [small|million]

`small` goes up to 100,000 watchlists, `million` is the rest; without a word, both. Statements of 6 kB come in a stream,
none of them seen before, and the engines take them in turn in one run: ours (reading the text and writing out all
numbers included), PostgreSQL with a table of stored tsquery (where its server is installed), and at 1,000 SQLite's FTS5
and a compiled regex per watchlist. What the others can express, nine watchlists in ten, must come to equal sets; they
are given our words of the text, so that they need no rules for them.
"""

from __future__ import annotations

import gc
import itertools
import os
import pwd
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks._matching_workload import Workload
from notifier.statement import Statement
from notifier.watchlists.expression import And, Expression, Not, Or, Phrase
from notifier.watchlists.index.index import Index
from notifier.watchlists.query import parse
from notifier.watchlists.text import Words
from notifier.watchlists.watchlist import Watchlist

WARM, MEASURED = 15_000, 300  # statements read before, as a service has that read some weeks of them; and measured
OTHERS_EVERY = 10  # statements, of which the slower engines take one
BREAK = "zzbreak"  # stands where a sentence ends, for engines whose phrases know of no sentences


def said(what: str, figure: str, target: str = "", reached: bool | None = None) -> None:
    """A line of the table."""
    verdict = "" if reached is None else "reached" if reached else "NOT reached"
    print(f"  {what:<58}{figure:>16}   {target:<12}{verdict}".rstrip(), flush=True)


def resident() -> int:
    """Bytes of memory that this process has resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def median(times: Sequence[float]) -> float:
    return statistics.median(times)


# ---------------------------------------------------------------- the others


def words_of(statement: Statement) -> str:
    """The text in our words, with a mark where sentences end."""
    parts: list[str] = []
    for text in (statement.title, statement.text):
        words = Words(text)
        for _, group in itertools.groupby(zip(words.sentences, words.terms, strict=True), lambda each: each[0]):
            parts += [*(term for _, term in group), BREAK]
    return " ".join(parts)


def expressible(expression: Expression) -> bool:
    """Whether all of its terms are phrases of plain words, so that other engines know them as well."""
    match expression:
        case And(parts) | Or(parts):
            return all(map(expressible, parts))
        case Not(part):
            return expressible(part)
        case Phrase(words=words, field=field, slack=slack):
            return not field and not slack and not any(word.wild or word.exact or word.capital for word in words)
        case _:
            return False


def tsquery(of: Expression) -> str:
    """The expression as PostgreSQL says it."""
    match of:
        case And(parts):
            return " & ".join(f"({tsquery(part)})" for part in parts)
        case Or(parts):
            return " | ".join(f"({tsquery(part)})" for part in parts)
        case Not(part):
            return f"!({tsquery(part)})"
        case Phrase(words=words):
            return " <-> ".join(f"'{word.term}'" for word in words)
        case _:
            raise ValueError(of)


def fts(of: Expression) -> str:
    """The expression as FTS5 says it, whose NOT stands between two."""
    match of:
        case And(parts):
            needed = " AND ".join(f"({fts(part)})" for part in parts if not isinstance(part, Not))
            return "".join([f"({needed})", *(f" NOT ({fts(part.part)})" for part in parts if isinstance(part, Not))])
        case Or(parts):
            return " OR ".join(f"({fts(part)})" for part in parts)
        case Phrase(words=words):
            return f'"{" ".join(word.term for word in words)}"'
        case _:
            raise ValueError(of)


def regex(of: Expression) -> str:
    """The expression as a regular expression that looks ahead for each of its parts."""
    match of:
        case And(parts):
            return "".join(regex(part) for part in parts)
        case Or(parts):
            return f"(?:{'|'.join(regex(part) for part in parts)})"
        case Not(part):
            return f"(?!{regex(part)})"
        case Phrase(words=words):
            return rf"(?=.*\b{' '.join(word.term for word in words)}\b)"
        case _:
            raise ValueError(of)


class Postgres:
    """A table of stored queries, asked through psql."""

    def __init__(self, socket: Path) -> None:
        self._command = ["psql", "-h", str(socket), "-U", "postgres", "-d", "postgres", "-X", "-q", "-A", "-t"]
        self._psql = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def load(self, queries: Sequence[tuple[int, str]]) -> None:
        """Store these queries, by number."""
        self.ask("DROP TABLE IF EXISTS watched; CREATE UNLOGGED TABLE watched (id int, query tsquery);")
        rows = "".join(f"{number}\t{query}\n" for number, query in queries)
        copy = [*self._command, "-c", "COPY watched FROM STDIN"]
        subprocess.run(copy, input=rows, text=True, check=True)
        self.ask("VACUUM ANALYZE watched;")

    def ask(self, sql: str) -> str:
        """All that is answered."""
        assert self._psql.stdin
        assert self._psql.stdout
        self._psql.stdin.write(f"{sql}\n\\echo done\n")
        self._psql.stdin.flush()
        answer = []
        while (line := self._psql.stdout.readline().rstrip("\n")) != "done":
            if not line and self._psql.poll() is not None:
                raise RuntimeError("psql has ended")
            answer.append(line)
        return "".join(answer)

    def match(self, text: str) -> str:
        """The numbers of the queries that match, in braces."""
        vector = f"to_tsvector('simple', '{text}')"
        # The words are our own, letters and digits alone.
        return self.ask(f"SELECT array_agg(id) FROM watched, {vector} AS said WHERE said @@ query;")  # noqa: S608

    def close(self) -> None:
        assert self._psql.stdin
        self._psql.stdin.close()
        self._psql.wait(10)


@contextmanager
def postgres() -> Iterator[Postgres | None]:
    """A server of its own on a socket in a directory of its own; None where there is no such server."""
    places = [*map(Path, os.get_exec_path()), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    home = next((place for place in places if (place / "initdb").exists()), None)
    if home is None or not shutil.which("psql"):
        print("PostgreSQL's server is not installed here: it is left out")
        yield None
        return
    # It refuses to run as root.
    user = next((each.pw_name for each in pwd.getpwall() if each.pw_name in {"postgres", "nobody"}), None)
    account = {"user": user, "group": pwd.getpwnam(user).pw_gid} if os.geteuid() == 0 and user else {}
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        if account:
            shutil.chown(directory, account["user"], account["group"])
        data, quiet = directory / "data", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        create = [home / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--encoding=UTF8"]
        subprocess.run(create, check=True, cwd=directory, **quiet, **account)
        start = [home / "postgres", "-D", data, "-k", directory, "-h", "", "-F", "-c", "shared_buffers=1GB"]
        server = subprocess.Popen(start, cwd=directory, **quiet, **account)
        try:
            ready = ["psql", "-h", str(directory), "-U", "postgres", "-c", "SELECT 1"]
            until = time.monotonic() + 30
            while subprocess.run(ready, check=False, **quiet).returncode and time.monotonic() < until:
                time.sleep(0.1)
            asked = Postgres(directory)
            yield asked
            asked.close()
        finally:
            server.terminate()
            server.wait(30)


class FullText:
    """FTS5: the statement is what is stored, and each query is asked."""

    def __init__(self, queries: Sequence[tuple[int, Expression]]) -> None:
        self._queries = [(number, fts(query)) for number, query in queries]
        self._db = sqlite3.connect(":memory:")
        self._db.execute("CREATE VIRTUAL TABLE said USING fts5(text)")

    def match(self, text: str) -> set[int]:
        self._db.execute("DELETE FROM said")
        self._db.execute("INSERT INTO said VALUES (?)", [text])
        ask = "SELECT 1 FROM said WHERE said MATCH ?"
        return {number for number, query in self._queries if self._db.execute(ask, [query]).fetchone()}


class Regexes:
    """A regular expression a watchlist."""

    def __init__(self, queries: Sequence[tuple[int, Expression]]) -> None:
        self._queries = [(number, re.compile(regex(query), re.DOTALL)) for number, query in queries]

    def match(self, text: str) -> set[int]:
        return {number for number, query in self._queries if query.match(text)}


# ---------------------------------------------------------------- measurements


def parsed(queries: Sequence[str]) -> list[Watchlist]:
    return [Watchlist(f"d{number}", "watched", parse(query)) for number, query in enumerate(queries)]


def built(watchlists: Sequence[Watchlist]) -> tuple[Index, float, float]:
    """The index of these, the seconds it took, and the bytes of resident memory that it added for each."""
    gc.collect()
    # The watchlists themselves are not to be counted, nor walked through while the index grows.
    gc.freeze()
    before, index, started = resident(), Index(), time.perf_counter()
    index.add_all(watchlists)
    seconds = time.perf_counter() - started
    gc.collect()
    return index, seconds, (resident() - before) / len(watchlists)


def timed(ask: Callable[[], object], into: list[float]) -> object:
    """The answer; how long it took goes `into` a list, in milliseconds."""
    started = time.perf_counter()
    answer = ask()
    into.append((time.perf_counter() - started) * 1000)
    return answer


def usual(count: int, workload: Workload, server: Postgres | None, targets: tuple[float, float] | None) -> None:
    """The usual mix of watchlists."""
    queries = workload.queries(count)
    started = time.perf_counter()
    watchlists = parsed(queries)
    reading = time.perf_counter() - started
    index, seconds, size = built(watchlists)
    print(f"\n{count:,} watchlists of the usual mix")
    common = [n for n, each in enumerate(watchlists) if expressible(each.query.expression)]
    numbered = {n: watchlists[n].query.expression for n in common}
    others: dict[str, Callable[[str], set[int]]] = {}
    if server:
        server.load([(n, tsquery(query)) for n, query in numbered.items()])
        others["PostgreSQL, stored tsquery"] = lambda text: _numbers(server.match(text))
    if count <= 1000:
        others["SQLite FTS5"] = FullText(list(numbered.items())).match
        others["a compiled regex per watchlist"] = Regexes(list(numbered.items())).match
    times, hits, theirs = _in_turn(index, workload.statements(), set(common), others)
    ours = median(times)
    target = f"≤ {targets[0]} ms" if targets else ""
    said("a statement, median", f"{ours:.2f} ms", target, ours <= targets[0] if targets else None)
    said("of a hundred, the slowest but five", f"{sorted(times)[int(len(times) * 0.95)]:.2f} ms")
    said("watchlists that match, mean", f"{statistics.mean(hits):,.0f}")
    for name, taken in theirs.items():
        ratio = median(taken) / ours
        judged = targets is not None and name.startswith("PostgreSQL")
        said(name, f"{median(taken):.2f} ms")
        target = f"≥ {targets[1]:.0f} times" if judged and targets else ""
        said("  as many times ours", f"{ratio:.0f}", target, ratio >= targets[1] if judged and targets else None)
    whole = count >= 1_000_000
    if count >= 100_000:  # of fewer, what the process had at hand says more than they do
        said("bytes a watchlist (resident memory)", f"{size:.0f}", "≤ 400", size <= 400)
    said("building it, from parsed queries", f"{seconds:.1f} s", "≤ 30 s" * whole, seconds <= 30 if whole else None)
    said("reading the queries before that", f"{reading:.1f} s")
    _changes(index, watchlists)


def _in_turn(
    index: Index, statements: Iterator[Statement], common: set[int], others: dict[str, Callable[[str], set[int]]]
) -> tuple[list[float], list[int], dict[str, list[float]]]:
    """Times of ours, how many matched, and times of the others, on one stream."""
    for statement in itertools.islice(statements, WARM):
        index.ids(statement)
    times: list[float] = []
    hits: list[int] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    for number, statement in enumerate(list(itertools.islice(statements, MEASURED))):
        found = timed(lambda: index.ids(statement).to_array(), times)  # noqa: B023
        hits.append(len(found))  # type: ignore[arg-type]
        if number % OTHERS_EVERY:
            continue
        text = words_of(statement)
        ours = {int(index[n].subscriber[1:]) for n in found} & common  # type: ignore[attr-defined]
        for name, match in others.items():
            assert timed(lambda: match(text), theirs[name]) == ours, name  # noqa: B023
    return times, hits, theirs


def _numbers(answer: str) -> set[int]:
    return set(map(int, answer.strip("{}").split(","))) if answer else set()


def _changes(index: Index, watchlists: Sequence[Watchlist]) -> None:
    removed: list[float] = []
    added: list[float] = []
    some = watchlists[:: max(1, len(watchlists) // 2000)]
    for each in some:
        timed(lambda: index.remove(each.key), removed)  # noqa: B023
    for each in some:
        timed(lambda: index.add(each), added)  # noqa: B023
    for what, times, target in (("adding one, median", added, 50), ("removing one, median", removed, 20)):
        said(what, f"{median(times) * 1000:.1f} µs", f"≤ {target} µs", median(times) * 1000 <= target)


def adversarial(count: int, workload: Workload) -> None:
    """What is worst for an index: everyone asks for what is always there."""
    popular = workload.phrases[:200]
    pairs = [f"{one} AND {other}" for one, other in itertools.combinations(popular, 2)]
    sets = {
        "everyone watches China": [parse("China")] * count,
        "everyone watches China AND something else": [
            parse(f"China AND {other}") for other in workload.phrases[1 : count // 10 + 1]
        ]
        * 10,
        "everyone watches two of the most popular": [parse(each) for each in pairs] * (count // len(pairs) + 1),
    }
    print(f"\n{count:,} watchlists of the worst kind")
    for what, queries in sets.items():
        watchlists = [Watchlist(f"d{number}", "watched", query) for number, query in enumerate(queries[:count])]
        index = built(watchlists)[0]
        statements = workload.statements()
        for statement in itertools.islice(statements, 500):
            index.ids(statement)
        times: list[float] = []
        for told in [_with_china(statement) for statement in itertools.islice(statements, 60)]:
            timed(lambda: index.ids(told).to_array(), times)  # noqa: B023
        judged = what.endswith("China") and count >= 1_000_000
        said(what, f"{median(times):.2f} ms", "≤ 3 ms" * judged, median(times) <= 3 if judged else None)


def _with_china(statement: Statement) -> Statement:
    return Statement(
        id=statement.id,
        feed=statement.feed,
        issuer=statement.issuer,
        title=f"China: {statement.title}",
        text=statement.text,
        fingerprint=statement.fingerprint,
    )


def main() -> None:
    """Measure, and print a table."""
    asked = sys.argv[1:] or ["small", "million"]
    workload = Workload(1)
    with postgres() as server:
        if "small" in asked:
            usual(1_000, workload, server, None)
            usual(10_000, workload, server, None)
            usual(100_000, workload, server, (1.2, 30))
            adversarial(100_000, workload)
        if "million" in asked:
            usual(1_000_000, workload, server, (2.2, 110))
            adversarial(1_000_000, workload)


if __name__ == "__main__":
    main()
