"""Does what the handbook shows work, and does it name tests that there are?"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from notifier.feeds.feed import Document, Entry, Kind
from notifier.feeds.health import OUTCOMES
from notifier.feeds.reading.document import read
from notifier.home.settings_file import load_settings
from tests.channels.test_dkim import KEYS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RUNNING = (ROOT / "docs" / "running.md").read_text("utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text("utf-8")


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its rank."""
    rank, _, _ = title.partition(" ")
    return re.split(rf"^#{{1,{len(rank)}}} ", text.split(f"\n{title}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def rows(text: str) -> dict[str, str]:
    """First and last cell of each row whose first is code."""
    found = (re.fullmatch(r"\| `([^`]+)` \|.*\| `([^`]+)` \|", line) for line in text.splitlines())
    return {row[1]: row[2] for row in found if row}


@pytest.mark.parametrize("kind", ["json", "html"])
def test_a_declaration_of_the_handbook_reads_the_example_beside_it(tmp_path: Path, kind: str):
    """Taken as it stands there, it finds every field that it names."""
    shown = section(SETTINGS, "## Publishers without a feed")
    declared = next(block for block in blocks(shown, "toml") if f"[feed.{kind}]" in block)
    (example,) = blocks(shown, kind)
    (tmp_path / "notifier.toml").write_text(declared)

    (feed,) = load_settings(tmp_path, {}).feeds
    (entry,) = read(Document(body=example.encode(), url=feed.url), feed).entries

    assert (
        entry
        == {
            "json": Entry(
                id="17",
                title="Controls on dual-use exports",
                link="https://ministry.example/news/17",
                published=datetime(2020, 6, 30, 1, 0, tzinfo=UTC),
                published_raw="2020-06-30 09:00",
                summary="Licences are needed.\n\nTopic: Trade",
                tags=("Exports",),
            ),
            "html": Entry(
                id="17",
                title="Controls on dual-use exports",
                link="https://gazette.example/notices/17",
                published=datetime(2020, 6, 30, tzinfo=UTC),
                published_raw="30.06.2020",
                summary="Licences are needed.",
            ),
        }[kind]
    )


def test_all_feeds_of_the_handbook_can_be_set_together(tmp_path: Path):
    """Every example of a feed is taken as it stands, the one with a preset too."""
    shown = blocks(section(SETTINGS, "## Publishers without a feed"), "toml")
    (tmp_path / "notifier.toml").write_text("\n".join(shown))

    assert [feed.kind for feed in load_settings(tmp_path, {}).feeds] == ["json", "json", "html"]


def test_the_ways_back_of_the_handbook_can_be_set(tmp_path: Path):
    """The door and the mailbox for bounces are taken as they stand there, with mail server and signatures beside."""
    shown = [
        blocks(section(RUNNING, f"## {title}"), "toml") for title in ("Mail", "Unsubscribing, bounces and complaints")
    ]
    (tmp_path / "notifier.toml").write_text("\n".join(block for each in shown for block in each))
    secrets = dict.fromkeys(("SMTP_PASSWORD", "DOOR_SECRET", "BOUNCE_PASSWORD"), "0123456789abcdef")
    secrets["DKIM_KEY"] = KEYS["rsa"]

    settings = load_settings(tmp_path, secrets)

    assert settings.web is not None
    assert settings.bounces is not None


def suite() -> set[str]:
    """The names of all tests that there are."""
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.M)
    }


def test_every_kind_and_outcome_is_shown_by_a_test():
    """The tables of the README name all that there are, each with a test of this suite."""
    table = rows(section(README, "## What is read, and how a poll may end"))

    assert list(table) == [*get_args(Kind), *OUTCOMES]
    assert set(table.values()) <= suite()


def test_every_promise_names_tests_and_rooms_that_exist():
    """A promise that nothing shows, or that points at a file that is gone, would be a wish."""
    promises = (ROOT / "docs" / "promises.md").read_text("utf-8")
    numbered = re.findall(r"^## (P\d+) · ", promises, re.M)

    named = set(re.findall(r"`(test_\w+)`", promises))
    kept_in = re.findall(r"^- \*Kept in\*(.*?)(?=^- |^$|\Z)", promises, re.M | re.S)
    files = {path for each in kept_in for path in re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`", each)}

    assert numbered == [f"P{number}" for number in range(1, 13)]
    assert len(kept_in) == len(numbered)
    assert named - suite() == set()
    assert [path for path in sorted(files) if not any((ROOT / "notifier").glob(f"**/{path.rstrip('/')}"))] == []


def test_no_link_between_documents_is_broken():
    """Every relative link leads to a file that is there, and to a heading in it where it names one."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = []
    for document in documents:
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", document.read_text("utf-8")):
            path, _, anchor = target.partition("#")
            file = (document.parent / path).resolve() if path else document
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{document.relative_to(ROOT)}: {target}")

    assert len(documents) > 20
    assert broken == []


def anchors(document: Path) -> set[str]:
    """The names by which the headings of a document are linked to."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
