"""
Translate CSS selectors, with `@name` at the end for an attribute, to XPath as lxml evaluates it.

`time@datetime` is the attribute `datetime` of the first `time`, `@href` the attribute `href` of the entry itself.
"""

from __future__ import annotations

import functools
import re

import cssselect

LONGEST = 300  # characters of a selector

_ATTRIBUTE = re.compile(r"(?P<css>.*?)(?:@(?P<attribute>[a-zA-Z][\w:-]*))?", re.S)
_translator = cssselect.HTMLTranslator()


@functools.lru_cache(maxsize=1024)
def translated(selector: str) -> tuple[str, str]:
    """
    The XPath of a selector, relative to an element and including that element; and the attribute, "" for the text.

    Raises ValueError(problem, mend) if the text is not a selector.
    """
    found = _ATTRIBUTE.fullmatch(selector)
    css, attribute = (found["css"].strip(), found["attribute"] or "") if found else (selector, "")
    if not css and attribute:
        return ".", attribute
    if len(selector) > LONGEST:
        raise ValueError(f"is a selector of over {LONGEST} characters", "shorten it")
    try:
        return _translator.css_to_xpath(css), attribute
    except (cssselect.SelectorError, RecursionError) as error:
        mend = 'write a CSS selector, such as "li.news > a", with "@datetime" at its end for an attribute'
        raise ValueError("is not a selector", mend) from error


def check_selector(selector: str) -> None:
    """Raise ValueError(problem, mend) unless the text is a selector."""
    translated(selector)
