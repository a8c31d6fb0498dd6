"""A document's bytes turned into entries."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Refused
from notifier.feeds.detect import as_statement
from notifier.feeds.feed import Entry
from notifier.feeds.health import outcome_of
from tests.examples import examples
from tests.feeds.builders import atom, document, feed, item, rdf, reading_of, rss

GOOD = item("Good", guid="good", link="https://commerce.example/good", date="Mon, 29 Jun 2020 21:00:00 GMT")


def titles(body: bytes | str) -> list[str]:
    return [entry.title for entry in reading_of(body).entries]


def refused(body: bytes | str, content_type: str = "application/rss+xml") -> str:
    """The outcome with which a document is refused."""
    with pytest.raises(Refused) as caught:
        reading_of(body, content_type=content_type)
    return caught.value.outcome


def test_an_item_of_rss_is_read():
    """RSS 2.0: everything an item may say, its dates in UTC and its markup as text."""
    body = rss(
        "<item><title>Commerce &lt;b&gt;suspends&lt;/b&gt; exceptions</title><guid isPermaLink='false'>c-1</guid>"
        "<link>/c-1</link><pubDate>Mon, 29 Jun 2020 17:00:00 EDT</pubDate><category>Exports</category>"
        "<description>&lt;p&gt;One&lt;/p&gt;&lt;p&gt;Two&lt;/p&gt;</description>"
        "<dc:creator xmlns:dc='http://purl.org/dc/elements/1.1/'>Press Office</dc:creator>"
        "<content:encoded xmlns:content='http://purl.org/rss/1.0/modules/content/'><![CDATA[<p>One</p><p>Two</p>"
        "<p>Three</p>]]></content:encoded></item>",
        head="<link>https://www.commerce.example/</link><language>en-US</language>",
    )

    reading = reading_of(body)

    assert (reading.title, reading.link, reading.lang) == ("Press releases", "https://www.commerce.example/", "en-US")
    assert (reading.problem, reading.cut_short, reading.warnings) == ("", False, ())
    assert reading.entries == (
        Entry(
            id="c-1",
            title="Commerce suspends exceptions",
            link="https://www.commerce.example/c-1",
            published=datetime(2020, 6, 29, 21, tzinfo=UTC),
            published_raw="Mon, 29 Jun 2020 17:00:00 EDT",
            summary="One\n\nTwo",
            text="One\n\nTwo\n\nThree",
            authors=("Press Office",),
            tags=("Exports",),
            lang="en-US",
        ),
    )


@pytest.mark.parametrize(
    ("declared", "channel", "lang"),
    [("", "<language>fr-ca</language>", "fr-ca"), ("zh-HK", "<language>en-US</language>", ""), ("", "", "")],
    ids=["the channel's", "the operator knows better", "nobody says"],
)
def test_an_entry_speaks_its_channel_s_language(declared: str, channel: str, lang: str):
    """Where it names none itself and the operator declares none: many channels say English whatever they speak."""
    (entry,) = reading_of(rss(item(), head=channel), feed(lang=declared)).entries

    assert entry.lang == lang
    assert as_statement(entry, feed(lang=declared)).lang == (declared or lang)


def test_an_entry_of_atom_is_read():
    """Atom: both dates, the page before other links, and links seen from xml:base."""
    body = atom(
        '<entry xml:base="https://www.gov.example/notices/"><id>tag:gov.example,2020:1</id><title type="html">'
        'Notice &amp;amp; list</title><link rel="self" href="1.atom"/>'
        '<link rel="alternate" type="application/pdf" href="1.pdf"/>'
        '<link rel="alternate" type="text/html" href="1"/><published>2020-06-29T12:00:00+01:00</published>'
        '<updated>2020-06-30T12:00:00Z</updated><author><name>HM Government</name></author><category term="Notice"/>'
        '<summary>In short.</summary><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>At length.</p>'
        "<p>And more.</p></div></content></entry>"
    )

    (entry,) = reading_of(body).entries

    assert entry == Entry(
        id="tag:gov.example,2020:1",
        title="Notice & list",
        link="https://www.gov.example/notices/1",
        published=datetime(2020, 6, 29, 11, tzinfo=UTC),
        updated=datetime(2020, 6, 30, 12, tzinfo=UTC),
        published_raw="2020-06-29T12:00:00+01:00",
        summary="In short.",
        text="At length.\n\nAnd more.",
        authors=("HM Government",),
        tags=("Notice",),
        lang="en-GB",
    )


def test_an_item_of_rdf_is_read():
    """RSS 1.0: items behind the channel, named by rdf:about, dated by Dublin Core."""
    body = rdf(
        '<item rdf:about="https://meti.example/1"><title>安全保障貿易管理</title><link>https://meti.example/1</link>'
        "<description>改正</description><dc:date>2020-06-30T09:00:00+09:00</dc:date></item>",
        '<item rdf:about="https://meti.example/2"><title>二</title><link>https://meti.example/2</link></item>',
    )

    first, second = reading_of(body).entries

    assert (first.id, first.title, first.link) == (
        "https://meti.example/1",
        "安全保障貿易管理",
        "https://meti.example/1",
    )
    assert (first.summary, first.published) == ("改正", datetime(2020, 6, 30, tzinfo=UTC))
    assert (second.title, second.published, second.published_raw) == ("二", None, "")


def test_a_json_feed_is_read_whatever_it_is_called():
    """JSON is known by its first letter, not by what the server calls it."""
    body = '\ufeff {"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "One"}]}'

    assert [entry.title for entry in reading_of(body, content_type="text/html").entries] == ["One"]


def test_an_entry_without_a_link_has_none():
    """It is not given its feed's address: that is some other page."""
    (entry,) = reading_of(rss(item("No link"))).entries

    assert entry.link == ""


