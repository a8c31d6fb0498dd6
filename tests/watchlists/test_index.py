"""Does the index answer as if every watchlist were asked alone?"""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier.errors import QueryError
from notifier.statement import Statement
from notifier.watchlists import query
from notifier.watchlists.index import Index, clues
from notifier.watchlists.query import parse
from notifier.watchlists.watchlist import Watchlist
from tests.watchlists.builders import MANY, statement, watchlist


def index(*watchlists: Watchlist) -> Index:
    made = Index()
    for each in watchlists:
        made.add(each)
    return made


def found(index: Index, statement: Statement) -> list[str]:
    return ["/".join(watchlist.key) for watchlist in index.matches(statement)]


def test_matches_come_by_subscriber_and_name():
    """However they were added, the order is the same: a replay raises the same alerts."""
    lists = [watchlist("exports", who, name) for who, name in [("b", "x"), ("a", "y"), ("a", "x"), ("a-b", "a")]]

    assert found(index(*lists), statement("Exports")) == ["a/x", "a/y", "a-b/a", "b/x"]
    assert found(index(*reversed(lists)), statement("Exports")) == ["a/x", "a/y", "a-b/a", "b/x"]


def test_only_what_matches_is_found():
    """Title, summary and text are searched, and metadata where a query names it."""
    made = index(
        watchlist("exports", name="title"),
        watchlist("imports", name="text"),
        watchlist("tariffs", name="summary"),
        watchlist("issuer:commerce", name="issuer"),
        watchlist("tag:china", name="tag"),
        watchlist("china", name="no"),
    )

    told = statement("Exports", "Imports", summary="Tariffs", tags=("China",))

    assert found(made, told) == ["desk/issuer", "desk/summary", "desk/tag", "desk/text", "desk/title"]


def test_feeds_and_issuers_narrow():
    """The same query may be asked of different feeds."""
    made = index(
        watchlist("exports", name="all"),
        watchlist("exports", name="feed", feeds=("us-*",)),
        watchlist("exports", name="other-feed", feeds=("eu-*",)),
        watchlist("exports", name="issuer", issuers=("us department of commerce",)),
        watchlist("exports", name="other-issuer", issuers=("BIS",)),
    )

    assert found(made, statement("Exports")) == ["desk/all", "desk/feed", "desk/issuer"]


def test_what_is_removed_is_not_found():
    """Others with the same query stay, and once the last is gone nothing of it is left behind."""
    made = index(watchlist("exports OR tag:x", "a"), watchlist("exports OR tag:x", "b"), watchlist("exp*", "c"))

    made.remove(("a", "Exports"))
    assert found(made, statement("Exports")) == ["b/Exports", "c/Exports"]
    made.remove(("b", "Exports"))
    made.remove(("c", "Exports"))

    assert found(made, statement("Exports")) == []
    empty = vars(Index())
    assert {name: value for name, value in vars(made).items() if value != empty[name]} == {}


def test_a_watchlist_takes_the_place_of_one_of_its_name():
    """A changed query holds from the next statement on, and the old one no longer."""
    made = index(watchlist("exports"), watchlist("imports"))

    assert found(made, statement("Exports")) == []
    assert found(made, statement("Imports")) == ["desk/Exports"]


def test_removing_what_is_not_there_is_loud():
    """A caller that has lost count finds out at once."""
    with pytest.raises(KeyError):
        index().remove(("desk", "Exports"))


def test_the_version_is_that_of_matching():
    """Alerts say by which rules they were raised."""
    assert Index().version == query.version()


def test_one_query_is_asked_once(monkeypatch: pytest.MonkeyPatch):
    """A thousand subscribers with the same words cost one evaluation, and those with others none."""
    asked = []
    held = "notifier.watchlists.index.holds"
    monkeypatch.setattr(held, lambda expression, text: asked.append(expression) or True)
    made = index(*(watchlist("exports", f"d{n}") for n in range(9)), watchlist("imports", "x"))

    assert len(made.matches(statement("Exports"))) == 9
    assert asked == [parse("exports").expression]


CLUES = [
    ("exports", {("", "export")}),
    ("the regulation", {("", "regulation")}),
    ("title:exports", {("title", "export")}),
    ("a AND regulation", {("", "regulation")}),
    ("a OR b", {("", "a"), ("", "b")}),
    ("(a OR b) AND c", {("", "c")}),
    ("a w/5 regulation", {("", "regulation")}),
    ("a NOT w/5 regulation", {("", "a")}),
    ("a NOT regulation", {("", "a")}),
    ("good-will", {("", "good"), ("", "goodwill")}),
    ("regul* law", {("", "law")}),
    ("=Polish", {("", "polish")}),
    ("regul*", None),
    ("a OR regul*", None),
    ("re-export*", None),
    ("NOT (NOT a)", None),
]


@pytest.mark.parametrize(("written", "wanted"), CLUES, ids=[written for written, _ in CLUES])
def test_a_clue_is_what_a_query_cannot_do_without(written: str, wanted: set[tuple[str, str]] | None):
    """The fewest words, and the longest of them; none where any text may match."""
    assert clues(parse(written).expression) == wanted


TERMS = st.sampled_from(
    [
        *("alpha", "beta", "gamma", "alphas", "alpha beta", "alph*", "b?ta", "=Alpha", '"beta alpha"~2'),
        *("good-will", "goodwill", "re-al*", "F35", "f-35 beta", "US", "us", "U.S.", "香港"),
        *("title:alpha", "tag:beta", "source:gamma*"),
    ]
)
QUERIES = st.recursive(
    st.one_of(
        TERMS,
        st.tuples(TERMS, st.sampled_from(["w/2", "pre/3", "w/s", "NOT w/1"]), TERMS).map(" ".join),
    ),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR", "AND NOT"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        )
        | inner.map(lambda one: f"(NOT ({one}))")
    ),
    max_leaves=5,
)
SAID = (
    *("alpha", "Alpha", "beta", "betas", "gamma", "good", "will", "goodwill", "good-will"),
    *("F-35", "F35", "US", "us", "U.S.", "香港", "re-al", "real", "stop."),
)
TEXTS = st.lists(st.sampled_from([*SAID, "\n\n"]), max_size=10).map(" ".join)


@pytest.mark.long
@MANY
@given(st.lists(QUERIES, min_size=1, max_size=8), TEXTS, TEXTS, TEXTS, st.sets(st.integers(0, 7)))
def test_the_index_answers_as_each_query_alone(queries: list[str], title: str, text: str, tag: str, removed: set[int]):
    """Whatever is watched, added or removed, no match is lost and none is made up."""
    lists = []
    for number, written in enumerate(queries):
        try:
            lists.append(watchlist(written, name=f"{number}"))
        except QueryError:
            continue
    assume(lists)
    made, told = index(*lists), statement(title, text, tags=(tag,))
    gone = [each for number, each in enumerate(lists) if number in removed]
    for each in gone:
        made.remove(each.key)

    alone = [each for each in lists if each not in gone and each.query.search(told.fields()).matched]

    assert made.matches(told) == alone
