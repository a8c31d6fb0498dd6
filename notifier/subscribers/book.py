"""
The book of all subscribers: who is meant by an id, how they are reached, and on which channels they may get alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from notifier.subscribers.subscriber import MAIL, OPERATOR, Contact, Subscriber
from notifier.subscribers.timing import Timing

NOBODY: Mapping[str, Subscriber] = MappingProxyType({})


class Book:
    """
    The subscribers in force, and the operator. Steps are handed the book once, and see in it whoever is in force now.

    `subscribers` are those in force, by id: the same mapping until they change. `is_confirmed` says of a subscriber's
    id and a channel's name whether its reader has confirmed it; None where the operator asks for no confirmation.
    """

    def __init__(
        self,
        subscribers: Mapping[str, Subscriber] = NOBODY,
        operator: Subscriber | None = None,
        is_confirmed: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.subscribers = subscribers
        self.operator = operator
        self.is_confirmed = is_confirmed

    def find(self, id: str) -> Subscriber | None:
        """The subscriber of this id, or the operator; None if there is none in force."""
        return self.operator if id == OPERATOR else self.subscribers.get(id)

    def contact(self, subscriber: str, channel: str) -> Contact | None:
        """A subscriber's channel by its name; None if there is none in force."""
        who = self.find(subscriber)
        for contact in who.channels if who else ():
            if contact.name == channel:
                return contact
        return None

    def contacts(self, id: str) -> tuple[Contact, ...]:
        """The channels on which a subscriber may get alerts, in the order of their file: all but unconfirmed mail."""
        who = self.find(id)
        if who is None:
            return ()
        if self.is_confirmed is None:
            return who.channels
        return tuple(contact for contact in who.channels if contact.kind != MAIL or self.is_confirmed(id, contact.name))

    def channels(self, id: str) -> tuple[str, ...]:
        """The names of these channels."""
        return tuple(contact.name for contact in self.contacts(id))

    def others(self, id: str, ended: Collection[str]) -> list[Contact]:
        """The channels on which a subscriber may be told that others have `ended`, mail first."""
        left = [contact for contact in self.contacts(id) if contact.name not in ended]
        return sorted(left, key=lambda contact: contact.kind != MAIL)

    def timing(self, id: str) -> Timing:
        """When a subscriber wants to get alerts; immediately, if they are not in force any more."""
        who = self.find(id)
        return who.timing if who else Timing()
