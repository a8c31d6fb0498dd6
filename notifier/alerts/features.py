"""
What is remembered of a statement, so that it can be compared with later ones: its features, as sets of hashes.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from array import array
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from urllib.parse import urlsplit

import msgspec

from notifier.statement import Statement

LEAD, READ = 120, 600  # words of each text that are compared, and that are looked at for names


class Features(msgspec.Struct, frozen=True, gc=False):
    """
    What comparing needs of a statement's event: sets of hashes, packed.

    `names` are words that a copy must have too, `figures` the numbers of the title in order, `turns` what the title
    says happened (suspended, lifted), `shown` the identifiers in it, by kind.
    """

    position: int
    id: str
    statement: str
    feed: str
    at: datetime
    dated: datetime | None
    fingerprint: str
    link: str
    title: array[int]
    texts: array[int]
    words: array[int]
    names: array[int]
    lead: array[int]
    length: int
    figures: tuple[str, ...]
    turns: frozenset[str]
    shown: frozenset[tuple[str, str]]


def features_of(position: int, id: str, statement: Statement, at: datetime) -> Features:
    """What to remember of an event of this id and place in the log, that told this statement (with its words)."""
    title = _words(_begun(statement.title))
    told = [_begun(text) for text in (_whole_words(statement.summary), statement.text)]
    told = [text for text in told if _words(text) != title]
    texts = [_words(text) for text in told]
    ours = {*map(str.casefold, _words(_begun(statement.issuer)))} | _COMMON
    return Features(
        position=position,
        id=id,
        statement=statement.id,
        feed=statement.feed,
        at=at,
        dated=statement.published_at,
        fingerprint=statement.fingerprint,
        link=_page(statement.link),
        title=_numbers(title, without=ours),
        texts=_numbers((word for text in texts for word in text[:LEAD]), without=ours),
        words=_numbers(word for text in (title, *texts) for word in text),
        names=_numbers(_names(title, texts), without=ours),
        lead=_packed(shingle for text in told for shingle in _shingles(text)),
        length=len(title) + sum(map(len, texts)),
        figures=tuple(word for word in title if any(map(str.isdigit, word))),
        turns=frozenset(_TURN[word] for word in map(str.casefold, title) if word in _TURN),
        shown=frozenset(_shown("\n".join((_begun(statement.title), *told)))),
    )


# A sign of a script that does not part its words is a word by itself.
_SIGNS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3"
_WORD = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+")
_WORD_OR_END = re.compile(rf"{_WORD.pattern}|[.!?。](?=\s|$)")


def _begun(text: str) -> str:
    """The beginning of a text, in compatibility forms: as much as words are read of."""
    return unicodedata.normalize("NFKC", text[: READ * 10])


def _words(text: str) -> list[str]:
    """The first words of a text, as they are written."""
    return [found.group() for found in islice(_WORD.finditer(text), READ)]


def _whole_words(text: str) -> str:
    """The text without its last word where an ellipsis says that it is cut off: that may be half of one."""
    end = text.rstrip(" ])>\n")
    return end.rpartition(" ")[0].rstrip(" [(") if end.endswith(("…", "...")) else text


def _names(title: Iterable[str], texts: Iterable[list[str]]) -> Iterator[str]:
    """
    What bears a capital or a digit, at the beginning of a text; of a title also what is written without capitals at
    all, as Chinese and Arabic are.
    """
    for word in title:
        if not word.islower():
            yield word
    for text in texts:
        for word in text[:LEAD]:
            if word != word.casefold() or any(map(str.isdigit, word)):
                yield word


def _shingles(text: str) -> Iterator[int]:
    """Runs of three words at the beginning of a text, as numbers. The end of a sentence counts as a word."""
    words = islice(_WORD_OR_END.finditer(text), LEAD)
    numbers = [hash_word(word.group().casefold()) for word in words]
    for one, two, three in zip(numbers, numbers[1:], numbers[2:], strict=False):
        yield (one * 0x9E3779B1 + two * 0x85EBCA77 + three * 0xC2B2AE3D) & 0xFFFFFFFF


@functools.lru_cache(65_536)
def hash_word(word: str) -> int:
    """A number for a word, the same in every process."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big")


def _numbers(words: Iterable[str], without: Collection[str] = ()) -> array[int]:
    folded = {word.casefold() for word in words}
    return _packed(hash_word(_stem(word)) for word in folded if word not in without)


