"""
Events that another process wants recorded: an operator's command, while the service runs.

One process writes the log. Another puts its event into a folder beside the log, atomically, and the owner records it.
An event's id follows from its cause, so recording one twice has no effect.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from notifier import durable
from notifier.errors import Conflict, LogError
from notifier.eventlog import codec
from notifier.eventlog.log import EventLog
from notifier.events.event import Event

logger = logging.getLogger(__name__)

FOLDER = "letters"  # beside the log
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # it is recorded when the owner takes it in
_SIZE = 1 << 20  # bytes of one letter that are read


def post(directory: Path, event: Event, sync: durable.Sync = os.fsync) -> Path:
    """
    Put an event into the box of the log in a directory; the letter, which is gone once it was taken in.

    When this returns, the letter outlives a power cut: an operator was told that it is there.
    """
    box = directory / FOLDER
    durable.make(box, 0o700, sync)
    letter = box / f"{event.id}.json"
    durable.write(letter, event.type.encode() + b"\n" + codec.encode(event, NEVER), sync)
    return letter


async def take_in(directory: Path, log: EventLog) -> int:
    """
    Record what lies in the box of a directory; how many letters.

    One that cannot be read is told and put aside (`.unread`): nothing that an operator wished is lost in silence.
    """
    taken = 0
    for letter in sorted((directory / FOLDER).glob("*.json")):
        try:
            type, _, data = letter.read_bytes()[:_SIZE].partition(b"\n")
            event = codec.decode(0, type.decode(), data).event
        except (LogError, UnicodeDecodeError, OSError) as error:
            logger.error("%s/%s cannot be taken in, and is put aside: %s", FOLDER, letter.name, error)  # noqa: TRY400
            letter.replace(letter.with_suffix(".unread"))
            continue
        try:
            await log.append([event])
        except Conflict as error:
            # Another said it first, in other words. It would be refused for ever, and hold up all that come after it.
            logger.error("%s/%s is known already, and is put aside: %s", FOLDER, letter.name, error)  # noqa: TRY400
            letter.replace(letter.with_suffix(".unread"))
            continue
        letter.unlink()
        taken += 1
    return taken
