"""Is this a page that checks for humans, and stands before what was asked for?"""

from __future__ import annotations

import re

_SIGNS = re.compile(
    rb"captcha|incapsula|human verification|verify (?:that )?you are (?:a )?human|cf-chl|challenge-platform|awswaf|"
    rb"request unsuccessful|access denied|are you a robot|bot check|unusual traffic",
    re.I,
)


def checks_for_humans(start: bytes) -> bool:
    """Does the start of a document bear the signs of such a page? Ask only of what is not the document expected."""
    return bool(_SIGNS.search(start))
