"""Signatures of mails, read back by dkimpy."""

from __future__ import annotations

import re
import subprocess
import sys
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_tz
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from dkim.canonicalization import Relaxed
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier.channels.mail.composer import Sender, composed
from notifier.channels.mail.dkim import SIGNED, Signer, relaxed_body
from notifier.channels.mail.relay import Dkim, Relay
from notifier.errors import Misconfigured
from tests.channels.messages import HOSTILE, message
from tests.examples import examples

HOUSE = Sender("Policy alerts", "alerts@house.example")

# Of no use to anybody: it is too short to keep a secret.
SHORT = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIBUwIBADANBgkqhkiG9w0BAQEFAASCAT0wggE5AgEAAkEAxKxTHEjqMGQMENRV\n"
    "0SjyhBwW24UFAniN01ryWqzPx0ALA7bHOFamu1wY6+7IAz7evoqg7tP3zZSuPneB\n"
    "CC+16QIDAQABAkEAimODm7yG5YQQpWrz89hvRZyKTO89xi5UBavSKxG8psNgOPWW\n"
    "py1/JRkmPMsUJ/TwPjq27amSN2Adwdf3rinfAQIhAP/r6TFAJSh2vnJuz3b2CA/k\n"
    "XAeCCjzffZn7yBZZiYmhAiEAxLvDTpBdpZRNvKk/iAPl/v4YCEFeQzL1TdbV2IJa\n"
    "F0kCHz76z2hPYNWUY0nF+0hLQ7ClggBXAC360e4TCCp33mECIHFYNDgJWMrS3M67\n"
    "PA0jIdl9j18COkrBCy9jfSUWRM1xAiAmBNL7fXr+nWO/IiDdzfT7Y1Kk8o0tQFm9\n"
    "GUnWYzFyyw==\n"
    "-----END PRIVATE KEY-----\n"
)
# Of a curve that no library takes.
ODD = (
    "-----BEGIN PRIVATE KEY-----\n"
    "ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA6qYzVMvY8SxsO4VpfRE6Eg\n"
    "Ax4ABLbPkOZhr9PJy6FU8ULRogaLnqV0TPJ8p4Q4JTM=\n"
    "-----END PRIVATE KEY-----\n"
)


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes = b"") -> str:
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, form, lock).decode())


RSA_KEY, ED25519_KEY = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
KEYS = {"rsa": pem(RSA_KEY), "ed25519": pem(ED25519_KEY)}
SIGNERS = {kind: Signer("house.example", "alerts1", key) for kind, key in KEYS.items()}
both = pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS.keys())


def holds(mail: bytes, signer: Signer) -> bool:
    """Does dkimpy believe this mail, with our record in the DNS?"""
    record = "".join(re.findall(r'"([^"]*)"', signer.record)).encode()

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        return record if name == f"{signer.record_name}.".encode() else None

    return bool(dkim.verify(mail, dnsfunc=dns))


def tags(header: bytes) -> dict[str, str]:
    """The tags of a signature."""
    value = header.decode().partition(":")[2].replace("\r\n ", "")
    return {name.strip(): said.strip() for name, _, said in (tag.partition("=") for tag in value.split(";"))}


def mail(**told: str) -> bytes:
    return composed(message(**told), HOUSE, "desk@bank.example")


# ---------------------------------------------------------------- what a recipient's server sees


@both
@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_mail_is_believed(signer: Signer, title: str) -> None:
    """Whatever is in it, what we sign is what a verifier reads."""
    data = mail(subject=title, text=title, html=title)

    assert holds(signer(data) + data, signer)


@both
@given(subject=st.text(max_size=200), text=st.text(max_size=400), html=st.text(" \t\n<p>=.x", max_size=200))
@examples(60)
def test_any_mail_is_believed(signer: Signer, subject: str, text: str, html: str) -> None:
    """Also one with blanks and empty lines where they are folded together."""
    data = mail(subject=subject, text=re.sub("[\ud800-\udfff]", "", text), html=html)

    assert holds(signer(data) + data, signer)


