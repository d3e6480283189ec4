"""Inversion: find the vectors from which a frozen language model writes a given text, token for token.

Texts stream through a fixed number of slots. A text leaves its slot when every token, end-of-text included, leads its
best rival by the wanted logit margin, or when its budget is spent; a text of about its length takes the slot.
Whether a text is exact is decided by free greedy decoding, never by the optimisation (design 4.1 and 4.2; margin
against kernel differences: Tarasov et al. 2026).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ctypes import CDLL
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from copyloom import InputError, Progress
from embeddings.context import Context, decode_vectors, room_for
from embeddings.inversion_config import InversionConfig
from embeddings.objective import InversionObjective
from embeddings.relational import relational_loss
from embeddings.slots import ATTEMPTS, Slots, Target, Waiting
from generator.language_model import LanguageModel

_FINE_LENGTHS = (*range(8, 64, 4), *range(64, 128, 16), *range(128, 513, 64))
_FEW_LENGTHS = (16, 32, 64, 128, 256, 512)
_AHEAD = 8
"""Texts that wait for a slot, so many for each: among them are some of about the length of those in slots."""
_TRIM = 16
"""Turns after which freed memory goes back to the system: seldom enough to cost little, and memory stays flat."""
_DECODES = 2
"""Batches of texts that wait to be decoded, so that each can hold texts of about one length."""
_BFLOAT16_GAIN = 3.0
"""Matrix products must be so many times faster in bfloat16: the work between them is not, and rounding costs steps."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""What is added to the wanted margin, for the decoder computes in another shape and precision."""


@dataclass(frozen=True)
class Inverted:
    """What was found for a text.

    Parameters
    ----------
    index : int
        Of the target.
    vectors : Tensor of shape (P, D)
        float32, on the CPU.
    margin : float
        Least lead of a token over its best rival: while decoding for an exact text, under optimisation for others.
    steps : int
        Taken in all attempts.
    surprisal : float
        Nats of the text at its start vectors.
    exact : bool
        Whether greedy decoding returns the text.
    """

    index: int
    vectors: Tensor
    margin: float
    steps: int
    surprisal: float
    exact: bool


@dataclass(frozen=True)
class Refused:
    """A text that cannot be inverted, and why."""

    index: int
    text: str
    reason: str


