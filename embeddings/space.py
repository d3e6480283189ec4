"""A space: a frozen language model, a sentence encoder and an adapter, and all that goes from text to text in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.adapter import Adapter, adapter_hash, load_adapters, load_language_model, load_settings
from embeddings.any_encoder import encoder_of
from embeddings.effort import Effort
from embeddings.encoder import Encoder, SentenceEncoder
from embeddings.inversion import (
    Context,
    InversionConfig,
    Inverter,
    Progress,
    Refused,
    Start,
    check_texts,
    decode_texts,
    fault,
    in_context,
)
from embeddings.mixing import adapt, around, check_weights, is_new, mix, wanted_point
from embeddings.rows import unit_rows
from embeddings.search import Case, search
from embeddings.slots import Target
from embeddings.starts import random_start, token_mean_start
from embeddings.subject import SUBJECT_SLOTS, SubjectAdapter, present_slots, subject_phrases
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, check_same_space
from generator.checks import BrandRules, Checker
from generator.decoding import MAX_TOKENS, Decoded, Prefix, decode
from generator.device import Device
from generator.grammar import Grammar
from generator.language_model import SHIPPED, SHIPPED_FOLDER, LanguageModel
from generator.reader import Reader
from generator.record import ProductRecord, choose_slots, fill, slots_of

DEFAULT_VECTORS = 4
"""P for models without an adapter."""
_ANY_FORM = BrandRules(min_characters=1, max_characters=10_000, full_stop=False)
"""Rules that ask nothing of a text's form but that it be finished and not repeat itself."""
_READ_AHEAD = 256
"""Texts that are encoded together on their way to inversion."""


