"""Are the words of a statement's page found, and is it said plainly where there are none?"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from notifier.errors import Refused
from notifier.feeds.feed import Reading
from notifier.feeds.parsers import PAGES, Parser
from notifier.feeds.reading import article
from tests.feeds.builders import FEED, document, feed
from tests.feeds.pdfs import pdf

WORDS = ("The Department suspends licence exceptions for Hong Kong.", "Exports of dual-use goods need a licence.")


def page(*paragraphs: str, around: str = "<nav><a href='/'>Home</a> <a href='/news'>News</a></nav>") -> str:
    """A web page as ministries write them: a menu, the statement, a footer."""
    said = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs or WORDS)
    return (
        '<!doctype html><html lang="en-US"><head><title>Press release | Commerce</title>'
        "<script>var a = 1</script></head>"
        f"<body><header>{around}</header><main><h1>Special status ends</h1>{said}</main>"
        "<footer><p>1401 Constitution Avenue</p></footer></body></html>"
    )


def read(body: bytes | str, *, selector: str = "", content_type: str = "text/html") -> Reading:
    of = msgspec.structs.replace(FEED, article=selector)
    return article.read(document(body, content_type=content_type), of)


def words(body: bytes | str, **more: Any) -> str:
    (entry,) = read(body, **more).entries
    return entry.text


def refusal(body: bytes | str, **more: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        read(body, **more)
    return caught.value.outcome, str(caught.value)


# ---------------------------------------------------------------- web pages


def test_a_page_is_read_without_what_stands_around_its_statement() -> None:
    """Menu, footer and script are left out; blocks are apart by a blank line, as queries want them."""
    assert words(page()) == "\n\n".join(["Special status ends", *WORDS])


def test_a_break_within_a_paragraph_parts_no_phrase() -> None:
    """A line break is a space; cells and items are blocks of their own."""
    told = words(page("Licences for Hong<br>Kong end today.", *WORDS))

    assert "Licences for Hong Kong end today." in told.split("\n\n")


def test_a_reading_tells_title_language_and_reader() -> None:
    """The extractor's version is kept, since another may find other words."""
    reading = read(page())

    assert (reading.title, reading.lang) == ("Press release | Commerce", "en-US")
    assert reading.by.startswith("trafilatura 2.")


def test_letters_are_read_as_they_are_meant() -> None:
    """A page that declares its charset in a meta element is read by it."""
    body = page("Die Ausfuhr von Gütern nach Hongkong ist zu prüfen.").replace(
        "<head>", '<head><meta charset="iso-8859-1">'
    )

    assert "von Gütern" in words(body.encode("latin-1"))


def test_words_are_bounded() -> None:
    """A page without end is kept up to the limit."""
    told = words(page(*(f"Exports under heading {n} need a licence from now on. " * 20 for n in range(400))))

    assert len(told.encode()) <= article.WORDS
    assert len(told) > 200_000


def test_a_selector_of_the_feed_finds_the_words() -> None:
    """With a selector from the operator nothing is guessed, and the selector is named as the extractor."""
    body = page(around='<div class="annex"><p>Annex one.</p><p>Annex two.</p></div>')

    reading = read(body, selector=".annex p")

    assert reading.entries[0].text == "Annex one.\n\nAnnex two."
    assert reading.by == "article .annex p"


def test_a_selector_that_finds_nothing_is_told() -> None:
    """The page has got another shape, which the operator has to know."""
    outcome, told = refusal(page(), selector="article.release")

    assert (outcome, told) == ("parse-error", "the page's structure has changed: nothing matches “article.release”")


@pytest.mark.parametrize("selector", ["", "main"], ids=["extractor", "selector"])
def test_a_page_that_checks_for_humans_is_a_wall(selector: str) -> None:
    """It is called blocked, and its words are never a statement's."""
    body = page("Please verify you are human to go on.", "This check is done by captcha.")

    outcome, told = refusal(body, selector=selector)

    assert (outcome, told) == ("blocked", "a page that checks for humans is served instead")


