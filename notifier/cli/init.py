"""`notifier init`: a starter home that runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.text import Text

from notifier.cli.screen import aside, plain
from notifier.home import packaged_data as shipped

SETTINGS = """\
# The operator's settings. Every key is explained in docs/settings.md; mistakes are reported with their line.

# Publishers see this in our User-Agent, so that they can write instead of blocking us.
# contact = "ops@your-organisation.example"

[feeds]
# From the catalogue that comes with the notifier: `notifier feeds list --all` shows it.
enabled = [
  "us-fr-rss-bis",
  "us-whitehouse-presidential-actions",
]
# every = 300   # seconds between polls, unless a feed says otherwise

# A feed of your own:
# [[feed]]
# id = "ministry-news"
# url = "https://ministry.example/news.rss"
# issuer = "Ministry of Trade"

# The server that takes your mail. Without it, subscribers cannot have an email channel.
# [email]
# host = "smtp.example.org"
# port = 587
# tls = "starttls"                # "implicit" for port 465, "none" for a server on this machine
# username = "alerts@example.org"
# password = "${SMTP_PASSWORD}"   # from the environment, or from the file that SMTP_PASSWORD_FILE names
# sender = "Policy alerts <alerts@example.org>"
"""


@click.command("init")
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def command(home: Path, directory: Path | None) -> None:
    """
    Make a starter home in DIRECTORY: settings, two example subscribers, nothing that must be mended before it runs.

    \b
    Examples:
      notifier init my-desk
      notifier --home my-desk run
    """
    target = directory or home
    files = {target / "notifier.toml": SETTINGS.encode()}
    files |= {target / "subscriptions" / path.name: path.read_bytes() for path in shipped.subscriptions().iterdir()}
    if taken := [path for path in files if path.exists()]:
        raise click.ClickException(f"{taken[0]} is there already; choose another directory, or remove it first")
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; choose another directory") from error
    aside(Text(f"A home in {plain(str(target))}:", "bold"))
    for path in sorted(files):
        aside(f"  {plain(str(path))}")
    aside("The two subscribers are examples, whose alerts are written to the terminal. Next:")
    # Quoted, so that a directory with a space in it can be pasted.
    command = f"notifier --home {shlex.quote(str(target))}"
    aside(f"  {command} doctor\n  {command} run")
