"""`notifier tail`: the log as it is, and as it grows."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from notifier.eventlog import codec
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.event import Event
from notifier.events.feeds import FeedBaselined, FeedHealthChanged
from notifier.events.statements import StatementPublished
from notifier.statement import Statement, fingerprint
from tests.builders import NOON, Clock
from tests.cli.terminal import legible, on_a_terminal
from tests.commands import Run, run
from tests.homes import PATIENCE, line_with, notifier

TITLE = "Controls on dual-use exports to Hong Kong change for whoever holds a licence, and for whoever does not"


def published(feed: str, title: str = TITLE) -> StatementPublished:
    statement = Statement(
        id=f"{feed}/1", feed=feed, issuer="Ministry", title=title, fingerprint=fingerprint(title), published_at=NOON
    )
    return StatementPublished(statement=statement, seen_at=NOON)


def raised(feed: str) -> AlertRaised:
    return AlertRaised(
        cause=published(feed).id,
        subscriber="desk",
        statement_id=f"{feed}/1",
        matches=(WatchlistMatched(watchlist="Exports", query="dual-use", words=("dual-use",)),),
        channels=("email",),
    )


# An hour apart, from noon on.
HISTORY: tuple[Event, ...] = (
    FeedBaselined(feed="us-trade", entries=3),
    published("us-trade"),
    raised("us-trade"),
    published("hk-trade"),
    FeedHealthChanged(feed="hk-trade", outcome="blocked", before="ok", detail="403", changed_at=NOON),
)


def made(home: Path, *events: Event) -> Path:
    """A home whose log holds these events."""

    async def write() -> None:
        clock = Clock()
        log = await SqliteLog.open(home / "data", clock)
        for event in events:
            await log.append([event])
            clock.advance(3600)
        await log.close()

    asyncio.run(write())
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the history, which these tests only read."""
    return made(tmp_path_factory.mktemp("home"), *HISTORY)


def positions(told: Run) -> list[int]:
    assert told.code == 0, told.err
    return [row["position"] for row in told.rows]


# ---------------------------------------------------------------- what is shown


