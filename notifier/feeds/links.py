"""Links as publishers write them → addresses that a reader may follow."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

LONGEST = 2_000  # characters of a link that we keep; a longer one is none


def absolute(href: str, base: str) -> str:
    """
    The http(s) address that a link means, seen from `base` (RFC 3986); "" when it means none, or is none.

    It is ASCII and holds no space, quote or angle bracket: it may stand in mail, markup or a terminal.
    """
    href = href.strip()
    if not href:
        # By the RFC an empty reference means `base`; a publisher who leaves a link empty has none.
        return ""
    try:
        parts = urlsplit(urljoin(base, href) if base else href)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            return ""
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    place = (f"[{host}]" if ":" in host else quote(host)) + port
    # By hand: what `geturl` makes of two slashes at the start depends on Python's version, and names hang on links.
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    rest = quote(parts.path + query + fragment, safe="/?#@!$&()*+,;=%:~-._", errors="replace")
    address = f"{parts.scheme}://{place}{rest}"
    return address if len(address) <= LONGEST else ""
