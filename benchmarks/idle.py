"""
What does the service cost while nothing happens?

    python -m benchmarks.idle [SECONDS]

`notifier run` in a process of its own polls a hundred feeds at the usual interval, all of which answer "not modified"
after the first time. Once the parsing child is let go, its memory and its share of a core are read from /proc (Linux)
over a minute. The bare interpreter with aiohttp imported, in the same run, is what it is held against.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.homes import line_with, make_home, notifier, rss, world

FEEDS = 100
MEMORY, SHARE = 80.0, 0.01  # MB resident, of a core
SETTLE = 65.0  # seconds until the parsing child is let go
BARE = "import aiohttp, time; time.sleep(60)"


def resident(pid: int) -> float:
    """Megabytes of memory that a process has resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def spent(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(directory: Path, seconds: float) -> tuple[float, float, float]:
    """Megabytes and share of a core of the idle service, and megabytes of a bare interpreter."""
    async with world() as around:
        feeds = [f"feed-{n:03d}" for n in range(FEEDS)]
        home = make_home(directory, around, dict.fromkeys(feeds, "rss"))
        for feed in feeds:
            items = [(f"{feed}-{n}", f"Notice {n}", "The office is open. " * 40) for n in range(20)]
            around.publisher.publish(feed, rss(*items))
        async with notifier(home, "run") as service:
            for _ in feeds:
                await line_with(service.stderr, "first poll")
            await asyncio.sleep(SETTLE)
            before, began = spent(service.pid), time.monotonic()
            bare = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE)
            await asyncio.sleep(seconds)
            share = (spent(service.pid) - before) / (time.monotonic() - began)
            sizes = resident(service.pid), share, resident(bare.pid)
            bare.kill()
            await bare.wait()
            return sizes


def main() -> None:
    """Measure, and print a line of figures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 50.0
    print(f"{FEEDS} feeds; {SETTLE + seconds:.0f} s …", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        memory, share, bare = asyncio.run(measure(Path(directory), seconds))
    said = "reached" if memory <= MEMORY else "NOT reached"
    print(f"resident      {memory:5.1f} MB   ({memory / bare:.2f} of bare aiohttp)   target ≤ {MEMORY:.0f}: {said}")
    said = "reached" if share < SHARE else "NOT reached"
    print(f"of a core     {share:5.2%}                              target < {SHARE:.0%}: {said}")


if __name__ == "__main__":
    main()
