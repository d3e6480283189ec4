"""Composing: the text of a mixture, chosen among what a pretrained writer says to it.

The writer reads the texts that are mixed, the record of what is written about if there is one, and then the mixed
vectors; it is asked many times, with the parents in either order, greedily and with draws of a fixed seed. What breaks
a rule is refused: copies and pastes, names, numbers, offers and urgency that no source holds, faults of grammar; and,
but about a record that an editor reads, texts that the pretrained model as it was before finds much stranger than the
parents. Of the others the one stands that is likeliest printed: an editor likes it (`generator.editor`), the writer is
sure of it, and it says plainly, and closely, what one of the heaviest parents says: half of each seldom makes a whole.
Where that one is doubtful, the writer is asked once more; where nothing is fit to print, the answer is that there is
nothing. Where several texts of a mixture are wanted about a record, what is fit is also offered with other facts of it,
and goes through the same rules.

Every step is deterministic, and no mixture depends on the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.adapter import AnyAdapter
from embeddings.effort import Effort
from embeddings.mixed import Mixed
from embeddings.mixing import adapt
from embeddings.prompt import about, drawn, prompt, touched
from embeddings.refusals import LONG, is_copy, refusals_of
from generator.agreement import is_plural
from generator.checks import Checker, Refusal
from generator.countability import is_uncounted
from generator.decoding import MAX_TOKENS, Choice, Decoded, Prefix, decode
from generator.editor import Editor
from generator.language_model import LanguageModel
from generator.other_facts import facts_said, with_other_facts
from generator.permitted import Permitted
from generator.readability import ORDINARY, strangeness
from generator.record import ProductRecord
from generator.words import as_written, begun_as

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
_ODDS, _NEAR, _WORD, _USUAL = -1.37, 0.84, 0.17, 0.123
"""The log-odds that a text is printed and belongs, to begin with; what a cosine brings; what a word costs; and what
every word brings that the parents have, in the mean."""
_LIKELY, _PRINTED, _BELONGS = 1.19, 0.52, 0.27
"""What a nat brings of the mean log-probability of a token, by the writer, to the prompt that fits best; and the
editor's log-odds that a text is printed and that it belongs. The weights were fitted, as a logistic regression, to
4,996 drafts that no editor had learned from; their scale, to what blind readers said of 214 chosen texts."""
_LESS = 0.5
"""Log-odds by which a text may be less likely printed than the one whose facts it changes."""
SURE = 0.8
"""Probability of being printed from which on no better text is looked for."""


@dataclass(frozen=True)
class Candidate:
    """A text that the writer wrote.

    Parameters
    ----------
    text : str
    refusals : tuple of Refusal
    score : float
        What it is worth beside others that no rule refused: the log-odds of `printed`. The refused lack what an editor
        says, and are ordered by the rest.
    printed : float, optional
        Probability that readers print it and that it belongs, where an editor read it.
    likelihood : float
        Mean log-probability of a token, by the writer, to the prompt that fits best.
    facts : frozenset of str
        The phrases of the record that it says, where there is one.
    """

    text: str
    refusals: tuple[Refusal, ...] = ()
    score: float = 0.0
    printed: float | None = None
    likelihood: float = 0.0
    facts: frozenset[str] = frozenset()

    @property
    def is_sure(self) -> bool:
        """Whether it may be shown and is sure enough to be printed; without an editor, nobody doubts it."""
        return not self.refusals and (self.printed is None or self.printed >= SURE)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the writer is asked about a mixture: prompts, vectors after them, temperatures, and what it may not say.

    Parameters
    ----------
    prefix : Prefix
        Of all prompts, each before two vectors or more.
    vectors : Tensor of shape (B, P, D)
    copies : tuple of int
        Texts that are written from each of the B.
    warmth : tuple of float
        A temperature for each text.
    banned : Tensor of shape (V,)
    longest : int
        Tokens of a text.
    """

    prefix: Prefix
    vectors: Tensor
    copies: tuple[int, ...]
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
    effort : Effort
        How often the writer is asked, and how sure a text must be of print; `turns` end where the best is `SURE`.
    """

    writer: LanguageModel
    adapter: AnyAdapter
    encode: Callable[[Sequence[str]], Tensor]
    reference: LanguageModel
    editor: Editor | None = None
    effort: Effort = field(default_factory=Effort)
    _uncounted: dict[str, bool] = field(default_factory=dict)
    _aims: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the writer write all texts of some mixtures at a time."""
        device = replace(self.writer.device, decode_rows=self.effort.together * PROMPTS * self.effort.each)
        self.writer = LanguageModel(self.writer.model, self.writer.tokenizer, self.writer.name, device)

    @cached_property
    def _permitted(self) -> Permitted:
        """Which tokens may be written."""
        return Permitted(self.writer)

    def candidates(self, mixtures: Sequence[Mixed], house: Checker | None = None) -> list[list[Candidate]]:
        """Return all that the writer says to each mixture: what may be shown first, the best of it first.

        What the checks of a `house` refuse, its brand's rules say, may not be shown. Where several texts are kept of a
        mixture with a record, what may be shown follows with other facts.
        """
        found: list[list[Candidate]] = [[] for _ in mixtures]
        for turn in range(self.effort.turns):
            again = [number for number, said in enumerate(found) if not said or not said[0].is_sure]
            if not again:
                break
            for number, said in zip(
                again, self._said([mixtures[number] for number in again], turn, house), strict=True
            ):
                found[number] = _sorted([*found[number], *said])
        return found if self.effort.kept == 1 else self._with_varied(mixtures, found, house)

    def _said(self, mixtures: Sequence[Mixed], turn: int, house: Checker | None) -> list[list[Candidate]]:
        """Return what the writer says to each mixture in a turn.

        A product's words are strange to a model: about a record an editor, where there is one, says what reads oddly.
        """
        theirs = self._encoded([one.parents for one in mixtures])
        written = self._written(mixtures, theirs, turn)
        refusals = self._refused(mixtures, written, house)
        looked_at = [n for n, one in enumerate(mixtures) if self.editor is None or one.record is None]
        if looked_at:
            self._refuse_strange([mixtures[n] for n in looked_at], [list(written[n]) for n in looked_at],
                                 [refusals[n] for n in looked_at])  # fmt: skip
        return self._judged_all(mixtures, theirs, written, refusals)

    def _with_varied(
        self, mixtures: Sequence[Mixed], found: Sequence[list[Candidate]], house: Checker | None
    ) -> list[list[Candidate]]:
        """Return what was written to each mixture, and behind what may be shown the same with other facts.

        A record's phrases are not strange in a sentence that is not: only rules and the editor look at these.
        """
        models = [self._varied(mixture, said) for mixture, said in zip(mixtures, found, strict=True)]
        if not any(models):
            return list(found)
        written = [{text: model.likelihood for text, model in one.items()} for one in models]
        theirs = self._encoded([one.parents for one in mixtures])
        every = self._judged_all(mixtures, theirs, written, self._refused(mixtures, written, house))
        more = [_sorted([one for one in varied if one.score >= model[one.text].score - _LESS])
                for varied, model in zip(every, models, strict=True)]  # fmt: skip
        return [sorted([*said, *others], key=lambda one: len(one.refusals) > 0)
                for said, others in zip(found, more, strict=True)]  # fmt: skip

    def _varied(self, mixture: Mixed, said: Sequence[Candidate]) -> dict[str, Candidate]:
        """Return texts with other facts than what may be shown of a mixture, and what each is made of.

        At most `kept` are looked at, in turns one of each text, with the facts first that lie near to the wanted point.
        """
        phrases = [phrase for _, phrase in mixture.record.attributes()] if mixture.record else []
        if mixture.record is None or not phrases:
            return {}
        nearness = dict(zip(phrases, (self.encode(phrases) @ mixture.wanted).tolist(), strict=True))
        kept, known = self.effort.kept, {one.text for one in said}
        rows = [[(text, one) for text in with_other_facts(one.text, mixture.record, nearness, kept)]
                for one in best_of(said, kept)]  # fmt: skip
        turns = (pair for turn in itertools.zip_longest(*rows) for pair in turn if pair and pair[0] not in known)
        return dict(itertools.islice(turns, kept))

    def _refused(
        self, mixtures: Sequence[Mixed], texts: Sequence[Collection[str]], house: Checker | None
    ) -> list[list[list[Refusal]]]:
        """Return which rules keep each text of each mixture from being shown, the house's too."""
        found = [refusals_of(mixture, list(said), self._is_uncounted(mixture.record))
                 for mixture, said in zip(mixtures, texts, strict=True)]  # fmt: skip
        if house is not None:
            for said, refused in zip(texts, found, strict=True):
                for text, why in zip(said, refused, strict=True):
                    why += house.refusals(text)
        return found

    def _judged_all(
        self, mixtures: Sequence[Mixed], theirs: Sequence[Tensor], written: Sequence[dict[str, float]],
        refusals: Sequence[list[list[Refusal]]],
    ) -> list[list[Candidate]]:  # fmt: skip
        """Return the texts of each mixture as candidates; see `_judged`."""
        vectors = self._encoded([list(one) for one in written])
        return [self._judged(*row) for row in zip(mixtures, theirs, written, vectors, refusals, strict=True)]

    def _is_uncounted(self, record: ProductRecord | None) -> bool:
        """Say whether nobody counts what a record is about."""
        if record is None:
            return False
        if record.name not in self._uncounted:
            self._uncounted[record.name] = not is_plural(record.name) and is_uncounted(record.name, self.reference)
        return self._uncounted[record.name]

    def _aim(self, said: str) -> Tensor:
        """Return the sentence vector (1, S) of what is known of a record, encoded once: many mixtures are about one."""
        if said not in self._aims:
            self._aims[said] = self.encode([said])
        return self._aims[said]

    def _encoded(self, texts: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        """Return the sentence vectors (K, S) of each family of texts."""
        return self.encode([text for family in texts for text in family]).split([len(family) for family in texts])

    def _written(self, mixtures: Sequence[Mixed], theirs: Sequence[Tensor], turn: int) -> list[dict[str, float]]:
        """Return the finished texts that the writer writes to each mixture, and how likely it finds them at most.

        Mixtures with prompts of a length are written together; which ones makes no difference, nor in which order.
        """
        asked = [self._asked(*row) for row in zip(mixtures, theirs, strict=True)]
        alike: dict[tuple[int, int], list[int]] = {}
        for number, one in enumerate(asked):
            alike.setdefault((one.prefix.present.shape[1], len(one.vectors)), []).append(number)
        texts: list[dict[str, float]] = [{} for _ in mixtures]
        for _, numbers in sorted(alike.items()):
            numbers.sort(key=lambda number: asked[number].longest)  # so that few wait for a longer text
            for first in range(0, len(numbers), self.effort.together):
                chunk = numbers[first : first + self.effort.together]
                found = self._decoded([asked[number] for number in chunk], turn)
                for number, said in zip(chunk, found, strict=True):
                    for draft in said:
                        text = as_written(draft.text.strip(), mixtures[number].sources)
                        text = begun_as(text, mixtures[number].parents)
                        if text and draft.finished and len(draft.ids) < asked[number].longest:
                            texts[number][text] = max(draft.likelihood, texts[number].get(text, -torch.inf))
        return texts

    def _decoded(self, asked: list[_Asked], turn: int) -> list[list[Decoded]]:
        """Return what the writer writes to at most `together` mixtures with prompts of one length."""
        rows, count = PROMPTS * self.effort.each, len(asked)
        asked = asked + asked[-1:] * (self.effort.together - count)
        prefix = Prefix(
            torch.cat([one.prefix.vectors for one in asked]),
            torch.cat([one.prefix.present for one in asked]),
            tuple(times for one in asked for times in one.prefix.times or ()),
        )
        coolest = 0.0 if turn == 0 else _COOLEST  # what is likeliest has been said
        warmth = tuple(max(temperature, coolest) for one in asked for temperature in one.warmth)
        banned = torch.stack([one.banned for one in asked]).repeat_interleave(rows, 0)
        copies = tuple(times for one in asked for times in one.copies)
        choice = Choice(warmth, seed=turn, banned=banned, every=rows, copies=copies)
        longest = max(one.longest for one in asked)
        if self.writer.device.compiles_shapes:
            longest = MAX_TOKENS  # the cache has so many places, whichever mixtures are written together
        found = decode(self.writer, torch.cat([one.vectors for one in asked]), prefix, longest, choice=choice)
        return [found[number * rows : (number + 1) * rows] for number in range(count)]

    def _asked(self, mixture: Mixed, theirs: Tensor) -> _Asked:
        """Return what the writer is asked about a mixture of parents with sentence vectors (K, S).

        It reads the parents in either order, with the mixture's vectors and with others that lean to a parent; and each
        of the two heaviest parents alone, with its own vectors and with others that lean to it: of two texts that have
        little in common, it says one anew. Of a long record each prompt tells other facts.
        """
        parents = mixture.parents
        leaning, own = (self._leaning(mixture, theirs, share) for share in (0.5, 1.0))
        places = (0, min(1, len(parents) - 1))
        read = (parents, parents[::-1], *(parents[place : place + 1] for place in places))
        records = [mixture.record and drawn(mixture.record, f"{number} {parents}") for number in range(len(read))]
        answers = [torch.cat([mixture.vectors[None], leaning[: self.effort.each]])] * 2
        answers += [torch.stack([own[place], leaning[place]]) for place in places]
        copies = (self._copies(1) + self._copies(len(answers[0]) - 1)) * 2 + self._copies(2) * 2
        longest = int(_LONGER * max(len(self.writer.tokenize(text)) for text in parents)) + _ROOM
        return _Asked(
            replace(self._read(list(map(prompt, read, records))), times=tuple(map(len, answers))),
            torch.cat(answers),
            copies,
            tuple(warmth for times in copies for warmth in _warmth(times)) if len(parents) > 1 else self._ladder(),
            self._permitted.barred(mixture.sources, mixture.record is not None),
            min(MAX_TOKENS, longest if mixture.record is None else max(longest, LONG // _LETTERS)),
        )

    def _copies(self, vectors: int) -> tuple[int, ...]:
        """Return how many of `each` texts are written from each of some vectors, at most `each`."""
        return tuple(-(-(self.effort.each - place) // vectors) for place in range(vectors))

    def _ladder(self) -> tuple[float, ...]:
        """Return a temperature for each text of all prompts, where these are the same."""
        return tuple(torch.linspace(0.0, _WARMEST, PROMPTS * self.effort.each).tolist())

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

    def _judged(
        self, mixture: Mixed, theirs: Tensor, written: dict[str, float], vectors: Tensor, refusals: list[list[Refusal]]
    ) -> list[Candidate]:
        """Return what was written to a mixture, and how it would do in print; the unfit is refused.

        The editor reads what nothing else refused; of a long record, what any of these texts may have taken from it.
        """
        texts = list(written)
        odds = self._odds(mixture, theirs, texts, vectors) + _LIKELY * torch.tensor(list(written.values()))
        printed: list[float | None] = [None] * len(texts)
        fit = [place for place, why in enumerate(refusals) if not why]
        if self.editor is not None and fit:
            asked = [texts[place] for place in fit]
            said = self.editor.verdicts(
                prompt(mixture.parents, mixture.record and touched(mixture.record, asked)), asked
            )
            odds[fit] += said @ torch.tensor([_PRINTED, _BELONGS])
            for place, likely in zip(fit, odds[fit].sigmoid().tolist(), strict=True):
                printed[place] = likely
                if likely < self.effort.printed:
                    refusals[place].append(Refusal("unprintable", "reads like drafts that editors did not print"))
        facts = [_facts(text, mixture.record) for text in texts]
        return [Candidate(text, tuple(why), float(worth), *rest)
                for text, why, worth, *rest in
                zip(texts, refusals, odds, printed, written.values(), facts, strict=True)]  # fmt: skip

    def _odds(self, mixture: Mixed, theirs: Tensor, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """Return what each text (B,) is worth by its length and sense: short, and near to a parent.

        The nearest of the heaviest parents counts: a text that says one of them anew reads better than one that says
        half of each; and short is what is shorter than they are. What is moved away from a text, by steering or a
        negative weight, should come near the wanted point; and a text about a subject, near to what is known of it.
        """
        if mixture.record is not None:
            aims, lighter = self._aim(about(mixture.record)), torch.zeros(1)
        elif mixture.lighter is None:
            aims, lighter = mixture.wanted[None], torch.zeros(1)
        else:
            aims, lighter = theirs, torch.tensor(mixture.lighter)
        near = (vectors @ aims.T - lighter).amax(1)
        words = torch.tensor([len(text.split()) for text in texts])
        usual = sum(len(parent.split()) for parent in mixture.parents) / len(mixture.parents)
        return _ODDS + _NEAR * near - _WORD * words + _USUAL * usual


def _warmth(times: int) -> list[float]:
    """Return the temperatures of so many texts from the same vectors: the likeliest first."""
    return [0.0, *torch.linspace(_COOLEST, _WARMEST, times - 1).tolist()]


def _sorted(found: Sequence[Candidate]) -> list[Candidate]:
    """Return each text once, at its best: what may be shown first, the best of it first."""
    best: dict[str, Candidate] = {}
    for one in sorted(found, key=lambda one: (len(one.refusals) > 0, -one.score)):
        best.setdefault(one.text, one)
    return list(best.values())


def best_of(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the first candidates that may be shown, at most `count`, leaving out copies of better ones.

    What says other facts is no copy.
    """
    chosen: list[Candidate] = []
    for one in found:
        alike = [better for better in chosen if better.facts == one.facts]
        if not one.refusals and len(chosen) < count and not any(is_copy(one.text, better.text) for better in alike):
            chosen.append(one)
    return chosen


def _facts(text: str, record: ProductRecord | None) -> frozenset[str]:
    return frozenset(said.phrase for said in facts_said(text, record)) if record else frozenset()
