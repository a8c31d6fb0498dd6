"""Reading in a child process that may be killed, with real documents that hurt and real signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import notifier
from notifier.errors import Refused
from notifier.feeds.feed import Reading
from notifier.feeds.parsers import Parser, Parsers
from tests.feeds.builders import ENDLESS, FEED, HUGE, a_parser, document, feed, item, reading_of, rss

GOOD = rss(item("Good", guid="good"))
PACKAGES = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
CHECKOUT = str(Path(notifier.__file__).parents[1])
SOURCES = sorted(Path(notifier.__file__).parent.rglob("*.py"))

# What a process with the notifier in it does to read one document.
READS = f"""
import asyncio
from notifier.feeds.feed import Document, Feed
from notifier.feeds.parsers import Parser, Parsers

async def main():
    parser = Parser()
    body = {GOOD.encode()!r}
    reading = await parser.parse(Document(body=body, url=""), Feed(id="a", url="", issuer=""))
    await parser.close()
    print(reading.entries[0].title)

asyncio.run(main())
"""


async def title(parser: Parser) -> str:
    return (await parser.parse(document(GOOD), FEED)).entries[0].title


async def failure(parser: Parser, body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        await parser.parse(document(body), FEED)
    return caught.value


def child_of(parser: Parser) -> int:
    """The process id of the child; a test of what becomes of it has to know it."""
    assert parser._child is not None
    return parser._child.pid


async def until(holds: Callable[[], bool]) -> None:
    """Give way until something holds; ten seconds at most."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 other processes set no event of ours
            await asyncio.sleep(0)


def is_busy(pid: int) -> bool:
    """Has a process computed for a quarter of a second and more?"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 0.25


def limit_of(pid: int, name: str) -> int:
    """A process's soft limit, by its name in /proc."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (soft,) = [line.removeprefix(name).split()[0] for line in lines if line.startswith(name)]
    return int(soft)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def files_of(pid: int) -> set[str]:
    """The numbers of a process's open files."""
    return {link.name for link in Path(f"/proc/{pid}/fd").iterdir()}


async def test_a_document_is_read_as_in_this_process():
    """The child changes nothing: entries, problem and warnings arrive as they were made."""
    body = rss(
        item("Hong Kong – “dual‑use”", guid="1", date="Mon, 29 Jun 2020 21:00:00 GMT"),
        item("R&D").replace("&amp;", "&"),
    )

    async with a_parser() as parser:
        reading = await parser.parse(document(body), FEED)

    assert isinstance(reading, Reading)
    assert reading == reading_of(body)
    assert reading.problem


async def test_a_refusal_arrives_with_its_outcome():
    """A document that is not a feed is refused through the child too, and the child survives."""
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        before = child_of(parser)
        refused = await failure(parser, b"<html><body>Sign in</body></html>")

        assert (refused.outcome, str(refused)) == ("not-a-feed", "a web page, not a feed")
        assert await title(parser) == "Good"
        assert child_of(parser) == before


@pytest.mark.slow
async def test_a_document_without_end_is_given_up():
    """Five seconds of work, by the child's own limit: parse-error for that document, and the next one is read."""
    async with a_parser() as parser:
        refused = await failure(parser, ENDLESS)

        assert (refused.outcome, str(refused)) == ("parse-error", "parsing took too much CPU time and was stopped")
        assert await title(parser) == "Good"


async def test_the_limit_of_work_is_a_documents_own():
    """What a child has worked before does not count: each document has six seconds from where it begins."""
    long = b"<rss version='2.0'><channel>&x;<item><description>" + b"<a>" * 250_000
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        limits = [limit_of(child_of(parser), "Max cpu time")]
        await parser.parse(document(long), FEED)
        assert await title(parser) == "Good"
        limits.append(limit_of(child_of(parser), "Max cpu time"))

    assert limits[0] == 6
    assert limits[1] > 6


async def test_a_clock_outside_ends_what_the_child_does_not():
    """A child that does not answer in time is killed, and the next document gets a new one."""
    async with a_parser(seconds=60) as parser:
        assert await title(parser) == "Good"
        stopped = child_of(parser)
        parser._seconds = 0.3  # only the next document, so that no start of a child is under this clock
        os.kill(stopped, signal.SIGSTOP)
        refused = await failure(parser, GOOD.encode())
        parser._seconds = 60

        assert (refused.outcome, str(refused)) == ("parse-error", "parsing took too long and was stopped")
        assert await title(parser) == "Good"
        with pytest.raises(ProcessLookupError):
            os.kill(stopped, 0)


