"""
The settings of the mail server through which mail is sent. A value: nothing here connects.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

from notifier.channels.mail.address import mailbox
from notifier.channels.mail.composer import Sender
from notifier.channels.mail.dkim import Signer
from notifier.errors import Misconfigured, Mistake

# Seconds to wait for the reply to the final dot. RFC 5321, 4.5.3.2.6: a hasty time-out here makes second copies.
AFTER_DOT = 600.0


class Dkim(msgspec.Struct, frozen=True, kw_only=True):
    """
    `dkim` under `[email]`: the domain that signs, the name under which its DNS holds the public key, and the private
    key: PEM, or the whole path of a file that holds it.
    """

    domain: str
    selector: str
    key: str

    def __repr__(self) -> str:
        return f"Dkim({self.selector}._domainkey.{self.domain})"


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """
    `[email]` in notifier.toml.

    `tls`: `starttls` (usually port 587) and `implicit` (465) never send anything in clear, and never to a server whose
    certificate does not hold; `none` is for a server on this machine. `sender` is `Name <address>`, `hello` our own
    host name (default: the sender's domain). `timeout` is seconds for connecting and for each command. `dkim` is what
    our mails are signed with, None where the mail server signs them.
    """

    host: str
    sender: str
    port: int = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str = ""
    password: str = ""
    hello: str = ""
    timeout: float = 60.0
    after_dot: float = AFTER_DOT
    dkim: Dkim | None = None

    def __repr__(self) -> str:
        return f"Relay({self.host}:{self.port}, tls={self.tls})"

    def checked(self) -> Sender:
        """
        The sender. Raises `Misconfigured` for a sender that is not an ASCII address, and for a password that would be
        sent in clear.
        """
        # Read by hand: to the standard library a comma in the name begins a second address.
        found = re.fullmatch(r'\s*"?(?P<name>.*?)"?\s*<(?P<address>[^<>]*)>\s*', self.sender)
        name, address = (found["name"], found["address"]) if found else ("", self.sender.strip())
        try:
            bare = mailbox(address)
        except ValueError as error:
            raise _misconfigured("the sender cannot be used", str(error)) from error
        if not bare.isascii():
            raise _misconfigured("the sender's address goes beyond ASCII", "not every server accepts it; use another")
        if self.username and self.tls == "none" and not _is_here(self.host):
            raise _misconfigured("the password would travel in clear", 'set tls = "starttls" or "implicit"')
        return Sender(" ".join(name.split()), bare)

    def signer(self) -> Signer | None:
        """What signs our mails, None where the mail server does. Raises `Misconfigured` for a key that cannot sign."""
        return Signer(self.dkim.domain, self.dkim.selector, self.dkim.key) if self.dkim else None


def _misconfigured(problem: str, mend: str) -> Misconfigured:
    return Misconfigured([Mistake("notifier.toml", 0, f"[email]: {problem}", mend)])


def _is_here(host: str) -> bool:
    """Is this host our own machine, by its name or number?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
