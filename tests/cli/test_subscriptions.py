"""`notifier subscriptions`: what is wrong in the subscribers' files, and who watches what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.eventlog.sqlite import SqliteLog
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.event import Event
from notifier.home.open_log import wall_clock
from tests.commands import run
from tests.homes import DESK

HOOK = "https://hooks.slack.com/services/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"
SETTINGS = '[email]\nhost = "mx.house.example"\nsender = "Alerts <alerts@house.example>"\n'
NEWSROOM = """
name = "Asia newsroom"
timezone = "Asia/Singapore"
[[watchlist]]
name = "Asia"
query = 'HKSAR OR 香港'
[[channel]]
name = "desk"
slack = "${HOOK}"
[[channel]]
email = "first.last@newsroom.example"
[[channel]]
console = "stdout"
"""


def made(home: Path, files: Mapping[str, str], settings: str = SETTINGS) -> Path:
    """A home with these files in subscriptions/."""
    (home / "subscriptions").mkdir()
    (home / "notifier.toml").write_text(settings)
    for name, text in files.items():
        (home / "subscriptions" / name).write_text(text)
    return home


def all_files(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- check


def test_good_files_are_well(tmp_path: Path):
    """Exit code 0, how many there are, and nothing on stdout."""
    home = made(tmp_path, {"desk.toml": DESK, "newsroom.toml": NEWSROOM})

    told = run("--home", home, "subscriptions", "check", HOOK=HOOK)

    assert (told.code, told.out) == (0, "")
    assert told.err == "✓ 2 subscribers, 2 watchlists; all is well\n"


def test_every_mistake_is_told_at_once(tmp_path: Path):
    """Each with file, line and mend, one on a line; exit code 3, and nothing in the home has changed."""
    home = made(
        tmp_path,
        {
            "desk.toml": DESK.replace("email", "emial"),
            "later.toml": DESK.replace("Asia/Hong_Kong", "Asia/Hongkong_"),
            "newsroom.toml": NEWSROOM.replace("'HKSAR OR 香港'", "'HKSAR OR'"),
            "norway.toml": DESK.replace('name = "Hong Kong"', "name = NO"),
            "good.toml": DESK,
        },
    )
    before = all_files(home)

    told = run("--home", home, "subscriptions", "check", HOOK=HOOK)

    *mistakes, last = told.err.splitlines()
    assert (told.code, told.out) == (3, "")
    assert [mistake.split(":")[0] for mistake in mistakes] == [
        "error subscriptions/desk.toml, line 10",
        "error subscriptions/later.toml, line 3",
        "error subscriptions/newsroom.toml, line 6",
        "error subscriptions/norway.toml, line 6",
    ]
    assert 'no channel "emial"; did you mean "email"?' in mistakes[0]
    assert all("; " in mistake for mistake in mistakes)
    assert last == "4 mistakes; nothing was changed"
    assert all_files(home) == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("'\"night desk\"@newsroom.example'", "a quoted name is read in different ways by different servers"),
        ('"nightdesk%inside@newsroom.example"', "servers on the way take % and ! before the @ for a route"),
        ('"nightdesk@newsroom.example."', "a dot is at an end, or two stand together; leave the dot out"),
        ('"nightde\u0301sk@newsroom.example"', "its letters and their marks stand apart"),
        ('"night\\u200bdesk@newsroom.example"', "it contains invisible characters; type it anew"),
    ],
)
def test_an_address_that_would_become_another_is_a_mistake(tmp_path: Path, address: str, words: str):
    """What a mail server, or we, would rewrite is told with its line, and is not shown."""
    home = made(tmp_path, {"desk.toml": DESK.replace('"desk@bank.example"', address)})

    told = run("--home", home, "subscriptions", "check")

    assert (told.code, told.out) == (3, "")
    assert f"subscriptions/desk.toml, line 10: this is not a mail address: {words}" in told.err
    assert "newsroom.example" not in told.err
    assert "night" not in told.err


def test_a_secret_that_is_missing_is_named_by_its_variable(tmp_path: Path):
    """Not by what it would hold."""
    told = run("--home", made(tmp_path, {"newsroom.toml": NEWSROOM}), "subscriptions", "check")

    assert told.code == 3
    assert "subscriptions/newsroom.toml, line 9: " in told.err
    assert "HOOK" in told.err


def test_a_missing_mail_server_is_a_mistake(tmp_path: Path):
    """A subscriber cannot have mail where none can be sent; the mend says what to set up."""
    told = run("--home", made(tmp_path, {"desk.toml": DESK}, settings=""), "subscriptions", "check")

    assert told.code == 3
    assert "add [email] with host and sender to notifier.toml" in told.err


def test_apprise_is_for_whom_the_operator_lets(tmp_path: Path):
    """Its connections are not guarded, so a subscriber's file alone does not open them; nor is a URL ever shown."""
    text = "[[watchlist]]\nname = 'Asia'\nquery = 'HKSAR'\n[[channel]]\napprise = '${URL}'\n"
    home = made(tmp_path, {"desk.toml": text})
    url = "tgram://123456789:nosuchsecretnosuchsecretnosuchsecret/chat"

    refused = run("--home", home, "subscriptions", "check", URL=url)
    (home / "notifier.toml").write_text(SETTINGS + "[apprise]\nenabled = true\n")
    taken = run("--home", home, "subscriptions", "check", URL=url)
    wrong = run("--home", home, "subscriptions", "check", URL="tgram://nosuchsecret")
    shown = run("--home", home, "subscriptions", "list", URL=url)

    assert (refused.code, taken.code, wrong.code, shown.code) == (3, 0, 3, 0)
    assert "add [apprise] with enabled = true" in refused.err
    assert "its URL is incomplete" in wrong.err
    assert "tgram:…" in shown.out
    assert "nosuchsecret" not in "".join(told.out + told.err for told in (refused, taken, wrong, shown))


