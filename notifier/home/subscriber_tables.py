"""
The shape of a subscriber's file: its tables, their keys, and a sentence on each for whoever fills them in.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import msgspec

Frequency = Literal["immediately", "hourly", "daily", "weekly"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEK: tuple[str, ...] = get_args(Weekday)


def _text(description: str, *examples: str) -> msgspec.Meta:
    return msgspec.Meta(description=description, examples=list(examples), min_length=1)


class WatchlistTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[watchlist]]`: a named wish. Without `feeds` and `issuers` it holds for all that is polled."""

    name: Annotated[str, _text("What alerts call it", "Hong Kong exports")]
    query: Annotated[str, _text("What to look for", '"Hong Kong" AND ("dual-use" OR "export licence")')]
    feeds: Annotated[tuple[str, ...], msgspec.Meta(description="Ids of feeds; * stands for any letters")] = ()
    issuers: Annotated[tuple[str, ...], msgspec.Meta(description="The issuers that count, as the feeds name them")] = ()
    urgent: Annotated[
        bool, msgspec.Meta(description="Sent at once, whatever the frequency, the quiet hours, or how many there are")
    ] = False
    frequency: Annotated[
        Frequency | None, msgspec.Meta(description="When its alerts are sent; as the subscriber's, if left out")
    ] = None


class ChannelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    `[[channel]]`: one channel of the subscriber. Exactly one of the keys gives its kind, and its value is the address.
    """

    keys_are: ClassVar[str] = "channel"

    email: Annotated[str, _text("A mail address, bare", "desk@example.com")] = ""
    slack: Annotated[str, _text("An incoming webhook's URL; a secret", "${DESK_SLACK}")] = ""
    teams: Annotated[str, _text("A workflow's URL that accepts Adaptive Cards; a secret", "${DESK_TEAMS}")] = ""
    discord: Annotated[str, _text("A Discord webhook's URL; a secret", "${DESK_DISCORD}")] = ""
    webhook: Annotated[str, _text("A URL that accepts signed events; a secret", "${DESK_WEBHOOK}")] = ""
    atom: Annotated[str, _text("A feed file in the home's feeds/; {watchlist} for one each", "hong-kong.xml")] = ""
    apprise: Annotated[str, _text("An Apprise URL; a secret", "${DESK_APPRISE}")] = ""
    console: Annotated[str, _text("The terminal that the notifier runs in", "stdout")] = ""
    secrets: Annotated[
        tuple[str, ...], msgspec.Meta(description="Keys that sign a webhook's events: one, or the new and the old one")
    ] = ()
    name: Annotated[str, _text("What the log calls it; the kind, if there is one of that kind")] = ""


class SubscriberFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subscriber: name, timing, watchlists and channels."""

    watchlist: tuple[WatchlistTable, ...]
    channel: tuple[ChannelTable, ...]
    name: Annotated[str, _text("What people call the subscriber; the id, if left out", "Hong Kong desk")] = ""
    timezone: Annotated[str, _text("For times in alerts", "Asia/Hong_Kong")] = ""
    frequency: Annotated[
        Frequency, msgspec.Meta(description="When alerts are sent: one by one, or together in a digest")
    ] = "immediately"
    digest_at: Annotated[
        str, _text("When daily and weekly digests are sent, by the clock of the timezone", "08:00")
    ] = "08:00"
    digest_on: Annotated[Weekday, msgspec.Meta(description="The day of weekly digests")] = "monday"
    quiet_hours: Annotated[
        str, _text("Nothing is sent then that is not urgent; at their end all of it", "22:00-07:00")
    ] = ""
    empty_digests: Annotated[bool, msgspec.Meta(description="Send a digest also where nothing was held for it")] = False


# The keys of a channel that say what kind it is.
KINDS = ("email", "slack", "teams", "discord", "webhook", "atom", "apprise", "console")


def schema() -> str:
    """The shape as JSON Schema: with a `#:schema` line at the top, editors complete a file by it."""
    whole = msgspec.json.schema(SubscriberFile)
    return msgspec.json.format(msgspec.json.encode(whole, order="deterministic"), indent=2).decode() + "\n"
