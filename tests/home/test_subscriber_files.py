"""Are subscribers' files read all or nothing, and does each mistake name file, line and mend?"""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from notifier.errors import Misconfigured
from notifier.feeds.feed import Feed
from notifier.home import packaged_data as shipped
from notifier.home import subscriber_files as subscriptions
from notifier.home.subscriber_files import Subscriptions
from notifier.home.subscriber_tables import schema
from notifier.subscribers.timing import Timing

FEEDS = [
    Feed(id="us-bis-rules", url="https://bis.example/rss", issuer="US Bureau of Industry and Security"),
    Feed(id="us-ustr", url="https://ustr.example/rss", issuer="US Trade Representative"),
    Feed(id="no-regjeringen", url="https://no.example/rss", issuer="Norwegian Government", country="NO"),
]

DESK = """\
name = "Hong Kong desk"
timezone = "Asia/Hong_Kong"
frequency = "immediately"

[[watchlist]]
name = "Exports"
query = '"Hong Kong" AND "dual-use"'
feeds = ["us-bis-*"]

[[watchlist]]
name = "Norway"
query = "NO OR on OR 1260"
issuers = ["Norwegian Government"]

[[channel]]
email = "desk@example.com"

[[channel]]
slack = "${HK_SLACK}"

[[channel]]
name = "night"
email = "night@example.com"
"""
HOOK = "https://hooks.example/services/T0/B0/zq4t"


def refusal(kind: str, address: str) -> str:
    """As channels answer: an address needs an @, a webhook https, and of consoles there is one."""
    fits = {
        "email": "@" in address,
        "slack": address.startswith("https://"),
        "webhook": "whsec_" in address,
        "console": address == "stdout",
    }
    return "" if fits[kind] else f"this is no address for {kind}"


def load(home: Path, **files: str | bytes) -> Subscriptions:
    folder = home / "subscriptions"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / f"{name.replace('_', '-')}.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return subscriptions.load(folder, {"HK_SLACK": HOOK}, feeds=FEEDS, refusal=refusal)


def mistakes(home: Path, **files: str | bytes) -> list[str]:
    with pytest.raises(Misconfigured) as error:
        load(home, **files)
    return [str(mistake) for mistake in error.value.mistakes]


def desk(watchlist: str = "", channel: str = "", top: str = "") -> str:
    """A file that is right but for what is put into it; its watchlist begins in line 2, its channel in line 6."""
    lists = watchlist or "name = 'Exports'\nquery = 'exports'\n"
    ways = channel or 'console = "stdout"'
    return f"{top}\n[[watchlist]]\n{lists}\n[[channel]]\n{ways}\n"


def test_a_file_is_taken_as_written(tmp_path: Path):
    """Who, what is watched where, and how to reach them; the file's name is the subscriber's id."""
    found = load(tmp_path, hong_kong_desk=DESK).subscribers["hong-kong-desk"]

    assert (found.id, found.name, found.timezone, found.timing.frequency) == (
        "hong-kong-desk",
        "Hong Kong desk",
        "Asia/Hong_Kong",
        "immediately",
    )
    assert [(each.subscriber, each.name, each.query.text) for each in found.watchlists] == [
        ("hong-kong-desk", "Exports", '"Hong Kong" AND "dual-use"'),
        ("hong-kong-desk", "Norway", "NO OR on OR 1260"),
    ]
    assert [(each.feeds, each.issuers) for each in found.watchlists] == [
        (("us-bis-*",), ()),
        ((), ("Norwegian Government",)),
    ]
    assert [(each.name, each.kind, each.address.reveal()) for each in found.channels] == [
        ("email", "email", "desk@example.com"),
        ("slack", "slack", HOOK),
        ("night", "email", "night@example.com"),
    ]