def test_a_guid_that_is_an_address_is_the_link():
    """In RSS a guid is a permanent link unless it says otherwise."""
    (entry,) = reading_of(rss(item(guid="https://commerce.example/c-1"))).entries

    assert entry.link == "https://commerce.example/c-1"


def test_a_date_that_cannot_be_read_stays_beside():
    """The entry is kept without a date, with what its publisher wrote."""
    (entry,) = reading_of(rss(item(date="12/30/2022"))).entries

    assert (entry.published, entry.published_raw) == (None, "12/30/2022")


def test_a_feeds_declared_dates_are_read():
    """Format and zone of the feed's settings read what nobody could guess."""
    of = feed(dates=["%m/%d/%Y"], timezone="America/Los_Angeles")

    (entry,) = reading_of(rss(item(date="12/30/2022")), of).entries

    assert entry.published == datetime(2022, 12, 30, 8, tzinfo=UTC)


# ---------------------------------------------------------------- degraded documents


@pytest.mark.parametrize(
    "body",
    [
        rss(GOOD, "<item><title>R&D</title></item>"),
        rss(GOOD, "<item><title>One <br> two</title></item>"),
        rss(GOOD, '<item><media:thumbnail url="x"/><title>Unbound</title></item>'),
        "<br />\n<b>Warning</b>: mysql_connect() in <b>/srv/feed.php</b> on line 3\n" + rss(GOOD),
        "\n\n  " + rss(GOOD),
        rss(GOOD) + "<script>track()</script>",
        rss(GOOD) + "\x00\x00\x00",
        rss("<item><title>A\x0bB</title></item>", GOOD),
        rss(GOOD).removesuffix("</rss>"),
        rss("<item></item>", GOOD),
    ],
    ids=[
        "ampersand", "open tag", "prefix", "warning before", "blank lines before", "script behind", "zeros behind",
        "control character", "no root end", "empty item",
    ],
)  # fmt: skip
def test_good_entries_of_a_degraded_document_are_kept(body: str):
    """A fault costs at most the entry that it is in."""
    reading = reading_of(body)

    good = [entry for entry in reading.entries if entry.title == "Good"]
    assert [(entry.id, entry.link, entry.whole) for entry in good] == [("good", "https://commerce.example/good", True)]
    assert not reading.cut_short


