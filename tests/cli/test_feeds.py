"""`notifier feeds`: a document as it was read, the feeds as they are doing, and the feeds asked now."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from rich.cells import cell_len

from notifier.feeds.catalogue import catalogue
from notifier.service import Service
from tests.cli.terminal import legible, on_a_terminal
from tests.commands import Run, run
from tests.homes import DESK, make_home, rss, said, world

KEYS = ["id", "title", "link", "published", "updated", "summary", "text"]

RSS = """<rss version="2.0"><channel><title>News</title>
<item><guid isPermaLink="false">one</guid><title>Controls change</title><link>/one</link>
<pubDate>Mon, 29 Jun 2020 17:00:00 -0400</pubDate><description>Licences are needed.</description></item>
<item><guid isPermaLink="false">two</guid><title>Nothing more is said</title></item>
<item><link>https://m.example/three</link></item></channel></rss>"""

RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://m.example/"><title>News</title></channel>
<item rdf:about="https://m.example/one"><title>Controls change</title><link>https://m.example/one</link>
<dc:date>2020-06-29T17:00:00-04:00</dc:date><description>Licences are needed.</description></item></rdf:RDF>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:news</id><title>News</title>
<updated>2020-06-29T21:00:00Z</updated><entry><id>one</id><title>Controls change</title>
<link href="https://m.example/one"/><published>2020-06-29T17:00:00-04:00</published>
<updated>2020-06-30T00:00:00Z</updated><summary>Licences are needed.</summary></entry></feed>"""

JSON = """{"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": [{"id": "one", "url":
"https://m.example/one", "title": "Controls change", "date_published": "2020-06-29T17:00:00-04:00",
"summary": "Licences are needed.", "content_text": "From Monday."}]}"""


def read(document: str | bytes, *words: str) -> Run:
    body = document.encode() if isinstance(document, str) else document
    return run("feeds", "read", "-", *words, stdin=body)


# ---------------------------------------------------------------- read


@pytest.mark.parametrize("document", [RSS, RDF, ATOM, JSON], ids=["rss", "rdf", "atom", "jsonfeed"])
def test_a_document_of_each_kind_is_read(document: str):
    """Its entries come as JSON objects of exactly seven keys, with times in UTC, and nothing else is on stdout."""
    told = read(document, "--json", "--url", "https://m.example/feed")

    assert told.code == 0
    assert told.err == ""
    assert [list(row) for row in told.rows] == [KEYS] * len(told.rows)
    assert told.rows[0]["title"] == "Controls change"
    assert told.rows[0]["link"] == "https://m.example/one"
    assert told.rows[0]["published"] == "2020-06-29T21:00:00Z"
    assert told.rows[0]["summary"] == "Licences are needed."


def test_a_document_saved_as_it_came_over_the_wire_is_read():
    """A gzip body is decompressed, as in a poll; one that is broken is an error with the file's name."""
    packed = gzip.compress(RSS.encode())

    whole, broken = read(packed, "--json"), read(packed[:-20])

    assert len(whole.rows) == 3
    assert broken.code == 1
    assert broken.err.startswith("parse-error: ")


def test_a_document_is_read_as_one_of_the_catalogue():
    """A document that is not a feed is read by a catalogue entry's declaration, even if that cannot be polled."""
    details = '{"change_history": [{"note": "New."}]}'
    page = f'{{"content_id": "5c8", "title": "Licences", "base_path": "/x", "details": {details}}}'

    told = read(page, "--as", "uk-govuk-content-api", "--url", "https://www.gov.uk/api/content/x", "--json")
    plain = read(page, "--json")
    wrong = read(page, "--as", "uk-govuk-content-apy")

    assert [(row["title"], row["summary"], row["link"]) for row in told.rows] == [
        ("Licences", "New.", "https://www.gov.uk/x")
    ]
    assert (plain.code, wrong.code) == (1, 2)
    assert 'did you mean "uk-govuk-content-api"?' in wrong.err


def test_what_a_feed_does_not_say_is_null():
    """Nothing is made up for an entry that has only an id and a title, or only a link."""
    told = read(RSS, "--json")

    unsaid = dict.fromkeys(KEYS)
    assert told.rows[1] == unsaid | {"id": "two", "title": "Nothing more is said"}
    assert told.rows[2] == unsaid | {"link": "https://m.example/three"}


def test_a_text_and_an_update_are_told_apart():
    """Atom's updated and a feed's full text have places of their own."""
    assert read(ATOM, "--json").rows[0]["updated"] == "2020-06-30T00:00:00Z"
    assert read(JSON, "--json").rows[0]["text"] == "From Monday."


def test_for_people_an_entry_is_a_line():
    """The feed's title and how many items it has, then date and title of each."""
    told = read(RSS)

    assert told.out.splitlines() == [
        "News  3 items",
        "  2020-06-29 21:00Z Controls change",
        "  undated           Nothing more is said",
        "  undated           https://m.example/three",
    ]


