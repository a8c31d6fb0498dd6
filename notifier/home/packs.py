"""
The operator's packs of terms: a file each in `aliases/`, beside those that come with the notifier or in their place.

A file's name, without `.toml`, is how queries name the pack: `aliases/chips.toml` is @chips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from notifier.errors import Mistake, QueryError
from notifier.home import toml
from notifier.home.checked import checked, shown
from notifier.home.toml import TomlFile
from notifier.watchlists.aliases import Pack, built_in
from notifier.watchlists.grammar import MOST_TERMS
from notifier.watchlists.query import check_term

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class PackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pack: its terms, and a number that is raised when they change."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    terms: tuple[str, ...]
    about: str = ""


def load(folder: Path, mistakes: list[Mistake]) -> Mapping[str, Pack]:
    """
    The packs that queries may name: the built-in ones, and those of the folder, which replace or join them. It may be
    missing.

    Mistakes in a file go to `mistakes`; its name counts as known all the same, so that queries that name it are not
    reported as well.
    """
    packs = dict(built_in())
    for path in sorted(folder.glob("[!.#]*.toml")):
        before = len(mistakes)
        file = _read(path, f"{folder.name}/{path.name}", mistakes)
        pack = _pack(path.stem, file, mistakes) if file else None
        packs[path.stem] = pack if pack and len(mistakes) == before else Pack(path.stem, 0, (path.stem,))
    return packs


def _read(path: Path, name: str, mistakes: list[Mistake]) -> TomlFile | None:
    try:
        file = toml.read(path, name)
    except OSError as error:
        file = Mistake(name, 0, f"this file cannot be read: {error.strerror}")
    if isinstance(file, Mistake):
        mistakes.append(file)
        return None
    return file


def _pack(name: str, file: TomlFile, mistakes: list[Mistake]) -> Pack | None:
    if not _NAME.fullmatch(name):
        mistakes.append(file.mistake((), "a pack is named with letters a–z, digits and hyphens", "rename the file"))
    said = checked(file, (), PackFile, mistakes)
    if said is None:
        return None
    if not 0 < len(said.terms) <= MOST_TERMS:
        mistakes.append(file.mistake(("terms",), f"a pack has 1 to {MOST_TERMS} terms", "make several packs of it"))
    for index, term in enumerate(said.terms):
        place = ("terms", index)
        try:
            check_term(term)
        except QueryError as error:
            mistakes.append(file.mistake(place, f"{shown(term)}: {error.message} ({error.code})", error.mend))
        else:
            if term in said.terms[:index]:
                mistakes.append(file.mistake(place, f"{shown(term)} is here twice", "keep one of them"))
    return Pack(name, said.version, said.terms, said.about)
