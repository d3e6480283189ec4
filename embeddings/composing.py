"""Composing: the text of a mixture, chosen among what a pretrained writer says to it.

The writer reads the texts that are mixed, the record of what is written about if there is one, and then the mixed
vectors; it is asked many times, with the parents in either order, greedily and with draws of a fixed seed. What breaks
a rule is refused: copies and pastes, names, numbers, offers and urgency that no source holds, faults of grammar, texts
that the pretrained model as it was before finds much stranger than the parents, and what an editor
(`generator.editor`) thinks unfit to print. Of the others the one stands that the editor likes, of which the writer is
sure, and that says plainly, and closely, what one of the heaviest parents says: half of each seldom makes a whole. So
printable comes first, and near second; where nothing is fit to print, the answer is that there is nothing.

Every step is deterministic, and no mixture depends on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.adapter import AnyAdapter
from embeddings.effort import Effort
from embeddings.mixing import adapt
from embeddings.prompt import about, prompt
from generator.agreement import number_faults, without_things
from generator.checks import BrandRules, Checker, Refusal, normalised
from generator.decoding import MAX_TOKENS, Choice, Decoded, Prefix, decode
from generator.editor import Editor
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.readability import ORDINARY, grammar_faults, strangeness
from generator.reader import Reader, mixed_facts
from generator.record import ProductRecord
from generator.unbacked import unbacked_claims
from generator.words import ENDINGS, free_words, inventions, is_number, ordinary_words, unheld, words_in

PROMPTS = 6
"""Times that the writer is asked for a mixture's texts: some prompts twice, with other vectors."""
_ROUNDED = 32
"""Prompts are padded to a multiple of this many tokens, so that few shapes occur."""
_LONGER, _ROOM = 1.25, 8
"""How many times the tokens of its longest parent a text may have, and how many more."""
_LETTERS = 4
"""Characters of a token, about: so many tokens may a text about a subject have."""
_COOLEST, _WARMEST = 0.3, 0.8

_STRANGER, _MUCH_STRANGER = 0.9, 5.0
"""Nats a token by which a text may be stranger than its strangest parent, and nats of its strangest token."""
_NEAR, _STRAY, _WORD = 0.5, 0.12, 0.025
"""What a cosine brings; what a word costs that no source holds and that people do not use freely, and every word."""
_LIKELY, _PRINTED, _BELONGS = 0.4, 0.3, 0.12
"""What a nat brings: of the mean log-probability of a token, by the writer, to the prompt that fits best; and of the
editor's log-probabilities, that a text is printed and that it belongs. All weights were fitted to drafts that readers
judged."""
_UNLIKELY = 0.3
"""Probability of being printed below which the editor refuses a text."""
_LONGEST_PASTE = 0.85
_LONG = 120
"""Characters that a text about a subject may have, whatever its parents'."""
_COPY = 0.85
"""`likeness` from which on a text is a copy."""
_RUN = 3
"""Share of a text that may come word for word from two parents or more, in runs of so many words."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixture to be put into words.

    Parameters
    ----------
    vectors : Tensor of shape (P, D)
    wanted : Tensor of shape (S,)
    parents : tuple of str
        Texts with a weight above 0, the heaviest first.
    record : ProductRecord, optional
        What the text is to be about.
    apart : tuple of str
        Texts with a weight below 0: nothing is taken from them.
    lighter : tuple of float
        By how much each parent's weight is below the heaviest's: texts are to come near to a parent, the heavier the
        sooner. Without, they are to come near to the wanted point.
    """

    vectors: Tensor
    wanted: Tensor
    parents: tuple[str, ...]
    record: ProductRecord | None = None
    apart: tuple[str, ...] = ()
    lighter: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls, vectors: Tensor, wanted: Tensor, texts: Sequence[str], weights: Sequence[float],
        record: ProductRecord | None = None,
    ) -> Mixed:  # fmt: skip
        """Return a mixture of texts; which of two equal weights comes first does not matter."""
        pairs = sorted(zip(texts, weights, strict=True), key=lambda one: (-one[1], one[0]))
        apart = tuple(text for text, weight in pairs if weight < 0)
        parents, shares = zip(*((text, weight) for text, weight in pairs if weight > 0), strict=True)
        lighter = None if apart else tuple(shares[0] - share for share in shares)
        return cls(vectors, wanted, parents, record, apart, lighter)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """What names, numbers and claims may be taken from: the record, or without one the parents."""
        return tuple(self.record.phrases().values()) if self.record else self.parents


