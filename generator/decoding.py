"""Greedy decoding of summary embeddings in constant shape.

Decoding goes on with the same number of rows and has a key-value cache whose length depends on the step alone, whatever
was asked for: a text depends on its own embedding, not on the batch (numerical background: Tarasov et al. 2026,
appendix on decoding). Devices that compile one graph a shape see one shape of step; see `generator.cache`. On CPUs,
texts that have come to their end are left out of later steps, where products of matrices give each row the same bits
without them (`generator.constant_shape.rows_apart`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from generator.cache import CachedModel
from generator.language_model import LanguageModel

MAX_TOKENS = 64
_CHECK_EVERY = 8
_MULTIPLE, _WORTH = 8, 0.8
"""What the rows of a narrower step are a multiple of, and which share of the rows it has at most: copies take time."""


@dataclass(frozen=True)
class Prefix:
    """Vectors in front of the summary embedding: one set for all rows, or several, each for as many rows.

    Parameters
    ----------
    vectors : Tensor of shape (L, D) or (n, L, D)
    present : Tensor of shape (L,) or (n, L)
        bool; positions that are False are masked, or left out for models that keep a state, which take one set only.
    times : tuple of int, optional
        Summary embeddings that each of n sets goes before, of those that are read together; without, as many for each.
    """

    vectors: Tensor
    present: Tensor
    times: tuple[int, ...] | None = None

    def sets(self, rows: int) -> Tensor:
        """Return the number of the set that goes before each of `rows` rows."""
        sets = len(self.vectors) if self.vectors.ndim == 3 else 1
        times = torch.tensor(self.times or [rows // max(sets, 1)] * sets, dtype=torch.long)
        return torch.arange(sets).repeat_interleave(times)


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
    copies : tuple of int, optional
        Rows that are written from each summary embedding, which is read once for them; without, one each. All rows are
        then decoded together: as many as `Device.decode_rows`.
    """

    temperatures: tuple[float, ...]
    top: int = 40
    seed: int = 0
    banned: Tensor | None = None
    every: int | None = None
    copies: tuple[int, ...] | None = None

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
        was emitted, or a `Choice` was given, as nobody asks for it there.
    likelihood : float
        Mean log-probability of its tokens, end-of-text included, in nats a token; 0 where no `Choice` was given, as
        nobody asks for it there.
    """

    text: str
    ids: tuple[int, ...]
    finished: bool
    margin: float
    likelihood: float = 0.0


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
        A subject; see `embeddings.space.Space.subject`. Of n sets of vectors, each goes before one n-th of the
        embeddings that are read together (`Device.decode_rows`, or all where there are `Choice.copies`), or before as
        many as `Prefix.times` says, in order.
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
        If the shape or a value of `embeddings` does not fit the model, or a prefix or copies do not fit them.

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
    _check(model, embeddings, prefix, max_tokens, None if choice is None else choice.copies)
    decoded: list[Decoded] = []
    rows, known = model.device.decode_rows, not model.device.compiles_shapes  # XLA cannot run this faster mode
    for start in range(0, len(embeddings), rows):
        chunk = embeddings[start : start + rows]
        wanted = len(chunk) if choice is None or choice.copies is None else rows
        padding = chunk[-1:].expand(rows - wanted, -1, -1)
        with torch.no_grad(), torch.inference_mode(known):
            given = None if forced is None else _padded(forced[start : start + rows], rows, max_tokens, not known)
            noise = None if choice is None else choice.noise(start, rows, max_tokens)
            asked = torch.cat([chunk, padding])
            found = _greedy(model, asked, wanted, prefix, max_tokens, given, choice, noise)
        decoded.extend(_texts(model, *(part[:wanted] for part in found)))
    return decoded


def _padded(forced: Sequence[Sequence[int]], rows: int, max_tokens: int, whole: bool) -> Tensor:
    """Return forced tokens (rows, L), -1 where the model chooses; L is `max_tokens` if `whole`."""
    longest = max_tokens if whole else min(max((len(row) for row in forced), default=0), max_tokens)
    padded = torch.full((rows, longest), -1)
    for row, tokens in enumerate(forced):
        padded[row, : len(tokens)] = torch.tensor(tokens[:longest], dtype=torch.long)
    return padded


def _greedy(
    model: LanguageModel, embeddings: Tensor, wanted: int, prefix: Prefix | None, max_tokens: int,
    forced: Tensor | None = None, choice: Choice | None = None, noise: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return token ids (rows, max_tokens), margins and likelihoods (rows,) of `Device.decode_rows` rows.

    The rows after the first `wanted` are there for the shape: they count as ended, and hold no token.
    """
    device = model.device.torch
    reader, inputs = _after_prefix(model, embeddings.to(device, model.model.dtype), prefix, max_tokens)
    logits = reader.read(inputs)
    if choice is not None and choice.copies is not None:
        of = torch.arange(len(inputs)).repeat_interleave(torch.tensor(choice.copies)).to(device)
        reader.take(of)
        logits = logits[of]
    count = len(logits)
    written = _Written(
        torch.arange(count, device=device),
        torch.full((count, max_tokens), model.end, device=device),
        torch.full((count,), torch.inf, device=device),
        torch.zeros(count, device=device),
        torch.arange(count, device=device) >= wanted,
        None if forced is None else forced.to(device),
        None if choice is None or choice.banned is None else choice.banned.to(device),
        None if noise is None else noise.transpose(0, 1),
    )
    every = [written.ids.clone(), written.margins.clone(), written.likelihoods.clone()]
    column = torch.zeros(count, 1, dtype=torch.long, device=device)  # no number: see `CachedModel`
    check_every = 1 if device.type == "cpu" else _CHECK_EVERY
    for step in range(max_tokens):
        token = torch.where(written.done, model.end, written.next(logits, step))
        written.ids.scatter_(1, column, token[:, None])
        column += 1
        written.done |= token == model.end
        if (step + 1) % check_every == 0:
            going = int((~written.done).sum())
            if not going:
                break
            if size := _narrower(model, count, len(token), going):
                written.into(every)
                places = written.done.sort(stable=True).indices[:size].sort().values  # those that go on, and some more
                reader.take(places)
                written, token, column = written.of(places), token[places], column[:size]
        if step + 1 < max_tokens:
            logits = reader.read(model.embed(token[:, None]))
    written.into(every)
    ids, margins, likelihoods = (part.cpu() for part in every)
    return ids, margins, likelihoods / ((ids != model.end).sum(1) + 1).clamp_max(max_tokens)