def test_a_statement_on_such_checks_is_no_wall() -> None:
    """A long text that speaks of them is read."""
    assert "captcha" in words(page("The agency ends the use of captcha on its pages.", *WORDS * 10))


@pytest.mark.parametrize(
    ("body", "outcome", "told"),
    [
        ("<html><body><div id='root'></div><script>load()</script></body></html>", "parse-error", "a browser may show"),
        ("", "not-a-feed", "not a web page"),
        ('{"title": "Special status ends"}', "not-a-feed", "not a web page"),
        (b"PK\x03\x04\0\0\0\0<w:document>", "not-a-feed", "neither a web page nor a PDF"),
    ],
    ids=["script", "empty", "json", "zip"],
)
def test_a_page_without_words_says_so(body: bytes | str, outcome: str, told: str) -> None:
    """A page that only a browser could build, and a document that is not a page, are refused with the reason."""
    found, reason = refusal(body)

    assert (found, told in reason) == (outcome, True)


# ---------------------------------------------------------------- PDF


def test_a_pdf_is_read_by_its_text_layer() -> None:
    """Lines end where the paper does, and words go on after a hyphen; each page is a block."""
    body = pdf(["Licence excep-", "tions for Hong", "Kong end."], [], ["Second page."])

    told = words(body, content_type="application/pdf")

    assert told == "Licence exceptions for Hong Kong end.\n\nSecond page."
    assert read(body).by.startswith("pypdfium2 5.")


def test_a_pdf_is_known_by_what_it_is() -> None:
    """Whatever the server calls it."""
    assert words(pdf(["Special status ends."]), content_type="text/html") == "Special status ends."


LOCKED = b"/Encrypt<</Filter/Standard/V 1/R 2/O(%s)/U(%s)/P -4>>/ID[(a)(a)]" % (b"a" * 32, b"b" * 32)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (pdf([], []), "the PDF has no text layer: its pages are images"),
        (pdf(["Secret."], extra=LOCKED), "the PDF needs a password"),
        (pdf(["Cut short."])[:90], "the PDF cannot be read; it is damaged or cut short"),
    ],
    ids=["pictures", "locked", "broken"],
)
def test_a_pdf_without_words_says_why(body: bytes, told: str) -> None:
    """A PDF without a text layer, with a password, or damaged has its own error each."""
    assert refusal(body) == ("parse-error", told)


# ---------------------------------------------------------------- in its child


async def test_a_page_is_read_in_a_child_as_in_this_process() -> None:
    """Words, title and reader arrive as they were made, and a refusal with its outcome."""
    parser = Parser(child=PAGES)
    try:
        told = await parser.parse(document(page(), content_type="text/html"), feed())
        with pytest.raises(Refused) as caught:
            await parser.parse(document(pdf([])), feed())
    finally:
        await parser.close()

    assert told == read(page())
    assert str(caught.value) == "the PDF has no text layer: its pages are images"


def test_what_the_extractor_says_of_a_page_stays_with_it() -> None:
    """We report a page without text once, and no library does on the operator's terminal."""
    done = ran("import asyncio; from tests.feeds.test_article import refused; asyncio.run(refused())")

    assert (done.returncode, done.stdout, done.stderr) == (0, "parse-error\n", "")


async def refused() -> None:
    """Print how a child refuses a page without words."""
    parser = Parser(child=PAGES)
    try:
        await parser.parse(document("<html><body><div></div></body></html>"), FEED)
    except Refused as refusal:
        print(refusal.outcome)
    finally:
        await parser.close()


def test_the_service_never_loads_the_extractor() -> None:
    """Memory of the service does not grow by a library that only the child needs."""
    done = ran(
        "import sys, notifier.service; print([name for name in ('trafilatura', 'pypdfium2') if name in sys.modules])"
    )

    assert (done.stdout, done.returncode) == ("[]\n", 0)


def ran(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
