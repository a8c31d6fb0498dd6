"""
A message as the bytes of a mail: RFC 5322 headers, a text part and an HTML part.

The bytes are composed here and not by the standard library's mail policy, which parses what it writes: it takes a title
like `=?utf-8?q?a=0d=0aBcc:_e@z?=` for an encoded one, and the decoded line break for a new header. Here a title is
encoded and never decoded. All lines are under 998 octets and 7-bit, except for a header with a UTF-8 address, which
goes only to servers that support it (SMTPUTF8, RFC 6531).
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from notifier.channels.mail.splice import WIDTH, Part, slot
from notifier.message import Message, without_controls

SUBJECT, TEXT, HTML = "subject.txt", "body.txt", "body.html"
NAME = 200  # characters of a subject that are sent; mail programs show about seventy
WHOLE = 90_000  # bytes of a mail; large providers cut off what is beyond a hundred thousand
LETTERS = 15_000  # of a text that is sent alone, since its mail would be larger than that: six bytes each at most
NAMED = 4_096  # header texts that are kept encoded; one alert's subjects differ by the name of a watchlist
ALERTS = 64  # wordings that are kept encoded: of so many watchlists and zones the readers of one statement may be

FOLD = "\r\n "

_TYPES = {TEXT: "plain", HTML: "html"}
_NONE: Mapping[str, str] = {}
_FRAME = len("=?utf-8?q??=")
# A byte in an encoded word of the quoted kind: these few stand for themselves anywhere (RFC 2047, 5).
_ITSELF = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_QUOTED = [chr(byte) if byte in _ITSELF else "_" if byte == 0x20 else f"={byte:02X}" for byte in range(256)]
_PLAIN = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_BREAKS = re.compile(r"[\r\n\0]")
# What may stand between < and > without being folded or encoded.
_ONE_CLICK = re.compile(r"https://[!-;=?-~]{1,900}")


class Sender(msgspec.Struct, frozen=True):
    """Who writes: a name for people, and an address in ASCII."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def composed(message: Message, sender: Sender, recipient: str) -> bytes:
    """The mail to one recipient, for who has but one to write. See `Composer`."""
    return Composer(sender).composed(message, recipient)


