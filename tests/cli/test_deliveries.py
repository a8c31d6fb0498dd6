"""`notifier deliveries`: what an operator sees of what was sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from notifier.eventlog.command_box import take_in
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.channels import ChannelSuspended
from notifier.events.deliveries import DeliveryRetried
from tests.builders import NOON, Clock
from tests.commands import run
from tests.questions.test_deliveries import ALERT, BUSY, REFUSED, TAKEN, TOLD


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
    told = run("--home", home, "deliveries")

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
    told = run("--home", home, "deliveries", "--json", *words)

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


def retried(home: Path) -> list[DeliveryRetried]:
    """The wishes that the log holds."""

    async def read() -> list[DeliveryRetried]:
        log = await SqliteLog.open(home / "data", Clock(), write=False)
        page = await log.read(0, [DeliveryRetried.type])
        await log.close()
        return [each.event for each in page.events]

    return asyncio.run(read())


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A home of its own with the same alert."""

    async def write() -> None:
        log = await SqliteLog.open(tmp_path / "data", Clock())
        await log.append([TOLD, ALERT, BUSY, TAKEN, REFUSED])
        await log.close()

    asyncio.run(write())
    return tmp_path


def test_what_failed_is_tried_again_and_nothing_else(failed: Path) -> None:
    """The log holds the operator's wish, and the delivery stands as owed; what was taken over is left alone."""
    told = run("--home", failed, "deliveries", "retry", "--subscriber", "desk")

    after = run("--home", failed, "deliveries", "--json")
    assert told.code == 0
    assert "1 delivery will be tried again" in told.err
    assert [(wish.alert, wish.channel) for wish in retried(failed)] == [(ALERT.id, "slack")]
    assert [(row["channel"], row["state"]) for row in after.rows] == [("email", "delivered"), ("slack", "owed")]
    assert after.rows[1]["attempts"][-1]["said"] == "to be tried again, the operator says"


def test_a_channel_that_takes_nothing_is_to_be_resumed_first(failed: Path) -> None:
    """What is tried again there would end at once, so the mend is said with the wish."""

    async def suspend() -> None:
        log = await SqliteLog.open(failed / "data", Clock())
        stop = ChannelSuspended(subscriber="desk", channel="slack", why="ended", reason="410", at=NOON)
        await log.append([stop])
        await log.close()

    asyncio.run(suspend())

    told = run("--home", failed, "deliveries", "retry", "--subscriber", "desk")

    assert "channel slack is suspended (ended)" in told.err
    assert "notifier subscriptions resume desk slack" in told.err


def test_a_running_service_takes_the_wish_in(failed: Path) -> None:
    """The command cannot write the log then; it waits until the owner has."""

    async def serve() -> int:
        log = await SqliteLog.open(failed / "data", Clock())
        asking = asyncio.create_task(
            asyncio.to_thread(run, "--home", failed, "deliveries", "retry", ALERT.id, "--channel", "slack")
        )
        taken = 0
        while not asking.done():
            taken += await take_in(failed / "data", log)
            await asyncio.wait([asking], timeout=0.05)
        await log.close()
        assert (await asking).code == 0
        return taken

    assert asyncio.run(serve()) == 1
    assert [wish.channel for wish in retried(failed)] == ["slack"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "name ALERT ids"),
        (["--subscriber", "nobody"], 1, "none of these failed"),
        (["no-such-alert"], 1, "none of these failed"),
    ],
)
def test_a_wish_that_means_nothing_is_told(failed: Path, words: list[str], code: int, told: str) -> None:
    """And nothing is recorded."""
    done = run("--home", failed, "deliveries", "retry", *words)

    assert done.code == code
    assert told in done.err
    assert retried(failed) == []
