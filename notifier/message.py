"""Words ready to send, and what the other side answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """
    One alert in the forms that one channel wants.

    `id` follows from the delivery and never changes over its attempts; a channel names what it sends after it (mail:
    Message-ID). `parts` maps a form's file name (`subject.txt`, `body.html`, `slack.json`, …) to its rendered text.
    `written_at` (UTC) is the same on every attempt, so a second copy is byte for byte the first.
    """

    id: str
    parts: Mapping[str, str]
    written_at: datetime


class Receipt(msgspec.Struct, frozen=True):
    """What the other side said when it took a message over: its reply in one line, without addresses or secrets."""

    reply: str