def test_a_damaged_document_is_read_and_says_so():
    """Complete entries count, an incomplete one is marked; the problem goes to stderr with the file's name; exit 0."""
    cut = RSS[: RSS.index("more is said")]

    told = read(cut, "--json")

    assert told.code == 0
    assert [row["id"] for row in told.rows if row.get("whole", True)] == ["one"]
    assert all(list(row) == [*KEYS, "whole"] for row in told.rows[1:])
    assert told.err.startswith("-: ")


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ("", "not-a-feed"),
        ("<!doctype html><html><title>Log in</title></html>", "not-a-feed"),
        ('{"items": "none"}', "not-a-feed"),
        ("<order><tea/></order>", "not-a-feed"),
        ('<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel/></rss>', "parse-error"),
    ],
    ids=["empty", "web page", "other JSON", "other XML", "entities"],
)
def test_what_is_no_feed_exits_1_by_name(document: str, outcome: str):
    """The outcome has the name that the log would give it, stdout stays empty."""
    told = read(document, "--json")

    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"{outcome}: ")
    assert "Traceback" not in told.err


def test_a_document_is_never_taken_for_a_path(tmp_path: Path):
    """A document that is nothing but the name of a feed on this disk does not open it."""
    other = tmp_path / "other.xml"
    other.write_text(RSS)

    told = read(str(other))

    assert told.code == 1
    assert "Controls change" not in told.out + told.err


@pytest.mark.parametrize(
    "title",
    ["\u009b31m Red", "[bold red]Red[/]", ":fire: Red", "\u202eder Red", "Red\u0085\u0007"],
    ids=["escape", "markup", "emoji", "direction", "controls"],
)
def test_a_title_is_only_ever_text(title: str):
    """What would be an escape, a colour or a sign elsewhere is shown as the letters it is made of."""
    told = read(rss(("one", title, "…")))

    line = told.out.splitlines()[1]
    assert "Red" in line
    assert line.isprintable()
    for literal in ("[bold red]", ":fire:"):
        assert (literal in line) == (literal in title)


def test_an_escape_in_json_is_harmless_too():
    """JSON can carry the escape character itself, which XML cannot."""
    told = read(JSON.replace("Controls", "\\u001b]0;title\\u0007\\u001b[2J"))

    assert "\x1b" not in told.out
    assert "\x07" not in told.out


def test_a_file_that_is_not_there_is_a_wrong_use(tmp_path: Path):
    """It is named, and the exit code is 2."""
    told = run("feeds", "read", tmp_path / "none.xml")

    assert told.code == 2
    assert "none.xml" in told.err


# ---------------------------------------------------------------- list


async def test_the_list_tells_how_feeds_are_doing(tmp_path: Path):
    """State, since when, how many statements, and the trouble in words; from the log alone."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss", "gone": "rss"})
        around.publisher.publish("trade", rss(("one", "Controls change", "…")))
        before, _, _ = await said(home, "feeds", "list", "--json")
        async with Service.opened(home) as app:
            await app.run_once()
    told = run("--home", home, "feeds", "list")
    rows = {row["id"]: row for row in run("--home", home, "feeds", "list", "--json").rows}

    assert (before, told.code) == (0, 0)
    assert {id: row["state"] for id, row in rows.items()} == {"trade": "ok", "gone": "not-found"}
    assert rows["trade"]["statements"] == 1
    assert rows["trade"]["detail"] is None
    assert [rows[id]["well"] for id in ("trade", "gone")] == [True, False]
    assert rows["trade"]["last_success_at"] == rows["trade"]["last_poll_at"] < rows["trade"]["next_poll_at"]
    assert (rows["gone"]["last_success_at"], rows["gone"]["last_poll_at"] is None) == (None, False)
    assert {row["rhythm"] for row in rows.values()} == {"every 5 min"}
    assert "404" in rows["gone"]["detail"]
    heads, trade, gone, why = told.out.splitlines()
    assert heads.startswith("Feed   State")
    assert all(head in heads for head in ("Last success", "Last news", "Next poll", "Rhythm"))
    assert trade.split()[:2] == ["trade", "ok"]
    assert gone.split()[:3] == ["gone", "not-found", "!"]
    assert " ! " not in trade
    assert "every 5 min" in trade
    assert "404" in why


async def test_when_a_feed_is_asked_faster_is_told(tmp_path: Path):
    """Its slots stand beside its pace."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
    with (home / "notifier.toml").open("a") as settings:
        settings.write('slots = ["08:45", "11:15"]\n')

    assert "every 5 min, faster at 08:45 11:15" in run("--home", home, "feeds", "list").out


