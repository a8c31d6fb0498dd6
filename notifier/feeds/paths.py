"""
Paths into JSON, and templates with paths in braces: the language of a declaration for JSON answers.

`results` is a key, `data.items` a key within another, `agencies[].name` the names of all agencies, `notes[-1].text`
the text of the last note. `$.title` starts at the top of the answer instead of the entry; `$` alone is the top.
JMESPath could do this too, but its sorting, filters and functions are more than a declaration needs.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator

LONGEST, STEPS, MANY = 200, 16, 20  # characters and steps of a path; values of one field

_STEP = re.compile(r"(?P<dot>\.?)(?P<name>[^\s.\[\]{}$]+)|\[(?P<index>-?\d{1,4})?\]")
_HOLE = re.compile(r"\{([^{}]*)\}")

# A step: a key of an object, an index of a list, or all items of a list (None).
Step = str | int | None


@functools.lru_cache(maxsize=1024)
def steps(path: str) -> tuple[bool, tuple[Step, ...]]:
    """
    Whether a path starts at the top, and its steps.

    Raises ValueError(problem, mend) if the text is not a path.
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
        raise ValueError("is not a path", 'write one as "results", "data.items", "agencies[].name" or "$.title"')
    return top, tuple(found)


def check_path(path: str) -> None:
    """Raise ValueError(problem, mend) unless the text is a path."""
    steps(path)


def check_template(template: str) -> None:
    """Raise ValueError(problem, mend) unless the text is a path, or text with paths in braces."""
    if "{" not in template and "}" not in template:
        steps(template)
        return
    if set(_HOLE.sub("", template)) & set("{}") or not _HOLE.search(template):
        raise ValueError("has a brace without its other half", 'write paths in words as "https://x.example/{id}"')
    for path in _HOLE.findall(template):
        steps(path)


def find(path: str, entry: object, top: object) -> Iterator[object]:
    """All values at a path in an answer, without nulls; none if a step leads nowhere."""
    from_top, rest = steps(path)
    return (value for value in _walk(top if from_top else entry, rest) if value is not None)


def _walk(value: object, path: tuple[Step, ...]) -> Iterator[object]:
    for at, step in enumerate(path):
        if step is None:
            for each in value if isinstance(value, list) else ():
                yield from _walk(each, path[at + 1 :])
            return
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            inside = isinstance(value, list) and -len(value) <= step < len(value)
            value = value[step] if isinstance(value, list) and inside else None
    yield value


def texts_at(template: str, entry: object, top: object) -> Iterator[str]:
    """
    The texts that a template yields: each text or number at its path; or the template once, with the first value of
    each path filled in, unless no path has a value.
    """
    if not template:
        return
    if "{" not in template:
        yield from itertools.islice(filter(None, map(_text, find(template, entry, top))), MANY)
        return
    filled = [next(texts_at(path, entry, top), "") for path in _HOLE.findall(template)]
    if any(filled):
        words = iter(filled)
        yield _HOLE.sub(lambda _: next(words), template)


def _text(value: object) -> str:
    """A text or number as text; "" for any other value."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
