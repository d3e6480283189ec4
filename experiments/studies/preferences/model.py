"""Logistic regression of clicks on design choices, with an effect of each text of its own.

Clicks of a text in a stratum (a test, a snapshot, a segment: wherever texts compete for the same readers) are
binomial with the logit ``a_s + x_t' b + u_t``. The strata's intercepts ``a`` are all but free, so that only contrasts
within a stratum say anything of the part-worths ``b``; ``u`` is what a text has beyond its coded choices, normal with
a standard deviation that the data decide. Without it intervals would be too narrow, as texts of one coding differ.
The posterior is that of the integrated nested Laplace approximation (Rue, Martino and Chopin 2009, section 3, with its
Gaussian marginals): a Laplace approximation for each of some standard deviations, mixed by how well they explain the
clicks. As a posterior, it does not care why a text was shown more often than another, as long as past clicks decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array, csc_array, diags_array, hstack
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.special import expit, logit

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
PRIOR_SD = 1.0
"""Of each part-worth, in logits: all but nothing where there are clicks, a rein where a level is rare."""
_STRATUM_SD = 3.0
_SPREADS = (0.01, 3.0)
"""Least and greatest standard deviation of the texts' own effects, in logits."""
_POINTS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
ENOUGH_GROUPS = 40
"""From so many groups of tests on, intervals allow for choices whose effect differs from one to another."""
DRAWS = 8000


