"""
How long is one statement's journey, from a feed that shows it to a mail that a server has taken?

Everything is real: a feed served over HTTP, the service as it runs, an SMTP server in another process. The feed is
polled at its shortest interval; what is counted is the time beyond the poll itself, from the moment the server sent
the document with the statement to the moment the mail server answered 250.
"""

from __future__ import annotations
