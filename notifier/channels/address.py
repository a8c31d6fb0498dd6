"""Mail addresses: which of them can work, how they travel, and how they are shown."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email


def mailbox(address: str) -> str:
    """
    The bare address as it travels, its domain in ASCII (IDNA).

    Raises ValueError, in a sentence with the mend, for what is no address or more than one. Asks no server.
    """
    try:
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise ValueError(f"this is no address for mail; write it bare, as name@domain: {error}") from error
    return f"{valid.local_part}@{valid.ascii_domain}"


def masked(address: str) -> str:
    """`desk@example.com` as `d…@example.com`: enough to recognise it, not enough to write to it."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else "…"
