"""`notifier doctor`: is everything as it must be, and what is to be mended?"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.text import Text

from notifier.channels.channel import Channel
from notifier.channels.mail.bounce_mailbox import Inbox
from notifier.channels.mail.dkim import ADVISED
from notifier.channels.mail.relay import Relay
from notifier.cli.screen import hanging, plain, shown, stderr, stdout
from notifier.delivery.channel_state import ChannelStates
from notifier.errors import LogError, Misconfigured, Refused, TryLater
from notifier.events.alerts import (
    CONFIRM,
    OPERATOR_NOTICE,
    SUSPENDED,
    AlertRaised,
    DigestRaised,
    FeedStatus,
    NoticeRaised,
    WatchlistMatched,
)
from notifier.events.event import Recorded
from notifier.events.statements import StatementPublished
from notifier.feeds.health import OUTCOMES
from notifier.home import packaged_data as shipped
from notifier.home.open_log import has_log, log_path, reading_log, wall_clock
from notifier.home.settings import Settings
from notifier.home.settings_file import load_settings
from notifier.home.subscriber_files import Subscriptions
from notifier.messages.alert_view import Recipient, alert_view
from notifier.messages.compose import FOLDER
from notifier.messages.digest_stories import DigestedAlert, DigestStory, StoryWords
from notifier.messages.digest_view import FOLDER as DIGEST
from notifier.messages.digest_view import digest_view
from notifier.messages.notice_view import NoticeView, notice_view
from notifier.messages.render import OLD_FOLDERS, Renderer
from notifier.ports import channels_of, inbox_of, subscriptions_of
from notifier.questions.feed_health import feed_states
from notifier.questions.tail import counted
from notifier.statement import Statement, fingerprint
from notifier.web.unsubscribe import FOLDER as DOOR
from notifier.web.unsubscribe import PageView, State

MARKS = {"good": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "red")}


class Finding(msgspec.Struct, frozen=True):
    """
    The result of one check: `state` is good, warning or bad; `found` is a sentence, with the mend if there is one.
    """

    state: str
    looked_at: str
    found: str


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, on stdout.")
@click.pass_obj
def command(home: Path, as_json: bool) -> None:
    """
    Check the settings, the subscribers' files, the log, the templates, and log in to the mail server without sending.
    Changes nothing. Exit code 3 when something must be mended.

    \b
    Examples:
      notifier doctor
      notifier --home my-desk doctor --json
    """
    bad = asyncio.run(_examine(home, as_json))
    if bad:
        stderr().print(shown(f"{counted(bad, 'thing')} to mend", "red"))
        sys.exit(3)


async def _examine(home: Path, as_json: bool) -> int:
    bad = 0
    async for finding in _findings(home):
        bad += finding.state == "bad"
        if as_json:
            click.echo(msgspec.json.encode(finding))
            continue
        mark, style = MARKS[finding.state]
        head = Text.assemble((mark, style), (f" {finding.looked_at:<14}", "bold"))
        hanging(stdout(), head, Text(plain(finding.found)))
    return bad


async def _findings(home: Path) -> AsyncIterator[Finding]:
    try:
        settings = load_settings(home, os.environ)
    except Misconfigured as error:
        for mistake in error.mistakes:
            yield Finding("bad", "settings", str(mistake))
        return
    for each in _settings(settings):
        yield each
    channels = channels_of(home, settings, sys.stdout)
    try:
        for each in _subscriptions(home, settings, channels):
            yield each
        yield await _log(home)
        async for each in _channels(home, settings, channels):
            yield each
        async for each in _feeds(home, settings):
            yield each
        for each in itertools.chain(_templates(home, channels), _mail(settings.email)):
            yield each
        async for each in _ways(home, settings, channels):
            yield each
    finally:
        for channel in channels.values():
            await channel.close()


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.feeds:
        feeds = counted(len(settings.feeds), "feed")
        yield Finding("good", "settings", f"{feeds} to poll; `notifier feeds check` polls them now")
    else:
        yield Finding("warning", "settings", "no feed is polled; add some under [feeds]: `notifier feeds list --all`")
    yield from (Finding("warning", "settings", note) for note in settings.notes)
    if not settings.contact:
        found = "no contact: publishers cannot write to you, and may block you instead"
        yield Finding("warning", "settings", found)


def _subscriptions(home: Path, settings: Settings, channels: dict[str, Channel]) -> Iterator[Finding]:
    try:
        found: Subscriptions = subscriptions_of(home, settings, channels, os.environ)
    except Misconfigured as error:
        yield from (Finding("bad", "subscriptions", str(mistake)) for mistake in error.mistakes)
        return
    yield from (Finding("warning", "subscriptions", warning) for warning in found.warnings)
    watchlists = sum(len(who.watchlists) for who in found.subscribers.values())
    if found.subscribers:
        told = f"{counted(len(found.subscribers), 'subscriber')}, {counted(watchlists, 'watchlist')}"
        yield Finding("good", "subscriptions", told)


async def _log(home: Path) -> Finding:
    data = home / "data"
    if not has_log(home):
        place = data if data.exists() else home
        if not os.access(place, os.W_OK | os.X_OK):
            return Finding("bad", "log", f"{place} cannot be written to; make it the notifier's own")
        return Finding("good", "log", "none yet; the first `notifier run` creates it")
    try:
        async with reading_log(home) as log:
            head = await log.head()
            await log.read(max(0, head - 1))
    except LogError as error:
        return Finding("bad", "log", str(error))
    return Finding("good", "log", f"{counted(head, 'event')} in {log_path(home)}")


async def _ways(home: Path, settings: Settings, channels: dict[str, Channel]) -> AsyncIterator[Finding]:
    """The ways out, each tried without sending, the ways back, and the operator's own words for these."""
    if settings.email is None:
        yield Finding("warning", "email", "no mail server is set up; to send mail, add [email] to notifier.toml")
    elif settings.web is None:
        yield Finding("warning", "web", "readers cannot unsubscribe by a click; add [web] to notifier.toml")
    for channel in channels.values():
        if channel.kind in _used(home, settings, channels):
            yield await _channel(channel)
    if web := settings.web:
        yield Finding("good", "web", f"public pages at {web.address}, served on {web.host}:{web.port}")
    if inbox := inbox_of(settings):
        yield await _inbox(inbox)
    for each in _notices(home):
        yield each


