"""
What a mail server's reply means: whose fault it is, whether it is temporary, and whom else it concerns.

Reply codes are those of RFC 5321, enhanced status codes those of RFC 3463, RFC 5248, RFC 7372 and RFC 7505. The tables
below are read from the top, and the first line that fits decides.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import msgspec

from notifier.errors import Refused, Scope, TryLater
from notifier.message import without_controls

Stage = Literal["MAIL", "RCPT", "DATA", "message"]

GREYLISTED = 300.0  # seconds to wait where a greylisting server does not say how long
MARGIN = 10.0  # seconds on top of what it says, at most as many as it says: clocks differ
POLICY = 900.0  # our own set-up is refused: somebody must mend it, and nothing may be lost meanwhile
SHOWN = 160  # characters of a reply that are kept

# Some set it off with a sign before or behind; an address of the internet's is none.
_STATUS = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?!\.?\w)")
_WAIT = re.compile(
    r"\b(?:in|for|after|wait)\s+(?:at least\s+|about\s+|another\s+)?"
    r"(?:(?P<clock>\d{1,2}:\d\d:\d\d)\b"
    r"|(?P<number>\d{1,6})(?:\s*(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b|(?=[.,;)]|$)))",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"<[^<>\s]*@[^<>\s]*>|[^\s<>@,;:\"'()]+@[^\s<>,;\"'()]+")


class Reply(msgspec.Struct, frozen=True):
    """A server's whole reply: its code, and the text of its lines joined by spaces."""

    code: int
    text: str

    @property
    def status(self) -> str:
        """The enhanced status code (`5.1.1`), or "" where the server gave none."""
        found = _STATUS.match(self.text)
        return found[1] if found else ""

    def shown(self, address: str = "") -> str:
        """The reply fit for the log: one short line, in which no mail address is left, least of all `address`."""
        # Cut before it is searched, too: the search takes the square of a word's length.
        text = " ".join(without_controls(self.text[: 4 * SHOWN]).split())
        text = _ADDRESS.sub("…", text)
        for part in (address, address.rpartition("@")[0]):
            if part:
                text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "…", text, flags=re.IGNORECASE)
        if len(text) > SHOWN:
            text = text[:SHOWN] + "…"
        return f"{self.code} {text}".rstrip()


# ---------------------------------------------------------------- what a reply can amount to


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """
    A class of replies: its name for the log, its description, and what the operator can do.

    `is_final` ends the delivery. Otherwise `scope` says whom else it concerns, and `counts` is false if we were only
    asked to be slower.
    """

    outcome: str
    told: str
    mend: str = ""
    is_final: bool = False
    scope: Scope = "message"
    counts: bool = True


def _policy(scope: Scope, told: str, mend: str) -> Class:
    return Class(outcome="policy", told=told, mend=mend, scope=scope)


def _throttled(scope: Scope) -> Class:
    return Class(outcome="throttled", told="the mail server asks us to be slower", scope=scope, counts=False)


def _try_later(scope: Scope) -> Class:
    return Class(outcome="try-later", told="the mail server could not take it now", scope=scope)


_NO_SUCH_ADDRESS = Class(outcome="no-such-address", told="the mailbox does not exist", is_final=True)
_MAILBOX_REFUSED = Class(outcome="mailbox-refused", told="the mailbox does not accept mail", is_final=True)
_NEEDS_UTF8 = Class(outcome="needs-smtputf8", told="they take no address beyond ASCII", is_final=True)
_TOO_LARGE = Class(outcome="too-large", told="the message is too large for them", is_final=True)
_CONTENT = Class(outcome="content-refused", told="the message itself was refused", is_final=True)
_REFUSED = Class(outcome="refused", told="the mail server refused it", is_final=True)
_MAILBOX_FULL = Class(outcome="mailbox-full", told="the mailbox is full or asleep", scope="address")
_GREYLISTED = Class(outcome="greylisted", told="the mail server asks us to come again")
_CONFUSED = Class(outcome="confused", told="the mail server and we do not understand each other")
# Our login, our name, our right to send through this server: it is the same for every message.
_US = _policy("route", "the mail server refuses us as a sender", "see [email] in notifier.toml")
# Their policy on us, or on mail like ours: SPF, DKIM and DMARC, block lists, reputation.
_US_THERE = _policy("place", "the recipient's domain refuses us as a sender", "see Mail in docs/running.md")
_US_HERE = _policy("address", "the mailbox accepts mail from known senders only", "its owner must let us in")