def test_when_somebody_wants_to_be_told_is_taken_as_written(tmp_path: Path):
    """Times are of his own zone; a watchlist without a frequency has the subscriber's."""
    top = """timezone = "Asia/Hong_Kong"
frequency = "weekly"
digest_at = "7:30"
digest_on = "friday"
quiet_hours = "22:00 – 07:00"
empty_digests = true
"""
    lists = """name = "Slow"
query = "slow"
[[watchlist]]
name = "Daily"
query = "daily"
frequency = "daily"
[[watchlist]]
name = "Fast"
query = "fast"
urgent = true
"""

    found = load(tmp_path, desk=desk(lists, top=top)).subscribers["desk"]

    assert found.timing == Timing(
        timezone="Asia/Hong_Kong",
        frequency="weekly",
        apart=("daily",),
        digest_at=time(7, 30),
        digest_on=4,
        quiet_from=time(22),
        quiet_until=time(7),
        empty_digests=True,
    )
    assert [(wish.frequency, wish.urgent) for wish in found.watchlists] == [
        ("weekly", False),
        ("daily", False),
        ("weekly", True),
    ]


@pytest.mark.parametrize("dash", ["-", "–", "—", " - "])
def test_quiet_hours_take_any_dash(tmp_path: Path, dash: str):
    """Editors and telephones make one of another."""
    timing = load(tmp_path, desk=desk(top=f"quiet_hours = '9:05{dash}17:00'")).subscribers["desk"].timing

    assert (timing.quiet_from, timing.quiet_until) == (time(9, 5), time(17))


@pytest.mark.parametrize(
    ("top", "line", "words"),
    [
        ("digest_at = '09:00'", 1, "digest_at has no effect without a digest; set frequency to daily or weekly"),
        ("frequency = 'daily'\ndigest_on = 'friday'", 2, "digest_on has no effect"),
        ("empty_digests = true", 1, "empty_digests has no effect"),
        ("frequency = 'daily'\nquiet_hours = '22:00-09:00'", 2, "the digest of 08:00 falls into the quiet hours"),
        ("frequency = 'daily'\ndigest_at = '23:00'\nquiet_hours = '22:00-09:00'", 2, "the digest of 23:00"),
    ],
)
def test_what_has_no_effect_is_warned_of(tmp_path: Path, top: str, line: int, words: str):
    """A key about digests that cannot be about any, and a digest in the quiet hours, may not be meant."""
    (warning,) = load(tmp_path, desk=desk(top=top)).warnings

    assert warning.startswith(f"subscriptions/desk.toml, line {line}: {words}")


@pytest.mark.parametrize(
    "other",
    [
        {"top": "frequency = 'daily'"},
        {"top": "quiet_hours = '22:00-07:00'"},
        {"watchlist": "name = 'Exports'\nquery = 'exports'\nurgent = true\n"},
        {"watchlist": "name = 'Exports'\nquery = 'exports'\nfrequency = 'daily'\n"},
    ],
)
def test_another_time_is_another_digest(tmp_path: Path, other: dict[str, str]):
    """The log hears of it when somebody wants to be told at other times."""
    assert load(tmp_path, desk=desk()).digest != load(tmp_path, desk=desk(**other)).digest


def test_a_webhook_has_its_keys_with_it(tmp_path: Path):
    """Both come from the environment, and are as secret as the URL; who has no use for keys is told."""
    hook = desk(channel='webhook = "${HK_SLACK}"\nsecrets = ["${HK_KEY}", "whsec_old"]')
    folder = tmp_path / "subscriptions"
    folder.mkdir()
    (folder / "desk.toml").write_text(hook)
    environ = {"HK_SLACK": HOOK, "HK_KEY": "whsec_new"}

    found = subscriptions.load(folder, environ, feeds=FEEDS, refusal=refusal)
    unset = mistakes(tmp_path, desk=hook)
    useless = mistakes(tmp_path, desk=desk(channel='email = "a@example.com"\nsecrets = ["whsec_new"]'))

    (channel,) = found.subscribers["desk"].channels
    assert channel.address.reveal() == f"{HOOK} whsec_new whsec_old"
    assert "whsec" not in f"{found!r} {unset} {useless}"
    assert "the variable HK_KEY is not set" in unset[0]
    assert "line 8: nothing is signed on a channel of kind email" in useless[0]


