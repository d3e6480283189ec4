"""Greedy decoding of summary embeddings in constant shape.

Every step has the same number of rows and a key-value cache whose length depends on the step alone, whatever was asked
for: a text depends on its own embedding, not on the batch (numerical background: Tarasov et al. 2026, appendix on
decoding). Devices that compile one graph a shape see one shape of step; see `generator.cache`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from generator.cache import Reader
from generator.language_model import LanguageModel

MAX_TOKENS = 64
_CHECK_EVERY = 8


@dataclass(frozen=True)
class Prefix:
    """Vectors in front of the summary embedding: one set for all rows, or several, each for as many rows.

    Parameters
    ----------
    vectors : Tensor of shape (L, D) or (n, L, D)
    present : Tensor of shape (L,) or (n, L)
        bool; positions that are False are masked, or left out for models that keep a state, which take one set only.
    """

    vectors: Tensor
    present: Tensor


@dataclass(frozen=True, eq=False)
class Choice:
    """How the next token is chosen, where it is not the likeliest.

    Of the `top` likeliest tokens the one whose log-probability over the row's temperature, plus Gumbel noise, is
    highest: a draw from the model's distribution at that temperature. The noise of a row depends on `seed`, the row and
    the step alone, so that the same call gives the same texts.

    Parameters
    ----------
    temperatures : tuple of float
        One a row of `decode`; 0 takes the likeliest.
    top : int
    seed : int
    banned : Tensor of shape (V,) or (R, V), optional
        bool; tokens that are never written: by no row, or by each of the R rows that are decoded together.
    every : int, optional
        Rows after which the noise begins anew, so that several sets of so many rows are drawn alike.
    """

    temperatures: tuple[float, ...]
    top: int = 40
    seed: int = 0
    banned: Tensor | None = None
    every: int | None = None

    def noise(self, first: int, rows: int, steps: int) -> Tensor:
        """Return what is added to the log-probabilities of `rows` rows from number `first` on: (steps, rows, top)."""
        found = torch.zeros(steps, rows, self.top)
        for row, temperature in enumerate(self.temperatures[first : first + rows]):
            number = first + row if self.every is None else (first + row) % self.every
            generator = torch.Generator().manual_seed(self.seed * 100_003 + number)
            uniform = torch.rand(steps, self.top, generator=generator).clamp_(1e-12, 1 - 1e-7)
            found[:, row] = -temperature * (-uniform.log()).log()
        return found


@dataclass(frozen=True)
class Decoded:
    """A text that a model wrote.

    Parameters
    ----------
    text : str
    ids : tuple of int
        Its tokens, without end-of-text.
    finished : bool
        Whether it came to its end.
    margin : float
        The least lead, in logits, of an emitted token over its best rival, end-of-text included; infinite if nothing
        was emitted.
    """

    text: str
    ids: tuple[int, ...]
    finished: bool
    margin: float


def decode(
    model: LanguageModel, embeddings: Tensor, prefix: Prefix | None = None, max_tokens: int = MAX_TOKENS,
    forced: Sequence[Sequence[int]] | None = None, choice: Choice | None = None,
) -> list[Decoded]:  # fmt: skip
    """Return the greedy continuation of each summary embedding, or another that a choice of tokens makes.

    Parameters
    ----------
    model : LanguageModel
    embeddings : Tensor of shape (B, P, D)
    prefix : Prefix, optional
        A subject; see `embeddings.space.Space.subject`. Of n sets of vectors, each goes before one n-th of the rows
        that are decoded together (`Device.decode_rows`), in order.
    max_tokens : int
        Texts that are longer come back cut, with ``finished`` False.
    forced : sequence of sequence of int, optional
        Tokens that each text must begin with; the least lead counts them too.
    choice : Choice, optional
        Other tokens than the likeliest.

    Returns
    -------
    list of Decoded
        One a row. Ties go to the lowest token id.

    Raises
    ------
    InputError
        If the shape or a value of `embeddings` does not fit the model.

    Notes
    -----
    In a mixture of experts the rows share matrix products of changing shapes: there, margins depend on the batch in
    their last digits, and so would tokens that lead by no more.

    Examples
    --------
    >>> model = LanguageModel.load()
    >>> decode(model, torch.zeros(0, 8, model.hidden_size))
    []
    """
    _check(model, embeddings, prefix, max_tokens)
    decoded: list[Decoded] = []
    rows, known = model.device.decode_rows, not model.device.compiles_shapes  # XLA cannot run this faster mode
    for start in range(0, len(embeddings), rows):
        chunk = embeddings[start : start + rows]
        padding = chunk[-1:].expand(rows - len(chunk), -1, -1)
        with torch.no_grad(), torch.inference_mode(known):
            given = None if forced is None else _padded(forced[start : start + rows], rows, max_tokens, not known)
            noise = None if choice is None else choice.noise(start, rows, max_tokens)
            ids, margins = _greedy(model, torch.cat([chunk, padding]), prefix, max_tokens, given, choice, noise)
        decoded.extend(_texts(model, ids[: len(chunk)], margins))
    return decoded


def _padded(forced: Sequence[Sequence[int]], rows: int, max_tokens: int, whole: bool) -> Tensor:
    """Return forced tokens (rows, L), -1 where the model chooses; L is `max_tokens` if `whole`."""
    longest = max_tokens if whole else min(max((len(row) for row in forced), default=0), max_tokens)
    padded = torch.full((rows, longest), -1)
    for row, tokens in enumerate(forced):
        padded[row, : len(tokens)] = torch.tensor(tokens[:longest], dtype=torch.long)
    return padded


def _greedy(
    model: LanguageModel, embeddings: Tensor, prefix: Prefix | None, max_tokens: int, forced: Tensor | None = None,
    choice: Choice | None = None, noise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return token ids (rows, max_tokens) and margins (rows,) for exactly `Device.decode_rows` embeddings."""
    device = model.device.torch
    reader, inputs = _after_prefix(model, embeddings.to(device, model.model.dtype), prefix, max_tokens)
    ids = torch.full((len(inputs), max_tokens), model.end, device=device)
    margins = torch.full((len(inputs),), torch.inf, device=device)
    done = torch.zeros(len(inputs), dtype=torch.bool, device=device)
    column = torch.zeros(len(inputs), 1, dtype=torch.long, device=device)  # no number: see `Reader`
    forced = None if forced is None else forced.to(device)
    banned = None if choice is None or choice.banned is None else choice.banned.to(device)
    check_every = 1 if device.type == "cpu" else _CHECK_EVERY
    for step in range(max_tokens):
        logits = reader.read(inputs)
        if banned is not None:
            logits = logits.masked_fill(banned, -torch.inf)
        if noise is None:
            best, token = logits.max(-1)  # takes the first of equals
        else:
            best, token = _drawn(logits, noise[step].to(device))
        if forced is not None and step < forced.shape[1]:
            token = torch.where(forced[:, step] < 0, token, forced[:, step])
            best = logits.gather(1, token[:, None])[:, 0]
        lead = best - logits.scatter_(1, token[:, None], -torch.inf).amax(-1)
        margins = torch.where(done, margins, margins.minimum(lead))
        token = torch.where(done, model.end, token)
        ids.scatter_(1, column, token[:, None])
        column += 1
        done |= token == model.end
        if (step + 1) % check_every == 0 and bool(done.all()):
            break
        inputs = model.embed(token[:, None])
    return ids.cpu(), margins.cpu()