# ---------------------------------------------------------------- words that say more than the numbers


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# What Postfix and others say where they do not want us, whoever the recipient is; some of it at RCPT, and as 454.
_OURS = _words(
    r"relay\w*( access)? (denied|not permitted|not allowed|prohibited)|unable to relay|not permitted to relay"
    r"|sender address rejected|client host rejected|helo command rejected"
    r"|authentication (is )?required|must authenticate|not authenticated|log ?in first"
)
_BLOCKED = _words(r"black ?-?list|block ?-?list|\bblocked\b|spamhaus|dnsbl|\brbl\b|reputation")
_BAD_CONTENT = _words(r"virus|malware|infected|spam message|message content|content (was )?reject")
_RATE = _words(r"\brate\b|rate-?limit|throttl|too (many|fast|quickly|frequent)|slow down|busy|(sending|message) quota")
_GREYLISTING = _words(r"gr[ea]y-?list")
_AGAIN = _words(r"try again|later|come back")
_THEIRS = _words(r"\bdomain|recipient|\buser\b|mailbox|destination|\bsaid:")
_FULL = _words(r"mailbox (is )?full|over ?quota|quota exceeded|exceeded (its|their|the)? ?(mailbox|storage)? ?quota")
_UNKNOWN = _words(
    r"unknown (user|recipient|mailbox)|no such (user|recipient|mailbox|address)|does( not|n't) exist"
    r"|(user|recipient|mailbox|address) (is )?(unknown|not found)|invalid recipient"
)

# ---------------------------------------------------------------- the tables


class ReplyLine(msgspec.Struct, frozen=True):
    """
    One line of a table: the replies that it means, and their class.

    Codes, statuses and stages are patterns of a shell's kind, with spaces between several; `-` is a reply without an
    enhanced status code.
    """

    codes: str
    statuses: str
    stages: str
    words: re.Pattern[str] | None
    means: Class

    def fits(self, reply: Reply, stage: Stage) -> bool:
        """Is this reply, at this stage, one of those that the line means?"""
        return (
            _is_among(str(reply.code), self.codes)
            and _is_among(reply.status or "-", self.statuses)
            and _is_among(stage, self.stages)
            and (self.words is None or self.words.search(reply.text) is not None)
        )


