"""Does the operator get what he wrote, or all his mistakes at once, each with its line?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from notifier.errors import Misconfigured
from notifier.feeds.catalogue import catalogue
from notifier.feeds.habit import Bounds
from notifier.feeds.shape import JsonShape, PageShape, Paging
from notifier.home.settings import BounceSettings, ImapBox, Settings, WebSettings, WebSubSettings
from notifier.home.settings_file import load_settings
from notifier.secret import Secret
from tests.channels.test_dkim import KEYS

WHOLE = """\
contact = "ops@example.org"
timezone = "Asia/Hong_Kong"

[email]
host = "mail.example.org"
port = 465
tls = "implicit"
username = "alerts"
password = "${SMTP_PASSWORD}"
sender = "Policy alerts <alerts@example.org>"

[feeds]
enabled = ["us-ustr", "us-fr-rss-bis"]
every = 60

[fetch]
allow = ["127.0.0.1/32", "fd00::/8"]
timeout = 10
per_host = 1
articles = false

[[feed]]
id = "ministry"
url = "https://ministry.example/news.rss"
issuer = "Ministry of Trade"

[[feed]]
id = "gazette"
url = "https://gazette.example/atom"
issuer = "Gazette"
kind = "atom"
every = 3600
identity = "link"
dates = ["%d.%m.%Y"]
timezone = "Europe/Berlin"
full_text = false
article = "main .text"
headers = { Accept = "application/atom+xml" }
"""
SECRETS = {"SMTP_PASSWORD": "hunter2"}


def load(home: Path, text: str | None = None, **environ: str) -> Settings:
    if text is not None:
        (home / "notifier.toml").write_text(text, "utf-8")
    return load_settings(home, environ)


def mistakes(home: Path, text: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(Misconfigured) as error:
        load(home, text, **environ)
    return [str(mistake) for mistake in error.value.mistakes]


def test_a_whole_file_is_taken_as_written(tmp_path: Path):
    """Every setting arrives, numbers as numbers and networks as networks."""
    settings = load(tmp_path, WHOLE, **SECRETS)

    assert settings.contact == "ops@example.org"
    assert settings.timezone == "Asia/Hong_Kong"
    assert settings.email is not None
    assert (settings.email.host, settings.email.port, settings.email.tls) == ("mail.example.org", 465, "implicit")
    assert settings.email.password == "hunter2"
    assert settings.fetch.allow == (ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
    assert (settings.fetch.timeout, settings.fetch.per_host, settings.fetch.articles) == (10, 1, False)


def test_feeds_of_the_catalogue_and_of_the_operator_are_polled_side_by_side(tmp_path: Path):
    """Enabled feeds come first, then the operator's own; a feed without its own rhythm has the default one."""
    feeds = {feed.id: feed for feed in load(tmp_path, WHOLE, **SECRETS).feeds}

    assert list(feeds) == ["us-ustr", "us-fr-rss-bis", "ministry", "gazette"]
    assert {id: feed.every for id, feed in feeds.items()} == {
        "us-ustr": 60,
        "us-fr-rss-bis": 900,
        "ministry": 60,
        "gazette": 3600,
    }
    assert feeds["gazette"].dates == ("%d.%m.%Y",)
    assert feeds["gazette"].headers == {"Accept": "application/atom+xml"}
    assert [(feeds[id].full_text, feeds[id].article) for id in ("gazette", "us-ustr")] == [
        (False, "main .text"),
        (True, ""),
    ]


def test_little_is_enough(tmp_path: Path):
    """An empty file is a home without mail and feeds, and nobody allowed inside."""
    settings = load(tmp_path, "")

    assert (settings.email, settings.feeds, settings.fetch.allow, settings.timezone) == (None, (), (), "UTC")


def test_secrets_do_not_show(tmp_path: Path):
    """Settings can be printed or logged whole without the mail password in them."""
    settings = load(tmp_path, WHOLE, **SECRETS)

    assert "hunter2" not in f"{settings} {settings!r}"


SIGNING = """\
[email]
host = "mail.example.org"
sender = "alerts@example.org"

[email.dkim]
domain = "example.org"
selector = "alerts1"
key = "${DKIM_KEY}"
"""


