"""Three ways to steer inside a model: from labelled examples to shifts of its layers or attention heads.

The examples are pairs about the same product, one text with the label and one without. All are read as the model itself
would write them: the adapter's vectors first, then the text. See `embeddings.steering` for the way that moves the point
instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, Report
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.steering import adapter_of
from generator.interventions import Shift, recording

Reading = Literal["front", "mean", "last"]
"""Where states are read: at each of the P vectors before a text; on average over the places at which a token is chosen;
at the text's last token."""
READINGS: tuple[Reading, ...] = ("front", "mean", "last")
_TOGETHER = 32
_HELD_OUT, _PROBE_STRENGTH = 0.25, 0.1
"""Share of groups that a probe is tested on; inverse penalty of the probe."""


@dataclass(frozen=True, eq=False)
class States:
    """What a model hands on while it reads N texts.

    Parameters
    ----------
    layers : dict of str to Tensor of shape (N, L, H)
        After each layer, by reading; ``front`` is (N, L, P, H).
    heads : dict of str to Tensor of shape (N, L, A, h)
        Of each attention head, before the projection, for ``mean`` and ``last``.
    """

    layers: dict[Reading, Tensor]
    heads: dict[Reading, Tensor]


@dataclass(frozen=True, eq=False)
class Heads:
    """What probes found out about a model's attention heads.

    Parameters
    ----------
    order : tuple of (int, int)
        Layer and head, the one whose probe tells the label best first.
    accuracy : Tensor of shape (L, A)
        Balanced, on texts that the probe has not seen.
    directions : Tensor of shape (L, A, h)
        Unit vectors from the mean of texts without the label to the mean of those with it.
    spread : Tensor of shape (L, A)
        Standard deviation of all texts along these.
    """

    order: tuple[tuple[int, int], ...]
    accuracy: Tensor
    directions: Tensor
    spread: Tensor


