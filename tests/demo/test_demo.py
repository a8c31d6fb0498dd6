"""The demo as a stranger sees it: one command, and what it leaves to look at."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import json
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from notifier.demo.play import row
from notifier.demo.screen import Screen, Tally
from notifier.demo.story import DemoStory, Scene, document, load
from notifier.eventlog.log import EventLog
from notifier.eventlog.memory import MemoryLog
from notifier.eventlog.wording import StatementEvent
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.statements import StatementPublished, StatementRevised, StatementWithdrawn
from notifier.feeds.feed import Document, Feed, Kind
from notifier.feeds.parsers import Parser
from notifier.statement import Statement, fingerprint
from tests.builders import NOON, Clock
from tests.cli.terminal import legible, on_a_terminal
from tests.commands import Run, run
from tests.homes import PATIENCE, line_with, notifier


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """One showing: the home that it left, in a directory with a space, and how it went."""
    home = tmp_path_factory.mktemp("demo") / "a replay"
    return home, run("--home", home, "demo", "--once")


@pytest.fixture(scope="module")
def home(shown: tuple[Path, Run]) -> Path:
    return shown[0]


@pytest.fixture(scope="module")
def log(home: Path) -> list[dict[str, Any]]:
    """Every event that the showing left, as programs read them."""
    return run("--home", home, "tail", "--json").rows


@pytest.fixture(scope="module")
def mails(home: Path) -> list[EmailMessage]:
    """The mails it left, read strictly: a defect is an error."""
    paths = sorted((home / "outbox").glob("*.eml"))
    policy = email.policy.default.clone(raise_on_defect=True)
    parsed = [email.message_from_bytes(path.read_bytes(), policy=policy) for path in paths]
    return [mail for mail in parsed if isinstance(mail, EmailMessage)]


def of_type(log: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event["data"] for event in log if event["type"] == f"{name}.v1"]


# ---------------------------------------------------------------- the showing


def test_it_delivers_all_and_ends_well(shown: tuple[Path, Run], log: list[dict[str, Any]]):
    """Exit code 0 once every alert was taken over, and the sum says how many that were."""
    _, told = shown

    alerts = of_type(log, "alert.raised")
    owed = sum(len(alert["channels"]) for alert in alerts)
    assert told.code == 0, told.err
    assert told.err == ""
    assert alerts
    assert len(of_type(log, "alert.delivered")) == owed
    assert f"{len(alerts)} alerts ({owed} delivered" in told.out


def test_it_leaves_a_home(home: Path, log: list[dict[str, Any]]):
    """The log in data/, mails as .eml and Slack's messages as .json in outbox/, one file for each that was sent."""
    ways = [delivered["channel"] for delivered in of_type(log, "alert.delivered")]

    assert (home / "data" / "events.db").exists()
    assert (home / "notifier.toml").exists()
    assert len(list((home / "subscriptions").glob("*.toml"))) == 4
    assert len(list((home / "outbox").glob("*.eml"))) == ways.count("email") > 0
    assert len(list((home / "outbox").glob("*.json"))) == ways.count("slack") > 0
    assert (home / "outbox" / "console.txt").read_text().count("event #") == ways.count("console") > 0


def test_every_mail_holds_what_its_reader_needs(mails: list[EmailMessage]):
    """It parses strictly, names one recipient and its sender, and says what, why and where to read it, twice alike."""
    assert mails
    for mail in mails:
        text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert re.fullmatch(r"\S+@(bank|lawfirm)\.example", mail["To"])
        assert mail["From"].endswith("<alerts@notifier.example>")
        assert re.match(r"\[[^]]+\] ", mail["Subject"])
        assert mail["Message-ID"]
        for body in (text.get_content(), html.get_content()):
            assert re.search(r"https://\S+\.example/", body)
            assert re.search(r"\d\d Jun 2020, \d\d:\d\d UTC", body)
            assert re.search(r"event #\d+", body)
        assert "<mark" in html.get_content()


def test_no_two_mails_are_one(mails: list[EmailMessage]):
    """Each has a Message-ID of its own; a retry brought none twice."""
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)