# fmt: off
FOR_NOW = (
    #    code       status          stage           words         class
    ReplyLine("421",     "*",            "RCPT message", _THEIRS,      _throttled("place")),
    ReplyLine("421",     "*",            "*",            None,         _throttled("route")),
    ReplyLine("*",       "*",            "*",            _OURS,        _US),
    ReplyLine("454",     "*",            "RCPT message", _THEIRS,      _throttled("place")),
    ReplyLine("454",     "*",            "*",            None,         _throttled("route")),
    # How fast one mailbox is written to: Google's.
    ReplyLine("450",     "4.2.1",        "*",            None,         _throttled("address")),
    ReplyLine("45[01]",  "*",            "*",            _GREYLISTING, _GREYLISTED),
    ReplyLine("*",       "- 4.7.* 4.3.2 4.5.*", "MAIL DATA", _RATE,    _throttled("route")),
    ReplyLine("*",       "- 4.7.* 4.3.2 4.5.*", "RCPT message", _RATE, _throttled("place")),
    ReplyLine("452",     "4.5.3",        "MAIL DATA",    None,         _throttled("route")),
    ReplyLine("452",     "4.5.3",        "*",            None,         _throttled("place")),
    ReplyLine("45[01]",  "- 4.2.0 4.7.*", "RCPT message", _WAIT,       _GREYLISTED),
    ReplyLine("45[01]",  "4.7.1",        "*",            None,         _GREYLISTED),
    ReplyLine("45[01]",  "- 4.2.0 4.7.*", "RCPT message", _AGAIN,      _GREYLISTED),
    ReplyLine("*",       "4.2.*",        "*",            None,         _MAILBOX_FULL),
    ReplyLine("*",       "-",            "RCPT message", _FULL,        _MAILBOX_FULL),
    ReplyLine("*",       "*",            "MAIL DATA",    None,         _try_later("route")),
    ReplyLine("*",       "4.1.2 4.4.*",  "*",            None,         _try_later("place")),
    ReplyLine("*",       "*",            "*",            None,         _try_later("message")),
)
FOR_GOOD = (
    #    code       status          stage           words         class
    ReplyLine("53[0458]", "*",           "*",            None,         _US),
    # Out of sequence: the connection is at fault, not who it is for.
    ReplyLine("503",     "*",            "*",            None,         _CONFUSED),
    ReplyLine("*",       "5.3.4 5.2.3",  "*",            None,         _TOO_LARGE),
    ReplyLine("552",     "-",            "MAIL DATA message", None,    _TOO_LARGE),
    ReplyLine("*",       "5.6.7 5.6.9",  "*",            None,         _NEEDS_UTF8),
    ReplyLine("*",       "5.6.*",        "*",            None,         _CONTENT),
    ReplyLine("*",       "*",            "MAIL",         None,         _US),
    ReplyLine("*",       "5.1.7 5.1.8 5.7.8", "*",       None,         _US),
    ReplyLine("*",       "5.1.1 5.1.6 5.1.10", "*",      None,         _NO_SUCH_ADDRESS),
    ReplyLine("556",     "-",            "*",            None,         _NO_SUCH_ADDRESS),
    ReplyLine("*",       "5.2.1 5.2.2",  "*",            None,         _MAILBOX_FULL),
    ReplyLine("552",     "-",            "RCPT",         None,         _MAILBOX_FULL),
    ReplyLine("*",       "- 5.0.0",      "RCPT message", _FULL,        _MAILBOX_FULL),
    # Closed lists and groups (Microsoft: 5.7.12x, 5.7.13x): one mailbox, not its domain.
    ReplyLine("*",       "5.7.2 5.7.1[23]?", "*",        None,         _US_HERE),
    ReplyLine("*",       "*",            "*",            _OURS,        _US),
    # Some say it under the code of a policy; so much is not the domain's.
    ReplyLine("*",       "- 5.0.0 5.7.1", "RCPT message", _UNKNOWN,    _MAILBOX_REFUSED),
    ReplyLine("*",       "- 5.0.0 5.7.[01]", "message",  _BAD_CONTENT, _CONTENT),
    ReplyLine("*",       "5.7.*",        "DATA",         None,         _US),
    ReplyLine("*",       "5.7.*",        "*",            None,         _US_THERE),
    ReplyLine("*",       "- 5.0.0 5.5.0", "RCPT message", _BLOCKED,    _US_THERE),
    ReplyLine("*",       "5.1.*",        "*",            None,         _MAILBOX_REFUSED),
    ReplyLine("55[013]", "*",            "RCPT",         None,         _MAILBOX_REFUSED),
    ReplyLine("*",       "*",            "message",      None,         _CONTENT),
    ReplyLine("*",       "*",            "*",            None,         _REFUSED),
)
# fmt: on


def judged(reply: Reply, stage: Stage, address: str) -> TryLater | Refused:
    """
    The error for a reply that is not the expected one at this stage of sending to `address`.

    A fault of the recipient or the message ends the delivery; a fault of ours (our login, our name, their policy on us)
    postpones it, because the operator can fix that and nothing may be lost meanwhile. If the code is permanent and the
    enhanced code temporary, it is temporary.
    """
    means = class_of(reply, stage)
    sentence = f"{means.told}: {reply.shown(address)}, at {stage}" + (f"; {means.mend}" if means.mend else "")
    if means.is_final:
        return Refused(sentence, outcome=means.outcome)
    after = _after(means.outcome, asked_to_wait(reply.text))
    return TryLater(sentence, outcome=means.outcome, after=after, scope=means.scope, counts=means.counts)


def class_of(reply: Reply, stage: Stage) -> Class:
    """The one class that a reply belongs to at this stage."""
    if reply.code // 100 not in {4, 5}:
        return _CONFUSED
    table = FOR_NOW if reply.code // 100 == 4 or reply.status.startswith("4.") else FOR_GOOD
    return next(line.means for line in table if line.fits(reply, stage))


def _after(outcome: str, asked: float | None) -> float | None:
    """Seconds to wait, None for the outcome's own ladder."""
    match outcome:
        case "greylisted":
            return GREYLISTED if asked is None else asked + min(asked, MARGIN)
        case "policy":
            return POLICY
        case "throttled" | "try-later":
            return asked
        case _:
            return None


def asked_to_wait(text: str) -> float | None:
    """The seconds in "try again in 120 seconds", "Greylisted for 5 minutes", "in 00:05:00" and their kin, or None."""
    found = _WAIT.search(text)
    if not found:
        return None
    if found["clock"]:
        hours, minutes, seconds = map(int, found["clock"].split(":"))
        return float(hours * 3600 + minutes * 60 + seconds)
    return float(found["number"]) * {"s": 1, "m": 60, "h": 3600}[(found["unit"] or "s")[0].lower()]


@lru_cache(4096)
def _is_among(word: str, patterns: str) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns.split())
