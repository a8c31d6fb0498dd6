"""`notifier doctor`: what is well, what must be mended, and how."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notifier.events.channels import ChannelSuspended
from notifier.service import Service
from tests.channels.peers import CERTIFICATE, MailPeer, closed_port
from tests.channels.test_dkim import KEYS, RSA_KEY
from tests.channels.test_mail_channel import PASSWORD, Accounts, secured
from tests.commands import Run
from tests.homes import DESK, make_home, rss, said, world


def states(told: Run) -> dict[str, set[str]]:
    """From `doctor --json`: in which states each thing was found."""
    found: dict[str, set[str]] = {}
    for row in told.rows:
        assert set(row) == {"state", "looked_at", "found"}
        found.setdefault(row["looked_at"], set()).add(row["state"])
    return found


async def examined(home: Path, **environ: str) -> tuple[Run, Run]:
    """What the doctor says to people, and what to programs."""
    people = Run(*await said(home, "doctor", **environ))
    programs = Run(*await said(home, "doctor", "--json", **environ))
    assert people.code == programs.code
    assert "Traceback" not in people.err + programs.err
    assert len(people.out.splitlines()) == len(programs.rows)
    assert "\x1b" not in people.out
    return people, programs


async def test_a_good_home_is_well(tmp_path: Path):
    """Every part is looked at, from the settings to the mail server, and none is to be mended; nothing is changed."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(("one", "Controls change", "…")))
        async with Service.opened(home) as app:
            await app.run_once()
        before = (home / "data" / "events.db").read_bytes()
        people, programs = await examined(home)

    assert people.code == 0
    assert people.err == programs.err == ""
    assert set(states(programs)) == {
        "settings",
        "subscriptions",
        "log",
        "templates",
        "email",
        "web",
    }
    assert all("bad" not in found for found in states(programs).values())
    assert "4 events in" in people.out
    assert (home / "data" / "events.db").read_bytes() == before
    assert around.mailroom.mails == []


async def test_channels_that_nobody_has_are_not_told_of(tmp_path: Path):
    """Only the kinds that lead to a subscriber are looked at, and mail, which is set up before that."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": DESK + '[[channel]]\natom = "desk.xml"\n'})
        _, programs = await examined(home)

    assert {"email", "atom"} <= set(states(programs))
    assert not {"slack", "teams", "discord", "webhook", "console"} & set(states(programs))


async def test_a_feed_that_is_not_well_is_named(tmp_path: Path):
    """With what it is, since when and why; it is the publisher's to mend, so the home is well."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss", "gone": "rss"})
        around.publisher.publish("trade", rss(("one", "Controls change", "…")))
        async with Service.opened(home) as app:
            await app.run_once()
        people, programs = await examined(home)

    (found,) = [row for row in programs.rows if row["looked_at"] == "feeds"]
    assert people.code == 0
    assert found["state"] == "warning"
    assert found["found"].startswith("gone: not-found since 20")
    assert "404" in found["found"]


async def test_it_works_while_the_service_does(tmp_path: Path):
    """The log is read beside the process that writes it."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        async with Service.opened(home):
            people, _ = await examined(home)

    assert people.code == 0
    assert "✓ log" in people.out


def broken_settings(home: Path) -> None:
    path = home / "notifier.toml"
    path.write_text("timezone = 5\nfeeeds = 1\n" + path.read_text())


def broken_subscription(home: Path) -> None:
    (home / "subscriptions" / "second.toml").write_text(DESK.replace("query = '\"Hong", 'query = \'"Hong" AND ('))


def broken_template(home: Path) -> None:
    (home / "templates" / "alert").mkdir(parents=True)
    (home / "templates" / "alert" / "body.txt").write_text("Dear {{ subscriber }}\n\n{{ ttle }}\n")


def broken_page(home: Path) -> None:
    (home / "templates" / "web").mkdir(parents=True)
    (home / "templates" / "web" / "page.html").write_text('{% if state == "later" %}\n{{ statte }}{% endif %}')


def broken_notice(home: Path) -> None:
    (home / "templates" / "suspended").mkdir(parents=True)
    (home / "templates" / "suspended" / "slack.json").write_text('{"text": "{{ about }}"}')


def broken_log(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "events.db").write_text("this is no database, whatever its name says\n" * 200)


@pytest.mark.parametrize(
    ("breaking", "part", "words"),
    [
        (broken_settings, "settings", ["notifier.toml, line 1", "notifier.toml, line 2", "feeeds"]),
        (broken_subscription, "subscriptions", ["subscriptions/second.toml, line 7"]),
        (broken_template, "templates", ["templates/alert/body.txt, line 3", "ttle"]),
        (broken_page, "templates", ["templates/web/page.html, line 2", "statte"]),
        (broken_notice, "templates", ["templates/suspended/slack.json", "not JSON"]),
        (broken_log, "log", ["events.db"]),
    ],
    ids=["settings", "subscriptions", "template", "page", "notice", "log"],
)
async def test_what_is_broken_is_named(tmp_path: Path, breaking: Callable[[Path], None], part: str, words: list[str]):
    """With its file and line; exit code 3, and a last word on stderr that counts."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        breaking(home)
        people, programs = await examined(home)

    bad = [row for row in programs.rows if row["state"] == "bad"]
    assert people.code == 3
    assert {row["looked_at"] for row in bad} == {part}
    assert not [word for word in words if not any(word in row["found"] for row in bad)]
    assert all(row["found"] in people.out for row in bad)
    assert people.err.endswith("to mend\n")


