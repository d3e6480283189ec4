"""Rewards to weights: what the clicks say about texts, what to show next, and what to mix next.

`LogisticRewardModel` folds counts into a `Posterior`; a `Policy` turns that into the `Allocation` of one
snapshot (the fast clock); `MixtureProposer` turns it, through a `Channel`, into the mixtures to decode next
(the slow clock). Everything is float64, with the campaigns that run side by side in the leading dimensions.
"""

from bandits.channel import Channel, RealisedFeatureMap
from bandits.policy import Allocation, Policy
from bandits.posterior import Posterior
from bandits.proposer import MixtureKey, MixtureProposer, Proposals, mixture_key
from bandits.reward_model import LogisticRewardModel, RewardPrior
from bandits.streams import Generators, seeded_generators
from bandits.thompson import ThompsonSampling
from bandits.ucb import UpperConfidenceBound
from bandits.uniform import Uniform

__all__ = [
    "Allocation", "Channel", "Generators", "LogisticRewardModel", "MixtureKey", "MixtureProposer", "Policy",
    "Posterior", "Proposals", "RealisedFeatureMap", "RewardPrior", "ThompsonSampling", "Uniform",
    "UpperConfidenceBound", "mixture_key", "seeded_generators",
]  # fmt: skip
