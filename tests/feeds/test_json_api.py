"""Is a JSON answer read where its declaration says, and is what is not as declared told and never taken for no news?"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Refused
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.catalogue import catalogue
from notifier.feeds.detect import detect, withdrawn
from notifier.feeds.feed import ITEMS, Document, Entry, Feed, Reading
from notifier.feeds.health import outcome_of
from notifier.feeds.known import Known
from notifier.feeds.reading.document import read
from notifier.feeds.reading.plain import TEXT
from notifier.feeds.shape import JsonShape, Paging
from tests.feeds.builders import NOW

REGISTER = catalogue()["us-fr-documents-json"].feed(300)
DESK = catalogue()["us-fr-public-inspection-current"].feed(300)
SEARCH = catalogue()["uk-govuk-search-api"].feed(300)


def api(**declared: object) -> Feed:
    """A feed of answers like `{"items": [{"name": …}]}`."""
    shape = JsonShape(**{"entries": "items", "title": "name", **declared})
    return Feed(id="m", url="https://m.example/api/news.json", issuer="Ministry", kind="json", json=shape)


def answer(of: Feed, body: object, content_type: str = "application/json") -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Document(body=raw, url=of.url, content_type=content_type), of)


def entry(of: Feed, **item: object) -> Entry:
    """The only entry of an answer."""
    (only,) = answer(of, {"items": [item]}).entries
    return only


def rule(number: str = "2020-14278", **more: object) -> dict[str, object]:
    """A document as the Federal Register's API shows it, in the fields that are asked for."""
    return {
        "document_number": number,
        "title": "Removal of License Exceptions for Hong Kong  ",
        "type": "Rule",
        "abstract": "The preferential treatment of Hong Kong ends.",
        "publication_date": "2020-07-01",
        "html_url": f"https://fr.example/documents/2020/07/01/{number}/removal",
        "agencies": [
            {"raw_name": "DEPARTMENT OF COMMERCE", "name": "Commerce Department", "id": 54, "parent_id": None},
            {"raw_name": "Bureau of Industry and Security", "name": "Industry and Security Bureau", "parent_id": 54},
            {"raw_name": "Office of the Nameless"},
        ],
        "correction_of": None,
        "effective_on": "2020-07-01",
        "docket_ids": ["Docket No. 200625-0170"],
        **more,
    }


def filing(**more: object) -> dict[str, object]:
    """A document on public inspection."""
    return {
        "document_number": "2020-14278",
        "title": "Removal of License Exceptions for Hong Kong",
        "type": "Rule",
        "filing_type": "special",
        "filed_at": "2020-06-30T16:15:00.000-04:00",
        "publication_date": "2020-07-01",
        "pdf_updated_at": "2020-06-30T15:58:12.000-04:00",
        "editorial_note": None,
        "html_url": "https://fr.example/public-inspection/2020-14278/removal",
        "agencies": [{"name": "Industry and Security Bureau"}],
        "docket_numbers": ["200625-0170"],
        **more,
    }


# ---------------------------------------------------------------- fields


def test_a_document_of_the_federal_register_is_read():
    """Every field of the preset lands where alerts and watchlists look for it."""
    (only,) = answer(REGISTER, {"count": 1, "results": [rule()]}).entries

    assert only == Entry(
        id="2020-14278",
        title="Removal of License Exceptions for Hong Kong",
        link="https://fr.example/documents/2020/07/01/2020-14278/removal",
        published=datetime(2020, 7, 1, 4, 0, tzinfo=UTC),
        published_raw="2020-07-01",
        summary="The preferential treatment of Hong Kong ends.",
        text="Effective on 2020-07-01",
        authors=("Commerce Department", "Industry and Security Bureau"),
        tags=("Rule", "Docket No. 200625-0170"),
    )


