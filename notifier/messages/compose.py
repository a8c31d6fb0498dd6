"""
What is owed → the message that is sent.

A message depends on the log and the subscriber's file alone, so that every attempt sends the same. A message that a
thousand subscribers get alike is rendered once, with marks in the few places that differ, which are filled for each.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from notifier.delivery.outbox import Owed, delivery_id
from notifier.eventlog.log import LogReader
from notifier.events.alerts import CONFIRM, AlertRaised, DigestRaised, NoticeRaised
from notifier.events.event import Recorded
from notifier.message import Message
from notifier.messages.alert_view import AlertView, Recipient
from notifier.messages.gather import digested, found, viewed
from notifier.messages.notice_view import NoticeView, notice_view
from notifier.messages.render import Renderer
from notifier.subscribers.subscriber import Contact, Subscriber

logger = logging.getLogger(__name__)

FOLDER, DIGEST = "alert", "digest"  # the templates of an alert, and of a digest
KEPT = 256  # wordings that are held for those who are told the same
FRESH = 30.0  # seconds that one is: a changed template is taken up after that, also for news that is under way
MAIL = "email"  # the kind of channel whose messages bear links of their own

# What stands where a subscriber's own values go. It is random, so that no text from outside can hold it, and of letters
# and digits alone, so that every form writes it as it is.
_NONCE = secrets.token_hex(12)
NAME, UNSUBSCRIBE = f"mark{_NONCE}name", f"mark{_NONCE}link"
VARIABLES = {"subscriber": NAME, "unsubscribe": UNSUBSCRIBE}


class MessageLinks(Protocol):
    """Makes the links of a message for its one recipient."""

    def unsubscribe(self, subscriber: str, channel: str, to: str) -> str:
        """An https URL at which the reader unsubscribes from this channel."""
        ...

    def confirm(self, subscriber: str, channel: str, to: str) -> str:
        """An https URL at which the reader confirms that they want alerts on this channel."""
        ...

    def bounce(self, alert: str, channel: str, to: str) -> str:
        """A token of letters and digits by which a bounce is recognised."""
        ...


class _RenderedForms(msgspec.Struct, frozen=True):
    """Rendered forms, which of them have marks, and until when they may be used (seconds of the loop)."""

    parts: Mapping[str, str]
    marked: tuple[str, ...]
    until: float


class Messages:
    """Makes messages of what is owed. `links` is None where nothing of ours is reached from outside."""

    def __init__(
        self,
        log: LogReader,
        renderer: Renderer,
        links: MessageLinks | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._ticks = ticks
        self._renderer = renderer
        self._links = links
        self._words: OrderedDict[object, _RenderedForms] = OrderedDict()
        self._faults: dict[tuple[str, str], str] = {}  # of operators' templates, by folder and form

    async def of(self, owed: Owed, who: Subscriber, way: Contact, forms: tuple[str, ...]) -> Message:
        """
        The words of a delivery: the same at every attempt.

        Raises `Misconfigured` where the built-in template is at fault too, and `LookupError` where the log lacks what
        it names.
        """
        event = owed.event
        first = await self._first(event.follows) if isinstance(event, AlertRaised) and event.follows else None
        link = bounce = ""
        if self._links is not None and way.kind == MAIL:
            to = way.address.reveal()
            link = self._links.unsubscribe(who.id, way.name, to)
            bounce = self._links.bounce(owed.alert_id, way.name, to)
        words = await self._worded(owed, who, way, forms, first, link)
        return Message(
            id=delivery_id(owed.alert_id, owed.channel),
            parts=words.parts,
            fills=self._fills(who, link, words.marked) if words.marked else {},
            written_at=owed.raised_at,
            # On a channel that was added since, there is no first message to follow.
            follows=delivery_id(first.id, owed.channel) if first and _went_alone(first, owed.channel) else "",
            unsubscribe=link,
            bounce=bounce,
        )

    def _fills(self, who: Subscriber, link: str, forms: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """What stands in place of the marks, by form."""
        fills = {NAME: _shown(who.name), UNSUBSCRIBE: link} if link else {NAME: _shown(who.name)}
        if all(map(self._renderer.is_plain, fills.values())):
            return dict.fromkeys(forms, fills)
        return {form: {mark: self._renderer.safe(form, fill) for mark, fill in fills.items()} for form in forms}

    async def _first(self, follows: str) -> AlertRaised | None:
        event = (await found(self._log, follows)).event
        return event if isinstance(event, AlertRaised) else None

    async def _worded(
        self,
        owed: Owed,
        who: Subscriber,
        way: Contact,
        forms: tuple[str, ...],
        first: AlertRaised | None,
        link: str,
    ) -> _RenderedForms:
        event = owed.event
        if isinstance(event, NoticeRaised):
            return self._rendered(event.notice, forms, self._notice(event, who, way, link))
        if isinstance(event, DigestRaised):
            reader = Recipient(who.name, who.timezone, link)
            return self._rendered(DIGEST, forms, await digested(self._log, _recorded(owed), reader))
        key = (_told(event, first), who.timezone, forms, bool(link))
        kept = self._words.get(key)
        if kept is not None and kept.until >= self._ticks():
            return kept
        if not all(self._renderer.writes_as_is(FOLDER, form, VARIABLES) for form in forms):
            reader = Recipient(who.name, who.timezone, link)
            return self._rendered(FOLDER, forms, await self._alert(owed, reader))
        reader = Recipient(NAME, who.timezone, UNSUBSCRIBE if link else "")
        self._words[key] = self._rendered(FOLDER, forms, await self._alert(owed, reader))
        if len(self._words) > KEPT:
            self._words.popitem(last=False)
        return self._words[key]

    async def _alert(self, owed: Owed, reader: Recipient) -> AlertView:
        view, _ = await viewed(self._log, _recorded(owed), reader)
        return view

    def _notice(self, raised: NoticeRaised, who: Subscriber, way: Contact, link: str) -> NoticeView:
        confirm = ""
        if raised.notice == CONFIRM and self._links is not None:
            confirm = self._links.confirm(who.id, raised.about, way.address.reveal())
        return notice_view(raised, subscriber=who.name, confirm=confirm, unsubscribe=link)

    def _rendered(self, folder: str, forms: Sequence[str], view: msgspec.Struct) -> _RenderedForms:
        parts, faults = self._renderer.render_all_the_same(folder, forms, view)
        for form in forms:
            fault = str(faults[form]) if form in faults else ""
            # Told when it first comes up, and not with each of a thousand messages.
            if fault and fault != self._faults.get((folder, form)):
                logger.error("the built-in template is used until this is mended: %s", fault)
            self._faults[folder, form] = fault
        marked = tuple(form for form, text in parts.items() if _NONCE in text)
        return _RenderedForms(parts, marked, self._ticks() + FRESH)


def _went_alone(first: AlertRaised, channel: str) -> bool:
    """Did this alert go on this channel under its own name? What was held went in a digest."""
    return channel in first.channels and not first.waits_for


@functools.lru_cache(65_536)
def _shown(name: str) -> str:
    return Recipient(name).shown


def _recorded(owed: Owed) -> Recorded:
    return Recorded(owed.position, owed.alert_id, owed.raised_at, owed.event)


def _told(raised: AlertRaised, first: AlertRaised | None) -> object:
    """What alerts have in common that read the same but for the marks."""
    return (raised.cause, raised.also, first.cause if first else "", raised.matches)
