"""
The child that reads the pages of statements, as a process: `python -m notifier.feeds.reading.child_of_pages`.

Apart from that of feeds, since what it loads takes most of a second and 45 MB, and a slow page holds up no poll.
"""

from __future__ import annotations

from notifier.feeds.reading import child
from notifier.feeds.reading.article import read

if __name__ == "__main__":
    child.main(read)
