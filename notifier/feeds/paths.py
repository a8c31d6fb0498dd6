"""
Paths into JSON, and words with paths in them: the small language in which a declaration says where things are.

`results` is a name, `data.items` a name within, `agencies[].name` the names of all agencies, `notes[-1].text` that of
the last; `$.title` starts from the top of the answer and not from the entry, and `$` alone is the top. JMESPath could
do all this, and sorting, filters and functions, which a declaration has no need of and a reader would have to know.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

LONGEST, STEPS, MANY = 200, 16, 20  # characters and steps of a path; values that one field takes

_STEP = re.compile(r"(?P<dot>\.?)(?P<name>[^\s.\[\]{}$]+)|\[(?P<index>-?\d{1,4})?\]")
_HOLE = re.compile(r"\{([^{}]*)\}")

# A step: a name in an object, a place in a list, or all of the list.
Step = str | int | None


@functools.lru_cache(maxsize=1024)
def steps(path: str) -> tuple[bool, tuple[Step, ...]]:
    """
    Whether a path starts from the top, and the steps of it.

    Raises ValueError, whose two words are the problem and the mend, for what is no path.
    """
    top, at, found = path.startswith("$"), 0, list[Step]()
    if top:
        at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        # A dot stands between two names, and only there; what follows `$` or `]` needs one.
        if step is None or (step["name"] and bool(step["dot"]) != (at > 0)):
            break
        found.append(step["name"] or (int(step["index"]) if step["index"] else None))
        at = step.end()
    if at < len(path) or not path or len(path) > LONGEST or len(found) > STEPS:
        raise ValueError("is no path", 'write one as "results", "data.items", "agencies[].name" or "$.title"')
    return top, tuple(found)


def check_path(path: str) -> None:
    """Raise ValueError for what is no path."""
    steps(path)


def check_template(template: str) -> None:
    """Raise ValueError for what is neither a path nor words with paths in braces."""
    if "{" not in template and "}" not in template:
        steps(template)
        return
    if set(_HOLE.sub("", template)) & set("{}") or not _HOLE.search(template):
        raise ValueError("has a brace without its other half", 'write paths in words as "https://x.example/{id}"')
    for path in _HOLE.findall(template):
        steps(path)


def find(path: str, entry: object, top: object) -> Iterator[object]:
    """All values at a path, as they stand in the answer; none where the way breaks off, or ends at null."""
    from_top, way = steps(path)
    return (value for value in _walk(top if from_top else entry, way) if value is not None)


def _walk(value: object, way: tuple[Step, ...]) -> Iterator[object]:
    for at, step in enumerate(way):
        if step is None:
            for each in value if isinstance(value, list) else ():
                yield from _walk(each, way[at + 1 :])
            return
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            inside = isinstance(value, list) and -len(value) <= step < len(value)
            value = value[step] if isinstance(value, list) and inside else None
    yield value


def said(template: str, entry: object, top: object) -> Iterator[str]:
    """
    The words that a template yields: every text or number at its path; or its own words, once, with the first of each
    path put in, and nothing where there is nothing to put in.
    """
    if not template:
        return
    if "{" not in template:
        yield from itertools.islice(filter(None, map(_word, find(template, entry, top))), MANY)
        return
    filled = [next(said(path, entry, top), "") for path in _HOLE.findall(template)]
    if any(filled):
        words = iter(filled)
        yield _HOLE.sub(lambda _: next(words), template)


def _word(value: object) -> str:
    """A text as it is, a number as it is written; no list, object, true or false is a word."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
