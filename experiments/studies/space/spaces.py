"""The kinds of vectors that are compared, made of the same texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from copyloom import Report
from embeddings.exchange import load_embeddings, save_embeddings
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.starts import starts_of
from embeddings.summary import SummaryEmbedding
from experiments.versions import packages
from generator.language_model import LanguageModel

SUMMARY = "summary embeddings"
ADAPTER = "adapter's output"
RESIDUALS = "residuals"
TOKEN_MEAN = "token-mean start"
REFINED_MEAN = "refined from the token mean"
SENTENCE = "sentence embeddings"
TOKENS = "mean of token embeddings"
EARLY, MIDDLE, LAST = (f"hidden states, {place} layer" for place in ("first", "middle", "last"))
SPACES = (SUMMARY, ADAPTER, RESIDUALS, TOKEN_MEAN, REFINED_MEAN, SENTENCE, TOKENS, EARLY, MIDDLE, LAST)
"""All kinds, in the order of tables."""
OF_ADAPTER = (SUMMARY, ADAPTER, RESIDUALS)
"""Those that another adapter of the same language model changes."""
_TOGETHER = 32


@dataclass(frozen=True, eq=False)
class Made:
    """Vectors of texts.

    Parameters
    ----------
    stored : list of SummaryEmbedding
        As they are stored: refined.
    from_mean : list of SummaryEmbedding
        Refined from the token mean; empty where that was not asked for, or they were stored so.
    values : dict of str to Tensor of shape (n, size)
        Of each kind, float32.
    """

    stored: list[SummaryEmbedding]
    from_mean: list[SummaryEmbedding]
    values: dict[str, Tensor]

    def vectors(self, kind: str, size: int) -> Tensor:
        """Return vectors (n, P, D) of a kind that decodes, D being `size`."""
        return self.values[kind].unflatten(1, (-1, size))


def make(
    space: Space, texts: Sequence[str], refine_mean: bool, everything: bool, folder: Path | None, report: Report
) -> Made:
    """Return the vectors of texts, each kind in its own space.

    Parameters
    ----------
    space : Space
    texts : sequence of str
    refine_mean : bool
        Whether to refine from the token mean too.
    everything : bool
        Whether to make all kinds, or only those that depend on the adapter.
    folder : Path, optional
        Where refined vectors are kept, so that a study that was stopped need not find them again.
    report : Report

    Raises
    ------
    InputError
        If a text cannot be stored with the model, or the model does not show its hidden states.
    """
    stored = _inverted(space, texts, space.default_inversion, folder, report)
    refined = torch.stack([one.vectors for one in stored])
    sentence = torch.stack([one.sentence_vector for one in stored])
    found = {SUMMARY: refined.flatten(1)}
    if space.adapter is not None:
        straight = adapt(space.adapter, sentence)
        found |= {ADAPTER: straight.flatten(1), RESIDUALS: (refined - straight).flatten(1)}
    if not everything:
        return Made(stored, [], found)
    from_mean: list[SummaryEmbedding] = []
    if refine_mean and space.adapter is not None:
        from_mean = _inverted(space, texts, InversionConfig(start="token_mean"), folder, report)
        found[REFINED_MEAN] = torch.stack([one.vectors for one in from_mean]).flatten(1)
    found |= {TOKEN_MEAN: starts_of(space, texts, sentence, "token_mean").flatten(1), SENTENCE: sentence}
    found |= {TOKENS: token_means(space.model, texts), **hidden_means(space.model, texts)}
    return Made(stored, from_mean, {kind: found[kind] for kind in SPACES if kind in found})


def _inverted(
    space: Space, texts: Sequence[str], config: InversionConfig, folder: Path | None, report: Report
) -> list[SummaryEmbedding]:
    """Return the refined vectors of texts, those that `folder` holds where it does."""
    about = json.dumps([list(texts), asdict(space.identity), config.model_dump(), packages()])
    file = None if folder is None else folder / f"stored-{sha256(about.encode()).hexdigest()[:16]}.safetensors"
    if file is not None and file.exists():
        return load_embeddings(file)
    stage = f"inverting from the {'adapter' if config.start == 'adapter' else 'token mean'}"
    found = space.invert(texts, config, lambda done, total: report(stage, done, total))
    if file is not None:
        save_embeddings(found, file)
    return found


def token_means(model: LanguageModel, texts: Sequence[str]) -> Tensor:
    """Return the mean of each text's token embeddings, (n, D)."""
    rows = [model.embed(torch.tensor(model.tokenize(text))).detach().float().mean(0).cpu() for text in texts]
    return torch.stack(rows)


@torch.no_grad()
def hidden_means(model: LanguageModel, texts: Sequence[str]) -> dict[str, Tensor]:
    """Return the mean over each text's tokens of the hidden states after the first, a middle and the last layer.

    The model reads its token for a beginning first, whose own state, of a size far from all others in many models, is
    not in the mean. Each is a Tensor of shape (n, H).

    Raises
    ------
    InputError
        If the model does not return its hidden states.
    """
    rows: list[Tensor] = []
    for first in range(0, len(texts), _TOGETHER):
        rows += _states(model, [model.tokenize(text) for text in texts[first : first + _TOGETHER]])
    places = dict(zip((EARLY, MIDDLE, LAST), torch.stack(rows).unbind(1), strict=True))
    return {name: values.contiguous() for name, values in places.items()}


def _states(model: LanguageModel, ids: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return the mean hidden states (3, H) of each of some texts, read beside each other.

    What stands behind a text's end does not change what a causal model makes of it.
    """
    longest = max(map(len, ids))
    padded = torch.tensor([[model.beginning, *some, *[model.end] * (longest - len(some))] for some in ids])
    states = model.states(model.embed(padded))
    layers = len(states) - 1
    chosen = torch.stack([states[layer] for layer in (1, max(layers // 2, 1), layers)], 1).float().cpu()
    return [some[:, 1 : 1 + len(own)].mean(1) for some, own in zip(chosen, ids, strict=True)]