@dataclass(eq=False)
class _Written:
    """What has been written by the rows that are still read.

    Parameters
    ----------
    rows : Tensor of shape (R,)
        Their numbers.
    ids : Tensor of shape (R, max_tokens)
    margins : Tensor of shape (R,)
    likelihoods : Tensor of shape (R,)
        Sums, where there is noise.
    done : Tensor of shape (R,)
        bool
    forced, banned, noise : Tensor of shape (R, L), (V,) or (R, V), (R, max_tokens, top), optional
        See `decode` and `Choice`.
    """

    rows: Tensor
    ids: Tensor
    margins: Tensor
    likelihoods: Tensor
    done: Tensor
    forced: Tensor | None
    banned: Tensor | None
    noise: Tensor | None

    def of(self, places: Tensor) -> _Written:
        """Return what rows at `places` wrote."""
        forced, noise = (None if one is None else one[places] for one in (self.forced, self.noise))
        banned = self.banned if self.banned is None or self.banned.ndim == 1 else self.banned[places]
        told = self.rows, self.ids, self.margins, self.likelihoods, self.done
        rows, ids, margins, likelihoods, done = (one[places] for one in told)
        return _Written(rows, ids, margins, likelihoods, done, forced, banned, noise)

    def into(self, every: Sequence[Tensor]) -> None:
        """Put ids, margins and likelihoods into those of all rows."""
        for whole, mine in zip(every, (self.ids, self.margins, self.likelihoods), strict=True):
            whole[self.rows] = mine

    def next(self, logits: Tensor, step: int) -> Tensor:
        """Return each row's next token for logits (R, V), and count its lead or, where it is drawn, its likelihood."""
        whole = None if self.noise is None else _whole(logits)  # of what it would say, nothing banned
        if self.banned is not None:
            logits.masked_fill_(self.banned, -torch.inf)
        token = logits.max(-1).indices if self.noise is None else _drawn(logits, self.noise[:, step].to(logits.device))
        if self.forced is not None and step < self.forced.shape[1]:
            token = torch.where(self.forced[:, step] < 0, token, self.forced[:, step])
        said = logits.gather(1, token[:, None])[:, 0].float()
        if whole is not None:
            self.likelihoods = torch.where(self.done, self.likelihoods, self.likelihoods + said - whole)
        else:
            lead = said - logits.scatter_(1, token[:, None], -torch.inf).amax(-1).float()
            self.margins = torch.where(self.done, self.margins, self.margins.minimum(lead))
        return token


def _whole(logits: Tensor) -> Tensor:
    """Return the logarithm (R,) of the sum over all tokens, a few rows at a time, which stay in the processor."""
    return torch.cat([rows.float().logsumexp(-1) for rows in logits.split(_MULTIPLE)])