def test_a_result_of_a_gov_uk_search_is_read():
    """Its link is a path, which starts from the site."""
    result = {
        "title": "Notice to exporters 2020/09",
        "link": "/government/publications/notice-to-exporters-202009",
        "public_timestamp": "2020-06-30T09:00:00.000+01:00",
        "content_id": "5c8",
        "display_type": "Notice",
        "description": "Hong Kong.",
        "_id": "/x",
    }

    reading = answer(SEARCH, {"results": [result], "total": 230, "start": 0})

    assert reading.entries[0] == Entry(
        id="5c8",
        title="Notice to exporters 2020/09",
        link="https://www.gov.uk/government/publications/notice-to-exporters-202009",
        published=datetime(2020, 6, 30, 8, 0, tzinfo=UTC),
        published_raw="2020-06-30T09:00:00.000+01:00",
        summary="Hong Kong.",
        tags=("Notice",),
    )
    assert reading.next.startswith("https://www.gov.uk/api/search.json?filter_organisations=")
    assert reading.next.endswith("&start=100")


def test_changes_of_one_page_are_read_from_its_history():
    """The content API of GOV.UK: each change note is an entry, with the page's title and link."""
    history = catalogue()["uk-govuk-content-api"]
    feed = Feed(id="x", url="https://www.gov.uk/api/content/guidance/x", issuer="GOV.UK", **history.how)
    notes = [{"public_timestamp": "2020-06-30T09:00:00Z", "note": "Hong Kong added."}, {"note": "First published."}]
    page = {"content_id": "5c8", "title": "Open licences", "base_path": "/guidance/x", "document_type": "guidance"}

    reading = answer(feed, page | {"details": {"change_history": notes}})

    newest, first = reading.entries
    assert (newest.id, newest.title, newest.summary) == (
        "5c8#2020-06-30T09:00:00Z",
        "Open licences",
        "Hong Kong added.",
    )
    assert newest.link == first.link == "https://www.gov.uk/guidance/x"
    assert newest.tags == ("guidance",)
    assert answer(feed, page | {"details": {}}).entries == ()


def test_a_link_is_made_of_a_part_of_it():
    """Some answers hold a number and leave the address to the reader."""
    made = entry(api(link="https://m.example/news/{no}.html"), name="News", no=17)

    assert made.link == "https://m.example/news/17.html"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ftp://m.example/x", "", None, ["https://m.example"], "http://["]
)
def test_what_is_no_address_is_no_link(link: object):
    """Only http and https lead anywhere."""
    assert entry(api(link="url"), name="News", url=link).link == ""


def test_a_date_in_a_declared_format_is_read():
    """In the feed's zone; one that cannot be read stays beside, as it came."""
    feed = msgspec.structs.replace(api(published="when"), dates=("%d/%m/%Y",), timezone="Asia/Hong_Kong")

    assert entry(feed, name="a", when="30/06/2020").published == datetime(2020, 6, 29, 16, 0, tzinfo=UTC)
    assert entry(feed, name="a", when="soon").published is None
    assert entry(feed, name="a", when="soon").published_raw == "soon"


def test_a_title_is_words_on_one_line():
    """Markup, entities and controls are gone, as from any feed."""
    assert entry(api(), name=" <b>Dual&amp;use</b>\n goods\x07 ").title == "Dual&use goods"


def test_several_paths_are_paragraphs_of_one_text():
    """Each is closed in itself: what one leaves open does not take in the next."""
    made = entry(api(text=("a", "b", "Seen {c}")), name="x", a="<p>One<script>", b="Two", c=None)

    assert made.text == "One\n\nTwo"


def test_a_text_is_cut_at_its_limit():
    """Also where it comes in pieces."""
    made = entry(api(text=("a[]",)), name="x", a=["word " * 10_000] * 5)

    assert TEXT - 10 < len(made.text.encode()) <= TEXT


def test_nothing_of_an_answer_acts():
    """Markup is text, a colon and a newline make no header, an address is an address or nothing."""
    made = entry(
        api(id="id", summary=("s",), tags=("t[]",)),
        name="<img src=x onerror=1>A",
        id="a\r\nBcc: x",
        s="<script>x",
        t=["\x1b[2J"],
    )

    assert (made.title, made.id, made.summary, made.tags) == ("A", "a Bcc: x", "", ("[2J",))


# ---------------------------------------------------------------- what counts as the same, and as news