async def test_all_that_is_broken_is_told_at_once(tmp_path: Path):
    """One thing that is wrong does not hide the next: each part is looked at."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=await closed_port())
        for breaking in (broken_subscription, broken_template, broken_log):
            breaking(home)
        people, programs = await examined(home)

    found = states(programs)
    assert people.code == 3
    assert {part for part in found if "bad" in found[part]} == {"subscriptions", "templates", "log", "email"}
    assert found["templates"] == {"bad"}
    assert people.err == "4 things to mend\n"


async def test_a_home_that_is_none_is_told_what_makes_one(tmp_path: Path):
    """An empty directory has no settings, and says where they come from."""
    people, _ = await examined(tmp_path)

    assert people.code == 3
    assert "notifier init" in people.out
    assert not (tmp_path / "data").exists()


async def test_what_is_not_set_up_is_a_warning(tmp_path: Path):
    """No feed, no subscriber, no contact, no mail server: nothing is broken, and each is said with its mend."""
    (tmp_path / "notifier.toml").write_text("")

    people, programs = await examined(tmp_path)

    assert people.code == 0
    assert states(programs)["settings"] == {"warning"}
    assert states(programs)["email"] == states(programs)["subscriptions"] == {"warning"}
    assert people.out.count("no mail server is set up") == 1
    assert "notifier feeds list --all" in people.out


@pytest.mark.parametrize("words", [("doctor",), ("subscriptions", "check"), ("run", "--once")], ids=" ".join)
async def test_the_name_of_a_file_is_only_ever_text(tmp_path: Path, words: tuple[str, ...]):
    """An escape in it does not reach the terminal when the file is named."""
    async with world() as around:
        home = make_home(tmp_path, around, {}, {"desk\x1b[2J\u009b2J": "nonsense"})
        code, out, err = await said(home, *words)

    assert code in {3, 78}
    assert "[2J" in out + err
    assert not {"\x1b", "\u009b"} & set(out + err)


# ---------------------------------------------------------------- what comes back

DOOR = '[web]\naddress = "https://alerts.example.org"\nsecret = "0123456789abcdef"\n'
RETURNED = '[bounces]\naddress = "bounce@alerts.example.org"\nmaildir = "returned"\n'


async def test_a_channel_that_takes_nothing_is_named(tmp_path: Path):
    """With why, since when and the mend; the home is well, for it is its reader's or his mail system's to mend."""
    at = datetime(2020, 6, 29, 21, 7, tzinfo=UTC)
    async with world() as around:
        home = make_home(tmp_path, around, {})
        async with Service.opened(home) as app:
            reason = "the mailbox does not exist"
            await app.log.append(
                [ChannelSuspended(subscriber="desk", channel="email", why="bounced", reason=reason, at=at)]
            )
        people, programs = await examined(home)

    (found,) = [row for row in programs.rows if row["looked_at"] == "channels"]
    assert people.code == 0
    assert found["state"] == "warning"
    assert found["found"] == (
        "desk: channel email is suspended: bounced since 2020-06-29 21:07Z: the mailbox does not exist; "
        "once it is mended: notifier subscriptions resume desk email"
    )


async def test_a_door_and_a_mailbox_are_looked_at(tmp_path: Path):
    """Without a door a warning says what mails lack; a mailbox that cannot be read is to be mended."""
    async with world() as around:
        home = make_home(tmp_path, around, {})
        without, _ = await examined(home)
        settings = home / "notifier.toml"
        settings.write_text(DOOR + RETURNED + settings.read_text())
        broken, programs = await examined(home)
        for name in ("new", "cur", "tmp"):
            (home / "returned" / name).mkdir(parents=True)
        whole, _ = await examined(home)

    assert "readers cannot unsubscribe by a click; add [web] to notifier.toml" in without.out
    assert (without.code, broken.code, whole.code) == (0, 3, 0)
    assert states(programs)["bounces"] == {"bad"}
    assert "public pages at https://alerts.example.org, served on 127.0.0.1:8086" in whole.out
    assert "returned is read, 0 waiting there" in whole.out


# ---------------------------------------------------------------- the mail server


async def test_a_mail_server_that_is_gone(tmp_path: Path):
    """It is named with its port."""
    async with world() as around:
        port = await closed_port()
        people, programs = await examined(make_home(tmp_path, around, {}, mail_port=port))

    assert people.code == 3
    assert states(programs)["email"] == {"bad"}
    assert f"127.0.0.1:{port} cannot be reached" in people.out


def with_account(home: Path, port: int) -> Path:
    """A home that sends through the server with the account."""
    home.mkdir(exist_ok=True)
    (home / "subscriptions").mkdir()
    (home / "subscriptions" / "desk.toml").write_text(DESK)
    (home / "notifier.toml").write_text(
        f'[email]\nhost = "localhost"\nport = {port}\nsender = "Alerts <alerts@house.example>"\n'
        'username = "alerts"\npassword = "${SMTP_PASSWORD}"\n'
    )
    return home


async def test_a_login_is_tried_and_nothing_sent(tmp_path: Path):
    """The right password over TLS is well."""
    accounts = Accounts()
    async with secured(accounts) as port:
        home = with_account(tmp_path, port)
        people, programs = await examined(home, SMTP_PASSWORD=PASSWORD, SSL_CERT_FILE=str(CERTIFICATE))

    assert people.code == 0, people.out
    assert states(programs)["email"] == {"good"}
    assert (accounts.logins, accounts.taken) == (2, [])
    assert PASSWORD not in people.out + people.err + programs.out + programs.err


async def test_a_wrong_password_is_told(tmp_path: Path):
    """The server's no is shown; the password is not, at any level of talk."""
    accounts = Accounts()
    wrong = "nosuchpassword0000"
    async with secured(accounts) as port:
        home = with_account(tmp_path, port)
        environ = {"SMTP_PASSWORD": wrong, "SSL_CERT_FILE": str(CERTIFICATE)}
        people, programs = await examined(home, **environ)
        _, out, err = await said(home, "-v", "doctor", **environ)

    assert people.code == 3
    assert states(programs)["email"] == {"bad"}
    assert "log" in people.out.lower()
    assert wrong not in people.out + people.err + programs.out + out + err


