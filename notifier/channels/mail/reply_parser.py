"""
The bytes of a mail server as whole replies (RFC 5321, 4.2.1).
"""

from __future__ import annotations

from notifier.channels.mail.replies import Reply

LIMIT = 64 * 1024  # bytes of a reply; a server that says more has nothing to say

# A reply's code, and its lines as they came. Most are only counted, so they are not read further until asked for.
Answer = tuple[int, list[bytes]]

_MARKS = {b" ", b"-", b"", b"\r"}  # what may follow the code; a hyphen where another line does


class Answers:
    """Puts replies together from the pieces that the network makes of them."""

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a line
        self._lines: list[bytes] = []  # of a reply that is not whole

    def read(self, piece: bytes) -> tuple[list[Answer], bool]:
        """The replies that are whole with this piece; and whether all that came was replies, and none without end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found: list[Answer] = []
        for line in lines:
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or mark not in _MARKS:
                return found, False
            self._lines.append(line)
            if mark != b"-":
                found.append((int(code), self._lines))
                self._lines = []
        return found, len(self._rest) + sum(map(len, self._lines)) <= LIMIT


def whole(lines: list[bytes]) -> Reply:
    """The reply in these lines. Each of them repeats the code, and the enhanced code if there is one."""
    texts = [line[4:].decode("utf-8", "replace").strip() for line in lines]
    if len(texts) > 1 and texts[0][:1].isdigit():
        status = texts[0].partition(" ")[0]
        texts[1:] = [text.removeprefix(status).strip() for text in texts[1:]]
    return Reply(int(lines[0][:3]), " ".join(text for text in texts if text))
