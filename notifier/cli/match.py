"""`notifier match`: a query, a text, and why it matches or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from rich.cells import cell_len
from rich.text import Text

from notifier.cli.screen import aside, one_line, plain, shown, stderr, stdout, told
from notifier.errors import Misconfigured, Mistake, QueryError
from notifier.home import packs as aliases
from notifier.messages.passage import passages
from notifier.watchlists.aliases import Pack
from notifier.watchlists.query import Clause, Query, parse

SHOWN = 8  # parts of a clause that are shown one by one


@click.command("match")
@click.argument("query", required=False)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--jsonl", is_flag=True, help="Read {query, text} or {query, title, body, …} a line, answer each on one.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON: whether it matches, and where, in code points.")
@click.pass_obj
def command(home: Path, query: str | None, file: Path | None, jsonl: bool, as_json: bool) -> None:
    """
    Hold QUERY against the text in FILE (or stdin), and show each clause, true or false, with the words that decided.

    Exit code 0 when it matches, 1 when it does not, 2 when the query cannot be read. A query may name packs of terms
    (@hong-kong): those that come with it, and those in the home's aliases/.

    \b
    Examples:
      notifier match '"Hong Kong" AND ("dual-use" OR licence)' statement.txt
      echo 'Controls on dual-use items' | notifier match dual-use
      notifier match --jsonl < cases.jsonl
    """
    packs = _packs(home)
    if jsonl:
        if query is not None:
            raise click.UsageError("--jsonl reads its queries from stdin: notifier match --jsonl < cases.jsonl")
        _lines(sys.stdin.buffer, packs)
        return
    if query is None:
        raise click.UsageError("no query; try: notifier match '\"Hong Kong\"' statement.txt")
    try:
        compiled = parse(query, packs)
    except QueryError as error:
        _point_at(query, error)
        sys.exit(2)
    text = _read(file)
    if as_json:
        click.echo(msgspec.json.encode(_answer(compiled, {"text": text})))
    else:
        _explain(compiled, text)
    sys.exit(0 if compiled.search({"body": text}).matched else 1)


def _packs(home: Path) -> Mapping[str, Pack]:
    mistakes = list[Mistake]()
    packs = aliases.load(home / "aliases", mistakes)
    if mistakes:
        raise Misconfigured(mistakes)
    return packs


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        if sys.stdin.isatty():
            aside("Type the text, and end it with Ctrl-D on a line of its own.")
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return file.read_bytes().decode("utf-8", "replace")


def _explain(query: Query, text: str) -> None:
    console = stdout()
    fields = {"body": text}
    verdict = query.search(fields)
    console.print(shown(f"read as  {query.reading()}", "dim"))
    _branch(query.explain(fields), 0)
    if verdict.matched:
        for passage in passages(text, verdict.spans.get("body", ()), most=5):
            quoted = Text("  ")
            for run in passage:
                # Between brackets where there are no colours to tell the hits.
                hit = run.text if console.color_system else f"[{run.text}]"
                quoted.append(hit if run.hit else run.text, "black on yellow" if run.hit else "")
            console.print(quoted)
    console.print(Text("matches", "bold green") if verdict.matched else Text("does not match", "bold red"))


def _branch(clause: Clause, depth: int) -> None:
    mark = ("✓ ", "green") if clause.true else ("✗ ", "red")
    words = ", ".join(f"“{plain(word)}”" for word in clause.words)
    stdout().print(Text.assemble("  " * depth, mark, plain(clause.label), (f"   {words}" if words else "", "yellow")))
    parts = clause.parts
    if len(parts) > SHOWN:
        # The spellings of a name, the terms of a pack: those that are there, or else the first few.
        parts = tuple(part for part in parts if part.true)[:SHOWN] or parts[:3]
    for part in parts:
        _branch(part, depth + 1)
    if left_out := len(clause.parts) - len(parts):
        stdout().print(Text.assemble("  " * (depth + 2), (f"and {left_out} more, as read above", "dim")))


def _point_at(query: str, error: QueryError) -> None:
    console = stderr()
    console.print(told("error", "red", f"{error.code}: {error}"))
    # On one line and without controls, so that the mark below stands where the reading failed.
    legible = "".join(letter if letter.isprintable() else " " for letter in query)
    before, after = legible[: error.at], legible[error.at :]
    if console.is_terminal and cell_len(before) > console.width * 2 // 3:
        before = "…" + before[-console.width // 3 :]
    one_line(console, Text(f"  {before}{after}"))
    if query:
        one_line(console, Text("  " + " " * cell_len(before) + "^", style="red"))


def _lines(source: BinaryIO, packs: Mapping[str, Pack]) -> None:
    """One JSON object in, one out, at once: whoever asks may wait for each answer."""
    compiled: dict[str, Query] = {}
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            asked = _asked(line)
        except ValueError as error:
            raise click.ClickException(f"line {number}: {error}; fix it and run again") from error
        query = asked.pop("query")
        try:
            known = compiled.get(query) or parse(query, packs)
            if len(compiled) < 1000:
                compiled[query] = known
            answer = _answer(known, asked)
        except QueryError as error:
            answer = {"error": error.code, "at": error.at}
        click.echo(msgspec.json.encode(answer))


def _asked(line: bytes) -> dict[str, str]:
    """A line's texts by name, `query` among them. Raises ValueError with what is wrong with it."""
    try:
        # Not msgspec: half a surrogate pair is no Unicode, but it may stand in JSON, and harms no search.
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is not JSON") from error
    if not (isinstance(asked, dict) and "query" in asked and all(isinstance(value, str) for value in asked.values())):
        raise ValueError('this is not {"query": "…", "text": "…"}, every value a text')
    if "text" in asked and "body" in asked:
        raise ValueError("“text” is another name of “body”; one of them will do")
    return asked


def _answer(query: Query, asked: dict[str, str]) -> dict[str, object]:
    """`{"match": …, "spans": …}`: spans of a plain text as a list, of fields by name."""
    fields = {"body" if name == "text" else name: value for name, value in asked.items()}
    verdict = query.search(fields)
    if set(asked) == {"text"}:
        return {"match": verdict.matched, "spans": verdict.spans.get("body", [])}
    named = {("text" if name == "body" and "text" in asked else name): spans for name, spans in verdict.spans.items()}
    return {"match": verdict.matched, "spans": named}
