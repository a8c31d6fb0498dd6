"""Is the next page found where the declaration says it is?"""

from __future__ import annotations

import pytest

from notifier.feeds.reading.next_page import next_page
from notifier.feeds.shape import Paging

URL = "https://fr.example/api/documents.json"


@pytest.mark.parametrize(
    ("following", "address"),
    [
        ("https://fr.example/api/documents?page=2", "https://fr.example/api/documents?page=2"),
        ("?page=2", f"{URL}?page=2"),
        ("/api/2", "https://fr.example/api/2"),
        ("", ""),
        ("javascript:alert(1)", ""),
        ("https://user:word@fr.example/", ""),
    ],
)
def test_an_answer_gives_the_address_of_the_next(following: str, address: str):
    """Absolute, or relative to the page; an invalid address yields none."""
    assert next_page(URL, Paging(next="next_page_url"), following) == address


@pytest.mark.parametrize(
    ("url", "paging", "address"),
    [
        (URL, Paging(parameter="page"), f"{URL}?page=2"),
        (URL, Paging(parameter="page", first=0), f"{URL}?page=1"),
        (f"{URL}?page=7", Paging(parameter="page"), f"{URL}?page=8"),
        (f"{URL}?a[]=x&start=100&b=%20", Paging(parameter="start", first=0, step=100), f"{URL}?a[]=x&b=%20&start=200"),
        (f"{URL}?page=last", Paging(parameter="page"), ""),
        (f"{URL}?page={'9' * 30}", Paging(parameter="page"), ""),
        (f"{URL}#top", Paging(parameter="p[x]"), f"{URL}?p%5Bx%5D=2#top"),
        (f"{URL}?p%5Bx%5D=2", Paging(parameter="p[x]"), f"{URL}?p%5Bx%5D=3"),
    ],
)
def test_a_parameter_is_counted_up(url: str, paging: Paging, address: str):
    """The rest of the address stays as it was written; what cannot be counted leads nowhere."""
    assert next_page(url, paging, "") == address.replace("[]", "%5B%5D")


def test_without_a_declaration_there_is_one_page():
    """Whatever an answer gives."""
    assert next_page(URL, None, "https://fr.example/2") == ""
