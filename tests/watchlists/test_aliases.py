"""Does the name of a pack stand for its terms, wherever a term may stand and within the bounds of a query?"""

from __future__ import annotations

import pytest

from notifier.errors import QueryError
from notifier.watchlists import expression as ast
from notifier.watchlists.aliases import Pack, built_in
from notifier.watchlists.query import check_term, parse

PACKS = {
    "chips": Pack("chips", 1, ("integrated circuit", "=Chip", '"chip act"~2', "3A090.a")),
    "rules": Pack("rules", 4, ("15 CFR 744",)),
}
CHIPS = '("integrated circuit" OR =Chip OR "chip act"~2 OR 3A090.a)'


def refused(written: str, packs: dict[str, Pack] = PACKS) -> QueryError:
    with pytest.raises(QueryError) as error:
        parse(written, packs)
    return error.value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("@chips", CHIPS[1:-1]),
        ("@Chips AND China", f"{CHIPS} AND China"),
        ("China -@chips", f"China AND NOT {CHIPS}"),
        ("China NOT @chips", f"China AND NOT {CHIPS}"),
        ("China w/5 @chips", f"China w/5 {CHIPS}"),
        ("title:@rules AND x", parse("title:(15 CFR 744) AND x").reading()),
        ("x OR @rules", parse("x OR (15 CFR 744)").reading()),
        ('"@chips"', '"@chips"'),
        ("mail@chips", "mail@chips"),
    ],
)
def test_a_name_is_read_as_its_terms(written: str, read: str):
    """It is an OR of them, with a field, a NOT or a proximity as any group; in quotes it is a word."""
    assert parse(written, PACKS).reading() == read


@pytest.mark.parametrize(
    "written", ["@chips", "x AND (@chips OR y)", "-@rules AND title:@chips w/5 y", "@chips AND @chips"]
)
def test_a_query_outlives_the_packs_that_it_names(written: str):
    """Its text has them written out, and is read as the same where nobody knows of packs."""
    query = parse(written, PACKS)

    assert parse(query.text, {}).expression == query.expression
    assert (query.written, query.said) == (written, written)


def test_a_query_without_packs_is_its_own_text():
    """Nothing is said twice."""
    query = parse("China", PACKS)

    assert (query.text, query.written, query.said) == ("China", "", "China")


def test_a_changed_pack_is_a_changed_query():
    """Watchlists that name it are taken up anew, and the log is told of other subscriptions."""
    before, after = (parse("@chips", {"chips": Pack("chips", 1, terms)}) for terms in [("a",), ("a", "b")])

    assert before != after
    assert before.text != after.text


def test_an_unknown_name_is_refused_with_the_nearest():
    """A mend is a query to copy; where none is near, all that there are are named."""
    near, far = refused("x AND @chip"), refused("@zzz AND y")

    assert (near.code, near.at, near.mend) == ("UNKNOWN_ALIAS", 6, "write x AND @chips")
    assert (far.code, far.at, far.mend) == ("UNKNOWN_ALIAS", 0, "known are @chips, @rules")


def test_no_packs_at_all_is_said_so():
    """There is a mend even then."""
    assert refused("@zzz", {}).mend == "put it in quotes if the word is meant"


BIG = {"big": Pack("big", 1, tuple(f"w{number}" for number in range(150)))}
LONG = {"long": Pack("long", 1, tuple("x" * 90 + str(number) for number in range(90)))}


@pytest.mark.parametrize(
    ("written", "packs", "code", "at"),
    [
        ("@big AND (@big)", BIG, "TOO_MANY_TERMS", 10),
        ("a AND (b OR @big OR " + " OR ".join(f"v{number}" for number in range(60)) + ")", BIG, "TOO_MANY_TERMS", 0),
        ("@long AND @long", LONG, "TOO_LONG", 0),
        ("(" * 50 + "@chips" + ")" * 50, PACKS, "TOO_DEEP", 50),
    ],
    ids=["terms", "terms-after", "bytes", "deep"],
)
def test_the_bounds_hold_with_packs_written_out(written: str, packs: dict[str, Pack], code: str, at: int):
    """Each term of a pack counts, and its parentheses and bytes do too."""
    error = refused(written, packs)

    assert error.code == code
    assert at in {0, error.at}


@pytest.mark.parametrize("name", built_in())
def test_our_packs_hold_terms_alone(name: str):
    """Every term of ours can be read, none stands twice, and each pack says what it is about."""
    pack = built_in()[name]

    for term in pack.terms:
        check_term(term)
    assert len(set(pack.terms)) == len(pack.terms)
    assert pack.about
    assert pack.version >= 1
    assert isinstance(parse(f"@{name}").expression, ast.Or)


@pytest.mark.parametrize(
    "term", ["a OR b", "a NOT b", "(a)", "title:a", "@chips", '"a', "", "a w/5 b", "-a AND b", "us*"]
)
def test_what_is_no_single_term_is_no_part_of_a_pack(term: str):
    """Operators, fields and other packs stay outside: there is nothing in a pack to go in circles."""
    with pytest.raises(QueryError):
        check_term(term)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hong-kong", "The HKSAR government said"),
        ("hong-kong", "取消香港特殊待遇"),
        ("hong-kong", "в Гонконге"),
        ("hong-kong", "Hongkongs Autonomie"),
        ("hong-kong", "le statut de Hong-Kong"),
        ("dual-use", "Güter mit doppeltem Verwendungszweck"),
        ("dual-use", "biens à double usage"),
        ("dual-use", "productos de doble uso"),
        ("dual-use", "товаров двойного назначения"),
        ("dual-use", "السلع ذات الاستخدام المزدوج"),
        ("dual-use", "两用物项出口管制条例"),
        ("dual-use", "デュアルユース技術"),
        ("dual-use", "Dual-Use-Güter"),
        ("export-control", "contrôles à l’exportation"),
        ("export-control", "Ausfuhrkontrollen"),
        ("sanctions", "санкций"),
        ("north-korea", "朝鲜"),
        ("russia", "российских компаний"),
        ("iran", "ايران"),
    ],
)
def test_a_pack_finds_its_thing_in_every_language(name: str, text: str):
    """As it is written by governments, with the endings of their languages."""
    assert parse(f"@{name}").search({"body": text}).matched


@pytest.mark.parametrize(
    ("name", "text"), [("hong-kong", "King Kong"), ("cuba", "куб стали"), ("dual-use", "dual carriageway use")]
)
def test_a_pack_finds_nothing_beside_it(name: str, text: str):
    """Words that only look alike are left alone."""
    assert not parse(f"@{name}").search({"body": text}).matched
