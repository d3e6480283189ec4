"""Writing: from vectors to texts, about a subject or as near to a wanted point as a search comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.adapter import AnyAdapter, folder_of
from embeddings.composing import Candidate, Composer, best_of
from embeddings.effort import Effort
from embeddings.encoder import ENCODER_ID, Encoder, SentenceEncoder
from embeddings.inversion import Context, in_context
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, around, mix, wanted_point
from embeddings.rows import unit_rows
from embeddings.search import Case, Means, search
from embeddings.subject import SUBJECT_SLOTS, SubjectAdapter, present_slots, subject_phrases
from generator.checks import STRAYS, BrandRules, Checker
from generator.decoding import MAX_TOKENS, Decoded, Prefix, decode
from generator.editor import Editor
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.reader import Reader
from generator.record import ProductRecord, choose_slots, fill, slots_of

NOTHING_FIT = "nothing that the writer wrote is fit to print"


@dataclass(frozen=True)
class Written:
    """What the model wrote for one mixture, the subject's facts filled in; and a fault if it cannot be used.

    Parameters
    ----------
    text : str
    finished : bool
    fault : str, optional
    others : tuple of str
        Further texts of the mixture that may be shown, where a pretrained writer composes.
    printed : float, optional
        How likely readers print the text and let it belong, where there is an editor; without a text, the likeliest
        that was refused for this alone.
    """

    text: str
    finished: bool
    fault: str | None = None
    others: tuple[str, ...] = ()
    printed: float | None = None


class Writing:
    """What a language model writes for vectors; `embeddings.space.Space` adds how vectors are found and mixed.

    Parameters
    ----------
    model, encoder, adapter, subject_adapter, context, critic, reference
        See `embeddings.space.Space`.
    """

    def __init__(
        self, model: LanguageModel, encoder: Encoder, adapter: AnyAdapter | None,
        subject_adapter: SubjectAdapter | None, context: tuple[str, str], critic: LanguageModel | None,
        reference: LanguageModel | None,
    ) -> None:  # fmt: skip
        self.model, self.encoder, self.critic, self.reference = model, encoder, critic or model, reference
        before, after = (tuple(model.tokenize(text)) for text in context)
        self.context_ids = Context(before, after)
        self.adapter, self.subject_adapter = adapter, subject_adapter
        self._phrases: dict[str, Any] = {}
        self._composers: dict[tuple[float, ...], Composer] = {}

    def mix_many(self, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor) -> Tensor:
        """Return the vectors (B, P, D) of B mixtures; see `embeddings.mixing.mix` for the shapes."""
        return mix(vectors, sentence_vectors, weights, self.adapter)

    def write(
        self, vectors: Tensor, subject: ProductRecord | None = None, wanted: Tensor | None = None
    ) -> list[Written]:
        """Return what the model writes for mixed vectors (B, P, D).

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
        subject : ProductRecord, optional
            What to write about. The model writes a sentence with slots; each slot takes the phrase of the record that
            lies nearest to the wanted point.
        wanted : Tensor of shape (B, S), optional
            Wanted points; without them the model's own choice of phrase stands.
        """
        vectors = in_context(self.model, vectors, self.context_ids)
        if subject is None:
            return [_without_subject(result) for result in decode(self.model, vectors)]
        phrases = {} if wanted is None else self._phrase_vectors(subject)
        return [
            _filled(
                result,
                subject,
                {} if wanted is None else {p: float(v @ wanted[row]) for p, v in phrases.items()},
            )
            for row, result in enumerate(decode(self.model, vectors, self.subject(subject)))
        ]

    def write_from(self, vectors: Tensor, max_tokens: int = MAX_TOKENS) -> list[Decoded]:
        """Return what the model writes for vectors of the kind that its adapter reads: behavioural ones, say.

        Parameters
        ----------
        vectors : Tensor of shape (B, S)
            Of any length but 0; directions count.
        max_tokens : int

        Raises
        ------
        InputError
            If the model has no adapter, or a vector does not fit it.

        See Also
        --------
        write : for summary embeddings.
        """
        if self.adapter is None:
            raise InputError(f"model {self.model.name!r} has no adapter; train one with `copyloom train adapter`")
        adapted = adapt(self.adapter, unit_rows(vectors, self.adapter.sentence_size))
        return decode(self.model, in_context(self.model, adapted, self.context_ids), max_tokens=max_tokens)

    def write_nearest(
        self, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor, texts: Sequence[Sequence[str]],
        effort: Effort, house: Checker | None = None,
    ) -> list[tuple[Written, float]]:  # fmt: skip
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
        list of (Written, float)
            With the cosine of its sentence vector to the wanted point. Where nothing acceptable is found, what the
            mixture itself decodes to; of a space that composes, no text, and `NOTHING_FIT` as its fault.
        """
        mixed, wanted = self.mix_many(vectors, sentence_vectors, weights), wanted_point(sentence_vectors, weights)
        parents = _weighted(texts, weights)
        between = [row for row, family in enumerate(parents) if len(family) > 1]
        if self.composer is not None:
            mixtures = [Mixed.of(mixed[row], wanted[row], texts[row], weights[row].tolist()) for row in between]
            found: list[Written | None] = [*self.composed(mixtures, effort, house)]
        else:
            nearest = self.nearest(
                mixed[between], wanted[between], [parents[row] for row in between], effort, house=house
            )
            found = [None if text is None else Written(text, True) for text in nearest]
        written = {row: best for row, best in zip(between, found, strict=True) if best is not None}
        rest = [row for row in range(len(mixed)) if row not in written]
        written |= dict(zip(rest, self.write(mixed[rest]), strict=True))
        chosen = [written[row] for row in range(len(mixed))]
        reached = (self.encoder.encode([one.text for one in chosen]) * wanted).sum(-1)
        return list(zip(chosen, reached.tolist(), strict=True))

    def write_about(
        self, subject: ProductRecord, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor,
        texts: Sequence[Sequence[str]], effort: Effort, house: Checker | None = None,
    ) -> list[Written]:  # fmt: skip
        """Return what each of B mixtures says about a subject: the first of several drafts that is fit to show.

        Fit is a draft that is true to the record, finished, in a style of its parents, and of a form like theirs.

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
        mixed, wanted = self.mix_many(vectors, sentence_vectors, weights), wanted_point(sentence_vectors, weights)
        if self.composer is not None:
            rows = zip(mixed, wanted, texts, weights.tolist(), strict=True)
            return self.composed([Mixed.of(*row, subject) for row in rows], effort, house)
        drafts, reader = effort.drafts, Reader(Grammar.load(), subject)
        families = _weighted(texts, weights)
        checkers = [Checker(BrandRules.like(family, subject=True), [], reader, family=family) for family in families]
        found = self.write(mixed, subject, wanted)
        unfit = [row for row, one in enumerate(found) if unfitness(one, checkers[row], house)] if drafts > 1 else []
        others = around(mixed[unfit], wanted[unfit], drafts, self.adapter)[:, 1:]
        more = self.write(others.flatten(0, 1), subject, wanted[unfit].repeat_interleave(drafts - 1, 0))
        for place, row in enumerate(unfit):
            family = [found[row], *more[place * (drafts - 1) : (place + 1) * (drafts - 1)]]
            ranks = [unfitness(one, checkers[row], house) for one in family]
            found[row] = family[ranks.index(min(ranks))]
        return found

    @cached_property
    def composer(self) -> Composer | None:
        """What puts mixtures into words where a pretrained model writes; None where the search does."""
        if self.reference is None or self.adapter is None:
            return None
        model, reference, editor = self.model, self.reference, Editor.load(folder_of(self.model.name), self.model)
        if model.device.has_bfloat16:
            model, reference = model.in_bfloat16(), reference.in_bfloat16()
            editor = editor and editor.in_bfloat16()
        return Composer(model, self.adapter, self.encoder.encode, reference, editor)

    def composed(self, mixtures: Sequence[Mixed], effort: Effort, house: Checker | None = None) -> list[Written]:
        """Return the best text of each mixture, of a space that composes; its fault, where nothing is fit to print."""
        if self.composer is None:
            raise InputError(f"model {self.model.name!r} does not compose; take a pretrained writer such as smollm2")
        how = {name: getattr(effort, name) for name in ("each", "together", "turns", "printed")}
        shape = tuple(how.values())
        if shape not in self._composers:
            self._composers[shape] = replace(self.composer, **how)
        return [_composed(found, effort.kept) for found in self._composers[shape].candidates(mixtures, house)]

    @cached_property
    def _means(self) -> Means:
        """What a search works with: the language models and the encoder in bfloat16 where the device has it."""
        model, encoder, critic = self.model, self.encoder, self.critic
        if model.device.has_bfloat16:
            model = model.in_bfloat16()
            critic = model if critic is self.model else critic.in_bfloat16()
            if encoder.name == ENCODER_ID:
                encoder = SentenceEncoder(model.device.torch, torch.bfloat16)
        return Means(model, encoder.encode, critic)

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
        drafts = around(vectors, wanted, effort.drafts, self.adapter)
        drafts = in_context(self.model, drafts.flatten(0, 1), self.context_ids).unflatten(0, drafts.shape[:2])
        cases = [Case(*case, any_style, house) for case in zip(drafts, wanted, parents, strict=True)]
        return list(search(self._means, cases, effort))

    def subject(self, record: ProductRecord) -> Prefix:
        """Return the prefix that tells the model what to write about.

        The shipped model reads one vector for each phrase of the record. Other models read the record as plain text.
        """
        if self.subject_adapter is None:
            facts = "; ".join(phrase for _, phrase in record.attributes())
            ids = torch.tensor(self.model.tokenize(f"About the {record.name}: {facts}.\n"))
            return Prefix(self.model.embed(ids).float().cpu(), torch.ones(len(ids), dtype=torch.bool))
        phrases = self._phrase_vectors(record)
        vectors = torch.zeros(len(SUBJECT_SLOTS), self.encoder.size)
        for position, phrase in enumerate(subject_phrases(record)):
            if phrase is not None:
                vectors[position] = phrases[phrase]
        with torch.no_grad():
            prefix = self.subject_adapter(vectors[None].to(self.model.device.torch))[0].cpu()
        return Prefix(prefix, present_slots([record])[0])

    def _phrase_vectors(self, record: ProductRecord) -> dict[str, Tensor]:
        """Return the sentence vector (S,) of each phrase of the record, encoded once."""
        if self._phrases.get("record") is not record:
            phrases = [phrase for phrase in subject_phrases(record) if phrase is not None]
            self._phrases = {
                "record": record,
                "vectors": dict(zip(phrases, self.encoder.encode(phrases), strict=True)),
            }
        return self._phrases["vectors"]


def _weighted(texts: Sequence[Sequence[str]], weights: Tensor) -> list[tuple[str, ...]]:
    """Return the parents of each mixture that have a weight."""
    rows = zip(texts, weights.tolist(), strict=True)
    return [tuple(t for t, w in zip(family, shares, strict=True) if w) for family, shares in rows]


def _composed(found: Sequence[Candidate], count: int) -> Written:
    """Return the best text of all that was written to a mixture, and others, at most `count` in all."""
    if best := best_of(found, count):
        return Written(best[0].text, True, None, tuple(one.text for one in best[1:]), best[0].printed)
    doubtful = [one.printed for one in found if one.printed is not None]
    return Written("", False, NOTHING_FIT, printed=max(doubtful, default=None))


def is_usable(draft: Written) -> bool:
    """Say whether there is a text, with no slot open."""
    return draft.fault is None and bool(draft.text.strip())


def unfitness(draft: Written, checker: Checker, house: Checker | None = None) -> int:
    """Return 0 for a draft that may be shown, 1 for one that strays from its parents, 2 for one that may not."""
    if not is_usable(draft) or (house is not None and house.refusals(draft.text, draft.finished)):
        return 2
    codes = {refusal.code for refusal in checker.refusals(draft.text, draft.finished)}
    return 0 if not codes else 1 if codes <= STRAYS else 2


def _without_subject(decoded: Decoded) -> Written:
    slots = slots_of(decoded.text)
    return Written(decoded.text, decoded.finished, f"open slot {slots[0]}" if slots else None)


def _filled(decoded: Decoded, record: ProductRecord, nearness: dict[str, float]) -> Written:
    """Return the text with its slots filled; `nearness` says which of several phrases of one kind to take first."""
    try:
        slotted = choose_slots(decoded.text, record, nearness) if nearness else decoded.text
        return Written(fill(slotted, record), decoded.finished)
    except InputError as error:
        return Written(decoded.text, decoded.finished, str(error))