def _narrower(model: LanguageModel, rows: int, now: int, going: int) -> int | None:
    """Return with how many rows, at least `going`, a step goes on that has `now` and began with `rows`, if fewer."""
    if model.device.type != "cpu":  # what else there is than products of matrices is known to keep rows apart there
        return None
    fewer = range(-(-going // _MULTIPLE) * _MULTIPLE, int(_WORTH * now) + 1, _MULTIPLE)
    return next((size for size in fewer if model.rows_apart(rows, size)), None)


def _drawn(logits: Tensor, noise: Tensor) -> Tensor:
    """Return the tokens (rows,) that are highest after noise (rows, top) on the highest logits.

    Without noise, that is the first of equals, as far as these are among them.
    """
    highest, tokens = logits.topk(min(noise.shape[1], logits.shape[1]), dim=-1)
    highest = highest.float()
    likeliest = tokens.masked_fill(highest < highest[:, :1], logits.shape[1]).amin(-1)
    drawn = tokens.gather(1, (highest + noise[:, : highest.shape[1]]).argmax(-1, keepdim=True))[:, 0]
    return torch.where(noise.any(-1), drawn, likeliest)


def _after_prefix(
    model: LanguageModel, vectors: Tensor, prefix: Prefix | None, max_tokens: int
) -> tuple[CachedModel, Tensor]:
    """Return a reader and what it is to read first: it has read the prefix once, for all rows, where that can be."""
    length = vectors.shape[1] + max_tokens
    if prefix is None or not len(prefix.present):
        return CachedModel(model, length), vectors
    present = prefix.present.to(vectors.device)
    front = prefix.vectors.to(vectors).view(-1, *prefix.vectors.shape[-2:])
    reader = CachedModel(model, front.shape[1] + length)
    if reader.is_recurrent:  # a state cannot skip a position
        return reader, torch.cat([front[:, present].expand(len(vectors), -1, -1), vectors], 1)
    reader.read(front, present)
    reader.take(prefix.sets(len(vectors)).to(vectors.device))
    return reader, vectors


def _texts(model: LanguageModel, ids: Tensor, margins: Tensor, likelihoods: Tensor) -> Iterator[Decoded]:
    for row, margin, likelihood in zip(ids.tolist(), margins.tolist(), likelihoods.tolist(), strict=True):
        finished = model.end in row
        kept = row[: row.index(model.end)] if finished else row
        yield Decoded(model.detokenize(kept), tuple(kept), finished, margin, likelihood)


def _check(
    model: LanguageModel, embeddings: Tensor, prefix: Prefix | None, max_tokens: int, copies: Sequence[int] | None
) -> None:
    if embeddings.ndim != 3 or embeddings.shape[-1] != model.hidden_size:
        raise InputError(
            f"embeddings has shape {tuple(embeddings.shape)}; model {model.name!r} decodes (B, P, {model.hidden_size})"
        )
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("embeddings holds NaN or infinite values; invert the text again")
    rows = model.device.decode_rows
    if copies is not None and (
        not len(copies) == len(embeddings) <= rows or sum(copies) != rows or min(copies, default=0) < 0
    ):
        raise InputError(
            f"{len(copies)} embeddings are to be copied to {sum(copies)} rows; {len(embeddings)} are there, and model "
            f"{model.name!r} decodes {rows} rows together"
        )
    rows = rows if copies is None else len(copies)
    if prefix is not None and (
        prefix.vectors.shape != (*prefix.present.shape, model.hidden_size)
        or (prefix.times is not None and len(prefix.times) != len(prefix.present.view(-1, prefix.present.shape[-1])))
        or len(prefix.sets(rows)) != rows
        or not bool(torch.isfinite(prefix.vectors).all())
    ):
        raise InputError(
            f"the prefix has vectors of shape {tuple(prefix.vectors.shape)} and {tuple(prefix.present.shape)} flags, "
            f"or NaN; model {model.name!r} needs finite (L, {model.hidden_size}) and (L,), or sets of them for "
            f"{rows} rows"
        )
    if prefix is not None and prefix.vectors.ndim == 3 and CachedModel(model, 1).is_recurrent:
        raise InputError(f"model {model.name!r} keeps a state and takes one prefix for all rows; give one")
    length = embeddings.shape[1] + max_tokens + (prefix.present.shape[-1] if prefix else 0)
    if length > model.positions:
        raise InputError(
            f"prefix, vectors and max_tokens={max_tokens} need {length} positions; {model.name!r} has {model.positions}"
        )
