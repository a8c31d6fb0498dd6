"""
The mailbox that mails come back to: a Maildir on this machine, or a folder at an IMAP server (RFC 3501).

What was read is marked so once it is recorded, and nothing is ever deleted: the mailbox is the operator's. Whatever is
read again is recorded once, so a crash between the two does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import logging
import os
import ssl
import stat
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from notifier.channels.mail.bounce_reports import BYTES, Report, read_report
from notifier.errors import TryLater

logger = logging.getLogger(__name__)

SECONDS = 30.0  # for one answer of a server
ROUND = 120.0  # seconds for all that is asked of it at a time

T = TypeVar("T")


class Returned(msgspec.Struct, frozen=True):
    """A mail that came back: what the mailbox knows it by, and the report that it is, None for any other mail."""

    key: str
    report: Report | None


class Inbox(Protocol):
    """A mailbox as the step that reads bounces sees it. Each call raises `TryLater` where it cannot be read now."""

    async def take(self, most: int) -> list[Returned]:
        """So many mails that were not read yet, the oldest first; they stay as they are."""
        ...

    async def done(self, keys: Sequence[str]) -> None:
        """These are recorded: mark them as read."""
        ...

    async def check(self) -> str:
        """Look without changing anything, and tell in a line what there is."""
        ...


class MaildirInbox:
    """A Maildir: what is in `new/` is read, and moved to `cur/` when it is recorded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unreadable: set[str] = set()  # told of once

    async def take(self, most: int) -> list[Returned]:
        """The first of `new/` by name, which begins with the time of arrival."""
        return await asyncio.to_thread(self._take, most)

    def _take(self, most: int) -> list[Returned]:
        with self._told():
            names = sorted(path.name for path in (self._path / "new").iterdir())
        found = []
        for name in names:
            data = self._content(self._path / "new" / name)
            if data is not None:
                found.append(Returned(name, _read(data)))
            if len(found) == most:
                break
        return found

    def _content(self, path: Path) -> bytes | None:
        """The beginning of a mail; None for what is none, has gone meanwhile, or is not ours to read."""
        try:
            # A pipe would keep us waiting, and a link might lead anywhere.
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            with path.open("rb") as mail:
                return mail.read(BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            if path.name not in self._unreadable:
                logger.warning("%s, which came back, cannot be read: %s", path, error.strerror)
            self._unreadable.add(path.name)
            return None

    async def done(self, keys: Sequence[str]) -> None:
        """Move them to `cur/`, marked as seen."""
        await asyncio.to_thread(self._done, keys)

    def _done(self, keys: Sequence[str]) -> None:
        with self._told():
            for key in keys:
                seen = key if ":2," in key else f"{key}:2,S"
                # Somebody's mail program may have moved it first.
                with contextlib.suppress(FileNotFoundError):
                    (self._path / "new" / key).rename(self._path / "cur" / seen)

    async def check(self) -> str:
        """How many mails wait, and can they be moved?"""
        with self._told():
            waiting = sum(1 for _ in (self._path / "new").iterdir())
        for name in ("new", "cur"):
            if not os.access(self._path / name, os.W_OK | os.X_OK):
                raise TryLater(f"{self._path / name} cannot be written to; make it the notifier's own")
        return f"{self._path} is read, {waiting:,} waiting there"

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            told = f"the Maildir {self._path} cannot be read: {error.strerror}; see [bounces] in notifier.toml"
            raise TryLater(told, outcome="unreachable") from error


class ImapInbox:
    """
    A folder at an IMAP server: what is not \\Seen is read, and marked so when it is recorded. In clear only where `tls`
    is false, which is for a server on this machine; `tls_context` replaces the system's certificate authorities.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        folder: str,
        *,
        tls: bool = True,
        tls_context: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._host, self._port = host, port
        self._user, self._password = user, password
        self._folder = folder
        self._tls = (tls_context or ssl.create_default_context()) if tls else None
        self._seconds = seconds
        self._open: imaplib.IMAP4 | None = None

    async def take(self, most: int) -> list[Returned]:
        """The first by their numbers."""
        return await self._asked(lambda: self._take(most))

    def _take(self, most: int) -> list[Returned]:
        server = self._opened()
        _, found = server.uid("SEARCH", "UNSEEN")
        uids = (found[0] or b"").split()[:most]
        return [Returned(uid.decode("ascii"), _read(self._content(server, uid))) for uid in uids]

    def _content(self, server: imaplib.IMAP4, uid: bytes) -> bytes:
        # PEEK leaves it unread, and no more than the beginning of it comes.
        _, answer = server.uid("FETCH", uid.decode("ascii"), f"(BODY.PEEK[]<0.{BYTES}>)")
        return next((bytes(each[1]) for each in answer if isinstance(each, tuple)), b"")

    async def done(self, keys: Sequence[str]) -> None:
        """Mark them as seen, and take leave of the server."""
        await self._asked(lambda: self._done(keys))

    def _done(self, keys: Sequence[str]) -> None:
        server = self._opened()
        if keys:
            server.uid("STORE", ",".join(keys), "+FLAGS.SILENT", "(\\Seen)")
        self._leave()

    async def check(self) -> str:
        """Log in and look into the folder."""

        def looked() -> int:
            _, found = self._opened(readonly=True).uid("SEARCH", "UNSEEN")
            self._leave()
            return len((found[0] or b"").split())

        waiting = await self._asked(looked)
        return f"{self._host}:{self._port} lets us in, {waiting:,} waiting in {self._folder}"

    # ---------------------------------------------------------------- the connection

    async def _asked(self, what: Callable[[], T]) -> T:
        """Ask in a thread, and not for ever. What went wrong is told without the server's own words: they may quote."""
        place = f"the mailbox at {self._host}:{self._port}"
        try:
            async with asyncio.timeout(ROUND):
                return await asyncio.to_thread(what)
        except imaplib.IMAP4.abort as error:
            self._cut()
            raise TryLater(f"{place} broke off", outcome="cut-off") from error
        except imaplib.IMAP4.error as error:
            self._cut()
            told = f"{place} does not let us in, or has no such folder; see [bounces] in notifier.toml"
            raise TryLater(told, outcome="login-refused") from error
        except (OSError, TimeoutError) as error:
            self._cut()
            why = getattr(error, "strerror", None) or type(error).__name__
            raise TryLater(f"{place} cannot be read: {why}", outcome="unreachable") from error
        except BaseException:
            # Cancelled, too: the thread ends with its connection.
            self._cut()
            raise

    def _opened(self, *, readonly: bool = False) -> imaplib.IMAP4:
        if self._open is None:
            if self._tls:
                self._open = imaplib.IMAP4_SSL(self._host, self._port, ssl_context=self._tls, timeout=self._seconds)
            else:
                self._open = imaplib.IMAP4(self._host, self._port, timeout=self._seconds)
            self._open.login(self._user, self._password)
            state, _ = self._open.select(f'"{self._folder}"', readonly=readonly)
            if state != "OK":
                raise imaplib.IMAP4.error("no such folder")
        return self._open

    def _leave(self) -> None:
        server, self._open = self._open, None
        if server is not None:
            server.logout()

    def _cut(self) -> None:
        server, self._open = self._open, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown()


def _read(data: bytes) -> Report | None:
    try:
        return read_report(data)
    except Exception as error:  # noqa: BLE001 it is told here
        # The boundary of one mail: a bug in reading it must not keep us from all that came after it. Its place is told,
        # not its words: they may quote the mail.
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error("a mail that came back cannot be read: %s\n%s", type(error).__name__, place)  # noqa: TRY400
        return None
