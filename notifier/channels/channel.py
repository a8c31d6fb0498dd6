"""A way out, as the deliver step sees it. A new channel is one file beside this one and one line in ways.py."""

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
        """Whose machine an address is on: the domain of a mailbox, the host of a URL; "" where that says nothing."""
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

        Where it is cancelled and the other side may have the whole message, it raises `TryLater(unknown=True)` instead
        of `CancelledError`: whoever stops us must still hear that a second copy is possible.
        """
        ...

    async def check(self) -> str:
        """Try the way out without sending (log in, say hello) and tell in a line how it went. Raises as `send`."""
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
