"""Does what another process wants recorded come into the log, once and whole?"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from notifier.errors import LogFull
from notifier.eventlog.command_box import FOLDER, post, take_in
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.channels import ChannelResumed
from tests.builders import Clock, FailingLog
from tests.eventlog.builders import NOW

WISH = ChannelResumed(subscriber="desk", channel="email", reason="the operator says so", at=NOW)


async def test_a_letter_is_recorded_and_gone(tmp_path: Path) -> None:
    """At the time at which the owner took it in."""
    log = await SqliteLog.open(tmp_path, Clock())
    letter = post(tmp_path, WISH)

    taken = [await take_in(tmp_path, log), await take_in(tmp_path, log)]

    (recorded,) = (await log.read()).events
    assert (taken, recorded.event, recorded.recorded_at, letter.exists()) == ([1, 0], WISH, Clock()(), False)
    await log.close()


class Disk:
    """
    What a power cut leaves of a directory, by the letter of fsync(2) and rename(2): of a file, the bytes that it had
    when it was last synced; of a directory, the names that stood in it then.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[int, bytes] = {}  # by inode, as the names are
        self._names: dict[int, dict[str, int]] = {}

    def sync(self, descriptor: int) -> None:
        """What fsync(2) does, and note what is on the disk from now on."""
        os.fsync(descriptor)
        number = os.fstat(descriptor).st_ino
        path = next(each for each in (self._root, *self._root.rglob("*")) if each.stat().st_ino == number)
        if path.is_dir():
            self._names[number] = {each.name: each.stat().st_ino for each in path.iterdir()}
        else:
            self._files[number] = path.read_bytes()

    def cut_off(self, into: Path) -> None:
        """Lay what is left of the directory into another."""
        self._lay(self._root.stat().st_ino, into)

    def _lay(self, number: int, into: Path) -> None:
        into.mkdir()
        for name, each in self._names.get(number, {}).items():
            if each in self._names:
                self._lay(each, into / name)
            else:
                (into / name).write_bytes(self._files.get(each, b""))


async def test_a_letter_outlives_a_power_cut(tmp_path: Path) -> None:
    """From the moment at which the operator is told that it lies there: whole, in the box, whatever else is lost."""
    (tmp_path / "data").mkdir()
    disk = Disk(tmp_path / "data")
    post(tmp_path / "data", WISH, disk.sync)
    disk.cut_off(tmp_path / "after")
    log = FailingLog(Clock())

    taken = await take_in(tmp_path / "after", log)

    assert taken == 1
    assert [each.event for each in (await log.read()).events] == [WISH]


async def test_a_letter_of_what_is_known_is_recorded_once(tmp_path: Path) -> None:
    """The owner may die between recording it and putting it away."""
    log = FailingLog(Clock())
    await log.append([WISH])
    post(tmp_path, WISH)

    await take_in(tmp_path, log)

    assert await log.head() == 1
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_letter_that_another_was_quicker_than_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same was recorded in other words: that stands, it is told, and neither the next letter nor a start waits."""
    log = FailingLog(Clock())
    first = msgspec.structs.replace(WISH, cause="0" * 36)
    await log.append([msgspec.structs.replace(first, reason="it has another address")])
    post(tmp_path, first)
    other = msgspec.structs.replace(first, channel="slack")
    post(tmp_path, other)

    assert await take_in(tmp_path, log) == 1
    assert [each.event for each in (await log.read()).events][1:] == [other]
    assert "is known already" in caplog.text
    assert [path.suffix for path in (tmp_path / FOLDER).iterdir()] == [".unread"]


async def test_a_letter_stays_while_the_log_takes_nothing(tmp_path: Path) -> None:
    """It goes in when there is room."""
    log = FailingLog(Clock())
    log.failures = ["before"]
    post(tmp_path, WISH)

    with pytest.raises(LogFull):
        await take_in(tmp_path, log)
    await take_in(tmp_path, log)

    assert await log.head() == 1


async def test_a_letter_that_cannot_be_read_is_told_and_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next is taken in all the same."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "0.json").write_bytes(b"\xff\xfe no letter")
    (tmp_path / FOLDER / "1.draft").write_bytes(b"half a let")
    post(tmp_path, WISH)
    log = FailingLog(Clock())

    taken = await take_in(tmp_path, log)

    assert taken == 1
    assert f"{FOLDER}/0.json cannot be taken in" in caplog.text
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["0.unread", "1.draft"]


async def test_a_box_that_there_is_not_is_empty(tmp_path: Path) -> None:
    """Most homes have none."""
    assert await take_in(tmp_path, FailingLog(Clock())) == 0
