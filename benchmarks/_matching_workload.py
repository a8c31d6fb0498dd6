"""
Statements and watchlists to measure matching with, the same for each seed.

Statements are of 6 kB, about 855 words: Zipf-Mandelbrot over a dictionary of 60,000 words that nobody knows, and, to 16
in 100, of 300,000 policy phrases. Watchlists ask for those phrases, popular ones more often (Zipf, 0.8); one in ten has
a proximity, a wildcard, a field or an acronym. About one in twenty matches each statement.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from notifier.statement import Statement

WORDS, PHRASES, SAID = 60_000, 300_000, 855
POLICY = 0.16
# How a query joins its terms, and how many in a hundred do so.
FORMS = (
    (35, "{}"),
    (20, "{} AND {}"),
    (15, "{} OR {}"),
    (15, "{} AND ({} OR {})"),
    (10, "{} AND ({} OR {}) NOT {}"),
    (5, "({} OR {}) AND ({} OR {}) NOT {}"),
)
ACRONYMS = ("US", "IT", "WHO", "EAR", "SEC", "ICE", "UN")
_SYLLABLES = [a + b + c for a in "bdfgklmnprtvz" for b in "aeiou" for c in ("", "n", "r", "l", "m", "k")]


class Workload:
    """A seeded generator of all that is measured."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self.words = self._dictionary()
        ranks = np.arange(1, WORDS + 1)
        self._said = np.cumsum(1 / (ranks + 2.7) ** 1.05)
        self._popular = np.cumsum(1 / np.arange(1, PHRASES + 1) ** 0.8)
        self.phrases = self._make_phrases()
        self._names = frozenset(self._random.sample(self.words, WORDS // 8))
        self._stopped = True  # whether a sentence begins

    def _dictionary(self) -> list[str]:
        words: dict[str, None] = {}
        while len(words) < WORDS:
            # Common words are short.
            count = 2 + (len(words) > 800) + (self._random.random() < 0.3)
            words["".join(self._random.choices(_SYLLABLES, k=count))] = None
        return list(words)

    def _drawn(self, weights: npt.NDArray[np.float64], count: int) -> list[int]:
        found: list[int] = np.searchsorted(weights, self._numbers.random(count) * weights[-1]).tolist()
        return found

    def _make_phrases(self) -> list[str]:
        phrases: dict[str, None] = {"China": None}
        flat = np.cumsum(1 / (np.arange(1, WORDS + 1) + 200.0) ** 0.7)
        while len(phrases) < PHRASES:
            drawn = iter(self._drawn(flat, 100_000))
            single = iter(self._drawn(self._said, 25_000))
            for size in self._random.choices((1, 2, 3, 4), (30, 45, 20, 5), k=20_000):
                words = [self.words[next(drawn)] for _ in range(size)]
                if size > 1:
                    phrases[" ".join(words)] = None
                elif (word := next(single)) >= 30:  # who watches a single word watches no particle
                    phrases[self.words[word]] = None
        return list(phrases)[:PHRASES]

    # ---------------------------------------------------------------- statements

    def statements(self) -> Iterator[Statement]:
        """Statements, none of which was there before."""
        number = 0
        while True:
            words = self._text(SAID)
            number += 1
            yield Statement(
                id=f"s{number}",
                feed="measured",
                issuer="Ministry of Measures",
                title=" ".join(words[:12]).replace("\n\n", ""),
                text=" ".join(words[12:]),
                fingerprint=str(number),
            )

    def _text(self, size: int) -> list[str]:
        said = iter(self._drawn(self._said, size + 60))
        phrases = iter(self._drawn(self._popular, size))
        text: list[str] = []
        chance = self._random.random
        share = POLICY / 2.2 / (1 - POLICY + POLICY / 2.2)  # of the draws, as a phrase is of about 2.2 words
        while len(text) < size:
            words = self.phrases[next(phrases)].split() if chance() < share else [self.words[next(said)]]
            text += self._dressed(words)
        return text

    def _dressed(self, words: list[str]) -> list[str]:
        """Words as they stand in a text: capitals, plurals, possessives, hyphens, stops."""
        chance = self._random.random
        words = [word.capitalize() if word in self._names else word for word in words]
        if self._stopped:
            words[0] = words[0].capitalize()
        if chance() < 0.03:
            words[-1] += "s"
        elif chance() < 0.01:
            words[-1] += "’s"
        if len(words) > 1 and chance() < 0.1:
            words = ["-".join(words[:2]), *words[2:]]
        if chance() < 0.03:
            acronym = self._random.choice(ACRONYMS)
            words = [acronym if chance() < 0.5 else acronym.lower(), *words]
        mark = chance()
        self._stopped = mark < 0.055
        if self._stopped:
            words[-1] += "." if mark < 0.04 else ".\n\n"
        elif mark < 0.11:
            words[-1] += ","
        return words

    # ---------------------------------------------------------------- watchlists

    def queries(self, count: int, special: float = 0.1) -> list[str]:
        """Queries of the usual mix, of which so many have a leaf that is more than a phrase."""
        forms = self._random.choices([form for _, form in FORMS], [share for share, _ in FORMS], k=count)
        drawn = iter(self._drawn(self._popular, 5 * count))
        queries = []
        for form in forms:
            terms = [self.phrases[next(drawn)] for _ in range(form.count("{}"))]
            if self._random.random() < special:
                terms[0] = self._special(terms[0], self.phrases[next(drawn)])
            queries.append(form.format(*terms))
        return queries

    def _special(self, term: str, other: str) -> str:
        kind = self._random.random()
        if kind < 0.3:
            return f"({term} {self._random.choice(['w/10', 'w/25', 'pre/5', 'w/s', 'w/p', 'NOT w/5'])} {other})"
        if kind < 0.55:
            *before, last = term.split()
            return " ".join([*before, last[:6] + "*"])
        if kind < 0.8:
            return f"{self._random.choice(['title', 'body', 'summary'])}:({term})"
        acronym = self._random.choice(ACRONYMS)
        return acronym if kind < 0.85 else f"{acronym} {term}"
