"""What a campaign is given: stored texts, what new ones are about, and which texts are one's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from copyloom import InputError
from copyloom.tables import say
from experiments.campaigns.config import CampaignConfig
from experiments.counts import read_past
from experiments.texts import MAX_TEXTS, name_subject, read_texts, script_note, shipped_claims
from generator.record import ProductRecord

FEW = 5
"""Stored texts about the subject below which there is nothing fair to compare new ones with."""
_MARK = "Store more of your own, or list those that are yours but do not name it in a file: --own FILE, `own:` in YAML."


@dataclass(frozen=True)
class Given:
    """What a study is given: stored texts, what new ones are about, stored texts about that, notes for the report."""

    texts: list[str]
    subject: ProductRecord | None
    own: list[str]
    notes: list[str]
    past: tuple[tuple[str, int, int], ...] = ()
    """Earlier texts with their impressions and clicks, of which a prior opinion of new ones is made."""


def given_texts(config: CampaignConfig) -> Given:
    """Return what a configuration gives; of more than `MAX_TEXTS` texts some, those about the subject first.

    Raises
    ------
    InputError
        If a file cannot be used, or fewer than two texts are about the subject.
    """
    given, prior = _given(config), config.prior.text_prior
    about = list(given.subject.phrases().values()) if given.subject else []
    if note := script_note(config.model, given.texts + about):
        say(note)
        given = replace(given, notes=[*given.notes, note])
    return given if prior is None else replace(given, past=read_past(prior.past))


def _given(config: CampaignConfig) -> Given:
    if config.own is not None and config.subject is None:
        raise InputError("texts of one's own (own) are those about a subject; give a subject as well")
    if config.texts is None:
        if config.subject is not None:
            raise InputError("a subject needs texts about it; pass --texts as well")
        claims, product = shipped_claims()
        return Given(claims, product, name_subject(claims, product), [])
    texts, notes = read_texts(config.texts, config.column, config.reading), []
    subject = ProductRecord.from_yaml(config.subject) if config.subject else None
    own = _own(config, texts, subject) if subject else []
    if len(texts) > MAX_TEXTS:
        rng, mine = random.Random(config.seed), set(own)
        rest = [text for text in texts if text not in mine]
        kept = rng.sample(own, min(len(own), MAX_TEXTS // 2))
        chosen = {*kept, *rng.sample(rest, min(MAX_TEXTS - len(kept), len(rest)))}
        notes.append(
            f"{len(chosen)} of the {len(texts):,} texts were drawn at random; a study mixes {MAX_TEXTS} at most"
        )
        texts, own = [text for text in texts if text in chosen], [text for text in own if text in chosen]
    if subject and len(own) < FEW:
        notes.append(
            f"only {len(own)} of the {len(texts)} stored texts are about the subject: too few to compare new texts "
            f"with, so the uplift says little. {_MARK}"
        )
    return Given(texts, subject, own if subject else texts, notes)


def _own(config: CampaignConfig, texts: Sequence[str], subject: ProductRecord) -> list[str]:
    """Return the stored texts that are about the subject: those of the file given, or those that name it."""
    if config.own is None:
        own, why = name_subject(texts, subject), f"name the subject {subject.name!r}"
    else:
        marked = set(read_texts(config.own, config.column, config.reading))
        own, why = [text for text in texts if text in marked], f"stand in {config.own}, which holds {len(marked)}"
    if len(own) < 2:
        raise InputError(f"{len(own)} of the {len(texts)} texts {why}; at least two must, so that there is something "
                         f"to compare new texts with. {_MARK}")  # fmt: skip
    return own
