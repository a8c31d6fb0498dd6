"""The child that reads feeds, as a process: `python -m notifier.feeds.reading.child_of_feeds`."""

from __future__ import annotations

from notifier.feeds.reading import child
from notifier.feeds.reading.document import read

if __name__ == "__main__":
    child.main(read)