@dataclass(frozen=True, eq=False)
class Cells:
    """C cells: the impressions and clicks of a text in a stratum.

    Parameters
    ----------
    texts, strata : array of shape (C,)
        Numbers of each, from 0.
    impressions, clicks : array of shape (C,)
    """

    texts: Integers
    strata: Integers
    impressions: Integers
    clicks: Integers

    def telling(self) -> Cells:
        """Return the cells of strata that can tell: with two texts or more, and clicks on some impressions, not all."""
        shown = self.only(self.impressions > 0)
        many = int(shown.strata.max(initial=-1)) + 1
        clicks, impressions = (np.bincount(shown.strata, values, many) for values in (shown.clicks, shown.impressions))
        pairs = np.unique(np.stack([shown.strata, shown.texts]), axis=1)
        good = (np.bincount(pairs[0], minlength=many) > 1) & (clicks > 0) & (clicks < impressions)
        return shown.only(good[shown.strata])

    def only(self, chosen: NDArray[np.bool_]) -> Cells:
        """Return some of the cells."""
        return Cells(self.texts[chosen], self.strata[chosen], self.impressions[chosen], self.clicks[chosen])

    @property
    def rate(self) -> float:
        """Clicks per impression."""
        return float(self.clicks.sum() / self.impressions.sum())


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the clicks say of K coefficients.

    Parameters
    ----------
    mean : array of shape (K,)
    covariance : array of shape (K, K)
    draws : array of shape (DRAWS, K)
    spread : float
        Standard deviation of the texts' own effects, in logits.
    information : array of shape (K, K)
        What the design tells of them, strata and texts' own effects taken out.
    groups : int
        Of strata that share a text.
    robust : bool
        Whether intervals allow for effects that differ between groups.
    """

    mean: Array
    covariance: Array
    draws: Array
    spread: float
    information: Array
    groups: int
    robust: bool


@dataclass(frozen=True, eq=False)
class _Mode:
    coefficients: Array
    covariance: Array
    information: Array
    scores: Array  # (C, K), each cell's part of the coefficients' score
    evidence: float
    rest: Array


def fit(cells: Cells, design: Array, seed: int = 0) -> Posterior:
    """Return the posterior of the coefficients.

    Parameters
    ----------
    cells : Cells
        Of strata that can tell; see `Cells.telling`.
    design : array of shape (N, K)
        Of all texts.
    seed : int
        Of the draws.
    """
    laplace = Laplace(cells, design)
    known: dict[float, _Mode] = {}

    def at(log_spread: float) -> _Mode:
        if log_spread not in known:
            known[log_spread] = laplace.mode(float(np.exp(log_spread)))
        return known[log_spread]

    low, high = np.log(_SPREADS)
    best = float(minimize_scalar(lambda x: -at(x).evidence, bounds=(low, high), method="bounded",
                                 options={"xatol": 0.02}).x)  # fmt: skip
    step = 0.15
    bend = at(best + step).evidence + at(best - step).evidence - 2 * at(best).evidence
    width = float(np.clip(step / np.sqrt(max(-bend, 1e-9)), 0.02, 0.8))
    points = [at(float(x)) for x in best + width * _POINTS]
    weights = np.exp([one.evidence - max(other.evidence for other in points) for one in points])
    weights /= weights.sum()
    mean = np.einsum("p,pk->k", weights, [one.coefficients for one in points])
    off = np.array([one.coefficients - mean for one in points])
    covariance = np.einsum("p,pkl->kl", weights, [one.covariance for one in points])
    covariance += np.einsum("p,pk,pl->kl", weights, off, off)
    rng = np.random.default_rng(seed)
    groups = _groups(cells)
    count = int(groups.max()) + 1
    if robust := count >= ENOUGH_GROUPS:
        covariance = _robust(at(best), groups, count)
        draws = rng.multivariate_normal(mean, covariance, DRAWS, method="cholesky")
    else:
        chosen = rng.multinomial(DRAWS, weights)
        draws = np.concatenate([rng.multivariate_normal(one.coefficients, one.covariance, many, method="cholesky")
                                for one, many in zip(points, chosen, strict=True)])  # fmt: skip
    spread = float(weights @ np.exp(best + width * _POINTS))
    return Posterior(mean, covariance, draws, spread, at(best).information, count, robust)


def _groups(cells: Cells) -> Integers:
    """Return the group of each cell: strata are of one group if they share a text."""
    strata, texts = int(cells.strata.max()) + 1, int(cells.texts.max()) + 1
    links = coo_array((np.ones(len(cells.texts)), (cells.strata, strata + cells.texts)), shape=(strata + texts,) * 2)
    labels = connected_components(links, directed=False)[1][cells.strata]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _robust(mode: _Mode, groups: Integers, count: int) -> Array:
    """Return the sandwich covariance over groups (Liang and Zeger 1986), with the prior where clicks do not tell.

    At the mode strata and texts score nothing, so the coefficients' own scores are all there is.
    """
    scores = np.zeros((count, mode.scores.shape[1]))
    np.add.at(scores, groups, mode.scores)
    scores -= scores.mean(0)
    meat = scores.T @ scores * (count / (count - 1)) + PRIOR_SD**-2 * np.eye(scores.shape[1])
    found: Array = mode.covariance @ meat @ mode.covariance
    return found


class Laplace:
    """The Laplace approximation for a given spread of the texts' own effects."""

    def __init__(self, cells: Cells, design: Array) -> None:
        self.cells = cells
        rows = np.arange(len(cells.texts))
        strata = np.unique(cells.strata, return_inverse=True)[1]
        shown, texts = np.unique(cells.texts, return_inverse=True)
        self.strata, self.units = int(strata.max()) + 1, len(shown)
        ones = np.ones(len(rows))
        self.rest = hstack([coo_array((ones, (rows, strata)), shape=(len(rows), self.strata)),
                            coo_array((ones, (rows, texts)), shape=(len(rows), self.units))]).tocsc()  # fmt: skip
        self.design = design[cells.texts]  # (C, K)
        self.base = float(logit(cells.rate))
        self.start = np.concatenate([np.full(self.strata, self.base), np.zeros(self.units)])
        self.coefficients = np.zeros(design.shape[1])

    def mode(self, spread: float) -> _Mode:
        """Return where the posterior is highest, found by Newton's method from where it was last."""
        precision = np.concatenate([np.full(self.strata, _STRATUM_SD**-2), np.full(self.units, spread**-2)])
        centre = np.concatenate([np.full(self.strata, self.base), np.zeros(self.units)])
        rest, own = self.start, self.coefficients
        value = self._height(rest, own, precision, centre)
        for _ in range(60):
            step_rest, step_own, gain, *_ = self._step(rest, own, precision, centre)
            size = 1.0
            while (new := self._height(rest + size * step_rest, own + size * step_own, precision, centre)) < value:
                size /= 2
                if size < 1e-6:
                    break
            rest, own, value = rest + size * step_rest, own + size * step_own, max(new, value)
            if gain < 1e-6:
                break
        self.start, self.coefficients = rest, own
        _, _, _, information, logarithm = self._step(rest, own, precision, centre)
        covariance = np.linalg.inv(information + PRIOR_SD**-2 * np.eye(len(own)))
        residual = self.cells.clicks - self.cells.impressions * self._rates(rest, own)
        determinant = logarithm - np.linalg.slogdet(covariance)[1]
        evidence = value + 0.5 * float(np.log(precision).sum()) - 0.5 * determinant
        evidence += np.log(spread) - spread**2 / 2  # half-normal, standard deviation 1, on the scale of the logarithm
        return _Mode(
            own, np.asarray(covariance, np.float64), information, self.design * residual[:, None], float(evidence), rest
        )

    def _rates(self, rest: Array, own: Array) -> Array:
        found: Array = expit(self.rest @ rest + self.design @ own)
        return found

    def _height(self, rest: Array, own: Array, precision: Array, centre: Array) -> float:
        """Return the logarithm of the posterior, up to a constant."""
        logits = self.rest @ rest + self.design @ own
        likelihood = self.cells.clicks @ logits - self.cells.impressions @ np.logaddexp(0, logits)
        return float(likelihood - precision @ (rest - centre) ** 2 / 2 - own @ own / (2 * PRIOR_SD**2))

    def _step(
        self, rest: Array, own: Array, precision: Array, centre: Array
    ) -> tuple[Array, Array, float, Array, float]:
        """Return Newton's step, what it gains, the coefficients' information, and the other block's log determinant."""
        rates = self._rates(rest, own)
        residual = self.cells.clicks - self.cells.impressions * rates
        weights = self.cells.impressions * rates * (1 - rates)
        inner = csc_array(self.rest.T @ diags_array(weights) @ self.rest + diags_array(precision))
        solved = splu(inner, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        across = self.rest.T @ (self.design * weights[:, None])  # (S + N, K)
        taken = solved.solve(across)
        information = self.design.T @ (self.design * weights[:, None]) - across.T @ taken
        slope_rest = self.rest.T @ residual - precision * (rest - centre)
        slope_own = self.design.T @ residual - own / PRIOR_SD**2
        step_own = np.linalg.solve(information + PRIOR_SD**-2 * np.eye(len(own)), slope_own - taken.T @ slope_rest)
        step_rest = solved.solve(slope_rest) - taken @ step_own
        gain = float(slope_rest @ step_rest + slope_own @ step_own)
        return step_rest, step_own, gain, information, float(np.log(np.abs(solved.U.diagonal())).sum())
