"""What every engine of the log keeps: one suite, run against each of them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import Conflict, LogError, Overtaken, TooLarge
from notifier.eventlog.codec import TYPES
from notifier.eventlog.log import Appended, Commit, Consumer, Duplicate, EventLog, follow
from notifier.eventlog.memory import MemoryLog
from notifier.eventlog.sqlite import STRETCH, SqliteLog
from notifier.events.event import Event, Recorded
from notifier.events.feeds import FeedMoved
from notifier.events.statements import StatementPublished
from tests.eventlog.builders import NOW, Retold, moved, published
from tests.examples import examples

T = TypeVar("T")


class Clock:
    """A clock that shows what a test says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@contextlib.asynccontextmanager
async def memory(directory: Path, clock: Callable[[], datetime]) -> AsyncIterator[EventLog]:
    log = MemoryLog(clock)
    yield log
    await log.close()


@contextlib.asynccontextmanager
async def sqlite(directory: Path, clock: Callable[[], datetime]) -> AsyncIterator[EventLog]:
    log = await SqliteLog.open(directory, clock)
    yield log
    await log.close()


Engine = Callable[[Path, Callable[[], datetime]], AbstractAsyncContextManager[EventLog]]
ENGINES: list[Engine] = [memory, sqlite]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
async def log(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[EventLog]:
    async with request.param(tmp_path, clock) as log:
        yield log


async def everything(log: EventLog) -> list[Recorded]:
    """All events, in pages of an odd size."""
    found: list[Recorded] = []
    position = 0
    while (page := await log.read(position, limit=7)).position > position:
        found += page.events
        position = page.position
    return found


async def soon(coming: Awaitable[T]) -> T:
    """What comes within a minute, or the test fails."""
    async with asyncio.timeout(60):
        return await coming


async def begun(coming: Awaitable[T]) -> asyncio.Task[T]:
    """A task that has run up to where it waits."""
    task = asyncio.ensure_future(coming)
    await checkpoint()
    return task


# ---------------------------------------------------------------- append


async def test_positions_count_from_one(log: EventLog) -> None:
    """Each event gets the next position, whatever batches they come in."""
    answers = [
        await log.append([published(1)]),
        await log.append([published(2), moved(), published(3)]),
        await log.append([published(4)]),
    ]

    assert answers == [[Appended(1)], [Appended(2), Appended(3), Appended(4)], [Appended(5)]]
    assert await log.head() == 5
    assert [recorded.position for recorded in await everything(log)] == [1, 2, 3, 4, 5]


async def test_what_was_appended_is_read(log: EventLog, clock: Clock) -> None:
    """An event comes back as it went in, with its id and when it was recorded."""
    event = published(text="a\x00b 🚢 香港")

    await log.append([event])

    assert await everything(log) == [Recorded(1, event.id, clock.now, event)]


async def test_the_same_again_is_a_duplicate(log: EventLog, clock: Clock) -> None:
    """Whatever was appended is appended once; the second answer names the first position."""
    await log.append([published(1), published(2)])
    clock.now += timedelta(hours=1)

    again = await log.append([published(2, seen_at=clock.now), published(1), published(3), published(2)])

    assert again == [Duplicate(2), Duplicate(1), Appended(3), Duplicate(2)]
    assert [recorded.recorded_at for recorded in await everything(log)] == [NOW, NOW, clock.now]


async def test_the_same_twice_in_one_batch_is_one_event(log: EventLog) -> None:
    """A batch may name an event twice; it is stored once."""
    answers = await log.append([moved(), published(1), published(1), published(2)])

    assert answers == [Appended(1), Appended(2), Duplicate(2), Appended(3)]
    assert await log.head() == 3


@pytest.mark.parametrize("before", [[published(2)], []], ids=["in the log", "in the batch"])
async def test_a_conflict_stores_nothing_of_its_batch(log: EventLog, before: list[Event]) -> None:
    """The same id with other words refuses the batch, its blobs and its commit; the positions go on without a gap."""
    await log.append(before)
    batch = [published(1), *([] if before else [published(2)]), published(2, text="other"), published(3)]

    with pytest.raises(Conflict, match=r"statement\.published\.v1.*other words"):
        await log.append(batch, blobs=[b"blob"], commit=Consumer("match").moved_to(1))

    assert [recorded.event for recorded in await everything(log)] == before
    assert await log.consumer("match") == Consumer("match")
    with pytest.raises(KeyError):
        await log.blob(hashlib.sha256(b"blob").hexdigest())
    assert await log.append([published(9)]) == [Appended(len(before) + 1)]


async def test_a_refusal_hurts_nobody_beside_it(log: EventLog) -> None:
    """Of calls that are written together, those that are right are stored and the others are told."""
    await log.append([published(1)])
    calls: list[Sequence[Event]] = [
        [published(2)],
        [published(3), published(1, text="other")],
        [published(2), published(4)],
        [published(4, title="other")],
        [published(5)],
    ]

    answers = await soon(asyncio.gather(*(log.append(events) for events in calls), return_exceptions=True))

    assert [answer if isinstance(answer, list) else type(answer) for answer in answers] == [
        [Appended(2)],
        Conflict,
        [Duplicate(2), Appended(3)],
        Conflict,
        [Appended(4)],
    ]
    assert [recorded.event for recorded in await everything(log)] == [published(n) for n in (1, 2, 4, 5)]


async def test_nothing_may_be_appended(log: EventLog) -> None:
    """An empty batch is no error, and no event."""
    assert await log.append([]) == []
    assert await log.head() == 0


async def test_a_batch_has_a_thousand_events(log: EventLog) -> None:
    """One more is refused, with the mend, and nothing is stored."""
    events = [published(n) for n in range(1_001)]

    with pytest.raises(TooLarge, match=r"1,001 events.*takes 1,000.*in parts"):
        await log.append(events)
    assert await log.head() == 0

    assert await log.append(events[:1_000]) == [Appended(n) for n in range(1, 1_001)]


async def test_a_batch_has_four_mebibytes(log: EventLog) -> None:
    """More is refused, however few events it is."""
    events = [published(n, text="x" * 60_000) for n in range(70)]

    with pytest.raises(TooLarge, match="70 events of 4,2"):
        await log.append(events)
    assert await log.head() == 0

    assert len(await log.append(events[:69])) == 69


@pytest.mark.parametrize(
    ("event", "error"),
    [(published(2, text="x" * 65_536), TooLarge), (published(2, text="\ud800"), LogError)],
    ids=["too large", "half a surrogate pair"],
)
async def test_what_cannot_be_stored_stores_nothing(log: EventLog, event: Event, error: type[LogError]) -> None:
    """One bad event refuses its batch before anything is written."""
    with pytest.raises(error):
        await log.append([published(1), event], commit=Consumer("match").moved_to(1))

    assert await log.head() == 0
    assert (await log.consumer("match")).version == 0


async def test_who_stops_waiting_does_not_stop_the_writing(log: EventLog) -> None:
    """A cancelled append is stored whole, and the log goes on."""
    waiting = await begun(log.append([published(1), published(2)]))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert await soon(log.append([published(3)])) == [Appended(3)]
    assert [recorded.event for recorded in await everything(log)] == [published(n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "now",
    [NOW - timedelta(hours=1), NOW + timedelta(days=366), NOW, datetime(1970, 1, 1, tzinfo=UTC)],
    ids=["an hour back", "a year on", "frozen", "lost"],
)
async def test_order_is_the_position_whatever_the_clock_says(log: EventLog, clock: Clock, now: datetime) -> None:
    """Time is data: a clock that steps changes neither order nor ids, and the same event stays a duplicate."""
    await log.append([published(2)])
    clock.now = now

    assert await log.append([published(1), published(2)]) == [Appended(2), Duplicate(1)]
    assert [(recorded.id, recorded.recorded_at) for recorded in await everything(log)] == [
        (published(2).id, NOW),
        (published(1).id, now),
    ]


# ---------------------------------------------------------------- consumers and blobs


async def test_a_consumer_moves_with_its_events(log: EventLog) -> None:
    """Events and the place of the one who appends them are stored together."""
    matcher = await log.consumer("match")

    await log.append([moved()], commit=matcher.moved_to(7, b"\x00state"))

    assert await log.consumer("match") == Consumer("match", 7, b"\x00state", 1)


async def test_a_consumer_may_move_alone(log: EventLog) -> None:
    """A stretch in which there was nothing to do is stored as such; the state stays as it was."""
    await log.append([], commit=Consumer("match").moved_to(7, b"state"))

    await log.append([], commit=(await log.consumer("match")).moved_to(9))

    assert await log.consumer("match") == Consumer("match", 9, b"state", 2)
    assert await log.head() == 0


async def test_of_two_consumers_of_one_name_one_wins(log: EventLog) -> None:
    """Who was overtaken is told, and nothing of his batch is stored."""
    one, other = await log.consumer("match"), await log.consumer("match")
    await log.append([published(1)], commit=one.moved_to(1))

    with pytest.raises(Overtaken, match="consumer match has moved on"):
        await log.append([published(2)], blobs=[b"b"], commit=other.moved_to(1, b"mine"))

    assert [recorded.event for recorded in await everything(log)] == [published(1)]
    assert await log.consumer("match") == Consumer("match", 1, b"", 1)
    with pytest.raises(KeyError):
        await log.blob(hashlib.sha256(b"b").hexdigest())


@pytest.mark.parametrize("expected", [-1, 1, 2])
async def test_a_consumer_that_never_was_has_version_0(log: EventLog, expected: int) -> None:
    """No other expectation of it comes true."""
    with pytest.raises(Overtaken):
        await log.append([], commit=Commit("match", expected, 1, b""))


async def test_two_that_race_have_one_winner(log: EventLog) -> None:
    """Of commits that are written together, the first holds and the rest are told."""
    consumer = Consumer("match")
    calls = [log.append([published(n)], commit=consumer.moved_to(n)) for n in (1, 2, 3)]

    answers = await soon(asyncio.gather(*calls, return_exceptions=True))

    assert [type(answer) for answer in answers] == [list, Overtaken, Overtaken]
    assert await log.consumer("match") == Consumer("match", 1, b"", 1)
    assert [recorded.event for recorded in await everything(log)] == [published(1)]


async def test_a_commit_with_a_duplicate_counts(log: EventLog) -> None:
    """A reactor that is run again appends nothing and moves on."""
    await log.append([published(1)])

    answers = await log.append([published(1)], commit=Consumer("match").moved_to(1))

    assert answers == [Duplicate(1)]
    assert (await log.consumer("match")).position == 1


async def test_consumers_are_found_by_the_beginning_of_their_names(log: EventLog) -> None:
    """In order of name; signs that mean something elsewhere mean themselves."""
    for name in ("poll/b", "poll/a", "poll", "pol%", "match", "Poll/c"):
        await log.append([], commit=Consumer(name).moved_to(1))

    assert [consumer.name for consumer in await log.consumers("poll/")] == ["poll/a", "poll/b"]
    assert [consumer.name for consumer in await log.consumers("pol%")] == ["pol%"]
    assert len(await log.consumers("")) == 6
    assert await log.consumers("none") == []


async def test_a_blob_is_found_by_its_sha256(log: EventLog) -> None:
    """A blob comes back byte for byte, also when it was given twice, or was there."""
    blobs = [b"", b"\x00\xff" * 40_000, b"words", b"words"]

    await log.append([published(1)], blobs=blobs)
    await log.append([published(2)], blobs=[b"words"])

    assert [await log.blob(hashlib.sha256(blob).hexdigest()) for blob in blobs] == blobs


@pytest.mark.parametrize("name", ["00" * 32, "no such thing", ""])
async def test_a_blob_that_is_not_there_is_a_key_error(log: EventLog, name: str) -> None:
    """Whatever it is called."""
    with pytest.raises(KeyError):
        await log.blob(name)


# ---------------------------------------------------------------- reading


async def test_an_empty_log_reads_as_nothing(log: EventLog) -> None:
    """The place to read on from is where one stood."""
    page = await log.read()

    assert (page.events, page.position, await log.head()) == ([], 0, 0)


async def test_pages_follow_each_other(log: EventLog) -> None:
    """A page holds as many as were asked for, and its position leads to the next."""
    await log.append([published(n) for n in range(1, 6)])

    first = await log.read(limit=2)
    rest = await log.read(first.position)

    assert [recorded.position for recorded in first.events] == [1, 2]
    assert [recorded.position for recorded in rest.events] == [3, 4, 5]
    assert (first.position, rest.position) == (2, 5)


async def test_the_place_moves_past_what_is_not_wanted(log: EventLog) -> None:
    """Events of other types are passed over, also at the end, so that nobody looks at them twice."""
    await log.append([published(1), moved(1), published(2), moved(2), published(3), published(4)])

    first = await log.read(types={FeedMoved.type}, limit=1)
    second = await log.read(first.position, types={FeedMoved.type})
    third = await log.read(second.position, types={FeedMoved.type})

    assert [[recorded.event for recorded in page.events] for page in (first, second, third)] == [
        [moved(1)],
        [moved(2)],
        [],
    ]
    assert first.position >= 2
    assert (second.position, third.position) == (6, 6)


async def test_several_types_or_none_may_be_wanted(log: EventLog) -> None:
    """Any collection of types will do; the empty one finds nothing and moves on."""
    await log.append([published(1), moved(1), published(2)])

    assert len((await log.read(types=[FeedMoved.type, StatementPublished.type])).events) == 3
    assert await log.read(types=()) == msgspec.structs.replace(await log.read(3), position=3)


async def test_a_place_beyond_the_end_stays(log: EventLog) -> None:
    """Who asks for what has not come yet gets nothing, and is not sent back."""
    await log.append([published(1)])

    page = await log.read(5)

    assert (page.events, page.position) == ([], 5)


async def test_nothing_comes_late(log: EventLog) -> None:
    """What a reader has passed never changes, whoever appends meanwhile."""
    appends = asyncio.gather(*(log.append([published(n), moved(n)]) for n in range(1, 40)))
    seen: list[Recorded] = []

    while len(seen) < 78:
        page = await soon(log.read(seen[-1].position if seen else 0))
        seen += page.events
        if not page.events:
            await soon(log.wait(len(seen)))
    await soon(appends)

    assert [recorded.position for recorded in seen] == list(range(1, 79))
    assert await everything(log) == seen


async def test_rare_types_are_found_far_away(log: EventLog) -> None:
    """An event behind thousands of others is found, and the place is where the log ends."""
    many = STRETCH + 2_500
    for start in range(0, many, 1_000):
        await log.append([published(n) for n in range(start, min(start + 1_000, many))])
    await log.append([moved(1), published(many), moved(2)])

    position, found = 0, []
    while (page := await log.read(position, {FeedMoved.type})).events:
        found += [recorded.event for recorded in page.events]
        position = page.position

    assert found == [moved(1), moved(2)]
    assert position == page.position == many + 3


async def test_an_event_is_found_by_its_id(log: EventLog) -> None:
    """The id leads to the event, its place and its time."""
    await log.append([published(1), published(2)])

    assert await log.find(published(2).id) == Recorded(2, published(2).id, NOW, published(2))


@pytest.mark.parametrize("id", [published(2).id, "", "no id", "00000000-0000-8000-8000-000000000000"])
async def test_an_id_that_is_not_there_is_none(log: EventLog, id: str) -> None:
    """Whatever it looks like."""
    await log.append([published(1)])

    assert await log.find(id) is None


async def test_unknown_types_are_passed_over_where_they_are_not_wanted(log: EventLog) -> None:
    """What a newer notifier wrote does not stop those who want something else."""
    await log.append([published(1), Retold(), published(2)])

    page = await log.read(types=TYPES)

    assert [recorded.position for recorded in page.events] == [1, 3]


async def test_unknown_types_stop_those_who_want_them(log: EventLog) -> None:
    """A consumer that wants what it cannot read is stopped with a clear error, not led past it."""
    await log.append([published(1), Retold(), published(2)])

    for wanted in (None, {Retold.type, StatementPublished.type}):
        with pytest.raises(LogError, match=r"event 2 is of type statement\.retold\.v1.*update"):
            await log.read(types=wanted)
    with pytest.raises(LogError, match="newer notifier"):
        await log.find(Retold().id)
    assert len((await log.read(limit=1)).events) == 1


# ---------------------------------------------------------------- following


async def test_who_waits_is_woken(log: EventLog) -> None:
    """Each who waits for the log to grow hears of it, and at once where it has grown already."""
    waiting = [await begun(log.wait(0)) for _ in range(3)]
    assert not any(task.done() for task in waiting)

    await log.append([published(1)])

    await soon(asyncio.gather(*waiting))
    await soon(log.wait(0))


async def test_who_waits_for_more_waits_on(log: EventLog) -> None:
    """Only growth past the place counts: neither another event, nor a consumer that moves, nor a duplicate."""
    waiting = await begun(log.wait(2))

    await log.append([published(1)])
    await log.append([published(1)], commit=Consumer("match").moved_to(1))
    await log.append([published(2)])
    assert not waiting.done()

    await log.append([published(3)])
    await soon(waiting)


async def test_followers_see_what_is_there_and_what_comes(log: EventLog) -> None:
    """Following yields the old, then the new, each once and in order, and only the types that are wanted."""
    await log.append([published(1), moved(1), published(2)])
    seen: list[int] = []

    async def reader() -> None:
        async for recorded in follow(log, 1, {FeedMoved.type}):
            seen.append(recorded.position)
            if len(seen) == 3:
                return

    following = await begun(reader())
    await log.append([published(3), moved(2)])
    await log.append([published(4)])
    await log.append([moved(3)])
    await soon(following)

    assert seen == [2, 5, 7]


async def test_a_follower_may_append(log: EventLog) -> None:
    """No lock is held while a handler runs: who follows may record what he makes of it, and sees that too."""
    await log.append([published(1)])

    async def reader() -> list[int]:
        seen = []
        async for recorded in follow(log):
            seen.append(recorded.position)
            if recorded.position == 5:
                break
            await log.append([published(recorded.position + 1)])
        return seen

    assert await soon(reader()) == [1, 2, 3, 4, 5]


async def test_a_follower_that_goes_is_forgotten(log: EventLog) -> None:
    """Who stops waiting leaves nothing behind that hinders the others."""
    gone, other = await begun(log.wait(0)), await begun(log.wait(0))
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)

    await log.append([published(1)])

    await soon(other)


# ---------------------------------------------------------------- closing


async def test_closing_twice_is_closing(log: EventLog) -> None:
    """Also at the same time."""
    await soon(asyncio.gather(log.close(), log.close()))
    await soon(log.close())


async def test_a_closed_log_takes_nothing(log: EventLog) -> None:
    """Who appends to it is told, and does not wait for ever."""
    await log.close()

    with pytest.raises(LogError, match="closed"):
        await soon(log.append([published(1)]))


async def test_what_was_under_way_is_finished(log: EventLog) -> None:
    """Appends that began before the log was closed have their answers; one that begins meanwhile is refused."""
    before = [await begun(log.append([published(n)])) for n in (1, 2, 3)]
    closing = await begun(log.close())

    with pytest.raises(LogError, match="closed"):
        await soon(log.append([published(4)]))
    answers = await soon(asyncio.gather(*before))
    await soon(closing)

    assert answers == [[Appended(1)], [Appended(2)], [Appended(3)]]


async def test_who_waits_when_it_closes_is_told(log: EventLog) -> None:
    """Neither who waits for growth nor who follows is left waiting."""

    async def reader() -> None:
        async for _ in follow(log):
            pass

    waiting = [await begun(log.wait(0)), await begun(reader())]

    await soon(log.close())

    assert [type(error) for error in await soon(asyncio.gather(*waiting, return_exceptions=True))] == [LogError] * 2


# ---------------------------------------------------------------- any story

NUMBERS = st.integers(1, 8)
EVENTS = st.builds(
    lambda n, rare, other: moved(n) if rare else published(n, text="other" if other else ""),
    NUMBERS,
    st.booleans(),
    st.integers(0, 5).map(lambda n: n == 0),
)
CALLS = st.tuples(
    st.lists(EVENTS, max_size=4),
    st.lists(st.binary(max_size=2), max_size=2),
    st.none() | st.builds(Commit, st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 9), st.binary(max_size=2)),
)
STEPS = st.lists(st.lists(CALLS, min_size=1, max_size=4), max_size=6)


