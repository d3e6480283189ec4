"""Whether a cosine can be trusted, and what to do to vectors first: chosen on some texts, reported on others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from embeddings.geometry import Reduction
from experiments.bootstrap import bounds
from experiments.studies.space.qualities import cosines
from experiments.studies.space.resampling import Array, Pairs, ResampledPairs, rank_correlation
from experiments.studies.space.samples import Sample, relatedness, telling_pairs

AS_IT_IS = "as it is"
_KEPT = (8, 16, 32)
"""Principal components that whitening keeps."""

Adjustment = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Agreement:
    """How well cosines agree with what texts share, their vectors adjusted in one way first.

    Parameters
    ----------
    adjustment : str
    chosen_by : float
        Spearman's correlation on the half by which the adjustment is chosen.
    value : float
        On the other half.
    low, high : float
        95 % interval of `value`.
    gain, gain_low, gain_high : float
        `value` less that of the cosine as it is, with its 95 % interval.
    """

    adjustment: str
    chosen_by: float
    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Trust:
    """What is advised for a space.

    Parameters
    ----------
    rows : tuple of Agreement
        Of each adjustment; the first is that of the cosine as it is.
    chosen : Agreement
        The one that is best on the half that chooses.
    """

    rows: tuple[Agreement, ...]
    chosen: Agreement

    @property
    def plain(self) -> Agreement:
        """Of the cosine as it is."""
        return self.rows[0]

    @property
    def advice(self) -> str:
        """What to do: the chosen adjustment if it is surely better on the other half, else nothing."""
        return self.chosen.adjustment if self.chosen.gain_low > 0 else AS_IT_IS

    @property
    def answer(self) -> str:
        """Whether the cosine can be trusted, in a sentence."""
        chosen, plain = self.chosen, self.plain
        if self.advice != AS_IT_IS:
            gained = f"{chosen.gain:+.2f} ({chosen.gain_low:+.2f} to {chosen.gain_high:+.2f})"
            return (f"Better {chosen.adjustment}: it agrees {_span(chosen)} with what texts share, as it is "
                    f"{plain.value:.2f}; {gained}.")  # fmt: skip
        if plain.low <= 0:
            return f"No: it is not told from one that follows nothing of what texts share ({_span(plain)})."
        return f"It agrees {_span(plain)} with what texts share; nothing that was tried is surely better."


def _span(row: Agreement) -> str:
    return f"{row.value:.2f} ({row.low:.2f} to {row.high:.2f})"


def adjustments(fitted_on: Tensor) -> dict[str, Adjustment]:
    """Return what may be done to vectors before their cosine is taken, fitted on some (n, size), without labels.

    Centring and standardising as Timkey and van Schijndel (EMNLP 2021, section 5); whitening as Su et al. (2021,
    arXiv:2103.15316), to 8, 16 or 32 principal components where there are enough vectors.
    """
    mean, spread = fitted_on.double().mean(0), fitted_on.double().std(0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    found: dict[str, Adjustment] = {
        AS_IT_IS: lambda values: values,
        "centred": lambda values: values.double() - mean,
        "standardised": lambda values: (values.double() - mean) / spread,
    }
    for kept in _KEPT:
        if 2 * kept <= len(fitted_on):
            reduction = Reduction.fit(fitted_on, kept)
            if reduction.features == kept:
                found[f"whitened to {kept}"] = reduction
    return found


def trust_of(values: Tensor, sample: Sample) -> Trust:
    """Return whether the cosine of vectors can be trusted.

    The reference is what texts share (`experiments.studies.space.samples.relatedness`): nothing is fitted to it. Each
    half's pairs are judged with adjustments that were fitted on the other half's vectors. The first half's pairs choose
    one, the second's say how good it is; no product is in both.

    Parameters
    ----------
    values : Tensor of shape (n, size)
    sample : Sample
        Of the same texts.
    """
    wanted, halves = relatedness(sample), sample.halves()
    found: list[dict[str, Array]] = []
    pairs: list[Pairs] = []
    for own, other in (halves, halves[::-1]):
        pairs.append(telling_pairs(sample, own))
        places = torch.from_numpy(pairs[-1])
        ways = adjustments(values[other])
        found.append({name: cosines(adjusted(values), places).numpy() for name, adjusted in ways.items()})
    references = [wanted[some[:, 0], some[:, 1]] for some in pairs]
    choosing = {name: rank_correlation(some, references[0]) for name, some in found[0].items() if name in found[1]}
    resampled = ResampledPairs(sample.groups, pairs[1])
    samples = {name: resampled.correlations(found[1][name], references[1]) for name in choosing}
    rows = []
    for name, chosen_by in choosing.items():
        value, plain = (rank_correlation(found[1][which], references[1]) for which in (name, AS_IT_IS))
        low, high = bounds(samples[name])
        gain_low, gain_high = bounds(samples[name] - samples[AS_IT_IS])
        rows.append(Agreement(name, chosen_by, value, low, high, value - plain, gain_low, gain_high))
    return Trust(tuple(rows), max(rows, key=lambda row: row.chosen_by))
