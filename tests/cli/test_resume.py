"""`notifier subscriptions resume`: may a channel that took nothing be written to again?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from notifier.eventlog.sqlite import SqliteLog
from notifier.events.channels import ChannelResumed, ChannelSuspended
from tests.builders import NOON, Clock
from tests.commands import run


def suspended(channel: str, subscriber: str = "desk") -> ChannelSuspended:
    return ChannelSuspended(subscriber=subscriber, channel=channel, why="bounced", reason="550", at=NOON)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two channels of a desk take nothing, and one of somebody else."""

    async def write() -> None:
        log = await SqliteLog.open(tmp_path / "data", Clock())
        await log.append([suspended("email"), suspended("slack"), suspended("email", "newsroom")])
        await log.close()

    asyncio.run(write())
    return tmp_path


def resumed(home: Path) -> list[tuple[str, str, str]]:
    async def read() -> list[tuple[str, str, str]]:
        log = await SqliteLog.open(home / "data", Clock(), write=False)
        page = await log.read(0, [ChannelResumed.type])
        await log.close()
        return [(each.event.subscriber, each.event.channel, each.event.reason) for each in page.events]

    return asyncio.run(read())


def test_all_channels_of_one_are_resumed(home: Path) -> None:
    """And nobody else's."""
    told = run("--home", home, "subscriptions", "resume", "desk")

    assert (told.code, told.err.strip()) == (0, "✓ 2 channels of desk resumed: email, slack")
    assert resumed(home) == [("desk", channel, "the operator says so") for channel in ("email", "slack")]


def test_one_channel_is_resumed_and_the_log_keeps_why(home: Path) -> None:
    """A second time there is nothing to resume."""
    once = run("--home", home, "subscriptions", "resume", "desk", "slack", "--reason", "asked for by phone")
    twice = run("--home", home, "subscriptions", "resume", "desk", "slack")

    assert once.code == 0
    assert resumed(home) == [("desk", "slack", "asked for by phone")]
    assert twice.code == 1
    assert "nothing keeps us from writing to channel slack of desk" in twice.err


def test_no_address_gets_into_the_log_as_a_reason(home: Path) -> None:
    """It is refused, and nothing is recorded."""
    told = run("--home", home, "subscriptions", "resume", "desk", "--reason", "desk@bank.example asked")

    assert told.code == 1
    assert "no address in it" in told.err
    assert resumed(home) == []
