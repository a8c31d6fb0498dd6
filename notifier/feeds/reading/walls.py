"""Recognise pages that check for humans, served instead of a document."""

from __future__ import annotations

import re

_SIGNS = re.compile(
    rb"captcha|incapsula|human verification|verify (?:that )?you are (?:a )?human|cf-chl|challenge-platform|awswaf|"
    rb"request unsuccessful|access denied|are you a robot|bot check|unusual traffic",
    re.I,
)


def checks_for_humans(start: bytes) -> bool:
    """Does the start of a document look like such a page? Use it only on documents of an unexpected kind."""
    return bool(_SIGNS.search(start))