def test_a_degraded_document_says_so():
    """The reading has the error and its line; a well-formed document has no problem."""
    assert reading_of(rss(GOOD)).problem == ""
    assert reading_of(rss(GOOD, "\n<item><title>R&D</title></item>")).problem.startswith("not well-formed XML: line 3")


@pytest.mark.parametrize(
    "reference",
    [
        "&#xD800;",
        "&#55357;&#56832;",
        "&#x110000;",
        "&#0;",
        "&#x0;",
        f"&#{'9' * 5_000};",
        f"&#x{'f' * 5_000};",
        "&amp;#xD800;",
    ],
    ids=["surrogate", "pair", "beyond", "zero", "hex zero", "huge", "huge hex", "escaped"],
)
def test_a_reference_to_no_character_spoils_one_letter(reference: str):
    """What makes the parser raise is mended before it: the entry keeps its other words, and the rest is read."""
    read = titles(rss(GOOD, item("x").replace("x", f"Bad {reference} words")))

    assert read[0] == "Good"
    assert read[1].startswith("Bad \ufffd")
    assert read[1].endswith("words")


@pytest.mark.parametrize("reference", ["&#27;", "&#x1B;", "&#11;", "&#xFFFE;"])
def test_a_reference_to_a_control_is_left_out(reference: str):
    """No XML may hold it; without it the document is well formed, and no terminal hears of it."""
    reading = reading_of(rss(item("x").replace("x", f"Hong {reference}Kong")))

    assert (reading.entries[0].title, reading.problem) == ("Hong Kong", "")


def test_a_reference_to_a_character_is_kept():
    """However many zeros are before it."""
    assert titles(rss(item("x").replace("x", "&#0000000000072;ong &#x4B;ong &#128512;"))) == ["Hong Kong 😀"]


@pytest.mark.parametrize("name", ["undefined", "bogus", "utf\x00-8", "zip", "idna", "unicode_escape", "utf-8'"])
def test_a_strange_encoding_spoils_nothing(name: str):
    """The name of a character set that is none makes the parser raise, or is a codec that nobody meant."""
    body = rss(item("香港")).replace('encoding="utf-8"', f'encoding="{name}"')

    assert titles(body) == ["香港"]


def test_a_path_in_place_of_a_document_is_not_opened(tmp_path: Path):
    """The parser would open what looks like a file's name; we hand it no name, ever."""
    there = tmp_path / "feed.xml"
    there.write_text(rss(GOOD))

    assert refused(str(there)) == "not-a-feed"
    assert refused(b"/etc/passwd") == "not-a-feed"
    assert refused(there.as_uri()) == "not-a-feed"
    assert refused("http://127.0.0.1:9/feed") == "not-a-feed"


# ---------------------------------------------------------------- cut short

