"""
Secrets, and where they come from.

A file names a secret, `${DESK_SLACK}`, and the environment holds it. Three places are looked in, in this order: the
variable itself; a file that `DESK_SLACK_FILE` names, as container platforms mount them; a file of the secret's name in
`$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret:
    """A text that is not for showing. It can be compared; only `reveal()` gives it out, and no codec encodes it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whoever has to use it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


class SecretText(msgspec.Struct, frozen=True):
    """A text from outside, and where it was found, in words."""

    text: str
    where: str

    def __repr__(self) -> str:
        return f"Found(…, {self.where})"


class NotFound(Exception):
    """A name for which the environment holds nothing. `problem` and `mend` are sentences without secrets."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem, self.mend = problem, mend


def find(name: str, environ: Mapping[str, str]) -> SecretText | None:
    """
    What the environment holds under a name; None where there is nothing. A file's last line break is not part of it.

    Raises `NotFound` where the environment names a file that cannot be read.
    """
    if name in environ:
        return SecretText(environ[name], f"the variable {name}")
    if path := environ.get(f"{name}_FILE"):
        return SecretText(_content(Path(path), f"{name}_FILE"), f"the file that {name}_FILE names")
    if (folder := environ.get("CREDENTIALS_DIRECTORY")) and (path_ := Path(folder) / name).is_file():
        return SecretText(_content(path_, f"the credential {name}"), f"the credential {name}")
    return None


def filled(text: str, environ: Mapping[str, str]) -> str:
    """
    The text with each `${NAME}` in it replaced. What is put in is not looked through again.

    Raises `NotFound` for a name that is set nowhere, or set to nothing.
    """

    def put_in(match: re.Match[str]) -> str:
        found = find(match[1], environ)
        if found is None or not found.text.strip():
            state = "is not set" if found is None else "is empty"
            raise NotFound(f"the variable {match[1]} {state}", f"set it, or {match[1]}_FILE to a file that holds it")
        return found.text

    return _NAMED.sub(put_in, text)


def _content(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise NotFound(f"the file of {what} cannot be read: {reason}", "make it readable for the notifier") from error
