"""What a predictor says of texts before a click (a language model, a ridge on words, a person): used, but not trusted.

The predictor's logits enter the reward model as one more feature. Its coefficient, the *trust*, has a prior like any
other: the data learn how far to follow the predictor, down to not at all and below. So a wrong predictor costs
impressions; it never blocks learning. Spread evenly, trust / (trust_sd^2 v p (1 - p)) of them are expected to bring the
trust in a reversed one to 0, at a click rate p and a variance v of its column over impressions.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import as_tensor, finite_tensor
from bandits.numbers import check_count, check_number
from bandits.posterior import Posterior
from bandits.rewards.reward_model import LogisticRewardModel, RewardPrior
from copyloom import InputError

_SURPRISING = 2.0  # standard deviations
_EVIDENCE = 0.1  # share of the prior variance of the trust that data must have taken away before anything is said


@dataclass(frozen=True, kw_only=True)
class TextPrior:
    """How far a predictor's logits are followed before data: logit = ... + trust * column, trust ~ N(trust, sd^2).

    Parameters
    ----------
    trust : float
        Prior mean of the trust: 1 takes the predictor's differences at their word, 0 takes no side. At most
        `trust_sd`: there must be one chance in six that the predictor has it the wrong way round.
    trust_sd : float
        Prior standard deviation of the trust. The larger against `trust`, the sooner a wrong predictor is
        dropped. That matters most to a policy that is nearly greedy: at twice the trust, a reversed predictor
        cost it no more than none (regret 1.04 +- 0.09 of that), at the trust itself twice as much (1.99 +- 0.12;
        tests/bandits/rewards/test_text_prior.py has the setting).
    cap : float
        No text is moved by more than trust * cap logits: the column ends at -cap and cap.

    Examples
    --------
    A predictor that has it the wrong way round, found out:

    >>> import torch
    >>> prior = TextPrior(trust=0.5, trust_sd=1.0)
    >>> said = torch.tensor([-3.6, -4.2])
    >>> features = prior.append(torch.zeros(2, 1), said, centre=-3.9)
    >>> model = prior.model(RewardPrior(0.02), d=1)
    >>> posterior = model.fit(features, [40_000, 40_000], [600, 1000])
    >>> print(prior.report(posterior).in_words()[0])
    misleading: texts that it prefers do worse (trust -0.71 +- 0.34 after data, 0.50 +- 1.00 before)
    """

    trust: float = 0.5
    trust_sd: float = 1.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        check_number("trust_sd", self.trust_sd, least=0, above=True)
        check_number("trust", self.trust, least=0, most=self.trust_sd)
        check_number("cap", self.cap, least=0, above=True)

    def append(self, features: Any, prior_logits: Any, centre: Any) -> Tensor:
        """Features with the predictor's column behind them.

        Parameters
        ----------
        features : array of shape (..., N, d)
        prior_logits : array of shape (..., N)
            What the predictor says; anything in absent rows.
        centre : float or array of shape (...)
            What it says of an average text, such as its mean over the campaign's first slate. The same for all
            slates of a campaign, and for texts not shown yet: only differences count.

        Returns
        -------
        Tensor of shape (..., N, d + 1)
        """
        features, said = as_tensor("features", features), as_tensor("prior_logits", prior_logits)
        middle = finite_tensor("centre", centre)[..., None].to(said.device)
        try:
            column = (said.to(torch.float64) - middle).clamp(-self.cap, self.cap)[..., None]
            shape = torch.broadcast_shapes(features.shape[:-1], column.shape[:-1])
        except RuntimeError as error:
            raise InputError(
                f"features {tuple(features.shape)}, prior_logits {tuple(said.shape)} and centre "
                f"{tuple(middle.shape[:-1])} do not fit; pass (..., N, d), (..., N) and (...)"
            ) from error
        wide = features.to(torch.float64).expand(*shape, features.shape[-1])
        return torch.cat([wide, column.expand(*shape, 1)], dim=-1)

    def model(self, prior: RewardPrior, d: int) -> LogisticRewardModel:
        """The reward model for d features and the predictor's column behind them."""
        check_count("d", d)
        sds = [prior.logit_sd / math.sqrt(d)] * d + [self.trust_sd]
        return LogisticRewardModel(prior, theta_mean=[0.0] * d + [self.trust], theta_sd=sds)

    def report(self, posterior: Posterior) -> "TrustReport":
        """How the trust fared, from a posterior of `model`."""
        variance = torch.cholesky_inverse(posterior.precision_cholesky)[..., -1, -1]
        mean = posterior.coefficients[..., -1]
        return TrustReport(prior=self, mean=mean, sd=variance.sqrt())


@dataclass(frozen=True, eq=False)
class TrustReport:
    """What data say of the predictor.

    Attributes
    ----------
    prior : TextPrior
    mean, sd : Tensor of shape (...)
        Posterior mean and standard deviation of the trust.
    """

    prior: TextPrior
    mean: Tensor
    sd: Tensor

    @property
    def conflict(self) -> Tensor:
        """Prior-data conflict: how far the trust moved, as a standard normal score were the prior right, (...).

        Under the prior, the posterior mean has variance trust_sd^2 - sd^2 (Evans and Moshonov 2006, for the
        normal case); 0 without data.
        """
        room = self.prior.trust_sd**2 - self.sd**2
        informed = room > 1e-12 * self.prior.trust_sd**2
        return torch.where(informed, (self.mean - self.prior.trust) / room.clamp(min=1e-300).sqrt(), 0)

    def in_words(self) -> list[str]:
        """One line per campaign, leading dimensions in row-major order."""
        flat = (tensor.reshape(-1).tolist() for tensor in (self.mean, self.sd, self.conflict))
        return [self._line(*numbers) for numbers in zip(*flat, strict=True)]

    def _line(self, mean: float, sd: float, conflict: float) -> str:
        if sd**2 > (1 - _EVIDENCE) * self.prior.trust_sd**2:
            verdict = "not enough evidence yet on the text prior"
        elif mean + _SURPRISING * sd < 0:
            verdict = "misleading: texts that it prefers do worse"
        elif conflict < -_SURPRISING:
            verdict = "trusted too much: the clicks follow it less than was believed"
        elif mean - _SURPRISING * sd > 0:
            verdict = "helpful: texts that it prefers do better"
        else:
            verdict = "no conflict: the clicks fit the text prior so far"
        before = f"{self.prior.trust:.2f} +- {self.prior.trust_sd:.2f} before"
        return f"{verdict} (trust {mean:.2f} +- {sd:.2f} after data, {before})"
