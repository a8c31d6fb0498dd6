"""Are the operator's packs read with ours, and is each mistake told with file, line and mend?"""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.errors import Mistake
from notifier.home import packs as aliases
from notifier.watchlists.aliases import built_in

CHIPS = 'version = 2\nabout = "Chips"\nterms = [\n  "microchip",\n  "integrated circuit",\n]\n'


def load(home: Path, **files: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The terms of the packs, and the mistakes."""
    (home / "aliases").mkdir()
    for name, content in files.items():
        (home / "aliases" / f"{name.replace('_', '-')}.toml").write_text(content, "utf-8")
    mistakes = list[Mistake]()
    packs = aliases.load(home / "aliases", mistakes)
    return {name: pack.terms for name, pack in packs.items()}, [str(mistake) for mistake in mistakes]


def test_a_home_without_packs_has_ours(tmp_path: Path):
    """A folder that is missing is nothing wrong."""
    mistakes = list[Mistake]()

    assert aliases.load(tmp_path / "aliases", mistakes) == built_in()
    assert mistakes == []


def test_an_operators_pack_is_known_by_its_files_name(tmp_path: Path):
    """It stands beside ours."""
    packs, mistakes = load(tmp_path, chips=CHIPS)

    assert (packs["chips"], mistakes) == (("microchip", "integrated circuit"), [])
    assert "hong-kong" in packs


def test_an_operators_pack_takes_the_place_of_ours(tmp_path: Path):
    """Who knows better has the last word."""
    packs, _ = load(tmp_path, hong_kong='version = 1\nterms = ["Hong Kong"]')

    assert packs["hong-kong"] == ("Hong Kong",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('terms = ["a"]', 'aliases/chips.toml: "version" is missing; add version = …'),
        ("version = 1", 'aliases/chips.toml: "terms" is missing; add terms = …'),
        ("version = 0\nterms = ['a']", 'aliases/chips.toml, line 1: "version" must be at least 1'),
        ("version = 1\nterms = []", "aliases/chips.toml, line 2: a pack has 1 to 200 terms; make several packs of it"),
        (
            "version = 1\nterms = [\n'a',\n'b OR c',\n]",
            'aliases/chips.toml, line 4: "b OR c": b OR c is more than one term (NOT_A_TERM); '
            "write each as a term of its own",
        ),
        (
            "version = 1\nterms = [\n'a',\n'@china',\n]",
            'aliases/chips.toml, line 4: "…": no pack of terms is called @china (UNKNOWN_ALIAS); '
            "put it in quotes if the word is meant",
        ),
        ("version = 1\nterms = ['a',\n'a']", 'aliases/chips.toml, line 3: "a" is here twice; keep one of them'),
        ("version = 1\nterms = ['us*']", 'aliases/chips.toml, line 2: "us*": right before * come three letters or '
         "more (WILDCARD_TOO_SHORT); write us"),
        ("version = 1\nterm = []\nterms = ['a']", 'aliases/chips.toml, line 2: no key "term"; did you mean "terms"?'),
        ("terms = [", "aliases/chips.toml, line 1: this is not TOML (invalid value); text goes in \"quotes\""),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_mend(tmp_path: Path, content: str, said: str):
    """And the name still stands for something, so that queries with it are not called wrong too."""
    packs, mistakes = load(tmp_path, chips=content)

    assert mistakes == [said]
    assert "chips" in packs


def test_a_name_that_no_query_could_say_is_refused(tmp_path: Path):
    """The mend is another name of the file."""
    _, mistakes = load(tmp_path, **{"My chips": 'version = 1\nterms = ["a"]'})

    assert mistakes == ["aliases/My chips.toml: a pack is named with letters a–z, digits and hyphens; rename the file"]
