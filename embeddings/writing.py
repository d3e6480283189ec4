"""From summary embeddings to texts: mixed, about a subject, or as near to a wanted point as a search comes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.adapter import folder_of
from embeddings.composing import Candidate, Composer, best_of
from embeddings.context import in_context
from embeddings.effort import Effort
from embeddings.encoder import ENCODER_ID, SentenceEncoder
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, around, is_new, mix, moved, wanted_point, whole_weights
from embeddings.rows import unit_rows
from embeddings.search import Case, Means, search
from embeddings.subject import SUBJECT_SLOTS, present_slots, subject_phrases
from embeddings.summary import Lineage, SummaryEmbedding
from generator.checks import STRAYS, Checker, WritingRules
from generator.decoding import Decoded, Prefix, decode
from generator.editor import Editor
from generator.grammar import Grammar
from generator.reader import GrammarReader
from generator.record import ProductRecord, choose_slots, fill, slots_of

if TYPE_CHECKING:
    from embeddings.space import Space

NOTHING_FIT = "nothing that the writer wrote is fit to print"
STOPPED = "readers stop its frame with too many facts"


@dataclass(frozen=True)
class Wording:
    """What the model wrote for one mixture, the subject's facts filled in; and a fault if it cannot be used.

    Parameters
    ----------
    text : str
    finished : bool
    fault : str, optional
    others : tuple of str
        Further texts of the mixture that may be shown: other drafts of a pretrained writer, and the same sentences with
        other facts of the subject.
    printed : float, optional
        How likely readers print the text and let it belong, where there is an editor; without a text, the likeliest
        that was refused for this alone.
    """

    text: str
    finished: bool
    fault: str | None = None
    others: tuple[str, ...] = ()
    printed: float | None = None

    @property
    def is_usable(self) -> bool:
        """Whether there is a text, with no slot open."""
        return self.fault is None and bool(self.text.strip())


@dataclass(frozen=True, eq=False)
class Mixture:
    """A text mixed from others.

    Parameters
    ----------
    text : str
    lineage : Lineage
        Parents and weights.
    semantic_consistency : float
        Cosine of the text's sentence vector to the wanted point.
    new : bool
        Whether the text is neither a parent nor a concatenation of parents.
    printed : float, optional
        How likely readers print the text as it stands and let it belong, where the writer has an editor.
    """

    text: str
    lineage: Lineage
    semantic_consistency: float
    new: bool
    printed: float | None = None


class MixtureWriter:
    """Writes what vectors of a space say, on their own or about a subject."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._phrases: tuple[ProductRecord, dict[str, Tensor]] | None = None
        self._composers: dict[Effort, Composer] = {}

    def mix(
        self,
        parents: Sequence[SummaryEmbedding],
        weights: Sequence[float],
        subject: ProductRecord | None = None,
        effort: Effort | None = None,
    ) -> Mixture:
        """Return the text written from a mixture: the best that a search finds; see `embeddings.search`.

        Parameters
        ----------
        parents : sequence of SummaryEmbedding
            Of this space.
        weights : sequence of float
            One a parent, summing to 1; slightly negative ones extrapolate.
        subject : ProductRecord, optional
            What the text should be about.
        effort : Effort, optional
            How far to search; a pretrained writer does not search (`embeddings.composing`). With a subject the wanted
            point is about other products than the text: the first of its drafts stands that is true to the record.

        Raises
        ------
        SpaceError, InputError
            If a parent is of another space, or weights do not fit.
        """
        self.space.check_mine(parents)
        weights = whole_weights(weights, len(parents))
        effort = effort or Effort()
        texts = tuple(parent.text for parent in parents)
        stacked = torch.stack([parent.vectors for parent in parents])[None]
        sentence_vectors = torch.stack([parent.sentence_vector for parent in parents])[None]
        row = torch.tensor(weights)[None]
        if subject is None:
            ((written, consistency),) = self.write_nearest(stacked, sentence_vectors, row, [texts], effort)
        else:
            (written,) = self.write_about(subject, stacked, sentence_vectors, row, [texts], effort)
            consistency = float(
                (self.space.encoder.encode([written.text]) @ wanted_point(sentence_vectors, row).T).item()
            )
        if not written.is_usable:
            reason = written.fault or "the mixture decodes to no usable text"
            lower = ""
            if written.printed is not None:
                lower = f", or a lower `printed`: the likeliest text has {written.printed:.2f}"
            raise InputError(f"{reason}; try other parents, weights or subject{lower}")
        lineage = Lineage(texts, tuple(map(float, weights)))
        return Mixture(written.text, lineage, consistency, is_new(written.text, lineage.parents), written.printed)

    def write(
        self, vectors: Tensor, subject: ProductRecord | None = None, wanted: Tensor | None = None, kept: int = 1
    ) -> list[Wording]:
        """Return what the model writes for mixed vectors (B, P, D).

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
        subject : ProductRecord, optional
            What to write about. The model writes a sentence with slots; each slot takes the phrase of the record that
            lies nearest to the wanted point.
        wanted : Tensor of shape (B, S), optional
            Wanted points; without them the model's own choice of phrase stands.
        kept : int
            Texts of each sentence, at most: with the phrases that lie nearest, and others.
        """
        vectors = in_context(self.space.model, vectors, self.space.context_ids)
        if subject is None:
            return [_without_subject(result) for result in decode(self.space.model, vectors)]
        phrases = {} if wanted is None else self._phrase_vectors(subject)
        return [
            _filled(
                result,
                subject,
                {} if wanted is None else {p: float(v @ wanted[row]) for p, v in phrases.items()},
                kept,
            )
            for row, result in enumerate(decode(self.space.model, vectors, self.subject(subject)))
        ]

    def write_from(self, vectors: Tensor) -> list[Decoded]:
        """Return what the model writes for vectors of the kind that its adapter reads: behavioural ones, say.

        Parameters
        ----------
        vectors : Tensor of shape (B, S)
            Of any length but 0; directions count.

        Raises
        ------
        InputError
            If the model has no adapter, or a vector does not fit it.

        See Also
        --------
        write : for summary embeddings.
        """
        if self.space.adapter is None:
            raise InputError(f"model {self.space.model.name!r} has no adapter; train one with `copyloom train adapter`")
        adapted = adapt(self.space.adapter, unit_rows(vectors, self.space.adapter.sentence_size))
        return decode(self.space.model, in_context(self.space.model, adapted, self.space.context_ids))

    def write_nearest(
        self, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor, texts: Sequence[Sequence[str]],
        effort: Effort, house: Checker | None = None,
    ) -> list[tuple[Wording, float]]:  # fmt: skip
        """Return for each of B mixtures the new text that says best what is wanted; see `embeddings.search`.

        Parameters
        ----------
        vectors : Tensor of shape (B, K, P, D)
            Of the parents.
        sentence_vectors : Tensor of shape (B, K, S)
        weights : Tensor of shape (B, K)
            Where all but one are 0, that parent itself comes back.
        texts : sequence of sequence of str
            The parents.
        effort : Effort
        house : Checker, optional
            Further checks that a text must pass, a brand's: the search knows them.

        Returns
        -------
        list of (Wording, float)
            With the cosine of its sentence vector to the wanted point. Where nothing acceptable is found, what the
            mixture itself decodes to; of a space that composes, no text, and `NOTHING_FIT` as its fault.
        """
        mixed = mix(vectors, sentence_vectors, weights, self.space.adapter)
        wanted = wanted_point(sentence_vectors, weights)
        parents = _weighted(texts, weights)
        between = [row for row, family in enumerate(parents) if len(family) > 1]
        if self.composer is not None:
            mixtures = [Mixed.of(mixed[row], wanted[row], texts[row], weights[row].tolist()) for row in between]
            found: list[Wording | None] = [*self.composed(mixtures, effort, house)]
        else:
            nearest = self.nearest(
                mixed[between], wanted[between], [parents[row] for row in between], effort, house=house
            )
            found = [None if text is None else Wording(text, True) for text in nearest]
        written = {row: best for row, best in zip(between, found, strict=True) if best is not None}
        rest = [row for row in range(len(mixed)) if row not in written]
        written |= dict(zip(rest, self.write(mixed[rest]), strict=True))
        chosen = [written[row] for row in range(len(mixed))]
        reached = (self.space.encoder.encode([one.text for one in chosen]) * wanted).sum(-1)
        return list(zip(chosen, reached.tolist(), strict=True))

    def write_about(
        self, subject: ProductRecord, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor,
        texts: Sequence[Sequence[str]], effort: Effort, house: Checker | None = None,
    ) -> list[Wording]:  # fmt: skip
        """Return what each of B mixtures says about a subject: the first of several drafts that is fit to show.

        Fit is a draft that is true to the record, finished, in a style of its parents, and of a form like theirs.
        Others that are fit, the same sentence with other facts of the record, come with it.

        Parameters
        ----------
        subject : ProductRecord
        vectors, sentence_vectors, weights, texts
            As `write_nearest` takes them.
        effort : Effort
            How many decodes around each mixture, the first of it itself. Where none is fit, the first that only strays
            from its parents comes back, or the very first.
        house : Checker, optional
            Further checks that make a draft unfit.
        """
        mixed = mix(vectors, sentence_vectors, weights, self.space.adapter)
        wanted = wanted_point(sentence_vectors, weights)
        if self.composer is not None:
            rows = zip(mixed, wanted, texts, weights.tolist(), strict=True)
            return self.composed([Mixed.of(*row, subject) for row in rows], effort, house)
        drafts, reader = effort.drafts, GrammarReader(Grammar.load(), subject)
        families = _weighted(texts, weights)
        several = torch.tensor([len(family) > 1 for family in families])
        if effort.jitter and several.any():
            seeds = [_seed(*row) for row in zip(texts, weights.tolist(), strict=True)]
            there = moved(mixed, wanted, seeds, self.space.adapter, effort.jitter)
            mixed = torch.where(several[:, None, None], there[0], mixed)
            wanted = torch.where(several[:, None], there[1], wanted)
        checkers = [Checker(WritingRules.like(family, subject=True), [], reader, family=family) for family in families]
        found = [fittest([one], checkers[row], house)
                 for row, one in enumerate(self.write(mixed, subject, wanted, effort.kept))]  # fmt: skip
        unfit = [row for row, (rank, _) in enumerate(found) if rank] if drafts > 1 else []
        others = around(mixed[unfit], wanted[unfit], drafts, self.space.adapter)[:, 1:]
        more = self.write(others.flatten(0, 1), subject, wanted[unfit].repeat_interleave(drafts - 1, 0), effort.kept)
        for place, row in enumerate(unfit):
            family = more[place * (drafts - 1) : (place + 1) * (drafts - 1)]
            found[row] = min(found[row], fittest(family, checkers[row], house), key=lambda one: one[0])
        return [written for _, written in found]

    @cached_property
    def composer(self) -> Composer | None:
        """What puts mixtures into words where a pretrained model writes; None where the search does."""
        model, adapter, reference = self.space.model, self.space.adapter, self.space.reference
        if reference is None or adapter is None:
            return None
        editor = Editor.load(folder_of(model.name), model)
        if model.device.has_bfloat16:
            model, reference = model.in_bfloat16(), reference.in_bfloat16()
            editor = editor and editor.in_bfloat16()
        return Composer(model, adapter, self.space.encoder.encode, reference, editor)

    def composed(self, mixtures: Sequence[Mixed], effort: Effort, house: Checker | None = None) -> list[Wording]:
        """Return the best text of each mixture, of a space that composes; its fault, where nothing is fit to print."""
        if self.composer is None:
            raise InputError(
                f"model {self.space.model.name!r} does not compose; take a pretrained writer such as smollm2"
            )
        if effort not in self._composers:
            self._composers[effort] = replace(self.composer, effort=effort)
        return [_composed(found, effort.kept) for found in self._composers[effort].candidates(mixtures, house)]

    @cached_property
    def _means(self) -> Means:
        """What a search works with: the language models and the encoder in bfloat16 where the device has it."""
        model, encoder, critic = self.space.model, self.space.encoder, self.space.critic
        if model.device.has_bfloat16:
            model, critic = model.in_bfloat16(), critic and critic.in_bfloat16()
            if encoder.name == ENCODER_ID:
                encoder = SentenceEncoder(model.device.torch, torch.bfloat16)
        return Means(model, encoder.encode, critic or model)

    def nearest(
        self, vectors: Tensor, wanted: Tensor, parents: Sequence[tuple[str, ...]], effort: Effort,
        any_style: bool = False, house: Checker | None = None,
    ) -> list[str | None]:  # fmt: skip
        """Return for each of B points the acceptable text that says best what it means; see `embeddings.search`.

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
            That should say what is wanted.
        wanted : Tensor of shape (B, S)
            The wanted points, of unit length.
        parents : sequence of tuple of str
            Texts to begin with beside the vectors' own. None of them comes back.
        effort : Effort
        any_style : bool
            Whether another style than the parents' will do.
        house : Checker, optional
            Further checks that a text must pass.

        Returns
        -------
        list of str or None
            None where nothing acceptable is found.
        """
        drafts = around(vectors, wanted, effort.drafts, self.space.adapter)
        drafts = in_context(self.space.model, drafts.flatten(0, 1), self.space.context_ids).unflatten(
            0, drafts.shape[:2]
        )
        cases = [Case(*case, any_style, house) for case in zip(drafts, wanted, parents, strict=True)]
        return list(search(self._means, cases, effort))

    def subject(self, record: ProductRecord) -> Prefix:
        """Return the prefix that tells the model what to write about.

        The shipped model reads one vector for each phrase of the record. Other models read the record as plain text.
        """
        if self.space.subject_adapter is None:
            facts = "; ".join(phrase for _, phrase in record.attributes())
            ids = torch.tensor(self.space.model.tokenize(f"About the {record.name}: {facts}.\n"))
            return Prefix(self.space.model.embed(ids).float().cpu(), torch.ones(len(ids), dtype=torch.bool))
        phrases = self._phrase_vectors(record)
        vectors = torch.zeros(len(SUBJECT_SLOTS), self.space.encoder.size)
        for position, phrase in enumerate(subject_phrases(record)):
            if phrase is not None:
                vectors[position] = phrases[phrase]
        with torch.no_grad():
            prefix = self.space.subject_adapter(vectors[None].to(self.space.model.device.torch))[0].cpu()
        return Prefix(prefix, present_slots([record])[0])

    def _phrase_vectors(self, record: ProductRecord) -> dict[str, Tensor]:
        """Return the sentence vector (S,) of each phrase of the record, encoded once."""
        if self._phrases is None or self._phrases[0] is not record:
            phrases = [phrase for phrase in subject_phrases(record) if phrase is not None]
            self._phrases = record, dict(zip(phrases, self.space.encoder.encode(phrases), strict=True))
        return self._phrases[1]


