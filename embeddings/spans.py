"""Long texts cut into spans that a model can hold: together they are the text, letter for letter."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

from copyloom import InputError

_WORD, _LINE, _SENTENCE, _PARAGRAPH = range(4)  # how good an end is to cut at
_STOP = re.compile(r"[.!?…][\"'”’»)\]]*$")
_WIDE_STOP = re.compile(r"[。！？]+[」』”’）]*(?=\S)")  # of scripts that put no space between sentences
_NEW_LINE = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_GRAPHEME = regex.compile(r"\X")
_BLANKS = re.compile(r"\s*")
_GLANCE = 8
"""Letters a token: of a longer piece only the first so many are counted, to see that it is too long."""


@dataclass(frozen=True)
class Span:
    """A piece of a text: where it starts and ends (exclusive), in characters, and what it says."""

    start: int
    end: int
    text: str


def spans(text: str, most: int, count: Callable[[str], int]) -> list[Span]:
    """Return consecutive spans of at most `most` tokens whose concatenation is `text`.

    A span goes up to the last end of a paragraph within reach, else of a sentence, else of a line, else of a word. A
    longer word is cut between graphemes, and only a longer grapheme inside. White space goes with what stands before
    it; no span is white space alone, for no summary embedding holds that.

    Parameters
    ----------
    text : str
    most : int
    count : callable
        The number of tokens of a piece of text; called about ten times a span.

    Raises
    ------
    InputError
        If the text is blank, or cannot be cut so: one character, or a run of white space, takes too many tokens.

    Examples
    --------
    >>> [span.text for span in spans("One two. Three four five.", 3, lambda piece: len(piece.split()))]
    ['One two. ', 'Three four five.']
    """
    if not text.strip():
        raise InputError("the document is empty or white space alone; give one with words in it")
    if most < 1:
        raise InputError(f"a span of at most {most} tokens holds nothing; allow at least one")
    cutter = _Cutter(text, most, count)
    cuts = [0]
    while cuts[-1] < len(text):
        cuts.append(cutter.next_cut(cuts[-1]))
    return [Span(start, end, text[start:end]) for start, end in pairwise(cuts)]


class _Cutter:
    """The ends at which `text` may be cut, best first, and the search among them."""

    def __init__(self, text: str, most: int, count: Callable[[str], int]) -> None:
        self.text, self.most, self.count = text, most, count
        ranks = sorted(_ends(text).items())
        self.ends = [[end for end, rank in ranks if rank >= least] for least in (_PARAGRAPH, _SENTENCE, _LINE, _WORD)]

    def next_cut(self, start: int) -> int:
        """Return the end of the span that begins at `start`."""
        first = self._after_blanks(start)
        found = (self._furthest(start, first, ends) for ends in self._choices(start, first))
        cut = next((cut for cut in found if cut is not None), None)
        if cut is None:
            raise self._refusal(start, first)
        return cut

    def _choices(self, start: int, first: int) -> Iterator[Sequence[int]]:
        """Yield ends, from paragraphs down to characters."""
        yield from self.ends
        yield [found.end() for found in _GRAPHEME.finditer(self.text, start, first + _GLANCE * self.most)]
        yield range(len(self.text) + 1)

    def _furthest(self, start: int, first: int, ends: Sequence[int]) -> int | None:
        """Return the last of `ends` behind the letter at `first` that fits and lets the next span begin, or None.

        Found by doubling steps and bisection. Should more text ever take fewer tokens, an earlier end may come back;
        it fits all the same.
        """
        least = index = bisect_right(ends, first)
        if index >= len(ends) or not self._fits(start, ends[index]):
            return None
        step = 1
        while index + step < len(ends) and self._fits(start, ends[index + step]):
            index, step = index + step, 2 * step
        longer = range(index + 1, min(index + step, len(ends)))
        index += bisect_left(longer, True, key=lambda i: not self._fits(start, ends[i]))
        return next((ends[i] for i in range(index, least - 1, -1) if self._goes_on(ends[i])), None)

    def _goes_on(self, cut: int) -> bool:
        """Say whether a span can begin at `cut`: its white space and the letter behind fit, or the text is over."""
        letter = self._after_blanks(cut)
        return letter == cut or (letter < len(self.text) and self._fits(cut, letter + 1))

    def _after_blanks(self, start: int) -> int:
        found = _BLANKS.match(self.text, start)
        return found.end() if found else start

    def _fits(self, start: int, end: int) -> bool:
        glance = start + _GLANCE * self.most
        if glance < end and self.count(self.text[start:glance]) > self.most:
            return False
        return self.count(self.text[start:end]) <= self.most

    def _refusal(self, start: int, first: int) -> InputError:
        blanks = self._after_blanks(first + 1) - first - 1
        if not self._fits(first, first + 1):
            what = f"the character {self.text[first]!r} at position {first:,} alone needs"
        else:
            what = f"the character {self.text[first]!r} at position {first:,} and the white space around it "
            what += f"({first - start:,} characters before, {blanks:,} behind) need"
        return InputError(
            f"{what} more than {self.most} tokens, and each span must hold a letter; allow more tokens a span, or "
            "shorten the white space"
        )


def _ends(text: str) -> dict[int, int]:
    """Return the ends of words and their ranks; an end stands behind the white space that follows the word."""
    ends = {found.end(): _SENTENCE for found in _WIDE_STOP.finditer(text)}
    for run in re.finditer(r"(?<=\S)\s+", text):
        ends[run.end()] = _rank(text, run.start(), run.end())
    ends[len(text)] = _PARAGRAPH
    return ends


def _rank(text: str, start: int, end: int) -> int:
    """Return how good it is to cut behind the white space ``text[start:end]``."""
    lines = len(_NEW_LINE.findall(text, start, end))
    if lines > 1:
        return _PARAGRAPH
    if _STOP.search(text[max(start - 8, 0) : start]) and not text[end : end + 1].islower():
        return _SENTENCE
    return _LINE if lines else _WORD