async def test_a_document_that_takes_all_memory_is_refused():
    """Memory is bounded: parse-error for the document that wants more, and the next one is read."""
    async with a_parser() as parser:
        refused = await failure(parser, HUGE)

        assert refused.outcome == "parse-error"
        assert str(refused).startswith("it is too large or too deep to parse")
        assert await title(parser) == "Good"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_child_that_is_killed_is_replaced(how: signal.Signals):
    """A child killed in the middle of a document costs that document alone, and the error gives the reason."""
    async with a_parser() as parser:
        reading = asyncio.create_task(failure(parser, ENDLESS))
        await until(lambda: parser._child is not None and is_busy(parser._child.pid))
        os.kill(child_of(parser), how)
        refused = await reading

        assert refused.outcome == "parse-error"
        assert str(refused) == f"the parser was killed while parsing it: {signal.strsignal(how)}"
        assert await title(parser) == "Good"


async def test_a_child_that_died_between_documents_is_replaced():
    """Whoever ended it while it was idle, no document is blamed."""
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        child = parser._child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()

        assert await title(parser) == "Good"


async def test_the_child_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch):
    """It has no environment but where to find its code, and no open files but its pipes and our stderr."""
    monkeypatch.setenv("NOTIFIER_SMTP_PASSWORD", "verysecret")
    ours, theirs = os.pipe()
    os.set_inheritable(ours, True)
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        environment, files = environment_of(child_of(parser)), files_of(child_of(parser))
    os.close(ours)
    os.close(theirs)

    names = {line.partition(b"=")[0] for line in environment.split(b"\0") if line}
    # LC_CTYPE: the interpreter sets it for itself where there is no locale (PEP 538).
    assert names <= {b"PYTHONPATH", b"PYTHONDONTWRITEBYTECODE", b"LC_CTYPE"}
    assert b"verysecret" not in environment
    assert files == {"0", "1", "2"}


async def test_limits_are_set_and_stay_within_the_operators():
    """Memory is bounded in the child; limits that the operator set are never raised, and break nothing."""
    tight = (
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (400 << 20, 400 << 20)); r.setrlimit(r.RLIMIT_CPU, (30, 30))"
    )
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        memory, core = (limit_of(child_of(parser), name) for name in ("Max address space", "Max core file size"))

    assert (memory, core) == (768 * 1024 * 1024, 0)
    assert await said([sys.executable, "-c", f"{tight}\n{READS}"], {"PYTHONPATH": CHECKOUT}) == "Good"


async def test_an_idle_child_is_let_go():
    """With nothing to read it ends by itself, and gives its memory back; the next document gets a new one."""
    async with a_parser(idle=0.05) as parser:
        assert await title(parser) == "Good"
        pid, child = child_of(parser), parser._child
        assert child is not None
        await until(lambda: parser._child is None)

        async with asyncio.timeout(10):
            assert await child.wait() == 0
        assert await title(parser) == "Good"
        assert child_of(parser) != pid


async def test_half_an_answer_is_nobodys():
    """After a reading that was cancelled, the next document gets its own answer."""
    async with a_parser() as parser:
        reading = asyncio.create_task(parser.parse(document(ENDLESS), FEED))
        await until(lambda: parser._child is not None and is_busy(parser._child.pid))
        pid = child_of(parser)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

        assert reading.cancelled()
        assert await title(parser) == "Good"
        assert child_of(parser) != pid


async def test_documents_that_wait_their_turn_get_their_own_answers():
    """Asked for many at once, also with some given up on the way, each gets the reading of its own document."""
    async with a_parser() as parser:
        assert await title(parser) == "Good"
        tasks = [asyncio.create_task(parser.parse(document(rss(item(f"No. {n}"))), FEED)) for n in range(20)]
        for task in tasks[::3]:
            task.cancel()
        readings = await asyncio.gather(*tasks, return_exceptions=True)

    kept = {n: reading.entries[0].title for n, reading in enumerate(readings) if isinstance(reading, Reading)}
    assert kept == {n: f"No. {n}" for n in range(20) if n % 3}


