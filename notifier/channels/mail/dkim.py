"""
A mail's signature, by which a recipient's server knows that we sent it and nobody changed it (DKIM).

RFC 6376, with the keys of RFC 8301 and RFC 8463; headers and body are signed in their relaxed form.

Most operators leave this to their mail server. Signing needs the library `cryptography`, which is loaded only if there
is a key. The same mail always gets the same signature: its time is the mail's own Date, and both kinds of key sign
deterministically, so that a second copy is byte for byte the first.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
from calendar import timegm
from collections.abc import Callable, Iterable
from email.utils import parsedate_tz
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from notifier.errors import Misconfigured, Mistake

# What is signed where it is there, in this order (RFC 6376, 5.4.1; RFC 8058, 4: the List-Unsubscribe pair must be).
SIGNED = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Post",
    "List-Help",
    "List-Archive",
    "Feedback-ID",
)
# Named once more than they are there: a second one that somebody adds breaks the signature (RFC 6376, 8.15).
OVERSIGNED = frozenset({b"from", b"to", b"subject"})
_NAMES = {name.lower().encode(): name for name in SIGNED}

SHORTEST, ADVISED = 1024, 2048  # bits of an RSA key: what verifiers must take, and what is safe (RFC 8301)
_LINE = 76  # characters of a line of the signature
_STRING = 255  # bytes of one string in a TXT record (RFC 1035, 3.3.14)

_ENDS = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_MISSING = "it needs the library cryptography, which is not installed", "pip install 'policy-change-notifier[dkim]'"


class Signer:
    """
    Signs mails for a domain with the key that `selector` names in its DNS.

    `key` is a private key in PEM (PKCS#8), RSA of 1,024 bits or more or Ed25519, or the whole path of a file that holds
    one. Raises `Misconfigured` for what cannot sign.
    """

    def __init__(self, domain: str, selector: str, key: str) -> None:
        for name, value in (("domain", domain), ("selector", selector)):
            if not _ENDS.fullmatch(value) or len(value) > 253:
                raise _misconfigured(f'"{name}" is not a DNS name', "write letters, digits, hyphens and dots")
        self.domain, self.selector = domain.lower(), selector.lower()
        read = _read(_pem(key))
        self.bits, self._algorithm, self._sign, self._public = read.bits, read.algorithm, read.sign, read.public
        self._begins = _folded(
            [
                f"DKIM-Signature: v=1; a={self._algorithm}-sha256; c=relaxed/relaxed;",
                f"d={self.domain};",
                f"s={self.selector};",
            ]
        )

    def __repr__(self) -> str:
        return f"Signer({self.selector}._domainkey.{self.domain}, {self._algorithm})"

    @property
    def is_weak(self) -> bool:
        """Is the key shorter than is advised?"""
        return self._algorithm == "rsa" and self.bits < ADVISED

    @property
    def record_name(self) -> str:
        """Where in the DNS the public key must stand."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record that must stand there, as a zone file has it: in strings of 255 bytes at most."""
        value = f"v=DKIM1; k={self._algorithm}; p={base64.b64encode(self._public).decode()}"
        return " ".join(f'"{value[at : at + _STRING]}"' for at in range(0, len(value), _STRING))

    def __call__(self, data: bytes) -> bytes:
        """
        The `DKIM-Signature` header, with its line ends, that goes before this mail (CRLF line ends, whole).

        Raises ValueError for what is no such mail: it has another line end, or no From or Date.
        """
        if not data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"):
            raise ValueError("a mail with a bare CR or LF was about to be signed")
        head, _, body = data.partition(b"\r\n\r\n")
        fields = _fields(head)
        if b"from" not in fields or b"date" not in fields:
            raise ValueError("a mail without From or Date was about to be signed")
        names, signed = _signed(fields)
        unsigned = "".join(
            (
                self._begins,
                f" t={_seconds(fields[b'date'][-1])};",
                _named(names),
                f"\r\n bh={base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()};\r\n b=",
            )
        ).encode()
        # In its relaxed form: there are no blanks in it but one after each fold.
        own = b"dkim-signature:" + unsigned.removeprefix(b"DKIM-Signature: ").replace(b"\r\n", b"")
        value = base64.b64encode(self._sign(signed + own)).decode()
        return unsigned + _in_lines(value).encode() + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """The body as it is signed (RFC 6376, 3.4.4): runs of blanks are one, none ends a line, no empty line ends it."""
    # Found and replaced rather than matched: it takes less than half the time of a regular expression.
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = body.replace(b" \r\n", b"\r\n").removesuffix(b" ").rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _fields(head: bytes) -> dict[bytes, list[bytes]]:
    """
    A mail's headers as they are signed (RFC 6376, 3.4.2), by their names in small letters, the first of a name first.

    Each is unfolded, its runs of blanks are one, and there are none at its ends or behind its colon.
    """
    head = head.replace(b"\t", b" ").replace(b"\r\n ", b" ")
    while b"  " in head:
        head = head.replace(b"  ", b" ")
    fields: dict[bytes, list[bytes]] = {}
    for field in head.split(b"\r\n"):
        name, _, value = field.partition(b":")
        key = name.lower()
        fields.setdefault(key, []).append(key + b":" + value.strip(b" ") + b"\r\n")
    return fields


def _signed(fields: dict[bytes, list[bytes]]) -> tuple[tuple[str, ...], bytes]:
    """The names that are signed, and their headers as they are signed: of several of a name the last is the first."""
    names: list[str] = []
    lines: list[bytes] = []
    for key, name in _NAMES.items():
        if values := fields.get(key):
            names += [name] * len(values)
            lines += reversed(values)
        if key in OVERSIGNED:
            names.append(name)
    return tuple(names), b"".join(lines)


@lru_cache(64)
def _named(names: Iterable[str]) -> str:
    """The names of what is signed, on lines of their own."""
    lines, line = [], "h="
    for name in names:
        if len(line) + len(name) + 2 > _LINE:
            lines.append(line)
            line = ""
        line += f"{name}:"
    return "".join(f"\r\n {line}" for line in [*lines, line[:-1] + ";"])


@lru_cache(64)
def _seconds(date: bytes) -> int:
    """A Date header, as it is signed, in seconds since 1970."""
    found = parsedate_tz(date.partition(b":")[2].decode("ascii", "replace").strip())
    if found is None:
        raise ValueError("a mail with an invalid Date was about to be signed")
    return timegm(found[:9]) - (found[9] or 0)


def _folded(words: Iterable[str]) -> str:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 1 <= _LINE - len(" t=9999999999;"):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\r\n ".join(lines)


def _in_lines(value: str) -> str:
    width = _LINE - 3
    return "\r\n ".join(value[at : at + width] for at in range(0, len(value), width))


# ---------------------------------------------------------------- the key


class _Key(msgspec.Struct, frozen=True):
    """What a private key can do: sign bytes, and be known by its public half (as the DNS holds it)."""

    algorithm: str
    bits: int
    sign: Callable[[bytes], bytes]
    public: bytes


def _pem(key: str) -> bytes:
    if "-----BEGIN" in key:
        # Where a file of variables has it on one line.
        return key.replace("\\n", "\n").encode()
    if not Path(key).is_absolute():
        raise _misconfigured('"key" is neither a key in PEM nor a whole path', 'write it as "${DKIM_KEY}"')
    try:
        return Path(key).read_bytes()
    except OSError as error:
        raise _misconfigured(f"the file of the key cannot be read: {error.strerror}", "see its path") from error


def _read(pem: bytes) -> _Key:
    serialization, private = _library("hazmat.primitives.serialization"), _private_key(pem)
    encoding, form = serialization.Encoding, serialization.PublicFormat
    if isinstance(private, _library("hazmat.primitives.asymmetric.rsa").RSAPrivateKey):
        if private.key_size < SHORTEST:
            raise _misconfigured(f"an RSA key of {private.key_size} bits is not believed", "make one of 2048 bits")
        way = _library("hazmat.primitives.asymmetric.padding").PKCS1v15()
        digest = _library("hazmat.primitives.hashes").SHA256()
        public = private.public_key().public_bytes(encoding.DER, form.SubjectPublicKeyInfo)
        return _Key("rsa", private.key_size, lambda data: private.sign(data, way, digest), public)
    if isinstance(private, _library("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey):
        public = private.public_key().public_bytes(encoding.Raw, form.Raw)
        # RFC 8463, 3: what is signed is the hash.
        return _Key("ed25519", 256, lambda data: private.sign(hashlib.sha256(data).digest()), public)
    raise _misconfigured("the key is neither RSA nor Ed25519", "make one of 2048 bits: openssl genrsa 2048")


def _private_key(pem: bytes) -> Any:
    serialization, exceptions = _library("hazmat.primitives.serialization"), _library("exceptions")
    try:
        return serialization.load_pem_private_key(pem, None)
    except TypeError as error:
        raise _misconfigured("the key is locked by a passphrase", "keep one without: openssl pkcs8") from error
    except (ValueError, exceptions.UnsupportedAlgorithm) as error:
        raise _misconfigured("the key cannot be read", "write a private key in PEM (PKCS#8)") from error


def _library(part: str) -> Any:
    try:
        return importlib.import_module(f"cryptography.{part}")
    except ImportError as error:
        raise _misconfigured(*_MISSING) from error


def _misconfigured(problem: str, mend: str) -> Misconfigured:
    return Misconfigured([Mistake("notifier.toml", 0, f"[email] dkim: {problem}", mend)])
