"""
The plumbing of one SMTP connection: bytes in and out, and how long the server may take to answer.
"""

from __future__ import annotations

import asyncio

LOOK = 1.0  # seconds between looks at what is late


class Connection(asyncio.BufferedProtocol):
    """
    A connection that is taken over from whoever opened it. `timeout` and `after_dot` are the seconds that the server
    has for an answer, to a command and to a whole message; `patience` those after which `_grows_late` is called.
    """

    def __init__(self, timeout: float, after_dot: float, patience: float) -> None:
        self._timeout = timeout
        self._after_dot = after_dot
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._space = memoryview(bytearray(8192))  # for what comes in
        self._is_over = False  # we have ended it
        # One timer that looks what is late, instead of one for each reply.
        self._timer: asyncio.TimerHandle | None = None
        self._every = min(timeout, after_dot, patience, LOOK)
        self._deadline = 0.0
        self._body_at = 0.0  # when the last message was written
        self._is_full = False  # the transport holds bytes that the network does not take
        self._held = 0  # so many, when last looked at

    # ---------------------------------------------------------------- what the conversation answers

    def _is_waiting(self) -> bool:
        """Is there an answer that the server owes us, or a message under way?"""
        raise NotImplementedError

    def _is_after_dot(self) -> bool:
        """Is what the server is to answer next a whole message?"""
        raise NotImplementedError

    def _grows_late(self, now: float) -> None:
        """The server is taking its time."""
        raise NotImplementedError

    def _is_written(self) -> None:
        """What was written is out of our hands."""
        raise NotImplementedError

    # ---------------------------------------------------------------- bytes out

    def take_over(self, transport: asyncio.Transport) -> None:
        """Speak over this transport from here on."""
        # So that "written" means out of our hands. Not 0: asyncio's TLS would then hold an empty buffer for a full one.
        transport.set_write_buffer_limits(high=1)
        transport.set_protocol(self)
        self._transport = transport

    def abort(self) -> None:
        """Close at once, whatever was under way."""
        self._is_over = True
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Return once the connection is gone."""
        await self._closed.wait()

    def _is_connected(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        self._wait_on()

    # ---------------------------------------------------------------- what is late

    def _wait_on(self) -> None:
        """Give the server its time for what it is to answer next."""
        self._deadline = self._loop.time() + (self._after_dot if self._is_after_dot() else self._timeout)
        if self._timer is None:
            self._timer = self._loop.call_later(self._every, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_waiting():
            return
        now = self._loop.time()
        self._look_at_progress(now)
        if now >= self._deadline:
            self.abort()
            return
        self._grows_late(now)
        self._timer = self._loop.call_later(self._every, self._look)

    def _look_at_progress(self, now: float) -> None:
        """A server that reads slowly has its time as long as it reads, up to that for the final dot."""
        if self._transport is not None and self._is_full:
            held = self._transport.get_write_buffer_size()
            if held != self._held:
                self._held = held
                self._deadline = min(now + self._timeout, self._body_at + self._after_dot)

    # ---------------------------------------------------------------- asyncio.BufferedProtocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._space[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        raise NotImplementedError

    def eof_received(self) -> bool:
        """A server that sends nothing more cannot answer what we have still to say."""
        self.abort()
        return False

    def pause_writing(self) -> None:
        self._is_full = True
        self._held = self._transport.get_write_buffer_size() if self._transport is not None else 0

    def resume_writing(self) -> None:
        self._is_full = False
        self._is_written()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        if self._timer is not None:
            self._timer.cancel()
