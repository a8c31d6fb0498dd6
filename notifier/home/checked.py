"""
A file's values as a typed value, or all that is wrong with them.

msgspec converts, and stops at the first value that does not fit; here it is asked key by key, so that a file's mistakes
come all at once, in words for whoever wrote it.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from notifier.errors import Mistake
from notifier.home.toml import Place, TomlFile

T = TypeVar("T", bound=msgspec.Struct)

_KINDS = {
    "str": 'text in "quotes"',
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in [brackets]",
    "object": "a table",
}
_MISFIT = re.compile(
    r"Expected `(?P<kind>\w+)`(?: (?P<bound>[<>]=) (?P<limit>[\d.]+))?(?P<length> of length >= 1)?"
    r"(?:, got `\w+`)?(?: - at `\$\[(?P<index>\d+)\]`)?"
)


class Misfit(Exception):
    """A value that is not of its type: the problem and the mend in words, and which element of a list it is."""

    def __init__(self, problem: str, mend: str = "", index: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.mend, self.index = problem, mend, index


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The mend for a word that is not known: the nearest that is, or all that are where they are few."""
    known = {each.casefold(): each for each in words}
    if near := difflib.get_close_matches(word[:100].casefold(), known, n=1):
        return f'did you mean "{known[near[0]]}"?'
    return f"known are: {', '.join(known.values())}" if 0 < len(known) <= 12 else ""


def shown(word: str) -> str:
    """A word of a file as a message may repeat it: in quotes, short, printable, and no address or URL (promise P6)."""
    if "@" in word or "://" in word:
        return '"…"'
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in word[:61])
    return f'"{plain}"' if len(plain) <= 60 else f'"{plain[:59]}…"'


def checked(file: TomlFile, place: Place, struct: type[T], mistakes: list[Mistake]) -> T | None:
    """
    The value at a place of a file as this type; None if something is wrong, which goes to `mistakes`.

    Unknown keys, missing ones, wrong types and values out of bounds are reported, each with its line. A type whose keys
    have a name of their own (`no channel "slak"`) gives it as `keys_are`.
    """
    values = _at(file, place)
    if not isinstance(values, dict):
        mistakes.append(file.mistake(place, f'"{place[0]}" must be a table', f"write it as {_named(place)}"))
        return None
    before, found = len(mistakes), dict[str, Any]()
    called = getattr(struct, "keys_are", "key")
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for key in values:
        if key not in fields:
            mistakes.append(file.mistake((*place, key), f"no {called} {shown(key)}", did_you_mean(key, fields)))
    for key, field in fields.items():
        if key in values:
            found[field.name] = _value(file, (*place, key), field.type, mistakes)
        elif field.required:
            within = f" in {_named(place)}" if place else ""
            mistakes.append(file.mistake(place, f'"{key}" is missing{within}', f"add {_header(key, field.type)}"))
    return struct(**found) if len(mistakes) == before else None


def zone(name: str) -> str:
    """The name of a time zone, as it was if there is one. Raises `Misfit`."""
    try:
        return zoneinfo.ZoneInfo(name).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        # OSError: "Asia" is a folder of zones.
        mend = did_you_mean(name, zoneinfo.available_timezones()) or 'write it as "Europe/London"'
        raise Misfit(f"is not a time zone: {shown(name)}", mend) from error


def converted(value: Any, type: Any, *, strict: bool = True) -> Any:
    """A value as this type; not `strict`, text may stand for a number. Raises `Misfit`."""
    try:
        return msgspec.convert(value, type, strict=strict)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), value, type) from error


def _value(file: TomlFile, place: Place, type: Any, mistakes: list[Mistake]) -> Any:
    value, key, struct = _at(file, place), place[-1], struct_in(type)
    if struct is not None and get_origin(type) is tuple:
        if isinstance(value, list):
            return tuple(checked(file, (*place, index), struct, mistakes) for index in range(len(value)))
        mistakes.append(file.mistake(place, f'"{key}" must be a list of tables', f"write it as {_header(key, type)}"))
        return None
    if struct is not None:
        return checked(file, place, struct, mistakes)
    try:
        return converted(value, type)
    except Misfit as error:
        there = place if error.index is None else (*place, error.index)
        mistakes.append(file.mistake(there, f'"{key}" {error.problem}', error.mend))
        return None


def struct_in(type: Any) -> Any:
    """The Struct that a field holds: itself, or none of it, or a tuple of them."""
    found: list[Any] = [each for each in (type, *get_args(type)) if isinstance(each, msgspec.StructMeta)]
    return found[0] if found else None


def _named(place: Place) -> str:
    """A table as its file names it; a number at the end of its place says that it is one of several."""
    name = ".".join(step for step in place if isinstance(step, str))
    return f"[[{name}]]" if isinstance(place[-1], int) else f"[{name}]"


def _header(key: object, type: Any) -> str:
    """How a key's value begins in a file: as a line, a table, or one of several tables."""
    if struct_in(type) is None:
        return f"{key} = …"
    return f"[[{key}]]" if get_origin(type) is tuple else f"[{key}]"


def _at(file: TomlFile, place: Place) -> Any:
    value: Any = file.values
    for step in place:
        value = value[step]
    return value


def _words_of(type: Any) -> list[str]:
    """The words of a Literal, or of one within an annotated or optional type."""
    if get_origin(type) is Literal:
        return [*get_args(type)]
    inner = get_args(type)[:1] if get_origin(type) is Annotated else get_args(type)
    return [word for each in inner for word in _words_of(each)]


def _misfit(said: str, value: Any, type: Any) -> Misfit:
    if said.startswith("Invalid enum value"):
        return Misfit(f"cannot be {shown(str(value))}", did_you_mean(str(value), _words_of(type)))
    match = _MISFIT.match(said)
    if match is None:
        return Misfit("does not fit")
    index = int(match["index"]) if match["index"] else None
    if match["bound"]:
        return Misfit(f"must be at {'least' if match['bound'] == '>=' else 'most'} {float(match['limit']):g}")
    if match["length"]:
        return Misfit("must not be empty")
    every = "must be" if index is None else "must hold nothing but"
    return Misfit(f"{every} {_KINDS.get(match['kind'], match['kind'])}", index=index)
