"""The lens: which tokens a model has in mind at each vector of a point, layer by layer, and which tokens lie nearest.

The state after a layer is read as if it were the last: the final norm and the head put it on the vocabulary
[nostalgebraist2020]_, as parameters and states can be [Dar2023]_. In early layers it says little, as nothing was
trained to be read there.

.. [nostalgebraist2020] Interpreting GPT: the logit lens. LessWrong, 2020.
.. [Dar2023] G. Dar, M. Geva, A. Gupta, J. Berant. Analyzing transformers in embedding space. ACL 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from copyloom import InputError
from embeddings.context import in_context
from embeddings.space import Space
from experiments.explorer.point import Point
from generator.language_model import LanguageModel, LinearHead

_TOP = 3
_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "decoder.final_layer_norm")
"""What causal models call the norm before their head."""

Few = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Lens:
    """What a model has in mind at each of P vectors.

    Parameters
    ----------
    layers : (L + 1) rows of P
        After the input and each layer: the likeliest tokens and their probabilities. The last row is the model's own
        expectation; of the last vector, of the text's first token.
    nearest : P
        The tokens whose input embeddings lie nearest to each vector, and their cosines.
    """

    layers: tuple[tuple[Few, ...], ...]
    nearest: tuple[Few, ...]


@torch.no_grad()
def lens_of(space: Space, point: Point) -> Lens:
    """Return what a model has in mind at each vector of a point.

    Raises
    ------
    InputError
        If the model does not hand out the states of its layers, or has no norm and linear head that are known here.
    """
    model = space.model
    before = len(space.context_ids.before)
    places = slice(before, before + len(point.vectors))
    norm, head = _ending(model)
    *states, last = model.states(in_context(model, point.vectors[None], space.context_ids))
    chances = [linear(state[0, places], head.weight, head.bias).float().softmax(-1)
               for state in (*map(norm, states), last)]  # fmt: skip
    table = model.model.get_input_embeddings().weight.float()
    near = normalize(point.vectors.to(table), dim=-1) @ normalize(table, dim=-1).T
    return Lens(tuple(_few(model, rows) for rows in chances), _few(model, near))


def _ending(model: LanguageModel) -> tuple[nn.Module, LinearHead]:
    """Return the norm before the head, which the last state has been through, and the head."""
    if (head := model.linear_head) is None:
        raise _unseen(model, "there is more than a linear layer between its last state and its logits")
    modules = dict(model.model.base_model.named_modules())
    if (name := next((name for name in _NORMS if name in modules), None)) is None:
        raise _unseen(model, f"it has none of the norms {', '.join(_NORMS)} before its head")
    return modules[name], head


def _unseen(model: LanguageModel, reason: str) -> InputError:
    return InputError(
        f"the lens cannot look into model {model.name!r}: {reason}; most kinds can be, such as Llama and GPT-2"
    )


def _few(model: LanguageModel, values: Tensor) -> tuple[Few, ...]:
    best = values.topk(_TOP)
    return tuple(tuple((model.detokenize([token]), value) for token, value in zip(*row, strict=True))
                 for row in zip(best.indices.tolist(), best.values.tolist(), strict=True))  # fmt: skip
