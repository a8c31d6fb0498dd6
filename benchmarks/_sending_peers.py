"""What the benchmark of sending sends to: Postfix's smtp-sink, and a network with a delay in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator

HOST = "127.0.0.1"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
MISSING = """\
This benchmark sends to Postfix's own test server and is held against its test client, smtp-sink and smtp-source:

    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postfix      (Debian, Ubuntu)
    brew install postfix, or it is there already                                          (macOS)

Postfix itself need not run."""


def program(name: str) -> str:
    """Where a program of Postfix's is. Ends the benchmark with how to install it where it is not."""
    found = shutil.which(name, path=PATH)
    if found is None:
        sys.exit(MISSING)
    return found


def free_port() -> int:
    """A port on which nobody listens yet."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def sink() -> AsyncIterator[int]:
    """The port of an smtp-sink in its own process, which takes every mail and forgets it."""
    port = free_port()
    # It will not stay root.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        program("smtp-sink"), *user, f"{HOST}:{port}", "1000", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def source(port: int, mails: int, size: int) -> float:
    """Mails a second by smtp-source: sixteen connections in C that stay open."""
    options = ["-d", "-s16", "-m", str(mails), "-l", str(size), "-f", "alerts@house.example", "-t", "desk@bank.example"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(program("smtp-source"), *options, f"{HOST}:{port}")
    assert await process.wait() == 0
    return mails / (time.perf_counter() - began)


@contextlib.asynccontextmanager
async def delayed(port: int, round_trip: float) -> AsyncIterator[int]:
    """A port, in another process, behind which is the other, so many seconds there and back."""
    pipe = asyncio.subprocess.PIPE
    words = ["-m", "benchmarks.sending", "delay", str(port), str(round_trip)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


async def delay(port: int, round_trip: float) -> None:
    """Print our port, and carry what comes to the other and back, until our input ends."""
    loop = asyncio.get_running_loop()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_carry(reader, their_writer, round_trip / 2), _carry(their_reader, writer, round_trip / 2))

    server = await asyncio.start_server(accept, HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Each piece so much later, in order."""
    loop, pieces = asyncio.get_running_loop(), deque[bytes]()

    def arrive() -> None:
        piece = pieces.popleft()
        if piece:
            writer.write(piece)
        else:
            writer.close()

    with contextlib.suppress(ConnectionError):
        piece = b"-"
        while piece:
            piece = await reader.read(2**16)
            pieces.append(piece)
            loop.call_later(seconds, arrive)


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
