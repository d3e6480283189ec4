"""How answers are read: which facts they name of which of two, which option they take, whose side they are on.

Whole words are read, and what denies them where that decides; nothing is understood. So a check may be wrong of one
answer, and is alike to all who answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set

from experiments.elm.film_facts import genres_in

_MOST = 6
"""Genres of a film, at most: who names more names all that there are."""
_ITEMS = re.compile(r"[;,]|(?:^|\s)(?:\d+[.)]|[-*•])\s")
_DECADE = re.compile(r"\b(1[89]|20)(\d)\ds?\b|(?<!\d)'?([2-9])0s\b")
_SENTENCES = re.compile(r"[^.!?]*(\?|[.!]|$)")
_NOT = r"(?:not|never|no|hardly|neither|nor|nothing|without|\w+n['’]t)"
_CLAUSES = re.compile(r"[.;!,]|\bor\b|\bbut\b")
_WOULD = re.compile(r"\b(?:yes|no|would\w*|will|won['’]t|likely|unlikely|likes?|loves?|enjoys?|dislikes?|hates?)\b")
_WOULD_NOT = re.compile(rf"\b(?:{_NOT}|unlikely|dislikes?|hates?)\b")
_LIKES = re.compile(
    rf"(?P<no>\b{_NOT}\s+(?:\w+\s+){{0,2}}?(?:like|care|enjoy|love|prefer|want|into|fond|keen|fans?|interested)\b|"
    r"\b(?:dislikes?|hates?|avoids?|less)\b)|\b(?:likes?|loves?|enjoys?|prefers?|favou?rs?|fond|keen|fans?|into)\b"
)  # fmt: skip
_SIDE = re.compile(r"\b(?:(?P<first>first|former)|(?P<second>second|latter)|both|share|shares|common)\b")
_NONE = re.compile(rf"\b(?:{_NOT}|none|little|only|otherwise|alike|same)\b")
_PRAISE = re.compile(
    r"\b(?:enjoy\w*|liked|loved|adored?|love (?:it|this|the film)|wonderful\w*|gripping|delight\w*|superb\w*|great|"
    r"good|excellent\w*|masterpiece|must-see|recommend\w*|entertaining|captivating|compelling|thrilling|hilarious|fun|"
    r"fantastic|amazing\w*|engaging|impress\w*|beautifully|touching|memorable|stunning|perfectly|masterful\w*|"
    r"riveting|outstanding|terrific|heartwarming|refreshing|triumph|gem|magnificent|spectacular|remarkable|"
    r"satisfying|unforgettable|brilliant\w*)\b"
)  # fmt: skip
_BLAME = re.compile(
    r"\b(?:hated?|disliked?|boring|bored|dull|awful|terribl[ey]|bad|badly|poorly|worst|worse|weak|disappoint\w*|waste|"
    r"wasted|tedious|predictable|unconvincing|clumsy|forgettable|a mess|messy|lacks|lacking|lackluster|uninspired|"
    r"clich[ée]\w*|mediocre|shallow|bland|annoying|skip it|fails|slow|overlong|unfunny|confusing|contrived|lazy|"
    r"pointless|ridiculous|stupid|flawed|unoriginal|uneven|unbearable|overrated|dreadful|too long)\b"
)  # fmt: skip
"""Common words of praise and blame that hardly a plot of a film has."""
_DENIED = re.compile(rf"\b{_NOT}\s+(?!only|just)(?:\w+\s+){{0,2}}$")


def said_of(words: Iterable[str], text: str) -> set[str]:
    """Return which words or phrases stand in a text, whole, whatever their capitals."""
    lower = text.casefold()
    return {word for word in words if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", lower)}


def f_score(said: Set[object], true: Set[object]) -> float:
    """Return the harmonic mean of how much of what is said is true and how much of what is true is said; 0 of nothing.

    Examples
    --------
    >>> f_score({"comedy", "war"}, {"comedy"})
    0.6666666666666666
    """
    return 2 * len(said & true) / max(len(said) + len(true), 1)


def met(said: Set[str], true: Set[str]) -> float:
    """Return how much of what is true is said; 0 where there is nothing to say."""
    return len(said & true) / max(len(true), 1)


def five_of(true: Iterable[str], text: str) -> float:
    """Return the share of a list's items, of five at least, that each say something else that is true.

    Examples
    --------
    >>> five_of(["war", "slow", "French"], "1. A war film 2. Slow 3. Slow, and long")
    0.4
    """
    items, told, hits = [one for one in _ITEMS.split(text) if one.strip()], set[str](), 0
    for item in items:
        new = said_of(true, item) - told
        told |= new
        hits += bool(new)
    return hits / max(len(items), 5)


def decades_in(text: str) -> set[str]:
    """Return the decades that a text names, or that years of it are of.

    Examples
    --------
    >>> sorted(decades_in("A film of 1994, not of the 60s"))
    ['1960s', '1990s']
    """
    return {f"19{short}0s" if short else f"{century}{ten}0s" for century, ten, short in _DECADE.findall(text)}


def facts_in(text: str) -> set[str]:
    """Return the genres and decades that a text names."""
    return genres_in(text) | decades_in(text)


def one_film(text: str) -> set[str]:
    """Return the genres that a text names, or none where they are too many for a film."""
    found = genres_in(text)
    return found if len(found) <= _MOST else set()


def by_side(read: Callable[[str], Set[str]], text: str) -> set[tuple[str, str]]:
    """Return what `read` finds in a text, with which of two it is said of: the first, the second, or each of them.

    Examples
    --------
    >>> sorted(by_side(genres_in, "Both are comedies; the first adds war."))
    [('first', 'comedy'), ('first', 'war'), ('second', 'comedy')]
    """
    lower, found = text.casefold(), set[tuple[str, str]]()
    cues = list(_SIDE.finditer(lower))
    ends = [*(cue.start() for cue in cues), len(text)]
    for cue, start, end in zip([None, *cues], [0, *ends], ends, strict=False):
        sides = (cue.lastgroup,) if cue and cue.lastgroup else ("first", "second")
        found |= {(str(side), fact) for side in sides for fact in read(text[start:end])}
    return found


def matches(said: Set[object], true: Set[object], text: str) -> float:
    """Return the f-score of what is said; where nothing is true, whether the text says that, and nothing else."""
    return f_score(said, true) if true else float(not said and bool(_NONE.search(text.casefold())))


def takes(options: Mapping[str, str], true: str, text: str) -> float:
    """Return 1 where a text takes one of some options, given as patterns, and that is the true one; else 0.

    Examples
    --------
    >>> sides = {"above": "above|better", "below": "below|worse"}
    >>> takes(sides, "above", "Better."), takes(sides, "above", "Above or below.")
    (1.0, 0.0)
    """
    return float([name for name, words in options.items() if _affirms(rf"\b(?:{words})\b", text.casefold())] == [true])


def _affirms(words: str, text: str) -> bool:
    return any(not _DENIED.search(text[: one.start()]) for one in re.finditer(words, text))


def would(text: str) -> bool | None:
    """Return whether a text says that someone would like something, or None where it says neither or both.

    Examples
    --------
    >>> would("No, they wouldn't."), would("Yes."), would("They would or would not."), would("Would they?")
    (False, True, None, None)
    """
    plain = "".join(one.group() for one in _SENTENCES.finditer(text.casefold()) if one.group(1) != "?")
    told = [one for one in _CLAUSES.split(plain) if _WOULD.search(one) or _WOULD_NOT.search(one)]
    found = {not _WOULD_NOT.search(one) for one in told}
    return found.pop() if len(found) == 1 else None


def liked_and_not(text: str) -> tuple[set[str], set[str]]:
    """Return the genres that a text says someone likes, and those that it says they do not.

    Examples
    --------
    >>> liked_and_not("Likes crime films; does not care for drama.")
    ({'crime'}, {'drama'})
    """
    lower, parts = text.casefold(), {True: "", False: ""}
    cues = list(_LIKES.finditer(lower))
    ends = [*(cue.start() for cue in cues), len(lower)]
    for cue, start, end in zip([None, *cues], [0, *ends], ends, strict=False):
        parts[cue is None or not cue.group("no")] += f" {lower[start:end]}"
    return genres_in(parts[True]), genres_in(parts[False])


def favours(text: str) -> bool | None:
    """Return whether a text praises more than it blames, None where it does neither more; what is denied turns.

    Examples
    --------
    >>> favours("A gripping film."), favours("I didn't enjoy it."), favours("I hated it. I enjoyed it.")
    (True, False, None)
    """
    lower, balance = text.casefold(), 0
    for words, sign in ((_PRAISE, 1), (_BLAME, -1)):
        for one in words.finditer(lower):
            balance += -sign if _DENIED.search(lower[: one.start()]) else sign
    return balance > 0 if balance else None
