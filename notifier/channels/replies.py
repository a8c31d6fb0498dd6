"""
What a mail server's reply means: try later, or never.

Reply codes are those of RFC 5321, enhanced status codes those of RFC 3463 and RFC 5248. Where the two disagree the
enhanced code is believed, because it says whose fault it is.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from notifier.errors import Refused, TryLater
from notifier.message import without_controls

Stage = Literal["MAIL", "RCPT", "DATA", "message"]

GREYLISTED = 300.0  # seconds to wait where a greylisting server does not say how long
MAILBOX_FULL = 1800.0
POLICY = 900.0  # our own set-up is refused: somebody must mend it, and nothing may be lost meanwhile
SHOWN = 160  # characters of a reply that are kept

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_WAIT = re.compile(
    r"\b(?:in|for|after)\s+(\d{1,6})(?:\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b|(?=[.,;)]|$))", re.IGNORECASE
)
_GREYLISTING = re.compile(r"gr[ea]y-?list|try again|later", re.IGNORECASE)
_ADDRESS = re.compile(r"<[^<>\s]*@[^<>\s]*>|[^\s<>@,;:\"'()]+@[^\s<>,;\"'()]+")


class Reply(msgspec.Struct, frozen=True):
    """A server's whole reply: its code, and the text of its lines joined by spaces."""

    code: int
    text: str

    @property
    def status(self) -> str:
        """The enhanced status code (`5.1.1`), or "" where the server gave none."""
        found = _STATUS.match(self.text)
        return found.group(0) if found else ""

    def shown(self, address: str = "") -> str:
        """The reply fit for the log: one short line, in which no mail address is left, least of all `address`."""
        # Cut before it is searched, too: the search takes the square of a word's length.
        text = " ".join(without_controls(self.text[: 4 * SHOWN]).split())
        text = _ADDRESS.sub("…", text)
        for part in (address, address.rpartition("@")[0]):
            if part:
                text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "…", text, flags=re.IGNORECASE)
        if len(text) > SHOWN:
            text = text[:SHOWN] + "…"
        return f"{self.code} {text}".rstrip()


def judged(reply: Reply, stage: Stage, address: str) -> TryLater | Refused:
    """
    The error that a reply amounts to, when it is not the one we hoped for at this stage of sending to `address`.

    A fault of the recipient's or the message's ends the delivery; a fault of ours (our login, our name, their policy
    on us) postpones it, because the operator can mend that and nothing may be lost meanwhile.
    """
    told = reply.shown(address)
    if reply.code // 100 == 4:
        return _for_now(reply, told)
    if reply.code // 100 != 5:
        return TryLater(f"the mail server answered {told} to {stage}, which makes no sense there", outcome="confused")
    return _for_good(reply, stage, told)


def _for_now(reply: Reply, told: str) -> TryLater:
    asked = asked_to_wait(reply.text)
    match reply.code, reply.status:
        case 421 | 454, _:
            return TryLater(f"the mail server is busy: {told}", outcome="throttled", after=asked)
        case 452 | 450 | 451, "4.2.2":
            return TryLater(f"the mailbox is full: {told}", outcome="mailbox-full", after=MAILBOX_FULL)
        case 450 | 451, status if status == "4.7.1" or _GREYLISTING.search(reply.text):
            wait = asked or GREYLISTED
            return TryLater(f"the mail server asks us to come again: {told}", outcome="greylisted", after=wait)
        case _:
            return TryLater(f"the mail server could not take it now: {told}", outcome="try-later", after=asked)


def _for_good(reply: Reply, stage: Stage, told: str) -> TryLater | Refused:
    status = reply.status
    if status in {"5.2.1", "5.2.2"} or (reply.code == 552 and stage == "RCPT" and not status):
        return TryLater(f"the mailbox is full or asleep: {told}", outcome="mailbox-full", after=MAILBOX_FULL)
    if status in {"5.3.4", "5.2.3"} or (reply.code == 552 and not status):
        return Refused(f"the message is too large for them: {told}", outcome="too-large")
    if reply.code in {530, 535} or status.startswith("5.7.") or (stage == "MAIL" and not status.startswith("5.6.")):
        because = f"the mail server refuses us as a sender: {told}; see [email] in notifier.toml"
        return TryLater(because, outcome="policy", after=POLICY)
    if status.startswith("5.1.") or (stage == "RCPT" and reply.code in {550, 551, 553}):
        return Refused(f"there is no such mailbox: {told}", outcome="no-such-address")
    if status.startswith("5.6.") or stage == "message":
        return Refused(f"the message itself was refused: {told}", outcome="content-refused")
    return Refused(f"refused at {stage}: {told}")


def asked_to_wait(text: str) -> float | None:
    """The seconds in "try again in 120 seconds", "Greylisted for 5 minutes" and their kin, or None."""
    found = _WAIT.search(text)
    if not found:
        return None
    unit = (found.group(2) or "s")[0].lower()
    return float(found.group(1)) * {"s": 1, "m": 60, "h": 3600}[unit]
