"""A receiver of webhooks on loopback: aiohttp's own server, and signatures checked without any code of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from notifier.guard import networks

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def plain(status: int, body: str = "", **headers: str) -> Answer:
    """An answer with this status; header names with `_` for `-`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=body, headers=named)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Read it all, do what is asked, and drop the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class Receiver:
    """
    Answers each POST with the next of its answers, the last of them for ever. `got` are the requests, as (path,
    headers, body).
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers) or [plain(204)]
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def url(self, path: str = "/hooks/desk/verysecretZq4T", host: str = "127.0.0.1") -> str:
        """The address of a webhook here."""
        port: int = self._runner.addresses[0][1]
        return f"http://{host}:{port}{path}"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((request.path_qs, headers, await request.read()))
        return await (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])(request)


def signatures_by(secrets: list[str], headers: dict[str, str], body: bytes) -> list[str]:
    """Which of these secrets signed the request, after the text of Standard Webhooks 1.0.0."""
    signed = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    given = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
    right = {
        secret: base64.b64encode(hmac.new(base64.b64decode(secret[len("whsec_") :]), signed, hashlib.sha256).digest())
        for secret in secrets
    }
    return [secret for secret in secrets if ["v1", right[secret].decode()] in given]
