"""A space: a frozen language model with what its summary embeddings depend on, a sentence encoder and an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from copyloom import InputError, Progress
from embeddings.adapter import AnyAdapter, adapter_hash, folder_of, load_adapters, load_language_model, load_settings
from embeddings.any_encoder import encoder_of
from embeddings.composing import PROMPTS
from embeddings.context import Context, decode_texts
from embeddings.effort import Effort
from embeddings.encoder import Encoder, SentenceEncoder
from embeddings.inversion_config import InversionConfig, Start
from embeddings.inverting import invert
from embeddings.subject import SubjectAdapter
from embeddings.summary import SpaceIdentity, SummaryEmbedding, check_same_space
from embeddings.writing import Mixture, MixtureWriter
from generator.device import Device
from generator.language_model import CRITIC, LanguageModel
from generator.models import SHIPPED
from generator.record import ProductRecord

DEFAULT_VECTORS = 4
"""P for models without an adapter."""
_SOON = 0.7
"""Steps of an attempt for each nat of surprisal at its start, beside twenty."""


@dataclass(frozen=True, eq=False)
class Space:
    """What texts and summary embeddings of one language model have in common.

    `embeddings.inverting` goes from texts to embeddings in it, `writer` from embeddings to texts.

    Parameters
    ----------
    model : LanguageModel
    encoder : Encoder
    adapter : Adapter, optional
    subject_adapter : SubjectAdapter, optional
    vectors : int
        P. An adapter has its own.
    context : tuple of str
        Texts that always stand before and after the vectors: a product, an author, a channel. Embeddings learn what
        they do not say, and belong to a space of their own.
    critic : LanguageModel, optional
        Tells the search for a mixture's text how likely texts are on their own; by default the model does.
    reference : LanguageModel, optional
        The pretrained model that `model` was made of by low-rank updates: with it, mixtures are composed
        (`embeddings.composing`) and not searched for.
    """

    model: LanguageModel
    encoder: Encoder
    adapter: AnyAdapter | None = None
    subject_adapter: SubjectAdapter | None = None
    vectors: int = DEFAULT_VECTORS
    context: tuple[str, str] = ("", "")
    critic: LanguageModel | None = None
    reference: LanguageModel | None = None

    def __post_init__(self) -> None:
        """Take P from the adapter, and raise where a context stands beside prompts."""
        if self.reference is not None and any(self.context):
            raise InputError(f"{self.model.name!r} writes from prompts of its own; use it without context")
        if self.adapter is not None:
            object.__setattr__(self, "vectors", self.adapter.vectors)

    @classmethod
    def load(
        cls,
        name: str = SHIPPED,
        device: str = "auto",
        vectors: int = DEFAULT_VECTORS,
        context: tuple[str, str] = ("", ""),
        trust_remote_code: bool = False,
    ) -> Space:
        """Return the space of the shipped model, or of the causal model at a path or hub id; see `Space`.

        With `trust_remote_code`, code that model or encoder bring with them is run; its hash is part of the identity.

        Raises
        ------
        InputError, DeviceError
            If the model or the device is not there.
        """
        chosen, folder = Device.choose(device), folder_of(name)
        settings = load_settings(folder)
        if settings is not None and settings.rank:  # a writer is asked for so many texts at a time
            chosen = replace(chosen, decode_rows=PROMPTS * Effort.each)
        model, reference = load_language_model(name, chosen, trust_remote_code)
        if settings is None:
            return cls(model, SentenceEncoder(chosen.torch), vectors=vectors, context=context)
        adapter, subject_adapter = load_adapters(folder)
        for part in (adapter, subject_adapter):
            if part is not None:
                part.to(chosen.torch).eval().requires_grad_(False)
        critic = None
        if (folder / CRITIC).is_dir():
            critic = LanguageModel.load(str(folder / CRITIC), chosen, model.tokenizer)
        encoder = encoder_of(settings, chosen.torch, trust_remote_code)
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

    @cached_property
    def writer(self) -> MixtureWriter:
        """What writes in this space, kept with all that it has prepared."""
        return MixtureWriter(self)

    @property
    def composes(self) -> bool:
        """Whether a pretrained writer composes mixtures (`embeddings.composing`); elsewhere they are searched for."""
        return self.reference is not None and self.adapter is not None

    @cached_property
    def context_ids(self) -> Context:
        """The tokens of the context."""
        before, after = (tuple(self.model.tokenize(text)) for text in self.context)
        return Context(before, after)

    @property
    def prefix(self) -> int:
        """Positions that vectors and context take."""
        return self.vectors + len(self.context_ids)

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

    def invert(
        self,
        texts: Sequence[str],
        config: InversionConfig | None = None,
        progress: Progress = lambda done, total: None,
    ) -> list[SummaryEmbedding]:
        """Return the summary embedding of each text; see `embeddings.inverting.invert`."""
        return invert(self, texts, config, progress)

    def mix(
        self,
        parents: Sequence[SummaryEmbedding],
        weights: Sequence[float],
        subject: ProductRecord | None = None,
        effort: Effort | None = None,
    ) -> Mixture:
        """Return the text written from a mixture; see `embeddings.writing.MixtureWriter.mix`."""
        return self.writer.mix(parents, weights, subject, effort)

    def decode(self, embeddings: Sequence[SummaryEmbedding]) -> list[str]:
        """Return the text that each embedding decodes to: its own, where it is exact."""
        self.check_mine(embeddings)
        return decode_texts(self.model, [e.vectors for e in embeddings], [e.text for e in embeddings], self.context_ids)

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
