"""An independent language model that judges how fluent texts are: another architecture, tokenizer and data draw."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from generator.grammar import Grammar

_VOCABULARY, _CLAIMS, _STEPS, _ROWS, _LENGTH = 1500, 40_000, 700, 96, 40


class Judge:
    """Loss per token of a text, under a small GPT-2 trained on grammar claims that copyloom-tiny did not see.

    Parameters
    ----------
    model : GPT2LMHeadModel
    tokenizer : PreTrainedTokenizerFast
    """

    def __init__(self, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def trained(cls, folder: Path, report: Callable[[str, int, int], None]) -> Judge:
        """Return the judge in `folder`, trained first if there is none: about two minutes on two cores."""
        if not (folder / "config.json").exists():
            _train(folder, report)
        return cls(GPT2LMHeadModel.from_pretrained(folder), PreTrainedTokenizerFast.from_pretrained(folder))

    @torch.inference_mode()
    def nats_per_token(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the mean loss per token, end-of-text included, of each text: a Tensor of shape (n,)."""
        losses = []
        for text in texts:
            ids = _ids(self.tokenizer, text)
            losses.append(self.model(input_ids=ids, labels=ids).loss)
        return torch.stack(losses)


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> torch.Tensor:
    end = tokenizer.eos_token_id
    return torch.tensor([[end, *tokenizer(text)["input_ids"], end]])


def _train(folder: Path, report: Callable[[str, int, int], None]) -> None:
    grammar, rng = Grammar.load(), random.Random("judge")
    texts = [grammar.claim(rng, grammar.record(rng)).text for _ in range(_CLAIMS)]
    tokenizer = _tokenizer(texts)
    torch.manual_seed(1)
    end = tokenizer.eos_token_id
    shape: dict[str, Any] = {"n_positions": 128, "n_embd": 128, "n_layer": 3, "n_head": 4}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=_STEPS)
    for step in range(_STEPS):
        rows = [_ids(tokenizer, text)[0, :_LENGTH] for text in rng.sample(texts, _ROWS)]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids.clamp_min(0)).logits[:, :-1]
        loss = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        report("training the judge", step + 1, _STEPS)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


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