def test_mails_can_be_signed(tmp_path: Path):
    """With a key that the environment holds, or a file that it names; each of its settings can be given there too."""
    (tmp_path / "key.pem").write_text(KEYS["ed25519"])

    held = load(tmp_path, SIGNING, DKIM_KEY=KEYS["rsa"]).email
    mounted = load(tmp_path, SIGNING, DKIM_KEY_FILE=str(tmp_path / "key.pem"), NOTIFIER_EMAIL__DKIM__SELECTOR="b").email

    assert held is not None
    assert mounted is not None
    assert repr(held.signer()) == "Signer(alerts1._domainkey.example.org, rsa)"
    assert repr(mounted.signer()) == "Signer(b._domainkey.example.org, ed25519)"
    assert "PRIVATE" not in f"{held!r} {mounted!r}"


def test_a_key_that_cannot_sign_is_told_with_its_line(tmp_path: Path):
    """So is one that is missing; the key itself is in no message."""
    wrong = mistakes(tmp_path, SIGNING, DKIM_KEY="-----BEGIN PRIVATE KEY-----")
    missing = mistakes(tmp_path, SIGNING.replace('key = "${DKIM_KEY}"', ""))

    assert wrong == ["notifier.toml, line 5: [email] dkim: the key cannot be read; write a private key in PEM (PKCS#8)"]
    assert missing == ['notifier.toml, line 5: "key" is missing in [email.dkim]; add key = …']


def test_the_environment_has_the_last_word(tmp_path: Path):
    """A variable named after a setting goes before the file, read as what the setting is."""
    settings = load(
        tmp_path,
        WHOLE,
        **SECRETS,
        NOTIFIER_CONTACT="https://desk.example/about",
        NOTIFIER_EMAIL__PORT="587",
        NOTIFIER_EMAIL__TLS="starttls",
        NOTIFIER_FEEDS__ENABLED="us-ustr, un-press",
        NOTIFIER_FETCH__ALLOW="",
    )

    assert settings.contact == "https://desk.example/about"
    assert settings.email is not None
    assert (settings.email.port, settings.email.tls, settings.email.username) == (587, "starttls", "alerts")
    assert [feed.id for feed in settings.feeds][:2] == ["us-ustr", "un-press"]
    assert settings.fetch.allow == ()


def test_the_environment_alone_will_do(tmp_path: Path):
    """Where nothing is written, as in a container, variables make up the whole of the settings."""
    settings = load(tmp_path, NOTIFIER_EMAIL__HOST="localhost", NOTIFIER_EMAIL__SENDER="alerts@example.org")

    assert settings.email is not None
    assert settings.email.sender == "alerts@example.org"


def test_a_password_comes_from_a_file_or_a_credential(tmp_path: Path):
    """Container platforms mount secrets as files, systemd hands them over in a directory of its own."""
    (tmp_path / "NOTIFIER_EMAIL__PASSWORD").write_text("from-systemd\n")
    (tmp_path / "mounted").write_text("from-a-mount\n")
    text = WHOLE.replace('password = "${SMTP_PASSWORD}"\n', "")

    mounted = load(tmp_path, text, NOTIFIER_EMAIL__PASSWORD_FILE=str(tmp_path / "mounted"))
    credential = load(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))

    assert mounted.email is not None
    assert mounted.email.password == "from-a-mount"
    assert credential.email is not None
    assert credential.email.password == "from-systemd"


def test_each_value_knows_where_it_came_from(tmp_path: Path):
    """Whoever wonders why a setting is as it is finds the file's line or the variable's name, and never the value."""
    origins = load(tmp_path, WHOLE, **SECRETS, NOTIFIER_EMAIL__PORT="587").origins

    assert origins["email.host"] == "notifier.toml, line 5"
    assert origins["email.port"] == "the variable NOTIFIER_EMAIL__PORT"
    assert "email.hello" not in origins
    assert "hunter2" not in str(origins)


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    """One look shows everything that is wrong, in the order of the file, each with its mend."""
    text = """\
contcat = "ops@example.org"
timezone = "Asia/Hongkong"

[email]
host = "mail.example.org"
port = "465"
tls = "ssl"
sender = "alerts@example.org"

[feeds]
enabled = [
  "us-ustr",
  "us-state-press",
  "us-whitehouse-new",
]
every = 5

[fetch]
allow = ["inside"]
per_host = 0

[[feed]]
id = "x"
url = "https://x.example/feed"
"""

    assert mistakes(tmp_path, text) == [
        'notifier.toml, line 1: no key "contcat"; did you mean "contact"?',
        'notifier.toml, line 6: "port" must be a whole number',
        'notifier.toml, line 7: "tls" cannot be "ssl"; known are: starttls, implicit, none',
        'notifier.toml, line 16: "every" must be at least 30',
        'notifier.toml, line 20: "per_host" must be at least 1',
        'notifier.toml, line 22: "issuer" is missing in [[feed]]; add issuer = …',
    ]