def test_little_is_enough(tmp_path: Path):
    """A watchlist and a channel make a subscriber; the zone is the operator's, the name the file's."""
    folder = tmp_path / "subscriptions"
    folder.mkdir()
    (folder / "desk.toml").write_text(desk())

    found = subscriptions.load(folder, {}, feeds=FEEDS, refusal=refusal, timezone="Asia/Tokyo").subscribers["desk"]

    assert (found.name, found.timezone, found.timing.frequency) == ("desk", "Asia/Tokyo", "immediately")


def test_one_wrong_file_changes_nothing(tmp_path: Path):
    """Beside a mistake in one file, the good ones are not taken up either."""
    wrong = desk(channel='slak = "https://hooks.example/T0/SECRET"')

    assert mistakes(tmp_path, good=DESK, wrong=wrong) == [
        'subscriptions/wrong.toml, line 7: no channel "slak"; did you mean "slack"?'
    ]


def test_all_mistakes_in_all_files_are_told_at_once(tmp_path: Path):
    """The operator mends everything in one go: the mistakes come in the order of files and lines."""
    first = desk(top='nmae = "Desk"', watchlist="name = 'Exports'\n", channel="")
    second = desk(top='timezone = "Asia/Hongkong"', watchlist="name = 'X'\nquery = '\"open'\n")

    found = mistakes(tmp_path, b=second, a=first)

    assert found == [
        'subscriptions/a.toml, line 1: no key "nmae"; did you mean "name"?',
        'subscriptions/a.toml, line 2: "query" is missing in [[watchlist]]; add query = …',
        'subscriptions/b.toml, line 1: "timezone" is not a time zone: "Asia/Hongkong"; did you mean "Asia/Hong_Kong"?',
        found[3],
    ]
    assert found[3].startswith("subscriptions/b.toml, line 4: ")


def test_a_mistake_in_the_shape_hides_no_other(tmp_path: Path):
    """A key that is not known, or a value of another type, leaves the times and queries beside it to be read."""
    wrong = desk(
        top="frequency = 'dayly'\nquiet_hours = '22-7'\ndigest_at = '25:00'\ntimezone = 'Europe/Londn'",
        watchlist="name = 'N'\nquery = '\"open'\nurgent = 'yes'\n",
    )

    found = mistakes(tmp_path, desk=wrong)

    assert [told.partition(": ")[0][-1] for told in found] == ["1", "2", "3", "4", "7", "8"]


