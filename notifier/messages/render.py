"""
Templates and a view → the forms of a message.

A template is an operator's file and may be wrong or careless; what it is filled with comes from strangers. So it runs
in a sandbox, sees plain values only, and whatever it writes is escaped for its form, without a way around it.
"""

from __future__ import annotations

import functools
import json
import re
import textwrap
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.exceptions import TemplateNotFound
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from notifier.errors import Misconfigured, Mistake
from notifier.message import without_controls

# What lets text through as it stands, or writes markup of its own.
_WAYS_AROUND = ("safe", "xmlattr", "urlize")
_WAYS_AROUND_JSON = (*_WAYS_AROUND, "e", "escape", "forceescape")

ONE_LINE = "subject.txt"
OLD_FOLDERS = {"web": "door"}  # by a folder's name: the one that it had before, under which operators may have it

_Environments = dict[str, ImmutableSandboxedEnvironment]

# Words that mean nothing to any form.
_PLAIN = re.compile(r"[A-Za-z0-9./:_]+(?: [A-Za-z0-9./:_]+)*")

# The signs of a redline in plain text, deleted and inserted.
SIGNS = {"deleted": ("[-", "-]"), "inserted": ("{+", "+}")}
_SIGN = re.compile(r"\[(?=-)|-(?=\])|\{(?=\+)|\+(?=\})")
# What Markdown, and Discord beyond it, may read as markup: marks, quotes, headings, lists, links, mentions, emoji.
_MARKDOWN = re.compile(r"([\\*_~`|>#+\-\[\]()<@:/.!])")
# Slack's marks for bold, struck and code, and what looks like them.
_SLACK_MARKS = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})


class Renderer:
    """
    Fills the templates found in `folders`, the first folder first: an operator's own before the built-in ones.

    The ending of a form decides how its values are made safe. `.html`: every value is escaped. `.json`: every value is
    written as a whole JSON value, quotes included, and the result must parse. `.txt`: no control characters, and no
    value can contain the signs of a redline; `subject.txt` is one line. A changed template is used from the next
    message on.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._loader = _Templates(self._folders)
        self._environments = _environments(self._folders)
        self._builtin = _environments(self._folders[-1:])

    def render(self, folder: str, forms: Sequence[str], view: msgspec.Struct | Mapping[str, object]) -> dict[str, str]:
        """
        The text of each form by its file name, from `folder/form` with the view's fields as variables.

        Raises `Misconfigured` naming file and line where a template is missing or broken, uses a variable that there
        is not, or writes what is no JSON.
        """
        values: dict[str, object] = msgspec.to_builtins(view)
        return {form: self._form(self._environments, f"{folder}/{form}", values) for form in forms}

    def render_all_the_same(
        self, folder: str, forms: Sequence[str], view: msgspec.Struct | Mapping[str, object]
    ) -> tuple[dict[str, str], dict[str, Misconfigured]]:
        """
        As `render`, but the built-in template stands in for an operator's that is at fault; what was wrong, by form.

        Raises `Misconfigured` where the built-in one is at fault too.
        """
        values: dict[str, object] = msgspec.to_builtins(view)
        parts: dict[str, str] = {}
        faults: dict[str, Misconfigured] = {}
        for form in forms:
            try:
                parts[form] = self._form(self._environments, f"{folder}/{form}", values)
            except Misconfigured as error:
                parts[form] = self._form(self._builtin, f"{folder}/{form}", values)
                faults[form] = error
        return parts, faults

    def writes_as_is(self, folder: str, form: str, names: Collection[str]) -> bool:
        """
        Does the template of a form only ever write these variables, whole and unchanged, or test whether they are ""?

        Then it may be filled once with marks in their place, for all readers of the same message, and each mark
        replaced. False if the template alone does not show that, or cannot be read.
        """
        environment = self._environments[Path(form).suffix]
        try:
            source, _, _ = self._loader.get_source(environment, f"{folder}/{form}")
        except TemplateNotFound:
            return False
        return _writes_as_is(environment, source, frozenset(names))

    @staticmethod
    def is_plain(value: str) -> bool:
        """Does every form write this value as it stands?"""
        return _PLAIN.fullmatch(value) is not None

    @staticmethod
    def safe(form: str, value: str) -> str:
        """A value as a template of this form would write it."""
        if _PLAIN.fullmatch(value):
            return value
        value = without_controls(value)
        match form.rpartition(".")[2]:
            case "html":
                return str(escape(value))
            case "json":
                return json.dumps(value, ensure_ascii=False)[1:-1]
            case _:
                return " ".join(without_signs(value).split())

    def _form(self, environments: _Environments, name: str, values: Mapping[str, object]) -> str:
        text, file = self._filled(environments, name, values)
        if name.endswith(".json"):
            return _checked_json(text, file)
        text = without_controls(text)
        if name.endswith(ONE_LINE):
            return " ".join(text.split())
        return text.strip("\n") + "\n"

    def _filled(self, environments: _Environments, name: str, values: Mapping[str, object]) -> tuple[str, str]:
        """What the template wrote, and its file."""
        try:
            template = environments[Path(name).suffix].get_template(name)
            return template.render(values), template.filename or name
        except TemplateNotFound as error:
            looked = " or ".join(str(path) for path in self._folders)
            raise Misconfigured(
                [Mistake(str(error.name or name), 0, "this template does not exist", f"put it into {looked}")]
            ) from error
        except TemplateSyntaxError as error:
            raise _misconfigured(error.filename or name, error.lineno, error.message or "unreadable") from error
        # A template is a program of the operator's: it may divide by zero, or call what is no function. Whatever it
        # raises is a mistake in that file, and is told with its place.
        except Exception as error:
            file, line = self._place(error)
            raise _misconfigured(file or name, line, str(error) or type(error).__name__) from error

    def _place(self, error: Exception) -> tuple[str, int]:
        """The file and line of the innermost template that the error passed through; "" and 0 where there is none."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if any(Path(frame.filename).is_relative_to(at) for at in self._folders)]
        return (ours[-1].filename, ours[-1].lineno or 0) if ours else ("", 0)


