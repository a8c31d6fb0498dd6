"""`notifier preview`: what an alert says, before anybody gets it."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from notifier.eventlog.sqlite import SqliteLog
from notifier.events.alerts import AlertRaised, DigestRaised, WatchlistMatched
from notifier.events.statements import StatementPublished
from notifier.statement import Statement, fingerprint
from tests.builders import NOON, Clock
from tests.commands import run

SETTINGS = '[email]\nhost = "mx.house.example"\nsender = "Alerts <alerts@house.example>"\n'
DESK = """
name = "Export desk"
timezone = "Asia/Hong_Kong"
[[watchlist]]
name = "Exports"
query = "dual-use"
[[watchlist]]
name = "Steel"
query = "steel"
[[watchlist]]
name = "Rice"
query = "rice"
[[channel]]
email = "desk@bank.example"
"""
NEWSROOM = DESK.replace("Export desk", "Newsroom").replace("dual-use", "curbs")


def published(title: str) -> StatementPublished:
    said = Statement(
        id=title,
        feed="us-commerce",
        issuer="US Commerce",
        title=title,
        fingerprint=fingerprint(title),
        published_at=NOON,
    )
    return StatementPublished(statement=said, seen_at=NOON)


def alert(cause: StatementPublished, subscriber: str) -> AlertRaised:
    match = WatchlistMatched(watchlist="Exports", query="dual-use", words=("dual-use",))
    return AlertRaised(
        cause=cause.id,
        subscriber=subscriber,
        statement_id=cause.statement.id,
        matches=(match,),
        channels=("email",),
    )


FIRST, SECOND, STEEL = (
    published(title) for title in ("Curbs on dual-use goods", "More dual-use curbs", "A levy on steel")
)
TO_DESK, TO_NEWSROOM = alert(FIRST, "desk"), alert(SECOND, "newsroom")


def digest(*alerts: AlertRaised) -> DigestRaised:
    return DigestRaised(
        subscriber="desk",
        channels=("email",),
        frequency="daily",
        due_at=NOON,
        until=7,
        alerts=tuple(each.id for each in alerts),
        feeds_asked=2,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose log holds two alerts and a statement that raised none, at positions 1 to 5."""
    home = tmp_path_factory.mktemp("home")
    (home / "subscriptions").mkdir()
    (home / "notifier.toml").write_text(SETTINGS)
    for name, text in {"desk": DESK, "newsroom": NEWSROOM}.items():
        (home / "subscriptions" / f"{name}.toml").write_text(text)

    async def write() -> None:
        log = await SqliteLog.open(home / "data", Clock())
        await log.append([FIRST, TO_DESK, SECOND, TO_NEWSROOM, STEEL])
        await log.close()

    asyncio.run(write())
    return home


@pytest.mark.parametrize(
    ("which", "title", "reader"),
    [
        (TO_DESK.id, "Curbs on dual-use goods", "Export desk"),
        ("#1", "Curbs on dual-use goods", "Export desk"),
        ("2", "Curbs on dual-use goods", "Export desk"),
        ("exports", "More dual-use curbs", "Newsroom"),
        ("desk/Exports", "Curbs on dual-use goods", "Export desk"),
        ("Steel", "A levy on steel", "Newsroom"),
    ],
    ids=["id", "statement", "position", "newest of a name", "of a subscriber", "one that it would raise"],
)
def test_an_alert_is_found_by_what_people_know_of_it(home: Path, which: str, title: str, reader: str):
    """Its id, the number in its message, or a watchlist; it is told for whoever gets it, and nothing is sent."""
    told = run("--home", home, "preview", which)

    assert told.code == 0
    assert title in told.out
    assert f"For {reader}" in told.out
    assert told.out.startswith("[")
    assert "<html" not in told.out


@pytest.fixture
def digests(home: Path, tmp_path: Path) -> tuple[Path, DigestRaised]:
    """The same home, where two alerts are held and a third was told in a digest, which comes with it."""
    mine = shutil.copytree(home, tmp_path / "home")
    causes = [published(f"Curbs number {n} on dual-use goods") for n in range(3)]
    held = [msgspec.structs.replace(alert(cause, "desk"), waits_for="daily") for cause in causes]

    async def write() -> None:
        log = await SqliteLog.open(mine / "data", Clock())
        await log.append([*causes, *held, digest(held[0])])
        await log.close()

    asyncio.run(write())
    return mine, digest(held[0])