def test_what_fits_its_type_may_still_be_wrong(tmp_path: Path):
    """Names of feeds and zones, networks and addresses are looked at too."""
    text = """\
contact = "ops"
timezone = "Asia/Hongkong"

[email]
host = "mail.example.org"
sender = "nobody"

[feeds]
enabled = [
  "us-ustr",
  "us-state-press",
  "us-whitehouse-new",
  "us-ustr",
]

[fetch]
allow = ["inside", "10.0.0.1/8"]

[[feed]]
id = "us-ustr"
url = "file:///etc/passwd"
issuer = " "
every = 5
timezone = "Nowhere/Land"
"""

    found = mistakes(tmp_path, text)

    assert [told.partition(": ")[0].removeprefix("notifier.toml, line ") for told in found] == [
        "1", "2", "4", "11", "12", "13", "17", "17", "20", "21", "22", "23", "24",
    ]  # fmt: skip
    assert 'did you mean "Asia/Hong_Kong"?' in found[1]
    assert "checks for humans" in found[3]
    assert 'did you mean "us-whitehouse-news"?' in found[4]
    assert "/etc/passwd" not in found[9]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NOTIFIER_EMAIL__PORT", "smtp", '"environment": NOTIFIER_EMAIL__PORT: must be a whole number'),
        (
            "NOTIFIER_EMIAL__HOST",
            "x",
            'NOTIFIER_EMIAL__HOST: unknown setting; did you mean "NOTIFIER_EMAIL__HOST"?',
        ),
        ("NOTIFIER_EMAIL__PASSWORD_FILE", "/nowhere", "the file of NOTIFIER_EMAIL__PASSWORD_FILE cannot be read"),
    ],
)
def test_mistakes_in_the_environment_name_the_variable(tmp_path: Path, name: str, value: str, told: str):
    """A variable that is misspelt or does not fit is a mistake like one in the file."""
    found = mistakes(tmp_path, WHOLE, **SECRETS, **{name: value})

    assert len(found) == 1
    assert told.removeprefix('"environment": ') in found[0]


DECLARED = """\
[[feed]]
id = "ministry"
url = "https://m.example/api/news"
issuer = "Ministry"
dates = ["%d/%m/%Y"]

[feed.json]
entries = "data.items"
id = "no"
title = "headline.en"
link = "https://m.example/news/{no}"
published = "when"
summary = ["lead", "Topic: {topic}"]

[feed.json.paging]
parameter = "page"
pages = 3

[[feed]]
id = "gazette"
url = "https://g.example/list"
issuer = "Gazette"
kind = "html"
html = { entries = "tr.notice", published = "td.date" }
"""


def test_a_feed_s_shape_is_declared_in_the_file(tmp_path: Path):
    """As a table below its feed or in one line; the kind follows from it."""
    ministry, gazette = load(tmp_path, DECLARED).feeds

    assert (ministry.kind, ministry.dates) == ("json", ("%d/%m/%Y",))
    assert ministry.json == JsonShape(
        entries="data.items",
        id="no",
        title="headline.en",
        link="https://m.example/news/{no}",
        published="when",
        summary=("lead", "Topic: {topic}"),
        paging=Paging(parameter="page", pages=3),
    )
    assert (gazette.kind, gazette.html) == ("html", PageShape(entries="tr.notice", published="td.date"))


PRESET = """\
[[feed]]
id = "fr-ofac"
url = "https://www.federalregister.gov/api/v1/documents.json?conditions[agencies][]=foreign-assets-control-office"
issuer = "Office of Foreign Assets Control"
preset = "us-fr-documents-json"
"""