def _stem(word: str) -> str:
    """The beginning of a long word, since headlines inflect: suspends, suspended. Seventy is not seventeen."""
    return word if word.endswith(("ty", "teen")) else word[:6]


def _packed(numbers: Iterable[int]) -> array[int]:
    return array("I", sorted(set(numbers)))


def _page(link: str) -> str:
    """The page that a link leads to, however it is written; "" for none, or for a publisher's front page."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    path = parts.path.rstrip("/")
    query = "&".join(each for each in parts.query.split("&") if each and not each.startswith(("utm_", "source=")))
    return f"{parts.netloc.removeprefix('www.')}{path}?{query}" if path.count("/") > 1 or query else ""


# Words that publishers put around the same news, each in their own way. None of them is a name.
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
        a an and are as at by for from has have he his in into is it its of on or she s that the their this to today
        under was were which who will with
        announce announces announced announcement briefing contact contacts date dc embargoed fact final gov immediate
        joint media news note notice office press public release released releases releasing issue issues issued issuing
        publish publishes published readout remarks rule sheet statement u us uk united states kingdom washington
        agency bureau commission department ministry secretary
        """,
    )
)

# A title that says so is of other news than one that does not, however alike the two are.
_TURN = {
    word: turn
    for turn, words in {
        "corrected": "correction corrections corrected correcting corrigendum erratum errata",
        "extended": "extension extended extends extending reopening reopens reopened",
        "delayed": "delay delays delayed delaying postponed postpones postponement rescheduled",
        "withdrawn": "withdrawal withdrawn withdraws withdrew rescinded rescinds rescission revoked revokes revocation "
        "cancelled canceled cancels cancellation terminated terminates termination",
        "lifted": "lifted lifts lifting eased eases easing delisted delists delisting removal removed removes",
        "renewed": "renewal renewed renews continuation continued continues",
        "updated": "update updates updated amendment amendments amended amends amending revised revises",
        "proposed": "proposed proposes proposal proposals",
        "suspended": "suspension suspended suspends suspending",
        "effective": "takes effective enters entry",
    }.items()
    for word in words.split()
}


# Each with a sign of it that is quickly looked for; in small letters throughout.
_SHOWN = [
    (kind, sign, re.compile(pattern))
    for kind, sign, pattern in (
        ("document", "20", r"(?<![\w/-])((?:[cr]\d-)?20\d\d-\d{5})\b(?!-)"),
        ("docket", "docket", r"\bdocket (?:no\.?|number|id):? ?([\w-]*\d[\w-]*)"),
        ("rin", "-", r"\b(\d{4}-[a-z]{2}\d\d)\b"),
        ("notice", "/", r"\b(?:nte|notice to exporters|financial sanctions notice) (\d{4}/\d+)"),
        ("notice", " of ", r"\b[lg]\.?n\.? (?:no\. ?)?(\d+ of \d{4})"),
        ("citation", " fr ", r"\b(\d{2,3}) fr (\d{1,3},?\d{3})\b"),
        ("citation", " fed", r"\b(\d{2,3}) fed\. ?reg\. (\d{1,3},?\d{3})\b"),
        ("order", "order", r"\bexecutive order (?:no\. ?)?(1\d,?\d{3})\b"),
        ("order", "o", r"\be\.?o\.? (?:no\. ?)?(1\d,?\d{3})\b"),
        ("act", "(", r"\((?:eu|ec|cfsp)\) (?:no\.? ?)?(\d{1,4}/\d{1,4})\b"),
        ("instrument", "/", r"\b(?:s\.?i\.?|statutory instrument) (\d{4}/\d+)\b"),
        ("resolution", "resolution", r"\bresolution (\d{3,4} \(\d{4}\))"),
        ("bill", ".", r"\b((?:h\. ?r\.|h\. ?res\.|s\.) ?\d{1,5})\b"),
        ("law", "l", r"\b(?:public law|pub\. ?l\.) (?:no\. ?)?(\d{2,3}-\d{1,3})\b"),
    )
]


def _shown(text: str) -> Iterator[tuple[str, str]]:
    """The identifiers in a text, each with its kind."""
    text = text.casefold()
    for kind, sign, pattern in _SHOWN:
        if sign in text:
            for found in pattern.finditer(text):
                yield kind, " ".join(found.groups()).replace(",", "")
