"""
Links that only we can have made: to unsubscribe, to confirm, and the address for bounces.

A link names subscriber and channel as the log does, in clear, and is signed. The channel's address is part of the
signature's key and is nowhere else, so a link made for an older address is not valid any more, and nobody can read an
address out of one. Nothing expires: links outlive upgrades, and a mail may be opened after years.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
import uuid
from collections.abc import Sequence

import msgspec
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

UNSUBSCRIBE, CONFIRM = "unsubscribe", "confirm"

LENGTH = 600  # characters of a token, at most; ids and names are at most 64 letters each
MADE = 65_536  # links that are kept at hand

_ID = 16  # bytes of an alert's id
_MAC = 10  # bytes of the signature in a bounce's token: 80 bits, guessed by mail
_BOUNCE = re.compile(r"[a-z2-7]{42}")


class Link(msgspec.Struct, frozen=True):
    """The content of a link, before its signature is checked."""

    purpose: str
    subscriber: str
    channel: str


class SignedLinks:
    """
    Makes and checks links below `address`, our public one. `secret` signs; `earlier` ones still hold, so that a secret
    can be replaced without breaking what was sent.
    """

    def __init__(self, address: str, secret: str, earlier: Sequence[str] = ()) -> None:
        self._address = address.rstrip("/")
        # The library wants the newest last.
        self._keys = [*reversed(earlier), secret]
        self._link = functools.lru_cache(MADE)(self._made)

    def unsubscribe(self, subscriber: str, channel: str, to: str) -> str:
        """Where the reader of a channel, whose address is `to`, stops it: with one click (RFC 8058) or by a page."""
        return self._link(UNSUBSCRIBE, subscriber, channel, to)

    def confirm(self, subscriber: str, channel: str, to: str) -> str:
        """The link at which the reader at `to` confirms that they want alerts there."""
        return self._link(CONFIRM, subscriber, channel, to)

    def _made(self, purpose: str, subscriber: str, channel: str, to: str) -> str:
        said = base64_encode(msgspec.json.encode([purpose, subscriber, channel]))
        return f"{self._address}/{purpose}/{self._signer(purpose, to).sign(said).decode()}"

    def _signer(self, purpose: str, to: str) -> Signer:
        salt = f"notifier {purpose}\n{_place(to)}"
        return Signer(self._keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)

    def read(self, token: str) -> Link | None:
        """The content of a token, whoever made it; None if it is malformed. It counts only if it `holds`."""
        if len(token) > LENGTH:
            return None
        try:
            purpose, subscriber, channel = msgspec.json.decode(
                base64_decode(token.partition(".")[0]), type=tuple[str, str, str]
            )
        except (BadData, UnicodeError, msgspec.MsgspecError):
            return None
        return Link(purpose, subscriber, channel)

    def holds(self, token: str, to: str) -> bool:
        """Did we make this token, for a channel whose address is `to`?"""
        link = self.read(token)
        return link is not None and token.isascii() and self._signer(link.purpose, to).validate(token)

    # ---------------------------------------------------------------- bounces

    def bounce(self, alert: str, channel: str, to: str) -> str:
        """
        What stands behind the `+` of the sender's address (VERP), so that a report names the alert (its id) that it is
        about: 42 characters of a–z and 2–7, in which mail systems may change the capitals.
        """
        named = uuid.UUID(alert).bytes
        return base64.b32encode(named + self._mac(self._keys[-1], named, channel, to)).decode().rstrip("=").lower()

    def alert_of(self, token: str) -> str:
        """The id of the alert that a bounce's token names, whoever made it; "" if it is malformed."""
        raw = _raw(token)
        return str(uuid.UUID(bytes=raw[:_ID])) if raw else ""

    def matches(self, token: str, alert: str, channel: str, to: str) -> bool:
        """Did we make this bounce's token, for this alert, on this channel, sent to this address?"""
        raw = _raw(token)
        if raw is None or str(uuid.UUID(bytes=raw[:_ID])) != alert:
            return False
        macs = [self._mac(key, raw[:_ID], channel, to) for key in self._keys]
        return any(hmac.compare_digest(raw[_ID:], mac) for mac in macs)

    def _mac(self, key: str, named: bytes, channel: str, to: str) -> bytes:
        said = b"notifier bounce\n" + named + f"{len(channel)}:{channel}{_place(to)}".encode()
        return hmac.digest(key.encode(), said, "sha256")[:_MAC]


def _raw(token: str) -> bytes | None:
    token = token.lower()
    if not _BOUNCE.fullmatch(token):
        return None
    try:
        return base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except binascii.Error:
        return None


def _place(to: str) -> str:
    """An address without what may change while it leads to the same place: capitals, and a webhook's keys."""
    return to.partition(" whsec_")[0].strip().casefold()