class Inverter:
    """Streams texts through slots of optimisation; see the module's first lines.

    Parameters
    ----------
    model : LanguageModel
    config : InversionConfig
    context : Context, optional
    lengths : sequence of int, optional
        Lengths, in tokens, to which texts are padded; a device that compiles does so once for each length and level of
        rows.
    parameter_gradients : bool
        Also compute the gradients that inversion does not need, for a benchmark.

    Raises
    ------
    InputError
        If a parameter of the model is not finite.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: InversionConfig,
        context: Context | None = None,
        lengths: Sequence[int] | None = None,
        parameter_gradients: bool = False,
    ) -> None:
        self.model, self.config = model, config
        self.context = context or Context()
        self.dtype = _DTYPES[resolve_precision(model, config).precision]
        embedded = self.context.embedded(model)
        self.objective = InversionObjective(model, self.dtype, *embedded, config.compiled, parameter_gradients)
        few = model.device.compiles_shapes
        self._lengths = lengths or (_FEW_LENGTHS if few else _FINE_LENGTHS)
        parts = (8, 32) if few else (1, 2, *range(4, 33, 4))  # few rows where a text or two are left
        self._levels = sorted({-(-config.rows * part // 32) for part in parts})
        self._waiting = Waiting()
        self._slots: Slots | None = None
        self._turns = 0
        self._finished: dict[int, list[tuple[Target, Tensor, float]]] = defaultdict(list)

    def invert(
        self, texts: Sequence[str], starts: Tensor, progress: Progress = lambda done, total: None
    ) -> list[Inverted]:
        """Return the vectors of each text, found from `starts` (B, P, D), in the order given.

        Raises
        ------
        InputError
            From `check_texts`.
        """
        check_texts(self.model, texts, self.config, starts.shape[1] + len(self.context))
        targets = (Target.of(self.model, *row) for row in zip(count(), texts, starts))
        found: dict[int, Inverted] = {}
        for result in self.run(targets):
            if isinstance(result, Inverted):
                found[result.index] = result
            progress(len(found), len(texts))
        return [found[index] for index in range(len(texts))]

    def run(self, targets: Iterable[Target | Refused]) -> Iterator[Inverted | Refused]:
        """Yield what is found for each target, in the order in which they finish; every one comes out.

        Targets are read eight for each slot ahead; two batches of the decoder may wait to be decoded. What was refused
        before passes through.
        """
        source, more = iter(targets), True
        while True:
            while more and len(self._waiting) < _AHEAD * self.config.rows:
                target = next(source, None)
                more = target is not None
                if isinstance(target, Refused):
                    yield target
                elif target is not None:
                    self._slots = self._slots or self._new_slots(*target.start.shape)
                    self._waiting.add(target)
            if self._slots and (len(self._waiting) or self._slots.active):
                self._turn(self._slots)
                yield from self._verified(_DECODES * self.model.device.decode_rows)
            elif any(self._finished.values()):
                yield from self._verified(1)
            else:
                return

    def _new_slots(self, vectors: int, size: int) -> Slots:
        device = self.model.device
        longest = most_tokens(self.model, self.config, vectors + len(self.context)) + 1
        return Slots(self.config.rows, longest, (vectors, size), device.torch, device.compiles_shapes)

    def _turn(self, slots: Slots) -> None:
        """Fill the slots, take one step in all of them, and take out what is done."""
        wanted = self.config.margin + _ROUNDING[self.dtype]
        slots.fill(self._waiting, wanted, self.config.longest_step, self.model.embedding_rms)
        rows = next(level for level in self._levels if level >= len(slots.active))
        longest = max(len(target.ids) for target in slots.active)
        length = next(length for length in (*self._lengths, longest) if length >= longest)
        vectors, margins = slots.vectors(rows), slots.margins[:rows]
        leads, surprisals, gradients = self.objective(vectors, slots.targets[:rows, :length], margins)
        broken = ~(gradients.isfinite().all((1, 2)) & leads.isfinite())
        if self.config.relational_weight:
            _, pull = relational_loss(vectors[: len(slots.active)], slots.sentence_vectors())
            gradients[: len(slots.active)] += self.config.relational_weight * pull.nan_to_num()  # of a broken row
        ready = (leads >= margins) & ~broken
        leaving = self._done(slots.active, vectors, torch.stack([leads, surprisals, ready, broken]))
        slots.descent.step(gradients.nan_to_num().flatten(1))
        slots.close_up(leaving)
        self._turns += 1
        if self._turns % _TRIM == 0:
            _return_memory()

    def _done(self, active: Sequence[Target], vectors: Tensor, state: Tensor) -> list[int]:
        """Count a step of each text, and return the rows of those that are done, having put these where they go next.

        `state` (4, B) holds leads, surprisals, whether a row is ready, and whether it is broken: one wait for all.
        """
        least, nats, ready, broken = state.tolist()
        leaving = []
        for row, target in enumerate(active):
            if target.taken == 0 and target.attempt == 0:
                target.surprisal = nats[row]
            if ready[row] or broken[row] or target.taken >= self._budget(target):
                leaving.append(row)
            else:
                target.steps += 1
                target.taken += 1
        found = vectors.cpu() if leaving else vectors  # all rows: to take one out is compiled for each of them
        for row in leaving:
            self._leave(active[row], found[row], least[row], bool(ready[row]), bool(broken[row]))
        return leaving

    def _budget(self, target: Target) -> float:
        if self.config.steps_per_nat is None:
            return self.config.max_steps
        return min(self.config.max_steps, 20 + self.config.steps_per_nat * target.surprisal)

    def _leave(self, target: Target, vectors: Tensor, lead: float, ready: bool, broken: bool) -> None:
        """Put a text that left its slot among the finished, or try again from its start."""
        if not broken and (target.best is None or lead > target.best[0]):
            target.best = lead, vectors.clone()
        if not ready and target.attempt + 1 < len(ATTEMPTS):
            target.attempt += 1
            self._waiting.add(target)
            return
        lead, vectors = target.best or (-torch.inf, target.start.float().cpu())
        room = room_for(self.model, len(target.ids), len(target.start) + len(self.context))
        self._finished[room].append((target, vectors, lead))

    def _verified(self, least: int) -> Iterator[Inverted]:
        """Decode what is finished, once `least` texts are, and yield it; what decodes to another text tries again."""
        rows = self.model.device.decode_rows
        for room, finished in self._finished.items():
            if len(finished) < least:
                continue
            finished.sort(key=lambda one: len(one[0].ids))  # a batch takes the steps of its longest text
            batches = [finished[first : first + rows] for first in range(0, len(finished), rows)]
            finished.clear()
            for batch in batches:
                vectors = torch.stack([vectors for _, vectors, _ in batch])
                for (target, found, lead), decoded in zip(
                    batch, decode_vectors(self.model, vectors, room, self.context), strict=True
                ):
                    exact = decoded.finished and decoded.text == target.text
                    safe = exact and decoded.margin >= self.config.margin
                    if not safe and target.attempt + 1 < len(ATTEMPTS):
                        target.attempt, target.start = target.attempt + 1, found
                        target.best = target.best if exact else None
                        target.margin_factor *= 1.25 if exact else 2
                        self._waiting.add(target)
                        continue
                    margin = decoded.margin if exact else lead
                    yield Inverted(target.index, found, margin, target.steps, target.surprisal, exact)


def _return_memory() -> None:
    """Give freed memory back to the system; glibc would keep gigabytes in gaps, as steps differ in shape."""
    trim = getattr(CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def fault(model: LanguageModel, text: str, config: InversionConfig, prefix: int = 0) -> str | None:
    """Return why `text` cannot be inverted, in words that follow its name, or None.

    `prefix` is the number of its vectors and of tokens of a context.
    """
    if not text.strip():
        return "is empty; remove it or write something"
    allowed = most_tokens(model, config, prefix)
    if not allowed:
        return f"has no room: vectors and context take {prefix} of {model.positions} positions; shorten the context"
    try:
        ids = model.tokenize(text) if len(text) < 40 * allowed else None
    except InputError as error:
        return f"is not Unicode: {error}"
    tokens = len(text) // 4 if ids is None else len(ids)
    if ids is None or tokens > allowed:
        return (
            f"({text[:30]!r}...) has {len(text):,} characters, about {tokens:,} tokens; a summary embedding holds at "
            f"most {allowed}: shorten it, or store it as a document of several spans"
        )
    if (readable := model.detokenize(ids)) != text:
        return (
            f"({text[:30]!r}...) cannot be written with the tokenizer of {model.name!r}, which reads it as "
            f"{readable[:30]!r}; normalise the text or choose a model with a byte-level tokenizer"
        )
    return None


def check_texts(model: LanguageModel, texts: Sequence[str], config: InversionConfig, prefix: int = 0) -> None:
    """Raise unless every text can be inverted.

    Raises
    ------
    InputError
        If a text is empty, has more tokens than the configuration or the model allows, or does not survive the
        tokenizer.
    """
    for number, text in enumerate(texts, start=1):
        if (reason := fault(model, text, config, prefix)) is not None:
            raise InputError(f"text {number} {reason}")


def most_tokens(model: LanguageModel, config: InversionConfig, prefix: int = 0) -> int:
    """Return the number of tokens up to which texts are inverted.

    That is the least of the configuration's limit, 511, half of the model's positions, and what `prefix` vectors and
    tokens of a context leave of them with the end-of-text token.
    """
    return max(0, min(config.max_tokens, model.positions // 2, _FINE_LENGTHS[-1] - 1, model.positions - prefix - 1))


def resolve_precision(model: LanguageModel, config: InversionConfig) -> InversionConfig:
    """Return `config` with "auto" replaced by the precision that suits the model's device, as measured now."""
    if config.precision != "auto":
        return config
    device = model.device
    gain = device.matmul_rate(torch.bfloat16) / device.matmul_rate(torch.float32)
    return config.model_copy(update={"precision": "bfloat16" if gain >= _BFLOAT16_GAIN else "float32"})
