"""Which tokens a writer may write: those that no rule on what is written would refuse at once.

A token is barred that breaks a line, that holds a digit that no source holds, or that has no text; and about a subject,
every token that only words are written with that its record neither holds nor needs to. A text with such a word would
be refused; barred in decoding, the writer says another instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from generator.language_model import LanguageModel
from generator.words import ENDINGS, free_words, is_number, ordinary_words, unheld, words_in


class Permitted:
    """Says which tokens a language model may write."""

    def __init__(self, writer: LanguageModel) -> None:
        self.writer = writer
        self.size = len(writer.model.get_output_embeddings().weight)
        self._about: dict[tuple[str, ...], Tensor] = {}

    def barred(self, sources: tuple[str, ...], about_record: bool) -> Tensor:
        """Return which tokens are never written, bool (V,), where sources are all that may be said.

        Parameters
        ----------
        sources : tuple of str
        about_record : bool
            Whether they are the facts of a record: then a text holds their words alone, and those that need no source.
        """
        digits = {letter for source in sources for letter in source if letter.isdigit()}
        barred = ~self._written_about(sources) if about_record else torch.zeros(self.size, dtype=torch.bool)
        barred[[token for token, found in self._not_everywhere.items() if found is None or not found <= digits]] = True
        barred[len(self._texts) :] = True
        barred[self.writer.end] = False
        return barred

    def _written_about(self, facts: tuple[str, ...]) -> Tensor:
        """Return which tokens a text about a record may hold, bool (V,); of the last record, they are kept."""
        if facts not in self._about:
            found = self._free | self._written_with([*facts, *_as_begun(like_those_of(facts))])
            self._about = {facts: found}
        return self._about[facts]

    def _written_with(self, texts: Iterable[str]) -> Tensor:
        """Return which tokens texts are written with, bool (V,)."""
        written = torch.zeros(self.size, dtype=torch.bool)
        found = self.writer.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        written[[token for ids in found for token in ids]] = True
        return written

    @cached_property
    def _free(self) -> Tensor:
        """The tokens of marks and of words that need no source."""
        free = self._written_with(_as_begun(word for word in free_words() if not is_number(word)))
        free[[token for token, text in enumerate(self._texts) if not any(map(str.isalnum, text))]] = True
        return free

    @cached_property
    def _not_everywhere(self) -> dict[int, set[str] | None]:
        """The digits of each token that holds some, and None for each that breaks a line."""
        found = {token: {letter for letter in text if letter.isdigit()} for token, text in enumerate(self._texts)}
        return {token: None if "\n" in self._texts[token] else digits
                for token, digits in found.items() if digits or "\n" in self._texts[token]}  # fmt: skip

    @cached_property
    def _texts(self) -> list[str]:
        """The text of every token; of those that have none, nothing is known."""
        return [self.writer.detokenize([token]) for token in range(min(self.size, len(self.writer.tokenizer)))]


def like_those_of(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of sources, with common endings too, and the ordinary words of which they hold the like."""
    held = dict.fromkeys(word for source in sources for word in words_in(source))
    strange = {*unheld(" ".join(sorted(ordinary_words())), sources)}
    like = sorted(ordinary_words() - strange)
    longer = [f"{word}{ending}" for word in held for ending in ENDINGS if len(word) > 2]
    return tuple(dict.fromkeys([*held, *longer, *like]))


def _as_begun(words: Iterable[str]) -> list[str]:
    """Return words as they are written at the beginning of a text and after others, capitalised or not."""
    forms = (form for word in words for form in (word, word.capitalize()))
    return [begun for form in forms for begun in (form, f" {form}")]
