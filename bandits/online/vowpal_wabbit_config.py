"""Settings of Vowpal Wabbit's contextual bandit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bandits.numbers import check_count, check_number
from copyloom import InputError


@dataclass(frozen=True, kw_only=True)
class VowpalWabbitConfig:
    """Settings of ``--cb_explore_adf``; None leaves one at Vowpal Wabbit's default.

    Defaults of ours are the setting that did best in our tuning on the base task of ``copyloom bench bandits``.

    Parameters
    ----------
    explore : str
        squarecb, epsilon, softmax, bag, cover, synthcover, rnd, regcb or first.
    strength : float, optional
        The number that goes with it: gamma_scale, epsilon, lambda, bags, covers, mellowness or first impressions.
    cb_type : str
        mtr, dr, ips or dm: how rewards of texts that were not shown are estimated.
    learning_rate : float, optional
        Size of the first steps (``-l``).
    power_t : float, optional
        Power of time by which steps shrink.
    large_action_space : int, optional
        Texts that are left after the spanner's choice (Zhu et al. 2022), where there are many.
    epsilon_decay : bool
        Whether a tournament of models with shrinking epsilon is played (``--epsilon_decay``); for `explore` epsilon.
    """

    explore: Literal["squarecb", "epsilon", "softmax", "bag", "cover", "synthcover", "rnd", "regcb", "first"] = (
        "squarecb"
    )
    strength: float | None = 1000.0
    cb_type: Literal["mtr", "dr", "ips", "dm"] = "mtr"
    learning_rate: float | None = None
    power_t: float | None = None
    large_action_space: int | None = None
    epsilon_decay: bool = False

    def __post_init__(self) -> None:
        if self.explore not in _OPTIONS:
            raise InputError(f"explore is {self.explore!r}; pass one of {', '.join(_OPTIONS)}")
        for name in ("strength", "learning_rate", "power_t"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), least=0)
        if self.explore in _COUNTED and (self.strength is None or self.strength != int(self.strength)):
            raise InputError(f"explore {self.explore} needs a strength: how many, a whole number")
        if self.cb_type not in _TYPES:
            raise InputError(f"cb_type is {self.cb_type!r}; pass one of {', '.join(_TYPES)}")
        if self.explore == "epsilon" and self.strength is not None:
            check_number("strength, the epsilon,", self.strength, least=0, most=1)
        if self.large_action_space is not None:
            check_count("large_action_space", self.large_action_space)
        if self.epsilon_decay and self.explore != "epsilon":
            raise InputError(f"epsilon_decay goes with explore 'epsilon', not {self.explore!r}")

    @property
    def arguments(self) -> str:
        """Command line of Vowpal Wabbit."""
        kind, parameter = _OPTIONS[self.explore]
        parts = ["--cb_explore_adf", "--cb_type", self.cb_type, *([kind] if kind else [])]
        parts += [parameter, f"{self.strength:g}"] if self.strength is not None else []
        parts += ["-l", str(self.learning_rate)] if self.learning_rate is not None else []
        parts += ["--power_t", str(self.power_t)] if self.power_t is not None else []
        if self.large_action_space is not None:
            parts += ["--large_action_space", "--max_actions", str(self.large_action_space)]
        return " ".join([*parts, *(["--epsilon_decay"] if self.epsilon_decay else [])])


_OPTIONS = {
    "squarecb": ("--squarecb", "--gamma_scale"), "epsilon": ("", "--epsilon"), "softmax": ("--softmax", "--lambda"),
    "bag": ("", "--bag"), "cover": ("", "--cover"), "synthcover": ("--synthcover", "--synthcoverpsi"),
    "rnd": ("", "--rnd"), "regcb": ("--regcb", "--mellowness"), "first": ("", "--first"),
}  # fmt: skip
_TYPES = ("mtr", "dr", "ips", "dm")
_COUNTED = ("bag", "cover", "rnd", "first")
