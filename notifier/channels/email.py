"""
Alerts by mail, handed to one mail server: the operator's own or a provider's.

aiosmtplib opens the connection, secures it and logs in; from the first MAIL on it is ours (dialogue.py).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from typing import Literal, cast

import aiosmtplib
import msgspec
from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from notifier.channels.dialogue import AFTER_DOT, Dialogue
from notifier.channels.mail import HTML, SUBJECT, TEXT, Sender, composed
from notifier.channels.replies import POLICY, Reply
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.message import Message, Receipt

CONNECTIONS = 4  # to the mail server at once, so that one slow recipient does not hold up the others
IDLE = 5.0  # seconds that a connection is kept for the next message
RECYCLED = 100  # messages over one connection; some servers count


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """
    The mail server that takes our mails, and who we are to it: `[email]` in notifier.toml.

    `tls`: `starttls` (usually port 587) and `implicit` (465) never send anything in clear, and never to a server whose
    certificate does not hold; `none` is for a server on this machine. `sender` is `Name <address>`, `hello` our own
    host name (default: the sender's domain). `timeout` is seconds for connecting and for each command.
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

    def __repr__(self) -> str:
        return f"Relay({self.host}:{self.port}, tls={self.tls})"


class EmailChannel:
    """
    Mail over SMTP. `tls_context` replaces the system's certificate authorities (a company's own, a test's).

    Raises `Misconfigured` for a sender that is no address, and for a password that would travel in clear.
    """

    kind = "email"
    forms: tuple[str, ...] = (SUBJECT, TEXT, HTML)

    def __init__(self, relay: Relay, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._sender = _sender(relay.sender)
        if relay.username and relay.tls == "none" and not _is_here(relay.host):
            raise Misconfigured([_mistake("the password would travel in clear", 'set tls = "starttls" or "implicit"')])
        self._tls_context = tls_context
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[Dialogue] = []
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._shut_until = 0.0
        self._shut_because = ""

    def refusal(self, address: str) -> str:
        """Why no mail can go to this address, "" when it looks right. Asks no server."""
        try:
            _validated(address)
        except EmailNotValidError as error:
            return f"this is no address for mail: {error}"
        return ""

    def masked(self, address: str) -> str:
        """`desk@example.com` as `d…@example.com`."""
        local, at, domain = address.rpartition("@")
        return f"{local[:1]}…@{domain}" if at else "…"

    async def send(self, message: Message, address: str) -> Receipt:
        """Hand one mail to the server for one recipient. Raises `TryLater` or `Refused`."""
        try:
            valid = _validated(address)
        except EmailNotValidError as error:
            raise Refused("the subscriber's address is no address for mail", outcome="no-such-address") from error
        recipient = f"{valid.local_part}@{valid.ascii_domain}"
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
            except BaseException:
                dialogue.abort()
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
        relay, place = self._relay, f"the mail server {self._relay.host}:{self._relay.port}"
        self._mind_the_login()
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
            raise self._login_refused(place, Reply(error.code, error.message)) from error
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
                raise self._login_refused(place, Reply(502, "it offers no AUTH"))
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

    def _mind_the_login(self) -> None:
        wait = self._shut_until - asyncio.get_running_loop().time()
        if wait > 0:
            raise TryLater(self._shut_because, outcome="login-refused", after=wait)

    def _login_refused(self, place: str, reply: Reply) -> TryLater:
        """A server that counts wrong passwords locks the account: try again once in a while, not with each alert."""
        told = reply.shown(self._relay.username)
        because = f"{place} refuses our login: {told}; see username and password under [email] in notifier.toml"
        if reply.code // 100 == 4:
            return TryLater(because, outcome="try-later")
        self._shut_because = because
        self._shut_until = asyncio.get_running_loop().time() + POLICY
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


def _validated(address: str) -> ValidatedEmail:
    return validate_email(address, check_deliverability=False, allow_smtputf8=True)


def _sender(text: str) -> Sender:
    # Read by hand: to the standard library a comma in the name begins a second address.
    found = re.fullmatch(r'\s*"?(?P<name>.*?)"?\s*<(?P<address>[^<>]*)>\s*', text)
    name, address = (found["name"], found["address"]) if found else ("", text.strip())
    try:
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise Misconfigured([_mistake(f"the sender is no address: {error}", 'write "Name <address>"')]) from error
    return Sender(" ".join(name.split()), f"{valid.local_part}@{valid.ascii_domain}")


def _mistake(problem: str, mend: str) -> Mistake:
    return Mistake("notifier.toml", 0, f"[email]: {problem}", mend)


def _is_here(host: str) -> bool:
    """Is this host our own machine, by its name or number?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
