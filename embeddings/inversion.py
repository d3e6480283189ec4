"""Inversion: find the vectors from which a frozen language model writes a given text, token for token.

Texts stream through a fixed number of slots. A text leaves its slot when every token, end-of-text included, leads its
best rival by the wanted logit margin, or when its budget is spent; the next text of about its length takes the slot.
Whether a text is exact is decided by free greedy decoding, never by the optimisation (design 4.1 and 4.2; margin
against kernel differences: Tarasov et al. 2026).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from torch import Tensor

from copyloom import InputError
from embeddings.lbfgs import RowwiseLBFGS
from embeddings.objective import Objective
from generator.decoding import Decoded, decode
from generator.language_model import LanguageModel

Start = Literal["adapter", "token_mean", "random", "given"]
Precision = Literal["auto", "float32", "bfloat16"]
Progress = Callable[[int, int], None]
"""Called with the number of texts finished and of texts in all."""

_ROOMS = (64, 128, 256, 512)
_FINE_LENGTHS = (*range(8, 64, 4), *range(64, 128, 16), *range(128, 513, 64))
_FEW_LENGTHS = (16, 32, 64, 128, 256, 512)
_ATTEMPTS = (1.0, 0.5, 2.0)
"""Factors of the trust radius at the first, second and third attempt."""
_BFLOAT16_GAIN = 3.0
"""Matrix products must be so many times faster in bfloat16: the work between them is not, and rounding costs steps."""
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""What is added to the wanted margin, for the decoder computes in another shape and precision."""


class InversionConfig(BaseModel):
    """How hard inversion tries.

    Parameters
    ----------
    start : {"adapter", "token_mean", "random", "given"}
        The adapter's output needs few steps and keeps vectors where they can be mixed; the mean of the text's token
        embeddings works with any model; given starts are an earlier solution, of another version of the model say.
    margin : float
        Least lead, in logits, of every token over its best rival.
    max_steps : int
        Budget of a text at each of three attempts (with other radii); what is not exact then is reported so.
    steps_per_nat : float, optional
        Shortens the budget of easy texts: to 20 steps, and so many for each nat of surprisal at the start.
    radius : float, optional
        Longest step, as a share of the root mean square of the start or of the model's token embeddings, whichever
        is larger. By default 0.1 from the adapter, which keeps vectors near it, and 0.5 from elsewhere;
        `embeddings.probe` finds the fastest for a model.
    rows : int
        Slots: texts optimised at a time. Memory grows with them, not with the number of texts.
    max_tokens : int
        Longer texts are refused; see `embeddings.documents` for those.
    precision : {"auto", "float32", "bfloat16"}
        Of the model while it is optimised through; vectors are float32 and exactness is decided in the decoder's
        precision. float32 gives the same vectors, but for rounding, on every machine. "auto", which the command line
        takes, is bfloat16 where the device multiplies matrices at least three times faster in it.
    compiled : bool
        Use `torch.compile`: worth its wait for many thousand texts. Needs a C++ compiler on CPUs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Start = "adapter"
    margin: PositiveFloat = 1.0
    max_steps: PositiveInt = 300
    steps_per_nat: PositiveFloat | None = None
    radius: PositiveFloat | None = None
    rows: PositiveInt = 64
    max_tokens: PositiveInt = 160
    precision: Precision = "float32"
    compiled: bool = False

    @property
    def longest_step(self) -> float:
        """The radius, given or by default."""
        return self.radius or (0.1 if self.start == "adapter" else 0.5)


@dataclass(frozen=True)
class Context:
    """Token ids that always stand before or after the vectors, so that these learn what the context does not say."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@dataclass(eq=False)