KINDS = {
    "rss": rss(GOOD, item("Half", guid="half", text="words " * 20)),
    "atom": atom(
        "<entry><id>good</id><title>Good</title></entry>",
        f"<entry><id>half</id><title>Half</title><summary>{'words ' * 20}</summary></entry>",
    ),
    "rdf": rdf(
        '<item rdf:about="good"><title>Good</title></item>',
        f'<item rdf:about="half"><title>Half</title><description>{"words " * 20}</description></item>',
    ),
    "cdata": rss(
        GOOD, "<item><title>Half</title><description><![CDATA[</item></channel></rss>words]]></description></item>"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_item_never_counts(kind: str):
    """Wherever a document is cut inside its last item, that item is not whole, and the one before is."""
    body = KINDS[kind]
    begins = max(body.rfind("<item"), body.rfind("<entry"))
    ends = max(body.rfind("</item>"), body.rfind("</entry>"))

    for end in range(begins + len("<entry "), ends):
        reading = reading_of(body[:end])
        assert reading.cut_short, body[:end]
        assert [entry.title for entry in reading.entries if entry.whole] in (["Good"], []), body[:end]
        assert {entry.title for entry in reading.entries} >= {"Good"}, body[:end]


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_that_has_ended_counts(kind: str):
    """Cut between the last item and the end of the feed, everything is there; but nobody can know that."""
    body = KINDS[kind]
    end = max(body.rfind("</item>"), body.rfind("</entry>")) + len("</entry>")

    reading = reading_of(body[:end])

    assert [entry.title for entry in reading.entries if entry.whole] == ["Good", "Half"]
    assert (reading.cut_short, reading.problem) == (True, "the document is cut short")


# ---------------------------------------------------------------- what is no feed


@pytest.mark.parametrize(
    "body",
    [
        "",
        " \n",
        "\ufeff",
        "<!doctype html><html><head><title>Sign in</title></head><body><form action=/login></form></body></html>",
        "<html lang=en><body>We moved.</body></html>",
        "<sdnList><sdnEntry><uid>1</uid></sdnEntry></sdnList>",
        "<opml version='2.0'><body/></opml>",
        "Service unavailable",
        "Name\tAddress\nA\tB\n",
        '{"documents": []}',
        "[]",
        b"%PDF-1.7\n\x00\xff",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"\x00" * 100,
    ],
    ids=[
        "nothing", "white space", "mark only", "login page", "web page", "list in XML", "opml", "words", "table",
        "json", "json list", "pdf", "gzip", "zeros",
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["application/rss+xml", "text/html; charset=utf-8"])
def test_what_is_no_feed_is_called_so(body: bytes | str, content_type: str):
    """By what it is, and not by what the server calls it; it is never a feed without entries."""
    assert refused(body, content_type) == "not-a-feed"


@pytest.mark.parametrize(
    "sign",
    [
        "<script src=/_Incapsula_Resource></script>",
        "<p>Please verify you are a human</p>",
        "<div class=g-recaptcha>captcha</div>",
        "<script>window._cf_chl_opt={};// cf-chl-bypass</script>",
        "<h1>Access Denied</h1>",
        "<script src=https://token.awswaf.com/challenge.js></script>",
    ],
)
def test_a_page_that_checks_for_humans_is_a_blocked_feed(sign: str):
    """With status 200 and a feed's content type, as some walls have it."""
    assert refused(f"<html><head></head><body>{sign}</body></html>") == "blocked"


def test_a_feed_that_speaks_of_walls_is_a_feed():
    """Words of a human-check page in an item's text block nothing."""
    assert titles(rss(item("Access denied: captcha for all"))) == ["Access denied: captcha for all"]


def test_a_feed_that_says_that_it_has_ended_is_retired():
    """GOV.UK puts one entry of that name in the place of a feed; among others it is an entry."""
    ended = "<entry><id>1</id><title>This feed has ended</title></entry>"

    assert refused(atom(ended)) == "retired"
    assert titles(atom(ended, "<entry><id>2</id><title>Two</title></entry>")) == ["This feed has ended", "Two"]


@pytest.mark.parametrize(
    "body",
    [
        atom().replace("<title>", '<link rel="hub" href="https://hub.example/"/><link rel="self" href="/f"/><title>'),
        rss().replace("<title>", '<atom:link xmlns:atom="http://www.w3.org/2005/Atom" rel="hub" '
                      'href="https://hub.example/"/><atom:link xmlns:atom="http://www.w3.org/2005/Atom" rel="self" '
                      'href="https://commerce.example/f"/><title>', 1),
        '{"version": "https://jsonfeed.org/version/1.1", "title": "N", "items": [], "feed_url": '
        '"https://commerce.example/f", "hubs": [{"type": "rssCloud", "url": "https://x.example/"}, '
        '{"type": "WebSub", "url": "https://hub.example/"}]}',
    ],
    ids=["atom", "rss", "jsonfeed"],
)  # fmt: skip
def test_a_feed_names_its_hub(body: str):
    """The hub and the topic (WebSub, 4)."""
    reading = reading_of(body)

    assert (reading.hub, reading.topic) == ("https://hub.example/", "https://commerce.example/f")


def test_a_feed_without_entries_is_a_feed():
    """Some publishers empty their feeds between sessions."""
    reading = reading_of(rss())

    assert (reading.entries, reading.problem, reading.cut_short) == ((), "", False)


@pytest.mark.parametrize(
    "body", [rss("<item/>" * 5_001), rss("&x;" + "<item/>" * 5_001)], ids=["well formed", "past a fault"]
)
def test_too_many_entries_are_refused(body: str):
    """Over 5,000 entries in one document is nobody's feed, also where the look at its shape ended early."""
    assert refused(body) == "parse-error"


def test_declared_entities_are_refused():
    """A document that declares entities is not read at all."""
    body = (
        '<!DOCTYPE rss [<!ENTITY a "aaaa">]><rss version="2.0"><channel><item><title>&a;</title></item></channel></rss>'
    )

    assert refused(body) == "parse-error"


# ---------------------------------------------------------------- text is only text


def test_nothing_of_a_feed_acts():
    """Scripts, handlers and terminal codes are gone or mere letters, links are http or none, a title is one line."""
    body = rss(
        item(
            "Secretary\r\nBcc: a@b.example <script>alert(1)</script>\u009b31m",
            guid="a\u009bb",
            link="javascript:alert(1)",
            text='<img src=x onerror=alert(1)><a href="javascript:alert(1)">details</a>',
        ).replace("\r\n", "&#13;&#10;"),
        head="<language>en&#155;31m</language><link>javascript:alert(1)</link>",
    )

    reading = reading_of(body)

    (entry,) = reading.entries
    assert (entry.title, entry.link, entry.summary) == ("Secretary Bcc: a@b.example ›31m", "", "details")
    assert (entry.id, reading.lang, reading.link) == ("a›b", "", "")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rss(*(item("�" * 10) for _ in range(3))), "could not be decoded"),
        (rss(*(item("???? ???") for _ in range(9))), "question mark"),
        (rss(item("République")).replace('encoding="utf-8"', "").encode("cp1252"), "Western European"),
    ],
    ids=["lost letters", "question marks", "guessed"],
)
def test_letters_that_look_lost_are_a_warning(body: bytes | str, said: str):
    """The operator hears of it, and the entries are read all the same."""
    reading = reading_of(body)

    assert reading.entries
    assert any(said in warning for warning in reading.warnings)


