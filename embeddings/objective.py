"""The objective of inversion: how far a text's tokens lead their rivals, and the gradient for the vectors alone."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn.functional import linear, softplus

from copyloom import InputError
from generator.language_model import LanguageModel, LinearHead

_CHUNK_ELEMENTS = 16_000_000
"""Logits that are held at a time; more positions go through the vocabulary in several parts."""


class Objective:
    """Margins of given texts under a frozen language model, and the gradient with respect to their vectors.

    The loss of a token is softplus(logsumexp(rivals) - target + margin - 1): cross-entropy at a margin of 1, and at a
    larger one a cross-entropy that fades later. The model's parameters get no gradient, and the
    vocabulary is seen only where a token is wanted: its part of the backward pass is written by hand, in place, and in
    chunks, so that no gradient of logits is stored.

    Parameters
    ----------
    model : LanguageModel
    dtype : torch.dtype
        In which the model computes; vectors and gradients are float32 all the same.
    front, back : Tensor of shape (L, D), optional
        A context before and after the vectors.
    compiled : bool
        Whether to compile the model with `torch.compile`, which needs a C++ compiler on CPUs.
    parameter_gradients : bool
        Also compute the parameters' gradients, which nothing needs, for a benchmark.
    """

    def __init__(
        self,
        model: LanguageModel,
        dtype: torch.dtype,
        front: Tensor | None = None,
        back: Tensor | None = None,
        compiled: bool = False,
        parameter_gradients: bool = False,
    ) -> None:
        _check_finite(model)
        self.dtype = dtype
        self._model = _computing_copy(model, dtype, compiled, own=parameter_gradients)
        self._useless = list(self._model.model.requires_grad_().parameters()) if parameter_gradients else []
        self._head = _head_in(model.linear_head, dtype)
        nothing = torch.zeros(0, model.hidden_size)
        self._front, self._back = (
            nothing.to(model.device.torch, dtype) if part is None else part.to(model.device.torch, dtype)
            for part in (front, back)
        )
        self.shapes: set[tuple[int, ...]] = set()
        """Shapes in which the model was run; a device that compiles does so once for each."""

    def embed(self, targets: Tensor) -> Tensor:
        """Return the embeddings (B, L-1, D) that follow the vectors, for targets (B, L) with -100 after the end."""
        return self._model.embed(targets[:, :-1].clamp_min(0)).to(self.dtype)

    def __call__(
        self, vectors: Tensor, embedded: Tensor, targets: Tensor, margins: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return each row's least lead (B,), its text's surprisal in nats (B,), and its gradient (B, P, D), float32.

        Parameters
        ----------
        vectors : Tensor of shape (B, P, D)
        embedded : Tensor of shape (B, L-1, D)
            From `embed`.
        targets : Tensor of shape (B, L)
            Token ids, end-of-text included, -100 after it.
        margins : Tensor of shape (B,)
            Wanted leads.
        """
        leaf = vectors.detach().requires_grad_(True)
        rows, length = targets.shape
        parts = [self._front.expand(rows, -1, -1), leaf.to(self.dtype), self._back.expand(rows, -1, -1), embedded]
        inputs = torch.cat([part for part in parts if part.shape[1]], 1)
        self.shapes.add(tuple(inputs.shape))
        if self._head is None:
            states = self._model.logits(inputs)[:, -length:]
        else:
            states = self._model.hidden(inputs)[:, -length:]
        wanted = targets >= 0
        slack = (margins - 1)[:, None].expand_as(targets)[wanted]
        leads, nats, pull = self._vocabulary(states.detach()[wanted], targets[wanted], slack)
        pulls = torch.zeros_like(states)
        pulls[wanted] = pull
        (gradient, *_) = torch.autograd.grad(states, [leaf, *self._useless], pulls, allow_unused=True)
        least = torch.full(targets.shape, torch.inf, device=leads.device)
        surprisal = torch.zeros(targets.shape, device=leads.device)
        least[wanted], surprisal[wanted] = leads, nats
        return least.amin(1), surprisal.sum(1), gradient

    @torch.no_grad()
    def _vocabulary(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return leads (N,), surprisals (N,) and the loss's gradient (N, H) for hidden states (N, H), or logits."""
        vocabulary = states.shape[1] if self._head is None else len(self._head.weight)
        chunk = max(_CHUNK_ELEMENTS // vocabulary, 1)
        parts = zip(states.split(chunk), targets.split(chunk), slack.split(chunk), strict=True)
        leads, nats, pulls = zip(*(self._part(*part) for part in parts), strict=True)
        return torch.cat(leads), torch.cat(nats), torch.cat(pulls)

    def _part(self, states: Tensor, targets: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ids = targets[:, None]
        logits = states.clone() if self._head is None else linear(states, self._head.weight, self._head.bias)
        target = logits.gather(1, ids).float()[:, 0]
        logits.scatter_(1, ids, -torch.inf)
        rival = logits.amax(1, keepdim=True)
        logits.sub_(rival).exp_()  # of the rivals alone, the largest 1
        total = logits.sum(1).float()
        rival = rival.float()[:, 0]
        deficit = rival + total.log() - target
        strength = torch.sigmoid(deficit + slack)
        logits.mul_((strength / total).to(logits.dtype)[:, None])
        logits.scatter_(1, ids, -strength.to(logits.dtype)[:, None])
        pull = logits if self._head is None else logits @ self._head.weight
        return target - rival, softplus(deficit), pull


def _computing_copy(model: LanguageModel, dtype: torch.dtype, compiled: bool, own: bool) -> LanguageModel:
    """Return the model as it computes fastest forward and backward; the decoder keeps the one it has."""
    if dtype == next(model.model.parameters()).dtype and not own:
        shared = {id(tensor): tensor for tensor in [*model.model.parameters(), *model.model.buffers()]}
        module = copy.deepcopy(model.model, shared)  # parameters are not copied
    else:
        module = copy.deepcopy(model.model).to(dtype)
    if model.device.type == "cpu" and getattr(module, "_supports_sdpa", False):
        module.set_attn_implementation("eager")  # the fused kernel's backward pass is slow on short texts
    if compiled:
        module.base_model.forward = torch.compile(module.base_model.forward, dynamic=False)
    return LanguageModel(module, model.tokenizer, model.name, model.device)


def _head_in(head: LinearHead | None, dtype: torch.dtype) -> LinearHead | None:
    if head is None:
        return None
    return LinearHead(head.weight.to(dtype), None if head.bias is None else head.bias.to(dtype))


def _check_finite(model: LanguageModel) -> None:
    for name, parameter in model.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise InputError(f"model {model.name!r} holds NaN or infinite values in {name}; load or train it again")
