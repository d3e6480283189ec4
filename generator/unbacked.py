"""Claims that sell without saying what is for sale: urgency, scarcity, social proof and offers. They are facts too."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CLAIMS = {
    "urgency": (
        "last chance", "hurry", "(?:today|this week) only", "only (?:today|this week)", "limited[- ]time", "deadline",
        r"ends? (?:soon|today|tonight|midnight|(?:mon|tues|wednes|thurs|fri|satur|sun)day)", "now or never",
        "don'?t (?:miss|wait)", "act (?:now|fast)", "be quick",
        "(?:last|final) (?:hours?|days?|week(?:end)?|calls?|orders)",
        "before (?:it'?s|it is|they'?re|they are) (?:gone|too late)", "for a limited", "expires?",
        "while you (?:still )?can", "time is running", "a short (?:time|while)", "only (?:until|till)",
    ),
    "scarcity": (
        "(?:stock|supplies|supply|numbers?|seats?|places|spots) (?:is|are) (?:low|limited|running)", "almost gone",
        "while (?:stocks?|supplies) lasts?", "selling (?:fast|out)", "going fast", "sells? out", "sold out",
        "running (?:low|out)", "(?:fewer|few|many) left", "only a few", "won't last", "limited", "rare",
        "last (?:few|one|ones|pairs?|pieces?|seats?|places|rooms?|tickets?)",
    ),
    "social proof": (
        "trusted", "(?:loved|chosen|used|worn) by", "recommended", "rated", "ratings?", "reviews?", r"award\w*",
        r"best[- ]?sell\w*", "most (?:popular|loved|talked)", "number one", r"no\.? ?1", "#1", "thousands", "millions",
        "hundreds", "every(?:one|body) (?:is|loves|wants)", "experts?", "doctors?", "proven", "tested", "certified",
        "customers", "voted", "crowned", r"prize\w*", "medals?",
        "fans (?:love|swear)", "favou?rite", "famous", "acclaimed", "popular", "critics", "top-rated",
    ),
    "offer": (
        r"free\b(?!-)", "discounts?", "percent off", "half[- ]price", "sale", "money[- ]back", r"warrant\w+",
        r"guarantee\w*", "refunds?", "bonus", "vouchers?", "coupons?", "dollars? off",
        "save (?:up to|money)", "no charge", "on us", r"cheap\w*", "lowest", "price[sd]?", "deals?",
        "offers?",
    ),
}  # fmt: skip
_AMOUNTS = re.compile(r"(?<!\w)save [£$€]?\d[\d.,]*|[£$€]?\d[\d.,]*%? off(?!\w)", re.IGNORECASE)
"""Offers that begin or end with a mark."""
_PATTERNS = {
    kind: re.compile(rf"(?<![\w-])(?:{'|'.join(claims)})(?!\w)", re.IGNORECASE) for kind, claims in _CLAIMS.items()
}


def unbacked_claims(text: str, sources: Sequence[str]) -> list[tuple[str, str]]:
    """Return the kind and words of each such claim in `text` whose like no source makes.

    Parameters
    ----------
    text : str
    sources : sequence of str
        The phrases of a record; without a record, the texts that `text` is made of.

    Examples
    --------
    >>> unbacked_claims("Hurry: free shipping on every mug.", ["free shipping"])
    [('urgency', 'Hurry')]
    """
    text, sources = text.replace("’", "'"), [source.replace("’", "'") for source in sources]
    found = []
    for kind, pattern in [*_PATTERNS.items(), ("offer", _AMOUNTS)]:
        backed = {match[0].lower()[:4] for source in sources for match in pattern.finditer(source)}
        found += [(kind, match[0]) for match in pattern.finditer(text) if match[0].lower()[:4] not in backed]
    return found
