"""
The story as data, and as the feeds that told it.

Each feed is written in another format, so that the demo reads what the notifier reads: RSS 2.0, RSS 1.0 (RDF),
Atom (RFC 4287) and JSON Feed 1.1.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

from notifier.feeds.feed import Kind


class Speaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feed of the story."""

    id: str
    issuer: str
    country: str
    lang: str
    kind: Kind
    title: str


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Something is published: a new `id` is a statement, a known one an edit of it.

    `fails_first` is an HTTP status that the feed answers once before it shows this scene. `withdrawn` says that a known
    statement is taken back, and how that is found out.
    """

    at: datetime
    feed: str
    id: str
    link: str
    title: str
    text: str = ""
    fails_first: int = 0
    withdrawn: str = ""


class DemoStory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it: scenes before `starts_at` are there when the feeds are first read."""

    starts_at: datetime
    feed: tuple[Speaker, ...]
    scene: tuple[Scene, ...]

    def told_by(self, speaker: str, now: datetime) -> list[Scene]:
        """
        What a speaker's feed shows at a moment: the newest first, an edited statement once, in its last words, and one
        that was taken back not at all.
        """
        latest = {scene.id: scene for scene in self.scene if scene.feed == speaker and scene.at <= now}
        first = {scene.id: scene.at for scene in reversed(self.scene)}
        there = [scene for scene in latest.values() if not scene.withdrawn]
        shown = [msgspec.structs.replace(scene, at=first[scene.id]) for scene in there]
        return sorted(shown, key=lambda scene: scene.at, reverse=True)


def load() -> DemoStory:
    """The story that comes with the notifier."""
    return msgspec.convert(tomllib.loads(Path(__file__).with_name("story.toml").read_text("utf-8")), DemoStory)


def document(speaker: Speaker, scenes: Sequence[Scene]) -> tuple[bytes, str]:
    """A speaker's feed with these scenes, and its content type."""
    content_type, write = _FORMATS[speaker.kind]
    return write(speaker, scenes).encode(), content_type


def _rss(speaker: Speaker, scenes: Sequence[Scene]) -> str:
    items = "".join(
        f"<item><title>{escape(scene.title)}</title><link>{escape(scene.link)}</link>"
        f'<guid isPermaLink="false">{scene.id}</guid><pubDate>{format_datetime(scene.at, usegmt=True)}</pubDate>'
        f"<description>{escape(_html(scene.text))}</description></item>\n"
        for scene in scenes
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0"><channel><title>{escape(speaker.title)}</title>'
        f"<link>https://{speaker.id}.example/</link><description>{escape(speaker.issuer)}</description>"
        f"<language>{speaker.lang}</language>\n{items}</channel></rss>\n"
    )


def _rdf(speaker: Speaker, scenes: Sequence[Scene]) -> str:
    items = "".join(
        f'<item rdf:about="{escape(scene.link)}"><title>{escape(scene.title)}</title><link>{escape(scene.link)}</link>'
        f"<dc:date>{scene.at.isoformat()}</dc:date><description>{escape(_html(scene.text))}</description></item>\n"
        for scene in scenes
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns="http://purl.org/rss/1.0/">'
        f'<channel rdf:about="https://{speaker.id}.example/"><title>{escape(speaker.title)}</title>'
        f"<link>https://{speaker.id}.example/</link><description>{escape(speaker.issuer)}</description></channel>\n"
        f"{items}</rdf:RDF>\n"
    )


def _atom(speaker: Speaker, scenes: Sequence[Scene]) -> str:
    entries = "".join(
        f"<entry><id>tag:{speaker.id}.example,2020:{scene.id}</id><title>{escape(scene.title)}</title>"
        f'<link rel="alternate" type="text/html" href="{escape(scene.link)}"/>'
        f"<published>{scene.at.isoformat()}</published><updated>{scene.at.isoformat()}</updated>"
        f'<summary type="html">{escape(_html(scene.text))}</summary></entry>\n'
        for scene in scenes
    )
    updated = max((scene.at for scene in scenes), default=datetime.fromisoformat("2020-06-01T00:00:00+00:00"))
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{speaker.lang}">'
        f"<id>tag:{speaker.id}.example,2020:/</id><title>{escape(speaker.title)}</title>"
        f"<updated>{updated.isoformat()}</updated>\n{entries}</feed>\n"
    )


def _jsonfeed(speaker: Speaker, scenes: Sequence[Scene]) -> str:
    items = [
        {
            "id": scene.id,
            "url": scene.link,
            "title": scene.title,
            "content_html": _html(scene.text),
            "date_published": scene.at.isoformat(),
        }
        for scene in scenes
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": speaker.title, "language": speaker.lang}
    return json.dumps(feed | {"items": items}, ensure_ascii=False, indent=1)


def _html(text: str) -> str:
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in text.strip().split("\n\n"))


_FORMATS: dict[str, tuple[str, Callable[[Speaker, Sequence[Scene]], str]]] = {
    "rss": ("application/rss+xml; charset=utf-8", _rss),
    "rdf": ("application/rdf+xml; charset=utf-8", _rdf),
    "atom": ("application/atom+xml; charset=utf-8", _atom),
    "jsonfeed": ("application/feed+json", _jsonfeed),
}