def test_a_feed_is_read_as_one_of_the_catalogue(tmp_path: Path):
    """A preset brings the shape, the zone and what makes a statement the same, and leaves the rest to the operator."""
    known = catalogue()["us-fr-documents-json"]

    (feed,) = load(tmp_path, PRESET).feeds

    assert (feed.kind, feed.json, feed.timezone, feed.identity) == ("json", known.json, "America/New_York", "guid")
    assert (feed.id, feed.issuer, feed.every) == ("fr-ofac", "Office of Foreign Assets Control", 300)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('timezone = "UTC"', "timezone", "UTC"),
        ('identity = "link"', "identity", "link"),
        ('json = { entries = "documents", title = "title" }', "json", JsonShape(entries="documents", title="title")),
        ('html = { entries = "li" }', "html", PageShape(entries="li")),
    ],
)
def test_what_the_operator_says_goes_before_the_preset(tmp_path: Path, line: str, field: str, value: object):
    """Each by itself; another shape takes the place of the preset's."""
    (feed,) = load(tmp_path, PRESET + line).feeds

    assert getattr(feed, field) == value
    assert feed.shape in (value, catalogue()["us-fr-documents-json"].json)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ('json = { title = "t" }', 'line 5: "entries" is missing in [feed.json]; add entries = …'),
        ('json = { entries = "a", title = "t", sumary = [] }', 'line 5: no key "sumary"; did you mean "summary"?'),
        ('json = { entries = "a..b", title = "t" }', 'line 5: "entries" is not a path; write one as "results", '),
        ('json = { entries = "a", title = "" }', 'line 5: "title" must not be empty'),
        ('[feed.json]\nentries = "a"\ntitle = "t"\nlink = "/news/{id"', 'line 8: "link" has a brace without'),
        ('[feed.json]\nentries = "a"\ntitle = "t"\nsummary = [\n"b",\n"c d",\n]', 'line 10: "summary" is not a path'),
        ('html = { entries = "li..x" }', 'line 5: "entries" is not a selector; write a CSS selector'),
        ('[feed.html]\nentries = "li"\n[feed.html.paging]\nnext = "a["', 'line 8: "next" is not a selector'),
        ('[feed.html]\nentries = "li"\npaging = { pages = 3 }', 'line 7: "paging" needs one of "next" and "parameter"'),
        ('[feed.html]\nentries = "li"\n[feed.html.paging]\npages = 500\nnext = "a"', 'line 8: "pages" must be at most'),
        ('[feed.html]\nentries = "li"\npaging = { pages = "3" }', 'line 7: "pages" must be a whole number'),
        ('article = "main..text"', 'line 5: "article" is not a selector; write a CSS selector'),
        ('kind = "json"', 'line 5: a "json" feed needs to know where its entries are; add [feed.json] with'),
        ('kind = "rss"\nhtml = { entries = "li" }', 'line 6: a feed of kind "rss" is not read by [feed.html]; leave'),
        ('html = { entries = "li" }\njson = { entries = "a", title = "t" }', 'line 5: a feed of kind "json" is not'),
        ('preset = "us-fr-document-json"', 'in the catalogue to be read as; did you mean "us-fr-documents-json"?'),
        ('preset = "us-ofac-sls"', 'line 5: no feed "us-ofac-sls" in the catalogue to be read as'),
        ('preset = "eu-sanctionsmap"', 'a "json" feed needs to know where its entries are'),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_be_read_by_is_a_mistake(tmp_path: Path, declared: str, told: str):
    """It is told with its line and mend, before anything is fetched."""
    text = f'[[feed]]\nid = "m"\nurl = "https://m.example/"\nissuer = "M"\n{declared}\n'

    (found,) = mistakes(tmp_path, text)

    assert told in found


def test_a_rhythm_is_set_within_bounds(tmp_path: Path):
    """The operator's bounds, and a feed's own slots and archive, arrive as written."""
    text = f'[feeds]\nfastest = 45\nslowest = 1800\n{OWN}slots = ["08:45"]\narchive = "us-fr-documents-json"\n'

    settings = load(tmp_path, text)

    assert settings.bounds == Bounds(fastest=45, slowest=1800)
    assert (settings.feeds[0].slots, settings.feeds[0].archive) == (("08:45",), "us-fr-documents-json")


