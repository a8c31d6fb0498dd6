"""
Have the subscribers' files changed since we last looked?
"""

from __future__ import annotations

from pathlib import Path

from notifier.home.subscriber_files import stamp


class FilesWatch:
    """
    Watches the folder of subscribers' files, and the folder of packs beside it, from when it is made.

    A change in which a file is gone counts at the second look: some editors take a file away for a moment to put the
    new one in its place, and what is owed to its subscriber must not end by that.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = self._without = stamp(folder)

    def has_changed(self) -> bool:
        """True once for each change. Ask before the files are read: what is written meanwhile is another change."""
        now = stamp(self._folder)
        if now == self._stamp:
            return False
        is_gone = {file[0] for file in self._stamp} - {file[0] for file in now}
        if is_gone and now != self._without:
            self._without = now
            return False
        self._stamp = self._without = now
        return True
