"""Whether a copy editor would print a text beside what it was made of: a pretrained model's verdict.

The model reads the sources and the text, then says with a linear layer on its last hidden state how likely it is that
an editor prints the text as it stands, and that the text belongs: is about its sources, and states nothing else. Both
were learned, by low-rank updates of the writer itself, from drafts that readers judged (``copyloom train editor``); so
does a reward model learn from people's judgements (Stiennon et al., NeurIPS 2020). A language model alone does not know
this: nonsense made of likely words is likely.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import linear

from copyloom import InputError, SpaceError
from generator import low_rank
from generator.branches import Branches
from generator.eight_bits import unpacked
from generator.language_model import LanguageModel

EDITOR_FILE = "editor.safetensors"
HEAD = "head"
WRITER_OF = "writer"
"""What the file says of the writer that the editor was trained on: the hash of its parameters."""
VERDICTS = ("printed", "belongs")
SOURCES, TEXT = 256, 64
"""Tokens that are read at most: the last of the sources, the first of a text."""
_TOGETHER = 24
"""Texts that are read beside each other."""


def as_read(model: LanguageModel, sources: str, texts: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """Return the tokens that an editor reads: the sources, as a writer is asked with them, and each text after them."""
    texts_read = [[*model.tokenize(f" {text.strip()}")[:TEXT], model.end] for text in texts]
    return model.tokenize(f"{sources}=")[-SOURCES:], texts_read


def read_editor(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Return the updates and the head of an editor's file by name, and the hash of the writer that it is of."""
    try:
        with safe_open(path, "pt") as file:
            writer = (file.metadata() or {}).get(WRITER_OF)
        return unpacked(load_file(path)), writer
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(f"{path} cannot be used ({error}); train the editor again, or remove it") from error


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
        """Return the editor that lies in a writer's folder, or None if none does; `base` is the writer.

        Raises
        ------
        InputError
            If its file is damaged.
        SpaceError
            If it is of another kind of model, or was trained on another writer.
        """
        if not (path := folder / EDITOR_FILE).exists():
            return None
        tensors, writer = read_editor(path)
        if writer != base.identity.parameters:
            raise SpaceError(
                f"the editor in {path} was trained on a writer with parameters {writer}, this one has "
                f"{base.identity.parameters}; train the editor again, or remove it"
            )
        return cls.of(base, tensors)

    @classmethod
    def of(cls, base: LanguageModel, tensors: Mapping[str, Tensor]) -> Editor:
        """Return the editor that a writer becomes by low-rank updates and a head."""
        shapes = [tuple(value.shape) for name, value in sorted(tensors.items()) if name.startswith(HEAD)]
        if shapes != [(len(VERDICTS),), (len(VERDICTS), base.hidden_size)]:
            raise SpaceError(f"the head of the editor does not fit {base.name!r}; use the model it was trained for")
        model = copy.deepcopy(base.model)
        low_rank.merge(model, {name: value for name, value in tensors.items() if not name.startswith(HEAD)})
        read = LanguageModel(model, base.tokenizer, base.name, base.device)
        where = base.device.torch
        return cls(read, tensors[f"{HEAD}.weight"].to(where), tensors[f"{HEAD}.bias"].to(where))

    def in_bfloat16(self) -> Editor:
        """Return a copy whose model is bfloat16."""
        return Editor(self.model.in_bfloat16(), self.weight, self.bias)

    def verdicts(self, sources: str, texts: Sequence[str]) -> Tensor:
        """Return the log-odds (B, 2) of `VERDICTS` for texts that were made of the same sources."""
        beginning, branches = as_read(self.model, sources, texts)
        found, body = [torch.zeros(0, len(VERDICTS))], self.model.model.base_model
        for first in range(0, len(branches), _TOGETHER):
            read = Branches.of([(beginning, branches[first : first + _TOGETHER])], self.model.end)
            with torch.no_grad(), torch.inference_mode(not self.model.device.compiles_shapes):
                states = read.last_states(body)
                found.append(linear(states.float(), self.weight, self.bias).cpu())
        return torch.cat(found)