@dataclass(frozen=True)
class Candidate:
    """A text that the writer wrote.

    Parameters
    ----------
    text : str
    refusals : tuple of Refusal
    score : float
        What it is worth beside the others; of refused texts too.
    """

    text: str
    refusals: tuple[Refusal, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the writer is asked about a mixture: prompts, vectors after them, temperatures, and what it may not say.

    Parameters
    ----------
    prefix : Prefix
        Of all prompts, each before one or two times `each` texts.
    vectors : Tensor of shape (B, P, D)
        B texts.
    warmth : tuple of float
        B temperatures.
    banned : Tensor of shape (V,)
    longest : int
        Tokens of a text.
    """

    prefix: Prefix
    vectors: Tensor
    warmth: tuple[float, ...]
    banned: Tensor
    longest: int


@dataclass(eq=False)
class Composer:
    """Puts mixtures into words.

    Parameters
    ----------
    writer : LanguageModel
        Pretrained, with its updates.
    adapter : Adapter
    encode : callable
        From texts to sentence vectors (B, S).
    reference : LanguageModel
        The pretrained model as it was before.
    editor : Editor, optional
        Says whether a text would be printed.
    each : int
        Texts that the writer writes each of `PROMPTS` times: the more, the better the best of them.
    together : int
        Mixtures that it writes at a time, in one shape: the more, the less time each takes.
    """

    writer: LanguageModel
    adapter: AnyAdapter
    encode: Callable[[Sequence[str]], Tensor]
    reference: LanguageModel
    editor: Editor | None = None
    each: int = Effort.each
    together: int = 1

    def __post_init__(self) -> None:
        """Let the writer write all texts of some mixtures at a time."""
        self._about: dict[tuple[str, ...], Tensor] = {}
        device = replace(self.writer.device, decode_rows=self.together * PROMPTS * self.each)
        self.writer = LanguageModel(self.writer.model, self.writer.tokenizer, self.writer.name, device)

    def best(self, mixtures: Sequence[Mixed], count: int = 1) -> list[list[Candidate]]:
        """Return the best texts of each mixture that may be shown, at most `count`, none like another."""
        return [_unlike([one for one in found if not one.refusals], count) for found in self.candidates(mixtures)]

    def candidates(self, mixtures: Sequence[Mixed]) -> list[list[Candidate]]:
        """Return all that the writer says to each mixture: what may be shown first, the best of it first."""
        theirs = self._encoded([one.parents for one in mixtures])
        written = self._written(mixtures, theirs)
        texts, likely = [list(one) for one in written], [list(one.values()) for one in written]
        refusals = [self._refusals(*row) for row in zip(mixtures, texts, strict=True)]
        self._refuse_strange(mixtures, texts, refusals)
        scores = [self._scores(*row) for row in zip(mixtures, theirs, texts, self._encoded(texts), strict=True)]
        for score, said in zip(scores, likely, strict=True):
            score += _LIKELY * torch.tensor(said)
        self._edit(mixtures, texts, refusals, scores)
        return [
            sorted(
                (Candidate(*row) for row in zip(said, map(tuple, refused), score.tolist(), strict=True)),
                key=lambda one: (len(one.refusals) > 0, -one.score),
            )
            for said, refused, score in zip(texts, refusals, scores, strict=True)
        ]

    def _encoded(self, texts: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        """Return the sentence vectors (K, S) of each family of texts."""
        return self.encode([text for family in texts for text in family]).split([len(family) for family in texts])

    def _written(self, mixtures: Sequence[Mixed], theirs: Sequence[Tensor]) -> list[dict[str, float]]:
        """Return the finished texts that the writer writes to each mixture, and how likely it finds them at most.

        Mixtures with prompts of a length are written together; which ones makes no difference, nor in which order.
        """
        asked = [self._asked(*row) for row in zip(mixtures, theirs, strict=True)]
        alike: dict[int, list[int]] = {}
        for number, one in enumerate(asked):
            alike.setdefault(one.prefix.present.shape[1], []).append(number)
        texts: list[dict[str, float]] = [{} for _ in mixtures]
        for _, numbers in sorted(alike.items()):
            numbers.sort(key=lambda number: asked[number].longest)  # so that few wait for a longer text
            for first in range(0, len(numbers), self.together):
                chunk = numbers[first : first + self.together]
                found = self._decoded([asked[number] for number in chunk])
                for number, said in zip(chunk, found, strict=True):
                    for draft in said:
                        text = draft.text.strip()
                        if text and draft.finished and len(draft.ids) < asked[number].longest:
                            texts[number][text] = max(draft.likelihood, texts[number].get(text, -torch.inf))
        return texts

    def _decoded(self, asked: list[_Asked]) -> list[list[Decoded]]:
        """Return what the writer writes to at most `together` mixtures with prompts of one length."""
        rows, count = PROMPTS * self.each, len(asked)
        asked = asked + asked[-1:] * (self.together - count)
        prefix = Prefix(
            torch.cat([one.prefix.vectors for one in asked]),
            torch.cat([one.prefix.present for one in asked]),
            tuple(times for one in asked for times in one.prefix.times or ()),
        )
        warmth = tuple(temperature for one in asked for temperature in one.warmth)
        banned = torch.stack([one.banned for one in asked]).repeat_interleave(rows, 0)
        choice = Choice(warmth, banned=banned, every=rows)
        longest = max(one.longest for one in asked)
        found = decode(self.writer, torch.cat([one.vectors for one in asked]), prefix, longest, choice=choice)
        return [found[number * rows : (number + 1) * rows] for number in range(count)]

    def _asked(self, mixture: Mixed, theirs: Tensor) -> _Asked:
        """Return what the writer is asked about a mixture of parents with sentence vectors (K, S).

        It reads the parents in either order, with the mixture's vectors and with others that lean to a parent; and each
        of the two heaviest parents alone, with its own vectors and with others that lean to it: of two texts that have
        little in common, it says one anew.
        """
        told, leaning, own = mixture.parents, self._leaning(mixture, theirs, 0.5), self._leaning(mixture, theirs, 1.0)
        places = (0, min(1, len(told) - 1))
        read = (told, told[::-1], *(told[place : place + 1] for place in places))
        answers = [mixture.vectors[None], leaning] * 2 + [torch.stack([own[place], leaning[place]]) for place in places]
        vectors, warmth = zip(*(self._in_turn(one) for one in answers), strict=True)
        times = tuple(self.each * count for count in (2, 2, 1, 1))
        longest = int(_LONGER * max(len(self.writer.tokenize(text)) for text in told)) + _ROOM
        return _Asked(
            replace(self._read([prompt(parents, mixture.record) for parents in read]), times=times),
            torch.cat(vectors),
            tuple(one for row in warmth for one in row) if len(told) > 1 else self._ladder(),
            self._foreign(mixture),
            min(MAX_TOKENS, longest if mixture.record is None else max(longest, _LONG // _LETTERS)),
        )

    def _in_turn(self, vectors: Tensor) -> tuple[Tensor, list[float]]:
        """Return K sets of vectors (K, P, D) in turn, and a temperature for each row, higher at every turn."""
        turns = -(-self.each // len(vectors))
        warmth = [0.0, *torch.linspace(_COOLEST, _WARMEST, max(turns - 1, 0)).tolist()]
        rows = torch.arange(self.each)
        return vectors[rows % len(vectors)], [warmth[row // len(vectors)] for row in rows.tolist()]

    def _ladder(self) -> tuple[float, ...]:
        """Return a temperature for each text of all prompts, where these are the same."""
        return tuple(torch.linspace(0.0, _WARMEST, PROMPTS * self.each).tolist())

    def _leaning(self, mixture: Mixed, theirs: Tensor, share: float) -> Tensor:
        """Return the vectors (K, P, D) that lie by a share of the way from a mixture to each of its parents."""
        points = normalize(mixture.wanted.lerp(theirs, share), dim=-1)
        return mixture.vectors + adapt(self.adapter, points) - adapt(self.adapter, mixture.wanted[None])

    def _read(self, prompts: Sequence[str]) -> Prefix:
        """Return what stands before the vectors for each prompt, filled up on the left."""
        ids = [self.writer.tokenize(asked) for asked in prompts]
        longest = -(-(max(map(len, ids)) + 1) // _ROUNDED) * _ROUNDED  # a gap always: without one, another kernel runs
        tokens = torch.full((len(ids), longest), self.writer.end)
        present = torch.zeros(tokens.shape, dtype=torch.bool)
        for row, values in enumerate(ids):
            tokens[row, longest - len(values) :] = torch.tensor(values)
            present[row, longest - len(values) :] = True
        return Prefix(self.writer.embed(tokens).float().cpu(), present)

    def _refuse_strange(
        self, mixtures: Sequence[Mixed], texts: Sequence[Sequence[str]], refusals: Sequence[list[list[Refusal]]]
    ) -> None:
        """Refuse what is much stranger than the strangest parent to the pretrained model as it was before.

        A record may bring stranger words than they have; what it says counts as one of them. What a rule refused is not
        looked at.
        """
        usual = [[*one.parents, *([about(one.record)] if one.record else [])] for one in mixtures]
        fit = [[place for place, why in enumerate(refused) if not why] for refused in refusals]
        rows = [
            [*(said[place] for place in places), *theirs]
            for said, places, theirs in zip(texts, fit, usual, strict=True)
        ]
        every = strangeness(self.reference, [text for row in rows for text in row])
        sizes = [len(row) for row in rows]
        for refused, places, mean, worst in zip(
            refusals, fit, every.mean.split(sizes), every.worst.split(sizes), strict=True
        ):
            beyond = (one[: len(places)] - one[len(places) :].max().clamp_min(ORDINARY) for one in (mean, worst))
            for place, by_mean, by_worst in zip(places, *(one.tolist() for one in beyond), strict=True):
                if by_mean > _STRANGER or by_worst > _MUCH_STRANGER:
                    refused[place].append(Refusal("unreadable", "reads stranger than the texts that it is made of"))

    def _edit(
        self, mixtures: Sequence[Mixed], texts: Sequence[Sequence[str]], refusals: Sequence[list[list[Refusal]]],
        scores: Sequence[Tensor],
    ) -> None:  # fmt: skip
        """Add to the scores what the editor's verdicts bring, and refuse what it thinks unfit to print.

        It reads what nothing else refused.
        """
        if self.editor is None:
            return
        fit = [(row, place) for row, refused in enumerate(refusals) for place, why in enumerate(refused) if not why]
        read = [(prompt(mixtures[row].parents, mixtures[row].record), texts[row][place]) for row, place in fit]
        verdicts = self.editor.verdicts(read)
        for (row, place), likely in zip(fit, verdicts, strict=True):
            scores[row][place] += _PRINTED * likely[0] + _BELONGS * likely[1]
            if float(likely[0].exp()) < _UNLIKELY:
                why = Refusal("unprintable", "reads like drafts that editors did not print")
                refusals[row][place].append(why)

    def _refusals(self, mixture: Mixed, texts: Sequence[str]) -> list[list[Refusal]]:
        """Return the rules that keep each text from being shown."""
        check = self._checker(mixture)
        usual = {fault.message for parent in mixture.parents for fault in grammar_faults(parent)}
        return [[*check.refusals(text), *_of_sources(mixture, text), *_of_grammar(text, usual)] for text in texts]

    def _scores(self, mixture: Mixed, theirs: Tensor, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """Return what each text (B,) is worth by its words and sense: near to a parent, short, and nothing added.

        The nearest of the heaviest parents counts: a text that says one of them anew reads better than one that says
        half of each. What is moved away from a text, by steering or a negative weight, should come near the wanted
        point; and a text about a subject, near to what is known of it.
        """
        if mixture.record is not None:
            aims, lighter = self.encode([about(mixture.record)]), torch.zeros(1)
        elif mixture.lighter is None:
            aims, lighter = mixture.wanted[None], torch.zeros(1)
        else:
            aims, lighter = theirs, torch.tensor(mixture.lighter)
        near = (vectors @ aims.T - lighter).amax(1)
        strays = torch.tensor([len(_strays(text, mixture.sources)) for text in texts])
        words = torch.tensor([len(text.split()) for text in texts])
        return _NEAR * near - _STRAY * strays - _WORD * words

    def _checker(self, mixture: Mixed) -> Checker:
        """Return the checks of form, and against copies, for texts beside the parents of a mixture."""
        parents, record = mixture.parents, mixture.record
        rules, stored = BrandRules.like(parents), [*parents, *mixture.apart]
        if record is not None:
            rules = rules.model_copy(update={"max_characters": max(rules.max_characters, _LONG)})
            return Checker(rules, stored, Reader(Grammar.load(), record))
        grammar = None if any(mixed_facts(parent, Grammar.load()) for parent in parents) else Grammar.load()
        return Checker(rules, stored, grammar=grammar, family=parents, any_style=True)

    def _foreign(self, mixture: Mixed) -> Tensor:
        """Return which tokens are never written, bool (V,).

        They break a line or hold a digit that no source holds, or, about a subject, are of no word that its record
        holds or that needs no source: there, such a word would be refused.
        """
        sources = mixture.sources
        digits = {letter for source in sources for letter in source if letter.isdigit()}
        foreign = torch.zeros(len(self.writer.model.get_output_embeddings().weight), dtype=torch.bool)
        if mixture.record is not None:
            foreign = ~self._written_about(sources)
        barred = [token for token, found in self._not_everywhere.items() if found is None or not found <= digits]
        foreign[barred] = True
        foreign[len(self._texts) :] = True
        return foreign

    def _written_about(self, facts: tuple[str, ...]) -> Tensor:
        """Return which tokens a text about a record may hold, bool (V,); of the last record, they are kept."""
        if facts not in self._about:
            found = self._free | self._written_with([*facts, *_as_begun(_like_those_of(facts))])
            self._about = {facts: found}
        return self._about[facts]

    def _written_with(self, texts: Iterable[str]) -> Tensor:
        """Return which tokens texts are written with, bool (V,)."""
        written = torch.zeros(len(self.writer.model.get_output_embeddings().weight), dtype=torch.bool)
        found = self.writer.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        written[[token for ids in found for token in ids]] = True
        return written

    @cached_property
    def _free(self) -> Tensor:
        """The tokens of marks, of words that need no source, and of the end."""
        free = self._written_with(_as_begun(word for word in free_words() if not is_number(word)))
        free[[token for token, text in enumerate(self._texts) if not any(map(str.isalnum, text))]] = True
        free[self.writer.end] = True
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
        size = len(self.writer.model.get_output_embeddings().weight)
        return [self.writer.detokenize([token]) for token in range(min(size, len(self.writer.tokenizer)))]


def _like_those_of(sources: tuple[str, ...]) -> tuple[str, ...]:
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


def _of_sources(mixture: Mixed, text: str) -> list[Refusal]:
    """Return refusals for what no source holds, and without a record for near copies and pastes."""
    found = [
        Refusal("invented", f"{word!r} stands in none of its sources")
        for word in inventions(text, mixture.sources, ordinary_words())
    ]
    found += [Refusal("unbacked claim", f"{words!r} ({kind}) stands in none of its sources")
              for kind, words in unbacked_claims(text, mixture.sources)]  # fmt: skip
    if mixture.record is not None:
        found += [
            Refusal("unknown word", f"{word!r} says what the record does not")
            for word in _strays(text, mixture.sources)
        ]
        found += [
            Refusal("agreement", f"{words!r} do not agree in number")
            for words in number_faults(text, mixture.record.name, mixture.sources)
        ]
        found += [Refusal("agreement", f"{words!r}: a thing must follow") for words in without_things(text)]
        return found
    near = next((parent for parent in (*mixture.parents, *mixture.apart) if likeness(text, parent) >= _COPY), None)
    if near is not None:
        found.append(Refusal("copy", f"nearly the same words as {near}"))
    if is_paste(text, mixture.parents):
        found.append(Refusal("concatenation", "the beginning of one text and the end of another"))
    return found


def _of_grammar(text: str, usual: Collection[str]) -> list[Refusal]:
    """Return refusals for faults of grammar that the parents do not have."""
    return [Refusal("grammar", f"{fault.words!r}: {fault.message}") for fault in grammar_faults(text)
            if fault.message not in usual]  # fmt: skip


def _strays(text: str, sources: Sequence[str]) -> list[str]:
    """Return the words of a text that no source holds and that people do not use freely."""
    return [word for word in unheld(text, sources) if word not in free_words()]


def _unlike(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the first candidates, as many as asked for, leaving out near copies of better ones."""
    chosen: list[Candidate] = []
    for one in found:
        if len(chosen) < count and all(likeness(one.text, better.text) < _COPY for better in chosen):
            chosen.append(one)
    return chosen


def likeness(text: str, other: str) -> float:
    """Return how much of two texts is the same words in the same order: 1 where all is.

    Examples
    --------
    >>> likeness("Only people with curly hair know.", "Only the people with curly hair know")
    0.923...
    """
    return SequenceMatcher(None, normalised(text).split(), normalised(other).split(), autojunk=False).ratio()


def is_paste(text: str, parents: Sequence[str]) -> bool:
    """Say whether nearly all of a text is runs of three words or more from two or more of its parents.

    Examples
    --------
    >>> parents = ["Stay dry on every trail with our hiking backpack.", "Why settle for flat sound? Hear every note."]
    >>> is_paste("Why settle for flat dry on every trail with our backpack.", parents)
    True
    >>> is_paste("Why settle for wet socks? Our backpack stays dry on every trail.", parents)
    False
    """
    words = normalised(text).split()
    theirs = [f" {normalised(parent)} " for parent in parents]
    covered, used, place = 0, set[int](), 0
    while place < len(words):
        longest, owner = 0, 0
        for number, parent in enumerate(theirs):
            run = 0
            while place + run < len(words) and f" {' '.join(words[place : place + run + 1])} " in parent:
                run += 1
            if run > longest:
                longest, owner = run, number
        if longest >= _RUN:
            covered += longest
            used.add(owner)
        place += max(longest, 1)
    return len(used) > 1 and covered >= _LONGEST_PASTE * len(words)
