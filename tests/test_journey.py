"""The whole line, for real: a feed over HTTP, the log on disk, a mail at an SMTP server; in one process and in many."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import feedparser
import pytest

from notifier.demo.story import Scene, Speaker, document
from notifier.events.alerts import AlertRaised, DigestRaised
from notifier.events.deliveries import AlertDelivered, DeliveryPostponed
from notifier.events.feeds import FeedBaselined, FeedHealthChanged
from notifier.events.statements import PageRead, StatementPublished, StatementRevised
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.feeds.feed import Kind
from notifier.home.open_log import reading_log
from notifier.service import Service
from tests.builders import Clock
from tests.channels.peers import SILENCE, MailPeer, WebPeer, response
from tests.homes import DESK, PATIENCE, events, line_with, make_home, notifier, rss, said, world

OLD = ("old", "Opening hours", "The office opens at nine.")
NEWS = ("news", "Controls on dual-use exports to Hong Kong", "Licences are needed from Monday.")
EDITED = ("news", "Controls on dual-use exports to Hong Kong", "Licences are needed from Tuesday.")
BRIEF = ("brief", "A notice", "The ministry gives notice.")
NOISE = ("noise", "Hong Kong holds a regatta", "Boats were seen.")


async def test_a_statement_reaches_its_subscriber_once(tmp_path: Path):
    """What a feed shows after its baseline, and a watchlist wants, arrives as one mail, and the log tells all of it."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        async with Service.opened(home) as app:
            await app.run_once()
            around.publisher.publish("trade", rss(NOISE, NEWS, OLD))
            await app.run_once()
            await app.run_once()
            told = await events(app)

    (mail,) = around.mailroom.to("desk@bank.example")
    assert mail["Subject"] == "[Hong Kong] Controls on dual-use exports to Hong Kong (Ministry of trade)"
    assert "Licences are needed from Monday" in mail.get_body(("plain",)).get_content()
    assert ">dual-use</mark>" in mail.get_body(("html",)).get_content()
    assert around.publisher.answered == {200: 2, 304: 1}
    assert [type(event) for event in told] == [
        SubscriptionsApplied,
        StatementPublished,
        FeedHealthChanged,
        FeedBaselined,
        StatementPublished,
        StatementPublished,
        AlertRaised,
        AlertDelivered,
    ]


async def test_an_edit_reaches_him_too(tmp_path: Path):
    """Changed words are a revision and a second mail; a changed date alone is nothing."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        async with Service.opened(home) as app:
            await app.run_once()
            for document in (rss(NEWS, OLD), rss(EDITED, OLD), rss(EDITED, OLD).replace("<title>News", "<title>New")):
                around.publisher.publish("trade", document)
                await app.run_once()
            revised = await events(app, StatementRevised)

    assert len(revised) == 1
    assert [mail["Subject"] for mail in around.mailroom.to("desk@bank.example")] == [
        "[Hong Kong] Controls on dual-use exports to Hong Kong (Ministry of trade)",
        "[Hong Kong] Revised: Controls on dual-use exports to Hong Kong (Ministry of trade)",
    ]


async def test_a_digest_is_raised_when_its_moment_has_come(tmp_path: Path):
    """By a single pass or by the service: what was held by then, and whether its feed was well."""
    clock = Clock()
    daily = f'frequency = "daily"\n{DESK}'
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": daily})
        around.publisher.publish("trade", rss(OLD))
        async with Service.opened(home, clock=clock) as app:
            await app.run_once()
            around.publisher.publish("trade", rss(NEWS, OLD))
            await app.run_once()
            before = await events(app, DigestRaised)
            clock.advance(24 * 3600)
            await app.run_once()
            around.publisher.publish("trade", rss(EDITED, OLD))
            await app.run_once()
            clock.advance(24 * 3600)
            stop = asyncio.Event()
            serving = asyncio.create_task(app.serve(stop, lambda feed, poll: None))
            async with asyncio.timeout(PATIENCE):
                while len(digests := await events(app, DigestRaised)) < 2:
                    await app.log.wait(await app.log.head())
            stop.set()
            await serving
            alerts = await events(app, AlertRaised)

    assert before == []
    assert [alert.waits_for for alert in alerts] == ["daily", "daily"]
    assert [digest.alerts for digest in digests] == [(alert.id,) for alert in alerts]
    # Eight in the morning in Hong Kong.
    assert [f"{digest.due_at:%d %H:%M}" for digest in digests] == ["30 00:00", "01 00:00"]
    assert [(digest.feeds, digest.feeds_asked) for digest in digests] == [((), 1)] * 2


async def test_a_story_told_in_three_feeds_is_one_alert_and_a_reply(tmp_path: Path):
    """What two feeds tell in one round is one mail; what a third says later, after a restart, follows it."""
    guid, title, text = (
        NEWS[0],
        NEWS[1],
        "Licences are needed from Monday for all goods of the list. Traders take note.",
    )
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss", "customs": "rss", "cabinet": "rss"})
        for feed in ("trade", "customs", "cabinet"):
            around.publisher.publish(feed, rss(OLD))
        async with Service.opened(home) as app:
            await app.run_once()
            around.publisher.publish("trade", rss((guid, title, text), OLD))
            around.publisher.publish("customs", rss(("c-1", title, f"Press release. {text}"), OLD))
            await app.run_once()
        async with Service.opened(home) as app:
            around.publisher.publish("cabinet", rss(("k-1", f"{title} | The Cabinet", text), OLD))
            await app.run_once()
            told = await events(app, StatementPublished)
            first, reply = await events(app, AlertRaised)

    news = {event.statement.feed: event.id for event in told if not event.muted_because}
    assert {first.cause, *first.also} == {news["trade"], news["customs"]}
    assert (reply.cause, reply.also, reply.follows) == (news["cabinet"], (), first.id)
    assert len(around.mailroom.to("desk@bank.example")) == 2


def page(ends: str) -> str:
    """A ministry's page on exports to Hong Kong."""
    said = "".join(f"<p>Licences for dual-use exports to Hong Kong end on {ends}, says part {n}.</p>" for n in range(9))
    return f"<html><body><main>{said}</main></body></html>"


