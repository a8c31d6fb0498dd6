"""
The child that reads the pages of statements, as a process: `python -m notifier.feeds.reading.child_of_pages`.

Separate from the child for feeds: its libraries take most of a second and 45 MB to import, and a slow page must not
delay a poll.
"""

from __future__ import annotations

from notifier.feeds.reading import child
from notifier.feeds.reading.article import read

if __name__ == "__main__":
    child.main(read)
