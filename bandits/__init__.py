"""Rewards to weights: what the clicks say about texts, what to show next, and what to mix next.

`LogisticRewardModel(RewardPrior(base_rate)).fit(features, impressions, clicks)` gives a `Posterior`. A policy turns it
into the probabilities of one snapshot (the fast clock); `MixtureProposer` turns it, and the map from wanted to realised
features, into the mixtures to decode next (the slow clock). Everything is float64, with the campaigns that run side by
side in the leading dimensions.

=====================================  ==============================================================================
you want                               use
=====================================  ==============================================================================
clicks, in long snapshots              `ThompsonSampling`
clicks, in short snapshots             `UpperConfidenceBound`
the best text known at the end         `TopTwoThompson`
to learn about all texts first         `OptimalDesign`, then another policy
a plain rule; a baseline               `EpsilonGreedy`; `Uniform`
a control beside any of these          `Holdout`
a rule of your own                     what `Policy` asks for; random streams from `seeded_generators`
one decision at a time                 `OnlineThompson`, or `bandits.online.vowpal_wabbit`
new mixtures of stored texts           `RealisedFeatureMap`, `MixtureProposer`; one reward alone: `bandits.mixtures`
features with curvature or context     `bandits.rewards.features`
shoppers who change                    `bandits.rewards.forgetting`, `bandits.rewards.drift`
a prior from past campaigns            `bandits.rewards.empirical_bayes`
a prior from what a model says         `bandits.rewards.text_prior`
what is known by now; a traffic plan   `bandits.sequential`
what a log says of another policy      `bandits.evaluation`
=====================================  ==============================================================================
"""

from bandits.mixtures.channel import RealisedFeatureMap
from bandits.mixtures.proposer import MixtureProposer
from bandits.online.thompson import OnlineThompson
from bandits.policies.epsilon_greedy import EpsilonGreedy
from bandits.policies.holdout import Holdout
from bandits.policies.optimal_design import OptimalDesign
from bandits.policies.policy import Policy
from bandits.policies.thompson import ThompsonSampling
from bandits.policies.top_two import TopTwoThompson
from bandits.policies.ucb import UpperConfidenceBound
from bandits.policies.uniform import Uniform
from bandits.posterior import Posterior
from bandits.rewards.reward_model import LogisticRewardModel, RewardPrior
from bandits.streams import seeded_generators

__all__ = [
    "EpsilonGreedy",
    "Holdout",
    "LogisticRewardModel",
    "MixtureProposer",
    "OnlineThompson",
    "OptimalDesign",
    "Policy",
    "Posterior",
    "RealisedFeatureMap",
    "RewardPrior",
    "ThompsonSampling",
    "TopTwoThompson",
    "Uniform",
    "UpperConfidenceBound",
    "seeded_generators",
]
