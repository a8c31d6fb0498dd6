"""How many examples a property test tries: few in an ordinary run and always the same, many by chance where CI asks."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

MANY = bool(os.environ.get("NOTIFIER_LONG"))

# Whether an example took long says something of the machine, and nothing of what is tested. In an ordinary run whatever
# fails fails each time, and so by a change that was made; what nobody thought of is found by the long run.
PROFILE = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not MANY,
    max_examples=1_000 if MANY else 100,
)


def examples(few: int, many: int = 0) -> settings:
    """So many examples in an ordinary run; in CI's long run `many`, or ten times as many."""
    return settings(PROFILE, max_examples=(many or 10 * few) if MANY else few)