OWN = '[[feed]]\nid = "m"\nurl = "https://m.example/"\nissuer = "M"\n'


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ('headers = { "X Key" = "k" }', 'line 5: "X Key" is not the name of a header; write letters'),
        ('headers = { "X-Key:" = "k" }', 'line 5: "X-Key:" is not the name of a header'),
        ('headers = { "" = "k" }', "line 5: "),
        ('[feed.headers]\nAccept = "text/xml"\nX-Key = "k-17\\r\\nHost: x"', 'line 7: the value of header "X-Key"'),
        ('headers = { X-Key = "k-17\\u0000" }', 'line 5: the value of header "X-Key" cannot be sent; write it in one'),
        ('headers = { X-Key = "schlüssel" }', 'line 5: the value of header "X-Key" cannot be sent'),
        ('headers = { X-Key = " k-17" }', 'line 5: the value of header "X-Key" cannot be sent'),
        ('headers = { X-Key = "" }', 'line 5: the value of header "X-Key" cannot be sent'),
        ('slots = ["08:45",\n"8:45"]', '"8:45" is not a time of day; write it as "08:45"'),
        ('slots = ["24:00"]', 'line 5: "24:00" is not a time of day'),
        ('archive = "us-fr-document-json"', 'in the catalogue to look back in; did you mean "us-fr-documents-json"?'),
        ('archive = "us-ustr"', 'line 5: no feed "us-ustr" in the catalogue to look back in'),
        ("[feeds]\nfastest = 600\nslowest = 300", 'line 6: "fastest" is longer than "slowest"'),
        ("[feeds]\nfastest = 5", 'line 6: "fastest" must be at least 30'),
    ],
)  # fmt: skip
def test_what_a_request_cannot_carry_and_no_clock_shows_is_a_mistake(tmp_path: Path, declared: str, told: str):
    """With file and line, before anything is sent; a header's value, which may be a key, stays out of it."""
    (found,) = mistakes(tmp_path, f"{OWN}{declared}\n")

    assert found.startswith("notifier.toml, ")
    assert told in found
    assert "k-17" not in found


HUBS = '[websub]\ncallback = "https://us.example/websub"\nsecret = "${HUB_SECRET}"\n'


def test_how_hubs_reach_us_is_set(tmp_path: Path):
    """The secret from the environment, and shown nowhere; without the table no hub is heard."""
    settings = load(tmp_path, HUBS + 'listen = "[::1]:8085"', HUB_SECRET="0123456789abcdef")

    assert settings.websub == WebSubSettings("https://us.example/websub", Secret("0123456789abcdef"), "::1", 8085)
    assert "0123456789abcdef" not in f"{settings}"
    assert load(tmp_path, "").websub is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('callback = "us.example"', 'line 2: this is not an address that hubs could reach; write it as "https://'),
        ('callback = "https://us.example/?x"', "line 2: this is not an address that hubs could reach"),
        ('secret = "short"', 'line 2: "secret" has fewer than 16 characters'),
        ('listen = "8085"', 'line 2: "8085" is not a host and port'),
        ('listen = "0.0.0.0:99999"', 'line 2: "0.0.0.0:99999" is not a host and port'),
    ],
)
def test_hubs_that_could_not_reach_us_are_a_mistake(tmp_path: Path, line: str, told: str):
    """With its line, before anything listens."""
    good = {"callback": "https://us.example/websub", "secret": "0123456789abcdef", "listen": "127.0.0.1:1"}
    name = line.partition(" ")[0]
    others = "".join(f'{key} = "{value}"\n' for key, value in good.items() if key != name)

    (found,) = mistakes(tmp_path, f"[websub]\n{line}\n{others}")

    assert told in found


DOOR = {"address": "https://alerts.example.org/hk/", "secret": "0123456789abcdef", "listen": "127.0.0.1:8086"}
BOX = {"address": "bounce@alerts.example.org", "imap": "imaps://us%40house.example@mx.house.example/INBOX/Bounces"}
SENDING = '[email]\nhost = "mx.house.example"\nsender = "Alerts <alerts@house.example>"\n'


def table(name: str, values: Mapping[str, str], line: str) -> str:
    """A table with one line put in place of the value of that name, or before all others."""
    key = line.partition(" ")[0]
    others = "".join(f'{each} = "{value}"\n' for each, value in values.items() if each != key)
    return f"[{name}]\n{line}\n{others}"


