"""The `notifier` command, run as an operator runs it: in a process of its own, its words and its exit code caught."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner

from notifier.cli.main import door
from tests.homes import PATIENCE


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
    """The command in a process of its own, to its end."""
    done = subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "notifier", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=3 * PATIENCE,
        check=False,
        cwd=cwd,
        env=os.environ | environ,
    )
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


def quick(*words: str | Path, stdin: bytes = b"") -> Run:
    """The command within this process, where one of its own would add nothing."""
    result = CliRunner().invoke(door, [str(word) for word in words], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Run(result.exit_code, result.stdout, result.stderr)
