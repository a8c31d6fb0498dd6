"""
Extract the text of a statement's page: a web page without menus and footers, or the text layer of a PDF.

Imported only in a child (child_of_pages.py): the extractor takes most of a second and 45 MB to import, and pages are as
hostile as feeds.
"""

from __future__ import annotations

import logging
import re

import lxml.html
import pypdfium2
import trafilatura

from notifier.errors import Refused
from notifier.feeds.feed import Document, Entry, Feed, Reading
from notifier.feeds.reading.html_list import opened, selected, text_of
from notifier.feeds.reading.plain import cleaned, joined, one_line, tag_of_language, to_text
from notifier.feeds.reading.walls import checks_for_humans
from notifier.feeds.selectors import translated

WORDS = 256 * 1024  # bytes (UTF-8) of a page's text that are kept
PDF_PAGES = 500  # of a PDF that are read, or fewer if these have enough text
_FEW = 1_000  # characters; a page that checks for humans has hardly more text

# PDFium's mark for a word that continues on the next line.
_SPLIT = re.compile("[\x02\ufffe\xad]\r?\n?")

# It logs each page without text; we report that ourselves.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


def read(document: Document, feed: Feed) -> Reading:
    """
    The text of a page as one entry, with a blank line between blocks, and the page's title and language.

    The selector `Feed.article` finds it, or else the extractor. Raises `Refused` with outcome blocked (a human-check
    page), not-a-feed (neither a web page nor a PDF) or parse-error (no text, a PDF without a text layer or with a
    password, or over the limits).
    """
    if b"%PDF-" in document.body[:1024]:
        return _reading(_pdf_text(document.body), f"pypdfium2 {pypdfium2.PYPDFIUM_INFO.version}")
    if b"\0\0" in document.body[:1024]:
        raise Refused("its page is neither a web page nor a PDF", outcome="not-a-feed")
    root, guessed = opened(document)
    # Before the extractor, which changes the tree.
    title, lang = one_line(root.findtext(".//title") or ""), tag_of_language(root.get("lang") or "")
    if feed.article:
        words, by = _declared(root, feed.article), f"article {feed.article}"
    else:
        words, by = _extracted(root), f"trafilatura {trafilatura.__version__}"
    if len(words) < _FEW and checks_for_humans(document.body[:65_536]):
        raise Refused("a page that checks for humans is served instead", outcome="blocked")
    if feed.article and not words:
        raise Refused(f"the page's structure has changed: nothing matches “{feed.article}”", outcome="parse-error")
    return _reading(words, by, title, lang, guessed)


def _reading(words: str, by: str, title: str = "", lang: str = "", guessed: str = "") -> Reading:
    if not words:
        raise Refused("no text was found on its page; a browser may show some", outcome="parse-error")
    entry = Entry(title=title, text=words, lang=lang)
    return Reading(entries=(entry,), title=title, lang=lang, by=by, warnings=(guessed,) if guessed else ())


def _declared(root: lxml.html.HtmlElement, selector: str) -> str:
    found = (text_of(each, translated(selector)[1], WORDS) for each in selected(root, selector))
    return joined(filter(None, found), WORDS)


def _extracted(root: lxml.html.HtmlElement) -> str:
    markup = trafilatura.extract(root, favor_precision=True, include_comments=False, output_format="html")
    return to_text(markup or "", WORDS)


def _pdf_text(body: bytes) -> str:
    try:
        pdf = pypdfium2.PdfDocument(body)
        try:
            words = _pdf_pages(pdf)
        finally:
            pdf.close()
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        problem = "the PDF needs a password" if locked else "the PDF cannot be read; it is damaged or cut short"
        raise Refused(problem, outcome="parse-error") from error
    if not words:
        raise Refused("the PDF has no text layer: its pages are images", outcome="parse-error")
    return words


def _pdf_pages(pdf: pypdfium2.PdfDocument) -> str:
    """The text of a PDF, each page a block: a PDF has lines and no paragraphs."""
    blocks, length = list[str](), 0
    for number in range(min(len(pdf), PDF_PAGES)):
        page = pdf[number]
        text = _SPLIT.sub("", page.get_textpage().get_text_bounded())
        page.close()
        blocks.append(" ".join(cleaned(text).split()))
        length += len(blocks[-1])
        if length > WORDS:
            break
    return joined(filter(None, blocks), WORDS)
