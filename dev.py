"""
Everything a fresh clone needs: `python3 dev.py demo` (or `make demo`) sets up .venv, once, and does it.

    demo    replay two days of June 2020 on this machine: feeds, matches, mails, Slack
    test    run the tests (further words go to pytest)
    lint    check style and types: ruff, mypy
    bench   run the benchmarks, or those named
    lock    renew the lock files (needs uv)

With `make`, further words go into ARGS: `make demo ARGS=--once`, `make test ARGS="-k outbox"`.

Packages come from the lock files with their hashes checked, so a set-up is the same everywhere and for ever. This file
imports nothing beyond the standard library and has no syntax beyond Python 3.6: an old Python must be able to read it,
so that it can hand over to a newer one beside it, or say that it is too old.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
STAMP = VENV / "set-up"
RUNNING, DEVELOPING = "requirements/running.lock", "requirements/developing.lock"
OLDEST, NEWEST = (3, 11), (3, 14)
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main(words: "list[str]") -> int:
    """Do one verb; the exit code."""
    verb, *rest = words or ["help"]
    if verb == "demo":
        set_up(RUNNING)
        become([str(VENV / "bin" / "notifier"), "demo", *rest])
    elif verb == "test":
        set_up(DEVELOPING)
        become([PYTHON, "-m", "pytest", *rest])
    elif verb == "lint":
        set_up(DEVELOPING)
        checks = ["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]
        return max([run([PYTHON, "-m", *check]) for check in checks])
    elif verb == "bench":
        set_up(DEVELOPING)
        names = rest or sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
        return max([run([PYTHON, "-m", f"benchmarks.{name}"]) for name in names])
    elif verb == "lock":
        return lock()
    else:
        print(__doc__)
    return 0 if verb in ("help", "-h", "--help") else 2


def run(command: "list[str]") -> int:
    """Run a command from the project's root, on this terminal; its exit code."""
    return subprocess.call(command, cwd=str(ROOT))


def become(command: "list[str]") -> None:
    """Run a command in this process's place, so that it has the terminal and every signal to itself."""
    os.chdir(str(ROOT))
    os.execv(command[0], command)


# ---------------------------------------------------------------- set-up


def set_up(lock_file: str) -> None:
    """Make .venv hold what a lock file names, and the project itself. Does nothing where that is so already."""
    stamped = STAMP.read_text() if STAMP.exists() else ""
    # What one lock file names, the other names too: a set-up for developing is also one for running.
    if stamped in (stamp(lock_file), stamp(DEVELOPING)):
        return
    started = time.time()
    moved = stamped and stamped.splitlines()[0] != str(ROOT)
    if moved or not works(PYTHON):
        # Scripts in a .venv hold its path, and the Python it was made of may have gone.
        shutil.rmtree(str(VENV), ignore_errors=True)
    first, uv, python = not VENV.exists(), shutil.which("uv"), new_enough()
    say(f"Setting up .venv with {'uv' if uv else 'pip'}{' (first run only)' if first else ''} … ")
    if first:
        attempt([python, "-m", "venv", "--without-pip", str(VENV)])
    install(["--require-hashes", "-r", str(ROOT / lock_file)], uv)
    install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)], uv)
    STAMP.write_text(stamp(lock_file))
    say(f"Ready in {time.time() - started:.0f} s.\n")


def stamp(lock_file: str) -> str:
    """What a .venv was set up from: where it lies, for what, and a hash of the files that decide what is in it."""
    decisive = [(ROOT / name).read_bytes() for name in (RUNNING, DEVELOPING, "pyproject.toml")]
    return f"{ROOT}\n{lock_file}\n{hashlib.sha256(bytes(1).join(decisive)).hexdigest()}\n"


def works(python: str) -> bool:
    """Is this a Python that starts and is new enough?"""
    try:
        return subprocess.call([python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"], **QUIET) == 0
    except OSError:
        return False


def new_enough() -> str:
    """A Python to build on: the one that runs this, or a newer one on the PATH."""
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)] + ["python3", "python"]
    for python in filter(None, [sys.executable, *map(shutil.which, names)]):
        if works(python):
            return python
    needed, here = ".".join(map(str, OLDEST)), sys.version.split()[0]
    return fail(f"Python {needed} or newer is needed; this is {here}, and the PATH has no newer one: install one")


def install(what: "list[str]", uv: "str | None") -> None:
    """Install into .venv with uv where there is one, else, or where it fails, with pip."""
    if uv and subprocess.call([uv, "pip", "install", "-q", "--python", PYTHON, *what], **QUIET) == 0:
        return
    pip = [PYTHON, "-m", "pip"]
    # Debian's Python comes without ensurepip; its own pip can then install into the .venv from outside.
    if subprocess.call([*pip, "-V"], **QUIET) and subprocess.call([PYTHON, "-m", "ensurepip"], **QUIET):
        pip = [new_enough(), "-m", "pip", "--python", PYTHON]
        if subprocess.call([*pip, "-V"], **QUIET):
            fail(f"{pip[0]} brings no pip; on Debian and Ubuntu: apt install python3-venv")
    attempt([*pip, "install", "-q", "--no-input", "--disable-pip-version-check", *what])


def attempt(command: "list[str]") -> None:
    """Run a command in silence; where it fails, show all that it said, and what that comes to."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    said = done.stdout.decode(errors="replace")
    sys.stderr.write(f"\n{said}\n")
    if "DO NOT MATCH THE HASHES" in said:
        fail("a package is not the one that the lock file names, and was not installed; try again from another network")
    if "No matching distribution" in said:
        fail("the package index cannot be reached, or lacks a package; the first set-up needs it, later ones do not")
    fail(f"`{' '.join(command[:4])} …` failed; above is what it said")


def lock() -> int:
    """Resolve pyproject.toml anew into the lock files, for all platforms, with hashes."""
    uv = shutil.which("uv") or fail("uv is needed to renew the lock files: pipx install uv")
    options = ["--universal", "--generate-hashes", "--no-annotate", "--no-header", "--python-version", "3.11", "-q"]
    command = [uv, "pip", "compile", "pyproject.toml", *options, "--group", "build"]
    everything = ["--extra", "test", "--extra", "dev", "-c", RUNNING]
    return run([*command, "-o", RUNNING]) or run([*command, *everything, "-o", DEVELOPING])


# ---------------------------------------------------------------- words


def say(words: str) -> None:
    """A word on the set-up, in grey on a terminal; stdout is for data."""
    grey = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    sys.stderr.write(f"\033[2m{words}\033[0m" if grey else words)
    sys.stderr.flush()


def fail(words: str) -> str:
    """End here, with a sentence that says what to do."""
    sys.stderr.write(f"\ndev.py: {words}\n")
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
