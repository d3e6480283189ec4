"""Vowpal Wabbit as a backend: its contextual bandits and slates behind our interface (extra `vw`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.inputs import Array
from bandits.numbers import check_count, check_number
from bandits.online.bandit import Decision, Slate, check_outcome, share_left
from bandits.online.vowpal_wabbit_config import VowpalWabbitConfig
from bandits.policies.policy import check_floor
from copyloom import CopyloomError, InputError

_TOGETHER = 50


class VowpalWabbit:
    """Vowpal Wabbit's contextual bandit over texts, whose features are its actions' features.

    Use `OnlineThompson` instead for a belief that can be read and asked: it missed fewer clicks (README).

    Parameters
    ----------
    features : array of shape (N, d)
    config : VowpalWabbitConfig
    floor : float
        Least probability of each text that may be shown; what Vowpal Wabbit says is mixed with it.
    seed : int

    Raises
    ------
    CopyloomError
        If Vowpal Wabbit is not installed.
    InputError
        If a value is out of range.

    Notes
    -----
    Vowpal Wabbit's probabilities are float32 and sum to 1 but for rounding: they are normalised, and the text is drawn
    from what is then logged. A reward r is the cost -r.
    """

    def __init__(
        self, features: Any, config: VowpalWabbitConfig | None = None, *, floor: float = 0.0, seed: int = 0
    ) -> None:
        check_floor(floor)
        check_count("seed", seed, least=0)
        self.slate, self.config, self.floor = Slate(features), config or VowpalWabbitConfig(), floor
        self._lines = _lines(self.slate.features)
        self._rng = np.random.default_rng(seed)
        self._workspace = _workspace(f"{self.config.arguments} --random_seed {seed}")

    def add(self, features: Any) -> list[int]:
        """Add texts of features (n, d); return their numbers. See `OnlineBandit.add`."""
        numbers = self.slate.add(features)
        self._lines += _lines(self.slate.features[numbers])
        return numbers

    def retire(self, texts: Sequence[int]) -> None:
        """Never choose these texts again. See `OnlineBandit.retire`."""
        self.slate.retire(texts)

    def probabilities(self, texts: Sequence[int] | NDArray[np.intp]) -> Array:
        """Return the probability of each of these texts, were they all that may be shown: (len(texts),)."""
        said = np.array(self._workspace.predict("\n".join(self._lines[i] for i in texts)), dtype=np.float64)
        return self.floor + share_left(len(texts), self.floor) * said / said.sum()

    def choose(self, eligible: Sequence[int] | None = None) -> Decision:
        """Return what to show, with its probability. See `OnlineBandit.choose`."""
        texts = self.slate.eligible(eligible)
        return _drawn(self._rng, texts, self.probabilities(texts))

    def learn(self, decision: Decision, reward: float) -> None:
        """Take in a reward in [0, 1]; the slate is the one of now. See `OnlineBandit.learn`."""
        check_outcome(decision, reward, self.slate)
        texts = np.union1d(np.flatnonzero(self.slate.active), [decision.text])
        label = f"0:{-float(reward):g}:{decision.propensity:.9g} "
        self._workspace.learn("\n".join((label if i == decision.text else "") + self._lines[i] for i in texts))

    def learn_counts(self, counts: Sequence[tuple[int, float, int, int]], among: int) -> None:
        """Take in what the impressions of a snapshot came to, some fifty of a text as one example of their weight.

        Vowpal Wabbit weighs an example by one over its propensity: n impressions with their mean reward, and a
        propensity n times smaller, weigh as much together. So few at a time, taken in turn from all texts, teach as
        much as one by one; all at once, the last text's own rate would drown the others'.

        Parameters
        ----------
        counts : sequence of (text, propensity, impressions, clicks)
        among : int
            How many texts might have been shown.

        Raises
        ------
        InputError
            If a text is unknown, a propensity is not in (0, 1], or there are fewer impressions than clicks.
        """
        check_count("among", among)
        examples: list[tuple[float, str]] = []
        for text, propensity, impressions, clicks in counts:
            check_number("propensity", propensity, least=0, most=1, above=True)
            check_count("clicks", clicks, least=0)
            if impressions < max(clicks, 1):
                raise InputError(f"{clicks} clicks of {impressions} impressions; give the counts of what was shown")
            (known,) = self.slate.known([text]).tolist()
            parts = max(round(impressions / _TOGETHER), 1)
            weight = impressions / parts
            chance = min(propensity * among / weight, 1.0)
            line = f"0:{-clicks / impressions:g}:{chance:.9g} {self._lines[known]}"
            examples += [((part + 0.5) / parts, line) for part in range(parts)]
        for _, line in sorted(examples, key=lambda example: example[0]):
            self._workspace.learn(line)


class VowpalWabbitSlates:
    """Vowpal Wabbit's slates (``--slates``): one text for each slot, one reward for all.

    It assumes that slots add up, and knows nothing of normalised mixtures: a baseline for plain subset choice.

    Parameters
    ----------
    slots : sequence of arrays of shape (N_s, d)
        Features of the texts that each slot may show.
    epsilon : float
        Exploration of each slot.
    seed : int

    Raises
    ------
    CopyloomError
        If Vowpal Wabbit is not installed.
    InputError
        If a value is out of range.
    """

    def __init__(self, slots: Sequence[Any], *, epsilon: float = 0.1, seed: int = 0) -> None:
        check_number("epsilon", epsilon, least=0, most=1)
        check_count("seed", seed, least=0)
        self.slots = [Slate(features) for features in slots]
        if not self.slots or any(len(slot.features) == 0 for slot in self.slots):
            raise InputError(f"one of {len(slots)} slots has no text, or there is no slot; pass the features of each")
        self._rng = np.random.default_rng(seed)
        self._workspace = _workspace(f"--slates --epsilon {epsilon:g} --random_seed {seed}")
        actions = [
            f"slates action {number} {line}" for number, slot in enumerate(self.slots) for line in _lines(slot.features)
        ]
        self._body = "\n".join(actions)

    def choose(self) -> tuple[Decision, ...]:
        """Return the text of each slot with its probability there; the slate's is their product."""
        shared = "slates shared |s constant"
        slots = "\n".join(f"slates slot |t slot_{number}" for number in range(len(self.slots)))
        decisions = []
        for said in self._workspace.predict(f"{shared}\n{self._body}\n{slots}"):
            texts, shares = np.array([text for text, _ in said]), np.array([share for _, share in said])
            decisions.append(_drawn(self._rng, texts, shares / shares.sum()))
        return tuple(decisions)

    def learn(self, decisions: Sequence[Decision], reward: float) -> None:
        """Take in the reward, in [0, 1], of a slate as `choose` returned it."""
        if len(decisions) != len(self.slots):
            raise InputError(f"{len(decisions)} decisions were given for {len(self.slots)} slots; pass one for each")
        for decision, slot in zip(decisions, self.slots, strict=True):
            check_outcome(decision, reward, slot)
        labels = "\n".join(
            f"slates slot {decision.text}:{decision.propensity:.9g} |t slot_{number}"
            for number, decision in enumerate(decisions)
        )
        self._workspace.learn(f"slates shared {-float(reward):g} |s constant\n{self._body}\n{labels}")


def _drawn(rng: np.random.Generator, texts: NDArray[np.intp], shares: Array) -> Decision:
    """One of the texts, drawn by its share."""
    chosen = min(int(np.searchsorted(np.cumsum(shares), rng.random(), side="right")), len(texts) - 1)
    return Decision(int(texts[chosen]), float(shares[chosen]))


def _lines(features: Array) -> list[str]:
    """Texts as Vowpal Wabbit reads them."""
    return ["|a " + " ".join(f"{j}:{value:.6g}" for j, value in enumerate(row)) for row in features]


def _workspace(arguments: str) -> Any:
    try:
        from vowpalwabbit import Workspace
    except ImportError as error:
        raise CopyloomError("Vowpal Wabbit is not installed; install it with: pip install 'copyloom[vw]'") from error
    try:
        return Workspace(f"{arguments} --quiet")
    except RuntimeError as error:
        raise InputError(f"Vowpal Wabbit refuses {arguments!r}: {error}; choose other settings") from error
