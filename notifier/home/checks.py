"""
Gathers the mistakes of a file with their places, so that all are reported together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from notifier.errors import Misconfigured, Mistake
from notifier.home.checked import Misfit
from notifier.home.toml import Place, TomlFile


class Checks:
    """Checks of one file; what is wrong with it gathers in `mistakes`."""

    def __init__(self, file: TomlFile, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes

    def wrong(self, place: Place, problem: str, mend: str = "") -> None:
        """Report a mistake at a place of the file, with what would mend it."""
        self.mistakes.append(self.file.mistake(place, problem, mend))

    def fits(self, place: Place, check: Callable[..., object], *values: Any) -> None:
        """Report the `Misfit` that a check raises, if it does."""
        try:
            check(*values)
        except Misfit as error:
            self.wrong(place, f'"{place[-1]}" {error.problem}', error.mend)

    def passes(self, place: Place, check: Callable[[], object]) -> None:
        """Report the mistakes of the `Misconfigured` that a check raises, if it does."""
        try:
            check()
        except Misconfigured as error:
            for mistake in error.mistakes:
                self.wrong(place, mistake.problem, mistake.mend)
