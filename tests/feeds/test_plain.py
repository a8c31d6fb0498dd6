"""Markup turned to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.feeds.reading.plain import TEXT, cleaned, one_line, tag_of_language, to_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<h2>Hong Kong</h2><p>Status ends.</p>", "Hong Kong\n\nStatus ends."),
        ("<p>One<p>Two", "One\n\nTwo"),
        ("One<p>Two</p>Three<br>four", "One\n\nTwo\n\nThree four"),
        ("<ul><li>One<li>Two</ul>", "One\n\nTwo"),
        ("<table><tr><td>One<td>Two</table>", "One\n\nTwo"),
        ("<p>dual<b>-use</b> goods</p>", "dual-use goods"),
        ("Hong<br>Kong", "Hong Kong"),
        ("<p>One</p>\n\n  <p> two\n three </p>", "One\n\ntwo three"),
    ],
)
def test_blocks_are_apart_and_words_are_not(markup: str, text: str):
    """Blocks are apart by a blank line; what is inline joins as a reader sees it."""
    assert to_text(markup) == text


@pytest.mark.parametrize(
    "text",
    ["Hong Kong – “dual‑use” exports", "a < b and c > d", "R&D at AT&T", "5 <6> 7", "<", "&", "One\n\nTwo", "香港"],
)
def test_text_without_markup_comes_back_as_it_is(text: str):
    """Signs that only look like markup are not taken for it."""
    assert to_text(text) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("China&amp;#39;s list", "China's list"),
        ("items &amp;amp; technology", "items & technology"),
        ("&lt;p&gt;One&lt;/p&gt;&lt;p&gt;Two&lt;/p&gt;", "One\n\nTwo"),
        ("<p>&lt;b&gt;One&lt;/b&gt; two</p>", "One two"),
    ],
)
def test_markup_escaped_twice_is_read(markup: str, text: str):
    """The Federal Register escapes its abstracts twice; readers see words all the same."""
    assert to_text(markup) == text


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>words",
        "<style>p { color: red }</style>words",
        "&lt;script&gt;alert(1)&lt;/script&gt;words",
        "<!-- alert(1) -->words",
        "<svg><text>alert(1)</text></svg>words",
        "<iframe src=//evil.example>alert(1)</iframe>words",
        "<noscript>alert(1)</noscript>words",
        "<img src=x onerror=alert(1)>words",
        "<a href='javascript:alert(1)'>words</a>",
        "<scr\x00ipt>alert(1)</scr\x00ipt>words",
    ],
)
def test_what_a_page_does_not_show_is_no_text(markup: str):
    """Scripts, styles, comments and attributes leave no word behind, and take none with them."""
    assert to_text(markup) == "words"


@pytest.mark.parametrize("levels", [10, 300, 2_000, 100_000])
def test_words_are_found_at_any_depth(levels: int):
    """Nesting loses no word, neither inside nor behind it: words that are not read cannot be matched."""
    markup = f"<p>before</p>{'<div>' * levels}deep{'</div>' * levels}<script>alert(1)</script><p>R&amp;D"

    assert to_text(markup) == "before\n\ndeep\n\nR&D"


def test_a_text_is_cut_at_its_limit_and_not_in_a_character():
    """At most 64 KiB are kept, whole characters only."""
    text = to_text("<p>" + "香" * TEXT)

    assert len(text.encode()) == TEXT - 1
    assert set(text) == {"香"}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [("a\x1b[31mb", "a[31mb"), ("a\r\nb\rc", "a\nb\nc"), ("a\x00\x9bb\ufffec", "abc"), ("a\ud800b", "ab")],
    ids=["terminal", "line ends", "controls", "half a character"],
)
def test_controls_are_left_out(raw: str, kept: str):
    """Terminal controls and noncharacters are removed; all line ends become the same."""
    assert cleaned(raw) == kept


def test_a_title_is_one_line():
    """Line ends in a title would be header lines in a mail."""
    assert one_line("Hong Kong\r\nBcc: a@b.example\n\nbody ") == "Hong Kong Bcc: a@b.example body"
    assert one_line("x" * 2_000) == "x" * 1_000


@pytest.mark.parametrize(
    ("said", "kept"),
    [("en", "en"), (" zh-Hant-HK ", "zh-Hant-HK"), ("en_US", "en_US"), ("en\x1b[31m", ""), ("x" * 36, ""), ("", "")],
)
def test_a_language_is_a_tag_or_nothing(said: str, kept: str):
    """A feed's word on its language goes into messages only where it has the shape of one."""
    assert tag_of_language(said) == kept


@given(st.text(alphabet=st.characters(), max_size=400))
def test_any_text_can_be_read(text: str):
    """Whatever comes: text without controls that can be written as UTF-8, within its limit."""
    read = to_text(text, limit=100)

    assert len(read.encode()) <= 100
    assert cleaned(read) == read


TAGS = [
    "<p>",
    "</p>",
    "<div",
    ">",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<![CDATA[",
    "]]>",
    "<?",
    "<!doctype",
    "&lt;",
]


@given(st.lists(st.sampled_from([*TAGS, "&#xD800;", "&#0;", "&#x110000;", "a", " ", "\x00", "\ud800"]), max_size=30))
def test_any_markup_can_be_read(pieces: list[str]):
    """However broken the markup, nothing is raised and no tag of the first layer is left."""
    read = to_text("".join(pieces))

    read.encode()
    assert "</p>" not in read