def test_a_door_for_readers_is_set(tmp_path: Path):
    """With secrets from the environment, the one that signs first, shown nowhere; without the table there is none."""
    door = load(
        tmp_path,
        table("web", DOOR, 'secret = "${DOOR_SECRET}"') + 'earlier_secrets = ["${OLD}"]\nconfirm = true\n',
        DOOR_SECRET="0123456789abcdef",
        OLD="fedcba9876543210",
    ).web

    secrets = (Secret("0123456789abcdef"), Secret("fedcba9876543210"))
    assert door == WebSettings("https://alerts.example.org/hk", secrets, "127.0.0.1", 8086, confirm=True)
    assert "0123456789abcdef" not in f"{door}"
    assert load(tmp_path, "").web is None


def test_the_old_name_of_the_pages_is_read(tmp_path: Path):
    """A home of version 0.1.0 has [door]: it means the same, in the file and in the environment, and a note says so."""
    old = load(tmp_path, table("door", DOOR, ""))
    new = load(tmp_path, table("web", DOOR, ""))
    named = load(tmp_path, "", **{f"NOTIFIER_DOOR__{key.upper()}": value for key, value in DOOR.items()})

    assert old.web == new.web == named.web is not None
    assert old.notes == named.notes == ("notifier.toml: [door] is called [web] now; the old name is still read",)
    assert new.notes == ()


def test_the_pages_have_one_name_at_a_time(tmp_path: Path):
    """With both, nobody could tell which is meant; a mistake in the old one is told under its name."""
    (both,) = mistakes(tmp_path, table("web", DOOR, "") + table("door", DOOR, ""))
    (wrong,) = mistakes(tmp_path, table("door", DOOR, 'address = "http://alerts.example.org"'))

    assert "[door] is an old name of [web], and both are there; keep [web]" in both
    assert "line 2: mail programs follow only https links (RFC 8058)" in wrong


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'address = "alerts.example.org"',
            'line 2: this is not an address that readers could reach; write it as "https://',
        ),
        ('address = "https://alerts.example.org/?x"', "line 2: this is not an address that readers could reach"),
        ('address = "http://alerts.example.org"', "line 2: mail programs follow only https links (RFC 8058)"),
        ('secret = "short"', 'line 2: "secret" has fewer than 16 characters'),
        ('earlier_secrets = ["short"]', 'line 2: "earlier_secrets" has fewer than 16 characters'),
        ('listen = "8086"', 'line 2: "8086" is not a host and port; write it as "127.0.0.1:8086"'),
    ],
)
def test_a_door_that_nobody_could_reach_is_a_mistake(tmp_path: Path, line: str, told: str):
    """With its line, before a link is sent to anybody."""
    (found,) = mistakes(tmp_path, table("web", DOOR, line))

    assert told in found


def test_a_mailbox_for_bounces_is_set(tmp_path: Path):
    """A folder at a server, over TLS at its usual port; or a Maildir, seen from the home."""
    with_door = SENDING + table("web", DOOR, "")

    imap = load(tmp_path, with_door + table("bounces", BOX, 'password = "${BOX}"'), BOX="nosuchpassword").bounces
    local = load(tmp_path, with_door + table("bounces", {"address": BOX["address"]}, 'maildir = "Maildir"')).bounces

    box = ImapBox("mx.house.example", 993, "us@house.example", Secret("nosuchpassword"), "INBOX/Bounces", tls=True)
    assert imap == BounceSettings("bounce@alerts.example.org", box)
    assert local == BounceSettings("bounce@alerts.example.org", tmp_path / "Maildir")
    assert "nosuchpassword" not in f"{imap}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('address = "nobody"', "this address cannot carry a token"),
        ('address = "bounces-of-all-our-alerts@alerts.example.org"', "this address cannot carry a token"),
        ('maildir = "Maildir"', "set either maildir or imap: where bounces are read"),
        ('imap = ""', "set either maildir or imap: where bounces are read"),
        ('imap = "imap://us@mx.house.example"', "this is not a mailbox that can be read"),
        ('imap = "https://us@mx.house.example"', "this is not a mailbox that can be read"),
        ('imap = "imaps://mx.house.example"', "this is not a mailbox that can be read"),
        ('imap = "imaps://us:secretword@mx.house.example"', "this is not a mailbox that can be read"),
        ('imap = "imaps://us@mx.house.example/a%22b"', "this is not a mailbox that can be read"),
        ('imap = "imaps://us@mx.house.example:999999"', "this is not a mailbox that can be read"),
        ('password = ""', "a mailbox on a server needs a password"),
    ],
)
def test_a_mailbox_that_could_not_be_read_is_a_mistake(tmp_path: Path, line: str, told: str):
    """With its mend; nothing of a password that stands in the wrong place is shown."""
    box = BOX | {"password": "nosuchpassword"}

    (found,) = mistakes(tmp_path, SENDING + table("web", DOOR, "") + table("bounces", box, line))

    assert told in found
    assert "secretword" not in found


