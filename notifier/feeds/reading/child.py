"""
A child that reads: documents come on stdin, readings go to stdout, and it may be killed at any time.

It has no environment, no secrets and no network to speak of; its memory is bounded, and so is its time on each
document. Frames are four bytes of length, then MessagePack. What it reads them with is handed to it by the module that
it is started as (child_of_feeds.py, child_of_pages.py), each of which loads the libraries that it needs and no other.
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
CPU = 5  # seconds a document


class Asked(msgspec.Struct, frozen=True):
    """A document to read."""

    document: Document
    feed: Feed


class Answered(msgspec.Struct, frozen=True):
    """What became of it: a reading, or why there is none."""

    reading: Reading | None = None
    outcome: str = ""
    problem: str = ""


def answer(asked: Asked, read: Read) -> Answered:
    """Read one document."""
    try:
        return Answered(reading=read(asked.document, asked.feed))
    except Refused as refusal:
        return Answered(outcome=refusal.outcome, problem=str(refusal))
    except (MemoryError, RecursionError) as error:
        return Answered(outcome="parse-error", problem=f"it takes too much to read: {type(error).__name__}")


def main(read: Read) -> None:
    """Be the child that reads with this, until stdin ends."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    serve(sys.stdin.buffer, sys.stdout.buffer, read)


def serve(source: BinaryIO, sink: BinaryIO, read: Read) -> None:
    """Answer until the source ends."""
    decoder, encoder = msgspec.msgpack.Decoder(Asked), msgspec.msgpack.Encoder()
    while len(head := source.read(4)) == 4:
        asked = decoder.decode(source.read(int.from_bytes(head, "big")))
        _allow_seconds(CPU)
        frame = encoder.encode(answer(asked, read))
        sink.write(len(frame).to_bytes(4, "big") + frame)
        sink.flush()


def _allow_seconds(more: int) -> None:
    """Move the limit of CPU time (RLIMIT_CPU, which counts from the process's birth) to so many seconds from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + more + 1)


def _limit(what: int, most: int) -> None:
    """Set a soft limit, or keep the hard one where that is tighter: the operator's word goes before ours."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
