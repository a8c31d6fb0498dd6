"""
The loop of a parsing child: documents come on stdin, readings go to stdout, and it may be killed at any time.

It has no environment and no secrets; its memory is limited, and so is its CPU time for each document. A frame is four
bytes of length (big-endian) and MessagePack. The module that the child is started as (child_of_feeds.py,
child_of_pages.py) hands it the function that reads, and imports only the libraries for that.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from notifier.errors import Refused
from notifier.feeds.feed import Document, Feed, Reading

Read = Callable[[Document, Feed], Reading]
MEMORY = 768 * 1024 * 1024  # bytes of address space
CPU = 5  # seconds for each document


class Asked(msgspec.Struct, frozen=True):
    """A document to parse, and its feed."""

    document: Document
    feed: Feed


class Answered(msgspec.Struct, frozen=True):
    """The result: a reading, or the outcome and problem of a refusal."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


def answer(asked: Asked, read: Read) -> Answered:
    """Parse one document with `read`."""
    try:
        return Answered(reading=read(asked.document, asked.feed))
    except Refused as refusal:
        return Answered(outcome=refusal.outcome, problem=str(refusal))
    except (MemoryError, RecursionError) as error:
        return Answered(outcome="parse-error", problem=f"it is too large or too deep to parse: {type(error).__name__}")


def main(read: Read) -> None:
    """Run as the child that parses with `read`, until stdin ends."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    serve(sys.stdin.buffer, sys.stdout.buffer, read)


def serve(source: BinaryIO, sink: BinaryIO, read: Read) -> None:
    """Answer each frame of `source` on `sink`, until the source ends."""
    decoder, encoder = msgspec.msgpack.Decoder(Asked), msgspec.msgpack.Encoder()
    while len(head := source.read(4)) == 4:
        asked = decoder.decode(source.read(int.from_bytes(head, "big")))
        _allow_seconds(CPU)
        frame = encoder.encode(answer(asked, read))
        sink.write(len(frame).to_bytes(4, "big") + frame)
        sink.flush()


def _allow_seconds(more: int) -> None:
    """Set the limit of CPU time (RLIMIT_CPU, which counts from the process's start) so many seconds ahead."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + more + 1)


def _limit(what: int, most: int) -> None:
    """Set a soft limit, or the hard limit if that is lower: the operator's limits come first."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