async def test_what_only_the_page_says_reaches_its_subscriber_too(tmp_path: Path):
    """The feed gives a summary, and the words that a watchlist wants stand on the page: one pass reads and delivers."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, articles=True)
        site = around.publisher.url("pages")
        around.publisher.publish("trade", rss(OLD, site=site))
        around.publisher.publish("pages/brief", page("Monday"), "text/html")
        async with Service.opened(home) as app:
            await app.run_once()
            around.publisher.publish("trade", rss(BRIEF, OLD, site=site))
            await app.run_once()
            told = await events(app, PageRead)

    (mail,) = around.mailroom.to("desk@bank.example")
    assert mail["Subject"] == "[Hong Kong] A notice (Ministry of trade)"
    assert ">dual-use</mark> exports to <mark" in mail.get_body(("html",)).get_content()
    assert [event.statement.title for event in told] == ["A notice"]
    assert around.publisher.asked == {"trade": 2, "pages/brief": 1}


async def test_an_edit_that_no_feed_tells_of_reaches_him(tmp_path: Path):
    """The page says something else a day on: a second mail, on a revision. Another look at it is no third."""
    clock = Clock()
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, articles=True)
        site = around.publisher.url("pages")
        around.publisher.publish("trade", rss(OLD, site=site))
        around.publisher.publish("pages/brief", page("Monday"), "text/html")
        async with Service.opened(home, clock=clock) as app:
            await app.run_once()
            around.publisher.publish("trade", rss(BRIEF, OLD, site=site))
            await app.run_once()
            around.publisher.publish("pages/brief", page("Tuesday"), "text/html")
        for days in (1, 7):
            clock.advance(days * 86_400)
            async with Service.opened(home, clock=clock) as app:
                await app.run_once()
                told = await events(app, StatementRevised)

    assert [event.page != event.replaces != "" for event in told] == [True]
    assert [mail["Subject"] for mail in around.mailroom.to("desk@bank.example")] == [
        "[Hong Kong] A notice (Ministry of trade)",
        "[Hong Kong] Revised: A notice (Ministry of trade)",
    ]


@pytest.mark.parametrize("kind", ["rss", "atom", "rdf", "jsonfeed"])
async def test_every_kind_of_feed_goes_the_whole_way(tmp_path: Path, kind: Kind):
    """RSS 2.0, RSS 1.0, Atom and JSON Feed lead to the same mail."""
    speaker = Speaker(id="trade", issuer="Ministry", country="HK", lang="en", kind=kind, title="News")
    old, news = _scene("old", "Opening hours"), _scene("news", "Dual-use exports to Hong Kong")
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": kind})
        async with Service.opened(home, clock=lambda: news.at) as app:
            around.publisher.publish("trade", *document(speaker, [old]))
            await app.run_once()
            around.publisher.publish("trade", *document(speaker, [news, old]))
            await app.run_once()

    assert len(around.mailroom.to("desk@bank.example")) == 1


def _scene(id: str, title: str) -> Scene:
    at = datetime(2020, 6, 29, 21, tzinfo=UTC)
    return Scene(at=at, feed="trade", id=id, link=f"https://ministry.example/{id}", title=title, text="…")


async def test_all_channels_of_all_subscribers_are_told(tmp_path: Path):
    """Mail, Slack and console carry the alert, each subscriber's own; who watches something else hears nothing."""
    others = {
        "desk": DESK,
        "newsroom": "[[watchlist]]\nname = 'Asia'\nquery = '\"Hong Kong\"'\n[[channel]]\nslack = '${HOOK}'\n",
        "analyst": "[[watchlist]]\nname = 'All'\nquery = 'exports'\n[[channel]]\nconsole = 'stdout'\n",
        "baker": "[[watchlist]]\nname = 'Bread'\nquery = 'flour'\n[[channel]]\nemail = 'baker@bank.example'\n",
    }
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"}, others)
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once", HOOK=around.slack.hook)
        around.publisher.publish("trade", rss(NEWS, OLD))
        code, out, _ = await said(home, "run", "--once", HOOK=around.slack.hook)

    assert code == 0
    assert [to for to, _ in around.mailroom.mails] == ["desk@bank.example"]
    (payload,) = around.slack.payloads
    assert payload["text"].startswith("Controls on dual-use exports to Hong Kong")
    assert "All → exports" in out


