"""Inversion: find the vectors from which a frozen language model writes a given text, token for token.

Adam moves the vectors alone; the model is frozen. A row leaves as soon as every token of its text, end-of-text
included,
leads its best rival by the wanted logit margin, and the next text takes its place (design 4.1 and 4.2; margin against
kernel differences: Tarasov et al. 2026).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor

from copyloom import InputError
from generator.decoding import decode
from generator.language_model import LanguageModel

Start = Literal["adapter", "token_mean"]
Progress = Callable[[int, int], None]
"""Called with the number of texts finished and of texts in all."""

_BUCKETS = (16, 32, 64, 128, 256, 512)
_ROOMS = (64, 128, 256, 512)
_BETAS = (0.9, 0.95)


class InversionConfig(BaseModel):
    """How hard inversion tries.

    Parameters
    ----------
    start : {"adapter", "token_mean"}
        The adapter's output needs few steps and keeps vectors where they can be mixed; the mean of the text's token
        embeddings works with any model.
    margin : float
        Least lead, in logits, of every token over its best rival.
    max_steps : int
        Budget of a row at each of three attempts (with other rates); what is not exact then is reported so.
    rate : float
        Learning rate, as a share of the root mean square of the start.
    rows : int
        Texts optimised at a time.
    max_tokens : int
        Longer texts are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Start = "adapter"
    margin: PositiveFloat = 1.0
    max_steps: PositiveInt = 500
    rate: float = Field(0.05, gt=0)
    rows: PositiveInt = 64
    max_tokens: PositiveInt = 160


@dataclass(frozen=True)
class Inverted:
    """The vectors (P, D) found for a text, the least margin, the steps taken, and whether decoding returns the text."""

    vectors: Tensor
    margin: float
    steps: int
    exact: bool


def token_mean_start(model: LanguageModel, text: str, vectors: int) -> Tensor:
    """Return the mean of the text's token embeddings, `vectors` times: a Tensor of shape (P, D)."""
    mean = model.embed(torch.tensor(model.tokenize(text))).float().mean(0)
    return mean.expand(vectors, -1).clone()


def check_texts(model: LanguageModel, texts: Sequence[str], config: InversionConfig) -> None:
    """Raise unless every text can be inverted.

    Raises
    ------
    InputError
        If a text is empty, or has more tokens than the configuration or the model allows.
    """
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise InputError(f"text {number} is empty; remove it or write something")
        allowed = most_tokens(model, config)
        tokens = len(model.tokenize(text)) if len(text) < 40 * allowed else len(text) // 4
        if tokens > allowed:
            raise InputError(
                f"text {number} ({text[:30]!r}...) has {len(text):,} characters, about {tokens:,} tokens; "
                f"a summary embedding holds at most {allowed}: shorten it or store its sentences one by one"
            )


def invert(
    model: LanguageModel,
    texts: Sequence[str],
    starts: Tensor,
    config: InversionConfig,
    progress: Progress = lambda done, total: None,
) -> list[Inverted]:
    """Return vectors for each text, found from `starts` by gradient descent and accepted by free greedy decoding.

    Parameters
    ----------
    model : LanguageModel
    texts : sequence of str
    starts : Tensor of shape (B, P, D)
    config : InversionConfig
    progress : callable

    Raises
    ------
    InputError
        From `check_texts`.
    """
    check_texts(model, texts, config)
    found: dict[int, Inverted] = {}
    pending = list(range(len(texts)))
    for attempt, (rate, margin) in enumerate(((1.0, 1.0), (2.0, 1.0), (0.5, 2.0))):
        tried = config.model_copy(update={"rate": config.rate * rate, "margin": config.margin * margin})
        for index, vectors, least, steps in _descend(model, texts, starts, pending, tried):
            earlier = found[index].steps if attempt else 0
            found[index] = Inverted(vectors, least, steps + earlier, False)
            if not attempt:
                progress(len(found), len(texts))
        decoded = decode_texts(model, [found[i].vectors for i in pending], [texts[i] for i in pending])
        for index, text in zip(pending, decoded, strict=True):
            found[index] = replace(found[index], exact=text == texts[index])
        pending = [index for index in pending if not found[index].exact]
        if not pending:
            break
    return [found[index] for index in range(len(texts))]


