"""A small IMAP server on loopback (RFC 3501): one user, one folder, and as much as our client asks."""

from __future__ import annotations

import asyncio
import re
import ssl

from tests.channels.peers import Peer

USER, PASSWORD = "bounces@house.example", 'pass"word\\0000'


class ImapPeer(Peer):
    """
    Holds `mails` by their numbers, from 1, and the numbers of those `seen`. `said` are the commands it was given, and
    `answers` what it says to one of them instead of doing it ("" for hanging up, None for silence).
    """

    def __init__(self, *mails: bytes, tls: ssl.SSLContext | None = None, **answers: str | None) -> None:
        super().__init__(self._talk, tls)
        self.mails = dict(enumerate(mails, 1))
        self.seen: set[int] = set()
        self.said: list[str] = []
        self.read: list[int] = []
        self.answers = answers

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            self.said.append(command)
            verb = command.upper().removeprefix("UID ").partition(" ")[0]
            if verb in self.answers:
                if (answer := self.answers[verb]) is None:
                    continue
                if not answer:
                    return
                writer.write(f"{tag} {answer}\r\n".encode())
                continue
            writer.write(self._answer(verb, command) + f"{tag} OK {verb} done\r\n".encode())
            if verb == "LOGOUT":
                return

    def _answer(self, verb: str, command: str) -> bytes:
        answer = b""
        match verb:
            case "CAPABILITY":
                answer = b"* CAPABILITY IMAP4rev1\r\n"
            case "LOGIN":
                # As it arrives: the name bare, the password quoted.
                assert command == "LOGIN " + USER + ' "pass\\"word\\\\0000"'
            case "SELECT" | "EXAMINE":
                answer = f"* {len(self.mails)} EXISTS\r\n".encode()
            case "SEARCH":
                unseen = " ".join(str(uid) for uid in self.mails if uid not in self.seen)
                answer = f"* SEARCH {unseen}".rstrip().encode() + b"\r\n"
            case "FETCH":
                asked = re.fullmatch(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", command)
                assert asked
                uid, most = int(asked[1]), int(asked[2])
                self.read.append(uid)
                mail = self.mails[uid][:most]
                answer = f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(mail)}}}\r\n".encode() + mail + b")\r\n"
            case "STORE":
                asked = re.fullmatch(r"UID STORE ([\d,]+) \+FLAGS\.SILENT \(\\Seen\)", command)
                assert asked
                self.seen |= {int(uid) for uid in asked[1].split(",")}
            case "LOGOUT":
                answer = b"* BYE\r\n"
            case _:
                raise AssertionError(command)
        return answer
