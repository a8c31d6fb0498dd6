"""Is a web page read where its declaration says, and is a page of another shape told and never taken for no news?"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Refused
from notifier.feeds.catalogue import catalogue
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading
from notifier.feeds.reading.document import read
from notifier.feeds.reading.plain import TEXT
from notifier.feeds.shape import PageShape, Paging
from tests.feeds.builders import ENDLESS

OFAC = catalogue()["us-ofac-recent-actions"].feed(300)
BIS = catalogue()["us-bis-press"].feed(300)


def site(**declared: object) -> Feed:
    """A feed of pages with `<li>` entries."""
    shape = PageShape(**{"entries": "li", **declared})
    return Feed(id="m", url="https://m.example/news/", issuer="Ministry", kind="html", html=shape)


def shown(of: Feed, body: str | bytes, content_type: str = "text/html") -> Reading:
    raw = body.encode() if isinstance(body, str) else body
    return read(Document(body=raw, url=of.url, content_type=content_type), of)


def entry(of: Feed, item: str) -> Entry:
    """The only entry of a page."""
    (only,) = shown(of, f"<!doctype html><title>News</title><ul><li>{item}</li></ul>").entries
    return only


def action(title: str, href: str, date: str = "June 30, 2020", topic: str = "General Licenses") -> str:
    """An entry as OFAC's list of recent actions has it."""
    return (
        '<div class="margin-bottom-4 search-result views-row"><div><div class="font-sans-lg text-no-underline">'
        f'<a href="{href}" hreflang="en">{title}</a></div></div><div><div class="margin-top-1 font-sans-2xs">'
        f'{date} - <a href="/recent-actions/general-licenses">{topic}</a></div></div></div>'
    )


def actions(*rows: str) -> str:
    head = '<nav><a href="/recent-actions">Recent Actions</a></nav><h1>Recent Actions</h1>'
    return f"<!DOCTYPE html><html><head><title>Recent Actions</title></head><body>{head}{''.join(rows)}</body></html>"


# ---------------------------------------------------------------- fields


def test_recent_actions_of_ofac_are_read():
    """Title, page, day in Washington and topic; what surrounds the entries is not an entry."""
    reading = shown(
        OFAC,
        actions(action("Hong Kong-related Designations", "/recent-actions/20200630"), action("Guidance", "/node/97")),
    )

    assert reading.entries[0] == Entry(
        title="Hong Kong-related Designations",
        link="https://ofac.treasury.gov/recent-actions/20200630",
        published=datetime(2020, 6, 30, 4, 0, tzinfo=UTC),
        published_raw="June 30, 2020",
        tags=("General Licenses",),
    )
    assert reading.entries[1].link == "https://ofac.treasury.gov/node/97"
    assert reading.next == "https://ofac.treasury.gov/recent-actions?page=1"
    assert reading.title == "Recent Actions"


def test_press_releases_of_bis_are_read():
    """Its two hosts serve the same pages, so the path is what makes a release the same next time."""
    link = '<a class="grid" href="/press-release/rule-on-hong-kong">\n Rule on Hong Kong </a>'
    page = f'<ul><li class="mb-2"><div>{link}</div></li></ul>'

    (only,) = shown(BIS, page).entries

    assert only == Entry(
        id="/press-release/rule-on-hong-kong",
        title="Rule on Hong Kong",
        link="https://www.bis.gov/press-release/rule-on-hong-kong",
    )


def test_fields_are_found_by_their_selectors():
    """Words or attributes, each the first that is found; markup is text."""
    feed = site(title="h3", link="a.more", id="@data-id", published="time@datetime", summary=".lead", tags=".tag")
    body = (
        '<h3>Rules &amp; <i>licences</i></h3><time datetime="2020-06-30T09:00:00+08:00">today</time>'
        '<div class="lead"><p>One.</p><p>Two.</p></div><a href="/other">x</a><a class="more" href="1.html">More</a>'
        '<b class="tag">Trade</b><b class="tag">Hong Kong</b><b class="tag">Trade</b>'
    )

    (only,) = shown(feed, f'<ul><li data-id="17">{body}</li></ul>').entries

    assert only == Entry(
        id="17",
        title="Rules & licences",
        link="https://m.example/news/1.html",
        published=datetime(2020, 6, 30, 1, 0, tzinfo=UTC),
        published_raw="2020-06-30T09:00:00+08:00",
        summary="One.\n\nTwo.",
        tags=("Trade", "Hong Kong"),
    )


@pytest.mark.parametrize(
    ("markup", "day"),
    [
        ("<i>30.06.2020</i>", 30),
        ("<i>30.<b>06</b>.2020</i>", 30),
        ("<i>29.06.2020 | <a>Trade</a></i>", 29),
        ("<i>(28.06.2020)<span>Trade</span></i>", 28),
        ("<i>27.06.2020</i><i>26.06.2020</i>", 27),
    ],
)
def test_a_date_is_read_beside_other_words(markup: str, day: int):
    """All the text of the element, or that before its first child, in the feed's own format."""
    feed = msgspec.structs.replace(site(published="i"), dates=("%d.%m.%Y",))

    made = entry(feed, f"<a href=1>News</a>{markup}")

    assert made.published == datetime(2020, 6, day, tzinfo=UTC)