def test_a_revision_shows_what_changed(mails: list[EmailMessage], log: list[dict[str, Any]], shown: tuple[Path, Run]):
    """The edited statement reaches its reader once more, as revised; mail and screen show what came and went."""
    (revision,) = of_type(log, "statement.revised")

    (mail,) = [mail for mail in mails if f"Revised: {revision['statement']['title']}" in mail["Subject"]]
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    for said in (text.get_content(), shown[1].out):
        assert "China, [-among them-]{+including+} the" in re.sub(r"\n\| ", " ", said)
    assert re.search("<del [^>]*>among them</del> <ins [^>]*>including</ins>", html.get_content())


def test_what_was_taken_back_leaves_the_feed_and_enters_the_log(log: list[dict[str, Any]]):
    """It is the last wording of a statement that was told before, with how we know."""
    (withdrawn,) = of_type(log, "statement.withdrawn")

    (published,) = [
        event for event in log if event["type"] == "statement.published.v1" and event["id"] == withdrawn["revises"]
    ]
    assert published["data"]["statement"] == withdrawn["statement"]
    assert "410" in withdrawn["reason"]


def test_a_reply_follows_a_mail_that_its_reader_has(mails: list[EmailMessage]):
    """What mail programs are to show beneath another is beneath one to the same person."""
    had = {(mail["To"], mail["Message-ID"]) for mail in mails}

    assert {(mail["To"], mail["In-Reply-To"]) for mail in mails if mail["In-Reply-To"]} <= had


def test_slack_gets_blocks(home: Path):
    """Each message is what an incoming webhook takes, with the issuer and a link in it."""
    for path in (home / "outbox").glob("*.json"):
        payload = json.loads(path.read_text("utf-8"))
        assert payload["text"]
        assert payload["blocks"]
        assert ".example/" in json.dumps(payload)


def test_noise_alerts_nobody(log: list[dict[str, Any]]):
    """Of the statements on weather, travel, rods and holidays nobody hears; nor of what was there before."""
    statements = of_type(log, "statement.published")
    noise = re.compile("Seychelles|threaded rod|Very Hot Weather|Travel advice|^Beaches|^Embassies|Air freight")
    quiet = {each["statement"]["id"] for each in statements if noise.search(each["statement"]["title"])}
    before = {each["statement"]["id"] for each in statements if each.get("quiet")}

    alerted = {alert["statement_id"] for alert in of_type(log, "alert.raised")}

    assert len(quiet - before) == 4
    assert len(before) == 6
    assert alerted
    assert not alerted & (quiet | before)


def test_a_dead_feed_a_busy_webhook_and_a_greylisting_are_overcome(log: list[dict[str, Any]]):
    """One 503, one 429 and one 451 happened, each once, and what they held up came all the same."""
    ill = [event for event in of_type(log, "feed.health-changed") if not event["outcome"].startswith("ok")]
    well_again = [event for event in of_type(log, "feed.health-changed") if event.get("before")]
    postponed = of_type(log, "delivery.postponed")

    assert len(ill) == 1
    assert "503" in ill[0]["detail"]
    assert ill[0]["feed"] in {event["feed"] for event in well_again if event["outcome"] == "ok"}
    assert sorted(each["channel"] for each in postponed) == ["email", "slack"]
    assert any("429" in each["reason"] or "wait" in each["reason"] for each in postponed)
    assert any("451" in each["reason"] for each in postponed)
    tries = {(each["alert"], each["channel"]): each["attempt"] for each in of_type(log, "alert.delivered")}
    # Who was only asked to be slower made no attempt.
    assert {each["channel"]: tries[each["alert"], each["channel"]] for each in postponed} == {
        "email": 2,
        "slack": 1,
    }
    assert of_type(log, "delivery.abandoned") == []


def test_no_secret_is_in_the_log(home: Path):
    """Nobody's address and no webhook, as everywhere."""
    held = b"".join(path.read_bytes() for path in (home / "data").iterdir())

    assert not [secret for secret in (b"@bank.example", b"@lawfirm.example", b"/services/") if secret in held]


def test_it_is_told_line_by_line(shown: tuple[Path, Run]):
    """Into a pipe go plain lines without colours or bars; the next things to try can be pasted."""
    home, told = shown

    assert "\x1b" not in told.out
    assert "Commerce Department suspends Hong Kong's special status" in told.out
    assert "revised: " in told.out
    assert f"--home '{home}' tail" in told.out


