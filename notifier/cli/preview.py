"""`notifier preview`: what an alert says, in the operator's templates, without sending it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from notifier import shipped
from notifier.alerts.alert import AlertView, Reader
from notifier.alerts.render import Renderer
from notifier.app import channels_of, reading_log, subscriptions_of
from notifier.channels.atom import AtomChannel
from notifier.channels.console import ConsoleChannel
from notifier.channels.discord import DiscordChannel
from notifier.channels.elsewhere import ElsewhereChannel
from notifier.channels.email import EmailChannel
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.cli.screen import aside, stderr, told
from notifier.errors import NotifierError
from notifier.message import without_controls
from notifier.messages import FOLDER
from notifier.preview import alert_meant
from notifier.settings import Settings
from notifier.views import viewed

FORMS = {
    each.kind: each.forms
    for each in (
        EmailChannel,
        SlackChannel,
        TeamsChannel,
        DiscordChannel,
        WebhookChannel,
        AtomChannel,
        ElsewhereChannel,
        ConsoleChannel,
    )
}


@click.command("preview", short_help="Show what an alert says, without sending it.")
@click.argument("which", metavar="ALERT|WATCHLIST")
@click.option("--channel", type=click.Choice([*FORMS]), help="Default: email, or all with --out.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write each form into a file of this directory."
)
@click.pass_obj
def command(home: Path, which: str, channel: str | None, out: Path | None) -> None:
    """
    Render an alert of the log with the templates as they are now, and send nothing.

    ALERT is its id, or the position of the statement's event, as messages name it (#41). For a WATCHLIST it is its
    newest alert; where it has none yet, the one that it would raise on the newest statement that it matches. Write
    SUBSCRIBER/WATCHLIST where two have one of this name.

    Exit code 3 when a template of yours is broken: the built-in one stands in for it, as in the service.

    \b
    Examples:
      notifier preview "Hong Kong exports"
      notifier preview 41 --channel slack
      notifier preview "desk/Hong Kong exports" --out seen
    """
    view = asyncio.run(_view(home, which))
    forms = FORMS[channel] if channel else _all_forms() if out else FORMS["email"]
    renderer = Renderer([home / "templates", shipped.templates()])
    parts, faults = renderer.render_all_the_same(FOLDER, forms, view)
    if out:
        _write(out, parts)
    else:
        # A page is for a browser; its words are those of the plain form.
        shown = [without_controls(text).rstrip("\n") for form, text in parts.items() if not form.endswith(".html")]
        click.echo("\n\n".join(shown))
    for fault in faults.values():
        for mistake in fault.mistakes:
            stderr().print(told("error", "red", str(mistake)))
    if faults:
        sys.exit(3)


def _all_forms() -> list[str]:
    return list(dict.fromkeys(form for forms in FORMS.values() for form in forms))


async def _view(home: Path, which: str) -> AlertView:
    settings = Settings.load(home, os.environ)
    found = subscriptions_of(home, settings, channels_of(home, settings, sys.stdout), os.environ)
    if not (home / "data" / "events.db").exists():
        raise NotifierError(f"{home} has no log yet, so there is no alert to show; `notifier run --once` begins one")
    async with reading_log(home) as log:
        alert = await alert_meant(log, which, [wish for who in found.subscribers.values() for wish in who.watchlists])
        if alert is None:
            raise NotifierError(
                f"there is no alert called {which}, and no watchlist of that name that matches a statement in the log; "
                "see `notifier tail --type alert.raised` and `notifier subscriptions list`"
            )
        who = found.subscribers.get(alert.event.subject)
        reader = Reader(who.name, who.timezone) if who else Reader(alert.event.subject)
        view, _ = await viewed(log, alert, reader)
    return view


def _write(out: Path, parts: dict[str, str]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for form, text in parts.items():
            (out / form).write_text(text, "utf-8")
            click.echo(out / form)
    except OSError as error:
        raise NotifierError(f"{out} cannot be written: {error.strerror}; choose another with --out DIR") from error
    aside(f"Rendered, and not sent. Open {out / 'body.html'} in a browser." if "body.html" in parts else "Not sent.")