def news(of: Feed, known: Known, *results: dict[str, object]) -> list[tuple[str, str]]:
    """What a poll finds in an answer, by number and kind; it is known from then on."""
    events = detect(answer(of, {"count": len(results), "results": list(results)}), of, known, NOW, baseline=False)
    for event in events:
        known.apply(event)
    names = {StatementPublished: "published", StatementRevised: "revised"}
    return [
        (names[type(event)], event.muted_because)
        for event in events
        if isinstance(event, StatementPublished | StatementRevised)
    ]


def test_a_correction_is_a_statement_of_its_own():
    """It has another number, although title and agencies are those of the document that it corrects."""
    known = Known()
    correction = rule("C1-2020-14278", correction_of="https://fr.example/api/v1/documents/2020-14278")

    assert news(REGISTER, known, rule()) == [("published", "")]
    assert news(REGISTER, known, correction, rule()) == [("published", "")]
    assert "Corrects https://fr.example" in answer(REGISTER, {"results": [correction]}).entries[0].text


def test_a_document_dated_in_the_future_is_scheduled():
    """The next issue is listed before its date; it is news now, with the date that it bears."""
    future = rule(publication_date="2020-07-06")

    assert news(REGISTER, Known(), future) == [("published", "")]
    assert answer(REGISTER, {"results": [future]}).entries[0].published == datetime(2020, 7, 6, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"pdf_updated_at": "2020-06-30T17:20:00.000-04:00"},
        {"editorial_note": "The agency has asked that this document be withdrawn."},
        {"publication_date": "2020-07-02"},
        {"title": "Removal of License Exceptions for Hong Kong and Macau"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_at_the_public_inspection_desk_is_a_revision(change: dict[str, object]):
    """A replaced PDF, a note, and another date of publication; a second look at the same is nothing."""
    known = Known()

    assert news(DESK, known, filing()) == [("published", "")]
    assert news(DESK, known, filing(**change)) == [("revised", "")]
    assert news(DESK, known, filing(**change)) == news(DESK, known, filing()) == []


OTHER = filing(document_number="2020-99999", title="Hours of the reading room")


def test_a_filing_that_lost_its_date_of_publication_was_taken_back():
    """It is not a revision; one seen first without that value is an ordinary entry."""
    known, dateless = Known(), filing(publication_date=None)
    reading = answer(DESK, {"count": 2, "results": [dateless, OTHER]})
    first = detect(reading, DESK, known, NOW, baseline=False)
    news(DESK, known, filing(), OTHER)

    (reason,) = withdrawn(reading, DESK, known).values()

    assert reason == "its feed lists it without publication_date"
    assert news(DESK, known, dateless, OTHER) == []
    assert len(first) == 2
    assert withdrawn(answer(DESK, {"count": 2, "results": [filing(), OTHER]}), DESK, known) == {}


def test_a_field_that_is_gone_from_all_takes_nothing_back():
    """The answer has got another shape, and not all that was filed was withdrawn at once."""
    known = Known()
    news(DESK, known, filing(), OTHER)
    renamed = [{**each, "publication_date": None} for each in (filing(), OTHER)]

    assert withdrawn(answer(DESK, {"count": 2, "results": renamed}), DESK, known) == {}


def test_what_is_not_declared_changes_nothing():
    """A counter of views, or the size of a PDF, is not among a statement's words."""
    known = Known()
    news(DESK, known, filing(page_views={"count": 3}, pdf_file_size=1))

    assert news(DESK, known, filing(page_views={"count": 9}, pdf_file_size=2)) == []


# ---------------------------------------------------------------- answers without entries


@pytest.mark.parametrize(
    "body",
    [
        {"description": "Documents matching 'x'", "count": 0},
        {"count": 0, "results": []},
        {"count": 0, "results": None},
        {"results": []},
    ],
    ids=str,
)
def test_an_answer_of_no_hits_is_empty(body: object):
    """The Federal Register leaves `results` out where there is nothing."""
    reading = answer(REGISTER, body)

    assert (outcome_of(reading), reading.next) == ("ok-empty", "")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"errors": {"conditions": "no such field"}}, 'it answers with an error, {"conditions":"no such field"}'),
        ({"error": "invalid \x1b[31m key"}, "it answers with an error, invalid [31m key"),
        ({"count": 5, "documents": [rule()]}, "without entries at “results”: it holds count, documents"),
        ({"count": True}, "it holds count"),
        ({}, "it holds nothing"),
        ([rule()], "it is a list"),
        ({"results": "none"}, "without entries at “results”"),
        ({"results": ["a", 1, None]}, "something other than objects at “results”"),
        ({"results": [rule() | {"document_number": None}]}, "no id at “document_number”"),
        ({"results": [{"document_number": "1", "headline": "x"}]}, "no title at “title”"),
    ],
    ids=[
        "errors",
        "an error",
        "renamed",
        "no count",
        "nothing",
        "a list",
        "words",
        "no objects",
        "id",
        "title",
    ],
)
def test_an_answer_of_another_shape_is_no_feed(body: object, said: str):
    """The error names what was expected and what was found; a failure is never an empty answer."""
    with pytest.raises(Refused) as refused:
        answer(REGISTER, body)

    assert refused.value.outcome == "not-a-feed"
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"<!doctype html><title>Request Access</title><p>Please complete the CAPTCHA", "blocked"),
        (b"<!doctype html><title>Welcome</title>", "not-a-feed"),
        (b"", "not-a-feed"),
        (b'{"count": 1, "results": [{"document_num', "parse-error"),
        (b'{"results": ' + b"[" * 100_000, "parse-error"),
        (b'{"count": ' + b"1" * 5_000 + b"}", "parse-error"),
    ],
    ids=["a wall", "a page", "nothing", "cut short", "depth", "a number without end"],
)
def test_what_is_no_answer_is_called_so(body: bytes, outcome: str):
    """Whatever its Content-Type."""
    with pytest.raises(Refused) as refused:
        answer(REGISTER, body)

    assert refused.value.outcome == outcome


