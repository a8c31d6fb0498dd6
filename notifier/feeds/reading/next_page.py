"""Find the address of a document's next page by its declaration."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit

from notifier.feeds.links import absolute
from notifier.feeds.shape import Paging


def next_page(url: str, paging: Paging | None, following: str) -> str:
    """
    The address of the page after the one at `url`, or "": `following`, as the document gives it, or `url` with its
    declared parameter increased.
    """
    if paging is None:
        return ""
    if not paging.parameter:
        return absolute(following, url)
    try:
        parts = urlsplit(url)
        value = dict(parse_qsl(parts.query)).get(paging.parameter, str(paging.first))
    except ValueError:
        return ""
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        return ""
    # Piece by piece: parsing a query and encoding it again may change it, which some servers do not accept.
    pieces = filter(None, parts.query.split("&"))
    others = [piece for piece in pieces if unquote_plus(piece.partition("=")[0]) != paging.parameter]
    query = "&".join([*others, f"{quote(paging.parameter)}={int(value) + paging.step}"])
    return absolute(parts._replace(query=query).geturl(), url)