def _seed(texts: Sequence[str], weights: Sequence[float]) -> int:
    """Return a seed for the noise of a mixture, the same wherever it is written and in whichever order."""
    parts = sorted(pair for pair in zip(texts, weights, strict=True) if pair[1])
    return int.from_bytes(sha256(json.dumps(parts).encode()).digest()[:7])


def _weighted(texts: Sequence[Sequence[str]], weights: Tensor) -> list[tuple[str, ...]]:
    """Return the parents of each mixture that have a weight."""
    rows = zip(texts, weights.tolist(), strict=True)
    return [tuple(t for t, w in zip(family, shares, strict=True) if w) for family, shares in rows]


def _composed(found: Sequence[Candidate], count: int) -> Wording:
    """Return the best text of all that was written to a mixture, and others, at most `count` in all."""
    if best := best_of(found, count):
        return Wording(best[0].text, True, None, tuple(one.text for one in best[1:]), best[0].printed)
    doubtful = [one.printed for one in found if one.printed is not None]
    return Wording("", False, NOTHING_FIT, printed=max(doubtful, default=None))


def unfitness(draft: Wording, checker: Checker, house: Checker | None = None) -> int:
    """Return 0 for a draft that may be shown, 1 for one that strays from its parents, 2 for one that may not."""
    if not draft.is_usable or (house is not None and house.refusals(draft.text, draft.finished)):
        return 2
    codes = {refusal.code for refusal in checker.refusals(draft.text, draft.finished)}
    return 0 if not codes else 1 if codes <= STRAYS else 2


