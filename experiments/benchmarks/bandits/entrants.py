"""Who takes part in the bandit benchmark, with the settings that each may try."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources, util
from typing import Any, Protocol

import numpy as np

from bandits import RewardPrior
from bandits.inputs import Array
from bandits.online.bandit import Decision
from bandits.online.thompson import OnlineThompson
from bandits.online.vowpal_wabbit import VowpalWabbit
from bandits.online.vowpal_wabbit_config import VowpalWabbitConfig
from bandits.rewards.text_prior import TextPrior
from copyloom import InputError

OURS, VW, BAYESIAN, MABWISER, UNIFORM, CEILING = (
    "copyloom", "vowpal wabbit", "bayesianbandits", "mabwiser", "uniform", "ceiling",
)  # fmt: skip
Settings = Mapping[str, Any]


class Learner(Protocol):
    """What the benchmark asks of an entrant: the part of `bandits.online.bandit.OnlineBandit` that plays."""

    def add(self, features: Array) -> Any:
        """Add texts."""

    def retire(self, texts: Sequence[int]) -> None:
        """Never choose these texts again."""

    def choose(self) -> Decision:
        """Return what to show."""

    def learn(self, decision: Decision, reward: float) -> None:
        """Take in a reward of 0 or 1."""


def copyloom(features: Array, settings: Settings, horizon: int, seed: int) -> Learner:
    """Our bandit. `horizon` is known to all, and of use to those that can use it."""
    options = dict(settings)
    prior = RewardPrior(**options.pop("prior", {"base_rate": 0.02, "text_effect_sd": 0.0}))
    if not options.pop("text_prior", False):
        return OnlineThompson(features, prior, horizon=horizon, seed=seed, **options)
    hint = prior.logit_sd * features[:, -1]  # the last column, in logits
    features = TextPrior().append(features[:, :-1], hint, centre=0.0).numpy()
    model = TextPrior().model(prior, d=features.shape[1] - 1)
    return OnlineThompson(features, model, horizon=horizon, seed=seed, **options)


def vowpal_wabbit(features: Array, settings: Settings, horizon: int, seed: int) -> Learner:
    """Vowpal Wabbit through our backend; the numbers of texts and rewards go to it as text."""
    return VowpalWabbit(features, VowpalWabbitConfig(**settings), seed=seed + 1)


class _Bayesian:
    """bayesianbandits: one learner for all arms, which are told apart by their features."""

    def __init__(self, features: Array, settings: Settings, horizon: int, seed: int) -> None:
        import bayesianbandits as theirs

        options = dict(settings)
        self._constant = options.pop("constant", 1.0)
        policy = getattr(theirs, options.pop("policy", "ThompsonSampling"))(**options.pop("policy_options", {}))
        if "half_life" in options:
            options["forgetting"] = theirs.StabilizedForgetting(0.5 ** (1 / options.pop("half_life")))
        learner = getattr(theirs, options.pop("learner", "NormalRegressor"))(**options)
        rows = self._rows(features)

        class Features(theirs.ArmFeaturizer):
            def transform(self, X: Any, *, action_tokens: Sequence[int]) -> Array:
                found: Array = self.rows[np.asarray(action_tokens)]
                return found

        self._theirs, self._featurizer = theirs, Features()
        self._featurizer.rows = rows
        arms = [theirs.Arm(number) for number in range(len(features))]
        self._agent = theirs.LipschitzContextualAgent(arms, policy, self._featurizer, learner, random_seed=seed)
        self._context = np.zeros((1, 1))

    def _rows(self, features: Array) -> Array:
        return np.hstack([np.full((len(features), 1), self._constant), features])

    def add(self, features: Array) -> None:
        first = len(self._featurizer.rows)
        self._featurizer.rows = np.concatenate([self._featurizer.rows, self._rows(features)])
        for number in range(first, first + len(features)):
            self._agent.add_arm(self._theirs.Arm(number))

    def retire(self, texts: Sequence[int]) -> None:
        for text in texts:
            self._agent.remove_arm(int(text))

    def choose(self) -> Decision:
        (text,) = self._agent.pull(self._context)
        return Decision(int(text), 1.0)

    def learn(self, decision: Decision, reward: float) -> None:
        self._agent.learner.partial_fit(self._featurizer.rows[[decision.text]], np.array([reward]))


class _MABWiser:
    """MABWiser: an arm for each text, which knows nothing of the others."""

    def __init__(self, features: Array, settings: Settings, horizon: int, seed: int) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        options = dict(settings)
        policy = getattr(LearningPolicy, options.pop("policy", "UCB1"))(**options)
        arms = list(range(len(features)))
        self._bandit, self._count = MAB(arms, policy, seed=seed), len(arms)
        self._bandit.fit(arms, [0] * len(arms))  # it must be told something of each arm before it can choose

    def add(self, features: Array) -> None:
        for number in range(self._count, self._count + len(features)):
            self._bandit.add_arm(number)
        self._count += len(features)

    def retire(self, texts: Sequence[int]) -> None:
        for text in texts:
            self._bandit.remove_arm(int(text))

    def choose(self) -> Decision:
        return Decision(int(self._bandit.predict()), 1.0)

    def learn(self, decision: Decision, reward: float) -> None:
        if decision.text in self._bandit.arms:  # of arms that are gone it does not want to hear
            self._bandit.partial_fit([decision.text], [int(reward)])


class _Uniform:
    """Every text alike."""

    def __init__(self, features: Array, settings: Settings, horizon: int, seed: int) -> None:
        self._rng, self._texts, self._count = np.random.default_rng(seed), list(range(len(features))), len(features)

    def add(self, features: Array) -> None:
        self._texts += range(self._count, self._count + len(features))
        self._count += len(features)

    def retire(self, texts: Sequence[int]) -> None:
        self._texts = [text for text in self._texts if text not in set(texts)]

    def choose(self) -> Decision:
        return Decision(self._texts[int(self._rng.integers(len(self._texts)))], 1 / len(self._texts))

    def learn(self, decision: Decision, reward: float) -> None:
        pass


MAKERS: dict[str, Callable[[Array, Settings, int, int], Learner]] = {
    OURS: copyloom, VW: vowpal_wabbit, BAYESIAN: _Bayesian, MABWISER: _MABWiser, UNIFORM: _Uniform,
}  # fmt: skip
_PACKAGES = {VW: "vowpalwabbit", BAYESIAN: "bayesianbandits", MABWISER: "mabwiser"}

DEFAULTS: dict[str, Settings] = {
    OURS: {}, VW: {"strength": None}, BAYESIAN: {"alpha": 1.0, "beta": 1.0}, MABWISER: {}, UNIFORM: {},
}  # fmt: skip
"""Settings of each as it comes; of Vowpal Wabbit squareCB's, as its default, epsilon-greedy, is the poorer one."""