async def test_chats_feeds_and_other_services_are_told(tmp_path: Path):
    """Teams, Discord, a feed's file and Apprise carry the alert to a subscriber who has them all."""
    desk = """
    [[watchlist]]
    name = "Hong Kong"
    query = "Hong Kong"
    [[channel]]
    teams = "${HOOK}/teams/verysecret"
    [[channel]]
    discord = "${HOOK}/discord/verysecret"
    [[channel]]
    atom = "hong-kong.xml"
    [[channel]]
    apprise = "${APPRISE}"
    """
    async with world() as around, WebPeer(response(200, "{}")) as peer:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": desk})
        settings = home / "notifier.toml"
        settings.write_text(settings.read_text() + "\n[apprise]\nenabled = true\n")
        hooks = {"HOOK": f"http://127.0.0.1:{peer.port}", "APPRISE": f"json://127.0.0.1:{peer.port}/apprise"}
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once", **hooks)
        around.publisher.publish("trade", rss(NEWS, OLD))
        code, out, err = await said(home, "run", "--once", **hooks)

    assert code == 0
    told = {re.split("[/ ?]", line)[2]: body for line, _, body in peer.requests}
    assert set(told) == {"teams", "discord", "apprise"}
    assert all(b"Ministry of trade" in body for body in told.values())
    feed = feedparser.parse(io.BytesIO((home / "feeds" / "hong-kong.xml").read_bytes()))
    assert [entry.title for entry in feed.entries] == [NEWS[1]]
    assert "verysecret" not in out + err


# ---------------------------------------------------------------- the service


async def test_the_service_delivers_and_stops_when_told(tmp_path: Path):
    """`run` polls at once, mails what is new, and ends with exit code 0 on SIGTERM."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once")
        around.publisher.publish("trade", rss(NEWS, OLD))
        async with notifier(home, "run") as service:
            await around.mailroom.has(1)
            service.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                _, err = await service.communicate()

    assert service.returncode == 0
    assert "trade: 1 new" in err.decode()


async def test_a_second_service_on_a_home_is_refused(tmp_path: Path):
    """The log has one writer: the second is told which process that is, exits 75, and the first goes on."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        async with notifier(home, "run") as service:
            await line_with(service.stderr, "first poll")
            code, _, err = await said(home, "run", "--once")
            first_lives = service.returncode is None

    assert code == 75
    assert f"process {service.pid}" in err
    assert first_lives


@pytest.mark.slow
async def test_stopped_before_an_answer_it_says_that_it_does_not_know(tmp_path: Path):
    """SIGTERM while the mail server keeps us waiting: the end comes within ten seconds, and the log tells the doubt."""
    async with world() as around, MailPeer({".": SILENCE}) as silent:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=silent.port)
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once")
        around.publisher.publish("trade", rss(NEWS, OLD))
        async with notifier(home, "run") as service, asyncio.timeout(PATIENCE):
            await silent.has_read(1)
            service.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                await service.communicate()
        async with reading_log(home) as log:
            last = (await log.read()).events[-1].event

    assert service.returncode == 0
    assert isinstance(last, DeliveryPostponed)
    assert last.unknown


