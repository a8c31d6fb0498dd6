"""
Files and directories that a power cut leaves as they were written.

A file is on the disk once its bytes are synced, and its directory with the name (fsync(2), rename(2)). `sync` does that
for a file descriptor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Sync = Callable[[int], None]


def make(directory: Path, mode: int = 0o777, sync: Sync = os.fsync) -> None:
    """Make a directory of this mode, and those above it where they are missing. Raises `OSError` where it cannot."""
    if not directory.is_dir():
        make(directory.parent, sync=sync)
        directory.mkdir(mode, exist_ok=True)
        _sync_directory(directory.parent, sync)


def write(path: Path, data: bytes, sync: Sync = os.fsync) -> None:
    """
    Put a file of these bytes in place of what was there, in one step: a reader sees the old one or the new one whole.

    Raises `OSError` where it cannot; a part that was written then (`.part`) is left behind.
    """
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())
    part.replace(path)
    _sync_directory(path.parent, sync)


def _sync_directory(directory: Path, sync: Sync) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
