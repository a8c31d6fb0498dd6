"""Do a channel's events add up to how it stands?"""

from __future__ import annotations

from datetime import timedelta

from notifier.delivery.channel_state import ChannelStates
from notifier.eventlog.memory import MemoryLog
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.event import Event
from tests.builders import NOON, Clock

OF = {"subscriber": "desk", "channel": "email", "at": NOON}
UNSUBSCRIBED = ChannelSuspended(**OF, why="unsubscribed", reason="the reader asked for it")


async def standing(*events: Event) -> ChannelStates:
    """What a log of these events folds to."""
    log = MemoryLog(Clock())
    await log.append(events)
    folded = ChannelStates(log)
    await folded.catch_up()
    return folded


async def test_a_suspended_channel_takes_nothing():
    """That one alone, of that subscriber alone."""
    found = await standing(UNSUBSCRIBED)

    assert found.suspended("desk", "email", NOON) == UNSUBSCRIBED
    assert found.suspended("desk", "slack", NOON) is None
    assert found.suspended("other", "email", NOON) is None


async def test_a_resumed_channel_takes_alerts_again():
    """The last word counts."""
    found = await standing(UNSUBSCRIBED, ChannelResumed(**OF, reason="the reader asked for it"))

    assert found.suspended("desk", "email", NOON) is None


async def test_a_suspension_ends_by_itself_at_its_time():
    """Not a second earlier; nobody has to resume it."""
    full = ChannelSuspended(**OF, why="full", reason="full for a week", until=NOON + timedelta(days=30))

    found = await standing(full)

    assert found.suspended("desk", "email", NOON + timedelta(days=30, seconds=-1)) == full
    assert found.suspended("desk", "email", NOON + timedelta(days=30)) is None


async def test_a_confirmed_channel_stays_confirmed():
    """Also after it was suspended and resumed; no other is."""
    found = await standing(ChannelConfirmed(**OF), UNSUBSCRIBED, ChannelResumed(**OF, reason="mended"))

    assert found.is_confirmed("desk", "email")
    assert not found.is_confirmed("desk", "slack")


async def test_it_goes_on_where_it_was():
    """What came since the last look is folded in at the next."""
    log = MemoryLog(Clock())
    found = ChannelStates(log)
    await found.catch_up()
    await log.append([UNSUBSCRIBED])
    before = found.suspended("desk", "email", NOON)
    await found.catch_up()

    assert before is None
    assert found.suspended("desk", "email", NOON) == UNSUBSCRIBED
