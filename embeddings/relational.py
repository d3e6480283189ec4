"""A pull on the vectors of many texts towards the likeness of their meanings, beside the loss of each text.

Relational distillation, which costs no reconstruction in compressed prompts (Bondarenko, Palkin and Tikunov 2026).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def relational_loss(vectors: Tensor, sentence_vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much the cosines between texts differ from those of their meanings, and the gradient.

    The loss of row i is the mean over the other rows j of ``(cos(e_i, e_j) - cos(z_i, z_j)) ** 2``; its gradient is for
    e_i alone, the others held, as row-wise optimisation wants it. One row has neither.

    Parameters
    ----------
    vectors : Tensor of shape (B, P, D)
        Their P * D numbers are compared as one.
    sentence_vectors : Tensor of shape (B, S)

    Returns
    -------
    loss : Tensor of shape (B,)
    gradient : Tensor of shape (B, P, D)

    Examples
    --------
    >>> import torch
    >>> loss, gradient = relational_loss(torch.eye(2)[:, None], torch.ones(2, 1))
    >>> loss.tolist(), gradient[0].tolist()
    ([1.0, 1.0], [[0.0, -2.0]])
    """
    flat = vectors.flatten(1)
    directions, meanings = normalize(flat, dim=1), normalize(sentence_vectors, dim=1)
    cosines = directions @ directions.T
    excess = (cosines - meanings @ meanings.T).fill_diagonal_(0)
    others = max(len(flat) - 1, 1)
    pull = excess @ directions - (excess * cosines).sum(1, keepdim=True) * directions  # tangent to the sphere
    gradient = 2 / others * pull / flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return excess.square().sum(1) / others, gradient.view_as(vectors)
