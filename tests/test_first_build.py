"""
A home that version 0.1.0 left behind still works, whatever has moved in the package since (`tests/golden_home/`).

What is expected here was recorded with version 0.1.0 itself, on a copy of the same home at the same moments.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.service import Service
from tests.channels.receiver import Receiver, plain
from tests.commands import run
from tests.homes import HOST, World, line_with, notifier, said, world

GOLDEN = Path(__file__).with_name("golden_home")

# What stood in the operator's environment then. No message of a test leaves the machine: these are loopback's.
THEN = "http://127.0.0.1:8629"
SECRETS = {
    "WEBSUB_SECRET": "websub secret of a test",
    "DOOR_SECRET": "door secret of a test",
    "DOOR_SECRET_BEFORE": "an older door secret of a test",
    "DESK_WEBHOOK_KEY": "whsec_" + "A" * 32,
    "DESK_WEBHOOK_KEY_BEFORE": "whsec_" + "B" * 32,
    "DKIM_KEY": Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode("ascii"),
}
# The catalogue's feeds are switched off where feeds are polled: they are on the internet.
ENABLED = "NOTIFIER_FEEDS__ENABLED"

# The passes that version 0.1.0 made from here on: by then all that is owed is due, nothing is, the daily digests are,
# and a statement of the first days is revised.
OWED, AGAIN, MORNING, REVISED = range(1, 5)
MOMENTS = {
    OWED: "2020-07-03T10:40:00+00:00",
    AGAIN: "2020-07-03T10:41:00+00:00",
    MORNING: "2020-07-04T07:00:30+00:00",
    REVISED: "2020-07-04T07:10:00+00:00",
}

# By the ending of its name, what the publisher calls a document.
KINDS = {".rss": "application/rss+xml", ".atom": "application/atom+xml", ".json": "application/json", "": "text/html"}

Rows = list[dict[str, Any]]


def expected(name: str) -> Rows:
    """What version 0.1.0 showed or sent, as rows."""
    return rows((GOLDEN / "expected" / name).read_text("utf-8"))


def rows(text: str) -> Rows:
    return [json.loads(line) for line in text.splitlines()]


def environ(publisher: str = THEN, hooks: str = THEN) -> dict[str, str]:
    """The operator's environment, with these addresses of the publisher and of subscribers' endpoints."""
    return SECRETS | {
        "MINISTRY": publisher,
        "DESK_SLACK": f"{hooks}/hooks/slack-of-the-desk",
        "DESK_WEBHOOK": f"{hooks}/hooks/webhook-of-the-desk",
        "COUNSEL_TEAMS": f"{hooks}/hooks/teams-of-counsel",
        "ANALYST_DISCORD": f"{hooks}/hooks/discord-of-the-analyst",
        "NEWSROOM_APPRISE": f"{hooks.replace('http', 'json')}/hooks/apprise-of-the-newsroom",
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the home as it was left; with the folders of its mailbox, which git does not keep while empty."""
    copy = tmp_path / "home"
    shutil.copytree(GOLDEN / "home", copy)
    for folder in ("cur", "tmp"):
        (copy / "bounces" / folder).mkdir()
    return copy


class Peers:
    """The world around the home, with endpoints for what is posted; `environ` says where all of them are."""

    def __init__(self, around: World, hooks: Receiver) -> None:
        self.around, self.hooks = around, hooks
        mail = {"NOTIFIER_EMAIL__PORT": str(around.mailroom.port), ENABLED: ""}
        self.environ = environ(around.publisher.url("").rstrip("/"), hooks.url("")) | mail
        self.terminal = io.StringIO()

    def handed_over(self, titles: Iterable[str]) -> Rows:
        """All that came since this was last asked, in the form of `expected/handed-over.ndjson`."""
        rows = [
            {
                "to": to,
                "id": mail["Message-ID"],
                "subject": mail["Subject"],
                "follows": mail["In-Reply-To"] or "",
                "text": mail.get_body(("plain",)).get_content().replace("\r\n", "\n"),  # type: ignore[union-attr]
            }
            for to, mail in self.around.mailroom.mails
        ]
        for path, headers, body in self.hooks.got:
            row = {"to": path.partition("?")[0].rpartition("/")[2], "names": named(words_of(json.loads(body)), titles)}
            rows.append(row | ({"id": headers["webhook-id"]} if "webhook-id" in headers else {}))
        if shown := " ".join(self.terminal.getvalue().split()):
            rows.append({"to": "console", "names": named(shown, titles)})
        self.around.mailroom.mails.clear()
        self.hooks.got.clear()
        self.terminal.seek(0)
        self.terminal.truncate()
        return rows


