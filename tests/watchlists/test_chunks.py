"""Are the words of a text those of its chunks, whether they were seen before or not?"""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.watchlists.index import chunks as module
from notifier.watchlists.index.chunks import LONGEST, Chunks
from notifier.watchlists.index.numbers import FIELD, PARAGRAPH
from tests.watchlists.builders import MANY


class Reader:
    """Reads a chunk as the code points of it, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, chunk: str) -> bytes:
        self.asked.append(chunk)
        return array("i", map(ord, chunk.replace("-", ""))).tobytes()


def told(chunks: Chunks, *texts: str) -> list[str]:
    marks = {FIELD: "|", PARAGRAPH: "¶"}
    return [marks.get(word) or chr(word) for word in chunks.words(texts).tolist()]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], ""),
        ([""], ""),
        (["", "", ""], "||"),
        (["ab c", "", "d"], "abc||d"),
        (["a\n\nb", "c"], "a¶b|c"),
        (["a\nb\r\n \t\r\nc\u2029d"], "ab¶c¶d"),
        (["- -- a-b"], "ab"),
        (["a\u3000b\x1cc\u200bd"], "abc\u200bd"),
        (["\ud800 𝔸 \0x"], "\ud800𝔸\0x"),
    ],
    ids=["none", "empty", "empty-fields", "fields", "paragraph", "blank-lines", "no-words", "white-space", "odd"],
)
def test_texts_are_their_chunks(texts: list[str], words: str):
    """Chunk after chunk, with marks where fields and paragraphs part; the second time as the first."""
    chunks = Chunks(Reader())

    first, again = told(chunks, *texts), told(chunks, *texts)

    assert "".join(first) == words
    assert again == first


def test_a_chunk_is_worked_out_once():
    """However often it comes, within a text or later; only a long one is worked out anew for each text."""
    reader, long = Reader(), "x" * LONGEST
    chunks = Chunks(reader)

    told(chunks, f"rule rule {long} {long}", "rule")
    told(chunks, f"{long} rule new")

    assert reader.asked == ["rule", long, "new", long]


def test_what_is_forgotten_is_worked_out_anew(monkeypatch: pytest.MonkeyPatch):
    """Once so many chunks are known that there is no room, all begins anew, and the words are right as ever."""
    monkeypatch.setattr(module, "MOST", 8)
    reader = Reader()
    chunks = Chunks(reader)
    texts = [f"{a} {b} {a}" for a in "abcdef" for b in "uvwxyz"]

    words = ["".join(told(chunks, text)) for text in texts]

    assert words == [text.replace(" ", "") for text in texts]
    assert reader.asked.count("a") < 7
    assert reader.asked.count("u") > 1


@MANY
@given(st.lists(st.lists(st.text("ab-\n\u2029 xé香", max_size=90), max_size=3), max_size=8))
def test_known_and_unknown_chunks_read_the_same(statements: list[list[str]]):
    """One who has read much reads a text as one who has read nothing."""
    old = Chunks(Reader())

    for texts in statements:
        assert told(old, *texts) == told(Chunks(Reader()), *texts)
