"""Which words of a text are whose: its parents', or nobody's; and what an edit changed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal

_PIECE = re.compile(r"\s+|[\w'’-]+|[^\w\s]")

Origin = Literal["first", "second", "both", "new", ""]
Change = Literal["same", "removed", "added"]


def origins(text: str, parents: Sequence[str]) -> list[tuple[str, Origin]]:
    """Return a text in pieces, each with the parents that hold it: of the two heaviest, as more are not told apart.

    Examples
    --------
    >>> origins("Warm dry socks", ["Warm boots.", "Dry boots."])
    [('Warm', 'first'), (' ', ''), ('dry', 'second'), (' ', ''), ('socks', 'new')]
    """
    held = [{piece.lower() for piece in _PIECE.findall(parent)} for parent in parents]
    first, second = (held[0] if held else set()), set().union(*held[1:])
    names: dict[tuple[bool, bool], Origin] = {
        (True, True): "both", (True, False): "first", (False, True): "second", (False, False): "new",
    }  # fmt: skip
    found: list[tuple[str, Origin]] = []
    for piece in _PIECE.findall(text):
        word = piece.lower()
        origin = names[word in first, word in second] if re.match(r"\w", word) else ""
        found.append((piece, origin))
    return found


def changes(before: str, after: str) -> list[tuple[str, Change]]:
    """Return how one text became another, in runs of words.

    Examples
    --------
    >>> changes("Warm dry boots.", "Warm boots!")
    [('Warm ', 'same'), ('dry ', 'removed'), ('boots', 'same'), ('.', 'removed'), ('!', 'added')]
    """
    old, new = _PIECE.findall(before), _PIECE.findall(after)
    found: list[tuple[str, Change]] = []
    for tag, one, two, three, four in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(("".join(old[one:two]), "same"))
            continue
        if one < two:
            found.append(("".join(old[one:two]), "removed"))
        if three < four:
            found.append(("".join(new[three:four]), "added"))
    return found


def changed_lines(before: str, after: str) -> list[tuple[str, Change]]:
    r"""Return the lines by which one text became another, and of the others the one before and behind each change.

    Examples
    --------
    >>> changed_lines("banned:\n- cheap\n", "banned:\n- cheap\n- free\n")
    [('- cheap', 'same'), ('- free', 'added')]
    """
    names: dict[str, Change] = {" ": "same", "-": "removed", "+": "added"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
    return [(line[1:], names[line[0]]) for line in list(lines)[2:] if line[0] in names]