@contextlib.asynccontextmanager
async def peers() -> AsyncIterator[Peers]:
    """Everybody whom the home talks to, on loopback, with the documents as they were when it was left."""
    async with world() as around, Receiver(plain(200, "ok")) as hooks:
        folder = GOLDEN / "published"
        for path in filter(Path.is_file, folder.rglob("*")):
            around.publisher.publish(path.relative_to(folder).as_posix(), path.read_bytes(), KINDS[path.suffix])
        yield Peers(around, hooks)


def words_of(payload: object) -> str:
    """All that a payload says, one text behind the other, without the signs that escape Markdown."""
    if isinstance(payload, str):
        return payload.replace("\\", "")
    if isinstance(payload, dict):
        payload = [each for key, each in payload.items() if key not in {"type", "size", "weight", "style", "color"}]
    return "".join(map(words_of, payload)) if isinstance(payload, list) else ""


def named(words: str, titles: Iterable[str]) -> list[str]:
    """The statements that a message names. The words around them may be put better in another version."""
    return sorted(title for title in titles if title in words)


def titles() -> set[str]:
    """The titles of all statements of the log."""
    told = (row["data"]["statement"] for row in expected("tail.ndjson") if "statement" in row["data"])
    return {statement["title"] for statement in told}


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """
    A message without what another version may say in other words: the operator's templates mark such lines with `~`.
    Where an event stands in the log that was recorded since then is no promise either.
    """
    kept = {key: value for key, value in row.items() if key not in {"pass", "text"}}
    if "names" in kept:
        kept["names"] = sorted(kept["names"])
    if "text" in row:
        last = len(expected("tail.ndjson"))
        lines = [line for line in row["text"].splitlines() if not line.startswith("~")]
        kept["text"] = [line for line in lines if not (at := re.match(r"position: (\d+)", line)) or int(at[1]) <= last]
    return kept


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(comparable, rows), key=lambda row: json.dumps(row, sort_keys=True))


async def one_pass(home: Path, peers: Peers, number: int) -> Rows:
    """`run --once` at the moment of a pass, and what it handed over."""
    moment = datetime.fromisoformat(MOMENTS[number])
    # A clock that stands: an alert expires after 72 hours.
    async with Service.opened(home, environ=peers.environ, clock=lambda: moment, terminal=peers.terminal) as service:
        await service.run_once()
    return peers.handed_over(titles())


def of_pass(name: str, *numbers: int) -> Rows:
    return [row for row in expected(name) if row["pass"] in numbers]


# ---------------------------------------------------------------- what programs read


def test_the_log_reads_byte_by_byte_as_it_did(home: Path):
    """`tail --json` prints every event of the first build, of all twenty types, in the bytes of then."""
    shown = run("--home", home, "tail", "--json", **environ())

    assert shown.code == 0
    assert shown.out.encode() == (GOLDEN / "expected" / "tail.ndjson").read_bytes()


def test_who_got_what_is_known_as_it_was(home: Path):
    """`deliveries --json` tells of each alert, digest and notice what version 0.1.0 told: owed, delivered, given up."""
    shown = run("--home", home, "deliveries", "--json", **environ())

    assert shown.code == 0
    assert list(map(account, shown.rows)) == list(map(account, expected("deliveries.ndjson")))


def account(row: Mapping[str, Any]) -> dict[str, Any]:
    """How a delivery stands; without our own words for an operator's wish, which stand where a reply would."""
    attempts = [each | {"said": ""} if each["state"] == "owed" else each for each in row["attempts"]]
    return {**row, "attempts": attempts}


def test_subscribers_and_their_channels_stand_as_they_did(home: Path):
    """`subscriptions list --json`: the same watchlists and channels, the same suspended, the same confirmed."""
    shown = run("--home", home, "subscriptions", "list", "--json", **environ())

    assert shown.code == 0
    assert shown.rows == expected("subscriptions.ndjson")


def test_feeds_stand_as_they_did(home: Path):
    """`feeds list --json`: the same feeds under the same ids, with what the log knows of each."""
    shown = run("--home", home, "feeds", "list", "--json", **environ())
    then = [{key: value for key, value in row.items() if key != "rhythm"} for row in expected("feeds.ndjson")]

    assert shown.code == 0
    assert [{key: row[key] for key in before} for row, before in zip(shown.rows, then, strict=True)] == then


# ---------------------------------------------------------------- what operators have written


def test_old_subscribers_files_are_all_good(home: Path):
    """`subscriptions check` finds no mistake and no warning in files and packs written for the first build."""
    checked = run("--home", home, "subscriptions", "check", **environ() | {ENABLED: ""})

    assert checked.code == 0
    assert "warning" not in checked.err
    assert "5 subscribers, 10 watchlists" in checked.err


