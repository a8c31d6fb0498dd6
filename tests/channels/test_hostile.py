"""
Five hundred hostile titles through every channel to a real peer, and what arrives read by a strict parser.

A title is whatever a publisher, or whoever broke into his feed, cares to write. It must arrive as the text that it is,
and nothing else with it: no header, tag, link, mention, key, escape sequence (promise P8). F38 is among them.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import functools
import html
import io
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import lxml.html

from notifier.channels.apprise import AppriseChannel
from notifier.channels.atom import ATOM, AtomChannel
from notifier.channels.channel import Channel
from notifier.channels.console import ConsoleChannel
from notifier.channels.discord import DiscordChannel
from notifier.channels.mail.channel import EmailChannel
from notifier.channels.mail.relay import Relay
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.events.alerts import WatchlistMatched
from notifier.message import Message
from notifier.messages.alert_view import AlertView
from notifier.messages.render import Renderer, clip, without_signs
from tests.channels import card_rules, discord_rules, slack_rules
from tests.channels.messages import WRITTEN_AT
from tests.channels.peers import MailPeer, WebPeer, response
from tests.channels.receiver import LOOPBACK
from tests.messages.builders import TEMPLATES, statement, view

NUMBER = 500
LINK = "https://commerce.example/2020/06/status"
RENDERER = Renderer([TEMPLATES])
WORDS = {"h1", "p", "blockquote", "mark", "a", "b"}
ATTRIBUTES = {"class", "style", "dir", "lang", "href", "role", "width", "cellpadding", "cellspacing", "align"}
ATTRIBUTES |= {"charset", "name", "content"}

# Each has once broken something, somewhere.
PIECES = [
    "\r\nBcc: x@y.example",
    "\nSubject: another\n\n<p>body",
    "=?utf-8?q?a=0d=0aBcc:_e@z.example?=",
    "=?utf-8?B?DQpCY2M6IGVAei5leGFtcGxl?=",
    ".\r\n.\r\nQUIT\r\n",
    "\r\n.\r\n",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--", "-->", "]]>", "<![CDATA[", "</blockquote></td></table>", "</title></head>",
    "<style>*{display:none}</style>",
    '<a href="javascript:alert(1)">here</a>', "javascript:alert(1)", "&lt;b&gt;", "&#60;i&#62;", "&nbsp", "&amp;amp;",
    "<!channel>", "<!here|here>", "<@U123>", "<#C024BE91L>", "<!subteam^S1|all>", "<https://evil.example|Bank>",
    "<!date^1392734382^{date}|x>", "*bold*", "_it_", "~gone~", "`code`", "```\nblock\n```", ":smile:", "> quoted",
    ">>> all",
    "@everyone", "@here", "<@&123>", "<@!456>", "<t:1618953630:R>", "</cmd:1>", "<id:guide>", "<:e:1>", "||spoiler||",
    "# Head", "\n# Head", "-# small", "\n- item", "\n1. one", "[text](https://evil.example)",
    "![i](https://evil.example/i)",
    "https://evil.example/x?y=1&z=2", "discord.gg/evil", "**", "***", "~~", "__", "\\", "\\\\*", "\\<",
    "<at>Desk</at>",
    "[link]: https://evil.example", "| a | b |", "{{ 7 * 7 }}", "{% raw %}", "{% include 'alert/body.txt' %}",
    "${HOME}",
    "%(title)s", "%s%n", "{0.__class__}", "{{DATE()}}", "${$root}",
    '"}], "text": "taken over', '\\"', "\\u0000", "\\n", '{"type":"mention"}', "',",
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x9b2J",
    "\x07", "\x08\x08",
    "\x00", "\x7f", "\x0b\x0c", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "\ufffd",
    "\u202egnirts\u202c", "\u2066a\u2069", "\u200f", "\u200b", "\u00ad", "\u034f", "\ud800", "\udfff", "\ud83d",
    "[-forged-]", "{+forged+}", "香港特殊待遇", "“dual‑use”", "ÄÖÜß", "🚢", "👩\u200d👩\u200d👧\u200d👦", "🇭🇰",
    "e\u0301\u0301\u0301",
    "مرحبا", "שלום", "ﷺ", "\U0010ffff", "=cmd|'/c calc'!A0", "+1+1", "@SUM(1)",
    "long " * 60, "x" * 400, "香" * 200, "\t\t",
]  # fmt: skip


@functools.cache
def titles() -> tuple[str, ...]:
    """Each piece by itself, between words, and with others; the same in every run."""
    chance = random.Random(20_200_629)  # noqa: S311 not for secrets
    made = [*PIECES, *(f"Hong Kong {piece} is told" for piece in PIECES)]
    while len(made) < NUMBER:
        pieces = chance.choices(PIECES, k=chance.randint(2, 6))
        letters = (chr(chance.randrange(0x3000)) for _ in range(chance.randint(0, 8)))
        made.append(chance.choice(["", " ", "\n"]).join([*pieces, *letters]))
    return tuple(made[:NUMBER])


def views() -> Iterator[AlertView]:
    """An alert on a statement of each title, in which it is also what was said, who said it and which words hit."""
    for title in titles():
        matches = (WatchlistMatched(watchlist="Exports", query='"Hong Kong"', words=(title[:60],)),)
        said = statement(title, f"It is said: {title} was said.", issuer=title, link=LINK)
        yield view(said, hits=r"\w{3,}", matches=matches)


def rendered(forms: tuple[str, ...], seen: AlertView, number: int) -> Message:
    return Message(id=f"{number:032x}", parts=RENDERER.render("alert", forms, seen), written_at=WRITTEN_AT)


async def sent(channel: Channel, address: str) -> list[AlertView]:
    """All alerts, handed over on this channel."""
    seen = list(views())
    try:
        for number, each in enumerate(seen):
            await channel.send(rendered(channel.forms, each, number), address)
    finally:
        await channel.close()
    return seen


@contextlib.asynccontextmanager
async def posted(answer: str) -> AsyncIterator[tuple[WebPeer, str]]:
    async with WebPeer(answer) as peer:
        yield peer, f"http://127.0.0.1:{peer.port}/services/T0000/B0000/verysecretZq4T"


def one_line(text: str) -> str:
    return " ".join(text.split())


def nothing_acts_in(page: str, tags: set[str]) -> lxml.html.HtmlElement:
    """The page as a browser reads it, once it is sure that there is nothing in it but these tags and our one link."""
    root = lxml.html.fromstring(page)
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    assert not [node for node in root.iter() if not isinstance(node.tag, str)], "a comment or an instruction"
    assert {element.tag for element in elements} <= tags
    names = {name for element in elements for name in element.attrib}
    assert names <= ATTRIBUTES
    assert {element.get("href") for element in elements if element.get("href") is not None} == {LINK}
    assert not [element for element in elements if "url(" in (element.get("style") or "")]
    return root


async def test_in_a_mail_a_title_is_a_subject_and_words() -> None:
    """The names of the header lines in the bytes are those of a harmless mail, and there are two parts, as ever."""
    tags = {"html", "head", "meta", "title", "style", "body", "div", "table", "tbody", "tr", "td"} | WORDS
    async with MailPeer() as peer:
        relay = Relay(host="127.0.0.1", port=peer.port, tls="none", sender="Alerts <alerts@house.example>")
        seen = await sent(EmailChannel(relay), "desk@bank.example")

        harmless = EmailChannel(relay)
        await harmless.send(rendered(harmless.forms, view(), 0), "desk@bank.example")
        await harmless.close()

    assert len(peer.taken) == NUMBER + 1
    (expected, *_), *mails = ([_header_names(data), data] for _, data in (peer.taken[-1], *peer.taken[:-1]))
    for (names, data), each in zip(mails, seen, strict=True):
        assert names == expected
        mail = email.message_from_bytes(data, policy=email.policy.compat32)
        subject = str(make_header(decode_header(mail["Subject"])))
        wanted = RENDERER.render("alert", ("subject.txt",), each)["subject.txt"].strip()
        assert one_line(subject) == one_line(wanted[:200])
        plain, page = mail.get_payload()
        assert not set("\x00\x07\x1b\x9b\u202e\r") & set(_decoded(plain).replace("\r\n", "\n"))
        root = nothing_acts_in(_decoded(page), tags)
        assert one_line(root.xpath("string(//h1)")) == one_line(each.title)


def _header_names(data: bytes) -> list[str]:
    """As they stand in the bytes, before any parser has had its way with them."""
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")
    return [line.partition(":")[0] for line in head.split("\r\n") if line[:1] not in {" ", "\t"}]


def _decoded(part: Any) -> str:
    return str(part.get_payload(decode=True).decode("utf-8"))


async def test_in_slack_a_title_is_plain_text() -> None:
    """F38: within every limit, known blocks alone, three letters escaped, and the header says what the title says."""
    async with posted(response(200, "ok")) as (peer, address):
        seen = await sent(SlackChannel(allowed=LOOPBACK), address)

    assert len(peer.requests) == NUMBER
    for (_, _, body), each in zip(peer.requests, seen, strict=True):
        payload = json.loads(body)
        assert slack_rules.faults(payload) == []
        assert payload["blocks"][0]["text"]["text"] == clip(each.title, 150)
        assert one_line(html.unescape(payload["text"])).startswith(one_line(each.title))


async def test_in_teams_a_title_is_a_run_of_text() -> None:
    """Runs, which read no Markdown, and one link; the first block says what the title says."""
    async with posted(response(202)) as (peer, address):
        seen = await sent(TeamsChannel(allowed=LOOPBACK), address)

    assert len(peer.requests) == NUMBER
    for (_, _, body), each in zip(peer.requests, seen, strict=True):
        message = json.loads(body)
        assert card_rules.faults(message) == []
        card = message["attachments"][0]["content"]
        assert card_rules.words(card["body"][0]) == each.title
        assert [action["url"] for action in card["actions"]] == [LINK]


async def test_in_discord_a_title_is_escaped() -> None:
    """No sign acts but ours, nobody is mentioned, and what a reader sees is what the title says."""
    async with posted(response(200, "{}")) as (peer, address):
        seen = await sent(DiscordChannel(allowed=LOOPBACK), address)

    assert len(peer.requests) == NUMBER
    for (_, _, body), each in zip(peer.requests, seen, strict=True):
        payload = json.loads(body)
        assert discord_rules.faults(payload) == []
        (embed,) = payload["embeds"]
        shown, wanted = discord_rules.read(embed["title"])[0], clip(each.title, 200)
        assert shown == wanted or (shown.endswith("…") and wanted.startswith(shown[:-1]))
        assert embed["url"] == LINK


async def test_in_an_event_a_title_is_one_value() -> None:
    """The keys are those of the form, and the title is the title."""
    async with posted(response(204)) as (peer, address):
        seen = await sent(WebhookChannel(allowed=LOOPBACK), f"{address} whsec_{'c2VjcmV0' * 4}")

    assert len(peer.requests) == NUMBER
    for (_, _, body), each in zip(peer.requests, seen, strict=True):
        event = json.loads(body)
        assert set(event) == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
        assert event["data"]["title"] == each.title
        assert event["data"]["link"] == LINK
        assert not set(range(32)) & set(body)


async def test_in_a_feed_a_title_is_the_text_of_an_element(tmp_path: Path) -> None:
    """Well-formed XML of the elements that an entry has; its words have no tags but ours."""
    channel, seen = AtomChannel(tmp_path), list(views())
    for number, each in enumerate(seen):
        # Twenty to a file, so that all are kept.
        await channel.send(rendered(channel.forms, each, number), f"feed-{number // 20}.xml")

    entries = [entry for number in range(NUMBER // 20) for entry in _entries(tmp_path / f"feed-{number}.xml")]
    assert len(entries) == NUMBER
    for entry, each in zip(entries, seen, strict=True):
        names = [child.tag.removeprefix(f"{{{ATOM}}}") for child in entry]
        author = ["author"] if each.issuer else []  # where nothing is left of him, the feed's own speaks
        assert names == ["id", "title", "published", "updated", *author, "link", "category", "content"]
        assert not [child for child in entry if len(child) and not child.tag.endswith("author")]
        assert _text(entry, "title") == re.sub("[\ufffe\uffff]", "\ufffd", each.title)
        assert entry.findall(f"{{{ATOM}}}link")[0].attrib == {"rel": "alternate", "href": LINK}
        nothing_acts_in(f"<div>{_text(entry, 'content')}</div>", {"div", "strong", "small"} | WORDS)


def _entries(path: Path) -> list[ElementTree.Element]:
    """Oldest first."""
    root = ElementTree.fromstring(path.read_bytes())  # noqa: S314 our own file, and it must parse
    assert {child.tag for child in root} == {
        f"{{{ATOM}}}{name}" for name in ("id", "title", "updated", "author", "generator", "entry")
    }
    return root.findall(f"{{{ATOM}}}entry")[::-1]


def _text(entry: ElementTree.Element, name: str) -> str:
    return entry.findtext(f"{{{ATOM}}}{name}") or ""


async def test_on_a_terminal_a_title_moves_nothing() -> None:
    """No escape sequence, no colour and no other order of reading, on a terminal that would obey each of them."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for number, each in enumerate(views()):
        terminal = Terminal()
        channel = ConsoleChannel(terminal)
        await channel.send(rendered(channel.forms, each, number), "stdout")

        shown = terminal.getvalue()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        assert shown.split("\n")[0] == without_signs(clip(each.title, 200)).rstrip()


async def test_through_apprise_a_title_is_what_we_gave_it() -> None:
    """Nothing in it is a template, an escape or an emoji to the library; fifty of them tell."""
    async with WebPeer(response(200)) as peer:
        channel = AppriseChannel()
        seen = list(views())[:: NUMBER // 50]
        for number, each in enumerate(seen):
            await channel.send(rendered(channel.forms, each, number), f"json://127.0.0.1:{peer.port}/verysecret")
        await channel.close()

    assert len(peer.requests) == len(seen)
    for (_, _, body), each in zip(peer.requests, seen, strict=True):
        told, given = json.loads(body), RENDERER.render("alert", ("subject.txt", "body.txt"), each)
        assert one_line(told["title"]) == one_line(given["subject.txt"])[: len(one_line(told["title"]))]
        assert told["message"] == given["body.txt"].strip()
