"""A home to run the notifier in, and the world around it on loopback: a publisher, a mail server, a Slack endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.message
import email.policy
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.events.event import Event
from notifier.service import Service
from tests.commands import PATIENCE, run

HOST = "127.0.0.1"


class Publisher:
    """
    Serves documents by path, with ETag and 304. `asked` counts requests and `answered` statuses; `served_at` is when a
    document last went out (monotonic seconds).
    """

    def __init__(self) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self.served_at: dict[str, float] = {}
        self._documents: dict[str, tuple[bytes, str]] = {}

    def publish(self, path: str, body: bytes | str, content_type: str = "application/rss+xml") -> None:
        """Put a document in place of what was there."""
        self._documents[path] = (body.encode() if isinstance(body, str) else body, content_type)

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}/{path}"

    async def take(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.asked[path] += 1
        answer = self._answer(path, request)
        self.answered[answer.status] += 1
        return answer

    def _answer(self, path: str, request: web.Request) -> web.Response:
        if path not in self._documents:
            return web.Response(status=404)
        body, content_type = self._documents[path]
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        self.served_at[path] = time.monotonic()
        return web.Response(body=body, headers={"Content-Type": content_type, "ETag": etag})


class Mailroom:
    """
    A mail server: `mails` are those it answered with 250, each as (recipient, parsed message), `at` when each had come.
    """

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[tuple[str, email.message.EmailMessage]] = []
        self.at: list[float] = []
        self._came = asyncio.Condition()

    async def handle_DATA(  # noqa: N802 the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        came_at = time.monotonic()
        parsed = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        async with self._came:
            self.mails += [(recipient, parsed) for recipient in envelope.rcpt_tos]
            self.at += [came_at] * len(envelope.rcpt_tos)
            self._came.notify_all()
        return "250 2.0.0 taken"

    async def has(self, number: int, patience: float = PATIENCE) -> None:
        """Return once so many mails have come."""
        async with asyncio.timeout(patience), self._came:
            await self._came.wait_for(lambda: len(self.mails) >= number)

    def to(self, recipient: str) -> list[email.message.EmailMessage]:
        return [mail for to, mail in self.mails if to == recipient]


class Slack:
    """An endpoint shaped like an incoming webhook: `payloads` are those it answered with ok."""

    def __init__(self) -> None:
        self.port = 0
        self.payloads: list[dict[str, Any]] = []

    @property
    def hook(self) -> str:
        return f"http://{HOST}:{self.port}/services/T000/B000/nosuchsecret0000"

    async def take(self, request: web.Request) -> web.Response:
        self.payloads.append(json.loads(await request.text()))
        return web.Response(text="ok")


class World:
    """All of them, listening."""

    def __init__(self) -> None:
        self.publisher, self.mailroom, self.slack = Publisher(), Mailroom(), Slack()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world that listens on free ports of loopback for as long as the block lasts."""
    around, runners = World(), []
    for peer, route in (
        (around.publisher, web.get("/{path:.*}", around.publisher.take)),
        (around.slack, web.post("/services/{hook:.*}", around.slack.take)),
    ):
        site = web.Application()
        site.add_routes([route])
        runner = web.AppRunner(site, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        peer.port = runner.addresses[0][1]
        runners.append(runner)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(around.mailroom, hostname="mx.example"), HOST)
    around.mailroom.port = server.sockets[0].getsockname()[1]
    try:
        yield around
    finally:
        server.close()
        for runner in runners:
            await runner.cleanup()


DESK = """
name = "Hong Kong desk"
timezone = "Asia/Hong_Kong"

[[watchlist]]
name = "Hong Kong"
query = '"Hong Kong" AND dual-use'

[[channel]]
email = "desk@bank.example"
"""


def make_home(
    home: Path,
    around: World,
    feeds: Mapping[str, str],
    subscribers: Mapping[str, str] | None = None,
    mail_port: int | None = None,
    *,
    articles: bool = False,
) -> Path:
    """
    A home with these feeds (kind by path, which is the id too) and subscribers (their files by id). The pages of
    statements are read only where a test says so: most links lead nowhere.
    """
    port = around.mailroom.port if mail_port is None else mail_port
    (home / "subscriptions").mkdir(parents=True)
    for id, text in (subscribers or {"desk": DESK}).items():
        (home / "subscriptions" / f"{id}.toml").write_text(text)
    tables = [
        f'[[feed]]\nid = "{id}"\nkind = "{kind}"\nissuer = "Ministry of {id}"\nurl = "{around.publisher.url(id)}"\n'
        for id, kind in feeds.items()
    ]
    settings = [
        f'[email]\nhost = "{HOST}"\nport = {port}\ntls = "none"\nsender = "Alerts <alerts@house.example>"\n',
        f'[fetch]\nallow = ["{HOST}/32"]\narticles = {str(articles).lower()}\n',
        *tables,
    ]
    (home / "notifier.toml").write_text("\n".join(settings))
    return home


def rss(*items: tuple[str, str, str], site: str = "https://ministry.example") -> str:
    """An RSS 2.0 document of items, the newest first: guid, title, text. Their pages are at a site, by guid."""
    written = "".join(
        f'<item><guid isPermaLink="false">{guid}</guid><title>{escape(title)}</title>'
        f"<link>{site}/{guid}</link><description>{escape(text)}</description></item>"
        for guid, title, text in items
    )
    return f'<rss version="2.0"><channel><title>News</title>{written}</channel></rss>'


async def events(app: Service, *types: type[Event]) -> list[Event]:
    """All events of the log, or those of these types, in order."""
    page = await app.log.read(0, [each.type for each in types] or None, limit=100_000)
    return [recorded.event for recorded in page.events]


@contextlib.asynccontextmanager
async def notifier(home: Path, *words: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command `notifier --home HOME …` in a process of its own; what is left of it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "notifier",
        "--home",
        str(home),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environ,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


async def said(home: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    """Run a command to its end, while the world around it lives on: exit code, stdout, stderr."""
    ended = await asyncio.to_thread(run, "--home", home, *words, **environ)
    return ended.code, ended.out, ended.err


async def line_with(stream: asyncio.StreamReader | None, words: str) -> str:
    """The next line of a stream that holds these words."""
    assert stream is not None
    async with asyncio.timeout(PATIENCE):
        while line := (await stream.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"the stream ended without “{words}”")
