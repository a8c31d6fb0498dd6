"""
Events as bytes, and bytes as events: the exact CloudEvents 1.0 JSON that the log keeps.

Stored bytes are never rewritten. A changed event gets a new version in its type's name and a function here that
converts the old data, so old rows stay readable for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar, Union

import msgspec

from notifier.errors import LogError, TooLarge
from notifier.events import alerts, channels, deliveries, feeds, statements, subscriptions
from notifier.events.event import Event, Recorded

EVENT_BYTES = 65_535

E = TypeVar("E")


class _Cloud(msgspec.Struct, omit_defaults=True):
    """A CloudEvent, written. `position` is an extension attribute, for those who read the log from outside."""

    specversion: str = msgspec.field(default_factory=lambda: "1.0")
    id: str = ""
    source: str = ""
    type: str = ""
    subject: str = ""
    time: datetime | None = None
    datacontenttype: str = ""
    position: int = 0
    data: Event | None = None


class _Stored(msgspec.Struct, Generic[E], gc=False):
    """A CloudEvent, read: what we need of it."""

    id: str
    time: datetime
    data: E


TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for noun in (feeds, statements, alerts, deliveries, channels, subscriptions)
    for cls in vars(noun).values()
    if isinstance(cls, type) and issubclass(cls, Event) and cls.type
}
"""Every type of event by its name in the log."""

# From an old type's name to the new name and the function that lifts its data; empty until a type first changes.
UPCASTS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}

_encoder = msgspec.json.Encoder()
_decoders = {name: msgspec.json.Decoder(_Stored[cls]) for name, cls in TYPES.items()}  # type: ignore[valid-type]
_untyped = msgspec.json.Decoder(_Stored[dict[str, Any]])


# The same, with the type read from the event itself: for many events at once, of whatever types.
_any: Any = Union[  # noqa: UP007 made of what the table holds
    tuple(
        msgspec.defstruct(
            cls.__name__, [("id", str), ("time", datetime), ("data", cls)], tag_field="type", tag=name, gc=False
        )
        for name, cls in TYPES.items()
    )
]
_tagged = msgspec.json.Decoder(list[_any])
_positions = msgspec.json.Decoder(list[int])


def encode(event: Event, recorded_at: datetime, position: int = 0, id: str = "") -> bytes:
    """
    The event as one line of CloudEvents 1.0 JSON. Equal events recorded at equal times give equal bytes.

    Raises `TooLarge` over 65,535 bytes, and `LogError` for text that is not Unicode (a lone surrogate).
    """
    cloud = _Cloud(
        id=id or event.id,
        source="/notifier",
        type=event.type,
        subject=event.subject,
        time=recorded_at,
        datacontenttype="application/json",
        position=position,
        data=event,
    )
    try:
        data = _encoder.encode(cloud)
    except UnicodeEncodeError as error:
        raise LogError(f"{event.type}: text with half a surrogate pair cannot be stored; clean it first") from error
    if len(data) > EVENT_BYTES:
        raise TooLarge(f"{event.type} has {len(data):,} bytes and may have {EVENT_BYTES:,}; store its text as a blob")
    return data


def decode(position: int, type: str, data: bytes) -> Recorded:
    """
    The event at a position, lifted to its newest version.

    Raises `LogError` for a type that we do not know, and for bytes that are not what `encode` wrote.
    """
    try:
        if decoder := _decoders.get(type):
            stored = decoder.decode(data)
            return Recorded(position, stored.id, stored.time, stored.data)
        if type in UPCASTS:
            old = _untyped.decode(data)
            return Recorded(position, old.id, old.time, _lifted(type, old.data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LogError(f"the log's event {position} ({type}) is damaged: {error}") from error
    raise LogError(f"the log's event {position} is of type {type}, which a newer notifier wrote; update this one")


def decode_many(positions: bytes, data: bytes) -> list[Recorded] | None:
    """
    The events of two JSON arrays, one of positions and one of events, in a single pass; a seventh faster than one by
    one. None where one of them has an older or newer version, or is damaged: `decode` each, to lift it or to name it.
    """
    try:
        at, stored = _positions.decode(positions), _tagged.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if len(at) != len(stored):
        return None
    return [Recorded(position, each.id, each.time, each.data) for position, each in zip(at, stored, strict=True)]


def _lifted(type: str, data: dict[str, Any]) -> Event:
    while type in UPCASTS:
        type, lift = UPCASTS[type]
        data = lift(data)
    return msgspec.convert(data, TYPES[type])


def same_words(one: bytes, other: bytes) -> bool:
    """Are these the same event, whenever we saw and recorded it?"""
    return one == other or _timeless(one) == _timeless(other)


def _timeless(data: bytes) -> dict[str, Any]:
    """An event without what our own clock said, which another try, or another machine, would have read otherwise."""
    event: dict[str, Any] = msgspec.json.decode(data)
    del event["time"]
    event["data"].pop("seen_at", None)
    return event
