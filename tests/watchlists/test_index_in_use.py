"""Does the index answer as each query alone while watchlists come and go between statements?"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import QueryError
from notifier.statement import Statement
from notifier.watchlists.index.index import Index
from notifier.watchlists.watchlist import Watchlist
from tests.watchlists.builders import MANY, statement, watchlist


def index(*watchlists: Watchlist) -> Index:
    made = Index()
    for each in watchlists:
        made.add(each)
    return made


TERMS = st.sampled_from(
    [
        *("alpha", "beta", "gamma", "alphas", "alpha beta", "beta gamma alpha", "alph*", "b?ta", "=Alpha", "=alpha*"),
        *('"beta alpha"~2', '"alpha beta gamma"~1', '"alpha alpha"', "alpha bet* gamma", "=Alpha beta", "al* US"),
        *("good-will", "goodwill", "good will alpha", "re-al*", "F35", "f-35 beta", "a-b-c", "abc", "alpha-beta gamma"),
        *("US", "us", "U.S.", "US alpha", "香港", "香港 alpha", "744.11", "15 CFR 744", "3A090", "organis*", "licence"),
        *('"744.11"~3', '"744.11 alpha"~3', '"744 5.11"~4', "744.11 w/3 alpha"),
        *("title:alpha", "tag:beta", "source:gamma*", "body:(alpha beta)", "added:alpha", "title:US"),
    ]
)
NEAR = st.sampled_from(["w/1", "w/2", "pre/3", "+1", "w/s", "pre/s", "w/p", "+p", "NOT w/1", "NOT w/4"])
GROUPS = st.lists(TERMS, min_size=2, max_size=3).map(lambda terms: f"({' OR '.join(terms)})")
QUERIES = st.recursive(
    st.one_of(TERMS, GROUPS, st.tuples(TERMS | GROUPS, NEAR, TERMS | GROUPS).map(" ".join)),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR", "AND NOT"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        )
        | inner.map(lambda one: f"(NOT ({one}))")
    ),
    max_leaves=6,
)
SAID = (
    *("alpha", "Alpha", "ALPHA", "beta", "betas", "gamma", "good", "will", "goodwill", "good-will", "alpha-beta"),
    *(
        "F-35",
        "F35",
        "US",
        "us",
        "U.S.",
        "香港",
        "re-al",
        "real",
        "stop.",
        "a-b-c",
        "abc",
        "ab-c",
        "a-b",
        "c",
        "(alpha)",
    ),
    *(
        "744.11",
        "744.11(a)",
        "15",
        "CFR",
        "744",
        "5.11",
        "3A090.a",
        "organization",
        "organised",
        "license",
        "licences",
        "—",
    ),
)
TEXTS = st.lists(st.sampled_from([*SAID, "\n\n", "stops!"]), max_size=14).map(" ".join)
STATEMENTS = st.builds(
    lambda title, text, tag: statement(title, text, tags=(tag,)), TEXTS | st.just(""), TEXTS, TEXTS | st.just("")
)
# What happens to an index: a watchlist is added, or taken out, or a statement is held against all.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 7), QUERIES),
        st.tuples(st.just("remove"), st.integers(0, 7), st.just("")),
        STATEMENTS,
    ),
    min_size=2,
    max_size=14,
)


@MANY
@given(STEPS)
def test_the_index_answers_as_each_query_alone(steps: list[tuple[str, int, str] | Statement]):
    """Whatever is watched, added or removed between statements, no match is lost and none is made up."""
    made, held = Index(), dict[tuple[str, str], Watchlist]()
    for step in steps:
        if isinstance(step, Statement):
            fields = step.fields()
            alone = [held[key] for key in sorted(held) if held[key].query.search(fields).matched]
            assert made.matches(step) == alone
        elif step[0] == "add":
            try:
                each = watchlist(step[2], name=f"{step[1]}")
            except QueryError:
                continue
            made.add(each)
            held[each.key] = each
        elif (key := ("desk", f"{step[1]}")) in held:
            made.remove(key)
            del held[key]


@MANY
@given(st.lists(QUERIES, max_size=8), STATEMENTS)
def test_many_added_together_are_as_if_added_one_by_one(queries: list[str], told: Statement):
    """The quick way of taking up many watchlists gives the same answers."""
    lists = []
    for number, written in enumerate(queries):
        with contextlib.suppress(QueryError):
            lists.append(watchlist(written, name=f"{number}"))
    together = Index()
    together.add_all(lists)

    assert together.matches(told) == index(*lists).matches(told)
    for each in lists:
        together.remove(each.key)
    assert (len(together), len(together._leaves)) == (0, 0)
