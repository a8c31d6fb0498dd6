"""
A channel as the deliver step sees it. A new kind is one file beside this one and one line in ports.py.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from notifier.message import Message, Receipt


class Channel(Protocol):
    """
    One kind of way out: email, slack, console.

    `kind` is the word in a subscriber's file, `folder`-relative `forms` are the template files that a message needs
    on this channel (`subject.txt`, `body.html`, `slack.json`, …). `at_once` is how many messages it wants under way
    together.
    """

    kind: str
    forms: tuple[str, ...]
    at_once: int

    def place(self, address: str) -> str:
        """The host an address is on: the domain of a mailbox, the host of a URL; "" if there is none."""
        ...

    def refusal(self, address: str) -> str:
        """Why this address can never work here, in a sentence with the mend; "" when it looks right. No network."""
        ...

    def masked(self, address: str) -> str:
        """The address as it may be shown: enough to recognise it, not enough to use it."""
        ...

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Hand the message over. Raises `TryLater` or `Refused`, with a sentence that names no address or secret.

        If it is cancelled when the other side may already have the whole message, it raises `TryLater(unknown=True)`
        instead of `CancelledError`, so that the caller knows that a second copy is possible.
        """
        ...

    async def check(self) -> str:
        """
        Try the connection without sending (log in, say hello) and describe the result in a line. Raises as `send`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Safe to call twice."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A channel whose addresses are written to at a pace of their own."""

    def turn(self, address: str) -> float:
        """Take the address's next turn and return 0; or the seconds until there may be one, and take none."""
        ...
