"""A terminal of a given width, as the command sees it: what it wrote there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.homes import PATIENCE


def legible(written: str) -> str:
    """What a terminal shows of it: no colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)


def on_a_terminal(*words: str | Path, columns: int, stdin: int = subprocess.DEVNULL, **environ: str) -> tuple[int, str]:
    """
    Run the command on a pseudo-terminal this wide, its stdout and its stderr; the exit code, and what was written there
    with CR LF as LF.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # Without what would decide instead of the terminal.
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}}
    process = subprocess.Popen(  # noqa: S603 our own command
        [sys.executable, "-m", "notifier", *map(str, words)],
        stdin=stdin,
        stdout=theirs,
        stderr=theirs,
        env=env | {"TERM": "xterm-256color"} | environ,
    )
    os.close(theirs)
    written = bytearray()
    try:
        # Linux ends a terminal whose other side is closed with an error, not with an empty read.
        with contextlib.suppress(OSError):
            while some := os.read(ours, 65_536):
                written += some
        process.wait(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n")
