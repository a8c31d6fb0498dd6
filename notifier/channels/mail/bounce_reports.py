"""
What mail systems report of a mail of ours: that it failed, that it is late, that its reader called it spam.

Reports are multipart/report (RFC 6522) with a message/delivery-status (RFC 3464) or a message/feedback-report (RFC
5965) within. Anybody can write to where they come, so a mail is read by hand: its heads and first parts, in one pass,
with nothing decoded but the report itself. The standard library's parser keeps every boundary of a mail of a thousand
levels in mind at each of its lines.
"""

from __future__ import annotations

import binascii
import quopri
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

BYTES = 1024 * 1024  # of a mail that are looked at; the report stands before what it encloses
HEAD = 64 * 1024  # bytes of a head, and of a report
VALUE = 2_000  # characters of a field's value
LEVELS = 3  # of parts within parts: a gateway may have wrapped a report in a mail of its own
PARTS = 20  # of one mail, on each level
RECIPIENTS = 50  # in one report
TOKENS = 10

# Where the address that a report came back to may stand, the surest first; in the report, and in what it encloses.
_CAME_TO = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "to")
_CAME_FROM = ("return-path", "original-mail-from", "x-postfix-sender", "x-envelope-from", "x-envelope-sender")

_TOKEN = re.compile(r"\+([A-Za-z2-7]{42})@")
_FIELD = re.compile(r"[!-9;-~]{1,100}")
_BOUNDARY = re.compile(r"boundary\s{0,9}=\s{0,9}(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
# An enhanced status code (RFC 3463), and no part of a longer number, such as an IP address.
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_COMPLAINTS = {"abuse", "fraud", "opt-out", "opt-out-list"}

Fields = Mapping[str, Sequence[str]]


class Outcome(msgspec.Struct, frozen=True):
    """
    The result of a mail for one recipient: `action` and `status` as in RFC 3464, "" if missing. `recipient` is the
    address in lower case, which must not be shown.
    """

    action: str
    status: str
    recipient: str

    def __repr__(self) -> str:
        return f"Outcome({self.action}, {self.status})"


class Report(msgspec.Struct, frozen=True):
    """
    A mail that is a report: the tokens that it may have come back by (VERP), whoever made them, what became of a mail,
    and whether its reader complained of it.
    """

    tokens: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ()
    complaint: bool = False


def read_report(mail: bytes) -> Report | None:
    """The report that a mail is; None for any other mail. Raises nothing, whatever the bytes are."""
    data = mail[:BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    head, body = _head(data)
    tokens, outcomes, complaint = _tokens(head, _CAME_TO), list[Outcome](), False
    recognised = False
    for kind, fields, part in _parts(head, body, 0):
        match kind:
            case "message/delivery-status" | "message/global-delivery-status":
                recognised = True
                blocks = [_fields(block) for block in re.split(r"\n[ \t]*\n", _decoded(fields, part))]
                outcomes += [outcome for block in blocks[: RECIPIENTS + 1] if (outcome := _outcome(block))]
                tokens += _tokens(blocks[0], _CAME_FROM)
            case "message/feedback-report":
                recognised = True
                feedback = _fields(_decoded(fields, part))
                complaint = complaint or bool(_COMPLAINTS.intersection(_said(feedback, "feedback-type")))
                tokens += _tokens(feedback, _CAME_FROM)
            case "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers":
                tokens += _tokens(_head(part.lstrip(b"\n"))[0], _CAME_FROM)
            case _:
                pass
    if not recognised or not (outcomes or complaint):
        return None
    return Report(tuple(dict.fromkeys(tokens))[:TOKENS], tuple(outcomes[:RECIPIENTS]), complaint)


# ---------------------------------------------------------------- what a status means

Verdict = Literal["gone", "full", "late", "refused", "fine"]

_MEANINGS: tuple[tuple[str, Verdict, str], ...] = (
    ("5.1.8", "refused", "its mail system does not know us as a sender"),
    ("5.1.7", "refused", "its mail system does not know us as a sender"),
    ("5.1.10", "gone", "its domain does not accept mail"),
    ("5.1.2", "gone", "the domain does not exist"),
    ("5.1.", "gone", "the mailbox does not exist"),
    ("5.2.2", "full", "the mailbox is full"),
    ("5.2.1", "full", "the mailbox is switched off"),
    ("5.2.3", "refused", "the message was too large for it"),
    ("5.2.", "full", "the mailbox took nothing"),
    ("5.3.4", "refused", "the message was too large for it"),
    ("5.3.", "refused", "its mail system could not take it"),
    ("5.4.7", "full", "its mail system did not take it for days"),
    ("5.4.", "gone", "the mailbox cannot be reached"),
    ("5.6.", "refused", "its mail system did not like the message"),
    ("5.7.", "refused", "its mail system does not want mail from us"),
    ("5.", "gone", "it cannot be delivered"),
    ("4.2.2", "full", "the mailbox is full"),
    ("4.", "full", "its mail system did not take it for days"),
)


def meaning(outcome: Outcome) -> tuple[Verdict, str]:
    """
    What an outcome says of the recipient's mailbox, and the same in words of ours.

    "gone": there is none, and no mail should go there again. "full": not for now. "late": it is tried still.
    "refused": of us or of the message, which the mailbox cannot help. "fine": nothing is wrong.
    """
    if outcome.action == "delayed":
        return "late", "its mail system is still trying"
    if outcome.action != "failed":
        return "fine", "it was taken over"
    for prefix, verdict, words in _MEANINGS:
        if outcome.status == prefix or (prefix.endswith(".") and outcome.status.startswith(prefix)):
            return verdict, words
    # It failed, and nobody says why: counted as what passes.
    return "full", "no reason was given"


# ---------------------------------------------------------------- heads and parts


def _head(data: bytes) -> tuple[Fields, bytes]:
    """The fields of a head, and what stands below it."""
    if data.startswith(b"\n"):
        return {}, data[1:]
    head, _, body = data.partition(b"\n\n")
    return _fields(head[:HEAD].decode("utf-8", "replace")), body


def _fields(text: str) -> Fields:
    """The fields of a head by their names in small letters; what is none is passed over."""
    fields: dict[str, list[str]] = {}
    for line in re.sub(r"\n[ \t]+", " ", text[:HEAD].replace("\r", "")).split("\n"):
        name, colon, value = line.partition(":")
        if colon and _FIELD.fullmatch(name.strip()):
            fields.setdefault(name.strip().lower(), []).append(value.strip()[:VALUE])
    return fields


def _parts(fields: Fields, body: bytes, level: int) -> Iterator[tuple[str, Fields, bytes]]:
    """The parts of a mail that have no parts themselves: kind, head and content."""
    declared = next(iter(fields.get("content-type", ())), "text/plain")
    kind = declared.partition(";")[0].strip().lower()
    boundary = _BOUNDARY.search(declared)
    if not kind.startswith("multipart/"):
        yield kind, fields, body
    elif boundary and level < LEVELS:
        for part in _split(body, boundary[1] or boundary[2]):
            yield from _parts(*_head(part), level + 1)


def _split(body: bytes, boundary: str) -> list[bytes]:
    """The parts between a boundary's lines (RFC 2046, 5.1.1); the last may be cut short."""
    line = re.compile(rb"^--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*$", re.MULTILINE)
    parts, begin = list[bytes](), -1
    for found in line.finditer(body):
        if begin >= 0:
            parts.append(body[begin : max(found.start() - 1, begin)])
        begin = found.end() + 1
        if found[1] or len(parts) >= PARTS:
            return parts
    return [*parts, body[begin:]] if begin >= 0 else parts


def _decoded(fields: Fields, part: bytes) -> str:
    """The text of a report; most are plain, some are encoded although they must not be."""
    encoding = next(iter(fields.get("content-transfer-encoding", ())), "").lower()
    part = part[:HEAD]
    if encoding == "quoted-printable":
        part = quopri.decodestring(part)
    elif encoding == "base64":
        try:
            part = b64decode(b"".join(part.split())[: HEAD // 4 * 4])
        except binascii.Error:
            return ""
    return part.decode("utf-8", "replace").replace("\r\n", "\n").lstrip("\n")


# ---------------------------------------------------------------- what they say


def _tokens(fields: Fields, names: Sequence[str]) -> list[str]:
    return [token.lower() for name in names for value in fields.get(name, ()) for token in _TOKEN.findall(value)]


def _said(fields: Fields, name: str) -> list[str]:
    """The first word of each field of this name, in small letters; comments are no part of it."""
    return [value.split("(")[0].split(";")[0].strip().lower() for value in fields.get(name, ())]


def _outcome(fields: Fields) -> Outcome | None:
    """What became of it at the recipient whom a block of fields is about; None where it is about none."""
    action = next(iter(_said(fields, "action")), "")
    if not action:
        return None
    status = _STATUS.search(next(iter(fields.get("status", ())), ""))
    told = status[0] if status else ""
    # Many say 5.0.0, and the reason in what the other server answered.
    for diagnosed in fields.get("diagnostic-code", ()):
        found = _STATUS.search(diagnosed)
        if found and (not status or (status[2] == status[3] == "0" and found[1] == status[1])):
            told = found[0]
            break
    recipient = next(iter(fields.get("final-recipient", ())), "").rpartition(";")[2].strip(" \t<>").casefold()
    return Outcome(action, told, recipient)
