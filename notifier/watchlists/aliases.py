"""
Packs of terms under one name: a query says @hong-kong and means Hong Kong, HKSAR, 香港, Гонконг and others.

Packs are data, in `packs/`, a file each; operators may add their own, or replace one of ours. A pack
holds terms alone, no operators and no other packs, so there is nothing in it to go in circles.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import msgspec

_PACKS = Path(__file__).with_name("packs")


class Pack(msgspec.Struct, frozen=True):
    """
    A named set of terms, each as a query writes it. `version` counts its changes, `about` describes it for people.
    """

    name: str
    version: int
    terms: tuple[str, ...]
    about: str = ""

    @property
    def group(self) -> str:
        """What the name stands for, as a query writes it: `("Hong Kong" OR HKSAR)`."""
        return f"({' OR '.join(self.terms)})"


@lru_cache(1)
def built_in() -> Mapping[str, Pack]:
    """The packs that come with the notifier, by name."""
    found = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_PACKS.glob("*.toml"))}
    return MappingProxyType(
        {name: Pack(name, said["version"], tuple(said["terms"]), said["about"]) for name, said in found.items()}
    )
