"""A space: a frozen language model, a sentence encoder and an adapter, and all that goes from text to text in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import inf
from zlib import crc32

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.adapter import AnyAdapter, adapter_hash, folder_of, load_adapters, load_language_model, load_settings
from embeddings.any_encoder import encoder_of
from embeddings.composing import PROMPTS
from embeddings.effort import Effort
from embeddings.encoder import Encoder, SentenceEncoder
from embeddings.inversion import (
    InversionConfig,
    Inverter,
    Progress,
    Refused,
    Start,
    check_texts,
    decode_texts,
    fault,
)
from embeddings.mixing import adapt, check_weights, is_new, wanted_point
from embeddings.slots import Target
from embeddings.starts import random_start, token_mean_start
from embeddings.subject import SubjectAdapter
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, check_same_space
from embeddings.writing import Writing, is_usable
from generator.device import Device
from generator.language_model import CRITIC, SHIPPED, LanguageModel
from generator.record import ProductRecord

DEFAULT_VECTORS = 4
"""P for models without an adapter."""
_SOON = 0.7
"""Steps of an attempt for each nat of surprisal at its start, beside twenty."""
_READ_AHEAD = 256
"""Texts that are encoded together on their way to inversion."""


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


class Space(Writing):
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
    critic : LanguageModel, optional
        Tells the search for a mixture's text how likely texts are on their own; by default the model does.
    reference : LanguageModel, optional
        The pretrained model that `model` was made of by low-rank updates: with it, mixtures are composed
        (`embeddings.composing`) and not searched for.
    """

    def __init__(
        self,
        model: LanguageModel,
        encoder: Encoder,
        adapter: AnyAdapter | None = None,
        subject_adapter: SubjectAdapter | None = None,
        vectors: int = DEFAULT_VECTORS,
        context: tuple[str, str] = ("", ""),
        critic: LanguageModel | None = None,
        reference: LanguageModel | None = None,
    ) -> None:
        if reference is not None and any(context):
            raise InputError(f"{model.name!r} writes from prompts of its own; use it without context")
        super().__init__(model, encoder, adapter, subject_adapter, context, critic, reference)
        self.context = context
        self.vectors = adapter.vectors if adapter else vectors
        self.prefix = self.vectors + len(self.context_ids)

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
        chosen, folder = Device.choose(device), folder_of(name)
        settings = load_settings(folder)
        if settings is not None and settings.rank:  # a writer is asked for so many texts at a time
            chosen = replace(chosen, decode_rows=PROMPTS * Effort.each)
        model, reference = load_language_model(name, chosen)
        if settings is None:
            return cls(model, SentenceEncoder(chosen.torch), vectors=vectors, context=context)
        adapter, subject_adapter = load_adapters(folder)
        for part in (adapter, subject_adapter):
            if part is not None:
                part.to(chosen.torch).eval().requires_grad_(False)
        critic = None
        if (folder / CRITIC).is_dir():
            critic = LanguageModel.load(str(folder / CRITIC), chosen, model.tokenizer)
        encoder = encoder_of(settings, chosen.torch)
        return cls(model, encoder, adapter, subject_adapter, context=context, critic=critic, reference=reference)

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

    def unrefined(self, texts: Sequence[str]) -> list[SummaryEmbedding | Refused]:
        """Return the summary embedding of each text as the adapter has it, not exact; of unfit texts what is wrong.

        It is there at once, and is enough where a pretrained writer composes: it reads the texts themselves.

        Raises
        ------
        InputError
            If there is no adapter.
        """
        config, known = InversionConfig(start="adapter"), dict[int, tuple[str, Tensor]]()
        self.check_start(config, None, None)
        found: dict[int, SummaryEmbedding | Refused] = {}
        for target in self._targets(enumerate(texts), config, None, known):
            if isinstance(target, Refused):
                found[target.index] = target
                continue
            found[target.index] = SummaryEmbedding(
                *(target.text, target.start, known[target.index][1], self.identity), *(False, -inf, 0, config.start)
            )
        return [found[number] for number in range(len(texts))]

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
        """Inversion from the adapter where there is one, else from the token mean.

        Through a pretrained writer in bfloat16 where that is faster; exactness is decided in float32 all the same. The
        next attempt comes soon there: another radius is sooner exact than many more steps.
        """
        start: Start = "adapter" if self.adapter else "token_mean"
        if self.reference is None:
            return InversionConfig(start=start)
        return InversionConfig(start=start, precision="auto", steps_per_nat=_SOON)

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
            (written,) = self.write_about(subject, stacked, sentence_vectors, row, [texts], effort)
            consistency = float((self.encoder.encode([written.text]) @ wanted_point(sentence_vectors, row).T).item())
        if not is_usable(written):
            reason = written.fault or "the mixture decodes to no usable text"
            lower = ""
            if written.printed is not None:
                lower = f", or a lower `printed`: the likeliest text has {written.printed:.2f}"
            raise InputError(f"{reason}; try other parents, weights or subject{lower}")
        lineage = Lineage(texts, tuple(map(float, weights)))
        return Mixture(written.text, lineage, consistency, is_new(written.text, lineage.parents), written.printed)

    def decode(self, embeddings: Sequence[SummaryEmbedding]) -> list[str]:
        """Return the text that each embedding decodes to: its own, where it is exact.

        Raises
        ------
        InputError, SpaceError
            As `check_mine`.
        """
        self.check_mine(embeddings)
        return decode_texts(self.model, [e.vectors for e in embeddings], [e.text for e in embeddings], self.context_ids)

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
