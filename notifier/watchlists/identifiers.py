"""
The names of laws, rules and goods: one thing, written in many ways.

    15 CFR 744.11     15 C.F.R. § 744.11     section 744.11 of the EAR        Code of Federal Regulations
    3A090             ECCN 3A090                                              export control classification number
    85 FR 39306       85 Fed. Reg. 39,306                                     Federal Register
    EO 13936          Executive Order No. 13936                               executive order
    (EU) 2021/821     Regulation (EC) No 428/2009     Decision 2014/512/CFSP  act of the European Union
    SI 2019/855       S.I. 2019 No. 855                                       statutory instrument
    8541.40.20        HTSUS 8541.40.2000              85414020                tariff number
    USML Category XI  Category XI of the U.S. Munitions List

A term that is such a name, and nothing beside it, stands for all ways to write it. What lies below it is found by the
rules for words (744 finds 744.11, 3A090 finds 3A090.a), so a parent finds its children, and no one finds a sibling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

# No. n° Nº Nr. №
_NO = r"(?:(?:no|nr|n[°º]|n|№|number)\.?[°º]?\s*)?"
_NUMBER = r"(?P<number>\d{1,4}(?:\.\d{1,4}[a-z]{0,3}(?:-\d{1,3})?)?)(?P<below>(?:\([0-9a-z]{1,5}\))*)"
_KIND = r"(?:(?:parts?|pts?\.?|sections?|secs?\.?|§+)\s*)?"
# Regulations that are called by a name: title of the CFR, first and last part.
_NAMED = {
    "EAR": ("15", 730, 774, "Export Administration Regulations"),
    "ITAR": ("22", 120, 130, "International Traffic in Arms Regulations"),
}
# How other languages of the Union call it: German, French and Spanish.
_UNION = {"EU": ("UE",), "EC": ("EG", "CE"), "EEC": ("EWG", "CEE"), "CFSP": ("GASP", "PESC")}
_CALLED = {other: name for name, others in _UNION.items() for other in (name, *others)} | {"EURATOM": "Euratom"}


def spellings(written: str) -> tuple[str, ...]:
    """
    All other ways to write the identifier that a term is, each as a term of a query; empty if it is not an identifier.

    `written` is the term without its quotes, words separated by single spaces.
    """
    for pattern, ways in _NAMES:
        if found := pattern.fullmatch(written):
            return tuple(dict.fromkeys(ways(found)))
    return ()


def _quoted(*terms: str) -> Iterator[str]:
    return (f'"{term}"' for term in terms)


# ---------------------------------------------------------------- United States


def _regulation(found: re.Match[str]) -> Iterable[str]:
    """A part or section of the Code of Federal Regulations."""
    said = found.groupdict()
    title, name = said.get("title") or "", str(said.get("name") or "").upper()
    part = int(said["number"].partition(".")[0])
    if name:
        title = _NAMED[name][0]
    else:
        named = (each for each, (of, first, last, _) in _NAMED.items() if of == title and first <= part <= last)
        name = next(named, "")
    place, section = said["number"] + said["below"], "." in said["number"]
    yield from _quoted(f"{title} CFR {place}", f"{title} CFR Part {place}", f"{title} CFR Section {place}")
    yield from _quoted(f"{title} CFR Sec {place}" if section else f"{title} CFR Pt {place}")
    yield from _quoted(f"{title} Code of Federal Regulations {place}")
    kind = "Section" if section else "Part"
    yield from _quoted(f"{title} Code of Federal Regulations {kind} {place}", f"{kind} {place} of title {title}")
    if name:
        yield from _regulation_by_name(name, place, kind, below=bool(said["below"]))


def _regulation_by_name(name: str, place: str, kind: str, *, below: bool) -> Iterator[str]:
    whole = _NAMED[name][3]
    yield from _quoted(f"{name} {place}", f"{name} {kind} {place}")
    if kind == "Section":
        yield from _quoted(f"{place} of the {name}", f"{place} of the {whole}")
        return
    yield from _quoted(f"Part {place} of the {name}", f"Part {place} of the {whole}")
    if not below:
        # § 744.11 of the EAR lies in part 744.
        yield from _quoted(f"{place}.? of the {name}", f"{place}.?? of the {name}")


def _classification(found: re.Match[str]) -> Iterable[str]:
    yield found["code"]


def _register(found: re.Match[str]) -> Iterable[str]:
    volume, page = found["volume"], found["page"].replace(",", "")
    return _quoted(f"{volume} FR {page}", f"{volume} Fed Reg {page}", f"{volume} Federal Register {page}")


def _register_document(found: re.Match[str]) -> Iterable[str]:
    return _quoted(found["number"])


def _order(found: re.Match[str]) -> Iterable[str]:
    number = found["number"].replace(",", "")
    for name in ("Executive Order", "Exec Order", "EO"):
        yield from _quoted(f"{name} {number}", f"{name} No {number}")


def _munitions(found: re.Match[str]) -> Iterable[str]:
    said = found.groupdict()
    category, below = said.get("before") or said.get("after") or "", said["below"] or said.get("under") or ""
    place = f"{category.upper()}{below}"
    yield from _quoted(f"USML Category {place}", f"USML Cat {place}", f"Category {place} of the USML")
    yield from _quoted(f"Munitions List Category {place}", f"Category {place} of the United States Munitions List")
    yield from _quoted(f"Category {place} of the US Munitions List")
    if not below:
        # Category XI(a) of the USML lies in category XI, and "Categories VIII and XI of the USML" name it.
        yield f'"Category {place} USML"~5'


def _goods(found: re.Match[str]) -> Iterable[str]:
    """A number of the Harmonized Tariff Schedule: heading 8541, subheading 8541.40, 8541.40.20, 8541.40.2000."""
    code = found["code"]
    digits = code.replace(".", "")
    pairs = [digits[:4], *(digits[at : at + 2] for at in range(4, len(digits), 2))]
    if len(pairs) == 1:
        names = ("HTS", "HTSUS", "HS", "HTS code", "HS code", "heading", "subheading")
        yield from _quoted(*(f"{name} {digits}" for name in names), f"{digits}.??")
    elif len(pairs) == 2:
        yield from _quoted(code, " ".join(pairs))
        yield f"{digits}*"
    elif len(pairs) == 3:
        yield from _quoted(f"{code}*", " ".join(pairs))
        yield f"{digits}*"
    else:
        yield from _quoted(".".join(pairs[:3]) + pairs[3], ".".join(pairs), " ".join(pairs), digits)


# ---------------------------------------------------------------- European Union, United Kingdom


def _union(found: re.Match[str]) -> Iterable[str]:
    """A regulation, directive or decision."""
    said = found.groupdict()
    number, kind = said["number"], (said["kind"] or "Regulation").capitalize()
    if kind not in {"Regulation", "Directive", "Decision"}:
        kind = "Regulation"
    by = _CALLED.get((said["by"] or said["after"] or "").upper(), "") or _in_force(number)
    if kind != "Regulation":
        # Their makers share one series of numbers.
        also = "CFSP" if kind == "Decision" else "EC"
        yield from _quoted(f"{kind} {number}", f"{kind} (EU) {number}", f"{kind} ({also}) {number}")
        yield from _quoted(f"{number}/EU", f"{number}/{also}")
        return
    if said["after"] and not said["kind"]:
        return  # 2009/43/EC is a directive or a decision, and complete
    yield from _quoted(f"({by}) {number}", f"({by}) No {number}", f"{kind} {number}", f"{kind} No {number}")
    yield from _quoted(f"({by}) Nr {number}")
    for other in _UNION.get(by, ()):
        yield from _quoted(f"({other}) {number}", f"({other}) No {number}", f"({other}) n {number}")


def _in_force(number: str) -> str:
    """Who made acts when this one was made: the Union, the Community, or the Economic Community."""
    first, _, last = number.partition("/")
    year = next((int(part) for part in (first, last) if len(part) == 4 and 1950 < int(part) < 2100), 1900 + int(last))
    return "EU" if year > 2009 else "EC" if year > 1993 else "EEC"


def _instrument(found: re.Match[str]) -> Iterable[str]:
    year, number = found["year"], found["number"]
    for name in ("SI", "Statutory Instrument"):
        yield from _quoted(f"{name} {year}/{number}", f"{name} {year} No {number}")
    yield from _quoted(f"UKSI {year}/{number}")


# ---------------------------------------------------------------- what is a name

_LIST = r"(?:USML|(?:u\.?s\.?|united states) munitions list)"
_FROM = r"(?:\((?P<by>EU|UE|EC|CE|EG|EEC|CEE|EWG|CFSP|PESC|GASP|Euratom)(?:, ?Euratom)?\)|(?P<bare>EU|UE|EC|EEC))?"
_ACT = r"(?:council|commission|implementing|delegated|european|parliament|and|of|the)"
_TARIFF = (
    r"(?:HTSUSA?|HTS|HS)(?: (?:code|heading|subheading|number|item|no\.?)s?)?"
    r"|(?:sub)?headings?|tariff (?:code|item|line)s?"
)

_Ways = Callable[[re.Match[str]], Iterable[str]]
_NAMES: list[tuple[re.Pattern[str], _Ways]] = [
    (re.compile(pattern, re.IGNORECASE), ways)
    for pattern, ways in (
        (
            rf"(?:title )?(?P<title>\d{{1,2}}) (?:c\.? ?f\.? ?r\.?|code of federal regulations),? {_KIND}{_NUMBER}",
            _regulation,
        ),
        (rf"(?-i:(?P<name>EAR|ITAR)) {_KIND}{_NUMBER}", _regulation),
        (rf"{_KIND}{_NUMBER} of the (?-i:(?P<name>EAR|ITAR))", _regulation),
        (r"ECCNs?:? (?:no\.? )?(?P<code>\d[a-e]\d{3}(?:\.[a-z0-9]{1,3})*)", _classification),
        (
            r"(?:vol(?:ume|\.)? )?(?P<volume>\d{1,3}),? (?:f\.? ?r\.?|fed\.? ?reg(?:ister|\.)?|federal register),? "
            r"(?:at |page |p\. ?)?(?P<page>\d{1,3},\d{3}|\d{1,6})",
            _register,
        ),
        (
            r"(?:FR|federal register) doc(?:ument|\.)? (?:no\.? |number )?(?P<number>(?:[a-z]\d|\d{2,4})-\d{3,6})",
            _register_document,
        ),
        (rf"(?:executive orders?|exec\.? orders?|e\.? ?o\.?) {_NO}(?P<number>\d{{1,2}},\d{{3}}|\d{{4,5}})", _order),
        (
            rf"{_LIST},? (?:category|cat\.?) (?P<before>[ivx]+)(?P<below>(?:\([0-9a-z]{{1,5}}\))*)"
            rf"|(?:category|cat\.?) (?P<after>[ivx]+)(?P<under>(?:\([0-9a-z]{{1,5}}\))*) of the {_LIST}",
            _munitions,
        ),
        (
            rf"(?:{_ACT} )*(?:(?P<kind>regulation|directive|decision|verordnung|règlement|reglamento) )?{_FROM} ?{_NO}"
            r"(?P<number>\d{1,4}/\d{2,4})(?:/(?P<after>EU|UE|EC|CE|EEC|CFSP))?(?(kind)|(?(by)|(?(bare)|(?(after)|(?!)))))",
            _union,
        ),
        (
            r"(?:UK )?(?:s\.? ?i\.?|uksi|statutory instruments?)[ /](?P<year>(?:19|20)\d\d)"
            r"(?:/|,? (?:no\.?|number) ?)(?P<number>\d{1,5})",
            _instrument,
        ),
        (rf"(?:{_TARIFF}):? (?P<code>\d{{4}}(?:\.\d\d(?:\.\d\d(?:\.?\d\d)?)?)?)", _goods),
        (r"(?P<code>\d{4}\.\d\d(?:\.\d\d(?:\.?\d\d)?)?)", _goods),
    )
]
