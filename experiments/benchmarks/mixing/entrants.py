"""What competes: ways to write a text from several texts and weights. Each gets the same cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from copyloom import Report
from embeddings.effort import Effort
from embeddings.inversion_config import InversionConfig, Start
from embeddings.mixing import adapt, mix, wanted_point
from embeddings.search import CASES
from embeddings.space import Space
from embeddings.writing import Wording
from experiments.benchmarks.mixing.corpora import Cases, Corpus
from generator.cache import CachedModel
from generator.decoding import MAX_TOKENS, Prefix, decode
from generator.language_model import LanguageModel

Entrant = Callable[["Setting", Cases], list[str]]
"""Returns a text for each case; "" where it has none."""


_PLAIN_STEPS = 30
"""Budget of an attempt in the model without adapter, where no text of 64 was exact after 100 steps either."""


@dataclass(frozen=True, eq=False)
class Setting:
    """A corpus in a space, with the vectors of its parents.

    Parameters
    ----------
    space : Space
    corpus : Corpus
    plain : Space, optional
        Of a language model trained without adapter.
    report : callable
        Called with a stage, the texts done and those in all.
    effort : Effort
        How far the product searches; the nearest draft comes of the same drafts.
    """

    space: Space
    corpus: Corpus
    plain: Space | None
    report: Report
    effort: Effort = field(default_factory=Effort)

    @cached_property
    def from_adapter(self) -> Tensor:
        """The parents' vectors (M, P, D) as the product stores them."""
        return self._inverted(self.space, "adapter")

    @cached_property
    def from_token_mean(self) -> Tensor:
        """The parents' vectors (M, P, D) found from their token mean."""
        return self._inverted(self.space, "token_mean")

    @cached_property
    def in_plain_model(self) -> Tensor:
        """The parents' vectors (M, P, D) in the model without adapter."""
        if self.plain is None:
            raise ValueError("there is no plain model")
        return self._inverted(self.plain, "token_mean", _PLAIN_STEPS)

    def of(self, vectors: Tensor, cases: Cases) -> tuple[Tensor, Tensor]:
        """Return the vectors (B, K, P, D) and sentence vectors (B, K, S) of the parents of each case."""
        return vectors[cases.parents], self.corpus.sentence_vectors[cases.parents]

    def wanted(self, cases: Cases) -> Tensor:
        """Return the wanted points (B, S)."""
        return wanted_point(self.corpus.sentence_vectors[cases.parents], cases.weights)

    def _inverted(self, space: Space, start: Start, max_steps: int = InversionConfig().max_steps) -> Tensor:
        config = InversionConfig(start=start, max_steps=max_steps, precision="auto")
        name = f"{self.corpus.name}: inverting from {start.replace('_', ' ')}"
        used = sorted({*self.corpus.pairs.flatten().tolist(), *self.corpus.triples.flatten().tolist()})
        texts = [self.corpus.texts[number] for number in used]
        found = space.invert(texts, config, lambda done, total: self.report(name, done, total))
        vectors = torch.zeros(len(self.corpus.texts), *found[0].vectors.shape)
        vectors[used] = torch.stack([embedding.vectors for embedding in found])
        return vectors


def product(setting: Setting, cases: Cases) -> list[str]:
    """Return what `Space.mix` writes: the nearest text that a search from several drafts and the parents finds."""
    return _searched(setting, cases, setting.effort)


def nearest_draft(setting: Setting, cases: Cases) -> list[str]:
    """Return the nearest of several decodes around the mixture, without a search from there."""
    return _searched(setting, cases, replace(setting.effort, rounds=0))


def with_residuals(setting: Setting, cases: Cases) -> list[str]:
    """Return the plain decode of encoder-space mixing plus mixed residuals (design 4.3)."""
    vectors = mix(*setting.of(setting.from_adapter, cases), cases.weights, setting.space.adapter)
    return _texts(setting.space.writer.write(vectors))


def in_encoder_space(setting: Setting, cases: Cases) -> list[str]:
    """Return the decode of the adapter at the wanted point (ELM, Tennenholtz et al., ICLR 2024)."""
    if setting.space.adapter is None:
        raise ValueError("there is no adapter")
    return _texts(setting.space.writer.write(adapt(setting.space.adapter, setting.wanted(cases))))


def mean_of_vectors(setting: Setting, cases: Cases) -> list[str]:
    """Return the decode of the weighted mean of vectors found from the adapter."""
    return _texts(setting.space.writer.write(mix(*setting.of(setting.from_adapter, cases), cases.weights, None)))


def mean_from_token_mean(setting: Setting, cases: Cases) -> list[str]:
    """Return the decode of the weighted mean of vectors found from the token mean."""
    return _texts(setting.space.writer.write(mix(*setting.of(setting.from_token_mean, cases), cases.weights, None)))


def as_first_stated(setting: Setting, cases: Cases) -> list[str]:
    """Return the same on a model that was trained without adapter: the idea as it was first stated."""
    vectors = mix(*setting.of(setting.in_plain_model, cases), cases.weights, None)
    assert setting.plain is not None  # or there were no vectors
    return _texts(setting.plain.writer.write(vectors))


def mixed_log_probabilities(setting: Setting, cases: Cases) -> list[str]:
    """Return greedy decoding of the weighted sum of the parents' log-probabilities."""
    vectors, _ = setting.of(setting.from_adapter, cases)
    return _decode_together(setting.space.model, vectors, cases.weights)


