"""Are secrets found where operators put them, and shown nowhere?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from notifier.secret import NotFound, Secret, SecretText, filled, find


def test_a_secret_does_not_show_itself():
    """Neither printing, formatting, nor encoding a secret gives it out."""
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {SecretText('hunter2', 'the variable X')}"
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    assert secret.reveal() == "hunter2"


def test_secrets_can_be_compared():
    """Equal texts are equal secrets, so that a changed address is noticed."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


def test_the_variable_goes_before_its_file_and_the_credential(tmp_path: Path):
    """A secret is looked for in the variable, then in the file that NAME_FILE names, then among the credentials."""
    (tmp_path / "DESK").write_text("from the credential\n")
    (tmp_path / "mounted").write_text("from the file\n")
    credential = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    file = {**credential, "DESK_FILE": str(tmp_path / "mounted")}
    variable = {**file, "DESK": "from the variable"}

    found = [find("DESK", environ) for environ in (variable, file, credential, {})]

    assert [each.text if each else None for each in found] == [
        "from the variable",
        "from the file",
        "from the credential",
        None,
    ]


def test_every_name_in_a_text_is_filled_once():
    """`${NAME}` is replaced wherever it stands; what is put in is not looked through again."""
    environ = {"A": "${B}", "B": "x$"}

    assert filled("${A}-${B}-$B-$${B}", environ) == "${B}-x$-$B-$x$"


@pytest.mark.parametrize("environ", [{}, {"DESK": " "}])
def test_a_name_without_a_value_is_told(environ: dict[str, str]):
    """A variable that is not set, or empty, is named together with what to do."""
    with pytest.raises(NotFound) as error:
        filled("${DESK}", environ)

    assert "DESK" in error.value.problem
    assert "DESK_FILE" in error.value.mend


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    """A NAME_FILE that leads nowhere is a mistake, not an absent secret."""
    with pytest.raises(NotFound, match="DESK_FILE cannot be read"):
        find("DESK", {"DESK_FILE": str(tmp_path / "nowhere")})
