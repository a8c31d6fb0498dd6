"""
How fast do alerts leave, beside Postfix's own test client in C?

    python -m benchmarks.sending

All mails are of about 6 kB and go to smtp-sink, a server in C in a process of its own, which takes everything. In
turns, in one run: smtp-source sends to it, then our channel, which composes each mail for its recipient, then
aiosmtplib a mail at a time, each built with the standard library, then everything of ours, from alerts owed in a log on
disk to receipts recorded there. After that the channel over a network with 10 ms to the server and back, memory with a
hundred thousand alerts owed, in a process of its own, and how soon a single alert leaves when nothing else is to do.

smtp-sink and smtp-source come with Postfix; where they are missing the benchmark says how to install them.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import msgspec

from benchmarks._sending_peers import HOST, delay, delayed, program, sink, source
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.pool import CONNECTIONS
from notifier.channels.mail.relay import Relay
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.deliveries import AlertDelivered
from notifier.events.statements import StatementPublished
from notifier.home import packaged_data as shipped
from notifier.message import Message, Receipt
from notifier.messages.render import Renderer
from notifier.schedule import Schedule
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.deliver import Deliverer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing

TURNS, MAILS, BARE, DELAYED, OWED, SINGLE = 3, 20_000, 200, 4_000, 100_000, 200
SIZE = 6_000  # bytes of a mail
ROUND_TRIP = 0.010  # seconds
NOON = datetime(2020, 6, 29, 12, 0, tzinfo=UTC)
WORDS = "Commerce suspends the preferential treatment of Hong Kong, and licences for “dual-use” goods end.\n"
SENDER = "Policy alerts <alerts@house.example>"


# ---------------------------------------------------------------- the channel


def parts() -> dict[str, str]:
    """An alert of about 6 kB in the forms of a mail, with marks where readers differ."""
    return {
        "subject.txt": "[\ue000w\ue001] Commerce suspends preferential treatment for Hong Kong (US Commerce)",
        "body.txt": f"{WORDS * 12}\nWhy you got this:\n\ue000y\ue001\n\n-- \nFor \ue000n\ue001\n",
        "body.html": f"<p>{WORDS * 32}</p>\n<p>\ue000y\ue001</p>\n<p>For \ue000n\ue001</p>\n",
    }


def message(number: int, shared: dict[str, str]) -> Message:
    """The alert for one of many."""
    watchlist, name = f"Dual use {number % 40}", f"Desk {number}"
    why = f'Watchlist “{watchlist}” found dual-use, Hong Kong; its query: dual-use AND "Hong Kong"'
    fills = {"\ue000w\ue001": watchlist, "\ue000y\ue001": why, "\ue000n\ue001": name}
    return Message(
        id=f"{number:032x}",
        parts=shared,
        written_at=NOON,
        fills=dict.fromkeys(shared, fills),
        unsubscribe=f"https://alerts.house.example/unsubscribe/{number:064x}",
    )


async def channel_rate(port: int, mails: int) -> tuple[float, float]:
    """Mails a second by our channel, and microseconds of this process's CPU for each."""
    channel, shared, numbers = EmailChannel(relay(port)), parts(), iter(range(mails))

    async def send() -> None:
        for number in numbers:
            await channel.send(message(number, shared), f"desk{number}@bank.example")

    before, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(send() for _ in range(channel.at_once)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - before
    await channel.close()
    return mails / seconds, cpu / mails * 1e6


async def bare_rate(port: int, mails: int) -> float:
    """Mails a second by aiosmtplib and the standard library."""
    shared = parts()
    began = time.perf_counter()
    for number in range(mails):
        of = message(number, shared)
        mail = email.message.EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = SENDER, f"desk{number}@bank.example", of.text("subject.txt")
        mail.set_content(of.text("body.txt"))
        mail.add_alternative(of.text("body.html"), subtype="html")
        await aiosmtplib.send(mail, hostname=HOST, port=port, start_tls=False)
    return mails / (time.perf_counter() - began)


def relay(port: int) -> Relay:
    return Relay(host=HOST, port=port, tls="none", sender=SENDER)


# ---------------------------------------------------------------- the whole way


def subscriber(id: str) -> Subscriber:
    way = Contact("email", "email", Secret(f"{id}@bank.example"))
    return Subscriber(id=id, name=id, timing=Timing(), watchlists=(), channels=(way,))


class Everybody(Book):
    """Whoever is asked for is a subscriber."""

    def find(self, id: str) -> Subscriber:
        return subscriber(id)


def statement(number: int = 0) -> StatementPublished:
    title = f"Order {number}: Commerce suspends preferential treatment for Hong Kong"
    said = Statement(
        id=f"us-commerce/{number}",
        feed="us-commerce",
        issuer="US Department of Commerce",
        title=title,
        summary=WORDS * 3,
        fingerprint=fingerprint(title, WORDS * 3),
        link=f"https://commerce.example/{number}",
        published_at=NOON,
    )
    return StatementPublished(statement=said, seen_at=NOON)


def alert(cause: StatementPublished, reader: int) -> AlertRaised:
    match = WatchlistMatched(watchlist=f"Dual use {reader % 40}", query='dual-use AND "Hong Kong"', words=("dual-use",))
    return AlertRaised(
        cause=cause.id,
        subscriber=f"desk{reader}",
        statement_id=cause.statement.id,
        matches=(match,),
        channels=("email",),
    )


async def owe(log: SqliteLog, alerts: int) -> None:
    """The log comes to hold a statement, and that it is owed to so many."""
    cause = statement()
    await log.append([cause])
    for first in range(0, alerts, 1_000):
        await log.append([alert(cause, reader) for reader in range(first, min(first + 1_000, alerts))])


class Watched(EmailChannel):
    """A channel that notes when each message was taken."""

    def __init__(self, port: int) -> None:
        super().__init__(relay(port))
        self.taken: asyncio.Queue[float] = asyncio.Queue()

    async def send(self, message: Message, address: str) -> Receipt:
        receipt = await super().send(message, address)
        self.taken.put_nowait(time.perf_counter())
        return receipt


@functools.cache
def renderer() -> Renderer:
    """One for all, as the service has it: it reads its templates once."""
    return Renderer([shipped.templates()])


@contextlib.asynccontextmanager
async def deliverer(log: SqliteLog, channel: EmailChannel, book: Book | None = None) -> AsyncIterator[Deliverer]:
    """The step that delivers, with a real channel; what is under way at the end may end."""
    step = Deliverer(
        log, {"email": channel}, renderer(), book or Everybody(), clock=lambda: datetime.now(UTC), random=lambda: 0.5
    )
    yield step
    await step.stop(5)
    await channel.close()


async def whole_way_rate(port: int, alerts: int) -> float:
    """Alerts a second from owed in the log to a receipt in it, all of one statement, each for another subscriber."""
    known = {who.id: who for who in (subscriber(f"desk{reader}") for reader in range(alerts))}
    with tempfile.TemporaryDirectory() as directory:
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        await owe(log, alerts)
        async with deliverer(log, EmailChannel(relay(port)), Book(known)) as step:
            began = time.perf_counter()
            await step.run()
            seconds = time.perf_counter() - began
            assert step.outbox.owed() == 0
        assert await recorded(log) == alerts
        await log.close()
    return alerts / seconds


async def recorded(log: SqliteLog) -> int:
    """How many deliveries the log tells of."""
    found, position = 0, 0
    while (page := await log.read(position, (AlertDelivered.type,))).position > position:
        found, position = found + len(page.events), page.position
    return found


async def latencies(port: int, alerts: int) -> list[float]:
    """Milliseconds from one alert's append to the server's 250, with nothing else to do, the service's clockwork on."""
    with tempfile.TemporaryDirectory() as directory:
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        channel, schedule, found = Watched(port), Schedule(log), []
        async with deliverer(log, channel) as step:
            schedule.every(1.0, "deliver", step.start_due, upon_growth=True)
            schedule.start()
            for number in range(alerts):
                cause = statement(number)
                await log.append([cause])
                await asyncio.sleep(0.02)
                began = time.perf_counter()
                await log.append([alert(cause, number)])
                found.append((await channel.taken.get() - began) * 1000)
            await schedule.stop()
        await log.close()
    return found


# ---------------------------------------------------------------- memory


async def hold(port: int, directory: Path) -> None:
    """Print the most megabytes that this process had resident, with so many owed and five seconds of sending."""
    log = await SqliteLog.open(directory, lambda: datetime.now(UTC))
    async with deliverer(log, EmailChannel(relay(port))) as step:
        await step.catch_up()
        assert step.outbox.owed() == OWED
        await step.start_due()
        await asyncio.sleep(5)
        print(most_resident(), flush=True)
    await log.close()


def most_resident() -> float:
    """The most megabytes that this process had resident (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def memory(port: int) -> float:
    """What that process said."""
    with tempfile.TemporaryDirectory() as directory:
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        await owe(log, OWED)
        await log.close()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.sending", "hold", str(port), directory, stdout=subprocess.PIPE
        )
        said, _ = await child.communicate()
    return float(said.split()[0])


# ---------------------------------------------------------------- all


class Row(msgspec.Struct):
    """One line of the table."""

    what: str
    measured: str
    target: str = ""
    is_met: bool = True

    def __str__(self) -> str:
        said = f"   {self.target:18} {'reached' if self.is_met else 'NOT reached'}" if self.target else ""
        return f"  {self.what:58} {self.measured:>14}{said}"


def at_least(what: str, measured: float, target: float, unit: str = "") -> Row:
    return Row(what, f"{measured:,.2f}{unit}", f"≥ {target:g}{unit}", measured >= target)


def at_most(what: str, measured: float, target: float, unit: str) -> Row:
    return Row(what, f"{measured:,.1f}{unit}", f"≤ {target:g}{unit}", measured <= target)


def middle(figures: Iterable[float]) -> float:
    return statistics.median(figures)


async def measure() -> AsyncIterator[Row]:
    """The lines of the table, as they come."""
    async with sink() as port:
        await channel_rate(port, 1_000)
        turns = []
        for _ in range(TURNS):
            c = await source(port, MAILS, SIZE)
            ours, cpu = await channel_rate(port, MAILS)
            turns.append((c, ours, cpu, await bare_rate(port, BARE), await whole_way_rate(port, MAILS)))
        yield Row("smtp-source, sixteen connections", f"{middle(t[0] for t in turns):,.0f}/s")
        yield Row("our channel, composing", f"{middle(t[1] for t in turns):,.0f}/s")
        yield Row("  CPU of this process for a mail", f"{middle(t[2] for t in turns):.0f} µs")
        yield Row("aiosmtplib and EmailMessage, one by one", f"{middle(t[3] for t in turns):,.0f}/s")
        yield Row("log to log, with our channel", f"{middle(t[4] for t in turns):,.0f}/s")
        yield at_least("our channel / smtp-source", middle(t[1] / t[0] for t in turns), 0.9)
        yield at_least("our channel / aiosmtplib", middle(t[1] / t[3] for t in turns), 40)
        yield at_least("log to log / smtp-source", middle(t[4] / t[0] for t in turns), 0.9)
        yield at_least("log to log / aiosmtplib", middle(t[4] / t[3] for t in turns), 40)
        async with delayed(port, ROUND_TRIP) as far:
            rate, _ = await channel_rate(far, DELAYED)
        most = CONNECTIONS / ROUND_TRIP
        yield at_least(f"of one mail a round trip of 10 ms on each of {CONNECTIONS}", rate / most, 0.7)
        yield at_most(f"most resident with {OWED:,} alerts owed", await memory(port), 300, " MB")
        waits = sorted(await latencies(port, SINGLE))
        yield Row("one alert, appended to 250: median", f"{middle(waits):.1f} ms")
        yield at_most("one alert, appended to 250: 99 of 100", waits[int(len(waits) * 0.99)], 100, " ms")


async def main() -> bool:
    """Print the table; were all targets reached?"""
    program("smtp-sink"), program("smtp-source")
    print(f"{MAILS:,} mails of {SIZE:,} bytes, {TURNS} turns, medians; a minute or two …", flush=True)
    is_met = True
    async for row in measure():
        print(row, flush=True)
        is_met = is_met and row.is_met
    return is_met


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["delay", port, seconds]:
            asyncio.run(delay(int(port), float(seconds)))
        case ["hold", port, directory]:
            asyncio.run(hold(int(port), Path(directory)))
        case _:
            sys.exit(0 if asyncio.run(main()) else 1)
