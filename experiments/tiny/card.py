"""The model card of copyloom-tiny, from the numbers that ``copyloom study tiny`` measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from experiments.summary import versions

_CARD = """# copyloom-tiny

A decoder-only Llama-class language model of {parameters:,} parameters with a byte-level tokenizer of {vocabulary:,}
tokens, an adapter from all-MiniLM-L6-v2 sentence vectors to summary embeddings of {vectors} vectors, and a subject
adapter that puts one vector for each attribute of a product record in front. All bfloat16. It writes short
marketing claims; it is no chat model and knows nothing of the world.

## Training

`copyloom train tiny`: tokenizer, model and both adapters together, from nothing, by plain cross-entropy, {steps:,}
steps on two CPU cores. Settings: `adapter.json`. A first version; its quality on real texts is what a small model
learns in an hour.

- {claims:,} claims written by the project's own grammar ({grammar}, 12
  products each of which training never sees the last), also rewritten for other products and as mixtures of two.
- About 116,000 real short texts (12 to 110 characters; 2 % held out by a hash): Upworthy Research Archive headlines
  (Matias, Munger, Aubin Le Quere, Ebersole 2021, CC BY 4.0), HuffPost News Category Dataset (R. Misra, CC BY 4.0),
  Inside Airbnb listing titles (CC BY 4.0), ABC "A Million News Headlines" (CC0), the clickbait headlines of
  Chakraborty et al. 2016 (MIT), product texts of AWS Retail Demo Store (MIT-0) and of the women's fashion catalogue
  of Arcada LLC (MIT). The package holds no sentence of them.

## Measured

`copyloom study tiny`, {where}. *Exact*: constant-shape greedy decoding of the stored embedding alone returns the
text.

| what | value |
|---|---|
{rows}

*True to the record*: about the subject, and neither a foreign attribute nor an invented number nor an unknown word,
as `generator.checks` reads it. *Nats above claims*: loss per token under the judge of the mix benchmark (a GPT-2-class
model trained on other texts, with its own tokenizer), minus that of held-out claims. Claims are held out by a hash that
the training of this first version did not know yet: it may have seen a few of them.

## Limits

English. Texts of the lengths it was trained on (up to about 45 tokens). Without a subject a mixture may mix up
facts. Which attribute of the record a slot takes is decided by sentence vectors, not by the model. Never ran on
Trainium.
"""

_GRAMMAR = "{frames} sentence frames in {styles} styles, {categories} categories"
_FIRST_GRAMMAR = {"frames": 200, "styles": 10, "categories": 26}
"""What models were trained on whose settings do not say it."""


def trained_on() -> dict[str, int]:
    """Return the numbers of claim frames, styles and categories that the shipped model was trained on."""
    settings = json.loads(resources.files("generator").joinpath("copyloom_tiny/adapter.json").read_text())
    return {**_FIRST_GRAMMAR, **settings.get("grammar", {})}


ROWS = {
    "shipped_exact_share": "shipped claims, exact",
    "grammar_exact_share": "held-out grammar claims, exact",
    "grammar_exact_from_adapter": "held-out grammar claims, exact straight from the adapter",
    "grammar_median_steps": "held-out grammar claims, median optimisation steps",
    "grammar_texts_per_second": "held-out grammar claims, texts a second",
    "real_exact_share": "held-out real texts of 12 to 100 characters, exact",
    "real_exact_from_adapter": "held-out real texts, exact straight from the adapter",
    "real_median_steps": "held-out real texts, median optimisation steps",
    "real_texts_per_second": "held-out real texts, texts a second",
    "known_subject_true_share": "equal mixtures of claims about other products, true to the record",
    "known_subject_distinct": "... distinct texts among 200",
    "unseen_subject_true_share": "the same, records in words that training never saw",
    "unseen_subject_distinct": "... distinct texts among 200",
    "mixtures_new_share": "equal mixtures of held-out grammar claims without a subject, new",
    "mixtures_nats_above_claims": "... nats per token above claims",
}


def model_card(found: Mapping[str, Any]) -> str:
    """Return the card in Markdown; `found` is what `experiments.tiny.quality.measure` returns."""
    settings = json.loads(resources.files("generator").joinpath("copyloom_tiny/adapter.json").read_text())["training"]
    rows = [f"| {words} | {_shown(key, found[key])} |" for key, words in ROWS.items() if found.get(key) is not None]
    used = versions()
    return _CARD.format(
        parameters=found["parameters"],
        vocabulary=settings["vocabulary"],
        vectors=settings["vectors"],
        steps=settings["steps"],
        claims=settings.get("grammar_texts", settings.get("grammar_claims")),
        grammar=_GRAMMAR.format(**trained_on()),
        where=f"{found['device']}, {used['threads']} threads, torch {used['torch']}",
        rows="\n".join(rows),
    )


def _shown(key: str, value: float) -> str:
    return f"{value:.1%}" if key.endswith(("share", "adapter")) else f"{value:.3g}"
