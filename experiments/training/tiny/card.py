"""The model card of copyloom-tiny, from the numbers that ``copyloom study tiny`` measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from experiments.versions import versions

_CARD = """# copyloom-tiny

A decoder-only Llama-class language model of {parameters:,} parameters with a byte-level tokenizer of {vocabulary:,}
tokens, an adapter from all-MiniLM-L6-v2 sentence vectors to summary embeddings of {vectors} vectors, and a subject
adapter that puts one vector for each attribute of a product record in front. All bfloat16. It writes short
marketing claims; it is no chat model and knows nothing of the world.

## Training

`copyloom train tiny`: tokenizer, model and both adapters together, from nothing, by plain cross-entropy, {steps:,}
steps, which take about an hour and a half on one core of a CPU that multiplies in bfloat16. Settings: `adapter.json`.

- {texts:,} texts written by the project's own grammar: claims, headlines and descriptions ({grammar}, 12 products each
  of which training never sees the last), as they are, rewritten for other products, and as targets of mixtures of two.
- {real:,} real short texts (12 to 110 characters; 2 % are held out by a hash, a quarter belongs to the judge of the mix
  benchmark): Upworthy Research Archive headlines (Matias, Munger, Aubin Le Quere, Ebersole 2021, CC BY 4.0), HuffPost
  News Category Dataset (R. Misra, CC BY 4.0), Inside Airbnb listing titles and sentences (CC BY 4.0), ABC "A Million
  News Headlines" (CC0), the clickbait headlines of Chakraborty et al. 2016 (MIT), product texts of AWS Retail Demo
  Store (MIT-0) and of the women's fashion catalogue of Arcada LLC (MIT). The package holds no sentence of them.

`critic/` holds a second, smaller Llama-class model with the same tokenizer, trained on the grammar's texts and the
86,967 real ones that are no sentences of longer texts, reading nothing before them (`copyloom train critic`, twenty
minutes). The search for a mixture's text asks it how likely a text is on its own.

## Measured

`copyloom study tiny`, {where}. *Exact*: constant-shape greedy decoding of the stored embedding alone returns the
text.

| what | value |
|---|---|
{rows}

*True to the record*: about the subject, and neither a foreign attribute nor an invented number nor an unknown word,
as `generator.checks` reads it. These are single decodes; what a search from there writes is in the tables of
`copyloom bench mix`.

## Limits

English. Texts of the lengths it was trained on (up to about 60 tokens). It learned 530 frames of the grammar; what it
writes about a subject in one of the 130 that readers stop (`../frames/stopped.yaml`) is not shown, so that few
descriptions are left in some styles. Of the rest two readers printed 85 and 88 of 100, and 58 of 59 by people
(docs/measured/uplift.md). Urgency and praise are styles to it: check what they claim. Without a subject a mixture may
mix up facts, or read oddly. Which attribute of the record a slot takes is decided by sentence vectors, not by the
model. Never ran on Trainium.
"""

_GRAMMAR = (
    "{claim_frames}, {headline_frames} and {description_frames} frames in {styles} styles, {categories} categories"
)


def trained_on() -> dict[str, Any]:
    """Return the settings that the shipped model was trained with, and what it was trained on."""
    found: dict[str, Any] = json.loads(resources.files("generator").joinpath("copyloom_tiny/adapter.json").read_text())
    return found


ROWS = {
    "shipped_exact_share": "shipped claims, exact",
    "grammar_exact_share": "held-out grammar claims, exact",
    "grammar_exact_from_adapter": "held-out grammar claims, exact straight from the adapter",
    "grammar_bleu_from_adapter": "... BLEU",
    "grammar_cosine_from_adapter": "... cosine to the text meant",
    "grammar_median_steps": "held-out grammar claims, median optimisation steps",
    "grammar_texts_per_second": "held-out grammar claims, texts a second",
    "real_exact_share": "held-out real texts of 12 to 100 characters, exact",
    "real_exact_from_adapter": "held-out real texts, exact straight from the adapter",
    "real_bleu_from_adapter": "... BLEU",
    "real_cosine_from_adapter": "... cosine to the text meant",
    "real_median_steps": "held-out real texts, median optimisation steps",
    "real_texts_per_second": "held-out real texts, texts a second",
    "known_subject_true_share": "equal mixtures of claims about other products, true to the record",
    "known_subject_distinct": "... distinct texts among 200",
    "unseen_subject_true_share": "the same, records in words that training never saw",
    "unseen_subject_distinct": "... distinct texts among 200",
    "mixtures_new_share": "equal mixtures of held-out grammar claims without a subject, new",
}


def model_card(found: Mapping[str, Any]) -> str:
    """Return the card in Markdown; `found` is what `experiments.studies.tiny.quality.measure` returns."""
    settings = trained_on()
    training = settings["training"]
    rows = [f"| {words} | {_shown(key, found[key])} |" for key, words in ROWS.items() if found.get(key) is not None]
    used = versions()
    return _CARD.format(
        parameters=found["parameters"],
        vocabulary=training["vocabulary"],
        vectors=training["vectors"],
        steps=training["steps"],
        texts=training["grammar_texts"],
        real=settings["real_texts"],
        grammar=_GRAMMAR.format(**settings["grammar"]),
        where=f"{found['device']}, {used['threads']} threads, torch {used['torch']}",
        rows="\n".join(rows),
    )


def _shown(key: str, value: float) -> str:
    return f"{value:.1%}" if key.endswith(("share", "exact_from_adapter")) else f"{value:.3g}"
