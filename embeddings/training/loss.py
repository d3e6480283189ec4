"""Plain cross-entropy of texts after the adapter's vectors: first token and end-of-text included."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from embeddings.adapter import AnyAdapter
from embeddings.training.examples import Batch
from generator.language_model import LanguageModel


def token_losses(model: LanguageModel, adapter: AnyAdapter, batch: Batch, dtype: torch.dtype) -> Tensor:
    """Return the cross-entropy in nats of each target token, end-of-text included, of all rows one after another.

    The first token is predicted from the last of the vectors. Padding stands behind the texts, where causal models do
    not see it, so no mask is needed.
    """
    device = model.device.torch
    vectors, targets = batch.vectors.to(device), batch.targets.to(device)
    chosen = targets != -100
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        inputs = torch.cat([adapter(vectors).float(), model.embed(targets[:, :-1].clamp_min(0)).float()], 1)
        head = model.linear_head
        if head is None:
            logits = model.logits(inputs)[:, adapter.vectors - 1 :][chosen]
        else:
            logits = linear(model.hidden(inputs)[:, adapter.vectors - 1 :][chosen], head.weight, head.bias)
    return cross_entropy(logits.float(), targets[chosen], reduction="none")
