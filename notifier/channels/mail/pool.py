"""
A few connections to one mail server, shared by all messages.

They are opened as messages wait, one first: a server that is down, or refuses our password, is asked once and not by
each of them. Then as many as there are messages, up to eight; idle ones are closed after a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from notifier.channels.mail.dialogue import Desk, Dialogue
from notifier.channels.mail.envelope import Envelope, unsure, untried
from notifier.channels.mail.replies import POLICY, Reply
from notifier.errors import TryLater

CONNECTIONS = 8  # to the mail server at once, so that one slow recipient does not hold up the others
# Each connection has a message under way and the next one's envelope; a third is at hand when it is asked for.
MAX_CONCURRENT = 3 * CONNECTIONS
IDLE = 5.0  # seconds that a connection is kept for the next message
COOLING = 5.0  # seconds that a server which could not be reached is left alone


class Pool:
    """
    Hands envelopes over to dialogues. `opened` opens a connection, and raises `TryLater` where that cannot be; one that
    rests is kept for `idle` seconds.

    Once it could not be opened, and while no other connection is, messages are postponed unasked for a while.
    """

    def __init__(self, opened: Callable[[Desk], Awaitable[Dialogue]], *, idle: float = IDLE) -> None:
        self._opened = opened
        self._kept_for = idle
        self._waiting: deque[Envelope] = deque()
        self._dialogues: set[Dialogue] = set()
        self._idle: list[Dialogue] = []
        self._leaving: set[Dialogue] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._shut_until = 0.0
        self._shut_by: TryLater | None = None
        self._is_closed = False

    async def hand_over(self, envelope: Envelope) -> Reply:
        """
        The reply that took this message over. Raises `TryLater` or `Refused`.

        Cancelled before its last line is out, nothing can have arrived; after it, this raises `TryLater(unknown=True)`.
        """
        self._take(envelope)
        try:
            return await envelope.ended
        except asyncio.CancelledError:
            if envelope.ended.done() and not envelope.ended.cancelled():
                return envelope.ended.result()  # the answer came at the same moment
            for dialogue in list(self._dialogues):
                dialogue.drop(envelope)
            if envelope.phase == "dot":
                raise unsure("we stopped before the mail server's answer to the whole message") from None
            raise

    def reopen(self) -> None:
        """Forget that the server could not be reached."""
        self._shut_until = 0.0

    async def close(self) -> None:
        """Take leave of the server on every connection that rests, and on the others when they do."""
        self._is_closed = True
        for task in list(self._opening):
            task.cancel()
        if self._opening:
            await asyncio.wait(self._opening)
        self.busy(TryLater("the notifier let go of the mail server before this message was begun"))
        while self._idle:
            self._leave(self._idle.pop())
        while self._leaving:
            await self._leaving.pop().closed()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- for the dialogues

    def next_envelope(self) -> Envelope | None:
        """The message that has waited longest."""
        while self._waiting:
            envelope = self._waiting.popleft()
            if not envelope.ended.done():
                return envelope
        return None

    def following(self) -> Envelope | None:
        """The same, but for those for whom connections are being opened: nobody waits for another's answer for long."""
        return self.next_envelope() if len(self._waiting) > len(self._opening) else None

    def give_back(self, envelope: Envelope) -> None:
        """Before all others: it has waited already."""
        if not envelope.ended.done():
            envelope.phase, envelope.was_heard = "waiting", False
            self._waiting.appendleft(envelope)
            asyncio.get_running_loop().call_soon(self._settle)

    def has_another(self) -> bool:
        """Is a connection idle, or may one be opened?"""
        return bool(self._idle) or (self._has_room() and not self._is_shut())

    def rests(self, dialogue: Dialogue) -> None:
        """Give it the next message, keep it for a while, or let it go."""
        if dialogue.is_used_up or not dialogue.is_open:
            self._leave(dialogue)
            self._settle()
        elif (envelope := self.next_envelope()) is not None:
            dialogue.begin(envelope)
        elif self._is_closed:
            self._leave(dialogue)
        else:
            loop = asyncio.get_running_loop()
            dialogue.rested_at = loop.time()
            self._idle.append(dialogue)
            if self._timer is None:
                self._timer = loop.call_later(self._kept_for, self._leave_idle)

    def busy(self, error: TryLater) -> None:
        """Fail every message that waits, untried."""
        while (envelope := self.next_envelope()) is not None:
            envelope.fail(untried(error))

    def gone(self, dialogue: Dialogue) -> None:
        """Others take its place, if they are needed."""
        self._forget(dialogue)
        self._leaving.discard(dialogue)
        self._settle()

    # ---------------------------------------------------------------- connections

    def _take(self, envelope: Envelope) -> None:
        while self._idle:
            dialogue = self._idle.pop()
            if dialogue.is_open:
                dialogue.begin(envelope, was_idle=True)
                return
        self._waiting.append(envelope)
        # Nothing to settle while all that may be open are.
        if len(self._dialogues) < CONNECTIONS:
            self._settle()

    def _settle(self) -> None:
        """Open as many connections as those who wait can use, or tell them that there is no way."""
        while self._waiting and self._waiting[0].ended.done():  # given up meanwhile
            self._waiting.popleft()
        if self._is_shut():
            if self._shut_by is not None and not self._dialogues and not self._opening:
                self.busy(self._shut_by)
            return
        while len(self._waiting) > len(self._opening) and self._has_room():
            task = asyncio.create_task(self._open(), name="open a connection to the mail server")
            self._opening.add(task)

    def _is_shut(self) -> bool:
        return asyncio.get_running_loop().time() < self._shut_until

    def _has_room(self) -> bool:
        # The first one shows whether there is a way at all.
        most = CONNECTIONS if self._dialogues else 1
        return len(self._dialogues) + len(self._opening) < most

    async def _open(self) -> None:
        task = asyncio.current_task()
        try:
            dialogue = await self._opened(self)
        except TryLater as error:
            self._shut(error)
        except Exception as error:  # noqa: BLE001 a bug; it is raised where somebody waits, and not lost in a task
            while (envelope := self.next_envelope()) is not None:
                envelope.fail(error)
        else:
            if dialogue.is_open:
                self._dialogues.add(dialogue)
                self.rests(dialogue)
            else:
                told = "the mail server hung up on a new connection"
                self._shut(TryLater(told, outcome="unreachable", scope="route"))
        finally:
            if task is not None:
                self._opening.discard(task)
        self._settle()

    def _shut(self, error: TryLater) -> None:
        """
        Those who wait behind this one are told the same: a dead server costs a time-out, not one for each message, and
        one that counts wrong passwords does not lock the account. While other connections are open they are waited for.
        """
        self._shut_by = error
        wait = POLICY if error.outcome == "login-refused" else COOLING
        self._shut_until = asyncio.get_running_loop().time() + wait
        if not self._dialogues and (envelope := self.next_envelope()) is not None:
            envelope.fail(error)

    def _forget(self, dialogue: Dialogue) -> None:
        self._dialogues.discard(dialogue)
        if dialogue in self._idle:
            self._idle.remove(dialogue)

    def _leave(self, dialogue: Dialogue) -> None:
        self._forget(dialogue)
        if dialogue.is_open:
            self._leaving.add(dialogue)
        dialogue.leave()

    def _leave_idle(self) -> None:
        """Let go of those that have rested long; the longest stand first."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._idle and self._idle[0].rested_at + self._kept_for <= loop.time():
            self._leave(self._idle[0])
        if self._idle:
            self._timer = loop.call_at(self._idle[0].rested_at + self._kept_for, self._leave_idle)
