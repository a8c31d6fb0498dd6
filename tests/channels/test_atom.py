"""A feed's file, read back by what reads feeds."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import feedparser
import pytest

from notifier.channels.atom import ATOM, AtomChannel
from notifier.errors import Misconfigured, Refused, TryLater
from notifier.message import Message
from tests.channels.messages import WRITTEN_AT

NAME = "hong-kong.xml"


def saying(title: str = "Curbs", *, id: str = "c0ffee", at: datetime = WRITTEN_AT, **more: object) -> Message:
    """An alert as its templates write it."""
    said = {"title": title, "author": "US Department of Commerce", "link": "https://commerce.example/1"}
    parts = {"atom.json": json.dumps(said | more), "atom.html": f"<p>{title} &amp; more</p>\n"}
    return Message(id=id, parts=parts, written_at=at)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def parsed(folder: Path) -> ElementTree.Element:
    """The file as a strict parser reads it."""
    return ElementTree.fromstring((folder / NAME).read_bytes())  # noqa: S314 our own file


def read(folder: Path) -> Any:
    """The feed as feedparser reads it."""
    found = feedparser.parse(io.BytesIO((folder / NAME).read_bytes()), sanitize_html=False)
    assert not found.bozo
    return found


async def test_an_alert_is_an_entry(tmp_path: Path) -> None:
    """Title, link, author, categories, times and words are what any feed reader expects of them."""
    channel = AtomChannel(tmp_path / "feeds")

    await channel.send(saying(categories=["Exports", "Asia"]), NAME)

    found = read(tmp_path / "feeds")
    (entry,) = found.entries
    assert found.version == "atom10"
    assert (found.feed.title, found.feed.author) == ("hong kong", "notifier")
    assert (entry.title, entry.link, entry.author) == (
        "Curbs",
        "https://commerce.example/1",
        "US Department of Commerce",
    )
    assert [tag.term for tag in entry.tags] == ["Exports", "Asia"]
    assert entry.updated == entry.published == found.feed.updated == "2020-06-29T21:07:00Z"
    assert entry.content[0].type == "text/html"
    assert entry.content[0].value.strip() == "<p>Curbs &amp; more</p>"


async def test_ids_last(tmp_path: Path) -> None:
    """The feed keeps its id and each entry its own, over files and processes; all are URNs (RFC 4287, 4.2.6)."""
    await AtomChannel(tmp_path).send(saying(id="one"), NAME)
    before = read(tmp_path)

    await AtomChannel(tmp_path).send(saying(id="two"), NAME)
    await AtomChannel(tmp_path).send(saying(id="one"), "another.xml")

    after = read(tmp_path)
    another = feedparser.parse(io.BytesIO((tmp_path / "another.xml").read_bytes()))
    assert after.feed.id == before.feed.id != another.feed.id
    assert after.entries[1].id == before.entries[0].id == another.entries[0].id
    for id in (after.feed.id, *(entry.id for entry in after.entries)):
        assert uuid.UUID(id.removeprefix("urn:uuid:")).urn == id


async def test_each_watchlist_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    """Named after it in any script; an alert of two stands in both, and a second copy takes its own place in each."""
    channel = AtomChannel(tmp_path)

    for _ in range(2):
        await channel.send(
            saying(categories=["Hong Kong: exports", "香港", "../../etc/passwd"]), "desk-{watchlist}.xml"
        )
    await channel.send(saying("More", id="f00d", categories=["香港"]), "desk-{watchlist}.xml")

    assert files(tmp_path) == ["desk-etc-passwd.xml", "desk-hong-kong-exports.xml", "desk-香港.xml"]
    feeds = {name: feedparser.parse(io.BytesIO((tmp_path / name).read_bytes())) for name in files(tmp_path)}
    assert {feed.feed.title for feed in feeds.values()} == {"Hong Kong: exports", "香港", "../../etc/passwd"}
    assert [entry.title for entry in feeds["desk-香港.xml"].entries] == ["More", "Curbs"]
    assert [len(feed.entries) for feed in feeds.values()] == [1, 1, 2]


async def test_the_newest_stands_first_and_a_hundred_are_kept(tmp_path: Path) -> None:
    """The oldest go, and the feed is as new as its newest entry."""
    channel = AtomChannel(tmp_path)

    for n in range(103):
        await channel.send(saying(f"Curbs {n}", id=str(n), at=WRITTEN_AT + timedelta(minutes=n)), NAME)

    found = read(tmp_path)
    assert [entry.title for entry in found.entries] == [f"Curbs {n}" for n in range(102, 2, -1)]
    assert found.feed.updated == found.entries[0].updated


async def test_a_second_copy_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """A message sent twice is one entry, with its last words."""
    channel = AtomChannel(tmp_path)
    await channel.send(saying("Curbs", id="one"), NAME)
    await channel.send(saying("Ends", id="two"), NAME)

    await channel.send(saying("Curbs, mended", id="one"), NAME)

    assert [entry.title for entry in read(tmp_path).entries] == ["Curbs, mended", "Ends"]


async def test_messages_at_once_all_stand_there(tmp_path: Path) -> None:
    """Two subscribers may have one file; neither's alert is lost to the other's."""
    channel = AtomChannel(tmp_path)

    await asyncio.gather(*(channel.send(saying(f"Curbs {n}", id=str(n)), NAME) for n in range(20)))

    assert {entry.title for entry in read(tmp_path).entries} == {f"Curbs {n}" for n in range(20)}


async def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Whatever moment it is opened in, it is whole; what is beside it is gone at the end."""
    channel = AtomChannel(tmp_path)
    await channel.send(saying("x" * 20_000, id="first"), NAME)
    writing = asyncio.gather(*(channel.send(saying("x" * 20_000, id=str(n)), NAME) for n in range(30)))

    seen = 0
    while not writing.done():
        parsed(tmp_path)
        seen += 1
        await asyncio.sleep(0)
    await writing

    assert seen > 1
    assert files(tmp_path) == [NAME]


