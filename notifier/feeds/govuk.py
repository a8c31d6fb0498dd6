"""
What GOV.UK says of a page of its own, beside it: when it was last changed officially, and whether it is withdrawn.

Its content API (`/api/content/<path>`) tells an official change, which moves `public_updated_at` and the history of
changes, from an edit that nobody announced, which moves neither.
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
    """When a page was last changed officially, None where it does not say, and why it is withdrawn, "" where not."""

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
    """Where the content API tells of a page; "" for a page that is not on www.gov.uk."""
    parts = urlsplit(link)
    if parts.netloc.lower() != _HOST or parts.path in ("", "/") or parts.path.startswith("/api/"):
        return ""
    return f"https://{_HOST}/api/content{parts.path}"


def said(body: bytes) -> PublisherRecord:
    """What an answer of the content API says. Raises `Refused("parse-error")` for one that cannot be read."""
    try:
        content = msgspec.json.decode(body, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("GOV.UK's content API gave what we cannot read", outcome="parse-error") from error
    changes = [change.public_timestamp for change in content.details.change_history or ()]
    moments = [moment for moment in (content.public_updated_at, *changes) if moment]
    return PublisherRecord(max(moments, default=None), _reason(content.withdrawn_notice))


def _reason(notice: _Notice | None) -> str:
    # An empty notice stands on every page that is in force.
    if notice is None or not (notice.explanation or notice.withdrawn_at):
        return ""
    when = f" on {notice.withdrawn_at.day} {notice.withdrawn_at:%b %Y}" if notice.withdrawn_at else ""
    why = " ".join(html.unescape(_TAG.sub(" ", notice.explanation[:2_000])).split())[:300]
    return f"GOV.UK marked it withdrawn{when}" + (f": {why}" if why else "")
