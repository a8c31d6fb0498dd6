"""Does a file come back with the right lines, and is what is no such file refused with its place?"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Mistake
from notifier.home import toml
from notifier.home.toml import Place, TomlFile


def read(folder: Path, content: str | bytes) -> TomlFile | Mistake:
    path = folder / "desk.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return toml.read(path, "desk.toml")


def mistake(folder: Path, content: str | bytes) -> Mistake:
    found = read(folder, content)
    assert isinstance(found, Mistake), found
    return found


REAL = '''\
name = "Desk # one"  # not [a] = comment
"quoted.key" = 'C:\\no escape'
dotted.key = """
[no.header]
no = "key"
"""
after = [
  "one",  # "none"
  "two",
  { a = 1, b = [2, 3] },
  "four" ]
[email]
host = "h"

[[channel]]
email = "a"

[[channel]]
slack = "b"
[channel.more]
deep = 1
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("quoted.key",), 2),
        (("dotted", "key"), 3),
        (("after",), 7),
        (("after", 0), 8),
        (("after", 1), 9),
        (("after", 2), 10),
        (("after", 2, "b"), 10),
        (("after", 3), 11),
        (("email",), 12),
        (("email", "host"), 13),
        (("channel", 0), 15),
        (("channel", 0, "email"), 16),
        (("channel", 1), 18),
        (("channel", 1, "slack"), 19),
        (("channel", 1, "more", "deep"), 21),
        (("email", "missing"), 12),
        (("missing",), 0),
    ],
)
def test_every_value_has_its_line(tmp_path: Path, place: Place, line: int):
    """Keys, tables, lists and their elements are found at the line where they stand; what is missing, at its table."""
    file = read(tmp_path, REAL)

    assert isinstance(file, TomlFile)
    assert file.line(place) == line


def test_line_ends_of_windows_count_once(tmp_path: Path):
    """A file saved with CRLF has the same lines and values."""
    file = read(tmp_path, b'a = "x"\r\n\r\nb = """\r\ntwo\r\n"""\r\nc = 1\r\n')

    assert isinstance(file, TomlFile)
    assert file.values == {"a": "x", "b": "two\n", "c": 1}
    assert file.line(("c",)) == 6


REFUSED = [
    ("a = 1\ncountries = [NO, HK]\n", 2, 'text goes in "quotes"'),
    ("keywords = [on]\n", 1, 'text goes in "quotes"'),
    ("a = 1\nb = 2\n\na = 3\n", 4, "a second time, after line 1"),
    ("[x]\na = 1\n[y]\n[x]\n", 4, "a second time, after line 1"),
    ('a = "open\nb = 1\n', 1, "not TOML"),
    ('a = 1\nb = [\n"x",\n', 4, "not TOML"),
    ("[watchlist\nname = 1\n", 1, "not TOML"),
    ("a: b\n", 1, "not TOML"),
    ("[", 1, "not TOML"),
    ("=", 1, "not TOML"),
    ("a = 1\n\x00b = 2\n", 2, "U+0000"),
    ("a = 1\nb = '\x1b[31m'\n", 2, "U+001B"),
    (b"\xef\xbb\xbfa = 1\n", 1, "byte order mark"),
    (b"a = 1\nb = '\xff'\n", 2, "not UTF-8"),
    (b"\xff\xfea\x00", 1, "not UTF-8"),
    ("a = " + "[" * 40 + "]" * 40, 1, "16 deep"),
    (".".join("a" * 40) + " = 1\n", 1, "16 parts"),
    ("[" + ".".join("a" * 40) + "]\n", 1, "16 parts"),
    ("a = " + "9" * 5000 + "\n", 0, "too long"),
    ("# " + "x" * 70_000 + "\n", 0, "64 KiB"),
]


@pytest.mark.parametrize(("content", "line", "words"), REFUSED, ids=[f"{words}-{line}" for _, line, words in REFUSED])
def test_what_is_no_such_file_is_refused_with_its_line(tmp_path: Path, content: str | bytes, line: int, words: str):
    """Whatever keeps a file from being read is told with its line and in words."""
    found = mistake(tmp_path, content)

    assert found.line == line
    assert words in str(found)


@pytest.mark.parametrize(
    "content",
    [
        '"' * 65_000,
        "'''" * 21_000,
        '"""' * 21_000,
        "a=[" * 20_000,
        "[" * 65_000,
        "\\" * 65_000,
        '"\\' * 32_000,
        "a.\n" * 21_000,
    ],
    ids=["quotes", "triple", "triple-double", "arrays", "brackets", "backslashes", "escapes", "dots"],
)
def test_hostile_files_are_refused_at_once(tmp_path: Path, content: str):
    """Unclosed quotes and brackets by the thousand end in a mistake, without a stack or a minute being used up."""
    assert isinstance(read(tmp_path, content), Mistake)


def test_no_value_is_repeated(tmp_path: Path):
    """A mistake beside a secret does not carry the secret into the message."""
    found = mistake(tmp_path, 'slack = "https://hooks.example/T0/SECRET" oops\n')

    assert "SECRET" not in str(found)


KEYS = st.text("abcdefgh-_0123456789", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)


@given(values=st.dictionaries(KEYS, st.one_of(TEXTS, st.lists(TEXTS, max_size=3)), max_size=6), gap=st.integers(0, 2))
def test_lines_are_right_in_any_file(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object], gap: int):
    """Whatever a file holds, each key's line is the one that it was written on."""
    folder, lines, written = tmp_path_factory.mktemp("any"), [], {}
    for key, value in values.items():
        lines += ["# a = [" for _ in range(gap)]
        written[key] = len(lines) + 1
        lines += _written(key, value)

    file = read(folder, "\n".join(lines) + "\n")

    assert isinstance(file, TomlFile)
    assert file.values == tomllib.loads("\n".join(lines)) == values
    assert {key: file.line((key,)) for key in values} == written


def _written(key: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [f"{key} = [", *(f"  {_quoted(each)}, # ]" for each in value), "]"]
    return [f"{key} = {_quoted(value)}"]


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
