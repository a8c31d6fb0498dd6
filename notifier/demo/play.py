"""
The replay: the real steps over real sockets, with a clock that leaps from scene to scene.

Two things are made up. The clock: it is set to the moment of a scene while the feeds are polled, matched and delivered,
and runs in real time meanwhile, so "detected after" is what it really took. And the pages of statements: their links
name hosts that cannot exist, so a withdrawal is recorded as reading the page again would record it.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from notifier.demo.peers import HOST, Peers
from notifier.demo.screen import Row, Screen, Tally
from notifier.demo.story import DemoStory, load
from notifier.errors import NotifierError
from notifier.eventlog.log import EventLog
from notifier.eventlog.wording import StatementEvent, wording, wording_before
from notifier.events.alerts import AlertRaised
from notifier.events.deliveries import AlertDelivered, DeliveryPostponed
from notifier.events.event import Recorded
from notifier.events.statements import PageRead, StatementPublished, StatementRevised, StatementWithdrawn
from notifier.feeds.feed import Feed
from notifier.feeds.rounds import PollResult
from notifier.messages.alert_view import changes
from notifier.messages.redline import Stretch
from notifier.service import Service
from notifier.statement import Statement
from notifier.watchlists.query import parse

MARKER = ".demo-home"  # a file that says: this directory is the demo's, and may be made anew
PATIENCE = timedelta(minutes=5)  # how far the clock may leap to let a retry fall due within a scene


class StoryClock:
    """The time in the story: real seconds, from a moment that can be moved forward."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._since = time.monotonic()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._since)

    def ticks(self) -> float:
        """The same as a count of seconds that never goes back."""
        return self().timestamp()

    def leap(self, moment: datetime) -> None:
        """Go forward to a moment; never back."""
        self._start = max(moment, self())
        self._since = time.monotonic()


async def play(home: Path, screen: Screen, pause: float) -> Tally:
    """
    Replay the story into a home made anew, and leave all of it there. `pause` is seconds between scenes, for people.
    """
    story = load()
    clock = StoryClock(story.starts_at)
    outbox = _made_anew(home)
    peers = Peers(story, outbox, clock)
    try:
        await peers.start()
        _write_home(home, story, peers)
        with (outbox / "console.txt").open("w", encoding="utf-8") as terminal:
            async with Service.opened(
                home,
                environ={},
                clock=clock,
                chance=random.Random(2020),  # noqa: S311 the same play each time
                terminal=terminal,
                # Hours lie between two scenes, for a channel that takes one message a second too.
                ticks=clock.ticks,
            ) as app:
                return await Replay(app, story, clock, screen).run(pause)
    finally:
        await peers.stop()


class Replay:
    """One showing: scene after scene, and after each what the log has come to hold."""

    def __init__(self, app: Service, story: DemoStory, clock: StoryClock, screen: Screen) -> None:
        self._app = app
        self._story = story
        self._clock = clock
        self._screen = screen
        self._moments = sorted({scene.at for scene in story.scene if scene.at > story.starts_at})
        self._tally = Tally(polls_expected=(len(self._moments) + 1) * len(app.settings.feeds))
        self._failed: list[Feed] = []
        self._causes: dict[str, Recorded] = {}
        self._read = 0

    async def run(self, pause: float) -> Tally:
        """Play it to the end."""
        await self._scene(self._clock())
        for moment in self._moments:
            await asyncio.sleep(pause)
            await self._scene(moment)
        return self._tally

    async def _scene(self, moment: datetime) -> None:
        self._clock.leap(moment)
        await self._app.log.append(withdrawals(self._story, moment, self._causes.values(), self._clock()))
        await self._app.run_once(self._told)
        while self._failed:
            # The server asked for a second's patience: the story's clock gives it at once.
            self._clock.leap(self._clock() + timedelta(seconds=2))
            again, self._failed = self._failed, []
            for feed in again:
                self._tally.polls_retried += 1
                self._told(feed, await self._app.poller.poll(feed))
            await self._app.work_off()
        await self._deliver_the_rest(moment)
        await self._show()

    async def _deliver_the_rest(self, moment: datetime) -> None:
        while (due := self._app.deliverer.outbox.next_due()) and due <= moment + PATIENCE:
            self._clock.leap(due)
            await self._app.deliverer.run()
            await self._app.deliverer.catch_up()

    def _told(self, feed: Feed, poll: PollResult) -> None:
        if poll.after is not None:
            self._failed.append(feed)
            return
        self._tally.polls += 1
        self._tally.unchanged += poll.outcome == "unchanged"

    async def _show(self) -> None:
        page = await self._app.log.read(self._read, limit=1000)
        self._read = page.position
        rows: dict[str, list[AlertRaised]] = {}
        for recorded in page.events:
            match recorded.event:
                case (
                    StatementPublished(muted_because="")
                    | PageRead(muted_because="")
                    | StatementRevised(muted_because="")
                    | StatementWithdrawn(muted_because="")
                ):
                    self._causes[recorded.id] = recorded
                    self._tally.statements += 1
                case AlertRaised() as alert:
                    rows.setdefault(alert.cause, []).append(alert)
                    self._tally.alerts += 1
                    self._tally.deliveries += len(alert.channels)
                case AlertDelivered() as delivered:
                    self._tally.delivered += 1
                    ways = self._tally.by_channel
                    ways[delivered.channel] = ways.get(delivered.channel, 0) + 1
                case DeliveryPostponed():
                    self._tally.retries += 1
                case _:
                    pass
        self._tally.statements_seen = self._tally.statements
        self._tally.matched += len(rows)
        told = [await row(self._app.log, self._causes, cause, alerts) for cause, alerts in rows.items()]
        self._screen.tell(self._tally, told)