class Composer:
    """
    Writes mails of one sender. What messages share is laid down once, and what differs set in between.

    Messages share by having the same object for their `parts`, so a mail costs a few microseconds but for the first.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._from = f"From: {_mailbox(sender)}\r\n"
        self._list = (
            f"List-Id: <policy-alerts.{sender.domain}>\r\n"
            # RFC 2369: nobody can write to this list.
            "List-Post: NO\r\n"
            # What large providers count complaints by, if they are told.
            "Feedback-ID: alert:policy-alerts\r\n"
            # RFC 3834: no answering machine shall answer this.
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
        )
        # By the identity of `parts`. They are held with it: a new object could otherwise have a dead one's identity.
        self._kept: OrderedDict[int, tuple[Mapping[str, str], _SharedWords]] = OrderedDict()

    def composed(self, message: Message, recipient: str) -> bytes:
        """
        The mail to one recipient, CRLF line ends. The same message gives the same bytes.

        `recipient` is a bare address, its domain in ASCII. The Message-ID is the message's id at the sender's domain,
        as is that of the message it follows. A mail that would be too large goes without its HTML. No line begins with
        a dot. Raises ValueError for an address or an id with a line break in it, and for an `unsubscribe` that is no
        https address, or not in plain letters.
        """
        words = self._words(message)
        headers = self._headers(message, recipient)
        whole = words.laid_down(headers, message.fills)
        return whole if len(whole) <= WHOLE else self._cut(message, headers)

    def _words(self, message: Message) -> _SharedWords:
        parts, key = message.parts, id(message.parts)
        kept = self._kept.get(key)
        if kept is not None and kept[1].has_marks_of(message.fills):
            return kept[1]
        words = _SharedWords(parts, message.fills)
        self._kept[key] = (parts, words)
        if len(self._kept) > ALERTS:
            self._kept.popitem(last=False)
        return words

    def _headers(self, message: Message, recipient: str) -> bytes:
        at = f"@{self._sender.domain}>"
        subject = encoded(message.text(SUBJECT)[:NAME], "Subject")
        if _BREAKS.search(f"{recipient}{message.id}{message.follows}"):
            raise ValueError("a mail header with a line break in it was about to be written")
        replies = click = ""
        if message.follows:
            # RFC 5322, 3.6.4: mail programs show it beneath the mail that it names.
            replies = f"In-Reply-To: <{message.follows}{at}\r\nReferences: <{message.follows}{at}\r\n"
        if message.unsubscribe:
            click = _one_click(message.unsubscribe)
        return (
            f"{self._from}To: {recipient}\r\nSubject: {subject}\r\n"
            f"Date: {_told(message.written_at)}\r\nMessage-ID: <{message.id}{at}\r\n{replies}{click}{self._list}"
        ).encode()

    @staticmethod
    def _cut(message: Message, headers: bytes) -> bytes:
        text = message.text(TEXT)
        if len(text) > LETTERS:
            text = text[:LETTERS].rpartition("\n")[0] + "\n\n[The rest of this alert was too long for a mail.]\n"
        return _SharedWords({TEXT: text}, {}).laid_down(headers, {})


class _SharedWords:
    """What some messages have in common, in the encoding of mail, with slots where they differ."""

    def __init__(self, parts: Mapping[str, str], fills: Mapping[str, Mapping[str, str]]) -> None:
        self._marks = {form: frozenset(fills.get(form, _NONE)) for form in (SUBJECT, *_TYPES)}
        self._forms = {form: Part(parts[form], fills.get(form, _NONE)) for form in _TYPES if form in parts}
        # Pieces of the mail, the headers the first. Some are empty until it is known to whom it goes.
        self._pieces = [b""]
        self._slots: list[tuple[int, str, str]] = []  # place, form, mark
        self._packed: list[tuple[int, str]] = []  # place, form
        self._lay()

    def _lay(self) -> None:
        common = b"\0".join(literal for part in self._forms.values() for literal in part.literals)
        boundary = "=_" + hashlib.blake2b(common, digest_size=15).hexdigest()
        self._pieces.append(f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'.encode())
        for form, part in self._forms.items():
            self._pieces.append(
                f"\r\n--{boundary}\r\nContent-Type: text/{_TYPES[form]}; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n".encode()
            )
            if part.is_packed:
                self._packed.append((self._gap(), form))
                continue
            self._pieces.append(part.literals[0])
            for mark, literal in zip(part.marks, part.literals[1:], strict=True):
                self._slots.append((self._gap(), form, mark))
                self._pieces.append(literal)
        self._pieces.append(f"\r\n--{boundary}--\r\n".encode())

    def _gap(self) -> int:
        self._pieces.append(b"")
        return len(self._pieces) - 1

    def has_marks_of(self, fills: Mapping[str, Mapping[str, str]]) -> bool:
        """Are these the marks that slots were made for?"""
        return all(fills.get(form, _NONE).keys() == marks for form, marks in self._marks.items())

    def laid_down(self, headers: bytes, fills: Mapping[str, Mapping[str, str]]) -> bytes:
        """The whole mail for one."""
        pieces = self._pieces.copy()
        pieces[0] = headers
        for place, form, mark in self._slots:
            pieces[place] = slot(fills[form][mark])
        for place, form in self._packed:
            pieces[place] = self._forms[form].packed(fills.get(form, _NONE))
        return b"".join(pieces)


def _one_click(address: str) -> str:
    """
    The two headers of RFC 8058. The address stands as it is: encoded or folded, as mail libraries do with long ones, it
    is no address any more to the large providers.
    """
    if not _ONE_CLICK.fullmatch(address):
        raise ValueError("the address for unsubscribing must be https, in printable ASCII, and below 900 characters")
    return f"List-Unsubscribe: <{address}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


@functools.lru_cache(maxsize=64)
def _told(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC))


@functools.lru_cache(maxsize=NAMED)
def encoded(text: str, header: str) -> str:
    """
    A header's text, folded at 76: plain text as it is, other text as encoded words (RFC 2047).

    Text that looks like an encoded word is encoded too, so that it is shown as it was written.
    """
    text = " ".join(without_controls(text).split())
    room = WIDTH - len(header) - 2
    words = text.split()
    # A word too long for a line cannot be folded, but encoded it can.
    if _PLAIN.fullmatch(text) and "=?" not in text and max(map(len, words), default=0) < 60:
        return text if len(text) <= room else _folded(words, room)
    return "\r\n ".join(_encoded_words(text, room))


def _folded(words: Sequence[str], room: int) -> str:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
            room = WIDTH - 1
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return "\r\n ".join(lines)


def _encoded_words(text: str, room: int) -> list[str]:
    """The text in encoded words, each a line with whole letters (RFC 2047, 5): quoted or in base64, as is shorter."""
    letters = [letter.encode() for letter in text]
    quoted = sum(len(_QUOTED[byte]) for letter in letters for byte in letter)
    is_quoted = quoted <= sum(map(len, letters)) * 4 / 3
    found, line = [], b""
    room -= _FRAME
    for letter in letters:
        longer = line + letter
        size = sum(len(_QUOTED[byte]) for byte in longer) if is_quoted else (len(longer) + 2) // 3 * 4
        if line and size > room:
            found.append(line)
            longer, room = letter, WIDTH - 1 - _FRAME
        line = longer
    return [_encoded_word(line, is_quoted=is_quoted) for line in (*found, line)]


def _encoded_word(line: bytes, *, is_quoted: bool) -> str:
    if is_quoted:
        return f"=?utf-8?q?{''.join(_QUOTED[byte] for byte in line)}?="
    return f"=?utf-8?b?{binascii.b2a_base64(line, newline=False).decode()}?="


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