def test_an_event_is_a_line_in_columns(home: Path):
    """When, what, about what, what happened, and its position; whole where it goes into a pipe."""
    told = run("--home", home, "tail")

    lines = told.out.splitlines()
    assert told.code == 0
    assert len(lines) == len(HISTORY)
    assert lines[1] == f"2020-06-29 13:00:00Z statement.published   us-trade                   {TITLE} #2"
    assert {line.index(word) for line, word in zip(lines, ("us-", "us-", "desk", "hk-", "hk-"), strict=True)} == {43}
    assert "\x1b" not in told.out


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), [1, 2, 3, 4, 5]),
        (("-n", "2"), [4, 5]),
        (("-n", "0"), []),
        (("-n", "99"), [1, 2, 3, 4, 5]),
        (("-n", "1", "--type", "alert.*"), [3]),
        (("--since", "2020-06-29T14:00:00Z"), [3, 4, 5]),
        (("--since", "2020-06-29T16:00:00+02:00"), [3, 4, 5]),
        (("--until", "2020-06-29T14:00:00"), [1, 2]),
        (("--since", "2020-06-29", "--until", "2020-06-30"), [1, 2, 3, 4, 5]),
        (("--since", "2020-06-30"), []),
        (("--type", "statement.published"), [2, 4]),
        (("--type", "statement.published.v1"), [2, 4]),
        (("--type", "alert.*", "--type", "feed.*"), [1, 3, 5]),
        (("--feed", "us-*"), [1, 2, 3]),
        (("--feed", "hk-trade", "--type", "statement.*"), [4]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_events_are_chosen(home: Path, words: tuple[str, ...], shown: list[int]):
    """By number, by time, by type, by feed, and by several at once."""
    assert positions(run("--home", home, "tail", "--json", *words)) == shown


def test_json_is_cloudevents(home: Path):
    """One object a line with the attributes of CloudEvents 1.0, times in RFC 3339 UTC, and nothing else anywhere."""
    told = run("--home", home, "tail", "--json")

    assert told.err == ""
    assert [row["specversion"] for row in told.rows] == ["1.0"] * len(HISTORY)
    assert [row["id"] for row in told.rows] == [event.id for event in HISTORY]
    assert [row["type"] for row in told.rows] == [event.type for event in HISTORY]
    for row in told.rows:
        assert {"source", "subject", "datacontenttype", "data"} <= set(row)
        assert row["datacontenttype"] == "application/json"
        assert re.fullmatch(r"2020-06-29T\d\d:00:00(\.0+)?Z", row["time"])
        assert all(re.fullmatch("[a-z0-9]+", name) for name in row)
    assert told.rows[1]["data"]["statement"]["title"] == TITLE


def test_the_largest_event_is_told_too(tmp_path: Path):
    """What just fits into the log fits on a line with its position."""
    smallest = published("us-trade", "")
    room = codec.EVENT_BYTES - len(codec.encode(smallest, NOON))
    home = made(tmp_path, published("us-trade", "x" * room))

    (row,) = run("--home", home, "tail", "--json").rows

    assert row["position"] == 1
    assert len(row["data"]["statement"]["title"]) == room


def test_a_title_is_only_ever_text(tmp_path: Path):
    """Escapes and other controls in it are gone, markup stays as letters, and one event stays one line."""
    hostile = "\x1b[2J\x1b]52;c;aGk=\x07[red]Alert[/red]\r\nforged #9 \u202egnp\u0085\u009b2J\x7f"

    told = run("--home", made(tmp_path, published("us-trade", hostile)), "tail")

    (line,) = told.out.removesuffix("\n").split("\n")
    assert line.isprintable()
    assert "[red]Alert[/red] forged #9 gnp" in line


# ---------------------------------------------------------------- on a terminal


@pytest.mark.parametrize("columns", [80, 120])
def test_a_line_is_clipped_to_the_terminal(home: Path, columns: int):
    """None is wider than the window, and the position stays at its end."""
    code, out = on_a_terminal("--home", home, "tail", columns=columns)

    lines = legible(out).splitlines()
    assert code == 0
    assert len(lines) == len(HISTORY)
    assert max(map(cell_len, lines)) <= columns
    assert [line.rstrip()[-2:] for line in lines] == [f"#{position}" for position in range(1, 6)]
    assert "…" in lines[1]


def test_colours_are_for_terminals_that_want_them(home: Path):
    """There are some on a terminal, and none under NO_COLOR."""
    _, coloured = on_a_terminal("--home", home, "tail", columns=120)
    _, plain = on_a_terminal("--home", home, "tail", columns=120, NO_COLOR="1")

    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", coloured)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)


# ---------------------------------------------------------------- how it ends


@pytest.mark.parametrize("words", [("tail",), ("tail", "--json"), ("tail", "--help")], ids=" ".join)
def test_who_has_seen_enough_may_go(home: Path, words: tuple[str, ...]):
    """A pipe that nobody reads (`| head -1`) ends it quietly, with exit code 0."""
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "notifier", "--home", str(home), *words]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)  # noqa: S603
    os.close(theirs)

    assert (done.returncode, done.stderr) == (0, b"")


def test_without_a_log_it_says_what_makes_one(tmp_path: Path):
    """Exit code 1, one sentence, and nothing is made."""
    told = run("--home", tmp_path, "tail")

    assert (told.code, told.out) == (1, "")
    assert "there is no log yet; `notifier run` creates it" in told.err
    assert len(told.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_time_that_is_none_is_told():
    """With an example of one; exit code 2."""
    told = run("tail", "--since", "yesterday")

    assert told.code == 2
    assert "write 2020-06-29 or 2020-06-29T21:00:00Z" in told.err


async def test_following_shows_what_is_there_and_ends_at_ctrl_c(home: Path):
    """The last ones come at once; Ctrl-C ends it with exit code 130 and without a traceback."""
    async with notifier(home, "tail", "-f", "-n", "1") as tail:
        first = await line_with(tail.stdout, "#")
        tail.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await tail.communicate()

    assert first.rstrip().endswith("#5")
    assert tail.returncode == 130
    assert b"Traceback" not in err