MISTAKES = [
    (desk(watchlist="name = 'N'\nquery = '\"open'\n"), 4, "of the query"),
    (desk(watchlist="name = 'N'\nquery = ''\n"), 4, '"query" must not be empty'),
    (desk(watchlist="name = ' '\nquery = 'x'\n"), 2, "1 to 64 letters"),
    (desk(watchlist="name = 'N'\nquery = 'x'\nfeeds = ['us-ustr', 'us-bsi-rules']\n"), 5, '"us-bis-rules"?'),
    (desk(watchlist="name = 'N'\nquery = 'x'\nfeeds = ['un-press']\n"), 5, "add it under [feeds]"),
    (desk(watchlist="name = 'N'\nquery = 'x'\nissuers = ['Norwegian Goverment']\n"), 5, "Norwegian Government"),
    (desk(watchlist="name = 'N'\nquery = 'x'\nissuer = ['y']\n"), 5, 'did you mean "issuers"?'),
    (desk(watchlist="name = 'N'\nquery = [1260, 2020-06-30]\n"), 4, '"query" must be text in "quotes"'),
    (desk(watchlist="name = 'N'\nquery = 2020-06-30\n"), 4, '"query" must be text in "quotes"'),
    (desk(watchlist="name = 'N'\nquery = 5e2\n"), 4, '"query" must be text in "quotes"'),
    (desk(watchlist="name = 'N'\nquery = true\n"), 4, '"query" must be text in "quotes"'),
    (desk(watchlist="name = 'N'\nquery = NO\n"), 4, 'text goes in "quotes"'),
    (desk(watchlist="name = 'N'\nquery = 'x'\nfeeds = [\n'us-ustr', 7]\n"), 6, "must hold nothing but text"),
    (desk(watchlist="name = 'N'\nquery = 'x'\nfeeds = 'us-ustr'\n"), 5, "a list in [brackets]"),
    (
        desk(watchlist="name='N'\nquery='x'\nfeeds=['us-ustr']\nissuers=['Norwegian Government']\n"),
        2,
        "none of these issuers publishes",
    ),
    (desk(watchlist="name='N'\nquery='x'\n[[watchlist]]\nname='N'\nquery='y'\n"), 5, "a second watchlist"),
    (desk(top="frequency = 'sometimes'"), 1, "known are: immediately, hourly, daily, weekly"),
    (desk(top="frequency = 'dayly'"), 1, 'did you mean "daily"?'),
    (desk(watchlist="name = 'N'\nquery = 'x'\nfrequency = 'hourli'\n"), 5, 'did you mean "hourly"?'),
    (desk(watchlist="name = 'N'\nquery = 'x'\nurgnt = true\n"), 5, 'did you mean "urgent"?'),
    (desk(watchlist="name = 'N'\nquery = 'x'\nurgent = 'yes'\n"), 5, "must be true or false"),
    (desk(watchlist="name = 'N'\nquery = 'x'\nurgent = true\nfrequency = 'daily'\n"), 6, "an urgent watchlist is sent"),
    (desk(top="digest_at = '8'"), 1, 'is not a time of day; write it as "08:00"'),
    (desk(top="digest_at = '24:00'"), 1, "is not a time of day"),
    (desk(top="digest_at = 08:00:00"), 1, '"digest_at" must be text in "quotes"'),
    (desk(top="digest_on = 'Monday'"), 1, 'did you mean "monday"?'),
    (desk(top="quiet_hours = '22-7'"), 1, 'are not quiet hours; write them as "22:00-07:00"'),
    (desk(top="quiet_hours = '22:00-22:00'"), 1, "would be the whole day or none of it"),
    (desk(top="empty_digest = true"), 1, 'did you mean "empty_digests"?'),
    (desk(top="timezone = 'Asia'"), 1, "is not a time zone"),
    (desk(top="timezone = '../../etc/passwd'"), 1, "is not a time zone"),
    (desk(channel="email = 'nobody'"), 7, "this is no address for email"),
    (desk(channel="slack = '${UNSET}'"), 7, "the variable UNSET is not set; set it"),
    (
        desk(channel="name = 'x'"),
        6,
        "this channel has no address; set one of email, slack, teams, discord",
    ),
    (desk(channel="console = true"), 7, '"console" must be text in "quotes"'),
    (desk(channel="email = 'a@x.example'\nconsole = 'stdout'"), 6, "email and console in one channel"),
    (desk(channel="email = 'a@x.example'\nname = 'a@x.example'"), 8, "keep addresses out of it"),
    (desk(channel="console = 'stdout'\n[[channel]]\nconsole = 'stdout'\nname = 'b'"), 9, "the same address"),
    (desk(channel="email='a@x.example'\n[[channel]]\nemail='b@x.example'"), 8, "a second channel is called"),
    ("[[watchlist]]\nname = 'N'\nquery = 'x'\n", 0, '"channel" is missing; add [[channel]]'),
    ("[[channel]]\nconsole = 'stdout'\n", 0, '"watchlist" is missing; add [[watchlist]]'),
    ("watchlist = []\nchannel = []\n", 1, "nothing is watched"),
    ("watchlist = 'x'\nchannel = 1\n", 1, '"watchlist" must be a list of tables; write it as [[watchlist]]'),
    ("[watchlist]\nname = 'N'\nquery = 'x'\n[[channel]]\nconsole = 'stdout'\n", 1, "write it as [[watchlist]]"),
    ("", 0, "is missing"),
    ("name = 1\nname = 2\n", 2, "a second time"),
    (b"\xef\xbb\xbf" + desk().encode(), 1, "byte order mark"),
    (desk(top="# caf\xe9").encode("latin-1"), 1, "not UTF-8"),
    (desk(top="# \x00"), 1, "control character"),
    (desk(top="# " + "x" * 65_536), 0, "over 64 KiB"),
    (desk(top=f"name = {'[' * 5000}"), 1, "deep"),
]


