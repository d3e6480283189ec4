# What the package names, each imported when it is first used: this is read by `__init__.py` and by type checkers.
from .mixtures.channel import RealisedFeatureMap as RealisedFeatureMap
from .mixtures.proposer import MixtureProposer as MixtureProposer
from .online.thompson import OnlineThompson as OnlineThompson
from .policies.epsilon_greedy import EpsilonGreedy as EpsilonGreedy
from .policies.holdout import Holdout as Holdout
from .policies.optimal_design import OptimalDesign as OptimalDesign
from .policies.policy import Policy as Policy
from .policies.thompson import ThompsonSampling as ThompsonSampling
from .policies.top_two import TopTwoThompson as TopTwoThompson
from .policies.ucb import UpperConfidenceBound as UpperConfidenceBound
from .policies.uniform import Uniform as Uniform
from .posterior import Posterior as Posterior
from .rewards.reward_model import LogisticRewardModel as LogisticRewardModel
from .rewards.reward_model import RewardPrior as RewardPrior
from .streams import seeded_generators as seeded_generators