@dataclass(frozen=True)
class Written:
    """What the model wrote for one mixture, the subject's facts filled in; and a fault if it cannot be used."""

    text: str
    finished: bool
    fault: str | None = None


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
    """

    text: str
    lineage: Lineage
    semantic_consistency: float
    new: bool


class Space:
    """Everything between texts and summary embeddings, for one language model.

    Parameters
    ----------
    model : LanguageModel
    encoder : Encoder
    adapter : Adapter, optional
    subject_adapter : SubjectAdapter, optional
    vectors : int
        P, for models without an adapter.
    context : tuple of str
        Texts that always stand before and after the vectors: a product, an author, a channel. Embeddings learn what
        they do not say, and belong to a space of their own.
    """

    def __init__(
        self,
        model: LanguageModel,
        encoder: Encoder,
        adapter: Adapter | None = None,
        subject_adapter: SubjectAdapter | None = None,
        vectors: int = DEFAULT_VECTORS,
        context: tuple[str, str] = ("", ""),
    ) -> None:
        self.model, self.encoder, self.context = model, encoder, context
        before, after = (tuple(model.tokenize(text)) for text in context)
        self.context_ids = Context(before, after)
        self.adapter, self.subject_adapter = adapter, subject_adapter
        self.vectors = adapter.vectors if adapter else vectors
        self.prefix = self.vectors + len(self.context_ids)
        self._phrases: dict[str, Any] = {}

    @classmethod
    def load(
        cls,
        name: str = SHIPPED,
        device: str = "auto",
        vectors: int = DEFAULT_VECTORS,
        context: tuple[str, str] = ("", ""),
    ) -> Space:
        """Return the space of the shipped model, or of the causal model at a path or hub id; see `Space`.

        Raises
        ------
        InputError, DeviceError
            If the model or the device is not there.
        """
        chosen = Device.choose(device)
        model = load_language_model(name, chosen)
        folder = SHIPPED_FOLDER if name == SHIPPED else Path(name).expanduser()
        settings = load_settings(folder)
        if settings is None:
            return cls(model, SentenceEncoder(chosen.torch), vectors=vectors, context=context)
        adapter, subject_adapter = load_adapters(folder)
        for part in (adapter, subject_adapter):
            if part is not None:
                part.to(chosen.torch).eval().requires_grad_(False)
        return cls(model, encoder_of(settings, chosen.torch), adapter, subject_adapter, context=context)

    @cached_property
    def identity(self) -> SpaceIdentity:
        """What embeddings of this space carry, so that they are never mixed with others."""
        model = self.model.identity
        between = " between {!r} and {!r}".format(*self.context) if any(self.context) else ""
        return SpaceIdentity(
            model=model.model,
            parameters=model.parameters,
            tokenizer=model.tokenizer,
            encoder=self.encoder.name,
            adapter=adapter_hash(self.adapter) if self.adapter else "",
            vectors=self.vectors,
            hidden_size=model.hidden_size,
            decoding=f"greedy, constant shape{between}",
        )

    def invert(
        self,
        texts: Sequence[str],
        config: InversionConfig | None = None,
        progress: Progress = lambda done, total: None,
        starts: Tensor | None = None,
    ) -> list[SummaryEmbedding]:
        """Return the summary embedding of each text; one that stays inexact is returned and says so.

        Parameters
        ----------
        texts : sequence of str
        config : InversionConfig, optional
        progress : callable
        starts : Tensor of shape (B, P, D), optional
            Where to start, with ``start="given"``: vectors found under another version of the model, say.

        Raises
        ------
        InputError
            If a text cannot be inverted, or the adapter start is asked of a model without adapter.
        """
        config = config or self.default_inversion
        check_texts(self.model, texts, config, self.prefix)
        self.check_start(config, texts, starts)
        found: dict[int, SummaryEmbedding] = {}
        for index, embedding in self.stream(texts, config, starts):
            if isinstance(embedding, SummaryEmbedding):
                found[index] = embedding
            progress(len(found), len(texts))
        return [found[index] for index in range(len(texts))]

    def stream(
        self, texts: Iterable[str], config: InversionConfig | None = None, starts: Tensor | None = None
    ) -> Iterator[tuple[int, SummaryEmbedding | Refused]]:
        """Yield (number, embedding) of each text as it is finished, in any order; of unfit ones what is wrong.

        Texts are read some hundreds ahead, so that memory does not grow with their number.

        Raises
        ------
        InputError
            If the adapter start is asked of a model without adapter, or starts do not fit.
        """
        config = config or self.default_inversion
        self.check_start(config, None, starts)
        known: dict[int, tuple[str, Tensor]] = {}
        targets = self._targets(enumerate(texts), config, starts, known)
        for result in Inverter(self.model, config, self.context_ids).run(targets):
            if isinstance(result, Refused):
                yield result.index, result
                continue
            text, sentence_vector = known.pop(result.index)
            yield (
                result.index,
                SummaryEmbedding(
                    *(text, result.vectors, sentence_vector, self.identity),
                    *(result.exact, result.margin, result.steps, config.start),
                ),
            )

    def _targets(
        self, texts: Iterator[tuple[int, str]], config: InversionConfig, starts: Tensor | None,
        known: dict[int, tuple[str, Tensor]],
    ) -> Iterator[Target | Refused]:  # fmt: skip
        """Yield the targets of fit texts, noting each in `known`, and why the others are unfit."""
        while chunk := list(islice(texts, _READ_AHEAD)):
            if starts is not None and chunk[-1][0] >= len(starts):
                raise InputError(f"{len(starts)} starts were given for more texts; give one start a text")
            fit = []
            for index, text in chunk:
                reason = fault(self.model, text, config, self.prefix)
                if reason is None:
                    fit.append((index, text))
                else:
                    yield Refused(index, text, reason)
            sentence_vectors = self.encoder.encode([text for _, text in fit])
            given = None if starts is None else starts[[index for index, _ in fit]]
            first = self.starts([text for _, text in fit], sentence_vectors, config.start) if given is None else given
            for (index, text), sentence_vector, start in zip(fit, sentence_vectors, first, strict=True):
                known[index] = (text, sentence_vector)
                yield Target.of(self.model, index, text, start, sentence_vector)

    @property
    def default_inversion(self) -> InversionConfig:
        """Inversion from the adapter where there is one, else from the token mean."""
        return InversionConfig(start="adapter" if self.adapter else "token_mean")

    def mix(
        self,
        parents: Sequence[SummaryEmbedding],
        weights: Sequence[float],
        subject: ProductRecord | None = None,
        effort: Effort | None = None,
    ) -> Mixture:
        """Return the text written from a mixture: the nearest to the wanted point that a search finds.

        Parameters
        ----------
        parents : sequence of SummaryEmbedding
            Of this space.
        weights : sequence of float
            One a parent, summing to 1; slightly negative ones extrapolate.
        subject : ProductRecord, optional
            What the text should be about.
        effort : Effort, optional
            How far to search. With a subject the wanted point is about other products than the text: the first of its
            drafts stands that is true to the record.

        Raises
        ------
        SpaceError, InputError
            If a parent is of another space, or weights do not fit.
        """
        self.check_mine(parents)
        check_weights(weights, len(parents))
        effort = effort or Effort()
        texts = tuple(parent.text for parent in parents)
        stacked = torch.stack([parent.vectors for parent in parents])[None]
        sentence_vectors = torch.stack([parent.sentence_vector for parent in parents])[None]
        row = torch.tensor(list(weights))[None]
        if subject is None:
            ((written, consistency),) = self.write_nearest(stacked, sentence_vectors, row, [texts], effort)
        else:
            (written,) = self.write_about(subject, stacked, sentence_vectors, row, effort.drafts)
            consistency = float((self.encoder.encode([written.text]) @ wanted_point(sentence_vectors, row).T).item())
        if not _usable(written):
            raise InputError("the mixture decodes to no usable text; try other parents, weights or subject")
        lineage = Lineage(texts, tuple(map(float, weights)))
        return Mixture(written.text, lineage, consistency, is_new(written.text, lineage.parents))

    def mix_many(self, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor) -> Tensor:
        """Return the vectors (B, P, D) of B mixtures; see `embeddings.mixing.mix` for the shapes."""
        return mix(vectors, sentence_vectors, weights, self.adapter)

    def decode(self, embeddings: Sequence[SummaryEmbedding]) -> list[str]:
        """Return the text that each embedding decodes to: its own, where it is exact.

        Raises
        ------
        InputError, SpaceError
            As `check_mine`.
        """
        self.check_mine(embeddings)
        return decode_texts(self.model, [e.vectors for e in embeddings], [e.text for e in embeddings], self.context_ids)

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
        effort: Effort,
    ) -> list[tuple[Written, float]]:  # fmt: skip
        """Return for each of B mixtures the new text nearest to its wanted point; see `embeddings.search`.

        Parameters
        ----------
        vectors : Tensor of shape (B, K, P, D)
            Of the parents.
        sentence_vectors : Tensor of shape (B, K, S)
        weights : Tensor of shape (B, K)
            Where one is 1, the parent itself comes back.
        texts : sequence of sequence of str
            The parents.
        effort : Effort

        Returns
        -------
        list of (Written, float)
            With the cosine of its sentence vector to the wanted point. Where nothing acceptable is found, what the
            mixture itself decodes to.
        """
        mixed, wanted = self.mix_many(vectors, sentence_vectors, weights), wanted_point(sentence_vectors, weights)
        between = [row for row, shares in enumerate(weights.tolist()) if 1.0 not in shares]
        parents = [tuple(t for t, w in zip(texts[row], weights[row].tolist(), strict=True) if w) for row in between]
        found = self.nearest(mixed[between], wanted[between], parents, effort)
        written = {row: best for row, best in zip(between, found, strict=True) if best is not None}
        rest = [row for row in range(len(mixed)) if row not in written]
        written |= dict(zip(rest, self.write(mixed[rest]), strict=True))
        chosen = [written[row] for row in range(len(mixed))]
        reached = (self.encoder.encode([one.text for one in chosen]) * wanted).sum(-1)
        return list(zip(chosen, reached.tolist(), strict=True))

    def write_about(
        self, subject: ProductRecord, vectors: Tensor, sentence_vectors: Tensor, weights: Tensor, drafts: int = 1
    ) -> list[Written]:
        """Return what each of B mixtures says about a subject: the first of several drafts that is true to its record.

        Parameters
        ----------
        subject : ProductRecord
        vectors, sentence_vectors, weights : Tensor of shape (B, K, P, D), (B, K, S) and (B, K)
            As `write_nearest` takes them.
        drafts : int
            Decodes around each mixture, the first of it itself; where none is true, that one comes back.
        """
        wanted = wanted_point(sentence_vectors, weights)
        around_each = around(self.mix_many(vectors, sentence_vectors, weights), wanted, drafts, self.adapter)
        written = self.write(around_each.flatten(0, 1), subject, wanted.repeat_interleave(drafts, 0))
        checker = Checker(_ANY_FORM, [], Reader(Grammar.load(), subject))
        families = [written[row * drafts : (row + 1) * drafts] for row in range(len(wanted))]
        return [
            next((one for one in family if _usable(one) and not checker.refusals(one.text, one.finished)), family[0])
            for family in families
        ]

    @cached_property
    def _quick(self) -> tuple[LanguageModel, Callable[[Sequence[str]], Tensor]]:
        """The language model and the encoder that search: in bfloat16 where the device has it."""
        if not self.model.device.has_bfloat16:
            return self.model, self.encoder.encode
        own = isinstance(self.encoder, SentenceEncoder)
        encoder = SentenceEncoder(self.model.device.torch, torch.bfloat16) if own else self.encoder
        return self.model.in_bfloat16(), encoder.encode

    def nearest(
        self, vectors: Tensor, wanted: Tensor, parents: Sequence[tuple[str, ...]], effort: Effort
    ) -> list[Written | None]:
        """Return for each of B points the acceptable text nearest to it; see `embeddings.search`.

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
            That should say what is wanted.
        wanted : Tensor of shape (B, S)
            The wanted points, of unit length.
        parents : sequence of tuple of str
            Texts to begin with beside the vectors' own. None of them comes back.
        effort : Effort

        Returns
        -------
        list of Written or None
            None where nothing acceptable is found.
        """
        drafts = around(vectors, wanted, effort.drafts, self.adapter)
        drafts = in_context(self.model, drafts.flatten(0, 1), self.context_ids).unflatten(0, drafts.shape[:2])
        cases = [Case(*case) for case in zip(drafts, wanted, parents, strict=True)]
        return [None if best is None else _without_subject(best) for best in search(*self._quick, cases, effort)]

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

    def starts(self, texts: Sequence[str], sentence_vectors: Tensor, start: Start) -> Tensor:
        """Return where the inversion of texts starts, (B, P, D), given their sentence vectors (B, S)."""
        if start == "adapter" and self.adapter is not None:
            return adapt(self.adapter, sentence_vectors)
        if start == "random":
            rows = [random_start(self.model, crc32(text.encode()), self.vectors) for text in texts]
        else:
            rows = [token_mean_start(self.model, text, self.vectors) for text in texts]
        return torch.stack(rows) if rows else torch.zeros(0, self.vectors, self.model.hidden_size)

    def check_start(self, config: InversionConfig, texts: Sequence[str] | None, starts: Tensor | None) -> None:
        """Raise unless the configured start is possible here, and starts (B, P, D) are given where they must be.

        Raises
        ------
        InputError
            If there is no adapter, or `starts` are missing, needless, of another shape or not finite.
        """
        if config.start == "adapter" and self.adapter is None:
            raise InputError(f"model {self.model.name!r} has no adapter; use start='token_mean'")
        if (config.start == "given") != (starts is not None):
            raise InputError(f"start is {config.start!r}; pass starts with start='given', and only with it")
        shape = (len(texts) if texts is not None else "any", self.vectors, self.model.hidden_size)
        if starts is not None and (starts.shape[1:] != shape[1:] or (texts is not None and len(starts) != shape[0])):
            raise InputError(
                f"starts has shape {tuple(starts.shape)}; {self.identity} needs ({', '.join(map(str, shape))})"
            )
        if starts is not None and not bool(starts.isfinite().all()):
            raise InputError("starts holds NaN or infinite values; invert those texts from another start")

    def check_mine(self, embeddings: Sequence[SummaryEmbedding]) -> None:
        """Raise unless every embedding is of this space.

        Raises
        ------
        InputError
            If there are none.
        SpaceError
            If one is of another space; the message names both.
        """
        if not embeddings:
            raise InputError("no embeddings were given; a mixture needs at least one stored text")
        check_same_space(embeddings, self.identity)


def _usable(draft: Written) -> bool:
    return draft.fault is None and bool(draft.text.strip())


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