def test_bounces_need_a_door_and_a_mail_server(tmp_path: Path):
    """The one signs what they are known by, and the other sends what bounces."""
    found = mistakes(tmp_path, table("bounces", BOX, 'password = "nosuchpassword"'))

    assert [each.partition(";")[2].strip() for each in found] == [
        "add [web], or leave [bounces] out",
        "add [email], or leave [bounces] out",
    ]


def test_any_header_that_http_knows_may_be_sent(tmp_path: Path):
    """Names of all letters that RFC 9110 allows, and values with blanks in them."""
    headers = {"X-Api-Key": 'a b\tc; d="e"', "x.y_z~!#$%&'*+^`|": "1"}
    written = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in headers.items())

    (feed,) = load(tmp_path, f"{OWN}headers = {{ {written} }}\n").feeds

    assert feed.headers == headers


def test_an_unset_secret_is_named_with_its_line(tmp_path: Path):
    """A `${NAME}` that the environment lacks is told with where it stands."""
    assert mistakes(tmp_path, WHOLE) == [
        "notifier.toml, line 9: the variable SMTP_PASSWORD is not set; "
        "set it, or SMTP_PASSWORD_FILE to a file that holds it"
    ]


def test_a_home_without_settings_says_how_to_begin(tmp_path: Path):
    """Whoever runs the notifier in the wrong directory is told so."""
    assert mistakes(tmp_path) == [
        "notifier.toml: this file does not exist; make one with `notifier init`, or name its folder with --home"
    ]


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path):
    """A slip of the pen is a mistake with a line, not a traceback."""
    assert mistakes(tmp_path, "contact = ops@example.org\n")[0].startswith("notifier.toml, line 1: this is not TOML")


@pytest.mark.parametrize("text", ['email = "x"\n', "email = [1]\n", "feed = 1\n", "feed = [1]\n", "feeds = []\n"])
def test_a_value_in_place_of_a_table_is_a_mistake(tmp_path: Path, text: str):
    """Whatever stands where a table should is told with its line, with overrides in the environment too."""
    found = mistakes(tmp_path, text, NOTIFIER_EMAIL__HOST="h", NOTIFIER_EMAIL__SENDER="a@example.org")

    assert found[0].startswith("notifier.toml, line 1: ")


def test_thousands_of_feeds_fit_into_the_file(tmp_path: Path):
    """A ministry's five thousand feeds are read from one file; what is beyond any use is refused by its size."""
    feeds = "".join(f'[[feed]]\nid = "f{n}"\nurl = "https://m.example/{n}"\nissuer = "M"\n' for n in range(5000))

    assert len(load(tmp_path, feeds).feeds) == 5000
    assert mistakes(tmp_path, "#" * 5_000_000) == ["notifier.toml: this file has over 4,096 KiB; split it"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('operator = "ops@example.org"\n', '"operator" is notified by mail, and there is no [email]'),
        ('operator = "ops"\n[email]\nhost = "mx.example"\nsender = "a@house.example"\n', '"operator": '),
    ],
)
def test_an_operator_who_cannot_be_told_is_a_mistake(tmp_path: Path, text: str, problem: str) -> None:
    """With its line."""
    (tmp_path / "notifier.toml").write_text(text)

    with pytest.raises(Misconfigured) as caught:
        load_settings(tmp_path, {})

    assert f"notifier.toml, line 1: {problem}" in str(caught.value)


def test_an_operator_can_be_told(tmp_path: Path) -> None:
    """By mail, where a server is set up."""
    text = 'operator = "ops@example.org"\n[email]\nhost = "mx.example"\nsender = "a@house.example"\n'
    (tmp_path / "notifier.toml").write_text(text)

    assert load_settings(tmp_path, {}).operator == "ops@example.org"
