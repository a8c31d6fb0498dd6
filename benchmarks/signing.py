"""
How many mails a second can be signed, beside dkimpy in the same run?

    python -m benchmarks.signing [SECONDS]

Mails of about six kilobytes, each with a recipient and a Message-ID of its own, signed with RSA of 2048 bits and with
Ed25519. Beside the whole it is told how long the key's own part takes, since no code of ours can shorten that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.channels.mail.composer import Sender, composed
from notifier.channels.mail.dkim import SIGNED, Signer
from tests.channels.messages import message

BESIDE = 40e-6  # seconds that we may take beside the key's own part
TEXT = "Commerce suspends the preferential treatment of exports to Hong Kong; “dual-use” goods need a licence.\n"
HTML = '  <p style="margin:0 0 1em">Commerce suspends the <b>preferential</b> treatment of exports to Hong Kong.</p>\n'


def mails(number: int) -> list[bytes]:
    """Mails that differ as those of one alert to many people do."""
    sender = Sender("Policy alerts", "alerts@house.example")
    told = (message(text=TEXT * 18, html=HTML * 30, id=f"{n:032x}") for n in range(number))
    return [composed(each, sender, f"desk{n}@bank.example") for n, each in enumerate(told)]


def rate(sign: Callable[[bytes], object], data: list[bytes], seconds: float) -> float:
    """Calls a second, over so many seconds."""
    done, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        sign(data[done % len(data)])
        done += 1
    return done / passed


def main(seconds: float) -> None:
    """Measure, and print a line for each kind of key."""
    data = mails(200)
    short, long = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    names = [name.lower().encode() for name in SIGNED]
    lock = NoEncryption()
    pem = short.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    old = short.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, lock)
    way, digest = padding.PKCS1v15(), SHA256()
    rows = {
        "rsa": (
            Signer("house.example", "a", pem.decode()),
            lambda mail: short.sign(mail[:800], way, digest),
            lambda mail: dkim.sign(mail, b"a", b"house.example", old, include_headers=names),
        ),
        "ed25519": (
            Signer("house.example", "a", long.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()),
            lambda mail: long.sign(mail[:32]),
            None,
        ),
    }
    print(f"mails of {sum(map(len, data)) // len(data):,} bytes")
    for kind, (ours, key, theirs) in rows.items():
        signed, alone = rate(ours, data, seconds), rate(key, data, seconds)
        beside = 1 / signed - 1 / alone
        said = "reached" if beside <= BESIDE else "NOT reached"
        told = f"{kind:8} {signed:8,.0f}/s   the key alone {alone:8,.0f}/s   beside it {beside * 1e6:5.1f} µs"
        told += f" (target ≤ {BESIDE * 1e6:.0f}: {said})"
        print(told + (f"   dkimpy {rate(theirs, data, seconds):6,.0f}/s" if theirs else ""))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
