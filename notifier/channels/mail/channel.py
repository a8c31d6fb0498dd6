"""
Alerts by mail, handed to one mail server: the operator's own or a provider's.

aiosmtplib opens the connection, secures it and logs in; from the first MAIL on it is ours (dialogue.py).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import cast

import aiosmtplib

from notifier.channels.mail.address import mailbox, masked
from notifier.channels.mail.composer import HTML, SUBJECT, TEXT, Composer
from notifier.channels.mail.dialogue import Desk, Dialogue
from notifier.channels.mail.envelope import Envelope
from notifier.channels.mail.pool import MAX_CONCURRENT, Pool
from notifier.channels.mail.relay import Relay
from notifier.channels.mail.replies import POLICY, SHOWN, Reply
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.message import Message, Receipt

# An address that is as it travels, and needs no second look; what is not of this kind gets one.
_EASY = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}")
# A reply that can be shown as it is, if it does not name the recipient.
_EASY_REPLY = re.compile("[!-?A-~]+(?: [!-?A-~]+)*")
_LOCAL = 24  # letters before the @ of where bounces go, so that with the token they are no more than 64
_TOKEN = re.compile("[A-Za-z0-9=._-]+")


class EmailChannel:
    """
    Mail over SMTP. `bounces` is the address that mail which cannot be delivered comes back to, with each message's
    token behind its name (default: the sender's, without). `tls_context` replaces the system's certificate authorities
    (a company's own, a test's). `sign` is given each whole mail, and returns header lines (CRLF ended) to stand in
    front of it.

    Raises `Misconfigured` for a relay that cannot be used as it is.
    """

    kind = "email"
    forms: tuple[str, ...] = (SUBJECT, TEXT, HTML)
    at_once = MAX_CONCURRENT

    def __init__(
        self,
        relay: Relay,
        *,
        bounces: str = "",
        tls_context: ssl.SSLContext | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._relay = relay
        self._sender = relay.checked()
        self._bounces = _bounces(bounces)
        self._tls_context = tls_context
        self._sign = sign
        self._composer = Composer(self._sender)
        self._pool = Pool(self._new_connection)

    def refusal(self, address: str) -> str:
        """Why no mail can go to this address, "" when it looks right. Asks no server."""
        try:
            mailbox(address)
        except ValueError as error:
            return str(error)
        return ""

    def masked(self, address: str) -> str:
        """`desk@example.com` as `d…@example.com`."""
        return masked(address)

    def place(self, address: str) -> str:
        """The domain that a mailbox is at, in small letters."""
        return address.rpartition("@")[2].lower()

    async def send(self, message: Message, address: str) -> Receipt:
        """Hand one mail to the server for one recipient. Raises `TryLater` or `Refused`."""
        try:
            recipient = address if _EASY.fullmatch(address) else mailbox(address)
        except ValueError as error:
            raise Refused("the subscriber's address is not a mail address", outcome="no-such-address") from error
        data = self._composer.composed(message, recipient)
        if self._sign is not None:
            data = self._sign(data) + data
        reply = await self._pool.hand_over(Envelope(self._returns_to(message.bounce), recipient, data))
        return Receipt(_shown(reply, recipient))

    def _returns_to(self, token: str) -> str:
        """The envelope's sender: whom a bounce goes to, and which message it is about (VERP)."""
        if not token or self._bounces is None:
            return self._sender.address
        if not _TOKEN.fullmatch(token):
            raise ValueError("a token for bounces may have letters, digits and . _ = - alone")
        local, domain = self._bounces
        return f"{local}+{token}@{domain}"

    async def check(self) -> str:
        """Connect, secure and log in, without sending."""
        self._pool.reopen()
        dialogue = await self._new_connection(self._pool)
        dialogue.leave()
        await dialogue.closed()
        secured = {"starttls": "secured with STARTTLS", "implicit": "secured with TLS", "none": "in clear"}
        login = "logged in" if self._relay.username else "no login asked for"
        return f"{self._relay.host}:{self._relay.port} answers, {secured[self._relay.tls]}, {login}"

    async def close(self) -> None:
        """Take leave of the server on every connection that is open."""
        await self._pool.close()

    # ---------------------------------------------------------------- connections

    async def _new_connection(self, desk: Desk) -> Dialogue:
        """A new connection, secured and logged in. Raises `TryLater`: whatever is wrong here can be mended."""
        relay, place = self._relay, f"the mail server {self._relay.host}:{self._relay.port}"
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            local_hostname=relay.hello or self._sender.domain,
            timeout=relay.timeout,
            use_tls=relay.tls == "implicit",
            start_tls=False,
            tls_context=None if relay.tls == "none" else self._context(),
        )
        try:
            return await self._opened(client, place, desk)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _login_refused(place, Reply(error.code, error.message).shown(relay.username), error.code) from error
        except aiosmtplib.SMTPResponseException as error:
            told = Reply(error.code, error.message).shown(relay.username)
            raise TryLater(
                f"{place} does not take our mails now: {told}", outcome="try-later", scope="route"
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _unreachable(place, error) from error
        finally:
            # Does nothing where the dialogue has taken the connection over.
            client.close()

    async def _opened(self, client: aiosmtplib.SMTP, place: str, desk: Desk) -> Dialogue:
        relay = self._relay
        await client.connect()
        await _greet(client)
        if relay.tls == "starttls":
            if not client.supports_extension("starttls"):
                raise TryLater(
                    f"{place} offers no STARTTLS, and nothing is sent to it in clear; see tls under [email] in "
                    "notifier.toml",
                    outcome="no-tls",
                    after=POLICY,
                    scope="route",
                )
            await client.starttls()
            await _greet(client)
        if relay.username:
            if not client.supports_extension("auth"):
                raise _login_refused(place, "it offers none", 502)
            await client.login(relay.username, relay.password)
        dialogue = Dialogue(
            desk,
            relay.timeout,
            relay.after_dot,
            pipelines=client.supports_extension("pipelining"),
            takes_utf8=client.supports_extension("smtputf8"),
        )
        transport = client.transport
        if transport is None or transport.is_closing():
            raise aiosmtplib.SMTPServerDisconnected("gone at once")
        dialogue.take_over(cast(asyncio.Transport, transport))
        client.transport = client.protocol = None
        return dialogue

    def _context(self) -> ssl.SSLContext:
        # One for all connections: building it reads the system's certificates, which takes longer than a mail.
        if self._tls_context is None:
            self._tls_context = ssl.create_default_context()
        return self._tls_context


def _login_refused(place: str, told: str, code: int) -> TryLater:
    because = f"{place} refuses our login: {told}; see username and password under [email] in notifier.toml"
    if code // 100 == 4:
        return TryLater(because, outcome="try-later", scope="route")
    return TryLater(because, outcome="login-refused", after=POLICY, scope="route")


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


def _unreachable(place: str, error: Exception) -> TryLater:
    """The library's error without its words, which may hold more than the log should."""
    cause = error if isinstance(error, ssl.SSLError) or error.__cause__ is None else error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TryLater(
            f"{place} shows a certificate that does not hold ({cause.verify_message}); nothing was sent",
            outcome="bad-certificate",
            after=POLICY,
            scope="route",
        )
    if isinstance(cause, ssl.SSLError):
        return TryLater(
            f"{place} does not speak TLS here; see port and tls under [email] in notifier.toml",
            outcome="no-tls",
            after=POLICY,
            scope="route",
        )
    if isinstance(cause, TimeoutError):
        return TryLater(f"{place} does not answer", outcome="unreachable", scope="route")
    reason = getattr(cause, "strerror", None) or "it hung up"
    return TryLater(f"{place} cannot be reached: {reason}", outcome="unreachable", scope="route")


def _bounces(address: str) -> tuple[str, str] | None:
    """The two halves of the address that bounces go to, None where there is none."""
    if not address:
        return None
    try:
        local, _, domain = mailbox(address).rpartition("@")
    except ValueError as error:
        raise Misconfigured([Mistake("notifier.toml", 0, "[bounces]: address cannot be used", str(error))]) from error
    if not local.isascii() or len(local) > _LOCAL:
        mend = "use a short one in ASCII; a token is put behind its name"
        raise Misconfigured([Mistake("notifier.toml", 0, "[bounces]: address cannot be used", mend)])
    return local, domain


def _shown(reply: Reply, recipient: str) -> str:
    """The reply fit for the log. Most need no search for what must not be told."""
    text = reply.text
    if len(text) <= SHOWN and _EASY_REPLY.fullmatch(text) and recipient.rpartition("@")[0].lower() not in text.lower():
        return f"{reply.code} {text}"
    return reply.shown(recipient)
