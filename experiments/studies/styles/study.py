"""Whether factual and emotional claims lie apart, with labels and without, in several spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from torch import Tensor

from copyloom import InputError, Report
from embeddings.directions import FOLDS
from embeddings.mixing import adapt
from embeddings.space import Space
from experiments.bootstrap import interval
from experiments.styles import paired_claims
from generator.grammar import Claim, Grammar

SEEDS = 20
"""Of k-means with two clusters, one start each."""
PRODUCTS = 100
FEWEST = 10
_INVERSE_PENALTY = 100.0


def measure(
    styles: Sequence[str], products: int, model: str, device: str, report: Report
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Return all that ``copyloom study styles`` prints, and the points of each space for its plot.

    Parameters
    ----------
    styles : sequence of str
        Two.
    products : int
        A held-out claim in each style is drawn about each.

    Raises
    ------
    InputError
        If there are too few products, or not two styles of the grammar.
    """
    known = Grammar.load().styles
    if len(set(styles)) != 2 or not set(styles) <= set(known):
        raise InputError(f"styles {', '.join(styles)} were given; give two different ones of {', '.join(known)}")
    if products < FEWEST:
        raise InputError(f"{products} products were given; give at least {FEWEST}")
    space = Space.load(model, device)
    report("drawing claims", 0, 1)
    claims = paired_claims(styles, products, "study styles", held_out=True)
    points = representations(space, claims, report)
    labels = np.array([claim.frame.style == styles[1] for claim in claims])
    pairs = np.repeat(np.arange(products), len(styles))
    rows = []
    for number, (name, values) in enumerate(points.items()):
        rows.append({"space": name, "size": values.shape[1], **separation(values, labels, pairs, _frames(claims)),
                     "within_products": without_labels(less_product(values, pairs), labels, pairs)})  # fmt: skip
        report("separating", number + 1, len(points))
    found = {"styles": list(styles), "claims": len(claims), "products": products, "frames": len(set(_frames(claims))),
             "model": space.model.name, "device": space.model.device.type, "seeds": SEEDS, "rows": rows}  # fmt: skip
    return found, points


def representations(space: Space, claims: Sequence[Claim], report: Report) -> dict[str, NDArray[np.float64]]:
    """Return claims (n, size) in the spaces that are compared: first the summary embeddings as they are stored."""
    texts = [claim.text for claim in claims]
    stored = space.invert(texts, None, lambda done, total: report("inverting", done, total))
    vectors = torch.stack([embedding.vectors for embedding in stored])
    sentence_vectors = torch.stack([embedding.sentence_vector for embedding in stored])
    found = {"summary embeddings": vectors.flatten(1)}
    if space.adapter is not None:
        straight = adapt(space.adapter, sentence_vectors)
        found |= {
            "... before inversion": straight.flatten(1),
            "... residuals": (vectors - straight).flatten(1),
        }
    found |= {"sentence embeddings": sentence_vectors, "mean token embeddings": _token_means(space, texts)}
    return {name: values.double().numpy() for name, values in found.items()}


def _token_means(space: Space, texts: Sequence[str]) -> Tensor:
    rows = [space.model.embed(torch.tensor(space.model.tokenize(text))).float().mean(0).cpu() for text in texts]
    return torch.stack(rows)


def _frames(claims: Sequence[Claim]) -> list[str]:
    return [claim.frame.text for claim in claims]


def less_product(values: NDArray[np.float64], products: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return points (n, size) less the mean of their product's.

    That needs no label of style, but two claims of one product then mirror each other, so that a classifier which
    learnt from one would know the other: such points are for k-means only.
    """
    means = np.zeros((products.max() + 1, values.shape[1]))
    np.add.at(means, products, values)
    return values - (means / np.bincount(products)[:, None])[products]


def separation(
    values: NDArray[np.float64], labels: NDArray[np.bool_], pairs: NDArray[np.int64], frames: Sequence[str]
) -> dict[str, Any]:
    """Return how far two kinds of points lie apart, with labels and without.

    Parameters
    ----------
    values : array of shape (n, size)
    labels : array of shape (n,)
        Which kind.
    pairs : array of shape (n,)
        Which product.
    frames : sequence of str
        Of the texts; the classifier is tested on frames that it has not learnt from.

    Returns
    -------
    dict
        ``linear_accuracy``, cross-validated, of a logistic regression; and what `without_labels` returns.
    """
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    classifier = LogisticRegression(C=_INVERSE_PENALTY, max_iter=2000)
    linear = cross_val_score(classifier, _scaled(values), labels, cv=folds, groups=frames)
    return {"linear_accuracy": float(linear.mean()), **without_labels(values, labels, pairs)}


def without_labels(values: NDArray[np.float64], labels: NDArray[np.bool_], pairs: NDArray[np.int64]) -> dict[str, Any]:
    """Return how well two kinds of points are told apart by what sees no label.

    Parameters
    ----------
    values, labels, pairs
        As for `separation`.

    Returns
    -------
    dict
        ``kmeans_accuracy``, the clusters named in the better way, so at least one half: its mean over seeds, its
        bootstrap interval over products and its extremes over seeds; ``adjusted_rand_index`` (0 is chance);
        ``silhouette`` of the labels; ``first_component_accuracy`` of the sign of the first principal component.
    """
    scaled = _scaled(values)
    clusters = [KMeans(2, n_init=1, random_state=seed).fit_predict(scaled) for seed in range(SEEDS)]
    right = np.array([_better(found == 1, labels) for found in clusters])  # (seeds, n)
    of_products = np.bincount(pairs, right.mean(0)) / np.bincount(pairs)
    along = np.linalg.svd(scaled, full_matrices=False)[0][:, 0]
    return {
        "kmeans_accuracy": float(right.mean()),
        "kmeans_interval": interval(of_products),
        "kmeans_range": [float(right.mean(1).min()), float(right.mean(1).max())],
        "adjusted_rand_index": float(np.mean([adjusted_rand_score(labels, found) for found in clusters])),
        "silhouette": float(silhouette_score(scaled, labels)),
        "first_component_accuracy": float(_better(along > 0, labels).mean()),
    }


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points about their mean, their mean square length 1, so that one penalty suits every space."""
    centred = values - values.mean(0)
    return centred / (np.sqrt(np.square(centred).sum(1).mean()) or 1.0)


def _better(found: NDArray[np.bool_], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which points are told right, the two clusters named in the better way."""
    right = found == labels
    return right if right.mean() >= 0.5 else ~right