def _ours_grid() -> list[Settings]:
    def prior(rate: float = 0.02, sd: float = 0.45) -> Settings:
        return {"base_rate": rate, "logit_sd": sd, "text_effect_sd": 0.0}

    found: list[Settings] = [
        {"prior": prior(sd=sd), "scale": scale, "final_scale": final}
        for sd in (0.3, 0.45, 0.6)
        for scale, final in ((0.3, 0.3), (0.5, 0.5), (0.7, 0.2), (0.8, 0.3), (1.0, 0.2))
    ]
    usual: Settings = {"scale": 0.7, "final_scale": 0.2}
    found += [{"prior": prior(rate=rate), **usual} for rate in (0.005, 0.05, 0.1)]
    return [*found, *({"prior": prior(), **usual, "half_life": rounds} for rounds in (1500, 4000))]


def _vw_grid() -> list[Settings]:
    squarecb: list[Settings] = [{"strength": gamma} for gamma in (30.0, 100.0, 300.0, 1000.0, 3000.0)]
    squarecb += [{"strength": 300.0, "learning_rate": 0.25, "power_t": 0.0}]  # its rate does not fall
    rates = [
        {"strength": gamma, "learning_rate": rate} for gamma in (300.0, 1000.0, 3000.0) for rate in (0.1, 0.25, 1.0)
    ]
    others: list[Settings] = [
        {"explore": "softmax", "strength": 200.0}, {"explore": "synthcover", "strength": None},
        {"explore": "epsilon", "strength": 0.05}, {"explore": "bag", "strength": 5.0},
        {"strength": 1000.0, "large_action_space": 20},
    ]  # fmt: skip
    return [*squarecb, *rates, *others]


def _bayesian_grid() -> list[Settings]:
    thompson: list[Settings] = [
        {"alpha": alpha, "beta": 47.0, "constant": constant}
        for alpha in (4000.0, 16_000.0, 64_000.0, 256_000.0) for constant in (1.0, 10.0)
    ]  # fmt: skip
    forgetful: list[Settings] = [
        {"alpha": 64_000.0, "beta": 190.0, "constant": 10.0, "half_life": rounds} for rounds in (1500, 4000)
    ]
    noise: list[Settings] = [
        {"alpha": alpha, "beta": beta, "constant": 10.0} for alpha in (16_000.0, 64_000.0) for beta in (12.0, 190.0)
    ]
    optimistic: list[Settings] = [
        {"alpha": alpha, "beta": 47.0, "constant": 10.0, "policy": "UpperConfidenceBound",
         "policy_options": {"alpha": quantile, "samples": 200}}
        for alpha in (4000.0, 64_000.0) for quantile in (0.84, 0.975)
    ]  # fmt: skip
    glm: list[Settings] = [{"learner": "BayesianGLM", "alpha": 79.0, "constant": constant} for constant in (1.0, 30.0)]
    return [*thompson, *forgetful, *noise, *optimistic, *glm]


def _mabwiser_grid() -> list[Settings]:
    optimistic = [{"policy": "UCB1", "alpha": a} for a in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)]
    greedy = [{"policy": "EpsilonGreedy", "epsilon": e} for e in (0.02, 0.05, 0.1, 0.2, 0.3)]
    soft = [{"policy": "Softmax", "tau": tau} for tau in (0.003, 0.01, 0.03, 0.1, 1.0)]
    return [*optimistic, *greedy, *soft, {"policy": "ThompsonSampling"}]


GRIDS: dict[str, list[Settings]] = {
    OURS: _ours_grid(), VW: _vw_grid(), BAYESIAN: _bayesian_grid(), MABWISER: _mabwiser_grid(),
}  # fmt: skip
"""Twenty settings each, of which tuning takes the best on seeds of its own."""


def missing() -> list[str]:
    """Return the entrants whose package is not installed."""
    return [name for name, package in _PACKAGES.items() if util.find_spec(package) is None]


def tuned(cell: str, entrant: str) -> Settings:
    """Return the recorded settings of an entrant in a cell; those of the base task where none were recorded.

    Raises
    ------
    InputError
        If it was never tuned.
    """
    recorded = json.loads(resources.files("experiments.data").joinpath("bandit_settings.json").read_text("utf-8"))
    for name in (cell, "base"):
        if entrant in recorded.get(name, {}):
            found: Settings = recorded[name][entrant]["settings"]
            return found
    raise InputError(f"no settings are recorded for {entrant}; run: copyloom bench bandits --tune")