def fittest(drafts: Sequence[Wording], checker: Checker, house: Checker | None = None) -> tuple[int, Wording]:
    """Return the first of the fittest texts of some drafts with its `unfitness`, and all others of its draft that fit.

    Parameters
    ----------
    drafts : sequence of Wording
        At least one; with other texts of the same sentence.
    checker, house : Checker
        See `unfitness`.
    """
    found = []
    for draft in drafts:
        texts = [replace(draft, text=text, others=()) for text in (draft.text, *draft.others)]
        ranks = [unfitness(text, checker, house) for text in texts]
        best = ranks.index(min(ranks))
        fit = tuple(one.text for place, one in enumerate(texts) if not ranks[place] and place != best)
        found.append((ranks[best], replace(texts[best], others=fit)))
    return min(found, key=lambda one: one[0])


def _without_subject(decoded: Decoded) -> Wording:
    slots = slots_of(decoded.text)
    return Wording(decoded.text, decoded.finished, f"open slot {slots[0]}" if slots else None)


def _filled(decoded: Decoded, record: ProductRecord, nearness: dict[str, float], kept: int) -> Wording:
    """Return the text with its slots filled, and others; `nearness` says which phrases of one kind to take first."""
    fault = STOPPED if Grammar.load().stops(decoded.text) else None
    try:
        slotted = choose_slots(decoded.text, record, nearness, kept) if nearness else [decoded.text]
        text, *others = (fill(one, record) for one in slotted)
        return Wording(text, decoded.finished, fault, tuple(others))
    except InputError as error:
        return Wording(decoded.text, decoded.finished, str(error))
