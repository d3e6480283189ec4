"""What a pretrained writer thinks of headlines: its hidden states, by which other tests tell good ones from bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from copyloom import Report
from generator.language_model import LanguageModel

DEPTH = 2 / 3
"""Which layer is read. The middle ones know more of what a headline does than the last, which know its next word."""
_ROWS = 32


@torch.inference_mode()
def states_of(headlines: Sequence[str], model: LanguageModel, report: Report) -> NDArray[np.float32]:
    """Return each headline's hidden states, mean over its tokens.

    Parameters
    ----------
    headlines : sequence of str
    model : LanguageModel
        Reads its token for a beginning first, and at most as much of a headline as it has positions for.
    report : callable

    Returns
    -------
    array of shape (N, D)
        Of the layer at `DEPTH`.
    """
    model = model.fast
    body = model.model.base_model
    layer = round(DEPTH * model.model.config.get_text_config(decoder=True).num_hidden_layers)
    distinct = list(dict.fromkeys(headlines))
    ids = [[model.beginning, *model.tokenize(headline)][: model.positions] for headline in distinct]
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    found = np.empty((len(ids), model.hidden_size), dtype=np.float32)
    for first in range(0, len(order), _ROWS):
        report("reading states of texts", first, len(order))
        rows = order[first : first + _ROWS]
        longest = len(ids[rows[-1]])
        padded = torch.tensor([ids[row] + [model.end] * (longest - len(ids[row])) for row in rows])
        own = torch.tensor([[0 < place < len(ids[row]) for place in range(longest)] for row in rows]).float()
        # what comes after a headline is not seen by it: the model is causal, so the padding needs no mask
        states = body(input_ids=padded.to(model.device.torch), output_hidden_states=True, use_cache=False).hidden_states
        weights = (own / own.sum(1, keepdim=True).clamp(min=1))[..., None].to(model.device.torch)
        found[rows] = (states[layer].float() * weights).sum(1).cpu().numpy()
    report("reading states of texts", len(order), len(order))
    places = {headline: place for place, headline in enumerate(distinct)}
    return found[[places[headline] for headline in headlines]]