@torch.no_grad()
def read_states(space: Space, texts: Sequence[str], report: Report = lambda *_: None) -> States:
    """Return what the model hands on while it reads texts as it would write them.

    Parameters
    ----------
    space : Space
        With an adapter, whose vectors stand before each text.
    texts : sequence of str
    report : callable
        Hears of progress.

    Raises
    ------
    InputError
        If there are no texts, or the space has no adapter, or the model shows no layers or heads.
    """
    if not texts:
        raise InputError("no texts were given to read; pass one or more")
    vectors = adapt(adapter_of(space), space.encoder.encode(texts))
    ids = [space.model.tokenize(text) for text in texts]
    parts: list[States] = []
    with recording(space.model) as recorded:
        for first in range(0, len(texts), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            inputs, chosen = _inputs(space, vectors[some], ids[some])
            space.model.hidden(inputs)
            layers, heads = (
                torch.stack([one[number] for number in sorted(one)], 2).float().cpu()
                for one in (recorded.layers, recorded.heads)
            )
            parts.append(_at(layers, heads, chosen, space.vectors))
            report("reading examples", min(first + _TOGETHER, len(texts)), len(texts))
    return States(
        {reading: torch.cat([part.layers[reading] for part in parts]) for reading in READINGS},
        {reading: torch.cat([part.heads[reading] for part in parts]) for reading in parts[0].heads},
    )


def differences(states: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Return the states (n, ...) of the first of each pair less those of the second."""
    first, second = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
    return states[first] - states[second]


def activation_addition(steps: Tensor, layer: int, strength: float) -> list[Shift]:
    """Return the shift that adds the mean difference of pairs after one layer.

    What was read at the front is added there, vector by vector, as in activation addition [Turner2024]_; what was read
    in texts, at every position, as in contrastive activation addition [Rimsky2024]_. The mean of many pairs, as in the
    latter, stands in place of one pair.

    Parameters
    ----------
    steps : Tensor of shape (n, L, H) or (n, L, P, H)
        Differences of pairs; see `differences`.
    layer : int
    strength : float
        How many times the mean difference is added.

    .. [Turner2024] A. Turner et al. Steering language models with activation engineering. arXiv 2308.10248.
    .. [Rimsky2024] N. Rimsky et al. Steering Llama 2 via contrastive activation addition. ACL 2024.
    """
    vector = strength * steps[:, layer].mean(0)
    return [Shift("layer", layer, vector, positions="front" if vector.ndim == 2 else "all")]


def in_context_vectors(steps: Tensor) -> Tensor:
    """Return unit vectors (L, H) or (L, P, H): the first principal direction of pairs' differences, cut into layers.

    The states of all layers are laid in a row; the direction is the one along which the squared differences are
    largest, the mean not taken out ([Liu2023]_), on the side where their mean lies.

    Parameters
    ----------
    steps : Tensor of shape (n, L, H) or (n, L, P, H)

    .. [Liu2023] S. Liu, H. Ye, L. Xing, J. Zou. In-context vectors: making in-context learning more effective and
       controllable through latent space steering. ICML 2024, arXiv 2311.06668.
    """
    rows = steps.flatten(1).double()
    weights = torch.linalg.eigh(rows @ rows.T).eigenvectors[:, -1]  # n is far smaller than L * P * H
    first = weights @ rows
    first = first * torch.sign(first @ rows.mean(0))
    return normalize(first.view(steps.shape[1:]), dim=-1).float()


def in_context(vectors: Tensor, layers: Sequence[int], strength: float) -> list[Shift]:
    """Return the shifts that add in-context vectors after some layers and restore each state's length.

    The strength is in units of a state's length, as in the code of [Liu2023]_. Of vectors (L, P, H) each is added at
    its own place of the front, of (L, H) at every position.
    """
    where: Literal["front", "all"] = "front" if vectors.ndim == 3 else "all"
    return [Shift("layer", layer, strength * vectors[layer], keeps_length=True, positions=where) for layer in layers]


def probed_heads(heads: Tensor, mine: Sequence[bool], groups: Sequence[str], seed: int = 0) -> Heads:
    """Return how well a linear probe tells the label from each head, and each head's direction and spread.

    The directions are the mass-mean ones of [Li2023]_, which steered better there than the probes' own.

    Parameters
    ----------
    heads : Tensor of shape (N, L, A, h)
    mine : sequence of bool
        Which texts have the label.
    groups : sequence of str
        Texts of a group are all learnt from or all tested on.
    seed : int
        Of the split.

    Raises
    ------
    InputError
        If the texts have one label only, or not enough groups to test on.

    .. [Li2023] K. Li, O. Patel, F. Viégas, H. Pfister, M. Wattenberg. Inference-time intervention: eliciting truthful
       answers from a language model. NeurIPS 2023.
    """
    label = np.array(mine, dtype=bool)
    (learn, test), *_ = GroupShuffleSplit(1, test_size=_HELD_OUT, random_state=seed).split(label, label, groups)
    if any(len(set(label[rows])) < 2 for rows in (learn, test)):
        raise InputError(
            f"{int(label.sum())} of {len(label)} texts have the label, in {len(set(groups))} groups: too few to learn "
            "from some and test on others; give more"
        )
    accuracy = torch.zeros(heads.shape[1:3])
    for layer in range(heads.shape[1]):
        for head in range(heads.shape[2]):
            values = heads[:, layer, head].numpy()
            probe = make_pipeline(
                StandardScaler(), LogisticRegression(C=_PROBE_STRENGTH, class_weight="balanced", max_iter=300)
            ).fit(values[learn], label[learn])
            accuracy[layer, head] = float(balanced_accuracy_score(label[test], probe.predict(values[test])))
    chosen = torch.from_numpy(label)
    directions = normalize(heads[chosen].mean(0) - heads[~chosen].mean(0), dim=-1)
    spread = torch.einsum("nlah,lah->nla", heads, directions).std(0)
    order = sorted(np.ndindex(*accuracy.shape), key=lambda place: (-float(accuracy[place]), place))
    return Heads(tuple((int(layer), int(head)) for layer, head in order), accuracy, directions, spread)


def head_shift(heads: Heads, count: int, strength: float) -> list[Shift]:
    """Return the shifts of the best heads by so many standard deviations, where a token is chosen ([Li2023]_, eq. 2).

    Parameters
    ----------
    heads : Heads
    count : int
        K, the heads that are shifted.
    strength : float
        Alpha.

    Raises
    ------
    InputError
        If there are not so many heads.
    """
    if not 1 <= count <= len(heads.order):
        raise InputError(f"{count} heads are to be shifted; the model has {len(heads.order)}, so give 1 to that many")
    vectors = torch.zeros_like(heads.directions)
    for place in heads.order[:count]:
        vectors[place] = strength * heads.spread[place] * heads.directions[place]
    layers = sorted({layer for layer, _ in heads.order[:count]})
    return [Shift("heads", layer, vectors[layer], positions="last") for layer in layers]


def random_like(shifts: Sequence[Shift], seed: int) -> list[Shift]:
    """Return shifts of the same places and lengths, of each head too, in random directions."""
    generator = torch.Generator().manual_seed(seed)
    noise = [normalize(torch.randn(shift.vector.shape, generator=generator), dim=-1) for shift in shifts]
    return [replace(shift, vector=one * shift.vector.norm(dim=-1, keepdim=True))
            for shift, one in zip(shifts, noise, strict=True)]  # fmt: skip


def _inputs(space: Space, vectors: Tensor, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return inputs (B, T, D), padded behind, and where in them tokens are chosen, (B, T) of bool."""
    longest = max(map(len, ids))
    padded = torch.full((len(ids), longest), space.model.end)
    chosen = torch.zeros(len(ids), space.vectors + longest, dtype=torch.bool)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        chosen[row, space.vectors - 1 : space.vectors + len(tokens)] = True
    after = space.model.embed(padded)
    return torch.cat([vectors.to(after), after], 1), chosen


def _at(layers: Tensor, heads: Tensor, chosen: Tensor, front: int) -> States:
    """Return what is read of states (B, T, L, H) and (B, T, L, A, h) of texts that begin after `front` vectors."""
    last = chosen.shape[1] - 1 - chosen.flip(1).int().argmax(1)
    one = torch.nn.functional.one_hot(last, chosen.shape[1]).float()
    weights: dict[Reading, Tensor] = {"mean": chosen.float() / chosen.sum(1, keepdim=True), "last": one}
    read: dict[Reading, Tensor] = {"front": layers[:, :front].transpose(1, 2)}
    read |= {name: torch.einsum("btlh,bt->blh", layers, weight) for name, weight in weights.items()}
    return States(read, {name: torch.einsum("btlah,bt->blah", heads, weight) for name, weight in weights.items()})
