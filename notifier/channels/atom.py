"""
Alerts as entries of an Atom feed (RFC 4287), in a file that any web server can serve.

The file is the only state: its entries are read, the new one is put first, and the file is replaced atomically. So a
reader sees the old file or the new one, and a second copy of a message replaces the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from notifier import durable
from notifier.errors import Misconfigured, Mistake, Refused, TryLater
from notifier.message import Message, Receipt, without_controls

FORM, CONTENT = "atom.json", "atom.html"
ENTRIES = 100  # in one file; the oldest go
ATOM = "http://www.w3.org/2005/Atom"
EACH = "{watchlist}"  # in an address: a file for each watchlist, named after it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.xml")
_LETTERS = 40  # of a watchlist's name in that of its file
# What is no character of XML 1.0, though it is one of Unicode's (2.2).
_NOT_XML = re.compile("[\ufffe\uffff]")


class AtomChannel:
    """
    Writes each alert into a feed file of `folder`, which is made when it is first needed.

    An address is the file's name, `hong-kong.xml`; with `{watchlist}` in it there is a file for each watchlist, and an
    alert stands in those of all that brought it. `new_id` makes up a feed's id when its file begins; from then on it
    stays. Several messages for one file are written one after another.
    """

    kind = "atom"
    forms: tuple[str, ...] = (FORM, CONTENT)
    at_once = 4

    def __init__(self, folder: Path, *, new_id: Callable[[], uuid.UUID] = uuid.uuid4) -> None:
        self._folder = folder
        self._new_id = new_id
        self._locks: dict[str, threading.Lock] = {}

    def refusal(self, address: str) -> str:
        """Why this is no name for a feed's file; "" when it looks right."""
        if _NAME.fullmatch(address.replace(EACH, "x", 1)):
            return ""
        return (
            "a feed is a file in the home's feeds/; write a bare name like "
            'atom = "hong-kong.xml", or "desk-{watchlist}.xml" for a file each'
        )

    def masked(self, address: str) -> str:
        """The file's place in the home; there is nothing to hide."""
        return "feeds/…" if self.refusal(address) else f"feeds/{address}"

    def place(self, address: str) -> str:
        """There is but one disk."""
        return ""

    async def send(self, message: Message, address: str) -> Receipt:
        """Put the alert first into its feed. Raises `TryLater` where the file can be neither read nor written."""
        if self.refusal(address):
            raise Refused("the subscriber's feed file cannot be used; see `notifier subscriptions check`")
        entry = _entry(message)
        try:
            for name, title in _files(entry, address).items():
                lock = self._locks.setdefault(name, threading.Lock())
                # The thread ends its work though we are stopped meanwhile; a second copy takes the first one's place.
                await asyncio.to_thread(self._put, entry, name, title, lock)
        except ElementTree.ParseError as error:
            told = (
                "the subscriber's file in feeds/ was not written by the notifier; move it away, and a new one is begun"
            )
            raise TryLater(told, outcome="file-unreadable", scope="address") from error
        except OSError as error:
            told = f"the subscriber's file in feeds/ cannot be written: {error.strerror}"
            raise TryLater(told, outcome="file-unwritable", scope="address") from error
        return Receipt("written")

    async def check(self) -> str:
        """Can files be written there?"""
        above = self._folder if self._folder.is_dir() else self._folder.parent
        if not os.access(above, os.W_OK):
            raise TryLater("feeds/ cannot be written; Atom feeds go there", outcome="file-unwritable")
        return "Atom feeds are written to feeds/"

    async def close(self) -> None:
        """Nothing is held open."""

    def _put(self, entry: Element, name: str, title: str, lock: threading.Lock) -> None:
        self._folder.mkdir(exist_ok=True)
        path = self._folder / name
        with lock:
            feed = self._feed(path, title)
            _put_first(feed, entry)
            durable.write(path, ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True))

    def _feed(self, path: Path, title: str) -> Element:
        """The feed in this file, or one that begins. Raises `ParseError` for a file of another kind."""
        with contextlib.suppress(FileNotFoundError):
            feed = ElementTree.fromstring(path.read_bytes())  # noqa: S314 our own file, and expat refuses bombs
            if feed.tag != f"{{{ATOM}}}feed":
                raise ElementTree.ParseError("no Atom feed")
            return feed
        feed = Element(f"{{{ATOM}}}feed")
        _sub(feed, "id", self._new_id().urn)
        _sub(feed, "title", title)
        _sub(feed, "updated", "")
        _sub(_sub(feed, "author"), "name", "notifier")
        _sub(feed, "generator", "policy-change-notifier")
        return feed


ElementTree.register_namespace("", ATOM)


def _files(entry: Element, address: str) -> dict[str, str]:
    """The files that an entry goes into, and what each feed is called where it begins."""
    stem = address.removesuffix(".xml")
    if EACH not in stem:
        return {address: stem.replace("-", " ").replace("_", " ")}
    watchlists = [each.get("term", "") for each in entry.findall(f"{{{ATOM}}}category")] or ["alerts"]
    return {f"{stem.replace(EACH, _slug(name))}.xml": name for name in reversed(watchlists)}


def _slug(name: str) -> str:
    """A watchlist's name as a part of a file's: letters of any script and digits, in small, and hyphens between."""
    return "-".join(re.findall(r"[^\W_]+", name.casefold()))[:_LETTERS] or "unnamed"


def _put_first(feed: Element, entry: Element) -> None:
    """Put the entry first, in place of any of its id; the oldest go, and the feed is as new as its newest entry."""
    id, before = _said(entry, "id"), feed.findall(f"{{{ATOM}}}entry")
    for each in before:
        feed.remove(each)
    entries = [entry, *(each for each in before if _said(each, "id") != id)][:ENTRIES]
    feed.extend(entries)
    updated = feed.find(f"{{{ATOM}}}updated")
    if updated is not None:
        updated.text = max(_said(each, "updated") for each in entries)


def _said(element: Element, name: str) -> str:
    return element.findtext(f"{{{ATOM}}}{name}", "")


def _entry(message: Message) -> Element:
    """The message as an entry: what the template wrote, under an id that follows from the message's."""
    said: Any = json.loads(message.text(FORM))
    if not isinstance(said, dict) or not str(said.get("title", "")).strip():
        problem = 'it must write a JSON object with "title", and may have "link", "author" and "categories"'
        raise Misconfigured([Mistake(f"templates/alert/{FORM}", 0, problem, "see docs/templates.md")])
    written = message.written_at.astimezone(UTC)
    entry = Element(f"{{{ATOM}}}entry")
    _sub(entry, "id", uuid.uuid5(uuid.NAMESPACE_OID, message.id).urn)
    _sub(entry, "title", str(said["title"]), type="text")
    _sub(entry, "published", _moment(written))
    _sub(entry, "updated", _moment(written))
    if said.get("author"):
        _sub(_sub(entry, "author"), "name", str(said["author"]))
    if said.get("link"):
        _sub(entry, "link", rel="alternate", href=str(said["link"]))
    for category in said.get("categories", ()):
        _sub(entry, "category", term=str(category))
    _sub(entry, "content", message.text(CONTENT), type="html")
    return entry


def _sub(parent: Element, name: str, text: str | None = None, /, **attributes: str) -> Element:
    """A child of this name, with nothing in it that XML does not take."""
    clean = {key: _NOT_XML.sub("\ufffd", without_controls(value)) for key, value in attributes.items()}
    child = SubElement(parent, f"{{{ATOM}}}{name}", clean)
    if text is not None:
        child.text = _NOT_XML.sub("\ufffd", without_controls(text))
    return child


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
