"""When connections are opened and let go of, and what those hear who wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from notifier.channels.mail.dialogue import Desk, Dialogue
from notifier.channels.mail.envelope import Envelope
from notifier.channels.mail.pool import CONNECTIONS, MAX_CONCURRENT, Pool
from notifier.channels.mail.replies import Reply
from notifier.errors import TryLater
from tests.channels.peers import SILENCE, MailPeer

DOWN = TryLater("the mail server cannot be reached", outcome="unreachable", after=7, scope="route")


class Door:
    """Opens connections to a peer, or fails with the next of its errors; `opened` counts how often it was asked."""

    def __init__(self, peer: MailPeer | None, *errors: Exception | None) -> None:
        self.opened = 0
        self.asked = asyncio.Event()
        self.dialogues: list[Dialogue] = []
        self.held = asyncio.Event()
        self.held.set()
        self._peer = peer
        self._errors = list(errors)

    async def __call__(self, desk: Desk) -> Dialogue:
        self.opened += 1
        self.asked.set()
        error = self._errors.pop(0) if self._errors else None
        await self.held.wait()
        if error is not None:
            raise error
        assert self._peer is not None
        transport, greeting = await asyncio.get_running_loop().create_connection(Greeting, "127.0.0.1", self._peer.port)
        await greeting.came.wait()
        dialogue = Dialogue(desk, timeout=5, after_dot=5, pipelines=True)
        dialogue.take_over(transport)
        self.dialogues.append(dialogue)
        return dialogue


class Greeting(asyncio.Protocol):
    """Hears the first line of a server."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.came.set()


async def ends(pool: Pool, number: int) -> list[Reply | BaseException]:
    """How so many messages end, all given at once."""
    envelopes = [Envelope("a@house.example", f"desk{n}@bank.example", b"words\r\n") for n in range(number)]
    async with asyncio.timeout(10):
        return await asyncio.gather(*(pool.hand_over(envelope) for envelope in envelopes), return_exceptions=True)


def counted(all_ends: Sequence[object]) -> list[bool]:
    """Which of the postponed were attempts."""
    return [end.counts for end in all_ends if isinstance(end, TryLater)]


async def test_one_connection_is_tried_first_and_more_once_it_stands() -> None:
    """Nobody knocks eight times at a door that may be shut."""
    async with MailPeer() as peer:
        door = Door(peer)
        pool, door.held = Pool(door), asyncio.Event()
        sending = asyncio.create_task(ends(pool, MAX_CONCURRENT))
        await door.asked.wait()
        first = door.opened
        door.held.set()

        assert all(isinstance(end, Reply) for end in await sending)
        assert (first, door.opened) == (1, CONNECTIONS)
        await pool.close()


async def test_a_shut_door_is_an_attempt_for_one() -> None:
    """The others, and those who come a moment later, have not tried; they are told when to."""
    door = Door(None, DOWN)
    pool = Pool(door)

    first, later = await ends(pool, 5), await ends(pool, 5)

    assert counted(first) == [True, False, False, False, False]
    assert counted(later) == [False] * 5
    assert {(end.outcome, end.after, end.scope) for end in first + later if isinstance(end, TryLater)} == {
        ("unreachable", 7, "route")
    }
    assert door.opened == 1


async def test_a_door_that_was_shut_may_be_tried_on_purpose() -> None:
    """Whoever has mended it does not wait."""
    async with MailPeer() as peer:
        pool = Pool(Door(peer, DOWN))
        await ends(pool, 1)

        pool.reopen()

        assert [type(end) for end in await ends(pool, 1)] == [Reply]
        await pool.close()


async def test_a_server_that_takes_one_connection_gets_all_over_it() -> None:
    """The second is refused, and nobody is postponed for that."""
    async with MailPeer() as peer:
        door = Door(peer, None, *[DOWN] * 100)
        pool = Pool(door)

        assert all(isinstance(end, Reply) for end in await ends(pool, 50))
        assert peer.connections == 1
        await pool.close()