@pytest.mark.parametrize("before", [b"", b"<feed>", b"<rss version='2.0'></rss>", b"my notes"])
async def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, before: bytes) -> None:
    """It is told, and the alert waits until it has been moved away."""
    (tmp_path / NAME).write_bytes(before)
    with pytest.raises(TryLater, match="move it away"):
        await AtomChannel(tmp_path).send(saying(), NAME)
    assert (tmp_path / NAME).read_bytes() == before

    (tmp_path / NAME).rename(tmp_path / "moved")
    await AtomChannel(tmp_path).send(saying(), NAME)

    assert len(read(tmp_path).entries) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "hong-kong",
        "../up.xml",
        "/etc/passwd.xml",
        "a/b.xml",
        ".hidden.xml",
        "a.b.xml",
        "a.xml.part",
        "a b.xml",
        "-a.xml",
        "a\n.xml",
        "a\\b.xml",
        "x" * 65 + ".xml",
        "名.xml",
    ],
)
async def test_only_a_bare_name_is_an_address(tmp_path: Path, name: str) -> None:
    """Nothing leads out of the folder; should it slip through, nothing is written."""
    channel = AtomChannel(tmp_path / "feeds")

    assert "bare name" in channel.refusal(name)
    with pytest.raises(Refused):
        await channel.send(saying(), name)
    assert files(tmp_path) == []


async def test_what_xml_does_not_take_does_not_spoil_the_feed(tmp_path: Path) -> None:
    """Control characters, half characters and non-characters go, or become a sign that something was there."""
    title = "a\x00b\x0bc\ud800d\ufffee\uffff & <b>f</b> ]]>"
    await AtomChannel(tmp_path).send(saying(title, link="https://x.example/\x00\ud800"), NAME)

    assert parsed(tmp_path).findtext(f"{{{ATOM}}}entry/{{{ATOM}}}title") == "abc\ufffdd\ufffde\ufffd & <b>f</b> ]]>"


@pytest.mark.parametrize("form", ["[]", '"x"', "{}", '{"title": " "}'])
async def test_a_template_that_writes_no_entry_is_told(tmp_path: Path, form: str) -> None:
    """An operator's own form is named, and nothing is written."""
    message = Message(id="a", parts={"atom.json": form, "atom.html": "<p>x</p>"}, written_at=WRITTEN_AT)

    with pytest.raises(Misconfigured, match=r"templates/alert/atom\.json"):
        await AtomChannel(tmp_path).send(message, NAME)
    assert files(tmp_path) == []


async def test_a_check_tells_whether_feeds_can_be_written(tmp_path: Path) -> None:
    """Also before the folder is there."""
    assert "written" in await AtomChannel(tmp_path / "feeds").check()
    with pytest.raises(TryLater):
        await AtomChannel(tmp_path / "gone" / "feeds").check()