def test_too_many_entries_are_refused():
    """At the same limit as in any feed."""
    assert len(answer(api(), {"items": [{"name": "x"}] * ITEMS}).entries) == ITEMS
    with pytest.raises(Refused, match="5,000 items") as refused:
        answer(api(), {"items": [{"name": "x"}] * (ITEMS + 1)})

    assert refused.value.outcome == "parse-error"


def test_good_entries_beside_odd_ones_are_kept():
    """An item that is not an object is left out, and one without a number has its link for an id."""
    reading = answer(REGISTER, {"results": ["?", rule(), rule() | {"document_number": ""}]})

    assert [each.id for each in reading.entries] == ["2020-14278", ""]


def test_an_answer_gives_its_next_page():
    """By a path to the address; an empty page is the last, whatever it gives."""
    feed = api(paging=Paging(next="links.next"))
    links = {"links": {"next": "news.json?page=2"}}

    assert answer(feed, {"items": [{"name": "x"}], **links}).next == "https://m.example/api/news.json?page=2"
    assert answer(feed, {"items": [], **links}).next == ""
    assert answer(feed, {"items": [{"name": "x"}], "links": {"next": None}}).next == ""
    assert answer(api(), {"items": [{"name": "x"}], **links}).next == ""


def test_entries_without_their_links_are_told_of():
    """They are statements all the same, and the operator hears that a declared field is in none of them."""
    reading = answer(REGISTER, {"results": [rule(html_url=None)]})

    assert len(reading.entries) == 1
    assert reading.warnings == ("no entry has a link at “html_url”",)


def test_letters_that_had_to_be_guessed_are_a_warning():
    """As in any document."""
    reading = answer(api(), '{"items": [{"name": "Zürich"}]}'.encode("cp1252"))

    assert reading.entries[0].title == "Zürich"
    assert "not UTF-8" in reading.warnings[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["results", "title", "count", "x"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_answer_is_read_or_refused(body: object):
    """Nothing but Refused is raised, whatever the values."""
    reading = Reading(entries=())
    with contextlib.suppress(Refused):
        reading = answer(REGISTER, body)

    assert all(isinstance(each, Entry) for each in reading.entries)
    assert not reading.entries or any(each.title for each in reading.entries)
