"""Does the index answer as if every watchlist were asked alone?"""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier.errors import QueryError
from notifier.statement import Statement
from notifier.watchlists import query
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist
from tests.watchlists import reference
from tests.watchlists.builders import EVEN_MORE, MANY, statement, watchlist


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
    assert len(made) == 0
    assert len(made._leaves) == 0


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


# ---------------------------------------------------------------- against the definition, by trying everything

TERMS = st.sampled_from(
    [
        *("alpha", "beta", "gamma", "alphas", "alpha beta", "beta alpha beta", "alph*", "b?ta", "=Alpha", "=alpha"),
        *('"beta alpha"~2', '"alph* alpha"~1', '"US beta"~3', "alpha alph*", "beta =Alpha gamma", "alph* b?ta"),
        *("good-will", "goodwill", "good will", "re-al*", "real*", "F35", "f-35 beta", "a-b-c", "ab c", "a-bc", "abc*"),
        *("US", "us", "U.S.", "US beta", "us alpha", "who US", "US-beta", "=US", "IT us who", "香港", "港 beta"),
        *("title:alpha", "body:alpha beta", "tag:beta", "source:ministr*", "title:(beta alpha)", "summary:US"),
        "alpha beta gamma alpha beta gamma alpha beta gamma alpha",
    ]
)
SIGNS = st.sampled_from(["w/1", "w/2", "pre/3", "pre/1", "w/s", "pre/s", "w/p", "NOT w/1", "NOT w/3"])
OPERANDS = st.one_of(TERMS, st.tuples(TERMS, TERMS).map(lambda two: f"({two[0]} OR {two[1]})"))
QUERIES = st.recursive(
    st.one_of(TERMS, st.tuples(OPERANDS, SIGNS, OPERANDS).map(" ".join)),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR", "AND NOT"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        )
        | inner.map(lambda one: f"(NOT ({one}))")
    ),
    max_leaves=6,
)
SAID = (
    *("alpha", "Alpha", "beta", "betas", "gamma", "good", "will", "goodwill", "good-will", "alpha-beta", "abc-abcd"),
    *("F-35", "F35", "US", "us", "U.S.", "US-beta", "us-beta", "who", "it", "香港", "re-al", "real", "stop.", "a-bc"),
    *("a-b-c", "ab-c", "abc", "c", "Alpha,", "beta’s"),
)
TEXTS = st.lists(st.sampled_from([*SAID, "\n\n"]), max_size=12).map(" ".join)
STATEMENTS = st.builds(
    lambda title, text, summary, tag: statement(title, text, summary=summary, tags=(tag,)), *[TEXTS] * 4
)


def readable(queries: list[str]) -> list[Watchlist]:
    lists = []
    for number, written in enumerate(queries):
        with contextlib.suppress(QueryError):
            lists.append(watchlist(written, name=f"{number:02}"))
    return lists


@EVEN_MORE
@given(st.lists(QUERIES, min_size=1, max_size=6), STATEMENTS)
def test_index_search_and_definition_agree(queries: list[str], told: Statement):
    """The verdict is the same by all three, and so is every span that is shown."""
    lists = readable(queries)
    assume(lists)

    defined = {each.name: reference.verdict(each.query.expression, told.fields()) for each in lists}

    searched = {each.name: each.query.search(told.fields()) for each in lists}
    assert {name: (said.matched, said.spans) for name, said in searched.items()} == defined
    assert [each.name for each in index(*lists).matches(told)] == [name for name, said in defined.items() if said[0]]


@MANY
@given(
    st.lists(QUERIES, min_size=1, max_size=8),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 7)), max_size=25),
    st.lists(STATEMENTS, min_size=1, max_size=2),
    st.integers(0, 8),
)
def test_adds_and_removes_in_any_order(
    queries: list[str], changes: list[tuple[bool, int, int]], told: list[Statement], at_first: int
):
    """Whatever was added, changed and removed while matching went on, those in force are found and no others."""
    lists = readable(queries)
    assume(lists)
    model = {each.key: each for each in lists[:at_first]}
    made = Index()
    made.add_all(model.values())

    for add, who, which in changes:
        one = msgspec.structs.replace(lists[which % len(lists)], subscriber=f"d{who}")
        if add:
            made.add(one)
            model[one.key] = one
        elif one.key in model:
            made.remove(one.key)
            del model[one.key]
        for each in told:
            alone = [model[key] for key in sorted(model) if model[key].query.search(each.fields()).matched]
            assert made.matches(each) == alone

    for key in list(model):
        made.remove(key)
    assert (len(made), len(made._leaves)) == (0, 0)