@functools.lru_cache(256)
def _writes_as_is(environment: ImmutableSandboxedEnvironment, source: str, names: frozenset[str]) -> bool:
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError:
        return False
    if next(tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)), None) is not None:
        return False
    written = [
        part
        for output in tree.find_all(nodes.Output)
        for node in output.nodes
        for part in (node.nodes if isinstance(node, nodes.Concat) else [node])
    ]
    plain = [*written, *(branch.test for branch in tree.find_all(nodes.If))]
    as_is = {id(node) for node in plain if isinstance(node, nodes.Name)}
    return all(id(node) in as_is for node in tree.find_all(nodes.Name) if node.name in names)


class _Templates(FileSystemLoader):
    """Finds templates, the first folder first; an operator's own also under the name that its folder once had."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__([str(folder) for folder in folders])
        self._own = tuple(folders)[:-1]

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The text of a template, its file, and whether it is still as it was."""
        folder, _, form = template.partition("/")
        if old := OLD_FOLDERS.get(folder):
            found = next((own for own in self._own if (own / template).is_file() or (own / old / form).is_file()), None)
            if found and not (found / template).is_file():
                template = f"{old}/{form}"
        return super().get_source(environment, template)


class _NoTrust(Extension):
    """Takes the `autoescape` tag out of the language: there is no telling a template that a text is safe."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Pass all tokens on but that one."""
        before = ""
        for token in stream:
            if before == "block_begin" and token.test("name:autoescape"):
                raise TemplateSyntaxError("autoescape cannot be changed", token.lineno, stream.name, stream.filename)
            before = token.type
            yield token


def _environments(folders: Sequence[Path]) -> _Environments:
    """The language of templates, by the ending of a form."""
    loader = _Templates(folders)
    environments = {
        ".html": _environment(loader, _WAYS_AROUND, autoescape=True),
        ".json": _environment(loader, _WAYS_AROUND_JSON, autoescape=True, finalize=_as_json),
        ".txt": _environment(loader, _WAYS_AROUND, autoescape=False, finalize=_unsigned),
    }
    environments[".txt"].filters["redlined"] = redlined
    environments[".json"].filters |= {
        "redlined": redlined_mrkdwn,
        "markdown": markdown,
        "marked_markdown": marked_markdown,
        "redlined_markdown": redlined_markdown,
    }
    return environments


