"""`notifier run`: what it tells the operator of his feeds, and what it takes of the system."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from tests.homes import PATIENCE, line_with, make_home, notifier, rss, said, world


async def test_a_feed_that_is_not_well_is_told_of_once(tmp_path: Path):
    """When it begins, however often it is polled then; and when it is over."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss", "press": "rss"})
        around.publisher.publish("press", rss(("one", "Controls change", "…")))
        told = [(await said(home, "run", "--once"))[2] for _ in range(3)]
        around.publisher.publish("trade", rss(("two", "Controls change again", "…")))
        told.append((await said(home, "run", "--once"))[2])
        around.publisher.publish("trade", "<!doctype html><title>Just a moment</title>captcha", "text/html")
        told += [(await said(home, "run", "--once"))[2] for _ in range(2)]

    warned = [[line for line in err.splitlines() if "WARNING" in line and "trade" in line] for err in told]
    assert [len(lines) for lines in warned] == [1, 0, 0, 0, 1, 0]
    assert "trade: not-found: " in warned[0][0]
    assert "trade: blocked: " in warned[4][0]


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be asked on Linux alone")
async def test_as_many_files_may_be_open_as_the_system_allows(tmp_path: Path):
    """A shell gives a thousand, and thousands of feeds are asked together: the service takes what it may."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        try:
            async with notifier(home, "run") as service, asyncio.timeout(PATIENCE):
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                await line_with(service.stderr, "the log is at")
                limits = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert limits == (hard, hard)