async def one_pass(home: Path) -> None:
    """What `run --once` does in a home; to cancel it is what asyncio makes of Ctrl-C."""
    async with Service.opened(home) as service:
        await service.run_once()


async def test_a_pass_that_is_broken_off_records_how_a_message_went(tmp_path: Path):
    """Ctrl-C while the mail server thinks: its answer is waited for, so the next pass sends no second mail."""
    hold = asyncio.Event()
    async with world() as around, MailPeer(hold=hold) as slow:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=slow.port)
        around.publisher.publish("trade", rss(OLD))
        await one_pass(home)
        around.publisher.publish("trade", rss(NEWS, OLD))
        passing = asyncio.create_task(one_pass(home))
        await slow.has_read(1)
        passing.cancel()
        await asyncio.wait([passing], timeout=0.3)
        hold.set()
        with pytest.raises(asyncio.CancelledError):
            await passing
        async with reading_log(home) as log:
            last = (await log.read()).events[-1].event
        await one_pass(home)

    assert isinstance(last, AlertDelivered)
    assert len(slow.read) == 1


async def test_a_pass_that_is_broken_off_blames_no_feed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Ctrl-C while a publisher takes its time: its poll is dropped, and neither log nor stderr calls it unreachable."""
    async with world() as around, WebPeer(SILENCE) as silent:
        home = make_home(tmp_path, around, {"trade": "rss"})
        settings = home / "notifier.toml"
        settings.write_text(settings.read_text().replace(str(around.publisher.port), str(silent.port)))
        passing = asyncio.create_task(one_pass(home))
        await silent.has_read(1)
        passing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await passing
        async with reading_log(home) as log:
            told = [each.event for each in (await log.read()).events]

    assert [type(event) for event in told] == [SubscriptionsApplied]
    assert caplog.text == ""


async def test_killed_after_the_dot_it_sends_one_more_of_the_same_name(tmp_path: Path):
    """kill -9 before the mail server answers: after a restart the alert arrives, under the same Message-ID."""
    async with world() as around, MailPeer({".": SILENCE}) as silent:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=silent.port)
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once")
        around.publisher.publish("trade", rss(NEWS, OLD))
        async with notifier(home, "run") as service, asyncio.timeout(PATIENCE):
            await silent.has_read(1)
            service.kill()
            await service.wait()
        await said(home, "run", "--once", NOTIFIER_EMAIL__PORT=str(around.mailroom.port))
        await said(home, "run", "--once", NOTIFIER_EMAIL__PORT=str(around.mailroom.port))

    (mail,) = around.mailroom.to("desk@bank.example")
    (read,) = silent.read
    assert f"Message-ID: {mail['Message-ID']}".encode() in read


async def test_what_could_not_be_sent_is_owed_after_a_restart(tmp_path: Path):
    """A mail server that puts us off does not lose the alert: it waits in the log, and comes when its time has come."""
    async with world() as around, MailPeer({"RCPT": "451 4.7.1 try again in 1 seconds"}) as greylisting:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=greylisting.port)
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once")
        around.publisher.publish("trade", rss(NEWS, OLD))
        _, _, err = await said(home, "run", "--once")
        async with notifier(home, "run", NOTIFIER_EMAIL__PORT=str(around.mailroom.port)):
            await around.mailroom.has(1)

    assert "1 delivery not made yet" in err
    assert len(around.mailroom.mails) == 1


async def test_a_file_that_is_gone_for_a_moment_ends_nothing(tmp_path: Path):
    """Some editors take a file away before they put the new one in its place; who stays away is let go."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        file = home / "subscriptions" / "desk.toml"
        async with Service.opened(home) as app:
            file.rename(home / "desk.toml~")
            await app.reload()
            there = [*app.subscriptions.subscribers]
            file.write_text(DESK.replace("Hong Kong desk", "Asia desk"))
            await app.reload()
            changed = app.subscriptions.subscribers["desk"].name
            file.unlink()
            for _ in range(2):
                await app.reload()

            assert (there, changed, [*app.subscriptions.subscribers]) == (["desk"], "Asia desk", [])