async def test_before_the_first_poll_there_is_no_state(tmp_path: Path):
    """A home without a log lists its feeds as not polled yet."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
    told = run("--home", home, "feeds", "list")
    (row,) = run("--home", home, "feeds", "list", "--json").rows

    assert "not polled yet" in told.out
    assert (row["polled"], row["state"], row["since"], row["statements"]) == (True, None, None, 0)
    assert not (home / "data").exists()


def test_the_catalogue_comes_with_reasons(tmp_path: Path):
    """All of it is listed, even without a home; sources that cannot be polled have their reason."""
    told = run("--home", tmp_path, "feeds", "list", "--all")
    rows = run("--home", tmp_path, "feeds", "list", "--all", "--json").rows

    assert [row["id"] for row in rows] == list(catalogue())
    assert all(row["usable"] is (row["reason"] is None) for row in rows)
    assert all(any(line.startswith(f"{row['id']} ") for line in told.out.splitlines()) for row in rows)
    refused = next(row for row in rows if not row["usable"])
    assert refused["reason"] in told.out


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_reasons_are_read_to_the_end(tmp_path: Path, columns: int):
    """They break between words below what they are about, and no line is wider than the window."""
    code, out = on_a_terminal("--home", tmp_path, "feeds", "list", "--all", columns=columns)

    words = " ".join(legible(out).split())
    assert code == 0
    assert max(map(cell_len, legible(out).splitlines())) <= columns
    assert not [source.id for source in catalogue().values() if " ".join(source.reason.split()) not in words]


def test_a_feed_that_is_polled_is_listed_once(tmp_path: Path):
    """A catalogue feed that is enabled is listed among the polled ones only."""
    usable = next(source.id for source in catalogue().values() if source.usable)
    (tmp_path / "notifier.toml").write_text(f'[feeds]\nenabled = ["{usable}"]\n')

    rows = run("--home", tmp_path, "feeds", "list", "--all", "--json").rows

    assert [row["polled"] for row in rows if row["id"] == usable] == [True]
    assert len(rows) == len(catalogue())


@pytest.mark.parametrize("words", [("feeds", "list"), ("feeds", "check")], ids=" ".join)
def test_without_a_home_it_says_how_to_make_one(tmp_path: Path, words: tuple[str, ...]):
    """The mend is in the message, and the exit code is that of a wrong configuration."""
    told = run("--home", tmp_path / "none", *words)

    assert (told.code, told.out) == (78, "")
    assert "notifier init" in told.err
    assert "Traceback" not in told.err


# ---------------------------------------------------------------- check


async def test_checking_asks_every_feed_and_records_nothing(tmp_path: Path):
    """Healthy and unhealthy feeds are marked, exit code 3 means that one is unhealthy, and the home is unchanged."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss", "page": "rss", "gone": "rss"})
        around.publisher.publish("trade", rss(("two", "Controls", "…"), ("one", "Controls change", "…")))
        around.publisher.publish("page", "<!doctype html><html></html>", "text/html")
        code, out, _ = await said(home, "feeds", "check")
        as_json = Run(*await said(home, "feeds", "check", "--json"))
        well, *_ = await said(home, "feeds", "check", "trade")

    lines = [line.split() for line in out.splitlines()]
    assert (code, as_json.code, well) == (3, 3, 0)
    assert [line[:2] for line in lines] == [["ok", "trade"], ["not-a-feed", "page"], ["not-found", "gone"]]
    assert [(row["feed"], row["outcome"], row["statements"]) for row in as_json.rows] == [
        ("trade", "ok", 2),
        ("page", "not-a-feed", 0),
        ("gone", "not-found", 0),
    ]
    assert not (home / "data").exists()


async def test_a_wrong_id_is_put_right(tmp_path: Path):
    """One letter off gets the id that was meant, polled or of the catalogue; exit code 2."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": DESK})
    polled = run("--home", home, "feeds", "check", "trad")
    listed = run("--home", home, "feeds", "check", "us-fr-rss-bsi")

    assert polled.code == listed.code == 2
    assert 'no feed “trad”; did you mean "trade"?' in polled.err
    assert 'did you mean "us-fr-rss-bis"?' in listed.err


def test_what_cannot_be_polled_is_not_asked(tmp_path: Path):
    """A catalogue source that cannot be polled gives its reason."""
    (tmp_path / "notifier.toml").write_text("")
    source = next(source for source in catalogue().values() if not source.usable)

    told = run("--home", tmp_path, "feeds", "check", source.id)

    assert told.code == 1
    assert source.reason in told.err


def test_checking_nothing_says_what_to_do(tmp_path: Path):
    """A home without feeds gets a hint where feeds are listed."""
    (tmp_path / "notifier.toml").write_text("")

    told = run("--home", tmp_path, "feeds", "check")

    assert told.code == 1
    assert "notifier feeds list --all" in told.err
