"""
Does the house still stand as it was drawn?

Imports are read from the source, so that a bent arrow is named with its file and line before anything runs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import msgspec
import pytest

PACKAGE = Path(__file__).parent.parent / "notifier"

# From the ground up. What stands on one floor knows the floors below, and of its own floor only itself.
FLOORS = (
    {"errors", "statement", "message", "secret", "guard", "diff", "durable"},  # values that everyone may know
    {"events"},
    {"eventlog", "feeds", "channels", "watchlists"},
    {"subscribers"},
    {"alerts", "delivery", "home"},
    {"messages"},
    {"steps", "questions", "web", "ports", "schedule"},
    {"service"},
    {"demo"},
    {"cli"},
    {"__main__"},
)
GROUND = FLOORS[0]

# Where an outside library is known by name: a file, or a folder. msgspec's values are everywhere.
HOMES = {
    "aiohttp": ("guard.py", "web/", "feeds/fetch.py", "channels/posting.py", "demo/peers.py"),
    "aiosmtpd": ("demo/peers.py",),
    "aiosmtplib": ("channels/mail/channel.py",),
    "apprise": (),  # an extra that channels/apprise.py loads by name, when somebody uses it
    "apscheduler": ("schedule.py",),
    "apsw": ("eventlog/",),
    "click": ("cli/",),
    # Loaded by name, and only where there is a key to sign with: it is an extra.
    "cryptography": ("channels/mail/dkim.py",),
    "cssselect": ("feeds/selectors.py",),
    "email_validator": ("channels/mail/address.py",),
    "feedparser": ("feeds/reading/",),
    "itsdangerous": ("messages/signed_links.py",),
    "jinja2": ("messages/render.py",),
    "lxml": ("feeds/reading/",),
    "markupsafe": ("messages/render.py",),
    "msgspec": ("",),
    # The index computes with arrays and sets of numbers throughout.
    "numpy": ("watchlists/index/",),
    # In the child that reads pages, and nowhere else: they are slow to load and hold much memory.
    "pypdfium2": ("feeds/reading/article.py",),
    "pyroaring": ("watchlists/index/",),
    "rich": ("cli/", "demo/"),
    "trafilatura": ("feeds/reading/article.py",),
}
# Parsers of the standard library; the outside ones are at home in feeds/reading. The Atom channel reads its own file.
PARSERS = ("html.parser", "pyexpat", "xml.dom", "xml.etree", "xml.parsers")
READS_ITS_OWN = "channels/atom.py"
# A list of feeds is read by the command that the operator runs on it, and by no service.
READS_A_LIST = "cli/opml.py"


class Import(msgspec.Struct, frozen=True):
    """One import: the file it stands in (from the package's root), the line, and the whole name it brings in."""

    file: str
    line: int
    name: str

    @property
    def library(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"notifier/{self.file}, line {self.line}: imports {self.name}"


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports() -> Iterator[Import]:
    for path in files():
        file = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from (Import(file, node.lineno, alias.name) for alias in names)
                case ast.ImportFrom(module=str(module), level=0, names=names):
                    # `from notifier import settings` brings in a part as much as `import notifier.home.settings` does.
                    whole = [f"{module}.{alias.name}" for alias in names] if module == "notifier" else [module]
                    yield from (Import(file, node.lineno, name) for name in whole)
                case ast.ImportFrom(module=module):
                    yield Import(file, node.lineno, f".{module}")
                case _:
                    pass


def part_of(file: str) -> str:
    """`feeds/fetch.py` belongs to `feeds`, `poll.py` is `poll`."""
    return file.partition("/")[0].removesuffix(".py")


def floor_of(part: str) -> int:
    return next((number for number, parts in enumerate(FLOORS) if part in parts), -1)


def test_every_part_has_a_floor():
    """A new file at the top of the package, or a new folder, is given its place in the house first."""
    homeless = {part_of(path.relative_to(PACKAGE).as_posix()) for path in files()} - set().union(*FLOORS)

    assert homeless - {"__init__"} == set()


def test_arrows_point_down():
    """A part imports from floors below its own, and of its own only itself; the ground knows the ground."""
    ours = [found for found in imports() if found.library == "notifier"]

    bent = [
        str(found)
        for found in ours
        if (here := part_of(found.file)) != (there := found.name.split(".")[1])
        and not (here in GROUND and there in GROUND)
        and not floor_of(here) > floor_of(there) >= 0
    ]

    assert len(ours) > 100
    assert bent == []


def test_no_step_knows_another():
    """Each step reads the log, does one thing and appends: so each can be stopped, run again or watched alone."""
    bent = [
        str(found)
        for found in imports()
        if found.file.startswith("steps/") and found.name.startswith("notifier.steps.")
    ]

    assert bent == []


def test_a_question_cannot_append():
    """Questions are handed a log for reading: nobody changes what is recorded by asking about it."""
    appending = [
        f"notifier/{path.relative_to(PACKAGE).as_posix()}: names {node.id}"
        for path in sorted((PACKAGE / "questions").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name) and node.id in {"EventLog", "SqliteLog", "MemoryLog", "Commit"}
    ]

    assert appending == []


def test_no_file_knows_itself_by_way_of_others():
    """Inside a room, too, imports run one way only."""
    known: dict[str, set[str]] = {}
    for found in imports():
        if found.library == "notifier":
            here = f"notifier.{found.file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"
            known.setdefault(here, set()).add(found.name)

    # A sorter that meets a circle raises CycleError, which names it.
    order = list(TopologicalSorter(known).static_order())

    assert len(order) > 100


def test_only_the_reading_wing_imports_a_parser():
    """What parses text from outside runs in the child process, where a hostile document can do no harm."""
    astray = [
        str(found)
        for found in imports()
        if found.name.startswith(PARSERS) and not found.file.startswith(("feeds/reading/", READS_ITS_OWN))
    ]

    assert astray == []


def test_the_reading_wing_is_the_childs_alone():
    """What runs in the child knows values and the language of declarations; what starts it loads nothing of it."""
    child_knows = {f"notifier.feeds.{name}" for name in ("feed", "shape", "links", "paths", "selectors")}
    bent = [
        str(found)
        for found in imports()
        if (
            found.name.startswith("notifier.feeds.reading")
            and not found.file.startswith(("feeds/reading/", READS_A_LIST))
        )
        or (
            found.file.startswith("feeds/reading/")
            and found.library == "notifier"
            and not found.name.startswith(("notifier.feeds.reading", "notifier.errors"))
            and found.name not in child_knows
        )
    ]

    assert bent == []


def test_a_class_name_means_one_thing():
    """Whoever searches for a class by its name finds it, and nothing else."""
    places: dict[str, list[str]] = {}
    for path in files():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())

    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_nothing_is_too_long_to_be_read():
    """No file has over 400 lines, no class over 250: what grows beyond has more than one purpose."""
    long = []
    for path in files():
        text = path.read_text("utf-8")
        name = path.relative_to(PACKAGE).as_posix()
        long += [f"{name}: {len(text.splitlines())} lines"] * (len(text.splitlines()) > 400)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and (lines := (node.end_lineno or 0) - node.lineno + 1) > 250:
                long.append(f"{name}: class {node.name} has {lines} lines")

    assert long == []


def test_only_the_log_and_one_opener_name_its_file():
    """Everything else is handed the log: another engine takes its place without another file being touched."""
    named = re.compile(r"\bSqliteLog\b|events\.db")
    astray = [
        str(path.relative_to(PACKAGE))
        for path in files()
        if named.search(path.read_text("utf-8"))
        and not path.relative_to(PACKAGE).as_posix().startswith(("eventlog/", "home/open_log.py"))
    ]

    assert astray == []


def test_imports_are_absolute_and_at_the_top():
    """No import is relative, inside a function, or only for the type checker: each says something stands wrong."""
    hidden = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If | ast.Try):
                hidden += [
                    f"{path}, line {inner.lineno}"
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Import | ast.ImportFrom)
                ]
    hidden += [str(found) for found in imports() if found.name.startswith(".")]

    assert hidden == []


def test_a_library_has_one_home():
    """An outside library is imported where it is said to live, and every library has such a place."""
    outside = [found for found in imports() if found.library not in {"notifier", *sys.stdlib_module_names}]

    astray = [str(found) for found in outside if not found.file.startswith(HOMES.get(found.library, ()))]

    assert outside
    assert astray == []


@pytest.mark.parametrize(
    "path", [path for path in files() if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_a_package_says_one_sentence(path: Path):
    """An `__init__.py` holds what the folder is for, and nothing that could run."""
    (only,) = ast.parse(path.read_text("utf-8")).body

    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)
    assert only.value.value.endswith(".")


def test_names_say_what_a_thing_is_for():
    """Nothing is called after its shape or its rank: such a file takes in anything."""
    said = re.compile(r"(utils?|helpers?|common|base|managers?|misc|core|types)")

    assert [str(path) for path in files() if said.fullmatch(path.stem)] == []


def test_modules_open_with_a_sentence():
    """Each module begins by saying to a stranger what it is."""
    assert [str(path) for path in files() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []
