"""
Real documents of governments, and documents made to hurt, read and polled as in service.

They are third parties' works and stay where they are; the manifest beside them says of each what it is and what is odd
about it.
"""

from __future__ import annotations

import csv
import json
import mimetypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

import msgspec
import pytest

from notifier.errors import Refused
from notifier.eventlog.memory import MemoryLog
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.detect import detect
from notifier.feeds.feed import Document, Feed, Identity, Reading, Validators
from notifier.feeds.fetch import inflated
from notifier.feeds.health import outcome_of
from notifier.feeds.known import Known
from notifier.feeds.parsers import Parser
from notifier.feeds.reading.plain import cleaned
from notifier.feeds.rounds import PollResult
from notifier.statement import Statement
from notifier.steps.poll import Poller
from tests.corpus.served import NOW, Ended
from tests.corpus.test_pages import PAIRS

CHECKOUT = Path(__file__).parents[2]
DATA = CHECKOUT / "../shared/data"
FEEDS, HOSTILE = DATA / "feeds", DATA / "hostile"

if not (FEEDS / "manifest.tsv").exists() or not HOSTILE.exists():
    pytest.skip("the collection of feeds is not beside this checkout (../shared/data)", allow_module_level=True)


class Row(msgspec.Struct, frozen=True):
    """A file of the collection: its path from `DATA`, what kind it is, and the entries that its manifest counts."""

    file: str
    category: str
    items: int = 0


def manifest() -> list[Row]:
    rows = csv.DictReader((FEEDS / "manifest.tsv").read_text("utf-8").splitlines(), delimiter="\t")
    return [Row(f"feeds/{row['file']}", row["category"], int(row["items"] or 0)) for row in rows]


ROWS = manifest()
ATTACKS = [
    Row(f"hostile/{path.name}", "hostile") for path in sorted(HOSTILE.iterdir()) if path.suffix in {".xml", ".html"}
]
NO_FEEDS = {"gov-html", "gov-html-pair", "gov-json", "gov-list"}

# How a document ends, and the entries read, where its kind and the manifest's count do not tell; each by its note.
ENDS = {
    "feeds/derived/uk-govuk-finder-ended.atom": ("retired", 0),
    "feeds/derived/us-federalregister-empty-answer.json": ("not-a-feed", 0),
    # Cut inside its only item, in CDATA.
    "feeds/gov-feed/us-whitehouse-news-2026-TRUNCATED.xml": ("parse-error", 1),
    "feeds/nasty-malformed/incomplete-cdata.xml": ("parse-error", 1),
    # The manifest counts what feedparser alone finds, which cannot read UTF-16 without a mark.
    "feeds/nasty-encoding/utf16le.xml": ("ok", 1),
    "hostile/v01_billion_laughs.xml": ("parse-error", 0),
    "hostile/v02_script_in_title.xml": ("ok", 1),
    "hostile/v03_truncated.xml": ("parse-error", 2),
    "hostile/v04_duplicate_guids.xml": ("ok", 2),
    "hostile/v05_login_wall.html": ("not-a-feed", 0),
    "hostile/v06_mojibake.xml": ("ok", 1),
    "hostile/v15_crlf_title.xml": ("ok", 1),
}

# Statements and their further wordings in one document, where they are not one to an entry.
STATEMENTS = {
    # One guid on all items, and different words: the US House, Singapore's schools, and a test of validators.
    "feeds/gov-feed/us-house-clerk-floor-same-guid.xml": (7, 0),
    "feeds/gov-feed/sg-moe-spotlight-feedburner.xml": (4, 0),
    "feeds/nasty-ids/duplicate-guid-value.xml": (2, 0),
    # Two guids bear two entries each, of one case at one minute: two dockets were written twice.
    "feeds/gov-feed/us-uscourts-nysb-pacer.xml": (160, 2),
    "hostile/v04_duplicate_guids.xml": (1, 1),
    # One guid, and the same words under three dates.
    "feeds/nasty-dates/nodate.xml": (1, 0),
    # An item with a date and nothing else, and a document whose items stand inside one another.
    "feeds/nasty-encoding/iso8859-1-undeclared-fr.xml": (9, 0),
    "feeds/nasty-malformed/illegally-nested.xml": (10, 0),
    # The half item of a document that is cut short.
    "feeds/gov-feed/us-whitehouse-news-2026-TRUNCATED.xml": (0, 0),
    "feeds/nasty-malformed/incomplete-cdata.xml": (0, 0),
    "hostile/v03_truncated.xml": (1, 0),
}


def end_of(row: Row) -> tuple[str, int]:
    """How a poll of this file ends, and the entries that are read."""
    if row.category in NO_FEEDS:
        return "not-a-feed", 0
    return ENDS.get(row.file, ("ok" if row.items else "ok-empty", row.items))


def statements_of(row: Row) -> tuple[int, int]:
    """The statements in this file, and the further wordings of them."""
    outcome, entries = end_of(row)
    return STATEMENTS.get(row.file, (entries if outcome == "ok" else 0, 0))


def feed(*, identity: Identity = "guid", dates: Sequence[str] = ()) -> Feed:
    return Feed(
        id="corpus", url="https://publisher.example/feed", issuer="Publisher", identity=identity, dates=tuple(dates)
    )


def document(file: str) -> Document:
    """The file as the fetcher hands it on."""
    body = (DATA / file).read_bytes()
    body = inflated(body) if body[:2] == b"\x1f\x8b" else body
    return Document(body=body, url="https://publisher.example/feed", validators=Validators(body_hash=file))


@pytest.fixture(scope="module")
async def parser() -> AsyncIterator[Parser]:
    """One child for all files: what one of them does to it, the next would feel."""
    parser = Parser()
    yield parser
    await parser.close()


async def reading_of(parser: Parser, file: str, of: Feed | None = None) -> Reading:
    return await parser.parse(document(file), of or feed())


def recorded(reading: Reading, of: Feed | None = None) -> list[Statement]:
    """The statements and their wordings, as a first poll records them."""
    events = detect(reading, of or feed(), Known(), NOW, baseline=True)
    return [event.statement for event in events if isinstance(event, StatementPublished | StatementRevised)]


def named(row: Row) -> str:
    return row.file.partition("/")[2]


def test_every_file_is_met():
    """The manifest names every file of the collection, and nothing in it is left out here."""
    beside = (".headers.json", ".expected.json")
    on_disk = {path.relative_to(DATA).as_posix() for path in FEEDS.glob("*/*") if not path.name.endswith(beside)}

    assert {row.file for row in ROWS} == on_disk
    assert {row.file for row in ATTACKS} == {file for file in ENDS if file.startswith("hostile/")}
    assert ENDS.keys() | STATEMENTS.keys() <= {row.file for row in [*ROWS, *ATTACKS]}


@pytest.mark.parametrize("row", [*ROWS, *ATTACKS], ids=named)
async def test_a_document_is_read_or_refused(parser: Parser, row: Row):
    """No crash, no hang: each has its outcome and its number of entries, and what is read is only text."""
    try:
        reading = await reading_of(parser, row.file)
        outcome = outcome_of(reading)
    except Refused as refusal:
        reading, outcome = Reading(entries=()), refusal.outcome

    assert (outcome, len(reading.entries)) == end_of(row)
    for entry in reading.entries:
        for text in (entry.id, entry.title, entry.summary, entry.text, *entry.authors, *entry.tags):
            assert cleaned(text) == text
        assert "\n" not in entry.title
        assert entry.link == "" or entry.link.startswith(("http://", "https://"))
        assert entry.published is None or entry.published.tzinfo is UTC


@pytest.mark.parametrize("row", [*ROWS, *ATTACKS], ids=named)
async def test_every_entry_becomes_a_statement_once(parser: Parser, row: Row):
    """All that is said is recorded, entries are not merged by guid alone, and reading it again adds nothing."""
    try:
        reading = await reading_of(parser, row.file)
    except Refused:
        reading = Reading(entries=())

    known = Known()
    events = detect(reading, feed(), known, NOW, baseline=True)
    for event in events:
        known.apply(event)

    statements = {event.subject for event in events}
    assert (len(statements), len(events) - len(statements)) == statements_of(row)
    assert detect(reading, feed(), known, NOW, baseline=False) == []


# ---------------------------------------------------------------- what third parties read in them


@pytest.mark.parametrize("row", [row for row in ROWS if (DATA / f"{row.file}.expected.json").exists()], ids=named)
async def test_dockets_are_dated_as_by_the_free_law_project(parser: Parser, row: Row):
    """Their reader and ours find the same entries of a court's feed, at the same seconds."""
    cases = json.loads((DATA / f"{row.file}.expected.json").read_text())
    filed = [docket["date_filed"] for case in cases for docket in case["docket_entries"]]

    statements = {statement.id: statement for statement in recorded(await reading_of(parser, row.file))}

    assert len(filed) == len(statements) > 0
    assert sorted(datetime.fromisoformat(date).astimezone(UTC) for date in filed) == sorted(
        statement.published_at for statement in statements.values() if statement.published_at
    )


# ---------------------------------------------------------------- what their notes call for


async def test_dates_without_a_standard_are_read_by_declaration(parser: Parser):
    """The Ninth Circuit writes MM/DD/YYYY: a hundred entries are kept undated, or dated once the feed declares it."""
    file = "feeds/gov-feed/us-uscourts-ca9-published.rss"

    guessed = await reading_of(parser, file)
    declared = await reading_of(parser, file, feed(dates=["%m/%d/%Y"]))

    assert {entry.published for entry in guessed.entries} == {None}
    assert all(entry.published_raw for entry in guessed.entries)
    assert all(entry.published for entry in declared.entries)
    assert {entry.title.isupper() for entry in declared.entries} == {True}


async def test_entries_without_a_date_are_kept(parser: Parser):
    """Spain's seismologists date their items in the title only."""
    reading = await reading_of(parser, "feeds/gov-feed/es-ign-sismologia.xml")

    assert [entry.published for entry in reading.entries] == [None] * 25
    assert len(recorded(reading)) == 25


SCRIPTS = {
    "feeds/nasty-encoding/koi8-r.xml": (0x400, 0x4FF),
    "feeds/nasty-gzip/gzip-body-no-header.xml.gz": (0x400, 0x4FF),
    "feeds/nasty-lang/urdu-bbc.xml": (0x600, 0x6FF),
    "feeds/nasty-encoding/iso8859-1-declared-golem.xml": (0x20, 0xFF),
    "feeds/nasty-encoding/iso8859-1-undeclared-fr.xml": (0x20, 0xFF),
}


@pytest.mark.parametrize("file", SCRIPTS)
async def test_letters_are_those_of_its_language(parser: Parser, file: str):
    """Nearly all letters beyond ASCII lie in the range of the document's script, and none is lost."""
    first, last = SCRIPTS[file]

    reading = await reading_of(parser, file)

    text = "".join(entry.title + entry.summary for entry in reading.entries)
    strange = [letter for letter in text if letter > "\x7f" and letter.isalpha()]
    inside = [letter for letter in strange if first <= ord(letter) <= last]
    assert "\ufffd" not in text
    assert len(strange) > 10
    assert len(inside) > 0.95 * len(strange)


async def test_good_entries_of_broken_documents_are_kept(parser: Parser):
    """A bare ampersand, literal `\\n` after the tags: the error is reported, and the entries are read."""
    circuits = ("us-uscourts-ca1-oralargs.xml", "us-uscourts-ca9-published.rss")
    for file, entries in zip(circuits, (21, 100), strict=True):
        reading = await reading_of(parser, f"feeds/gov-feed/{file}")

        assert reading.problem.startswith("not well-formed XML: line ")
        assert not reading.cut_short
        assert sum(entry.whole and bool(entry.title and entry.link) for entry in reading.entries) == entries


async def test_a_fault_is_told_with_the_line_it_is_on(parser: Parser):
    """The line is that of the file, as the manifest has it."""
    reading = await reading_of(parser, "feeds/gov-feed/us-uscourts-ca1-oralargs.xml")

    assert "line 188," in reading.problem


async def test_links_are_whole(parser: Parser):
    """Relative links become addresses, an escaped ampersand one sign, and a page is preferred to its other forms."""
    relative = await reading_of(parser, "feeds/nasty-links/relative-urls.xml")
    (ampersand,) = (await reading_of(parser, "feeds/nasty-malformed/corrupted-ampersands.xml")).entries
    (alternate,) = (await reading_of(parser, "feeds/nasty-links/non-text-alternate-links.xml")).entries

    assert [entry.link.startswith("https://publisher.example/") for entry in relative.entries] == [True, True]
    assert ampersand.link.endswith("?a=1&b=2")
    assert "self" not in alternate.link


async def test_abstracts_of_the_federal_register_are_read(parser: Parser):
    """They are escaped twice; a correction is a document of its own."""
    rule, correction = (await reading_of(parser, "feeds/derived/us-federalregister-documents.rss")).entries

    assert "&" in rule.summary
    assert "amp;" not in rule.summary + rule.title
    assert "#39" not in rule.summary
    assert rule.id != correction.id
    assert rule.published == datetime(2020, 6, 30, 4, tzinfo=UTC)


async def test_a_script_in_a_title_is_gone(parser: Parser):
    """v02: one statement with the title's words; nothing that acts, and no link that does."""
    (statement,) = recorded(await reading_of(parser, "hostile/v02_script_in_title.xml"))

    assert statement.title == "Secretary Ross on Hong Kong"
    assert statement.link == ""
    assert not any(sign in str(statement) for sign in ("<", "onerror", "javascript:", "alert"))


async def test_a_lie_about_letters_spoils_none(parser: Parser):
    """v06: typographic signs of a document that is UTF-8 and declares Latin-1 are intact."""
    (statement,) = recorded(await reading_of(parser, "hostile/v06_mojibake.xml"))

    assert statement.title == "Hong Kong – “dual‑use” exports"


async def test_a_title_stays_on_its_line(parser: Parser):
    """v15: what would be a header of a mail is text of a title."""
    (statement,) = recorded(await reading_of(parser, "hostile/v15_crlf_title.xml"))

    assert "Hong Kong Bcc:" in statement.title
    assert not set("\r\n") & set(statement.title)


async def test_two_wordings_under_one_guid_are_both_recorded(parser: Parser):
    """v04: a statement and its revision, so that a subscriber is alerted once to something new."""
    events = detect(await reading_of(parser, "hostile/v04_duplicate_guids.xml"), feed(), Known(), NOW, baseline=False)

    assert [type(event) for event in events] == [StatementPublished, StatementRevised]
    assert len({event.subject for event in events}) == 1


# ---------------------------------------------------------------- polls in sequence


class Turns:
    """A fetcher that hands over these documents, one a poll."""

    def __init__(self, *documents: Document) -> None:
        self._documents = iter(documents)
        self.asked: list[Validators] = []

    async def fetch(self, feed: Feed, known: Validators) -> Document:
        self.asked.append(known)
        return next(self._documents)


class InTurn(msgspec.Struct, frozen=True):
    """Files polled in turn, what each poll finds (published, revised), and what waits for a later release."""

    files: tuple[str, ...]
    finds: tuple[tuple[int, int], ...]
    identity: Identity = "guid"
    waits: str = ""


SEQUENCES = {
    "a guid that is missing, dates that come and go": InTurn(
        ("gov-feed-pair/us-whitehouse-sitefeed-poll1.xml", "gov-feed-pair/us-whitehouse-sitefeed-poll2.xml"),
        ((3, 0), (0, 2)),
    ),
    "one text under edit": InTurn(
        ("nasty-sequence/nodejs-poll1.xml", "nasty-sequence/nodejs-poll2.xml", "nasty-sequence/nodejs-poll3.xml"),
        ((1, 0), (0, 1), (0, 1)),
    ),
    "a finder of GOV.UK, whose ids last": InTurn(
        ("derived/uk-govuk-finder-fcdo-poll1.atom", "derived/uk-govuk-finder-fcdo-poll2.atom"),
        ((1, 0), (0, 1)),
    ),
    "an organisation at GOV.UK, whose ids do not": InTurn(
        ("derived/uk-govuk-org-ecju-poll1.atom", "derived/uk-govuk-org-ecju-poll2.atom"),
        ((2, 0), (0, 0)),
        identity="link",
        waits="the manifest wants one revision; the feed's words are the same, and what changed is on the notice's "
        "page, where it is found when that is asked again, and not at once",
    ),
}