@pytest.mark.parametrize(
    ("words", "code", "holds"),
    [
        (("feeds", "list"), 0, "us-commerce"),
        (("feeds", "list", "--json"), 0, '"state":"ok"'),
        (("feeds", "check", "us-state"), 3, "unreachable"),
        (("tail", "--type", "alert.*"), 0, "alert.raised"),
        (("subscriptions", "check"), 0, ""),
        (("subscriptions", "list"), 0, "hong-kong-desk"),
        (("doctor",), 3, "✓ log"),
        (("run", "--once"), 0, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_other_verb_can_be_tried_on_it(home: Path, tmp_path: Path, words: tuple[str, ...], code: int, holds: str):
    """The home is one like any other; only the servers of the showing are gone."""
    copy = shutil.copytree(home, tmp_path / "copy")

    told = run("--home", copy, *words)

    assert told.code == code, told.err
    assert holds in told.out
    assert "Traceback" not in told.err


# ---------------------------------------------------------------- again, and elsewhere


def test_it_is_made_anew_each_time(tmp_path: Path):
    """A second showing in the same place leaves what the first did, and nothing more."""
    first = run("demo", "--once", cwd=tmp_path)
    (tmp_path / "notifier-demo" / "outbox" / "stray.eml").write_text("")
    second = run("demo", "--once", cwd=tmp_path)

    assert first.code == second.code == 0
    assert not (tmp_path / "notifier-demo" / "outbox" / "stray.eml").exists()
    assert _counts(first) == _counts(second)
    assert [path.name for path in tmp_path.iterdir()] == ["notifier-demo"]


def _counts(told: Run) -> str:
    found = re.search(r"✓ (.*) in [0-9.]+ s", told.out)
    assert found
    return found[1]


def _somebodys_home(path: Path) -> None:
    path.mkdir()
    (path / "notifier.toml").write_text("mine")


def _a_file_in_the_way(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")


@pytest.mark.parametrize(
    ("made", "below", "words"),
    [(_somebodys_home, "", "holds something else"), (_a_file_in_the_way, "deep", "Not a directory")],
    ids=["another home", "a file"],
)
def test_what_is_not_the_demos_is_left_alone(tmp_path: Path, made: Callable[[Path], None], below: str, words: str):
    """It is refused with exit code 1 and the way out, and stays as it was."""
    made(tmp_path / "place")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    told = run("--home", tmp_path / "place" / below, "demo", "--once")

    assert told.code == 1
    assert words in told.err
    assert "choose another with `notifier --home DIR demo`" in told.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


async def test_one_may_stop_it(tmp_path: Path):
    """Ctrl-C in the middle ends it with exit code 130, and without a word on stderr."""
    async with notifier(tmp_path / "replay", "demo") as showing:
        await line_with(showing.stdout, "29 Jun 21:00")
        showing.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await showing.communicate()

    assert (showing.returncode, err.strip()) == (130, b"")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_of_any_width_shows_it(tmp_path: Path, columns: int):
    """Rows and bars fit the window: none is wider, and each statement that matched is there."""
    code, out = on_a_terminal("--home", tmp_path / "replay", "demo", "--once", columns=columns)

    alerts = run("--home", tmp_path / "replay", "tail", "--type", "alert.raised", "--json").rows
    lines = legible(out).replace("\r", "\n").split("\n")
    rows = [line for line in lines if re.match(r"(29|30) Jun \d\d:\d\d ", line)]
    assert code == 0
    assert len(rows) == len({alert["data"]["cause"] for alert in alerts}) > 6
    assert max(map(len, rows)) <= columns
    assert any(line.startswith("Polling feeds") for line in lines)
    # A title without spaces goes on below, and does not end in dots.
    assert "特區政府" in out
    assert not re.search("[一-鿿] ?…", out)


# ---------------------------------------------------------------- what a row says


async def shown_on(
    log: EventLog, told: StatementEvent, *, also: Sequence[StatementEvent] = (), columns: int = 200
) -> str:
    """What the screen shows, into a pipe, of an alert on an event."""
    await log.append([*also, told])
    causes = {each.id: each for each in (await log.read()).events}
    alert = AlertRaised(
        cause=told.id,
        subscriber="desk",
        statement_id=told.statement.id,
        matches=(WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=("Hong Kong",)),),
        channels=("email",),
        also=tuple(each.id for each in also),
    )
    written = io.StringIO()
    screen = Screen(Console(file=written, width=columns))
    screen.tell(Tally(), [await row(log, causes, told.id, [alert])])
    return written.getvalue()


def said(text: str, issuer: str = "US Department of Commerce") -> Statement:
    title = "Curbs on Hong Kong"
    return Statement(
        id=issuer, feed="feed", issuer=issuer, title=title, text=text, fingerprint=fingerprint(title, text)
    )


async def test_a_row_tells_a_withdrawal():
    """Before the title, so that nobody takes it for news."""
    gone = StatementWithdrawn(statement=said("It ends."), revises="", reason="its page is gone", seen_at=NOON)

    assert "withdrawn: Curbs on Hong Kong (US Department of Commerce)" in await shown_on(MemoryLog(Clock()), gone)


async def test_a_row_tells_what_a_revision_changed():
    """Below the title, with signs."""
    first = StatementPublished(statement=said("It ends on 5 May."), seen_at=NOON)
    changed = StatementRevised(
        statement=said("It ends on 6 June."), replaces=first.statement.fingerprint, revises=first.id, seen_at=NOON
    )

    shown = await shown_on(MemoryLog(Clock()), changed, also=[first])

    assert "revised: Curbs on Hong Kong" in shown
    assert "It ends on [-5 May-]{+6 June+}." in shown


async def test_a_row_names_who_told_the_same():
    """One story told in two feeds is one row."""
    other = StatementPublished(statement=said("It ends.", "Federal Register"), seen_at=NOON)
    told = StatementPublished(statement=said("It ends."), seen_at=NOON)

    shown = await shown_on(MemoryLog(Clock()), told, also=[other])

    assert "Curbs on Hong Kong (US Department of Commerce · also Federal Register)" in shown


# ---------------------------------------------------------------- the story


def test_the_story_is_whole():
    """Every scene has its feed, every link leads to a name that cannot exist, and every text is marked as made up."""
    story = load()

    speakers = {speaker.id for speaker in story.feed}
    assert {scene.feed for scene in story.scene} == speakers
    assert all(re.match(r"https://[a-z-]+\.example/", scene.link) for scene in story.scene)
    assert {speaker.kind for speaker in story.feed} == {"rss", "rdf", "atom", "jsonfeed"}


def test_an_edited_statement_is_shown_once():
    """In its last words, at the place where it first stood."""
    story = load()
    edit = next(scene for n, scene in enumerate(story.scene) if scene.id in {each.id for each in story.scene[:n]})
    first = next(scene for scene in story.scene if scene.id == edit.id)

    shown = [scene for scene in story.told_by(edit.feed, edit.at) if scene.id == edit.id]

    assert [(scene.at, scene.text) for scene in shown] == [(first.at, edit.text)]


async def read(story: DemoStory, kind: Kind) -> tuple[list[Scene], list[Any]]:
    speaker = next(speaker for speaker in story.feed if speaker.kind == kind)
    scenes = story.told_by(speaker.id, max(scene.at for scene in story.scene))
    body, content_type = document(speaker, scenes)
    parser = Parser()
    try:
        url = f"https://{speaker.id}.example/"
        reading = await parser.parse(
            Document(body=body, url=url, content_type=content_type),
            Feed(id=speaker.id, url=url, issuer=speaker.issuer, kind=kind),
        )
    finally:
        await parser.close()
    assert not reading.problem
    return scenes, list(reading.entries)


@pytest.mark.parametrize("kind", ["rss", "rdf", "atom", "jsonfeed"])
async def test_a_feed_of_each_kind_reads_back(kind: Kind):
    """What the story tells is what the reader reads: title, link, time and words, in order."""
    scenes, entries = await read(load(), kind)

    assert [(entry.title, entry.link, entry.published) for entry in entries] == [
        (scene.title, scene.link, scene.at) for scene in scenes
    ]
    for scene, entry in zip(scenes, entries, strict=True):
        assert " ".join((entry.text or entry.summary).split()) == " ".join(scene.text.split())


def test_a_statement_that_was_taken_back_is_shown_no_more():
    """Its feed has it until then."""
    story = load()
    gone = next(scene for scene in story.scene if scene.withdrawn)

    before, after = (story.told_by(gone.feed, at) for at in (gone.at - timedelta(minutes=1), gone.at))

    assert {scene.id for scene in before} - {scene.id for scene in after} == {gone.id}
