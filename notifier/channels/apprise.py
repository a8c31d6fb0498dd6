"""
Alerts to a hundred other services, by one kind of URL, through the library Apprise.

It is for services that no channel of ours reaches. Apprise opens its own connections, so they are not guarded; it
reports only success or failure; and how a service interprets the text is not in our hands. So an operator has to switch
it on (`[apprise]` in notifier.toml), and each URL names one recipient: of several, nobody could say which one failed.
"""

from __future__ import annotations

import asyncio
import email.charset
import functools
import importlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from notifier.errors import Refused, TryLater
from notifier.message import Message, Receipt, without_controls

SUBJECT, BODY = "subject.txt", "body.txt"
TOTAL = 60.0  # seconds for one message; Apprise itself waits up to 5 between two for one service
MAX_CONCURRENT = 8
MISSING = "Apprise is not installed; run pip install 'policy-change-notifier[apprise]'"
_UTF8 = email.charset.CHARSETS["utf-8"]
_URL = re.compile(r"([a-z0-9]{1,30})://[!-~]+")


class AppriseChannel:
    """
    Hands each alert to Apprise, on threads of its own, since it waits while it sends.

    An address is an Apprise URL; it is a secret, so Apprise's own log is silenced.
    """

    kind = "apprise"
    forms: tuple[str, ...] = (SUBJECT, BODY)
    at_once = MAX_CONCURRENT

    def __init__(self, *, total: float = TOTAL) -> None:
        self._total = total
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="apprise")
        self._services: dict[str, Any] = {}
        # A URL is looked at once, and not with each of its messages.
        self._problem = functools.lru_cache(10_000)(self.refusal)

    def refusal(self, address: str) -> str:
        """Why Apprise cannot send to this URL; "" when it looks right. Connects to nobody, and does not repeat it."""
        if not _URL.fullmatch(address):
            return "an Apprise URL is one word, as tgram://token/chat; see Apprise's own list of services"
        if (apprise := _apprise()) is None:
            return MISSING
        if (service := _service(apprise, address)) is None:
            return "Apprise does not know this service, or its URL is incomplete; try it with `apprise -vv URL`"
        if len(service) > 1:
            return (
                f"this Apprise URL names {len(service)} recipients, and Apprise does not say which of them failed; "
                "write a channel for each"
            )
        return ""

    def masked(self, address: str) -> str:
        """The service's name; all else may be a secret."""
        scheme, separator, _ = address.partition("://")
        return f"{scheme}:…" if separator and re.fullmatch(r"[a-z0-9]{1,30}", scheme) else "…"

    def place(self, address: str) -> str:
        """Apprise alone knows whose machine it is."""
        return ""

    async def send(self, message: Message, address: str) -> Receipt:
        """
        Hand one message to Apprise.

        Raises `TryLater` if it reports failure, with `unknown` if it reports nothing in time, or `Refused`.
        """
        if problem := self._problem(address):
            raise Refused(f"the subscriber's Apprise URL cannot be used: {problem}")
        title, body = (without_controls(message.text(form)).strip() for form in self.forms)
        sending = self._threads.submit(self._notify, address, title, body)
        try:
            taken = await asyncio.wait_for(asyncio.wrap_future(sending), self._total)
        except (TimeoutError, asyncio.CancelledError) as error:
            if sending.cancelled():
                # It was still waiting for a thread, and is called off.
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise TryLater("Apprise is busy with other messages; nothing was sent", counts=False) from None
            told = "Apprise did not end in time, or we stopped; the message may have arrived"
            raise TryLater(told, outcome="unknown", after=900, unknown=True) from None
        if not taken:
            raise TryLater("Apprise says that it was not taken, and not why", outcome="not-taken", scope="address")
        return Receipt("taken by Apprise")

    def _notify(self, address: str, title: str, body: str) -> bool:
        """Send on this thread; True where Apprise says that it was taken."""
        if address not in self._services:
            apprise = importlib.import_module("apprise")
            to = apprise.Apprise()
            to.add(_service(apprise, address))
            self._services[address] = to
        return bool(self._services[address].notify(title=title, body=body, body_format="text"))

    async def check(self) -> str:
        """Is Apprise there?"""
        if _apprise() is None:
            raise TryLater(MISSING, outcome="not-installed")
        return "Apprise is installed; tried with the first alert"

    async def close(self) -> None:
        """Begin nothing more; what is under way ends on its own."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _apprise() -> ModuleType | None:
    """Apprise, silent; None where it is not installed. It is slow to load and an extra, so only who uses it has it."""
    try:
        apprise = importlib.import_module("apprise")
    except ModuleNotFoundError:
        return None
    # It tells of URLs when it fails, and the library under it of paths.
    for name in ("apprise", "requests", "urllib3"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    return apprise


def _service(apprise: ModuleType, address: str) -> Any:
    """The service behind a URL, None where there is none; whatever the URL says, it sends once and tells the truth."""
    asset = apprise.AppriseAsset(storage_mode="memory", secure_logging=True, allow_templates=False)
    service = apprise.Apprise.instantiate(address, asset=asset)
    # Its mail plug-in changes for the whole process how headers are encoded, and ours must stay byte for byte the same.
    email.charset.CHARSETS["utf-8"] = _UTF8
    if service is not None:
        service.retry = 0  # how often is for the log to decide
        service.optional = False  # or failure would be called success
        service.interpret_emojis = False
        service.overflow_mode = apprise.OverflowMode.TRUNCATE  # one message, or a half that failed would come again
    return service
