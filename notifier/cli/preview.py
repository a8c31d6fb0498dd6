"""`notifier preview`: what an alert or a digest says, in the operator's templates, without sending it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from notifier.channels.apprise import AppriseChannel
from notifier.channels.atom import AtomChannel
from notifier.channels.console import ConsoleChannel
from notifier.channels.discord import DiscordChannel
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.cli.screen import aside, stderr, told
from notifier.errors import NotifierError
from notifier.events.alerts import DigestRaised
from notifier.events.event import Recorded
from notifier.home import packaged_data as shipped
from notifier.home.open_log import has_log, reading_log, wall_clock
from notifier.home.settings import Settings
from notifier.home.settings_file import load_settings
from notifier.home.subscriber_files import Subscriptions
from notifier.message import without_controls
from notifier.messages.alert_view import AlertView, Recipient
from notifier.messages.compose import FOLDER
from notifier.messages.digest_view import FOLDER as DIGEST
from notifier.messages.digest_view import DigestView
from notifier.messages.gather import digested, viewed
from notifier.messages.render import Renderer
from notifier.ports import channels_of, subscriptions_of
from notifier.questions.preview import find_alert
from notifier.steps.digest import Digester
from notifier.subscribers.book import Book

FORMS = {
    each.kind: each.forms
    for each in (
        EmailChannel,
        SlackChannel,
        TeamsChannel,
        DiscordChannel,
        WebhookChannel,
        AtomChannel,
        AppriseChannel,
        ConsoleChannel,
    )
}


@click.command("preview", short_help="Show what an alert or a digest says, without sending it.")
@click.argument("which", metavar="ALERT|WATCHLIST|DIGEST", required=False)
@click.option("--digest", "subscriber", metavar="SUBSCRIBER", help="The digest of all alerts that wait for them now.")
@click.option("--channel", type=click.Choice([*FORMS]), help="Default: email, or all with --out.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write each form into a file of this directory."
)
@click.pass_obj
def command(home: Path, which: str | None, subscriber: str | None, channel: str | None, out: Path | None) -> None:
    """
    Render an alert or a digest of the log with the templates as they are now, and send nothing.

    ALERT is its id, or the position of the statement's event, as messages name it (#41). For a WATCHLIST it is its
    newest alert; where it has none yet, the one that it would raise on the newest statement that it matches. Write
    SUBSCRIBER/WATCHLIST where two have one of this name. DIGEST is the id or the position of a digest in the log;
    with --digest it is what is held for a subscriber, as if its moment had come.

    Exit code 3 when a template of yours is broken: the built-in one stands in for it, as in the service.

    \b
    Examples:
      notifier preview "Hong Kong exports"
      notifier preview 41 --channel slack
      notifier preview "desk/Hong Kong exports" --out seen
      notifier preview --digest desk
    """
    if (which is None) == (subscriber is None):
        raise click.UsageError("name an alert, a watchlist or a digest, or a subscriber with --digest")
    view = asyncio.run(_view(home, which) if which else _held(home, subscriber or ""))
    folder = DIGEST if isinstance(view, DigestView) else FOLDER
    forms = FORMS[channel] if channel else _all_forms() if out else FORMS["email"]
    renderer = Renderer([home / "templates", shipped.templates()])
    parts, faults = renderer.render_all_the_same(folder, forms, view)
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


async def _view(home: Path, which: str) -> AlertView | DigestView:
    _, found = _settings(home)
    async with reading_log(home) as log:
        alert = await find_alert(log, which, [wish for who in found.subscribers.values() for wish in who.watchlists])
        if alert is None:
            raise NotifierError(
                f"no alert is called {which}, and no watchlist of that name that matches a statement in the log; "
                "see `notifier tail --type alert.raised` and `notifier subscriptions list`"
            )
        reader = _reader(found, alert.event.subject)
        if isinstance(alert.event, DigestRaised):
            return await digested(log, alert, reader)
        view, _ = await viewed(log, alert, reader)
    return view


async def _held(home: Path, subscriber: str) -> DigestView:
    """The digest of what is held for a subscriber; its first part, if it takes several."""
    settings, found = _settings(home)
    async with reading_log(home) as log:
        digests = await Digester(log, Book(found.subscribers), settings.feeds, wall_clock).would_be(subscriber)
        if not digests:
            raise NotifierError(f"nothing is held for {subscriber}; see `notifier tail --type alert.raised`")
        return await digested(log, Recorded(0, digests[0].id, wall_clock(), digests[0]), _reader(found, subscriber))


def _settings(home: Path) -> tuple[Settings, Subscriptions]:
    settings = load_settings(home, os.environ)
    found = subscriptions_of(home, settings, channels_of(home, settings, sys.stdout), os.environ)
    if not has_log(home):
        raise NotifierError(f"{home} has no log yet, so there is no alert to show; `notifier run --once` begins one")
    return settings, found


def _reader(found: Subscriptions, id: str) -> Recipient:
    who = found.subscribers.get(id)
    return Recipient(who.name, who.timezone) if who else Recipient(id)


def _write(out: Path, parts: dict[str, str]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for form, text in parts.items():
            (out / form).write_text(text, "utf-8")
            click.echo(out / form)
    except OSError as error:
        raise NotifierError(f"{out} cannot be written: {error.strerror}; choose another with --out DIR") from error
    aside(f"Rendered, and not sent. Open {out / 'body.html'} in a browser." if "body.html" in parts else "Not sent.")