async def test_old_settings_and_templates_are_all_good(home: Path):
    """`doctor` reads every setting and tries every template; of `[door]` it says the new name, as no fault."""
    async with peers() as around:
        code, out, _ = await said(home, "doctor", "--json", **around.environ)
    found = rows(out)
    (templates,) = [each["found"] for each in found if each["looked_at"] == "templates"]
    own = [path.relative_to(home / "templates").as_posix() for path in (home / "templates").glob("*/*")]

    assert code == 0
    assert [each for each in found if each["state"] == "bad"] == []
    assert [each for each in found if "[door]" in each["found"] and "[web]" in each["found"]] != []
    assert [path for path in own if path not in templates] == []


# ---------------------------------------------------------------- what is owed


async def test_what_was_owed_is_handed_over_once(home: Path, caplog: pytest.LogCaptureFixture):
    """
    The first pass hands over what version 0.1.0 owed, under the names and in the operator's words of then, and nothing
    that had been delivered; the second pass sends nothing.
    """
    async with peers() as around:
        with caplog.at_level(logging.WARNING):
            handed = await one_pass(home, around, OWED)
        again = await one_pass(home, around, AGAIN)

    assert in_order(handed) == in_order(of_pass("handed-over.ndjson", OWED))
    assert again == []
    assert "built-in template" not in caplog.text


async def test_the_same_events_follow(home: Path):
    """Four passes record the events that version 0.1.0 recorded, under the same ids: none is missing, none is new."""
    kinds = tuple(f"{kind}." for kind in ("alert", "digest", "delivery", "notice", "channel"))
    async with peers() as around:
        for number in MOMENTS:
            if number == REVISED:
                revise(around)
            await one_pass(home, around, number)
    shown = run("--home", home, "tail", "--json", **environ()).rows[len(expected("tail.ndjson")) :]
    recorded = sorted((row["type"], row["id"]) for row in shown if row["type"].startswith(kinds))

    assert recorded == sorted((row["type"], row["id"]) for row in expected("after.ndjson"))


async def test_it_goes_on_from_where_it_was(home: Path):
    """
    Next morning's digests hold what version 0.1.0 held for them; the revision of a statement that it knew shows what
    changed, as a reply to its first alert; and a subscriber's feed file goes on, its old entries under their old ids.
    """
    async with peers() as around:
        await one_pass(home, around, OWED)
        digests = await one_pass(home, around, MORNING)
        revise(around)
        revision = await one_pass(home, around, REVISED)

    assert in_order(digests) == in_order(of_pass("handed-over.ndjson", MORNING))
    assert in_order(revision) == in_order(of_pass("handed-over.ndjson", REVISED))
    assert entry_ids(home / "feeds" / "hong-kong.xml") == entry_ids(GOLDEN / "expected" / "hong-kong.xml")


def entry_ids(feed: Path) -> list[str]:
    return re.findall(r"<id>[^<]*</id>", feed.read_text("utf-8"))


def revise(peers: Peers) -> None:
    """Have a publisher change the words of a statement that the first build told of."""
    document = (GOLDEN / "published" / "trade.rss").read_text("utf-8")
    before, after = "EMCL joins the entity list.", "EMCL and its branches join the entity list."
    assert before in document
    peers.around.publisher.publish("trade.rss", document.replace(before, after))


# ---------------------------------------------------------------- links in old mails


@pytest.mark.parametrize(
    ("purpose", "state", "event"),
    [("unsubscribe", "unsubscribed", "channel.suspended.v1"), ("confirm", "confirmed", "channel.confirmed.v1")],
)
async def test_a_link_in_an_old_mail_still_holds(home: Path, purpose: str, state: str, event: str):
    """A reader clicks in a mail of the first build: the service answers with the operator's page and records it."""
    link = json.loads((GOLDEN / "expected" / "links.json").read_text())[purpose]
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    async with peers() as around:
        listening = around.environ | {"NOTIFIER_DOOR__LISTEN": f"{HOST}:{port}"}
        async with notifier(home, "run", **listening) as service, aiohttp.ClientSession() as reader:
            await line_with(service.stderr, f":{port}")
            async with reader.post(f"http://{HOST}:{port}{link}") as answer:
                page = await answer.text()
        shown = run("--home", home, "tail", "--json", "--type", event.removesuffix(".v1"), **environ())

    assert f'<p id="state">{state} done</p>' in page
    assert shown.rows[-1]["position"] > len(expected("tail.ndjson"))