async def test_a_server_that_nobody_vouches_for_gets_no_password(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A certificate that does not hold is a finding."""
    caplog.set_level(logging.CRITICAL, "mail.log")  # the server's, which runs beside the command and tells of a client
    accounts = Accounts()
    async with secured(accounts) as port:
        people, programs = await examined(with_account(tmp_path, port), SMTP_PASSWORD=PASSWORD)

    assert people.code == 3
    assert states(programs)["email"] == {"bad"}
    assert accounts.logins == 0


async def test_what_a_server_says_is_only_ever_text(tmp_path: Path):
    """An escape in a greeting does not reach the terminal."""
    async with world() as around, MailPeer({"greeting": "554 \x1b[2Jgo away"}) as rude:
        people, _ = await examined(make_home(tmp_path, around, {}, mail_port=rude.port))

    assert people.code == 3
    assert "\x1b" not in people.out + people.err


# ---------------------------------------------------------------- signatures


def signing(home: Path, port: int, domain: str) -> Path:
    """A home that signs its mails for this domain."""
    home.mkdir(exist_ok=True)
    (home / "notifier.toml").write_text(
        f'[email]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nsender = "alerts@house.example"\n'
        f'dkim = {{ domain = "{domain}", selector = "alerts1", key = "${{DKIM_KEY}}" }}\n'
    )
    return home


async def test_what_the_dns_must_hold_is_told(tmp_path: Path):
    """The record that belongs to the key, with its name, ready for a zone file; the key itself is not shown."""
    async with MailPeer() as peer:
        people, programs = await examined(signing(tmp_path, peer.port, "house.example"), DKIM_KEY=KEYS["rsa"])

    (found,) = [row["found"] for row in programs.rows if row["looked_at"] == "dkim"]
    record = "".join(re.findall(r'"([^"]*)"', found))
    public = RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert people.code == 0
    assert "alerts1._domainkey.house.example. TXT " in found
    assert record == f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    assert not [line for line in KEYS["rsa"].splitlines()[2:-2] if line in people.out]


async def test_a_signature_for_another_domain_is_a_warning(tmp_path: Path):
    """DMARC wants the sender's own domain, or one above or below it (RFC 7489, 3.1.1)."""
    states_of = {}
    async with MailPeer() as peer:
        for domain in ("house.example", "mail.house.example", "provider.example"):
            home = signing(tmp_path / domain, peer.port, domain)
            _, programs = await examined(home, DKIM_KEY=KEYS["ed25519"])
            states_of[domain] = states(programs)["dkim"]

    assert states_of["house.example"] == states_of["mail.house.example"] == {"good"}
    assert states_of["provider.example"] == {"good", "warning"}
