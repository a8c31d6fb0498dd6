"""
Which earlier statements had the same news?

Governments publish the same thing several times: the bureau, its department and the gazette, each in its own feed. Two
statements have the same news if one is, for the most part, a copy of the other, and nothing in it speaks against that.

Precision comes first: notices follow forms, and two that differ in one word may differ in everything that matters. So
every name and number of the shorter statement must be in the longer one (and the other way round, if they are about
equally long); document numbers must not contradict each other; and a correction is never the thing corrected. Only then
do words count, as shares of runs of three (Broder 1997) at the beginning of a text, where copies agree: nearly all of
them, or fewer if the titles or an identifier are shared as well. Within one feed, only identical texts are the same
news.

Measured (tests/alerts/test_stories.py, tests/corpus/test_stories.py): of 68 written pairs that it was developed on, it
joins 25 of 28 with the same news and none of 40 others; of 24 written afterwards, 9 of 12 and none of 12. Of the
605,550 pairs of 1,101 real entries, each taken as another feed's, it joins 9, of which 8 are one text and one is a
docket line that was listed twice. Of real texts of 15 words and more, it recognises 99 % of their copies (cut off, or
with another beginning), and takes 0.6 % for a copy in which one name or number is replaced throughout. News that each
office words differently it misses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from notifier.alerts.features import Features, hash_word

WINDOW = timedelta(days=4)  # between two tellings of one story, by the times we saw them
KEPT = WINDOW + timedelta(days=1)  # a log that is read again begins a little further back than it had come
DAY = timedelta(hours=36)  # between the dates of what one day brought, in any zone
MOST = 5_000  # tellings that are kept, at most some 40 MB; beyond, the oldest are forgotten
KEYS = 8  # smallest hashes by which a telling is found again (MinHash); copies share at least one but for 1 in 100
LOOKED_AT = 50  # candidates that are compared, those with most keys first


class Stories:
    """
    The tellings of the last days. `add` folds one; folding it again changes nothing, and the order does not matter.
    """

    def __init__(self) -> None:
        self._tellings: dict[str, Features] = {}
        self._by_key: dict[int, list[str]] = {}
        self._newest: datetime | None = None

    def __len__(self) -> int:
        return len(self._tellings)

    def add(self, telling: Features) -> None:
        """Remember a telling, and forget those that are too old by now."""
        if telling.id in self._tellings:
            return
        self._tellings[telling.id] = telling
        for key in _keys(telling):
            self._by_key.setdefault(key, []).append(telling.id)
        self._newest = max(self._newest or telling.at, telling.at)
        # The first in are nearly always the oldest; one that is not stays a little longer.
        while len(self._tellings) > MOST or next(iter(self._tellings.values())).at < self._newest - KEPT:
            self._forget(next(iter(self._tellings.values())))

    def earlier(self, telling: Features) -> tuple[str, ...]:
        """
        The ids of the events before it that told its news, the first of them first: those that are like it, and those
        that are like them, all of its last days.
        """
        found: dict[str, Features] = {}
        reached = [telling]
        while reached:
            for like in self._like(reached.pop(), telling):
                if like.id not in found:
                    found[like.id] = like
                    reached.append(like)
        return tuple(each.id for each in sorted(found.values(), key=lambda each: each.position))

    def _like(self, telling: Features, last: Features) -> Iterator[Features]:
        """Tellings before the `last` one that tell what this one tells."""
        shared = Counter(id for key in _asked(telling) for id in self._by_key.get(key, ()))
        before = (each for id in shared if (each := self._tellings[id]).position < last.position)
        near = [each for each in before if abs(last.at - each.at) <= WINDOW and each.id != telling.id]
        near.sort(key=lambda each: (-shared[each.id], -each.position))
        return (each for each in islice(near, LOOKED_AT) if same_news(telling, each))

    def _forget(self, telling: Features) -> None:
        del self._tellings[telling.id]
        for key in _keys(telling):
            ids = self._by_key[key]
            ids.remove(telling.id)
            if not ids:
                del self._by_key[key]


# ---------------------------------------------------------------- a telling

# Numbers that one document alone has: two that differ are two documents.
_OWN = ("document", "docket", "rin", "notice", "bill")
_DOCUMENT = ("document", "notice", "instrument")


def same_news(one: Features, other: Features) -> bool:
    """Do these two tell the same news? As `one` to `other`, so the other way round."""
    if one.statement == other.statement:
        return True
    if one.feed == other.feed:
        return one.fingerprint == other.fingerprint and one.length >= 25
    if one.turns != other.turns or _at_odds(one, other) or _counted_otherwise(one, other):
        return False
    small, large = sorted((one, other), key=lambda each: (len(each.words), each.id))
    if _one_document(small, large):
        return True
    one_page = bool(one.link) and one.link == other.link
    if not (one_page or _within(one, other, WINDOW)) or not set(small.names) <= set(large.words):
        return False
    return _told_alike(small, large, named=one_page or bool(one.shown & other.shown))


def _one_document(small: Features, large: Features) -> bool:
    """Do both bear the number of one document, and one title?"""
    shared = any(kind in _DOCUMENT for kind, _ in small.shown & large.shown)
    titles = {word for each in (small, large) for word in set(each.title) & set(each.names)}
    return shared and _alike(small.title, large.title) >= 0.8 and titles <= set(small.words) & set(large.words)


def _told_alike(small: Features, large: Features, *, named: bool) -> bool:
    """Have they words enough in common? `named`: they share a page or an identifier."""
    lead, whole = sorted((set(small.lead), set(large.lead)), key=len)
    shared = len(lead & whole)
    copied = shared / len(lead) if len(lead) >= 6 else 0.0
    much_smaller = len(small.words) < 0.8 * len(large.words)
    # What was put before or behind a text breaks no run of three words, what was put into it does.
    extended = copied >= (0.9 if named else 1)
    names = set(large.names) & set(large.title) if extended else set(large.names)
    if not much_smaller and not names <= set(small.words):
        return False
    alike = _alike(small.title, large.title)
    headed = min(_share(small.title, large.words), _share(large.title, small.words))
    enough = shared >= 16 or len(small.title) >= 5
    if enough and ((copied >= 0.7 and headed >= 0.5) or (copied >= 0.5 and alike >= 0.6)):
        return much_smaller or named or not _of_one_form(small, large)
    if named and alike >= 0.6 and (copied >= 0.2 or len(lead) < 6):
        return True
    # The title alone, where it is long, or says all that the one has to say.
    long_title = len(small.title) >= (5 if len(lead) < 6 else 8) and alike >= 0.85
    return long_title and _within(small, large, DAY)


def _of_one_form(small: Features, large: Features) -> bool:
    """Do both texts have words that the other has not? So it is where a form was filled in twice."""
    return not set(small.texts) <= set(large.words) and not set(large.texts) <= set(small.words)


def _at_odds(one: Features, other: Features) -> bool:
    """Does each bear a number that only one document has, and not the same?"""
    for kind in _OWN:
        ours, theirs = ({name for of, name in each.shown if of == kind} for each in (one, other))
        if ours and theirs and not ours & theirs:
            return True
    return False


def _counted_otherwise(one: Features, other: Features) -> bool:
    """Are the numbers in their titles not the same in the same order, where 6/12 is not 12/6? One may have fewer."""
    few, many = sorted((one.figures, other.figures), key=len)
    rest = iter(many)
    return not all(figure in rest for figure in few)


def _within(one: Features, other: Features, span: timedelta) -> bool:
    """Do they bear dates so near each other, or one of them none?"""
    return one.dated is None or other.dated is None or abs(one.dated - other.dated) <= span


def _alike(one: Iterable[int], other: Iterable[int]) -> float:
    """The share of words that two titles have in common (Jaccard), from 0 to 1."""
    ours, theirs = set(one), set(other)
    return len(ours & theirs) / max(len(ours | theirs), 1)


def _share(some: Iterable[int], all: Iterable[int]) -> float:
    """The share of some words that stand among all; of none, all do."""
    ours = set(some)
    return len(ours & set(all)) / len(ours) if ours else 1.0


# ---------------------------------------------------------------- finding again


def _keys(telling: Features) -> set[int]:
    """The numbers under which a telling is kept."""
    return {*telling.lead[:KEYS], *telling.title[:KEYS], *_marks(telling)}


def _asked(telling: Features) -> set[int]:
    """The numbers under which what is like it may be kept."""
    return {*telling.lead, *telling.title, *_marks(telling)}


def _marks(telling: Features) -> Iterator[int]:
    yield hash_word(f"statement {telling.statement}")
    yield hash_word(f"words {telling.fingerprint}")
    if telling.link:
        yield hash_word(f"page {telling.link}")
    yield from (hash_word(f"{kind} {name}") for kind, name in telling.shown)


# ---------------------------------------------------------------- what words mean here