@both
@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID", "List-Id", "Auto-Submitted"])
def test_a_changed_header_is_found_out(signer: Signer, name: str) -> None:
    """One letter more in any header that matters, and the mail is not believed."""
    data = mail()

    changed = data.replace(f"\r\n{name}: ".encode(), f"\r\n{name}: x".encode(), 1)
    if name == "From":
        changed = data.replace(b"From: ", b"From: x", 1)

    assert changed != data
    assert not holds(signer(data) + changed, signer)


@both
@given(at=st.integers(0, 10_000), to=st.integers(33, 126))
@examples(60)
def test_a_changed_body_is_found_out(signer: Signer, at: int, to: int) -> None:
    """So it is for any one byte of the body."""
    data = mail(text="Exports are curbed.\n" * 40)
    begins = data.index(b"\r\n\r\n") + 4
    at = begins + at % (len(data) - begins)
    assume(data[at] != to and data[at : at + 1].strip())

    changed = data[:at] + bytes([to]) + data[at + 1 :]

    assert not holds(signer(data) + changed, signer)


@both
@pytest.mark.parametrize("name", ["From", "To", "Subject"])
def test_a_second_header_is_found_out(signer: Signer, name: str) -> None:
    """Which of two a mail program shows is anybody's guess (RFC 6376, 8.15), so that there is one is signed too."""
    data = mail()

    for more in (
        f"{name}: x@y.example\r\n".encode() + data,
        data.replace(b"\r\n\r\n", f"\r\n{name}: x\r\n\r\n".encode(), 1),
    ):
        assert not holds(signer(data) + more, signer)


@both
def test_what_servers_do_on_the_way_is_borne(signer: Signer) -> None:
    """Headers folded anew and added, blanks at the ends of lines, empty lines at the end: it is the same mail."""
    data = mail(subject="Curbs on exports of dual-use goods")
    head, _, body = data.partition(b"\r\n\r\n")
    head = head.replace(b"Curbs on exports", b"Curbs  on\r\n\texports").replace(b"From:", b"FROM:\t ")
    travelled = b"Received: from a by b\r\n" + signer(data) + head + b"\r\nX-Spam: no\r\n\r\n"
    travelled += body.replace(b"curbed.\r\n", b"curbed. \t\r\n") + b"\r\n\r\n"

    assert holds(travelled, signer)


@both
def test_headers_are_signed_however_they_are_laid_out(signer: Signer) -> None:
    """Runs of blanks, folds by tabs, and several of a name, of which the last is signed first (RFC 6376, 5.4.2)."""
    data = (
        b"From: a@b.example\r\nTo:  c@d.example \r\nTo:\te@f.example\r\nSubject: \t Curbs  on\r\n\t exports\t \r\n"
        b"Date: Mon, 29 Jun 2020 21:07:00 +0000\r\n\r\nWords.\r\n"
    )

    assert holds(signer(data) + data, signer)


def test_a_last_line_without_its_end_is_signed_as_it_travels() -> None:
    """With it: whoever sends a mail ends its last line."""
    assert relaxed_body(b"Words. ") == relaxed_body(b"Words. \r\n") == b"Words.\r\n"


@given(st.text(" \t\nab.", max_size=80).map(lambda text: f"{text}\n".replace("\n", "\r\n").encode()))
def test_a_body_is_signed_as_dkimpy_signs_it(body: bytes) -> None:
    """The relaxed form of any body (RFC 6376, 3.4.4)."""
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


# ---------------------------------------------------------------- the header itself