def test_every_pair_is_polled_or_visited():
    """No pair of the collection is forgotten: those of pages are told apart in test_pages.py."""
    pairs = {row.file.removeprefix("feeds/") for row in ROWS if "pair/" in row.file or "poll" in row.file}
    visited = {f"gov-html-pair/{page}-{side}.html" for page, *_ in PAIRS for side in "ab"}

    assert pairs == {file for sequence in SEQUENCES.values() for file in sequence.files} | visited


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
async def test_polls_in_turn_find_what_changed(parser: Parser, sequence: InTurn):
    """Each poll records what its note calls for, and the whole round once more records nothing."""
    documents = [document(f"feeds/{file}") for file in sequence.files]
    poller = Poller(MemoryLog(lambda: NOW), Turns(*documents, *documents), parser, lambda: NOW)
    of = feed(identity=sequence.identity)

    found = [await poller.poll(of) for _ in documents]
    again = [await poller.poll(of) for _ in documents]

    assert [(poll.published, poll.revised) for poll in found] == list(sequence.finds)
    assert [(poll.published, poll.revised) for poll in again] == [(0, 0)] * len(documents)


@pytest.mark.parametrize(
    "file",
    [
        "gov-feed/us-house-clerk-floor-same-guid.xml",
        "gov-feed/un-gdacs-24h.xml",
        "gov-feed/us-uscourts-cafc-wordpress.xml",
        "gov-feed-pair/us-whitehouse-sitefeed-poll1.xml",
    ],
)
async def test_touched_dates_and_markup_are_no_revision(parser: Parser, file: str):
    """The House re-dates its items every quarter of an hour, and the White House numbers its markup anew."""
    known, before = Known(), document(f"feeds/{file}")
    body = re.sub(rb"<pubDate>[^<]*</pubDate>", b"<pubDate>Tue, 30 Jun 2020 00:15:00 GMT</pubDate>", before.body)
    touched = msgspec.structs.replace(before, body=body.replace(b"&lt;p&gt;", b"&lt;p id='r-4711'&gt;"))
    assert touched.body != before.body
    for event in detect(await parser.parse(before, feed()), feed(), known, NOW, baseline=True):
        known.apply(event)

    assert detect(await parser.parse(touched, feed()), feed(), known, NOW, baseline=False) == []


# Feeds whose guids, links or both begin with an address, and what they may begin with one day.
RENAMED = {
    "a host": ("gov-feed/us-gsa-blogs.xml", b"www.gsa.gov", b"www.gsa.example"),
    "a host, and the guids are links": ("gov-feed/us-uscourts-cafc-wordpress.xml", b"cafc.uscourts.gov", b"fc.example"),
    "https": ("gov-feed/us-uscourts-ca9-published.rss", b"http://", b"https://"),
    "the scheme of guids": ("gov-feed/un-gdacs-24h.xml", b'<guid isPermaLink="false">', b"<guid>tag:gdacs,2026:"),
}


@pytest.mark.parametrize(("file", "old", "new"), RENAMED.values(), ids=RENAMED)
async def test_wholesale_renaming_alerts_nobody_and_is_remembered(parser: Parser, file: str, old: bytes, new: bytes):
    """All entries bear other names: nothing is news, and an edit a poll later is the revision of one statement."""
    known, before = Known(), document(f"feeds/{file}")
    renamed = msgspec.structs.replace(before, body=before.body.replace(old, new))
    assert renamed.body != before.body
    first, second = await parser.parse(before, feed()), await parser.parse(renamed, feed())
    edited = msgspec.structs.replace(second.entries[0], title="Edited under its new name")
    third = msgspec.structs.replace(second, entries=(edited, *second.entries[1:]))

    found = []
    for reading in (first, second, second, third):
        events = detect(reading, feed(), known, NOW, baseline=reading is first)
        for event in events:
            known.apply(event)
        found.append([event for event in events if not event.muted_because])

    assert found[:3] == [[], [], []]
    ((revision,),) = found[3:]
    assert isinstance(revision, StatementRevised)
    assert revision.statement.title == "Edited under its new name"


