"""
A notice as its templates see it: word of something that concerns a subscription, and not the news.
"""

from __future__ import annotations

import msgspec

from notifier.events.alerts import NoticeRaised
from notifier.message import without_controls
from notifier.messages.program_view import NoticeData

LONGEST = 500  # characters of a reason


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a template of a notice may use. All texts are single lines without control characters.

    `about` is the name of the channel that it is about, `reason` says why in words. `confirm` is the link by which a
    reader confirms that they want alerts, `unsubscribe` that by which they stop them; "" where there is none.
    `subscriber` is their name; what asks for confirmation must not show it (promise P12). `data` is the same notice for
    programs.
    """

    notice: str
    about: str
    reason: str = ""
    confirm: str = ""
    unsubscribe: str = ""
    subscriber: str = ""
    data: NoticeData | None = None


def notice_view(raised: NoticeRaised, *, subscriber: str, confirm: str = "", unsubscribe: str = "") -> NoticeView:
    """The view of a notice for one subscriber, with the links that it may name."""
    about, reason, name = _line(raised.about), _line(raised.reason), _line(subscriber)
    return NoticeView(
        notice=raised.notice,
        about=about,
        reason=reason,
        confirm=confirm,
        unsubscribe=unsubscribe,
        subscriber=name,
        data=NoticeData(
            notice=raised.notice, channel=about, reason=reason, raised_at=raised.raised_at, subscriber=name
        ),
    )


def _line(text: str) -> str:
    line = " ".join(without_controls(text).split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
