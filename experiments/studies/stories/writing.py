"""Headlines written for stories: a test's own headlines are stored and mixed, and checked as copy is."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from copyloom import Report
from embeddings.folders import held
from embeddings.inverting import stream, unrefined
from embeddings.refusals import is_copy
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from experiments.campaigns.config import ProposerConfig
from experiments.campaigns.workshop import WEIGHTS
from experiments.studies.stories.settings import StoryStudy
from experiments.versions import model_files, packages, source_hash
from generator.checks import Checker, WritingRules

EFFORT = replace(ProposerConfig().effort, kept=1, together=1)
"""A campaign's: a text is shown from a probability of 0.4 to be printed. Stories differ too much to write together."""


@dataclass(frozen=True)
class Written:
    """What was written from a mixture.

    Parameters
    ----------
    parents : tuple of str
    weights : tuple of float
    text : str
        Nothing where no text is fit to print.
    fault : str, optional
        Why there is none.
    printed : float, optional
        How likely readers print it, where the writer has an editor.
    """

    parents: tuple[str, ...]
    weights: tuple[float, ...]
    text: str
    fault: str | None = None
    printed: float | None = None


Story = tuple[str, ...]
"""The headlines of a test."""


def write_all(stories: Sequence[Story], settings: StoryStudy, folder: Path, report: Report) -> list[list[Written]]:
    """Return what is written for each story; what `folder` holds already is not written again.

    Raises
    ------
    CopyloomError
        If the writer cannot be used, or another study writes to `folder`.
    """
    with held(folder, "study", "--folder"):
        return _written(stories, settings, folder / f"written-{_identity(settings)}.jsonl", report)


def _written(stories: Sequence[Story], settings: StoryStudy, file: Path, report: Report) -> list[list[Written]]:
    """Return what is written for each story, kept in a file line by line."""
    known = _kept(file)
    fresh = [story for story in dict.fromkeys(stories) if story not in known]
    if fresh:
        report("loading the model", 0, 1)
        space = Space.load(settings.model)
        for done, story in enumerate(fresh):
            report("writing headlines", done, len(fresh))
            known[story] = write(space, story, settings)
            line = {"story": story, "written": [asdict(one) for one in known[story]]}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        report("writing headlines", len(fresh), len(fresh))
    return [known[story] for story in stories]


def write(space: Space, story: Story, settings: StoryStudy) -> list[Written]:
    """Return what is written from some mixtures of a story's headlines, a text once.

    What says nearly the same as one of the headlines, be it a parent or not, is refused as a copy. A headline that
    cannot be stored (of a script that the writer does not know, say) is not mixed.
    """
    stored = _stored(space, story)
    pairs, weights = _mixtures(story, list(stored), settings)
    if not pairs:
        return []
    families = [[stored[text] for text in pair] for pair in pairs]
    vectors = torch.stack([torch.stack([one.vectors for one in family]) for family in families])
    sentence_vectors = torch.stack([torch.stack([one.sentence_vector for one in family]) for family in families])
    house = Checker(WritingRules.like(story), story)
    found = space.writer.write_nearest(vectors, sentence_vectors, torch.tensor(weights), pairs, EFFORT, house)
    seen, rows = set[str](), []
    for (wording, _), pair, shares in zip(found, pairs, weights, strict=True):
        fault = wording.fault or _fault(wording.text, story, seen, house, wording.finished)
        text = "" if fault else wording.text
        seen.add(text)
        rows.append(Written(pair, shares, text, fault, wording.printed))
    return rows


def _fault(text: str, story: Story, seen: set[str], house: Checker, finished: bool) -> str | None:
    if text in seen:
        return "was written before"
    if near := next((headline for headline in story if is_copy(text, headline)), None):
        return f"nearly the same words as {near}"
    return next((refusal.reason for refusal in house.refusals(text, finished)), None)


def _mixtures(
    story: Story, stored: Sequence[str], settings: StoryStudy
) -> tuple[list[tuple[str, ...]], list[tuple[float, ...]]]:
    """Return pairs of a story's headlines, each once, and their weights: such as a campaign's first mixtures have."""
    rng = random.Random(f"{settings.seed} {story}")
    pairs: list[tuple[str, ...]] = list(combinations(stored, 2))
    pairs = rng.sample(pairs, min(settings.mixtures, len(pairs)))
    return pairs, [rng.choice(WEIGHTS) for _ in pairs]


def _stored(space: Space, story: Story) -> dict[str, SummaryEmbedding]:
    """Return the embeddings of the headlines that can be stored, in their order.

    A pretrained writer reads the texts themselves, and needs no embedding that is exact.
    """
    found = unrefined(space, story) if space.composes else [one for _, one in sorted(stream(space, story), key=_number)]
    return {one.text: one for one in found if isinstance(one, SummaryEmbedding)}


def _number(row: tuple[int, Any]) -> int:
    return row[0]


def _kept(file: Path) -> dict[Story, list[Written]]:
    """Return what an earlier call wrote; a last line that it did not finish does not count, and is taken away."""
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        file.write_text("".join(whole), encoding="utf-8")
    rows = map(json.loads, whole)
    return {
        tuple(row["story"]): [
            Written(**{**one, "parents": tuple(one["parents"]), "weights": tuple(one["weights"])})
            for one in row["written"]
        ]
        for row in rows
    }


def _identity(settings: StoryStudy) -> str:
    said = [settings.model, settings.mixtures, settings.seed, asdict(EFFORT), source_hash(write), packages(),
            model_files(settings.model)]  # fmt: skip
    return sha256(json.dumps(said).encode()).hexdigest()[:16]
