"""The cases of the query language, row by row: those it is accepted by, and our own beside them (`cases.tsv`)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from notifier.watchlists.query import parse
from tests.watchlists.builders import refused

OURS = Path(__file__).with_name("cases.tsv")
CASES = Path(__file__).parents[2] / "../shared/data/watchlist-cases.tsv"
ESCAPES = {"\\n": "\n", "\\u00ad": "\u00ad", "\\u00a0": "\u00a0"}


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def fields(text: str) -> dict[str, str]:
    if text.startswith("{"):
        return {str(name): str(value) for name, value in json.loads(text).items()}
    for escape, letter in ESCAPES.items():
        text = text.replace(escape, letter)
    return {"body": text}


@pytest.mark.skipif(not CASES.exists(), reason="the collection of watchlist cases is not beside this checkout")
@pytest.mark.parametrize("row", rows(CASES), ids=lambda row: row["id"])
def test_a_case_ends_as_written(row: dict[str, str]):
    """The verdict, the error's code and every highlighted span are those of the collection."""
    assert_ends_as_written(row)


@pytest.mark.parametrize("row", rows(OURS), ids=lambda row: row["id"])
def test_a_case_of_ours_ends_as_written(row: dict[str, str]):
    """So it is with ours, which hold the corners of each rule: what it finds, and the nearest that it does not."""
    assert_ends_as_written(row)


def assert_ends_as_written(row: dict[str, str]) -> None:
    if row["match"].startswith("error:"):
        assert f"error:{refused(row['query']).code}" == row["match"]
        return

    verdict = parse(row["query"]).search(fields(row["text"]))

    named = row["text"].startswith("{")
    spans = [
        f"{field}:{start}-{end}" if named else f"{start}-{end}"
        for field, found in verdict.spans.items()
        for start, end in found
    ]
    assert ("yes" if verdict.matched else "no", ";".join(spans)) == (row["match"], row["spans"])