@pytest.mark.parametrize(
    ("files", "warning"),
    [
        ({}, "subscriptions/ has no subscriber's file, so nobody gets alerts"),
        ({"desk.toml": DESK, "other.yaml": ""}, "subscriptions/other.yaml is ignored: a subscriber's file ends in"),
    ],
    ids=["nobody", "another ending"],
)
def test_what_may_not_be_meant_is_a_warning(tmp_path: Path, files: dict[str, str], warning: str):
    """It is told, and the exit code stays 0; under --quiet it is not told."""
    home = made(tmp_path, files)

    told = run("--home", home, "subscriptions", "check")
    quiet = run("--home", home, "-q", "subscriptions", "check")

    assert told.code == quiet.code == 0
    assert f"warning {warning}" in told.err
    assert quiet.err == ""


# ---------------------------------------------------------------- list


def test_the_list_is_an_object_a_subscriber(tmp_path: Path):
    """Who, what he watches in his own words, and how he is reached, masked."""
    told = run("--home", made(tmp_path, {"newsroom.toml": NEWSROOM}), "subscriptions", "list", "--json", HOOK=HOOK)

    (row,) = told.rows
    assert (told.code, told.err) == (0, "")
    assert row["subscriber"] == "newsroom"
    assert row["watchlists"] == [
        {"name": "Asia", "query": "HKSAR OR 香港", "frequency": "immediately", "urgent": False}
    ]
    assert (row["frequency"], row["quiet_hours"], row["empty_digests"]) == ("immediately", "", False)
    assert [(each["name"], each["kind"]) for each in row["channels"]] == [
        ("desk", "slack"),
        ("email", "email"),
        ("console", "console"),
    ]
    assert row["channels"][1]["to"] == "f…@newsroom.example"
    assert row["channels"][2]["to"] == "stdout"


AT = datetime(2020, 6, 29, 21, 7, tzinfo=UTC)


async def recorded(home: Path, *events: Event) -> None:
    """These events stand in the home's log."""
    log = await SqliteLog.open(home / "data", wall_clock)
    await log.append(events)
    await log.close()


async def test_a_channel_that_takes_nothing_says_why_and_since_when(tmp_path: Path):
    """To people and to programs; one that was resumed, or whose pause has ended, does not."""
    home = made(tmp_path, {"desk.toml": DESK, "newsroom.toml": NEWSROOM})
    of = {"at": AT, "reason": "the mailbox does not exist"}
    await recorded(
        home,
        ChannelSuspended(subscriber="desk", channel="email", why="bounced", **of),
        ChannelSuspended(subscriber="newsroom", channel="desk", why="ended", **of),
        ChannelResumed(subscriber="newsroom", channel="desk", at=AT, reason="mended"),
        ChannelSuspended(subscriber="newsroom", channel="email", why="full", until=AT + timedelta(days=30), **of),
    )

    people = run("--home", home, "subscriptions", "list", HOOK=HOOK)
    programs = run("--home", home, "subscriptions", "list", "--json", HOOK=HOOK)

    (told,) = [line for line in people.out.splitlines() if "since" in line]
    assert told == "  → email: d…@bank.example  bounced since 2020-06-29 21:07Z: the mailbox does not exist"
    standing = {
        (row["subscriber"], each["name"]): each["suspended"] for row in programs.rows for each in row["channels"]
    }
    assert standing.pop(("desk", "email")) == {
        "why": "bounced",
        "reason": "the mailbox does not exist",
        "since": "2020-06-29T21:07:00Z",
        "until": None,
    }
    assert set(standing.values()) == {None}