def test_a_date_that_cannot_be_read_stays_beside():
    """As it came, with all its words."""
    made = entry(site(published="i"), "<a href=1>News</a><i>in <b>summer</b></i>")

    assert (made.published, made.published_raw) == (None, "in summer")


@pytest.mark.parametrize(
    ("item", "link"),
    [
        ("<a href='javascript:alert(1)'>News</a>", ""),
        ("<a>News</a>", ""),
        ("<h3>News</h3>", ""),
        ("<a href='//m.example/x'>News</a>", "https://m.example/x"),
        ("<a href=' 1.html '>News</a>", "https://m.example/news/1.html"),
    ],
)
def test_a_link_leads_to_a_web_page_or_nowhere(item: str, link: str):
    """Only http and https lead anywhere."""
    assert entry(site(title="a, h3"), item).link == link


def test_links_start_from_the_page_s_own_base():
    """If a page declares a base for its links, it is used."""
    reading = shown(site(), '<base href="https://static.example/a/"><ul><li><a href="1.html">News</a></ul>')

    assert reading.entries[0].link == "https://static.example/a/1.html"


def test_a_summary_is_cut_at_its_limit():
    """As any text."""
    assert len(entry(site(summary="p"), f"<a>x</a><p>{'word ' * 100_000}</p>").summary.encode()) <= TEXT


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<meta charset='big5'><ul><li><a>香港</a></ul>".encode("big5"), "text/html"),
        ("<ul><li><a>香港</a></ul>".encode("big5"), "text/html; charset=Big5"),
        ("<meta charset='big5'><ul><li><a>香港</a></ul>".encode(), "text/html; charset=Big5"),
    ],
    ids=["by the page", "by the header", "both wrong"],
)
def test_a_page_is_read_in_its_own_letters(body: bytes, content_type: str):
    """By what the page declares of itself too; UTF-8 is known by its look."""
    assert shown(site(), body, content_type).entries[0].title == "香港"


def test_a_page_gives_its_next():
    """By a selector, whose link it is; a page without that link is the last."""
    feed = site(paging=Paging(next="a[rel=next]"))

    assert shown(feed, "<li><a href=1>x</a></li><a rel=next href='?p=2'>›</a>").next == "https://m.example/news/?p=2"
    assert shown(feed, "<li><a href=1>x</a></li>").next == ""


# ---------------------------------------------------------------- pages of another shape


@pytest.mark.parametrize(
    ("body", "outcome", "said"),
    [
        (actions(), "parse-error", "structure has changed: nothing matches “.search-result.views-row”"),
        (actions('<div class="search-result views-row"></div>'), "parse-error", "no entry has a title at “a”"),
        ("<!doctype html><p>Access denied. Please complete the captcha.", "blocked", "checks for humans"),
        ("Not found", "not-a-feed", "not a web page"),
        ("", "not-a-feed", "not a web page"),
        ("<!-- -->", "not-a-feed", "the page is empty"),
        ("<div>" * 300 + actions(action("x", "/x")), "parse-error", "nested over 255 deep"),
    ],
    ids=["no entries", "empty entries", "a wall", "words", "nothing", "a comment", "depth"],
)
def test_a_page_of_another_shape_is_told(body: str, outcome: str, said: str):
    """It is never a page without news."""
    with pytest.raises(Refused) as refused:
        shown(OFAC, body)

    assert refused.value.outcome == outcome
    assert said in str(refused.value)


def test_a_page_that_speaks_of_walls_is_a_page():
    """A form with a captcha at its foot does not hide the entries."""
    body = actions(action("Designations", "/recent-actions/20200630")) + "<script src=recaptcha.js></script>"

    assert len(shown(OFAC, body).entries) == 1


def test_too_many_entries_are_refused():
    """At the same limit as in any feed."""
    with pytest.raises(Refused, match="5,000 items"):
        shown(site(), "<li><a>x</a></li>" * (ITEMS + 1))


def test_a_hostile_page_is_given_up():
    """Twelve megabytes of nested tags end in a refusal."""
    with pytest.raises(Refused) as refused:
        shown(site(), ENDLESS)

    assert refused.value.outcome == "parse-error"


def test_nothing_of_a_page_acts():
    """Scripts, styles and controls are gone; an address is an address or nothing."""
    made = entry(
        site(summary="p", tags="b"),
        "<a href='data:text/html,x'>A<script>x()</script>\x07</a><p><style>y</style>z</p><b>\x1b[2J</b>",
    )

    assert (made.title, made.link, made.summary, made.tags) == ("A", "", "z", ("[2J",))


@given(
    st.lists(
        st.sampled_from(
            [
                "<ul>",
                "<li>",
                "<a href=1>",
                "</a>",
                "News",
                "<!--",
                "]]>",
                "\0",
                "&#0;",
                "<base href=",
                "\ud800",
                "<time datetime=x>",
            ]
        )
    )
)
def test_any_page_is_read_or_refused(pieces: list[str]):
    """Nothing else is raised, whatever the markup."""
    body = "".join(pieces).encode("utf-8", "surrogatepass")
    try:
        reading = shown(site(published="time@datetime"), body)
    except Refused:
        return

    assert reading.entries
