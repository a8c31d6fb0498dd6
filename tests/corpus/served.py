"""
Serves documents on loopback and polls each of them twice, in a process that can be watched from outside.

On stdin it takes a JSON list of paths; on stdout it gives a JSON list of how each ended. Run as
`python -m tests.corpus.served`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from aiohttp import web

from notifier.eventlog.memory import MemoryLog
from notifier.feeds.feed import Feed
from notifier.feeds.fetch import Fetcher
from notifier.feeds.parsers import Parser
from notifier.guard import networks
from notifier.steps.poll import Poller

NOW = datetime(2020, 6, 30, 1, 0, tzinfo=UTC)
TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json", ".txt": "text/plain"}


class Ended(msgspec.Struct, frozen=True):
    """
    How two polls of one document ended: the outcome of each, what the first and the second added to the log, and
    whether the second asked with the validator that the first was given.
    """

    outcome: str
    published: int
    revised: int
    again: str
    news_again: int
    asked_with_validator: bool


class Publisher:
    """Serves each document at its number, with an ETag, and 304 for that ETag."""

    def __init__(self, files: list[Path]) -> None:
        self._answers = [(file.read_bytes(), TYPES.get(file.suffix, "application/xml")) for file in files]
        self.shown: set[int] = set()

    async def answer(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if request.headers.get("If-None-Match") == f'"{number}"':
            self.shown.add(number)
            return web.Response(status=304)
        body, content_type = self._answers[number]
        return web.Response(body=body, headers={"Content-Type": content_type, "ETag": f'"{number}"'})


async def poll_all(files: list[Path]) -> list[Ended]:
    publisher = Publisher(files)
    app = web.Application()
    app.router.add_get("/{number}", publisher.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fetcher, parser = Fetcher(allow=networks(["127.0.0.0/8"])), Parser()
    poller = Poller(MemoryLog(lambda: NOW), fetcher, parser, lambda: NOW)
    ends = []
    try:
        for number, _ in enumerate(files):
            feed = Feed(
                id=f"corpus-{number}", url=f"http://127.0.0.1:{runner.addresses[0][1]}/{number}", issuer="Corpus"
            )
            first, second = await poller.poll(feed), await poller.poll(feed)
            ends.append(
                Ended(
                    outcome=first.outcome,
                    published=first.published,
                    revised=first.revised,
                    again=second.outcome,
                    news_again=second.published + second.revised,
                    asked_with_validator=number in publisher.shown,
                )
            )
    finally:
        await fetcher.close()
        await parser.close()
        await runner.cleanup()
    return ends


if __name__ == "__main__":
    files = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Path], dec_hook=lambda type, path: type(path))
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(poll_all(files))))