def test_a_digest_is_shown_as_it_was_raised(digests: tuple[Path, DigestRaised]):
    """By its id, or its place in the log."""
    mine, raised = digests

    by_id = run("--home", mine, "preview", raised.id)
    by_position = run("--home", mine, "preview", "#12")

    assert by_id.out == by_position.out
    assert by_id.out.startswith("[Daily digest] Curbs number 0 on dual-use goods (US Commerce)\n\nDaily digest\n")
    assert "All 2 feeds were read without problems." in by_id.out
    assert by_id.code == 0


def test_what_is_held_is_shown_as_a_digest(digests: tuple[Path, DigestRaised], tmp_path: Path):
    """What has been told is not in it; nothing is recorded, in any form."""
    mine, _ = digests

    told = run("--home", mine, "preview", "--digest", "desk")
    written = run("--home", mine, "preview", "--digest", "desk", "--out", tmp_path / "seen")
    again = run("--home", mine, "preview", "--digest", "desk")

    assert told.out.startswith("[Daily digest] 2 statements: Curbs number 1 on dual-use goods and 1 more\n")
    assert "For Export desk" in told.out
    assert (told.code, written.code) == (0, 0)
    assert "Curbs number 2" in (tmp_path / "seen" / "body.html").read_text("utf-8")
    assert again.out.split("Curbs number 1")[1].split("--")[0] == told.out.split("Curbs number 1")[1].split("--")[0]


def test_who_has_nothing_held_is_told_so(home: Path):
    """Also who is not there; and one of an alert and a subscriber is enough."""
    nothing = run("--home", home, "preview", "--digest", "desk")
    both = run("--home", home, "preview", "1", "--digest", "desk")
    neither = run("--home", home, "preview")

    assert (nothing.code, both.code, neither.code) == (1, 2, 2)
    assert "nothing is held for desk" in nothing.err
    assert "name an alert, a watchlist or a digest, or a subscriber with --digest" in both.err


def test_each_channel_has_its_form(home: Path):
    """Slack's is what would be posted; the console's is what it would show."""
    slack = run("--home", home, "preview", "1", "--channel", "slack")
    console = run("--home", home, "preview", "1", "--channel", "console")

    assert json.loads(slack.out)["text"] == "Curbs on dual-use goods (US Commerce)"
    assert console.out.startswith("Curbs on dual-use goods\n  US Commerce · ")


def test_all_forms_go_into_a_directory(home: Path, tmp_path: Path):
    """A file each, named as the templates are, and told on stdout."""
    told = run("--home", home, "preview", "1", "--out", tmp_path / "seen")

    posted = {"slack.json", "teams.json", "discord.json", "webhook.json"}
    forms = {"subject.txt", "body.txt", "body.html", "console.txt", "atom.json", "atom.html"} | posted
    assert {path.name for path in (tmp_path / "seen").iterdir()} == forms
    assert {Path(line).name for line in told.out.splitlines()} == forms
    assert "Curbs on" in (tmp_path / "seen" / "body.html").read_text("utf-8")


def test_a_directory_that_cannot_be_is_told(home: Path, tmp_path: Path):
    """With the way out, and exit code 1."""
    (tmp_path / "file").write_text("")

    told = run("--home", home, "preview", "1", "--out", tmp_path / "file" / "seen")

    assert told.code == 1
    assert "cannot be written: Not a directory; choose another with --out DIR" in told.err


def test_the_operators_templates_are_used_and_checked(home: Path, tmp_path: Path):
    """His words are shown; of a file with a mistake its place, the built-in words, and exit code 3."""
    mine = shutil.copytree(home, tmp_path / "home")
    (mine / "templates" / "alert").mkdir(parents=True)
    (mine / "templates" / "alert" / "subject.txt").write_text("Mine: {{ title }}")
    (mine / "templates" / "alert" / "body.txt").write_text("\n{{ titel }}")

    told = run("--home", mine, "preview", "1")

    assert told.code == 3
    assert told.out.startswith("Mine: Curbs on dual-use goods\n\nUS Commerce\n")
    assert "body.txt, line 2: 'titel' is undefined" in told.err


@pytest.mark.parametrize("which", ["Rice", "Nothing", "desk/Nothing", "99", "#0", "5", "not-an-id"])
def test_what_is_not_there_is_told(home: Path, which: str):
    """A watchlist that matches nothing, a name nobody has, a position without one: exit code 1, and where to look."""
    told = run("--home", home, "preview", which)

    assert told.code == 1
    assert f"no alert is called {which}" in told.err
    assert "notifier subscriptions list" in told.err


def test_a_home_without_a_log_says_so(home: Path, tmp_path: Path):
    """It is made by the first pass."""
    fresh = shutil.copytree(home, tmp_path / "home", ignore=shutil.ignore_patterns("data"))

    told = run("--home", fresh, "preview", "Exports")

    assert told.code == 1
    assert "no log yet" in told.err
    assert not (fresh / "data").exists()