async def test_mail_that_is_not_confirmed_is_marked(tmp_path: Path):
    """Where the operator wants readers to confirm; with its being confirmed the mark goes."""
    door = '[web]\naddress = "https://alerts.example.org"\nsecret = "0123456789abcdef"\nconfirm = true\n'
    home = made(tmp_path, {"desk.toml": DESK, "newsroom.toml": NEWSROOM}, SETTINGS + door)
    before = run("--home", home, "subscriptions", "list", HOOK=HOOK)
    await recorded(home, ChannelConfirmed(subscriber="desk", channel="email", at=AT))
    after = run("--home", home, "subscriptions", "list", HOOK=HOOK)
    programs = run("--home", home, "subscriptions", "list", "--json", HOOK=HOOK)

    assert before.out.count("not confirmed yet, so owed nothing") == 2
    assert after.out.count("not confirmed yet, so owed nothing") == 1
    assert [each["confirmed"] for row in programs.rows for each in row["channels"]] == [True, None, False, None]


@pytest.mark.parametrize(
    "words",
    [("subscriptions", "list"), ("subscriptions", "list", "--json"), ("subscriptions", "check"), ("doctor",)],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "mistake",
    ["", "watchlists = 5\n", "[[channel]]\nslack = 'http://${HOOK}'\n"],
    ids=["good", "a wrong key", "a wrong webhook"],
)
def test_no_secret_is_shown(tmp_path: Path, words: tuple[str, ...], mistake: str):
    """No address and no webhook is in stdout or stderr, whether the files are good or not."""
    nobody_listens = SETTINGS.replace("mx.house.example", "127.0.0.1") + 'port = 1\ntls = "none"\n'
    home = made(tmp_path, {"desk.toml": DESK, "newsroom.toml": NEWSROOM + mistake}, nobody_listens)

    told = run("--home", home, "-v", *words, HOOK=HOOK)

    said = told.out + told.err
    assert said
    assert "Traceback" not in said
    assert not [secret for secret in (HOOK, HOOK[30:], "nosuchsecretno", "desk@bank", "first.last@") if secret in said]


def test_for_people_the_query_is_written_out(tmp_path: Path):
    """As it was understood, below whom it belongs to, with where alerts go."""
    told = run("--home", made(tmp_path, {"newsroom.toml": NEWSROOM}), "subscriptions", "list", HOOK=HOOK)

    assert told.out.splitlines()[:2] == [
        "newsroom  Asia newsroom · Asia/Singapore · immediately",
        "  Asia: HKSAR OR 香港",
    ]
    assert "  → email: f…@newsroom.example" in told.out.splitlines()


def test_when_somebody_is_told_is_listed(tmp_path: Path):
    """In a few words, and of a watchlist what is other than the rest."""
    weekly = 'frequency = "weekly"\ndigest_at = "09:30"\ndigest_on = "friday"\nquiet_hours = "22:00–07:00"\n'
    apart = 'frequency = "hourly"\n[[watchlist]]\nname = "Now"\nquery = "now"\nurgent = true\n[[channel]]'
    file = weekly + NEWSROOM.replace("[[channel]]", apart, 1)
    home = made(tmp_path, {"newsroom.toml": file})

    people = run("--home", home, "subscriptions", "list", HOOK=HOOK)
    (row,) = run("--home", home, "subscriptions", "list", "--json", HOOK=HOOK).rows

    assert people.out.splitlines()[:3] == [
        "newsroom  Asia newsroom · Asia/Singapore · weekly on Friday at 09:30, quiet 22:00-07:00",
        "  Asia (hourly): HKSAR OR 香港",
        "  Now (urgent): now",
    ]
    assert (row["digest_at"], row["digest_on"], row["quiet_hours"]) == ("09:30", "friday", "22:00-07:00")
    assert [wish["urgent"] for wish in row["watchlists"]] == [False, True]


def test_wrong_files_cannot_be_listed(tmp_path: Path):
    """All or nothing: the mistake is told, and the exit code is that of a wrong configuration."""
    home = made(tmp_path, {"desk.toml": DESK, "newsroom.toml": "nonsense"})

    told = run("--home", home, "subscriptions", "list", "--json")

    assert (told.code, told.out) == (78, "")
    assert told.err.startswith("error subscriptions/newsroom.toml, line 1: ")
