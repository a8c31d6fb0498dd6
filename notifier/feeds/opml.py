"""Feeds → an OPML file (OPML 2.0, http://opml.org/spec2.opml), which other feed readers can import."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import quoteattr

from notifier.feeds.feed import Feed

KINDS = ("rss", "atom", "rdf", "jsonfeed")  # what other readers can read too; OPML calls all of them "rss"

# All but the characters that XML 1.0 allows, without the controls that it discourages (2.2).
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def opml_of(feeds: Iterable[Feed], now: datetime) -> str:
    """An OPML document, made `now`, of those feeds that other readers can read."""
    outlines = [f"    <outline {_attributes(feed)}/>\n" for feed in feeds if feed.kind in KINDS]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">\n  <head>\n'
        "    <title>Feeds of the policy-change notifier</title>\n"
        f"    <dateCreated>{format_datetime(now, usegmt=True)}</dateCreated>\n"
        f"  </head>\n  <body>\n{''.join(outlines)}  </body>\n</opml>\n"
    )


def _attributes(feed: Feed) -> str:
    values = {"type": "rss", "text": feed.issuer, "title": feed.id, "xmlUrl": feed.url, "language": feed.lang}
    return " ".join(f"{name}={quoteattr(_NOT_IN_XML.sub('', value))}" for name, value in values.items() if value)