async def test_a_server_that_hangs_up_on_each_new_connection_is_not_asked_in_a_circle() -> None:
    """It is as good as not there."""

    async def opened(desk: Desk) -> Dialogue:
        dialogue = await door(desk)
        dialogue.abort()
        return dialogue

    async with MailPeer() as peer:
        door = Door(peer)

        all_ends = await ends(Pool(opened), 3)

    assert counted(all_ends) == [True, False, False]
    assert door.opened == 1


async def test_a_connection_that_rests_is_let_go_of() -> None:
    """With QUIT, and the next message makes another."""
    async with MailPeer() as peer:
        pool = Pool(Door(peer), idle=0.01)
        await ends(pool, 1)
        async with asyncio.timeout(5):
            await peer.heard("QUIT")

        assert [type(end) for end in await ends(pool, 1)] == [Reply]
        assert peer.connections == 2
        await pool.close()


async def test_who_waits_when_the_pool_closes_is_told() -> None:
    """Nothing was sent, and nobody waits for ever."""
    door = Door(None)
    pool, door.held = Pool(door), asyncio.Event()
    sending = asyncio.create_task(ends(pool, 3))
    await door.asked.wait()

    await pool.close()

    assert [(type(end), getattr(end, "unknown", None)) for end in await sending] == [(TryLater, False)] * 3


async def test_a_bug_in_opening_is_raised_where_somebody_waits() -> None:
    """It is not lost in a task of its own."""
    pool = Pool(Door(None, ZeroDivisionError("a bug")))

    assert [type(end) for end in await ends(pool, 2)] == [ZeroDivisionError] * 2


@pytest.mark.parametrize("phase", ["waiting", "envelope"])
async def test_who_is_cancelled_before_his_message_is_out_is_cancelled(phase: str) -> None:
    """Nothing can have arrived, so nothing is in doubt; the others are served."""
    hold = asyncio.Event()
    async with MailPeer({"MAIL": ["250 ok"]}, hold=hold) as peer:
        pool = Pool(Door(peer))
        busy = asyncio.create_task(ends(pool, CONNECTIONS if phase == "waiting" else 0))
        if phase == "waiting":
            await peer.has_read(CONNECTIONS)
        envelope = Envelope("a@house.example", "late@bank.example", b"words\r\n")
        late = asyncio.create_task(pool.hand_over(envelope))
        await asyncio.sleep(0)

        late.cancel()
        hold.set()

        assert isinstance((await asyncio.gather(late, return_exceptions=True))[0], asyncio.CancelledError)
        assert all(isinstance(end, Reply) for end in await busy)
        assert "late@bank.example" not in [recipient for recipient, _ in peer.taken]
        await pool.close()


async def test_a_connection_ends_with_the_message_that_nobody_waits_for() -> None:
    """The server may be silent for ever: it is not waited for, and its connection is not kept."""
    async with MailPeer({"RCPT": SILENCE}) as peer:
        door = Door(peer)
        pool = Pool(door)
        sending = asyncio.create_task(ends(pool, 1))
        await peer.heard("RCPT")

        sending.cancel()

        async with asyncio.timeout(4):
            await door.dialogues[0].closed()
        await asyncio.wait([sending])
        await pool.close()


async def test_no_connection_is_opened_for_who_gave_up() -> None:
    """All are cancelled at once, as on stopping: those given back by a connection that ends need no other."""
    async with MailPeer(hold=asyncio.Event()) as peer:
        door = Door(peer)
        pool = Pool(door)
        sending = asyncio.create_task(ends(pool, MAX_CONCURRENT))
        await peer.has_read(CONNECTIONS)

        sending.cancel()
        await asyncio.wait([sending])
        for dialogue in door.dialogues:
            await dialogue.closed()
        await asyncio.sleep(0)

        assert door.opened == CONNECTIONS
        await pool.close()
