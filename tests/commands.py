"""The `notifier` command as an operator runs it: its words and its exit code, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from notifier.cli.main import main

PATIENCE = 120.0  # seconds after which a test gives up on what should come: that it ends at all, on a busy machine too

_streams = threading.Lock()  # stdin, stdout, stderr, environment and directory are the whole process's


class Run(msgspec.Struct, frozen=True):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its stdout as JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*words: str | Path, stdin: bytes = b"", cwd: Path | None = None, **environ: str) -> Run:
    """The command to its end, within this process. What it does not handle itself is raised here."""
    # In a thread of its own, since it runs an event loop and its caller may be in one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, words, stdin, cwd, environ).result()


def _run(words: Sequence[str | Path], stdin: bytes, cwd: Path | None, environ: Mapping[str, str]) -> Run:
    with (
        _streams,
        pytest.MonkeyPatch.context() as patch,
        _logging_as_before(),
        CliRunner().isolation(stdin, environ) as (out, err, _),
    ):
        patch.setattr(sys, "argv", ["notifier", *map(str, words)])
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        sys.stderr.flush()
        return Run(_code(ended.value.code), out.getvalue().decode(), err.getvalue().decode())


def alone(*words: str | Path, stdin: bytes = b"", cwd: Path | None = None, **environ: str) -> Run:
    """The command in a process of its own, to its end: where the process is what matters."""
    done = subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "notifier", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        cwd=cwd,
        env=os.environ | environ,
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def _code(said: str | int | None) -> int:
    assert not isinstance(said, str)
    return said or 0


@contextlib.contextmanager
def _logging_as_before() -> Iterator[None]:
    """A command has what is logged go to its own stderr; afterwards it goes where it went."""
    root, ours = logging.getLogger(), logging.getLogger("notifier")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
