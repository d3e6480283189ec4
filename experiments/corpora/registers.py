"""Texts of four registers: news headlines, listings of rooms, claims of the grammar, and stories for children."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from copyloom import InputError, Report
from embeddings.folders import replacing
from experiments.corpora.real_texts import MAX_CHARACTERS, MIN_CHARACTERS, headlines, listings, split_sentences
from generator.grammar import Grammar

HEADLINES, LISTINGS, CLAIMS, STORIES = "headlines", "listings", "claims", "stories"
TELLER = "lm-tinystories-656k"
"""Folder of the model that tells the stories."""
_BEGINNING, _END = "<|start_story|>", "<|end_story|>"
_TOLD_TOGETHER, _LONGEST_STORY, _TEMPERATURE = 512, 256, 0.7
"""Stories at a time, tokens of one at most, and how freely they are told."""


def register_texts(folder: Path, count: int, kept: Path, report: Report) -> dict[str, list[str]]:
    """Return distinct short texts (12 to 110 characters) of each register, `count` or all there are, in random order.

    Headlines are of news sites and their tests; listings are titles and sentences of rooms to let; claims come from the
    project's grammar; stories are told by a public model of 656,000 parameters, sentence by sentence.

    Parameters
    ----------
    folder : Path
        Of real texts and the model.
    count : int
    kept : Path
        Folder for the stories, which take a minute or two to tell.
    report : callable

    Raises
    ------
    InputError
        If the model that tells stories is not there.
    """
    found = {HEADLINES: _short(headlines(folder)), LISTINGS: _short(listings(folder))}
    found[CLAIMS] = _claims(count)
    found[STORIES] = told_stories(folder / TELLER, count, kept, report)
    return {name: _shuffled(texts, name)[:count] for name, texts in found.items()}


def told_stories(model: Path, count: int, kept: Path, report: Report) -> list[str]:
    """Return `count` distinct short sentences of stories that the model in a folder tells; `kept` holds them next time.

    Raises
    ------
    InputError
        If the folder is not there.
    """
    path = kept / f"stories-{count}.txt"
    if path.exists():
        return path.read_text(encoding="utf-8").splitlines()
    if not model.is_dir():
        raise InputError(f"there is no folder {model} with a model that tells stories; give texts of your own")
    found: dict[str, None] = {}
    for sentences in _told(model):
        found.update(dict.fromkeys(_short(sentences)))
        report("telling stories", min(len(found), count), count)
        if len(found) >= count:
            break
    kept.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text("\n".join(list(found)[:count]) + "\n", encoding="utf-8")
    return list(found)[:count]


@torch.no_grad()
def _told(folder: Path) -> Iterator[list[str]]:
    """Yield the sentences of some stories at a time, without end; what was cut is left out."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    beginning, end = tokenizer.convert_tokens_to_ids([_BEGINNING, _END])
    for seed in range(1_000_000):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            start = torch.full((_TOLD_TOGETHER, 1), beginning)
            told = model.generate(
                start, attention_mask=torch.ones_like(start), do_sample=True, top_k=0, temperature=_TEMPERATURE,
                max_new_tokens=_LONGEST_STORY, eos_token_id=end, pad_token_id=end,
            )  # fmt: skip
        rows = [row[1 : (row == end).nonzero()[0]] for row in told if (row == end).any()]
        yield [sentence for row in rows for sentence in split_sentences(tokenizer.decode(row))]


def _claims(count: int) -> list[str]:
    grammar, rng = Grammar.load(), random.Random("claims of a register")
    found: dict[str, None] = {}
    while len(found) < count:
        found.update(dict.fromkeys(_short([grammar.claim(rng, grammar.record(rng)).text])))
    return list(found)


def _short(texts: Iterator[str] | list[str]) -> list[str]:
    """Return the distinct texts of 12 to 110 characters, white space made single."""
    found = dict.fromkeys(" ".join(text.split()) for text in texts if text)
    return [text for text in found if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS]


def _shuffled(texts: list[str], name: str) -> list[str]:
    return random.Random(f"register {name}").sample(texts, len(texts))
