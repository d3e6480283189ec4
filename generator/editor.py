"""Whether a copy editor would print a text beside what it was made of: a pretrained model's verdict.

The model reads the sources and the text, then says with a linear layer on its last hidden state how likely it is that
an editor prints the text as it stands, and that the text belongs: is about its sources, and states nothing else. Both
were learned, by low-rank updates, from drafts that readers judged (``copyloom train editor``); so does a reward model
learn from people's judgements (Stiennon et al., NeurIPS 2020). A language model alone does not know this: nonsense made
of likely words is likely.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from copyloom import InputError
from generator import low_rank
from generator.eight_bits import unpacked
from generator.language_model import LanguageModel

EDITOR_FILE = "editor.safetensors"
HEAD = "head"
VERDICTS = ("printed", "belongs")
LONGEST = 160
"""Tokens that are read; of what is longer, the last."""
_ROWS, _STEP = 16, 16
"""Texts of one pass, and what lengths are padded to multiples of: a text's verdict does not depend on the others."""


def as_read(model: LanguageModel, sources: str, text: str) -> list[int]:
    """Return the tokens that an editor reads: the sources, as a writer is asked with them, then the text."""
    return [*model.tokenize(f"{sources}= {text.strip()}"), model.end][-LONGEST:]


def last_states(body: Any, rows: Sequence[Sequence[int]], padding: int, device: torch.device) -> Tensor:
    """Return the hidden state (B, H) of the last token of each row, differentiable; what follows it is never read."""
    longest = -(-max(map(len, rows)) // _STEP) * _STEP
    ids = torch.full((len(rows), longest), padding)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    states = body(input_ids=ids.to(device), use_cache=False)[0]
    last: Tensor = states[torch.arange(len(rows)), torch.tensor([len(tokens) - 1 for tokens in rows])]
    return last


@dataclass(eq=False)
class Editor:
    """A model that says what editors would.

    Parameters
    ----------
    model : LanguageModel
        With its updates.
    weight : Tensor of shape (2, H)
    bias : Tensor of shape (2,)
        Of the layer that says `VERDICTS`.
    """

    model: LanguageModel
    weight: Tensor
    bias: Tensor

    @classmethod
    def load(cls, folder: Path, base: LanguageModel) -> Editor | None:
        """Return the editor that lies in a writer's folder, or None if none does.

        Raises
        ------
        InputError
            If its file is damaged.
        SpaceError
            If it is of another kind of model.
        """
        if not (path := folder / EDITOR_FILE).exists():
            return None
        try:
            return cls.of(base, unpacked(load_file(path)))
        except (OSError, KeyError, SafetensorError) as error:
            raise InputError(f"{path} cannot be used ({error}); train the editor again, or remove it") from error

    @classmethod
    def of(cls, base: LanguageModel, tensors: Mapping[str, Tensor]) -> Editor:
        """Return the editor that a pretrained model becomes by low-rank updates and a head.

        Raises
        ------
        SpaceError
            If they are of another kind of model.
        """
        model = copy.deepcopy(base.model)
        low_rank.merge(model, {name: value for name, value in tensors.items() if not name.startswith(HEAD)})
        read = LanguageModel(model, base.tokenizer, base.name, base.device)
        where = base.device.torch
        return cls(read, tensors[f"{HEAD}.weight"].to(where), tensors[f"{HEAD}.bias"].to(where))

    @torch.inference_mode()
    def verdicts(self, drafts: Sequence[tuple[str, str]]) -> Tensor:
        """Return the log-probabilities (B, 2) of `VERDICTS` for pairs of sources and a text that was made of them."""
        rows = [as_read(self.model, sources, text) for sources, text in drafts]
        found = torch.zeros(len(rows), len(VERDICTS))
        buckets: dict[int, list[int]] = {}
        for number, tokens in enumerate(rows):
            buckets.setdefault(-(-len(tokens) // _STEP), []).append(number)
        for _, numbers in sorted(buckets.items()):
            for first in range(0, len(numbers), _ROWS):
                chunk = numbers[first : first + _ROWS]
                filled = [rows[number] for number in chunk + chunk[-1:] * (_ROWS - len(chunk))]
                states = last_states(self.model.model.base_model, filled, self.model.end, self.model.device.torch)
                found[chunk] = logsigmoid(linear(states.float(), self.weight, self.bias))[: len(chunk)].cpu()
        return found
