"""What an evaluation finds, in plain values."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bandits.evaluation.estimate import Estimate, IntervalKind
from bandits.evaluation.support import Support

_CUT = "the standard error leaves out the bias of cut weights; the interval is at least that of DR"
_CAVEATS = {
    "DM": "the interval, if any, leaves out the bias of the model",
    "Switch-DR": _CUT,
    "DRos": _CUT,
    "MIPS": "the interval leaves out differences between texts of one cluster",
    "kernel": "the interval leaves out how texts never shown differ from shown ones like them",
}


@dataclass(frozen=True)
class Row:
    """One estimator's answer.

    Attributes
    ----------
    estimator : str
    value : float
        Mean reward of a round under the target.
    standard_error, low, high : float
        And the 95 % interval; NaN for the direct method with a model whose own error is not known.
    caveat : str
        What standard error or interval leave out; empty if nothing.
    """

    estimator: str
    value: float
    standard_error: float
    low: float
    high: float
    caveat: str

    @classmethod
    def of(
        cls, name: str, estimate: Estimate, interval: IntervalKind, seed: int, reward_range: tuple[float, float]
    ) -> "Row":
        """The row of an estimate, its interval cut to what a mean reward can be."""
        low, high = np.clip(estimate.interval(interval, seed=seed), *reward_range).tolist()
        return cls(name, estimate.value, estimate.standard_error, low, high, _CAVEATS.get(name, ""))


@dataclass(frozen=True)
class Evaluation:
    """What a log says about a target policy.

    Attributes
    ----------
    logger : Row
        Mean reward of the policy that wrote the log.
    estimates : tuple of Row
        Of the target, from the plainest estimator on.
    support : Support
        How much weight the log can bear.
    kernel_support : Support or None
        The same of the smoothed target, whose weights the kernel estimator uses; None where there is none.
    texts : int
        N.
    interval : str
        How the intervals were made.
    settings : dict of str to float
        Hyper-parameters that were chosen or given: threshold, shrinkage, bandwidth.
    """

    logger: Row
    estimates: tuple[Row, ...]
    support: Support
    kernel_support: Support | None
    texts: int
    interval: str
    settings: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON: None instead of NaN and infinity."""
        return {
            "rounds": self.support.rounds, "texts": self.texts, "interval": self.interval,
            "verdict": self.support.verdict, "reasons": list(self.support.reasons), "logger": _plain(self.logger),
            "estimates": [_plain(row) for row in self.estimates], "support": _plain(self.support),
            "kernel_support": self.kernel_support and _plain(self.kernel_support),
            "settings": {name: _finite(value) for name, value in self.settings.items()},
        }  # fmt: skip


def _plain(row: Row | Support) -> dict[str, Any]:
    return {name: _finite(value) for name, value in asdict(row).items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
