"""What is believed of an intercept and of theta before data: independent Gaussians."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bandits.inputs import finite_tensor
from copyloom import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class CoefficientPrior:
    """Prior of (intercept, theta) of a linear predictor.

    Parameters
    ----------
    intercept_mean, intercept_sd : float
    predictor_sd : float
        Standard deviation of x . theta over texts with d whitened features: each coefficient's is
        predictor_sd / sqrt(d).
    theta_mean, theta_sd : array of shape (d,), optional
        Mean and standard deviation of each coefficient, instead of 0 and predictor_sd / sqrt(d).

    Raises
    ------
    InputError
        If a mean is not finite, or a standard deviation not finite and above 0.
    """

    intercept_mean: float
    intercept_sd: float
    predictor_sd: float
    theta_mean: Any = None
    theta_sd: Any = None

    def __post_init__(self) -> None:
        for name in ("theta_mean", "theta_sd"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, finite_tensor(name, given))
        if self.theta_sd is not None and (self.theta_sd <= 0).any():
            raise InputError(f"theta_sd is {self.theta_sd.tolist()}; pass standard deviations above 0")

    def moments(self, design: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and precision for a design of shape (..., N, 1 + d): (1 + d,) each, on its device.

        Raises
        ------
        InputError
            If `theta_mean` or `theta_sd` is not for d features.
        """
        d = design.shape[-1] - 1
        for name in ("theta_mean", "theta_sd"):
            given = getattr(self, name)
            if given is not None and given.shape != (d,):
                raise InputError(f"{name} has shape {tuple(given.shape)} but features have {d} columns; pass ({d},)")
        mean = design.new_zeros(1 + d)
        precision = design.new_full((1 + d,), d / self.predictor_sd**2)
        mean[0], precision[0] = self.intercept_mean, 1 / self.intercept_sd**2
        if self.theta_mean is not None:
            mean[1:] = self.theta_mean
        if self.theta_sd is not None:
            precision[1:] = self.theta_sd**-2
        return mean, precision
