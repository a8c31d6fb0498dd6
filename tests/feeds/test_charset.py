"""Bytes turned to letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feeds.reading.charset import decode_text


def declaring(charset: str, text: str, codec: str) -> bytes:
    return f'<?xml version="1.0" encoding="{charset}"?><title>{text}</title>'.encode(codec)


@pytest.mark.parametrize(
    ("charset", "text", "codec"),
    [
        ("utf-8", "香港", "utf-8"),
        ("ISO-8859-1", "Außenwirtschaft", "iso-8859-1"),
        ("iso-8859-1", "“dual‑use” – €".replace("‑", "-"), "cp1252"),
        ("windows-1251", "Гонконг", "cp1251"),
        ("KOI8-R", "Гонконг", "koi8-r"),
        ("Big5", "香港國家安全法", "big5"),
        ("gb2312", "香港国家安全法", "gb2312"),
        ("GBK", "香港國家安全法", "gbk"),
        ("Shift_JIS", "香港国家安全法", "shift-jis"),
        ("euc-jp", "香港国家安全法", "euc-jp"),
        ("iso-2022-jp", "香港国家安全法", "iso-2022-jp"),
        ("euc-kr", "홍콩", "euc-kr"),
        ("windows-1256", "هونغ كونغ", "cp1256"),
    ],
)
def test_a_declared_charset_is_believed(charset: str, text: str, codec: str):
    """Bytes that are not UTF-8 are read by the declaration, a superset standing in for its ancestors."""
    read, warning = decode_text(declaring(charset, text, codec))

    assert f"<title>{text}</title>" in read
    assert warning == ""


@pytest.mark.parametrize(
    "charset", ["iso-8859-1", "us-ascii", "windows-1252", "big5", "bogus", "undefined", "zip", "\x00"]
)
def test_utf_8_is_read_as_utf_8_whatever_it_declares(charset: str):
    """A wrong declaration, or one that is not a charset, does no harm."""
    read, warning = decode_text(declaring(charset, "Hong Kong – “dual‑use” 香港", "utf-8"))

    assert "Hong Kong – “dual‑use” 香港" in read
    assert warning == ""


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_of_wide_letters_is_recognised(codec: str):
    """A byte order mark, or the first bracket, shows the width of characters; the mark is not part of the text."""
    read, warning = decode_text("<title>香港</title>".encode(codec))

    assert (read, warning) == ("<title>香港</title>", "")


def test_the_header_counts_where_the_document_is_silent():
    """A charset of the Content-Type is believed for bytes that are not UTF-8, after the document's own word."""
    body = "<title>Гонконг</title>".encode("cp1251")

    assert decode_text(body, 'text/xml; charset="Windows-1251"') == ("<title>Гонконг</title>", "")
    assert "Гонконг" in decode_text(declaring("windows-1251", "Гонконг", "cp1251"), "text/xml; charset=koi8-r")[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<title>République</title>".encode("cp1252"), "does not declare its charset"),
        (declaring("utf-8", "République", "cp1252"), "declares utf-8"),
        (declaring("bogus", "République", "cp1252"), "declares bogus"),
    ],
    ids=["silent", "wrong", "unknown"],
)
def test_a_guess_is_told_to_the_operator(body: bytes, said: str):
    """Without a usable declaration the text is read as Western European, with a warning."""
    read, warning = decode_text(body)

    assert "<title>République</title>" in read
    assert said in warning


def test_one_broken_byte_does_not_change_the_alphabet():
    """A text in UTF-8 with a stray byte stays UTF-8, and the byte becomes U+FFFD."""
    body = "香港特別行政區政府公布國家安全法".encode() + b"\xff</title>"

    assert decode_text(body) == ("香港特別行政區政府公布國家安全法\ufffd</title>", "")


def test_a_text_cut_in_a_character_is_still_utf_8():
    """A transfer that broke off inside a letter does not turn the rest into gibberish."""
    read, warning = decode_text("<title>Beschluß".encode()[:-1])

    assert (read, warning) == ("<title>Beschlu\ufffd", "")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_bytes_have_letters(body: bytes, content_type: str):
    """Nothing is raised, and what comes back can be written again."""
    read, _ = decode_text(body, content_type)

    read.encode()
