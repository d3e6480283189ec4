"""BLEU: how many runs of words two lists of texts share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from generator.checks import normalised

_LONGEST = 4


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU-4 of a corpus, 0 to 100, one reference a text, words in lower case without marks, no smoothing.

    Papineni et al., ACL 2002, section 2.

    Examples
    --------
    >>> round(bleu(["the cat is on the mat today"], ["the cat sat on the mat today"]), 1)
    48.9
    >>> bleu(["A quiet fan, here now."], ["a quiet fan here now"])
    100.0
    """
    words = [[normalised(text).split() for text in side] for side in (texts, references)]
    pairs = list(zip(*words, strict=True))
    logs = []
    for size in range(1, _LONGEST + 1):
        runs = [(_runs(mine, size), _runs(theirs, size)) for mine, theirs in pairs]
        shared = sum((mine & theirs).total() for mine, theirs in runs)
        if not shared:
            return 0.0
        logs.append(math.log(shared / sum(mine.total() for mine, _ in runs)))
    written, wanted = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return 100 * math.exp(min(0.0, 1 - wanted / written) + sum(logs) / _LONGEST)


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))
