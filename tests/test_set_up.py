"""Does a fresh clone set itself up, and does what is built hold all that it needs?"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements/running.lock", "requirements/developing.lock")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def locked(name: str) -> dict[str, list[tuple[Version, bool]]]:
    """A lock file's packages: each version that it pins, and whether with a hash."""
    found: dict[str, list[tuple[Version, bool]]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / name).read_text("utf-8")):
        if pin := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", block):
            hashed = re.search(r"--hash=sha256:[0-9a-f]{64}", block) is not None
            found.setdefault(canonicalize_name(pin[1]), []).append((Version(pin[2]), hashed))
    return found


# ---------------------------------------------------------------- dev.py


def test_an_old_python_can_read_it():
    """It parses as Python 3.6, so that an old one can say what is missing instead of a syntax error."""
    source = (ROOT / "dev.py").read_text("utf-8")

    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n case 1: pass", feature_version=(3, 6))


def test_it_needs_nothing_but_python():
    """Every import of it is of the standard library, none needs a newer one than 3.6, and none is of ours."""
    tree = ast.parse((ROOT / "dev.py").read_text("utf-8"))

    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "subprocess" in names
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names) - {"tomllib", "zoneinfo"}


@pytest.mark.parametrize(("words", "code"), [((), 0), (("help",), 0), (("--help",), 0), (("dmeo",), 2)], ids=str)
def test_its_help_names_every_verb(words: tuple[str, ...], code: int):
    """Also after a word it does not know; it is run without any package and sets nothing up."""
    command = [sys.executable, "-I", "-S", str(ROOT / "dev.py"), *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603

    verbs = re.findall(r'verb == "(\w+)"', (ROOT / "dev.py").read_text("utf-8"))
    assert done.returncode == code
    assert {"demo", "test", "lint", "bench"} <= set(verbs)
    assert all(re.search(rf"^    {verb} ", done.stdout.decode(), re.MULTILINE) for verb in verbs)


def test_make_forwards_to_it():
    """Every target of the Makefile is a verb of dev.py."""
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    source = (ROOT / "dev.py").read_text("utf-8")
    assert all(f'"{target}"' in source for target in targets.split())


# ---------------------------------------------------------------- the lock files


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name: str):
    """Nothing in it leads anywhere, and every package has a hash."""
    text = (ROOT / name).read_text("utf-8")

    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links|--trusted)", text, re.MULTILINE)
    assert locked(name)
    assert not [package for package, pins in locked(name).items() if not all(hashed for _, hashed in pins)]


def needed() -> list[tuple[str, str]]:
    """Each requirement of pyproject.toml, with the lock file that must satisfy it."""
    said = project()
    extras = said["project"]["optional-dependencies"]
    running = [*said["project"]["dependencies"], *said["build-system"]["requires"]]
    pairs = [(lock, requirement) for lock in LOCKS for requirement in running]
    return pairs + [(LOCKS[1], requirement) for extra in ("test", "dev") for requirement in extras[extra]]


@pytest.mark.parametrize(("lock", "text"), needed(), ids=lambda value: str(value).removeprefix("requirements/"))
def test_a_lock_satisfies_the_project(lock: str, text: str):
    """What pyproject.toml asks for is in the lock, in a version that it admits."""
    requirement = Requirement(text)

    pins = locked(lock).get(canonicalize_name(requirement.name), [])

    assert pins
    assert all(requirement.specifier.contains(version) for version, _ in pins)


def test_developing_adds_and_changes_nothing():
    """What both locks name has the same version in both, so tests run with what operators run."""
    running, developing = (locked(name) for name in LOCKS)

    assert {package: developing.get(package) for package in running} == running


def test_the_build_group_is_the_build_system():
    """They are said twice in pyproject.toml, and must agree."""
    said = project()

    assert said["dependency-groups"]["build"] == said["build-system"]["requires"]


# ---------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without network and without isolation."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, timeout=120, check=False, env=os.environ)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile):
    """Code, catalogue, story, tables and the marker for type checkers."""
    ours = [path for path in (ROOT / "notifier").rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    missing = {path.relative_to(ROOT).as_posix() for path in ours} - set(wheel.namelist())

    assert missing == set()
    assert {
        "notifier/py.typed",
        "notifier/feeds/catalogue.toml",
        "notifier/demo/story.toml",
        "notifier/demo/subscriptions/newsroom.toml",
        "notifier/watchlists/tables/spelling.toml",
    } <= set(wheel.namelist())


@pytest.mark.parametrize("folder", ["templates", "subscriptions"])
def test_the_wheel_holds_what_is_shipped(wheel: zipfile.ZipFile, folder: str):
    """What lies at the top of a checkout is inside, where `shipped` looks for it."""
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}

    assert ours
    assert {f"notifier/_data/{name}" for name in ours} <= set(wheel.namelist())


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile):
    """No test, benchmark or home goes along."""
    tops = {name.partition("/")[0] for name in wheel.namelist()}

    assert tops == {"notifier", f"policy_change_notifier-{project()['project']['version']}.dist-info"}


def test_the_wheel_runs_by_itself(wheel: zipfile.ZipFile, tmp_path: Path):
    """Unpacked away from the checkout, it makes a home from the files inside it, and finds it well."""
    wheel.extractall(tmp_path / "site")
    home = tmp_path / "home"
    ended = [
        subprocess.run(  # noqa: S603 our own command
            [sys.executable, "-m", "notifier", "--home", str(home), verb],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            timeout=60,
            check=False,
        )
        for verb in ("init", "doctor")
    ]

    assert [done.returncode for done in ended] == [0, 0], ended
    assert (home / "subscriptions" / "hong-kong-desk.toml").exists()
