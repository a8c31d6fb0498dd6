"""Is what comes back read once, marked only when it is recorded, and never lost?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from notifier.channels.mail.bounce_mailbox import ImapInbox, MaildirInbox
from notifier.channels.mail.bounce_reports import BYTES
from notifier.errors import TryLater
from tests.channels.mailserver import PASSWORD, USER, ImapPeer
from tests.channels.peers import closed_port, server_tls, trusting_tls
from tests.channels.returned import postfix, vacation

HOST = "127.0.0.1"


def maildir(path: Path, **mails: bytes) -> Path:
    """A Maildir with these new mails by name."""
    for name in ("new", "cur", "tmp"):
        (path / name).mkdir()
    for name, mail in mails.items():
        (path / "new" / name).write_bytes(mail)
    return path


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


# ---------------------------------------------------------------- Maildir


async def test_new_mails_are_read_and_stay_where_they_are(tmp_path: Path):
    """The oldest first, so many at a time; a report is one, another mail is none."""
    inbox = MaildirInbox(maildir(tmp_path, **{"2": vacation(), "1": postfix(), "3": postfix()}))

    taken = await inbox.take(2)

    assert [(each.key, each.report is not None) for each in taken] == [("1", True), ("2", False)]
    assert names(tmp_path / "new") == ["1", "2", "3"]


async def test_what_is_done_is_moved_to_what_was_seen(tmp_path: Path):
    """Whole, and nothing is deleted."""
    inbox = MaildirInbox(maildir(tmp_path, **{"1": postfix(), "2": vacation()}))
    await inbox.done(["1"])
    rest = await inbox.take(10)

    assert names(tmp_path / "cur") == ["1:2,S"]
    assert (tmp_path / "cur" / "1:2,S").read_bytes() == postfix()
    assert [each.key for each in rest] == ["2"]


async def test_a_mail_that_somebody_else_moved_is_no_trouble(tmp_path: Path):
    """A mail program may look into the same Maildir."""
    inbox = MaildirInbox(maildir(tmp_path, **{"1": postfix(), "2": postfix()}))
    (tmp_path / "new" / "1").rename(tmp_path / "cur" / "1:2,")

    await inbox.done(["1", "2"])

    assert names(tmp_path / "cur") == ["1:2,", "2:2,S"]


async def test_only_files_are_read(tmp_path: Path):
    """No directory, no pipe that would keep us waiting, no link to elsewhere."""
    inbox = MaildirInbox(maildir(tmp_path, last=postfix()))
    (tmp_path / "new" / "directory").mkdir()
    os.mkfifo(tmp_path / "new" / "a-pipe")
    (tmp_path / "new" / "a-link").symlink_to(tmp_path / "new" / "last")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "new" / "a-socket"))
        taken = await inbox.take(10)

    assert [each.key for each in taken] == ["last"]


async def test_a_large_mail_is_read_as_far_as_it_counts(tmp_path: Path):
    """A report is at its beginning."""
    inbox = MaildirInbox(maildir(tmp_path, big=postfix() + b"x" * 5 * BYTES))

    (taken,) = await inbox.take(1)

    assert taken.report is not None


async def test_a_maildir_that_is_not_there_is_told(tmp_path: Path):
    """With its path, and where it is set; it may come."""
    inbox = MaildirInbox(tmp_path / "none")

    for asked in (inbox.take(1), inbox.check()):
        with pytest.raises(TryLater, match=r"none cannot be read: No such file or directory; see \[bounces\]"):
            await asked


async def test_a_look_tells_how_many_wait(tmp_path: Path):
    """And changes nothing."""
    inbox = MaildirInbox(maildir(tmp_path, one=postfix()))

    assert await inbox.check() == f"{tmp_path} is read, 1 waiting there"
    assert names(tmp_path / "new") == ["one"]


# ---------------------------------------------------------------- IMAP


def at(peer: ImapPeer, **how: object) -> ImapInbox:
    return ImapInbox(HOST, peer.port, USER, PASSWORD, "INBOX", **({"tls": False} | how))


async def test_unseen_mails_are_read_and_stay_unseen():
    """So many at a time, by their numbers; until they are done, they are read again."""
    async with ImapPeer(postfix(), vacation(), postfix()) as peer:
        inbox = at(peer)
        taken = await inbox.take(2)
        again = await inbox.take(2)
        await inbox.done([])

    assert [(each.key, each.report is not None) for each in taken] == [("1", True), ("2", False)]
    assert [each.key for each in again] == ["1", "2"]
    assert peer.seen == set()


async def test_what_is_done_is_marked_as_seen():
    """In one command, and then the connection is left; the next look begins another."""
    async with ImapPeer(postfix(), vacation(), postfix()) as peer:
        inbox = at(peer)
        taken = await inbox.take(2)
        await inbox.done([each.key for each in taken])
        rest = await inbox.take(10)
        await inbox.done([])

    assert peer.seen == {1, 2}
    assert [each.key for each in rest] == ["3"]
    assert peer.connections == 2
    assert peer.said.count("LOGOUT") == 2


async def test_no_more_of_a_mail_comes_than_counts():
    """The server is asked for the beginning alone."""
    async with ImapPeer(postfix() + b"x" * 5 * BYTES) as peer:
        inbox = at(peer)
        (taken,) = await inbox.take(1)
        await inbox.done([])

    assert taken.report is not None


async def test_a_password_goes_over_tls():
    """To a server whose certificate holds."""
    async with ImapPeer(postfix(), tls=server_tls()) as peer:
        inbox = ImapInbox("localhost", peer.port, USER, PASSWORD, "INBOX", tls_context=trusting_tls())
        taken = await inbox.take(1)
        await inbox.done(["1"])

    assert len(taken) == 1
    assert peer.seen == {1}


async def test_a_server_that_nobody_vouches_for_gets_no_password():
    """The certificate does not hold: nothing is said."""
    async with ImapPeer(postfix(), tls=server_tls()) as peer:
        inbox = ImapInbox("localhost", peer.port, USER, PASSWORD, "INBOX")
        with pytest.raises(TryLater, match=r"the mailbox at localhost:\d+ cannot be read"):
            await inbox.take(1)

    assert peer.said == []


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"LOGIN": f"NO [AUTHENTICATIONFAILED] {USER} {PASSWORD}"}, "does not let us in"),
        ({"SELECT": "NO there is no such folder"}, "has no such folder"),
        ({"SEARCH": "BAD what?"}, "does not let us in"),
        ({"SEARCH": ""}, "broke off"),
        ({"FETCH": ""}, "broke off"),
        ({"FETCH": None}, "cannot be read"),
        ({"CAPABILITY": ""}, "broke off"),
    ],
    ids=["login", "folder", "a bad command", "gone while searching", "gone while reading", "silent", "gone at once"],
)
async def test_a_server_in_trouble_is_asked_later(answers: dict[str, str | None], told: str):
    """It is told in words of ours: its own may quote the login. The next round begins anew."""
    async with ImapPeer(postfix(), **answers) as peer:
        inbox = at(peer, seconds=0.3)
        with pytest.raises(TryLater, match=told) as raised:
            await inbox.take(1)
        peer.answers.clear()
        taken = await inbox.take(1)
        await inbox.done([])

    assert len(taken) == 1
    assert not [secret for secret in (USER, PASSWORD) if secret in str(raised.value)]


async def test_a_server_that_is_not_there_is_told():
    """With host and port."""
    inbox = ImapInbox(HOST, await closed_port(), USER, PASSWORD, "INBOX", tls=False)

    with pytest.raises(TryLater, match=rf"the mailbox at {HOST}:\d+ cannot be read: Connection refused"):
        await inbox.take(1)


async def test_a_look_into_the_folder_changes_nothing():
    """It is opened for reading, and nothing is fetched."""
    async with ImapPeer(postfix(), vacation()) as peer:
        told = await at(peer).check()

    assert told == f"{HOST}:{peer.port} lets us in, 2 waiting in INBOX"
    assert 'EXAMINE "INBOX"' in peer.said
    assert (peer.read, peer.seen) == ([], set())
