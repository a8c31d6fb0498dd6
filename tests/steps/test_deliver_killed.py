"""Real processes, killed, paused and doubled in the worst moment; and peers that ask for peace, or are no more."""

from __future__ import annotations

import asyncio
import email
import json
import signal
import time
from pathlib import Path

import pytest

from notifier.events.channels import ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed
from notifier.events.event import Event
from notifier.home.open_log import reading_log
from tests.channels.peers import MailPeer, WebPeer, response
from tests.homes import DESK, PATIENCE, Publisher, make_home, notifier, rss, said, world

OLD = ("old", "Opening hours", "The office opens at nine.")
WORDS = "Licences are needed from Monday."
SECOND = DESK.replace("desk@", "second@")
WITH_SLACK = DESK + "\n[[channel]]\nslack = '${HOOK}'\n"


def publish(publisher: Publisher, *numbers: int) -> None:
    """The ministry says so many things, the last of them the newest."""
    items = [(f"news-{n}", f"Controls on dual-use exports to Hong Kong, {n}", WORDS) for n in reversed(numbers)]
    publisher.publish("trade", rss(*items, OLD))


async def told(home: Path, *types: type[Event]) -> list[Event]:
    """All events of these types in a home's log, in order."""
    async with reading_log(home) as log:
        page = await log.read(0, [each.type for each in types], limit=10_000)
    return [recorded.event for recorded in page.events]


def names(mails: list[bytes]) -> list[str]:
    return [str(email.message_from_bytes(mail)["Message-ID"]) for mail in mails]


async def test_f26_killed_between_the_dot_and_the_record_it_loses_nothing(tmp_path: Path) -> None:
    """
    The mail server has two whole messages and says 250 to a process that is no more: after a restart each comes once
    more and no oftener, under the same Message-ID; the two behind them, not begun, come once; each is recorded once.
    """
    hold = asyncio.Event()
    async with world() as around, MailPeer(hold=hold) as server:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": DESK, "second": SECOND}, mail_port=server.port)
        publish(around.publisher)
        await said(home, "run", "--once")
        publish(around.publisher, 1, 2)
        async with notifier(home, "run") as service, asyncio.timeout(PATIENCE):
            await server.has_read(2)
            service.kill()
            await service.wait()
        begun = names(server.read)
        hold.set()
        await said(home, "run", "--once")
        after = names(server.read)[len(begun) :]
        await said(home, "run", "--once")
        delivered = await told(home, AlertDelivered)

    assert len(set(begun)) == 2
    assert set(begun) < set(after)
    assert len(after) == len(set(after)) == 4
    assert len(names(server.read)) == 6
    assert len(delivered) == 4


async def test_f27_a_paused_owner_is_not_overtaken(tmp_path: Path) -> None:
    """
    There is no lease that could run out: the lock on the log is the fence, and a paused process holds it still. So a
    second process is refused and sends nothing, however long the first sleeps; and the first, woken and told to stop,
    writes the one end of its delivery.
    """
    hold = asyncio.Event()
    async with world() as around, MailPeer(hold=hold) as server:
        home = make_home(tmp_path, around, {"trade": "rss"}, mail_port=server.port)
        publish(around.publisher)
        await said(home, "run", "--once")
        publish(around.publisher, 1)
        async with notifier(home, "run") as owner, asyncio.timeout(3 * PATIENCE):
            await server.has_read(1)
            owner.send_signal(signal.SIGSTOP)
            hold.set()
            code, _, err = await said(home, "run", "--once")
            meanwhile = await told(home, AlertDelivered)
            owner.send_signal(signal.SIGCONT)
            owner.send_signal(signal.SIGTERM)
            await owner.communicate()
        again, _, _ = await said(home, "run", "--once")
        ended = await told(home, AlertDelivered, DeliveryPostponed)

    assert (code, again) == (75, 0)
    assert f"process {owner.pid}" in err
    assert meanwhile == []
    assert [type(each) for each in ended] == [AlertDelivered]
    assert len(server.read) == 1


@pytest.mark.slow
async def test_f31_who_asks_for_peace_has_it_and_gets_all_in_order(tmp_path: Path) -> None:
    """A webhook's 429 with Retry-After: nothing goes there before, then all of it, oldest first; mail does not wait."""
    asks = response(429, "slow down", Retry_After="3")
    async with world() as around, WebPeer(asks, response(200, "ok")) as hook:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": WITH_SLACK})
        url = f"http://127.0.0.1:{hook.port}/services/T000/B000/nosuchsecret0000"
        publish(around.publisher)
        await said(home, "run", "--once", HOOK=url)
        publish(around.publisher, 1, 2, 3)
        async with notifier(home, "run", HOOK=url), asyncio.timeout(PATIENCE):
            await hook.has_read(1)
            asked_at = time.monotonic()
            await around.mailroom.has(3)
            meanwhile = len(hook.requests)
            await hook.has_read(2)
            waited = time.monotonic() - asked_at
            await hook.has_read(4)

    titles = [json.loads(body)["text"].split(" —")[0] for _, _, body in hook.requests]
    assert [next(n for n in "123" if f"Kong, {n}" in title) for title in titles] == ["1", "1", "2", "3"]
    assert waited >= 3
    assert meanwhile == 1


async def test_f37_a_webhook_that_is_no_more_is_told_its_owner_once(tmp_path: Path) -> None:
    """Its backlog ends with the reason, it is asked once, and one mail says so; alerts go on by mail."""
    async with world() as around, WebPeer(response(404, "no_service")) as hook:
        home = make_home(tmp_path, around, {"trade": "rss"}, {"desk": WITH_SLACK})
        url = f"http://127.0.0.1:{hook.port}/services/T000/B000/nosuchsecret0000"
        publish(around.publisher)
        await said(home, "run", "--once", HOOK=url)
        publish(around.publisher, 1, 2, 3)
        _, _, err = await said(home, "run", "--once", HOOK=url)
        publish(around.publisher, 1, 2, 3, 4)
        await said(home, "run", "--once", HOOK=url)
        suspended = await told(home, ChannelSuspended)
        abandoned = await told(home, DeliveryAbandoned)

    subjects = [str(mail["Subject"]) for mail in around.mailroom.to("desk@bank.example")]
    notices = [subject for subject in subjects if "Hong Kong, " not in subject]
    assert len(hook.requests) == 1
    assert len(suspended) == 1
    assert [(each.attempt, each.outcome) for each in abandoned if isinstance(each, DeliveryAbandoned)] == [
        (1, "endpoint-gone"),
        *[(0, "suspended")] * 3,
    ]
    assert len(notices) == 1
    assert len(subjects) == 5
    assert "nosuchsecret" not in err