def most_tokens(model: LanguageModel, config: InversionConfig) -> int:
    """Return the number of tokens up to which texts are inverted: the configuration's limit, or half the positions."""
    return min(config.max_tokens, model.positions // 2, _BUCKETS[-1] - 1)


def decode_texts(model: LanguageModel, vectors: Sequence[Tensor], texts: Sequence[str]) -> list[str]:
    """Return what each of `vectors` (P, D) decodes to, given the room that its text needs, in one of four shapes.

    A text that does not come to its end comes back cut.
    """
    free = model.positions - (len(vectors[0]) if len(vectors) else 0)
    shapes = sorted({min(room, free) for room in _ROOMS})
    rooms = [next((room for room in shapes if len(model.tokenize(text)) < room), shapes[-1]) for text in texts]
    decoded = [""] * len(texts)
    for room in shapes:
        rows = [row for row, wanted in enumerate(rooms) if wanted == room]
        found = decode(model, torch.stack([vectors[row] for row in rows]), max_tokens=room) if rows else []
        for row, result in zip(rows, found, strict=True):
            decoded[row] = result.text if result.finished else f"{result.text} [cut]"
    return decoded


@dataclass
class _Rows:
    """The rows under optimisation: text indices, vectors, Adam's moments, steps, targets with -100 after the end."""

    index: Tensor
    vectors: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor
    rate: Tensor
    targets: Tensor

    def keep(self, rows: Tensor) -> None:
        for name, value in vars(self).items():
            setattr(self, name, value[rows])

    def add(self, other: _Rows) -> None:
        for name, value in vars(self).items():
            setattr(self, name, torch.cat([value, getattr(other, name)]))


def _descend(
    model: LanguageModel,
    texts: Sequence[str],
    starts: Tensor,
    indices: Sequence[int],
    config: InversionConfig,
) -> Iterator[tuple[int, Tensor, float, int]]:
    """Yield (index, vectors, least margin, steps) of each text, as each reaches the margin or its budget."""
    targets = {index: [*model.tokenize(texts[index]), model.end] for index in indices}
    lower = 0
    for upper in _BUCKETS:
        queue = deque(index for index in indices if lower < len(targets[index]) <= upper)
        lower = upper
        rows = _rows([], targets, starts, upper, config, model)
        while queue or len(rows.index):
            if queue and len(rows.index) < config.rows:
                taken = [queue.popleft() for _ in range(min(config.rows - len(rows.index), len(queue)))]
                rows.add(_rows(taken, targets, starts, upper, config, model))
            margins, gradient = _margins_and_gradient(model, rows, config.margin)
            done = (margins >= config.margin) | (rows.steps >= config.max_steps)
            for row in done.nonzero().flatten().tolist():
                vectors = rows.vectors[row].float().cpu()
                yield int(rows.index[row]), vectors, float(margins[row]), int(rows.steps[row])
            if bool(done.any()):
                rows.keep(~done)
                gradient = gradient[~done]
            _adam(rows, gradient)


def _rows(
    taken: Sequence[int], targets: dict[int, list[int]], starts: Tensor, length: int, config: InversionConfig,
    model: LanguageModel,
) -> _Rows:  # fmt: skip
    padded = torch.full((len(taken), length), -100)
    for row, index in enumerate(taken):
        padded[row, : len(targets[index])] = torch.tensor(targets[index])
    device = model.device.torch
    vectors = starts[list(taken)].to(device, torch.float32)
    return _Rows(
        index=torch.tensor(list(taken), dtype=torch.long, device=device),
        vectors=vectors,
        first=torch.zeros_like(vectors),
        second=torch.zeros_like(vectors),
        steps=torch.zeros(len(taken), dtype=torch.long, device=device),
        rate=config.rate * vectors.square().mean((1, 2)).sqrt().clamp_min(1e-3),
        targets=padded.to(device),
    )


def _margins_and_gradient(model: LanguageModel, rows: _Rows, margin: float) -> tuple[Tensor, Tensor]:
    """Return each row's least margin (rows,) and the loss's gradient with respect to its vectors (rows, P, D).

    The loss is cross-entropy with the target's logit lowered by 1.5 margins: it pulls hardest where the lead is missing
    and fades where it is there.
    """
    vectors = rows.vectors.detach().requires_grad_(True)
    length = rows.targets.shape[1]
    inputs = torch.cat([vectors, model.embed(rows.targets[:, :-1].clamp_min(0)).float()], 1)
    logits = model.model(
        inputs_embeds=inputs.to(model.model.dtype), logits_to_keep=length, use_cache=False
    ).logits.float()
    chosen = rows.targets != -100
    target = logits.gather(-1, rows.targets.clamp_min(0)[..., None])
    rivals = logits.scatter(-1, rows.targets.clamp_min(0)[..., None], -torch.inf)
    lead = (target[..., 0] - rivals.amax(-1)).masked_fill(~chosen, torch.inf)
    deficit = rivals.logsumexp(-1) - target[..., 0] + 1.5 * margin
    loss = torch.nn.functional.softplus(deficit).masked_fill(~chosen, 0.0).sum()
    (gradient,) = torch.autograd.grad(loss, vectors)
    return lead.detach().amin(1), gradient


def _adam(rows: _Rows, gradient: Tensor) -> None:
    """Take one step of Adam (Kingma and Ba 2015, algorithm 1), each row with its own step count and rate."""
    beta1, beta2 = _BETAS
    rows.steps = rows.steps + 1
    rows.first = beta1 * rows.first + (1 - beta1) * gradient
    rows.second = beta2 * rows.second + (1 - beta2) * gradient.square()
    steps = rows.steps[:, None, None]
    first = rows.first / (1 - beta1**steps)
    second = rows.second / (1 - beta2**steps)
    rows.vectors = rows.vectors - rows.rate[:, None, None] * first / (second.sqrt() + 1e-12)
