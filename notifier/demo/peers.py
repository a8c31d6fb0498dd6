"""
The world around the demo, on loopback: a server of feeds, a mail server, and an endpoint shaped like Slack's.

They are real servers that speak the real protocols, and each fails once on purpose, so that retries show.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.demo.story import DemoStory, Scene, document

HOST = "127.0.0.1"


class FeedServer:
    """Serves the story's feeds as they stand at the demo's present moment, with ETag and 304 (RFC 9110)."""

    def __init__(self, story: DemoStory, clock: Callable[[], datetime]) -> None:
        self._story = story
        self._speakers = {speaker.id: speaker for speaker in story.feed}
        self._clock = clock
        self._failed: set[Scene] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{feed}", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        speaker = self._speakers.get(request.match_info["feed"])
        if speaker is None:
            raise web.HTTPNotFound
        scenes = self._story.told_by(speaker.id, self._clock())
        for scene in scenes:
            if scene.fails_first and scene not in self._failed:
                self._failed.add(scene)
                return web.Response(status=scene.fails_first, headers={"Retry-After": "1"})
        body, content_type = document(speaker, scenes)
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, headers={"Content-Type": content_type, "ETag": etag})


class SlackServer:
    """Takes what an incoming webhook would, answers `ok`, and asks for patience (429) on the first message."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._asked = False
        self.received = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/services/{hook:.*}", self._take)]

    async def _take(self, request: web.Request) -> web.Response:
        if not self._asked:
            self._asked = True
            return web.Response(status=429, headers={"Retry-After": "1"}, text="rate_limited")
        payload = json.loads(await request.text())
        self.received += 1
        path = self._outbox / f"slack-{self.received:02d}.json"
        path.write_text(json.dumps(payload, ensure_ascii=False, indent=1) + "\n", "utf-8")
        return web.Response(text="ok")


class MailServer:
    """An SMTP server (RFC 5321) whose mailboxes are files: outbox/mail-01-desk.eml and so on."""

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox
        self._greylisted: set[str] = set()
        self.received = 0

    async def handle_RCPT(  # noqa: N802 the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        # Greylisting, as many mail servers do: who is new here is asked to come again.
        if not self._greylisted:
            self._greylisted.add(address)
            return "451 4.7.1 Greylisted, please try again in 10 seconds"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.received += 1
        mailbox = envelope.rcpt_tos[0].partition("@")[0]
        content = envelope.original_content or b""
        (self._outbox / f"mail-{self.received:02d}-{mailbox}.eml").write_bytes(content)
        return f"250 2.0.0 OK: queued as {self.received}"


class Peers:
    """All of them, listening on free ports of loopback from `start` to `stop`."""

    def __init__(self, story: DemoStory, outbox: Path, clock: Callable[[], datetime]) -> None:
        self.feeds = FeedServer(story, clock)
        self.slack = SlackServer(outbox)
        self.mail = MailServer(outbox)
        self.feed_ports: dict[str, int] = {}
        self.slack_port = self.mail_port = 0
        self._speakers = story.feed
        self._runners: list[web.AppRunner] = []
        self._mail_server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        for speaker in self._speakers:
            # A port of its own makes it a host of its own: a 503 of one does not hold up the others.
            self.feed_ports[speaker.id] = await self._serve(self.feeds.routes())
        self.slack_port = await self._serve(self.slack.routes())
        self._mail_server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self.mail, enable_SMTPUTF8=True, hostname="mail.demo.example"), HOST, 0
        )
        self.mail_port = self._mail_server.sockets[0].getsockname()[1]

    async def _serve(self, routes: list[web.RouteDef]) -> int:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()
        if self._mail_server is not None:
            self._mail_server.close()
            await self._mail_server.wait_closed()
