"""From a log of shown texts to what another policy would have earned, and whether the log can tell.

`evaluate` does it all in one call, from a data frame or a file; `evaluate_rounds` does so from arrays; `read_log` only
looks for rows that cannot be used. The estimators, functions of rewards and weights, are in `estimators`.
"""

from bandits.evaluation.evaluate import evaluate, evaluate_rounds
from bandits.evaluation.log import Columns, LogTable, read_log
from bandits.evaluation.results import Evaluation, Row
from bandits.evaluation.rounds import LoggedRounds
from bandits.evaluation.target import RoundPolicy

__all__ = [
    "Columns", "Evaluation", "LogTable", "LoggedRounds", "RoundPolicy", "Row", "evaluate", "evaluate_rounds",
    "read_log",
]  # fmt: skip