def _environment(
    loader: BaseLoader,
    forbidden: Sequence[str],
    *,
    autoescape: bool,
    finalize: Callable[[object], object] | None = None,
) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        extensions=[_NoTrust],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in forbidden:
        del environment.filters[name]
    del environment.globals["lipsum"]  # writes HTML
    environment.filters.update(clip=clip, mrkdwn=mrkdwn, wrap=wrap)
    return environment


def clip(text: str, most: int) -> str:
    """At most `most` characters, the last of them an ellipsis where something is missing; cut between words."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > most // 2 else cut).rstrip() + "…"


def mrkdwn(text: str) -> str:
    """Slack's three letters escaped (&, <, >): no mention, no link and no channel alarm comes of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown(text: str) -> str:
    """All that Markdown could read as markup behind a backslash (CommonMark 2.4): no mark, link, mention or heading."""
    return _MARKDOWN.sub(r"\\\1", text)


def marked_markdown(runs: Iterable[Mapping[str, object]]) -> str:
    """A title or passage in Markdown, its hits in bold; foreign marks are escaped."""
    told = ""
    for run in runs:
        mark = "**" if run["hit"] else ""
        told += f"{mark}{markdown(str(run['text']))}{mark}"
    return told


def redlined_markdown(passage: Iterable[Mapping[str, str]]) -> str:
    """A passage of a redline in Discord's Markdown: `~~old~~ **new**`; foreign marks are escaped."""
    marks = {"deleted": "~~", "inserted": "**"}
    told = ""
    for stretch in passage:
        mark = marks.get(stretch["kind"], "")
        space = " " if mark and told and told[-1] != " " else ""
        told += f"{space}{mark}{markdown(stretch['text'])}{mark}"
    return told


def wrap(text: str, width: int = 72, indent: str = "") -> str:
    """Lines of at most `width` columns, each after `indent`; words longer than that stay whole."""
    wrapped = textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return _Signed(wrapped) if isinstance(text, _Signed) else wrapped


class _Signed(str):
    """Text with the signs of a redline, put there by us."""

    __slots__ = ()


def redlined(passage: Iterable[Mapping[str, str]]) -> str:
    """
    A passage of a redline as plain text: `[-old-]{+new+}`.

    A sign in the text itself gets a space, so that nobody can forge a change or hide one.
    """
    told = ""
    for stretch in passage:
        before, after = SIGNS.get(stretch["kind"], ("", ""))
        text = without_signs(stretch["text"])
        if before:
            text = f"{' ' if text[:1] in {']', '}'} else ''}{text}{' ' if text[-1:] in {'[', '{'} else ''}"
        told += before + text + after
    return _Signed(told)


def redlined_mrkdwn(passage: Iterable[Mapping[str, str]]) -> str:
    """A passage of a redline in Slack's markup: `~old~ *new*`. Marks in the words become what looks like them."""
    marks = {"deleted": "~", "inserted": "*"}
    told = ""
    for stretch in passage:
        mark = marks.get(stretch["kind"], "")
        text = mrkdwn(stretch["text"].translate(_SLACK_MARKS))
        # Slack reads a mark only where a word begins or ends.
        space = " " if mark and told and told[-1] != " " else ""
        told += f"{space}{mark}{text}{mark}"
    return told


def _unsigned(value: object) -> object:
    return without_signs(value) if isinstance(value, str) and not isinstance(value, _Signed) else value


def without_signs(text: str) -> str:
    """The text with a space in each sign of a redline."""
    return _SIGN.sub(r"\g<0> ", text)


def _as_json(value: object) -> object:
    if isinstance(value, Markup):
        return value  # a macro's result, or JSON already
    if isinstance(value, Undefined):
        return str(value)  # raises: strict
    return Markup(json.dumps(value, ensure_ascii=False))  # noqa: S704 JSON, for JSON


def _checked_json(text: str, file: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except json.JSONDecodeError as error:
        near = " ".join(text[max(error.pos - 30, 0) : error.pos + 10].split())
        raise _misconfigured(file, 0, f"its output is not JSON: {error.msg}, near {near!r}") from error


def _misconfigured(file: str, line: int, problem: str) -> Misconfigured:
    said = " ".join(without_controls(problem).split())
    return Misconfigured([Mistake(file, line, clip(said, 300), "see docs/templates.md")])