PIECES = [
    "<rss>",
    "<channel>",
    "<item>",
    "</item>",
    "<title>",
    "</title>",
    "<link>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<feed ",
    "&#x",
    "&a;",
]


@examples(150)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=25), st.binary(max_size=10))
def test_any_bytes_are_read_or_refused(pieces: list[str], tail: bytes):
    """Whatever comes: a reading, or a refusal with a named outcome; never another error."""
    body = b"<rss><channel>" + "".join(pieces).encode("utf-8", "ignore") + tail

    try:
        outcome = outcome_of(reading_of(body))
    except Refused as refusal:
        outcome = refusal.outcome

    assert outcome in {"ok", "ok-empty", "not-a-feed", "blocked", "retired", "parse-error"}


def test_a_document_is_not_kept():
    """Reading the same document twice gives the same: nothing of one remains for the next."""
    body = document(rss(GOOD))

    assert reading_of(body.body) == reading_of(body.body)


def test_what_a_feed_deleted_is_read_beside_its_entries():
    """A tombstone (RFC 6721) is not an entry."""
    tombstone = (
        '<at:deleted-entry xmlns:at="http://purl.org/atompub/tombstones/1.0" ref="tag:gone">'
        "<at:comment>Withdrawn</at:comment></at:deleted-entry>"
    )

    reading = reading_of(atom(tombstone, "<entry><id>tag:here</id><title>Here</title></entry>"))

    assert ([entry.id for entry in reading.entries], reading.deleted) == (["tag:here"], ("tag:gone",))
