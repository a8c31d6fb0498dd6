"""The child that reads feeds, as a process: `python -m notifier.feeds.child_of_feeds`."""

from __future__ import annotations

from notifier.feeds import child
from notifier.feeds.reading import read

if __name__ == "__main__":
    child.main(read)
