"""From a log of shown texts to what another policy would have earned, and whether the log can tell.

`evaluate` does it all in one call, from a data frame or a file; `evaluate_rounds` from arrays. The estimators
themselves are functions of rewards and weights.
"""

from bandits.evaluation.estimate import Estimate, IntervalKind
from bandits.evaluation.estimators import (
    Predictions,
    direct_method,
    doubly_robust,
    ips,
    shrunk,
    snips,
    switched,
)
from bandits.evaluation.evaluate import evaluate, evaluate_rounds
from bandits.evaluation.kernel import chosen_bandwidth, smoothed
from bandits.evaluation.log import Columns, LogTable, read_log
from bandits.evaluation.marginal import marginal_ips, marginal_weights
from bandits.evaluation.predictions import fitted_predictions, given_predictions
from bandits.evaluation.problems import Problem
from bandits.evaluation.results import Evaluation, Row
from bandits.evaluation.rounds import LoggedRounds
from bandits.evaluation.support import Support, diagnose
from bandits.evaluation.target import RoundPolicy
from bandits.evaluation.target_table import TargetTable
from bandits.evaluation.tuning import candidates_by_quantile, tuned

__all__ = [
    "Columns", "Estimate", "Evaluation", "IntervalKind", "LogTable", "LoggedRounds", "Predictions", "Problem",
    "RoundPolicy", "Row", "Support", "TargetTable", "candidates_by_quantile", "chosen_bandwidth", "diagnose",
    "direct_method", "doubly_robust", "evaluate", "evaluate_rounds", "fitted_predictions", "given_predictions", "ips",
    "marginal_ips", "marginal_weights", "read_log", "shrunk", "smoothed", "snips", "switched", "tuned",
]  # fmt: skip
