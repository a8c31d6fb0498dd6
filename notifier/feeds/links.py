"""Turn links as publishers write them into addresses that are safe to follow and to show."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

LONGEST = 2_000  # characters of a link; a longer one is dropped


def absolute(href: str, base: str) -> str:
    """
    The absolute http(s) address of a link found at `base` (RFC 3986), or "" if there is none.

    It is ASCII without spaces, quotes or angle brackets, so that it is safe in mail, markup and on a terminal.
    """
    href = href.strip()
    if not href:
        # By the RFC an empty reference means `base`; from a publisher it means that there is no link.
        return ""
    try:
        parts = urlsplit(urljoin(base, href) if base else href)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            return ""
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    authority = (f"[{host}]" if ":" in host else quote(host)) + port
    # Not `geturl`: its treatment of a leading "//" depends on Python's version, and ids are made of links.
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    rest = quote(parts.path + query + fragment, safe="/?#@!$&()*+,;=%:~-._", errors="replace")
    address = f"{parts.scheme}://{authority}{rest}"
    return address if len(address) <= LONGEST else ""