async def test_a_changed_subscription_is_taken_up_while_the_service_runs(tmp_path: Path):
    """A good file is in force within seconds; a wrong one changes nothing, and is told with its line."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        async with notifier(home, "run") as service:
            await line_with(service.stderr, "first poll")
            (home / "subscriptions" / "second.toml").write_text(DESK.replace("email", "emial"))
            refused = await line_with(service.stderr, "second.toml")
            (home / "subscriptions" / "second.toml").write_text(DESK.replace("desk@", "second@"))
            taken_up = await line_with(service.stderr, "reloaded")

    assert 'line 10: no channel "emial"; did you mean "email"?' in refused
    assert "2 subscribers" in taken_up


async def test_others_follow_the_log_while_it_grows(tmp_path: Path):
    """`tail -f --json` in another process shows what the service records, as CloudEvents, in order."""
    async with world() as around:
        home = make_home(tmp_path, around, {"trade": "rss"})
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once")
        async with notifier(home, "tail", "-f", "--json") as tail:
            await line_with(tail.stdout, "feed.baselined")
            around.publisher.publish("trade", rss(NEWS, OLD))
            await said(home, "run", "--once")
            published = json.loads(await line_with(tail.stdout, "statement.published"))
            delivered = json.loads(await line_with(tail.stdout, "alert.delivered"))

    assert published["specversion"] == delivered["specversion"] == "1.0"
    assert published["data"]["statement"]["title"] == NEWS[1]
    assert delivered["position"] > published["position"]


async def test_no_address_is_in_the_log(tmp_path: Path):
    """Whatever happens, no file of the log holds a subscriber's address, webhook or password."""
    channels = "\n[[channel]]\nslack = '${HOOK}'\n"
    async with world() as around, MailPeer({"RCPT": "550 5.1.1 <desk@bank.example> unknown"}) as strict:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": DESK + channels}, mail_port=strict.port)
        around.publisher.publish("trade", rss(OLD))
        await said(home, "run", "--once", HOOK=around.slack.hook)
        around.publisher.publish("trade", rss(NEWS, OLD))
        _, out, err = await said(home, "run", "--once", HOOK=around.slack.hook)
        async with reading_log(home) as log:
            types = [recorded.event.type for recorded in (await log.read()).events]

    held = b"".join(path.read_bytes() for path in (home / "data").iterdir()) + out.encode() + err.encode()
    assert {"delivery.abandoned.v1", "alert.delivered.v1"} <= set(types)
    assert not [secret for secret in (b"desk@bank", b"nosuchsecret") if secret in held]


@pytest.mark.slow
async def test_killed_again_and_again_it_loses_nothing(tmp_path: Path):
    """kill -9 at whatever moment: each statement is recorded once, each alert arrives, second copies bear its name."""
    feeds = [f"feed-{n}" for n in range(6)]
    chance = random.Random(2020)  # noqa: S311 the same moments each time
    async with world() as around:
        # Urgent, so that so many at once are no burst that waits for its end.
        desk = DESK.replace("[[channel]]", "urgent = true\n\n[[channel]]")
        home = make_home(tmp_path, around, dict.fromkeys(feeds, "rss"), {"desk": desk})
        for feed in feeds:
            around.publisher.publish(feed, rss((f"{feed}-old", *OLD[1:])))
        await said(home, "run", "--once")
        shown = {feed: [(f"{feed}-old", *OLD[1:])] for feed in feeds}
        for round_ in range(8):
            for feed, items in shown.items():
                items.insert(0, (f"{feed}-{round_}", f"Dual-use to Hong Kong, {round_} of {feed}", NEWS[2]))
                around.publisher.publish(feed, rss(*items))
            async with notifier(home, "run") as service:
                # However far it gets: not a wait for something, but the moment of a power cut.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(service.wait(), chance.uniform(0.25, 0.8))
                service.kill()
        await said(home, "run", "--once")
        async with reading_log(home) as log:
            told = [recorded.event for recorded in (await log.read(limit=10_000)).events]

    published = [
        event.statement.title for event in told if isinstance(event, StatementPublished) and not event.muted_because
    ]
    arrived = [mail["Subject"] for _, mail in around.mailroom.mails]
    names = {mail["Message-ID"] for _, mail in around.mailroom.mails}
    assert len(published) == len(set(published)) == 48
    assert {title for title in published if not any(title in subject for subject in arrived)} == set()
    assert len(names) == 48
    assert sum(isinstance(event, AlertDelivered) for event in told) == 48
