"""
A notice as its templates see it: word of something that concerns a subscription, and not the news.
"""

from __future__ import annotations

import msgspec

from notifier.events.alerts import NoticeRaised
from notifier.message import without_controls

LONGEST = 500  # characters of a reason


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a template of a notice may use. All texts are single lines without control characters.

    `about` is the name of the channel that it is about, `reason` says in words why. `confirm` is the link by which a
    reader says that he wants what comes, `unsubscribe` that by which he stops it; "" where there is none. `subscriber`
    is his name; what asks for confirmation must not show it (promise P12).
    """

    notice: str
    about: str
    reason: str = ""
    confirm: str = ""
    unsubscribe: str = ""
    subscriber: str = ""


def notice_view(raised: NoticeRaised, *, subscriber: str, confirm: str = "", unsubscribe: str = "") -> NoticeView:
    """The view of a notice for one subscriber, with the links that it may name."""
    return NoticeView(
        notice=raised.notice,
        about=_line(raised.about),
        reason=_line(raised.reason),
        confirm=confirm,
        unsubscribe=unsubscribe,
        subscriber=_line(subscriber),
    )


def _line(text: str) -> str:
    line = " ".join(without_controls(text).split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
