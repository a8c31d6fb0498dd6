"""Where an answer's next page is, by its declaration."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit

from notifier.feeds.links import absolute
from notifier.feeds.shape import Paging


def next_page(url: str, paging: Paging | None, following: str) -> str:
    """
    The address of the page after the one at `url`, "" where there is none: what the answer gave as `following`, or
    the same address counted up.
    """
    if paging is None:
        return ""
    if not paging.parameter:
        return absolute(following, url)
    try:
        parts = urlsplit(url)
        said = dict(parse_qsl(parts.query)).get(paging.parameter, str(paging.first))
    except ValueError:
        return ""
    if not (said.isascii() and said.isdecimal() and len(said) <= 9):
        return ""
    # Piece by piece: to take a query apart and put it together anew may change it for a server that is particular.
    pieces = filter(None, parts.query.split("&"))
    others = [piece for piece in pieces if unquote_plus(piece.partition("=")[0]) != paging.parameter]
    query = "&".join([*others, f"{quote(paging.parameter)}={int(said) + paging.step}"])
    return absolute(parts._replace(query=query).geturl(), url)
