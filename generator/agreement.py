"""Faults that a product's name or facts bring into English texts: "a school uniforms", "honey with from hives"."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SINGULAR = re.compile(r"[^\W\d_]*(?:ss|us|is|news|series|species|lens|gas|canvas|atlas)$", re.IGNORECASE)
_BETWEEN = r"(?:(?!(?:of|for|with|in|on|to|from|by|and|that|or|per)\b)[\w'’-]+,? ){0,4}?"
"""Words that may stand between an article and a name: no prepositions."""
_NOT_OF = r"(?<!\bof )(?<!\bof our )(?<!\bof your )(?<!\bof these )"
"""Before a name that the verb after it is not about: "a pair of our socks is"."""
_NO_VERBS = "always|sometimes|perhaps|ours|yours|this|as|us|plus|its|is"


_DOING = (
    r"(?:\w*(?:bind|board|brew|cater|clean|coach|cutt|decorat|develop|dy|edit|fram|garden|groom|iron|launder|lay|mend"
    r"|pierc|plann|plumb|polish|print|proofread|rear|rehair|repair|restor|restring|roof|sew|sharpen|shear|servic|sitt|string|thatch"
    r"|thread|til|train|tun|tutor|upholster|walk|wash|wax|weav|weld)ing|hire)"
)
"""Words for what is done, which nobody counts; of others that end alike, such as sling or ceiling, nothing is said."""
_THINGS_TOO = r"\w*(?:bind|fram|pierc|print|roof|til)ing"
_WORK = rf"(?:(?!{_THINGS_TOO}){_DOING}|(?:repair|restoration|removal|alteration|lesson|rental)s?)"
"""Words for what is done, counted or not, and for no thing besides: nothing of that kind is made of anything."""
_NEAR = r"(?:(?!\w*s\b|(?:of|for|with|in|on|to|from|by|and|that|or|per)\b)[\w-]+ ){0,2}?"
"""Words that may stand between an article and such a name: no prepositions, no verbs in the third person."""
_ENDS = r"(?=[.;:!?]|$| (?:for|with|that|which|from|by|in|on|at|of|to|done|made|\w+ed)\b)"
"""Behind such a name, where no other noun takes the article."""

_PREPOSITION = "from|for|in|on|by|to|at|of|with|without|like|over|under|before|after|during|since|while|when"
_STATE = r"\w+(?:ed|able|ible)|ready|dry|done|back|open|good|safe|easy|made|sewn|grown|sold|cut|sent"
_NO_THING = rf"(?:{_PREPOSITION})\b(?!-)|(?:{_STATE}) (?:{_PREPOSITION})\b|\w+[^\Ws]s (?:the|an?|your|our|its)\b"
"""How a phrase begins that names no thing, and so stands behind no "with"."""
_IS_DONE = re.compile(
    r"(?!(?:need|hundred|speed|seed|feed|breed)\b)\w+ed\b|(?:hand-?|home-?|re)?(?:made|built|sewn|grown|born|sold|known|proven)\b",
    re.IGNORECASE,
)


def is_done(phrase: str) -> bool:
    """Whether a fact says what was done, as far as its first word shows, and so stands behind "is".

    Examples
    --------
    >>> is_done("rated 4.8 out of 5"), is_done("handmade in Leeds"), is_done("since 1974")
    (True, True, False)
    """
    return _IS_DONE.match(phrase) is not None


def is_thing(phrase: str) -> bool:
    """Whether a fact names a thing that a product may come with, as far as its beginning shows.

    Examples
    --------
    >>> is_thing("a lid"), is_thing("from hives on the moor"), is_thing("shaped like leaves")
    (True, False, False)
    """
    return not re.match(_NO_THING, phrase, re.IGNORECASE)


def without_things(text: str) -> list[str]:
    """Return what stands behind a "with" in a text though it names no thing.

    Examples
    --------
    >>> without_things("Raw heather honey with from hives on the moor.")
    ['with from']
    """
    return [match[0] for match in re.finditer(rf"\bwith (?:{_NO_THING})", text, re.IGNORECASE)]


def is_plural(name: str) -> bool:
    """Whether a product's name is a plural already, as far as its last word shows.

    Examples
    --------
    >>> is_plural("enamel mugs"), is_plural("mug"), is_plural("cut glass"), is_plural("yoga retreat for tired teachers")
    (True, False, False, False)
    """
    head = _head(name)
    return len(head) > 2 and head.endswith("s") and not _SINGULAR.match(head)


def _head(name: str) -> str:
    """Return the word of a name that says what it is, in small letters."""
    return re.split(r" (?:for|of|with|in|from|to) ", name)[0].split()[-1].lower()


def is_doing(name: str) -> bool:
    """Whether a product's name is of what is done, and takes no article, as far as its last word shows.

    Examples
    --------
    >>> is_doing("dog grooming"), is_doing("baby sling"), is_doing("bicycle hire"), is_doing("tuning of pianos")
    (True, False, True, True)
    """
    return re.fullmatch(_DOING, _head(name)) is not None


def made_work(text: str, name: str) -> list[str]:
    """Return the words of a text that say what a product's name is made of, where it is of what is done.

    Examples
    --------
    >>> made_work("Bow rehairing made with Mongolian horsehair.", "bow rehairing")
    ['Bow rehairing made with']
    >>> made_work("A bow made with Mongolian horsehair.", "bow")
    []
    """
    if not re.fullmatch(_WORK, _head(name)):
        return []
    said = rf"\b{re.escape(name)} (?:that |which )?(?:is |are )?made (?:of|with|from|out of)\b"
    return re.findall(said, text, re.IGNORECASE)


def number_faults(text: str, name: str, facts: Sequence[str] = (), uncounted: bool = False) -> list[str]:
    """Return the words of a text that do not agree in number with a product's name, or with its facts.

    Parameters
    ----------
    text, name : str
    facts : sequence of str
    uncounted : bool
        Whether the name is of a stuff or of work, and takes no article; see `countability.is_uncounted`. What is done
        takes none in any case.

    Examples
    --------
    >>> number_faults("A school uniforms that washes well.", "school uniforms")
    ['A school uniforms', 'school uniforms that washes']
    >>> number_faults("A pair of school uniforms that wash well.", "school uniforms")
    []
    >>> number_faults("A patient dog grooming at home.", "dog grooming")
    ['A patient dog grooming']
    >>> number_faults("Our clock repairs saves you a new one.", "clock repairs", ["saves you a new one"])
    ['clock repairs saves']
    >>> number_faults("A peppery biltong for walkers.", "biltong", uncounted=True)
    ['A peppery biltong']
    """
    word = re.escape(name)
    patterns: tuple[str, ...]
    if is_plural(name):
        verbs = "|".join(verb for fact in facts for verb in re.findall(r"^\w+[^\Ws]s\b(?= )", fact))
        patterns = (
            rf"\b(?:an?|each|every|another) {_BETWEEN}{word}\b",
            rf"{_NOT_OF}\b{word}(?:,[^,.]*,)? (?:that |which )?(?:is|was|has|does|isn't|wasn't|hasn't|doesn't)\b",
            rf"{_NOT_OF}\b{word} (?:that|which) (?!(?:{_NO_VERBS})\b)\w+[^\Ws]s\b",
            *([rf"{_NOT_OF}\b{word} (?:{verbs})\b"] if verbs else []),
        )
    else:
        patterns = (rf"{_NOT_OF}(?<!and )\b{word} (?:that |which )?(?:are|were|have|aren't|weren't|haven't)\b",)
    text = text.replace("’", "'")
    found = [match for pattern in patterns for match in re.finditer(pattern, text, re.IGNORECASE)]
    named = [match[0] for match in found if is_plural(name) or " and " not in text[: match.start()]]
    if uncounted or is_doing(name):
        named += re.findall(rf"\b(?:an?|each|every|another) {_NEAR}{word}{_ENDS}", text, re.IGNORECASE)
    many = "|".join(re.escape(fact) for fact in facts if is_plural(fact))
    return named + (re.findall(rf"\b(?:an?|each|every|another) (?:{many})\b", text, re.IGNORECASE) if many else [])