async def test_closing_ends_the_child():
    """After close no process is left, busy or idle; closing twice, or before any document, is harmless."""
    parser = Parser()
    await parser.close()
    assert await title(parser) == "Good"
    pid = child_of(parser)

    await parser.close()
    await parser.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_does_not_outlive_its_parent():
    """It ends with its input: nothing is left behind a notifier that was killed."""
    script = READS.replace(
        "await parser.close()", "print(parser._child.pid, flush=True); import os; os.kill(os.getpid(), 9)"
    )

    pid = int(await said([sys.executable, "-c", script], {"PYTHONPATH": CHECKOUT}, ends=-signal.SIGKILL))

    await until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())


# ---------------------------------------------------------------- however the notifier is installed


async def said(command: list[str], environment: dict[str, str], *, cwd: Path | None = None, ends: int = 0) -> str:
    """What a command prints; it has a minute, and nothing to say on stderr."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (ends, "")
    return out.decode().strip()


@pytest.fixture
def bare() -> str:
    """The interpreter behind this one, which knows no library but its own."""
    path = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not path.exists():
        pytest.skip(f"the interpreter behind this one is not at {path}")
    return str(path)


async def test_it_is_found_where_only_the_parent_knows(bare: str, tmp_path: Path):
    """An interpreter that finds its libraries by PYTHONPATH passes these paths to the child."""
    assert (
        await said([bare, "-c", READS], {"PYTHONPATH": os.pathsep.join([CHECKOUT, *PACKAGES])}, cwd=tmp_path) == "Good"
    )


async def test_it_is_found_in_an_archive(bare: str, tmp_path: Path):
    """The notifier packed as a zipapp starts its child from the same archive; it is nowhere else to be found."""
    archive = tmp_path / "notifier.pyz"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("__main__.py", READS)
        for file in SOURCES:
            packed.write(file, file.relative_to(CHECKOUT))

    assert await said([bare, archive.name], {"PYTHONPATH": os.pathsep.join(PACKAGES)}, cwd=tmp_path) == "Good"


async def test_a_file_where_the_notifier_runs_is_not_imported(tmp_path: Path):
    """The working directory is the operator's home: a `json.py` there is not imported."""
    for name in ("json", "msgspec", "feedparser", "notifier"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")

    assert await said([sys.executable, "-P", "-c", READS], {"PYTHONPATH": CHECKOUT}, cwd=tmp_path) == "Good"


async def test_what_the_child_says_in_its_last_words_is_heard(capfd: pytest.CaptureFixture[str]):
    """A bug in the parser stays loud: its traceback is on our stderr, and the document is a parse-error."""
    broken = feed(timezone="Nowhere/Land")  # settings refuse such a zone
    async with a_parser() as parser:
        with pytest.raises(Refused) as caught:
            await parser.parse(document(rss(item(date="Mon, 29 Jun 2020 21:00:00"))), broken)

        assert caught.value.outcome == "parse-error"
        assert str(caught.value) == "the parser crashed on it; its traceback is on stderr"
        assert await title(parser) == "Good"
    assert "Nowhere/Land" in capfd.readouterr().err


# ---------------------------------------------------------------- side by side


@pytest.mark.slow
async def test_a_document_without_end_holds_up_no_other():
    """While one child is kept busy, documents of other feeds are read by the second, and only then is it given up."""
    parsers = Parsers()
    try:
        endless = asyncio.create_task(parsers.parse(document(ENDLESS), FEED))
        await asyncio.sleep(0)
        titles = [(await parsers.parse(document(GOOD), FEED)).entries[0].title for _ in range(3)]
        still_busy = not endless.done()
        with pytest.raises(Refused, match="too much CPU time"):
            await endless
    finally:
        await parsers.close()

    assert titles == ["Good"] * 3
    assert still_busy


async def test_one_child_does_the_work_while_that_is_enough():
    """Documents that come one after another are read by the same child."""
    parsers = Parsers()
    try:
        for _ in range(3):
            await parsers.parse(document(GOOD), FEED)
        started = [parser for parser in parsers._parsers if parser._child is not None]
    finally:
        await parsers.close()

    assert len(started) == 1
