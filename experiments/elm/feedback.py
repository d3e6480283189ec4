"""Reinforcement from feedback: an ELM learns from the rewards of its own answers, held near to what it was.

Policy gradient with a leave-one-out baseline (Kool, van Hoof and Welling 2019; Ahmadian et al., ACL 2024, "Back to
basics"): of several answers to one question each is compared with the mean of the others, so that nothing need be
learnt of how good answers to a question are. A penalty, the divergence of what is expected at each token from what the
supervised model expects there, holds it back (Ziegler et al. 2019).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import kl_div

from copyloom import InputError, Report
from embeddings.training.checkpoint import RUN, check_same_run
from embeddings.training.config import Schedule
from embeddings.training.steps import put_updates_in, take_steps, trained_in
from experiments.elm.model import Elm, Piece, embedded, pieces_of, read_elm, save_elm, told_plainly, written
from experiments.elm.questions import Question
from experiments.elm.reading import Row, expected
from experiments.elm.training import Questions
from experiments.versions import versions
from generator import low_rank
from generator.decoding import Choice
from generator.device import Device
from generator.language_model import LanguageModel

_LOG_EVERY = 5

Reward = Callable[[Sequence[Question], Sequence[str]], Sequence[float]]
"""From questions and an answer to each to what these are worth."""


class FeedbackTraining(Schedule):
    """How an ELM learns from rewards.

    Parameters
    ----------
    questions : int
        Of a step.
    drafts : int
        Answers to each, two or more.
    steps : int
        Of the training.
    rate : float
        Peak learning rate, of adapters and updates alike.
    beta : float
        Weight of the divergence from the supervised model, in reward a nat a token.
    temperature : float
        At which answers are drawn, of the 40 likeliest tokens.
    tokens : int
        Of an answer, at most.
    """

    questions: PositiveInt = 6
    drafts: int = Field(4, ge=2)
    steps: PositiveInt = 100
    warmup: PositiveInt = 5
    cooldown: float = Field(0.5, gt=0, le=1)
    rate: PositiveFloat = 1e-4
    beta: NonNegativeFloat = 0.05
    temperature: PositiveFloat = 1.0
    tokens: PositiveInt = 64


def leave_one_out(rewards: Tensor) -> Tensor:
    """Return by how much each reward (Q, G) is above the mean of the others of its question.

    Examples
    --------
    >>> leave_one_out(torch.tensor([[1.0, 0.0, 0.5]])).tolist()
    [[0.75, -0.75, 0.0]]
    """
    count = rewards.shape[1]
    return rewards - (rewards.sum(1, keepdim=True) - rewards) / (count - 1)


def train_on_rewards(
    config: FeedbackTraining, start: Path, questions: Questions, reward: Reward, about: str, out: Path, report: Report,
    device: str = "auto",
) -> Path:  # fmt: skip
    """Train, or go on training, in a folder; return the folder of the ELM.

    Parameters
    ----------
    config : FeedbackTraining
    start : Path
        Of the supervised ELM.
    questions : Questions
    reward : callable
        From questions and an answer to each to numbers.
    about : str
        What tells the reward from others.
    out : Path
        Receives checkpoints and the ELM.
    report : callable
    device : str

    Raises
    ------
    InputError
        If the folder holds a training of other settings, or a reward is not finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    supervised = Elm.load(start, Device.choose(device))
    check_same_run(out / RUN, {
        "config": config.model_dump(), "start": supervised.digest, "questions": questions.digest, "reward": about,
        "device": supervised.model.device.type, "versions": versions(),
    })  # fmt: skip
    training = _Training(config, start, supervised, questions, reward, out, report)
    training.run()
    updates = low_rank.updates_of(training.policy.model)
    save_elm(out, training.settings, training.adapters, updates, {"feedback": config.model_dump(), "reward": about})
    return out


class _Training:
    """A training under way."""

    def __init__(
        self, config: FeedbackTraining, start: Path, supervised: Elm, questions: Questions, reward: Reward, out: Path,
        report: Report,
    ) -> None:  # fmt: skip
        self.config, self.reference, self.questions, self.reward = config, supervised, questions, reward
        self.out, self.report = out, report
        self.settings, base, self.adapters, updates = read_elm(start, supervised.model.device)
        rows = replace(base.device, decode_rows=config.questions * config.drafts)
        self.policy = LanguageModel(base.model, base.tokenizer, base.name, rows)
        put_updates_in(self.policy, self.settings.rank, 0, compiled=False)
        low_rank.restore(self.policy.model, updates)
        self.rewards: list[float] = []

    def run(self) -> None:
        """Take all steps that are left."""
        named = {f"adapters.{name}": value for name, value in nn.ModuleDict(self.adapters).named_parameters()}
        named |= trained_in(self.policy.model)
        optimiser = torch.optim.AdamW(named.values(), lr=self.config.rate, betas=(0.9, 0.98), weight_decay=0.0)
        take_steps(self.config, self.config.steps, self.out, named, optimiser, self._loss, self._log, _LOG_EVERY)

    def _log(self, step: int, mean: float) -> None:
        reward, self.rewards = sum(self.rewards) / max(len(self.rewards), 1), []
        self.report(f"learning from rewards (mean {reward:.3f})", step, self.config.steps)

    def _loss(self, step: int) -> Tensor:
        """Return what is to fall: surprisal of what is better than the other answers, and the divergence."""
        config, rng = self.config, random.Random(f"{self.config.seed} asked in {step}")
        asked = [
            one for one in (self.questions.draw(rng) for _ in range(config.questions)) for _ in range(config.drafts)
        ]
        pieces = [pieces_of(self.policy, one, told=False) for one in asked]
        drawn = self._answers(pieces, step)
        worth = torch.tensor(list(self.reward(asked, [text for text, _ in drawn])), dtype=torch.float32)
        if not bool(worth.isfinite().all()):
            raise InputError(f"a reward of step {step} is not finite; return finite numbers")
        self.rewards.append(float(worth.mean()))
        above = leave_one_out(worth.view(config.questions, config.drafts)).flatten()
        rows = [Row(one, list(ids)) for one, (_, ids) in zip(pieces, drawn, strict=True)]
        policy = expected(self.policy, self.adapters, rows)
        with torch.no_grad():
            before = expected(self.reference.model, self.reference.adapters, rows).logits.log_softmax(-1)
        tokens = len(policy.targets) / len(rows)
        gained = (above.to(policy.logits.device) * policy.likelihoods(len(rows))).mean() / tokens
        moved = kl_div(before, policy.logits.log_softmax(-1), log_target=True, reduction="batchmean")
        return config.beta * moved - gained

    @torch.no_grad()
    def _answers(self, pieces: Sequence[Sequence[Piece]], step: int) -> list[tuple[str, tuple[int, ...]]]:
        """Return an answer to each question with all tokens that were drawn, by a seed of the step."""
        read = [embedded(self.policy, self.adapters, one) for one in pieces]
        choice = Choice((self.config.temperature,) * len(read), seed=self.config.seed * 1_000_003 + step)
        said = written(self.policy, read, self.config.tokens, choice)
        return [(told_plainly(one), (*one.ids, *[self.policy.end] * one.finished)) for one in said]