@both
def test_a_second_copy_is_signed_alike(signer: Signer) -> None:
    """Byte for byte: the time is that of the mail's Date, and nothing is by chance (P4)."""
    data = mail()

    again = Signer("House.Example", "Alerts1", KEYS["ed25519" if "ed25519" in repr(signer) else "rsa"])

    assert signer(data) == signer(data) == again(data)
    date = re.search(rb"\r\nDate: ([^\r]*)", data)
    assert date is not None
    assert tags(signer(data))["t"] == str(timegm(parsedate_tz(date[1].decode())[:9]))  # type: ignore[index]


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-12 * 60, 14 * 60),
)
@examples(30)
def test_the_time_is_the_mails_own(when: datetime, minutes: int) -> None:
    """In seconds, whatever the zone it is told in."""
    when = when.astimezone(timezone(timedelta(minutes=minutes)))
    data = f"From: a@b.example\r\nDate: {format_datetime(when)}\r\n\r\n".encode()

    assert tags(SIGNERS["ed25519"](data))["t"] == str(int(when.timestamp()))


@both
def test_all_that_matters_is_signed(signer: Signer) -> None:
    """Every header that we may write is covered where it is there, the one-click pair among them (RFC 8058, 4)."""
    head = "".join(
        f"{name}: <https://house.example/{number}>\r\n" for number, name in enumerate(SIGNED) if name != "Date"
    )
    data = f"{head}Date: Mon, 29 Jun 2020 21:07:00 +0000\r\n\r\nWords.\r\n".encode()

    signature = signer(data)

    named = tags(signature)["h"].split(":")
    assert sorted({*named}) == sorted(SIGNED)
    assert {name for name in named if named.count(name) == 2} == {"From", "To", "Subject"}
    assert holds(signature + data, signer)
    unsubscribed = data.replace(b"List-Unsubscribe-Post: <", b"List-Unsubscribe-Post: x<")
    assert not holds(signature + unsubscribed, signer)


@both
def test_the_signature_is_folded(signer: Signer) -> None:
    """Lines of 76 at most, none of them empty, and CRLF between them."""
    lines = signer(mail()).split(b"\r\n")

    assert lines.pop() == b""
    assert lines[0].startswith(b"DKIM-Signature: v=1; a=")
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert max(map(len, lines)) <= 76
    assert b"\n" not in b"".join(lines)


@pytest.mark.parametrize(
    "data",
    [
        b"From: a@b.example\nDate: Mon, 29 Jun 2020 21:07:00 +0000\n\nWords.\n",
        b"From: a@b.example\r\nDate: Mon, 29 Jun 2020 21:07:00 +0000\r\n\r\nWords.\rMore.\n",
        b"From: a@b.example\r\n\r\nWords.\r\n",
        b"Date: Mon, 29 Jun 2020 21:07:00 +0000\r\n\r\nWords.\r\n",
        b"From: a@b.example\r\nDate: today\r\n\r\nWords.\r\n",
    ],
)
def test_what_is_no_mail_is_a_bug(data: bytes) -> None:
    """Bare line ends are changed on the way, and would break the signature; a mail without From or Date is none."""
    with pytest.raises(ValueError, match="about to be signed"):
        SIGNERS["rsa"](data)


# ---------------------------------------------------------------- the key


