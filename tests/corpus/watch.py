"""
Put into a folder as `sitecustomize.py`, this makes every Python that looks there write down what it opens and connects.

Each line of the file `heard` beside it is one event in JSON: the process, the name, and what it was done to.
"""

import json
import os
import sys

_HEARD = os.open(os.path.join(os.path.dirname(__file__), "heard"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)  # noqa: PTH118, PTH120 it runs before all else
_WATCHED = {
    "open": 0,
    "os.exec": 0,
    "os.posix_spawn": 0,
    "os.remove": 0,
    "os.rename": 0,
    "os.system": 0,
    "socket.connect": 1,
    "socket.getaddrinfo": 0,
    "socket.sendto": 1,
    "subprocess.Popen": 0,
    "urllib.Request": 0,
}


def _write_down(event: str, arguments: tuple[object, ...]) -> None:
    place = _WATCHED.get(event)
    # A number is a file that is open already: pipes, mostly.
    if place is not None and not isinstance(arguments[place], int):
        os.write(_HEARD, json.dumps([os.getpid(), event, arguments[place]], default=os.fsdecode).encode() + b"\n")


sys.addaudithook(_write_down)
