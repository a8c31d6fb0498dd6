"""Is a selector understood, and what is none refused before anything is read by it?"""

from __future__ import annotations

import pytest

from notifier.feeds.selectors import LONGEST, check_selector, translated


@pytest.mark.parametrize(
    ("selector", "attribute"),
    [
        ("li.news > a", ""),
        ("time@datetime", "datetime"),
        ("a[href*='@x']", ""),
        ("a[href*='@x']@data-when", "data-when"),
        (".row td:nth-child(2), .other", ""),
    ],
)
def test_a_selector_may_name_an_attribute(selector: str, attribute: str):
    """An attribute is at the end; an at-sign within the selector is not one."""
    xpath, named = translated(selector)

    assert named == attribute
    assert xpath.startswith("descendant-or-self::")


def test_an_attribute_alone_is_that_of_the_entry():
    """`@href` where the entry is the link itself."""
    assert translated("@href") == (".", "href")


@pytest.mark.parametrize(
    "selector", ["", "li..news", "a[href", "> a", "@", "a::nothing(", "a@", "a" * (LONGEST + 1), "(" * 200]
)
def test_what_is_no_selector_is_refused(selector: str):
    """A mistake is reported with a correction."""
    with pytest.raises(ValueError, match=r"is not a selector|is a selector of over") as told:
        check_selector(selector)

    assert told.value.args[1]
