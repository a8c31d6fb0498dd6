"""A server in another process, so that it takes no turn of the loop that is measured."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence


async def serve(protocol: Callable[[], asyncio.Protocol], hosts: Sequence[str]) -> None:
    """Serve on one port of these hosts of this machine until our input ends; the port is printed."""
    loop = asyncio.get_running_loop()
    first, *others = hosts
    server = await loop.create_server(protocol, first, 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    for host in others:
        await loop.create_server(protocol, host, port, backlog=1024)
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextlib.asynccontextmanager
async def served(module: str) -> AsyncIterator[int]:
    """The port of what `python -m MODULE serve` serves."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", module, "serve", stdin=pipe, stdout=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield int(await child.stdout.readline())
    finally:
        child.stdin.close()
        await child.wait()
