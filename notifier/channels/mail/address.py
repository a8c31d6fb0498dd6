"""
Mail addresses: which can work, how they are sent, and how they are shown.

An address that a server on its way might rewrite is refused here: messages must go to what the subscriber's file says.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec
from email_validator import EmailNotValidError, validate_email

LOCAL = 64  # octets of the part before the @ (RFC 5321, 4.5.3.1.1); of all there are 254

_BARE = "write it bare, as name@domain"


class _Fault(msgspec.Struct, frozen=True):
    """A shape that is no plain address: what it is, and the mend. It quotes nothing: the words go to the log."""

    shape: re.Pattern[str]
    problem: str
    mend: str = _BARE


# The first that fits is told, so what is most likely meant stands first.
_FAULTS = (
    _Fault(re.compile(r"[<>]"), "it has a display name or angle brackets"),
    _Fault(re.compile(r'"'), "a quoted name is read in different ways by different servers", "use another address"),
    _Fault(re.compile(r"[()]"), "it has a comment in it"),
    _Fault(re.compile(r"\s|[\x00-\x1f\x7f-\x9f]"), "it has spaces or control characters in it"),
    # Unicode's Default_Ignorable_Code_Point: nobody sees them, and two addresses look like one.
    _Fault(
        re.compile(
            "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
            "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
        ),
        "it contains invisible characters",
        "type it anew",
    ),
    _Fault(re.compile(r"^[^@]*$"), "it has no @"),
    # RFC 5321, appendix C: source routes, and the ways round an @ that came before and after them.
    _Fault(re.compile(r"^@|[,:;]|@.*@"), "it is a route or a list, and not one address"),
    _Fault(re.compile(r"[%!].*@"), "servers on the way take % and ! before the @ for a route", "use another address"),
    _Fault(re.compile(r"\.@|@\.|\.\.|^\.|\.$"), "a dot is at an end, or two stand together", "leave the dot out"),
    _Fault(re.compile(r"@\[|@[\d.]+$"), "it names a host by number", "write its domain"),
)

# Letters that look alike stand in these three; a word of several is how one name is passed off as another.
_ALIKE = ("LATIN", "CYRILLIC", "GREEK")
_WORD = re.compile(r"[^\W\d_]+")


def mailbox(address: str) -> str:
    """
    The bare address as it is sent: unchanged, except for its domain, which is in ASCII (IDNA 2008) and lower case.

    Raises ValueError, in a sentence with the mend that does not quote it, for an invalid address, several addresses,
    and one that might be rewritten on its way. Asks no server.
    """
    for fault in _FAULTS:
        if fault.shape.search(address):
            raise _no_address(fault.problem, fault.mend)
    local, _, domain = address.rpartition("@")
    if unicodedata.normalize("NFC", address) != address:
        raise _no_address("its letters and their marks stand apart, and most programs join them", "type it anew")
    if unicodedata.normalize("NFKC", local) != local:
        raise _no_address("it is written in letters that stand for others", "type it in plain ones")
    if _mixes_scripts(address):
        raise _no_address("it mixes letters of several scripts that look alike", "type it anew")
    try:
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        # What stands in brackets may quote the domain.
        raise _no_address(str(error).partition(" (")[0].rstrip("."), _BARE) from None
    # UTS 46 maps wide letters, ideographic full stops and their kin to plain ones.
    if domain.lower() not in {valid.domain, valid.ascii_domain}:
        raise _no_address("its domain is written in letters that stand for others", "type it in plain ones")
    # Not `valid.local_part`: it has "Info" in small letters, and which that is is for their server to say.
    bare = f"{local}@{valid.ascii_domain}"
    if len(local.encode()) > LOCAL:
        raise _no_address(f"it has over {LOCAL} bytes before the @", "use a shorter one")
    return bare


def masked(address: str) -> str:
    """`desk@example.com` as `d…@example.com`: enough to recognise it, not enough to write to it."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else "…"


def _no_address(problem: str, mend: str) -> ValueError:
    return ValueError(f"this is not a mail address: {problem[:1].lower()}{problem[1:]}; {mend}")


def _mixes_scripts(text: str) -> bool:
    """Has a word letters of more than one of the scripts that look alike?"""
    for word in _WORD.findall(text):
        names = [unicodedata.name(letter, "") for letter in word]
        if sum(any(name.startswith(script) for name in names) for script in _ALIKE) > 1:
            return True
    return False