def _used(home: Path, settings: Settings, channels: dict[str, Channel]) -> set[str]:
    """The kinds of channels that somebody is reached by, and mail, which may be set up before that."""
    try:
        found = subscriptions_of(home, settings, channels, os.environ)
    except Misconfigured:
        return {*channels}  # told above
    return {"email", *(way.kind for who in found.subscribers.values() for way in who.channels)}


def _trial(notice: str) -> NoticeView:
    """A notice of this kind as it might be, to try templates on."""
    raised = NoticeRaised(
        subscriber="doctor", channels=("email",), notice=notice, about="trial", reason="a trial", raised_at=wall_clock()
    )
    return notice_view(raised, subscriber="Doctor", confirm="https://example.org/" if notice == CONFIRM else "")


def _notices(home: Path) -> Iterator[Finding]:
    """The operator's own notices and pages that are at fault."""
    own = home / "templates"
    renderer = Renderer([own, shipped.templates()])
    views: dict[str, list[msgspec.Struct]] = {
        SUSPENDED: [_trial(SUSPENDED)],
        OPERATOR_NOTICE: [_trial(OPERATOR_NOTICE)],
        CONFIRM: [_trial(CONFIRM)],
        DOOR: [PageView(state=state, channel="trial", why="a trial", action="../") for state in get_args(State)],
    }
    for folder, tried in views.items():
        folders = [own / name for name in (folder, OLD_FOLDERS.get(folder)) if name]
        paths = {path.name for each in folders for path in each.glob("[!.]*")}
        for name in sorted(name for name in paths if Path(name).suffix in {".html", ".txt", ".json"}):
            try:
                for view in tried:
                    renderer.render(folder, [name], view)
            except Misconfigured as error:
                yield from (Finding("bad", "templates", str(mistake)) for mistake in error.mistakes)


async def _channels(home: Path, settings: Settings, channels: dict[str, Channel]) -> AsyncIterator[Finding]:
    """The channels of subscribers that take nothing, as the log tells."""
    try:
        found = subscriptions_of(home, settings, channels, os.environ)
        async with reading_log(home) as log:
            standing = ChannelStates(log)
            await standing.catch_up()
    except (Misconfigured, LogError):
        return  # told above, or there is none yet
    for id, who in found.subscribers.items():
        for way in who.channels:
            if suspended := standing.suspended(id, way.name, wall_clock()):
                since = f"{suspended.why} since {suspended.at:%Y-%m-%d %H:%M}Z"
                told = f"{id}: channel {way.name} is suspended: {since}: {suspended.reason}"
                if suspended.why not in {"unsubscribed", "complained"}:  # the reader's choice, and not a fault
                    told += f"; once it is mended: notifier subscriptions resume {id} {way.name}"
                yield Finding("warning", "channels", told)


