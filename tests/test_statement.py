"""What counts as the same words, and how long texts travel."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.statement import SHOWN, Statement, fingerprint
from tests.eventlog.builders import STATEMENT

LONG = "Rules on exports, 禁令 🚢. " * 60


def statement(summary: str = "", text: str = "") -> Statement:
    return msgspec.structs.replace(STATEMENT, summary=summary, text=text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Commerce's rule", "commerce’s RULE"),
        ("dual-use goods", "dual\u2011use goods"),
        ("dual-use goods", "“dual use” – goods."),
        ("new  rule\n", "new rule"),
        ("ﬁne of 100", "fine of １００"),
        ("STRASSE", "straße"),
        ("Zürich", "Zu\u0308rich"),
    ],
    ids=["apostrophe and capitals", "hyphens", "quotes and dashes", "white space", "compatibility", "sharp s", "NFD"],
)
def test_a_new_look_is_no_new_text(one: str, other: str) -> None:
    """Case, punctuation, white space and the form of letters do not count."""
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a fine of 100", "a fine of 1000"),
        ("it may export", "it may not export"),
        ("Bücher", "Bucher"),
        ("export rules", "exportrules"),
        ("特別待遇", "特别待遇"),
        ("rule 1", "rule one"),
    ],
    ids=["figure", "not", "umlaut", "one word", "another character", "figure in words"],
)
def test_other_words_are_another_text(one: str, other: str) -> None:
    """A changed figure, letter or word is a revision."""
    assert fingerprint(one) != fingerprint(other)


def test_words_do_not_wander_between_fields() -> None:
    """A title's last word moved into the summary is a change."""
    assert fingerprint("new rules", "on exports") != fingerprint("new", "rules on exports")
    assert fingerprint("a", "") != fingerprint("", "a")
    assert fingerprint("a", "") != fingerprint("a")


def test_a_fingerprint_never_changes() -> None:
    """The fingerprints in a log of any age are those we compute today; 24 hexadecimal digits."""
    assert (
        fingerprint("Commerce Department suspends", "Hong Kong’s special status", "香港") == "04b3047e034f04f076fc7f18"
    )


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_fingerprint(text: str) -> None:
    """Also half a surrogate pair and NUL."""
    assert len(bytes.fromhex(fingerprint(text))) == 12


def test_a_short_text_travels_in_the_event() -> None:
    """What fits is left as it is, up to the last byte."""
    short = statement(summary="é" * 10, text="x" * 80)

    assert short.detached(100) == (short, None)


def test_one_byte_more_takes_the_words_out() -> None:
    """Bytes count, not characters; the blob is named by its sha256, and a glance at the summary stays."""
    long = statement(summary="é" * 10, text="x" * 81)

    inside, blob = long.detached(100)

    assert blob is not None
    assert inside.text_blob == hashlib.sha256(blob).hexdigest()
    assert (inside.summary, inside.text) == ("é" * 10, "")


def test_the_glance_has_its_limit() -> None:
    """Of a long summary the first 500 characters stay, whole ones."""
    inside, _ = statement(summary=LONG).detached(1_000)

    assert inside.summary == LONG[:SHOWN]


@given(st.text(max_size=300), st.text(max_size=300), st.integers(0, 400))
def test_attached_words_are_the_words_that_were_detached(summary: str, text: str, limit: int) -> None:
    """Nothing is lost on the way into a blob and back, nor is anything else of the statement touched."""
    whole = statement(summary, text)

    inside, blob = whole.detached(limit)

    assert (inside if blob is None else inside.attached(blob)) == whole


def test_the_same_words_have_the_same_blob() -> None:
    """Two statements of one text share a blob, and another split of the same letters does not."""
    (_, one), (_, same), (_, other) = (statement(*words).detached(0) for words in [("a", "b"), ("a", "b"), ("ab", "")])

    assert one == same != other


def test_metadata_is_found_under_its_own_name_only() -> None:
    """A query sees the words by field; several names for the issuer are one."""
    fields = statement(summary="s", text="t").fields()

    assert (fields["title"], fields["summary"], fields["body"]) == (STATEMENT.title, "s", "t")
    assert {fields[name] for name in ("source", "issuer", "agency")} == {"US Department of Commerce"}
    assert fields["tag"] == "Export control\n\n香港"
