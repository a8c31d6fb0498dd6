"""
A message as the bytes of a mail: RFC 5322 headers, a text part and an HTML part.

The bytes are laid down here one by one rather than by the standard library's mail policy, which reads what it writes:
it takes a title like `=?utf-8?q?a=0d=0aBcc:_e@z?=` for an encoded one, and the decoded line break for a new header.
Here a title is encoded and never decoded. All lines are under 998 octets and 7-bit, but for a header with a UTF-8
address, which travels to servers that asked for it (SMTPUTF8, RFC 6531).
"""

from __future__ import annotations

import base64
import hashlib
import quopri
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.header import Header
from email.utils import format_datetime

import msgspec

from notifier.message import Message, without_controls

SUBJECT, TEXT, HTML = "subject.txt", "body.txt", "body.html"
NAME = 200  # characters of a subject that are sent; mail programs show about seventy
WHOLE = 90_000  # bytes of a mail; large providers cut off what is beyond a hundred thousand
LETTERS = 15_000  # of a text that is sent alone, since its mail would be larger than that: six bytes each at most

FOLD = "\r\n "

_OF_REPLIES = ("In-Reply-To", "References")
_PLAIN = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


class Sender(msgspec.Struct, frozen=True):
    """Who writes: a name for people, and an address in ASCII."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def composed(message: Message, sender: Sender, recipient: str) -> bytes:
    """
    The mail to one recipient, CRLF line ends. The same message gives the same bytes.

    `recipient` is a bare address, its domain in ASCII. The Message-ID is the message's id at the sender's domain, as is
    that of the message it follows. A mail that would be too large goes without its HTML.
    """
    boundary = "=_" + hashlib.blake2b(message.id.encode(), digest_size=15).hexdigest()
    headers = [
        f"From: {_mailbox(sender)}",
        f"To: {recipient}",
        f"Subject: {encoded(message.text(SUBJECT)[:NAME], 'Subject')}",
        f"Date: {format_datetime(message.written_at.astimezone(UTC))}",
        f"Message-ID: {_name(message.id, sender)}",
        # RFC 5322, 3.6.4: mail programs show it beneath the mail that it names.
        *(f"{header}: {_name(message.follows, sender)}" for header in _OF_REPLIES if message.follows),
        f"List-Id: <policy-alerts.{sender.domain}>",
        # RFC 2369: nobody can write to this list.
        "List-Post: NO",
        # What large providers count complaints by, if they are told.
        "Feedback-ID: alert:policy-alerts",
        # RFC 3834: no answering machine shall answer this.
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    if any(re.search(r"[\r\n\0]", header.replace("\r\n ", "")) for header in headers):
        raise ValueError("a mail header with a line break in it was about to be written")
    text, html = message.text(TEXT), message.text(HTML)
    whole = _laid_down(headers, boundary, {"plain": text, "html": html})
    return whole if len(whole) <= WHOLE else _laid_down(headers, boundary, {"plain": _cut(text)})


def _laid_down(headers: Sequence[str], boundary: str, parts: Mapping[str, str]) -> bytes:
    pieces = [*headers, ""]
    for subtype, text in parts.items():
        pieces += [f"--{boundary}", *_part(subtype, text)]
    return "\r\n".join([*pieces, f"--{boundary}--", ""]).encode()


def _cut(text: str) -> str:
    if len(text) <= LETTERS:
        return text
    return text[:LETTERS].rpartition("\n")[0] + "\n\n[The rest of this alert was too long for a mail.]\n"


def _name(id: str, sender: Sender) -> str:
    return f"<{id}@{sender.domain}>"


def encoded(text: str, header: str) -> str:
    """
    A header's text, folded at 76: as it stands where it is plain, as encoded words (RFC 2047) where it is not.

    Text that looks like an encoded word is encoded too, so that it is shown as it was written.
    """
    text = " ".join(without_controls(text).split())
    # A word too long for a line cannot be folded, but encoded it can.
    plain = _PLAIN.fullmatch(text) and "=?" not in text and max(map(len, text.split()), default=0) < 60
    charset = "us-ascii" if plain else "utf-8"
    return Header(text, charset, maxlinelen=76, header_name=header).encode(linesep="\r\n")


def _mailbox(sender: Sender) -> str:
    if not sender.name:
        return sender.address
    if _ATOMS.fullmatch(sender.name) and "=?" not in sender.name:
        return f"{sender.name} <{sender.address}>"
    if _PLAIN.fullmatch(sender.name) and "=?" not in sender.name:
        # A comma or a dot outside quotes would make two senders of one.
        escaped = sender.name.replace("\\", r"\\").replace('"', r"\"")
        return f'"{escaped}" <{sender.address}>'
    name = encoded(sender.name, "From")
    # A line with an encoded word has 76 characters at most (RFC 2047, 2).
    room = 76 - len(f"From: {name}".rpartition("\r\n")[2])
    return f"{name}{' ' if len(sender.address) + 3 <= room else FOLD}<{sender.address}>"


def _part(subtype: str, text: str) -> list[str]:
    # A bare CR would travel as it is, quoted-printable or not, and is where mails are cut in two.
    data = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    quoted = quopri.encodestring(data)
    body, encoding = quoted, "quoted-printable"
    # Scripts other than Latin cost nine bytes a letter when quoted, and four in base64.
    if len(quoted) > 1.5 * len(data):
        # Under base64 the line ends are data, and text in mail has CRLF (RFC 2046, 4.1.1).
        body, encoding = base64.encodebytes(data.replace(b"\n", b"\r\n")), "base64"
    return [
        f"Content-Type: text/{subtype}; charset=utf-8",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        *body.decode("ascii").rstrip("\n").split("\n"),
    ]