async def _inbox(inbox: Inbox) -> Finding:
    try:
        return Finding("good", "bounces", await inbox.check())
    except TryLater as failure:
        return Finding("bad", "bounces", str(failure))


async def _feeds(home: Path, settings: Settings) -> AsyncIterator[Finding]:
    """The feeds that are not well, as the log tells; nothing is asked."""
    try:
        async with reading_log(home) as log:
            states = (await feed_states(log, settings.feeds)).values()
    except LogError:
        return  # told above, or there is none yet
    for state in states:
        if state.ill:
            since = f" since {state.since:%Y-%m-%d %H:%M}Z" if state.since else ""
            why = state.detail or OUTCOMES.get(state.outcome, "")
            yield Finding("warning", "feeds", f"{state.feed.id}: {state.outcome}{since}: {why}")


def _templates(home: Path, channels: dict[str, Channel]) -> Iterator[Finding]:
    """Every form written once, from a statement made up for it."""
    renderer = Renderer([home / "templates", shipped.templates()])
    forms = list(dict.fromkeys(form for channel in channels.values() for form in channel.forms))
    alert, digest = _samples()
    good, tried = 0, [(folder, form, view) for folder, view in ((FOLDER, alert), (DIGEST, digest)) for form in forms]
    for folder, form, view in tried:
        try:
            renderer.render(folder, [form], view)
        except Misconfigured as error:
            yield from (Finding("bad", "templates", str(mistake)) for mistake in error.mistakes)
        else:
            good += 1
    own = sorted(str(path.relative_to(home / "templates")) for path in (home / "templates").glob("*/*"))
    if good == len(tried):
        yours = f", yours: {', '.join(own)}" if own else ""
        yield Finding("good", "templates", f"{counted(good, 'form')} written on trial{yours}")


def _samples() -> tuple[msgspec.Struct, msgspec.Struct]:
    """An alert made up, and a digest of it."""
    at, title = datetime(2020, 6, 29, 21, tzinfo=UTC), "Controls on dual-use exports to Hong Kong change"
    statement = Statement(
        id="doctor/1",
        feed="doctor",
        issuer="Nobody",
        title=title,
        fingerprint=fingerprint(title),
        link="https://example.org/",
        summary="A statement made up to try the templates on.",
        published_at=at,
    )
    published = StatementPublished(statement=statement, seen_at=at)
    raised = AlertRaised(
        cause=published.id,
        subscriber="doctor",
        statement_id=statement.id,
        matches=(WatchlistMatched(watchlist="Trial", query="dual-use", words=("dual-use",)),),
        channels=("console",),
    )
    alert, cause, spans = Recorded(2, raised.id, at, raised), Recorded(1, published.id, at, published), [(12, 20)]
    reader = Recipient("Doctor")
    view = alert_view(alert, cause, {"title": spans}, statement=statement, readings={}, reader=reader)
    digest = DigestRaised(
        subscriber="doctor",
        channels=("console",),
        frequency="daily",
        due_at=at,
        until=2,
        alerts=(raised.id,),
        feeds=(FeedStatus(feed="doctor", issuer="Nobody", outcome="unreachable", since=at),),
        feeds_asked=1,
    )
    story = DigestStory(pieces=(DigestedAlert(alert, cause),), words=StoryWords(statement, {"title": spans}))
    return view, digest_view(Recorded(3, digest.id, at, digest), [story], reader)


def _mail(relay: Relay | None) -> Iterator[Finding]:
    """What are mails signed with? What the DNS must hold is told; it is not asked."""
    if relay is None or (signer := relay.signer()) is None:
        return
    record = f"{signer.record_name}. TXT {signer.record}"
    yield Finding("good", "dkim", f"mails are signed; the DNS must hold: {record}")
    if signer.is_weak:
        told = f"an RSA key of {signer.bits} bits is weak; make one of {ADVISED}: openssl genrsa {ADVISED}"
        yield Finding("warning", "dkim", told)
    sender = relay.checked().domain.lower()
    # DMARC's relaxed alignment (RFC 7489, 3.1.1), as far as it can be told without a list of registries.
    if not f".{sender}".endswith(f".{signer.domain}") and not f".{signer.domain}".endswith(f".{sender}"):
        told = f"DMARC counts a signature for the sender's domain, {sender}, and not one for {signer.domain}"
        yield Finding("warning", "dkim", told)


async def _channel(channel: Channel) -> Finding:
    try:
        return Finding("good", channel.kind, await channel.check())
    except (TryLater, Refused) as failure:
        return Finding("bad", channel.kind, str(failure))
