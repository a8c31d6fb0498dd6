"""
The verbs, and what happens when one ends badly.

A verb is loaded when it is typed, so that `tail` does not wait for what only `run` needs.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from notifier.cli.diagnostics import set_up
from notifier.errors import LogOwned, Misconfigured, NotifierError

VERBS = {
    "demo": ("notifier.cli.demo", "Replay 29–30 June 2020 on this machine: feeds, mails, Slack."),
    "init": ("notifier.cli.init", "Make a starter home that runs."),
    "run": ("notifier.cli.run", "Poll, match and deliver, until stopped."),
    "feeds": ("notifier.cli.feeds", "List, check, read, import and export feeds."),
    "match": ("notifier.cli.match", "Try a query on a text and see why it matches or not."),
    "preview": ("notifier.cli.preview", "Show what an alert or a digest says, without sending it."),
    "deliveries": ("notifier.cli.deliveries", "List deliveries and their replies; retry what failed."),
    "tail": ("notifier.cli.tail", "Show the event log, one line an event, as it grows."),
    "subscriptions": ("notifier.cli.subscriptions", "Check and list subscribers' files; resume channels."),
    "doctor": ("notifier.cli.doctor", "Check settings, log and channels, and show what to fix."),
}

EXAMPLES = """\b
Examples:
  notifier demo                       see it work, with nothing to set up
  notifier init my-desk               a home to start from
  notifier --home my-desk run         the service
  notifier match '"Hong Kong" AND "dual-use"' statement.txt
"""


class VerbGroup(click.Group):
    """A group whose verbs are imported when they are called, and which knows what may have been meant."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _until_enough_is_seen():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _until_enough_is_seen():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            meant = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"; did you mean “{meant[0]}”?" if meant else f"; the verbs are {', '.join(VERBS)}"
            ctx.fail(f"no verb “{args[0]}”{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that `--help` imports no verb.
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, sentence) for verb, (_, sentence) in VERBS.items()])


@contextlib.contextmanager
def _until_enough_is_seen() -> Iterator[None]:
    """Whoever reads us may stop (`notifier tail | head`): that is the end, and no failure as click would have it."""
    try:
        yield
    except BrokenPipeError:
        # Python would complain again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


@click.group(
    cls=VerbGroup,
    epilog=EXAMPLES,
    subcommand_metavar="VERB …",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="NOTIFIER_HOME",
    default=Path(),
    help="Where notifier.toml, subscriptions/ and data/ are. Default: $NOTIFIER_HOME, or the current directory.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="Log only errors on stderr.")
@click.version_option(package_name="policy-change-notifier", prog_name="notifier")
@click.pass_context
def notifier(ctx: click.Context, home: Path, verbose: bool, quiet: bool) -> None:
    """Watches what governments publish, and tells the people who must act: once, within a minute."""
    ctx.obj = home
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    set_up(level)


def main() -> None:
    """
    The `notifier` command.

    Exit codes: 0 done, 1 it failed, 2 used wrongly, 3 a check found something, 75 the log is another process's,
    78 the configuration is wrong, 130 interrupted.
    """
    _make_streams_sound()
    try:
        sys.exit(notifier.main(standalone_mode=False))
    except click.Abort:
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _tell(error.message)
        sys.exit(error.exit_code)
    except NotifierError as error:
        _tell(str(error))
        sys.exit(75 if isinstance(error, LogOwned) else 78 if isinstance(error, Misconfigured) else 1)


def _make_streams_sound() -> None:
    # Some supervisors start a service with its streams closed, and Python has None in their place. Open to the end.
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no sign for “✓” or 香港 shows a question mark; that is no reason to fail.
            stream.reconfigure(errors="replace")


def _tell(error: str) -> None:
    mark = click.style("error", fg=None if os.environ.get("NO_COLOR") else "red")
    for line in error.splitlines():
        # A file's name may hold anything, an escape sequence too.
        click.echo(f"{mark} {''.join(filter(str.isprintable, line))}", err=True)
