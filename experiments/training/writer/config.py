"""How a writer is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from embeddings.training.config import Schedule
from generator.models import WRITER

Share = Annotated[float, Field(ge=0, le=1)]


class WriterTraining(Schedule):
    """What a writer is and how it is trained. The defaults take about two hours on 2 cores with bfloat16 units.

    Hand-written examples join late, so that the best data is seen while the learning rate falls.

    Parameters
    ----------
    model : str
        A model of the registry, a folder, or the hub id of a causal model.
    start_from : str, optional
        A writer of the same sizes to go on from, instead of from nothing: its folder, or the name of a shipped one.
    vectors : int
        Of a text, P.
    width : int
        Of the adapter's residual network.
    rank : int
        Of the low-rank updates of all linear layers.
    rows : int
        Texts of a step.
    steps : int
        Of the training.
    adapter_rate, low_rank_rate : float
        Peak learning rates.
    own, null_prefix, neighbours, grammar : float
        Shares of the examples: a text from its own vector; from none; from a mixture of its neighbours'; and texts of
        the grammar. They are brought to sum to 1.
    written : float
        Share of hand-written examples from step `written_from` on; the others shrink.
    written_from : int
        Step at which they join.
    about : float
        Share of them that are about a record.
    context : float
        Share of mixtures that come with their parents' texts in front of the vectors.
    noise : float
        Most of the variance of a vector that noise takes the place of: ``sqrt(1 - a) z + sqrt(a) e``, a uniform up to
        it (SONAR's decoder; LCM team 2024, section 2.4).
    clean : float
        Share of vectors without noise.
    near_enough : float
        Cosine of a text to a mixture of its neighbours from which on it is a target of that.
    common, others : int
        Tokens that the loss compares a target with: the most common of the training texts, and others drawn anew for
        every step, so that no token of the vocabulary stays likely for want of an example.
    preferred : float
        Share of the steps that learn from drafts that readers judged: of two, the one fit to print is made likelier.
    beta, anchor : float
        Of these steps: how strongly the writer is held to what it was at the start, and the weight of a target token's
        cross-entropy for the better text.
    longest : int
        Tokens and vectors of an example; what is longer is left out. Memory grows with it.
    """

    model: str = WRITER
    start_from: str | None = None
    vectors: PositiveInt = 8
    width: PositiveInt = 768
    rank: PositiveInt = 16
    rows: PositiveInt = 64
    steps: PositiveInt = 1050
    cooldown: float = Field(0.5, gt=0, le=1)
    adapter_rate: PositiveFloat = 2e-3
    low_rank_rate: PositiveFloat = 1e-3
    own: Share = 0.42
    null_prefix: Share = 0.05
    neighbours: Share = 0.33
    grammar: Share = 0.20
    written: Share = 0.5
    written_from: NonNegativeInt = 304
    about: Share = 0.3
    context: Share = 0.6
    noise: Share = 0.4
    clean: Share = 0.35
    near_enough: Share = 0.6
    common: PositiveInt = 12_288
    others: PositiveInt = 2048
    preferred: Share = 0.0
    beta: PositiveFloat = 0.1
    anchor: NonNegativeFloat = 0.1
    longest: PositiveInt = 112
