"""Directions: what texts with a label have in common, as a unit vector in the space of sentence vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, SpaceError
from embeddings.encoder import ENCODER_ID
from embeddings.exchange import opened
from embeddings.folders import replacing

FORMAT = "copyloom directions 1"
FOLDS = 5
"""Of cross-validation, and the fewest texts that a label must have."""
_LABEL_STRENGTH, _NUMBER_STRENGTH = 1.0, 0.1
"""Inverse penalty of the classifier, penalty of the regression; sentence vectors have unit length."""


@dataclass(frozen=True, eq=False)
class Direction:
    """Where texts with a label lie, seen from texts without it; or where a number that belongs to texts grows.

    Parameters
    ----------
    name : str
        The label, or what the number is.
    against : tuple of str
        The labels of the other texts; empty for a number.
    normal : Tensor of shape (S,)
        float32, unit length.
    encoder : str
        Whose sentence vectors these are.
    score : float
        Cross-validated: balanced accuracy for a label (one half is chance), correlation for a number (0 is chance).
    texts : int
        It was found with.
    """

    name: str
    against: tuple[str, ...]
    normal: Tensor
    encoder: str
    score: float
    texts: int

    @property
    def measure(self) -> str:
        """What `score` is, in words."""
        return "balanced accuracy" if self.against else "correlation"

    @property
    def description(self) -> dict[str, Any]:
        """All but the vector."""
        return {key: value for key, value in vars(self).items() if key != "normal"} | {"measure": self.measure}


def label_direction(
    vectors: Tensor, labels: Sequence[str], name: str, groups: Sequence[str] | None = None, encoder: str = ENCODER_ID
) -> Direction:
    """Return the direction from texts of all other labels to those labelled `name`.

    It is the unit normal of a logistic regression, a concept activation vector (Kim et al., ICML 2018, section 3.2),
    each label weighing as much as all others together.

    Parameters
    ----------
    vectors : Tensor of shape (n, S)
        Sentence vectors.
    labels : sequence of str
    name : str
    groups : sequence of str, optional
        What texts have in common that must not help to tell their labels, such as the frame they were written with:
        cross-validation never learns from a text of a group that it is tested on.
    encoder : str

    Raises
    ------
    InputError
        If labels do not fit the vectors, a vector is not finite, or a label has too few texts.

    Examples
    --------
    >>> vectors = torch.eye(4)[[0, 1] * 5 + [2, 3] * 5]
    >>> label_direction(vectors, ["calm"] * 10 + ["loud"] * 10, "loud").normal.round(decimals=2).tolist()
    [-0.5, -0.5, 0.5, 0.5]
    """
    _check(vectors, labels, groups)
    counts = {label: list(labels).count(label) for label in dict.fromkeys(labels)}
    if len(counts) < 2:
        raise InputError(f"all {len(labels)} texts are labelled {labels[0]!r}; give texts with two labels or more")
    if name not in counts:
        raise InputError(f"no text is labelled {name!r}; the labels are {', '.join(counts)}")
    if min(counts[name], len(labels) - counts[name]) < FOLDS:
        raise InputError(
            f"{counts[name]} texts are labelled {name!r} and {len(labels) - counts[name]} otherwise; "
            f"give at least {FOLDS} of each"
        )
    mine = np.array([label == name for label in labels])
    if groups is not None:
        for side in (mine, ~mine):
            _check_groups(np.asarray(groups)[side], name)
    model = LogisticRegression(C=_LABEL_STRENGTH, class_weight="balanced", max_iter=1000)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = kind(FOLDS, shuffle=True, random_state=0)
    found = _predicted(model, vectors, mine, folds, groups)
    accuracy = (found[mine].mean() + (~found[~mine]).mean()) / 2
    against = tuple(label for label in counts if label != name)
    return _direction(model.fit(vectors.numpy(), mine).coef_[0], name, against, accuracy, len(labels), encoder)


def label_directions(
    vectors: Tensor, labels: Sequence[str], groups: Sequence[str] | None = None, encoder: str = ENCODER_ID
) -> list[Direction]:
    """Return the direction of each label, in order of appearance; see `label_direction`."""
    return [label_direction(vectors, labels, name, groups, encoder) for name in dict.fromkeys(labels)] or [
        label_direction(vectors, labels, "", groups, encoder)  # raises, for there are no texts
    ]


def number_direction(
    vectors: Tensor, values: Sequence[float], name: str, groups: Sequence[str] | None = None, encoder: str = ENCODER_ID
) -> Direction:
    """Return the direction in which a number grows: the unit vector of a ridge regression's coefficients.

    Parameters
    ----------
    vectors : Tensor of shape (n, S)
    values : sequence of float
        One a text: its length, its rating.
    name : str
        Of the number.
    groups, encoder
        As for `label_direction`.

    Raises
    ------
    InputError
        If values do not fit the vectors, are not finite or all the same, or are too few.
    """
    _check(vectors, values, groups)
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(f"{name!r} of text {row + 1} is {numbers[row]}; leave such texts out")
    if len(values) < 2 * FOLDS or numbers.std() == 0:
        raise InputError(
            f"{len(values)} texts with {len(set(numbers))} values of {name!r} were given; "
            f"give at least {2 * FOLDS}, not all of one value"
        )
    if groups is not None:
        _check_groups(groups, name)
    scaled = (numbers - numbers.mean()) / numbers.std()
    model = Ridge(alpha=_NUMBER_STRENGTH)
    folds = (KFold if groups is None else GroupKFold)(FOLDS, shuffle=True, random_state=0)
    found = _predicted(model, vectors, scaled, folds, groups)
    correlation = float(np.corrcoef(found, scaled)[0, 1]) if found.std() else 0.0
    return _direction(model.fit(vectors.numpy(), scaled).coef_, name, (), correlation, len(values), encoder)


def check_encoder(directions: Sequence[Direction], encoder: str, whose: str = "the stored text") -> None:
    """Raise unless there are directions and all belong to one encoder's sentence vectors.

    Raises
    ------
    InputError
        If there are none.
    SpaceError
        If one is of another encoder; the message names both.
    """
    if not directions:
        raise InputError("no direction was given; pass at least one")
    for direction in directions:
        if direction.encoder != encoder:
            raise SpaceError(
                f"direction {direction.name!r} was found with the encoder {direction.encoder}, {whose} was stored with "
                f"{encoder}; find the direction again with that encoder"
            )


def save_directions(directions: Sequence[Direction], path: Path) -> None:
    """Write directions of one encoder to a safetensors file, all or nothing."""
    check_encoder(
        directions, directions[0].encoder if directions else "", repr(directions[0].name) if directions else ""
    )
    rows = [{key: value for key, value in asdict(d).items() if key != "normal"} for d in directions]
    metadata = {"format": FORMAT, "encoder": directions[0].encoder, "directions": json.dumps(rows)}
    with replacing(path) as partial:
        save_file({"normals": torch.stack([direction.normal for direction in directions])}, partial, metadata)


def load_directions(path: Path) -> list[Direction]:
    """Return the directions in a file that `save_directions` wrote."""
    with opened(path, FORMAT, "copyloom steer --save") as (file, metadata):
        rows = json.loads(metadata["directions"])
        return [
            Direction(**{**row, "against": tuple(row["against"])}, normal=normal)
            for row, normal in zip(rows, file.get_tensor("normals"), strict=True)
        ]


def _check(vectors: Tensor, given: Sequence[object], groups: Sequence[str] | None) -> None:
    for what, rows in (("labels", given), ("groups", groups)):
        if rows is not None and len(rows) != len(vectors):
            raise InputError(f"{len(rows)} {what} were given for {len(vectors)} vectors; pass one a vector")
    if not len(vectors):
        raise InputError(f"no labelled texts were given; pass at least {2 * FOLDS}")
    bad = (~vectors.isfinite()).any(1).nonzero().flatten().tolist()
    if bad:
        raise InputError(f"the vector of text {bad[0] + 1} holds NaN or infinite values; leave that text out")


def _check_groups(groups: Sequence[str] | NDArray[np.str_], name: str) -> None:
    if len(set(groups)) < FOLDS:
        raise InputError(
            f"texts with or without {name!r} are of {len(set(groups))} groups; give at least {FOLDS} of each"
        )


def _predicted(
    model: Any, vectors: Tensor, wanted: NDArray[Any], folds: BaseCrossValidator, groups: Sequence[str] | None
) -> NDArray[Any]:
    """Return for each text what a model that never saw it predicts."""
    return np.asarray(cross_val_predict(model, vectors.numpy(), wanted, cv=folds, groups=groups))


def _direction(
    coefficients: NDArray[np.float64], name: str, against: tuple[str, ...], score: float, texts: int, encoder: str
) -> Direction:
    normal = torch.from_numpy(np.asarray(coefficients, dtype=np.float64))
    if not normal.norm() > 1e-9:
        raise InputError(f"the texts do not differ in meaning with {name!r}; give other examples")
    return Direction(name, against, normalize(normal, dim=0).float(), encoder, float(score), texts)