def _drawn(logits: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits and tokens (rows,) that are highest after noise (rows, top) on the highest of `logits`."""
    count = min(noise.shape[1], logits.shape[1])
    likeliest, tokens = logits.topk(count, dim=-1)
    chosen = (likeliest + noise[:, :count]).argmax(-1, keepdim=True)
    best, first = logits.max(-1)  # without noise the first of equals, which `topk` need not put first
    greedy = ~noise.any(-1)
    return (
        torch.where(greedy, best, likeliest.gather(1, chosen)[:, 0]),
        torch.where(greedy, first, tokens.gather(1, chosen)[:, 0]),
    )


def _after_prefix(
    model: LanguageModel, vectors: Tensor, prefix: Prefix | None, max_tokens: int
) -> tuple[Reader, Tensor]:
    """Return a reader and what it is to read first: it has read the prefix once, for all rows, where that can be."""
    length = vectors.shape[1] + max_tokens
    if prefix is None or not len(prefix.present):
        return Reader(model, length), vectors
    present = prefix.present.to(vectors.device)
    front = prefix.vectors.to(vectors).view(-1, *prefix.vectors.shape[-2:])
    reader = Reader(model, front.shape[1] + length)
    if reader.is_recurrent:  # a state cannot skip a position
        return reader, torch.cat([front[:, present].expand(len(vectors), -1, -1), vectors], 1)
    reader.read(front, present)
    reader.repeat(len(vectors) // len(front))
    return reader, vectors


def _texts(model: LanguageModel, ids: Tensor, margins: Tensor) -> Iterator[Decoded]:
    for row, margin in zip(ids.tolist(), margins.tolist(), strict=False):
        finished = model.end in row
        kept = row[: row.index(model.end)] if finished else row
        yield Decoded(model.detokenize(kept), tuple(kept), finished, margin)


def _check(model: LanguageModel, embeddings: Tensor, prefix: Prefix | None, max_tokens: int) -> None:
    if embeddings.ndim != 3 or embeddings.shape[-1] != model.hidden_size:
        raise InputError(
            f"embeddings has shape {tuple(embeddings.shape)}; model {model.name!r} decodes (B, P, {model.hidden_size})"
        )
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("embeddings holds NaN or infinite values; invert the text again")
    if prefix is not None and (
        prefix.vectors.shape != (*prefix.present.shape, model.hidden_size)
        or (prefix.vectors.ndim == 3 and model.device.decode_rows % max(len(prefix.vectors), 1))
        or not bool(torch.isfinite(prefix.vectors).all())
    ):
        raise InputError(
            f"the prefix has vectors of shape {tuple(prefix.vectors.shape)} and {tuple(prefix.present.shape)} flags, "
            f"or NaN; model {model.name!r} needs finite (L, {model.hidden_size}) and (L,), or as many sets of them as "
            f"divide {model.device.decode_rows} rows"
        )
    if prefix is not None and prefix.vectors.ndim == 3 and Reader(model, 1).is_recurrent:
        raise InputError(f"model {model.name!r} keeps a state and takes one prefix for all rows; give one")
    length = embeddings.shape[1] + max_tokens + (prefix.present.shape[-1] if prefix else 0)
    if length > model.positions:
        raise InputError(
            f"prefix, vectors and max_tokens={max_tokens} need {length} positions; {model.name!r} has {model.positions}"
        )
