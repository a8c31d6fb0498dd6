"""`notifier init`: a home that runs as it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.commands import run
from tests.homes import HOST, rss, said, world


@pytest.mark.parametrize("name", ["my-desk", "a desk of mine", "tief/er"], ids=["plain", "space", "deep"])
def test_what_it_makes_is_well(tmp_path: Path, name: str):
    """The doctor finds nothing to mend, the subscribers are good, and the home is where it was wanted."""
    home = tmp_path / name

    made = run("init", home)

    assert (made.code, made.out) == (0, "")
    assert {path.name for path in home.iterdir()} == {"notifier.toml", "subscriptions"}
    assert run("--home", home, "doctor").code == 0
    assert run("--home", home, "subscriptions", "check").code == 0
    assert len(run("--home", home, "subscriptions", "list", "--json").rows) == 2


def test_what_it_says_next_can_be_typed(tmp_path: Path):
    """The commands it shows name the home so that a shell takes it for one word."""
    home = tmp_path / "a desk of mine"

    made = run("init", home)

    shown = [shlex.split(line) for line in made.err.splitlines() if line.startswith("  notifier ")]
    assert shown == [["notifier", "--home", str(home), verb] for verb in ("doctor", "run")]


async def test_what_it_makes_runs(tmp_path: Path):
    """With feeds of this machine in place of those far away, a statement is polled, matched and shown."""
    home = tmp_path / "desk"
    async with world() as around:
        await said(home, "init")
        feed = f'[[feed]]\nid = "trade"\nissuer = "Ministry"\nurl = "{around.publisher.url("trade")}"\n'
        settings = re.sub(r"(?s)enabled = \[.*?\]", "enabled = []", (home / "notifier.toml").read_text())
        (home / "notifier.toml").write_text(f'{settings}\n[fetch]\nallow = ["{HOST}/32"]\narticles = false\n{feed}')
        around.publisher.publish("trade", rss(("old", "Opening hours", "…")))
        first, _, _ = await said(home, "run", "--once")
        around.publisher.publish(
            "trade", rss(("new", "Dual-use exports to Hong Kong", "…"), ("old", "Opening hours", "…"))
        )
        second, out, err = await said(home, "run", "--once")

    assert (first, second) == (0, 0)
    assert out.count("Dual-use exports to Hong Kong") == 2
    assert "trade: 1 new, 0 revised" in err


def test_the_home_may_come_from_the_option(tmp_path: Path):
    """`--home DIR init` is `init DIR`."""
    assert run("--home", tmp_path / "desk", "init").code == 0
    assert (tmp_path / "desk" / "notifier.toml").exists()


@pytest.mark.parametrize("taken", ["notifier.toml", "subscriptions/hong-kong-desk.toml"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str):
    """One file that is there already is enough: it is named, stays as it was, and no other is made."""
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")

    told = run("init", tmp_path)

    assert told.code == 1
    assert taken in told.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path):
    """Below a file there is no directory; exit code 1 and a sentence."""
    (tmp_path / "file").write_text("")

    told = run("init", tmp_path / "file" / "desk")

    assert told.code == 1
    assert "Not a directory; choose another directory" in told.err
    assert "Traceback" not in told.err


def test_it_is_silent_when_asked(tmp_path: Path):
    """Under --quiet it makes the home and says nothing."""
    told = run("-q", "init", tmp_path / "desk")

    assert (told.code, told.out, told.err) == (0, "", "")