@pytest.mark.parametrize(
    ("domain", "selector", "key", "words"),
    [
        ("house.example", "a", "", '"key" is neither a key in PEM nor a whole path; write it as'),
        ("house.example", "a", "/nowhere/key.pem", "cannot be read: No such file"),
        (
            "house.example",
            "a",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----",
            "cannot be read; write",
        ),
        ("house.example", "a", pem(RSA_KEY, passphrase=b"x"), "locked by a passphrase"),
        ("house.example", "a", pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
        ("house.example", "a", ODD, "cannot be read; write"),
        ("house.example", "a", SHORT, "an RSA key of 512 bits is not believed; make one of 2048 bits"),
        ("house example", "a", KEYS["rsa"], '"domain" is not a DNS name'),
        ("bücher.example", "a", KEYS["rsa"], '"domain" is not a DNS name'),
        ("house.example", "a;b", KEYS["rsa"], '"selector" is not a DNS name'),
        ("house.example", "", KEYS["rsa"], '"selector" is not a DNS name'),
    ],
)
def test_a_key_that_cannot_sign_is_a_mistake_of_the_settings(domain: str, selector: str, key: str, words: str) -> None:
    """It is told with what would mend it, and without the key."""
    with pytest.raises(Misconfigured) as caught:
        Signer(domain, selector, key)

    assert words in str(caught.value)
    assert str(caught.value).startswith("notifier.toml: [email] dkim: ")
    assert "c2VjcmV0" not in str(caught.value)
    assert not [line for line in key.splitlines()[1:-1] if line in str(caught.value)]


@pytest.mark.parametrize(
    "written",
    [
        lambda folder: KEYS["rsa"],
        lambda folder: KEYS["rsa"].replace("\n", "\\n"),
        lambda folder: pem(RSA_KEY, form=PrivateFormat.TraditionalOpenSSL),
        lambda folder: str(_file(folder, KEYS["rsa"])),
    ],
    ids=["PKCS#8", "on one line", "PKCS#1", "a file"],
)
def test_a_key_may_be_written_in_several_ways(tmp_path: Path, written: Callable[[Path], str]) -> None:
    """As it is, as files of variables have it, as OpenSSL once wrote it, or as the path of its file."""
    data = mail()

    assert Signer("house.example", "alerts1", written(tmp_path))(data) == SIGNERS["rsa"](data)


def _file(folder: Path, key: str) -> Path:
    path = folder / "key.pem"
    path.write_text(key)
    return path


def test_a_short_key_is_taken_and_told() -> None:
    """1024 bits must still be believed (RFC 8301), and are advised against."""
    weak = Signer("house.example", "old", pem(rsa.generate_private_key(65537, 1024)))  # noqa: S505

    assert weak.is_weak
    assert not any(signer.is_weak for signer in SIGNERS.values())


@both
def test_the_record_is_made_of_short_strings(signer: Signer) -> None:
    """A TXT record's strings have 255 bytes at most (RFC 1035, 3.3.14); no part of the private key is in it."""
    strings = re.findall(r'"([^"]*)"', signer.record)

    assert max(map(len, strings)) <= 255
    assert strings[0].startswith("v=DKIM1; k=")
    assert signer.record_name == "alerts1._domainkey.house.example"


def test_keys_do_not_show() -> None:
    """Neither in the settings nor in the signer, whoever prints them."""
    told = Dkim(domain="house.example", selector="a", key=KEYS["rsa"])
    relay = Relay(host="localhost", tls="none", sender="alerts@house.example", dkim=told)

    for shown in (repr(told), repr(relay), str(relay), repr(relay.signer())):
        assert "PRIVATE" not in shown
        assert KEYS["rsa"].splitlines()[1] not in shown


def test_without_a_key_nothing_signs() -> None:
    """Then the mail server does."""
    assert Relay(host="localhost", tls="none", sender="alerts@house.example").signer() is None


def python(code: str) -> str:
    """What a Python of its own says of this."""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    return told.stdout + told.stderr


def test_without_a_key_its_library_is_not_loaded() -> None:
    """It is an extra: who does not sign need not have it."""
    code = "import sys, notifier.home.settings, notifier.channels.mail.dkim; print('cryptography' in sys.modules)"

    assert python(code) == "False\n"


def test_a_library_that_is_missing_is_told_with_its_mend() -> None:
    """An operator who wants to sign is told what to install."""
    code = f"""
import sys
sys.modules["cryptography"] = None  # as where it is not installed
from notifier.channels.mail.dkim import Signer
Signer("house.example", "a", {KEYS["ed25519"]!r})
"""

    told = python(code)

    assert told.rstrip().endswith("which is not installed; pip install 'policy-change-notifier[dkim]'")
    assert "Misconfigured" in told