async def test_a_document_that_was_cut_short_is_asked_for_again(parser: Parser):
    """v03: the whole item now, the half one once it is whole, each once; and until then without a validator."""
    cut = document("hostile/v03_truncated.xml")
    whole = msgspec.structs.replace(
        cut, body=cut.body + b"on, 29 Jun 2020 22:00:00 GMT</pubDate></item></channel></rss>"
    )
    log, turns = MemoryLog(lambda: NOW), Turns(cut, cut, whole, whole)
    poller = Poller(log, turns, parser, lambda: NOW)

    polls: list[PollResult] = [await poller.poll(feed()) for _ in range(4)]

    assert [(poll.outcome, poll.published) for poll in polls] == [
        ("parse-error", 1),
        ("parse-error", 0),
        ("ok", 1),
        ("ok", 0),
    ]
    assert [bool(known.body_hash) for known in turns.asked] == [False, False, False, True]
    page = await log.read()
    titles = [found.event.statement.title for found in page.events if isinstance(found.event, StatementPublished)]
    assert len(titles) == len(set(titles)) == 2


# ---------------------------------------------------------------- the whole poll, watched


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """What watch.py wrote down: the process, the event of Python's own audit, and what it was done to."""

    process: int
    event: str
    what: Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Ended], list[Heard]]:
    """How two polls of every file ended, and all that the polling processes opened, connected to or ran meanwhile."""
    watch = tmp_path_factory.mktemp("watch")
    shutil.copy(Path(__file__).with_name("watch.py"), watch / "sitecustomize.py")
    rows = [*ROWS, *ATTACKS]
    run = subprocess.run(
        [sys.executable, "-m", "tests.corpus.served"],
        input=msgspec.json.encode([str(DATA / row.file) for row in rows]),
        capture_output=True,
        check=False,
        timeout=120,
        cwd=CHECKOUT,
        env={"PYTHONPATH": os.pathsep.join([str(watch), str(CHECKOUT)]), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (run.returncode, run.stderr.decode()) == (0, "")
    ends = msgspec.json.decode(run.stdout, type=list[Ended])
    heard = [msgspec.json.decode(line, type=Heard) for line in (watch / "heard").read_bytes().splitlines()]
    return dict(zip([row.file for row in rows], ends, strict=True)), heard


@pytest.mark.parametrize("row", [*ROWS, *ATTACKS], ids=named)
def test_a_served_document_is_polled(served: tuple[dict[str, Ended], list[Heard]], row: Row):
    """
    Fetched, parsed and recorded: the outcome, and the statements once. The server's validator is shown next time only
    where the document was read to its end.
    """
    outcome, _ = end_of(row)
    read = outcome in {"ok", "ok-empty"}

    assert served[0][row.file] == Ended(
        outcome=outcome,
        published=statements_of(row)[0],
        revised=statements_of(row)[1],
        again="unchanged" if read else outcome,
        news_again=0,
        asked_with_validator=read,
    )


def test_nothing_else_was_opened(served: tuple[dict[str, Ended], list[Heard]]):
    """
    In the process that polls and in its child: connections to the server alone, no name looked up, and no file opened
    but the documents, our code and the interpreter's own. One program was run, the child's.
    """
    places = [CHECKOUT, DATA, *map(Path, {sys.prefix, sys.base_prefix, *TZPATH, *filter(None, sys.path)})]
    ours = tuple(f"{place}{os.sep}" for found in places for place in (found, found.resolve()))
    heard = served[1]

    opened = {one.what for one in heard if one.event == "open"}
    connected = {one.what[0] for one in heard if one.event == "socket.connect"}
    others = {(one.event, one.what) for one in heard if one.event not in {"open", "socket.connect"}}

    # aiohttp asks the system for the names of media types.
    assert {file for file in opened if not file.startswith(ours)} <= set(mimetypes.knownfiles)
    assert connected == {"127.0.0.1"}
    assert others == {("subprocess.Popen", sys.executable)}
    assert len({one.process for one in heard}) == 2
