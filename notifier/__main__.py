"""`python -m notifier` is `notifier`."""

from notifier.cli.main import main

main()
