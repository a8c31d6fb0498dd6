"""
Turn markup into plain text with a blank line between blocks.

The blank lines matter: a phrase of a query does not match across them, and without them a heading would run into its
paragraph. lxml is linear in the depth of hostile markup; other parsers are not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

import lxml.etree
import lxml.html

TEXT = 64 * 1024  # bytes (UTF-8) of a text
TITLE = 1_000  # characters of a title

_MARKUP = re.compile(r"</?[a-zA-Z!?][^<>]*>|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# All controls except tab and newline, noncharacters, and lone surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_NEVER_SHOWN = {"script", "style", "template", "noscript", "head", "title", "iframe", "object", "svg", "math"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "caption", "dd", "details", "div", "dl", "dt", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "summary", "table", "td", "th", "tr", "ul",
}  # fmt: skip
_parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
_UNSEEN = re.compile(rf"<({'|'.join(sorted(_NEVER_SHOWN))})\b.*?(?:</\1\b[^<>]*>?|\Z)", re.I | re.S)
_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>?")
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(?:[-_][a-zA-Z0-9]{1,8})*")


def cleaned(text: str) -> str:
    """The text without control characters, with "\\n" for all line ends."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, limit: int = TITLE) -> str:
    """The text on one line, at most `limit` characters."""
    return " ".join(cleaned(text).split())[:limit].rstrip()


def tag_of_language(text: str) -> str:
    """The text if it has the form of a language tag (BCP 47), else ""."""
    text = text.strip()
    return text if len(text) <= 35 and _LANGUAGE.fullmatch(text) else ""


def to_text(markup: str, limit: int = TEXT) -> str:
    """
    The text of an HTML fragment without scripts and styles, a blank line between paragraphs, at most `limit` bytes.

    Text without markup is only cleaned of controls and spacing; markup that was escaped twice is read too.
    """
    text = markup[: 32 * limit]
    for _ in range(2):
        if not _MARKUP.search(text):
            break
        text = _read(text)
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", cleaned(text)))
    return joined((paragraph for paragraph in paragraphs if paragraph), limit)


def joined(paragraphs: Iterable[str], limit: int = TEXT) -> str:
    """The paragraphs as one text, at most `limit` bytes (UTF-8)."""
    text = "\n\n".join(paragraphs)
    # A character cut in two at the end is dropped.
    return text.encode()[:limit].decode(errors="ignore").rstrip() if len(text) * 4 > limit else text


def _read(markup: str) -> str:
    try:
        root = lxml.html.document_fromstring(cleaned(markup).encode() or b"<p></p>", parser=_parser)
    except lxml.etree.ParserError:
        return ""  # only comments
    if any(error.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in _parser.error_log):
        # The parser has stopped at 255 levels. The text counts for more than its layout.
        return html.unescape(_TAG.sub("\n\n", _UNSEEN.sub("", markup)))
    pieces: list[str] = []
    hidden = 0
    # Not recursive: the sender chooses the depth.
    for event, element in lxml.etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            hidden += tag in _NEVER_SHOWN
            pieces.append("\n\n" if tag in _BLOCKS else "\n" if tag == "br" else "")
            pieces.append(element.text or "" if not hidden else "")
            continue
        hidden -= tag in _NEVER_SHOWN
        pieces.append("\n\n" if tag in _BLOCKS else "")
        pieces.append(element.tail or "" if not hidden else "")
    return "".join(pieces)
