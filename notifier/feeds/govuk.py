"""
Read GOV.UK's record of one of its pages: the last official change, and whether the page is withdrawn.

In its content API (`/api/content/<path>`) an official change moves `public_updated_at` and the change history; an edit
that is not announced moves neither.
"""

from __future__ import annotations

import html
import re
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from notifier.errors import Refused

_HOST = "www.gov.uk"
_TAG = re.compile(r"<[^>]*>")

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class PublisherRecord(msgspec.Struct, frozen=True):
    """The time of a page's last official change (None: not stated), and why it is withdrawn ("": it is not)."""

    changed_at: datetime | None = None
    withdrawn: str = ""


class _ChangeNote(msgspec.Struct, frozen=True):
    public_timestamp: _Moment | None = None


class _Details(msgspec.Struct, frozen=True):
    change_history: tuple[_ChangeNote, ...] | None = None


class _Notice(msgspec.Struct, frozen=True):
    explanation: str = ""
    withdrawn_at: _Moment | None = None


class _Content(msgspec.Struct, frozen=True):
    public_updated_at: _Moment | None = None
    withdrawn_notice: _Notice | None = None
    details: _Details = _Details()


def content_address(link: str) -> str:
    """The content API's address for a page; "" for a page that is not on www.gov.uk."""
    parts = urlsplit(link)
    if parts.netloc.lower() != _HOST or parts.path in ("", "/") or parts.path.startswith("/api/"):
        return ""
    return f"https://{_HOST}/api/content{parts.path}"


def record_of(body: bytes) -> PublisherRecord:
    """The record in an answer of the content API. Raises `Refused("parse-error")` if it cannot be read."""
    try:
        content = msgspec.json.decode(body, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("the answer of GOV.UK's content API cannot be read", outcome="parse-error") from error
    changes = [change.public_timestamp for change in content.details.change_history or ()]
    moments = [moment for moment in (content.public_updated_at, *changes) if moment]
    return PublisherRecord(max(moments, default=None), _reason(content.withdrawn_notice))


def _reason(notice: _Notice | None) -> str:
    # A page in force may have an empty notice.
    if notice is None or not (notice.explanation or notice.withdrawn_at):
        return ""
    when = f" on {notice.withdrawn_at.day} {notice.withdrawn_at:%b %Y}" if notice.withdrawn_at else ""
    why = " ".join(html.unescape(_TAG.sub(" ", notice.explanation[:2_000])).split())[:300]
    return f"GOV.UK marked it withdrawn{when}" + (f": {why}" if why else "")
