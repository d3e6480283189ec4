"""The judge of fluency: a small language model of its own architecture, tokenizer and texts, and a list of words.

It never takes part in training or in choosing what to write, and it comes with the benchmark, so that anyone's numbers
compare. ``copyloom train judge`` made it.
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from experiments.tiny.real_texts import is_held_out, is_judges, long_texts, real_texts
from experiments.tiny.whole_texts import train_on_whole_texts
from generator.grammar import FORMS, Grammar
from generator.reader import lexicon, words_of

Report = Callable[[str, int, int], None]

MAX_BYTES = 5_000_000
_WORDS = "words.txt.gz"
_VOCABULARY, _LENGTH, _CLAIMS = 2048, 64, 60_000
_SHAPE: dict[str, Any] = {"n_positions": 128, "n_embd": 168, "n_layer": 5, "n_head": 6}
_STEPS, _ROWS, _RATE = 3000, 64, 3e-3
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Judge:
    """Loss per token under a small GPT-2, and the words that are words.

    Parameters
    ----------
    model : GPT2LMHeadModel
    tokenizer : PreTrainedTokenizerFast
    words : frozenset of str
        In lower case: those of all real texts at hand when it was made, and of the grammar.
    """

    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    words: frozenset[str]

    @classmethod
    def load(cls, folder: Path | None = None) -> Judge:
        """Return the judge that comes with the benchmark, or the one in `folder`."""
        place = folder or Path(str(resources.files("experiments").joinpath("data/judge")))
        transformers_logging.disable_progress_bar()  # loading takes a moment; commands show their own progress
        words = gzip.decompress((place / _WORDS).read_bytes()).decode().split("\n")
        model = GPT2LMHeadModel.from_pretrained(place, dtype=torch.float32).eval()
        return cls(model, PreTrainedTokenizerFast.from_pretrained(place), frozenset(words))

    @torch.inference_mode()
    def nats_per_token(self, texts: Sequence[str]) -> Tensor:
        """Return the mean loss per token, end-of-text included, of each text: a Tensor of shape (n,)."""
        rows = [self._ids(text) for text in texts]
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        losses = torch.zeros(len(rows))
        for first in range(0, len(order), _BATCH):
            part = order[first : first + _BATCH]
            ids = pad_sequence([rows[row] for row in part], batch_first=True, padding_value=-100)
            logits = self.model(input_ids=ids.clamp_min(0)).logits[:, :-1]  # padding comes last, so needs no mask
            nats = cross_entropy(logits.transpose(1, 2), ids[:, 1:], ignore_index=-100, reduction="none")
            losses[part] = nats.sum(1) / (ids[:, 1:] >= 0).sum(1)
        return losses

    def broken_words(self, text: str, more: frozenset[str] = frozenset()) -> list[str]:
        """Return the words of `text` that are none, not even among `more`, nor made of words, nor hold a digit.

        Examples
        --------
        >>> Judge.load().broken_words("A quiet kettle-like 4.5-star braxt")
        ['braxt']
        """
        return [word for word in words_of(text) if not _is_word(word, self.words, more)]

    def _ids(self, text: str) -> Tensor:
        end = self.tokenizer.eos_token_id
        return torch.tensor([end, *self.tokenizer(text)["input_ids"][: self.model.config.n_positions - 2], end])


def _is_word(word: str, *known: frozenset[str]) -> bool:
    if any(word in words for words in known) or any(letter.isdigit() for letter in word):
        return True
    parts = [part for part in re.split(r"[-.&,]|'s?$", word) if part]
    return parts != [word] and all(_is_word(part, *known) for part in parts)


def train_judge(data: Path, out: Path, report: Report) -> dict[str, Any]:
    """Train the judge on its share of the texts in `data` and on claims of its own draw, and write it to `out`.

    It takes about half an hour on two cores, and goes on where it was stopped.
    """
    real, claims = [text for text in real_texts(data) if is_judges(text)], _claims()
    texts = [*real, *long_texts(data), *claims]
    tokenizer = _tokenizer(random.Random(0).sample(texts, 60_000))
    checkpoint = out.with_name(f"{out.name}.checkpoint.safetensors")
    model = _trained(tokenizer, texts, real, checkpoint, report)
    module: torch.nn.Module = model
    module.to(torch.bfloat16)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    words = sorted(_words([*real_texts(data), *claims]))
    (out / _WORDS).write_bytes(gzip.compress("\n".join(words).encode(), 9, mtime=0))
    checkpoint.unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"judge": str(out), "bytes": size, "words": len(words), "texts": len(texts)}


def _claims() -> list[str]:
    grammar, rng = Grammar.load(), random.Random("judge")
    texts = [grammar.claim(rng, grammar.record(rng), form=rng.choice(FORMS)).text for _ in range(_CLAIMS)]
    return [text for text in texts if not is_held_out(text)]


def _words(texts: Iterable[str]) -> set[str]:
    words = chain.from_iterable((*map(words_of, texts), *lexicon(Grammar.load())))
    return {word for word in words if not any(map(str.isdigit, word))}


def _trained(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], real: Sequence[str], checkpoint: Path, report: Report
) -> GPT2LMHeadModel:
    """Train with one real text in two, so that no source drowns the short ones that are judged."""
    torch.manual_seed(1)
    end = tokenizer.eos_token_id
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **_SHAPE))

    def drawn(step: int) -> list[str]:
        rng = random.Random(f"judge's batch {step}")
        return [*rng.sample(real, _ROWS // 2), *rng.sample(texts, _ROWS // 2)]

    train_on_whole_texts(
        model, tokenizer, drawn, [torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)], _STEPS, _LENGTH,
        checkpoint, lambda loss, step: report(f"training the judge (loss {loss:.3f})", step, _STEPS),
    )  # fmt: skip
    return model


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
