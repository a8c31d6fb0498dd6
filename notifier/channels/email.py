"""
Alerts by mail, handed to one mail server: the operator's own or a provider's.

aiosmtplib opens the connection, secures it and logs in; from the first MAIL on it is ours (dialogue.py).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import aiosmtplib

from notifier.channels.address import mailbox, masked
from notifier.channels.dialogue import Dialogue
from notifier.channels.mail import HTML, SUBJECT, TEXT, composed
from notifier.channels.relay import Relay
from notifier.channels.replies import POLICY, Reply
from notifier.errors import Refused, TryLater
from notifier.message import Message, Receipt

CONNECTIONS = 4  # to the mail server at once, so that one slow recipient does not hold up the others
IDLE = 5.0  # seconds that a connection is kept for the next message
COOLING = 5.0  # seconds that a server which could not be reached is left alone
RECYCLED = 100  # messages over one connection; some servers count


class EmailChannel:
    """
    Mail over SMTP. `tls_context` replaces the system's certificate authorities (a company's own, a test's).

    Raises `Misconfigured` for a relay that cannot be used as it is.
    """

    kind = "email"
    forms: tuple[str, ...] = (SUBJECT, TEXT, HTML)
    at_once = 16

    def __init__(self, relay: Relay, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._sender = relay.checked()
        self._tls_context = tls_context
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[Dialogue] = []
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._shut_until = 0.0
        self._shut_by: TryLater | None = None

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
            recipient = mailbox(address)
        except ValueError as error:
            raise Refused("the subscriber's address is no address for mail", outcome="no-such-address") from error
        async with self._places:
            reply = await self._hand_over(composed(message, self._sender, recipient), recipient)
        return Receipt(reply.shown(recipient))

    async def check(self) -> str:
        """Connect, secure and log in, without sending."""
        self._shut_until = 0.0
        dialogue = await self._connected()
        await dialogue.quit()
        secured = {"starttls": "secured with STARTTLS", "implicit": "secured with TLS", "none": "in clear"}
        login = "logged in" if self._relay.username else "no login asked for"
        return f"{self._relay.host}:{self._relay.port} answers, {secured[self._relay.tls]}, {login}"

    async def close(self) -> None:
        """Take leave of the server on every connection that is open."""
        self._leave_idle()
        while self._leaving:
            await asyncio.gather(*self._leaving)

    # ---------------------------------------------------------------- connections

    async def _hand_over(self, data: bytes, recipient: str) -> Reply:
        while True:
            dialogue, is_fresh = await self._at_hand()
            try:
                reply = await dialogue.hand_over(self._sender.address, recipient, data)
            except TryLater as error:
                self._put_back(dialogue)
                # A server may end a connection that waits, and nothing of this message was sent on it.
                if not is_fresh and dialogue.phase == "idle" and error.outcome == "cut-off":
                    continue
                raise
            except Refused:
                self._put_back(dialogue)
                raise
            except BaseException as error:
                dialogue.abort()
                if isinstance(error, asyncio.CancelledError) and dialogue.phase == "dot":
                    told = "we stopped before the mail server's answer to the whole message; it may have arrived"
                    raise TryLater(told, outcome="unknown", after=POLICY, unknown=True) from None
                raise
            self._put_back(dialogue)
            return reply

    async def _at_hand(self) -> tuple[Dialogue, bool]:
        while self._idle:
            dialogue = self._idle.pop()
            if dialogue.is_open:
                return dialogue, False
        return await self._connected(), True

    def _put_back(self, dialogue: Dialogue) -> None:
        if not dialogue.is_open:
            return
        if dialogue.sent >= RECYCLED:
            self._leave(dialogue)
            return
        self._idle.append(dialogue)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE, self._leave_idle)

    def _leave_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._leave(self._idle.pop())

    def _leave(self, dialogue: Dialogue) -> None:
        task = asyncio.create_task(dialogue.quit())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _connected(self) -> Dialogue:
        """A new connection, secured and logged in. Raises `TryLater`: whatever is wrong here can be mended."""
        now = asyncio.get_running_loop().time()
        if self._shut_by is not None and now < self._shut_until:
            by = self._shut_by
            raise TryLater(str(by), outcome=by.outcome, after=by.after) from by
        try:
            return await self._new_connection()
        except TryLater as error:
            # Those who wait behind this one are told the same: a dead server costs a few time-outs, not one for each
            # message, and one that counts wrong passwords does not lock the account.
            self._shut_by = error
            wait = POLICY if error.outcome == "login-refused" else COOLING
            self._shut_until = asyncio.get_running_loop().time() + wait
            raise

    async def _new_connection(self) -> Dialogue:
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
            return await self._opened(client, place)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _login_refused(place, Reply(error.code, error.message).shown(relay.username), error.code) from error
        except aiosmtplib.SMTPResponseException as error:
            told = Reply(error.code, error.message).shown(relay.username)
            raise TryLater(f"{place} does not take our mails now: {told}", outcome="try-later") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _unreachable(place, error) from error
        finally:
            # Does nothing where the dialogue has taken the connection over.
            client.close()

    async def _opened(self, client: aiosmtplib.SMTP, place: str) -> Dialogue:
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
                )
            await client.starttls()
            await _greet(client)
        if relay.username:
            if not client.supports_extension("auth"):
                raise _login_refused(place, "it offers none", 502)
            await client.login(relay.username, relay.password)
        dialogue = Dialogue(relay.timeout, relay.after_dot, takes_utf8=client.supports_extension("smtputf8"))
        transport = client.transport
        if transport is None:
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
        return TryLater(because, outcome="try-later")
    return TryLater(because, outcome="login-refused", after=POLICY)


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
        )
    if isinstance(cause, ssl.SSLError):
        return TryLater(
            f"{place} does not speak TLS here; see port and tls under [email] in notifier.toml",
            outcome="no-tls",
            after=POLICY,
        )
    if isinstance(cause, TimeoutError):
        return TryLater(f"{place} does not answer", outcome="unreachable")
    reason = getattr(cause, "strerror", None) or "it hung up"
    return TryLater(f"{place} cannot be reached: {reason}", outcome="unreachable")