def nearest_stored(setting: Setting, cases: Cases) -> list[str]:
    """Return the stored text that is nearest to the wanted point."""
    best = (setting.wanted(cases) @ setting.corpus.stored_vectors.T).argmax(1)
    return [setting.corpus.stored[number] for number in best.tolist()]


def random_stored(setting: Setting, cases: Cases) -> list[str]:
    """Return stored texts drawn at random."""
    drawn = torch.randint(len(setting.corpus.stored), (len(cases),), generator=torch.Generator().manual_seed(0))
    return [setting.corpus.stored[number] for number in drawn.tolist()]


ENTRANTS: dict[str, Entrant] = {
    "the product": product,
    "nearest draft": nearest_draft,
    "encoder + residuals": with_residuals,
    "encoder (ELM)": in_encoder_space,
    "mean, adapter": mean_of_vectors,
    "mean, token mean": mean_from_token_mean,
    "mean, no adapter": as_first_stated,
    "log-probabilities": mixed_log_probabilities,
    "nearest stored": nearest_stored,
    "random stored": random_stored,
}
DEFAULT = "the product"
_COMPOSING = {name: ENTRANTS[name] for name in (DEFAULT, "encoder + residuals", "encoder (ELM)")}
_STORED = {name: ENTRANTS[name] for name in ("nearest stored", "random stored")}
_INSTRUCTION = (
    "Write one new line of advertising copy that says what these two lines say, in their style:\n1. {}\n2. {}"
)
_ROWS = 16


def taking_part(setting: Setting) -> dict[str, Entrant]:
    """Return the entrants of a setting: what its model can do."""
    if setting.space.composes:
        return {**_COMPOSING, "instructed": instructed, **_STORED}
    return {name: way for name, way in ENTRANTS.items() if setting.plain is not None or way is not as_first_stated}


def instructed(setting: Setting, cases: Cases) -> list[str]:
    """Return what the pretrained model, as it was before, answers when it is asked for such a text, greedily."""
    composer = setting.space.writer.composer
    if composer is None:
        raise ValueError("there is no pretrained model")
    reference = composer.reference
    model = LanguageModel(
        reference.model, reference.tokenizer, reference.name, replace(reference.device, decode_rows=_ROWS)
    )
    families = [[setting.corpus.texts[number] for number in row] for row in cases.parents.tolist()]
    asked = [_as_chat(model, _INSTRUCTION.format(*family[:2])) for family in families]
    texts: list[str] = []
    for first in range(0, len(asked), _ROWS):
        chunk = asked[first : first + _ROWS]
        filled = chunk + chunk[-1:] * (_ROWS - len(chunk))
        longest = max(map(len, filled))
        ids = torch.tensor([[model.end] * (longest - len(row)) + row for row in filled])
        present = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in filled])
        embedded = model.embed(ids).float().cpu()
        found = decode(model, embedded[:, -1:], Prefix(embedded[:, :-1], present[:, :-1]))
        texts += [one.text.strip().split("\n")[0].strip('"') if one.finished else "" for one in found[: len(chunk)]]
    return texts


def _as_chat(model: LanguageModel, asked: str) -> list[int]:
    """Return the tokens of a question in the model's chat template."""
    found = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], add_generation_prompt=True, return_dict=True
    )
    return list(found["input_ids"])


def _searched(setting: Setting, cases: Cases, effort: Effort) -> list[str]:
    texts: list[str] = []
    for first in range(0, len(cases), CASES):  # so that progress shows
        numbers, weights = cases.parents[first : first + CASES], cases.weights[first : first + CASES]
        vectors, sentence_vectors = setting.of(setting.from_adapter, Cases(numbers, weights))
        parents = [[setting.corpus.texts[number] for number in row] for row in numbers.tolist()]
        written = setting.space.writer.write_nearest(vectors, sentence_vectors, weights, parents, effort)
        texts += _texts(row for row, _ in written)
        setting.report(f"{setting.corpus.name}: searching", len(texts), len(cases))
    return texts


def _texts(written: Iterable[Wording]) -> list[str]:
    return [row.text if row.finished and row.fault is None else "" for row in written]


@torch.inference_mode()
def _decode_together(model: LanguageModel, vectors: Tensor, weights: Tensor) -> list[str]:
    """Return the greedy text of each row's parents (B, K, P, D), which read the same tokens, weighted (B, K)."""
    cases, parents = weights.shape
    rows = max(model.device.decode_rows // parents, 1)
    texts = []
    for first in range(0, cases, rows):
        chunk, shares = vectors[first : first + rows], weights[first : first + rows].to(model.device.torch)
        reader, inputs = CachedModel(model, vectors.shape[2] + MAX_TOKENS), chunk.flatten(0, 1).to(model.device.torch)
        ids = torch.full((len(chunk), MAX_TOKENS), model.end)
        for step in range(MAX_TOKENS):
            scores = reader.read(inputs).log_softmax(-1).unflatten(0, (-1, parents))
            ids[:, step] = (shares[..., None] * scores).sum(1).argmax(-1).cpu()
            if bool((ids[:, : step + 1] == model.end).any(1).all()):
                break
            inputs = model.embed(ids[:, step].repeat_interleave(parents)[:, None])
        texts += [_until_end(model, row) for row in ids.tolist()]
    return texts


def _until_end(model: LanguageModel, ids: list[int]) -> str:
    return model.detokenize(ids[: ids.index(model.end)]) if model.end in ids else ""
