"""The command itself: help, exit codes, where the home is, and what is said on stderr."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from notifier.cli.main import VERBS, notifier
from notifier.service import Service
from tests.commands import alone, run
from tests.homes import make_home, rss, said, world


def commands() -> list[tuple[str, ...]]:
    """Every verb, and every verb below a verb."""
    found: list[tuple[str, ...]] = []
    with click.Context(notifier) as ctx:
        for verb in VERBS:
            command = notifier.get_command(ctx, verb)
            found.append((verb,))
            if isinstance(command, click.Group):
                found += [(verb, name) for name in command.commands]
    return found


@pytest.mark.parametrize("words", [(), *commands()], ids=lambda words: " ".join(words) or "notifier")
def test_help_says_what_it_is_for_and_shows_an_example(words: tuple[str, ...]):
    """A sentence that is not cut off, and a command that can be typed, within 80 columns; `-h` says the same."""
    told = run(*words, "--help")

    assert told.code == 0
    assert re.search(r"Examples:\n +(\S.*)?notifier ", told.out)
    assert "..." not in told.out.split("\n", 1)[1]
    assert max(map(len, told.out.splitlines())) <= 80
    assert run(*words, "-h").out == told.out


def test_every_example_can_be_read():
    """The words after `notifier` in every example are a verb with options that there are."""
    for words in [(), *commands()]:
        for line in run(*words, "--help").out.splitlines():
            if found := re.search(r"(?:^ +|\| )notifier (?:--home \S+ )?([a-z]+)(?: ([a-z]+))?", line):
                verb, below = found.groups()
                assert verb in VERBS, line
                assert verb not in {"feeds", "subscriptions"} or (verb, below) in commands(), line


def test_every_verb_is_listed():
    """In `--help`, with its sentence."""
    told = run("--help")

    assert not [verb for verb in VERBS if not re.search(rf"^  {verb} ", told.out, re.MULTILINE)]


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("dmeo", "did you mean “demo”?"),
        ("subscription", "did you mean “subscriptions”?"),
        ("xyzzy", "the verbs are demo, init"),
    ],
)
def test_an_unknown_verb_is_put_right(typed: str, hint: str):
    """Used wrongly: exit code 2, and what may have been meant."""
    told = run(typed)

    assert (told.code, told.out) == (2, "")
    assert f"no verb “{typed}”; {hint}" in told.err


def test_an_unknown_option_is_a_wrong_use():
    """Exit code 2 also below a verb."""
    assert run("--hoem", "x").code == 2
    assert run("tail", "--jsn").code == 2
    assert run("subscriptions", "chekc").code == 2


def test_without_a_verb_it_shows_its_help():
    """To a person who typed only the name."""
    told = run()

    assert told.code == 2
    assert "Verbs:" in told.out + told.err


def test_it_knows_its_version():
    """That of the package."""
    assert run("--version").out == f"notifier, version {version('policy-change-notifier')}\n"


def test_the_command_is_the_module():
    """The script that is installed does what `python -m notifier` does."""
    script = Path(sys.executable).with_name("notifier")
    done = subprocess.run([script, "--help"], capture_output=True, timeout=60, check=False)  # noqa: S603

    module = alone("--help").out.replace("Usage: python -m notifier", "Usage: notifier")
    assert (done.returncode, done.stdout.decode()) == (0, module)


# ---------------------------------------------------------------- the home


def test_the_home_is_named_or_here(tmp_path: Path):
    """`--home` goes before NOTIFIER_HOME, which goes before the current directory."""
    for name, ids in (("named", "one"), ("environment", "two"), ("here", "three")):
        (tmp_path / name).mkdir()
        feed = f'[[feed]]\nid = "{ids}"\nissuer = "M"\nurl = "https://m.example/"\n'
        (tmp_path / name / "notifier.toml").write_text(feed)
    words, environ = ("feeds", "list", "--json"), {"NOTIFIER_HOME": str(tmp_path / "environment")}

    here = run(*words, cwd=tmp_path / "here")
    environment = run(*words, cwd=tmp_path / "here", **environ)
    named = run("--home", tmp_path / "named", *words, cwd=tmp_path / "here", **environ)

    assert [told.rows[0]["id"] for told in (named, environment, here)] == ["one", "two", "three"]


def test_a_wrong_configuration_exits_78(tmp_path: Path):
    """Every mistake on a line of its own, without colours where there is no terminal."""
    (tmp_path / "notifier.toml").write_text('timezone = "Mars"\n[fetch]\nallow = ["nowhere"]\n')

    told = run("--home", tmp_path, "run", "--once")

    assert told.code == 78
    assert [line.split(":")[0] for line in told.err.splitlines()] == [
        "error notifier.toml, line 1",
        "error notifier.toml, line 3",
    ]


async def test_a_log_of_another_process_exits_75(tmp_path: Path):
    """Try again later, says the code; the message names the process."""
    async with world() as around:
        home = make_home(tmp_path, around, {})
        async with Service.opened(home):
            code, _, err = await said(home, "run", "--once")

    assert code == 75
    assert err.startswith("error ")
    assert "Traceback" not in err


# ---------------------------------------------------------------- what is said


async def test_one_may_ask_for_more_or_less(tmp_path: Path):
    """Usually what is new and what is ill; with -v each poll; with -q nothing while nothing fails."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(("one", "Controls change", "…")))
        usual = await said(home, "run", "--once")
        verbose = await said(home, "-v", "run", "--once")
        quiet = await said(home, "-q", "run", "--once")

    assert [code for code, _, _ in (usual, verbose, quiet)] == [0, 0, 0]
    assert "one pass over 1 feed" in usual[2]
    assert "trade: unchanged" in verbose[2]
    assert quiet[1:] == ("", "")


# What asyncio says in its debug mode of a callback on a slow machine. It may come at any time, and is searched for
# addresses as all else is; but it is a word on the machine, and no library that tells of its work.
SLOW = re.compile(r"\S+ WARNING Executing <.*> took \d+\.\d+ seconds")


async def test_no_library_tells_an_address(tmp_path: Path):
    """However much we say, a mail is sent without its recipient, its server's talk or a webhook on stderr."""
    slack = "\n[[channel]]\nslack = '${HOOK}'\n"
    watch = "[[watchlist]]\nname = 'All'\nquery = 'controls'\n[[channel]]\nemail = 'desk@bank.example'\n" + slack
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": watch})
        around.publisher.publish("trade", rss(("one", "Opening hours", "…")))
        await said(home, "-v", "run", "--once", HOOK=around.slack.hook)
        around.publisher.publish("trade", rss(("two", "Controls change", "…"), ("one", "Opening hours", "…")))
        code, out, err = await said(home, "-v", "run", "--once", HOOK=around.slack.hook, PYTHONASYNCIODEBUG="1")

    assert code == 0
    assert len(around.mailroom.mails) == len(around.slack.payloads) == 1
    assert "trade: 1 new" in err
    assert not [secret for secret in ("desk@bank", "nosuchsecret", "/services/") if secret in out + err]
    told = [line for line in err.splitlines() if not SLOW.fullmatch(line)]
    assert {line.split()[1] for line in told} <= {"INFO", "DEBUG"}
    assert not re.search("aiohttp|aiosmtplib|apscheduler|asyncio", "\n".join(told))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(closed: str):
    """A supervisor may start a command with its streams closed; it does its work all the same."""
    command = f"{shlex.quote(sys.executable)} -m notifier feeds list --all {closed}"

    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=60, check=False)  # noqa: S603 ours

    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
