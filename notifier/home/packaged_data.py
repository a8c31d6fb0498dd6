"""
Where the files are that come with the notifier: its templates, and subscriptions to start from.

An installed package carries them inside (`notifier/_data`, put there when the wheel is built). In a checkout they lie
at the top, where people look for them, and an editable install reads them there.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def templates() -> Path:
    """The built-in templates: one folder a message, one file a form."""
    return _folder("templates")


def subscriptions() -> Path:
    """Example subscribers' files that run, with the schema that editors complete them by."""
    return _folder("subscriptions")


def _folder(name: str) -> Path:
    inside = _PACKAGE / "_data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