def withdrawals(
    story: DemoStory, moment: datetime, known: Iterable[Recorded], seen_at: datetime
) -> list[StatementWithdrawn]:
    """What the story takes back at a moment, of the statements that are known."""
    gone = {scene.link: scene.withdrawn for scene in story.scene if scene.at == moment and scene.withdrawn}
    newest = {each.event.statement.link: each for each in known if isinstance(each.event, StatementEvent)}
    return [
        StatementWithdrawn(statement=each.event.statement, revises=each.id, reason=gone[link], seen_at=seen_at)
        for link, each in newest.items()
        if link in gone and isinstance(each.event, StatementEvent)
    ]


async def row(log: EventLog, causes: Mapping[str, Recorded], cause: str, alerts: Sequence[AlertRaised]) -> Row:
    """How alerts of one cause are shown; `causes` are the statements' events by their ids."""
    event = causes[cause].event
    if not isinstance(event, StatementEvent):
        raise TypeError(event)
    statement, before = event.statement, await wording_before(log, event)
    also = dict.fromkeys(id for alert in alerts for id in alert.also)
    why = {match.watchlist: match for alert in alerts for match in alert.matches}
    fields = statement.fields()
    hits = {span for match in why.values() for span in parse(match.query).search(fields).spans.get("title", [])}
    ways = sorted({channel for alert in alerts for channel in alert.channels})
    return Row(
        seen_at=event.seen_at,
        issuer=statement.issuer,
        runs=tuple(_runs(statement.title, hits)),
        label=_label(event),
        changes=_changes(before, await wording(log, event)) if before else (),
        also=tuple(
            each.event.statement.issuer for id in also if isinstance((each := causes[id]).event, StatementEvent)
        ),
        why=tuple((name, match.words[:4]) for name, match in why.items()),
        people=len(alerts),
        ways=tuple(ways),
    )


def _label(event: StatementEvent) -> str:
    if isinstance(event, StatementWithdrawn):
        return "withdrawn"
    return "revised" if isinstance(event, StatementRevised) else ""


def _changes(before: Statement, after: Statement) -> tuple[Stretch, ...]:
    passages = changes(before, after).passages
    return passages[0] if passages else ()


def _runs(text: str, spans: set[tuple[int, int]]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it hit; spans may overlap."""
    hit = [False] * len(text)
    for start, end in spans:
        hit[start:end] = [True] * (end - start)
    runs: list[tuple[str, bool]] = []
    for letter, is_hit in zip(text, hit, strict=True):
        if runs and runs[-1][1] == is_hit:
            runs[-1] = (runs[-1][0] + letter, is_hit)
        else:
            runs.append((letter, is_hit))
    return runs


# ---------------------------------------------------------------- the home


def _made_anew(home: Path) -> Path:
    """An empty home with its outbox; a directory that is not the demo's is left alone."""
    mend = "choose another with `notifier --home DIR demo`"
    try:
        if home.exists() and any(home.iterdir()):
            if not (home / MARKER).exists():
                raise NotifierError(f"{home} holds something else; {mend}")
            shutil.rmtree(home)
        outbox = home / "outbox"
        outbox.mkdir(parents=True)
        (home / MARKER).write_text("Made by `notifier demo`, and replaced each time it runs.\n", "utf-8")
    except OSError as error:
        raise NotifierError(f"{home} cannot be made: {error.strerror}; {mend}") from error
    return outbox


def _write_home(home: Path, story: DemoStory, peers: Peers) -> None:
    feeds = "".join(
        f'\n[[feed]]\nid = "{speaker.id}"\nissuer = "{speaker.issuer}"\nkind = "{speaker.kind}"\n'
        f'country = "{speaker.country}"\nlang = "{speaker.lang}"\nurl = "http://{HOST}:{peers.feed_ports[speaker.id]}/{speaker.id}"\n'
        for speaker in story.feed
    )
    settings = (
        "# The demo's settings. Its servers lived on loopback while it played.\n"
        'contact = "demo@notifier.example"\n\n'
        f'[email]\nhost = "{HOST}"\nport = {peers.mail_port}\ntls = "none"\n'
        'sender = "Policy alerts <alerts@notifier.example>"\n\n'
        # The links of the story lead to ministries, and nothing leaves this machine.
        f'[fetch]\nallow = ["{HOST}/32"]\narticles = false\n{feeds}'
    )
    (home / "notifier.toml").write_text(settings, "utf-8")
    hook = f"http://{HOST}:{peers.slack_port}/services/T00000000/B00000000/demo"
    shutil.copytree(Path(__file__).with_name("subscriptions"), home / "subscriptions")
    for path in (home / "subscriptions").glob("*.toml"):
        # Written out, though it would be a secret elsewhere: every command can then be tried on this home.
        path.write_text(path.read_text("utf-8").replace("${DEMO_SLACK_WEBHOOK}", hook), "utf-8")
