"""Words ready to send, and what the other side answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

# C0 and C1 but for tab and line feed (escape sequences begin with one of them), and the embeddings, overrides and
# isolates that make text read in another order than it is written. The plain direction marks may stay: Arabic and
# Hebrew need them, and alone they move nothing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SEPARATORS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def without_controls(text: str) -> str:
    """
    The text with nothing in it that acts on a terminal, a header or the order of reading.

    All line ends become `\\n`, half characters (lone surrogates) become U+FFFD; letters, marks and tabs stay.
    """
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _SEPARATORS.sub("\n", text)))


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One alert in the forms that one channel wants.

    `id` follows from the delivery and never changes over its attempts; a channel names what it sends after it (mail:
    Message-ID). `parts` maps a form's file name (`subject.txt`, `body.html`, `slack.json`, …) to its rendered text;
    messages that say the same to several people share it, the very same object, and it holds marks where they differ.
    `fills` tells by form what stands in place of each mark for this one, made safe for that form. `written_at` (UTC) is
    the same on every attempt, so a second copy is byte for byte the first. `follows` is the id of the message that this
    one is a reply to, "" for none. `unsubscribe` is an https address that takes a one-click POST (RFC 8058), `bounce`
    a token by which what comes back is known; "" where there is none.
    """

    id: str
    parts: Mapping[str, str]
    written_at: datetime
    fills: Mapping[str, Mapping[str, str]] = {}
    follows: str = ""
    unsubscribe: str = ""
    bounce: str = ""

    def text(self, form: str) -> str:
        """A form's text for this one. Raises `KeyError` for a form that it does not have."""
        text = self.parts[form]
        for mark, fill in self.fills.get(form, {}).items():
            text = text.replace(mark, fill)
        return text


class Receipt(msgspec.Struct, frozen=True):
    """What the other side said when it took a message over: its reply in one line, without addresses or secrets."""

    reply: str
