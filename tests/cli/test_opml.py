"""`notifier feeds import` and `export`: nothing is lost on the way, nothing is broken, and no secret gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.feeds.reading import opml
from notifier.home.settings_file import load_settings
from tests.commands import Run, run

BEFORE = """\
[feeds]
enabled = ["us-ustr"]

[[feed]]
id = "ministry"
url = "https://ministry.example/rss"
issuer = "Ministry of Trade"
"""


def home(folder: Path, settings: str = BEFORE) -> Path:
    (folder / "notifier.toml").write_text(settings)
    return folder


def saved(folder: Path, *outlines: tuple[str, str]) -> Path:
    """A list of feeds: title and address of each."""
    listed = "".join(f'<outline type="rss" text="{text}" xmlUrl="{url}"/>' for text, url in outlines)
    path = folder / "list.opml"
    path.write_text(f'<opml version="2.0"><body>{listed}</body></opml>')
    return path


def imported(folder: Path, *outlines: tuple[str, str], write: bool = False, settings: str = BEFORE) -> Run:
    words = ["--write"] if write else []
    return run("--home", home(folder, settings), "feeds", "import", saved(folder, *outlines), *words)


def test_a_list_is_printed_as_tables(tmp_path: Path):
    """Which can be pasted as they stand; the file is left alone, and what is polled already is left out."""
    told = imported(
        tmp_path,
        ("Ministry of Trade", "https://ministry.example/rss"),
        ("Ministère du Commerce", "https://fr.example/rss"),
        ("商務部", "https://cn.example/rss"),
    )

    assert told.code == 0
    assert told.out == (
        '[[feed]]\nid = "ministere-du-commerce"\nurl = "https://fr.example/rss"\nissuer = "Ministère du Commerce"\n'
        '\n[[feed]]\nid = "cn-example"\nurl = "https://cn.example/rss"\nissuer = "商務部"\n'
    )
    assert "1 feed polled already" in told.err
    assert (tmp_path / "notifier.toml").read_text() == BEFORE


def test_a_list_is_added_to_the_settings(tmp_path: Path):
    """After the existing text, which is unchanged; a second time adds nothing."""
    (tmp_path / "notifier.toml").touch(mode=0o600)
    told = imported(tmp_path, ("Gazette", "https://g.example/rss"), ("Gazette", "https://g.example/atom"), write=True)
    again = run("--home", tmp_path, "feeds", "import", tmp_path / "list.opml", "--write")

    feeds = load_settings(tmp_path, {}).feeds
    assert (told.code, again.code) == (0, 0)
    assert [feed.id for feed in feeds] == ["us-ustr", "ministry", "gazette", "gazette-2"]
    assert (tmp_path / "notifier.toml").read_text().startswith(BEFORE)
    assert "2 feeds added" in told.err
    assert "0 feeds added" in again.err
    assert (tmp_path / "notifier.toml").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"notifier.toml", "list.opml"}


def test_what_would_not_be_read_is_not_written(tmp_path: Path):
    """Settings that end in a list of feeds of another form are unchanged, and the error gives the reason."""
    settings = 'feed = [{ id = "m", url = "https://m.example/", issuer = "M" }]'

    told = imported(tmp_path, ("Gazette", "https://g.example/rss"), write=True, settings=settings)

    assert told.code == 1
    assert "nothing was added" in told.err
    assert "notifier.toml, line " in told.err
    assert (tmp_path / "notifier.toml").read_text() == settings


def test_a_feed_of_the_catalogue_is_known_again(tmp_path: Path):
    """It is read as the catalogue reads it, under its name."""
    told = imported(tmp_path, ("USTR press", "https://ustr.gov/rss.xml"), settings="", write=True)

    (feed,) = load_settings(tmp_path, {}).feeds
    assert told.code == 0
    assert (feed.id, feed.issuer) == ("us-ustr", "USTR press")


def test_a_list_cannot_ask_for_secrets(tmp_path: Path):
    """What would stand for a secret in our settings is only text in a list from elsewhere."""
    imported(tmp_path, ("Our ${SECRET}", "https://x.example/?q=${SECRET}"), write=True)

    feed = load_settings(tmp_path, {"SECRET": "hunter2"}).feeds[-1]

    assert "hunter2" not in feed.issuer + feed.url
    assert feed.url == "https://x.example/?q=$%7BSECRET}"


@pytest.mark.parametrize(
    "title", ["&quot;\\", "a&#10;[email]", "\x7f" + "'" * 3, "&quot;&quot;&quot;", "# no", "&#x2028;", "\\u0000"]
)
def test_a_title_is_only_ever_text(tmp_path: Path, title: str):
    """Whatever would end a text in TOML stays within it."""
    told = imported(tmp_path, (title, "https://x.example/rss"), write=True)

    feeds = load_settings(tmp_path, {}).feeds
    assert told.code == 0
    assert [feed.url for feed in feeds][2:] == ["https://x.example/rss"]


def test_a_hostile_list_is_refused(tmp_path: Path):
    """In a sentence, with exit code 1 and nothing written."""
    home(tmp_path)
    (tmp_path / "list.opml").write_text('<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]><opml>&x;</opml>')

    told = run("--home", tmp_path, "feeds", "import", tmp_path / "list.opml", "--write")

    assert (told.code, told.out) == (1, "")
    assert "declares entities" in told.err
    assert "Traceback" not in told.err
    assert (tmp_path / "notifier.toml").read_text() == BEFORE


def test_what_was_exported_can_be_imported(tmp_path: Path):
    """Another home gets the same feeds under the same names."""
    there = tmp_path / "there"
    there.mkdir()
    exported = run("--home", home(tmp_path), "feeds", "export")
    (there / "list.opml").write_text(exported.out)
    home(there, "")

    run("--home", there, "feeds", "import", there / "list.opml", "--write")

    def told(of: Path) -> list[tuple[str, ...]]:
        return [(feed.id, feed.url, feed.issuer, feed.lang) for feed in load_settings(of, {}).feeds]

    assert exported.code == 0
    assert told(there) == told(tmp_path)


def test_what_is_for_us_alone_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An address with a secret in it, and what other readers cannot read, are named and left out."""
    monkeypatch.setenv("KEY", "hunter2")
    more = """
[[feed]]
id = "keyed"
url = "https://k.example/rss?key=${KEY}"
issuer = "Keyed"

[[feed]]
id = "page"
url = "https://p.example/"
issuer = "Page"
html = { entries = "li" }
"""

    told = run("--home", home(tmp_path, BEFORE + more), "feeds", "export")

    found, _ = opml.read(told.out.encode())
    assert [outline.id for outline in found] == ["us-ustr", "ministry"]
    assert "hunter2" not in told.out + told.err
    assert "keyed" in told.err
    assert "page" in told.err
