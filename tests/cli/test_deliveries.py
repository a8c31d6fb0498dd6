"""`notifier deliveries`: what an operator sees of what was sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from notifier.eventlog.sqlite import SqliteLog
from tests.cli.runs import quick, run
from tests.steps import Clock
from tests.test_deliveries import ALERT, BUSY, REFUSED, TAKEN, TOLD


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one alert: its mail was taken at the second try, and Slack refused it."""
    home = tmp_path_factory.mktemp("home")

    async def write() -> None:
        log = await SqliteLog.open(home / "data", Clock())
        await log.append([TOLD, ALERT, BUSY, TAKEN, REFUSED])
        await log.close()

    asyncio.run(write())
    return home


def test_each_delivery_is_a_line(home: Path):
    """Whom, by which way, of what, and the other side's words; their number stands below."""
    told = quick("--home", home, "deliveries")

    mail, slack = told.out.splitlines()
    assert "delivered desk · email  Curbs on exports (250 queued at attempt 2)" in mail
    assert "abandoned desk · slack  Curbs on exports (the webhook is no more)" in slack
    assert told.err.strip() == "· 2 deliveries: 1 delivered, 1 abandoned"


@pytest.mark.parametrize(
    ("words", "channels"),
    [
        (["--failed"], ["slack"]),
        (["--subscriber", "d*k"], ["email", "slack"]),
        (["--subscriber", "newsroom"], []),
        (["-n", "1"], ["slack"]),
        (["--until", "2020-01-01"], []),
    ],
    ids=["failed", "of one", "of nobody", "the last", "of a time"],
)
def test_some_of_them_can_be_asked_for(home: Path, words: list[str], channels: list[str]):
    """For programs, one object a line and nothing else."""
    told = quick("--home", home, "deliveries", "--json", *words)

    assert [row["channel"] for row in told.rows] == channels
    assert told.err == ""
    for row in told.rows:
        assert row["attempts"][-1]["said"] in {"250 queued", "the webhook is no more"}


def test_a_home_without_a_log_is_told(tmp_path: Path):
    """There is nothing to tell, and the way to begin is."""
    told = run("--home", tmp_path, "deliveries")

    assert told.code == 1
    assert "notifier run" in told.err
    assert told.out == ""