@pytest.mark.parametrize(("content", "line", "words"), MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_a_mistake_names_its_line_and_the_mend(tmp_path: Path, content: str | bytes, line: int, words: str):
    """Whatever is wrong with a file, its first mistake says where, what, and what to write instead."""
    told = mistakes(tmp_path, desk=content)[0]

    assert told.startswith(f"subscriptions/desk.toml, line {line}: " if line else "subscriptions/desk.toml: ")
    assert words in told


def test_a_country_is_not_a_verdict(tmp_path: Path):
    """Unquoted words that other formats read as yes and no are refused, quoted ones are words."""
    bare = desk(watchlist="name = 'Nordic'\nquery = 'x'\nissuers = [NO, on, 1260, 2020-06-30]\n")
    quoted = desk(watchlist="name = 'Nordic'\nquery = 'NO'\n")

    assert "line 5" in mistakes(tmp_path, desk=bare)[0]
    assert load(tmp_path, desk=quoted).subscribers["desk"].watchlists[0].query.text == "NO"


def test_a_misspelt_key_stops_its_neighbours_too(tmp_path: Path):
    """A watchlist that would silently watch nothing keeps the whole folder from being taken up."""
    typo = desk(watchlist='name = "Hong Kong"\nquerry = "Hong Kong"\n')

    assert mistakes(tmp_path, a=typo, b=desk()) == [
        'subscriptions/a.toml, line 2: "query" is missing in [[watchlist]]; add query = …',
        'subscriptions/a.toml, line 4: no key "querry"; did you mean "query"?',
    ]


@pytest.mark.parametrize("name", ["Desk", "desk desk", "-desk", "d" * 65, "desk@example.com", "débat"])
def test_a_files_name_must_do_as_an_id(tmp_path: Path, name: str):
    """What goes into the log as a subscriber's id is plain, short and no address, also in the message that says so."""
    (told,) = mistakes(tmp_path, **{name: desk()})

    assert "the subscriber's id in the log" in told
    assert "@example" not in told


def test_addresses_stay_out_of_messages_and_prints(tmp_path: Path):
    """No mistake, no print and no digest holds an address or a webhook."""
    twice = desk(channel=f'slack = "{HOOK}"\n[[channel]]\nemail = "desk@example.com"\nslack = "{HOOK}"')

    good = load(tmp_path, desk=DESK)
    told = mistakes(tmp_path, desk=twice, other=desk(channel='"desk@example.com" = "email"'))

    assert len(told) == 2
    assert not [word for word in (HOOK, "zq4t", "desk@") if word in f"{good} {good!r} {told}"]


def test_the_digest_tells_what_is_watched_apart_and_not_where_it_goes(tmp_path: Path):
    """Another query is another digest; another address is the same, so nobody can guess one by trying."""
    one = load(tmp_path, desk=desk(channel="email = 'a@example.com'")).digest
    other_address = load(tmp_path, desk=desk(channel="email = 'b@example.com'")).digest
    other_query = load(tmp_path, desk=desk(watchlist="name = 'Exports'\nquery = 'imports'\n")).digest

    assert one == other_address
    assert one != other_query
    assert one != Subscriptions.none().digest


def test_no_files_are_no_subscribers_and_a_warning(tmp_path: Path):
    """A home that nobody has subscribed to yet runs, and says that nobody is told of anything."""
    empty = load(tmp_path)
    missing = subscriptions.load(tmp_path / "nowhere", {}, feeds=FEEDS, refusal=refusal)

    assert empty.subscribers == missing.subscribers == {}
    assert empty.warnings == ("subscriptions/ has no subscriber's file, so nobody gets alerts",)
    assert missing.digest == Subscriptions.none().digest


def test_what_editors_leave_behind_is_passed_over(tmp_path: Path):
    """Backups and swap files are no subscribers; a file in another format is, perhaps, and is warned of."""
    folder = tmp_path / "subscriptions"
    folder.mkdir()
    for name in (".desk.toml.swp", ".#desk.toml", "#desk.toml#", "desk.toml~", "README.md", "desk.yaml"):
        (folder / name).write_text("no TOML")

    found = load(tmp_path, desk=desk())

    assert list(found.subscribers) == ["desk"]
    assert found.warnings == ("subscriptions/desk.yaml is ignored: a subscriber's file ends in .toml",)


def test_a_folder_in_place_of_a_file_is_a_mistake(tmp_path: Path):
    """What looks like a subscriber's file and cannot be opened as one is told, not skipped."""
    (tmp_path / "subscriptions" / "desk.toml").mkdir(parents=True)

    assert mistakes(tmp_path) == ["subscriptions/desk.toml: this file cannot be read: Is a directory"]


def test_a_change_of_files_changes_the_stamp(tmp_path: Path):
    """A new file, a changed one, one put in another's place and a removed one are seen; looking again is no change."""
    folder = tmp_path / "subscriptions"
    load(tmp_path, desk=desk())
    seen = [subscriptions.stamp(folder), subscriptions.stamp(folder)]
    load(tmp_path, other=desk())
    seen.append(subscriptions.stamp(folder))
    load(tmp_path, other=desk(top="# longer"))
    seen.append(subscriptions.stamp(folder))
    (tmp_path / "new").write_text(desk(top="# longer"))
    (tmp_path / "new").rename(folder / "other.toml")
    seen.append(subscriptions.stamp(folder))
    (folder / "other.toml").unlink()
    seen.append(subscriptions.stamp(folder))

    assert seen[0] == seen[1] == seen[5]
    assert len({*seen}) == 4
    assert subscriptions.stamp(tmp_path / "nowhere") == ()


def test_the_examples_run():
    """What comes with the notifier is right as it stands, with no secret set and no feed chosen."""
    found = subscriptions.load(shipped.subscriptions(), {}, feeds=[], refusal=refusal)

    assert len(found.subscribers) >= 2
    assert found.warnings == ()


def test_the_schema_is_current():
    """Editors complete by the shape that is read; renew the file with what `schema()` returns."""
    assert (shipped.subscriptions() / "subscriptions.schema.json").read_text("utf-8") == schema()


def test_every_example_points_to_the_schema():
    """The first line of an example makes an editor know its keys."""
    for path in shipped.subscriptions().glob("*.toml"):
        assert path.read_text("utf-8").splitlines()[0] == "#:schema ./subscriptions.schema.json"


# ---------------------------------------------------------------- packs of terms


def pack(home: Path, *terms: str) -> None:
    (home / "aliases").mkdir(exist_ok=True)
    listed = ", ".join(f'"{term}"' for term in terms)
    (home / "aliases" / "chips.toml").write_text(f"version = 1\nterms = [{listed}]\n", "utf-8")


CHIPS = "name = 'Chips'\nquery = '@chips NOT @hong-kong'\n"


def test_a_query_may_name_packs(tmp_path: Path):
    """Those that come with the notifier, and those of the home beside the subscribers' files."""
    pack(tmp_path, "microchip", "wafer")

    query = load(tmp_path, desk=desk(CHIPS)).subscribers["desk"].watchlists[0].query

    assert query.text.startswith("(microchip OR wafer) NOT (")
    assert query.said == "@chips NOT @hong-kong"


def test_a_changed_pack_changes_the_digest_and_the_stamp(tmp_path: Path):
    """What is watched has changed, though no subscriber's file has."""
    pack(tmp_path, "microchip")
    before = load(tmp_path, desk=desk(CHIPS)).digest, subscriptions.stamp(tmp_path / "subscriptions")
    pack(tmp_path, "microchip", "wafer")
    after = load(tmp_path).digest, subscriptions.stamp(tmp_path / "subscriptions")

    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_wrong_pack_is_told_with_the_subscribers_mistakes(tmp_path: Path):
    """All at once, and a query that names it is no mistake of its own."""
    pack(tmp_path, "microchip OR wafer")

    assert mistakes(tmp_path, desk=desk(CHIPS), other=desk("name = 'x'\nquery = '@chip'")) == [
        'aliases/chips.toml, line 2: "microchip OR wafer": microchip OR wafer is more than one term (NOT_A_TERM); '
        "write each as a term of its own",
        "subscriptions/other.toml, line 4: no pack of terms is called @chip (UNKNOWN_ALIAS at character 1 of the "
        "query); write @chips",
    ]
