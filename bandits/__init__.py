"""Rewards to weights: what the clicks say about texts, what to show next, and what to mix next.

`LogisticRewardModel` folds counts into a `Posterior`; a `Policy` turns that into the `Allocation` of one
snapshot (the fast clock); `MixtureProposer` turns it, through a `Channel`, into the mixtures to decode next
(the slow clock). Everything is float64, with the campaigns that run side by side in the leading dimensions.
`online` decides one text at a time, `sequential` says what is known by now, `evaluation` reads logs: see README.md.
"""

from bandits.mixtures.channel import Channel, RealisedFeatureMap
from bandits.mixtures.objective import LinearObjective, Objective
from bandits.mixtures.proposals import MixtureKey, Proposals, mixture_key
from bandits.mixtures.proposer import MixtureProposer
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.sparse_cone import SparseCone, SparseMixtures
from bandits.online.bandit import Decision, OnlineBandit
from bandits.online.thompson import OnlineThompson
from bandits.online.vowpal_wabbit import VowpalWabbit, VowpalWabbitConfig, VowpalWabbitSlates
from bandits.policies.epsilon_greedy import EpsilonGreedy
from bandits.policies.holdout import Holdout
from bandits.policies.optimal_design import Design, OptimalDesign, optimal_design
from bandits.policies.policy import Allocation, Policy
from bandits.policies.thompson import ThompsonSampling
from bandits.policies.top_two import TopTwoThompson
from bandits.policies.ucb import UpperConfidenceBound
from bandits.policies.uniform import Uniform
from bandits.posterior import Posterior
from bandits.rewards.drift import DriftAlarm, Watch
from bandits.rewards.empirical_bayes import LearnedPrior, learn_prior
from bandits.rewards.features import Interactions, QuadraticFeatures, RandomFourierFeatures, segment_context
from bandits.rewards.forgetting import Discount, Forgetting, SlidingWindow, remembered
from bandits.rewards.reward_model import LogisticRewardModel, RewardPrior
from bandits.rewards.text_prior import TextPrior, TrustReport
from bandits.sequential.confidence_sequences import (
    difference_interval,
    log_martingale,
    matched_beta,
    rate_interval,
)
from bandits.sequential.planning import PlannedCampaign, TrafficPlan, impressions_to_match_prior, plan_traffic
from bandits.sequential.running_means import running_mean_interval
from bandits.sequential.sample_ratio import SampleRatio, check_sample_ratio
from bandits.sequential.stopping import BestText, identify_best
from bandits.streams import Generators, seeded_generators

__all__ = [
    "Allocation",
    "BestText",
    "Channel",
    "Decision",
    "Design",
    "Discount",
    "DriftAlarm",
    "EpsilonGreedy",
    "Forgetting",
    "Generators",
    "Holdout",
    "Interactions",
    "LearnedPrior",
    "LinearObjective",
    "LogisticRewardModel",
    "MixtureKey",
    "MixtureProposer",
    "MixtureRegion",
    "Objective",
    "OnlineBandit",
    "OnlineThompson",
    "OptimalDesign",
    "PlannedCampaign",
    "Policy",
    "Posterior",
    "Proposals",
    "QuadraticFeatures",
    "RandomFourierFeatures",
    "RealisedFeatureMap",
    "RewardPrior",
    "SampleRatio",
    "SlidingWindow",
    "SparseCone",
    "SparseMixtures",
    "TextPrior",
    "ThompsonSampling",
    "TopTwoThompson",
    "TrafficPlan",
    "TrustReport",
    "Uniform",
    "UpperConfidenceBound",
    "VowpalWabbit",
    "VowpalWabbitConfig",
    "VowpalWabbitSlates",
    "Watch",
    "check_sample_ratio",
    "difference_interval",
    "identify_best",
    "impressions_to_match_prior",
    "learn_prior",
    "log_martingale",
    "matched_beta",
    "mixture_key",
    "optimal_design",
    "plan_traffic",
    "rate_interval",
    "remembered",
    "running_mean_interval",
    "seeded_generators",
    "segment_context",
]