class Target:
    """A text on its way through the slots.

    Parameters
    ----------
    index : int
        The caller's number for it.
    text : str
    ids : list of int
        Its tokens, end-of-text included.
    start : Tensor of shape (P, D)
    """

    index: int
    text: str
    ids: list[int]
    start: Tensor
    attempt: int = 0
    steps: int = 0
    surprisal: float = 0.0
    margin_factor: float = 1.0


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
        Lengths, in tokens, of the buckets; a device that compiles does so once for each length and level of rows.
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
        front, back = (model.embed(torch.tensor(ids, dtype=torch.long)) for ids in _sides(self.context))
        self.dtype = compute_dtype(model, config.precision)
        self.objective = Objective(model, self.dtype, front, back, config.compiled, parameter_gradients)
        few = config.compiled or model.device.compiles_shapes
        self._lengths = lengths or (_FEW_LENGTHS if few else _FINE_LENGTHS)
        self._levels = sorted({-(-config.rows * part // 8) for part in ((2, 8) if few else range(1, 9))})
        table = model.model.get_input_embeddings().weight
        self._scale = float(table.float().square().mean().sqrt())
        self._buckets: dict[int, _Bucket] = {}
        self._finished: dict[int, list[tuple[Target, Tensor, float]]] = defaultdict(list)

    def run(self, targets: Iterable[Target]) -> Iterator[Inverted]:
        """Yield what is found for each target, in the order in which they finish; every one comes out.

        Targets are read as slots fall free, a few hundred ahead.
        """
        source, more = iter(targets), True
        while True:
            while more and self._waiting() < 8 * self.config.rows:
                target = next(source, None)
                more = target is not None
                if target is not None:
                    self._bucket(target).queue.append(target)
            if loaded := [bucket for bucket in self._buckets.values() if bucket.load]:
                self._turn(max(loaded, key=lambda bucket: (min(bucket.load, self.config.rows), len(bucket.active))))
                yield from self._verified(self.model.device.decode_rows)
            elif any(self._finished.values()):
                yield from self._verified(1)
            else:
                return

    def _waiting(self) -> int:
        return sum(len(bucket.queue) for bucket in self._buckets.values())

    def _bucket(self, target: Target) -> _Bucket:
        length = next(length for length in self._lengths if len(target.ids) <= length)
        if length not in self._buckets:
            self._buckets[length] = _Bucket(self, length, *target.start.shape)
        return self._buckets[length]

    def _turn(self, bucket: _Bucket) -> None:
        """Fill the bucket's slots, take one step in all of them, and take out what is done."""
        bucket.fill(self._scale)
        rows = next(level for level in self._levels if level >= len(bucket.active))
        vectors = bucket.vectors(rows)
        leads, surprisals, gradients = self.objective(
            vectors, bucket.embedded[:rows], bucket.targets[:rows], bucket.margins[:rows]
        )
        broken = ~(gradients.isfinite().all((1, 2)) & leads.isfinite())
        ready = (leads >= bucket.margins[:rows]) & ~broken
        leaving = []
        nats = surprisals.tolist()
        for row, (target, is_ready, is_broken) in enumerate(
            zip(bucket.active, ready.tolist(), broken.tolist(), strict=False)
        ):
            if bucket.taken[row] == 0 and target.attempt == 0:
                target.surprisal = nats[row]
            if is_ready or is_broken or bucket.taken[row] >= self._budget(target):
                leaving.append(row)
                self._leave(target, vectors[row].cpu(), float(leads[row]), is_ready, is_broken)
            else:
                target.steps += 1
                bucket.taken[row] += 1
        bucket.descent.step(gradients.nan_to_num().flatten(1))
        bucket.close_up(leaving)

    def _budget(self, target: Target) -> float:
        if self.config.steps_per_nat is None:
            return self.config.max_steps
        return min(self.config.max_steps, 20 + self.config.steps_per_nat * target.surprisal)

    def _leave(self, target: Target, vectors: Tensor, lead: float, ready: bool, broken: bool) -> None:
        """Put a text that left its slot among the finished, or try again from its start."""
        if not ready and target.attempt + 1 < len(_ATTEMPTS):
            target.attempt += 1
            self._bucket(target).queue.append(target)
            return
        vectors = target.start.float().cpu() if broken else vectors.clone()
        lead = -torch.inf if broken else lead
        self._finished[room_for(self.model, len(target.ids), self._prefix(target))].append((target, vectors, lead))

    def _prefix(self, target: Target) -> int:
        return len(target.start) + sum(map(len, _sides(self.context)))

    def _verified(self, least: int) -> Iterator[Inverted]:
        """Decode what is finished, once `least` texts are, and yield it; what decodes to another text tries again."""
        for room, finished in self._finished.items():
            while len(finished) >= least:
                batch = [finished.pop() for _ in range(min(len(finished), self.model.device.decode_rows))]
                vectors = torch.stack([vectors for _, vectors, _ in batch])
                for (target, found, lead), decoded in zip(
                    batch, decode_vectors(self.model, vectors, room, self.context), strict=True
                ):
                    exact = decoded.finished and decoded.text == target.text
                    safe = exact and decoded.margin >= self.config.margin
                    if not safe and lead >= self.config.margin and target.attempt + 1 < len(_ATTEMPTS):
                        target.attempt, target.start = target.attempt + 1, found
                        target.margin_factor *= 1.25 if exact else 2
                        self._bucket(target).queue.append(target)
                        continue
                    margin = decoded.margin if exact else lead
                    yield Inverted(target.index, found, margin, target.steps, target.surprisal, exact)


class _Bucket:
    """The slots of one length: the texts in them lie in the first rows."""

    def __init__(self, inverter: Inverter, length: int, vectors: int, size: int) -> None:
        config, device = inverter.config, inverter.model.device.torch
        self.queue: deque[Target] = deque()
        self.active: list[Target] = []
        self.taken: list[int] = []  # steps of this attempt
        self.descent = RowwiseLBFGS(config.rows, vectors * size, device)
        self.targets = torch.full((config.rows, length), -100, device=device)
        self.embedded = torch.zeros(config.rows, length - 1, size, dtype=inverter.dtype, device=device)
        self.margins = torch.ones(config.rows, device=device)
        self._embed, self._shape = inverter.objective.embed, (vectors, size)
        self._margin, self._radius = config.margin + _ROUNDING[inverter.dtype], config.longest_step

    @property
    def load(self) -> int:
        """The number of texts in slots or waiting for one."""
        return len(self.queue) + len(self.active)

    def vectors(self, rows: int) -> Tensor:
        """Return the vectors (rows, P, D) of the first rows."""
        return self.descent.points[:rows].view(rows, *self._shape)

    def fill(self, scale: float) -> None:
        """Put waiting texts into the free slots; `scale` is the least by which their radii are multiplied."""
        first = len(self.active)
        taken = [self.queue.popleft() for _ in range(min(len(self.targets) - first, len(self.queue)))]
        if not taken:
            return
        padded = torch.full((len(taken), self.targets.shape[1]), -100)
        for row, target in enumerate(taken):
            padded[row, : len(target.ids)] = torch.tensor(target.ids)
        device = self.targets.device
        rows = torch.arange(first, first + len(taken), device=device)
        self.targets[rows] = padded.to(device)
        self.embedded[rows] = self._embed(self.targets[rows])
        self.margins[rows] = self._margin * torch.tensor([t.margin_factor for t in taken], device=device)
        starts = torch.stack([target.start for target in taken]).to(device, torch.float32).flatten(1)
        factors = torch.tensor([self._radius * _ATTEMPTS[target.attempt] for target in taken], device=device)
        self.descent.put(rows, starts, factors * starts.square().mean(1).sqrt().clamp_min(scale))
        self.active += taken
        self.taken += [0] * len(taken)

    def close_up(self, leaving: Sequence[int]) -> None:
        """Free the rows `leaving`; texts at the end move into the gaps."""
        kept = len(self.active) - len(leaving)
        gone = set(leaving)
        source = [row for row in range(kept, len(self.active)) if row not in gone]
        gaps = [row for row in leaving if row < kept]
        for row, gap in zip(source, gaps, strict=True):
            self.active[gap], self.taken[gap] = self.active[row], self.taken[row]
        if source:
            device = self.targets.device
            rows, to = torch.tensor(source, device=device), torch.tensor(gaps, device=device)
            self.descent.move(rows, to)
            for state in (self.targets, self.embedded, self.margins):
                state[to] = state[rows]
        del self.active[kept:], self.taken[kept:]
        self.targets[kept:] = -100


def fault(model: LanguageModel, text: str, config: InversionConfig) -> str | None:
    """Return why `text` cannot be inverted, in words that follow its name, or None.

    Raises
    ------
    InputError
        If `text` is not Unicode.
    """
    if not text.strip():
        return "is empty; remove it or write something"
    allowed = most_tokens(model, config)
    ids = model.tokenize(text) if len(text) < 40 * allowed else None
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


def check_texts(model: LanguageModel, texts: Sequence[str], config: InversionConfig) -> None:
    """Raise unless every text can be inverted.

    Raises
    ------
    InputError
        If a text is empty, has more tokens than the configuration or the model allows, or does not survive the
        tokenizer.
    """
    for number, text in enumerate(texts, start=1):
        if (reason := fault(model, text, config)) is not None:
            raise InputError(f"text {number} {reason}")


def invert(
    model: LanguageModel,
    texts: Sequence[str],
    starts: Tensor,
    config: InversionConfig,
    progress: Progress = lambda done, total: None,
    context: Context | None = None,
) -> list[Inverted]:
    """Return vectors for each text, found from `starts` by gradient descent and accepted by free greedy decoding.

    Parameters
    ----------
    model : LanguageModel
    texts : sequence of str
    starts : Tensor of shape (B, P, D)
    config : InversionConfig
    progress : callable
    context : Context, optional

    Raises
    ------
    InputError
        From `check_texts`.
    """
    check_texts(model, texts, config)
    targets = (
        Target(index, text, [*model.tokenize(text), model.end], start)
        for index, (text, start) in enumerate(zip(texts, starts, strict=True))
    )
    found: dict[int, Inverted] = {}
    for result in Inverter(model, config, context).run(targets):
        found[result.index] = result
        progress(len(found), len(texts))
    return [found[index] for index in range(len(texts))]


def most_tokens(model: LanguageModel, config: InversionConfig) -> int:
    """Return the number of tokens up to which texts are inverted: the configuration's limit, or half the positions."""
    return min(config.max_tokens, model.positions // 2, _FINE_LENGTHS[-1] - 1)


def compute_dtype(model: LanguageModel, precision: Precision) -> torch.dtype:
    """Return the precision in which the model computes while vectors are optimised."""
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    device = model.device
    gain = device.matmul_rate(torch.bfloat16) / device.matmul_rate(torch.float32)
    return torch.bfloat16 if gain >= _BFLOAT16_GAIN else torch.float32


def room_for(model: LanguageModel, tokens: int, prefix: int) -> int:
    """Return the room in which a text of so many tokens, end-of-text included, is decoded: one of four."""
    free = model.positions - prefix
    return next((room for room in _ROOMS if tokens <= room <= free), min(free, _ROOMS[-1]))


def decode_vectors(model: LanguageModel, vectors: Tensor, room: int, context: Context | None = None) -> list[Decoded]:
    """Return what vectors (B, P, D) decode to within `room` tokens, between the parts of the context."""
    return decode(model, in_context(model, vectors, context), max_tokens=room)


def in_context(model: LanguageModel, vectors: Tensor, context: Context | None) -> Tensor:
    """Return vectors (B, P, D) with those of the context around them, (B, P + C, D)."""
    if context is None or not any(_sides(context)):
        return vectors
    front, back = (
        model.embed(torch.tensor(ids, dtype=torch.long)).cpu().float().expand(len(vectors), -1, -1)
        for ids in _sides(context)
    )
    return torch.cat([front, vectors, back], 1)


def decode_texts(
    model: LanguageModel, vectors: Sequence[Tensor], texts: Sequence[str], context: Context | None = None
) -> list[str]:
    """Return what each of `vectors` (P, D) decodes to, given the room that its text needs, in one of four shapes.

    A text that does not come to its end comes back cut.
    """
    context = context or Context()
    rooms: dict[int, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        prefix = len(vectors[row]) + sum(map(len, _sides(context)))
        rooms[room_for(model, len(model.tokenize(text)) + 1, prefix)].append(row)
    decoded = [""] * len(texts)
    for room, rows in rooms.items():
        found = decode_vectors(model, torch.stack([vectors[row] for row in rows]), room, context)
        for row, result in zip(rows, found, strict=True):
            decoded[row] = result.text if result.finished else f"{result.text} [cut]"
    return decoded


def _sides(context: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return context.before, context.after
