"""Do the operator's doors say what a watchlist is read as, and what about it may not be meant?"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from notifier.eventlog.sqlite import SqliteLog
from notifier.events.statements import StatementPublished
from notifier.statement import Statement, fingerprint

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
DESK = """\
[[watchlist]]
name = "Chips"
query = '@chips'

[[watchlist]]
name = "Wide"
query = 'statement OR "statement one"'

[[channel]]
console = "stdout"
"""


def home(folder: Path) -> Path:
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "desk.toml").write_text(DESK)
    (folder / "aliases").mkdir()
    (folder / "aliases" / "chips.toml").write_text('version = 1\nterms = ["microchip", "wafer"]\n')
    (folder / "notifier.toml").write_text("")
    return folder


def notifier(at: Path, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "notifier", "--home", str(at), *words]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


async def published(at: Path, *titles: str) -> None:
    log = await SqliteLog.open(at / "data", lambda: NOON)
    for number, title in enumerate(titles):
        statement = Statement(
            id=f"f/{number}", feed="f", issuer="F", title=title, fingerprint=fingerprint(title), published_at=NOON
        )
        await log.append([StatementPublished(statement=statement, seen_at=NOON)])
    await log.close()


async def test_a_watchlist_that_matches_much_of_the_log_is_told(tmp_path: Path):
    """With file, line, numbers and mend, beside other warnings; the check passes all the same."""
    at = home(tmp_path)
    await published(at, *["statement"] * 30, *["other"] * 19, "wafer")

    done = notifier(at, "subscriptions", "check")

    said = " ".join(done.stderr.split())
    assert done.returncode == 0
    assert "subscriptions/desk.toml, line 7: this matches 30 of 50 statements in the log (60%)" in said
    assert 'line 7: "statement one" adds nothing: statement finds all of it; leave it out' in said
    assert "line 3" not in said


async def test_a_few_statements_say_nothing_of_a_share(tmp_path: Path):
    """One of three is no third of what is to come."""
    at = home(tmp_path)
    await published(at, "statement", "other", "wafer")

    done = notifier(at, "subscriptions", "check")

    assert "in the log" not in done.stderr


def test_a_verdict_shows_what_a_pack_stands_for(tmp_path: Path):
    """The home's packs are known to `match`, written out, each term with how it fared."""
    done = notifier(home(tmp_path), "match", "@chips AND ECCN 3A090", said="A wafer under 3A090.a")

    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert '(microchip OR wafer) AND ("ECCN 3A090" OR 3A090)' in " ".join(done.stdout.split())
    assert ["✓", "wafer", "“wafer”"] in lines
    assert ["✗", "microchip"] in lines


def test_many_terms_that_are_absent_are_told_in_one_line(tmp_path: Path):
    """Of the names of a thing, those that are there are shown."""
    done = notifier(home(tmp_path), "match", "15 CFR 744", said="see 15 CFR 744.11")

    assert "and 12 more, as read above" in done.stdout
    assert "✗" not in done.stdout


def test_lines_may_say_what_a_revision_changed(tmp_path: Path):
    """`added` and `removed` are fields by name as all others."""
    asked = {"query": "added:chips NOT removed:steel", "body": "on chips", "added": "chips"}

    done = notifier(home(tmp_path), "match", "--jsonl", said=msgspec.json.encode(asked).decode())

    assert msgspec.json.decode(done.stdout) == {"match": True, "spans": {"added": [[0, 5]]}}
