"""
Marks by which we know that a channel's address has changed in its subscriber's file since something happened to it.

A suspended channel may be used again then, and a confirmed one has to be confirmed again, even if the file was changed
while the service was stopped. A mark is a consumer's state in the log's file and not an event: events contain nothing
made from an address.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping

import msgspec

from notifier.delivery.outbox import Lane
from notifier.eventlog.log import EventLog
from notifier.events.channels import OfChannel
from notifier.subscribers.subscriber import Contact


class AddressMarks:
    """
    The marks of channels by what happened to them; kept under the `name` of a consumer. `contact` finds a channel by
    its subscriber and name.
    """

    def __init__(self, log: EventLog, name: str, contact: Callable[[str, str], Contact | None]) -> None:
        self._log = log
        self._name = name
        self._contact = contact
        self._marks: dict[str, str] | None = None
        self._one_by_one = asyncio.Lock()

    def tell_another(self, event: OfChannel, contact: Contact) -> bool:
        """Has the channel another address now than when this happened to it?"""
        mark = _mark(event, contact)
        return (self._marks or {}).get(event.id, mark) != mark

    async def keep(self, events: Mapping[Lane, OfChannel]) -> None:
        """Have marks of these events, and of no others. Raises as the log does."""
        async with self._one_by_one:
            if self._marks is None:
                state = (await self._log.consumer(self._name)).state
                self._marks = msgspec.json.decode(state, type=dict[str, str]) if state else {}
            by_id = {event.id: (lane, event) for lane, event in events.items()}
            if by_id.keys() == self._marks.keys():
                return
            marks = {id: mark for id, mark in self._marks.items() if id in by_id}
            for id, (lane, event) in by_id.items():
                if id not in marks and (contact := self._contact(*lane)) is not None:
                    marks[id] = _mark(event, contact)
            if marks != self._marks:
                consumer = await self._log.consumer(self._name)
                await self._log.append([], commit=consumer.moved_to(consumer.position, msgspec.json.encode(marks)))
                self._marks = marks


def _mark(event: OfChannel, contact: Contact) -> str:
    """Tells one address of a channel from the next, and little more: one of four billion marks, new for each event."""
    return hashlib.blake2b(contact.address.reveal().encode(), key=event.id.encode(), digest_size=4).hexdigest()
