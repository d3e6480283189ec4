"""HTML to plain text: tags out, entities as letters, blocks apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

_TAG = re.compile(r"<(/?[a-zA-Z][^<>]*|!--.*?--)>", re.DOTALL)
_ENTITY = re.compile(r"&(#\d+|#[xX][\da-fA-F]+|[a-zA-Z]{2,8});")
_INLINE = frozenset((
    "a", "abbr", "b", "big", "cite", "code", "data", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp",
    "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
))  # fmt: skip
_UNREAD = frozenset(("script", "style", "head", "template"))


def has_markup(cell: str) -> bool:
    """Return whether a cell holds a tag or an entity."""
    return bool(_TAG.search(cell) or _ENTITY.search(cell))


def is_mostly_tags(cells: Iterable[str]) -> bool:
    """Return whether at least half of the cells that are not blank hold a tag."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and 2 * sum(bool(_TAG.search(cell)) for cell in filled) >= len(filled)


def plain_text(cell: str) -> str:
    """Return the text that a browser shows, on one line.

    Examples
    --------
    >>> plain_text("<p>Warm &amp; <b>soft</b></p><p>2 < 3</p>")
    'Warm & soft 2 < 3'
    """
    parser = _Letters()
    parser.feed(cell)
    parser.close()
    return " ".join("".join(parser.found).split())


class _Letters(HTMLParser):
    """Collects what is shown; the ends of blocks become spaces."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unread += tag in _UNREAD
        if tag not in _INLINE:
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in _UNREAD))
        if tag not in _INLINE:
            self.found.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.found.append(data)
