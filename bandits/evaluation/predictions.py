"""Reward models for the direct and doubly robust methods, fitted to the log itself."""

import numpy as np
from scipy.sparse import csr_array, hstack, vstack
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bandits.evaluation.estimators import Predictions
from bandits.evaluation.rounds import LoggedRounds
from bandits.evaluation.target import RoundPolicy
from bandits.numbers import check_count

_LOGIT_SD = 0.3  # prior sd of a coefficient: the spread of headlines on one page, in logits (design, section 4.7)


def fitted_predictions(rounds: LoggedRounds, target: RoundPolicy, *, folds: int = 5, seed: int = 0) -> Predictions:
    """Cross-fitted predictions: those of a round come from a model that has not seen its fold.

    Without features, the mean reward of each text at each position, shrunk to the mean of all; with features,
    a logistic regression on text, position and features.

    Parameters
    ----------
    rounds : LoggedRounds
    target : RoundPolicy
    folds : int
        At least 2; at most one a round is used.
    seed : int
        Of the split into folds.

    Raises
    ------
    InputError
        If there are fewer than 2 folds.
    """
    check_count("folds", folds, least=2)
    folds = min(folds, len(rounds))
    fold = np.random.default_rng(seed).permutation(len(rounds)) % folds
    fit = _text_means if rounds.features.shape[1] == 0 else _logistic
    return fit(rounds, target, fold, folds)


def _text_means(rounds: LoggedRounds, target: RoundPolicy, fold: np.ndarray, folds: int) -> Predictions:
    N, cells = rounds.text_count, rounds.position_count * rounds.text_count
    cell = rounds.positions * N + rounds.texts
    within = fold * cells + cell
    totals = [
        np.bincount(within, values, folds * cells).reshape(folds, cells)
        for values in (np.ones(len(cell)), rounds.rewards, rounds.rewards**2)
    ]
    means = np.stack([shrunken_means(*(total.sum(axis=0) - total[f] for total in totals))[0] for f in range(folds)])
    table = means.reshape(folds, rounds.position_count, N)
    logged = means[fold, cell]
    expected = target.expected(lambda rows: table[fold[rows], rounds.positions[rows]])
    _, weight = shrunken_means(*(total.sum(axis=0) for total in totals))
    asked = _asked(rounds, target).ravel()
    own = (asked * weight)[cell]  # what a reward adds to the direct method through its own cell's mean
    all_cells = 1 - (asked * weight * totals[0].sum(axis=0)).sum()  # ... and through the mean of all
    return Predictions(logged, expected, (len(cell) * own + all_cells) * (rounds.rewards - logged))


def _asked(rounds: LoggedRounds, target: RoundPolicy) -> np.ndarray:
    """Share of all rounds in which the target shows a text at a position: (L, N)."""
    share = np.zeros((rounds.position_count, len(target.probabilities)))
    np.add.at(share, (rounds.positions, target.groups), 1 / len(rounds))
    return share @ target.probabilities


def shrunken_means(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each cell, shrunk to the mean of all by as much as the cells differ no more than noise.

    (sum + k m) / (count + k), k = noise variance / variance of the true means, by moments of the one-way
    analysis of variance (Searle, Casella and McCulloch 1992, chapter 3); the latter may come out as 0.

    Parameters
    ----------
    counts, sums, squares : array of shape (C,)
        Of the rewards in each cell.

    Returns
    -------
    means : array of shape (C,)
    weight : array of shape (C,)
        What one reward adds to the mean of its cell: 1 / (count + k).

    Examples
    --------
    Two texts that differ by more than noise explains keep most of their difference:

    >>> import numpy as np
    >>> clicks = np.array([300.0, 100.0])
    >>> shrunken_means(np.array([1000.0, 1000.0]), clicks, clicks)[0].round(3).tolist()
    [0.299, 0.101]
    """
    n, mean, used = counts.sum(), sums.sum() / counts.sum(), counts > 0
    cell_means = np.divide(sums, counts, out=np.full_like(sums, mean), where=used)
    noise = (squares - sums * cell_means).sum() / max(n - used.sum(), 1)
    between = (counts * (cell_means - mean) ** 2).sum() - (used.sum() - 1) * noise
    variance = max(between / max(n - (counts**2).sum() / n, 1), 0.0)
    scale = counts * variance + noise
    weight = np.divide(variance, scale, out=np.zeros_like(scale), where=scale > 0)
    return mean + (sums - counts * mean) * weight, weight


def _logistic(rounds: LoggedRounds, target: RoundPolicy, fold: np.ndarray, folds: int) -> Predictions:
    """Additive in text, position and standardised features on the logit scale, with a normal prior."""
    n, N, L = len(rounds), rounds.text_count, rounds.position_count
    least, most = rounds.reward_range
    places = csr_array((np.ones(n), (np.arange(n), rounds.positions)), (n, L))
    context = hstack([places, StandardScaler().fit_transform(rounds.features)], format="csr")
    shown = csr_array((np.ones(n), (np.arange(n), rounds.texts)), (n, N))
    design, share = hstack([shown, context], format="csr"), (rounds.rewards - least) / (most - least)
    effects, contexts = np.empty((folds, N)), np.empty(n)
    for f in range(folds):
        model = _fractional_logit(design[fold != f], share[fold != f])
        effects[f] = model.coef_[0, :N]
        contexts[fold == f] = context[fold == f] @ model.coef_[0, N:] + model.intercept_

    def reward(logits: np.ndarray) -> np.ndarray:
        return least + (most - least) * expit(logits)

    logged = reward(contexts + effects[fold, rounds.texts])
    expected = target.expected(lambda rows: reward(contexts[rows, None] + effects[fold[rows]]))
    return Predictions(logged, expected)


def _fractional_logit(design: csr_array, share: np.ndarray) -> LogisticRegression:
    """Logistic regression on shares in [0, 1] (Papke and Wooldridge 1996): each row a success and a failure.

    One more round, half a success and half a failure, keeps the fit finite where the log holds no reward.
    """
    edge = csr_array((1, design.shape[1]))
    stacked = vstack([design, edge, design, edge], format="csr")
    outcome = np.repeat([1, 0], len(share) + 1)
    weight = np.concatenate([share, [0.5], 1 - share, [0.5]])
    return LogisticRegression(C=_LOGIT_SD**2, max_iter=1000).fit(
        stacked[weight > 0], outcome[weight > 0], sample_weight=weight[weight > 0]
    )
