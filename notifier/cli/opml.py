"""`notifier feeds import` and `feeds export`: exchange feeds with other readers as OPML."""

from __future__ import annotations

import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from notifier.cli.screen import aside, plain
from notifier.errors import Misconfigured, Refused
from notifier.feeds.catalogue import catalogue
from notifier.feeds.opml import KINDS, opml_of
from notifier.feeds.reading import opml
from notifier.home import toml
from notifier.home.open_log import wall_clock
from notifier.home.settings import Settings
from notifier.home.settings_file import FILE, SIZE, load_settings
from notifier.home.toml import TomlFile
from notifier.questions.tail import counted

ID_LENGTH = 40  # characters of an id that is derived from a title


@click.command("import", short_help="Print the feeds of an OPML file as tables for notifier.toml.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--write", is_flag=True, help="Add them to notifier.toml, if the result is valid.")
@click.pass_obj
def import_(home: Path, file: Path, write: bool) -> None:
    """
    Print the feeds of an OPML file, as exported by other feed readers, as [[feed]] tables for notifier.toml. With
    --write, add them to that file, all or none. Feeds that are polled already are left out.

    \b
    Examples:
      notifier feeds import subscriptions.opml
      notifier feeds import subscriptions.opml --write && notifier feeds check
    """
    settings = load_settings(home, os.environ) if (home / FILE).exists() or write else Settings()
    try:
        with click.open_file(str(file), "rb") as listed:
            outlines, strange = opml.read(listed.read(opml.BYTES + 1))
    except Refused as error:
        raise click.ClickException(f"{file}: {error}") from error
    polled = {feed.url for feed in settings.feeds}
    new = [outline for outline in outlines if outline.url not in polled]
    tables = list(_tables(new, {feed.id for feed in settings.feeds}))
    for address in strange:
        aside(f"left out: {plain(address)} is not an http or https URL")
    if len(new) < len(outlines):
        aside(f"left out: {counted(len(outlines) - len(new), 'feed')} polled already")
    if not write:
        click.echo("\n".join(tables), nl=False)
    elif tables:
        _add(home, "".join(f"\n{table}" for table in tables))
    aside(f"{counted(len(tables), 'feed')} {'added to' if write else 'for'} {plain(str(home / FILE))}")


def _tables(outlines: Iterable[opml.Outline], taken: set[str]) -> Iterator[str]:
    listed = {source.url: source.id for source in catalogue().values() if source.usable}
    for outline in outlines:
        preset = listed.get(outline.url, "")
        id = _id(outline, preset, taken)
        taken.add(id)
        values = {"id": id, "url": outline.url, "issuer": outline.title, "lang": outline.lang, "preset": preset}
        yield "[[feed]]\n" + "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items() if value)


def _id(outline: opml.Outline, preset: str, taken: set[str]) -> str:
    """An unused id: the catalogue's, the list's, or derived from the title, or from the host without Latin letters."""
    plainer = unicodedata.normalize("NFKD", outline.title).encode("ascii", "ignore").decode().lower()
    host = (urlsplit(outline.url).hostname or "").encode("ascii", "ignore").decode()
    words = [_slug(plainer), _slug(host), "feed"]
    wanted = preset or outline.id[:ID_LENGTH].rstrip("-.") or next(filter(None, words))
    number, id = 1, wanted
    while id in taken:
        number += 1
        id = f"{wanted}-{number}"
    return id


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:ID_LENGTH].rstrip("-")


def _quoted(value: str) -> str:
    """A TOML string with `${` broken up: a stranger's list must not refer to the operator's secrets."""
    harmless = value.replace("${", "$%7B" if value.startswith(("http:", "https:")) else "$ {")
    return json.dumps(harmless, ensure_ascii=False).replace("\x7f", "\\u007f")


def _add(home: Path, tables: str) -> None:
    """Append the tables to notifier.toml, if the result is valid."""
    path = home / FILE
    before = path.read_bytes()
    after = before + (b"" if before.endswith(b"\n") or not before else b"\n") + tables.encode()
    with tempfile.TemporaryDirectory() as trial:
        (Path(trial) / FILE).write_bytes(after)
        try:
            load_settings(Path(trial), os.environ)
        except Misconfigured as error:
            raise click.ClickException(f"nothing was added, since the result would be invalid:\n{error}") from error
    # To a new file first: a full disk must not damage the settings.
    fresh = path.with_name(f".{FILE}.new")
    try:
        fresh.write_bytes(after)
        fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise click.ClickException(f"{path}: {error.strerror}; nothing was added") from error


@click.command("export", short_help="Print the polled feeds as OPML.")
@click.pass_obj
def export(home: Path) -> None:
    """
    Print the feeds that are polled as OPML 2.0, for other feed readers. Left out are kinds that other readers cannot
    read (JSON answers, web pages), and URLs with a secret in them.

    \b
    Examples:
      notifier feeds export > feeds.opml
    """
    settings = load_settings(home, os.environ)
    secret = _with_secrets(home)
    shown = [feed for feed in settings.feeds if feed.id not in secret and feed.kind in KINDS]
    click.echo(opml_of(shown, wall_clock()), nl=False)
    for feed in settings.feeds:
        if feed.id in secret:
            aside(f"left out: {feed.id}, whose URL contains a secret")
        elif feed.kind not in KINDS:
            aside(f"left out: {feed.id}, which other readers cannot read as a feed")


def _with_secrets(home: Path) -> set[str]:
    """The ids of feeds whose URL refers to an environment variable."""
    file = toml.read(home / FILE, FILE, SIZE) if (home / FILE).exists() else None
    tables = file.values.get("feed", []) if isinstance(file, TomlFile) else []
    return {str(table.get("id")) for table in tables if "${" in str(table.get("url", ""))}
