"""
A statement: what an issuer said, cleaned, with a lasting id and a fingerprint of its words.

Text from outside enters the notifier here and is only ever text from here on: no markup, no control characters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime

import msgspec

# Words in the sense of a reader: letters, marks and digits. Punctuation, case, markup and spacing may all change
# without anything having been said.
_WORDS = re.compile(r"\w+")

# Characters of a long summary that stay in the event itself, for those who only glance.
SHOWN = 500


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """
    What one issuer said in one feed. Times are UTC; `published_at` is None when the feed gave none that we can read,
    and `published_raw` then holds what it gave. `link` is an http(s) address or "".

    `text_blob` names a blob of the log (sha256, hex) that holds summary and text when they are too long to travel
    inside an event; `attached` puts them back.
    """

    id: str
    feed: str
    issuer: str
    title: str
    fingerprint: str
    link: str = ""
    summary: str = ""
    text: str = ""
    text_blob: str = ""
    published_at: datetime | None = None
    published_raw: str = ""
    updated_at: datetime | None = None
    lang: str = ""
    country: str = ""
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def fields(self) -> dict[str, str]:
        """The statement as a query sees it: the words by field name, metadata only under its own name."""
        return {
            "title": self.title,
            "summary": self.summary,
            "body": self.text,
            "source": self.issuer,
            "issuer": self.issuer,
            "agency": self.issuer,
            "feed": self.feed,
            "country": self.country,
            "lang": self.lang,
            "url": self.link,
            "author": "\n\n".join(self.authors),
            "tag": "\n\n".join(self.tags),
        }

    def detached(self, limit: int) -> tuple[Statement, bytes | None]:
        """
        This statement fit for an event: where summary and text together have over `limit` bytes, they go into the
        blob returned beside it, and only the first `SHOWN` characters of the summary stay.
        """
        if len(self.summary.encode()) + len(self.text.encode()) <= limit:
            return self, None
        body = msgspec.json.encode([self.summary, self.text])
        name = hashlib.sha256(body).hexdigest()
        return msgspec.structs.replace(self, summary=self.summary[:SHOWN], text="", text_blob=name), body

    def attached(self, blob: bytes) -> Statement:
        """This statement with its words back in place."""
        summary, text = msgspec.json.decode(blob, type=tuple[str, str])
        return msgspec.structs.replace(self, summary=summary, text=text, text_blob="")


def fingerprint(*texts: str) -> str:
    """
    What the words are, whatever they look like: 24 hexadecimal digits, equal for texts of equal words.

    Compatibility forms, case, punctuation and white space do not count (NFKC, casefold), so a re-set apostrophe or a
    capital is no revision, and a changed figure is one.
    """
    words = (_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()) for text in texts)
    joined = "\x1f".join(" ".join(of_one) for of_one in words)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