class Model:
    """The log as a reader would have it who knows no disk: a list, and what each call must answer."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.consumers: dict[str, Consumer] = {}
        self.blobs: set[bytes] = set()

    def answer(self, events: list[Event], blobs: list[bytes], commit: Commit | None) -> Any:
        if commit and self.consumers.get(commit.name, Consumer(commit.name)).version != commit.expected:
            return Overtaken
        after, answers = list(self.events), []
        for event in events:
            place = next((n for n, held in enumerate(after, 1) if held.id == event.id), 0)
            if place and after[place - 1] != event:
                return Conflict
            answers.append(Duplicate(place) if place else Appended(len(after) + 1))
            after += [] if place else [event]
        self.events = after
        self.blobs.update(blobs)
        if commit:
            self.consumers[commit.name] = Consumer(commit.name, commit.position, commit.state, commit.expected + 1)
        return answers


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
@given(steps=STEPS)
@examples(60)
def test_any_story_reads_as_the_model_tells_it(engine: Engine, steps: list[Any]) -> None:
    """
    Whatever is appended, alone or together, new, again or in conflict: every call has the model's answer, every reader
    finds the model's events, and what was read stays a prefix of all that is read later.
    """

    async def story(directory: Path) -> None:
        model = Model()
        seen: list[Recorded] = []
        async with engine(directory, lambda: NOW) as log:
            for calls in steps:
                expected = [model.answer(*call) for call in calls]
                answers = await asyncio.gather(
                    *(log.append(events, blobs=blobs, commit=commit) for events, blobs, commit in calls),
                    return_exceptions=True,
                )
                assert [answer if isinstance(answer, list) else type(answer) for answer in answers] == expected
                now = await everything(log)
                assert now[: len(seen)] == seen
                seen = now
            assert [(recorded.position, recorded.event) for recorded in seen] == list(enumerate(model.events, 1))
            assert [recorded.event for recorded in (await log.read(types={FeedMoved.type})).events] == [
                event for event in model.events if isinstance(event, FeedMoved)
            ]
            assert await log.consumers("") == [model.consumers[name] for name in sorted(model.consumers)]
            for blob in model.blobs:
                assert await log.blob(hashlib.sha256(blob).hexdigest()) == blob

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(soon(story(Path(directory))))
