"""Templates and a view become the forms of a message, and nothing foreign acts in any of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from notifier.errors import Misconfigured
from notifier.messages.render import Renderer, clip, mrkdwn, wrap


def write(folder: Path, form: str, text: str) -> Renderer:
    """A renderer whose only template is this one."""
    (folder / "alert").mkdir(parents=True, exist_ok=True)
    (folder / "alert" / form).write_text(text, "utf-8")
    return Renderer([folder])


def rendered(folder: Path, form: str, template: str, **view: object) -> str:
    return write(folder, form, template).render("alert", (form,), view)[form]


def test_html_is_escaped(tmp_path: Path) -> None:
    """A title with markup in it is shown, not obeyed."""
    assert rendered(tmp_path, "a.html", '<p title="{{ t }}">{{ t }}</p>', t="\"'<b>&") == (
        '<p title="&#34;&#39;&lt;b&gt;&amp;">&#34;&#39;&lt;b&gt;&amp;</p>\n'
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ t|safe }}",
        "{% autoescape false %}{{ t }}{% endautoescape %}",
        "{%- autoescape false -%}{{ t }}{%- endautoescape -%}",
        "{{ t|urlize }}",
        "{{ {'a': t}|xmlattr }}",
        "{{ lipsum() }}",
    ],
)
def test_there_is_no_way_around_escaping(tmp_path: Path, template: str) -> None:
    """What would write text as it stands is not in the language."""
    with pytest.raises(Misconfigured, match=r"a\.html, line 1: "):
        rendered(tmp_path, "a.html", template, t="<b>")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ runs.append(1) }}",
        "{{ runs.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(t) }}",
    ],
)
def test_the_sandbox_holds(tmp_path: Path, template: str) -> None:
    """A template reaches nothing behind its values, and changes none of them."""
    with pytest.raises(Misconfigured):
        rendered(tmp_path, "a.txt", template, t="x", runs=[])


def test_values_are_never_templates(tmp_path: Path) -> None:
    """A title in the template language is shown as it was written."""
    title = "{{ 7 * 7 }}{% include 'alert/a.txt' %}"

    assert rendered(tmp_path, "a.txt", "{{ t }}", t=title) == title + "\n"


def test_json_values_are_whole(tmp_path: Path) -> None:
    """In JSON every value brings its own quotes, so none can end one."""
    template = (
        '{% macro m(x) %}{"k": {{ x }}}{% endmacro %}[{{ t }}, {{ n }}, {{ t ~ "!" }}, {{ m(t) }}, {{ t if n else 0 }}]'
    )

    text = rendered(tmp_path, "a.json", template, t='"], "evil": ["\n\u2028</script>', n=7)

    title = '"], "evil": ["\n\u2028</script>'
    assert json.loads(text) == [title, 7, title + "!", {"k": title}, title]


@pytest.mark.parametrize("template", ["[{{ t }}", '["{{ t }}"]', "{{ t|e }}", "[{{ t|safe }}]"])
def test_what_is_no_json_does_not_leave(tmp_path: Path, template: str) -> None:
    """A template that writes broken JSON is told by its file, before anything is sent."""
    with pytest.raises(Misconfigured, match=r"a\.json"):
        rendered(tmp_path, "a.json", template, t="title")


def test_texts_lose_their_control_characters(tmp_path: Path) -> None:
    """Escape sequences, overrides and NULs are gone from text; its own lines stay."""
    assert rendered(tmp_path, "a.txt", "a\n{{ t }}", t="\x1b]0;x\x07\x00\u202eb\r\nc") == "a\n]0;xb\nc\n"


def test_a_subject_is_one_line(tmp_path: Path) -> None:
    """Whatever the template and its values, a subject has no line break."""
    assert rendered(tmp_path, "subject.txt", "[{{ t }}]\n  and\n\nmore\n", t="a\r\nBcc: x") == "[a Bcc: x] and more"


def test_an_unknown_variable_is_told_with_file_and_line(tmp_path: Path) -> None:
    """A slip of the pen in an operator's template is not an empty line in somebody's mail."""
    with pytest.raises(Misconfigured) as caught:
        rendered(tmp_path, "body.txt", "Hello\n\n{{ titel }}", title="x")

    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.line) == (str(tmp_path / "alert" / "body.txt"), 3)
    assert "titel" in mistake.problem


def test_an_unknown_variable_is_told_in_json_too(tmp_path: Path) -> None:
    """JSON is as strict as text."""
    with pytest.raises(Misconfigured, match=r"a\.json, line 2: 'titel'"):
        rendered(tmp_path, "a.json", "[\n{{ titel }}]")


def test_a_broken_template_is_told_with_file_and_line(tmp_path: Path) -> None:
    """A tag that is never closed."""
    with pytest.raises(Misconfigured, match=r"body\.txt, line 2: .*endif"):
        rendered(tmp_path, "body.txt", "Hello\n{% if true %}")


def test_a_failing_template_is_told_with_the_line_that_failed(tmp_path: Path) -> None:
    """Also where the failing line stands in a file that the template includes."""
    write(tmp_path, "part.txt", "\n\n{{ 1 / 0 }}")

    with pytest.raises(Misconfigured, match=r"part\.txt, line 3: division by zero"):
        rendered(tmp_path, "body.txt", "{% include 'alert/part.txt' %}")


def test_a_missing_template_is_told_with_the_places_looked_at(tmp_path: Path) -> None:
    """The message says where to put it."""
    with pytest.raises(
        Misconfigured, match=r"body\.txt: this template does not exist; put it into .*mine or .*builtin"
    ):
        Renderer([tmp_path / "mine", tmp_path / "builtin"]).render("alert", ("body.txt",), {})


@pytest.mark.parametrize("name", ["../secret.txt", "alert/../../secret.txt"])
def test_a_template_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    """An include reaches templates, and no other file."""
    (tmp_path / "secret.txt").write_text("secret", "utf-8")

    with pytest.raises(Misconfigured):
        rendered(tmp_path / "templates", "a.txt", f"{{% include '{name}' %}}")


def test_the_operators_template_goes_before_the_builtin_one(tmp_path: Path) -> None:
    """A form that he has not written comes from the built-in folder."""
    write(tmp_path / "mine", "body.txt", "mine")
    write(tmp_path / "builtin", "body.txt", "builtin")
    write(tmp_path / "builtin", "subject.txt", "subject")

    parts = Renderer([tmp_path / "mine", tmp_path / "builtin"]).render("alert", ("body.txt", "subject.txt"), {})

    assert parts == {"body.txt": "mine\n", "subject.txt": "subject"}


def test_clip_keeps_whole_words() -> None:
    """A text too long ends with a word and an ellipsis, one without spaces anywhere."""
    assert clip("short", 5) == "short"
    assert clip("one two three", 11) == "one two…"
    assert clip("香港特殊待遇", 4) == "香港特…"


def test_mrkdwn_escapes_slacks_three_letters() -> None:
    """Mentions and links of a stranger's making come to nothing."""
    assert mrkdwn("<!channel> & <https://x|y>") == "&lt;!channel&gt; &amp; &lt;https://x|y&gt;"


def test_wrap_keeps_links_whole() -> None:
    """A word longer than the line stays one word, and each line carries the indent."""
    assert wrap("see https://ministry.example/dual-use-rules now", 12, "> ") == (
        "> see\n> https://ministry.example/dual-use-rules\n> now"
    )
